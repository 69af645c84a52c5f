"""Of a mirror: how much of what is attached to its image elsewhere is here too, and why not all."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("mirrors", schema=None) as batch_op:
        batch_op.add_column(sa.Column("attached", sa.BigInteger(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("attached_why", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("mirrors", schema=None) as batch_op:
        batch_op.drop_column("attached_why")
        batch_op.drop_column("attached")
