"""The start-up check of the cryptography: one library, and it computes what the standards say.

Owns the known answers and the count of mapped libraries. Never repairs and never exits: it names problems, the caller stops.
Known answers: FIPS 180-2 B.1, RFC 4231 4.2, RFC 5869 A.1, RFC 6979 A.2.5, RFC 5903 8.1, and test case 16 of the
GCM specification of McGrew and Viega.
"""

from __future__ import annotations

import hashlib

from penstock.crypto.digests import hkdf, hmac_sha256
from penstock.crypto.keys import P256, fresh_key, point_key, private_key, public_point, to_pem
from penstock.crypto.openssl import CryptoError, lib
from penstock.crypto.sealing import ecdh, gcm_decrypt, gcm_encrypt
from penstock.crypto.signing import Signer, Verifier

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_hex = bytes.fromhex

SIGNER_X = _hex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
SIGNER_POINT = _hex(
    "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"  # 04, x
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"  # y
)
SIGNATURE = _hex(
    "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"  # r
    "022100f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"  # s
)
AGREE_I = _hex("c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433")
AGREE_R_POINT = _hex(
    "04d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63"  # 04, x
    "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab"  # y
)
AGREED = _hex("d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de")
GCM_KEY = _hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308")
GCM_IV = _hex("cafebabefacedbaddecaf888")
GCM_AAD = _hex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
GCM_PLAIN = _hex(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
)  # fmt: skip
GCM_CIPHER = _hex(
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
    "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
)  # fmt: skip
GCM_TAG = _hex("76fc6ece0f4e1768cddf8853bb2d551b")

_MAPS = "/proc/self/maps"


def scalar_pem(scalar: bytes) -> bytes:
    """PKCS#8 PEM of a P-256 private key given as its 32-byte number (RFC 5915, no public half): for known answers only."""
    der = _hex("3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420") + scalar
    return to_pem("PRIVATE KEY", der)


def point_pem(point: bytes) -> bytes:
    """SubjectPublicKeyInfo PEM of a P-256 point: for known answers only."""
    return to_pem("PUBLIC KEY", P256.prefix[:-1] + point)


def mapped(maps: str) -> tuple[str, ...]:
    """The paths of all libcryptos in the text of /proc/PID/maps, each file once (by device and inode)."""
    found: dict[tuple[str, str], str] = {}
    for line in maps.splitlines():
        parts = line.split(None, 5)
        if len(parts) == 6 and parts[5].rpartition("/")[2].startswith("libcrypto"):
            found.setdefault((parts[3], parts[4]), parts[5])
    return tuple(sorted(found.values()))


def _copies() -> str | None:
    try:
        with open(_MAPS, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - pathlib is too dear for an agent
            paths = mapped(file.read())
    except OSError as error:
        return f"the loaded libraries cannot be listed ({_MAPS}: {error.strerror}); mount /proc"
    if len(paths) > 1:
        return f"{len(paths)} copies of libcrypto are loaded in one process ({', '.join(paths)}); remove the package or preload that brings the second"
    return None


def _digests() -> bool:
    # `hashlib` silently falls back to code of its own when OpenSSL refuses: the type tells who computes.
    answer = hashlib.sha256(b"abc")
    return type(answer).__module__ == "_hashlib" and answer.hexdigest() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def _keyed() -> bool:
    ours = hmac_sha256(b"\x0b" * 20, b"Hi There") == _hex("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
    derived = hkdf(b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)), 42)
    return ours and derived == _hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")


def _signatures() -> bool:
    signer = Signer(scalar_pem(SIGNER_X))
    public = point_pem(SIGNER_POINT)
    known = Verifier(public)
    wrong = SIGNATURE[:-1] + bytes((SIGNATURE[-1] ^ 1,))
    own = signer.sign(b"sample")
    return (
        known.verify(b"sample", SIGNATURE)
        and not known.verify(b"sample", wrong)
        and not known.verify(b"Sample", SIGNATURE)
        and known.verify(b"sample", own)
        and public_point(private_key(scalar_pem(SIGNER_X))) == SIGNER_POINT
    )


def _agreement() -> bool:
    fresh = fresh_key()
    return ecdh(private_key(scalar_pem(AGREE_I)), point_key(AGREE_R_POINT)) == AGREED and len(ecdh(fresh, point_key(AGREE_R_POINT))) == 32


def _encryption() -> bool:
    if gcm_encrypt(GCM_KEY, GCM_IV, GCM_PLAIN, GCM_AAD) != (GCM_CIPHER, GCM_TAG):
        return False
    if gcm_decrypt(GCM_KEY, GCM_IV, GCM_CIPHER, GCM_TAG, GCM_AAD) != GCM_PLAIN:
        return False
    try:
        gcm_decrypt(GCM_KEY, GCM_IV, GCM_CIPHER, GCM_TAG[:-1] + b"\0", GCM_AAD)
    except CryptoError:
        return True
    return False


def _random() -> bool:
    return bool(lib.RAND_status() == 1)


_ANSWERS: tuple[tuple[str, Callable[[], bool]], ...] = (
    ("SHA-256 from OpenSSL", _digests),
    ("HMAC and HKDF", _keyed),
    ("ECDSA on P-256", _signatures),
    ("ECDH on P-256", _agreement),
    ("AES-256-GCM", _encryption),
    ("the random generator", _random),
)


def self_check() -> tuple[str, ...]:
    """What is wrong with the cryptography of this process, as sentences; empty when all is well. Takes about 2 ms."""
    problems = []
    copies = _copies()
    if copies:
        problems.append(copies)
    for name, answer in _ANSWERS:
        try:
            good, reason = answer(), "gave a wrong answer"
        except ValueError as error:
            good, reason = False, f"failed: {error}"
        if not good:
            problems.append(f"{name} {reason} in {lib.version()}; replace the OpenSSL or the Python of this machine before trusting it")
    return tuple(problems)
