"""The built-in registry's storage on a file system: blobs by digest, repositories as links to them, uploads.

Owns the layout below one folder, its durability and its sweep. The files are the truth, there is no index beside them: a backup is a
copy, and a crash leaves at most an upload to throw away. Never decides who may see what, beyond "only through a repository".

    blobs/<2 hex>/<64 hex>                     content, never changed
    repositories/<name, '/' as '+'>/blobs/<hex>       this repository has the blob (empty file; its time is its last use)
                                   /manifests/<hex>   the manifest's media type
                                   /tags/<tag>        a digest
                                   /referrers/<subject's hex>/<hex>
    uploads/<id>/repository, data
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from penstock.server.core.attached import subject_of
from penstock.server.core.oci import (
    Collected,
    Manifest,
    NoSpace,
    NotThere,
    OciError,
    Referrer,
    Stored,
    Tagged,
    WrongDigest,
    WrongOffset,
    check_references,
    name_fault,
    read_manifest,
)
from penstock.server.core.sweeping import Shelf, Verdict, judge
from penstock.server.effects import files
from penstock.wire.types import digest_fault, sha256_of

UPLOAD_ID = 32  # hex digits


@contextmanager
def room() -> Iterator[None]:
    """What is written in here may find the disk full: then nothing of it counts. Raises NoSpace."""
    try:
        yield
    except OSError as fault:
        if fault.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace("the registry's disk is full; free space or have images swept, then push again") from None
        raise


class FileContent:
    """`core.oci.Content` below the folder `root`. One process at a time may use it (the plane's lock sees to that).

    `max_blob`: bytes of one blob. `min_free`: bytes the file system must keep free. `max_uploads`: how many may be open. Ages in
    milliseconds: an upload is thrown away `upload_age_ms` after its last byte; what nothing names `grace_ms` after its last use; a
    manifest that lost its tag after `untagged_ms`."""

    def __init__(
        self,
        root: Path,
        *,
        max_blob: int = 32 * 1024**3,
        min_free: int = 256 * 1024**2,
        max_uploads: int = 1000,
        upload_age_ms: int = 24 * 3600 * 1000,
        grace_ms: int = 24 * 3600 * 1000,
        untagged_ms: int = 30 * 24 * 3600 * 1000,
    ) -> None:
        self.root = root
        self.max_blob = max_blob
        self.min_free = min_free
        self.max_uploads = max_uploads
        self.upload_age_ms = upload_age_ms
        self.grace_ms = grace_ms
        self.untagged_ms = untagged_ms
        # Guards links, tags and the sweep: short work. Long work (writing, hashing) is under one upload's own lock.
        self._lock = threading.RLock()
        self._upload_locks: dict[str, threading.Lock] = {}
        # How far each upload is hashed: a hash object and the bytes it has seen. Rebuilt from the file after a restart.
        self._hashes: dict[str, tuple[Any, int]] = {}
        for name in ("blobs", "repositories", "uploads"):
            (root / name).mkdir(parents=True, exist_ok=True, mode=0o750)

    # --- paths --------------------------------------------------------------------------------------------------------

    def _blob(self, digest: str) -> Path:
        fault = digest_fault(digest)
        if fault:
            raise OciError(fault)
        return self.root / "blobs" / digest[7:9] / digest[7:]

    def _repository(self, name: str) -> Path:
        fault = name_fault(name)
        if fault:
            raise OciError(fault)
        return self.root / "repositories" / name.replace("/", "+")

    def _link(self, repository: str, kind: str, digest: str) -> Path:
        return self._repository(repository) / kind / self._blob(digest).name

    def _upload(self, repository: str, upload: str) -> Path:
        path = self.root / "uploads" / upload
        known = len(upload) == UPLOAD_ID and set(upload) <= set("0123456789abcdef")
        if not known or files.text(path / "repository") != repository or not (path / "data").exists():
            raise NotThere("there is no such upload; it was finished, cancelled or given up: begin again")
        return path

    # --- uploads ------------------------------------------------------------------------------------------------------

    def begin(self, repository: str) -> str:
        """See `core.oci.Content`."""
        self._repository(repository)
        with self._lock:
            if sum(1 for _ in os.scandir(self.root / "uploads")) >= self.max_uploads:
                raise NoSpace(f"{self.max_uploads} uploads are open already; try again later")
            self._check_space(0)
            upload = secrets.token_hex(UPLOAD_ID // 2)
            path = self.root / "uploads" / upload
            with room():
                path.mkdir(mode=0o750)
                (path / "data").touch(mode=0o640)
                (path / "repository").write_text(repository, "ascii")
        return upload

    def append(self, repository: str, upload: str, data: bytes, at: int) -> int:
        """See `core.oci.Content`."""
        with self._one_upload(repository, upload) as path:
            size = path.stat().st_size
            if at != size:
                raise WrongOffset(f"the upload has {size} bytes, and this piece begins at {at}", size)
            if size + len(data) > self.max_blob:
                raise OciError(f"the blob is larger than the {self.max_blob} bytes allowed")
            self._check_space(len(data))
            try:
                with room(), path.open("r+b", buffering=0) as file:
                    file.seek(size)
                    files.write(file, data)
            except (OSError, NoSpace):
                os.truncate(path, size)
                raise
            seen = self._hashes.get(upload)
            if seen is None and size == 0:
                seen = (hashlib.sha256(), 0)
            if seen is not None and seen[1] == size:
                seen[0].update(data)
                self._hashes[upload] = (seen[0], size + len(data))
            return size + len(data)

    def upload_size(self, repository: str, upload: str) -> int:
        """See `core.oci.Content`."""
        return (self._upload(repository, upload) / "data").stat().st_size

    def finish(self, repository: str, upload: str, digest: str) -> int:
        """See `core.oci.Content`. The upload is gone afterwards, also when its bytes were the wrong ones."""
        target = self._blob(digest)
        with self._one_upload(repository, upload) as path:
            size = path.stat().st_size
            hashed, seen = self._hashes.get(upload, (None, -1))
            if hashed is None or seen != size:
                hashed = files.sha256(path)
            found = "sha256:" + hashed.hexdigest()
            if found != digest:
                self._drop(upload)
                raise WrongDigest(f"the bytes that came are {found}, announced was {digest}; push again")
            with room():
                files.sync(path)
                with self._lock:
                    # The link first: where the disk is too full for it, or the process dies, the upload is still there to go on with.
                    self._make_link(repository, "blobs", digest)
                    if not target.exists():
                        target.parent.mkdir(exist_ok=True, mode=0o750)
                        path.chmod(0o440)
                        path.rename(target)
                        files.sync(target.parent)
            self._drop(upload)
            return size

    def abort(self, repository: str, upload: str) -> None:
        """See `core.oci.Content`."""
        with self._one_upload(repository, upload):
            self._drop(upload)

    @contextmanager
    def _one_upload(self, repository: str, upload: str) -> Iterator[Path]:
        """The upload's data file, for one piece of work at a time."""
        self._upload(repository, upload)
        with self._lock:
            lock = self._upload_locks.setdefault(upload, threading.Lock())
        if not lock.acquire(timeout=30):
            raise WrongOffset("another piece of this upload is still being written; ask how far it is, and go on there", self.upload_size(repository, upload))
        try:
            yield self._upload(repository, upload) / "data"
        finally:
            lock.release()

    def _drop(self, upload: str) -> None:
        shutil.rmtree(self.root / "uploads" / upload, ignore_errors=True)
        self._hashes.pop(upload, None)
        with self._lock:
            self._upload_locks.pop(upload, None)

    def _check_space(self, size: int) -> None:
        found = os.statvfs(self.root)
        if found.f_bavail * found.f_frsize < size + self.min_free:
            raise NoSpace("the registry's disk is nearly full; free space or have images swept, then push again")

    # --- blobs --------------------------------------------------------------------------------------------------------

    def mount(self, repository: str, digest: str, source: str) -> bool:
        """See `core.oci.Content`."""
        self._repository(repository)
        with room(), self._lock:
            if self.blob_size(digest, source) is None:
                return False
            self._make_link(repository, "blobs", digest)
            return True

    def blob_size(self, digest: str, repository: str | None = None) -> int | None:
        """See `core.oci.Content`. Asking through a repository counts as a use, so that a client which skips an upload because the blob is
        here finds it here a minute later too."""
        if repository is not None:
            # Both links, where there are both: neither may look old to a sweep. Under the lock: a sweep that has just found a link old takes it away.
            with self._lock:
                touched = [files.touch(self._link(repository, kind, digest)) for kind in ("blobs", "manifests")]
            if not any(touched):
                return None
        try:
            return self._blob(digest).stat().st_size
        except FileNotFoundError:
            return None

    def holders(self, digest: str) -> tuple[str, ...]:
        """See `core.oci.Content`."""
        return tuple(name for name in self.repositories() if self._link(name, "blobs", digest).exists())

    def read(self, digest: str, offset: int, size: int) -> bytes:
        """See `core.oci.Content`."""
        try:
            with self._blob(digest).open("rb", buffering=0) as file:
                file.seek(offset)
                return file.read(size)
        except FileNotFoundError:
            raise NotThere(f"the blob {digest} is not here", digest) from None

    def delete_blob(self, repository: str, digest: str) -> None:
        """See `core.oci.Content`. The bytes go with the next sweep, if no other repository has them."""
        with self._lock:
            try:
                self._link(repository, "blobs", digest).unlink()
            except FileNotFoundError:
                raise NotThere(f"the blob {digest} is not in this repository", digest) from None

    def _make_link(self, repository: str, kind: str, digest: str, text: str = "") -> None:
        link = self._link(repository, kind, digest)
        link.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        files.put(link, text)

    # --- manifests and tags -------------------------------------------------------------------------------------------

    def put_manifest(self, repository: str, raw: bytes, manifest: Manifest, *tags: str) -> str:
        """See `core.oci.Content`."""
        digest = sha256_of(raw)
        target = self._blob(digest)
        with room(), self._lock:
            check_references(
                manifest,
                lambda wanted: self.blob_size(wanted, repository),
                lambda wanted: self._link(repository, "manifests", wanted).exists(),
            )
            self._check_space(len(raw))
            target.parent.mkdir(exist_ok=True, mode=0o750)
            if not target.exists():
                files.put(target, raw)
            self._make_link(repository, "manifests", digest, manifest.media_type)
            if manifest.subject is not None:
                folder = self._link(repository, "referrers", manifest.subject.digest)
                folder.mkdir(parents=True, exist_ok=True, mode=0o750)
                files.put(folder / digest[7:], "")
            folder = self._repository(repository) / "tags"
            for tag in filter(None, tags):
                folder.mkdir(exist_ok=True, mode=0o750)
                files.put(folder / tag, digest)
        return digest

    def manifest(self, repository: str, reference: str) -> Stored | None:
        """See `core.oci.Content`."""
        digest = reference if digest_fault(reference) is None else files.text(self._repository(repository) / "tags" / reference)
        if digest is None:
            return None
        media_type = files.text(self._link(repository, "manifests", digest))
        if media_type is None:
            return None
        try:
            return Stored(digest, media_type, self._blob(digest).read_bytes())
        except FileNotFoundError:
            return None

    def delete_manifest(self, repository: str, digest: str) -> None:
        """See `core.oci.Content`."""
        with self._lock:
            found = self.manifest(repository, digest)
            if found is None:
                raise NotThere(f"the manifest {digest} is not in this repository", digest)
            self._forget(repository, found)

    def _forget(self, repository: str, found: Stored) -> None:
        folder = self._repository(repository) / "tags"
        for tag in files.names(folder):
            if files.text(folder / tag) == found.digest or subject_of(tag) == found.digest:
                (folder / tag).unlink()
        subject = read_manifest(found.raw, found.media_type).subject
        if subject is not None:
            (self._link(repository, "referrers", subject.digest) / found.digest[7:]).unlink(missing_ok=True)
        self._link(repository, "manifests", found.digest).unlink()

    def delete_tag(self, repository: str, tag: str) -> None:
        """See `core.oci.Content`."""
        try:
            (self._repository(repository) / "tags" / tag).unlink()
        except FileNotFoundError:
            raise NotThere(f"there is no tag {tag} in this repository") from None

    def tags(self, repository: str) -> tuple[str, ...]:
        """See `core.oci.Content`."""
        folder = self._repository(repository)
        if not folder.is_dir():
            raise NotThere("there is no such repository")
        return files.names(folder / "tags")

    def tagged(self, repository: str) -> tuple[Tagged, ...]:
        """See `core.oci.Content`."""
        folder = self._repository(repository) / "tags"
        with self._lock:
            found = ((tag, files.text(folder / tag), files.age_ms(folder / tag, 0)) for tag in files.names(folder))
            return tuple(Tagged(tag, digest, -age_ms) for tag, digest, age_ms in found if digest is not None)

    def manifests(self, repository: str) -> tuple[str, ...]:
        """See `core.oci.Content`."""
        return tuple("sha256:" + name for name in files.names(self._repository(repository) / "manifests"))

    def sizes(self, repository: str) -> dict[str, int]:
        """See `core.oci.Content`."""
        folder = self._repository(repository)
        found = {"sha256:" + name for kind in ("blobs", "manifests") for name in files.names(folder / kind)}
        return {digest: size for digest in sorted(found) if (size := self.blob_size(digest)) is not None}

    def repositories(self) -> tuple[str, ...]:
        """See `core.oci.Content`."""
        return tuple(sorted(name.replace("+", "/") for name in files.names(self.root / "repositories")))

    def referrers(self, repository: str, digest: str) -> tuple[Referrer, ...]:
        """See `core.oci.Content`."""
        found = (self.manifest(repository, "sha256:" + name) for name in files.names(self._link(repository, "referrers", digest)))
        return tuple(Referrer(stored, read_manifest(stored.raw, stored.media_type)) for stored in found if stored is not None)

    # --- sweep --------------------------------------------------------------------------------------------------------

    def collect(self, now_ms: int, keep: frozenset[str] = frozenset(), *, look_only: bool = False) -> Collected:
        """See `core.oci.Content`."""
        uploads = 0
        for upload in files.names(self.root / "uploads"):
            if files.age_ms(self.root / "uploads" / upload / "data", now_ms) > self.upload_age_ms:
                uploads += 1
                if not look_only:
                    self._drop(upload)
        named: set[str] = set(keep)
        manifests: list[tuple[str, str]] = []
        for repository in self.repositories():
            with self._lock:
                shelf = self._shelf(repository, now_ms)
                verdict = judge(shelf, keep, self.grace_ms, self.untagged_ms)
                manifests += [(repository, digest) for digest in sorted(verdict.manifests)]
                named |= verdict.named | (set(shelf.blobs) - verdict.blobs)
                if not look_only:
                    self._take_away(repository, verdict)
        blobs = size = 0
        for folder in files.names(self.root / "blobs"):
            for name in files.names(self.root / "blobs" / folder):
                path = self.root / "blobs" / folder / name
                if "sha256:" + name in named:
                    continue
                # Under the lock, and looked at again: a push may have linked it since.
                with self._lock:
                    if files.age_ms(path, now_ms) <= self.grace_ms or (not look_only and self._linked(name)):
                        continue
                    size += path.stat().st_size
                    blobs += 1
                    if not look_only:
                        path.unlink()
        if not look_only:
            for path in self.root.rglob(".*"):  # files that a crash left half written
                if files.age_ms(path, now_ms) > self.grace_ms:
                    path.unlink(missing_ok=True)
        return Collected(uploads, blobs, size, tuple(manifests))

    def _linked(self, name: str) -> bool:
        repositories = self.root / "repositories"
        return any((repositories / one / kind / name).exists() for one in files.names(repositories) for kind in ("blobs", "manifests"))

    def _shelf(self, repository: str, now_ms: int) -> Shelf:
        folder = self._repository(repository)
        manifests = {}
        for name in files.names(folder / "manifests"):
            item = self.manifest(repository, "sha256:" + name)
            if item is not None:
                manifests[item.digest] = (read_manifest(item.raw, item.media_type), files.age_ms(folder / "manifests" / name, now_ms))
        tags = {tag: files.text(folder / "tags" / tag) or "" for tag in files.names(folder / "tags")}
        return Shelf(tags, manifests, {"sha256:" + name: files.age_ms(folder / "blobs" / name, now_ms) for name in files.names(folder / "blobs")})

    def _take_away(self, repository: str, verdict: Verdict) -> None:
        folder = self._repository(repository)
        for digest in verdict.manifests:
            item = self.manifest(repository, digest)
            if item is not None:
                self._forget(repository, item)
        for digest in verdict.blobs:
            (folder / "blobs" / digest[7:]).unlink(missing_ok=True)
        if not any(files.names(folder / kind) for kind in ("blobs", "manifests", "tags")):
            shutil.rmtree(folder, ignore_errors=True)
