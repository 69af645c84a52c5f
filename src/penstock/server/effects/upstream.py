"""Other registries: what the plane asks of them, and what keeps an answer away.

Owns the port alone. Copying images is `effects.skopeo`'s, asking for what is attached to them `effects.upstream_http`'s; the fake for tests is
`effects.upstream_memory`. Never decides what is copied, and knows nothing of where it goes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

ABSENT, UNREACHABLE, REFUSED, GONE, BROKEN = "absent", "unreachable", "refused", "gone", "broken"


class UpstreamFault(Exception):
    """What was asked of another registry cannot be had. `kind`: absent (no skopeo here), unreachable, refused (its sign-in), gone (no such image),
    broken (all else). The text is what the other side said."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind
        self.why = why


@dataclass(frozen=True, slots=True)
class Access:
    """How one registry is reached. `ca`: PEM certificates (empty: the system's); `insecure`: plain HTTP or an unchecked certificate."""

    host: str
    user: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""
    insecure: bool = False


class Fetched(Protocol):
    """One manifest with all its content, on this machine."""

    def open(self, digest: str) -> BinaryIO:
        """The bytes of a config or layer. Raises UpstreamFault."""
        ...


class Attached(Fetched, Protocol):
    """A repository of another registry, asked for small documents. Every method may wait long and raises UpstreamFault."""

    def referrers(self, digest: str) -> tuple[bytes, ...] | None:
        """The list of what names that manifest as its subject, page by page; None where the registry has no such lists."""
        ...

    def manifest(self, reference: str) -> bytes | None:
        """A manifest by tag or digest, to the byte; None where there is none."""
        ...


class Upstream(Protocol):
    """What the plane asks of it. `image` is "ghcr.io/x/y:2" or "...@sha256:...". Every method may wait long: never in a transaction."""

    def raw(self, image: str, access: Access) -> bytes:
        """The image's manifest or index, to the byte. Raises UpstreamFault."""
        ...

    def fetch(self, image: str, access: Access, told: Callable[[int], None]) -> AbstractContextManager[Fetched]:
        """One manifest's content (`image` with a digest), until it is left; `told` hears of bytes on the way. Raises UpstreamFault."""
        ...

    def attached(self, source: str, access: Access) -> AbstractContextManager[Attached]:
        """Ask the repository of `source` for what is attached to its images, until it is left."""
        ...

    def free_bytes(self) -> int:
        """Room where content is held on its way."""
        ...

    def try_out(self, access: Access) -> None:
        """Sign in, or ask whether somebody answers where there is nobody to sign in as. Raises UpstreamFault."""
        ...

    def stop(self) -> None:
        """End what is under way; everything asked from now on fails."""
        ...
