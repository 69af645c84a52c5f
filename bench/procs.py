"""What the kernel says of processes: processor time, memory, bytes written; and how busy the machine is.

Owns reading /proc. Children are counted where a number is about a program and not about one process.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """The process and all its descendants that live now."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found += [int(word) for word in (task / "children").read_text().split()]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process with its threads and the children it has waited for, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(one) for one in fields[11:15]) / TICK


def rss_kib(pid: int) -> int:
    """Resident memory of a process and its descendants."""
    return sum(_status(one, "VmRSS:") for one in children(pid))


def peak_rss_kib(pid: int) -> int:
    """The most resident memory one process ever had."""
    return _status(pid, "VmHWM:")


def _status(pid: int, name: str) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1])
    return 0


def pss_kib(pid: int) -> int:
    """Proportional set size of a process and its descendants."""
    total = 0
    for one in children(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total


def pss_alone_kib(pid: int) -> int:
    """What `pss_kib` would be if nothing else on the machine mapped the same files: the pages of a file count in full, once for the process
    and its descendants together; a descendant adds only what is its own."""
    total = 0
    for one in children(pid):
        with contextlib.suppress(OSError):
            file = False
            for line in Path(f"/proc/{one}/smaps").read_text().splitlines():
                words = line.split()
                if not words[0].endswith(":"):
                    file = len(words) > 5 and words[5].startswith("/")
                elif file and one == pid:
                    total += int(words[1]) if words[0] == "Rss:" else 0
                elif file:
                    total += int(words[1]) if words[0] in ("Private_Clean:", "Private_Dirty:") else 0
                else:
                    total += int(words[1]) if words[0] == "Pss:" else 0
    return total


def written_bytes(pid: int) -> int:
    """Bytes a process, its living children and those it has waited for have sent to block devices. (The kernel adds a waited-for child's to its
    parent's.)"""
    total = 0
    for one in children(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{one}/io").read_text().splitlines():
                if line.startswith("write_bytes:"):
                    total += int(line.split()[1])
    return total


def busy() -> str:
    """The machine's load just now, for the `how` of a number."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the end"
