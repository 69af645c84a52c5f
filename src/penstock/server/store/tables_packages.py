"""The tables of packages: what a release's files say of it, which files it has, and their content, each kept once.

Owns the same as `tables`, of which it is a part.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, LargeBinary, String, Table

from penstock.server.store.columns import metadata
from penstock.server.store.columns import number as _number
from penstock.server.store.columns import plain as _json
from penstock.server.store.columns import text as _text

packages = Table(
    "packages",
    metadata,
    Column("release", String(64), ForeignKey("releases.id"), primary_key=True, nullable=False),
    _text("title"),
    _text("vendor"),
    _text("homepage"),
    _text("readme"),
    _text("notes"),
    _text("licence"),
    _text("icon"),
    _json("entries"),
    _json("profiles"),
)
package_contents = Table(
    "package_contents",
    metadata,
    Column("digest", String(80), primary_key=True, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
package_files = Table(
    "package_files",
    metadata,
    Column("release", String(64), ForeignKey("releases.id"), primary_key=True, nullable=False),
    Column("path", String(256), primary_key=True, nullable=False),
    Column("digest", String(80), ForeignKey("package_contents.digest"), nullable=False, index=True),
    _number("size"),
)
