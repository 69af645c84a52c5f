"""The same cryptography by another implementation: the `cryptography` package, in a process of its own.

Owns a line protocol: one JSON request in, one JSON answer out, octets in hex. It runs apart because the package's wheel carries an OpenSSL
of its own, and two of them in one process can break each other (`ssl` is not imported here).
"""

from __future__ import annotations

import json
import sys

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

LABEL = b"penstock sealed v1 ECDH-P256+HKDF-SHA256+A256GCM\0"
CURVES = {"P-256": (ec.SECP256R1(), hashes.SHA256()), "P-384": (ec.SECP384R1(), hashes.SHA384())}


def _private(pem):
    return serialization.load_pem_private_key(pem, None)


def _public(pem):
    return serialization.load_pem_public_key(pem)


def _point(key):
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def _digest(key):
    return CURVES["P-256" if key.curve.name == "secp256r1" else "P-384"][1]


def make(curve=b"P-256"):
    """A new key: [private PEM, public PEM]."""
    key = ec.generate_private_key(CURVES[curve.decode()][0])
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return [private, key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)]


def public_of(private):
    """The public PEM of a private PEM, written by this implementation."""
    return [_private(private).public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)]


def sign(private, message):
    """A signature."""
    key = _private(private)
    return [key.sign(message, ec.ECDSA(_digest(key)))]


def verify(public, message, signature):
    """Octet 1 or 0."""
    key = _public(public)
    try:
        key.verify(signature, message, ec.ECDSA(_digest(key)))
    except InvalidSignature:
        return [b"\0"]
    return [b"\1"]


def _key(own, peer, ephemeral_point, device_point):
    shared = own.exchange(ec.ECDH(), peer)
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=LABEL + ephemeral_point + device_point).derive(shared)


def seal(public, plaintext, aad, iv):
    """The four parts of a sealed value."""
    device, ephemeral = _public(public), ec.generate_private_key(ec.SECP256R1())
    point = _point(ephemeral.public_key())
    sealed = AESGCM(_key(ephemeral, device, point, _point(device))).encrypt(iv, plaintext, aad)
    return [point, iv, sealed[:-16], sealed[-16:]]


def open_sealed(private, point, iv, ciphertext, tag, aad):
    """The plaintext, or nothing."""
    device = _private(private)
    peer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    try:
        return [AESGCM(_key(device, peer, point, _point(device.public_key()))).decrypt(iv, ciphertext + tag, aad)]
    except InvalidTag:
        return []


def hkdf(secret, salt, info, length):
    """HKDF-SHA256; the length as decimal text."""
    return [HKDF(algorithm=hashes.SHA256(), length=int(length), salt=salt, info=info).derive(secret)]


def pbkdf2(password, salt, rounds, length):
    """PBKDF2-HMAC-SHA256; the numbers as decimal text."""
    return [PBKDF2HMAC(hashes.SHA256(), int(length), salt, int(rounds)).derive(password)]


ACTS = {act.__name__: act for act in (make, public_of, sign, verify, seal, open_sealed, hkdf, pbkdf2)}


def main():
    for line in sys.stdin:
        act, *arguments = json.loads(line)
        answer = ACTS[act](*(bytes.fromhex(argument) for argument in arguments))
        print(json.dumps([part.hex() for part in answer]), flush=True)


if __name__ == "__main__":
    main()
