"""Commands about groups of devices: list, make, show, change, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from penstock.apiv1 import groups as g
from penstock.cli import out
from penstock.cli.common import COMMON, Common, Reason, Usage
from penstock.cli.names import GroupName, devices

if TYPE_CHECKING:
    from collections.abc import Iterable

group = App(name="group", help="Groups of devices: by name, by label, or both.")

Names = tuple[str, ...]
WAYS = {"named": "named", "labels": "by its labels"}


@group.command(name="list")
def group_list(*, common: Common = COMMON) -> int:
    """Every group."""
    with common.client() as client:
        found = client.groups()
    return out.listing(
        found,
        ("name", "devices", "labels", "named", "roles", "title"),
        ((x.name, x.members, x.selector or "-", len(x.devices), "given" if x.gives_rights else "-", x.title) for x in found),
        "None yet: penstock group create NAME --selector 'key=value'",
        json=common.json,
    )


@group.command(name="create")
def group_create(
    name: str,
    *,
    title: Annotated[str, Parameter(help="Its name as people say it.")] = "",
    selector: Annotated[str, Parameter(help="Every device with these labels, e.g. 'line=3,!spare'; also later ones.")] = "",
    device: Annotated[Names, Parameter(help="A device by name or id; may be repeated.", completer=devices)] = (),
    reason: Reason = "",
    common: Common = COMMON,
) -> int:
    """Make a group of devices."""
    with common.client() as client:
        made = client.create_group(g.GroupCreate(name=name, title=title, selector=selector, devices=device, reason=reason))
    if common.json:
        out.show_json(made)
    else:
        out.say(f"{made.name} is a group of {out.number(made.members, 'device')} now")
    return out.DONE


@group.command(name="show")
def group_show(name: GroupName, *, common: Common = COMMON) -> int:
    """One group: its devices and why each is in, and what is deployed to it."""
    with common.client() as client:
        found = client.group(name)
        members = tuple(client.group_members(found.id))
    if common.json:
        out.show_json({"group": found, "members": members})
        return out.DONE
    out.facts(
        (
            ("group", f"{found.name}  ({found.id})"),
            ("title", found.title),
            ("labels", found.selector or "-"),
            ("named", out.number(len(found.devices), "device")),
            ("deployments", ", ".join(one.name for one in found.deployments) or "-"),
            *((("roles", "given on it: only somebody who may give them changes who is in"),) if found.gives_rights else ()),
        )
    )
    out.table(
        ("device", "site", "status", "in because"),
        ((m.device.name, m.device.site, out.status(m.device.tone, m.device.status), _why(m.ways)) for m in members),
        "No device is in it.",
    )
    return out.DONE


def _why(ways: Iterable[str]) -> str:
    return " and ".join(WAYS[way] for way in ways)


@group.command(name="set")
def group_set(
    name: GroupName,
    *,
    title: Annotated[str | None, Parameter(help="Its name as people say it.")] = None,
    selector: Annotated[str | None, Parameter(help="Other labels; an empty text for none.")] = None,
    add: Annotated[Names, Parameter(help="Name this device too, by name or id; may be repeated.", completer=devices)] = (),
    drop: Annotated[Names, Parameter(help="Name this device no more; may be repeated.")] = (),
    reason: Reason = "",
    common: Common = COMMON,
) -> int:
    """Change a group; what is not given stays."""
    if title is None and selector is None and not add and not drop:
        raise Usage("say what to change: --title, --selector, --add DEVICE or --drop DEVICE")
    with common.client() as client:
        before = client.group(name)
        named: Names | None = None
        if add or drop:
            dropped = {client.device(one).summary.id for one in drop}
            strangers = dropped - set(before.devices)
            if strangers:
                raise Usage(f"{', '.join(drop)}: not every one is named in {before.name}; a device that is in by its labels leaves with them")
            named = (*(one for one in before.devices if one not in dropped), *add)
        made = client.change_group(before.id, before.revision, g.GroupChange(title=title, selector=selector, devices=named, reason=reason))
    if common.json:
        out.show_json(made)
    else:
        out.say(f"{made.name} is a group of {out.number(made.members, 'device')} now")
    return out.DONE


@group.command(name="remove")
def group_remove(name: GroupName, *, common: Common = COMMON) -> int:
    """Remove a group that nothing needs any more; its devices stay."""
    with common.client() as client:
        found = client.group(name)
        return out.outcome(client.remove_group(found.id, found.revision), json=common.json)
