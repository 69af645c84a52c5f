"""People: their rows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

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
    """Everybody, service accounts too, by name."""
    return nouns(User, tx.run(select(t).order_by(t.c.name)))


def change(tx: Tx, user: User, revision: int, **values: Any) -> int:
    """Compare and set; the new revision."""
    return compare_and_set(tx, t, t.c.id == user.id, revision, "user", values)
