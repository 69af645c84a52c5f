"""Giving memory back before a long rest: pages of programs and libraries that were only needed to start, and freed heap.

Owns that one act. What is given back is clean file content; the kernel brings any of it again when it is touched, for a few faults. Starting
an interpreter and a TLS library touches megabytes that an idle agent never needs again, and on a device with 256 MB they belong to the plant.
Never touches a page that has been written to.
"""

from __future__ import annotations

import ctypes

_DONTNEED = 4  # madvise(2): for private mappings of files, written pages would be lost, so only mappings without one are named


def give_back() -> int:
    """Bytes of mapped file pages given back; 0 where the kernel does not say what is mapped how."""
    try:
        with open("/proc/self/smaps", encoding="ascii", errors="replace") as source:
            chosen = _clean(source.read())
        with open("/proc/self/maps", encoding="ascii", errors="replace") as source:
            ours = {line.partition(" ")[0] for line in source}
    except OSError:
        return 0
    libc = _library()
    given = 0
    for begin, end, resident in chosen:
        # An emulator of processors shows our addresses in the one and its host's in the other, and those are anything here.
        if f"{begin:08x}-{end:08x}" in ours and libc.madvise(begin, end - begin, _DONTNEED) == 0:
            given += resident
    if hasattr(libc, "malloc_trim"):  # glibc's; others give freed memory back by themselves
        libc.malloc_trim(ctypes.c_size_t(0))
    return given


_loaded: list[ctypes.CDLL] = []


def _library() -> ctypes.CDLL:
    """The C library, bound once: each binding makes classes that only the collector frees."""
    if not _loaded:
        _loaded.append(ctypes.CDLL(None))
        _loaded[0].madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return _loaded[0]


def _clean(smaps: str) -> list[tuple[int, int, int]]:
    """Begin, end and resident bytes of mappings that are of a file, cannot be written, and hold no page of their own."""
    found: list[tuple[int, int, int]] = []
    begin = end = resident = 0
    fits = False
    for line in smaps.splitlines():
        words = line.split()
        if len(words) >= 5 and "-" in words[0] and not words[0].endswith(":"):
            first, _, last = words[0].partition("-")
            begin, end = int(first, 16), int(last, 16)
            fits = len(words) >= 6 and words[5].startswith("/") and words[1][1] == "-" and words[1][3] == "p"
            resident = 0
        elif fits and words and words[0] == "Rss:":
            resident = int(words[1]) * 1024
        elif fits and words and words[0] == "Anonymous:" and words[1] == "0" and resident:
            found.append((begin, end, resident))
    return found
