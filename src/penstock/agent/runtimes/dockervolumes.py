"""Reading and putting back a volume's data: owners, modes, times, links, deletions.

Owns the helper container that lends a volume to the engine's archive API (made, never started, removed), and the streams. What differs: Docker's
API reads a volume as it is, from wherever the socket is reached; Podman's gives every file one owner on the way out (4.3 to 5), so there the
folder itself is read, which an agent in a container must be given to see. Never decides which volume is copied, and
never touches one while a container writes to it: that is the planner's order.
"""

from __future__ import annotations

import hashlib
import os

from penstock.agent.http1 import HttpError
from penstock.agent.runtimes import RuntimeFault, VolumeCopy
from penstock.agent.runtimes.dockerorders import HELPER_FOLDER, HELPER_VOLUME, helper_body
from penstock.agent.runtimes.engine import EngineError, fault_of, query, quoted
from penstock.agent.runtimes.tarwatch import TarFault, TarWatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from typing_extensions import Self

    from penstock.agent.runtimes.engine import EngineClient

LABEL_HELPER = "penstock.helper"
ROOT = "_data"  # what both engines call the folder of a local volume, and so the root of every exported archive
COPY_S = 6 * 3600.0  # the longest one volume may take
CHUNK = 256 * 1024


class Helper:
    """A never-started container that mounts one volume. Use as a context manager: it is removed at the end, whatever happened.

    Its name follows from the volume's, so that one left behind by a crash is found and replaced."""

    def __init__(self, client: EngineClient, version: str, image: str, volume: str, mountpoint: str) -> None:
        folder, _, leaf = mountpoint.rpartition("/")
        self._client = client
        self._version = version
        self._image = image
        self._volume = volume
        self._folder = folder if leaf == ROOT else ""
        self.name = "penstock-helper-" + hashlib.sha256(volume.encode("utf-8")).hexdigest()[:16]

    def __enter__(self) -> Self:
        self._remove()
        body = helper_body(self._image, self._volume, self._folder, {LABEL_HELPER: self._volume})
        try:
            self._client.call("POST", f"{self._version}/containers/create{query(name=self.name)}", f"reaching into volume {self._volume}", body=body)
        except EngineError as error:
            raise fault_of(error) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def _remove(self) -> None:
        try:
            self._client.call("DELETE", f"{self._version}/containers/{self.name}{query(force=True)}", "removing a helper container")
        except EngineError as error:
            if error.status != 404:
                raise fault_of(error) from None

    def need_folder(self) -> None:
        """Raises RuntimeFault where the engine does not say where the volume lies."""
        if not self._folder:
            raise RuntimeFault("not-restorable", f"the engine does not tell where volume {self._volume} lies, so it cannot be put back as it was", retry=False)

    def settle(self) -> None:
        """Podman gives a new volume the image's owner and mode at its first use, over what was put back: this use is the first, without an
        image's folder behind it. Its failing leaves that one flaw; the data is right all the same, so it does not stop a way back."""
        try:
            self._client.call("POST", f"/v4.0.0/libpod/containers/{self.name}/init", f"preparing volume {self._volume}", timeout_s=120.0)
        except EngineError:
            return

    def read(self, path: str, limit: int) -> Iterator[bytes]:
        """A path of the helper as tar. Raises RuntimeFault, "too-large" past `limit` bytes."""
        target = f"{self._version}/containers/{self.name}/archive{query(path=path)}"
        return stream(self._client, target, self._volume, limit)

    def write(self, pieces: Iterator[bytes]) -> None:
        """Unpack an archive whose root is the volume's folder. `copyUIDGID` false: both engines then keep the archive's owners."""
        doing = f"putting volume {self._volume} back"
        target = f"{self._version}/containers/{self.name}/archive{query(path='/' + HELPER_FOLDER, copyUIDGID=False, noOverwriteDirNonDir=False)}"
        with self._client.connect(COPY_S) as connection:
            try:
                headers = {"Content-Type": "application/x-tar"}
                self._client.send(connection, "PUT", target, doing, body=pieces, headers=headers, timeout_s=COPY_S).read(65536)
            except HttpError as fault:
                raise self._client.broken(fault, doing) from None
            except EngineError as error:
                raise fault_of(error) from None


def stream(client: EngineClient, target: str, volume: str, limit: int) -> Iterator[bytes]:
    """The pieces of an archive the engine sends. Raises RuntimeFault, "too-large" past `limit` bytes; EngineError where it sends none."""
    doing = f"reading volume {volume}"
    with client.connect(COPY_S) as connection:
        total = 0
        try:
            for piece in client.send(connection, "GET", target, doing, timeout_s=COPY_S).chunks():
                total += len(piece)
                if total > limit:
                    raise _too_large(volume, limit)
                yield piece
        except HttpError as fault:
            raise client.broken(fault, doing) from None


def _too_large(volume: str, limit: int) -> RuntimeFault:
    return RuntimeFault("too-large", f"the copy of volume {volume} passes the {limit} bytes set aside for it", retry=False)


# --- has it data? -------------------------------------------------------------------------------------------------------


def has_data(helper: Helper) -> bool:
    """Whether the volume holds anything. Reads no further than the first entry that says so."""
    watch = TarWatch(HELPER_VOLUME)
    pieces = helper.read(f"/{HELPER_VOLUME}/.", 2**62)
    try:
        for piece in pieces:
            watch.feed(piece)
            if watch.data_entries:
                return True
    except TarFault as fault:
        raise RuntimeFault("engine-error", f"the engine's copy of the volume cannot be read: {fault}", retry=True) from None
    except EngineError as error:
        raise fault_of(error) from None
    finally:
        pieces.close()  # type: ignore[attr-defined]
    if not watch.whole:
        raise _broken_off()
    return False


# --- out ----------------------------------------------------------------------------------------------------------------


class Sink:
    """Where an archive goes: written, counted, hashed and watched on its way, never past its limit."""

    def __init__(self, volume: str, out: BinaryIO, limit: int) -> None:
        self._volume = volume
        self._out = out
        self._limit = limit
        self._hash = hashlib.sha256()
        self._watch = TarWatch(ROOT)
        self._bytes = 0

    def write(self, piece: bytes) -> int:
        """Take a piece. Raises RuntimeFault."""
        self._bytes += len(piece)
        if self._bytes > self._limit:
            raise _too_large(self._volume, self._limit)
        try:
            self._watch.feed(piece)
            self._out.write(piece)
        except TarFault as fault:
            raise RuntimeFault("engine-error", f"the copy of volume {self._volume} cannot be read: {fault}", retry=True) from None
        except OSError as fault:
            raise RuntimeFault("no-space", f"the copy of volume {self._volume} cannot be written: {fault.strerror or fault}", retry=True) from None
        self._hash.update(piece)
        return len(piece)

    def result(self) -> VolumeCopy:
        """What was copied. An archive without its proper end is a fault: engines end a broken-off one like a whole one."""
        if not self._watch.whole or self._watch.astray:
            raise _broken_off()
        return VolumeCopy(bytes=self._bytes, sha256="sha256:" + self._hash.hexdigest(), entries=self._watch.entries)


def _broken_off() -> RuntimeFault:
    return RuntimeFault("engine-error", "the engine's copy of the volume broke off before its end", retry=True)


def export(helper: Helper, sink: Sink) -> VolumeCopy:
    """Copy through the archive API (Docker)."""
    helper.need_folder()
    try:
        for piece in helper.read(f"/{HELPER_FOLDER}/{ROOT}", 2**62):
            sink.write(piece)
    except EngineError as error:
        raise fault_of(error) from None
    return sink.result()


def export_folder(volume: str, mountpoint: str, sink: Sink) -> VolumeCopy:
    """Copy from the volume's folder, where it can be seen from here (Podman)."""
    if mountpoint.endswith("/" + ROOT) and os.path.isdir(mountpoint):
        _pack(mountpoint, volume, sink)
        return sink.result()
    raise RuntimeFault(
        "not-restorable",
        f"Podman's API does not tell the owners of files, and the agent does not see the folder of volume {volume}; run the agent on the "
        f"host, or mount {mountpoint.rpartition('/')[0].rpartition('/')[0] or 'its volumes folder'} into the agent's container at the same path",
        retry=False,
    )


def _pack(folder: str, volume: str, sink: Sink) -> None:
    import tarfile  # a megabyte and a half, paid by the short-lived child that copies

    try:
        with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT, dereference=False) as archive:  # type: ignore[call-overload]
            archive.add(folder, arcname=ROOT)
    except OSError as fault:
        raise RuntimeFault("engine-error", f"volume {volume} cannot be read: {fault}", retry=True) from None


# --- back ---------------------------------------------------------------------------------------------------------------


def must_be_whole(source: BinaryIO) -> None:
    """Read an exported archive to its end and go back to where it began: nothing is given up for a copy that is not whole. Raises RuntimeFault."""
    watch = TarWatch(ROOT)
    try:
        start = source.tell()
        for piece in _pieces(source):
            watch.feed(piece)
        source.seek(start)
    except (TarFault, OSError) as fault:
        raise RuntimeFault("not-restorable", f"the kept copy of the volume cannot be read: {fault}", retry=False) from None
    if not watch.whole:
        raise RuntimeFault("not-restorable", "the kept copy of the volume is not whole", retry=False)
    if watch.astray:
        raise RuntimeFault("not-restorable", f"the kept copy holds {watch.astray[:80]!r}, which does not belong to the volume", retry=False)


def fill(helper: Helper, source: BinaryIO, *, podman: bool) -> None:
    """Unpack an exported archive into the volume, which is new and empty."""
    helper.need_folder()
    if podman:
        helper.settle()
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
