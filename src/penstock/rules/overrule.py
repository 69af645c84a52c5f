"""Who may overrule what, as data and one function; and the order in which the gates are asked.

Owns the table of docs/holds-and-consent.md. It believes signatures and acts made at the device, never what a message says of its sender: what bears the
director's signature alone is the centre's, whatever name stands in it. A denial is a value with a sentence.
"""

from __future__ import annotations

from penstock.rules.answered import Open, Shut
from penstock.wire.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Union

# Who somebody is, by what was proven. "owner": the person who placed a hold centrally. "break-glass": a named person whose order bears a key that is
# kept for emergencies and that no control plane holds.
STANDINGS = ("site", "owner", "break-glass", "centre")
KEYS = ("director", "site-authority", "break-glass")


@record
class Row:
    """One gate: what the centre may do to it, the act that lets something past it, and whose act that may be."""

    gate: str
    words: str
    centre_may: str
    loosening: str
    overruled_by: tuple[str, ...]
    loud: bool = False


TABLE = (
    Row("interlock", "interlock", "add", "pass", ()),
    Row("hold-site", "hold taken on site", "see", "release", ("site",)),
    Row("hold-centre", "hold placed centrally by a site owner", "place", "release", ("owner", "site", "break-glass")),
    Row("consent", "consent required by the site", "require more", "lower", ("site",)),
    Row("calendar", "site calendar", "narrow", "widen", ("site", "break-glass"), loud=True),
    Row("approval", "approvals", "set", "pass", ("break-glass",)),
    Row("budget", "budget", "set", "pass", ("break-glass",)),
)
_ROWS = {row.gate: row for row in TABLE}
# What the site may do of itself beside overruling: tighten what is its own.
SITE_MAY = {"interlock": "add", "hold-site": "place", "consent": "require more", "calendar": "narrow"}


@record
class Actor:
    """Who asks, by what was proven of them: `keys` are the roles whose signatures on the order were good (of KEYS), `local` says that it was done at the
    device itself (its control socket, its page with a PIN, a file in its folder). `id` and `name` are only names; `program`: a local program."""

    id: str = ""
    name: str = ""
    keys: tuple[str, ...] = ()
    local: bool = False
    program: bool = False


@record
class Allow:
    """They may. `by` is the standing it rests on; `loud`: it stays visible for ever, in the receipt and on the site's page."""

    by: str
    why: str
    loud: bool = False


@record
class Deny:
    """They may not; `why` says who could."""

    why: str


def standings(actor: Actor, owner: str = "") -> tuple[str, ...]:
    """What somebody is with regard to a gate. `owner`: the id of who placed a central hold."""
    found = []
    if actor.local or "site-authority" in actor.keys:
        found.append("site")
    if owner and actor.id == owner and "director" in actor.keys:
        found.append("owner")
    if "break-glass" in actor.keys and actor.name.strip():
        found.append("break-glass")
    if "director" in actor.keys:
        found.append("centre")
    return tuple(found)


def may_overrule(gate: str, actor: Actor, reason: str = "", owner: str = "") -> Allow | Deny:
    """Whether somebody may let a change past a gate, or loosen it: release the hold, lower the consent, widen the calendar. `owner`: who placed the hold."""
    row = _ROWS.get(gate)
    if row is None:
        return Deny(f"this program does not know the gate {gate[:32]!r}, so nothing overrules it; update it")
    if not row.overruled_by:
        return Deny(f"an {row.words} is overruled by nobody: what it asks of the machine must be so")
    mine = standings(actor, owner)
    if actor.program and gate == "hold-site" and "site-authority" not in actor.keys and actor.id != owner:
        return Deny("a local program lets go of its own holds only; a person at the device may let go of this one")
    if actor.program and gate != "hold-site" and "site-authority" not in actor.keys:
        return Deny(f"a local program does not overrule a gate: {_who(row)}")
    for standing in row.overruled_by:
        if standing not in mine:
            continue
        if standing == "break-glass" and not reason.strip():
            return Deny("a break-glass needs a reason, which stays on record")
        loud = row.loud and standing == "break-glass"
        return Allow(standing, f"{_said(standing, actor)} may {row.loosening} it" + (f": {reason.strip()}" if reason.strip() else ""), loud)
    return Deny(f"{_said(mine[-1], actor) if mine else 'nobody known'} may not {row.loosening} it: {_who(row)}")


def may_tighten(gate: str, act: str, actor: Actor) -> Allow | Deny:
    """Whether somebody may do what only ever shuts a gate further: add an interlock, place a hold, require more consent, narrow a calendar."""
    row = _ROWS.get(gate)
    if row is None:
        return Deny(f"this program does not know the gate {gate[:32]!r}; update it")
    mine = standings(actor)
    if "site" in mine and act == SITE_MAY.get(gate):
        return Allow("site", f"the site may {act} here")
    if "centre" in mine and act == row.centre_may:
        return Allow("centre", f"the centre may {act} here")
    return Deny(f"the centre may {row.centre_may} here" + (f", the site may {SITE_MAY[gate]}" if gate in SITE_MAY else "") + f"; {act[:32]!r} is neither")


def may_remove(origin: str, actor: Actor) -> Allow | Deny:
    """Whether somebody may take away what was written down: an interlock or a consent rule goes only by who wrote it."""
    mine = standings(actor)
    if origin == "site":
        return Allow("site", "the site wrote it") if "site" in mine and not actor.program else Deny("the site wrote it, and only the site takes it away")
    return Allow("centre", "the centre wrote it") if "centre" in mine else Deny("the centre wrote it, and the centre takes it away")


def _said(standing: str, actor: Actor) -> str:
    if standing == "break-glass":
        return f"{actor.name}, by break-glass,"
    return {"site": "the site", "owner": "who placed it", "centre": "the centre"}[standing]


def _who(row: Row) -> str:
    names = {"site": "the site", "owner": "who placed it", "break-glass": "a named break-glass with a reason"}
    words = [names[one] for one in row.overruled_by]
    return f"{', '.join(words[:-1])} or {words[-1]} may" if len(words) > 1 else f"{words[0]} only may"


# --- the order of the gates -------------------------------------------------------------------------------------------

# What ends everything first, then what the centre gave, then what the site says, and the machine last: it is asked when all else is open, so that its
# answer is fresh when the first container is touched.
ORDER = ("storage", "retiring", "quarantined", "trust-expired", "authorisation", "calendar", "hold", "consent", "interlock")


def passage(answers: Mapping[str, Gate]) -> Gate:
    """One answer out of those of all gates. A change goes through only when every gate has been asked and is open; the first that is shut is what a person
    is told, and how many more are."""
    unknown = sorted(set(answers) - set(ORDER))
    if unknown:
        return Shut("unknown-gate", f"this program does not know the gate {unknown[0][:32]!r}, so it is taken for shut; update it")
    shut: list[Shut] = []
    for name in ORDER:
        answer = answers.get(name)
        if answer is None:
            shut.append(Shut(name, f"the gate {name!r} has not been asked yet"))
        elif isinstance(answer, Shut):
            shut.append(answer)
    if not shut:
        leave = next((answer.leave for answer in answers.values() if isinstance(answer, Open) and answer.leave is not None), None)
        return Open("every gate is open", leave)
    first = shut[0]
    if len(shut) == 1:
        return first
    # When it ends is only known when all of them say so.
    until = max(one.until_ms for one in shut) if all(one.until_ms for one in shut) else 0
    return Shut(first.reason, f"{first.why} ({len(shut) - 1} more gate{'s are' if len(shut) > 2 else ' is'} shut behind it)", until)


if TYPE_CHECKING:
    Gate = Union[Open, Shut]
