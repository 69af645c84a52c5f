"""Personal PINs of local people: what is one, how long after wrong ones, and whether a proof fits.

Owns these rules for both sides. A PIN itself never reaches the resident agent: whoever asks derives a proof of it (PBKDF2, with the salt and rounds that the
signed state names), and what is compared here are digests. Waits grow with every wrong proof and hold over restarts; they never keep anybody from
holding, and root may go back without a PIN, on record.
"""

from __future__ import annotations

from penstock.wire.messages import LocalPerson
from penstock.wire.record import record, replace
from penstock.wire.types import HEX, sha256_of

LEAST, MOST = 6, 12  # digits of a PIN
ROUNDS = 50_000  # of PBKDF2: under a second on an armhf node
PROOF_BYTES = 32
FREE = 3  # wrong proofs that cost nothing
FIRST_MS, LONGEST_MS = 10_000, 900_000


def pin_fault(pin: str) -> str | None:
    """Why this is no PIN to give anybody; None when it is one."""
    if not pin.isascii() or not pin.isdigit() or not LEAST <= len(pin) <= MOST:
        return f"a PIN has {LEAST} to {MOST} digits"
    steps = {ord(after) - ord(before) for before, after in zip(pin, pin[1:])}
    if len(steps) == 1 and steps <= {-1, 0, 1}:
        return "that PIN is the first one that anybody would try; take one that does not repeat or count"
    return None


def verifier_of(proof: bytes) -> str:
    """What the signed state says of a PIN, from its proof."""
    return sha256_of(proof)


def fits(person: LocalPerson, proof: str) -> bool:
    """Whether a proof (64 hex digits) is that of the person's PIN. What is compared is a digest of what was sent, so its timing tells nothing of use."""
    if len(proof) != 2 * PROOF_BYTES or not set(proof) <= HEX:
        return False
    return verifier_of(bytes.fromhex(proof)) == person.verifier


@record
class Misses:
    """Wrong proofs for one person since the last right one, the newest at `mono_ms` of `boot`. They count against one PIN: another one begins anew."""

    person: str
    verifier: str
    count: int
    mono_ms: int
    boot: str


def wait_ms(count: int) -> int:
    """How long nothing more is tried after so many wrong proofs."""
    return 0 if count < FREE else min(FIRST_MS << min(count - FREE, 16), LONGEST_MS)


def left_ms(misses: tuple[Misses, ...], person: LocalPerson, mono_ms: int, boot: str, started_ms: int) -> int:
    """How long a person still has to wait. After a reboot, where nobody knows how long the machine was off, the wait begins anew with the agent's start."""
    for one in misses:
        if one.person == person.id and one.verifier == person.verifier:
            since = one.mono_ms if one.boot == boot else started_ms
            return max(since + wait_ms(one.count) - mono_ms, 0)
    return 0


def missed(misses: tuple[Misses, ...], person: LocalPerson, mono_ms: int, boot: str) -> tuple[Misses, ...]:
    """The misses with one more."""
    for one in misses:
        if one.person == person.id and one.verifier == person.verifier:
            fresh = replace(one, count=min(one.count + 1, 1000), mono_ms=mono_ms, boot=boot)
            return tuple(fresh if other is one else other for other in misses)
    return (*forgiven(misses, person.id), Misses(person.id, person.verifier, 1, mono_ms, boot))


def forgiven(misses: tuple[Misses, ...], person: str) -> tuple[Misses, ...]:
    """The misses without those of a person."""
    return tuple(one for one in misses if one.person != person)


def still(misses: tuple[Misses, ...], people: tuple[LocalPerson, ...]) -> tuple[Misses, ...]:
    """The misses that still count when these are the people."""
    verifiers = {(person.id, person.verifier) for person in people}
    return tuple(one for one in misses if (one.person, one.verifier) in verifiers)
