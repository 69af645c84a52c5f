"""Reading and putting back a volume's data through the engine's archive API.

Owns the helper container that lends a volume to that API (made, never started, removed), and the streams. Works wherever the socket is,
so from an agent in a container too. Never decides which volume is copied, and never touches one while a container writes to it: that is
the planner's order.
"""

from __future__ import annotations

import hashlib

from penstock.agent.http1 import HttpError
from penstock.agent.runtimes import RuntimeFault, VolumeCopy
from penstock.agent.runtimes.dockerorders import HELPER_TARGET, helper_body
from penstock.agent.runtimes.engine import EngineError, fault_of, query, quoted
from penstock.agent.runtimes.tarwatch import TarFault, TarWatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from typing_extensions import Self

    from penstock.agent.runtimes.engine import EngineClient

LABEL_HELPER = "penstock.helper"
COPY_S = 6 * 3600.0  # the longest one volume may take
CHUNK = 256 * 1024


class Helper:
    """A never-started container that mounts one volume. Use as a context manager: it is removed at the end, whatever happened.

    Its name follows from the volume's, so that one left behind by a crash is found and replaced."""

    def __init__(self, client: EngineClient, version: str, image: str, volume: str) -> None:
        self._client = client
        self._version = version
        self._image = image
        self._volume = volume
        self.name = "penstock-helper-" + hashlib.sha256(volume.encode("utf-8")).hexdigest()[:16]

    def __enter__(self) -> Self:
        self._remove()
        body = helper_body(self._image, self._volume, {LABEL_HELPER: self._volume})
        try:
            self._client.call("POST", f"{self._version}/containers/create{query(name=self.name)}", f"reaching into volume {self._volume}", body=body)
        except EngineError as error:
            raise fault_of(error) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def _remove(self) -> None:
        try:
            self._client.call("DELETE", f"{self._version}/containers/{self.name}{query(force=True, v=True)}", "removing a helper container")
        except EngineError as error:
            if error.status != 404:
                raise fault_of(error) from None

    def read(self, limit: int) -> Iterator[bytes]:
        """The volume as tar, root first. Raises RuntimeFault, "too-large" past `limit` bytes."""
        doing = f"reading volume {self._volume}"
        target = f"{self._version}/containers/{self.name}/archive{query(path=f'/{HELPER_TARGET}/.')}"
        with self._client.connect(COPY_S) as connection:
            total = 0
            try:
                for piece in self._client.send(connection, "GET", target, doing, timeout_s=COPY_S).chunks():
                    total += len(piece)
                    if total > limit:
                        raise RuntimeFault("too-large", f"the copy of volume {self._volume} passes the {limit} bytes set aside for it", retry=False)
                    yield piece
            except HttpError as fault:
                raise self._client.broken(fault, doing) from None
            except EngineError as error:
                raise fault_of(error) from None

    def write(self, pieces: Iterator[bytes]) -> None:
        """Unpack a tar into the volume."""
        doing = f"putting volume {self._volume} back"
        target = f"{self._version}/containers/{self.name}/archive{query(path=f'/{HELPER_TARGET}', copyUIDGID=True, noOverwriteDirNonDir=False)}"
        with self._client.connect(COPY_S) as connection:
            try:
                self._client.send(connection, "PUT", target, doing, body=pieces, headers={"Content-Type": "application/x-tar"}, timeout_s=COPY_S).read(65536)
            except HttpError as fault:
                raise self._client.broken(fault, doing) from None
            except EngineError as error:
                raise fault_of(error) from None


def has_data(helper: Helper) -> bool:
    """Whether the volume holds anything. Reads no further than the first entry that says so."""
    watch = TarWatch(HELPER_TARGET)
    pieces = helper.read(2**62)
    try:
        for piece in pieces:
            watch.feed(piece)
            if watch.data_entries:
                return True
    except TarFault as fault:
        raise RuntimeFault("engine-error", f"the engine's copy of the volume cannot be read: {fault}", retry=True) from None
    finally:
        pieces.close()  # type: ignore[attr-defined]
    _must_be_whole(watch)
    return False


def export(helper: Helper, out: BinaryIO, limit: int) -> VolumeCopy:
    """Write the volume's tar to `out`. An archive without its proper end is a fault: engines end a broken-off one like a whole one."""
    watch, state, total = TarWatch(HELPER_TARGET), hashlib.sha256(), 0
    try:
        for piece in helper.read(limit):
            watch.feed(piece)
            state.update(piece)
            total += len(piece)
            out.write(piece)
    except TarFault as fault:
        raise RuntimeFault("engine-error", f"the engine's copy of the volume cannot be read: {fault}", retry=True) from None
    except OSError as fault:
        raise RuntimeFault("no-space", f"the copy of the volume cannot be written: {fault.strerror or fault}", retry=True) from None
    _must_be_whole(watch)
    return VolumeCopy(bytes=total, sha256="sha256:" + state.hexdigest(), entries=watch.entries)


def _must_be_whole(watch: TarWatch) -> None:
    if not watch.whole:
        raise RuntimeFault("engine-error", "the engine's copy of the volume broke off before its end", retry=True)


def must_be_whole(source: BinaryIO) -> None:
    """Read an exported tar to its end and go back to where it began: nothing is given up for a copy that is not whole. Raises RuntimeFault."""
    watch = TarWatch(HELPER_TARGET)
    try:
        start = source.tell()
        for piece in _pieces(source):
            watch.feed(piece)
        source.seek(start)
    except (TarFault, OSError) as fault:
        raise RuntimeFault("not-restorable", f"the kept copy of the volume cannot be read: {fault}", retry=False) from None
    if not watch.whole:
        raise RuntimeFault("not-restorable", "the kept copy of the volume is not whole", retry=False)


def fill(helper: Helper, source: BinaryIO) -> None:
    """Unpack an exported tar into the volume."""
    helper.write(_pieces(source))


def _pieces(source: BinaryIO) -> Iterator[bytes]:
    while True:
        piece = source.read(CHUNK)
        if not piece:
            return
        yield piece


def volume_target(version: str, name: str) -> str:
    """The path of one volume."""
    return f"{version}/volumes/{quoted(name)}"
