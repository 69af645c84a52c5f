"""What the planner answers: act, turn a page, wait, or settled; and the circumstances it is asked under.

Owns these value types only. Every answer carries `why`, a sentence for a person, and the memory that must be on disk before anything else
happens.
"""

from __future__ import annotations

from penstock.rules.memory import AppMemory
from penstock.rules.step import Step
from penstock.wire.log import Event, Receipt
from penstock.wire.messages import Authorisation
from penstock.wire.record import record
from penstock.wire.types import Blob

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union


@record
class ProbeView:
    """How one of the agent's own checks stands. `ok`: it passed last time. `fails`: failures in a row outside the start period.
    `asked`: it has been made at all since the container started."""

    ok: bool = False
    fails: int = 0
    asked: bool = False
    why: str = ""


@record
class Circumstances:
    """What decides besides memory and look. `now_ms` is the device's time, never below its floor; `clock` "trusted" when it may be relied on.
    `mono_ms` and `boot` as in a moment. `fresh`: this is the first decision since the agent started. `word_due`: the clock cannot be trusted, and the
    plane's word on the time may still come, since the agent has only just started. `change_id` and `token` are unused names for the
    next change and the next container. `down_since` and `up_since`: token to monotonic time since which a container was seen not running, or
    well. `unfetchable`: blobs the plane says it does not have. `retiring`: who ordered that this device leaves its fleet, once that is carried out."""

    device: str
    now_ms: int
    mono_ms: int
    boot: str
    change_id: str
    token: str
    clock: str = "trusted"
    trust_until_ms: int = 0
    quarantined: str = ""
    storage_fault: str = ""
    leaves: tuple[Authorisation, ...] = ()
    fresh: bool = False
    word_due: bool = False
    probes: dict[str, ProbeView] = {}
    down_since: dict[str, int] = {}
    up_since: dict[str, int] = {}
    unfetchable: frozenset[str] = frozenset()
    retiring: str = ""


@record
class Act:
    """Do this one step. `memory` is to be on disk first: it holds the intent."""

    step: Step
    memory: AppMemory
    why: str


@record
class Turn:
    """Nothing for the engine: only the memory changes, and what is to be logged with it. `look`: the next decision wants a look newer than this."""

    memory: AppMemory
    why: str
    events: tuple[Event, ...] = ()
    receipt: Receipt | None = None
    command: str = ""
    look: bool = False


@record
class Wait:
    """Nothing now. `phase` as in `log.PHASES`; `needs`: bytes to be fetched meanwhile; `wake_ms` the monotonic time to ask again, -1 when only
    something new can help. `memory` may have counted time, which need not be on disk at once."""

    memory: AppMemory
    why: str
    phase: str
    needs: tuple[Blob, ...] = ()
    wake_ms: int = -1
    reason: str = ""


@record
class Settled:
    """All is as it should be. `needs`: bytes worth having for the way back."""

    memory: AppMemory
    why: str
    needs: tuple[Blob, ...] = ()


@record
class Broken:
    """It cannot go on this way (inside a change: the change has failed)."""

    memory: AppMemory
    why: str


@record
class Reached:
    """The engine is as the goal says."""

    memory: AppMemory


if TYPE_CHECKING:
    Answer = Union[Act, Turn, Wait, Settled]
    Toward = Union[Act, Wait, Broken, Reached]
