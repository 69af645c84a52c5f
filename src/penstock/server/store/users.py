"""People: their rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import func, or_, select

from penstock.server.core import breakglass
from penstock.server.core.model import PERSON, User
from penstock.server.store.db import Tx
from penstock.server.store.rows import compare_and_set, noun, nouns, row_of
from penstock.server.store.tables import users as t


def add(tx: Tx, user: User) -> None:
    """A new person."""
    tx.run(t.insert(), [row_of(user)])


def by_id(tx: Tx, user: str) -> User | None:
    """The person of that id."""
    return noun(User, tx.run(select(t).where(t.c.id == user)).first())


def by_name(tx: Tx, name: str) -> User | None:
    """The person of that name."""
    return noun(User, tx.run(select(t).where(t.c.name == name)).first())


def count(tx: Tx) -> int:
    """How many people there are; a service account is none, nor is the break-glass account."""
    return int(tx.run(select(func.count()).select_from(t).where(t.c.kind == PERSON, t.c.id != breakglass.ID)).scalar())


def set_password(tx: Tx, user: User, password: str) -> None:
    """Replace the kept digest."""
    compare_and_set(tx, t, t.c.id == user.id, user.revision, "user", {"password": password})


def all_users(tx: Tx) -> tuple[User, ...]:
    """Everybody who is not gone, service accounts too, by name."""
    return nouns(User, tx.run(select(t).where(t.c.removed_ms == 0).order_by(t.c.name)))


def many(tx: Tx, ids: Iterable[str]) -> tuple[User, ...]:
    """Those of these ids, by name; those who are gone too."""
    return nouns(User, tx.run(select(t).where(t.c.id.in_(sorted(set(ids)))).order_by(t.c.name)))


def page(tx: Tx, among: frozenset[str] | None, after: str, limit: int, *, kind: str = "", text: str = "") -> tuple[User, ...]:
    """One page of those of these ids (None: of all) who are not gone, by name; `after` is the name of the last one shown."""
    query = select(t).where(t.c.removed_ms == 0)
    if among is not None:
        query = query.where(t.c.id.in_(sorted(among)))
    if kind:
        query = query.where(t.c.kind == kind)
    if text:
        query = query.where(or_(*(func.lower(one).contains(text.lower(), autoescape=True) for one in (t.c.name, t.c.title))))
    if after:
        query = query.where(t.c.name > after)
    return nouns(User, tx.run(query.order_by(t.c.name).limit(limit)))


def change(tx: Tx, user: User, revision: int, **values: Any) -> int:
    """Compare and set; the new revision."""
    return compare_and_set(tx, t, t.c.id == user.id, revision, "user", values)
