"""A numbered place for each engine that tests start: folder, bridge and addresses, held by a file lock, so that several runs may go on at once on one machine.

Owns taking a slot, giving it back, and cleaning up what a run that died has left in it: processes, mounts, links, rules of the kernel, data. Ends processes
by id only, and only those that name the slot's folder or live in its mount namespace. Never starts an engine.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.needs import which

BASE = Path("/var/tmp/penstock-engines")
SLOTS = 60


class EngineFailed(RuntimeError):
    """An engine did not do what a fixture asked; the message ends with the tail of its log."""


@dataclass
class Slot:
    """A numbered place for one engine: folder, names and addresses that no other run uses at the same time."""

    number: int
    path: Path
    _lock: int

    @property
    def subnet(self) -> str:
        return f"10.{128 + self.number}"

    @property
    def bridge(self) -> str:
        return f"pnk{self.number}"

    @property
    def accelerators(self) -> Path:
        """The folder whose nodes `nvidia0` and so on are the accelerators of this engine. It stands for the device's /dev."""
        folder = self.path / "accelerators"
        folder.mkdir(exist_ok=True)
        return folder

    def forward(self, action: str) -> bool:
        """Let this slot's containers reach each other ("-I"), or take that back ("-D"), whatever another engine made of the host's FORWARD chain."""
        network = f"{self.subnet}.0.0/16"
        rule = ["FORWARD", "-s", network, "-d", network, "-m", "comment", "--comment", f"penstock-tests-{self.number}", "-j", "ACCEPT"]
        done = subprocess.run([str(which("iptables")), "-w", "10", action, *rule], capture_output=True, check=False)
        return done.returncode == 0

    def release(self) -> None:
        _wipe(self)
        os.close(self._lock)


def take_slot() -> Slot:
    """The lowest free slot, cleaned of whatever a dead run left in it."""
    BASE.mkdir(parents=True, exist_ok=True)
    for number in range(SLOTS):
        lock = os.open(BASE / f"{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            continue
        slot = Slot(number, BASE / str(number), lock)
        _wipe(slot)
        slot.path.mkdir(parents=True)
        slot.forward("-I")
        return slot
    raise EngineFailed(f"all {SLOTS} engine slots under {BASE} are taken")


def mentions(pid: str, needle: bytes) -> bool:
    """Whether a process's command line names it."""
    with contextlib.suppress(OSError):
        return needle in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def _lives_in(pid: str, slot: Slot) -> bool:
    """Whether a process sees the slot's private folders: what an engine started there may name nothing of the slot (a name server of CNI)."""
    with contextlib.suppress(OSError):
        if Path(f"/proc/{pid}/ns/mnt").readlink() != Path("/proc/self/ns/mnt").readlink():
            return f"/{BASE.name}/{slot.number}/private/" in Path(f"/proc/{pid}/mountinfo").read_text()
    return False


def _wipe(slot: Slot) -> None:
    """End every process that names this slot's folder or sees its private ones, unmount, delete links and data."""
    needle = f"{slot.path}/".encode()
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for _ in range(30):
            others = [each.name for each in Path("/proc").iterdir() if each.name.isdigit() and int(each.name) != os.getpid()]
            pids = [pid for pid in others if mentions(pid, needle) or _lives_in(pid, slot)]
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), sign)
            if not pids:
                break
            time.sleep(0.1)
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in reversed([m for m in mounts if m.startswith(f"{slot.path}/")]):
        subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
    ip = which("ip")
    if ip is not None and os.geteuid() == 0:
        # Networks that a test created: their bridges carry an address of this slot's range.
        shown = subprocess.run([ip, "-o", "-4", "addr"], check=False, capture_output=True, text=True).stdout
        for line in shown.splitlines():
            if f" {slot.subnet}." in line:
                subprocess.run([ip, "link", "del", line.split()[1]], check=False, capture_output=True)
        subprocess.run([ip, "link", "del", slot.bridge], check=False, capture_output=True)
        while slot.forward("-D"):
            pass
        _forget_ports(slot)
    if slot.path.exists():
        subprocess.run(["chattr", "-R", "-i", str(slot.path)], check=False, capture_output=True)
        shutil.rmtree(slot.path, ignore_errors=True)
        shutil.rmtree(slot.path, ignore_errors=True)


def _forget_ports(slot: Slot) -> None:
    """Take back what CNI's plugins told the kernel of containers that ended with their engine. A published port left behind catches whoever listens there next."""

    def nat(*words: str) -> str:
        return subprocess.run([str(which("iptables")), "-w", "10", "-t", "nat", *words], check=False, capture_output=True, text=True).stdout

    rules = [shlex.split(line) for line in nat("-S").splitlines()]
    told = [rule[1:] for rule in rules if rule[0] == "-A" and any(word.startswith(f"{slot.subnet}.") for word in rule)]
    chains = {chain for chain, *_ in told if chain.startswith("CNI-")} | {rule[-1] for rule in told if rule[-1].startswith("CNI-")}
    chains = {chain for chain in chains if not chain.startswith("CNI-HOSTPORT-")}
    for rule in rules:
        if rule[0] == "-A" and rule[1] not in chains and (rule[1:] in told or rule[-1] in chains):
            nat("-D", *rule[1:])
    for act in ("-F", "-X"):
        for chain in sorted(chains):
            nat(act, chain)
