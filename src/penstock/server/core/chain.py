"""A report against the log the plane already holds: does it go on, repeat, leave a hole, or contradict?

Owns that judgement and its four answers. A contradiction (the same number with other content, or an entry that does not continue the one
before) means two devices with one key or a machine set back to an earlier picture of itself: a person decides. Lost entries are
accepted only with their loss named. Nothing here stores anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.server.core.model import LogHead
from penstock.wire.codec import WireError
from penstock.wire.log import Gap, body_of
from penstock.wire.messages import LogEntry


@dataclass(frozen=True, slots=True)
class Lost:
    """Entries `first` to `last` will never come."""

    first: int
    last: int
    why: str


@dataclass(frozen=True, slots=True)
class Continue:
    """Take `entries` (with their `digests`); `branch` is where they belong. Empty: all of it was known already."""

    entries: tuple[LogEntry, ...]
    digests: tuple[str, ...]
    branch: int
    lost: tuple[Lost, ...] = ()
    forked: bool = False


@dataclass(frozen=True, slots=True)
class Hole:
    """Entries are missing between what is held and what came: send from `expect` on, or from the oldest there still is."""

    expect: int
    why: str


@dataclass(frozen=True, slots=True)
class Fork:
    """It contradicts what is held."""

    why: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The report contradicts itself."""

    why: str


def needed(head: LogHead, entries: Sequence[LogEntry]) -> int:
    """The number of the stored entry whose digest `judge` wants as `held`; 0 when it needs none."""
    if not entries or entries[0].seq > head.seq:
        return 0
    overlap = min(entries[-1].seq, head.seq)
    return 0 if overlap == head.seq else overlap


def _inside(entries: Sequence[LogEntry], digests: Sequence[str]) -> tuple[Lost, ...] | Broken:
    lost = []
    for at in range(1, len(entries)):
        before, entry = entries[at - 1], entries[at]
        if entry.seq == before.seq + 1 and entry.prev == digests[at - 1]:
            continue
        gap = _gap(entry, before.seq)
        if gap is None:
            return Broken(f"entry {entry.seq} does not continue entry {before.seq} of the same report")
        lost.append(gap)
    return tuple(lost)


def _gap(entry: LogEntry, after: int) -> Lost | None:
    """The loss an entry names, if it covers everything between `after` and itself."""
    if entry.kind != "gap" or entry.seq <= after + 1:
        return None
    try:
        body = body_of(entry)
    except WireError:
        return None
    if isinstance(body, Gap) and body.first <= after + 1 and body.last >= entry.seq - 1:
        return Lost(after + 1, entry.seq - 1, body.why)
    return None


def judge(
    head: LogHead,
    entries: Sequence[LogEntry],
    digests: Sequence[str],
    *,
    held: str = "",
    asked: bool = False,
    accept_fork: bool = False,
) -> Continue | Hole | Fork | Broken:
    """What to do with `entries` (consecutive, with their `digests`), `head` being held.

    `held` is the stored digest of entry `needed(...)`, empty where the plane has it no more. `asked`: this device was already asked to fill
    the hole and begins later all the same, so it has nothing older. `accept_fork`: a person has let it go on from where it stands."""
    if not entries:
        return Continue((), (), head.branch)
    inside = _inside(entries, digests)
    if isinstance(inside, Broken):
        return inside
    first, last = entries[0], entries[-1]
    whole = (tuple(entries), tuple(digests))
    if first.seq == head.seq + 1 and first.prev == head.head:
        return Continue(*whole, head.branch, inside)
    if first.seq > head.seq + 1:
        gap = _gap(first, head.seq)
        if gap is None and not asked and not accept_fork:
            return Hole(head.seq + 1, f"entries {head.seq + 1} to {first.seq - 1} have not arrived")
        why = "the device no longer has them: its storage was damaged, or a control plane that has since been restored had acknowledged them"
        named = gap or Lost(head.seq + 1, first.seq - 1, why)
        if first.boot < head.boot and not accept_fork:
            return Fork(f"entry {first.seq} is from boot {first.boot}, and boot {head.boot} was already seen: the machine was set back in time")
        return Continue(*whole, head.branch, (named, *inside))
    if first.seq <= head.seq and not accept_fork:
        at = min(last.seq, head.seq)
        index = next((place for place, entry in enumerate(entries) if entry.seq == at), None)
        if index is None:  # the report's own hole swallows the number that is held
            return Broken(f"the report names no entry {at}, which this control plane holds")
        ours = head.head if at == head.seq else held
        if not ours or digests[index] == ours:
            return Continue(whole[0][index + 1 :], whole[1][index + 1 :], head.branch, tuple(lost for lost in inside if lost.first > head.seq))
    if accept_fork:
        lost = (Lost(first.seq, head.seq, "a person let the log go on from an earlier state of the device"),) if first.seq <= head.seq else ()
        return Continue(*whole, head.branch + 1, (*lost, *inside), forked=True)
    return Fork(
        f"entry {first.seq} contradicts what this device reported before: its key is in use twice (a cloned disk), "
        "or it was set back to an earlier picture of itself"
    )
