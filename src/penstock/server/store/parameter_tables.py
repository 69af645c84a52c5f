"""The tables of values of parameters at levels.

Owns their columns only.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text

from penstock.server.store.columns import metadata

level_values = Table(
    "level_values",
    metadata,
    Column("app", String(64), ForeignKey("apps.name"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("id", String(64), nullable=False),
    Column("level", Text, nullable=False),
    Column("part", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("value", Text, nullable=True),
    Column("version", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index(None, "part"),
)
level_secrets = Table(
    "level_secrets",
    metadata,
    Column("app", String(64), ForeignKey("apps.name"), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("vaulted", Text, nullable=False),
)
