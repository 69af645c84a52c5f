"""A package's files and the archives they travel in: tar, gzipped tar and zip to files, files to one canonical tar.

Owns the formats as far as files need them, and the limits, which act while an archive is read: nothing is unpacked beyond them. Links, devices
and paths that lead elsewhere are refused. Times, owners, modes and the order in an archive mean nothing, so that the same files are the same
package. Never touches a disk.
"""

from __future__ import annotations

import struct
import zlib

MAX_BYTES = 16 * 1024 * 1024  # of all files together, and of an archive
MAX_FILES = 1000
MAX_PATH = 255
MAX_DEPTH = 16
BLOCK = 512
ASIDE = frozenset((".git", ".hg", ".svn", "__pycache__", "__MACOSX", ".DS_Store"))  # a workplace's, no part of a package


class ArchiveError(ValueError):
    """An archive or a file that is refused. `why` and `remedy` are sentences."""

    def __init__(self, why: str, remedy: str = "pack the folder again with tar or zip") -> None:
        super().__init__(f"{why}; {remedy}")
        self.why = why
        self.remedy = remedy


def path_fault(path: str) -> str:
    """Why a path can be none in a package; empty when it can."""
    parts = path.split("/")
    if not path or len(path) > MAX_PATH or len(parts) > MAX_DEPTH:
        return f"a path has 1 to {MAX_PATH} characters and at most {MAX_DEPTH} parts"
    if path.startswith("/") or "\\" in path or any(part in ("", ".", "..") for part in parts):
        return "a path leads from the package's top to a file in it"
    if not path.isprintable():
        return "it holds a character that nobody can see"
    return ""


def aside(path: str) -> bool:
    """Whether a file is left out: what version control and desktops leave in folders."""
    return any(part in ASIDE for part in path.split("/"))


class _Files:
    """The files read so far, held to the limits."""

    def __init__(self) -> None:
        self.found: dict[str, bytes] = {}
        self.left = MAX_BYTES

    def room(self, size: int, path: str) -> None:
        """Raise ArchiveError where a file of `size` bytes is too much."""
        if size > self.left:
            raise ArchiveError(
                f"with {path[:80]!r} the package has more than the {MAX_BYTES} bytes allowed", "leave out what is no part of it; images go to the registry"
            )

    def add(self, path: str, content: bytes) -> None:
        while path.startswith("./"):
            path = path[2:]
        why = path_fault(path)
        if why:
            raise ArchiveError(f"{path[:80]!r} cannot be in a package: {why}", "rename it")
        if aside(path):
            return
        self.room(len(content), path)
        if path in self.found:
            raise ArchiveError(f"{path[:80]!r} is in the archive twice")
        if len(self.found) >= MAX_FILES:
            raise ArchiveError(f"the package has more than the {MAX_FILES} files allowed", "leave out what is no part of it")
        self.left -= len(content)
        self.found[path] = content

    def checked(self) -> dict[str, bytes]:
        """The files by path. A single folder around all of them is none of theirs."""
        found = self.found
        if not found:
            raise ArchiveError("there is no file in it", "a package has at least a compose.yaml")
        top = next(iter(found)).partition("/")[0] + "/"
        if all(path.startswith(top) for path in found):
            found = {path[len(top) :]: content for path, content in found.items()}
        for path in found:
            above = path
            while "/" in above:
                above = above.rpartition("/")[0]
                if above in found:
                    raise ArchiveError(f"{above[:80]!r} is a file and a folder")
        return dict(sorted(found.items()))


def checked(files: dict[str, bytes]) -> dict[str, bytes]:
    """Files as a package has them: by path, within the limits. Raises ArchiveError."""
    made = _Files()
    for path, content in files.items():
        made.add(path, content)
    return made.checked()


def unpack(content: bytes) -> dict[str, bytes]:
    """The files of an archive: tar, gzipped tar or zip. Raises ArchiveError."""
    if len(content) > MAX_BYTES:
        raise ArchiveError(
            f"the archive has {len(content)} bytes, more than the {MAX_BYTES} allowed", "leave out what is no part of it; images go to the registry"
        )
    files = _Files()
    if content[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        _zip(content, files)
    elif content[:2] == b"\x1f\x8b":
        _tar(_gunzip(content), files)
    elif content[257:262] == b"ustar" or (len(content) >= BLOCK and not any(content[:BLOCK])):
        _tar(content, files)
    else:
        raise ArchiveError("this is no archive that is understood", "pack the folder with tar, tar and gzip, or zip")
    return files.checked()


# --- tar ---------------------------------------------------------------------------------------------------------------------

TAR_MOST = MAX_BYTES + MAX_FILES * 4 * BLOCK + 64 * BLOCK


def _gunzip(content: bytes) -> bytes:
    out = bytearray()
    try:
        while content:
            one = zlib.decompressobj(31)
            out += one.decompress(content, TAR_MOST + 1 - len(out))
            if len(out) > TAR_MOST:
                raise ArchiveError(
                    f"unpacked, the archive has more than the {MAX_BYTES} bytes allowed", "leave out what is no part of it; images go to the registry"
                )
            if not one.eof:
                raise ArchiveError("the archive ends too early")
            content = one.unused_data.lstrip(b"\0")
    except zlib.error:
        raise ArchiveError("the archive is damaged") from None
    return bytes(out)


def _number(field: bytes) -> int:
    text = field.strip(b" \0")
    if not text:
        return 0
    if field[0] & 0x80 or not all(digit in b"01234567" for digit in text):
        raise ArchiveError("the archive is damaged, or a file in it is larger than allowed")
    return int(text, 8)


def _name(raw: bytes) -> str:
    try:
        return raw.split(b"\0", 1)[0].decode("utf-8")
    except UnicodeError:
        raise ArchiveError("a file's name is not UTF-8", "rename it") from None


def _tar(content: bytes, files: _Files) -> None:
    at, long, entries = 0, "", 0
    while at + BLOCK <= len(content):
        header = content[at : at + BLOCK]
        at += BLOCK
        if not any(header):
            return
        entries += 1
        if entries > 4 * MAX_FILES:
            raise ArchiveError(f"the archive has more than {4 * MAX_FILES} entries", "leave out what is no part of it")
        if sum(header[:148]) + 8 * 32 + sum(header[156:]) != _number(header[148:156]):
            raise ArchiveError("the archive is damaged")
        size, kind = _number(header[124:136]), header[156:157]
        name = long or "/".join(part for part in (_name(header[345:500]) if header[257:263] == b"ustar\0" else "", _name(header[:100])) if part)
        body = content[at : at + size]
        if len(body) < size:
            raise ArchiveError("the archive ends too early")
        at += -(-size // BLOCK) * BLOCK
        if kind == b"L":
            long = _name(body[: 4 * MAX_PATH])
        elif kind == b"x":
            long = _pax(body) or long
        elif kind == b"g":
            continue
        elif kind in (b"0", b"\0"):
            files.add(name, body)
            long = ""
        elif kind == b"5":
            long = ""
        else:
            what = {b"1": "a link", b"2": "a link"}.get(kind, "no plain file")
            raise ArchiveError(f"{name[:80]!r} is {what}", "a package has plain files only; put the file itself there")
    raise ArchiveError("the archive ends too early")


def _pax(body: bytes) -> str:
    """The path that an extended header gives."""
    at, path = 0, ""
    while at < len(body):
        space = body.find(b" ", at, at + 20)
        digits = body[at:space] if space > 0 else b""
        if not digits.isdigit() or int(digits) < 5 or at + int(digits) > len(body):
            raise ArchiveError("the archive is damaged")
        key, _, value = body[space + 1 : at + int(digits) - 1].partition(b"=")
        if key == b"path":
            path = _name(value)
        elif key == b"size":
            raise ArchiveError("a file in the archive is larger than allowed")
        at += int(digits)
    return path


def pack(files: dict[str, bytes]) -> bytes:
    """The canonical archive: a tar of the files by path, with nothing in it that is not theirs."""
    out = bytearray()
    for path, content in sorted(files.items()):
        raw = path.encode("utf-8")
        if len(raw) > 100:
            line = b" path=" + raw + b"\n"
            size = len(line) + len(str(len(line) + 3))
            size = len(line) + len(str(size))
            body = str(size).encode() + line
            out += _header(b"pax", len(body), b"x") + body + bytes(-len(body) % BLOCK)
            raw = raw[:100]
        out += _header(raw, len(content), b"0") + content + bytes(-len(content) % BLOCK)
    return bytes(out) + bytes(2 * BLOCK)


def _header(name: bytes, size: int, kind: bytes) -> bytes:
    header = bytearray(BLOCK)
    header[: len(name)] = name
    header[100:108] = b"0000644\0"
    header[108:116] = header[116:124] = b"0000000\0"
    header[124:136] = b"%011o\0" % size
    header[136:148] = b"00000000000\0"
    header[148:156] = b" " * 8
    header[156:157] = kind
    header[257:265] = b"ustar\x0000"
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


# --- zip ---------------------------------------------------------------------------------------------------------------------


def _zip(content: bytes, files: _Files) -> None:
    end = content.rfind(b"PK\x05\x06", max(0, len(content) - 65_557))
    if end < 0 or end + 22 > len(content):
        raise ArchiveError("the archive ends too early")
    count, length, start = struct.unpack_from("<HII", content, end + 10)
    if count == 0xFFFF or 0xFFFFFFFF in (length, start) or start + length > end:
        raise ArchiveError("the archive is damaged, or in a form for large files")
    if count > 4 * MAX_FILES:
        raise ArchiveError(f"the archive has more than {4 * MAX_FILES} entries", "leave out what is no part of it")
    at = start
    for _ in range(count):
        if content[at : at + 4] != b"PK\x01\x02" or at + 46 > end:
            raise ArchiveError("the archive is damaged")
        made_by, _, flags, method, _, _, crc, packed, size, name_size, extra, note, _, _, mode, local = struct.unpack_from("<HHHHHHIIIHHHHHII", content, at + 4)
        name = _name(content[at + 46 : at + 46 + name_size])
        at += 46 + name_size + extra + note
        if flags & 1:
            raise ArchiveError(f"{name[:80]!r} is encrypted", "pack it without a password")
        if made_by >> 8 == 3 and (mode >> 16) & 0xF000 not in (0, 0x8000, 0x4000):
            raise ArchiveError(f"{name[:80]!r} is a link or no plain file", "a package has plain files only; put the file itself there")
        if name.endswith("/"):
            continue
        files.room(size, name)
        body = _zipped(content, local, packed, size, method)
        if zlib.crc32(body) != crc:
            raise ArchiveError(f"{name[:80]!r} is damaged in the archive")
        files.add(name, body)


def _zipped(content: bytes, local: int, packed: int, size: int, method: int) -> bytes:
    if content[local : local + 4] != b"PK\x03\x04" or local + 30 > len(content):
        raise ArchiveError("the archive is damaged")
    name_size, extra = struct.unpack_from("<HH", content, local + 26)
    begin = local + 30 + name_size + extra
    raw = content[begin : begin + packed]
    if method == 0:
        body = raw
    elif method == 8:
        try:
            body = zlib.decompressobj(-15).decompress(raw, size + 1)
        except zlib.error:
            raise ArchiveError("the archive is damaged") from None
    else:
        raise ArchiveError("a file in the archive is packed in an unusual way", "pack it with deflate")
    if len(body) != size or len(raw) != packed:
        raise ArchiveError("the archive is damaged")
    return body
