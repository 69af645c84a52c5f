"""Faults and notices: how many services of an app are ill, since when faults last, what is known of them, who is told."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_SETTLED = ("confirmed", "soaked", "failed")


def _ill(observed: str) -> int:
    app = json.loads(observed).get("app") or {}
    if app.get("phase") not in _SETTLED or app.get("removed"):
        return 0
    found = 0
    for service in app.get("services") or ():
        down = service["state"] in ("restarting", "dead", "paused", "missing") or (service["state"] == "exited" and service.get("exit_code", 0) != 0)
        found += down or service["health"] == "unhealthy"
    return found


def upgrade() -> None:
    for table in ("observations", "device_status"):
        op.add_column(table, sa.Column("ill", sa.BigInteger(), nullable=False, server_default="0"))
    connection = op.get_bind()
    totals: dict[str, int] = {}
    for device, app, observed in connection.execute(sa.text("SELECT device, app, observed FROM observations")).all():
        count = _ill(observed)
        if count:
            totals[device] = totals.get(device, 0) + count
            connection.execute(
                sa.text("UPDATE observations SET ill = :ill WHERE device = :device AND app = :app"), {"ill": count, "device": device, "app": app}
            )
    for device, count in totals.items():
        connection.execute(sa.text("UPDATE device_status SET ill = :ill WHERE device = :device"), {"ill": count, "device": device})
    op.create_table(
        "fault_marks",
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_fault_marks")),
    )
    op.create_table(
        "fault_known",
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_fault_known")),
    )
    op.create_table(
        "notice_targets",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("way", sa.Text(), nullable=False),
        sa.Column("vaulted", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_targets")),
        sa.UniqueConstraint("name", name=op.f("uq_notice_targets_name")),
    )
    op.create_table(
        "notice_books",
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("sent", sa.Text(), nullable=False),
        sa.Column("event", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_outcome", sa.Text(), nullable=False),
        sa.Column("last_why", sa.Text(), nullable=False),
        sa.Column("failing_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["target"], ["notice_targets.id"], name=op.f("fk_notice_books_target_notice_targets")),
        sa.PrimaryKeyConstraint("target", name=op.f("pk_notice_books")),
    )
    op.create_table(
        "notices",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["target"], ["notice_targets.id"], name=op.f("fk_notices_target_notice_targets")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_notices")),
        sa.UniqueConstraint("id", name=op.f("uq_notices_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_notices_target_number"), "notices", ["target", "number"])


def downgrade() -> None:
    for table in ("notices", "notice_books", "notice_targets", "fault_known", "fault_marks"):
        op.drop_table(table)
    for table in ("observations", "device_status"):
        op.drop_column(table, "ill")
