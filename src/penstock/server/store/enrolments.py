"""Who asks to be let in: one row per key."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from penstock.server.core.model import Enrolment
from penstock.server.core.rights import Reach
from penstock.server.store.db import Tx
from penstock.server.store.reach import inside
from penstock.server.store.rows import noun, nouns, row_of
from penstock.server.store.tables import enrolments as t


def add(tx: Tx, enrolment: Enrolment) -> None:
    """A new one."""
    tx.run(t.insert(), [row_of(enrolment)])


def by_key(tx: Tx, keyid: str) -> Enrolment | None:
    """The asking of that key."""
    return noun(Enrolment, tx.run(select(t).where(t.c.keyid == keyid)).first())


def by_id(tx: Tx, reach: Reach, enrolment: str) -> Enrolment | None:
    """The asking of that id, if it lies inside."""
    return noun(Enrolment, tx.run(select(t).where(t.c.id == enrolment, *inside(reach, site=t.c.site))).first())


def all_in(tx: Tx, reach: Reach, status: str, limit: int) -> tuple[Enrolment, ...]:
    """All of one status ("" for all), newest first."""
    query = select(t).where(*inside(reach, site=t.c.site)).order_by(t.c.asked_ms.desc(), t.c.id).limit(limit)
    if status:
        query = query.where(t.c.status == status)
    return nouns(Enrolment, tx.run(query))


def count(tx: Tx, reach: Reach, status: str) -> int:
    """How many of one status."""
    return int(tx.run(select(func.count()).select_from(t).where(t.c.status == status, *inside(reach, site=t.c.site))).scalar())


def change(tx: Tx, enrolment: str, **values: Any) -> None:
    """Set columns and raise the revision."""
    tx.run(t.update().where(t.c.id == enrolment).values(revision=t.c.revision + 1, **values))


def forget_before(tx: Tx, asked_before_ms: int) -> int:
    """Remove refused and stale askings; how many."""
    return int(tx.run(t.delete().where(t.c.status != "approved", t.c.asked_ms < asked_before_ms)).rowcount)


def forget(tx: Tx, enrolment: str) -> None:
    """Remove one (its key asks again with another token)."""
    tx.run(t.delete().where(t.c.id == enrolment))
