"""The brain: what the agent does next, in three lanes (engine, fetch, link), each with at most one work in flight.

Owns no socket, clock, process or engine: works go out as values, outcomes come in as values, and the same brain drives the real loop and
the simulated fleet. Decisions are `rules`; memory is the ledger and the device log, both behind ports. A work is handed out only after the
ledger holds whatever a crash during it would need.
"""

from __future__ import annotations

from penstock.agent.work import LocalReply
from penstock.wire.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.agent.disk import Disk
    from penstock.agent.work import Call, EngineWork, Fetch, Local, Moment, Outcome, Work
    from penstock.wire.messages import Endpoint
    from penstock.wire.trust import Root, Verify


@record
class Identity:
    """Who this device is, and what its keys can do. `sign` makes a DER signature with the device key; `keyid` is that key's id. `data` is the
    random identity of the data directory, drawn once (see `log.Boot`)."""

    device: str
    keyid: str
    data: str
    sign: Callable[[bytes], bytes]


@record
class Tools:
    """What the brain may not do by itself: draw random bytes, verify a signature (`trust.Verify`)."""

    random: Callable[[int], bytes]
    verify: Verify


class Brain:
    """Made once per start of the agent; `now` is the moment of the start. Recovers from what is on `disk`."""

    def __init__(self, disk: Disk, identity: Identity, root: Root, tools: Tools, now: Moment, *, agent: str = "", built_ms: int = 0) -> None: ...

    def engine_work(self, now: Moment) -> EngineWork | None:
        """The next thing to do to the engine, or None (also while one is in flight)."""

    def fetch_work(self, now: Moment) -> Fetch | None:
        """The next blobs to bring, or None."""

    def link_work(self, now: Moment) -> Call | None:
        """The next exchange with the plane, or None."""

    def done(self, work: Work, outcome: Outcome, now: Moment) -> None:
        """A work ended. A process that died, or was killed at its time-out, is an outcome too (`EngineDone(ok=False, code="died")`)."""

    def progress(self, work: Fetch, done_bytes: int, now: Moment) -> None:
        """How many bytes of a running fetch have come."""

    def wake_at(self, now: Moment) -> int:
        """When to ask again if nothing else happens: monotonic milliseconds."""

    def local(self, request: Local, now: Moment) -> LocalReply:
        """Answer a person at the device, at once."""

    def endpoints(self) -> tuple[Endpoint, ...]:
        """How the newest accepted desired state says the plane is reached; empty where it does not say."""

    def busy(self) -> bool:
        """Whether a change is under way or soaking: the sparing mode stays resident while it is."""
