"""Pages of groups: all of them, one with its devices and what is deployed to it, and changing who is in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from penstock.apiv1 import groups as g
from penstock.server.api import devices, groups, queries
from penstock.server.core.errors import Invalid
from penstock.server.web.fleet import TALLY
from penstock.server.web.frame import PAGE_FAULTS, Go, Show, faults_of, read, told

if TYPE_CHECKING:
    from penstock.apiv1.common import Problem
    from penstock.server.web.frame import Ask

OFFERED = 200  # names offered while typing; any other can be typed


def names_of(text: str) -> tuple[str, ...]:
    """ "press-01, press-02" as names."""
    return tuple(dict.fromkeys(text.replace(",", " ").split()))


def _groups(ask: Ask, problem: Problem | None = None, form: dict[str, str] | None = None) -> Show:
    return Show(
        "groups.html",
        {
            "groups": ask.ask(groups.list_groups).items,
            "problem": problem,
            "faults": faults_of(problem),
            "form": form or {"name": "", "title": "", "selector": "", "devices": ""},
        },
        422 if problem else 200,
    )


def all_groups(ask: Ask) -> Show:
    """Every group."""
    return _groups(ask)


def create_group(ask: Ask) -> Show | Go:
    """Make a group."""
    form = {key: ask.first(key) for key in ("name", "title", "selector", "devices")}
    try:
        made = ask.ask(groups.create_group, body=read(g.GroupCreate, {**form, "devices": names_of(form["devices"])}))
    except PAGE_FAULTS as fault:
        return _groups(ask, told(fault), form)
    return Go(f"/groups/{made.name}", f"{made.title} is a group now.")


def _group(ask: Ask, problem: Problem | None = None, form: dict[str, str] | None = None) -> Show:
    found: g.Group = ask.ask(groups.get_group)
    cursor = ask.query.get("cursor", "")
    base = f"/groups/{found.name}"
    sees = ask.may("devices.read")
    listed = ask.ask(groups.members, query=read(queries.Paging, {"cursor": cursor, "limit": 100})) if sees else None
    changes = ask.may("groups.write")
    offered = ask.ask(devices.list_devices, query=queries.Devices(sort="name", limit=OFFERED)).items if changes and sees else ()
    tally = found.tally
    return Show(
        "group.html",
        {
            "group": found,
            "members": listed.items if listed else (),
            "offered": [one.name for one in offered if one.id not in found.devices],
            "tally": [
                ("/?" + urlencode({"group": found.name, **({"show": key} if key else {})}), label, getattr(tally, field), tone)
                for key, label, field, tone in TALLY
            ]
            if tally is not None
            else [],
            "changes": changes,
            "problem": problem,
            "faults": faults_of(problem),
            "form": form or {"title": found.title, "selector": found.selector, "add": ""},
            "next_url": f"{base}?{urlencode({'cursor': listed.next})}" if listed and listed.next else "",
            "first_url": base if cursor else "",
            "own": f"{base}?{urlencode({'cursor': cursor})}" if cursor else base,  # a refused form is shown at an address that only takes forms
        },
        422 if problem else 200,
    )


def group(ask: Ask) -> Show:
    """One group."""
    return _group(ask)


def _form(ask: Ask, **given: Any) -> dict[str, str]:
    found = ask.ask(groups.get_group)
    return {"title": found.title, "selector": found.selector, "add": "", **given}


def change_group(ask: Ask) -> Show | Go:
    """Another title or selector."""
    form = {key: ask.first(key) for key in ("title", "selector")}
    try:
        made = ask.ask(groups.change_group, body=read(g.GroupChange, form), revision=ask.revision())
    except PAGE_FAULTS as fault:
        return _group(ask, told(fault), _form(ask, **form))
    return Go(f"/groups/{made.name}", "Saved. What is deployed to this group follows now.")


def change_devices(ask: Ask) -> Show | Go:
    """Name a device too, or no more."""
    add, drop = names_of(ask.first("add")), ask.first("drop")
    try:
        found: g.Group = ask.ask(groups.get_group)
        if not add and not drop:
            raise Invalid("device-empty", "no device is named", field="add", remedy="type the name of a device")
        named = tuple(one for one in found.devices if one != drop)
        made = ask.ask(groups.change_group, body=read(g.GroupChange, {"devices": (*named, *add)}), revision=ask.revision())
    except PAGE_FAULTS as fault:
        problem = told(fault)
        return _group(ask, problem, _form(ask, add=ask.first("add")))
    return Go(f"/groups/{made.name}", "Saved. What is deployed to this group follows now.")


def remove_group(ask: Ask) -> Show | Go:
    """Remove a group that nothing needs any more."""
    try:
        said = ask.ask(groups.remove_group, revision=ask.revision()).said
    except PAGE_FAULTS as fault:
        return _group(ask, told(fault))
    return Go("/groups", said)
