"""A package's archives: every form gives the same files, and what is made to explode or to lead elsewhere is refused while it is read."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.apiv1.archives import MAX_BYTES, ArchiveError, aside, checked, pack, unpack

FILES = {"compose.yaml": b"services: {}\n", "conf/a.conf": b"x" * 2000, "conf/deep/ü.txt": b"", "icon.png": bytes(range(256)), "a" * 120 + ".txt": b"long"}


def as_tar(files: dict[str, bytes], mode: str = "w", form: int = tarfile.PAX_FORMAT, *, top: str = "", when: int = 0) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=form) as archive:  # type: ignore[call-overload]
        for path, content in files.items():
            item = tarfile.TarInfo(top + path)
            item.size, item.mtime, item.mode, item.uname = len(content), when, 0o755 if when else 0o600, "somebody"
            archive.addfile(item, io.BytesIO(content))
    return out.getvalue()


def as_zip(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, *, top: str = "") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for path, content in files.items():
            archive.writestr(top + path, content)
    return out.getvalue()


NAMES = st.text("abcxyz._-ü ", min_size=1, max_size=12).filter(lambda name: bool(name.strip(".")) and name == name.strip())
PATHS = st.builds(lambda folder, name: f"{folder}/{name}" if folder else name, st.sampled_from(["", "", "f", "g/h"]), NAMES)


def whole(files: dict[str, bytes]) -> bool:
    try:
        return checked(files) == dict(sorted(files.items()))
    except ArchiveError:
        return False


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(PATHS, st.binary(max_size=3000), min_size=1, max_size=8).filter(whole), st.randoms(use_true_random=False))
def test_the_form_of_an_archive_means_nothing(files, chance):
    mixed = list(files.items())
    chance.shuffle(mixed)
    shuffled = dict(mixed)
    forms = (
        as_tar(shuffled, when=1_700_000_000),
        as_tar(shuffled, "w:gz"),
        as_tar(files, form=tarfile.GNU_FORMAT),
        as_zip(shuffled),
        as_zip(files, zipfile.ZIP_STORED),
        as_tar(shuffled, top="package-1.0/"),
        as_tar(shuffled, top="./"),
        as_zip(shuffled, top="package-1.0/"),
    )
    for form in forms:
        assert unpack(form) == files
    assert {pack(unpack(form)) for form in forms} == {pack(files)}


def test_our_tar_is_one_that_others_read():
    with tarfile.open(fileobj=io.BytesIO(pack(FILES))) as archive:
        found = {item.name: archive.extractfile(item).read() for item in archive}  # type: ignore[union-attr]
    assert found == FILES
    assert list(found) == sorted(FILES)


def test_what_version_control_and_desktops_leave_is_no_part():
    assert unpack(as_tar({**FILES, ".git/config": b"x", "conf/.DS_Store": b"", "__MACOSX/._a": b""})) == dict(sorted(FILES.items()))
    assert aside("a/.git/b")
    assert not aside("a/.gitignore")


def member(name: str, kind: bytes, link: str = "") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        item = tarfile.TarInfo(name)
        item.type, item.linkname = kind, link
        archive.addfile(item)
    return out.getvalue()


def linked_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        item = zipfile.ZipInfo("link")
        item.create_system, item.external_attr = 3, 0o120777 << 16
        archive.writestr(item, "/etc/passwd")
    return out.getvalue()


def lying_zip() -> bytes:
    """One that says it is smaller than it is."""
    made = bytearray(as_zip({"a": b"x" * 100_000}))
    at = made.find(b"PK\x01\x02")
    made[at + 24 : at + 28] = (10).to_bytes(4, "little")
    return bytes(made)


BOMBS = {
    "out of the package": (as_tar({"../x": b""}), "cannot be in a package"),
    "out of the package, in the middle": (as_tar({"a/../../x": b""}), "cannot be in a package"),
    "absolute": (as_tar({"/etc/passwd": b""}), "cannot be in a package"),
    "absolute, zipped": (as_zip({"/etc/passwd": b""}), "cannot be in a package"),
    "backslashes": (as_zip({"..\\x": b""}), "cannot be in a package"),
    "a control character": (as_tar({"a\x1b[2J": b""}), "cannot be in a package"),
    "a symbolic link": (member("a", tarfile.SYMTYPE, "/etc/passwd"), "is a link"),
    "a hard link": (member("a", tarfile.LNKTYPE, "b"), "is a link"),
    "a device": (member("a", tarfile.CHRTYPE), "is no plain file"),
    "a pipe": (member("a", tarfile.FIFOTYPE), "is no plain file"),
    "a symbolic link, zipped": (linked_zip(), "is a link"),
    "much of nothing": (as_tar({"big": bytes(40 * 1024 * 1024)}, "w:gz"), "more than the"),
    "much of nothing, zipped": (as_zip({"big": bytes(40 * 1024 * 1024)}), "more than the"),
    "many of half the size": (as_zip({str(i): bytes(MAX_BYTES // 2) for i in range(3)}), "more than the"),
    "too many files": (as_tar({str(i): b"" for i in range(1001)}), "more than the 1000 files"),
    "too deep": (as_tar({"/".join("a" * 20): b""}), "cannot be in a package"),
    "a long path": (as_tar({"a" * 300: b""}), "cannot be in a package"),
    "twice": (as_tar({"a": b"1"})[:1024] + as_tar({"a": b"2"}), "is in the archive twice"),
    "a file and a folder": (as_tar({"a": b"1", "a/b": b"2"}), "is a file and a folder"),
    "cut short": (as_tar(FILES)[:2000], "ends too early"),
    "cut short, gzipped": (as_tar(FILES, "w:gz")[:-20], "ends too early"),
    "cut short, zipped": (as_zip(FILES)[:-30], "ends too early"),
    "damaged": (as_tar(FILES)[:3] + b"\xff" + as_tar(FILES)[4:], "damaged"),
    "lies about its size": (lying_zip(), "damaged"),
    "nothing in it": (as_tar({}), "there is no file in it"),
    "no archive": (b"hello", "this is no archive that is understood"),
    "another archive": (b"Rar!\x1a\x07\x00" + bytes(600), "this is no archive that is understood"),
    "an archive that is too large": (bytes(MAX_BYTES + 1), "more than the"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused(name):
    content, why = BOMBS[name]
    with pytest.raises(ArchiveError) as caught:
        unpack(content)
    assert why in caught.value.why
    assert caught.value.remedy


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([as_tar(FILES), as_tar(FILES, "w:gz"), as_zip(FILES)]),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_a_damaged_archive_is_read_or_refused_and_nothing_else(content, hits):
    damaged = bytearray(content)
    for at, value in hits:
        damaged[at % len(damaged)] = value
    try:
        found = unpack(bytes(damaged))
    except ArchiveError:
        return
    assert sum(map(len, found.values())) <= MAX_BYTES
