"""Which of two versions is later, by the rules of the ecosystem they belong to.

Owns the orders of Debian (deb-version(7)), Python (PEP 440), npm and semantic versions (semver.org 2.0.0, point 11) and Alpine (apk-tools' own). A key
is a tuple that Python compares; a text that is no version of its ecosystem has none. Ecosystems without an order here are compared for equality only, and
`ORDERED` says which those are not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Key = tuple[Any, ...]
MOST = 255  # characters of a version


# --- Debian -------------------------------------------------------------------------------------------------------------

_DEB = re.compile(r"(?:(?P<epoch>[0-9]{1,9}):)?(?P<upstream>[A-Za-z0-9.+~:-]*?)(?:-(?P<revision>[A-Za-z0-9+.~]*))?\Z")


def _letter(one: str) -> int:
    """Where a character that is no digit stands: "~" before the end, the end before letters, letters before the rest."""
    return -1 if one == "~" else ord(one) if one.isalpha() else ord(one) + 256


def _deb_part(text: str) -> Key:
    """Runs of other characters and of digits in turn, as dpkg walks them. A run of others ends in 0, which is the end's place."""
    found: list[Any] = []
    at = 0
    while at < len(text) or not found:
        start = at
        while at < len(text) and not text[at].isdigit():
            at += 1
        found.append((*map(_letter, text[start:at]), 0))
        start = at
        while at < len(text) and text[at].isdigit():
            at += 1
        found.append(int(text[start:at] or "0"))
    found.append((0,))  # the end: more than "~", no more than nothing
    return tuple(found)


def deb(text: str) -> Key | None:
    """Debian's order."""
    found = _DEB.match(text)
    if found is None or not text.isascii() or not found["upstream"]:
        return None
    return int(found["epoch"] or 0), _deb_part(found["upstream"]), _deb_part(found["revision"] or "0")


# --- Python -------------------------------------------------------------------------------------------------------------

_PEP440 = re.compile(
    r"v?(?:(?P<epoch>[0-9]+)!)?(?P<release>[0-9]+(?:\.[0-9]+)*)"
    r"(?:[-_.]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_n>[0-9]*))?"
    r"(?:-(?P<post_bare>[0-9]+)|[-_.]?(?P<post>post|rev|r)[-_.]?(?P<post_n>[0-9]*))?"
    r"(?:[-_.]?(?P<dev>dev)[-_.]?(?P<dev_n>[0-9]*))?"
    r"(?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?\Z"
)
_PRE = {"alpha": 0, "a": 0, "beta": 1, "b": 1, "preview": 2, "pre": 2, "c": 2, "rc": 2}
_NEVER, _LAST = -1, 10**30


def pypi(text: str) -> Key | None:
    """Python's order (PEP 440): dev before pre-releases before the release before post-releases; local versions after their public one."""
    found = _PEP440.match(text.strip().lower())
    if found is None:
        return None
    release = [int(part) for part in found["release"].split(".")]
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    post = int(found["post_bare"] or found["post_n"] or 0) if found["post_bare"] or found["post"] else _NEVER
    dev = int(found["dev_n"] or 0) if found["dev"] else _LAST
    bare = (_NEVER, 0) if found["dev"] and post == _NEVER else (_LAST, 0)  # a dev release of the release itself comes before its pre-releases
    pre = (_PRE[found["pre"]], int(found["pre_n"] or 0)) if found["pre"] else bare
    local = tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.split(r"[-_.]", found["local"])) if found["local"] else ()
    return int(found["epoch"] or 0), tuple(release), pre, post, dev, local


# --- semantic versions ------------------------------------------------------------------------------------------------------

_SEMVER = re.compile(r"[v=]?(?P<core>[0-9]+(?:\.[0-9]+){0,2})(?:-(?P<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?\Z")


def semver(text: str) -> Key | None:
    """The order of semantic versions; build metadata says nothing. A missing minor or patch is 0."""
    found = _SEMVER.match(text.strip())
    if found is None:
        return None
    core = [int(part) for part in found["core"].split(".")]
    core += [0] * (3 - len(core))
    if not found["pre"]:
        return (*core, 1, ())
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in found["pre"].split("."))
    return (*core, 0, parts)


# --- Alpine ---------------------------------------------------------------------------------------------------------------

_APK = re.compile(r"(?P<numbers>[0-9]+(?:\.[0-9]+)*)(?P<letter>[a-z]?)(?P<suffixes>(?:_[a-z]+[0-9]*)*)(?:~[0-9a-f]+)?(?:-r(?P<revision>[0-9]+))?\Z")
_APK_SUFFIX = {"alpha": -4, "beta": -3, "pre": -2, "rc": -1, "cvs": 1, "svn": 2, "git": 3, "hg": 4, "p": 5}


def apk(text: str) -> Key | None:
    """Alpine's order: numbers, a letter, suffixes (_alpha _beta _pre _rc before, _p and its kin after), the revision. Numbers after the first
    that begin with 0 are compared as text, before those that do not."""
    found = _APK.match(text)
    if found is None:
        return None
    numbers = found["numbers"].split(".")
    parts: list[Key] = [(1, int(numbers[0]), "")]
    parts += [(0, 0, part) if part[0] == "0" else (1, int(part), "") for part in numbers[1:]]
    suffixes: list[Key] = []
    for one in found["suffixes"].split("_")[1:]:
        word = one.rstrip("0123456789")
        if word not in _APK_SUFFIX:
            return None
        suffixes.append((_APK_SUFFIX[word], int(one[len(word) :] or 0)))
    return tuple(parts), found["letter"], (*suffixes, (0, 0)), int(found["revision"] or 0)


# --- all of them ------------------------------------------------------------------------------------------------------------

ORDERED: dict[str, Callable[[str], Key | None]] = {"deb": deb, "pypi": pypi, "npm": semver, "semver": semver, "apk": apk}


def key(ecosystem: str, version: str) -> Key | None:
    """What to compare a version by; None where its ecosystem has no order here, or the text is no version of it."""
    order = ORDERED.get(ecosystem)
    return order(version) if order is not None and 0 < len(version) <= MOST else None


def compare(ecosystem: str, a: str, b: str) -> int | None:
    """-1, 0 or 1; None where they cannot be compared (equal texts always can)."""
    if a == b:
        return 0
    one, two = key(ecosystem, a), key(ecosystem, b)
    if one is None or two is None:
        return None
    return (one > two) - (one < two)
