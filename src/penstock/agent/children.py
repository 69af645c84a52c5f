"""Short-lived children: a function run in a fork, its result as JSON through a pipe, a time-out, and no zombies.

Owns the forks, their pipes, their time-outs and their ends. Whatever is heavy (imports, engine answers, downloads) or may block happens in
here, so that the resident process stays small and answers at once. Never decides what to run; never runs another program.

A child may stay for further orders of the same kind (`give`), so that what it had to load is loaded once; it ends when it is dismissed.

A child keeps nothing of its parent but memory: every descriptor it inherits, sockets above all, is replaced before the function runs, and
it dies when its parent does (a second agent must never meet the hands of the first).
"""

from __future__ import annotations

import os

from penstock.wire.jsontext import dumps, loads
from penstock.wire.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Send = Callable[[Any], None]
    Job = Callable[[Send], Any]
    Again = Callable[[Any], Any]

MAX_RESULT = 8 * 1024 * 1024  # bytes a child may send in all
_SIGKILL = 9
_PR_SET_PDEATHSIG = 1


@record
class Ended:
    """How a child ended. `value` is what its function returned (JSON). Otherwise `code` tells: "fault" (the function raised; `why` is its
    sentence), "timeout" (killed), "died" (killed from outside, out of memory, crashed), "oversize" (sent too much)."""

    ok: bool
    value: Any
    code: str = ""
    why: str = ""


class Child:
    """One running child. `fd` is the pipe to watch for reading, -1 once it has closed. `until_ms` is when it will be killed. `orders`: where further
    orders go, -1 for a child that takes none."""

    def __init__(self, name: str, pid: int, fd: int, until_ms: int, orders: int = -1) -> None:
        self.name = name
        self.pid = pid
        self.fd = fd
        self.until_ms = until_ms
        self.orders = orders
        self.news: list[Any] = []
        self.buffer = bytearray()
        self.received = 0
        self.result: Ended | None = None
        self.killed = ""


class Children:
    """The children of this process. Times are monotonic milliseconds. Call `reap` after SIGCHLD and `expire` when `next_ms` has come."""

    def __init__(self) -> None:
        self._running: dict[int, Child] = {}

    def __len__(self) -> int:
        return len(self._running)

    def start(self, name: str, job: Job, timeout_ms: int, now_ms: int, niceness: int = 0, again: Again | None = None) -> Child:
        """Fork and run `job(send)` there; `send` passes JSON values up while it runs. With `again` the child then waits for orders, which `give`
        brings, and runs `again(order)` for each, until `dismiss`. Raises OSError when no process can be made."""
        ours = theirs = take = give = -1
        me = os.getpid()
        try:
            ours, theirs = os.pipe()
            if again is not None:
                take, give = os.pipe()
            pid = os.fork()
        except OSError:
            for number in (ours, theirs, take, give):
                _close(number)
            raise
        if pid == 0:
            _child(theirs, job, niceness, me, take, again)
        os.close(theirs)
        _close(take)
        os.set_blocking(ours, False)
        child = Child(name, pid, ours, now_ms + timeout_ms, give)
        self._running[pid] = child
        return child

    def give(self, child: Child, order: Any, timeout_ms: int, now_ms: int) -> bool:
        """Another order for a child whose result has been taken; False when it is gone."""
        child.until_ms, child.received = now_ms + timeout_ms, 0
        data = memoryview(dumps(order).encode("ascii") + b"\n")
        try:
            while data:
                data = data[os.write(child.orders, data) :]
        except OSError:
            return False
        return True

    def dismiss(self, child: Child) -> None:
        """No further orders: the child ends by itself, and shows up in `reap`."""
        _close(child.orders)
        child.orders = -1

    def watched(self) -> dict[int, Child]:
        """The pipes to watch for reading."""
        return {child.fd: child for child in self._running.values() if child.fd >= 0}

    def next_ms(self) -> int | None:
        """When `expire` must be called, or None."""
        return min((child.until_ms for child in self._running.values() if not child.killed), default=None)

    def read(self, child: Child) -> None:
        """Take what the pipe holds; news gathers in `child.news`."""
        while child.fd >= 0:
            try:
                data = os.read(child.fd, 65536)
            except BlockingIOError:
                return
            if not data:
                os.close(child.fd)
                child.fd = -1
                return
            child.received += len(data)
            if child.received > MAX_RESULT:
                self._kill(child, "oversize")
                child.buffer.clear()
                continue
            child.buffer += data
            while True:
                end = child.buffer.find(b"\n")
                if end < 0:
                    break
                self._take(child, bytes(child.buffer[:end]))
                del child.buffer[: end + 1]

    def _take(self, child: Child, text: bytes) -> None:
        try:
            kind, value = loads(text.decode("ascii"))
        except ValueError:
            self._kill(child, "died")
            return
        if kind == "news":
            child.news.append(value)
        elif kind == "result":
            child.result = Ended(True, value)
        else:
            child.result = Ended(False, None, "fault", str(value))

    def expire(self, now_ms: int) -> None:
        """Kill what has run past its time."""
        for child in self._running.values():
            if not child.killed and now_ms >= child.until_ms:
                self._kill(child, "timeout")

    def kill(self, child: Child) -> None:
        """End one child early; it shows up in `reap` as died."""
        self._kill(child, "died")

    def _kill(self, child: Child, code: str) -> None:
        if not child.killed:
            child.killed = code
            os.kill(child.pid, _SIGKILL)  # ours and not yet reaped, so the number cannot mean another process

    def reap(self) -> list[tuple[Child, Ended]]:
        """Those that have ended since, each with how."""
        ended = []
        for child in list(self._running.values()):
            try:
                pid, status = os.waitpid(child.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status = child.pid, -1  # somebody else reaped it; its result may still lie in the pipe
            if pid == 0:
                continue
            self.read(child)
            if child.fd >= 0:
                os.close(child.fd)
                child.fd = -1
            self.dismiss(child)
            del self._running[child.pid]
            ended.append((child, _verdict(child, status)))
        return ended

    def stop_all(self) -> None:
        """Kill every child and wait for it; for the end of the agent."""
        for child in list(self._running.values()):
            self._kill(child, "died")
            try:
                os.waitpid(child.pid, 0)
            except ChildProcessError:
                child.killed = "died"  # reaped elsewhere: gone all the same
            if child.fd >= 0:
                os.close(child.fd)
            self.dismiss(child)
        self._running.clear()


def _verdict(child: Child, status: int) -> Ended:
    if child.killed == "timeout":
        return Ended(False, None, "timeout", f"{child.name} did not end in time and was stopped")
    if child.killed == "oversize":
        return Ended(False, None, "oversize", f"{child.name} gave more than {MAX_RESULT} bytes")
    if child.result is not None:
        return child.result
    how = f"by signal {os.WTERMSIG(status)}" if status >= 0 and os.WIFSIGNALED(status) else "without a result"
    hint = "; was the device short of memory?" if status >= 0 and os.WIFSIGNALED(status) and os.WTERMSIG(status) == _SIGKILL else ""
    return Ended(False, None, "died", f"{child.name} ended {how}{hint}")


# --- inside the child -------------------------------------------------------------------------------------------------


def _close(number: int) -> None:
    if number >= 0:
        os.close(number)


def _child(pipe: int, job: Job, niceness: int, parent: int, orders: int, again: Again | None) -> None:
    """Run the job, and what is ordered after it, and never return."""
    status = 1
    try:
        _detach((pipe, orders), niceness, parent)

        def send(value: Any) -> None:
            _write(pipe, ["news", value])

        go_on = _carry_out(pipe, lambda: job(send)) and again is not None
        if go_on:
            with os.fdopen(orders, "rb") as lines:
                for line in lines:
                    if again is None or not _carry_out(pipe, lambda line=line: again(loads(line.decode("ascii")))):  # type: ignore[misc]
                        break
        status = 0
    except BaseException as fault:  # noqa: BLE001 - a child that cannot even report must still end here, not run on as a second agent
        os.write(2, f"error child.lost why={type(fault).__name__}\n".encode("ascii", "replace"))
    finally:
        os._exit(status)


def _carry_out(pipe: int, act: Callable[[], Any]) -> bool:
    """Act, and say how it went; whether it went well."""
    try:
        outcome = ["result", act()]
    except Exception as fault:  # noqa: BLE001 - whatever it was is told to the parent, whose log has it
        outcome = ["fault", getattr(fault, "why", "") or f"{type(fault).__name__}: {fault}"]
    _write(pipe, outcome)
    return bool(outcome[0] == "result")


def _detach(keep: tuple[int, int], niceness: int, parent: int) -> None:
    import _signal  # type: ignore[import-not-found] # `signal` would import enum on top

    _signal.set_wakeup_fd(-1)
    for number in (_signal.SIGTERM, _signal.SIGCHLD, _signal.SIGHUP, _signal.SIGUSR1):
        _signal.signal(number, _signal.SIG_DFL)
    _signal.signal(_signal.SIGINT, _signal.SIG_IGN)  # Ctrl-C in a terminal reaches the whole group; the parent decides
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    _die_with_parent(parent)
    nothing = os.open("/dev/null", os.O_RDWR)
    for name in os.listdir("/proc/self/fd"):
        number = int(name)
        if number not in (0, 1, 2, nothing, *keep):
            try:
                os.dup2(nothing, number, inheritable=False)  # replaced, not closed: an object that still believes in it harms nobody
            except OSError:
                continue  # the descriptor that listed the directory
    if niceness:
        os.nice(niceness)
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as knob:
            knob.write("500")  # short of memory, the kernel ends a child before the agent
    except OSError:
        return  # a kernel without the knob: nothing is lost but the preference


def _die_with_parent(parent: int) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(_SIGKILL), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
    if os.getppid() != parent:
        os._exit(1)  # it went between the fork and this line


def _write(pipe: int, value: Any) -> None:
    data = memoryview(dumps(value).encode("ascii") + b"\n")
    while data:
        data = data[os.write(pipe, data) :]
