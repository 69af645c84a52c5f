"""The text of a device's desired state, put together from parts that many devices share.

Owns the equality "these bytes are what `wire.codec.encode` would write" (a test holds it to that) and the digest that says whether the
content changed. Never signs and never numbers by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.wire.codec import canonical, encode, to_plain
from penstock.wire.messages import Endpoint, LocalPerson, Settings
from penstock.wire.types import AppState, sha256_of
from penstock.wire.version import WIRE


def app_text(state: AppState) -> bytes:
    """One app as it stands in the document."""
    return encode(state)


def wire_of(text: bytes) -> int:
    """The wire version an app's text needs: its `wire`, which the canonical form writes last, or leaves out where it is 1."""
    _, _, number = text.rpartition(b'"wire":')
    return int(number[:-1]) if number[:-1].isdigit() else WIRE


@dataclass(frozen=True, slots=True)
class Shared:
    """The parts that all devices share, written once: the endpoints and the settings."""

    endpoints: bytes
    settings: bytes


def shared(endpoints: Sequence[Endpoint], settings: Settings) -> Shared:
    """The shared parts."""
    return Shared(
        b'"endpoints":' + canonical([to_plain(one) for one in endpoints]) if endpoints else b"",
        b'"settings":' + encode(settings) if settings != Settings() else b"",
    )


@dataclass(frozen=True, slots=True)
class Place:
    """What a device is told of its site: the local people, and the site's name where that is another than in its admission."""

    people: bytes = b""
    site: bytes = b""


NOWHERE = Place()


def place(people: Sequence[LocalPerson], site: str = "") -> Place:
    """A site as its devices' documents have it."""
    return Place(b'"people":' + canonical([to_plain(one) for one in people]) if people else b"", b'"site":' + canonical(site) if site else b"")


def _body(apps: Sequence[bytes], device: str, epoch: int, numbers: bytes, same: Shared, at: Place) -> bytes:
    parts = (
        b'"apps":[' + b",".join(apps) + b"]" if apps else b"",
        b'"device":' + canonical(device),
        same.endpoints,
        b'"epoch":%d' % epoch,
        numbers,
        at.people,
        same.settings,
        at.site,
        b'"wire":%d' % max([WIRE, *map(wire_of, apps)]),
    )
    return b"{" + b",".join(part for part in parts if part) + b"}"


def content_of(apps: Sequence[bytes], device: str, epoch: int, same: Shared, at: Place = NOWHERE) -> str:
    """The digest of everything in the document but its number and its date."""
    return sha256_of(_body(apps, device, epoch, b"", same, at))


def text_of(apps: Sequence[bytes], device: str, epoch: int, generation: int, issued_ms: int, same: Shared, at: Place = NOWHERE) -> bytes:
    """The canonical JSON of the Desired."""
    return _body(apps, device, epoch, b'"generation":%d,"issued_ms":%d' % (generation, issued_ms), same, at)
