"""Finding the library: it is the one `ssl` uses, and each way of not finding it ends in a sentence."""

from __future__ import annotations

import _ctypes
import _ssl
import ctypes
import pathlib
import subprocess
import sys

import pytest

from penstock.crypto import openssl, selfcheck


def test_it_is_the_library_of_ssl():
    import ssl

    assert openssl.lib.version() == ssl.OPENSSL_VERSION
    paths = selfcheck.mapped(pathlib.Path("/proc/self/maps").read_text(encoding="utf-8"))
    assert len(paths) == 1
    theirs = ctypes.CDLL(paths[0], mode=ctypes.DEFAULT_MODE).EVP_sha256
    theirs.restype = ctypes.c_void_p
    assert theirs() == openssl.lib.EVP_sha256()


def test_nothing_new_is_mapped_by_finding_it():
    before = selfcheck.mapped(pathlib.Path("/proc/self/maps").read_text(encoding="utf-8"))
    openssl.find(_ssl.__file__)
    assert selfcheck.mapped(pathlib.Path("/proc/self/maps").read_text(encoding="utf-8")) == before


def test_a_hidden_library_is_refused_with_a_remedy():
    with pytest.raises(ImportError, match=r"hides its OpenSSL.*Python of the operating system"):
        openssl.find(_ctypes.__file__)  # a native module that has no libcrypto, as if it were `_ssl`


def test_a_module_that_is_no_library_is_refused(tmp_path):
    with pytest.raises(ImportError, match="cannot be opened as a library"):
        openssl.find(str(tmp_path / "absent.so"))


class Handle:
    """A library of another age: some names missing, or a lower version."""

    def __init__(self, version, missing=()):
        self._version, self._missing = version, missing

    def __getattr__(self, name):
        if name in self._missing:
            raise AttributeError(name)
        return self._Function(self._version)

    class _Function:
        restype = argtypes = None

        def __init__(self, version):
            self._version = version

        def __call__(self, *_):
            return self._version


def test_an_old_library_is_refused(monkeypatch):
    monkeypatch.setattr(openssl.Library, "version", lambda _: "OpenSSL 1.1.0l")
    with pytest.raises(ImportError, match=r"OpenSSL 1\.1\.0l is too old"):
        openssl.Library(Handle(0x101000CF))
    openssl.Library(Handle(0x1010117F))


def test_missing_functions_are_named():
    with pytest.raises(ImportError, match="has no EVP_PKEY_verify_init:"):
        openssl.Library(Handle(0x1010117F, missing=("EVP_PKEY_verify_init",)))


def test_the_older_name_serves_where_the_newer_is_missing():
    openssl.Library(Handle(0x1010117F, missing=("EVP_PKEY_set1_encoded_public_key", "EVP_PKEY_get1_encoded_public_key")))
    with pytest.raises(ImportError, match="EVP_PKEY_set1_tls_encodedpoint"):
        openssl.Library(Handle(0x1010117F, missing=("EVP_PKEY_set1_encoded_public_key", "EVP_PKEY_set1_tls_encodedpoint")))


def test_a_python_without_ssl_says_so():
    script = "import sys; sys.path.insert(0, sys.argv[1]); sys.modules['_ssl'] = None\ntry: import penstock.crypto\nexcept ImportError as fault: print(fault)"
    source = pathlib.Path(openssl.__file__).parents[2]
    done = subprocess.run([sys.executable, "-I", "-c", script, str(source)], capture_output=True, text=True, timeout=60, check=True)
    assert "built without ssl" in done.stdout


def test_an_error_carries_openssl_s_words_and_empties_the_queue():
    openssl.lib.EVP_PKEY_CTX_new_id(0, None)
    openssl.lib.EVP_PKEY_CTX_new_id(0, None)
    fault = openssl.fail("the act failed")
    assert fault.why.startswith("the act failed (error:")
    assert openssl.fail("again").why == "again"


def test_need():
    assert openssl.need(1, "x") == 1
    for result in (0, -1, None):
        with pytest.raises(openssl.CryptoError, match="x"):
            openssl.need(result, "x")


def test_importing_brings_little():
    script = "import sys; sys.path.insert(0, sys.argv[1]); import penstock.crypto; print(*sys.modules)"
    source = pathlib.Path(openssl.__file__).parents[2]
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script, str(source)], capture_output=True, text=True, timeout=60, check=True)
    dear = {
        "ssl",
        "typing",
        "dataclasses",
        "re",
        "hmac",
        "random",
        "secrets",
        "logging",
        "threading",
        "subprocess",
        "cryptography",
        "penstock.crypto.selfcheck",
    }
    assert not dear & set(done.stdout.split())
