"""The text of a device's desired state, put together from parts that many devices share.

Owns the equality "these bytes are what `wire.codec.encode` would write" (a test holds it to that) and the digest that says whether the
content changed. Never signs and never numbers by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from penstock.wire.codec import canonical, encode, to_plain
from penstock.wire.messages import Endpoint, Settings
from penstock.wire.types import AppState, sha256_of
from penstock.wire.version import WIRE


def app_text(state: AppState) -> bytes:
    """One app as it stands in the document."""
    return encode(state)


def _body(apps: Sequence[bytes], device: str, endpoints: Sequence[Endpoint], epoch: int, numbers: bytes, settings: Settings) -> bytes:
    parts = []
    if apps:
        parts.append(b'"apps":[' + b",".join(apps) + b"]")
    parts.append(b'"device":' + canonical(device))
    if endpoints:
        parts.append(b'"endpoints":' + canonical([to_plain(one) for one in endpoints]))
    parts.append(b'"epoch":%d' % epoch)
    parts.append(numbers)
    if settings != Settings():
        parts.append(b'"settings":' + encode(settings))
    parts.append(b'"wire":%d' % WIRE)
    return b"{" + b",".join(part for part in parts if part) + b"}"


def content_of(apps: Sequence[bytes], device: str, endpoints: Sequence[Endpoint], epoch: int, settings: Settings) -> str:
    """The digest of everything in the document but its number and its date."""
    return sha256_of(_body(apps, device, endpoints, epoch, b"", settings))


def text_of(apps: Sequence[bytes], device: str, endpoints: Sequence[Endpoint], epoch: int, generation: int, issued_ms: int, settings: Settings) -> bytes:
    """The canonical JSON of the Desired."""
    return _body(apps, device, endpoints, epoch, b'"generation":%d,"issued_ms":%d' % (generation, issued_ms), settings)
