"""Looking at the device itself for an interlock: a file, or a program and its exit code.

Owns that neither can hurt the one who looks: no pipe, device or socket is ever opened, and no program outlives its time, prints without end or keeps what the
agent holds. What is found is told, never judged. It may block on a file system that hangs, so it runs in a short-lived child.
"""

from __future__ import annotations

import errno
import os
import stat
import time

from penstock.rules.interlocks import Seen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.wire.interlocks import CommandCheck, FileCheck

MAX_FILE = 4096  # bytes of a file whose content is compared
MAX_OUTPUT = 64 * 1024  # bytes a command may print
KEPT_OUTPUT = 200  # characters of it that are kept
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SIGKILL = 9
_PR_SET_PDEATHSIG = 1


def look_at_file(check: FileCheck) -> Seen:
    """The file as it is now. Nothing but a regular file is ever opened: what a name means is settled first, without opening it."""
    try:
        if check.state == "absent":
            return _absent(check.path)
        number = os.open(check.path, os.O_PATH | os.O_CLOEXEC)
    except OSError as fault:
        return _no_file(check, fault)
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            return Seen("malformed", f"{check.path} is {_kind(found.st_mode)}, not a regular file")
        if check.state != "content":
            return Seen("seen", type="file")
        return _content(number, check.path)
    except OSError as fault:
        return Seen("denied" if fault.errno in (errno.EACCES, errno.EPERM) else "fault", f"{check.path} cannot be read: {fault.strerror}")
    finally:
        os.close(number)


def _absent(path: str) -> Seen:
    """A name counts as absent only where its folder is there to say so."""
    folder = os.open(os.path.dirname(path) or "/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.stat(os.path.basename(path), dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return Seen("seen", type="absent")
    finally:
        os.close(folder)
    return Seen("seen", type="file")


def _no_file(check: FileCheck, fault: OSError) -> Seen:
    if check.state == "absent":
        if fault.errno in (errno.ENOENT, errno.ENOTDIR):
            return Seen("missing", f"the folder of {check.path} is not there, so nobody can say what would be in it; is the disk or share mounted?")
    elif fault.errno in (errno.ENOENT, errno.ENOTDIR):
        return Seen("seen", type="absent")
    return Seen("denied" if fault.errno in (errno.EACCES, errno.EPERM) else "fault", f"{check.path}: {fault.strerror}")


def _content(number: int, path: str) -> Seen:
    with open(f"/proc/self/fd/{number}", "rb", buffering=0) as source:
        data = b""
        while len(data) <= MAX_FILE:
            piece = source.read(MAX_FILE + 1 - len(data))
            if not piece:
                break
            data += piece
    if len(data) > MAX_FILE:
        return Seen("oversize", f"{path} has more than {MAX_FILE} bytes")
    try:
        return Seen("seen", type="text", text=data.decode("utf-8").rstrip())
    except UnicodeDecodeError:
        return Seen("malformed", f"{path} is not text in UTF-8")


def _kind(mode: int) -> str:
    for test, word in (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    ):
        if test(mode):
            return word
    return "something else"


def run_command(check: CommandCheck, timeout_ms: int) -> Seen:
    """Run it and wait for its end, at most so long; then nothing of its process group is left. To be called before any thread is started."""
    import subprocess

    until = time.monotonic() + timeout_ms / 1000
    try:
        who = _identity(check.user)
    except KeyError:
        return Seen("fault", f"this device has no user {check.user!r}")
    if os.geteuid() != 0 and who["user"] != os.geteuid():
        return Seen("denied", f"the agent does not run as root, so it cannot run a command as {check.user}")
    identity = who if os.geteuid() == 0 else {}
    ours, theirs = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    os.set_blocking(theirs, True)
    try:
        process = subprocess.Popen(
            list(check.argv),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            cwd="/",
            env={"PATH": PATH, "LANG": "C.UTF-8", **check.environment},
            start_new_session=True,
            preexec_fn=_die_with_us(),  # noqa: PLW1509 - a child without threads; it must not outlive the one who watches its time
            **identity,  # type: ignore[call-overload]
        )
    except (OSError, ValueError, subprocess.SubprocessError) as fault:
        os.close(ours)
        return Seen("denied" if isinstance(fault, PermissionError) else "fault", f"{check.argv[0]} cannot be run: {getattr(fault, 'strerror', '') or fault}")
    finally:
        os.close(theirs)
    try:
        return _watch(process.pid, ours, until, timeout_ms)
    finally:
        os.close(ours)
        _end(process.pid)
        process.wait()


def _identity(user: str) -> dict[str, object]:
    """The numbers of a user, and no group beyond its own. Raises KeyError."""
    import pwd

    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _die_with_us() -> Callable[[], object]:
    """What a command does first: ask to be killed when the one who watches it is gone. Loaded before, since whom it runs as may not read our libraries; and
    called last before the program, since changing the user takes the wish back (prctl(2), PR_SET_PDEATHSIG)."""
    import ctypes

    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)


def _watch(pid: int, ours: int, until: float, timeout_ms: int) -> Seen:
    """Read what it prints until it ends. Its end counts, not that of its output: what it left in the background may hold that open."""
    data, count = bytearray(), 0
    while True:
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        try:
            piece = os.read(ours, 65536)
        except BlockingIOError:
            piece = b""
        count += len(piece)
        data += piece[: 4 * KEPT_OUTPUT - len(data)] if len(data) < 4 * KEPT_OUTPUT else b""
        if count > MAX_OUTPUT:
            return Seen("oversize", f"the command printed more than {MAX_OUTPUT} bytes and was stopped")
        if ended is not None and not piece:
            said = data.decode("utf-8", "replace").strip()[:KEPT_OUTPUT]
            if ended.si_code != os.CLD_EXITED:
                return Seen("fault", f"the command was ended by signal {ended.si_status}", text=said)
            return Seen("seen", exit=ended.si_status, type="text", text=said)
        left = until - time.monotonic()
        if left <= 0:
            return Seen("timeout", f"the command had not ended after {timeout_ms} ms and was stopped")
        if not piece and ended is None:
            time.sleep(min(left, 0.01))


def _end(pid: int) -> None:
    """Kill the whole process group. Its leader has not been reaped yet, so the number cannot mean another group."""
    try:
        os.killpg(pid, _SIGKILL)
    except ProcessLookupError:
        return  # it never became one
    except PermissionError:
        return  # all that is left of it has become somebody else's
