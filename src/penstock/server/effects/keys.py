"""The plane's own signing keys: a port, one file for each role, and one in memory for tests.

Owns making, keeping and using them, and the file of the root key, which stands outside the data folder and is never needed to run.
Never decides what is signed; which key has which role is the root document's word (`core.rootdoc`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from penstock.crypto import CryptoError, Signer, generate_key, public_pem
from penstock.server.effects.private_files import FileFault, read_private, write_private
from penstock.wire.trust import DIRECTOR, LOG, PUBLISHER, SITE_AUTHORITY, key_id

RUNNING_ROLES = (DIRECTOR, PUBLISHER, SITE_AUTHORITY, LOG)
"""The roles whose keys the plane holds while it runs. The root's is not among them."""


class Keys(Protocol):
    """What the plane asks of its keys. `role` is one of `RUNNING_ROLES`."""

    def sign(self, role: str, message: bytes) -> tuple[str, bytes]:
        """Key id and DER signature over `message`."""
        ...

    def signer(self, role: str) -> tuple[str, Callable[[bytes], bytes]]:
        """Key id and signing function, as `wire.envelope.seal` takes them."""
        ...

    def public(self, role: str) -> str:
        """The public key as PEM text."""
        ...


class HeldKey:
    """One private key, parsed, with its names."""

    def __init__(self, private_pem: bytes) -> None:
        """Raises CryptoError."""
        self.public = public_pem(private_pem).decode("ascii")
        self.id = key_id(self.public)
        self._signer = Signer(private_pem)

    def sign(self, message: bytes) -> bytes:
        """A DER signature."""
        return self._signer.sign(message)

    def signer(self) -> tuple[str, Callable[[bytes], bytes]]:
        """Key id and signing function."""
        return self.id, self.sign


class HeldKeys:
    """A key for each role, in memory."""

    def __init__(self, held: dict[str, HeldKey]) -> None:
        self._held = held

    def _key(self, role: str) -> HeldKey:
        try:
            return self._held[role]
        except KeyError:
            raise FileFault(f"this plane holds no key for the role {role!r}; it has {', '.join(sorted(self._held))}") from None

    def sign(self, role: str, message: bytes) -> tuple[str, bytes]:
        """Key id and DER signature over `message`. Raises FileFault for a role without a key."""
        key = self._key(role)
        return key.id, key.sign(message)

    def signer(self, role: str) -> tuple[str, Callable[[bytes], bytes]]:
        """Key id and signing function. Raises FileFault for a role without a key."""
        return self._key(role).signer()

    def public(self, role: str) -> str:
        """The public key as PEM text. Raises FileFault for a role without a key."""
        return self._key(role).public


def memory_keys() -> HeldKeys:
    """Fresh keys that are written nowhere, for tests and the simulated fleet."""
    return HeldKeys({role: HeldKey(generate_key()) for role in RUNNING_ROLES})


def file_keys(folder: Path) -> HeldKeys:
    """The keys in `folder`, one PKCS#8 file for each role, mode 0600. Raises FileFault for a file that is missing, open to others,
    or no key."""
    return HeldKeys({role: read_key(key_path(folder, role), f"the {role} key") for role in RUNNING_ROLES})


def key_path(folder: Path, role: str) -> Path:
    """Where a role's key stands."""
    return folder / f"{role}.pem"


def read_key(path: Path, what: str) -> HeldKey:
    """A private key from its file. Raises FileFault."""
    try:
        return HeldKey(read_private(path, what))
    except CryptoError as fault:
        raise FileFault(f"{what} in {path} cannot be used: {fault.why}") from None


def create_keys(folder: Path) -> HeldKeys:
    """Make the key of each role that has none yet, and read them all. Repeating it changes nothing, so a crash half way is repaired."""
    for role in RUNNING_ROLES:
        if not key_path(folder, role).exists():
            write_private(key_path(folder, role), generate_key())
    return file_keys(folder)


def prepare_key(folder: Path, role: str) -> HeldKey:
    """A new key for `role`, beside the one in use; the same one again until it is adopted. Rotation is: prepare, sign the root
    document that names the new key, keep that document, adopt. Stopped anywhere, it goes on from there: whether to adopt is
    told by the newest root."""
    _known(role)
    path = next_path(folder, role)
    if not path.exists():
        write_private(path, generate_key())
    return read_key(path, f"the next {role} key")


def adopt_key(folder: Path, role: str) -> None:
    """Put the prepared key in the place of the old one. From here on devices that have not seen the new root refuse what the plane
    signs, until they fetch it. Raises FileFault when none is prepared."""
    _known(role)
    pem = read_private(next_path(folder, role), f"the next {role} key")
    write_private(key_path(folder, role), pem, replace=True)
    next_path(folder, role).unlink()


def next_path(folder: Path, role: str) -> Path:
    """Where a role's prepared key stands."""
    return folder / f"{role}.next.pem"


def _known(role: str) -> None:
    if role not in RUNNING_ROLES:
        raise FileFault(f"{role!r} is no role whose key the plane holds; it holds {', '.join(RUNNING_ROLES)}")


# --- the root key -----------------------------------------------------------------------------------------------------


def create_root_key(path: Path, data_folder: Path) -> HeldKey:
    """Make the root key at `path`. Raises FileFault when `path` exists, or lies in the plane's data folder, where a thief of the
    plane, or of its backup, would find it."""
    _outside(path, data_folder)
    pem = generate_key()
    write_private(path, pem)
    return HeldKey(pem)


def read_root_key(path: Path, data_folder: Path) -> HeldKey:
    """The root key, for the moment a root document is signed. Raises FileFault, also where it lies in the data folder."""
    _outside(path, data_folder)
    return read_key(path, "the root key")


def _outside(path: Path, data_folder: Path) -> None:
    if path.resolve().is_relative_to(data_folder.resolve()):
        raise FileFault(f"the root key may not lie in the data folder {data_folder}; keep it on another medium, best one that is locked away")
