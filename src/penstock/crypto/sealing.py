"""Secrets that one device only can open: ECDH on P-256, HKDF-SHA256, AES-256-GCM.

Owns the construction below. Never decides what is secret or for whom; `wire.sealing` says what the bytes are bound to.

    ephemeral key pair e;  Z = ECDH(e, device)                                   (SP 800-56A rev. 3, one-pass Diffie-Hellman)
    key = HKDF-SHA256(secret Z, salt empty, info LABEL || point of e || point of device, 32 bytes)
    ciphertext, tag = AES-256-GCM(key, random 12-byte iv, plaintext, aad)                                     (SP 800-38D)

Every sealing has its own ephemeral key, so no key meets two ivs.
"""

from __future__ import annotations

import ctypes

from penstock.crypto.digests import hkdf, random_bytes
from penstock.crypto.keys import P256, Key, fresh_key, point_key, private_key, public_key, public_point
from penstock.crypto.openssl import CryptoError, fail, lib, need

TYPE_CHECKING = False
if TYPE_CHECKING:
    Sealed = tuple[bytes, bytes, bytes, bytes]  # point of the ephemeral key, iv, ciphertext, tag

MAX_PLAINTEXT = 1024 * 1024  # bytes
MAX_AAD = 65536
KEY, IV, TAG = 32, 12, 16  # bytes
LABEL = b"penstock sealed v1 ECDH-P256+HKDF-SHA256+A256GCM\0"

_GET_TAG, _SET_TAG = 0x10, 0x11  # EVP_CTRL_AEAD_GET_TAG, EVP_CTRL_AEAD_SET_TAG
_NOT_OURS = "the secret cannot be opened: it was sealed for another device, another place, or was changed on the way; have the plane seal it again"


def seal(public_pem: bytes, plaintext: bytes, aad: bytes) -> Sealed:
    """`plaintext` sealed for the holder of `public_pem`, bound to `aad`: (ephemeral point, iv, ciphertext, tag).

    Raises CryptoError for a bad key or more than MAX_PLAINTEXT bytes.
    """
    if len(plaintext) > MAX_PLAINTEXT or len(aad) > MAX_AAD:
        raise CryptoError(f"a secret has at most {MAX_PLAINTEXT} bytes; this one has {len(plaintext)}")
    device = public_key(public_pem)
    ephemeral = fresh_key()
    point = public_point(ephemeral)
    iv = random_bytes(IV)
    ciphertext, tag = gcm_encrypt(_agreed(ephemeral, device, point, public_point(device)), iv, plaintext, aad)
    return point, iv, ciphertext, tag


def open_sealed(private_pem: bytes, sealed: Sealed, aad: bytes) -> bytes:
    """The plaintext of `sealed`, if it was sealed for this key and this `aad`. Raises CryptoError."""
    point, iv, ciphertext, tag = sealed
    if len(iv) != IV or len(tag) != TAG or len(ciphertext) > MAX_PLAINTEXT or len(aad) > MAX_AAD:
        raise CryptoError(f"a sealed secret has an iv of {IV} bytes, a tag of {TAG} and at most {MAX_PLAINTEXT} bytes between")
    device = private_key(private_pem)
    return gcm_decrypt(_agreed(device, point_key(point), point, public_point(device)), iv, ciphertext, tag, aad)


def _agreed(own: Key, peer: Key, ephemeral_point: bytes, device_point: bytes) -> bytes:
    return hkdf(ecdh(own, peer), b"", LABEL + ephemeral_point + device_point, KEY)


def ecdh(own: Key, peer: Key) -> bytes:
    """The shared secret of a private and a public key on P-256: the x coordinate, 32 bytes (SEC 1, section 3.3.1)."""
    context = need(lib.EVP_PKEY_CTX_new(own.handle, None), "OpenSSL has no memory for a key agreement")
    out = ctypes.create_string_buffer(P256.coordinate)
    size = ctypes.c_size_t(P256.coordinate)
    try:
        need(lib.EVP_PKEY_derive_init(context), "the key cannot take part in a key agreement")
        need(lib.EVP_PKEY_derive_set_peer(context, peer.handle), "the other key does not fit the key agreement")
        need(lib.EVP_PKEY_derive(context, out, ctypes.byref(size)), "the key agreement failed")
    finally:
        lib.EVP_PKEY_CTX_free(context)
    if size.value != P256.coordinate:
        raise CryptoError("the key agreement gave a secret of a wrong length")
    return out.raw


def gcm_encrypt(key: bytes, iv: bytes, plaintext: bytes, aad: bytes) -> tuple[bytes, bytes]:
    """AES-256-GCM: ciphertext and 16-byte tag. The caller owes a fresh (key, iv); prefer `seal`."""
    _lengths(key, iv)
    context = need(lib.EVP_CIPHER_CTX_new(), "OpenSSL has no memory to encrypt")
    out = ctypes.create_string_buffer(len(plaintext) + TAG)
    tag = ctypes.create_string_buffer(TAG)
    done = ctypes.c_int()
    what = "OpenSSL could not encrypt"
    try:
        need(lib.EVP_EncryptInit_ex(context, lib.EVP_aes_256_gcm(), None, key, iv), what)
        if aad:
            need(lib.EVP_EncryptUpdate(context, None, ctypes.byref(done), aad, len(aad)), what)
        if plaintext:
            need(lib.EVP_EncryptUpdate(context, out, ctypes.byref(done), plaintext, len(plaintext)), what)
        need(lib.EVP_EncryptFinal_ex(context, tag, ctypes.byref(done)), what)  # writes nothing in this mode
        need(lib.EVP_CIPHER_CTX_ctrl(context, _GET_TAG, TAG, tag), what)
    finally:
        lib.EVP_CIPHER_CTX_free(context)
    return out.raw[: len(plaintext)], tag.raw


def gcm_decrypt(key: bytes, iv: bytes, ciphertext: bytes, tag: bytes, aad: bytes) -> bytes:
    """AES-256-GCM: the plaintext, only if the tag fits. Raises CryptoError."""
    _lengths(key, iv)
    if len(tag) != TAG:
        raise CryptoError(f"a tag of AES-GCM has {TAG} bytes here, never fewer")
    context = need(lib.EVP_CIPHER_CTX_new(), "OpenSSL has no memory to decrypt")
    out = ctypes.create_string_buffer(len(ciphertext) + TAG)
    rest = ctypes.create_string_buffer(TAG)
    done = ctypes.c_int()
    what = "OpenSSL could not decrypt"
    try:
        need(lib.EVP_DecryptInit_ex(context, lib.EVP_aes_256_gcm(), None, key, iv), what)
        if aad:
            need(lib.EVP_DecryptUpdate(context, None, ctypes.byref(done), aad, len(aad)), what)
        if ciphertext:
            need(lib.EVP_DecryptUpdate(context, out, ctypes.byref(done), ciphertext, len(ciphertext)), what)
        need(lib.EVP_CIPHER_CTX_ctrl(context, _SET_TAG, TAG, tag), what)
        if lib.EVP_DecryptFinal_ex(context, rest, ctypes.byref(done)) != 1:
            raise fail(_NOT_OURS)
    finally:
        lib.EVP_CIPHER_CTX_free(context)
    return out.raw[: len(ciphertext)]


def _lengths(key: bytes, iv: bytes) -> None:
    if len(key) != KEY or len(iv) != IV:
        raise ValueError(f"AES-256-GCM takes a key of {KEY} and an iv of {IV} bytes here")
