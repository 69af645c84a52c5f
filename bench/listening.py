"""What a page that is open and kept up to date costs the plane's memory.

Owns that number: pages' event streams over TLS, each on a connection of its own, and the resident memory of the plane before and after.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterator

from bench import procs
from bench.place import NOTE, SHORT, house, log
from bench.results import Result
from penstock.server.actions import sessions
from penstock.server.api import auth
from penstock.server.app import open_plane
from penstock.server.core.model import ADMINISTRATOR, User, UserId
from penstock.server.core.rights import FLEET, Binding, Part
from penstock.server.settings import read
from penstock.server.store import access, users
from penstock.server.store.db import Tx
from tests.e2e.house import House

KEYS = ("sse.rss_kib_per_open_page",)
PAGES = 40 if SHORT else 400
SETTLE_S = 3 if SHORT else 20


def measure(wanted: frozenset[str]) -> Iterator[Result]:
    """The number: the plane's growth from a tenth of the pages, which warms it, to all of them."""
    if "sse.rss_kib_per_open_page" not in wanted:
        return
    with house() as home:
        secret = _session(home)
        assert home.plane.process is not None
        yield asyncio.run(_open(home, secret, home.plane.process.pid))


def _session(home: House) -> str:
    """A person's session; the secret of its cookie."""
    home.plane.stop()
    running = open_plane(read(None, given={"data": home.plane.data}))
    plane = running.plane
    try:

        def work(tx: Tx) -> str:
            user = User(UserId("usr_bench"), "bench", "x", plane.clock.now_ms())
            users.add(tx, user)
            access.bind(tx, Binding("bnd_bench", user.id, ADMINISTRATOR, Part(FLEET)))
            return sessions.open_for(plane, tx, user, "", "").secret

        return plane.db.update(work)
    finally:
        running.close()
        home.plane.start()


async def _open(home: House, secret: str, pid: int) -> Result:
    context = ssl.create_default_context(cafile=str(home.plane.ca))
    context.check_hostname = False
    writers: list[asyncio.StreamWriter] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", home.plane.port, ssl=context)
        writer.write(f"GET /live?topic=fleet&topic=events HTTP/1.1\r\nHost: plane\r\nCookie: {auth.COOKIE}={secret}\r\n\r\n".encode())
        await writer.drain()
        head = await asyncio.wait_for(reader.readuntil(b"retry: 3000"), 30)
        if b" 200 " not in head.partition(b"\r\n")[0]:
            raise RuntimeError(f"the plane did not open a stream: {head[:300]!r}")
        writers.append(writer)

    async def until(count: int) -> int:
        while len(writers) < count:
            await one()
        await asyncio.sleep(SETTLE_S)
        return procs.rss_kib(pid)

    began = time.monotonic()
    few = PAGES // 10
    before = await until(few)
    after = await until(PAGES)
    log(f"{PAGES} pages open after {time.monotonic() - began:.0f} s")
    for writer in writers:
        writer.close()
    how = (
        f"growth of the plane's VmRSS from {few} to {PAGES} open event streams of pages ({before} to {after} KiB), each on a TLS connection of its own, "
        f"TLS ended in the product; {procs.busy()}.{NOTE}"
    )
    return Result("sse.rss_kib_per_open_page", (after - before) / (PAGES - few), how)
