"""A deployment may be for a group; a join token remembers whether its maker may give rights. No token made before does."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("plans", sa.Column("group", sa.Text(), nullable=False, server_default=""))
    op.add_column("join_tokens", sa.Column("gives_rights", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.execute("ALTER TABLE join_tokens DROP COLUMN gives_rights")
    op.execute('ALTER TABLE plans DROP COLUMN "group"')
