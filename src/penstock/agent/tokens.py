"""Names for containers and changes, decided in the ledger before they are used.

Owns the derivation from the ledger's secret and a running number. Because the next few tokens can be told from the ledger before them, a container
made just before a ledger file was damaged is still recognised as ours. Never draws anything at random.
"""

from __future__ import annotations

import hashlib

from penstock.rules.memory import AppMemory, Unit
from penstock.rules.observed import LABEL_APP, LABEL_DEVICE, LABEL_SERVICE, LABEL_SPEC, LABEL_TOKEN, Observation
from penstock.wire.record import replace

AHEAD = 8  # one lost save can hide no more intents than this


class Tokens:
    """`secret`: hex, drawn once for this data directory."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def _derive(self, kind: str, number: int) -> str:
        return hashlib.sha256(f"penstock {kind} {self._secret} {number}".encode()).hexdigest()[:26]

    def token(self, number: int) -> str:
        """The intent token with this number."""
        return "tok_" + self._derive("token", number)

    def change(self, number: int) -> str:
        """The id of the change with this number."""
        return "chg_" + self._derive("change", number)

    def recover(self, memory: AppMemory, seen: Observation, device: str, next_token: int) -> AppMemory:
        """After a ledger file was lost: containers of this app whose token only this ledger could have named next are ours."""
        ahead = {self.token(number) for number in range(max(next_token - 1, 1), next_token + AHEAD)}
        known = {unit.token for unit in memory.units}
        found = []
        for container in seen.containers:
            labels = container.labels
            token = labels.get(LABEL_TOKEN, "")
            if token in ahead and token not in known and labels.get(LABEL_DEVICE) == device and labels.get(LABEL_APP) == memory.app:
                found.append(
                    Unit(
                        labels.get(LABEL_SERVICE, ""),
                        token,
                        labels.get(LABEL_SPEC, ""),
                        memory.change.target if memory.change else memory.running,
                        container.id,
                    )
                )
        return replace(memory, units=(*memory.units, *found)) if found else memory
