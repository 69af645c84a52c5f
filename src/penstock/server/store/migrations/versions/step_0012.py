"""The packages that releases were made from: their words, their files, and each content once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "packages",
        sa.Column("release", sa.String(64), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("title", "vendor", "homepage", "readme", "notes", "licence", "icon", "entries", "profiles")),
        sa.ForeignKeyConstraint(["release"], ["releases.id"], name=op.f("fk_packages_release_releases")),
        sa.PrimaryKeyConstraint("release", name=op.f("pk_packages")),
    )
    op.create_table(
        "package_contents",
        sa.Column("digest", sa.String(80), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_package_contents")),
    )
    op.create_table(
        "package_files",
        sa.Column("release", sa.String(64), nullable=False),
        sa.Column("path", sa.String(256), nullable=False),
        sa.Column("digest", sa.String(80), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["release"], ["releases.id"], name=op.f("fk_package_files_release_releases")),
        sa.ForeignKeyConstraint(["digest"], ["package_contents.digest"], name=op.f("fk_package_files_digest_package_contents")),
        sa.PrimaryKeyConstraint("release", "path", name=op.f("pk_package_files")),
    )
    op.create_index(op.f("ix_package_files_digest"), "package_files", ["digest"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_package_files_digest"), table_name="package_files")
    for name in ("package_files", "package_contents", "packages"):
        op.drop_table(name)
