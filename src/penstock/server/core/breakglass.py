"""The break-glass account: one way in that nobody can shut, and that nobody can use unnoticed.

Owns which account it is, how its passphrase looks, and what stands in the record of its seal. Its passphrase is random, so that guessing it is hopeless and
needs no slow digest and no throttle. Never signs anybody in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from penstock.server.core.model import UserId
from penstock.server.core.onetime import letters

NAME = "break-glass"
ID = UserId("usr_break-glass")
SESSION_MS = 3_600_000
ROUNDS = 1000  # of its digest: see above
RANDOM_BYTES = 32  # a letter each; see `passphrase`
LEAST_REASON = 8


@dataclass(frozen=True, slots=True)
class Seal:
    """How the envelope stands. `used_ms` 0: unopened. A use stays to be seen until it is acknowledged and the account is sealed anew."""

    sealed_ms: int
    used_ms: int = 0
    uses: int = 0
    reason: str = ""
    address: str = ""
    acknowledged_ms: int = 0
    acknowledged_by: str = ""

    @property
    def state(self) -> str:
        """sealed; used: to be acknowledged and sealed anew; acknowledged: to be sealed anew; resealed: to be acknowledged."""
        again = self.sealed_ms > self.used_ms
        if not self.used_ms or (again and self.acknowledged_ms):
            return "sealed"
        return "resealed" if again else "acknowledged" if self.acknowledged_ms else "used"


def passphrase(random: bytes) -> str:
    """A passphrase from 32 random bytes: 32 letters in groups of four. At 4.8 bits each that is more than 150."""
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"a passphrase is made from {RANDOM_BYTES} random bytes")
    text = letters(random)
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def as_made(typed: str) -> str:
    """What was typed, as it was made: spaces, dashes and capitals do not matter to somebody who reads it off paper at night."""
    plain = "".join(one for one in typed.lower() if one not in " -\t")
    return "-".join(plain[at : at + 4] for at in range(0, len(plain), 4))


def resealed(seal: Seal | None, now_ms: int) -> Seal:
    """With a new passphrase. A use that nobody has acknowledged stays to be seen."""
    return Seal(now_ms) if seal is None else replace(seal, sealed_ms=now_ms)


def used(seal: Seal, now_ms: int, reason: str, address: str) -> Seal:
    """After a use; it is to be acknowledged again."""
    return Seal(seal.sealed_ms, now_ms, seal.uses + 1, reason, address)


def acknowledged(seal: Seal, now_ms: int, by: str) -> Seal:
    """After somebody has taken note."""
    return replace(seal, acknowledged_ms=now_ms, acknowledged_by=by)
