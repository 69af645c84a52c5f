"""The part of the fleet that somebody names: "fleet", "group:presses", "site:hamburg", "device:press-7", "app:line".

Owns reading such a text, finding what it names within what the asker may see, and giving names back to parts.
"""

from __future__ import annotations

from collections.abc import Iterable

from penstock.server.core.access import REMEDY
from penstock.server.core.errors import Forbidden, Invalid, missing
from penstock.server.core.model import Actor
from penstock.server.core.peopleviews import Place
from penstock.server.core.rights import APP, FLEET, KINDS, Part, Reach, reach
from penstock.server.store import parts as store
from penstock.server.store import sites
from penstock.server.store.db import Tx
from penstock.server.store.releases import all_apps
from penstock.wire.types import name_fault


def read(text: str, field: str = "on") -> tuple[str, str]:
    """The kind and the name or id in a text. Raises Invalid."""
    kind, sign, which = text.strip().partition(":")
    if (kind == FLEET and not sign) or (kind in KINDS and kind != FLEET and which):
        if kind == APP and name_fault(which):
            raise Invalid("name-malformed", f"{which[:60]!r} is no app: {name_fault(which)}", field=field)
        return kind, which
    raise Invalid(
        "part-malformed",
        f"{text[:60]!r} is no part of the fleet",
        field=field,
        remedy="write fleet, or group:NAME, site:NAME, device:NAME or app:NAME",
    )


def find(tx: Tx, actor: Actor, text: str, *verbs: str, field: str = "on") -> Place:
    """What a text names, if the actor may do one of `verbs` on it. Raises Missing for what they may not, Forbidden for the whole fleet, Invalid."""
    kind, which = read(text, field)
    part = store.find(tx, kind, which)
    if part is not None:
        (found,) = of(tx, [part]).values()
        if any(reach(actor.rights, verb).covers(found.target) for verb in verbs):
            return found
    if kind == FLEET:
        raise Forbidden("not-allowed", "this is asked of the whole fleet, and your role is on a part of it", field=field, remedy=f"name the part, or {REMEDY}")
    raise missing(kind, which)


def of(tx: Tx, parts: Iterable[Part]) -> dict[Part, Place]:
    """Each part with its name and what it lies in."""
    wanted = set(parts)
    names, targets = store.names(tx, wanted), store.targets(tx, wanted)
    return {part: Place(part, names[part], targets[part]) for part in wanted}


def offered(tx: Tx, actor: Actor, verb: str) -> tuple[Place, ...]:
    """The parts to choose from for `verb`: the fleet, sites, groups, apps, and the devices somebody has it on one by one. Never all devices."""
    where: Reach = reach(actor.rights, verb)
    found = [Part(FLEET)] if where.whole else []
    found += [Part("site", site.id) for site in sites.all_in(tx, where)]
    found += [Part("group", group) for group, _ in store.all_groups(tx)]
    found += [Part(APP, app.name) for app in all_apps(tx)]
    found += [Part("device", device) for device in where.devices]
    named = of(tx, found)
    return tuple(named[part] for part in found if where.covers(named[part].target))
