"""The device log: the one record a device keeps of itself, numbered without holes and chained by digests.

Owns the segment files, numbering, quotas by kind, what is kept after an acknowledgement, and the naming of what damage took (`gap` entries). Entries
are numbered when they are written, never before, so that what a full backlog coalesces or leaves out makes no hole. Only a signed acknowledgement
whose head fits lets an entry go. Never decides what is worth logging.

A line is a CRC and the entry's canonical JSON. A cut or damaged line ends its segment; what later segments hold still counts.
"""

from __future__ import annotations

import binascii

from penstock.agent.disk import DiskFault
from penstock.wire.codec import WireError, decode, encode
from penstock.wire.log import Event, Gap, entry_digest
from penstock.wire.messages import LogEntry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from penstock.agent.disk import Disk

FOLDER = "log"
SEGMENT_BYTES = 128 * 1024
MAX_QUEUE = 512  # entries waiting in memory while the storage refuses
BATCH_ENTRIES = 256
BATCH_BYTES = 600 * 1024

# Kinds that a full backlog may hold back, and their share of the quota in percent. Every other kind is always written.
SHARES = {"observation": 25, "event": 50, "refusal": 50, "boot": 50}


class Segment:
    """One file: first and last number in it, its bytes, and how many of them belong to each kind that has a share."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.first = 0
        self.last = 0
        self.size = 0
        self.by_kind: dict[str, int] = {}
        self.damaged = False

    def count(self, entry: LogEntry, size: int) -> None:
        self.first = self.first or entry.seq
        self.last = entry.seq
        self.size += size
        if entry.kind in SHARES:
            self.by_kind[entry.kind] = self.by_kind.get(entry.kind, 0) + size


class DeviceLog:
    """Made once per start. `seq` and `head` are number and digest of the newest entry, `acked` the newest one acknowledged under signature.
    `known_seq`, `known_head`, `acked` come from the ledger: a log that ends before them has lost its tail, and says so."""

    def __init__(self, disk: Disk, boot: int, known_seq: int, known_head: str, acked: int, quota_bytes: int = 16 * 1024 * 1024) -> None:
        self._disk = disk
        self.boot = boot
        self.quota_bytes = quota_bytes
        self.seq = 0
        self.head = ""
        self.acked = acked
        self.fault = ""
        self.suppressed = 0
        self._segments: list[Segment] = []
        self._queue: list[tuple[str, Any, int, str]] = []
        self._stalled: tuple[bytes, tuple[LogEntry, ...]] | None = None
        self._holes = self._load()
        if known_seq > self.seq:
            self._holes.append((self.seq + 1, known_seq))
            self.seq, self.head = known_seq, known_head
        self._holes = [(max(first, acked + 1), last) for first, last in self._holes if last > acked]

    # --- reading the disk -------------------------------------------------------------------------------------------------

    def _load(self) -> list[tuple[int, int]]:
        holes = []
        try:
            names = self._disk.names(FOLDER)
        except DiskFault as fault:
            self.fault = fault.why
            return []
        for name in names:
            segment = Segment(f"{FOLDER}/{name}")
            for entry, size in self._lines(segment):
                if self.seq and entry.seq <= self.seq:
                    segment.last = max(segment.last, entry.seq)
                    segment.first = segment.first or entry.seq
                    segment.size += size
                    continue  # written twice after a fault in between: the same bytes
                if self.seq and entry.seq > self.seq + 1:
                    holes.append((self.seq + 1, entry.seq - 1))
                segment.count(entry, size)
                self.seq, self.head = entry.seq, entry_digest(entry)
            self._segments.append(segment)
        if self.oldest() > self.acked + 1:
            holes.insert(0, (self.acked + 1, self.oldest() - 1))
        return holes

    def _lines(self, segment: Segment, above: int = 0) -> list[tuple[LogEntry, int]]:
        """The whole entries at the beginning of a segment with a number over `above`; marks it damaged where more bytes follow."""
        try:
            raw = self._disk.read(segment.name) or b""
        except DiskFault as fault:
            self.fault = fault.why
            segment.damaged = True
            return []
        found = []
        at = 0
        while at < len(raw):
            end = raw.find(b"\n", at)
            line = raw[at:end] if end >= 0 else b""
            if above and 0 < _number(line) <= above and _whole(line):
                at = end + 1
                continue
            entry = _entry(line)
            if entry is None:
                segment.damaged = True
                break
            found.append((entry, end + 1 - at))
            at = end + 1
        return found

    def entries_after(self, seq: int, most: int = BATCH_ENTRIES, most_bytes: int = BATCH_BYTES) -> tuple[LogEntry, ...]:
        """The next consecutive entries with a number above `seq`; at least one where there is one."""
        found: list[LogEntry] = []
        size = 0
        for segment in self._segments:
            if segment.last <= seq:
                continue
            for entry, length in self._lines(segment, seq):
                if entry.seq <= seq:
                    continue
                if found and (entry.seq != found[-1].seq + 1 or len(found) >= most or size + length > most_bytes):
                    return tuple(found)
                found.append(entry)
                size += length
                seq = entry.seq
        return tuple(found)

    def tail(self, count: int) -> tuple[LogEntry, ...]:
        """The newest `count` entries, oldest first."""
        found: list[LogEntry] = []
        for segment in reversed(self._segments):
            lines = [entry for entry, _ in self._lines(segment)]
            found = lines + found
            if len(found) >= count:
                break
        return tuple(found[-count:]) if count > 0 else ()

    def oldest(self) -> int:
        """The number of the oldest entry still here, 0 where there is none."""
        return next((segment.first for segment in self._segments if segment.first), 0)

    def waiting(self) -> bool:
        """Whether entries are here that the plane has not acknowledged."""
        return self.seq > self.acked

    # --- writing ----------------------------------------------------------------------------------------------------------

    def room_for(self, kind: str) -> bool:
        """Whether one more entry of this kind may be numbered now. An observation that may not is kept by its maker, who has a newer one soon."""
        share = SHARES.get(kind)
        if share is None:
            return True
        used = sum(segment.by_kind.get(kind, 0) for segment in self._segments if segment.last > self.acked)
        return used < self.quota_bytes * share // 100

    def add(self, kind: str, body: Any, at_ms: int, clock: str) -> None:
        """Put an entry into the queue; `flush` numbers and writes it. Kinds over their share are counted instead."""
        if not self.room_for(kind):
            self.suppressed += 1
            return
        if len(self._queue) >= MAX_QUEUE:
            for index, (queued, _, _, _) in enumerate(self._queue):
                if queued in SHARES:
                    del self._queue[index]
                    self.suppressed += 1
                    break
        self._queue.append((kind, body, at_ms, clock))

    def flush(self, at_ms: int, clock: str) -> bool:
        """Write what is queued, all in one go. False: the storage refused (`fault` says why) and the queue stands."""
        if self._stalled is not None and not self._put(*self._stalled):
            return False
        if self._holes:
            for first, last in self._holes:
                self._queue.insert(0, ("gap", Gap(first, last, "damaged storage took them"), at_ms, clock))
            self._holes = []
        if self.suppressed and self._queue and self.room_for("event"):
            why = f"{self.suppressed} entries were left out before they were numbered, because the backlog was full"
            self._queue.append(("event", Event("log.suppressed", why, data={"count": str(self.suppressed)}), at_ms, clock))
            self.suppressed = 0
        while self._queue:
            batch, lines, seq, head = [], [], self.seq, self.head
            for kind, body, when, how in self._queue[:BATCH_ENTRIES]:
                text = encode(body).decode("ascii")
                entry = LogEntry(self.boot, seq + 1, head, when, how, kind, text)
                batch.append(entry)
                lines.append(_line(entry))
                seq, head = entry.seq, entry_digest(entry)
            del self._queue[: len(batch)]
            if not self._put(b"".join(lines), tuple(batch)):
                return False
        return True

    def _put(self, data: bytes, batch: tuple[LogEntry, ...]) -> bool:
        segment = self._segments[-1] if self._segments else None
        if segment is None or segment.damaged or segment.size >= SEGMENT_BYTES:
            segment = Segment(f"{FOLDER}/{batch[0].seq:016d}.{len(self._segments):04d}.seg")
            if any(one.name == segment.name for one in self._segments):
                segment.name = f"{FOLDER}/{batch[0].seq:016d}.{len(self._segments) + 1000:04d}.seg"
            self._segments.append(segment)
        try:
            self._disk.append(segment.name, data)
        except DiskFault as fault:
            # A part may be on the disk. The same bytes are written again, elsewhere, so that a number never means two things.
            self.fault = fault.why
            segment.damaged = True
            self._stalled = (data, batch)
            return False
        self._stalled = None
        self.fault = ""
        for entry in batch:
            segment.count(entry, len(_line(entry)))
        self.seq, self.head = batch[-1].seq, entry_digest(batch[-1])
        return True

    def newest(self) -> tuple[int, str]:
        """Number and digest of the newest entry on disk."""
        return self.seq, self.head

    # --- letting go -------------------------------------------------------------------------------------------------------

    def ack_fault(self, seq: int, head: str) -> str | None:
        """Why an acknowledgement does not fit this log; None when it does."""
        if seq > self.seq:
            return f"the plane acknowledges entry {seq}, and this log ends at {self.seq}: it knows a future that this disk does not"
        if seq <= self.acked:
            return None
        if seq == self.seq:
            fits = head == self.head
        else:
            found = self.entries_after(seq - 1, most=1)
            fits = bool(found) and found[0].seq == seq and entry_digest(found[0]) == head
        return None if fits else f"the plane's copy of entry {seq} is not the one in this log; everything is kept, and a person must look"

    def ack(self, seq: int) -> None:
        """Entries up to `seq` are safe at the plane. A tail of them stays, for a plane that is restored to an earlier day."""
        self.acked = max(self.acked, min(seq, self.seq))
        keep = self.quota_bytes // 4
        total = sum(segment.size for segment in self._segments)
        while len(self._segments) > 1 and self._segments[0].last <= self.acked and total > keep:
            try:
                self._disk.remove(self._segments[0].name)
            except DiskFault as fault:
                self.fault = fault.why
                return
            total -= self._segments[0].size
            del self._segments[0]

    def rewind(self, seq: int) -> None:
        """The plane was restored to an earlier day: what it may have forgotten counts as not acknowledged, as far back as it is here."""
        self.acked = max(min(self.acked, seq), self.oldest() - 1, 0)


def _line(entry: LogEntry) -> bytes:
    body = encode(entry)
    return b"%08x %s\n" % (binascii.crc32(body), body)


def _number(line: bytes) -> int:
    """The entry's number, read off the end of its canonical JSON ("seq" is the last key) without decoding it; 0 where it does not stand there."""
    digits = line.rpartition(b'"seq":')[2][:-1]
    return int(digits) if digits.isdigit() else 0


def _whole(line: bytes) -> bool:
    try:
        return len(line) >= 10 and line[8:9] == b" " and int(line[:8], 16) == binascii.crc32(line[9:])
    except ValueError:
        return False


def _entry(line: bytes) -> LogEntry | None:
    if not _whole(line):
        return None
    try:
        return decode(LogEntry, line[9:])
    except WireError:
        return None
