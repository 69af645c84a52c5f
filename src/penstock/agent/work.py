"""What the brain hands out and what it is told: works, outcomes, the moment, and local requests.

Owns these value types only. The real loop and the simulated fleet carry the same works out, so nothing here knows processes, sockets or
clocks. Works and outcomes that cross a process border pass through `wire.codec`.
"""

from __future__ import annotations

from penstock.rules.look import Look
from penstock.rules.observed import Ask
from penstock.rules.step import Step
from penstock.wire.codec import from_plain, to_plain
from penstock.wire.record import record
from penstock.wire.types import AppState, Blob, Variant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Union


@record
class Moment:
    """Now, as the caller's clocks say. `mono_ms` rises within one `boot_id` (the kernel's) and begins anew with the next. `clock` "trusted": the
    system says that its wall clock is synchronised or kept by hardware."""

    CHOICES = {"clock": ("trusted", "untrusted")}

    mono_ms: int
    wall_ms: int
    clock: str = "trusted"
    boot_id: str = ""


# --- the engine lane: carried out by `hands.perform` in a child process -----------------------------------------------


@record
class Observe:
    """Look at the engine and at the agent's own store. `blobs`: digests whose presence is asked for. `keep_blobs`: every other blob may go; `drop_snapshots`:
    files of ours that nothing needs any more, to be removed on the way (`keep_blobs` None: remove none)."""

    LIMITS = {"blobs": 8192, "keep_blobs": 8192, "drop_snapshots": 1024}

    ask: Ask
    blobs: tuple[str, ...] = ()
    keep_blobs: tuple[str, ...] | None = None
    drop_snapshots: tuple[str, ...] = ()
    timeout_ms: int = 60_000


@record
class ApplyStep:
    """Carry out one step, then look. `state` is the release the step belongs to. Secrets are still sealed: the hands open them."""

    step: Step
    state: AppState
    device: str
    look: Observe
    variant: Variant | None = None
    index: str = ""
    helper: Variant | None = None
    limit_bytes: int = 0
    timeout_ms: int = 120_000


@record
class RunCommand:
    """Carry out an ordered act: logs, inspect and prune change nothing that runs; wipe takes away what is left when no app is there any more, with
    `volumes` and those that bear our label where `data` says so. Then look."""

    CHOICES = {"verb": ("logs", "inspect", "prune", "wipe")}

    command: str
    verb: str
    look: Observe
    container: str = ""
    lines: int = 100
    keep: tuple[Variant, ...] = ()
    timeout_ms: int = 60_000
    volumes: tuple[str, ...] = ()
    data: bool = False
    device: str = ""


@record
class EngineDone:
    """How an engine work ended. `look` is None where the child died before it could look. `code` is the runtime's, "timeout" or "died"."""

    LIMITS = {"output": 131_072}

    ok: bool
    why: str = ""
    code: str = ""
    retry: bool = True
    identity: str = ""
    had_data: bool = False
    bytes: int = 0
    output: str = ""
    look: Look | None = None


_KINDS = {"observe": Observe, "step": ApplyStep, "command": RunCommand}


def order_of(work: EngineWork) -> list[Any]:
    """An engine work in plain form, for a child that already runs."""
    kind = next(name for name, cls in _KINDS.items() if isinstance(work, cls))
    return [kind, to_plain(work)]


def work_of(order: list[Any]) -> EngineWork:
    """Its opposite. Raises WireError."""
    kind, plain = order
    work: EngineWork = from_plain(_KINDS[kind], plain)
    return work


# --- the fetch lane: carried out by `fetch` in a child process ---------------------------------------------------------


@record
class Fetch:
    """Bring these blobs into the agent's own store, in this order, resuming what is there in part. `bytes_per_s` 0: no cap. `token` is
    the session's."""

    LIMITS = {"blobs": 8192, "token": 1024}

    blobs: tuple[Blob, ...]
    token: str
    bytes_per_s: int = 0


@record
class FetchDone:
    """How far a fetch came. `missing`: the plane says it has none (404). `session_expired`: a new session is needed first.
    `retry_s`: the plane's Retry-After, 0 where it named none."""

    LIMITS = {"fetched": 8192, "missing": 8192}

    ok: bool
    why: str = ""
    code: str = ""
    fetched: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    session_expired: bool = False
    retry_s: int = 0


# --- the link lane: one HTTP exchange with the plane -------------------------------------------------------------------


@record
class Call:
    """One request over the kept connection. `kind` is for logs and tests; `headers` are complete but for Host, lengths and the user agent.
    `timeout_ms` covers the whole exchange (a long poll's wait included)."""

    CHOICES = {"kind": ("session", "poll", "report")}

    kind: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""
    timeout_ms: int = 30_000


@record
class Answer:
    """What came back; header names in lower case. Any status."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


@record
class Unreachable:
    """No whole answer came. `why` names the address and what happened."""

    why: str


# --- the person at the device ------------------------------------------------------------------------------------------


@record
class Local:
    """A request over the control socket. `by` is the local user's name, as the kernel knows it. For revert and retry: `person` is the id or name of the
    local person who asks and `proof` what was derived from the PIN, or `without_pin` says that root goes on without one, for a `reason`."""

    CHOICES = {"verb": ("status", "why", "revert", "log", "poll", "retry", "people")}
    LIMITS = {"person": 100, "proof": 64, "reason": 500}

    verb: str
    app: str = ""
    by: str = "local"
    count: int = 20
    after: int = 0
    person: str = ""
    proof: str = ""
    without_pin: bool = False
    reason: str = ""


@record
class LocalReply:
    """The answer: `why` is a sentence, `data` is JSON-ready (dicts, lists, strings, integers, booleans)."""

    ok: bool
    why: str
    data: dict[str, Any]


if TYPE_CHECKING:
    EngineWork = Union[Observe, ApplyStep, RunCommand]
    Work = Union[Observe, ApplyStep, RunCommand, Fetch, Call]
    Outcome = Union[EngineDone, FetchDone, Answer, Unreachable]
