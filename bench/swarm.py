"""`python -m bench.swarm HOST PORT CA FILE POLL_S`: as many simulated devices as FILE has lines, each with a TLS connection kept alive.

Owns the load only: it polls as agents do at rest (a session and a tag it already holds), comes back by itself when the plane goes, and prints
one JSON line a second: how many are connected, how many are current since the last line "mark" on its standard input, and what it saw.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import ssl
import sys
from pathlib import Path
from typing import cast

import uvloop

from bench.place import many_files

FIRST_S, MOST_S = 2.0, 10.0  # the wait before coming back: drawn from 0 to FIRST_S, doubled each time it fails
HANDSHAKE_S = 60.0


class Count:
    """What the swarm has seen."""

    def __init__(self) -> None:
        self.connected = self.polls = self.wrong = self.lost = self.refused = 0
        self.current: set[int] = set()
        self.marks = 0  # how often counting began anew: tells a line written before from one after


class Device(asyncio.Protocol):
    """One connection of one device: writes a poll, reads its answer."""

    def __init__(self, number: int, request: bytes, count: Count) -> None:
        self.number, self.request, self.count = number, request, count
        self.transport: asyncio.Transport | None = None
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.inbox = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are none by class
        self.count.connected += 1

    def poll(self) -> None:
        assert self.transport is not None
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.inbox += data
        while b"\r\n\r\n" in self.inbox:  # 304 has no body (RFC 9110, 15.4.5); any other answer is wrong here
            head, _, self.inbox = self.inbox.partition(b"\r\n\r\n")
            self.count.polls += 1
            if head.startswith(b"HTTP/1.1 304 "):
                self.count.current.add(self.number)
            else:
                self.count.wrong += 1
                self.inbox = b""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.count.connected -= 1
        if not self.gone.done():
            self.gone.set_result(None)


async def live(number: int, request: bytes, host: str, port: int, context: ssl.SSLContext, poll_s: float, count: Count) -> None:
    """The life of one device."""
    loop = asyncio.get_running_loop()
    wait = FIRST_S
    start = random.random() * min(poll_s, 20)  # at first they come over a while, afterwards as it happens
    await asyncio.sleep(start)
    while True:
        try:
            _, device = await loop.create_connection(
                lambda: Device(number, request, count), host, port, ssl=context, server_hostname=host, ssl_handshake_timeout=HANDSHAKE_S
            )
        except (OSError, TimeoutError):
            count.refused += 1
            await asyncio.sleep(random.random() * wait)
            wait = min(MOST_S, wait * 2)
            continue
        wait = FIRST_S
        while not device.gone.done():
            device.poll()
            await asyncio.wait((device.gone,), timeout=poll_s * (0.9 + random.random() * 0.2))
        count.lost += 1
        await asyncio.sleep(random.random() * wait)


async def main(host: str, port: int, authority: str, lines: list[str], poll_s: float) -> None:
    context = ssl.create_default_context(cafile=authority)
    count = Count()
    tasks = []
    for number, line in enumerate(lines):
        token, tag = line.split(" ", 1)
        request = f"GET /d/v1/state?root=1 HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\nIf-None-Match: {tag}\r\n\r\n".encode()
        tasks.append(asyncio.create_task(live(number, request, host, port, context, poll_s, count)))

    def told() -> None:
        if os.read(0, 64):
            count.current.clear()
            count.marks += 1
        else:  # whoever started us is gone
            asyncio.get_running_loop().remove_reader(0)
            for task in tasks:
                task.cancel()

    asyncio.get_running_loop().add_reader(0, told)
    while not all(task.done() for task in tasks):
        print(
            json.dumps(
                {
                    "connected": count.connected,
                    "current": len(count.current),
                    "polls": count.polls,
                    "wrong": count.wrong,
                    "lost": count.lost,
                    "marks": count.marks,
                }
            ),
            flush=True,
        )
        await asyncio.wait(tasks, timeout=0.5)


if __name__ == "__main__":
    many_files()
    arguments = sys.argv[1:]
    uvloop.run(main(arguments[0], int(arguments[1]), arguments[2], Path(arguments[3]).read_text().splitlines(), float(arguments[4])))
