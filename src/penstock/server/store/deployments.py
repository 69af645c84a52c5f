"""Deployments and their plans. A plan is written once; the deployment points at its newest."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from penstock.server.core.model import Deployment, Plan, Target
from penstock.server.store.db import Tx
from penstock.server.store.rows import compare_and_set, noun, nouns, row_of
from penstock.server.store.tables import deployments as t
from penstock.server.store.tables import plans


def add(tx: Tx, deployment: Deployment) -> None:
    """A new one."""
    tx.run(t.insert(), [row_of(deployment)])


def find(tx: Tx, deployment: str) -> Deployment | None:
    """By id or name."""
    return noun(Deployment, tx.run(select(t).where((t.c.id == deployment) | (t.c.name == deployment))).first())


def all_of(tx: Tx, app: str = "", state: str = "") -> tuple[Deployment, ...]:
    """All, oldest first: the order in which they claim devices."""
    query = select(t).order_by(t.c.created_ms, t.c.id)
    if app:
        query = query.where(t.c.app == app)
    if state:
        query = query.where(t.c.state == state)
    return nouns(Deployment, tx.run(query))


def change(tx: Tx, deployment: Deployment, revision: int, **values: Any) -> int:
    """Compare and set; the new revision."""
    return compare_and_set(tx, t, t.c.id == deployment.id, revision, "deployment", values)


def mark(tx: Tx, deployment: str, **values: Any) -> None:
    """Set columns for the plane's own reasons; the revision stays."""
    tx.run(t.update().where(t.c.id == deployment).values(**values))


def add_plan(tx: Tx, plan: Plan) -> None:
    """A new plan."""
    row = row_of(plan)
    target: Target = row.pop("target")
    tx.run(plans.insert(), [{**row, "devices": list(target.devices), "selector": target.selector, "group": target.group}])


def _plan(row: Any) -> Plan:
    mapping = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
    target = Target(tuple(mapping.pop("devices")), mapping.pop("selector"), mapping.pop("group"))
    return Plan(target=target, **mapping)


def plan(tx: Tx, deployment: str, version: int) -> Plan | None:
    """One plan of a deployment."""
    row = tx.run(select(plans).where(plans.c.deployment == deployment, plans.c.version == version)).first()
    return None if row is None else _plan(row)


def newest_plans(tx: Tx) -> dict[str, Plan]:
    """The newest plan of every deployment."""
    query = select(plans).join(t, (t.c.id == plans.c.deployment) & (t.c.plan == plans.c.version))
    return {found.deployment: found for found in map(_plan, tx.run(query))}
