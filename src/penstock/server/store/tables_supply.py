"""The tables of where images come from and what is in them, beside `tables`: upstream registries, mirrors, packages, vulnerabilities, templates.

Owns their columns and indices. Functions over them stand in the file of their noun.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, UniqueConstraint

from penstock.server.store.columns import flag, ident, metadata, moment, number, plain, text

upstreams = Table(
    "upstreams",
    metadata,
    Column("host", String(260), primary_key=True),
    text("user"),
    text("vaulted"),
    text("ca"),
    flag("insecure"),
    moment("created_ms"),
    text("created_by"),
    number("revision"),
    moment("tested_ms"),
    text("why"),
)
mirrors = Table(
    "mirrors",
    metadata,
    ident(primary_key=True),
    text("source"),
    Column("repository", String(255), nullable=False),
    Column("reference", String(160), nullable=False),
    plain("platforms"),
    Column("state", String(16), nullable=False),
    text("why"),
    flag("told"),
    text("digest"),
    text("upstream"),
    number("bytes"),
    moment("asked_ms"),
    text("asked_by"),
    moment("copied_ms"),
    moment("checked_ms"),
    text("seen"),
    moment("moved_ms"),
    moment("gone_ms"),
    moment("unreachable_ms"),
    text("unreachable_why"),
    number("attached"),
    text("attached_why"),
    UniqueConstraint("repository", "reference"),
)
attached = Table(
    "attached_documents",
    metadata,
    Column("document", String(80), primary_key=True),
    Column("manifest", String(80), primary_key=True),
    text("repository"),
    text("format"),
    number("packages"),
    text("why"),
    moment("read_ms"),
)
packages = Table(
    "image_packages",
    metadata,
    Column("manifest", String(80), primary_key=True),
    Column("document", String(80), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("ecosystem", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("version", String(255), nullable=False),
    text("purl"),
    text("distro"),
    Column("origin", String(255), nullable=False),
    text("origin_version"),
    Index(None, "ecosystem", "name"),
    Index(None, "name"),
    Index(None, "origin"),
)
vulnerabilities = Table(
    "vulnerabilities",
    metadata,
    Column("id", String(128), primary_key=True),
    text("source"),
    text("summary"),
    text("severity"),
    text("modified"),
    moment("imported_ms"),
)
vulnerability_names = Table(
    "vulnerability_names",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("vulnerability", String(128), ForeignKey("vulnerabilities.id"), primary_key=True),
)
affected = Table(
    "affected_packages",
    metadata,
    Column("vulnerability", String(128), ForeignKey("vulnerabilities.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("ecosystem", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    plain("ranges"),
    plain("versions"),
    Index(None, "ecosystem", "name"),
)
templates = Table(
    "templates",
    metadata,
    Column("app", String(64), ForeignKey("apps.name"), primary_key=True),
    text("title"),
    text("description"),
    text("note"),
    text("source"),
    text("digest"),
    text("compose"),
    moment("imported_ms"),
    text("imported_by"),
)
