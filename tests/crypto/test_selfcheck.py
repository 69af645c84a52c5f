"""The start-up check finds what it is there to find: a second library, wrong answers, digests that are not OpenSSL's."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import pathlib
import shutil
import subprocess
import sys

import pytest

from penstock.crypto import CryptoError, Signer, Verifier, selfcheck
from penstock.crypto.openssl import lib

MAPS = """\
55d0c0a00000-55d0c0a28000 r--p 00000000 fe:01 131  /usr/bin/python3.11
7f1c00000000-7f1c00100000 r--p 00000000 fe:01 1201 /usr/lib/x86_64-linux-gnu/libcrypto.so.3
7f1c00100000-7f1c00200000 r-xp 00100000 fe:01 1201 /usr/lib/x86_64-linux-gnu/libcrypto.so.3
7f1c00300000-7f1c00400000 rw-p 00000000 00:00 0
7f1c00400000-7f1c00500000 r--p 00000000 fe:01 1302 /usr/lib/x86_64-linux-gnu/libssl.so.3
7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0    [stack]
"""
SECOND = "7f1c10000000-7f1c10100000 r-xp 00000000 fe:01 9 /opt/some thing/libcrypto-0a1b.so.1.1\n"


def test_one_library_is_counted_once():
    assert selfcheck.mapped(MAPS) == ("/usr/lib/x86_64-linux-gnu/libcrypto.so.3",)


def test_a_second_library_is_seen_whatever_its_name():
    assert selfcheck.mapped(MAPS + SECOND) == ("/opt/some thing/libcrypto-0a1b.so.1.1", "/usr/lib/x86_64-linux-gnu/libcrypto.so.3")


def test_this_process_is_sound():
    assert selfcheck.self_check() == ()


def test_a_second_library_in_the_process_is_a_problem(tmp_path):
    found = selfcheck.mapped(pathlib.Path("/proc/self/maps").read_text(encoding="utf-8"))
    if not found:
        pytest.fail("this Python has its libcrypto linked in; run the tests with one that shares it")
    copy = tmp_path / "libcrypto.so.other"
    shutil.copyfile(found[0], copy)
    source = pathlib.Path(selfcheck.__file__).parents[2]
    # In this order: loaded first, the copy would have served `ssl` as well (the loader knows libraries by their inner name).
    script = (
        "import ctypes, sys; sys.path.insert(0, sys.argv[1]); from penstock import crypto; ctypes.CDLL(sys.argv[2]); print(*crypto.self_check(), sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script, str(source), str(copy)], capture_output=True, text=True, timeout=60, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("2 copies of libcrypto")
    assert str(copy) in lines[0]
    assert found[0] in lines[0]


def test_unreadable_maps_are_a_problem(monkeypatch, tmp_path):
    monkeypatch.setattr(selfcheck, "_MAPS", str(tmp_path / "absent"))
    (problem,) = selfcheck.self_check()
    assert "mount /proc" in problem


def _raises(*_):
    raise CryptoError("planted")


def _builtin_sha256(data=b""):
    # CPython's own code, under its name from 3.12 on, or the one before.
    module = importlib.import_module("_sha2" if importlib.util.find_spec("_sha2") else "_sha256")
    return module.sha256(data)


@pytest.mark.parametrize(
    ("place", "fault", "named"),
    [
        ("hmac_sha256", lambda *_: bytes(32), "HMAC"),
        ("hkdf", lambda *_: bytes(42), "HMAC"),
        ("ecdh", lambda *_: bytes(32), "ECDH"),
        ("gcm_encrypt", lambda *_: (b"", b""), "AES-256-GCM"),
        ("gcm_decrypt", lambda *_: selfcheck.GCM_PLAIN, "AES-256-GCM"),  # a tag that is never looked at
        ("gcm_decrypt", lambda *_: b"", "AES-256-GCM"),
        ("ecdh", _raises, "planted"),
        ("point_key", _raises, "planted"),
        ("private_key", _raises, "planted"),
    ],
)
def test_planted_faults_are_named(monkeypatch, place, fault, named):
    monkeypatch.setattr(selfcheck, place, fault)
    problems = selfcheck.self_check()
    assert problems
    assert any(named in problem for problem in problems)


@pytest.mark.parametrize("answer", [True, False])
def test_a_verifier_that_always_says_the_same_is_a_problem(monkeypatch, answer):
    monkeypatch.setattr(Verifier, "verify", lambda *_: answer)
    (problem,) = selfcheck.self_check()
    assert problem.startswith("ECDSA on P-256 gave a wrong answer")


def test_a_signer_that_signs_something_else_is_a_problem(monkeypatch):
    honest = Signer.sign
    monkeypatch.setattr(Signer, "sign", lambda self, message: honest(self, message + b"!"))
    (problem,) = selfcheck.self_check()
    assert problem.startswith("ECDSA on P-256")


def test_digests_that_are_not_from_openssl_are_a_problem(monkeypatch):
    monkeypatch.setattr(hashlib, "sha256", _builtin_sha256)
    (problem,) = selfcheck.self_check()
    assert problem.startswith("SHA-256 from OpenSSL")


def test_no_entropy_is_a_problem(monkeypatch):
    monkeypatch.setattr(lib, "RAND_status", lambda: 0)
    (problem,) = selfcheck.self_check()
    assert problem.startswith("the random generator")
