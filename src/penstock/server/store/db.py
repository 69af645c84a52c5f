"""The database: one engine, many readers, one writer, one process.

Owns connections, transactions and the lock that keeps a second process out of a SQLite file. `view(fn)` runs `fn` in a read
transaction, `update(fn)` in a write transaction; nothing is written that is not in one. Never knows a noun.

SQLite runs in WAL mode with synchronous=FULL: a commit that returned survives a power cut. The one writer is a lock, so that group
commit is simply "the caller that holds it brings everybody's work" (see `actions.reports`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.pool import QueuePool

from penstock.server.store import prepared
from penstock.server.store.prepared import Lookup

T = TypeVar("T")

READERS = 8
READ_CACHE_KIB, WRITE_CACHE_KIB = 8 * 1024, 48 * 1024  # of each connection
BUSY_MS = 5000


class Busy(RuntimeError):
    """Another process has this database open."""


class Tx:
    """One transaction. `run` executes a statement; `after` registers what happens once it is committed (and only then)."""

    __slots__ = ("_after", "connection")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._after: list[Callable[[], None]] = []

    def run(self, statement: Any, rows: Any = None) -> Any:
        """Execute; `rows` is a list of mappings for many at once."""
        return self.connection.execute(statement) if rows is None else self.connection.execute(statement, rows)

    def after(self, act: Callable[[], None]) -> None:
        """Do `act` after the commit."""
        self._after.append(act)

    def look_up(self, lookup: Lookup, keys: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """The rows of many keys, as tuples in the order of the query."""
        return lookup.rows(self.connection, keys)

    def insert(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows that all have the same columns; those left out get their defaults."""
        prepared.insert(self.connection, table, rows)

    def upsert(self, table: Table, rows: Sequence[Mapping[str, Any]], only: tuple[str, ...] | None = None) -> None:
        """Insert rows, or update those whose primary key exists (all other columns, or `only` these)."""
        prepared.upsert(self.connection, table, rows, only)


class Db:
    """An open database. `close` it in the end."""

    def __init__(self, url: str, lock: Path | None = None) -> None:
        """`url` as SQLAlchemy's; `lock` is the file that says "mine" for a SQLite database. Raises Busy."""
        self.url = url
        self._lock_fd = _take(lock) if lock is not None else -1
        self._writer = threading.Lock()
        self.engine: Engine = _engine(url, READERS, READ_CACHE_KIB)
        # Writing has a connection of its own, always the same: SQLite throws a connection's pages away as soon as another one has written.
        self._writing: Engine = _engine(url, 1, WRITE_CACHE_KIB)

    def view(self, work: Callable[[Tx], T]) -> T:
        """Run `work` on one consistent picture of the database. What it would write is undone."""
        with self.engine.connect() as connection:
            tx = Tx(connection)
            try:
                return work(tx)
            finally:
                connection.rollback()

    def update(self, work: Callable[[Tx], T]) -> T:
        """Run `work` and commit it, durably, before returning; an exception undoes all of it."""
        with self._writer, self._writing.connect().execution_options(penstock_write=True) as connection:
            tx = Tx(connection)
            try:
                if connection.dialect.name == "sqlite":
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                value = work(tx)
                connection.commit()
            except BaseException:
                connection.rollback()
                raise
        for act in tx._after:  # noqa: SLF001 - the two classes are one mechanism
            act()
        return value

    def close(self) -> None:
        """Close all connections and give the lock back."""
        self.engine.dispose()
        self._writing.dispose()
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1


def _engine(url: str, connections: int, cache_kib: int) -> Engine:
    if not url.startswith("sqlite"):
        raise ValueError(f"{url.partition(':')[0]!r} is not a database this version serves; use sqlite")
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=connections,
        pool_timeout=30,
        pool_use_lifo=True,
        connect_args={"check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        # The driver's own transactions begin late and commit early; ours are begun by hand.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_MS}", "foreign_keys=ON", f"cache_size=-{cache_kib}", "temp_store=MEMORY"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if not connection.get_execution_options().get("penstock_write"):
            connection.exec_driver_sql("BEGIN")

    return engine


def _take(lock: Path) -> int:
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.read(fd, 32).decode("ascii", "replace").strip()
        os.close(fd)
        raise Busy(f"process {owner or 'unknown'} already serves {lock.parent}; a SQLite control plane is one process. Stop it first.") from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode("ascii"), 0)
    return fd


def copy_database(source: Path, target: Path) -> None:
    """A consistent copy of a SQLite database that may be in use, by SQLite's own backup."""
    if not source.is_file():
        raise FileNotFoundError(f"there is no database {source}")
    with (
        contextlib.closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=BUSY_MS / 1000)) as live,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        live.backup(copy)  # one read transaction: in WAL mode it holds no writer up
        found = copy.execute("PRAGMA integrity_check").fetchone()
        if found != ("ok",):
            raise RuntimeError(f"the copy of {source} is not whole: {found}")
