"""Join tokens: their rows, found by the digest of the secret."""

from __future__ import annotations

from sqlalchemy import select

from penstock.server.core.model import JoinToken
from penstock.server.core.rights import Reach
from penstock.server.store.db import Tx
from penstock.server.store.reach import inside
from penstock.server.store.rows import noun, nouns, row_of
from penstock.server.store.tables import join_tokens as t


def add(tx: Tx, token: JoinToken) -> None:
    """A new one."""
    tx.run(t.insert(), [row_of(token)])


def by_hash(tx: Tx, digest: str) -> JoinToken | None:
    """The token whose secret has this digest."""
    return noun(JoinToken, tx.run(select(t).where(t.c.hash == digest)).first())


def by_id(tx: Tx, reach: Reach, token: str) -> JoinToken | None:
    """The token of that id, if it lies inside."""
    return noun(JoinToken, tx.run(select(t).where(t.c.id == token, *inside(reach, site=t.c.site))).first())


def all_in(tx: Tx, reach: Reach, site: str | None = None) -> tuple[JoinToken, ...]:
    """All, newest first."""
    query = select(t).where(*inside(reach, site=t.c.site)).order_by(t.c.created_ms.desc(), t.c.id)
    if site is not None:
        query = query.where(t.c.site == site)
    return nouns(JoinToken, tx.run(query))


def spend(tx: Tx, token: str) -> bool:
    """Count one use, if one is left."""
    return bool(tx.run(t.update().where(t.c.id == token, t.c.used < t.c.uses).values(used=t.c.used + 1)).rowcount)


def revoke(tx: Tx, token: str, now_ms: int) -> None:
    """Make it worthless."""
    tx.run(t.update().where(t.c.id == token, t.c.revoked_ms == 0).values(revoked_ms=now_ms))
