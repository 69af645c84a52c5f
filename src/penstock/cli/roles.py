"""Commands about roles: which there are and what each includes; making, changing and removing roles of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from penstock.apiv1 import access as r
from penstock.cli import out
from penstock.cli.common import COMMON, Common, Reason, Usage
from penstock.cli.names import RoleName, rights, roles

if TYPE_CHECKING:
    from collections.abc import Iterable

role = App(name="role", help="Roles: named sets of rights, built in or your own.")

Verbs = tuple[str, ...]
Title = Annotated[str, Parameter(help="What it is, in a sentence.")]


def _verbs(found: r.Role) -> Verbs:
    return tuple(right.verb for right in found.rights)


def _kind(found: r.Role) -> str:
    return "built in" if found.built_in else "own"


@role.command(name="list")
def role_list(*, common: Common = COMMON) -> int:
    """Every role: the built-in ones, then your own."""
    with common.client() as client:
        found = client.access.roles()
    rows = ((one.name, _kind(one), len(one.rights), one.uses, one.title) for one in found)
    return out.listing(found, ("role", "kind", "rights", "given", "means"), rows, "None.", json=common.json)


@role.command(name="show")
def role_show(name: RoleName, *, common: Common = COMMON) -> int:
    """One role: what it includes, and how often it is given."""
    with common.client() as client:
        found = client.access.role(name)
    if common.json:
        out.show_json(found)
        return out.DONE
    out.facts((("role", found.name), ("means", found.title), ("kind", _kind(found)), ("given", out.number(found.uses, "time"))))
    out.table(("right", "in words"), ((right.verb, right.words) for right in found.rights), "None.")
    return out.DONE


def _told(made: r.Role, *, json: bool) -> int:
    """What a role includes now."""
    if json:
        out.show_json(made)
    else:
        out.say(f"The role {made.name} includes {out.number(len(made.rights), 'right')} now: {', '.join(_verbs(made))}")
    return out.DONE


def _changed(before: Iterable[str], add: Verbs, drop: Verbs, what: str) -> Verbs:
    """The rights of a role after some are added and some dropped. Raises Usage, which names the first that cannot be."""
    had = tuple(before)
    absent = [one for one in drop if one not in had and one not in add]
    if absent:
        raise Usage(f"{what} does not include {absent[0]}; `penstock role show {what}` lists what it does")
    wanted = tuple(one for one in dict.fromkeys((*had, *add)) if one not in drop)
    if not wanted:
        raise Usage("a role gives at least one right; `penstock role remove` removes a role that nobody has")
    return wanted


@role.command(name="create")
def role_create(
    name: str,
    *,
    title: Title = "",
    like: Annotated[str, Parameter(help="Begin with all that this role includes.", completer=roles)] = "",
    add: Annotated[Verbs, Parameter(help="A right it includes, such as devices.command; may be repeated.", completer=rights)] = (),
    drop: Annotated[Verbs, Parameter(help="A right of --like that it leaves out; may be repeated.", completer=rights)] = (),
    reason: Reason = "",
    common: Common = COMMON,
) -> int:
    """Make a role of your own.

    It holds on the whole fleet, so you can put in what you may there yourself."""
    if not like and not add:
        raise Usage("say what it includes: --like ROLE, or --add RIGHT; `penstock role show administrator` lists every right")
    with common.client() as client:
        verbs = _changed(_verbs(client.access.role(like)) if like else (), add, drop, like or name)
        made = client.access.create_role(r.RoleCreate(name=name, title=title, verbs=verbs, reason=reason))
    return _told(made, json=common.json)


@role.command(name="change")
def role_change(
    name: RoleName,
    *,
    title: Annotated[str | None, Parameter(help="What it is, in a sentence.")] = None,
    add: Annotated[Verbs, Parameter(help="A right to put in; may be repeated.", completer=rights)] = (),
    drop: Annotated[Verbs, Parameter(help="A right to take out; may be repeated.", completer=rights)] = (),
    reason: Reason = "",
    common: Common = COMMON,
) -> int:
    """Change a role of your own, at once for everybody who has it; what is not given stays."""
    if title is None and not add and not drop:
        raise Usage("say what to change: --title, --add RIGHT or --drop RIGHT")
    with common.client() as client:
        before = client.access.role(name)
        verbs = _changed(_verbs(before), add, drop, name) if add or drop else None
        made = client.access.change_role(name, before.revision, r.RoleChange(title=title, verbs=verbs, reason=reason))
    return _told(made, json=common.json)


@role.command(name="remove")
def role_remove(name: RoleName, *, reason: Reason = "", common: Common = COMMON) -> int:
    """Remove a role of your own that nobody has."""
    with common.client() as client:
        return out.outcome(client.access.remove_role(name, reason), json=common.json)
