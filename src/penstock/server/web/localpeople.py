"""The page of a site's local people: who may act at its devices with a PIN. A PIN is never shown, nor put back into a form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.apiv1 import people as p
from penstock.server.api import localpeople, people
from penstock.server.core.errors import Invalid
from penstock.server.web.frame import PAGE_FAULTS, Go, Show, faults_of, read, told

if TYPE_CHECKING:
    from penstock.apiv1.common import Problem
    from penstock.server.web.frame import Ask


def _list(ask: Ask, problem: Problem | None = None, form: dict[str, Any] | None = None) -> Show:
    return Show(
        "site_people.html",
        {
            "site": ask.ask(people.get_site),
            "people": ask.ask(localpeople.list_people).items,
            "problem": problem,
            "faults": faults_of(problem),
            "form": {"name": "", "may": ("let-go", "revert"), "person": "", "act": ""} | (form or {}),
        },
        422 if problem else 200,
    )


def listed(ask: Ask) -> Show:
    """Who is on the list."""
    return _list(ask)


def _pin(ask: Ask) -> str:
    pin = ask.first("pin")
    if pin != ask.first("again"):
        raise Invalid("pins-differ", "the two PINs are not the same", field="again", remedy="type both again")
    return pin


def add(ask: Ask) -> Show | Go:
    """Another one."""
    form = {"name": ask.first("name"), "may": tuple(ask.form.get("may", ()))}
    try:
        pin = _pin(ask)
        made = ask.ask(localpeople.add_person, body=read(p.LocalPersonCreate, {**form, **({"pin": pin} if pin else {})}))
    except PAGE_FAULTS as fault:
        return _list(ask, told(fault), form)
    said = "Devices know it from their next poll on." if made.pin_ms else "Devices are told once there is a PIN."
    return Go(f"/sites/{ask.path['site']}/people", f"{made.name} is on the list. {said}")


def change(ask: Ask) -> Show | Go:
    """Another name or other rights."""
    form = {"person": ask.path["person"], "act": "change"}
    try:
        body = read(p.LocalPersonChange, {"name": ask.first("name"), "may": tuple(ask.form.get("may", ()))})
        made = ask.ask(localpeople.change_person, body=body, revision=ask.revision())
    except PAGE_FAULTS as fault:
        return _list(ask, told(fault), form)
    return Go(f"/sites/{ask.path['site']}/people", f"{made.name} is saved. Devices know it from their next poll on.")


def set_pin(ask: Ask) -> Show | Go:
    """A PIN, in place of the one before."""
    try:
        said = ask.ask(localpeople.set_pin, body=read(p.PinChange, {"pin": _pin(ask)})).said
    except PAGE_FAULTS as fault:
        return _list(ask, told(fault), {"person": ask.path["person"], "act": "pin"})
    return Go(f"/sites/{ask.path['site']}/people", said)


def remove(ask: Ask) -> Go:
    """The PIN opens nothing any more."""
    return Go(f"/sites/{ask.path['site']}/people", ask.ask(localpeople.remove_person).said)
