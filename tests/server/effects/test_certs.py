"""Certificates: their form, their judging, and sentences for each way in which one that was brought cannot serve."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.effects import certs
from penstock.server.effects.certs import CertFault, Pair

NOW = 1_800_000_000_000  # 2027-01-15
DAY = 86_400_000
NAMES = ("plane.example.com", "10.1.2.3", "fd00::1")
AUTHORITY = certs.make_authority("Test plane", NOW)
LEAF = certs.make_leaf(AUTHORITY, NAMES, NOW)


def test_the_authority_is_one_and_signs_nothing_but_servers():
    one = x509.load_pem_x509_certificate(AUTHORITY.chain)
    constraints = one.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)
    usage = one.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert not usage.value.digital_signature
    one.verify_directly_issued_by(one)
    assert certs.facts(AUTHORITY.chain).ends_ms == NOW + 3652 * DAY


@pytest.mark.parametrize("name", ["", "ü" * 64, "x" * 100])
def test_any_name_makes_an_authority(name):
    assert certs.facts(certs.make_authority(name, NOW).chain).subject.startswith("CN=")


def test_the_leaf_is_for_its_names_only():
    one = x509.load_pem_x509_certificate(LEAF.chain)
    one.verify_directly_issued_by(x509.load_pem_x509_certificate(AUTHORITY.chain))
    assert certs.facts(LEAF.chain).names == ("plane.example.com", "10.1.2.3", "fd00::1")
    assert not one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert [use.dotted_string for use in one.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value] == ["1.3.6.1.5.5.7.3.1"]
    assert isinstance(one.public_key(), ec.EllipticCurvePublicKey)
    assert b"PRIVATE" not in LEAF.chain


def test_dates_reach_back_for_devices_that_lost_theirs_but_not_too_far_for_browsers():
    leaf, authority = certs.facts(LEAF.chain), certs.facts(AUTHORITY.chain)
    assert authority.begins_ms <= int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * 1000
    assert leaf.begins_ms == NOW - 455 * DAY
    assert leaf.ends_ms == NOW + 365 * DAY
    assert leaf.ends_ms - leaf.begins_ms <= 825 * DAY
    early = certs.make_leaf(certs.make_authority("Early", 0), NAMES, 0)
    assert certs.facts(early.chain).begins_ms == 0  # never before its authority


def test_the_leaf_never_outlives_its_authority():
    late = NOW + 3652 * DAY - 10 * DAY
    leaf = certs.make_leaf(AUTHORITY, NAMES, late)
    assert certs.facts(leaf.chain).ends_ms == certs.facts(AUTHORITY.chain).ends_ms
    assert certs.renewal_due(leaf.chain, AUTHORITY.chain, NAMES, late) == ""  # a new one would end on the same day
    with pytest.raises(CertFault, match="own authority expired on 2037"):
        certs.make_leaf(AUTHORITY, NAMES, NOW + 3652 * DAY)


@pytest.mark.parametrize(
    ("names", "now_ms", "why"),
    [
        (NAMES, NOW, ""),
        (NAMES[:1], NOW, ""),
        (NAMES, NOW + 243 * DAY, ""),
        (NAMES, NOW + 244 * DAY, "two thirds of its life are over"),
        (NAMES, NOW + 400 * DAY, "two thirds of its life are over"),
        (("other.example.com", *NAMES), NOW, "not for other.example.com"),
        (("10.1.2.4",), NOW, "not for 10.1.2.4"),
    ],
)
def test_when_renewal_is_due(names, now_ms, why):
    found = certs.renewal_due(LEAF.chain, AUTHORITY.chain, names, now_ms)
    assert (why in found) if why else (found == "")


def test_another_authority_makes_renewal_due():
    assert "another authority" in certs.renewal_due(LEAF.chain, certs.make_authority("Test plane", NOW).chain, NAMES, NOW)


def test_the_authority_s_end_is_announced_two_years_ahead():
    assert certs.authority_warning(AUTHORITY.chain, NOW) == ""
    assert certs.authority_warning(AUTHORITY.chain, NOW + (3652 - 731) * DAY) == ""
    assert "prepare its successor" in certs.authority_warning(AUTHORITY.chain, NOW + (3652 - 729) * DAY)


@pytest.mark.parametrize(
    "name", ["", "a b", "https://plane", "plane:8443", "-a.b", "a..b", "a_b", "*.example.com", "ünïcode.example", "1.2.3.400", "a" * 64, "x." * 127 + "y"]
)
def test_what_is_no_name_is_refused(name):
    with pytest.raises(CertFault, match="neither a host name nor an IP address"):
        certs.make_leaf(AUTHORITY, (name,), NOW)


def test_how_many_names():
    with pytest.raises(CertFault, match="1 to 64"):
        certs.make_leaf(AUTHORITY, (), NOW)
    with pytest.raises(CertFault, match="1 to 64"):
        certs.make_leaf(AUTHORITY, tuple(f"h{number}" for number in range(65)), NOW)
    assert certs.facts(certs.make_leaf(AUTHORITY, ("a", "A.b", "a"), NOW).chain).names == ("a", "a.b")


@pytest.mark.parametrize(
    ("held", "name", "served"),
    [
        (("plane.example.com",), "PLANE.example.com", True),
        (("plane.example.com",), "plane.example.com.", True),
        (("plane.example.com",), "x.plane.example.com", False),
        (("*.example.com",), "plane.example.com", True),
        (("*.example.com",), "a.plane.example.com", False),
        (("*.example.com",), "example.com", False),
        (("*.example.com",), "com", False),
        (("10.1.2.3",), "10.1.2.3", True),
        (("fd00:0:0::1",), "fd00::1", True),
        (("*.1.2.3",), "10.1.2.3", False),
        (("plane",), "10.1.2.3", False),
        ((), "plane", False),
    ],
)
def test_which_names_a_certificate_serves(held, name, served):
    assert certs.covers(held, name) is served


@given(st.text(max_size=70))
def test_only_declared_errors_for_names(name):
    try:
        assert certs.names_of((name,))
    except CertFault as fault:
        assert fault.why


# --- certificates that somebody brings --------------------------------------------------------------------------------


def issued(key, names=("plane.example.com",), begins=-1, ends=100, issuer=None, issuer_key=None, san=True):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "plane.example.com")])
    now = datetime.fromtimestamp(NOW // 1000, UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Somebody's CA")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=begins))
        .not_valid_after(now + timedelta(days=ends))
    )
    if san:
        builder = builder.add_extension(x509.SubjectAlternativeName(certs.names_of(tuple(names))), critical=False)
    signer = issuer_key or ec.generate_private_key(ec.SECP256R1())
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def pem_of(key, encryption=None, form=serialization.PrivateFormat.PKCS8):
    return key.private_bytes(serialization.Encoding.PEM, form, encryption or serialization.NoEncryption())


KEY = ec.generate_private_key(ec.SECP256R1())
WANTED = ("plane.example.com",)


@pytest.mark.parametrize("form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("key", [KEY, ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)], ids=["P-256", "P-384", "RSA"])
def test_usual_keys_serve(key, form):
    pair, warnings = certs.check_own(issued(key), pem_of(key, form=form), WANTED, NOW)
    assert isinstance(pair, Pair)
    assert warnings == ("the file holds no intermediate certificate; devices that trust only the root of its authority may refuse it",)
    assert b"BEGIN PRIVATE KEY" in pair.both


def test_a_whole_chain_has_no_warning():
    authority = x509.load_pem_x509_certificate(AUTHORITY.chain)
    signer = serialization.load_pem_private_key(AUTHORITY.key, None)
    chain = issued(KEY, issuer=authority, issuer_key=signer) + AUTHORITY.chain
    pair, warnings = certs.check_own(b"some words before\n" + chain, pem_of(KEY), WANTED, NOW)
    assert warnings == ()
    assert pair.chain == chain


def test_warnings():
    _, warnings = certs.check_own(issued(KEY, ends=29) + LEAF.chain, pem_of(KEY), WANTED, NOW)
    assert len(warnings) == 2
    assert "ends on" in warnings[0]
    assert "no chain" in warnings[1]


@pytest.mark.parametrize(
    ("chain", "key", "why"),
    [
        (lambda: b"", lambda: pem_of(KEY), "no readable PEM certificate"),
        (lambda: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", lambda: pem_of(KEY), "no readable PEM certificate"),
        (lambda: pem_of(KEY), lambda: pem_of(KEY), "no (readable )?PEM certificate"),
        (lambda: issued(KEY), lambda: pem_of(ec.generate_private_key(ec.SECP256R1())), "is not that of the first certificate"),
        (lambda: AUTHORITY.chain + issued(KEY), lambda: pem_of(KEY), "stands first, its authorities after it"),
        (lambda: issued(KEY, begins=-10, ends=-1), lambda: pem_of(KEY), "expired on 2027-01-14"),
        (lambda: issued(KEY, begins=1), lambda: pem_of(KEY), "valid from 2027-01-16.*clock behind"),
        (lambda: issued(KEY, san=False), lambda: pem_of(KEY), "no subject alternative name"),
        (lambda: issued(KEY, names=("other.example.com", "10.0.0.1")), lambda: pem_of(KEY), "is for other.example.com, 10.0.0.1 and not for plane.example.com"),
        (lambda: issued(KEY), lambda: b"", "no readable PEM private key"),
        (lambda: issued(KEY), lambda: issued(KEY), "no readable PEM private key"),
        (lambda: issued(KEY), lambda: pem_of(KEY, serialization.BestAvailableEncryption(b"x")), "is encrypted.*openssl pkey"),
        (lambda: issued(KEY), lambda: pem_of(ed25519.Ed25519PrivateKey.generate()), "must be on P-256 or P-384, or RSA"),
        (lambda: issued(KEY), lambda: pem_of(ec.generate_private_key(ec.SECP256K1())), "must be on P-256 or P-384, or RSA"),
        (lambda: issued(KEY), lambda: pem_of(rsa.generate_private_key(65537, 1024)), "RSA of 2048 bits"),
    ],
)
def test_what_cannot_serve_is_refused_with_a_reason(chain, key, why):
    with pytest.raises(CertFault, match=why):
        certs.check_own(chain(), key(), WANTED, NOW)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_only_declared_errors_for_files(chain, key):
    for first, second in ((chain, key), (issued_once(), key), (chain, pem_of(KEY))):
        try:
            certs.check_own(first, second, WANTED, NOW)
        except CertFault as fault:
            assert fault.why


_ISSUED: list[bytes] = []


def issued_once():
    if not _ISSUED:
        _ISSUED.append(issued(KEY))
    return _ISSUED[0]


def test_splitting():
    text = b"# ours\n" + AUTHORITY.chain + b"\n# theirs\n" + LEAF.chain
    assert certs.split(text, "the file") == (AUTHORITY.chain.decode(), LEAF.chain.decode())
    with pytest.raises(CertFault, match="the file holds no"):
        certs.split(b"nothing", "the file")
