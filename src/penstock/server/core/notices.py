"""Who is told of what, and when: one message for each cause, none at night that can wait, never a storm.

Owns what a target of notices may be, and the step from "these causes are there now" to "send these messages, remember this". Pure: all memory is in the `Book`,
which is stored with the messages it led to, so that a restart neither repeats nor loses one. Never sends, and never words a message (see `noticetexts`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from typing import Any

from penstock.server.core.causes import Cause
from penstock.server.core.faultkinds import SEVERITIES, WARN

WEBHOOK, EMAIL = "webhook", "email"
SETTLE_MS = 60_000  # a cause must last so long before it is told: what mends itself at once wakes nobody
CLEAR_MS = 120_000  # and be gone so long before that is told
BURST = 5  # more news at once than this is one digest
HOUR_MS = 3_600_000
GIVE_UP_MS = 24 * HOUR_MS
_WAITS_MS = (10_000, 30_000, 60_000, 300_000, 900_000, 1_800_000, HOUR_MS)  # before the next try; the last one over and over


@dataclass(frozen=True, slots=True)
class Rules:
    """What a target is told. `severity`: the least bad that counts; empty `kinds` and `sites` (ids) mean all; `acts` are beginnings of verbs of the plane's record.
    `quiet` is "22:00-06:00" in `time_zone`; `through`: what is bad comes even then. `per_hour` bounds messages about faults."""

    severity: str = WARN
    kinds: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    acts: tuple[str, ...] = ()
    quiet: str = ""
    time_zone: str = "UTC"
    through: bool = True
    per_hour: int = 20


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody who is told. It belongs to the fleet (`site` empty) or to one site, of which alone it then hears. `way` says how to reach it (see
    `effects.notify`), without its secret, which is kept in `vaulted`."""

    id: str
    name: str
    site: str
    kind: str
    enabled: bool
    rules: Rules
    way: dict[str, Any]
    vaulted: str
    created_ms: int
    created_by: str
    revision: int = 1


@dataclass(frozen=True, slots=True)
class Told:
    """What a target knows of one cause. `told`: the severity it was told of, empty as long as it was not; `held`: it would have been told, and waits for the next
    digest."""

    key: str
    id: str
    kind: str
    title: str
    site: str
    severity: str
    since_ms: int
    first_ms: int
    told: str = ""
    count: int = 0
    gone_ms: int = 0
    held: bool = False


@dataclass(frozen=True, slots=True)
class Book:
    """All that is remembered of a target: what it was told, and when in the last hour."""

    told: tuple[Told, ...] = ()
    sent: tuple[int, ...] = ()


OPENED, WORSENED, CLEARED, PASSED = "opened", "worsened", "cleared", "passed"


@dataclass(frozen=True, slots=True)
class News:
    """One line of a message: what happened with which cause. `cause` None: it is over, and `told` says what it was."""

    what: str
    told: Told
    cause: Cause | None = None

    @property
    def severity(self) -> str:
        """How bad it is, or was."""
        return self.cause.severity if self.cause is not None else self.told.severity


@dataclass(frozen=True, slots=True)
class Message:
    """What goes out at once: one line, or a digest of several."""

    news: tuple[News, ...]
    digest: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What to send now, and what to remember."""

    messages: tuple[Message, ...]
    book: Book


def wants(target: Target, cause: Cause) -> bool:
    """Whether a target is told of such a cause. Faults outside its sites are not in the cause to begin with (see `of_target`)."""
    own = cause.kind == "notices-failing" and any(fault.detail == target.name for fault in cause.faults)
    rules = target.rules
    return not own and SEVERITIES.index(cause.severity) <= SEVERITIES.index(rules.severity) and (not rules.kinds or cause.kind in rules.kinds)


def hears_of(target: Target, site: str) -> bool:
    """Whether what happens at a site (empty: at none) is this target's to hear."""
    if target.site:
        return site == target.site
    return not target.rules.sites or site in target.rules.sites


def hears_act(target: Target, verb: str, site: str) -> bool:
    """Whether a target subscribed to this act."""
    return any(verb.startswith(start) for start in target.rules.acts) and hears_of(target, site)


def quiet_at(rules: Rules, zone: tzinfo, now_ms: int) -> bool:
    """Whether it is quiet hours for these rules. `zone` is that of the rules."""
    if not rules.quiet:
        return False
    begins, ends = (_minutes(part) for part in rules.quiet.split("-"))
    at = datetime.fromtimestamp(now_ms / 1000, zone)
    now = at.hour * 60 + at.minute
    return begins <= now < ends if begins <= ends else now >= begins or now < ends


def quiet_fault(text: str) -> str:
    """Why a text is no span of quiet hours; empty when it is one (or none at all)."""
    if not text:
        return ""
    parts = text.split("-")
    if len(parts) != 2 or any(_minutes(part) < 0 for part in parts):
        return f"{text[:40]!r} is no span of hours; write it as 22:00-06:00"
    return "quiet hours must begin and end at different times" if parts[0] == parts[1] else ""


def _minutes(text: str) -> int:
    hours, colon, minutes = text.partition(":")
    fine = colon and len(hours) == 2 and len(minutes) == 2 and (hours + minutes).isascii() and (hours + minutes).isdigit()
    return int(hours) * 60 + int(minutes) if fine and int(hours) < 24 and int(minutes) < 60 else -1


def wait_ms(attempts: int) -> int:
    """How long to wait after so many failed attempts (at least one)."""
    return _WAITS_MS[min(attempts, len(_WAITS_MS)) - 1]


# --- the step ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Draft:
    """What the step has found so far."""

    kept: dict[str, Told] = field(default_factory=dict)
    news: list[News] = field(default_factory=list)


def decide(target: Target, book: Book, found: Iterable[Cause], now_ms: int, *, quiet: bool) -> Decision:
    """What `target` is told now of the causes that are there (as far as it hears of them), `book` being what it was told before."""
    present = {one.key: one for one in found if wants(target, one)}
    covered = {key for one in present.values() for key in one.covers}
    before = {one.key: one for one in book.told}
    draft = _Draft()
    for cause in sorted(present.values(), key=lambda one: one.order):
        _present(draft, cause, before.get(cause.key), now_ms)
    for key, told in before.items():
        if key not in present:
            _gone(draft, told, now_ms, covered=key in covered)
    return _send(target.rules, draft, tuple(at for at in book.sent if now_ms - at < HOUR_MS), now_ms, quiet=quiet)


def _present(draft: _Draft, cause: Cause, told: Told | None, now_ms: int) -> None:
    if cause.known is not None:
        if told is not None and told.told:
            draft.kept[cause.key] = replace(told, gone_ms=0, held=False)
        return
    fresh = told or Told(cause.key, cause.id, cause.kind, cause.title, cause.site, cause.severity, cause.since_ms, now_ms)
    fresh = replace(fresh, title=cause.title, severity=cause.severity, since_ms=cause.since_ms, gone_ms=0)
    what = ""
    if not fresh.told:
        what = OPENED if now_ms - fresh.first_ms >= SETTLE_MS else ""
    elif SEVERITIES.index(cause.severity) < SEVERITIES.index(fresh.told) or len(cause.faults) >= max(2 * fresh.count, fresh.count + 2):
        what = WORSENED
    draft.kept[cause.key] = fresh if what else replace(fresh, held=False)
    if what:
        draft.news.append(News(what, fresh, cause))


def _gone(draft: _Draft, told: Told, now_ms: int, *, covered: bool) -> None:
    if covered:  # a wider cause stands for it now; it is neither over nor news
        draft.kept[told.key] = replace(told, gone_ms=0)
        return
    if not told.told and not told.held:
        return
    since = replace(told, gone_ms=told.gone_ms or now_ms)
    draft.kept[told.key] = since
    if now_ms - since.gone_ms >= CLEAR_MS:
        draft.news.append(News(CLEARED if told.told else PASSED, since))


def _send(rules: Rules, draft: _Draft, sent: tuple[int, ...], now_ms: int, *, quiet: bool) -> Decision:
    loud = [one for one in draft.news if not quiet or (rules.through and one.cause is not None and one.severity != WARN)]
    room = rules.per_hour - len(sent)
    messages: tuple[Message, ...] = ()
    if loud and room > 0:
        many = len(loud) > min(BURST, room) or (len(loud) > 1 and any(one.told.held for one in loud))
        messages = (Message(tuple(loud), digest=True),) if many else tuple(Message((one,)) for one in loud)
    told = {one.told.key for message in messages for one in message.news}
    for one in draft.news:
        key = one.told.key
        if key not in told:
            draft.kept[key] = replace(draft.kept[key], held=True)
        elif one.cause is None:
            del draft.kept[key]
        else:
            draft.kept[key] = replace(draft.kept[key], told=one.severity, count=len(one.cause.faults), held=False)
    kept = tuple(draft.kept[key] for key in sorted(draft.kept))
    return Decision(messages, Book(kept, (*sent, *(now_ms for _ in messages))))
