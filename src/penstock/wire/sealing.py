"""Sealed secrets between their wire form (base64 in a record) and the bytes `crypto.seal` and `crypto.open_sealed` speak.

Owns that translation and its limits. Never seals or opens: `crypto` may not know the wire, nor the wire `crypto`.
"""

from __future__ import annotations

from penstock.wire.codec import WireError
from penstock.wire.envelope import b64, unb64
from penstock.wire.types import Sealed

TYPE_CHECKING = False
if TYPE_CHECKING:
    Parts = tuple[bytes, bytes, bytes, bytes]  # ephemeral point, iv, ciphertext, tag

_SIZES = (("epk", 65), ("iv", 12), ("tag", 16))


def sealed_to_wire(parts: Parts) -> Sealed:
    """What `crypto.seal` gave, as it travels."""
    epk, iv, ciphertext, tag = parts
    return Sealed(epk=b64(epk), iv=b64(iv), ciphertext=b64(ciphertext), tag=b64(tag))


def sealed_from_wire(sealed: Sealed) -> Parts:
    """What `crypto.open_sealed` takes. Raises WireError naming the field that is not base64 or has a wrong size."""
    parts = {name: unb64(getattr(sealed, name), name) for name in ("epk", "iv", "ciphertext", "tag")}
    for name, size in _SIZES:
        if len(parts[name]) != size:
            raise WireError(name, f"must have {size} bytes, and has {len(parts[name])}")
    return parts["epk"], parts["iv"], parts["ciphertext"], parts["tag"]
