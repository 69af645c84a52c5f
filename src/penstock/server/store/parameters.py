"""Values of parameters at levels: an append-only history for each app, and secrets as the vault keeps them."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import func, select

from penstock.server.core.levels import Given
from penstock.server.store.db import Tx
from penstock.server.store.parameter_tables import level_secrets
from penstock.server.store.parameter_tables import level_values as t
from penstock.server.store.rows import nouns, row_of


def add(tx: Tx, lines: Iterable[Given]) -> None:
    """New lines of the history."""
    tx.insert(t, [row_of(one) for one in lines])


def newest(tx: Tx, app: str) -> int:
    """The number of an app's last line; 0 where there is none."""
    return int(tx.run(select(func.max(t.c.number)).where(t.c.app == app)).scalar() or 0)


def mark(tx: Tx, app: str, number: int) -> str:
    """The id of a line: what tells it from one of the same number that was never kept."""
    return str(tx.run(select(t.c.id).where(t.c.app == app, t.c.number == number)).scalar() or "")


def history(tx: Tx, app: str, upto: int) -> tuple[Given, ...]:
    """The lines of an app up to a number, in order."""
    return nouns(Given, tx.run(select(t).where(t.c.app == app, t.c.number <= upto).order_by(t.c.number)))


def apps_at(tx: Tx, part: str = "") -> tuple[str, ...]:
    """The apps that something was ever said of at a group, site or device; without one: anywhere."""
    query = select(t.c.app).distinct().order_by(t.c.app)
    return tuple(tx.run(query.where(t.c.part == part) if part else query).scalars())


def put_secret(tx: Tx, app: str, name: str, version: str, vaulted: str) -> None:
    """Keep one version of a secret's value."""
    tx.insert(level_secrets, [{"app": app, "name": name, "version": version, "vaulted": vaulted}])


def secret(tx: Tx, app: str, name: str, version: str) -> str | None:
    """One version as the vault keeps it."""
    c = level_secrets.c
    found: str | None = tx.run(select(c.vaulted).where(c.app == app, c.name == name, c.version == version)).scalar()
    return found
