"""Who this device is: its two keys, its admission, the chain of roots it began from, and the folder's own random name.

Owns the files under identity/ and trust/. Keys are made here and never leave; a key file that others can read is refused. What is
believed about a root or an admission is `wire.trust`'s to say; this file stores what has been accepted and reads it back.
"""

from __future__ import annotations

import os

from penstock import crypto
from penstock.agent.places import PlaceError, read_file, remove_file, write_file
from penstock.wire.codec import WireError, decode, encode
from penstock.wire.envelope import open_unverified
from penstock.wire.messages import Admission
from penstock.wire.record import record
from penstock.wire.trust import Refusal, accept_admission, accept_root, key_id, pin_root, read_root
from penstock.wire.types import sha256_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from penstock.agent.places import Places
    from penstock.wire.trust import Root

SIGN, SEAL, DATA, ADMISSION, PENDING = "sign.key", "seal.key", "data-id", "admission.json", "enrolment.json"
MAX_ROOTS = 64


@record
class Keys:
    """The device's keys: PEM texts. `data` is the random name of the data folder, drawn once: a copy of the disk has the same one."""

    sign_private: bytes
    seal_private: bytes
    sign_public: str
    seal_public: str
    data: str

    def __repr__(self) -> str:
        return f"Keys(keyid={key_id(self.sign_public)[:16]})"

    def keyid(self) -> str:
        """The id of the signing key."""
        return key_id(self.sign_public)


@record
class Pending:
    """An enrolment under way: all that is needed to go on asking after a restart. Holds the join token, so it is removed when it ends."""

    LIMITS = {"join": 131_072}

    join: str
    name: str
    nonce: str
    replaces: bool = False
    ca: tuple[str, ...] = ()
    proxy: str = ""


@record
class Member:
    """An enrolled device: its keys, what the plane admitted it as, and the newest root it has accepted on enrolling."""

    keys: Keys
    admission: Admission
    root: Root


def _secret(path: str) -> bytes | None:
    data = read_file(path, 65536)
    if data is not None and os.stat(path).st_mode & 0o077:
        raise PlaceError(f"{path} can be read by others; if nobody has copied it, close it with: chmod 600 {path}")
    return data


def make_keys(places: Places) -> Keys:
    """The keys, made now where there are none. A half-made set (a power cut in between) is completed. Raises PlaceError, OSError."""
    for name in (SIGN, SEAL):
        path = f"{places.identity}/{name}"
        if _secret(path) is None:
            write_file(path, crypto.generate_key())
    path = f"{places.identity}/{DATA}"
    if read_file(path) is None:
        write_file(path, crypto.random_bytes(16).hex().encode("ascii"))
    keys = read_keys(places)
    assert keys is not None
    return keys


def read_keys(places: Places) -> Keys | None:
    """The keys, None where there are none yet. Raises PlaceError where they are there and unusable."""
    sign, seal = _secret(f"{places.identity}/{SIGN}"), _secret(f"{places.identity}/{SEAL}")
    data = read_file(f"{places.identity}/{DATA}", 256)
    if sign is None or seal is None or data is None:
        return None
    try:
        return Keys(sign, seal, crypto.public_pem(sign).decode("ascii"), crypto.public_pem(seal).decode("ascii"), data.decode("ascii").strip())
    except (crypto.CryptoError, UnicodeDecodeError) as fault:
        raise PlaceError(f"a key under {places.identity} is damaged ({fault}); restore the folder from its copy, or enrol this device anew") from None


def read_seal_key(places: Places) -> bytes:
    """The key that opens secrets, read when one has to be opened and not before. Raises PlaceError."""
    key = _secret(f"{places.identity}/{SEAL}")
    if key is None:
        raise PlaceError(f"{places.identity}/{SEAL} is gone, so no secret can be opened; restore the folder from its copy, or enrol this device anew")
    return key


# --- trust --------------------------------------------------------------------------------------------------------------


def follow_roots(roots: tuple[str, ...], pinned: str) -> tuple[Root, tuple[str, ...]] | Refusal:
    """From a plane's chain of root envelopes: the newest root that follows from the pinned one, and the chain from there on."""
    begin = None
    for index, text in enumerate(roots[:MAX_ROOTS]):
        try:
            _, payload = open_unverified(text.encode("utf-8"), 256 * 1024)
        except WireError:
            continue
        if sha256_of(payload) == pinned:
            begin = index
    if begin is None:
        return Refusal("root-not-pinned", "the plane shows no root with the hash that the join string carries; is this the right plane, or an old join string?")
    root = pin_root(roots[begin].encode("utf-8"), pinned, crypto.verify)
    if isinstance(root, Refusal):
        return root
    for text in roots[begin + 1 :]:
        following = accept_root(root, text.encode("utf-8"), crypto.verify)
        if isinstance(following, Refusal):
            return following
        root = following
    return root, roots[begin:]


def store_member(places: Places, admission: str, chain: tuple[str, ...]) -> None:
    """Keep an accepted admission and the accepted chain of roots; the admission last, because it is what makes a member."""
    for text in chain:
        root = read_root(open_unverified(text.encode("utf-8"), 256 * 1024)[1])
        write_file(f"{places.trust}/root.{root.version}.json", text.encode("utf-8"))
    write_file(f"{places.identity}/{ADMISSION}", admission.encode("utf-8"))


def read_member(places: Places) -> Member | None:
    """The device as enrolled, None where it is not. Raises PlaceError where what is stored cannot be believed any more."""
    raw = read_file(f"{places.identity}/{ADMISSION}", 131_072)
    keys = read_keys(places)
    if raw is None or keys is None:
        return None
    root = _read_root(places)
    admission = accept_admission(root, keys.keyid(), raw, crypto.verify)
    if isinstance(admission, Refusal):
        if admission.reason not in ("unknown-key", "revoked-key"):
            raise PlaceError(f"the admission under {places.identity} is not acceptable: {admission.why}")
        # The director's key has been changed since. The admission was verified when it was stored, in a folder that only root can write.
        return Member(keys, decode(Admission, open_unverified(raw, 65536)[1]), root)
    return Member(keys, admission, root)


def _read_root(places: Places) -> Root:
    newest: Root | None = None
    for name in os.listdir(places.trust):
        if name.startswith("root.") and name.endswith(".json"):
            raw = read_file(f"{places.trust}/{name}", 512 * 1024)
            try:
                root = read_root(open_unverified(raw or b"", 256 * 1024)[1])
            except WireError:
                continue  # damaged: an older one will do, the plane shows the way on from it
            if newest is None or root.version > newest.version:
                newest = root
    if newest is None:
        raise PlaceError(f"there is no readable root document under {places.trust}; restore the folder from its copy, or enrol this device anew")
    return newest


# --- an enrolment under way ---------------------------------------------------------------------------------------------


def store_pending(places: Places, pending: Pending) -> None:
    """Remember an enrolment that is under way."""
    write_file(f"{places.identity}/{PENDING}", encode(pending))


def read_pending(places: Places) -> Pending | None:
    """The enrolment under way, None where there is none. Raises PlaceError."""
    raw = _secret(f"{places.identity}/{PENDING}")
    if raw is None:
        return None
    try:
        return decode(Pending, raw)
    except WireError as fault:
        raise PlaceError(f"the enrolment under {places.identity} is damaged ({fault}); give the join string again") from None


def forget_pending(places: Places) -> None:
    """The enrolment has ended, whichever way."""
    remove_file(f"{places.identity}/{PENDING}")
