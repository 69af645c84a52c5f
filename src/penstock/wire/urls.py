"""Addresses: the https URLs of a plane and the http URLs of a proxy, read strictly.

Owns the one reading both sides share, so that the plane cannot sign an address that a device would refuse. Never resolves a name.
Source: RFC 3986, reduced to what an endpoint may be: no user names for a plane, no query, no fragment.
"""

from __future__ import annotations

from penstock.wire.codec import WireError
from penstock.wire.record import record

MAX_URL = 512

_HOST = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.")
_LITERAL = frozenset("0123456789abcdef:.")
_PATH = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/%")


@record
class Url:
    """A scheme, a host (lower case, an IPv6 address without brackets), a port, and a path that is empty or begins with "/" and does
    not end with one. `user` is the part before "@", still percent-encoded; only proxies have one."""

    scheme: str
    host: str
    port: int
    path: str = ""
    user: str = ""

    def authority(self) -> str:
        """Host and port as they stand in a Host header; the port is left out where it is the scheme's own (RFC 9110, 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def host_port(self) -> str:
        """Host and port, both always (the form CONNECT wants, RFC 9110, 9.3.6)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


_PORTS = {"https": 443, "http": 80}


def read_url(text: str, schemes: tuple[str, ...] = ("https",), path: str = "url") -> Url:
    """Read an address. Raises WireError naming `path`; only `schemes` are allowed, and a user name only with "http" (a proxy)."""
    scheme, mark, rest = text.partition("://")
    scheme = scheme.lower()
    if len(text) > MAX_URL:
        raise WireError(path, f"{len(text)} characters, more than the {MAX_URL} allowed")
    if not mark or scheme not in schemes:
        raise WireError(path, f"must begin with {' or '.join(f'{one}://' for one in schemes)}; is {text[:60]!r}")
    place, slash, tail = rest.partition("/")
    tail = (slash + tail).rstrip("/")
    user, at, place = place.rpartition("@")
    if at and scheme != "http":
        raise WireError(path, "an address of the plane carries no user name")
    if not set(tail) <= _PATH:
        raise WireError(path, "has characters that a path of an address must not have (no query, no fragment)")
    if any(not " " < letter < "\x7f" for letter in user):
        raise WireError(path, "the user name has characters that must be percent-encoded")
    host, port = _host_port(place.lower(), _PORTS[scheme], path)
    return Url(scheme, host, port, tail, user)


def _host_port(place: str, default: int, path: str) -> tuple[str, int]:
    if place.startswith("["):
        host, bracket, after = place[1:].partition("]")
        if not bracket or ":" not in host or not set(host) <= _LITERAL or (after and not after.startswith(":")):
            raise WireError(path, "an IPv6 address stands in brackets, as in https://[2001:db8::1]:8443")
        digits = after[1:]
        named = bool(after)
    else:
        host, colon, digits = place.partition(":")
        named = bool(colon)
        labels = host.split(".")
        if not host or len(host) > 253 or not set(host) <= _HOST or any(not 1 <= len(one) <= 63 for one in labels):
            raise WireError(path, f"{host[:60]!r} is not a host name or address")
    if not named:
        return host, default
    if not digits.isascii() or not digits.isdigit() or not 1 <= int(digits[:6]) <= 65535 or len(digits) > 5:
        raise WireError(path, f"{digits[:20]!r} is not a port from 1 to 65535")
    return host, int(digits)
