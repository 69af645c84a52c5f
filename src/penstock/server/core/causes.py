"""Faults that have one cause, as one thing to look at: three hundred devices away behind one link are one cause.

Owns which faults belong together, the sentence said of them together, and what somebody has said to know of already. Pure and without memory: the same faults,
in whatever order, give the same causes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from penstock.server.core.faultkinds import BAD, KINDS, SEVERITIES, WARN
from penstock.server.core.faults import Fault, SiteKnown
from penstock.wire.types import sha256_of

NAMED = 5  # devices named in a sentence
FLEET_AWAY = "away|fleet"

# What a place does to all its devices (a link, a power cut, a time server), and what is said of many there.
_BY_SITE = {"away": "away", "clock": "with a wrong clock", "never-called": "that never called"}
_BY_APP = ("failed-change", "crash-looping", "unhealthy", "no-way-back", "drifted")  # what a release does wherever it runs


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody knows of a fault: it is muted until then (unix ms), unless it gets worse than it was."""

    key: str
    severity: str
    until_ms: int
    reason: str
    by: str
    at_ms: int

    def mutes(self, fault: Fault, now_ms: int) -> bool:
        """Whether the fault is still the one that is known of."""
        return self.until_ms > now_ms and SEVERITIES.index(fault.severity) >= SEVERITIES.index(self.severity)


@dataclass(frozen=True, slots=True)
class Cause:
    """Faults told as one, worst first. `site` where all of them are at one; `of`: out of how many devices (0: not said). `covers`: keys of causes it stands
    for. `known`: what somebody has said of every one of its faults; None: there is news."""

    key: str
    kind: str
    severity: str
    title: str
    why: str
    site: str
    since_ms: int
    faults: tuple[Fault, ...]
    of: int = 0
    covers: tuple[str, ...] = ()
    known: Known | None = None

    @property
    def id(self) -> str:
        """A short name for addresses."""
        return "flt_" + sha256_of(self.key.encode("utf-8"))[7:27]

    @property
    def remedy(self) -> str:
        """What to do."""
        return KINDS[self.kind].remedy

    @property
    def word(self) -> str:
        """What it is called."""
        return KINDS[self.kind].word

    @property
    def order(self) -> tuple[int, int, int, str]:
        """Worst first, then by kind, then longest first; never two alike."""
        return SEVERITIES.index(self.severity), KINDS[self.kind].rank, self.since_ms, self.key


def cause_key(fault: Fault) -> str:
    """The key of the cause a fault belongs to."""
    if fault.kind in _BY_SITE:
        return f"{fault.kind}|site|{fault.site}"
    if fault.kind in _BY_APP:
        return f"{fault.kind}|app|{fault.app}|{fault.deployment}"
    return fault.key


def causes(
    found: Iterable[Fault], sites: Mapping[str, SiteKnown], known: Mapping[str, Known] | None = None, now_ms: int = 0, *, whole: bool = True
) -> tuple[Cause, ...]:
    """The causes of these faults, worst first. `sites` tells how many devices there are; `known` what somebody has said of faults, by
    key; `whole`: this is the whole fleet, so that everybody being away says something of the plane."""
    groups: dict[str, list[Fault]] = {}
    for fault in found:
        groups.setdefault(cause_key(fault), []).append(fault)
    away = {key: group for key, group in groups.items() if group[0].kind == "away"}
    everybody = sum(site.devices for site in sites.values())
    if whole and len(away) > 1 and sum(len(group) for group in away.values()) == everybody:
        for key in away:
            del groups[key]
        groups[FLEET_AWAY] = [fault for group in away.values() for fault in group]
    made = [
        _cause(key, tuple(sorted(group, key=lambda one: one.order)), sites, tuple(sorted(away)) if key == FLEET_AWAY else ()) for key, group in groups.items()
    ]
    return tuple(sorted((_with_known(one, known or {}, now_ms) for one in made), key=lambda one: one.order))


def _cause(key: str, group: tuple[Fault, ...], sites: Mapping[str, SiteKnown], covers: tuple[str, ...]) -> Cause:
    first = group[0]
    places = {fault.site for fault in group}
    site = first.site if len(places) == 1 else ""
    severity = BAD if any(fault.severity == BAD for fault in group) else WARN
    since_ms = min(fault.since_ms for fault in group)
    of = sites[site].devices if first.kind in _BY_SITE and site in sites else 0
    whole = first.kind == "away" and (key == FLEET_AWAY or (of > 1 and len(group) == of))
    if whole:
        severity = BAD
    title, why = _words(key, group, sites[site].called if site in sites else "", of, whole=whole)
    return Cause(key, first.kind, severity, title, why, site, since_ms, group, of, covers)


def _words(key: str, group: tuple[Fault, ...], place: str, of: int, *, whole: bool) -> tuple[str, str]:
    first, many = group[0], len(group)
    word = KINDS[first.kind].word
    if key == FLEET_AWAY:
        return f"All {many} devices away", "nothing is heard of any device at any site: probably the network of the control plane itself"
    if many == 1 and not whole:
        return f"{first.name}: {word}", first.why
    names = ", ".join(sorted(fault.name for fault in group)[:NAMED]) + (f" and {many - NAMED} more" if many > NAMED else "")
    if first.kind in _BY_SITE:
        title = f"{place or 'one site'}: {many} of {max(of, many)} devices {_BY_SITE[first.kind]}"
        return title, f"nothing is heard of any device there: probably the site's link or power ({names})" if whole else f"{names}: {first.why}"
    return f"{first.app}: {word} on {many} devices", f"{names}. On {first.name}: {first.why}"


def _with_known(cause: Cause, known: Mapping[str, Known], now_ms: int) -> Cause:
    said = [one for fault in cause.faults if (one := known.get(fault.key)) is not None and one.mutes(fault, now_ms)]
    if len(said) < len(cause.faults):
        return cause
    return replace(cause, known=min(said, key=lambda one: (one.until_ms, one.key)))
