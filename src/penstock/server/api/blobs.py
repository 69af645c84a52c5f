"""One blob as an HTTP answer: whole, in part, or "you have it already".

Owns the streaming of content by digest with Range (RFC 9110, section 14), used by the registry and by the device API. Who may read it is
settled before; bytes are read in a thread, a piece at a time, so that a slow reader holds neither memory nor the loop.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from penstock.server.core.oci import Content

PIECE = 256 * 1024
SEND_TIMEOUT_S = 120  # for one piece: less than 2 kB/s is no reader

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z")


def header(scope: Scope, name: bytes) -> str:
    """A request header's text; empty where it is missing. `name` in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).decode("latin-1")
    return ""


async def respond(send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes = b"") -> None:
    """A whole answer. `content-length` is added unless it is there."""
    found = list(headers)
    if status not in (204, 304) and not any(name == b"content-length" for name, _ in found):
        found.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": found})
    await send({"type": "http.response.body", "body": body})


def wanted_range(text: str, size: int) -> tuple[int, int] | None:
    """First byte and number of bytes that a Range header asks for; None: the whole. Raises ValueError for one that cannot be satisfied. More
    than one range, or another unit, is answered with the whole, as RFC 9110 allows."""
    match = RANGE.match(text.replace(" ", ""))
    if match is None or match.group(0) == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        length = min(int(last), size)
        if length == 0:
            raise ValueError("the range is empty")
        return size - length, length
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    if start >= size:
        raise ValueError("the range begins behind the end")
    return start, end - start + 1


async def send_blob(
    scope: Scope,
    send: Send,
    content: Content,
    digest: str,
    size: int,
    *,
    head: bool = False,
    media_type: bytes = b"application/octet-stream",
    more: Iterable[tuple[bytes, bytes]] = (),
) -> int:
    """Answer with the blob `digest` of `size` bytes; the number of bytes sent. The digest is the strong ETag: content never changes."""
    tag = f'"{digest}"'
    headers = [
        (b"docker-content-digest", digest.encode()),
        (b"etag", tag.encode()),
        (b"accept-ranges", b"bytes"),
        (b"cache-control", b"private, max-age=31536000, immutable"),
        *more,
    ]
    if tag in header(scope, b"if-none-match"):
        await respond(send, 304, headers)
        return 0
    ranged = header(scope, b"range")
    condition = header(scope, b"if-range")
    if condition and condition != tag:
        ranged = ""
    try:
        part = wanted_range(ranged, size) if ranged and not head else None
    except ValueError:
        await respond(send, 416, [*headers, (b"content-range", f"bytes */{size}".encode())])
        return 0
    start, length = part if part is not None else (0, size)
    headers += [(b"content-type", media_type), (b"content-length", str(length).encode())]
    if part is not None:
        headers.append((b"content-range", f"bytes {start}-{start + length - 1}/{size}".encode()))
    await send({"type": "http.response.start", "status": 206 if part is not None else 200, "headers": headers})
    sent = 0
    while sent < length and not head:
        piece = await asyncio.to_thread(content.read, digest, start + sent, min(PIECE, length - sent))
        if not piece:
            raise RuntimeError(f"the blob {digest} ended at {start + sent} of {size} bytes: its file was cut short")
        sent += len(piece)
        await asyncio.wait_for(send({"type": "http.response.body", "body": piece, "more_body": sent < length}), SEND_TIMEOUT_S)
    if head or length == 0:
        await send({"type": "http.response.body", "body": b""})
    return sent
