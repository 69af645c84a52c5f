"""The built-in registry's storage in memory, for tests of what stands on it.

Owns a twin of `effects.blobs.FileContent` without a disk; both pass the same tests. It never sweeps by age: everything not kept goes.
"""

from __future__ import annotations

import itertools

from penstock.server.core.attached import subject_of
from penstock.server.core.oci import (
    Collected,
    Manifest,
    NotThere,
    OciError,
    Referrer,
    Stored,
    Tagged,
    WrongDigest,
    WrongOffset,
    check_references,
    read_manifest,
)
from penstock.wire.types import digest_fault, sha256_of


class MemoryContent:
    """`core.oci.Content` in dictionaries."""

    def __init__(self, *, max_blob: int = 64 * 1024 * 1024) -> None:
        self.max_blob = max_blob
        self._numbers = itertools.count(1)
        self._blobs: dict[str, bytes] = {}
        self._links: set[tuple[str, str]] = set()
        self._types: dict[tuple[str, str], str] = {}
        self._tags: dict[tuple[str, str], str] = {}
        self._uploads: dict[tuple[str, str], bytearray] = {}

    def _open(self, repository: str, upload: str) -> bytearray:
        try:
            return self._uploads[repository, upload]
        except KeyError:
            raise NotThere("there is no such upload; it was finished, cancelled or given up: begin again") from None

    def begin(self, repository: str) -> str:
        """See `core.oci.Content`."""
        upload = f"{next(self._numbers):032x}"
        self._uploads[repository, upload] = bytearray()
        return upload

    def append(self, repository: str, upload: str, data: bytes, at: int) -> int:
        """See `core.oci.Content`."""
        held = self._open(repository, upload)
        if at != len(held):
            raise WrongOffset(f"the upload has {len(held)} bytes, and this piece begins at {at}", len(held))
        if len(held) + len(data) > self.max_blob:
            raise OciError(f"the blob is larger than the {self.max_blob} bytes allowed")
        held += data
        return len(held)

    def upload_size(self, repository: str, upload: str) -> int:
        """See `core.oci.Content`."""
        return len(self._open(repository, upload))

    def finish(self, repository: str, upload: str, digest: str) -> int:
        """See `core.oci.Content`."""
        held = bytes(self._open(repository, upload))
        del self._uploads[repository, upload]
        if sha256_of(held) != digest:
            raise WrongDigest(f"the bytes that came are {sha256_of(held)}, announced was {digest}; push again")
        self._blobs[digest] = held
        self._links.add((repository, digest))
        return len(held)

    def abort(self, repository: str, upload: str) -> None:
        """See `core.oci.Content`."""
        self._open(repository, upload)
        del self._uploads[repository, upload]

    def mount(self, repository: str, digest: str, source: str) -> bool:
        """See `core.oci.Content`."""
        if (source, digest) not in self._links:
            return False
        self._links.add((repository, digest))
        return True

    def blob_size(self, digest: str, repository: str | None = None) -> int | None:
        """See `core.oci.Content`."""
        if repository is not None and (repository, digest) not in self._links and (repository, digest) not in self._types:
            return None
        found = self._blobs.get(digest)
        return None if found is None else len(found)

    def read(self, digest: str, offset: int, size: int) -> bytes:
        """See `core.oci.Content`."""
        try:
            return self._blobs[digest][offset : offset + size]
        except KeyError:
            raise NotThere(f"the blob {digest} is not here", digest) from None

    def delete_blob(self, repository: str, digest: str) -> None:
        """See `core.oci.Content`."""
        if (repository, digest) not in self._links:
            raise NotThere(f"the blob {digest} is not in this repository", digest)
        self._links.discard((repository, digest))

    def put_manifest(self, repository: str, raw: bytes, manifest: Manifest, *tags: str) -> str:
        """See `core.oci.Content`."""
        check_references(manifest, lambda wanted: self.blob_size(wanted, repository), lambda wanted: (repository, wanted) in self._types)
        digest = sha256_of(raw)
        self._blobs[digest] = raw
        self._types[repository, digest] = manifest.media_type
        for tag in filter(None, tags):
            self._tags[repository, tag] = digest
        return digest

    def manifest(self, repository: str, reference: str) -> Stored | None:
        """See `core.oci.Content`."""
        digest = reference if digest_fault(reference) is None else self._tags.get((repository, reference), "")
        media_type = self._types.get((repository, digest))
        return None if media_type is None else Stored(digest, media_type, self._blobs[digest])

    def delete_manifest(self, repository: str, digest: str) -> None:
        """See `core.oci.Content`."""
        if self._types.pop((repository, digest), None) is None:
            raise NotThere(f"the manifest {digest} is not in this repository", digest)
        for key in [key for key, value in self._tags.items() if key[0] == repository and digest in (value, subject_of(key[1]))]:
            del self._tags[key]

    def delete_tag(self, repository: str, tag: str) -> None:
        """See `core.oci.Content`."""
        if self._tags.pop((repository, tag), None) is None:
            raise NotThere(f"there is no tag {tag} in this repository")

    def tags(self, repository: str) -> tuple[str, ...]:
        """See `core.oci.Content`."""
        if repository not in self.repositories():
            raise NotThere("there is no such repository")
        return tuple(sorted(tag for name, tag in self._tags if name == repository))

    def tagged(self, repository: str) -> tuple[Tagged, ...]:
        """See `core.oci.Content`."""
        return tuple(Tagged(tag, digest, 0) for (name, tag), digest in sorted(self._tags.items()) if name == repository)

    def manifests(self, repository: str) -> tuple[str, ...]:
        """See `core.oci.Content`."""
        return tuple(sorted(digest for name, digest in self._types if name == repository))

    def sizes(self, repository: str) -> dict[str, int]:
        """See `core.oci.Content`."""
        found = {digest for name, digest in (*self._links, *self._types) if name == repository}
        return {digest: len(self._blobs[digest]) for digest in sorted(found) if digest in self._blobs}

    def holders(self, digest: str) -> tuple[str, ...]:
        """See `core.oci.Content`."""
        return tuple(sorted(name for name, held in self._links if held == digest))

    def repositories(self) -> tuple[str, ...]:
        """See `core.oci.Content`."""
        return tuple(sorted({name for name, _ in self._links} | {name for name, _ in self._types}))

    def referrers(self, repository: str, digest: str) -> tuple[Referrer, ...]:
        """See `core.oci.Content`."""
        stored = [Stored(found, media_type, self._blobs[found]) for (name, found), media_type in sorted(self._types.items()) if name == repository]
        read = [Referrer(item, read_manifest(item.raw, item.media_type)) for item in stored]
        return tuple(item for item in read if item.manifest.subject is not None and item.manifest.subject.digest == digest)

    def collect(self, now_ms: int, keep: frozenset[str] = frozenset(), *, look_only: bool = False) -> Collected:
        """See `core.oci.Content`; here age does not count, and manifests stay: only `keep` is asked."""
        del now_ms
        uploads = len(self._uploads)
        named = {digest for _, digest in self._links} | {digest for _, digest in self._types} | keep
        gone = {digest: len(data) for digest, data in self._blobs.items() if digest not in named}
        if not look_only:
            self._uploads.clear()
            for digest in gone:
                del self._blobs[digest]
        return Collected(uploads, len(gone), sum(gone.values()))
