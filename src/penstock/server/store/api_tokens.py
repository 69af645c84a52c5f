"""Programs' keys: their rows, found by the digest of the secret."""

from __future__ import annotations

from sqlalchemy import and_, or_, select

from penstock.server.core.model import ApiToken
from penstock.server.store.db import Tx
from penstock.server.store.rows import noun, nouns, row_of
from penstock.server.store.tables import api_tokens as t


def add(tx: Tx, token: ApiToken) -> None:
    """A new one."""
    tx.run(t.insert(), [row_of(token)])


def by_hash(tx: Tx, digest: str) -> ApiToken | None:
    """The token whose secret has this digest."""
    return noun(ApiToken, tx.run(select(t).where(t.c.hash == digest)).first())


def of_user(tx: Tx, user: str) -> tuple[ApiToken, ...]:
    """A person's tokens, newest first."""
    return nouns(ApiToken, tx.run(select(t).where(t.c.user == user).order_by(t.c.created_ms.desc())))


def narrowed_to(tx: Tx, role: str, now_ms: int) -> int:
    """How many tokens that are still good are narrowed to a role."""
    live = nouns(ApiToken, tx.run(select(t).where(t.c.revoked_ms == 0, t.c.expires_ms > now_ms)))
    return sum(any(name == role for name, *_ in token.only) for token in live)


def drop_all(tx: Tx, user: str) -> None:
    """All of somebody's tokens are gone."""
    tx.run(t.delete().where(t.c.user == user))


def touch(tx: Tx, token: str, used_ms: int) -> None:
    """Note that it was used."""
    tx.run(t.update().where(t.c.id == token).values(used_ms=used_ms))


def revoke(tx: Tx, token: str, user: str, now_ms: int) -> bool:
    """Make it worthless; whether there was one of this user."""
    return bool(tx.run(t.update().where(t.c.id == token, t.c.user == user, t.c.revoked_ms == 0).values(revoked_ms=now_ms)).rowcount)


def revoke_all(tx: Tx, user: str, now_ms: int) -> None:
    """Make all of somebody's worthless."""
    tx.run(t.update().where(t.c.user == user, t.c.revoked_ms == 0).values(revoked_ms=now_ms))


def forget_before(tx: Tx, before_ms: int) -> int:
    """Forget those that lapsed or were revoked before a time; how many."""
    return int(tx.run(t.delete().where(or_(t.c.expires_ms < before_ms, and_(t.c.revoked_ms > 0, t.c.revoked_ms < before_ms)))).rowcount)
