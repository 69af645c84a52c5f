"""Whether a change waits for a yes given on site.

Owns which change needs a yes, which yes is one, and how long. Silence is no. Every rule is asked by itself and all must be content, so a rule that the centre
adds can only ask for more; there is no word by which it could ask for less. Never asks who signed what: rules and yeses come sorted by that (`overrule`).
"""

from __future__ import annotations

from penstock.rules.answered import KINDS, Open, Shut
from penstock.rules.instants import When, show_instant, show_span
from penstock.wire.consent import NEEDS, Consent, ConsentRule
from penstock.wire.record import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union

# What brings other content; the rest (restarts, repairs) puts back what was agreed to.
BRINGS = frozenset(("install", "update", "uninstall", "revert-remote", "agent-update"))
UNASKED = frozenset(("revert-local",))  # going back at the device is a person's act on site: it is its own yes


@record
class Given:
    """A yes as a device keeps it: `mark_ms` of `boot` is when it was given by the monotonic clock, `clock` whether the wall clock could be trusted then."""

    consent: Consent
    mark_ms: int
    boot: str
    clock: str = "trusted"


@record
class Change:
    """What is to be done: kind as in `gates.KINDS`, `content` empty for a withdrawal, `rollout` empty outside of one."""

    kind: str
    app: str
    content: str
    rollout: str = ""
    wave: int = 0


def given(consent: Consent, when: When) -> Given:
    """A yes as it is first kept."""
    return Given(consent, when.mono_ms, when.boot, when.clock)


def revoke(yeses: tuple[Given, ...], identity: str, by: str, when: When) -> tuple[Given, ...]:
    """The yeses with one taken back; it counts for no change that has not begun."""
    return tuple(
        replace(one, consent=replace(one.consent, revoked_ms=max(when.now_ms, 1), revoked_by=by[:100] or "somebody at the device"))
        if one.consent.id == identity and not one.consent.revoked_ms
        else one
        for one in yeses
    )


def lapse(yes: Given, when: When) -> str:
    """Why a yes does not count at this moment; empty when it does. With a clock that cannot be trusted only what was given in this boot counts, for as long
    as was said: whoever stands at the device can say yes again."""
    consent = yes.consent
    if consent.revoked_ms:
        return f"{consent.revoked_by} took it back at {show_instant(consent.revoked_ms)}"
    length = consent.until_ms - consent.given_ms
    here = yes.boot == when.boot
    if here and not 0 <= when.mono_ms - yes.mark_ms < length:
        return f"it was good for {show_span(length)}, and that is over"
    if when.clock != "trusted" or yes.clock != "trusted":
        return "" if here else "nobody can say whether it is still good, since the clock cannot be trusted, or could not then; give it again"
    if when.now_ms >= consent.until_ms:
        return f"it was good until {show_instant(consent.until_ms)}"
    if when.now_ms < consent.given_ms:
        return "it was given at a time that has not come yet; is the clock right? Give it again"
    return ""


def concerns(rule: ConsentRule, change: Change) -> bool:
    """Whether a rule asks for a yes to this change. A need this program does not know asks for one to every change."""
    if change.kind in UNASKED or rule.app not in ("", change.app):
        return False
    return rule.need not in ("release", "wave") or change.kind in BRINGS or change.kind not in KINDS


def covers(consent: Consent, rule: ConsentRule, change: Change) -> bool:
    """Whether a yes, if it still counts, is what a rule asks for."""
    if consent.app != change.app or rule.need not in NEEDS:
        return False
    if consent.form == "until":
        return True
    if consent.form == "wave":
        return bool(change.rollout) and consent.rollout == change.rollout and consent.wave == change.wave
    if consent.form != "content" or consent.content != change.content or (not change.content and change.kind != "uninstall"):
        return False
    return rule.need != "wave" or not change.rollout  # a yes to the release is none to each of its waves


def consented(change: Change, rules: tuple[ConsentRule, ...], yeses: tuple[Given, ...], when: When) -> Gate:
    """The gate of consent."""
    used: list[str] = []
    for rule in rules:
        if not concerns(rule, change):
            continue
        fitting = [one for one in yeses if covers(one.consent, rule, change)]
        good = [one for one in fitting if not lapse(one, when)]
        if not good:
            return Shut("consent", _why(rule, change, fitting, when))
        best = max(good, key=lambda one: (one.consent.until_ms, one.consent.id))
        word = f"{best.consent.by_name} said yes at {show_instant(best.consent.given_ms)}"
        if word not in used:
            used.append(word)
    return Open("; ".join(used) if used else "no yes is needed for this")


def _why(rule: ConsentRule, change: Change, fitting: list[Given], when: When) -> str:
    asks = "this site asks" if rule.origin == "site" else "the centre asks"
    if rule.need not in NEEDS:
        return f"{asks} for a kind of consent this agent does not know ({rule.need[:32]!r}); update it"
    what = {
        "release": "before another release of",
        "wave": "before each wave of a rollout of",
        "always": "before every change to",
    }[rule.need]
    base = f"{asks} for a yes given here {what} {change.app}"
    if not fitting:
        return f"{base}, and nobody has said yes to this one. It waits for a person on site"
    last = max(fitting, key=lambda one: one.consent.given_ms)
    return f"{base}. {last.consent.by_name} had said yes, but {lapse(last, when)}. It waits for a person on site"


def joined(site: tuple[ConsentRule, ...], centre: tuple[ConsentRule, ...]) -> tuple[ConsentRule, ...]:
    """What is asked: all the site asks, and all the centre asks beside. An origin that a rule claims for itself does not count."""
    return (*(replace(one, origin="site") for one in site), *(replace(one, origin="centre") for one in centre))


if TYPE_CHECKING:
    Gate = Union[Open, Shut]
