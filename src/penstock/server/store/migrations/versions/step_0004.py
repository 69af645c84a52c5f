"""Signing in: second factors, and the addresses people signed in from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "second_factors",
        sa.Column("user", sa.String(length=64), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_ms", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("codes", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user"], ["users.id"], name=op.f("fk_second_factors_user_users")),
        sa.PrimaryKeyConstraint("user", name=op.f("pk_second_factors")),
    )
    op.create_table(
        "known_addresses",
        sa.Column("user", sa.String(length=64), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user"], ["users.id"], name=op.f("fk_known_addresses_user_users")),
        sa.PrimaryKeyConstraint("user", "address", name=op.f("pk_known_addresses")),
    )
    # Whoever is signed in now has signed in from there.
    op.execute(
        'INSERT INTO known_addresses ("user", address, seen_ms) SELECT "user", address, MAX(seen_ms) FROM sessions WHERE address <> \'\' GROUP BY "user", address'
    )


def downgrade() -> None:
    op.drop_table("known_addresses")
    op.drop_table("second_factors")
