"""Bringing blobs: by digest, resumable at any byte, verified, capped in rate, over a connection of its own. Runs in a child.

Owns the conversation with /d/v1/blobs and its patience: a cut costs a new connection from where it was, and only cuts in a row that
bring nothing end the work (what arrived stays, and the next fetch goes on from there). Storing and verifying is `blobstore`; which blobs
and when is the brain's.
"""

from __future__ import annotations

import time

from penstock.agent.blobstore import BlobFault, BlobStore
from penstock.agent.dial import DialError
from penstock.agent.http1 import HttpError, decimal
from penstock.agent.reach import connect
from penstock.agent.work import Fetch, FetchDone
from penstock.wire.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.agent.blobstore import Partial
    from penstock.agent.http1 import Answer, Connection
    from penstock.wire.messages import Endpoint
    from penstock.wire.types import Blob

FRUITLESS = 5  # connections in a row that bring no byte
BLOB_S = 24 * 3600  # a single blob may take this long; silence is bounded by IDLE_S
IDLE_S = 60.0
MOST_RETRY_S = 3600
NEWS_S = 1.0


class _Stop(Exception):
    """The work ends here with this outcome."""

    def __init__(self, outcome: FetchDone) -> None:
        super().__init__(outcome.why)
        self.outcome = outcome


@record
class Way:
    """How the plane is reached: addresses in order, the environment (for proxies), and when to judge certificates (`reach.judge_at_s`)."""

    endpoints: tuple[Endpoint, ...]
    environment: Mapping[str, str]
    judge_at_s: int = 0


class Pace:
    """A token bucket: `take` says how long to rest after so many bytes. `per_s` 0 is no cap; a second's worth may burst."""

    def __init__(self, per_s: int, now_s: float) -> None:
        self._per_s = per_s
        self._level = float(per_s)
        self._at_s = now_s

    def take(self, count: int, now_s: float) -> float:
        """Seconds to rest before the next read."""
        if not self._per_s:
            return 0.0
        self._level = min(self._level + (now_s - self._at_s) * self._per_s, float(self._per_s)) - count
        self._at_s = now_s
        return max(0.0, -self._level / self._per_s)


class Fetcher:
    """One work. `send` hears how many bytes of its blobs are here."""

    def __init__(self, work: Fetch, way: Way, store: BlobStore, send: Callable[[int], None], sleep: Callable[[float], None] = time.sleep) -> None:
        self._work = work
        self._way = way
        self._store = store
        self._send = send
        self._sleep = sleep
        self._pace = Pace(work.bytes_per_s, time.monotonic())
        self._connection: Connection | None = None
        self._base = ""
        self._fruitless = 0
        self._told_s = 0.0
        self._here = 0

    def run(self) -> FetchDone:
        """Bring what is missing, in order."""
        fetched: list[str] = []
        missing: list[str] = []
        wanted = self._store.missing(self._work.blobs)
        absent = {blob.digest for blob in wanted}
        self._here = sum(blob.size for blob in self._work.blobs if blob.digest not in absent)
        try:
            for blob in wanted:
                if self._bring(blob):
                    fetched.append(blob.digest)
                else:
                    missing.append(blob.digest)
        except _Stop as stop:
            end = stop.outcome
            return FetchDone(end.ok, end.why, end.code, tuple(fetched), tuple(missing), end.session_expired, end.retry_s)
        except BlobFault as fault:
            return FetchDone(False, fault.why, fault.code, tuple(fetched), tuple(missing))
        finally:
            self._drop()
        if missing:
            return FetchDone(False, f"the control plane has no bytes for {missing[0]}", "missing", tuple(fetched), tuple(missing))
        return FetchDone(True, "", "", tuple(fetched))

    def _bring(self, blob: Blob) -> bool:
        """One blob to its end. False: the plane has none."""
        wrong = False
        while True:
            with self._store.begin(blob) as partial:
                begun = partial.offset
                try:
                    if partial.offset < blob.size or not blob.size:
                        found = self._get(blob, partial)
                        if found is None:
                            return False
                        if not found:
                            continue  # the plane begins anew; so do we
                    partial.finish()
                except (DialError, HttpError) as fault:
                    self._cut(fault.why, gained=partial.offset > begun)
                    continue
                except BlobFault as fault:
                    if fault.code != "blob-corrupt" or wrong:
                        raise
                    wrong = True  # once may be a damaged part on our disk; twice is the other side
                    self._drop()
                    continue
            self._here += blob.size
            self._tell(0, force=True)
            return True

    def _cut(self, why: str, *, gained: bool) -> None:
        self._drop()
        self._fruitless = 0 if gained else self._fruitless + 1
        if self._fruitless >= FRUITLESS:
            raise _Stop(FetchDone(False, why, "link"))
        self._sleep(min(0.5 * 2**self._fruitless, 15.0))

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _line(self) -> Connection:
        if self._connection is not None and self._connection.usable:
            return self._connection
        self._drop()
        faults: list[str] = []
        for endpoint in self._way.endpoints:
            try:
                self._connection, self._base = connect(endpoint, self._way.environment, self._way.judge_at_s, IDLE_S)
            except DialError as fault:
                faults.append(fault.why)
            else:
                return self._connection
        raise DialError("; ".join(faults) or "no address of the plane is known")

    def _get(self, blob: Blob, partial: Partial) -> bool | None:
        """Ask for the rest of a blob and store it. True: it is all here; False: start it again; None: the plane has none."""
        headers = {"Authorization": f"Bearer {self._work.token}"}
        if partial.offset:
            headers["Range"] = f"bytes={partial.offset}-"
        answer = self._line().request("GET", f"{self._base}/d/v1/blobs/{blob.digest}", headers, timeout_s=BLOB_S)
        if answer.status not in (200, 206):
            return self._refused(blob, answer)
        if answer.status == 200 and partial.offset:
            self._drop()
            partial.close()
            self._store.forget(blob.digest)
            return False
        if answer.status == 206 and _begin_of(answer) != partial.offset:
            raise HttpError("malformed", f"the plane answered with another range ({answer.headers.get('content-range', 'none')})")
        for piece in answer.chunks():
            partial.write(piece)
            self._fruitless = 0
            self._tell(partial.offset)
            rest = self._pace.take(len(piece), time.monotonic())
            if rest:
                self._sleep(rest)
        if partial.offset < blob.size:
            raise HttpError("closed", f"the plane sent {partial.offset} of the {blob.size} bytes of {blob.digest}")
        return True

    def _refused(self, blob: Blob, answer: Answer) -> bool | None:
        status = answer.status
        answer.read(65536)
        if status == 404:
            return None
        if status == 416:  # what we have is no beginning of what the plane has
            self._store.forget(blob.digest)
            raise HttpError("malformed", "the plane has fewer bytes of the blob than this device")
        if status == 401:
            raise _Stop(FetchDone(False, "the session has ended; the next one goes on from here", "session", session_expired=True))
        retry = answer.headers.get("retry-after", "")
        retry_s = min(int(retry), MOST_RETRY_S) if retry.isascii() and retry.isdigit() and len(retry) < 10 else 0
        raise _Stop(
            FetchDone(False, f"the control plane answered {status} to a fetch", "refused" if status < 500 and status != 429 else "busy", retry_s=retry_s)
        )

    def _tell(self, partial: int, *, force: bool = False) -> None:
        now = time.monotonic()
        if force or now - self._told_s >= NEWS_S:
            self._told_s = now
            self._send(self._here + partial)


def _begin_of(answer: Answer) -> int:
    """The first byte's number in a Content-Range (RFC 9110, 14.4); -1 where there is none."""
    unit, _, rest = answer.headers.get("content-range", "").partition(" ")
    first = rest.partition("-")[0]
    return decimal(first, "Content-Range") if unit == "bytes" and first else -1


def fetch(work: Fetch, way: Way, folder: str, send: Callable[[int], None]) -> FetchDone:
    """Carry out one fetch into the blob store in `folder`. Never raises for what the network or the disk does."""
    try:
        store = BlobStore(folder)
    except BlobFault as fault:
        return FetchDone(False, fault.why, fault.code)
    return Fetcher(work, way, store, send).run()
