"""Sealed streams: whatever is cut, moved, doubled or changed is refused, whole ones come back as they were."""

from __future__ import annotations

import io
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock import crypto
from penstock.crypto import streaming
from penstock.crypto.sealing import TAG
from penstock.crypto.streaming import CHUNK, DIGEST, HEADER, MAGIC, Sealer, Whole, is_sealed, open_stream

KEY = crypto.generate_key()
PUBLIC = crypto.public_pem(KEY)
OTHER = crypto.generate_key()
SEALED = CHUNK + TAG
QUICK = settings(max_examples=40, deadline=None)
SIZES = st.one_of(st.integers(0, 300), st.builds(lambda count, more: max(0, count * CHUNK + more), st.integers(0, 4), st.integers(-2, 2)))


def content(size: int) -> bytes:
    """Bytes that tell where they stand."""
    return b"".join(number.to_bytes(4, "big") for number in range(size // 4 + 1))[:size]


def sealed(plaintext: bytes, step: int = 10_000) -> bytes:
    out = io.BytesIO()
    sealer = Sealer(PUBLIC, out.write)
    for at in range(0, len(plaintext), step):
        assert sealer.write(plaintext[at : at + step]) == len(plaintext[at : at + step])
    digest = sealer.close()
    assert out.getvalue()[-DIGEST:].hex() == digest
    assert sealer.size == len(out.getvalue())
    return out.getvalue()


def opened(data: bytes, key: bytes = KEY) -> bytes:
    out = io.BytesIO()
    size = open_stream(key, io.BytesIO(data), out.write)
    assert size == len(out.getvalue())
    return out.getvalue()


def whole(data: bytes, step: int = 1000) -> str:
    watch = Whole()
    for at in range(0, len(data), step):
        watch.feed(data[at : at + step])
    return watch.check()


def ended(data: bytes) -> bytes:
    """With a digest that fits: what is left is the work of the chunks alone."""
    return data + crypto.sha256(data)


@cache
def sample(size: int) -> bytes:
    return sealed(content(size))


def refused(data: bytes, key: bytes = KEY) -> str:
    with pytest.raises(crypto.CryptoError) as fault:
        opened(data, key)
    return fault.value.why


@QUICK
@given(size=SIZES, step=st.integers(1, 2 * CHUNK + 1))
@example(size=0, step=1)
@example(size=CHUNK, step=CHUNK)
@example(size=2 * CHUNK, step=CHUNK)
def test_it_comes_back_as_it_was(size, step):
    data = sealed(content(size), max(step, size // 50 or 1))
    assert opened(data) == content(size)
    assert whole(data, max(step, 40)) == data[-DIGEST:].hex()
    chunks = max(1, -(-size // CHUNK))
    assert len(data) == HEADER + size + chunks * TAG + DIGEST
    assert is_sealed(data)


@QUICK
@given(size=SIZES, data=st.data())
def test_every_cut_is_seen(size, data):
    given_, at = sample(size), data.draw(st.integers(0, len(sample(size)) - 1))
    assert refused(given_[:at])
    remade = ended(given_[:at])
    assert remade == given_ or refused(remade), "even where the digest was made anew (of all but the digest, that is the whole again)"
    with pytest.raises(crypto.CryptoError):
        whole(given_[:at])


@pytest.mark.parametrize("chunks", [1, 2, 3])
def test_a_cut_between_chunks_is_seen(chunks):
    assert "not whole" in refused(ended(sample(3 * CHUNK + 5)[: HEADER + chunks * SEALED]))
    assert "not whole" in refused(ended(sample(3 * CHUNK + 5)[:HEADER]))


@QUICK
@given(size=SIZES, data=st.data())
def test_every_changed_bit_is_seen(size, data):
    made = bytearray(sample(size))
    at = data.draw(st.integers(0, len(made) - 1))
    made[at] ^= 1 << data.draw(st.integers(0, 7))
    assert refused(bytes(made))
    with pytest.raises(crypto.CryptoError):
        whole(bytes(made))
    if at < len(made) - DIGEST:
        assert refused(ended(bytes(made[:-DIGEST]))), "even where the digest was made anew"


@QUICK
@given(order=st.lists(st.integers(0, 3), max_size=6))
def test_chunks_stand_in_their_place(order):
    """Left out, doubled or in another order; the fourth is the last and the short one."""
    if order == [0, 1, 2, 3]:
        return
    body = sample(3 * CHUNK + 7)[HEADER:-DIGEST]
    chunks = [body[at : at + SEALED] for at in range(0, len(body), SEALED)]
    assert refused(ended(sample(3 * CHUNK + 7)[:HEADER] + b"".join(chunks[one] for one in order)))


def test_full_chunks_cannot_be_swapped_either():
    """With all of one length, and the last a full one."""
    given_ = sample(3 * CHUNK)
    one, two, three = (given_[HEADER + at * SEALED :][:SEALED] for at in range(3))
    for order in ((two, one, three), (one, three, two), (one, two), (one, two, three, three), (one, one, three), (three,)):
        assert refused(ended(given_[:HEADER] + b"".join(order)))
    assert opened(ended(given_[:HEADER] + one + two + three)) == content(3 * CHUNK)


def test_pieces_of_two_streams_do_not_fit():
    one, two = sample(2 * CHUNK), sealed(content(2 * CHUNK))
    assert refused(ended(one[: HEADER + SEALED] + two[HEADER + SEALED : -DIGEST]))
    assert refused(ended(one[:HEADER] + two[HEADER:-DIGEST]))


def test_what_follows_is_seen():
    assert refused(sample(100) + b"x")
    assert refused(sample(CHUNK) + sample(CHUNK))


def test_an_empty_chunk_ends_nothing_but_an_empty_stream(monkeypatch):
    """One content has one form: a sealer that would end a full chunk with an empty one is not read."""
    out = io.BytesIO()
    sealer = Sealer(PUBLIC, out.write)
    sealer._chunk(bytes(CHUNK), 0)
    sealer.close()
    assert "not whole" in refused(out.getvalue())


def test_another_key_is_named():
    why = refused(sample(100), OTHER)
    assert crypto.sha256_hex(PUBLIC) in why
    assert crypto.sha256_hex(crypto.public_pem(OTHER)) in why


def test_another_key_that_claims_to_be_meant_opens_nothing():
    given_ = sample(100)
    at = len(MAGIC) + 1
    assert refused(ended(given_[:at] + crypto.sha256(crypto.public_pem(OTHER)) + given_[at + DIGEST : -DIGEST]), OTHER)


def test_another_form_is_named():
    assert "form 2" in refused(MAGIC + b"\2" + sample(5)[len(MAGIC) + 1 :])
    assert "no sealed stream" in refused(b"<html>" * 100)
    with pytest.raises(crypto.CryptoError, match="no sealed stream"):
        whole(ended(b"<html>" * 100))


def test_a_key_that_is_none_is_refused_before_anything_is_written():
    out = io.BytesIO()
    with pytest.raises(crypto.CryptoError):
        Sealer(b"no key", out.write)
    with pytest.raises(crypto.CryptoError, match="P-256"):
        Sealer(crypto.public_pem(crypto.generate_key(crypto.P384), (crypto.P384,)), out.write)
    assert out.getvalue() == b""


def test_no_counter_comes_twice(monkeypatch):
    monkeypatch.setattr(streaming, "MOST", 2)
    assert opened(sealed(content(2 * CHUNK))) == content(2 * CHUNK)
    with pytest.raises(crypto.CryptoError, match="at most"):
        sealed(content(2 * CHUNK + 1))


def test_two_sealings_have_nothing_in_common():
    one, two = sealed(content(1000)), sealed(content(1000))
    assert one[len(MAGIC) + 33 : HEADER] != two[len(MAGIC) + 33 : HEADER]
    assert one[HEADER:] != two[HEADER:]
