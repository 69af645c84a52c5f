"""One look at the device: what the engine shows, and what of the agent's own store is there.

Owns the value types that decisions read besides the ledger. Never looks itself, never decides.
"""

from __future__ import annotations

from penstock.rules.observed import Observation
from penstock.wire.messages import Engine
from penstock.wire.record import record


@record
class Look:
    """`seen` is the engine's side. `blobs` are those of the asked-for digests that lie complete and verified in the agent's own store, `snapshots`
    the names of complete volume snapshots on disk, `free_bytes` the space left where the agent keeps its data (-1: cannot be told).
    `platforms` is what the engine runs, best first, and `engine` what it is; empty and None where it
    did not answer. `nodes`: device nodes as `messages.Facts` has them."""

    LIMITS = {"blobs": 8192, "snapshots": 1024}

    seen: Observation
    blobs: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()
    free_bytes: int = -1
    platforms: tuple[str, ...] = ()
    engine: Engine | None = None
    nodes: tuple[str, ...] | None = None


NOTHING_SEEN = Look(Observation(engine_ok=False, why="the engine has not been looked at yet"))
