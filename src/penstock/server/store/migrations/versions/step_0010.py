"""Releases in the order they were published, found without reading each one's document."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_releases_published_ms_id"), "releases", ["published_ms", "id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_releases_published_ms_id"), table_name="releases")
