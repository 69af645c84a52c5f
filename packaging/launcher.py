"""The launcher: starts the agent's program from one of two slots, and goes back to the other one if a new program does not prove itself.

Owns DATA/slots except the file `confirmed`, which the agent writes (penstock.agent.slots) when the plane has answered a check-in of its:
an agent that cannot check in could not be replaced from afar again. It must work when no agent does, so it imports nothing of Penstock and
needs only the interpreter (Python 3.9, standard library). It never talks to a network or to an engine and never stays: it becomes the agent.

    launcher.py run ...           start the resident agent: place what the package brought, count the attempt, choose, become it
    launcher.py COMMAND ...       any other command of the agent, from the slot in use; changes nothing
    launcher.py --build PYZ DIR   unpack a program and compile it for this interpreter (also used to build the container image)

DATA/slots (DATA: --data-dir, PENSTOCK_DATA_DIR, or /var/lib/penstock-agent), every file replaced atomically:
    a/ b/        penstock-agent.pyz  the program as it was delivered; lib/  the same, compiled; lib/built  for which program and interpreter
    current      the slot to start; whoever brings a new program writes it last
    confirmed    the slot whose program has proven itself
    trial        "SLOT ATTEMPTS": starts of a program that is not confirmed
    packaged     SHA-256 of the package's program when it was placed; a newer package goes into the slot that is not the confirmed one
    refused      SHA-256 of each program that was given up, one a line
A trial ends by `confirmed`, by ATTEMPTS starts without it, or DEADLINE_S after a start. Without a confirmed program in the other slot there is no
way back, and the program in use just goes on.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
from types import CodeType

PROGRAM = "penstock-agent.pyz"
PACKAGED = os.environ.get("PENSTOCK_PACKAGED", os.path.join(os.path.dirname(os.path.abspath(__file__)), PROGRAM))
DATA = "/var/lib/penstock-agent"
SLOTS = ("a", "b")
ATTEMPTS = 5
TRIAL_S = os.environ.get("PENSTOCK_TRIAL_S", "")
DEADLINE_S = float(TRIAL_S) if TRIAL_S.isdigit() else 1800.0
LOOK_S = 2.0
GRACE_S = min(20.0, DEADLINE_S)
START = "start.pyc"

# What runs first inside lib/: without `runpy` and `pkgutil`, which starting a folder or an archive would load (0.4 MB).
START_SOURCE = """\
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, __file__.rpartition("/")[0])
from penstock.agent.__main__ import main
sys.exit(main())
"""


def say(words: str) -> None:
    sys.stderr.write(f"penstock-agent launcher: {words}\n")
    sys.stderr.flush()


# --- files ----------------------------------------------------------------------------------------------------------


def read(path: str) -> str:
    """A small file's text, stripped; empty where there is none or it cannot be read."""
    try:
        with open(path, encoding="ascii", errors="replace") as source:
            return source.read(65536).strip()
    except OSError:
        return ""


def sync(path: str) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def write(path: str, text: str) -> None:
    """Replace a file durably. Raises OSError."""
    beside = f"{path}.new"
    with open(beside, "w", encoding="ascii") as target:
        target.write(text)
        target.flush()
        os.fsync(target.fileno())
    os.rename(beside, path)
    sync(os.path.dirname(path))


def sha256(path: str) -> str:
    found = hashlib.sha256()
    with open(path, "rb") as source:
        while True:
            block = source.read(65536)
            if not block:
                return found.hexdigest()
            found.update(block)


def remove(path: str) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=True)


# --- programs -------------------------------------------------------------------------------------------------------


def built_for(pyz_digest: str) -> str:
    """What lib/built says when lib/ fits this program and this interpreter."""
    import importlib.util

    return f"{pyz_digest} {importlib.util.MAGIC_NUMBER.hex()} {sys.implementation.cache_tag}"


def build(pyz: str, target: str) -> None:
    """Unpack a program into `target` and compile it: no source, no docstrings, so that nothing is compiled at start (saves 2 MB there).

    Raises OSError, SyntaxError, or zipfile's errors on a damaged archive.
    """
    import ast
    import zipfile

    os.makedirs(target, exist_ok=True)
    with zipfile.ZipFile(pyz) as archive:
        if archive.testzip() is not None:
            raise zipfile.BadZipFile(f"{pyz} is damaged")
        for name in sorted(archive.namelist()):
            if name.endswith(".py") and name.startswith("penstock/") and ".." not in name:
                tree = ast.parse(archive.read(name))
                strip(tree)
                _write_code(compile(tree, name, "exec", dont_inherit=True), os.path.join(target, f"{name}c"))
    _write_code(compile(START_SOURCE, START[:-1], "exec", dont_inherit=True), os.path.join(target, START))
    for folder, _, _ in os.walk(target):
        sync(folder)
    write(os.path.join(target, "built"), f"{built_for(sha256(pyz))}\n")


def strip(tree: object) -> None:
    """Remove docstrings; asserts stay."""
    import ast

    for node in ast.walk(tree):  # type: ignore[arg-type]
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass(lineno=1, col_offset=0, end_lineno=1, end_col_offset=0)]


def _write_code(code: CodeType, path: str) -> None:
    import importlib.util
    import marshal

    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as target:
        # PEP 552: flags 0, no time and no size of a source, because there is none beside it.
        target.write(importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(code))
        target.flush()
        os.fsync(target.fileno())


# --- slots ----------------------------------------------------------------------------------------------------------


class Slots:
    """The two slots of one data folder."""

    def __init__(self, data: str) -> None:
        self.data = data
        self.root = os.path.join(data, "slots")

    def path(self, *names: str) -> str:
        return os.path.join(self.root, *names)

    def usable(self, slot: str) -> bool:
        return slot in SLOTS and os.path.isfile(self.path(slot, PROGRAM))

    def current(self) -> str:
        slot = read(self.path("current"))
        return slot if self.usable(slot) else ""

    def confirmed(self) -> str:
        slot = read(self.path("confirmed"))
        return slot if self.usable(slot) else ""

    def attempts(self, slot: str) -> int:
        words = read(self.path("trial")).split()
        return int(words[1]) if len(words) == 2 and words[0] == slot and words[1].isdigit() else 0

    def refused(self) -> list[str]:
        return read(self.path("refused")).split()

    def place(self, pyz: str, slot: str) -> None:
        """Put a program into a slot. Raises OSError."""
        fresh = self.path(f".{slot}.new")
        remove(fresh)
        os.makedirs(fresh)
        with open(pyz, "rb") as source, open(os.path.join(fresh, PROGRAM), "wb") as target:
            while True:
                block = source.read(65536)
                if not block:
                    break
                target.write(block)
            target.flush()
            os.fsync(target.fileno())
        sync(fresh)
        # Not one step, but the slot is never the one in use, and a start in between finds the other.
        remove(self.path(slot))
        os.rename(fresh, self.path(slot))
        sync(self.root)

    def take_package(self) -> None:
        """Place the package's program if it is not the one placed last. Raises OSError."""
        if not os.path.isfile(PACKAGED):
            return
        digest = sha256(PACKAGED)
        if read(self.path("packaged")) == digest and self.current():
            return
        keep = self.confirmed() or self.current()  # never the slot that may be running
        slot = other(keep) if keep else "a"
        self.place(PACKAGED, slot)
        remove_file(self.path("trial"))
        write(self.path("current"), f"{slot}\n")
        write(self.path("packaged"), f"{digest}\n")
        say(f"the installed program went into slot {slot}")

    def give_up(self, slot: str, why: str) -> str:
        """Go back to the confirmed slot; its name. Raises OSError."""
        good = other(slot)
        digest = sha256(self.path(slot, PROGRAM))
        if digest not in self.refused():
            write(self.path("refused"), "\n".join([*self.refused()[-19:], digest]) + "\n")
        write(self.path("current"), f"{good}\n")
        remove_file(self.path("trial"))
        say(f"the program in slot {slot} {why}; going back to slot {good}")
        return good

    def choose(self) -> str:
        """The slot to start now, "" when there is none; counts the attempt of a program on trial. Raises OSError."""
        slot = self.current() or self.confirmed() or next((one for one in SLOTS if self.usable(one)), "")
        if not slot or not self.on_trial(slot):
            return slot
        tried = self.attempts(slot)
        if tried >= ATTEMPTS:
            return self.give_up(slot, f"did not prove itself in {tried} starts")
        write(self.path("trial"), f"{slot} {tried + 1}\n")
        return slot

    def on_trial(self, slot: str) -> bool:
        """Whether this slot is unproven and the other is a proven way back."""
        return self.confirmed() == other(slot)

    def library(self, slot: str) -> str:
        """The compiled program of a slot, compiled first where it is missing or made for another interpreter; "" if that cannot be."""
        pyz, lib = self.path(slot, PROGRAM), self.path(slot, "lib")
        try:
            if read(os.path.join(lib, "built")) == built_for(sha256(pyz)):
                return lib
            fresh = self.path(slot, "lib.new")
            remove(fresh)
            build(pyz, fresh)
            remove(lib)
            os.rename(fresh, lib)
        except Exception as fault:  # noqa: BLE001 - whatever is wrong with the copy, the program itself may still run
            say(f"slot {slot} could not be compiled ({type(fault).__name__}: {fault}); it is started as it is and takes more memory")
            return ""
        return lib


def other(slot: str) -> str:
    return SLOTS[1 - SLOTS.index(slot)]


def remove_file(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


# --- starting -------------------------------------------------------------------------------------------------------


def data_folder(arguments: list[str]) -> str:
    for position, word in enumerate(arguments):
        if word == "--data-dir" and position + 1 < len(arguments):
            return arguments[position + 1]
        if word.startswith("--data-dir="):
            return word.partition("=")[2]
    return os.environ.get("PENSTOCK_DATA_DIR") or DATA


def interpreter() -> list[str]:
    return [sys.executable, "-I", "-S"]


def become(program: str, arguments: list[str], slot: str) -> None:
    environment = dict(os.environ)
    environment.pop("PENSTOCK_SLOT", None)
    if slot:
        environment["PENSTOCK_SLOT"] = slot
    os.execve(sys.executable, [*interpreter(), program, *arguments], environment)


def watch(slots: Slots, slot: str) -> None:
    """Leave a process behind that ends the agent when its trial's deadline passes. Returns in the process that becomes the agent."""
    agent = os.getpid()
    stays = getattr(os, "pidfd_open", None)
    try:
        handle = stays(agent) if stays is not None else -1
    except OSError:
        handle = -1
    if handle < 0:
        say("this kernel cannot watch the trial of a new program; only failed starts are counted")
        return
    child = os.fork()
    if child:
        os.close(handle)
        os.waitpid(child, 0)
        return
    # The grandchild is nobody's child, so that the agent does not find a process it did not start.
    if os.fork():
        os._exit(0)
    try:
        _watch(slots, slot, handle)
    finally:
        os._exit(0)


def _watch(slots: Slots, slot: str, agent: int) -> None:
    import select

    def ended(seconds: float) -> bool:
        poll = select.poll()
        poll.register(agent, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if ended(min(LOOK_S, max(0.01, deadline - time.monotonic()))) or slots.confirmed() == slot:
            return
    if slots.confirmed() == slot:
        return
    say(f"the program in slot {slot} has not checked in within {DEADLINE_S:.0f} s")
    write(slots.path("trial"), f"{slot} {ATTEMPTS}\n")
    signal.pidfd_send_signal(agent, signal.SIGTERM)
    if not ended(GRACE_S):
        signal.pidfd_send_signal(agent, signal.SIGKILL)


def prepare(slots: Slots) -> str:
    """Everything before a start of the resident agent; the slot to start."""
    try:
        os.makedirs(slots.data, mode=0o700, exist_ok=True)
        os.makedirs(slots.root, mode=0o755, exist_ok=True)
        slots.take_package()
    except OSError as fault:
        say(f"the installed program could not be placed ({fault}); going on with what is there")
    try:
        return slots.choose()
    except OSError as fault:
        # Attempts cannot be counted on storage that cannot be written: then only a proven program is started.
        say(f"the trial cannot be recorded ({fault})")
        return slots.confirmed() or slots.current()


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--build"]:
        build(arguments[1], arguments[2])
        return 0
    slots = Slots(data_folder(arguments))
    if arguments[:1] == ["run"]:
        slot = prepare(slots)
        lib = slots.library(slot) if slot else ""
        if slot and slots.on_trial(slot):
            watch(slots, slot)
    else:
        slot = slots.current()
        lib = slots.path(slot, "lib") if slot and read(slots.path(slot, "lib", "built")) == built_for(sha256(slots.path(slot, PROGRAM))) else ""
    program = os.path.join(lib, START) if lib else slots.path(slot, PROGRAM) if slot else PACKAGED
    if not os.path.isfile(program):
        say(f"there is no program to start: neither in {slots.root} nor at {PACKAGED}; install the package penstock-agent again")
        return 1
    become(program, arguments, slot)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
