"""Where images come from and what is in them: upstream registries, mirrors, packages and vulnerabilities, templates of apps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _number(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def _word(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=length), nullable=False)


def upgrade() -> None:
    op.create_table(
        "upstreams",
        _word("host", 260),
        *_text("user", "vaulted", "ca"),
        sa.Column("insecure", sa.Boolean(), nullable=False),
        *_number("created_ms"),
        *_text("created_by"),
        *_number("revision", "tested_ms"),
        *_text("why"),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_upstreams")),
    )
    op.create_table(
        "mirrors",
        _word("id", 64),
        *_text("source"),
        _word("repository", 255),
        _word("reference", 160),
        *_text("platforms"),
        _word("state", 16),
        *_text("why"),
        sa.Column("told", sa.Boolean(), nullable=False),
        *_text("digest", "upstream"),
        *_number("bytes", "asked_ms"),
        *_text("asked_by"),
        *_number("copied_ms", "checked_ms"),
        *_text("seen"),
        *_number("moved_ms", "gone_ms", "unreachable_ms"),
        *_text("unreachable_why"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mirrors")),
        sa.UniqueConstraint("repository", "reference", name=op.f("uq_mirrors_repository_reference")),
    )
    op.create_table(
        "attached_documents",
        _word("document", 80),
        _word("manifest", 80),
        *_text("repository", "format"),
        *_number("packages"),
        *_text("why"),
        *_number("read_ms"),
        sa.PrimaryKeyConstraint("document", "manifest", name=op.f("pk_attached_documents")),
    )
    op.create_table(
        "image_packages",
        _word("manifest", 80),
        _word("document", 80),
        sa.Column("number", sa.Integer(), nullable=False),
        _word("ecosystem", 64),
        _word("name", 255),
        _word("version", 255),
        *_text("purl", "distro"),
        _word("origin", 255),
        *_text("origin_version"),
        sa.PrimaryKeyConstraint("manifest", "document", "number", name=op.f("pk_image_packages")),
    )
    op.create_index(op.f("ix_image_packages_ecosystem_name"), "image_packages", ["ecosystem", "name"])
    op.create_index(op.f("ix_image_packages_name"), "image_packages", ["name"])
    op.create_index(op.f("ix_image_packages_origin"), "image_packages", ["origin"])
    op.create_table(
        "vulnerabilities",
        _word("id", 128),
        *_text("source", "summary", "severity", "modified"),
        *_number("imported_ms"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vulnerabilities")),
    )
    op.create_table(
        "vulnerability_names",
        _word("name", 128),
        _word("vulnerability", 128),
        sa.ForeignKeyConstraint(["vulnerability"], ["vulnerabilities.id"], name=op.f("fk_vulnerability_names_vulnerability_vulnerabilities")),
        sa.PrimaryKeyConstraint("name", "vulnerability", name=op.f("pk_vulnerability_names")),
    )
    op.create_table(
        "affected_packages",
        _word("vulnerability", 128),
        sa.Column("number", sa.Integer(), nullable=False),
        _word("ecosystem", 64),
        _word("name", 255),
        *_text("ranges", "versions"),
        sa.ForeignKeyConstraint(["vulnerability"], ["vulnerabilities.id"], name=op.f("fk_affected_packages_vulnerability_vulnerabilities")),
        sa.PrimaryKeyConstraint("vulnerability", "number", name=op.f("pk_affected_packages")),
    )
    op.create_index(op.f("ix_affected_packages_ecosystem_name"), "affected_packages", ["ecosystem", "name"])
    op.create_table(
        "templates",
        _word("app", 64),
        *_text("title", "description", "note", "source", "digest", "compose"),
        *_number("imported_ms"),
        *_text("imported_by"),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name=op.f("fk_templates_app_apps")),
        sa.PrimaryKeyConstraint("app", name=op.f("pk_templates")),
    )


def downgrade() -> None:
    for table in ("templates", "affected_packages", "vulnerability_names", "vulnerabilities", "image_packages", "attached_documents", "mirrors", "upstreams"):
        op.drop_table(table)
