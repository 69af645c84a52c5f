"""The chain of root documents in the store: the first one, the next one, reading them at start.

Owns adding a root (checked by the very rules devices use) and what follows from one for the plane's memory. Signing is done by whoever holds the
root key, outside.
"""

from __future__ import annotations

from penstock.server.actions.context import Plane, RootBook
from penstock.server.core.errors import Conflict
from penstock.server.effects.verifiers import Verifiers
from penstock.server.store import roots
from penstock.server.store.db import Tx
from penstock.wire.envelope import open_unverified
from penstock.wire.trust import Refusal, Root, accept_root, pin_root, read_root
from penstock.wire.types import sha256_of


def read_book(tx: Tx) -> RootBook | None:
    """The chain as stored; None before there is one."""
    chain = roots.chain(tx)
    if not chain:
        return None
    payload = open_unverified(chain[-1].encode("utf-8"))[1]
    return RootBook(read_root(payload), sha256_of(payload), chain)


def add_root(tx: Tx, verifiers: Verifiers, envelope: bytes, now_ms: int) -> Root:
    """Keep the first or the next root document. Raises Conflict where devices would refuse it."""
    book = read_book(tx)
    if book is None:
        payload = open_unverified(envelope)[1]
        root = pin_root(envelope, sha256_of(payload), verifiers.verify)
    else:
        root = accept_root(book.root, envelope, verifiers.verify)
    if isinstance(root, Refusal):
        raise Conflict(f"root-{root.reason}", f"devices would refuse this root document: {root.why}")
    roots.add(tx, root.version, root.epoch, envelope.decode("ascii"), now_ms)
    return root


def adopt(plane: Plane, envelope: bytes) -> Root:
    """Add a root document to a running plane: every device is told at its next poll."""
    root = plane.db.update(lambda tx: add_root(tx, plane.verifiers, envelope, plane.clock.now_ms()))
    book = plane.db.view(read_book)
    assert book is not None
    plane.roots = book
    plane.fleet.set_root(root.version)
    return root
