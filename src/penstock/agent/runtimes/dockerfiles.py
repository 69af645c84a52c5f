"""Files put into a container that was made and not started: Compose's configs and secrets.

Owns the archive that carries them and the folders made for them. A folder that is there keeps its owner and mode. The content stands nowhere else on the
device, so a container that is made anew gets it anew. Where Docker's container is read-only, `dockershelf` does it. Never decides what stands in a file.
"""

from __future__ import annotations

import base64

from penstock.agent.http1 import HttpError
from penstock.agent.runtimes import RuntimeFault
from penstock.agent.runtimes.engine import EngineError, fault_of, query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.agent.runtimes.engine import EngineClient
    from penstock.wire.options import File
    from penstock.wire.types import Service

BLOCK = 512


def content_of(file: File, secrets: Mapping[str, bytes]) -> bytes:
    """The bytes of a file; `secrets` maps the targets of sealed ones to their opened values. Raises RuntimeFault."""
    if file.secret:
        if file.target not in secrets:
            raise RuntimeFault("bad-settings", f"the secret {file.secret} for {file.target} did not come with the release", retry=False)
        return secrets[file.target]
    try:
        return base64.b64decode(file.content, validate=True)
    except ValueError:
        raise RuntimeFault("bad-settings", f"the content of {file.target} is not base64", retry=False) from None


def put(client: EngineClient, version: str, container: str, service: Service, secrets: Mapping[str, bytes]) -> None:
    """Write the service's files into the container. Idempotent. Raises RuntimeFault."""
    folders = _missing(client, version, container, sorted({_parent(file.target) for file in service.files}))
    made = b"".join(_header(folder[1:] + "/", 0, 0o755, 0, 0, b"5") for folder in folders)
    content = made + archive([(file.target[1:], file) for file in service.files], secrets)
    send(client, version, container, "/", content, f"putting files into the container of {service.name}")


def archive(files: list[tuple[str, File]], secrets: Mapping[str, bytes]) -> bytes:
    """Files by the names they get, as tar. Raises RuntimeFault."""
    pieces = []
    for name, file in files:
        data = content_of(file, secrets)
        pieces.append(_header(name, len(data), file.mode, file.uid, file.gid, b"0"))
        pieces.append(data + bytes(-len(data) % BLOCK))
    return b"".join(pieces) + bytes(2 * BLOCK)


def send(client: EngineClient, version: str, container: str, path: str, content: bytes, doing: str) -> None:
    """Unpack a tar at a path of a container. Raises RuntimeFault."""
    # `copyUIDGID` false: both engines then keep the archive's owners.
    target = f"{version}/containers/{container}/archive{query(path=path, copyUIDGID=False, noOverwriteDirNonDir=False)}"
    with client.connect(120.0) as connection:
        try:
            headers = {"Content-Type": "application/x-tar"}
            client.send(connection, "PUT", target, doing, body=content, headers=headers, timeout_s=120.0).read(65536)
        except HttpError as fault:
            raise client.broken(fault, doing) from None
        except EngineError as error:
            raise fault_of(error) from None


def _missing(client: EngineClient, version: str, container: str, folders: list[str]) -> list[str]:
    """Those folders, and the ones above them, that the container lacks; outer ones first."""
    missing: set[str] = set()
    there: set[str] = {"/"}
    for wanted in folders:
        folder = wanted
        while folder not in there and folder not in missing:
            if _exists(client, version, container, folder):
                there.add(folder)
            else:
                missing.add(folder)
                folder = _parent(folder)
    return sorted(missing)


def _exists(client: EngineClient, version: str, container: str, path: str) -> bool:
    doing = "looking for a folder in a container"
    with client.connect() as connection:
        try:
            client.send(connection, "HEAD", f"{version}/containers/{container}/archive{query(path=path)}", doing).read(65536)
        except HttpError as fault:
            raise client.broken(fault, doing) from None
        except EngineError as error:
            if error.status == 404:
                return False
            raise fault_of(error) from None
    return True


def _parent(path: str) -> str:
    return path.rstrip("/").rpartition("/")[0] or "/"


def _header(name: str, size: int, mode: int, uid: int, gid: int, kind: bytes) -> bytes:
    """A ustar header (POSIX.1-1988, tar). `tarfile` would cost a megabyte and a half for this one page."""
    raw = name.encode("utf-8")
    prefix = b""
    if len(raw) > 100:
        cut = raw.rfind(b"/", 0, len(raw) - 1)
        while cut > 0 and len(raw) - cut - 1 <= 100 and cut > 155:
            cut = raw.rfind(b"/", 0, cut)
        prefix, raw = raw[:cut], raw[cut + 1 :]
        if cut <= 0 or len(raw) > 100 or len(prefix) > 155:
            raise RuntimeFault("bad-settings", f"the path /{name[:80]}... of a file is too long to be put into a container", retry=False)
    head = b"".join(
        (
            raw.ljust(100, b"\0"),
            b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (mode, uid, gid, size, 0),
            b" " * 8,
            kind,
            bytes(100),
            b"ustar\x0000",
            bytes(64),
            b"%07o\0%07o\0" % (0, 0),
            prefix.ljust(155, b"\0"),
            bytes(12),
        )
    )
    return head[:148] + b"%06o\0 " % sum(head) + head[156:]
