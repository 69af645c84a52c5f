"""What devices logged: entries as they came, and how far each chain is held."""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, bindparam, func, or_, select

from penstock.server.core.model import LogHead, LogLine
from penstock.server.store.db import Tx
from penstock.server.store.prepared import AMONG, Lookup
from penstock.server.store.rows import names_of, noun, nouns, row_of
from penstock.server.store.tables import log_entries as t
from penstock.server.store.tables import log_heads

_heads = Lookup(select(*(log_heads.c[name] for name in names_of(LogHead))).where(log_heads.c.device.in_(AMONG)))
_empty = t.update().where(t.c.device == bindparam("d"), t.c.branch == bindparam("b"), t.c.seq == bindparam("s")).values(body="")


def heads(tx: Tx, devices: list[str]) -> dict[str, LogHead]:
    """How far the logs of these devices are held."""
    return {row[0]: LogHead(*row) for row in tx.look_up(_heads, devices)}


def head(tx: Tx, device: str) -> LogHead:
    """How far the log of one device is held."""
    return noun(LogHead, tx.run(select(log_heads).where(log_heads.c.device == device)).first()) or LogHead(device)


def put_heads(tx: Tx, many: list[LogHead]) -> None:
    """Note how far logs are held now."""
    tx.upsert(log_heads, [row_of(one) for one in many])


def append(tx: Tx, lines: list[dict[str, Any]]) -> None:
    """Store entries: rows as LogLine names them."""
    tx.insert(t, lines)


def digest_of(tx: Tx, device: str, branch: int, seq: int) -> str:
    """The digest of a stored entry; empty where it is not held (any more)."""
    return tx.run(select(t.c.digest).where(t.c.device == device, t.c.branch == branch, t.c.seq == seq)).scalar() or ""


def newest(tx: Tx, device: str, before: tuple[int, int, int] | None, kinds: tuple[str, ...], limit: int) -> tuple[LogLine, ...]:
    """Entries newest first; `before` is (at_ms, branch, seq) of the last one shown."""
    query = select(t).where(t.c.device == device, t.c.body != "")
    if kinds:
        query = query.where(t.c.kind.in_(kinds))
    if before is not None:
        _, branch, seq = before
        query = query.where(or_(t.c.branch < branch, and_(t.c.branch == branch, t.c.seq < seq)))
    return nouns(LogLine, tx.run(query.order_by(t.c.branch.desc(), t.c.seq.desc()).limit(limit)))


def empty_before(tx: Tx, at_ms: int, kinds: tuple[str, ...], limit: int) -> int:
    """Forget what old entries of these kinds said, received before `at_ms`; how many. Their digests stay, so that a device that was set back
    in time is still found out."""
    old = select(t.c.device, t.c.branch, t.c.seq).where(t.c.received_ms < at_ms, t.c.kind.in_(kinds), t.c.body != "").limit(limit)
    rows = [{"d": row.device, "b": row.branch, "s": row.seq} for row in tx.run(old)]
    if rows:
        tx.run(_empty, rows)
    return len(rows)


def count(tx: Tx) -> int:
    """How many entries are held."""
    return int(tx.run(select(func.count()).select_from(t)).scalar())
