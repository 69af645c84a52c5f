"""Statements compiled once and run by the driver on plain tuples.

Owns what thousands of reports a second need: the same statements, types and dialects as everywhere in this room, without SQLAlchemy's
work on each row (a dict of parameters made, converted and put in order; a row object with names), which costs more than SQLite's own.
Never holds a statement of its own: the files of the nouns do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import BindParameter, Connection, Select, Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.schema import ScalarElementColumnDefault

AMONG: BindParameter[Any] = bindparam("among", expanding=True)  # `where(column.in_(AMONG))`: the keys given to `Lookup.rows`
SIZES = (1, 8, 32, 128, 500)  # keys of one statement: few texts to compile, and below every database's limit of parameters


class Lookup:
    """A select over `AMONG`, for any number of keys."""

    def __init__(self, query: Select[Any]) -> None:
        self._query = query
        self._made: dict[tuple[str, int], tuple[str, list[tuple[int, Callable[[Any], Any]]]]] = {}

    def rows(self, connection: Connection, keys: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """The columns of what is found, in the order of the query, for distinct keys."""
        for at in range(0, len(keys), SIZES[-1]):
            part = keys[at : at + SIZES[-1]]
            size = next(one for one in SIZES if one >= len(part))
            text, readers = self._text(connection, size)
            found = connection.exec_driver_sql(text, (*part, *(part[-1] for _ in range(size - len(part))))).all()
            if not readers:
                yield from found
                continue
            for row in found:
                values = list(row)
                for index, read in readers:
                    values[index] = read(values[index])
                yield tuple(values)

    def _text(self, connection: Connection, size: int) -> tuple[str, list[tuple[int, Callable[[Any], Any]]]]:
        dialect = connection.dialect
        made = self._made.get((dialect.name, size))
        if made is None:
            query = self._query.params(among=[""] * size)
            text = str(query.compile(dialect=dialect, compile_kwargs={"render_postcompile": True}))
            readers = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in query.selected_columns]
            made = text, [(index, read) for index, read in enumerate(readers) if read is not None]
            self._made[dialect.name, size] = made
        return made


def insert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all have the same columns; those left out get their defaults."""
    _write(connection, table, rows, None)


def upsert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], only: tuple[str, ...] | None) -> None:
    """Insert rows, or update those whose primary key exists (all other columns, or `only` these)."""
    if rows:
        keys = tuple(column.name for column in table.primary_key.columns)
        _write(connection, table, rows, only if only is not None else tuple(name for name in rows[0] if name not in keys))


def _write(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], update: tuple[str, ...] | None) -> None:
    if not rows:
        return
    text, get, writers, defaults = _writing(connection.dialect, table, tuple(rows[0]), update)
    many = [get({**defaults, **row}) for row in rows] if defaults else [get(row) for row in rows]
    if writers:
        for at, row in enumerate(many):
            values = list(row)
            for index, write in writers:
                values[index] = write(values[index])
            many[at] = tuple(values)
    connection.exec_driver_sql(text, many)


@lru_cache(maxsize=256)
def _writing(
    dialect: Any, table: Table, given: tuple[str, ...], update: tuple[str, ...] | None
) -> tuple[str, Callable[[Mapping[str, Any]], tuple[Any, ...]], list[tuple[int, Callable[[Any], Any]]], dict[str, Any]]:
    """The text, how a row becomes its parameters, which of those are written otherwise, and the defaults of columns not given."""
    if not dialect.positional:
        raise ValueError(f"the engine for {dialect.name} must be made with a positional paramstyle, such as 'format'")
    defaults = {one.name: one.default.arg for one in table.columns if one.name not in given and isinstance(one.default, ScalarElementColumnDefault)}
    statement: Any = (postgresql if dialect.name == "postgresql" else sqlite).insert(table)
    if update is not None:
        keys = tuple(column.name for column in table.primary_key.columns)
        if update:
            statement = statement.on_conflict_do_update(index_elements=keys, set_={name: statement.excluded[name] for name in update})
        else:
            statement = statement.on_conflict_do_nothing(index_elements=keys)
    compiled = statement.compile(dialect=dialect, column_keys=[*given, *defaults])
    order = tuple(compiled.positiontup)
    writers = [table.columns[name].type.dialect_impl(dialect).bind_processor(dialect) for name in order]
    get = itemgetter(*order) if len(order) > 1 else lambda row: (row[order[0]],)
    return str(compiled), get, [(index, write) for index, write in enumerate(writers) if write is not None], defaults
