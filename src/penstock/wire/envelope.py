"""DSSE envelopes: the one form in which anything signed travels.

Owns the pre-authentication encoding, the JSON form and its limits (DSSE v1.0.2, protocol.md and envelope.md). Signing and
verifying functions are passed in; which key may sign what is `trust`'s business.
"""

from __future__ import annotations

import binascii

from penstock.wire.codec import MAX_DOCUMENT, WireError, canonical, decode
from penstock.wire.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = "application/vnd.tuf+json"  # what python-tuf reads in a DSSE envelope
MAX_SIGNATURES = 16


def payload_type(kind: str, wire: int = 1) -> str:
    """The payload type of a Penstock message, e.g. kind "desired"."""
    return f"application/vnd.penstock.{kind}.v{wire}+json"


@record
class Signature:
    """One signature: the key's id and base64 of a DER ECDSA signature."""

    LIMITS = {"keyid": 128, "sig": 256}

    keyid: str
    sig: str


@record
class Envelope:
    """A payload with its type and signatures, as it lies on disk and on the wire. `payload` is base64."""

    LIMITS = {"payload": MAX_DOCUMENT * 2, "payloadType": 128, "signatures": MAX_SIGNATURES}

    payload: str
    payloadType: str  # noqa: N815 - the field's name in the DSSE standard
    signatures: tuple[Signature, ...]


def pae(kind: str, payload: bytes) -> bytes:
    """The bytes that are signed: DSSE's pre-authentication encoding."""
    name = kind.encode("utf-8")
    return b"DSSEv1 %d %s %d %s" % (len(name), name, len(payload), payload)


def b64(data: bytes) -> str:
    """Standard base64 without line breaks."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def unb64(text: str, path: str = "payload") -> bytes:
    """Strict standard base64. Raises WireError where the text is not exactly what `b64` writes."""
    try:
        data = binascii.a2b_base64(text.encode("ascii"))
    except (ValueError, UnicodeEncodeError):
        raise WireError(path, "is not base64") from None
    if b64(data) != text:
        raise WireError(path, "is not base64 in its one standard form")
    return data


def seal(kind: str, payload: bytes, signers: tuple[tuple[str, Callable[[bytes], bytes]], ...]) -> bytes:
    """An envelope over `payload`; each signer is a key id and a function from message to DER signature."""
    message = pae(kind, payload)
    return canonical(
        {
            "payload": b64(payload),
            "payloadType": kind,
            "signatures": [{"keyid": keyid, "sig": b64(sign(message))} for keyid, sign in signers],
        }
    )


def open_unverified(raw: bytes, limit: int = MAX_DOCUMENT) -> tuple[Envelope, bytes]:
    """An envelope and its payload bytes, NOT verified. Raises WireError. `limit` counts the payload's bytes."""
    if len(raw) > limit * 3 // 2 + 8192:
        raise WireError("envelope", f"{len(raw)} bytes, more than a payload of {limit} needs", oversize=True)
    envelope = decode(Envelope, raw, limit * 3 // 2 + 8192)
    if not envelope.signatures:
        raise WireError("signatures", "an envelope has at least one signature")
    payload = unb64(envelope.payload)
    if len(payload) > limit:
        raise WireError("payload", f"{len(payload)} bytes, more than the {limit} allowed", oversize=True)
    return envelope, payload
