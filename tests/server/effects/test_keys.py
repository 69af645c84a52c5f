"""The plane's signing keys: on disk and in memory they behave alike; the root key stays outside."""

from __future__ import annotations

import stat

import pytest

from penstock import crypto
from penstock.server.effects.keys import (
    RUNNING_ROLES,
    HeldKeys,
    Keys,
    adopt_key,
    create_keys,
    create_root_key,
    file_keys,
    key_path,
    memory_keys,
    next_path,
    prepare_key,
    read_root_key,
)
from penstock.server.effects.private_files import FileFault
from penstock.wire.trust import DIRECTOR, PUBLISHER, key_id


@pytest.fixture(params=["files", "memory"])
def keys(request, tmp_path):
    return create_keys(tmp_path / "keys") if request.param == "files" else memory_keys()


def test_every_role_signs_with_its_own_key(keys: Keys):
    publics = {role: keys.public(role) for role in RUNNING_ROLES}
    assert len(set(publics.values())) == len(RUNNING_ROLES)
    for role in RUNNING_ROLES:
        keyid, signature = keys.sign(role, b"message")
        assert keyid == key_id(publics[role])
        assert crypto.verify(publics[role].encode(), b"message", signature)
        other = publics[PUBLISHER if role == DIRECTOR else DIRECTOR]
        assert not crypto.verify(other.encode(), b"message", signature)
        name, sign = keys.signer(role)
        assert name == keyid
        assert crypto.verify(publics[role].encode(), b"again", sign(b"again"))


def test_the_root_is_no_running_role(keys: HeldKeys):
    assert "root" not in RUNNING_ROLES
    for act in (lambda: keys.sign("root", b""), lambda: keys.public("root"), lambda: keys.signer("root")):
        with pytest.raises(FileFault, match="no key for the role 'root'"):
            act()


def test_files_are_private_and_outlive_the_process(tmp_path):
    made = create_keys(tmp_path / "keys")
    for role in RUNNING_ROLES:
        assert stat.S_IMODE(key_path(tmp_path / "keys", role).stat().st_mode) == 0o600
    assert [file_keys(tmp_path / "keys").public(role) for role in RUNNING_ROLES] == [made.public(role) for role in RUNNING_ROLES]


def test_making_again_keeps_what_is_there_and_makes_what_is_missing(tmp_path):
    first = create_keys(tmp_path)
    key_path(tmp_path, PUBLISHER).unlink()
    second = create_keys(tmp_path)
    assert second.public(DIRECTOR) == first.public(DIRECTOR)
    assert second.public(PUBLISHER) != first.public(PUBLISHER)


def test_bad_files_are_named(tmp_path):
    create_keys(tmp_path)
    key_path(tmp_path, DIRECTOR).chmod(0o640)
    with pytest.raises(FileFault, match=r"the director key.*chmod 600"):
        file_keys(tmp_path)
    key_path(tmp_path, DIRECTOR).chmod(0o600)
    key_path(tmp_path, DIRECTOR).write_bytes(b"no key")
    with pytest.raises(FileFault, match=r"the director key.*cannot be used.*PEM"):
        file_keys(tmp_path)
    key_path(tmp_path, DIRECTOR).unlink()
    with pytest.raises(FileFault, match="the director key is missing"):
        file_keys(tmp_path)


def test_rotation_goes_on_from_wherever_it_stopped(tmp_path):
    old = create_keys(tmp_path)
    fresh = prepare_key(tmp_path, DIRECTOR)
    assert prepare_key(tmp_path, DIRECTOR).id == fresh.id
    assert file_keys(tmp_path).public(DIRECTOR) == old.public(DIRECTOR)
    adopt_key(tmp_path, DIRECTOR)
    assert file_keys(tmp_path).public(DIRECTOR) == fresh.public
    assert file_keys(tmp_path).public(PUBLISHER) == old.public(PUBLISHER)
    assert not next_path(tmp_path, DIRECTOR).exists()
    with pytest.raises(FileFault, match="the next director key is missing"):
        adopt_key(tmp_path, DIRECTOR)
    for act in (prepare_key, adopt_key):
        with pytest.raises(FileFault, match="'root' is no role"):
            act(tmp_path, "root")


def test_the_root_key_lies_outside_the_data_folder(tmp_path):
    data, safe = tmp_path / "data", tmp_path / "safe" / "root.pem"
    data.mkdir()
    made = create_root_key(safe, data)
    assert read_root_key(safe, data).id == made.id
    with pytest.raises(FileFault, match="exists already"):
        create_root_key(safe, data)
    for inside in (data / "root.pem", data / "deep" / "root.pem", data / ".." / "data" / "root.pem"):
        with pytest.raises(FileFault, match="may not lie in the data folder"):
            create_root_key(inside, data)
        assert not inside.exists()
    (data / "link.pem").symlink_to(safe)
    assert read_root_key(data / "link.pem", data).id == made.id  # a link from inside does not bring the key inside
    (tmp_path / "way").symlink_to(data)
    with pytest.raises(FileFault, match="may not lie in the data folder"):
        create_root_key(tmp_path / "way" / "root.pem", data)
