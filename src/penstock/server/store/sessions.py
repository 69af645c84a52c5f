"""Signed-in browsers: their rows, found by the digest of the secret."""

from __future__ import annotations

from sqlalchemy import select

from penstock.server.core.model import Session
from penstock.server.store.db import Tx
from penstock.server.store.rows import noun, nouns, row_of
from penstock.server.store.tables import sessions as t


def add(tx: Tx, session: Session) -> None:
    """A new session."""
    tx.run(t.insert(), [row_of(session)])


def by_hash(tx: Tx, digest: str) -> Session | None:
    """The session whose secret has this digest."""
    return noun(Session, tx.run(select(t).where(t.c.hash == digest)).first())


def of_user(tx: Tx, user: str) -> tuple[Session, ...]:
    """A person's sessions, newest first."""
    return nouns(Session, tx.run(select(t).where(t.c.user == user).order_by(t.c.created_ms.desc())))


def touch(tx: Tx, session: str, seen_ms: int) -> None:
    """Note that it was used."""
    tx.run(t.update().where(t.c.id == session).values(seen_ms=seen_ms))


def end(tx: Tx, session: str) -> None:
    """End one."""
    tx.run(t.delete().where(t.c.id == session))


def end_others(tx: Tx, user: str, keep: str) -> None:
    """End all of a person's but one."""
    tx.run(t.delete().where(t.c.user == user, t.c.id != keep))


def end_before(tx: Tx, now_ms: int, seen_before_ms: int, made_before_ms: int) -> int:
    """Remove what has expired, idled out or grown too old; how many."""
    return int(tx.run(t.delete().where((t.c.expires_ms <= now_ms) | (t.c.seen_ms <= seen_before_ms) | (t.c.created_ms <= made_before_ms))).rowcount)
