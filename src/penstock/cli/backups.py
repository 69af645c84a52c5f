"""Backups of the control plane, and the key pair they are sealed for.

Owns the files: a key of one's own, and a backup that stands under its name only when it is whole. The private half of the key never leaves this machine and is
never asked for here.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

from cyclopts import App, Parameter
from msgspec import Struct

from penstock.apiv1.common import Problem
from penstock.cli import out
from penstock.cli.common import COMMON, Common, Usage, text_of
from penstock.crypto import CryptoError, generate_key, public_pem
from penstock.crypto.keys import public_key
from penstock.crypto.streaming import Whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

backup = App(name="backup", help="A backup of the control plane, sealed so that only the holder of a backup key can open it.")

PRIVATE = "PRIVATE KEY"


class KeyMade(Struct, frozen=True, kw_only=True):
    """A backup key pair: where its halves lie, and the SHA-256 of the public one."""

    private: str
    public: str
    fingerprint: str


class BackupMade(Struct, frozen=True, kw_only=True):
    """A backup that lies here whole. `digest` is the SHA-256 it ends with, `key` the fingerprint of the key it is sealed for."""

    path: str
    size: int
    digest: str
    key: str
    images: bool


@backup.command(name="key")
def make_key(
    file: Annotated[Path, Parameter(help="Where to write the private half; the public half goes beside it, with .pub behind the name.")],
    *,
    common: Common = COMMON,
) -> int:
    """Make a backup key: a key pair of its own, on this machine.

    No control plane is asked."""
    public_file = file.with_name(file.name + ".pub")
    for path in (file, public_file):
        if path.exists():
            raise Usage(f"{path} exists already and is not overwritten; what was sealed for it could not be opened any more")
    private = generate_key()
    public = public_pem(private)
    with _whole_file(file) as there:
        there.write(private)
    with _whole_file(public_file) as there:
        there.write(public)
    made = KeyMade(private=str(file), public=str(public_file), fingerprint=hashlib.sha256(public).hexdigest())
    if common.json:
        out.show_json(made)
        return out.DONE
    out.facts((("private half", made.private), ("public half", made.public), ("fingerprint", made.fingerprint)))
    out.say("Keep the private half where the root key lies, and never on the control plane: whoever has it and a backup has the plane's keys.")
    out.say(f"Make backups with the public half: penstock backup --key {public_file} TARGET")
    return out.DONE


@backup.default
def make(
    target: Annotated[Path, Parameter(help="The file to write; it must not exist.")],
    *,
    key: Annotated[Path, Parameter(help="The public half of a backup key: the .pub file that `penstock backup key` wrote.")],
    images: Annotated[bool, Parameter(negative=(), help="With the image registry, which may be large.")] = False,
    common: Common = COMMON,
) -> int:
    """Make a backup of the control plane, sealed for a backup key, and fetch it.

    The file appears only when it is whole."""
    from penstock.client import ClientError

    pem = _public(key)
    watch = Whole()
    with _whole_file(target) as there, common.client() as client, _progress() as seen:
        for piece in client.backup(pem, images=images):
            watch.feed(piece)
            there.write(piece)
            seen(watch.size)
        try:
            digest = watch.check()
        except CryptoError as fault:
            why = f"the backup did not come through whole: {fault.why}"
            raise ClientError(Problem(title="Not whole", status=0, code="backup-not-whole", detail=why, remedy="nothing was kept; try again")) from None
    made = BackupMade(path=str(target), size=watch.size, digest=digest, key=hashlib.sha256(pem.encode()).hexdigest(), images=images)
    if common.json:
        out.show_json(made)
        return out.DONE
    out.say(f"{target}: {_size(made.size)}, whole. It is sealed for the backup key {made.key[:16]}…; keep it off the control plane.")
    return out.DONE


def _public(file: Path) -> str:
    """A public key's text. Raises Usage, above all for a private one, which is not to be sent anywhere."""
    text = text_of(file)
    if PRIVATE in text:
        raise Usage(f"{file} is the private half, which is needed to restore and is sent nowhere; give the public one, {file}.pub")
    try:
        public_key(text.encode())
    except CryptoError as fault:
        raise Usage(f"{file} is not the public half of a backup key: {fault.why}; make one with: penstock backup key FILE") from None
    return text


@contextmanager
def _whole_file(target: Path) -> Iterator[BinaryIO]:
    """A file that is there whole or not at all, mode 0600; one that exists is not overwritten. Raises Usage, OSError."""
    partial = target.with_name(target.name + ".partial")
    if target.exists():
        raise Usage(f"{target} exists already and is not overwritten; choose another name")
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, 0o600)  # a left-over of the same name may have had another mode
            yield file
            file.flush()
            os.fsync(fd)
        partial.rename(target)
        folder = os.open(target.absolute().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException as fault:
        partial.unlink(missing_ok=True)
        if isinstance(fault, OSError) and not fault.filename:
            raise OSError(fault.errno, fault.strerror, str(partial)) from None  # what is full is named
        raise


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """Say on a terminal how much has come; `seen(bytes)` is called with each piece."""
    if not out.errors.is_terminal:
        yield lambda _size: None
        return
    from rich.progress import FileSizeColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TransferSpeedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), FileSizeColumn(), TransferSpeedColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out.errors, transient=True) as bar:
        task = bar.add_task("backup", total=None)
        yield lambda size: bar.update(task, completed=size)


def _size(size: int) -> str:
    return f"{size / 1024 / 1024:.1f} MiB" if size >= 1024 * 1024 else f"{-(-size // 1024)} KiB"
