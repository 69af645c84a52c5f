"""Our cryptography against the `cryptography` package: each reads what the other writes, and both refuse the same."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock import crypto
from penstock.crypto import keys
from penstock.wire.sealing import sealed_from_wire, sealed_to_wire

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Peer:
    """The other implementation, in its own process."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", str(pathlib.Path(__file__).with_name("peer.py"))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __getattr__(self, act):
        def ask(*arguments):
            assert self.process.stdin
            assert self.process.stdout
            self.process.stdin.write(json.dumps([act, *(argument.hex() for argument in arguments)]) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
            assert line, f"the peer died on {act}"
            return [bytes.fromhex(part) for part in json.loads(line)]

        return ask

    def close(self) -> None:
        self.process.communicate(timeout=30)


@pytest.fixture(scope="module")
def peer():
    other = Peer()
    yield other
    other.close()


@pytest.mark.parametrize("curve", [crypto.P256, crypto.P384])
def test_pem_is_spelt_alike(peer, curve):
    ours = crypto.generate_key(curve)
    assert crypto.public_pem(ours, (curve,)) == peer.public_of(ours)[0]
    private, public = peer.make(curve.name.encode())
    assert crypto.public_pem(private, (curve,)) == public
    assert len(ours) == len(private)


@pytest.mark.parametrize("curve", [crypto.P256, crypto.P384])
def test_signatures_both_ways(peer, curve):
    ours, (theirs, their_public) = crypto.generate_key(curve), peer.make(curve.name.encode())
    our_public = crypto.public_pem(ours, (curve,))
    for message in (b"", b"m", b"x" * 100_000):
        signature = crypto.sign(ours, message, (curve,))
        assert peer.verify(our_public, message, signature) == [b"\1"]
        assert peer.verify(our_public, message + b"!", signature) == [b"\0"]
        signature = peer.sign(theirs, message)[0]
        assert crypto.verify(their_public, message, signature, (curve,))
        assert not crypto.verify(their_public, message + b"!", signature, (curve,))


def test_sealing_both_ways(peer):
    ours, (theirs, their_public) = crypto.generate_key(), peer.make()
    our_public = crypto.public_pem(ours)
    for plaintext in (b"", b"secret", bytes(range(256)) * 200):
        assert peer.open_sealed(theirs, *crypto.seal(their_public, plaintext, b"aad"), b"aad") == [plaintext]
        assert peer.open_sealed(theirs, *crypto.seal(their_public, plaintext, b"aad"), b"other") == []
        point, iv, ciphertext, tag = peer.seal(our_public, plaintext, b"aad", crypto.random_bytes(12))
        assert crypto.open_sealed(ours, (point, iv, ciphertext, tag), b"aad") == plaintext
        with pytest.raises(crypto.CryptoError, match="cannot be opened"):
            crypto.open_sealed(ours, (point, iv, ciphertext, tag), b"other")


def test_sealed_survives_the_wire(peer):
    private, public = peer.make()
    sealed = sealed_to_wire(crypto.seal(public, b"secret", b"aad"))
    assert peer.open_sealed(private, *sealed_from_wire(sealed), b"aad") == [b"secret"]


@QUICK
@given(secret=st.binary(max_size=200), salt=st.binary(max_size=200), info=st.binary(max_size=200), length=st.integers(1, 8160))
def test_hkdf(peer, secret, salt, info, length):
    assert crypto.hkdf(secret, salt, info, length) == peer.hkdf(secret, salt, info, str(length).encode())[0]


@QUICK
@given(password=st.binary(max_size=200), salt=st.binary(min_size=16, max_size=64), rounds=st.integers(1000, 1100), length=st.integers(14, 100))
def test_pbkdf2(peer, password, salt, rounds, length):
    assert crypto.pbkdf2(password, salt, rounds, length) == peer.pbkdf2(password, salt, str(rounds).encode(), str(length).encode())[0]


KEY = crypto.generate_key()
PUBLIC = crypto.public_pem(KEY)
VERIFIER = crypto.Verifier(PUBLIC)
SIGNED = crypto.sign(KEY, b"message")


@st.composite
def damaged(draw):
    """A good signature with some octets changed, cut, doubled or inserted."""
    octets = bytearray(SIGNED)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(octets) - 1, 0)))
        act = draw(st.sampled_from(("change", "cut", "insert", "drop", "repeat")))
        if act == "change" and octets:
            octets[at] = draw(st.integers(0, 255))
        elif act == "cut":
            del octets[at:]
        elif act == "insert":
            octets[at:at] = draw(st.binary(min_size=1, max_size=3))
        elif act == "drop":
            del octets[at : at + 1]
        else:
            octets += octets[at:]
    return bytes(octets)


@settings(QUICK, max_examples=300)
@given(signature=st.one_of(damaged(), st.binary(max_size=120)))
def test_no_octets_raise_and_only_the_right_ones_pass(peer, signature):
    believed = VERIFIER.verify(b"message", signature)
    assert believed == (signature == SIGNED)
    if believed:
        assert peer.verify(PUBLIC, b"message", signature) == [b"\1"]


@settings(QUICK, max_examples=150)
@given(r=st.integers(-(2**260), 2**260), s=st.integers(-(2**260), 2**260), data=st.data())
def test_what_the_other_refuses_we_refuse(peer, r, s, data):
    def integer(value):
        content = value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
        return b"\2" + bytes((len(content),)) + content

    edges = st.sampled_from((0, 1, -1, 2**255, 2**256, keys.P256.order, keys.P256.order - 1, keys.P256.order + 1))
    r, s = data.draw(st.one_of(st.just(r), edges)), data.draw(st.one_of(st.just(s), edges))
    body = integer(r) + integer(s)
    signature = b"\x30" + bytes((len(body),)) + body
    assert VERIFIER.verify(b"message", signature) == (peer.verify(PUBLIC, b"message", signature) == [b"\1"])


PEMS = st.one_of(
    st.binary(max_size=400),
    st.builds(lambda at, put: PUBLIC[:at] + put + PUBLIC[at + 1 :], st.integers(0, len(PUBLIC) - 1), st.binary(max_size=2)),
    st.builds(lambda der: keys.to_pem("PUBLIC KEY", der), st.binary(max_size=200)),
    st.builds(lambda point: keys.to_pem("PUBLIC KEY", keys.P256.prefix + point), st.binary(min_size=64, max_size=64)),
)


@settings(QUICK, max_examples=300)
@given(pem=PEMS)
def test_public_keys_only_declared_errors(pem):
    try:
        crypto.Verifier(pem)
    except crypto.CryptoError as fault:
        assert fault.why


@settings(QUICK, max_examples=200)
@given(
    pem=st.one_of(
        st.binary(max_size=400),
        st.builds(lambda at, put: KEY[:at] + put + KEY[at + 1 :], st.integers(0, len(KEY) - 1), st.binary(max_size=2)),
        st.builds(lambda der: keys.to_pem("PRIVATE KEY", der), st.binary(max_size=200)),
    )
)
def test_private_keys_only_declared_errors(pem):
    try:
        crypto.Signer(pem)
    except crypto.CryptoError as fault:
        assert fault.why
