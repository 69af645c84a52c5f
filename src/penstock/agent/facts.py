"""What this device can say of itself: name, processor, memory, disk, Python, platforms it can run.

Owns the reading of /proc and uname. What the engine says of itself comes from the runtime and is joined here. Facts may exclude a device
from a release, never include it, so a wrong one costs a refusal and no more.
"""

from __future__ import annotations

import os
import sys

from penstock import __version__
from penstock.wire.messages import Facts
from penstock.wire.version import READS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from penstock.wire.messages import Engine

_PLATFORMS = {
    "x86_64": ("linux/amd64",),
    "aarch64": ("linux/arm64",),
    "armv8l": ("linux/arm/v7", "linux/arm/v6"),
    "armv7l": ("linux/arm/v7", "linux/arm/v6"),
    "armv6l": ("linux/arm/v6",),
    "i686": ("linux/386",),
    "i586": ("linux/386",),
    "riscv64": ("linux/riscv64",),
    "ppc64le": ("linux/ppc64le",),
    "s390x": ("linux/s390x",),
}
_PER_LINUX32 = 8


def platforms(machine: str) -> tuple[str, ...]:
    """The OCI platforms this kernel runs, best first, from uname's machine; 32-bit ones beside a 64-bit one only where the kernel
    itself says that it runs them."""
    base = _PLATFORMS.get(machine, (f"linux/{machine}",))
    if machine == "x86_64" and os.path.exists("/proc/sys/abi/vsyscall32"):
        return (*base, "linux/386")
    if machine == "aarch64" and _runs_32bit_arm():
        return (*base, "linux/arm/v7", "linux/arm/v6")
    return base


def _runs_32bit_arm() -> bool:
    """arm64 kernels refuse the 32-bit personality where the processor has no 32-bit mode."""
    import ctypes

    libc = ctypes.CDLL(None)
    before = libc.personality(ctypes.c_ulong(0xFFFFFFFF))
    if libc.personality(ctypes.c_ulong(_PER_LINUX32)) < 0:
        return False
    libc.personality(ctypes.c_ulong(before))
    return True


def memory_bytes() -> int:
    """The machine's memory, 0 where it cannot be told."""
    try:
        with open("/proc/meminfo", encoding="ascii") as source:
            for line in source:
                if line.startswith("MemTotal:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        return 0
    return 0


def disk_bytes(path: str) -> int:
    """The size of the file system that `path` lies on, 0 where it cannot be told."""
    try:
        stat = os.statvfs(path)
    except OSError:
        return 0
    return stat.f_blocks * stat.f_frsize


NODES = (
    "ttyUSB",
    "ttyACM",
    "ttyAMA",
    "ttyTHS",
    "ttymxc",
    "video",
    "media",
    "i2c-",
    "spidev",
    "gpiochip",
    "hidraw",
    "nvidia",
    "kfd",
    "apex_",
    "hailo",
    "kvm",
    "fuse",
)
FOLDERS = {"dri": ("card", "renderD"), "accel": ("accel",), "net": ("tun",), "serial/by-id": ("",)}
MOST_NODES = 64
VARIABLE = "PENSTOCK_DEV"  # where an agent in a container is shown the device's /dev
INSIDE = ("/.dockerenv", "/run/.containerenv")  # files that engines put into containers


def nodes() -> tuple[str, ...] | None:
    """The device nodes that apps may want, sorted, at most 64; None inside a container, whose own they would be, unless it was said where the device's are."""
    root = os.environ.get(VARIABLE, "")
    if not root and any(os.path.exists(one) for one in INSIDE):
        return None
    return nodes_in(root or "/dev")


def nodes_in(root: str) -> tuple[str, ...]:
    """The same in a folder that is, or shows, the device's /dev."""
    found = []
    for folder, beginnings in (("", NODES), *FOLDERS.items()):
        try:
            names = os.listdir(f"{root}/{folder}" if folder else root)
        except OSError:
            continue
        found += [f"/dev/{folder}/{name}" if folder else f"/dev/{name}" for name in names if name.startswith(beginnings) and len(name) < 200]
    return tuple(sorted(found)[:MOST_NODES])


def default_name(hostname: str) -> str:
    """A device name out of a host name: lower case, what no name may have becomes "-"; "device" where nothing is left."""
    safe = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "-" for letter in hostname.lower())
    return safe[:63].strip("-_.") or "device"


def facts(data: str, engine: Engine | None = None, engine_platforms: tuple[str, ...] = ()) -> Facts:
    """The facts, with what the engine said where it was asked: its platforms, narrowed to what the kernel runs, count more than uname's."""
    uname = os.uname()
    ours = platforms(uname.machine)
    return Facts(
        hostname=uname.nodename[:255],
        platforms=engine_platforms or ours,
        agent=__version__,
        python=f"{sys.version_info[0]}.{sys.version_info[1]}.{sys.version_info[2]}",
        kernel=uname.release[:128],
        cpus=os.cpu_count() or 0,
        memory_bytes=memory_bytes(),
        disk_bytes=disk_bytes(data),
        engine=engine,
        nodes=nodes(),
        reads=READS,
    )
