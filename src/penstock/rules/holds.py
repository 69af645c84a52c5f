"""Holds on a device: whether a change waits for one, until when, and what becomes of a hold that nobody has let go.

Owns the lease and its clock. A hold ends by being let go or by its lease; nothing else ends it, and no clock that cannot be trusted does. A hold that has run
out no longer holds anything back, and stays to be seen. A held device fetches on and may always go back at the device. Who may let go is `overrule`'s.
"""

from __future__ import annotations

from penstock.rules.answered import Shut
from penstock.rules.instants import When, show_instant, show_span
from penstock.rules.overrule import Actor, Allow, Deny, may_overrule, may_tighten
from penstock.wire.holds import MAX_HOLDS, MAX_LEASE_MS, Hold
from penstock.wire.record import record, replace

DEFAULT_LEASE_MS = 8 * 3_600_000  # one shift
KEPT_MS = 14 * 86_400_000  # so long what has ended stays to be seen
UNHELD = frozenset(("revert-local",))  # a person at the device may always go back


@record
class Kept:
    """A hold as a device keeps it. `until_ms` is when it ends by a trusted clock, 0 while it is not tied to one. `spent_ms` is what has been measured of its
    lease by the monotonic clock, counted up to `mark_ms` of `boot`: time nobody could measure (a reboot, a suspended machine) does not shorten it.
    `source`: "socket", "file" or "centre"; `mark` tells a file that was touched or rewritten. `note` is what a person must know of how it was taken."""

    LIMITS = {"source": 16, "mark": 128, "note": 400}

    hold: Hold
    until_ms: int
    spent_ms: int
    mark_ms: int
    boot: str
    source: str = "socket"
    mark: str = ""
    note: str = ""


@record
class Standing:
    """How a hold stands: "holding", "expired" (nobody let it go) or "released"; since when it no longer holds, how long it still may, and a sentence."""

    state: str
    why: str
    since_ms: int = 0
    until_ms: int = 0
    left_ms: int = 0


@record
class Refused:
    """It was not done; `why` says what to do instead."""

    why: str


def lease_of(hold: Hold) -> int:
    """Milliseconds of the present lease."""
    return hold.expires_ms - hold.placed_ms


def keep(hold: Hold, when: When, source: str = "socket", mark: str = "", note: str = "") -> Kept:
    """A hold as it is first kept. Under a trusted clock it ends at its time; otherwise its length is measured, and tied to a clock once one can be trusted."""
    trusted = when.clock == "trusted"
    return Kept(hold, hold.expires_ms if trusted or source == "centre" else 0, 0, when.mono_ms, when.boot, source, mark, note)


def counted(kept: Kept, when: When) -> Kept:
    """The hold with the time since the last count added, and tied to the clock where that has become possible. What is written down to survive a reboot."""
    lease = lease_of(kept.hold)
    spent = kept.spent_ms
    if kept.boot == when.boot and when.mono_ms > kept.mark_ms:
        spent = min(spent + when.mono_ms - kept.mark_ms, lease)
    until = kept.until_ms
    if not until and when.clock == "trusted":
        until = when.now_ms + lease - spent
    return replace(kept, until_ms=until, spent_ms=spent, mark_ms=when.mono_ms, boot=when.boot)


def standing(kept: Kept, when: When) -> Standing:
    """How one hold stands now."""
    hold = kept.hold
    if hold.released_ms:
        return Standing("released", f"{hold.released_by} let it go at {show_instant(hold.released_ms)}", hold.released_ms)
    now = counted(kept, when)
    lease = lease_of(hold)
    if when.clock == "trusted" and now.until_ms <= when.now_ms:
        since = now.until_ms
    elif now.spent_ms >= lease:
        since = min(when.now_ms, now.until_ms or when.now_ms)
    else:
        left = max(lease - now.spent_ms, 0) if when.clock != "trusted" else now.until_ms - when.now_ms
        until = now.until_ms if when.clock == "trusted" else 0
        return Standing("holding", _until(until, left, trusted=when.clock == "trusted"), 0, until, left)
    ago = f", {show_span(when.now_ms - since)} ago" if when.clock == "trusted" else ""
    gone = "its program has not renewed it" if hold.owner_kind == "program" else "nobody let it go"
    return Standing("expired", f"it ran out at {show_instant(since)}{ago}, and {gone}; it holds nothing back any more", since)


def _until(until: int, left: int, *, trusted: bool) -> str:
    if trusted:
        return f"until {show_instant(until)}, that is {show_span(left)} from now"
    return f"for {show_span(left)} more as this device measures it, since its clock cannot be trusted"


def concerns(hold: Hold, app: str) -> bool:
    """Whether a hold is on this app, or on all of the device."""
    return hold.scope != "app" or hold.app == app


def held(holds: tuple[Kept, ...], kind: str, app: str, when: When) -> Shut | None:
    """Why a change of this kind to `app` waits for a hold, or None. The hold that lasts longest is named."""
    if kind in UNHELD:
        return None
    found = []
    for kept in holds:
        stands = standing(kept, when)
        if stands.state == "holding" and concerns(kept.hold, app):
            found.append((stands.left_ms, kept, stands))
    if not found:
        return None
    found.sort(key=lambda one: (-one[0], one[1].hold.id))
    _, kept, stands = found[0]
    more = f"; {len(found) - 1} more hold{'s' if len(found) > 2 else ''} beside it" if len(found) > 1 else ""
    note = f" {kept.note}" if kept.note else ""
    return Shut(
        "hold",
        f"{_who(kept)} {'hold' if kept.hold.owner_kind == 'centre' else 'holds'} {_what(kept.hold)}: {kept.hold.reason}. It waits {stands.why}, or until {_remedy(kept)}{more}.{note}",
        stands.until_ms,
    )


def _who(kept: Kept) -> str:
    name = kept.hold.owner_name or kept.hold.owner
    if kept.hold.origin == "centre":
        return f"{name}, at the control plane,"
    return f"the program {name}" if kept.hold.owner_kind == "program" else name


def _what(hold: Hold) -> str:
    return f"app {hold.app}" if hold.scope == "app" else "this device"


def _remedy(kept: Kept) -> str:
    if kept.source == "file":
        return f"the file {kept.hold.id.removeprefix('file:')} is removed from holds.d"
    if kept.hold.origin == "centre":
        return "who placed it, or the site, lets it go"
    return "somebody at this device lets it go"


def listing(holds: tuple[Kept, ...], when: When) -> tuple[tuple[Kept, Standing], ...]:
    """Every hold with how it stands: what holds first, longest first; then what ran out and was never let go, then what was released, newest first."""
    rank = {"holding": 0, "expired": 1, "released": 2}
    rows = [(kept, standing(kept, when)) for kept in holds]
    rows.sort(key=lambda row: (rank[row[1].state], -row[1].left_ms, -row[1].since_ms, row[0].hold.id))
    return tuple(rows)


# --- taking, renewing, letting go -------------------------------------------------------------------------------------


def take(holds: tuple[Kept, ...], hold: Hold, actor: Actor, when: When, source: str = "socket", mark: str = "", note: str = "") -> tuple[Kept, ...] | Refused:
    """The holds with one more. `hold` comes with its lease; its time of placing is this moment."""
    gate = "hold-site" if hold.origin == "site" else "hold-centre"
    leave = may_tighten(gate, "place", actor)
    if isinstance(leave, Deny):
        return Refused(leave.why)
    if any(kept.hold.id == hold.id and not kept.hold.released_ms for kept in holds):
        return Refused(f"there is a hold {hold.id} already; renew it, or take another name")
    fresh = replace(hold, placed_ms=when.now_ms, expires_ms=when.now_ms + min(lease_of(hold), MAX_LEASE_MS))
    fault = fresh.check()
    if fault is not None:
        return Refused(f"{fault[0]}: {fault[1]}")
    standing_now = sum(1 for kept in holds if standing(kept, when).state == "holding")
    if standing_now >= MAX_HOLDS:
        return Refused(f"{standing_now} holds stand on this device, which is all it keeps; let one go first")
    others = tuple(kept for kept in holds if kept.hold.id != hold.id)
    return (*forgotten(others, when), keep(fresh, when, source, mark, note))


def renew(holds: tuple[Kept, ...], identity: str, lease_ms: int, actor: Actor, when: When) -> tuple[Kept, ...] | Refused:
    """The holds with one that begins anew now, for `lease_ms`, at most 30 days. What was let go is taken anew, not renewed."""
    kept = next((one for one in holds if one.hold.id == identity), None)
    if kept is None:
        return Refused(f"there is no hold {identity[:80]} here")
    if kept.hold.released_ms:
        return Refused("it has been let go; take a new one")
    if not 0 < lease_ms <= MAX_LEASE_MS:
        return Refused("a lease is at most 30 days; renew it again before it runs out")
    gate = "hold-site" if kept.hold.origin == "site" else "hold-centre"
    leave = may_tighten(gate, "place", actor)
    if isinstance(leave, Deny):
        return Refused(leave.why)
    hold = replace(kept.hold, placed_ms=when.now_ms, expires_ms=when.now_ms + lease_ms, revision=kept.hold.revision + 1)
    if _earlier(kept, hold, when) and isinstance(may_release(kept, actor), Deny):
        return Refused("a renewal makes a hold longer, never shorter; to end it sooner, let it go")
    return tuple(keep(hold, when, one.source, one.mark, one.note) if one is kept else one for one in holds)


def _earlier(kept: Kept, hold: Hold, when: When) -> bool:
    """Whether a new lease would end before the present one."""
    now = standing(kept, when)
    return now.state == "holding" and lease_of(hold) < now.left_ms


def may_release(kept: Kept, actor: Actor, reason: str = "") -> Allow | Deny:
    """Whether somebody may let this hold go (the rows of `overrule.TABLE`)."""
    return may_overrule("hold-site" if kept.hold.origin == "site" else "hold-centre", actor, reason, kept.hold.owner)


def release(holds: tuple[Kept, ...], identity: str, actor: Actor, when: When, reason: str = "") -> tuple[Kept, ...] | Refused:
    """The holds with one let go. Letting go twice changes nothing."""
    kept = next((one for one in holds if one.hold.id == identity), None)
    if kept is None:
        return Refused(f"there is no hold {identity[:80]} here")
    if kept.hold.released_ms:
        return holds
    leave = may_release(kept, actor, reason)
    if isinstance(leave, Deny):
        return Refused(leave.why)
    gone = replace(kept, hold=replace(kept.hold, released_ms=max(when.now_ms, 1), released_by=_named(actor)))
    return tuple(gone if one is kept else one for one in holds)


def _named(actor: Actor) -> str:
    return (actor.name or actor.id or ("somebody at the device" if actor.local else "the centre"))[:100]


def forgotten(holds: tuple[Kept, ...], when: When) -> tuple[Kept, ...]:
    """The holds without those that ended more than two weeks ago; of what has ended at most as many are kept as may hold. What holds is never forgotten, nor a
    file that still lies there, nor anything while the clock cannot be trusted."""
    if when.clock != "trusted":
        return holds
    ended = {}
    for kept in holds:
        stands = standing(kept, when)
        if stands.state != "holding" and kept.source != "file":
            ended[kept.hold.id] = stands.since_ms
    newest = sorted(ended, key=lambda identity: (-ended[identity], identity))[:MAX_HOLDS]
    return tuple(kept for kept in holds if kept.hold.id not in ended or (kept.hold.id in newest and when.now_ms - ended[kept.hold.id] <= KEPT_MS))


# --- what the centre says ---------------------------------------------------------------------------------------------


def take_central(holds: tuple[Kept, ...], central: tuple[Hold, ...], when: When) -> tuple[tuple[Kept, ...], tuple[str, ...]]:
    """The holds after a word of the centre: it names all that are placed centrally now, and one it no longer names is let go. What was taken on site is not
    touched, whatever the word says; what the site has let go stays so until the centre places it anew (a higher revision). Also what was passed over, as
    sentences for the log."""
    told: list[str] = []
    named = {}
    local = {kept.hold.id for kept in holds if kept.hold.origin == "site"}
    for hold in central:
        if hold.origin != "centre" or hold.id in local:
            told.append(f"the centre spoke of hold {hold.id} as of one taken on site, which is not its to place or to let go; it was passed over")
        else:
            named[hold.id] = hold
    result = []
    for kept in holds:
        if kept.hold.origin == "site":
            result.append(kept)
            continue
        fresh = named.pop(kept.hold.id, None)
        if fresh is None and not kept.hold.released_ms:
            kept = replace(kept, hold=replace(kept.hold, released_ms=max(when.now_ms, 1), released_by=kept.hold.owner_name or kept.hold.owner))  # noqa: PLW2901
        elif fresh is not None and fresh.revision > kept.hold.revision:
            kept = keep(fresh, when, "centre")  # noqa: PLW2901
        elif fresh is not None and fresh.released_ms and not kept.hold.released_ms:
            kept = replace(kept, hold=replace(kept.hold, released_ms=fresh.released_ms, released_by=fresh.released_by))  # noqa: PLW2901
        result.append(kept)
    result += [keep(hold, when, "centre") for hold in named.values()]
    return tuple(result), tuple(told)
