"""The certificate folder, proven by real TLS handshakes on loopback with clients that trust nothing but the plane's authority."""

from __future__ import annotations

import socket
import ssl
import stat
import subprocess
import sys
import threading
import time

import pytest

from penstock.server.effects import certs, private_files
from penstock.server.effects.certs import CertFault
from penstock.server.effects.certstore import OwnCertificate, PrivateAuthority, Served, Tls
from penstock.server.effects.private_files import FileFault

NOW = time.time_ns() // 1_000_000
DAY = 86_400_000
NAMES = ("localhost", "127.0.0.1", "plane.example.com")


class Server:
    """Echoes one line for each connection, until closed."""

    def __init__(self, context):
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            raw.settimeout(10)
            try:
                with self._context.wrap_socket(raw, server_side=True) as stream:
                    stream.sendall(stream.recv(100))
            except OSError:
                raw.close()  # a client that refused us

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def serve():
    servers = []

    def start(context):
        servers.append(Server(context))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def client(*trusted, strict=True):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata="".join(trusted))
    if strict:
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # what Python 3.13 sets by itself
    return context


def talk(server, context, name="plane.example.com", session=None):
    """Protocol, cipher, session and fingerprint of one exchange."""
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname=name, session=session) as stream,
    ):
        stream.sendall(b"hello")
        assert stream.recv(100) == b"hello"
        return stream.version(), stream.cipher()[0], stream.session, stream.session_reused, stream.getpeercert(binary_form=True)


def test_a_client_that_trusts_only_the_authority_connects(tmp_path, serve):
    store = PrivateAuthority(tmp_path / "tls")
    server = serve(Tls(store.ensure(NAMES, NOW)).context)
    trusting = client(*store.trusted())
    for name in NAMES:
        assert talk(server, trusting, name)[0] == "TLSv1.3"
    for bad in ("other.example.com", "127.0.0.2"):
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            talk(server, trusting, bad)
    with pytest.raises(ssl.SSLCertVerificationError):
        talk(server, client(stranger(tmp_path / "other")))


def stranger(folder):
    store = PrivateAuthority(folder)
    store.ensure(NAMES, NOW)
    return store.trusted()[0]


def test_tls_1_2_serves_with_aes_gcm_and_1_1_does_not(tmp_path, serve):
    store = PrivateAuthority(tmp_path)
    server = serve(Tls(store.ensure(NAMES, NOW)).context)
    trusting = client(*store.trusted())
    trusting.maximum_version = ssl.TLSVersion.TLSv1_2
    version, cipher, *_ = talk(server, trusting)
    assert version == "TLSv1.2"
    assert "ECDHE" in cipher
    assert "GCM" in cipher
    trusting.set_ciphers("ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305")
    with pytest.raises(ssl.SSLError):
        talk(server, trusting)
    old = client(*store.trusted())
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        talk(server, old)


def test_a_returning_client_resumes(tmp_path, serve):
    store = PrivateAuthority(tmp_path)
    server = serve(Tls(store.ensure(NAMES, NOW)).context)
    trusting = client(*store.trusted())
    _, _, session, reused, _ = talk(server, trusting)
    assert session.has_ticket
    assert not reused
    assert talk(server, trusting, session=session)[3]


def test_files_are_private_and_kept(tmp_path):
    store = PrivateAuthority(tmp_path / "tls")
    served = store.ensure(NAMES, NOW)
    for file in (tmp_path / "tls").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = served.path.read_bytes(), store.trusted()
    assert store.ensure(NAMES, NOW + DAY) == Served(served.path)
    assert (served.path.read_bytes(), store.trusted()) == before
    served.path.chmod(0o644)
    with pytest.raises(FileFault, match="chmod 600"):
        store.ensure(NAMES, NOW)


def test_renewal_reaches_new_connections_without_a_restart(tmp_path, serve):
    store = PrivateAuthority(tmp_path)
    tls = Tls(store.ensure(NAMES, NOW - 300 * DAY))
    server, trusting = serve(tls.context), client(*store.trusted())
    old = talk(server, trusting)[4]
    served = store.ensure(NAMES, NOW)
    assert "made anew: it ends on" in served.notes[0]
    tls.renew(served)
    assert talk(server, trusting)[4] != old


def test_a_ticket_from_before_a_renewal_resumes(tmp_path, serve):
    store = PrivateAuthority(tmp_path)
    tls = Tls(store.ensure(NAMES, NOW - 300 * DAY))
    server, trusting = serve(tls.context), client(*store.trusted())
    trusting.maximum_version = ssl.TLSVersion.TLSv1_2  # where the ticket is there as soon as hands are shaken
    with socket.create_connection(("127.0.0.1", server.port), 10) as raw, trusting.wrap_socket(raw, server_hostname="localhost") as stream:
        stream.sendall(b"x")
        assert stream.recv(10) == b"x"
        session = stream.session
    tls.renew(store.ensure(NAMES, NOW))
    with socket.create_connection(("127.0.0.1", server.port), 10) as raw, trusting.wrap_socket(raw, server_hostname="localhost", session=session) as stream:
        assert stream.session_reused


HAMMER = """
import ssl, sys, threading, time
from pathlib import Path
from penstock.server.effects.certstore import PrivateAuthority, Tls

store = PrivateAuthority(Path(sys.argv[1]))
served = store.ensure(("localhost",), time.time_ns() // 1_000_000)
tls, trusting = Tls(served), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
trusting.load_verify_locations(cadata="".join(store.trusted()))
failed, done = [], threading.Event()

def shake():
    while not done.is_set():
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        sides = [trusting.wrap_bio(down, up, server_hostname="localhost"), tls.context.wrap_bio(up, down, server_side=True)]
        for _ in range(20):
            for side in tuple(sides):
                try:
                    side.do_handshake()
                    sides.remove(side)
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLError as error:
                    failed.append(str(error))
                    return
        if sides:
            failed.append("no end")
            return

threads = [threading.Thread(target=shake) for _ in range(4)]
for thread in threads:
    thread.start()
for _ in range(400):
    tls.renew(served)
done.set()
for thread in threads:
    thread.join()
sys.exit("; ".join(set(failed)) or 0)
"""


def test_renewals_while_many_shake_hands(tmp_path):
    # In a process of its own: giving a context in use another certificate made it die.
    ran = subprocess.run([sys.executable, "-c", HAMMER, str(tmp_path)], check=False, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr[-2000:]


def test_a_bad_file_does_not_replace_a_good_certificate(tmp_path, serve):
    store = PrivateAuthority(tmp_path)
    tls = Tls(store.ensure(NAMES, NOW))
    server, trusting = serve(tls.context), client(*store.trusted())
    good = talk(server, trusting)[4]
    other = certs.make_leaf(certs.make_authority("Other", NOW), NAMES, NOW)
    bad = tmp_path / "bad.pem"
    for content in (b"", other.chain, other.chain + certs.make_authority("x", NOW).key):
        bad.write_bytes(content)
        with pytest.raises(CertFault, match="cannot be used"):
            tls.renew(Served(bad))
    assert talk(server, trusting)[4] == good


def test_new_addresses_make_a_new_certificate(tmp_path):
    store = PrivateAuthority(tmp_path)
    store.ensure(NAMES, NOW)
    served = store.ensure(("moved.example.com",), NOW)
    assert "not for moved.example.com" in served.notes[0]
    assert store.ensure(("moved.example.com",), NOW).notes == ()


def test_a_change_of_authority_strands_nobody_who_follows(tmp_path, serve):
    store = PrivateAuthority(tmp_path)
    tls = Tls(store.ensure(NAMES, NOW))
    server = serve(tls.context)
    away = client(*store.trusted())
    with pytest.raises(FileFault, match="next certificate authority is missing"):
        store.switch()
    fresh = store.prepare_next(NOW)
    assert store.prepare_next(NOW) == fresh
    assert store.trusted()[1:] == (fresh,)
    follower = client(*store.trusted())
    talk(server, follower)
    store.switch()
    served = store.ensure(NAMES, NOW)
    assert "another authority" in served.notes[0]
    tls.renew(served)
    assert store.trusted() == (fresh,)
    talk(server, follower)
    talk(server, away)  # by the former authority's word
    assert store.former()
    assert store.former() != fresh


def test_a_switch_cut_half_way_can_be_repeated(tmp_path, monkeypatch):
    store = PrivateAuthority(tmp_path)
    store.ensure(NAMES, NOW)
    first = store.trusted()[0]
    fresh = store.prepare_next(NOW)
    real, calls = private_files.write_private, []

    def dies_second(path, data, **options):
        calls.append(path.name)
        if len(calls) == 2:
            raise FileFault("the power went")
        real(path, data, **options)

    monkeypatch.setattr("penstock.server.effects.certstore.write_private", dies_second)
    with pytest.raises(FileFault, match="power"):
        store.switch()
    monkeypatch.undo()
    assert store.trusted() == (first, fresh)
    store.switch()
    assert (store.trusted(), store.former()) == ((fresh,), first)


# --- a certificate the customer brought -------------------------------------------------------------------------------


@pytest.fixture
def brought(tmp_path):
    authority = certs.make_authority("Company CA", NOW)
    leaf = certs.make_leaf(authority, NAMES, NOW)
    paths = tmp_path / "chain.pem", tmp_path / "key.pem", tmp_path / "trust.pem"
    for path, content in zip(paths, (leaf.chain + authority.chain, leaf.key, b"# the company's\n" + authority.chain), strict=True):
        path.write_bytes(content)
    paths[1].chmod(0o640)
    return *paths, tmp_path / "data"


def test_it_is_served_and_trusted(brought, serve):
    store = OwnCertificate(*brought)
    served = store.ensure(NAMES, NOW)
    assert served.notes == ()
    assert stat.S_IMODE(served.path.stat().st_mode) == 0o600
    assert len(store.trusted()) == 1
    assert talk(serve(Tls(served).context), client(*store.trusted()))[0] == "TLSv1.3"


def test_key_and_chain_may_stand_in_one_file(brought):
    chain, key, trust, folder = brought
    key.write_bytes(key.read_bytes() + chain.read_bytes())
    assert OwnCertificate(key, key, trust, folder).ensure(NAMES, NOW).notes == ()
    key.chmod(0o644)
    with pytest.raises(FileFault, match="chmod"):
        OwnCertificate(key, key, trust, folder).ensure(NAMES, NOW)


def test_without_a_trust_file_the_system_s_authorities_count(brought):
    chain, key, _, folder = brought
    assert OwnCertificate(chain, key, None, folder).trusted() == ()


def test_half_replaced_files_leave_the_good_pair_served(brought):
    chain, key, trust, folder = brought
    store = OwnCertificate(chain, key, trust, folder)
    served = store.ensure(NAMES, NOW)
    good = served.path.read_bytes()
    chain.write_bytes(certs.make_leaf(certs.make_authority("Company CA", NOW), NAMES, NOW).chain)
    with pytest.raises(CertFault, match="is not that of the first certificate"):
        store.ensure(NAMES, NOW)
    assert served.path.read_bytes() == good


def test_missing_files_are_named(brought):
    chain, key, _, folder = brought
    for own, named in (
        (OwnCertificate(folder / "none", key, None, folder), "the certificate file cannot be read"),
        (OwnCertificate(chain, folder / "none", None, folder), "the certificate's private key is missing"),
    ):
        with pytest.raises(FileFault, match=named):
            own.ensure(NAMES, NOW)
    with pytest.raises(FileFault, match="trusted authorities cannot be read"):
        OwnCertificate(chain, key, folder / "none", folder).trusted()
    chain.write_bytes(bytes(2 * 1024 * 1024))
    with pytest.raises(FileFault, match="longer than"):
        OwnCertificate(chain, key, None, folder).ensure(NAMES, NOW)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_who_was_away_during_a_change_of_authority_still_gets_in(tmp_path, serve, version):
    store = PrivateAuthority(tmp_path / "tls")
    store.ensure(NAMES, NOW)
    (before,) = store.trusted()
    after = store.prepare_next(NOW + 5 * 365 * DAY)
    store.switch()
    assert store.trusted() == (after,)
    served = store.ensure(NAMES, NOW)
    server = serve(Tls(served).context)
    for trusted in ((before,), (after,), (before, after)):
        trusting = client(*trusted)
        trusting.maximum_version = version
        assert talk(server, trusting)[0]
    with pytest.raises(ssl.SSLCertVerificationError):
        talk(server, client(stranger(tmp_path / "other")))
    assert store.ensure(NAMES, NOW).notes == (), "nothing is due again"
    # The former's word ends with it.
    ends = certs.facts(before.encode()).ends_ms
    assert store.ensure(NAMES, ends + DAY).path.read_text().count("BEGIN CERTIFICATE") == 1
