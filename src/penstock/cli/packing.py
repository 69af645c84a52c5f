"""What a person names to publish, as files: a folder, an archive, a Compose file or standard input.

Owns the reading of them, within the limits of a package. What they mean is the control plane's to say.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from penstock.apiv1 import archives
from penstock.apiv1.archives import ArchiveError
from penstock.cli.common import Usage, text_of

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")
MAX_COMPOSE = 1_000_000
ALONE = "compose.yaml"  # what the control plane calls a Compose file that came without others


def gather(source: Path, over: tuple[Path, ...]) -> tuple[str, dict[str, bytes], tuple[str, ...]]:
    """One Compose file's text (and nothing else), or the files of a package and which of them are laid over each other. Raises Usage, OSError."""
    if str(source) != "-" and source.is_dir():
        return "", _limited(_folder(source)), tuple(_inside(source, one) for one in over)
    if source.name.endswith(ARCHIVES):
        if source.stat().st_size > archives.MAX_BYTES:
            raise Usage(f"{source} is larger than the {archives.MAX_BYTES} bytes allowed; images go to the registry")
        try:
            return "", archives.unpack(source.read_bytes()), tuple(one.as_posix() for one in over)
        except ArchiveError as fault:
            raise Usage(f"{source}: {fault}") from None
    if not over:
        return compose_text(source), {}, ()
    files: dict[str, bytes] = {}
    for one in (source, *over):
        name = "compose.yaml" if str(one) == "-" else one.name
        if name in files:
            raise Usage(f"two files are called {name}; put them in a folder and publish that")
        files[name] = compose_text(one).encode()
    return "", _limited(files), tuple(files)


def folder_of(source: Path, files: dict[str, bytes]) -> Path:
    """The folder on this machine in which the files that were gathered lie. Raises Usage for an archive, whose files lie in none."""
    if source.name.endswith(ARCHIVES) and not source.is_dir():
        raise Usage(f"--build needs what is to be built as files, and {source} is an archive; unpack it, and publish the folder")
    if str(source) == "-" or not source.is_dir():
        return Path.cwd() if str(source) == "-" else source.parent
    first = next(iter(files))
    return next((one for one in (source, *sorted(source.iterdir())) if (one / first).is_file()), source)  # a single folder around all of them is left out


def compose_text(file: Path) -> str:
    """A Compose file's text. Raises Usage for one that is empty or too long."""
    text = sys.stdin.read(MAX_COMPOSE + 1) if str(file) == "-" else text_of(file)
    if not text.strip():
        raise Usage(f"{file} is empty; name the Compose file")
    if len(text) > MAX_COMPOSE:
        raise Usage(f"{file} has more than {MAX_COMPOSE} characters; is it the Compose file?")
    return text


def _limited(files: dict[str, bytes]) -> dict[str, bytes]:
    try:
        return archives.checked(files)
    except ArchiveError as fault:
        raise Usage(str(fault)) from None


def _inside(folder: Path, file: Path) -> str:
    """A file's path in the package, named from the folder or from where the person is."""
    if (folder / file).is_file():
        return file.as_posix()
    try:
        return file.resolve().relative_to(folder.resolve()).as_posix()
    except ValueError:
        raise Usage(f"{file} is not in {folder}; a package has all of its files in one folder") from None


def _folder(top: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    left = archives.MAX_BYTES
    for folder, folders, names in os.walk(top):
        here = Path(folder)
        for name in (*folders, *names):
            if name not in archives.ASIDE and (here / name).is_symlink():
                raise Usage(f"{here / name} is a link; a package has plain files only, put the file itself there")
        folders[:] = sorted(name for name in folders if name not in archives.ASIDE)
        for name in sorted(names):
            path = here / name
            if name in archives.ASIDE:
                continue
            if not path.is_file():
                raise Usage(f"{path} is no plain file; a package has plain files only")
            left -= path.stat().st_size
            if left < 0 or len(found) >= archives.MAX_FILES:
                raise Usage(f"{top} has more than {archives.MAX_FILES} files or {archives.MAX_BYTES} bytes; leave out what is no part of the package")
            found[path.relative_to(top).as_posix()] = path.read_bytes()
    # Never empty around: what lies in one folder only is a package of that folder, as in an archive.
    return found


def write(files: dict[str, bytes], folder: Path) -> None:
    """Files into a new or empty folder. Raises Usage for a folder with something in it, OSError."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Usage(f"{folder} is there already, with something in it; name a new folder")
    for path, content in archives.checked(files).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
