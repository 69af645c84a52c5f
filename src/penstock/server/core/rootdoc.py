"""Making root documents: the first one, the next one, and the acts that need one (rotation, revocation, a new epoch).

Owns the payload (TUF root metadata with our roles beside, docs/decisions/0002-root-document.md) and the checks that keep a plane from
signing a root its devices would refuse. Reading and believing roots is `wire.trust`'s. Pure: signing functions and times are arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from penstock.server.core.errors import Invalid
from penstock.wire.codec import canonical
from penstock.wire.envelope import ROOT, seal
from penstock.wire.trust import DIRECTOR, LOG, PUBLISHER, ROLES, SITE_AUTHORITY, Root, key_id

Signers = tuple[tuple[str, Callable[[bytes], bytes]], ...]

SPEC = "1.0.34"  # of the TUF specification
MAX_KEYS = 64


@dataclass(frozen=True)
class Holders:
    """Who holds a role: public keys as PEM text, and how many of them must sign."""

    keys: tuple[str, ...]
    threshold: int = 1


@dataclass(frozen=True)
class Draft:
    """All that a root document says. `roles` has at least "root" and "director"; `revoked` are key ids."""

    version: int
    epoch: int
    expires_ms: int
    roles: dict[str, Holders]
    revoked: tuple[str, ...] = ()


def first_draft(root: Holders, publics: dict[str, str], expires_ms: int) -> Draft:
    """The first document of a plane whose role keys are `publics` (role to PEM text)."""
    return Draft(1, 1, expires_ms, {"root": root, **{role: Holders((pem,)) for role, pem in publics.items()}})


def draft_of(root: Root) -> Draft:
    """What a document that was read says, to change it."""
    roles = {name: Holders(tuple(root.keys[keyid] for keyid in role.keyids), role.threshold) for name, role in root.roles.items()}
    return Draft(root.version, root.epoch, root.expires_ms, roles, root.revoked)


def with_role(draft: Draft, name: str, holders: Holders, *, revoke_old: bool) -> Draft:
    """Another set of keys for a role. `revoke_old`: the keys that leave it are named as revoked, so that devices refuse what they
    sign as a theft and not as an accident, unless another role still has them."""
    old = draft.roles.get(name, Holders(()))
    roles = {**draft.roles, name: holders}
    kept = {pem for one in roles.values() for pem in one.keys}
    gone = tuple(key_id(pem) for pem in old.keys if pem not in kept) if revoke_old else ()
    return replace(draft, roles=roles, revoked=tuple(sorted({*draft.revoked, *gone})))


def sign_first(draft: Draft, signers: Signers) -> bytes:
    """The envelope of a first document. Raises Invalid where devices would refuse it."""
    _check(draft)
    if draft.version != 1:
        raise Invalid("root-version", f"the first root has version 1, not {draft.version}", field="version")
    _enough(draft.roles["root"], signers, "the new root")
    return _seal(draft, signers)


def sign_next(current: Root, draft: Draft, signers: Signers) -> bytes:
    """The envelope of the document after `current`, saying what `draft` says; its version is set here. Signed by enough root keys of
    both. Raises Invalid where devices would refuse it."""
    draft = replace(draft, version=current.version + 1)
    _check(draft)
    if draft.epoch < current.epoch:
        raise Invalid("root-epoch", f"the epoch never falls: {draft.epoch} after {current.epoch}", field="epoch")
    trusted = draft_of(current).roles["root"]
    _enough(trusted, signers, "the present root")
    _enough(draft.roles["root"], signers, "the new root")
    return _seal(draft, signers)


def raise_epoch(current: Root, expires_ms: int, signers: Signers, publics: dict[str, str] | None = None) -> bytes:
    """The document by which a restored or rebuilt plane speaks again: one epoch up. `publics` names the plane's keys where they were
    made anew; the old ones are then revoked."""
    draft = replace(draft_of(current), epoch=current.epoch + 1, expires_ms=expires_ms)
    for role, pem in (publics or {}).items():
        if draft.roles.get(role) != Holders((pem,)):
            draft = with_role(draft, role, Holders((pem,)), revoke_old=True)
    return sign_next(current, draft, signers)


# --- checks and the payload -------------------------------------------------------------------------------------------


def _check(draft: Draft) -> None:
    for name in ("root", DIRECTOR):
        if name not in draft.roles:
            raise Invalid("root-role-missing", f"a root document names the role {name!r}", field="roles")
    for name, holders in draft.roles.items():
        field = f"roles.{name}"
        if name not in ROLES:
            raise Invalid("root-role-unknown", f"{name!r} is no role; the roles are {', '.join(ROLES)}", field=field)
        if len(set(holders.keys)) != len(holders.keys):
            raise Invalid("root-key-twice", f"a key stands twice in the role {name}", field=field, remedy="name each key once: it counts once")
        if not 1 <= holders.threshold <= min(len(holders.keys), 16):
            raise Invalid(
                "root-threshold",
                f"the role {name} has {len(holders.keys)} keys and asks for {holders.threshold} signatures",
                field=field,
                remedy="ask for 1 signature or more, and for no more than there are keys or 16",
            )
        for pem in holders.keys:
            if key_id(pem) in draft.revoked:
                raise Invalid("root-key-revoked", f"key {key_id(pem)[:16]} is revoked and cannot hold the role {name}", field=field, remedy="make a new key")
    if len({pem for holders in draft.roles.values() for pem in holders.keys}) > MAX_KEYS:
        raise Invalid("root-too-many-keys", f"a root document names at most {MAX_KEYS} keys", field="roles")
    if draft.version < 1 or draft.epoch < 1:
        raise Invalid("root-version", "version and epoch begin with 1", field="version")


def _enough(holders: Holders, signers: Signers, whose: str) -> None:
    have = {keyid for keyid, _ in signers} & {key_id(pem) for pem in holders.keys}
    if len(have) < holders.threshold:
        raise Invalid(
            "root-key-missing",
            f"{whose} wants {holders.threshold} signatures of its root keys, and {len(have)} of those keys are here",
            field="root_key",
            remedy="bring the files of the root keys that are named in that document",
        )


def _seal(draft: Draft, signers: Signers) -> bytes:
    return seal(ROOT, payload_of(draft), signers)


def _role(holders: Holders) -> dict[str, object]:
    return {"keyids": [key_id(pem) for pem in holders.keys], "threshold": holders.threshold}


def payload_of(draft: Draft) -> bytes:
    """The payload's bytes; their SHA-256 is what the join command carries."""
    pems = {pem for holders in draft.roles.values() for pem in holders.keys}
    director = draft.roles[DIRECTOR]
    publisher = draft.roles.get(PUBLISHER, director)
    # TUF knows four roles by name and readers refuse others. Ours stand beside, under one key of our own (decision 2).
    return canonical(
        {
            "_type": "root",
            "spec_version": SPEC,
            "version": draft.version,
            "expires": _utc(draft.expires_ms),
            "consistent_snapshot": True,
            "keys": {key_id(pem): {"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": pem}} for pem in pems},
            "roles": {"root": _role(draft.roles["root"]), "targets": _role(publisher), "snapshot": _role(director), "timestamp": _role(director)},
            "penstock": {
                "epoch": draft.epoch,
                "roles": {name: _role(draft.roles[name]) for name in (DIRECTOR, PUBLISHER, SITE_AUTHORITY, LOG) if name in draft.roles},
                "revoked": list(draft.revoked),
            },
        }
    )


def _utc(ms: int) -> str:
    try:
        when = datetime.fromtimestamp(ms // 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise Invalid("root-expiry", f"{ms} is no time a root can expire at", field="expires_ms") from None
    if not 2020 <= when.year <= 9999:
        raise Invalid("root-expiry", f"a root cannot expire in the year {when.year}", field="expires_ms")
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
