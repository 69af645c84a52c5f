"""Root documents as the plane makes them: devices believe them, python-tuf reads and verifies them, and none is signed that would be refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tuf.api import exceptions as tuf_errors
from tuf.api.dsse import SimpleEnvelope
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from penstock import crypto
from penstock.server.core import rootdoc
from penstock.server.core.errors import Invalid
from penstock.server.core.rootdoc import Holders
from penstock.server.effects.keys import HeldKey, memory_keys
from penstock.wire import trust
from penstock.wire.envelope import open_unverified
from penstock.wire.types import sha256_of

EXPIRES = 2_000_000_000_000  # 2033-05-18T03:33:20Z
ROOT, SECOND, THIRD = (HeldKey(crypto.generate_key()) for _ in range(3))
KEYS = memory_keys()
PUBLICS = {role: KEYS.public(role) for role in trust.ROLES if role != "root"}
FIRST = rootdoc.first_draft(Holders((ROOT.public,)), PUBLICS, EXPIRES)


def signed(draft=FIRST, by=(ROOT,)):
    return rootdoc.sign_first(draft, tuple(key.signer() for key in by))


def believed(raw):
    root = trust.pin_root(raw, sha256_of(open_unverified(raw)[1]), crypto.verify)
    assert isinstance(root, trust.Root), root
    return root


def followed(root, raw):
    after = trust.accept_root(root, raw, crypto.verify)
    assert isinstance(after, trust.Root), after
    return after


def test_a_device_believes_the_first():
    root = believed(signed())
    assert (root.version, root.epoch, root.expires_ms, root.revoked) == (1, 1, EXPIRES, ())
    assert set(root.roles) == set(trust.ROLES)
    for role, pem in PUBLICS.items():
        assert root.roles[role] == trust.Role((trust.key_id(pem),), 1)
    assert root.roles["root"] == trust.Role((ROOT.id,), 1)


def test_what_was_read_says_what_was_written():
    assert rootdoc.draft_of(believed(signed())) == FIRST
    two = replace(FIRST, roles={**FIRST.roles, "root": Holders((ROOT.public, SECOND.public), 2)})
    assert rootdoc.draft_of(believed(signed(two, (ROOT, SECOND)))) == two


def test_the_payload_is_the_same_every_time():
    assert rootdoc.payload_of(FIRST) == rootdoc.payload_of(replace(FIRST, roles=dict(reversed(FIRST.roles.items()))))


def test_python_tuf_reads_and_verifies_it():
    raw = signed()
    envelope = SimpleEnvelope.from_bytes(raw)
    read = envelope.get_signed()
    assert type(read).__name__ == "Root"
    assert (read.version, read.expires) == (1, datetime(2033, 5, 18, 3, 33, 20, tzinfo=UTC))
    assert read.unrecognized_fields["penstock"]["epoch"] == 1
    assert envelope.verify([read.keys[ROOT.id]], 1)
    assert read.roles["targets"].keyids == [trust.key_id(PUBLICS[trust.PUBLISHER])]
    # TUF's key ids are ours: its own computation over its own canonical form gives the same.
    for keyid, key in read.keys.items():
        assert key.from_dict(keyid, key.to_dict()) == key
        assert keyid == trust.key_id(key.keyval["public"])


def test_python_tuf_s_client_follows_the_chain():
    first = signed()
    root = believed(first)
    draft = rootdoc.with_role(rootdoc.draft_of(root), "root", Holders((SECOND.public,)), revoke_old=False)
    second = rootdoc.sign_next(root, draft, (ROOT.signer(), SECOND.signer()))
    client = TrustedMetadataSet(first, EnvelopeType.SIMPLE)
    client.update_root(second)
    assert client.root.version == 2
    with pytest.raises(tuf_errors.BadVersionNumberError):
        client.update_root(second)
    third = rootdoc.sign_next(followed(root, second), draft, (SECOND.signer(),))
    forged = json.loads(third)
    forged["signatures"][0]["sig"] = json.loads(second)["signatures"][0]["sig"]
    with pytest.raises(tuf_errors.UnsignedMetadataError):
        client.update_root(json.dumps(forged).encode())
    client.update_root(third)


def test_rotating_the_root_needs_old_and_new():
    root = believed(signed())
    draft = rootdoc.with_role(rootdoc.draft_of(root), "root", Holders((SECOND.public, THIRD.public), 2), revoke_old=True)
    raw = rootdoc.sign_next(root, draft, (ROOT.signer(), SECOND.signer(), THIRD.signer()))
    after = followed(root, raw)
    assert after.version == 2
    assert after.revoked == (ROOT.id,)
    for by in ((ROOT,), (SECOND, THIRD), (ROOT, SECOND)):
        with pytest.raises(Invalid, match="root-key-missing"):
            rootdoc.sign_next(root, draft, tuple(key.signer() for key in by))
    # The revoked key can bring nothing forward any more.
    again = rootdoc.draft_of(after)
    with pytest.raises(Invalid, match="root-key-missing"):
        rootdoc.sign_next(after, again, (ROOT.signer(), SECOND.signer()))
    followed(after, rootdoc.sign_next(after, again, (SECOND.signer(), THIRD.signer())))


def test_a_new_director_revokes_the_old():
    root, fresh = believed(signed()), HeldKey(crypto.generate_key())
    draft = rootdoc.with_role(rootdoc.draft_of(root), trust.DIRECTOR, Holders((fresh.public,)), revoke_old=True)
    after = followed(root, rootdoc.sign_next(root, draft, (ROOT.signer(),)))
    assert after.roles[trust.DIRECTOR].keyids == (fresh.id,)
    assert after.revoked == (trust.key_id(PUBLICS[trust.DIRECTOR]),)
    gently = rootdoc.with_role(rootdoc.draft_of(root), trust.DIRECTOR, Holders((fresh.public,)), revoke_old=False)
    assert gently.revoked == ()


def test_a_key_that_another_role_still_has_is_not_revoked():
    draft = rootdoc.with_role(FIRST, trust.PUBLISHER, Holders((PUBLICS[trust.DIRECTOR],)), revoke_old=True)
    moved = rootdoc.with_role(draft, trust.PUBLISHER, Holders((SECOND.public,)), revoke_old=True)
    assert trust.key_id(PUBLICS[trust.DIRECTOR]) not in moved.revoked
    believed(signed(moved))


def test_raising_the_epoch():
    root = believed(signed())
    after = followed(root, rootdoc.raise_epoch(root, EXPIRES + 1000, (ROOT.signer(),)))
    assert (after.version, after.epoch, after.expires_ms) == (2, 2, EXPIRES + 1000)
    assert after.roles == root.roles
    rebuilt = memory_keys()
    publics = {role: rebuilt.public(role) for role in PUBLICS}
    third = followed(after, rootdoc.raise_epoch(after, EXPIRES, (ROOT.signer(),), publics))
    assert third.epoch == 3
    assert {role: third.keys[third.roles[role].keyids[0]] for role in PUBLICS} == publics
    assert set(third.revoked) == {trust.key_id(pem) for pem in PUBLICS.values()}
    same = followed(third, rootdoc.raise_epoch(third, EXPIRES, (ROOT.signer(),), publics))
    assert same.revoked == third.revoked
    with pytest.raises(Invalid, match="root-key-missing"):
        rootdoc.raise_epoch(root, EXPIRES, (SECOND.signer(),))


@pytest.mark.parametrize(
    ("draft", "code"),
    [
        (replace(FIRST, roles={"root": FIRST.roles["root"]}), "root-role-missing"),
        (replace(FIRST, roles={trust.DIRECTOR: Holders((ROOT.public,))}), "root-role-missing"),
        (replace(FIRST, roles={**FIRST.roles, "boss": Holders((ROOT.public,))}), "root-role-unknown"),
        (replace(FIRST, roles={**FIRST.roles, "root": Holders((ROOT.public, ROOT.public), 2)}), "root-key-twice"),
        (replace(FIRST, roles={**FIRST.roles, "root": Holders((ROOT.public,), 2)}), "root-threshold"),
        (replace(FIRST, roles={**FIRST.roles, "root": Holders((ROOT.public,), 0)}), "root-threshold"),
        (replace(FIRST, roles={**FIRST.roles, trust.LOG: Holders(())}), "root-threshold"),
        (replace(FIRST, revoked=(trust.key_id(PUBLICS[trust.DIRECTOR]),)), "root-key-revoked"),
        (replace(FIRST, version=2), "root-version"),
        (replace(FIRST, epoch=0), "root-version"),
        (replace(FIRST, expires_ms=10**17), "root-expiry"),
        (replace(FIRST, expires_ms=0), "root-expiry"),
    ],
)
def test_what_devices_would_refuse_is_not_signed(draft, code):
    with pytest.raises(Invalid, match=code):
        signed(draft)


def test_the_epoch_never_falls():
    root = believed(signed(replace(FIRST, epoch=5)))
    with pytest.raises(Invalid, match="root-epoch"):
        rootdoc.sign_next(root, replace(rootdoc.draft_of(root), epoch=4), (ROOT.signer(),))
