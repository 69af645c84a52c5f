"""Other registries in memory, for tests: `effects.upstream.Upstream` with knobs.

Owns images by name, and faults that a test sets. Behaves as the real one does where the plane can tell: a digest finds its manifest, a tag what it names.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from penstock.server.core.mirrors import at_digest
from penstock.server.effects.upstream import BROKEN, GONE, REFUSED, Access, Attached, Fetched, UpstreamFault
from penstock.wire.types import sha256_of


@dataclass(slots=True)
class MemoryUpstream:
    """`tags`: "ghcr.io/x/y:2" -> digest; `content`: bytes by digest, manifests and blobs alike. `faults`: host -> fault for whatever is asked there;
    `breaks`: digests whose fetching fails; `lists`: digest -> its list of referrers, None where this registry has no such lists; `passwords`: host -> (user, password) it asks for."""

    tags: dict[str, str] = field(default_factory=dict)
    content: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, UpstreamFault] = field(default_factory=dict)
    breaks: set[str] = field(default_factory=set)
    passwords: dict[str, tuple[str, str]] = field(default_factory=dict)
    lists: dict[str, bytes] | None = None
    free: int = 10**12
    fetched: list[str] = field(default_factory=list)

    def put(self, name: str, blobs: dict[str, bytes], top: bytes) -> str:
        """An image under a name; its digest."""
        self.content |= blobs
        digest = sha256_of(top)
        self.content[digest] = top
        self.tags[name] = digest
        return digest

    def _ask(self, access: Access) -> None:
        if access.host in self.faults:
            raise self.faults[access.host]
        if self.passwords.get(access.host, (access.user, access.password)) != (access.user, access.password):
            raise UpstreamFault(REFUSED, "unauthorized: authentication required")

    def raw(self, image: str, access: Access) -> bytes:
        """See `Upstream`."""
        self._ask(access)
        digest = image.partition("@")[2] or self.tags.get(image, "")
        if digest not in self.content:
            raise UpstreamFault(GONE, f"reading manifest {image}: manifest unknown")
        return self.content[digest]

    @contextmanager
    def fetch(self, image: str, access: Access, told: Callable[[int], None]) -> Iterator[Fetched]:
        """See `Upstream`."""
        raw = self.raw(image, access)
        self.fetched.append(image)
        digest = image.partition("@")[2]
        if digest in self.breaks:
            raise UpstreamFault(BROKEN, "unexpected EOF")
        told(len(raw))
        yield _Held(self.content)

    @contextmanager
    def attached(self, source: str, access: Access) -> Iterator[Attached]:
        """See `Upstream`."""
        self._ask(access)
        yield _Asked(self, at_digest(source, "").removesuffix("@"))

    def free_bytes(self) -> int:
        """See `Upstream`."""
        return self.free

    def try_out(self, access: Access) -> None:
        """See `Upstream`."""
        self._ask(access)

    def stop(self) -> None:
        """See `Upstream`."""


@dataclass(frozen=True, slots=True)
class _Asked:
    there: MemoryUpstream
    name: str

    def referrers(self, digest: str) -> tuple[bytes, ...] | None:
        if self.there.lists is None:
            return None
        return (self.there.lists.get(digest, b'{"schemaVersion":2,"manifests":[]}'),)

    def manifest(self, reference: str) -> bytes | None:
        return self.there.content.get(self.there.tags.get(f"{self.name}:{reference}", reference))

    def open(self, digest: str) -> BinaryIO:
        if digest in self.there.breaks:
            raise UpstreamFault(BROKEN, "unexpected EOF")
        return _Held(self.there.content).open(digest)


@dataclass(frozen=True, slots=True)
class _Held:
    content: dict[str, bytes]

    def open(self, digest: str) -> BinaryIO:
        if digest not in self.content:
            raise UpstreamFault(BROKEN, f"the copy lacks {digest}")
        return io.BytesIO(self.content[digest])
