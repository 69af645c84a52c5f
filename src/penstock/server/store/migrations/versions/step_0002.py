"""The newest observation of an app is kept in the words of its log entry."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE observations SET observed = '{\"app\":' || observed || '}'")


def downgrade() -> None:
    op.execute("UPDATE observations SET observed = substr(observed, 8, length(observed) - 8)")
