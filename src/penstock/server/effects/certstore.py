"""Where the plane's certificates stand on disk, and the TLS context made from them.

Owns the folder (authority, its prepared successor, server certificate; each file holds a key and its certificate, mode 0600, so that the
two never part) and the renewal of the server certificate while the plane runs. Never decides who trusts what: `trusted` is what
the join command and the signed state must carry.

A change of authority takes three steps, so that no device is left behind: `prepare_next` (its certificate goes out beside the old one
in signed state), time for the fleet to adopt it, `switch`. From then on the old authority's certificate of the new one is served along,
so that a device that was away all the time, and trusts the old one only, still gets in and hears of the new one.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from penstock.server.effects import certs
from penstock.server.effects.certs import CertFault, Pair
from penstock.server.effects.private_files import MAX_PRIVATE, FileFault, read_private, write_private

CIPHERS_TLS12 = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384"


@dataclass(frozen=True)
class Served:
    """What the plane shows: a file with key and chain, and what there is to say about it, as sentences."""

    path: Path
    notes: tuple[str, ...] = ()


class Certificates(Protocol):
    """Where the plane's HTTPS gets its certificate from."""

    def ensure(self, names: tuple[str, ...], now_ms: int) -> Served:
        """The certificate to serve `names` with, renewed if it is time. Raises CertFault or FileFault."""
        ...

    def trusted(self) -> tuple[str, ...]:
        """The authorities a device must trust to reach the plane, as PEM texts; empty: the ones of its system."""
        ...


class PrivateAuthority:
    """An authority of the plane's own, in `folder`, made at first use."""

    def __init__(self, folder: Path, name: str = "Penstock control plane") -> None:
        self._folder = folder
        self._name = name

    def _path(self, what: str) -> Path:
        return self._folder / f"{what}.pem"

    def _read(self, what: str, words: str) -> Pair:
        path = self._path(what)
        text = read_private(path, words)
        at = text.find(b"-----BEGIN CERTIFICATE-----")
        if at <= 0:
            raise FileFault(f"{words} in {path} is not a private key followed by its certificate; restore it from a backup")
        return Pair(text[at:], text[:at])

    def _authority(self) -> Pair:
        return self._read("authority", "the key of the plane's certificate authority")

    def ensure(self, names: tuple[str, ...], now_ms: int) -> Served:
        """See `Certificates.ensure`."""
        if not self._path("authority").exists():
            write_private(self._path("authority"), certs.make_authority(self._name, now_ms).both)
        authority = self._authority()
        notes = [note for note in (certs.authority_warning(authority.chain, now_ms),) if note]
        path = self._path("server")
        due = "there was none"
        if path.exists():
            due = certs.renewal_due(self._read("server", "the server's key").chain, authority.chain, names, now_ms)
        if due:
            leaf = certs.make_leaf(authority, names, now_ms)
            write_private(path, Pair(leaf.chain + self._crossed(authority, now_ms), leaf.key).both, replace=True)
            notes.append(f"the server certificate was made anew: {due}")
        return Served(path, tuple(notes))

    def _crossed(self, authority: Pair, now_ms: int) -> bytes:
        """The former authority's word for the present one, while that is worth something; empty where there was none."""
        if not self._path("authority-old").exists():
            return b""
        former = self._read("authority-old", "the key of the plane's former certificate authority")
        return certs.cross_sign(former, authority, now_ms) if certs.facts(former.chain).ends_ms > now_ms else b""

    def trusted(self) -> tuple[str, ...]:
        """The present authority and, while one is prepared, its successor."""
        found = [self._authority().chain]
        if self._path("authority-next").exists():
            found.append(self._read("authority-next", "the key of the plane's next certificate authority").chain)
        return tuple(pem.decode("ascii") for pem in found)

    def prepare_next(self, now_ms: int) -> str:
        """The certificate of the authority's successor as PEM text, made if there is none yet; from here on `trusted` names it."""
        path = self._path("authority-next")
        if not path.exists():
            write_private(path, certs.make_authority(self._name, now_ms).both)
        return self._read("authority-next", "the key of the plane's next certificate authority").chain.decode("ascii")

    def switch(self) -> None:
        """Let the successor sign from now on; `ensure` makes the certificates. The old authority's file is kept as authority-old.pem, to vouch for
        the new one before devices that have not followed yet. Raises FileFault when no successor is prepared."""
        successor = self._read("authority-next", "the key of the plane's next certificate authority")
        if self._authority().key != successor.key:  # else an earlier switch was cut short just before its end
            write_private(self._path("authority-old"), self._authority().both, replace=True)
        write_private(self._path("authority"), successor.both, replace=True)
        self._path("authority-next").unlink()

    def former(self) -> str:
        """The certificate of the authority before the last `switch`, as PEM text; empty when there was none."""
        if not self._path("authority-old").exists():
            return ""
        return self._read("authority-old", "the key of the plane's former certificate authority").chain.decode("ascii")


class OwnCertificate:
    """A certificate and key the customer brought. `trust` is a file with the authorities devices must trust; None: the system's.

    The files are read again at every `ensure`, so that replacing them is all a renewal needs.
    """

    def __init__(self, chain: Path, key: Path, trust: Path | None, folder: Path) -> None:
        self._chain, self._key, self._trust, self._folder = chain, key, trust, folder

    def ensure(self, names: tuple[str, ...], now_ms: int) -> Served:
        """See `Certificates.ensure`. The judged pair is kept in the data folder, so that a half-replaced pair of files is never served."""
        key = read_private(self._key, "the certificate's private key", group=True)
        chain = key if self._key == self._chain else _read_public(self._chain, "the certificate file")
        pair, warnings = certs.check_own(chain, key, names, now_ms)
        path = self._folder / "own.pem"
        write_private(path, pair.both, replace=True)
        return Served(path, warnings)

    def trusted(self) -> tuple[str, ...]:
        """The authorities in the trust file, each as PEM text."""
        if self._trust is None:
            return ()
        return certs.split(_read_public(self._trust, "the file of trusted authorities"), "the file of trusted authorities")


def _read_public(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(16 * MAX_PRIVATE + 1)
    except OSError as error:
        raise FileFault(f"{what} cannot be read from {path}: {error.strerror}") from None
    if len(data) > 16 * MAX_PRIVATE:
        raise FileFault(f"{what} {path} is longer than {16 * MAX_PRIVATE} bytes; is it the right file?")
    return data


class Tls:
    """The TLS side of the plane; `context` is what a server listens with, and is never given another certificate.

    OpenSSL must not be told of another one while a thread shakes hands with the context (the process dies of it), so that every handshake takes its
    certificate from the newest context, which nobody changes once it is there. Tickets are the first context's: who comes back after a renewal resumes.
    """

    def __init__(self, served: Served) -> None:
        self.context = self._newest = _context(served)
        self.context.sni_callback = self._choose

    def renew(self, served: Served) -> None:
        """Serve a renewed certificate to new connections. Raises CertFault, and the old one stays."""
        self._newest = _context(served)

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext) -> None:  # noqa: ARG002
        connection.context = self._newest  # called at every handshake, whether the other side names a server or not


def _context(served: Served) -> ssl.SSLContext:
    """1.2 at least, 1.3 where the other side has it, forward secrecy and AES-GCM only in 1.2, session tickets on (a returning device saves the
    certificate's signature). Raises CertFault."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS_TLS12)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.options &= ~ssl.OP_NO_TICKET
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(served.path)
    except (ssl.SSLError, OSError) as error:
        raise CertFault(f"the certificate and key in {served.path} cannot be used: {error}") from None
    return context
