"""The stone: all that is left of an agent whose device was retired, so that it does not begin anew by itself.

Owns that file and the destruction it stands for: written first, then every file of the agent goes, keys last. A kill in between is followed by the
rest of it at the next start. Keys are written over before they are unlinked; what a flash chip keeps of the old cells is out of a program's reach.
"""

from __future__ import annotations

import os

from penstock.agent.places import read_file, remove_file, sync_folder, write_file
from penstock.wire.codec import WireError, decode, encode
from penstock.wire.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from penstock.agent.places import Places

KEPT = frozenset(("retired.json", "slots", "run", "identity"))  # the program and the socket in use stay; identity goes last


@record
class Stone:
    """What is on it: who this was, when (the device's time, unix ms), by whose order, and what was done."""

    device: str
    name: str
    at_ms: int
    by: str
    said: tuple[str, ...] = ()

    def why(self) -> str:
        """One sentence for a person."""
        return f"this device was {self.name} and was retired by {self.by}: {'; '.join(self.said)}; its keys are gone"


def read(places: Places) -> Stone | None:
    """The stone, None where there is none. One that cannot be read is one all the same."""
    raw = read_file(places.stone, 65536)
    if raw is None:
        return None
    try:
        return decode(Stone, raw)
    except WireError:
        return Stone("", "a device", 0, "an order that cannot be read any more")


def bury(places: Places, stone: Stone) -> None:
    """Write the stone, then destroy. Raises OSError."""
    write_file(places.stone, encode(stone))
    destroy(places)


def destroy(places: Places) -> None:
    """Remove everything of the agent but the stone and the program; done again it does the rest. Raises OSError."""
    for name in sorted(os.listdir(places.data)):
        if name not in KEPT:
            _remove(f"{places.data}/{name}")
    if os.path.isdir(places.identity):
        for name in sorted(os.listdir(places.identity)):
            path = f"{places.identity}/{name}"
            if not os.path.islink(path):
                _overwrite(path)
            remove_file(path)
    sync_folder(places.data)


def lift(places: Places) -> bool:
    """A person enrols this machine anew: the stone goes. Whether there was one."""
    if not os.path.exists(places.stone):
        return False
    destroy(places)
    remove_file(places.stone)
    return True


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        from shutil import rmtree  # costs half a megabyte, which the resident agent has no use for

        rmtree(path)
    else:
        os.unlink(path)


def _overwrite(path: str) -> None:
    number = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(number, bytes(os.fstat(number).st_size))
        os.fsync(number)
    finally:
        os.close(number)
