"""Rights: teams, roles of one's own, groups and bindings; whoever had a role has it on the whole fleet. What an act was about stands in its line."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "teams",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_teams")),
        sa.UniqueConstraint("name", name=op.f("uq_teams_name")),
    )
    op.create_table(
        "team_members",
        sa.Column("team", sa.String(length=64), nullable=False),
        sa.Column("user", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["team"], ["teams.id"], name=op.f("fk_team_members_team_teams")),
        sa.ForeignKeyConstraint(["user"], ["users.id"], name=op.f("fk_team_members_user_users")),
        sa.PrimaryKeyConstraint("team", "user", name=op.f("pk_team_members")),
    )
    op.create_index(op.f("ix_team_members_user"), "team_members", ["user"])
    op.create_table(
        "roles",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("verbs", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_roles")),
    )
    op.create_table(
        "bindings",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("part_kind", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("given_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bindings")),
        sa.UniqueConstraint("subject", "role", "part_kind", "part", name=op.f("uq_bindings_subject_role_part_kind_part")),
    )
    op.create_index(op.f("ix_bindings_subject"), "bindings", ["subject"])
    op.execute(
        "INSERT INTO bindings (id, subject, role, part_kind, part, given_by, reason, created_ms) "
        "SELECT 'bnd_' || id, id, role, 'fleet', '', 'control plane', 'had this role before there were bindings', created_ms FROM users WHERE role <> ''"
    )
    op.create_table(
        "groups",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("selector", sa.Text(), nullable=False),
        sa.Column("devices", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_groups")),
        sa.UniqueConstraint("name", name=op.f("uq_groups_name")),
    )
    op.create_table(
        "group_members",
        sa.Column("group", sa.String(length=64), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["group"], ["groups.id"], name=op.f("fk_group_members_group_groups")),
        sa.PrimaryKeyConstraint("group", "device", name=op.f("pk_group_members")),
    )
    op.create_index(op.f("ix_group_members_device"), "group_members", ["device"])
    op.add_column("users", sa.Column("kind", sa.Text(), nullable=False, server_default="person"))
    op.add_column("users", sa.Column("title", sa.Text(), nullable=False, server_default=""))
    op.execute("ALTER TABLE users DROP COLUMN role")
    op.execute("UPDATE users SET kind = 'service' WHERE password = ''")
    op.add_column("api_tokens", sa.Column("only", sa.Text(), nullable=False, server_default="[]"))
    op.add_column("events", sa.Column("device", sa.Text(), nullable=False, server_default=""))
    op.add_column("events", sa.Column("app", sa.Text(), nullable=False, server_default=""))
    op.execute("UPDATE events SET device = subject WHERE subject LIKE 'dev_%'")
    _apps()


def _apps() -> None:
    """The app that an act was about: named by the act, or by the deployment it names."""
    connection = op.get_bind()
    deployed: dict[str, str] = dict(connection.execute(sa.text("SELECT id, app FROM deployments")).all())
    acts = connection.execute(
        sa.text("SELECT number, subject, data FROM events WHERE verb LIKE 'release.%' OR verb LIKE 'deployment.%' OR verb LIKE 'rollout.%'")
    )
    for number, subject, text in acts.all():
        data = json.loads(text) or {}
        app = data.get("app") or deployed.get(subject) or deployed.get(data.get("deployment", ""))
        if app:
            connection.execute(sa.text("UPDATE events SET app = :app WHERE number = :number"), {"app": app, "number": number})


def downgrade() -> None:
    op.execute("ALTER TABLE events DROP COLUMN app")
    op.execute("ALTER TABLE events DROP COLUMN device")
    op.execute("ALTER TABLE api_tokens DROP COLUMN only")
    op.add_column("users", sa.Column("role", sa.Text(), nullable=False, server_default=""))
    op.execute("ALTER TABLE users DROP COLUMN title")
    op.execute("ALTER TABLE users DROP COLUMN kind")
    op.execute("UPDATE users SET role = 'administrator' WHERE id IN (SELECT subject FROM bindings WHERE role = 'administrator' AND part_kind = 'fleet')")
    for table in ("group_members", "groups", "bindings", "roles", "team_members", "teams"):
        op.drop_table(table)
