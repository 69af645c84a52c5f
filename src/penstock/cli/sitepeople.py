"""Commands about the local people of a site: who may act at its devices with a PIN. A PIN is asked for, never part of a command line."""

from __future__ import annotations

import sys
from getpass import getpass
from typing import Annotated, Literal

from cyclopts import App, Parameter

from penstock.apiv1 import people as p
from penstock.cli import out
from penstock.cli.common import COMMON, Common, Usage
from penstock.cli.names import SiteName

people = App(name="people", help="Local people: who may act at the site's devices with a PIN, link or no link.")

RIGHTS = {"revert": "go back", "let-go": "let something be tried again"}
May = Annotated[tuple[Literal["let-go", "revert"], ...], Parameter(help="What for; may be repeated. Both, if left out.")]


def _pin(name: str) -> str:
    """The PIN, typed twice without showing it, or one line of standard input. Raises Usage."""
    if not sys.stdin.isatty():
        return sys.stdin.readline(20).strip()
    pin = getpass(f"PIN for {name} (6 to 12 digits): ")
    if getpass("The same again: ") != pin:
        raise Usage("the two PINs are not the same")
    return pin


@people.command(name="list")
def people_list(site: SiteName, *, common: Common = COMMON) -> int:
    """Who may act at the site's devices."""
    with common.client() as client:
        found = client.local_people(site)
    if common.json:
        out.show_json(found)
    else:
        out.table(
            ("name", "may", "PIN", "id"),
            ((one.name, " and ".join(RIGHTS[right] for right in one.may), out.ago(one.pin_ms) if one.pin_ms else "not set", one.id) for one in found),
            "Nobody: at a device root acts, without a PIN. Add somebody: penstock site people add SITE 'NAME'",
        )
    return out.DONE


@people.command(name="add")
def people_add(
    site: SiteName,
    name: str,
    *,
    may: May = (),
    pin: Annotated[bool, Parameter(negative=(), help="Set the PIN now: it is asked for, or read from standard input.")] = False,
    common: Common = COMMON,
) -> int:
    """Add somebody who may act at the site's devices."""
    with common.client() as client:
        made = client.add_local_person(site, p.LocalPersonCreate(name=name, may=may or ("let-go", "revert"), pin=_pin(name) if pin else None))
    if common.json:
        out.show_json(made)
    else:
        out.say(
            f"{made.name} is on the list" + ("" if made.pin_ms else f"; devices are told once there is a PIN: penstock site people pin {site} '{made.name}'")
        )
    return out.DONE


@people.command(name="change")
def people_change(site: SiteName, person: str, *, name: str = "", may: May = (), common: Common = COMMON) -> int:
    """Another name or other rights; the PIN stays."""
    with common.client() as client:
        held = [one for one in client.local_people(site) if person.casefold() in (one.id, one.name.casefold())]
        if len(held) != 1:
            raise Usage(f"{site} has no local person called {person}; see: penstock site people list {site}")
        made = client.change_local_person(site, held[0].id, held[0].revision, p.LocalPersonChange(name=name or None, may=may or None))
    out.say(f"{made.name} may {' and '.join(RIGHTS[right] for right in made.may)}")
    return out.DONE


@people.command(name="pin")
def people_pin(site: SiteName, person: str, *, common: Common = COMMON) -> int:
    """Set somebody's PIN: asked for twice, or read as one line from standard input."""
    with common.client() as client:
        return out.outcome(client.set_local_pin(site, person, _pin(person)), json=common.json)


@people.command(name="remove")
def people_remove(site: SiteName, person: str, *, common: Common = COMMON) -> int:
    """Take somebody off the list.

    What was done under the name stays on record.
    """
    with common.client() as client:
        return out.outcome(client.remove_local_person(site, person), json=common.json)
