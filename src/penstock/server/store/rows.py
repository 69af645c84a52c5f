"""Rows to nouns and back, for nouns whose fields are named as their columns.

Owns only that translation. Nouns that differ from their table do it themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeVar

from sqlalchemy import Row, select

from penstock.server.core.errors import stale
from penstock.server.store.db import Tx

T = TypeVar("T")


_getters: dict[type, tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]] = {}


def names_of(cls: type) -> tuple[str, ...]:
    """The field names of a noun."""
    return _getter(cls)[0]


def _getter(cls: type) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    """The field names of a noun (two or more), and what reads them all at once."""
    found = _getters.get(cls)
    if found is None:
        names: tuple[str, ...] = cls.__slots__  # type: ignore[attr-defined]  # in order, of dataclasses with slots and of records
        found = _getters[cls] = names, attrgetter(*names)
    return found


def noun(cls: type[T], row: Row[Any] | None) -> T | None:
    """The noun a row holds, None for no row."""
    if row is None:
        return None
    mapping = row._mapping  # noqa: SLF001 - SQLAlchemy's documented name
    return cls(**{name: mapping[name] for name in names_of(cls)})


def nouns(cls: type[T], rows: Any) -> tuple[T, ...]:
    """All nouns of a result."""
    names = names_of(cls)
    return tuple(cls(**{name: mapping[name] for name in names}) for mapping in rows.mappings())


def row_of(value: Any) -> dict[str, Any]:
    """A noun as a row."""
    names, values = _getter(type(value))
    return dict(zip(names, values(value), strict=True))


def compare_and_set(tx: Tx, table: Any, key: Any, revision: int, noun_name: str, values: dict[str, Any]) -> int:
    """Change one row if it is still at `revision`; the new revision. Raises Stale with the revision found."""
    done = tx.run(table.update().where(key, table.c.revision == revision).values(revision=revision + 1, **values))
    if done.rowcount != 1:
        have = tx.run(select(table.c.revision).where(key)).scalar()
        raise stale(noun_name, int(have or 0), revision)
    return revision + 1
