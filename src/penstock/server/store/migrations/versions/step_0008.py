"""The device side: local people of a site, how a device was retired, and whether it was moved."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "local_people",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("may", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.Text(), nullable=False),
        sa.Column("rounds", sa.BigInteger(), nullable=False),
        sa.Column("verifier", sa.Text(), nullable=False),
        sa.Column("pin_ms", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["site"], ["sites.id"], name=op.f("fk_local_people_site_sites")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_local_people")),
    )
    op.create_index(op.f("ix_local_people_site"), "local_people", ["site"])
    op.create_table(
        "retirements",
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("wipe", sa.Text(), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("ordered_ms", sa.BigInteger(), nullable=False),
        sa.Column("heard_ms", sa.BigInteger(), nullable=False),
        sa.Column("wiped_ms", sa.BigInteger(), nullable=False),
        sa.Column("destroyed_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["devices.id"], name=op.f("fk_retirements_device_devices")),
        sa.PrimaryKeyConstraint("device", name=op.f("pk_retirements")),
    )
    op.create_index(op.f("ix_retirements_outcome"), "retirements", ["outcome"])
    op.add_column("devices", sa.Column("moved", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(
        'INSERT INTO retirements (device, wipe, command, "by", reason, ordered_ms, heard_ms, wiped_ms, destroyed_ms, ended_ms, outcome, said) '
        "SELECT id, 'nothing', '', '', why, 0, 0, 0, 0, 0, 'not-wiped', '' FROM devices WHERE state = 'retired'"
    )


def downgrade() -> None:
    op.drop_column("devices", "moved")
    op.drop_table("retirements")
    op.drop_table("local_people")
