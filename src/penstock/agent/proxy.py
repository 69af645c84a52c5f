"""Which HTTP proxy stands between the device and an address, by the environment's usual names.

Owns the reading of HTTPS_PROXY and NO_PROXY, pure: the environment comes as an argument. Proxies named in signed state or in the join
command come first and are not the environment's to overrule; that order is the caller's.
"""

from __future__ import annotations

import binascii

from penstock.wire.urls import Url, read_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def proxy_for(url: Url, environment: Mapping[str, str]) -> Url | None:
    """The proxy for `url`, or None for a direct connection. Raises WireError where the variable holds no proxy's address."""
    text = environment.get("HTTPS_PROXY") or environment.get("https_proxy") or environment.get("ALL_PROXY") or environment.get("all_proxy") or ""
    if not text or bypassed(url, environment.get("NO_PROXY") or environment.get("no_proxy") or ""):
        return None
    return read_url(text if "://" in text else f"http://{text}", ("http",), "HTTPS_PROXY")


def bypassed(url: Url, no_proxy: str) -> bool:
    """Whether NO_PROXY excepts `url`: "*", names with or without a leading dot (they match their sub-domains), addresses, networks as
    "10.0.0.0/8", each optionally with ":port"."""
    for item in no_proxy.lower().replace(" ", ",").split(","):
        if not item:
            continue
        if item == "*" or _matches(url, item):
            return True
    return False


def _matches(url: Url, item: str) -> bool:
    if "/" in item:
        return _in_network(url.host, item)
    if item.startswith("["):
        host, _, port = item[1:].partition("]")
        port = port.lstrip(":")
    elif item.count(":") > 1:
        host, port = item, ""
    else:
        host, _, port = item.partition(":")
    if port and port != str(url.port):
        return False
    address = packed(host)
    if address is not None:
        return address == packed(url.host)
    name = host.lstrip(".").lstrip("*").lstrip(".")
    return bool(name) and (url.host == name or url.host.endswith("." + name))


def _in_network(host: str, network: str) -> bool:
    base, _, bits = network.partition("/")
    address, begin = packed(host), packed(base)
    if (
        address is None
        or begin is None
        or len(address) != len(begin)
        or not bits.isascii()
        or not bits.isdigit()
        or len(bits) > 3
        or int(bits) > len(begin) * 8
    ):
        return False
    shift = len(begin) * 8 - int(bits)
    return int.from_bytes(address, "big") >> shift == int.from_bytes(begin, "big") >> shift


def packed(text: str) -> bytes | None:
    """The bytes of a literal IPv4 or IPv6 address, None for anything else."""
    from _socket import AF_INET, AF_INET6, inet_pton

    try:
        return inet_pton(AF_INET6 if ":" in text else AF_INET, text)
    except (OSError, ValueError):  # a NUL is a ValueError
        return None


def authorization(proxy: Url) -> dict[str, str]:
    """The headers that carry the proxy's user name and password (RFC 7617); empty where its address names none."""
    if not proxy.user:
        return {}
    raw = proxy.user.encode("ascii")
    parts = raw.split(b"%")
    try:
        plain = parts[0] + b"".join(binascii.unhexlify(part[:2]) + part[2:] for part in parts[1:])
    except ValueError:
        plain = raw
    if b":" not in plain:
        plain += b":"
    return {"Proxy-Authorization": "Basic " + binascii.b2a_base64(plain, newline=False).decode("ascii")}
