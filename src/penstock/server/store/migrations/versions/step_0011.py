"""Values of parameters at fleet, groups, sites and devices.

What deployments say may ask for facts of a device from now on (`${PENSTOCK_SITE}`); a value given before that holds such a text keeps meaning that text.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from penstock.server.core.facts import escaped

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "level_values",
        sa.Column("app", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("part", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name=op.f("fk_level_values_app_apps")),
        sa.PrimaryKeyConstraint("app", "number", name=op.f("pk_level_values")),
    )
    op.create_index(op.f("ix_level_values_part"), "level_values", ["part"])
    op.create_table(
        "level_secrets",
        sa.Column("app", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("vaulted", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name=op.f("fk_level_secrets_app_apps")),
        sa.PrimaryKeyConstraint("app", "name", "version", name=op.f("pk_level_secrets")),
    )
    for table in ("members", "assignments"):
        op.add_column(table, sa.Column("values_at", sa.BigInteger(), nullable=False, server_default="0"))
    _keep_meaning()


def _keep_meaning() -> None:
    plans = sa.table("plans", sa.column("deployment"), sa.column("version"), sa.column("values", sa.Text()))
    connection = op.get_bind()
    for row in connection.execute(sa.select(plans).where(plans.c["values"].like("%{PENSTOCK%"))).all():
        values = json.loads(row[2])
        text = json.dumps({name: escaped(value) for name, value in values.items()}, sort_keys=True, separators=(",", ":"))
        connection.execute(plans.update().where(plans.c.deployment == row[0], plans.c.version == row[1]).values({"values": text}))


def downgrade() -> None:
    for table in ("assignments", "members"):
        op.drop_column(table, "values_at")
    op.drop_table("level_secrets")
    op.drop_table("level_values")
