"""Keys: making, reading and writing them as PEM.

Owns the two curves and the only forms accepted: SubjectPublicKeyInfo and unencrypted PKCS#8, named curve, uncompressed
point (RFC 5480, RFC 5958). Never stores a key and never says what one may sign.

A public key is compared with the one encoding it can have before OpenSSL sees it. That refuses other curves, explicit
parameters, compressed points and trailing bytes in a single step, and keeps OpenSSL's general decoder, which is fifteen
times slower and much larger, away from what strangers send.
"""

from __future__ import annotations

import binascii
import ctypes
import hashlib

from penstock.crypto.openssl import CryptoError, fail, lib, need

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_PEM = 4096  # bytes; a P-384 private key takes 306
_EC = 408  # EVP_PKEY_EC, the NID of id-ecPublicKey


class Curve:
    """A curve: its NIST name, the bytes of a coordinate, the group's order, what stands before the point in a
    SubjectPublicKeyInfo, and the digest it signs with."""

    __slots__ = ("_template", "coordinate", "digest", "name", "order", "prefix")

    def __init__(self, name: str, coordinate: int, order: int, prefix: str, digest: Any) -> None:
        self.name = name
        self.coordinate = coordinate
        self.order = order
        self.prefix = bytes.fromhex(prefix)
        self.digest = digest
        self._template: Key | None = None

    def __repr__(self) -> str:
        return self.name

    def template(self) -> Key:
        """A key with this curve's parameters and nothing else, made once: new public keys take theirs from it."""
        if self._template is None:
            self._template = _make(self, "EVP_PKEY_paramgen")  # two threads may both make one: either serves
        return self._template


P256 = Curve(
    "P-256",
    32,
    0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "3059301306072a8648ce3d020106082a8648ce3d03010703420004",
    hashlib.sha256,
)
P384 = Curve(
    "P-384",
    48,
    0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    "3076301006072a8648ce3d020106052b8104002203620004",
    hashlib.sha384,
)


class Key:
    """A key inside OpenSSL, freed with this object. Reading it from several threads is safe."""

    __slots__ = ("_free", "curve", "handle")

    def __init__(self, handle: int, curve: Curve) -> None:
        self.handle = handle
        self.curve = curve
        self._free = lib.EVP_PKEY_free  # kept here: at the end of the process the module may be gone first

    def __del__(self) -> None:
        self._free(self.handle)


def _make(curve: Curve, act: str) -> Key:
    """Parameters (`EVP_PKEY_paramgen`) or a key pair (`EVP_PKEY_keygen`) of `curve`."""
    context = need(lib.EVP_PKEY_CTX_new_id(_EC, None), "OpenSSL offers no elliptic curves")
    made = ctypes.c_void_p()
    try:
        what = f"OpenSSL cannot make a key on {curve.name}"
        need(getattr(lib, act + "_init")(context), what)
        need(lib.EVP_PKEY_CTX_ctrl_str(context, b"ec_paramgen_curve", curve.name.encode()), what)
        need(lib.EVP_PKEY_CTX_ctrl_str(context, b"ec_param_enc", b"named_curve"), what)
        need(getattr(lib, act)(context, ctypes.byref(made)), what)
    finally:
        lib.EVP_PKEY_CTX_free(context)
    return Key(need(made.value, what), curve)


# --- PEM (RFC 7468) ---------------------------------------------------------------------------------------------------


def to_pem(label: str, der: bytes) -> bytes:
    """A PEM block in the one spelling that is accepted for public keys (RFC 7468, section 3, "stricttextualmsg")."""
    text = binascii.b2a_base64(der, newline=False)
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return b"\n".join([b"-----BEGIN %s-----" % label.encode(), *lines, b"-----END %s-----" % label.encode(), b""])


def _from_pem(label: str, what: str, pem: bytes) -> bytes:
    if len(pem) > MAX_PEM:
        raise CryptoError(f"{what} is longer than {MAX_PEM} bytes; give one PEM block with nothing around it")
    head, tail = b"-----BEGIN %s-----" % label.encode(), b"-----END %s-----" % label.encode()
    text = pem.strip()
    if not (text.startswith(head) and text.endswith(tail) and len(text) > len(head) + len(tail)):
        hint = ""
        if b"BEGIN EC PRIVATE KEY" in pem or b"BEGIN ENCRYPTED PRIVATE KEY" in pem:
            hint = "; convert it with: openssl pkcs8 -topk8 -nocrypt"
        raise CryptoError(f"{what} is not one PEM block '{label}'{hint}")
    body = b"".join(text[len(head) : -len(tail)].split())
    try:
        der = binascii.a2b_base64(body)
    except ValueError:
        der = b""
    if not der or binascii.b2a_base64(der, newline=False) != body:
        raise CryptoError(f"{what} is not base64 between its PEM lines; it was damaged or cut on the way")
    return der


def _written(function: Any, handle: int, what: str) -> bytes:
    """What an i2d function writes: asked for its length first, then given a buffer of ours, so that nothing needs freeing."""
    size = need(function(handle, None), what)
    out = ctypes.create_string_buffer(size)
    cursor = ctypes.c_void_p(ctypes.addressof(out))
    need(function(handle, ctypes.byref(cursor)), what)
    return out.raw


# --- public keys ------------------------------------------------------------------------------------------------------


def point_key(point: bytes, curve: Curve = P256) -> Key:
    """A public key from its uncompressed point (SEC 1, section 2.3.3). Raises CryptoError if it is not on the curve."""
    if len(point) != 1 + 2 * curve.coordinate or point[0] != 4:
        raise CryptoError(f"a public point on {curve.name} has {1 + 2 * curve.coordinate} bytes and begins with 04")
    key = Key(need(lib.EVP_PKEY_new(), "OpenSSL has no memory for a key"), curve)
    need(lib.EVP_PKEY_copy_parameters(key.handle, curve.template().handle), f"OpenSSL cannot use {curve.name}")
    if lib.set_point(key.handle, point, len(point)) != 1:
        raise fail(f"the public key is not a point on {curve.name}")
    return key


def public_key(pem: bytes, curves: tuple[Curve, ...] = (P256,)) -> Key:
    """A public key from PEM, on one of `curves`. Raises CryptoError for anything else."""
    der = _from_pem("PUBLIC KEY", "the public key", pem)
    if to_pem("PUBLIC KEY", der) != pem:
        # Key ids are digests of the PEM text: a second spelling would be a second name for a revoked key.
        raise CryptoError("the public key is not spelt as PEM has it (lines of 64, each ended by one line feed); rewrite it with: openssl pkey -pubin -pubout")
    for curve in curves:
        if der.startswith(curve.prefix) and len(der) == len(curve.prefix) + 2 * curve.coordinate:
            return point_key(der[len(curve.prefix) - 1 :], curve)
    names = " or ".join(curve.name for curve in curves)
    raise CryptoError(f"the public key is not an uncompressed point on {names} under the curve's name")


def public_point(key: Key) -> bytes:
    """The uncompressed point of a key: 04, then both coordinates."""
    out = ctypes.c_void_p()
    size = need(lib.get_point(key.handle, ctypes.byref(out)), "the public half of the key cannot be written")
    try:
        point = ctypes.string_at(out, size)
    finally:
        lib.CRYPTO_free(out, b"", 0)
    if size != 1 + 2 * key.curve.coordinate or point[0] != 4:
        raise CryptoError(f"the key is not one on {key.curve.name} with an uncompressed point")
    return point


def _public_der(key: Key) -> bytes:
    der = _written(lib.i2d_PUBKEY, key.handle, "the public half of the key cannot be written")
    if not (der.startswith(key.curve.prefix) and len(der) == len(key.curve.prefix) + 2 * key.curve.coordinate):
        raise CryptoError(f"the key is not one on {key.curve.name} under the curve's name")
    return der


# --- private keys -----------------------------------------------------------------------------------------------------


def fresh_key(curve: Curve = P256) -> Key:
    """A new key pair that stays inside OpenSSL."""
    return _make(curve, "EVP_PKEY_keygen")


def generate_key(curve: Curve = P256) -> bytes:
    """A new private key as PKCS#8 PEM."""
    key = fresh_key(curve)
    packed = need(lib.EVP_PKEY2PKCS8(key.handle), "the new key cannot be written")
    try:
        return to_pem("PRIVATE KEY", _written(lib.i2d_PKCS8_PRIV_KEY_INFO, packed, "the new key cannot be written"))
    finally:
        lib.PKCS8_PRIV_KEY_INFO_free(packed)


def private_key(pem: bytes, curves: tuple[Curve, ...] = (P256,)) -> Key:
    """A private key from PKCS#8 PEM, on one of `curves`, its halves proven to belong together. Raises CryptoError."""
    what = "the private key is not PKCS#8 inside its PEM block; it was damaged or cut on the way"
    der = _from_pem("PRIVATE KEY", "the private key", pem)
    source = ctypes.create_string_buffer(der, len(der))
    cursor = ctypes.c_void_p(ctypes.addressof(source))
    packed = need(lib.d2i_PKCS8_PRIV_KEY_INFO(None, ctypes.byref(cursor), len(der)), what)
    try:
        if cursor.value != ctypes.addressof(source) + len(der):
            raise CryptoError("bytes follow the private key inside its PEM block")
        handle = need(lib.EVP_PKCS82PKEY(packed), what)
    finally:
        lib.PKCS8_PRIV_KEY_INFO_free(packed)
    return _proven(Key(handle, curves[0]), curves)


def _proven(key: Key, curves: tuple[Curve, ...]) -> Key:
    der = _written(lib.i2d_PUBKEY, key.handle, "the private key has no public half")
    for curve in curves:
        if der.startswith(curve.prefix) and len(der) == len(curve.prefix) + 2 * curve.coordinate:
            key.curve = curve
            break
    else:
        names = " or ".join(curve.name for curve in curves)
        raise CryptoError(f"the private key is not one on {names} under the curve's name")
    context = need(lib.EVP_PKEY_CTX_new(key.handle, None), "OpenSSL has no memory for a key")
    try:
        need(lib.EVP_PKEY_check(context), "the private key and the public key stored with it do not belong together")
    finally:
        lib.EVP_PKEY_CTX_free(context)
    return key


def public_pem(private_pem: bytes, curves: tuple[Curve, ...] = (P256,)) -> bytes:
    """The public half of a private key, as PEM. Raises CryptoError."""
    return to_pem("PUBLIC KEY", _public_der(private_key(private_pem, curves)))
