"""Secret values: as the vault keeps them, and as sealed for one device (kept, so that documents stay the same byte for byte)."""

from __future__ import annotations

from sqlalchemy import delete, select

from penstock.server.store.db import Tx
from penstock.server.store.tables import sealed_secrets
from penstock.server.store.tables import secrets as t


def put(tx: Tx, deployment: str, name: str, version: str, vaulted: str) -> None:
    """Keep one version of a value."""
    tx.upsert(t, [{"deployment": deployment, "name": name, "version": version, "vaulted": vaulted}])


def get(tx: Tx, deployment: str, name: str, version: str) -> str | None:
    """One version as the vault keeps it."""
    found: str | None = tx.run(select(t.c.vaulted).where(t.c.deployment == deployment, t.c.name == name, t.c.version == version)).scalar()
    return found


def sealed_for(tx: Tx, device: str) -> dict[tuple[str, str, str, int], str]:
    """All that was ever sealed for a device: (deployment, name, version, key epoch) to JSON text of wire Sealed."""
    query = select(sealed_secrets).where(sealed_secrets.c.device == device)
    return {(row.deployment, row.name, row.version, row.key_epoch): row.sealed for row in tx.run(query)}


def put_sealed(tx: Tx, device: str, deployment: str, name: str, version: str, key_epoch: int, sealed: str) -> None:
    """Keep a sealing."""
    tx.upsert(
        sealed_secrets,
        [{"device": device, "deployment": deployment, "name": name, "version": version, "key_epoch": key_epoch, "sealed": sealed}],
    )


def forget_device(tx: Tx, device: str) -> None:
    """Forget all sealings for a device (its key was replaced)."""
    tx.run(delete(sealed_secrets).where(sealed_secrets.c.device == device))
