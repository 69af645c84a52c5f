"""How far a device's clock may be relied on, in one word, and that word as a sentence.

Owns the words, how they are told apart, and what a person is told. Reading clocks and remembering signed times is the agent's. Anything but
`trusted` counts as closed for a calendar; letting go and going back on site never ask for it.
"""

from __future__ import annotations

TRUSTED = "trusted"
NEVER_SET = "never-set"
STEPPED_BACK = "stepped-back"
FAR = "far-from-signed"
UNTRUSTED = "untrusted"  # without a known reason, as agents before the calendar say
QUALITIES = (TRUSTED, NEVER_SET, STEPPED_BACK, FAR, UNTRUSTED)

FAR_MS = 90 * 86_400_000  # a clock further ahead than this of all that was ever signed has more likely run away than been that long without a word
STEP_MS = 300_000  # less than this is the ordinary correction of a clock

_SENTENCES = {
    NEVER_SET: "the device's clock was never set since it started, so nobody can say whether a window is open",
    STEPPED_BACK: "the device's clock was set back, so nobody can say whether a window is open",
    FAR: "the device's clock is far from the last time the plane signed, so nobody can say whether a window is open",
    UNTRUSTED: "the device's clock cannot be trusted, so nobody can say whether a window is open",
}


def quality(wall_ms: int, *, kept: bool, signed_ms: int, build_ms: int, highest_ms: int = 0, counted: bool = False, far_ms: int = FAR_MS) -> str:
    """One of QUALITIES. All times are Unix milliseconds.

    `wall_ms`: the system's clock. `kept`: somebody (NTP, PTP, a hardware clock) sets it. `signed_ms`: the newest signed time ever seen, 0 for none.
    `build_ms`: when the agent was built. `highest_ms`: the highest wall clock seen since the last signed answer, 0 for none. `counted`: the decision goes
    by a signed answer to our own question and the monotonic clock since then, not by the wall; then nothing else matters."""
    if counted:
        return TRUSTED
    if wall_ms < build_ms:
        return NEVER_SET
    if wall_ms < max(signed_ms, highest_ms) - STEP_MS:
        return STEPPED_BACK
    if signed_ms and wall_ms - signed_ms > far_ms:
        return FAR
    return TRUSTED if kept else UNTRUSTED


def sentence(word: str) -> str:
    """Why a calendar counts as closed with a clock of this quality, and what helps; empty for a trusted clock. An unknown word is not trusted."""
    if word == TRUSTED:
        return ""
    return f"{_SENTENCES.get(word, _SENTENCES[UNTRUSTED])}; windows count as closed until the time comes from the plane, or somebody sets the clock"
