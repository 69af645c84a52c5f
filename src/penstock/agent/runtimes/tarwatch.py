"""Watching a tar stream go by: how many entries, whether anything beside its root, and whether it came to its proper end.

Owns reading headers of POSIX ustar and pax archives (POSIX.1-2017, pax, "ustar Interchange Format") as far as that needs. Extracts nothing,
keeps nothing: engines end a broken-off archive like a complete one, and only the end-of-archive blocks tell them apart.
"""

from __future__ import annotations

BLOCK = 512
_NOTHING = ("", "lost+found")  # the root itself, and what a fresh ext4 file system holds


class TarFault(ValueError):
    """The bytes are no tar archive."""


class TarWatch:
    """Feed it the stream. `entries` counts files, folders and links beside the root; `whole` turns True at the end-of-archive block."""

    def __init__(self, root: str) -> None:
        self._root = root.strip("/")
        self._head = bytearray()
        self._skip = 0
        self.entries = 0
        self.astray = ""  # the first entry that lies outside the root, if any
        self.data_entries = 0
        self.whole = False

    def feed(self, data: bytes) -> None:
        """The next bytes, any length. Raises TarFault."""
        view = memoryview(data)
        while view and not self.whole:
            if self._skip:
                step = min(self._skip, len(view))
                self._skip -= step
                view = view[step:]
                continue
            step = min(BLOCK - len(self._head), len(view))
            self._head += view[:step]
            view = view[step:]
            if len(self._head) == BLOCK:
                self._header(bytes(self._head))
                self._head.clear()

    def _header(self, block: bytes) -> None:
        if not block.strip(b"\0"):
            self.whole = True
            return
        if sum(block[:148]) + 8 * 32 + sum(block[156:]) != _number(block[148:156]):
            raise TarFault("a header of the archive has a wrong checksum")
        size = _number(block[124:136])
        self._skip = (size + BLOCK - 1) // BLOCK * BLOCK
        if block[156:157] in (b"x", b"g", b"L", b"K", b"N", b"V"):
            return
        if block[156:157] in (b"1", b"2", b"3", b"4", b"5", b"6"):
            self._skip = 0  # links, devices, folders and pipes have no data, whatever their size field says
        name = block[:100].split(b"\0", 1)[0].decode("utf-8", "replace")
        prefix = block[345:500].split(b"\0", 1)[0].decode("utf-8", "replace") if block[257:262] == b"ustar" else ""
        path = f"{prefix}/{name}" if prefix else name
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if parts and parts[0] == self._root:
            del parts[0]
        elif parts and not self.astray:
            self.astray = path
        if ".." in parts:
            self.astray = self.astray or path
        if not parts:
            return
        self.entries += 1
        if "/".join(parts) not in _NOTHING:
            self.data_entries += 1


def _number(field: bytes) -> int:
    """A numeric field: octal text, or base 256 where the first bit is set (GNU, for sizes of 8 GiB and more)."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    text = field.strip(b"\0 ")
    if not text:
        return 0
    try:
        return int(text, 8)
    except ValueError:
        raise TarFault("a number in a header of the archive is not octal") from None
