"""The cryptography on any interpreter and processor: known answers, hostile signatures, sealing, leaks, threads.

Owns what must hold wherever an agent runs. Standard library only, no pytest, plain `assert`: see `run.py`. The cross-checks
against another implementation are in tests/crypto.
"""

from __future__ import annotations

import ctypes
import io
import pathlib
import sys
import threading

from penstock import crypto
from penstock.crypto import keys, openssl, sealing, selfcheck, signing

N = keys.P256.order
PUBLIC = selfcheck.point_pem(selfcheck.SIGNER_POINT)
R, S = int.from_bytes(selfcheck.SIGNATURE[5:37], "big"), int.from_bytes(selfcheck.SIGNATURE[40:72], "big")


def refused(function, *arguments, error=crypto.CryptoError, says=""):
    """Whether calling raises `error` with a sentence holding `says`."""
    try:
        function(*arguments)
    except error as fault:
        assert says in str(fault), f"{fault} does not say {says!r}"
        return True
    return False


def integer(value):
    """The content octets of a shortest, signed DER integer."""
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def tlv(tag, content, length=None):
    """One DER element; `length` overrides the octets of its length."""
    return bytes((tag,)) + (bytes((len(content),)) if length is None else length) + content


def pair(r, s):
    """A signature from the content octets of its two integers."""
    return tlv(0x30, tlv(2, r) + tlv(2, s))


GOOD = pair(integer(R), integer(S))


def hostile():
    """Signatures that must be refused, by name. The integers of GOOD are right, only their form is not."""
    r, s = integer(R), integer(S)
    inner = tlv(2, r) + tlv(2, s)
    yield "empty", b""
    yield "r is zero", pair(b"\0", s)
    yield "s is zero", pair(r, b"\0")
    yield "both zero", pair(b"\0", b"\0")
    for name, value in (("n", N), ("n + 1", N + 1), ("2^256 - 1", 2**256 - 1), ("2^256", 2**256)):
        yield f"r is {name}", pair(integer(value), s)
        yield f"s is {name}", pair(r, integer(value))
    yield "r + n", pair(integer(R + N), s)
    yield "s + n", pair(r, integer(S + N))
    yield "r - n", pair(integer(R - N), s)
    yield "s negative", pair(r, integer(-S))
    yield "r without its sign octet", pair(r[1:], s)
    yield "s without its sign octet", pair(r, s[1:])
    yield "r padded", pair(b"\0" + r, s)
    yield "s padded", pair(r, b"\0" + s)
    yield "r has no octets", pair(b"", s)
    yield "s has no octets", pair(r, b"")
    yield "s missing", tlv(0x30, tlv(2, r))
    yield "three integers", tlv(0x30, inner + tlv(2, b"\1"))
    yield "empty sequence", tlv(0x30, b"")
    yield "r and s exchanged", pair(s, r)
    yield "a set", tlv(0x31, inner)
    yield "a primitive sequence", tlv(0x10, inner)
    yield "r an octet string", tlv(0x30, tlv(4, r) + tlv(2, s))
    yield "s a bit string", tlv(0x30, tlv(2, r) + tlv(3, s))
    yield "long length of the sequence", tlv(0x30, inner, bytes((0x81, len(inner))))
    yield "longer length of the sequence", tlv(0x30, inner, bytes((0x82, 0, len(inner))))
    yield "endless length", tlv(0x30, inner, b"\x80") + b"\0\0"
    yield "reserved length", tlv(0x30, inner, b"\xff")
    yield "long length of r", tlv(0x30, tlv(2, r, bytes((0x81, len(r)))) + tlv(2, s))
    yield "long length of s", tlv(0x30, tlv(2, r) + tlv(2, s, bytes((0x81, len(s)))))
    yield "sequence one too short", tlv(0x30, inner, bytes((len(inner) - 1,)))
    yield "sequence one too long", tlv(0x30, inner, bytes((len(inner) + 1,)))
    yield "s one too short", tlv(0x30, tlv(2, r) + tlv(2, s, bytes((len(s) - 1,))))
    yield "s one too long", tlv(0x30, tlv(2, r) + tlv(2, s, bytes((len(s) + 1,))))
    yield "r swallows s", tlv(0x30, tlv(2, inner))
    for end in (b"\0", b"\0\0", b"\5\0", GOOD):
        yield f"followed by {end.hex()}", GOOD + end
    yield "trailing inside", tlv(0x30, inner + b"\0")
    yield "null inside", tlv(0x30, inner + b"\5\0")
    yield "raw r and s", R.to_bytes(32, "big") + S.to_bytes(32, "big")
    yield "a megabyte", b"\x30" + bytes(1 << 20)
    for end in range(len(GOOD)):
        yield f"cut after {end}", GOOD[:end]
    for at in range(len(GOOD) * 8):
        yield f"bit {at} turned", bytes(b ^ (1 << at % 8 if i == at // 8 else 0) for i, b in enumerate(GOOD))


def test_known_answers():
    assert crypto.self_check() == ()


def test_library_is_named_and_new_enough():
    assert crypto.openssl_version().startswith("OpenSSL ")
    assert openssl.lib.OpenSSL_version_num() >= openssl.OLDEST


def test_good_signature_is_believed():
    assert GOOD == selfcheck.SIGNATURE
    assert crypto.verify(PUBLIC, b"sample", GOOD)
    assert crypto.Verifier(PUBLIC).verify(b"sample", GOOD)


def test_hostile_signatures_are_refused():
    verifier = crypto.Verifier(PUBLIC)
    believed = [name for name, signature in hostile() if verifier.verify(b"sample", signature)]
    assert believed == []


def test_refusals_leave_no_error_behind():
    # The ssl module would report a left-over error as that of its next connection.
    verifier = crypto.Verifier(PUBLIC)
    for _, signature in hostile():
        verifier.verify(b"sample", signature)
    verifier.verify(b"other", GOOD)
    refused(crypto.Verifier, selfcheck.point_pem(selfcheck.SIGNER_POINT[:-1] + b"\0"))
    refused(crypto.Signer, keys.to_pem("PRIVATE KEY", b"\x30\x03\x02\x01\x00"))
    assert openssl.lib.ERR_get_error() == 0


def test_infinity_is_no_answer():
    # For a key whose owner chose it, r and s exist that bring u1*G + u2*Q to infinity, where OpenSSL answers with an error.
    # With Q = G: u1 + u2 = 0 means e + r = 0 (mod n).
    g = crypto.public_pem(selfcheck.scalar_pem((1).to_bytes(32, "big")))
    e = int.from_bytes(crypto.sha256(b"m"), "big")
    verifier = crypto.Verifier(g)
    assert not verifier.verify(b"m", pair(integer((-e) % N), integer(1)))
    assert openssl.lib.ERR_get_error() == 0


def test_wrong_message_key_hash_and_curve():
    other = crypto.generate_key()
    assert not crypto.verify(PUBLIC, b"Sample", GOOD)
    assert not crypto.verify(PUBLIC, b"", GOOD)
    assert not crypto.verify(crypto.public_pem(other), b"sample", GOOD)
    # RFC 6979 A.2.5, the same key and message under SHA-512
    r = 0x8496A60B5E9B47C825488827E0495B0E3FA109EC4568FD3F8D1097678EB97F00
    s = 0x2362AB1ADBE2B8ADF9CB9EDAB740EA6049C028114F2460F96554F61FAE3302FE
    assert not crypto.verify(PUBLIC, b"sample", pair(integer(r), integer(s)))
    big = crypto.generate_key(crypto.P384)
    big_public = crypto.public_pem(big, (crypto.P384,))
    assert refused(crypto.Verifier, big_public, says="P-256")
    assert refused(crypto.Signer, big, says="P-256")
    signature = crypto.sign(big, b"sample", (crypto.P384,))
    assert crypto.verify(big_public, b"sample", signature, (crypto.P256, crypto.P384))
    assert not crypto.verify(PUBLIC, b"sample", signature)


def test_bad_public_keys_are_named():
    point = selfcheck.SIGNER_POINT
    prefix = keys.P256.prefix[:-1]
    compressed = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + bytes((2 + (point[-1] & 1),)) + point[1:33]
    bad = {
        "empty": b"",
        "no PEM": b"hello",
        "DER": prefix + point,
        "off the curve": keys.to_pem("PUBLIC KEY", prefix + point[:-1] + bytes((point[-1] ^ 1,))),
        "origin": keys.to_pem("PUBLIC KEY", prefix + b"\4" + bytes(64)),
        "coordinate is p": keys.to_pem(
            "PUBLIC KEY", prefix + b"\4" + bytes.fromhex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff") + point[33:]
        ),
        "infinity": keys.to_pem("PUBLIC KEY", bytes.fromhex("3019301306072a8648ce3d020106082a8648ce3d03010703020000")),
        "hybrid": keys.to_pem("PUBLIC KEY", prefix + bytes((6 + (point[-1] & 1),)) + point[1:]),
        "compressed": keys.to_pem("PUBLIC KEY", compressed),
        "trailing": keys.to_pem("PUBLIC KEY", prefix + point + b"\0"),
        "cut": keys.to_pem("PUBLIC KEY", (prefix + point)[:-1]),
        "secp256k1": keys.to_pem("PUBLIC KEY", bytes.fromhex("3056301006072a8648ce3d020106052b8104000a034200") + point),
        "private": selfcheck.scalar_pem(selfcheck.SIGNER_X),
        "two blocks": PUBLIC + PUBLIC,
        "one line": b"-----BEGIN PUBLIC KEY-----\n" + b"".join(PUBLIC.split(b"\n")[1:-2]) + b"\n-----END PUBLIC KEY-----\n",
        "carriage returns": PUBLIC.replace(b"\n", b"\r\n"),
        "no last line feed": PUBLIC[:-1],
        "no base64": PUBLIC.replace(b"M", b"*", 1),
        "huge": PUBLIC + b" " * 5000,
    }
    believed = [name for name, pem in bad.items() if not refused(crypto.Verifier, pem)]
    assert believed == []
    assert openssl.lib.ERR_get_error() == 0


def test_bad_private_keys_are_named():
    good = crypto.generate_key()
    der = keys._from_pem("PRIVATE KEY", "the key", good)
    at = der.index(b"\x04\x20") + 2
    mixed = der[:at] + bytes(31) + b"\2" + der[at + 32 :]
    traditional = good.replace(b"PRIVATE KEY", b"EC PRIVATE KEY")
    assert refused(crypto.Signer, b"", says="PEM")
    assert refused(crypto.Signer, traditional, says="openssl pkcs8")
    assert refused(crypto.Signer, PUBLIC, says="PEM")
    assert refused(crypto.Signer, keys.to_pem("PRIVATE KEY", der + b"\0"), says="follow")
    assert refused(crypto.Signer, keys.to_pem("PRIVATE KEY", der[:-1]), says="damaged")
    assert refused(crypto.Signer, keys.to_pem("PRIVATE KEY", mixed), says="belong together")
    assert refused(crypto.Signer, selfcheck.scalar_pem(bytes(32)))
    assert refused(crypto.Signer, selfcheck.scalar_pem(N.to_bytes(32, "big")))
    assert crypto.Signer(good.replace(b"\n", b"\r\n") + b"\n").sign(b"m")  # a file touched by an editor still serves
    assert openssl.lib.ERR_get_error() == 0


def test_every_made_key_signs_for_itself_only():
    one, other = crypto.generate_key(), crypto.generate_key()
    assert one != other
    signer, verifier = crypto.Signer(one), crypto.Verifier(crypto.public_pem(one))
    for size in (0, 1, 63, 64, 65, 5000):
        message = bytes(range(256)) * 20
        signature = signer.sign(message[:size])
        assert signing.well_formed(signature)
        assert verifier.verify(message[:size], signature)
        assert not verifier.verify(message[:size] + b"\0", signature)
        assert not crypto.verify(crypto.public_pem(other), message[:size], signature)


def test_short_integers_are_written_shortest():
    # One signature in 256 has an r or s with a leading zero octet; 6000 without one happen less often than once in 10**10.
    signer = crypto.Signer(crypto.generate_key())
    for count in range(6000):
        signature = signer.sign(count.to_bytes(4, "big"))
        assert signing.well_formed(signature)
        if len(signature) < 70:
            return
    raise AssertionError("no signature had a short integer")


def test_sealed_opens_only_where_it_was_meant_to():
    device, other = crypto.generate_key(), crypto.generate_key()
    public = crypto.public_pem(device)
    for plaintext in (b"", b"x", b"secret" * 1000):
        sealed = crypto.seal(public, plaintext, b"here")
        assert crypto.open_sealed(device, sealed, b"here") == plaintext
        assert refused(crypto.open_sealed, other, sealed, b"here", says="sealed for another device")
        assert refused(crypto.open_sealed, device, sealed, b"there")
        assert refused(crypto.open_sealed, device, sealed, b"")
    again = crypto.seal(public, b"x", b"here")
    assert again[0] != crypto.seal(public, b"x", b"here")[0]
    for field in range(4):
        for bit in (0, 7):
            changed = list(again)
            changed[field] = bytes((changed[field][0] ^ (1 << bit),)) + changed[field][1:]
            assert refused(crypto.open_sealed, device, tuple(changed), b"here"), (field, bit)
        cut = list(again)
        cut[field] = cut[field][:-1]
        assert refused(crypto.open_sealed, device, tuple(cut), b"here"), field
    assert refused(crypto.seal, public, bytes(sealing.MAX_PLAINTEXT + 1), b"", says="at most")
    assert refused(crypto.seal, b"no key", b"x", b"")
    assert openssl.lib.ERR_get_error() == 0


def test_sealing_is_bound_to_both_keys():
    # The derivation must hold both points, or a sealed value could be re-targeted (SP 800-56A, section 5.8.2).
    device = crypto.generate_key()
    sealed = crypto.seal(crypto.public_pem(device), b"x", b"")
    own, peer = keys.private_key(device), keys.point_key(sealed[0])
    shared = sealing.ecdh(own, peer)
    right = crypto.hkdf(shared, b"", sealing.LABEL + sealed[0] + keys.public_point(own), 32)
    assert sealing.gcm_decrypt(right, sealed[1], sealed[2], sealed[3], b"") == b"x"
    for info in (b"", sealing.LABEL, sealing.LABEL + keys.public_point(own) + sealed[0]):
        assert refused(sealing.gcm_decrypt, crypto.hkdf(shared, b"", info, 32), sealed[1], sealed[2], sealed[3], b"")


def test_hkdf_rfc5869():
    # Appendix A.1 to A.3
    long = bytes(range(0x50)), bytes(range(0x60, 0xB0)), bytes(range(0xB0, 0x100))
    expected = (
        (b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)), "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"),
        (
            *long,
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
        (b"\x0b" * 22, b"", b"", "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"),
    )
    for secret, salt, info, okm in expected:
        assert crypto.hkdf(secret, salt, info, len(okm) // 2).hex() == okm
    assert refused(crypto.hkdf, b"", b"", b"", 0, error=ValueError)
    assert refused(crypto.hkdf, b"", b"", b"", 255 * 32 + 1, error=ValueError)
    assert len(crypto.hkdf(b"", b"", b"", 255 * 32)) == 255 * 32


def test_hmac_agrees_with_the_standard_library():
    import hmac

    for key, data in ((b"", b""), (b"k", b""), (b"", b"d"), (b"k" * 63, b"d"), (b"k" * 64, b"d" * 64), (b"k" * 65, b"d" * 1000), (b"\0", b"\0")):
        assert crypto.hmac_sha256(key, data) == hmac.new(key, data, "sha256").digest()


def test_pbkdf2():
    # RFC 7914, section 11, has salts too short for us: so the construction is checked against its definition for one block.
    salt, rounds = b"0123456789abcdef", 1000
    step = crypto.hmac_sha256(b"pass", salt + b"\0\0\0\1")
    total = int.from_bytes(step, "big")
    for _ in range(rounds - 1):
        step = crypto.hmac_sha256(b"pass", step)
        total ^= int.from_bytes(step, "big")
    assert crypto.pbkdf2(b"pass", salt, rounds) == total.to_bytes(32, "big")
    for arguments in ((b"p", salt[:15], 1000), (b"p", salt, 999), (b"p", salt, 1000, 13)):
        assert refused(crypto.pbkdf2, *arguments, error=ValueError, says="PBKDF2 needs")


def test_digests():
    assert crypto.sha256_hex(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert crypto.sha256(b"abc").hex() == crypto.sha256_hex(b"abc")
    data = b"x" * 200_000
    assert crypto.file_digest(io.BytesIO(data)) == ("sha256:" + crypto.sha256_hex(data), 200_000)
    assert crypto.file_digest(io.BytesIO(data), 200_000)[1] == 200_000
    assert refused(crypto.file_digest, io.BytesIO(data), 199_999, error=ValueError, says="longer")


def test_random_and_comparison():
    assert crypto.random_bytes(0) == b""
    assert len(crypto.random_bytes(65536)) == 65536
    assert crypto.random_bytes(16) != crypto.random_bytes(16)
    for count in (-1, 65537):
        assert refused(crypto.random_bytes, count, error=ValueError)
    assert crypto.constant_time_equal(b"", b"")
    assert crypto.constant_time_equal(b"abc", b"abc")
    assert not crypto.constant_time_equal(b"abc", b"abd")
    assert not crypto.constant_time_equal(b"abc", b"ab")


def test_text_is_no_bytes():
    # ctypes would hand OpenSSL the wide characters of a str.
    verifier, signer = crypto.Verifier(PUBLIC), crypto.Signer(crypto.generate_key())
    public, wrong = crypto.public_pem(crypto.generate_key()), (TypeError, ctypes.ArgumentError)
    assert refused(signer.sign, "text", error=wrong)
    assert refused(verifier.verify, "text", GOOD, error=wrong)
    assert refused(crypto.hmac_sha256, "k", b"d", error=wrong)
    assert refused(crypto.hmac_sha256, b"k", "d", error=wrong)
    assert refused(crypto.constant_time_equal, "a", "a", error=wrong)
    assert refused(crypto.seal, public, "text", b"", error=wrong)
    assert refused(crypto.seal, public, b"text", "aad", error=wrong)
    assert refused(crypto.Verifier, PUBLIC.decode(), error=wrong)


def test_widths_of_c_types():
    # What the prototypes rely on, on 32 bits as well.
    assert ctypes.sizeof(ctypes.c_size_t) == ctypes.sizeof(ctypes.c_void_p) == (sys.maxsize.bit_length() + 1) // 8
    assert ctypes.sizeof(ctypes.c_int) == 4
    assert ctypes.sizeof(ctypes.c_long) == ctypes.sizeof(ctypes.c_void_p)


def test_threads():
    signer, verifier = crypto.Signer(crypto.generate_key()), crypto.Verifier(PUBLIC)
    device = crypto.generate_key()
    public, faults = crypto.public_pem(device), []

    def work(number):
        try:
            for count in range(40):
                message = b"%d %d" % (number, count)
                assert verifier.verify(b"sample", GOOD)
                assert not verifier.verify(message, GOOD)
                assert not verifier.verify(message, signer.sign(message))
                if count % 8 == 0:
                    assert crypto.open_sealed(device, crypto.seal(public, message, b""), b"") == message
        except BaseException as fault:  # noqa: BLE001 - a thread's failure must reach the test
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def resident_kib():
    """Anonymous memory of this process in KiB."""
    fields = pathlib.Path("/proc/self/statm").read_text(encoding="ascii").split()
    return (int(fields[1]) - int(fields[2])) * 4


def test_nothing_leaks():
    device = crypto.generate_key()
    public = crypto.public_pem(device)
    foreign = crypto.seal(crypto.public_pem(crypto.generate_key()), b"x" * 1000, b"")
    off_curve = keys.to_pem("PUBLIC KEY", keys.P256.prefix + bytes(64))
    bad_private = keys.to_pem("PRIVATE KEY", b"\x30\x03\x02\x01\x00")

    def round_():
        assert crypto.Verifier(public).verify(b"m", crypto.Signer(device).sign(b"m"))
        assert not crypto.verify(public, b"m", GOOD)
        assert crypto.open_sealed(device, crypto.seal(public, b"x" * 1000, b"a"), b"a")
        assert refused(crypto.open_sealed, device, foreign, b"")
        assert refused(crypto.Verifier, off_curve)
        assert refused(crypto.Signer, bad_private)
        crypto.generate_key()
        crypto.hkdf(b"a", b"b", b"c", 64)
        crypto.random_bytes(64)

    for _ in range(100):
        round_()
    before = resident_kib()
    rounds = 300
    for _ in range(rounds):
        round_()
    # The smallest thing that could be forgotten in each round has some hundred bytes: 300 rounds of one key are 600 KiB.
    assert resident_kib() - before < 150, f"{resident_kib() - before} KiB grown in {rounds} rounds"
