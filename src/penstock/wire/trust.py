"""The pure rules of trust: what a device believes, and what the plane believes of a device.

Owns the root document (TUF root metadata as payload), roles, key ids, and every `accept_*` rule with its stable reason of
refusal. A refusal is a value, never an exception, and changes nothing. Verification is passed in; time comes as an argument.
Sources: TUF specification 1.0.34 (section 5.3 for the chain of roots), DSSE v1.0.2.
"""

from __future__ import annotations

import hashlib

from penstock.wire import messages as m
from penstock.wire.codec import WireError, decode, parse
from penstock.wire.dates import day_of
from penstock.wire.envelope import ROOT, open_unverified, pae, payload_type, unb64
from penstock.wire.record import record
from penstock.wire.types import sha256_of
from penstock.wire.version import READS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    T = TypeVar("T")
    Verify = Callable[[bytes, bytes, bytes], bool]  # (public key PEM, message, DER signature)

# Stable: they stand in device logs and in the plane's events. Add, never rename.
REASONS = (
    "bad-signature",
    "unknown-key",
    "revoked-key",
    "wrong-device",
    "older-epoch",
    "unknown-epoch",
    "older-generation",
    "conflicting-content",
    "oversize",
    "malformed",
    "unknown-version",
    "root-out-of-order",
    "root-not-pinned",
    "authorisation-lapsed",
    "authorisation-other-content",
    "stale-answer",
    "expired",
)

DIRECTOR = "director"
PUBLISHER = "publisher"
SITE_AUTHORITY = "site-authority"
LOG = "log"
ROLES = ("root", DIRECTOR, PUBLISHER, SITE_AUTHORITY, LOG)


@record
class Refusal:
    """Why something was not accepted: a stable reason and a sentence."""

    reason: str
    why: str


@record
class Role:
    """Which keys may act, and how many of them must."""

    keyids: tuple[str, ...]
    threshold: int = 1


@record
class Root:
    """The root document, read. `expires_ms` bounds trust: past it a device makes no changes, and stops nothing."""

    version: int
    epoch: int
    expires_ms: int
    keys: dict[str, str]
    roles: dict[str, Role]
    revoked: tuple[str, ...] = ()


def key_id(public_pem: str) -> str:
    """The TUF key id of a P-256 public key: SHA-256 over the key object's OLPC canonical JSON, hex."""
    text = public_pem.replace("\\", "\\\\").replace('"', '\\"')
    canonical = '{"keytype":"ecdsa","keyval":{"public":"' + text + '"},"scheme":"ecdsa-sha2-nistp256"}'
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def fingerprint(public_pem: str) -> str:
    """What two people read to each other: the key id's first 32 digits in groups of four."""
    digits = key_id(public_pem)[:32]
    return "-".join(digits[at : at + 4] for at in range(0, 32, 4))


# --- the root document ------------------------------------------------------------------------------------------------


def _expiry(text: Any) -> int:
    if not isinstance(text, str) or len(text) != 20 or text[10] != "T" or text[19] != "Z":
        raise WireError("expires", "must be a time such as 2031-01-31T00:00:00Z")
    try:
        year, month, day = int(text[0:4]), int(text[5:7]), int(text[8:10])
        hour, minute, second = int(text[11:13]), int(text[14:16]), int(text[17:19])
    except ValueError:
        raise WireError("expires", "must be a time such as 2031-01-31T00:00:00Z") from None
    return (day_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second) * 1000


def _role(plain: Any, path: str, keys: dict[str, str]) -> Role:
    if not isinstance(plain, dict) or not isinstance(plain.get("keyids"), list):
        raise WireError(path, "must have keyids and a threshold")
    keyids, threshold = plain["keyids"], plain.get("threshold")
    if isinstance(threshold, bool) or not isinstance(threshold, int) or not 1 <= threshold <= 16:
        raise WireError(f"{path}.threshold", "must be a number from 1 to 16")
    if not all(isinstance(keyid, str) and keyid in keys for keyid in keyids):
        raise WireError(f"{path}.keyids", "names a key that the document does not hold")
    if len(set(keyids)) != len(keyids) or len(keyids) < threshold:
        raise WireError(f"{path}.keyids", "needs at least as many different keys as its threshold")
    return Role(tuple(keyids), threshold)


def read_root(payload: bytes) -> Root:
    """The root document from its payload bytes, not verified. Raises WireError."""
    plain = parse(payload, 256 * 1024)
    if not isinstance(plain, dict) or plain.get("_type") != "root":
        raise WireError("_type", "must be 'root'")
    version, ours = plain.get("version"), plain.get("penstock")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise WireError("version", "must be a number from 1")
    if not isinstance(ours, dict) or not isinstance(plain.get("keys"), dict) or not isinstance(plain.get("roles"), dict):
        raise WireError("penstock", "must be an object, beside keys and roles")
    epoch = ours.get("epoch")
    if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 1:
        raise WireError("penstock.epoch", "must be a number from 1")
    keys: dict[str, str] = {}
    for keyid, key in plain["keys"].items():
        pem = key.get("keyval", {}).get("public") if isinstance(key, dict) and isinstance(key.get("keyval"), dict) else None
        if not isinstance(pem, str) or key.get("scheme") != "ecdsa-sha2-nistp256" or key_id(pem) != keyid:
            raise WireError(f"keys.{keyid[:16]}", "must be a P-256 key under its own key id")
        keys[keyid] = pem
    roles = {"root": _role(plain["roles"].get("root"), "roles.root", keys)}
    named = ours.get("roles")
    if not isinstance(named, dict) or DIRECTOR not in named:
        raise WireError("penstock.roles", "must name the director")
    for name, role in named.items():
        roles[name] = _role(role, f"penstock.roles.{name[:40]}", keys)
    revoked = ours.get("revoked", [])
    if not isinstance(revoked, list) or not all(isinstance(keyid, str) for keyid in revoked):
        raise WireError("penstock.revoked", "must be a list of key ids")
    return Root(version, epoch, _expiry(plain.get("expires")), keys, roles, tuple(revoked))


def _signed(raw: bytes, kind: str, role: Role, root: Root, verify: Verify, limit: int) -> bytes | Refusal:
    """The payload of an envelope that enough of the role's keys signed, or why not."""
    try:
        envelope, payload = open_unverified(raw, limit)
    except WireError as fault:
        return Refusal("oversize" if fault.oversize else "malformed", str(fault))
    if envelope.payloadType != kind:
        if envelope.payloadType.rpartition(".v")[0] == kind.rpartition(".v")[0]:
            return Refusal("unknown-version", f"{envelope.payloadType} is not a version this program speaks; update it")
        return Refusal("malformed", f"the envelope holds {envelope.payloadType}, not {kind}")
    message = pae(kind, payload)
    good: set[str] = set()
    worst = Refusal("unknown-key", "no signature is by a key that may sign this")
    for signature in envelope.signatures:
        if signature.keyid in root.revoked:
            worst = Refusal("revoked-key", f"key {signature.keyid[:16]} has been revoked")
            continue
        if signature.keyid not in role.keyids or signature.keyid in good:
            continue
        try:
            der = unb64(signature.sig, "sig")
        except WireError:
            der = b""
        try:
            fits = verify(root.keys[signature.keyid].encode("utf-8"), message, der)
        except ValueError as fault:  # the key itself is unusable: never a reason to believe
            worst = Refusal("malformed", f"key {signature.keyid[:16]} is no usable P-256 key: {fault}")
            continue
        if fits:
            good.add(signature.keyid)
        else:
            worst = Refusal("bad-signature", f"the signature by key {signature.keyid[:16]} does not fit the content")
    if len(good) >= role.threshold:
        return payload
    if good:
        return Refusal("bad-signature", f"{len(good)} good signatures where {role.threshold} are needed")
    return worst


def pin_root(raw: bytes, pinned: str, verify: Verify) -> Root | Refusal:
    """The first root a device ever trusts: its payload's digest stands in the join command, and it signs itself."""
    try:
        _, payload = open_unverified(raw, 256 * 1024)
        root = read_root(payload)
    except WireError as fault:
        return Refusal("oversize" if fault.oversize else "malformed", str(fault))
    if sha256_of(payload) != pinned:
        return Refusal("root-not-pinned", "this root is not the one whose hash the join command carries; is this the right plane?")
    signed = _signed(raw, ROOT, root.roles["root"], root, verify, 256 * 1024)
    return signed if isinstance(signed, Refusal) else root


def accept_root(trusted: Root, raw: bytes, verify: Verify) -> Root | Refusal:
    """The next root: one version up, signed by enough keys of the old root and of the new one (TUF 5.3.4, 5.3.5); its epoch never falls."""
    try:
        _, payload = open_unverified(raw, 256 * 1024)
        root = read_root(payload)
    except WireError as fault:
        return Refusal("oversize" if fault.oversize else "malformed", str(fault))
    if root.version != trusted.version + 1:
        return Refusal("root-out-of-order", f"root {root.version} does not follow root {trusted.version}")
    if root.epoch < trusted.epoch:
        return Refusal("older-epoch", f"root {root.version} would go back from epoch {trusted.epoch} to {root.epoch}")
    for judge in (trusted, root):
        signed = _signed(raw, ROOT, judge.roles["root"], judge, verify, 256 * 1024)
        if isinstance(signed, Refusal):
            return signed
    return root


# --- what a device accepts --------------------------------------------------------------------------------------------


def _message(cls: type[T], kind: str, raw: bytes, root: Root, role: str, device: str, verify: Verify, limit: int) -> T | Refusal:
    payload = _signed(raw, payload_type(kind), root.roles.get(role, Role((), 1)), root, verify, limit)
    if isinstance(payload, Refusal):
        return payload
    try:
        value: Any = decode(cls, payload, limit)
    except WireError as fault:
        return Refusal("oversize" if fault.oversize else "malformed", str(fault))
    if value.wire > READS:
        return Refusal("unknown-version", f"wire version {value.wire} is newer than this program's {READS}; update it")
    if value.device != device:
        return Refusal("wrong-device", f"it is for device {value.device}, and this is {device}")
    good: T = value
    return good


@record
class Held:
    """The newest desired state a device has accepted: the digest is over the payload's bytes. Generation 0: none yet."""

    epoch: int
    generation: int
    digest: str


def accept_desired(root: Root, held: Held, device: str, raw: bytes, verify: Verify) -> tuple[m.Desired, Held] | Refusal:
    """A desired state newer than the one held. The same one again is accepted as no news (the same `Held` comes back)."""
    desired = _message(m.Desired, "desired", raw, root, DIRECTOR, device, verify, 4 * 1024 * 1024)
    if isinstance(desired, Refusal):
        return desired
    if desired.epoch < root.epoch or desired.epoch < held.epoch:
        return Refusal("older-epoch", f"epoch {desired.epoch} is older than {max(root.epoch, held.epoch)}")
    if desired.epoch > root.epoch:
        return Refusal("unknown-epoch", f"epoch {desired.epoch} is not one the trusted root knows; its root is missing")
    digest = sha256_of(open_unverified(raw, 4 * 1024 * 1024)[1])
    fresh = Held(desired.epoch, desired.generation, digest)
    if desired.epoch == held.epoch:
        if desired.generation < held.generation:
            return Refusal("older-generation", f"generation {desired.generation} is older than {held.generation}")
        if desired.generation == held.generation and digest != held.digest:
            return Refusal("conflicting-content", f"generation {desired.generation} was already accepted with other content")
    return desired, fresh


def accept_authorisation(root: Root, device: str, raw: bytes, verify: Verify) -> m.Authorisation | Refusal:
    """A leave for this device in this epoch. Whether it has lapsed is judged when it is used (`leave_fault`)."""
    leave = _message(m.Authorisation, "authorisation", raw, root, DIRECTOR, device, verify, 65536)
    if isinstance(leave, m.Authorisation) and leave.epoch != root.epoch:
        return Refusal("older-epoch", f"it was given in epoch {leave.epoch}; the trusted root is in epoch {root.epoch}")
    return leave


def leave_fault(leave: m.Authorisation, app: str, content: str, now_ms: int) -> Refusal | None:
    """Why `leave` does not allow `app` to become `content` at `now_ms` (device time, never below its floor)."""
    if leave.app != app or leave.content != content:
        return Refusal("authorisation-other-content", f"leave {leave.id} is for another release of {leave.app}")
    if now_ms > leave.not_after_ms:
        return Refusal("authorisation-lapsed", f"leave {leave.id} lapsed; the plane gives a new one when the rollout still goes on")
    return None


def accept_command(root: Root, device: str, raw: bytes, verify: Verify) -> m.Command | Refusal:
    """A command for this device in this epoch. Expiry is judged when it is carried out."""
    command = _message(m.Command, "command", raw, root, DIRECTOR, device, verify, 65536)
    if isinstance(command, m.Command) and command.epoch != root.epoch:
        return Refusal("older-epoch", f"it was given in epoch {command.epoch}; the trusted root is in epoch {root.epoch}")
    return command


def accept_currency(root: Root, device: str, nonce: str, raw: bytes, verify: Verify) -> m.Currency | Refusal:
    """The plane's word that the device is current, bound to the device's own nonce."""
    currency = _message(m.Currency, "currency", raw, root, DIRECTOR, device, verify, 65536)
    if isinstance(currency, m.Currency) and currency.nonce != nonce:
        return Refusal("stale-answer", "it answers another question; something on the way repeats old answers")
    return currency


def accept_ack(root: Root, device: str, raw: bytes, verify: Verify) -> m.Ack | Refusal:
    """An acknowledgement of the device log. That its head fits the device's own chain is the log's to check."""
    ack = _message(m.Ack, "ack", raw, root, DIRECTOR, device, verify, 65536)
    if isinstance(ack, m.Ack) and ack.epoch != root.epoch:
        return Refusal("older-epoch", f"it was given in epoch {ack.epoch}; the trusted root is in epoch {root.epoch}")
    return ack


def accept_admission(root: Root, keyid: str, raw: bytes, verify: Verify) -> m.Admission | Refusal:
    """The plane's word that this key is a device of its fleet."""
    try:
        _, payload = open_unverified(raw, 65536)
        device = decode(m.Admission, payload).device
    except WireError as fault:
        return Refusal("oversize" if fault.oversize else "malformed", str(fault))
    admission = _message(m.Admission, "admission", raw, root, DIRECTOR, device, verify, 65536)
    if isinstance(admission, m.Admission) and admission.keyid != keyid:
        return Refusal("wrong-device", "the admission is for another key")
    return admission


# --- what the plane accepts -------------------------------------------------------------------------------------------


@record
class Author:
    """A device's key as the only one that may sign what it says. Worth keeping: making one takes a hash."""

    role: Role
    keys: Root


def author(public_pem: str) -> Author:
    """The author whose public key this is."""
    keyid = key_id(public_pem)
    return Author(Role((keyid,)), Root(1, 1, 0, {keyid: public_pem}, {}))


def _by_device(cls: type[T], kind: str, raw: bytes, by: Author, verify: Verify, limit: int) -> T | Refusal:
    payload = _signed(raw, payload_type(kind), by.role, by.keys, verify, limit)
    if isinstance(payload, Refusal):
        return payload
    try:
        value: Any = decode(cls, payload, limit)
    except WireError as fault:
        return Refusal("oversize" if fault.oversize else "malformed", str(fault))
    if value.wire > READS:
        return Refusal("unknown-version", f"wire version {value.wire} is newer than this plane's {READS}; update the plane first")
    good: T = value
    return good


MAX_REPORT = 2 * 1024 * 1024


def accept_enrolment(raw: bytes, verify: Verify) -> m.EnrolRequest | Refusal:
    """A request signed by the key it brings."""
    try:
        _, payload = open_unverified(raw, 65536)
        public_pem = decode(m.EnrolRequest, payload, 65536).sign_key
    except WireError as fault:
        return Refusal("oversize" if fault.oversize else "malformed", str(fault))
    return _by_device(m.EnrolRequest, "enrol", raw, author(public_pem), verify, 65536)


def accept_session(by: Author, raw: bytes, verify: Verify) -> m.SessionRequest | Refusal:
    """A session asked for by the device whose key this is."""
    return _by_device(m.SessionRequest, "session", raw, by, verify, 65536)


def accept_report(device: str, by: Author, raw: bytes, verify: Verify) -> m.Report | Refusal:
    """A batch of the log of `device`. That it continues the chain is judged against what the plane holds."""
    report = _by_device(m.Report, "report", raw, by, verify, MAX_REPORT)
    if isinstance(report, m.Report) and report.device != device:
        return Refusal("wrong-device", f"the report is by {report.device}, the session by {device}")
    return report
