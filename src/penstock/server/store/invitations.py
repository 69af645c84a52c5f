"""Invitations to set one's own password: their rows, at most one for each person, found by the digest of the code."""

from __future__ import annotations

from sqlalchemy import delete, select

from penstock.server.core.model import Invitation
from penstock.server.store.db import Tx
from penstock.server.store.rows import noun, nouns, row_of
from penstock.server.store.tables import invitations as t


def put(tx: Tx, invitation: Invitation) -> None:
    """The only one of its person from now on."""
    drop(tx, invitation.user)
    tx.run(t.insert(), [row_of(invitation)])


def of_user(tx: Tx, user: str) -> Invitation | None:
    """A person's."""
    return noun(Invitation, tx.run(select(t).where(t.c.user == user)).first())


def by_hash(tx: Tx, digest: str) -> Invitation | None:
    """The one whose code has this digest."""
    return noun(Invitation, tx.run(select(t).where(t.c.hash == digest)).first())


def all_of(tx: Tx) -> dict[str, Invitation]:
    """All there are, by their person's id."""
    return {one.user: one for one in nouns(Invitation, tx.run(select(t)))}


def drop(tx: Tx, user: str) -> None:
    """A person's is worth nothing any more."""
    tx.run(delete(t).where(t.c.user == user))
