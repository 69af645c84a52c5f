"""The kinds of columns that tables are made of, and the metadata they belong to.

Owns how nouns' values stand in a database: JSON and wire records as text, times as 64-bit integers. Which tables there are stands in `tables`.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, MetaData, String, Text
from sqlalchemy.types import TypeDecorator

from penstock.wire.codec import decode, encode
from penstock.wire.log import Observation

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


_write = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class JsonText(TypeDecorator[Any]):
    """A dict or list as JSON text; lists come back as tuples, which is what the nouns hold."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> str:  # noqa: ARG002 - SQLAlchemy's signature
        return _write(value) if value or isinstance(value, dict) else "[]"

    def process_result_value(self, value: Any, dialect: Any) -> Any:  # noqa: ARG002
        if value == "[]":
            return ()
        found = json.loads(value)
        return tuple(found) if isinstance(found, list) else found


class RecordText(TypeDecorator[Any]):
    """A wire record as its canonical JSON text."""

    impl = Text
    cache_ok = True

    def __init__(self, record: type) -> None:
        super().__init__()
        self.record = record

    def process_bind_param(self, value: Any, dialect: Any) -> str:  # noqa: ARG002
        return value if isinstance(value, str) else encode(value).decode("ascii")

    def process_result_value(self, value: Any, dialect: Any) -> Any:  # noqa: ARG002
        return decode(self.record, value.encode("utf-8"))


class SaidOfApp(TypeDecorator[Any]):
    """The body of a log entry, written as it came; read as the observation of an app in it."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Any) -> Any:  # noqa: ARG002
        return decode(Observation, value.encode("utf-8")).app


def ident(name: str = "id", **more: Any) -> Column[Any]:
    """An id."""
    return Column(name, String(64), nullable=False, **more)


def moment(name: str) -> Column[Any]:
    """A time, unix milliseconds; 0 is never."""
    return Column(name, BigInteger, nullable=False, default=0)


def text(name: str, **more: Any) -> Column[Any]:
    """Text, empty unless said."""
    return Column(name, Text, nullable=False, default="", **more)


def number(name: str, **more: Any) -> Column[Any]:
    """A whole number, 0 unless said."""
    return Column(name, BigInteger, nullable=False, default=0, **more)


def plain(name: str) -> Column[Any]:
    """A dict or list."""
    return Column(name, JsonText, nullable=False)


def flag(name: str) -> Column[Any]:
    """True or false."""
    return Column(name, Boolean(create_constraint=False), nullable=False, default=False)
