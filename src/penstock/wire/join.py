"""The join string: all that a new device must be told, in one line to copy.

Owns its text form: "pst-join:" and base64url of a JSON object. It names the plane's addresses, the join token, the hash of the
root document to pin and the certificates to trust. Whoever holds it can ask to be let in, so it expires and is counted; that is the
plane's work. Never does I/O.
"""

from __future__ import annotations

import binascii

from penstock.wire.codec import WireError, decode, encode
from penstock.wire.record import record
from penstock.wire.types import digest_fault
from penstock.wire.urls import read_url

PREFIX = "pst-join:"
MAX_JOIN = 64 * 1024  # characters; certificates are most of it


@record
class Join:
    """`urls` are tried in order. `root` is the digest of the payload of the root document to begin from. `ca` are PEM certificates to
    trust for these addresses; empty means the system's. `proxy` is an HTTP proxy's URL or empty. `wire` is the plane's version."""

    LIMITS = {"urls": 8, "token": 256, "ca": 16, "proxy": 512}

    urls: tuple[str, ...]
    token: str
    root: str
    ca: tuple[str, ...] = ()
    proxy: str = ""
    wire: int = 1

    def check(self) -> tuple[str, str] | None:
        if not self.urls:
            return ("urls", "names no address of the plane")
        if not self.token:
            return ("token", "is empty")
        fault = digest_fault(self.root)
        if fault:
            return ("root", fault)
        for index, url in enumerate(self.urls):
            read_url(url, path=f"urls[{index}]")
        if self.proxy:
            read_url(self.proxy, ("http",), "proxy")
        for index, pem in enumerate(self.ca):
            pem_fault(pem, f"ca[{index}]")
        return None


def pem_fault(pem: str, path: str) -> None:
    """Raises WireError where `pem` does not even look like certificates (TLS reads them for real)."""
    if "-----BEGIN CERTIFICATE-----" not in pem or "-----END CERTIFICATE-----" not in pem or "PRIVATE" in pem:
        raise WireError(path, "must be PEM text of a certificate and nothing secret")


def format_join(join: Join) -> str:
    """The line to copy. Raises WireError where a field is not acceptable, so that no plane hands out what no device reads."""
    fault = join.check()
    if fault:
        raise WireError(*fault)
    return PREFIX + _base64url(encode(join))


def parse_join(text: str) -> Join:
    """Read a join string; white space and line breaks that a mail program put in are ignored. Raises WireError."""
    line = "".join(text.split())
    if len(line) > MAX_JOIN:
        raise WireError("join string", f"{len(line)} characters, more than the {MAX_JOIN} allowed")
    if not line.startswith(PREFIX):
        raise WireError("join string", f"must begin with '{PREFIX}'; copy the whole line from the control plane")
    body = line[len(PREFIX) :]
    try:
        raw = binascii.a2b_base64((body.replace("-", "+").replace("_", "/") + "=" * (-len(body) % 4)).encode("ascii"))
    except ValueError:
        raise WireError("join string", "is damaged (not base64); copy the whole line from the control plane") from None
    if _base64url(raw) != body:
        raise WireError("join string", "is damaged (characters are missing or changed); copy the whole line from the control plane")
    return decode(Join, raw, MAX_JOIN)


def _base64url(raw: bytes) -> str:
    """base64url without padding (RFC 4648, section 5)."""
    return binascii.b2a_base64(raw, newline=False).decode("ascii").replace("+", "-").replace("/", "_").rstrip("=")
