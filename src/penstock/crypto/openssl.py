"""The binding to the libcrypto that this Python's own `ssl` has loaded.

Owns finding it, the C prototypes, and turning OpenSSL's error queue into sentences. Never loads another copy, never decides
which algorithm is used. Works with OpenSSL 1.1.1 and 3.x; the few names that differ are chosen by probing.

`_ssl` is asked for the symbols, not a file name: looking a symbol up in a loaded module also searches what that module was
linked with, so the answer is by construction the library `ssl` uses, whether shared, bundled under an odd name, or linked in.
"""

from __future__ import annotations

import ctypes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class CryptoError(ValueError):
    """A key, a sealed value or the library itself is not usable. `why` is a sentence for the operator.

    A ValueError, so that the pure rules of `wire.trust`, which know no crypto, can tell a bad key from a bad program."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


# One letter for each C type: a wrong width here works on a desktop and corrupts the stack of a 32-bit controller.
_TYPES: dict[str, Any] = {
    "v": None,
    "p": ctypes.c_void_p,  # a pointer to something of OpenSSL's, or to where a pointer shall be written
    "b": ctypes.c_char_p,  # octets, their length given beside them; unlike the other it refuses a str
    "i": ctypes.c_int,
    "l": ctypes.c_long,
    "L": ctypes.c_ulong,
    "z": ctypes.c_size_t,
}

# name: result, then arguments. From the OpenSSL 1.1.1 manual, man3; unchanged in 3.x.
_PROTOTYPES = {
    "OpenSSL_version": "p i",
    "OpenSSL_version_num": "L ",
    "ERR_get_error": "L ",
    "ERR_clear_error": "v ",
    "ERR_error_string_n": "v Lbz",
    "RAND_bytes": "i bi",
    "RAND_status": "i ",
    "CRYPTO_memcmp": "i bbz",
    "CRYPTO_free": "v pbi",
    "HMAC": "p pbibzbp",
    "EVP_sha256": "p ",
    "EVP_aes_256_gcm": "p ",
    "EVP_PKEY_new": "p ",
    "EVP_PKEY_free": "v p",
    "EVP_PKEY_copy_parameters": "i pp",
    "EVP_PKEY_CTX_new": "p pp",
    "EVP_PKEY_CTX_new_id": "p ip",
    "EVP_PKEY_CTX_free": "v p",
    "EVP_PKEY_CTX_ctrl_str": "i pbb",
    "EVP_PKEY_paramgen_init": "i p",
    "EVP_PKEY_paramgen": "i pp",
    "EVP_PKEY_keygen_init": "i p",
    "EVP_PKEY_keygen": "i pp",
    "EVP_PKEY_check": "i p",
    "EVP_PKEY_derive_init": "i p",
    "EVP_PKEY_derive_set_peer": "i pp",
    "EVP_PKEY_derive": "i pbp",
    "i2d_PUBKEY": "i pp",
    "EVP_PKEY2PKCS8": "p p",
    "EVP_PKCS82PKEY": "p p",
    "PKCS8_PRIV_KEY_INFO_free": "v p",
    "d2i_PKCS8_PRIV_KEY_INFO": "p ppl",
    "i2d_PKCS8_PRIV_KEY_INFO": "i pp",
    "EVP_PKEY_sign_init": "i p",
    "EVP_PKEY_sign": "i pbpbz",
    "EVP_PKEY_verify_init": "i p",
    "EVP_PKEY_verify": "i pbzbz",
    "EVP_CIPHER_CTX_new": "p ",
    "EVP_CIPHER_CTX_free": "v p",
    "EVP_CIPHER_CTX_ctrl": "i piib",
    "EVP_EncryptInit_ex": "i pppbb",
    "EVP_EncryptUpdate": "i pbpbi",
    "EVP_EncryptFinal_ex": "i pbp",
    "EVP_DecryptInit_ex": "i pppbb",
    "EVP_DecryptUpdate": "i pbpbi",
    "EVP_DecryptFinal_ex": "i pbp",
}

# The same act under its 3.x name and its 1.1.1 name.
_EITHER = {
    "set_point": ("EVP_PKEY_set1_encoded_public_key", "EVP_PKEY_set1_tls_encodedpoint", "i pbz"),
    "get_point": ("EVP_PKEY_get1_encoded_public_key", "EVP_PKEY_get1_tls_encodedpoint", "z pp"),
}

# What takes long enough that other threads shall run meanwhile. The rest is over sooner than the interpreter's lock is given away and had again.
_LONG = frozenset(("RAND_bytes", "EVP_PKEY_keygen", "EVP_PKEY_check", "EVP_PKEY_derive", "EVP_EncryptUpdate", "EVP_DecryptUpdate"))

OLDEST = 0x10101000  # 1.1.1


class Library:
    """The functions of `_PROTOTYPES`, and of `_EITHER` under their first names, each an attribute with its types set."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, handle: Any, quick: Any = None) -> None:
        """`handle` is the library with the interpreter's lock given away in each call; `quick` the same, keeping it."""
        quick = handle if quick is None else quick
        for name, prototype in _PROTOTYPES.items():
            setattr(self, name, _bound(handle if name in _LONG else quick, name, prototype))
        for alias, (newer, older, prototype) in _EITHER.items():
            setattr(self, alias, _bound(quick, newer if hasattr(quick, newer) else older, prototype))
        if self.OpenSSL_version_num() < OLDEST:
            raise ImportError(f"{self.version()} is too old: Penstock needs OpenSSL 1.1.1 or later; install a newer Python or OpenSSL")

    def version(self) -> str:
        """For example "OpenSSL 3.0.19 27 Jan 2026"."""
        return (ctypes.string_at(self.OpenSSL_version(0)) or b"").decode("ascii", "replace")


def _bound(handle: Any, name: str, prototype: str) -> Any:
    result, _, arguments = prototype.partition(" ")
    try:
        function = getattr(handle, name)
    except AttributeError:
        raise ImportError(f"the cryptographic library of this Python's ssl module has no {name}: Penstock needs OpenSSL 1.1.1 or later") from None
    function.restype = _TYPES[result]
    function.argtypes = [_TYPES[letter] for letter in arguments]
    return function


def find(ssl_path: str | None) -> Library:
    """The library behind the `_ssl` at `ssl_path` (None: built into the executable). Raises ImportError with a sentence
    where its functions are out of reach."""
    for place in (ssl_path, None) if ssl_path is not None else (None,):  # the module, then the executable and all it was linked with
        try:
            handle, quick = ctypes.CDLL(place), ctypes.PyDLL(place)
        except OSError as error:
            raise ImportError(
                f"this Python's ssl module cannot be opened as a library ({error}); run Penstock with the Python of the operating system"
            ) from None
        if hasattr(handle, "EVP_PKEY_verify"):
            return Library(handle, quick)
    raise ImportError(
        "this Python's ssl module hides its OpenSSL (it is linked in without its symbols), so Penstock cannot use it; "
        "run Penstock with the Python of the operating system, or use the Penstock container image"
    )


def _load() -> Library:
    try:
        import _ssl  # `ssl` itself costs a megabyte, and only its native half holds the library
    except ImportError:
        raise ImportError(
            "this Python was built without ssl, so Penstock can neither connect nor check a signature; install the operating system's python3"
        ) from None
    return find(getattr(_ssl, "__file__", None))


lib = _load()


def fail(what: str) -> CryptoError:
    """The error for a call that failed: `what`, and OpenSSL's own words. Empties the thread's error queue, because the
    `ssl` module would otherwise report our error as that of its next connection."""
    reason = ""
    text = ctypes.create_string_buffer(256)
    while True:
        code = lib.ERR_get_error()
        if not code:
            break
        if not reason:
            lib.ERR_error_string_n(code, text, len(text))
            reason = text.value.decode("ascii", "replace")
    return CryptoError(f"{what} ({reason})" if reason else what)


def need(result: Any, what: str) -> Any:
    """`result` of a call that answers 1, or a pointer, on success; otherwise raises `fail(what)`."""
    if result is None or result <= 0:
        raise fail(what)
    return result
