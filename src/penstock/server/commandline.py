"""The acts of `penstock-server` that are not serving: making a plane, backing it up, restoring it, a new set-up token, the
break-glass account.

Owns what each does to files and what it prints. All of them may run while the plane serves, but `init` and `restore`, which make one.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from penstock.crypto.keys import MAX_PEM
from penstock.server.actions import backups, breakglass, restore, rootbook
from penstock.server.actions.setup import KEY as SETUP_KEY
from penstock.server.actions.tokens import PREFIX as TOKEN_PREFIX
from penstock.server.app import StartFault, backups_of, certificates_of, paths, trust_of
from penstock.server.core import rootdoc
from penstock.server.core.breakglass import NAME as BREAK_GLASS
from penstock.server.core.errors import Refused
from penstock.server.core.events import line
from penstock.server.core.model import ADMINISTRATOR, SERVICE, Actor, ApiToken, User, UserId
from penstock.server.core.rights import FLEET, Binding, Part
from penstock.server.effects import keys
from penstock.server.effects.archive import ArchiveFault, read_archive, written
from penstock.server.effects.backups import Occupied, fingerprint
from penstock.server.effects.certstore import PrivateAuthority
from penstock.server.effects.chainfile import chain_path, read_chain, write_chain
from penstock.server.effects.clock import SystemClock
from penstock.server.effects.ids import RandomIds
from penstock.server.effects.keys import RUNNING_ROLES
from penstock.server.effects.tokens import key_file
from penstock.server.effects.vault import open_vault
from penstock.server.effects.verifiers import Verifiers
from penstock.server.settings import KEPT_FILE, Settings, check, keep
from penstock.server.store import access, api_tokens, devices, events, users
from penstock.server.store import settings as setting_store
from penstock.server.store.db import Busy, Db, Tx
from penstock.server.store.migrate import HEAD, upgrade, version_of
from penstock.wire.trust import Root, key_id
from penstock.wire.types import name_fault, sha256_of

COMMANDLINE = Actor("system", "commandline", "penstock-server")
ROOT_LIFE_MS = 10 * 366 * 86_400_000


def init(settings: Settings, root_key: Path) -> str:
    """Make a control plane in an empty data folder; the one-time set-up token. Stopped half way, it goes on where it stopped."""
    data, found = settings.data, paths(settings.data)
    if found["database"].exists():
        with contextlib.closing(Db(f"sqlite:///{found['database']}", found["lock"])) as db:
            upgrade(db)
            if db.view(rootbook.read_book) is not None:
                raise StartFault(f"there is a control plane in {data} already; start it with: penstock-server run --data {data}")
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    data.chmod(0o700)
    keep(settings)
    for name in ("keys", "tls"):
        found[name].mkdir(exist_ok=True, mode=0o700)
    held = keys.create_keys(found["keys"])
    open_vault(found["vault"])
    key_file(found["sessions"])
    root = keys.read_root_key(root_key, data) if root_key.exists() else keys.create_root_key(root_key, data)
    now = SystemClock().now_ms()
    if settings.tls and settings.certificate_names:
        certificates_of(settings).ensure(settings.certificate_names, now)
    draft = rootdoc.first_draft(rootdoc.Holders((root.public,)), {role: held.public(role) for role in RUNNING_ROLES}, now + ROOT_LIFE_MS)
    envelope = rootdoc.sign_first(draft, (root.signer(),))
    with contextlib.closing(Db(f"sqlite:///{found['database']}", found["lock"])) as db:
        upgrade(db)
        write_chain(root_key, (envelope.decode("ascii"),))
        db.update(lambda tx: rootbook.add_root(tx, Verifiers(), envelope, now))
        return db.update(_setup_token)


def _setup_token(tx: Tx) -> str:
    if users.count(tx):
        raise StartFault("there is an administrator already; sign in as that one")
    secret = RandomIds().secret()
    setting_store.put(tx, SETUP_KEY, sha256_of(secret.encode("utf-8")))
    return secret


def setup_token(settings: Settings) -> str:
    """A new one-time set-up token; the former is worthless. The plane may be running."""
    found = paths(settings.data)
    if not found["database"].exists():
        raise StartFault(f"there is no control plane in {settings.data}")
    with contextlib.closing(Db(f"sqlite:///{found['database']}")) as db:
        return db.update(_setup_token)


def authority(settings: Settings) -> str:
    """The certificates that clients trust the plane by, as PEM text."""
    return "".join(certificates_of(settings).trusted() if settings.tls else trust_of(settings)).rstrip("\n")


def authority_prepare(settings: Settings) -> str:
    """Make the successor of the plane's private authority; its certificate as PEM text. Devices hear of it when the plane is started again."""
    return _private(settings).prepare_next(SystemClock().now_ms()).rstrip("\n")


def authority_switch(settings: Settings) -> str:
    """Let the prepared successor sign from the plane's next start on; its certificate as PEM text. Raises StartFault, FileFault."""
    own = _private(settings)
    own.switch()
    return own.trusted()[0].rstrip("\n")


def _private(settings: Settings) -> PrivateAuthority:
    own = certificates_of(settings)
    if not isinstance(own, PrivateAuthority) or not settings.tls:
        raise StartFault("this plane has no authority of its own: its certificate is brought along, or a proxy ends TLS; change it there")
    if not paths(settings.data)["database"].exists():
        raise StartFault(f"there is no control plane in {settings.data}")
    return own


def service_token(settings: Settings, name: str, days: int) -> str:
    """An API token for a program of this machine, under a service account of that name (made if it is not there), which nobody can sign in as. It is for
    whoever holds the data folder, and on record. The plane may be running."""
    found = paths(settings.data)
    if not found["database"].exists():
        raise StartFault(f"there is no control plane in {settings.data}")
    if name == BREAK_GLASS:
        raise StartFault(f"the name {name} is the sealed account's; take another one")
    if name_fault(name) or not 1 <= days <= 732:
        raise StartFault(name_fault(name) or "a token is good for 1 to 732 days")
    ids, now = RandomIds(), SystemClock().now_ms()

    def work(tx: Tx) -> str:
        user = users.by_name(tx, name)
        if user is not None and user.kind != SERVICE:
            raise StartFault(f"{name} is a person; a person makes tokens by signing in")
        if user is None:
            user = User(UserId(ids.new("usr")), name, "", now, SERVICE)
            users.add(tx, user)
            reason = "made at the data folder, by whoever holds it"
            access.bind(tx, Binding(ids.new("bnd"), user.id, ADMINISTRATOR, Part(FLEET), "penstock-server", reason, now))
        secret = TOKEN_PREFIX + ids.secret()
        made = ApiToken(ids.new("tok"), user.id, "made at the data folder", sha256_of(secret.encode("utf-8")), now, now + days * 86_400_000)
        api_tokens.add(tx, made)
        events.add(tx, line(COMMANDLINE, now, "token.created", made.id, data={"name": name, "kind": "service"}))
        return secret

    with contextlib.closing(Db(f"sqlite:///{found['database']}")) as db:
        return db.update(work)


def seal_break_glass(settings: Settings) -> str:
    """Make the break-glass account or give it another passphrase; the passphrase, for the envelope. What it had open ends. The plane may be running, and knows
    within seconds."""
    found = paths(settings.data)
    if not found["database"].exists():
        raise StartFault(f"there is no control plane in {settings.data}")
    with contextlib.closing(Db(f"sqlite:///{found['database']}")) as db:
        return db.update(lambda tx: breakglass.seal_anew(tx, RandomIds(), SystemClock().now_ms()))


def backup(settings: Settings, target: Path, *, key: Path | None = None, images: bool = False) -> int:
    """Write a backup, whether the plane runs or not, sealed for the holder of `key` where one is given; its size in bytes."""
    found = paths(settings.data)
    if not found["database"].exists():
        raise StartFault(f"there is no control plane in {settings.data}")
    order = backups.Order(_public_key(key) if key is not None else b"", images)
    try:
        turn = backups_of(settings).take()
    except Occupied as fault:
        raise StartFault(f"{fault} of {settings.data}; try again when that one is done") from None
    with contextlib.closing(Db(f"sqlite:///{found['database']}")) as db:

        def update(work: Callable[[Tx], None]) -> None:
            if version_of(db) == HEAD:  # an older plane is not touched; it does not ask for it either
                db.update(work)

        try:
            with written(target) as file:
                return backups.carry_out_here(turn, order, file.write, SystemClock().now_ms(), COMMANDLINE, update).size
        finally:
            turn.end()


def _public_key(path: Path) -> bytes:
    """The public half of a backup key. Raises StartFault for a file that holds none."""
    with path.open("rb") as file:
        pem = file.read(MAX_PEM + 1)
    try:
        fingerprint(pem)
    except ArchiveFault as fault:
        raise StartFault(f"{path} is not the public half of a backup key: {fault}; give the .pub file that `penstock backup key` wrote beside it") from None
    return pem


def restored(settings: Settings, archive: Path, root_key: Path, backup_key: Path | None = None) -> tuple[str, ...]:
    """Restore a backup into an empty data folder and raise the epoch with the root key; what was lost or is to be done, as sentences. A sealed one needs
    the private half of its backup key too."""
    data, found = settings.data, paths(settings.data)
    if data.exists() and any(data.iterdir()):
        raise StartFault(f"{data} is not empty; a backup is restored into an empty folder")
    try:
        about = read_archive(archive, data, backup_key)
        known = _as_backed_up(settings, about)
        keep(known)
        said = _restore(data, found, root_key, about, archive.name)
        where = f"it is {', '.join(known.addresses)}" if known.addresses else "it does not know under which address devices reach it"
        return (*said, f"{where}; another address: --address of run, or addresses in {data / KEPT_FILE}")
    except (Refused, Busy, ValueError, OSError):
        # A half-restored plane must not be started by accident: it would speak in the old epoch. The folder was empty before.
        shutil.rmtree(data, ignore_errors=True)
        raise


def _as_backed_up(settings: Settings, about: dict[str, object]) -> Settings:
    """With the addresses that the plane had when the backup was made, unless others are given: devices look for it there."""
    addresses, listen = about.get("addresses"), about.get("listen")
    if settings.addresses or not isinstance(addresses, list) or not isinstance(listen, str):
        return settings
    given = settings.listen != Settings().listen
    return check(replace(settings, addresses=tuple(str(one) for one in addresses), listen=settings.listen if given else listen))


def _restore(data: Path, found: dict[str, Path], root_key: Path, about: dict[str, object], name: str) -> tuple[str, ...]:
    now = SystemClock().now_ms()
    root = keys.read_root_key(root_key, data)
    verifiers = Verifiers()
    said = []
    with contextlib.closing(Db(f"sqlite:///{found['database']}", found["lock"])) as db:
        upgrade(db)

        def follow(tx: Tx) -> Root:
            book = rootbook.read_book(tx)
            if book is None:
                raise StartFault("the backup holds no root document")
            newer = read_chain(root_key)[len(book.chain) :]
            for envelope in newer:
                rootbook.add_root(tx, verifiers, envelope.encode("ascii"), now)
            if newer:
                said.append(f"{len(newer)} root documents were made after the backup and are taken from {chain_path(root_key)}")
            again = rootbook.read_book(tx)
            assert again is not None
            return again.root

        current = db.update(follow)
        publics = _usable_keys(found["keys"], current)
        envelope = rootdoc.raise_epoch(current, now + ROOT_LIFE_MS, (root.signer(),), publics)

        def begin(tx: Tx) -> tuple[int, int, tuple[str, ...]]:
            fresh = rootbook.add_root(tx, verifiers, envelope, now)
            made_ms = about.get("made_ms")
            count = restore.begin_epoch(tx, now, fresh.epoch, made_ms if isinstance(made_ms, int) else 0, name)
            book = rootbook.read_book(tx)
            assert book is not None
            return fresh.epoch, count, book.chain

        epoch, count, chain = db.update(begin)
        write_chain(root_key, chain)
        kept = len(db.view(devices.ids))
    said.append(f"epoch {epoch} has begun; {kept} devices are known")
    if count:
        said.append("each of them is under review until it has said what runs there; nothing is changed on a device before that")
    said.append("what happened after the backup is lost here; devices report again what they still hold, and what they do not is named in their timeline")
    missing = _missing_blobs(found["registry"], about)
    if missing:
        said.append(f"{missing} image blobs were not in the backup; push the images again, or copy the registry folder, before deploying")
    return tuple(said)


def _usable_keys(folder: Path, current: Root) -> dict[str, str]:
    """The plane's keys of the backup; those that were revoked since are made anew."""
    for role in RUNNING_ROLES:
        path = keys.key_path(folder, role)
        if path.exists() and key_id(keys.read_key(path, f"the {role} key").public) in current.revoked:
            path.unlink()
    held = keys.create_keys(folder)
    return {role: held.public(role) for role in RUNNING_ROLES}


def _missing_blobs(registry: Path, about: dict[str, object]) -> int:
    listed = about.get("blobs")
    names = [str(one.get("digest", "")) for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return sum(1 for name in names if not (registry / "blobs" / name[7:9] / name[7:]).exists())
