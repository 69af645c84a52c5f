"""X.509 certificates for the plane's HTTPS: a private authority, the server's own certificate under it, and reading certificates
that somebody else made.

Owns their making and judging, as functions over PEM octets, with the time as an argument. Never touches a file (see
`certstore`) and never opens a connection. `cryptography` does the X.509; keys come from `penstock.crypto`.

Dates reach back on purpose. A device whose clock was lost judges certificates at its floor, in the worst case the day its agent was
built; a certificate that began later would lock it out for ever. Nothing is lost by it: whoever has the authority's key could
write any date.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from penstock.crypto import generate_key

CA_LIFE = timedelta(days=3652)  # ten years
CA_BEGINS = datetime(2020, 1, 1, tzinfo=UTC)  # before any agent was built
LEAF_LIFE = timedelta(days=365)
LEAF_REACHES_BACK = timedelta(days=455)  # with the year ahead 820 days: some browsers refuse more than 825
RENEW_BEFORE = LEAF_LIFE / 3  # that is after two thirds of its life
WARN_BEFORE = timedelta(days=30)
MAX_NAMES = 64

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class CertFault(ValueError):
    """A certificate or key cannot be used. `why` is a sentence with the remedy."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True)
class Pair:
    """A certificate with what it was signed by, if that is to be sent along, and its private key; all PEM."""

    chain: bytes
    key: bytes

    @property
    def both(self) -> bytes:
        """Key and chain in one text, as one file holds them, so that they never part."""
        return self.key + self.chain


@dataclass(frozen=True)
class Facts:
    """What people want to know of a certificate. Times are unix milliseconds; `fingerprint` is SHA-256 in hex pairs."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    begins_ms: int
    ends_ms: int
    fingerprint: str


def names_of(names: tuple[str, ...]) -> tuple[x509.GeneralName, ...]:
    """Host names and addresses as they stand in a certificate. Raises CertFault for what is neither."""
    if not 1 <= len(names) <= MAX_NAMES:
        raise CertFault(f"a certificate is for 1 to {MAX_NAMES} names or addresses, and {len(names)} are given; set the addresses devices reach the plane by")
    found: list[x509.GeneralName] = []
    for name in dict.fromkeys(names):
        address = _address(name)
        if address is not None:
            found.append(x509.IPAddress(address))
            continue
        labels = name.split(".")
        if len(name) > 253 or not all(_label(label) for label in labels) or labels[-1].isdigit():
            raise CertFault(f"{name!r} is neither a host name nor an IP address; write plane.example.com, 10.1.2.3 or fd00::1, without https:// and port")
        found.append(x509.DNSName(name.lower()))
    return tuple(found)


def _address(name: str) -> Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _label(label: str) -> bool:
    return 1 <= len(label) <= 63 and label.isascii() and label.replace("-", "").isalnum() and label[0] != "-" and label[-1] != "-"


def _time(now_ms: int) -> datetime:
    return datetime.fromtimestamp(now_ms // 1000, UTC)


def _key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def make_authority(name: str, now_ms: int) -> Pair:
    """A new private authority: P-256, ten years, signs servers and nothing else. `name` helps people tell authorities apart."""
    pem = generate_key()
    key = _key(pem)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Penstock"),
            x509.NameAttribute(NameOID.COMMON_NAME, name.encode("ascii", "replace")[:64].decode("ascii") or "Penstock"),
        ]
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(CA_BEGINS, _time(now_ms)))
        .not_valid_after(_time(now_ms) + CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), pem)


def make_leaf(authority: Pair, names: tuple[str, ...], now_ms: int) -> Pair:
    """A server certificate for `names` (host names and IP addresses), one year, never longer than its authority.

    Raises CertFault for a bad name or an authority that has expired.
    """
    alternative = x509.SubjectAlternativeName(names_of(names))
    issuer, issuer_key = _certificate(authority.chain), _key(authority.key)
    now = _time(now_ms)
    ends = min(now + LEAF_LIFE, issuer.not_valid_after_utc)
    if ends <= now:
        raise CertFault(f"the plane's own authority expired on {issuer.not_valid_after_utc:%Y-%m-%d}; make a new one and have the fleet adopt it")
    pem = generate_key()
    key = _key(pem)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(now - LEAF_REACHES_BACK, issuer.not_valid_before_utc))
        .not_valid_after(ends)
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), pem)


def cross_sign(former: Pair, successor: Pair, now_ms: int) -> bytes:
    """The successor's key under the former authority's name and signature, as PEM. Served behind the server certificate it lets whoever trusts the former
    authority only, because it was away during the change, still reach the plane and be told. Both bear the same name, so the path length of an
    authority that signs servers only is kept to (RFC 5280, 6.1.4: a self-issued certificate does not count). It ends with the former."""
    old, old_key, new = _certificate(former.chain), _key(former.key), _certificate(successor.chain)
    begins = max(old.not_valid_before_utc, new.not_valid_before_utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(new.subject)
        .issuer_name(old.subject)
        .public_key(new.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(begins, _time(now_ms)))
        .not_valid_after(min(old.not_valid_after_utc, new.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(_key(successor.key).public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(old_key.public_key()), critical=False)
        .sign(old_key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


# --- judging ----------------------------------------------------------------------------------------------------------


def _certificate(pem: bytes) -> x509.Certificate:
    """The first certificate of a PEM text."""
    return certificates(pem, "the certificate")[0]


def certificates(pem: bytes, what: str) -> list[x509.Certificate]:
    """All certificates of a PEM text. Raises CertFault when there is none or one cannot be read."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError as fault:
        raise CertFault(f"{what} holds no readable PEM certificate ({fault}); it begins with -----BEGIN CERTIFICATE-----") from None
    if not found:
        raise CertFault(f"{what} holds no PEM certificate; it begins with -----BEGIN CERTIFICATE-----")
    return found


def split(pem: bytes, what: str) -> tuple[str, ...]:
    """The certificates of a PEM text, one text each, whatever stood between them. Raises CertFault."""
    return tuple(_pem([one]).decode("ascii") for one in certificates(pem, what))


def facts(pem: bytes) -> Facts:
    """The facts of the first certificate of a PEM text. Raises CertFault."""
    one = _certificate(pem)
    return Facts(
        subject=one.subject.rfc4514_string(),
        issuer=one.issuer.rfc4514_string(),
        names=_names_in(one),
        begins_ms=int(one.not_valid_before_utc.timestamp()) * 1000,
        ends_ms=int(one.not_valid_after_utc.timestamp()) * 1000,
        fingerprint=one.fingerprint(hashes.SHA256()).hex(":"),
    )


def _names_in(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return (*names.get_values_for_type(x509.DNSName), *(str(address) for address in names.get_values_for_type(x509.IPAddress)))


def covers(certificate_names: tuple[str, ...], name: str) -> bool:
    """Whether a certificate for `certificate_names` serves `name` (RFC 9525, section 6.3: a wildcard is one whole left-most label)."""
    wanted = _address(name)
    if wanted is not None:
        return any(_address(one) == wanted for one in certificate_names)
    host = name.lower().rstrip(".")
    parent = host.partition(".")[2]
    return any(one.lower() == host or (one.startswith("*.") and parent != "" and one[2:].lower() == parent) for one in certificate_names)


def renewal_due(leaf: bytes, authority: bytes, names: tuple[str, ...], now_ms: int) -> str:
    """Why the plane's own server certificate must be made anew, as a sentence; empty when it need not be."""
    one, issuer = _certificate(leaf), _certificate(authority)
    try:
        one.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return "it was signed by another authority than the plane's present one"
    missing = [name for name in names if not covers(_names_in(one), name)]
    if missing:
        return f"it is not for {', '.join(missing)}"
    left = min(one.not_valid_after_utc, issuer.not_valid_after_utc) - _time(now_ms)
    if left < RENEW_BEFORE and one.not_valid_after_utc < issuer.not_valid_after_utc:
        return f"it ends on {one.not_valid_after_utc:%Y-%m-%d}, and two thirds of its life are over"
    return ""


def authority_warning(authority: bytes, now_ms: int) -> str:
    """What a person must do about the plane's authority, as a sentence; empty when nothing. Its successor has to reach every device
    before it ends, also those that are away for months."""
    ends = _certificate(authority).not_valid_after_utc
    if ends - _time(now_ms) > 2 * LEAF_LIFE:
        return ""
    return f"the plane's authority ends on {ends:%Y-%m-%d}; prepare its successor now, so that every device has it in time"


def check_own(chain: bytes, key: bytes, names: tuple[str, ...], now_ms: int) -> tuple[Pair, tuple[str, ...]]:
    """A certificate and key that the customer brought, judged: the pair, and warnings as sentences.

    Raises CertFault when they cannot serve `names` now: not readable, encrypted, not belonging together, expired, not yet valid,
    or for other names.
    """
    found = certificates(chain, "the certificate file")
    one = found[0]
    private = _own_key(key)
    if one.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo) != private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    ):
        raise CertFault("the private key is not that of the first certificate in the file; the server's own certificate stands first, its authorities after it")
    now = _time(now_ms)
    if one.not_valid_after_utc <= now:
        raise CertFault(f"the certificate expired on {one.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; put a new one in its place")
    if one.not_valid_before_utc > now:
        raise CertFault(f"the certificate is valid from {one.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on; is this machine's clock behind?")
    held = _names_in(one)
    if not held:
        raise CertFault("the certificate names no host (it has no subject alternative name, and the common name counts no more); have it issued again")
    missing = [name for name in names if not covers(held, name)]
    if missing:
        raise CertFault(f"the certificate is for {', '.join(held)} and not for {', '.join(missing)}; have it issued again, or change the plane's addresses")
    return Pair(_pem(found), _key_pem(private)), _warnings(found, now)


def _own_key(pem: bytes) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, None)
    except TypeError:
        raise CertFault("the private key is encrypted and the plane cannot ask for its password; decrypt it with: openssl pkey -in KEY -out PLAIN") from None
    except ValueError as fault:
        raise CertFault(f"the key file holds no readable PEM private key ({fault})") from None
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in ("secp256r1", "secp384r1"):
        return key
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
        return key
    raise CertFault("the private key must be on P-256 or P-384, or RSA of 2048 bits or more")


def _warnings(found: list[x509.Certificate], now: datetime) -> tuple[str, ...]:
    warnings = []
    one = found[0]
    if one.not_valid_after_utc - now < WARN_BEFORE:
        warnings.append(f"the certificate ends on {one.not_valid_after_utc:%Y-%m-%d}; put a new one in its place before that")
    for below, above in zip(found, found[1:], strict=False):
        try:
            below.verify_directly_issued_by(above)
        except (ValueError, TypeError, InvalidSignature):
            warnings.append(f"the certificates in the file are no chain: {below.subject.rfc4514_string()} was not issued by {above.subject.rfc4514_string()}")
            break
    if len(found) == 1 and one.subject != one.issuer:
        warnings.append("the file holds no intermediate certificate; devices that trust only the root of its authority may refuse it")
    return tuple(warnings)


def _pem(found: list[x509.Certificate]) -> bytes:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in found)


def _key_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
