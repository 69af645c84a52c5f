"""Package URLs (purl): what a package is called across ecosystems.

Owns their reading and the mapping of the names that vulnerability lists use for ecosystems. Never compares versions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

MOST = 2048
_TYPE = re.compile(r"[a-z][a-z0-9.+-]{0,31}\Z")
DISTRIBUTIONS = {"deb": "debian", "apk": "alpine", "rpm": ""}


class PurlError(ValueError):
    """A text that is no package URL."""


@dataclass(frozen=True, slots=True)
class Package:
    """One package of an image. `ecosystem` is a purl's type (deb, pypi, npm ...); `name` with its namespace where names need one ("@scope/x",
    "org.apache:log4j"); `distro` such as "debian-12", empty where it is not said. `origin` is the source package it was built of, which is what lists of
    Debian and Alpine name; `origin_version` its version, where it is another."""

    ecosystem: str
    name: str
    version: str
    purl: str = ""
    distro: str = ""
    origin: str = ""
    origin_version: str = ""


def read_purl(text: str) -> Package:
    """What a package URL names. Raises PurlError."""
    if len(text) > MOST or not text.startswith("pkg:"):
        raise PurlError(f"{text[:80]!r} is no package URL; it begins with pkg:")
    rest, _, _ = text[4:].partition("#")
    rest, _, query = rest.partition("?")
    path, at, version = rest.strip("/").rpartition("@")
    if not at:
        path, version = rest.strip("/"), ""
    kind, slash, names = path.partition("/")
    kind = kind.lower()
    parts = [unquote(part) for part in names.split("/") if part]
    if not _TYPE.match(kind) or not slash or not parts:
        raise PurlError(f"{text[:80]!r} is no package URL; it is pkg:TYPE/NAME@VERSION")
    qualifiers = {key.lower(): value for key, value in parse_qsl(query, max_num_fields=64)}
    space, name = "/".join(parts[:-1]), parts[-1]
    distro = origin = origin_version = ""
    if kind in DISTRIBUTIONS:
        told = qualifiers.get("distro", "").lower()
        family = space.lower() or DISTRIBUTIONS[kind]
        distro = told if told.startswith(f"{family}-") else f"{family}-{told}" if told[:1].isdigit() else family
        origin, _, origin_version = qualifiers.get("upstream", "").partition("@")
    elif space:
        name = f"{space}:{name}" if kind == "maven" else f"{space}/{name}"
    return Package(kind, normal_name(kind, name), unquote(version), text, distro, origin.lower(), origin_version)


def normal_name(ecosystem: str, name: str) -> str:
    """A name as it is compared: Python's with dashes and in lower case (PEP 503), most others in lower case."""
    if ecosystem == "pypi":
        return re.sub(r"[-_.]+", "-", name).lower()
    return name if ecosystem in ("maven", "golang") else name.lower()


# --- ecosystems as OSV names them -----------------------------------------------------------------------------------------

_OSV = {
    "debian": "deb",
    "ubuntu": "deb",
    "alpine": "apk",
    "pypi": "pypi",
    "npm": "npm",
    "go": "golang",
    "maven": "maven",
    "crates.io": "cargo",
    "rubygems": "gem",
    "nuget": "nuget",
    "packagist": "composer",
    "hex": "hex",
    "pub": "pub",
    "red hat": "rpm",
    "rocky linux": "rpm",
    "almalinux": "rpm",
    "suse": "rpm",
}
_FAMILY = {"red hat": "redhat", "rocky linux": "rocky", "almalinux": "almalinux"}


def osv_ecosystem(name: str) -> tuple[str, str]:
    """A purl's type and a distribution ("debian-12", "" for none) from an ecosystem of a list: "Debian:12", "PyPI", "Alpine:v3.18"."""
    base, _, release = name.lower().partition(":")
    kind = _OSV.get(base, base)
    if kind not in DISTRIBUTIONS:
        return kind, ""
    family = _FAMILY.get(base, base)
    release = release.removeprefix("v").partition(":")[0]
    return kind, f"{family}-{release}" if release else family


def same_distro(package: str, listed: str) -> bool:
    """Whether a list for `listed` speaks of a package of `package`. What does not say its release may be of any; what says too much ("alpine-3.18.4") is of
    the release it begins with."""
    if not listed or not package:
        return True
    one, _, release = package.partition("-")
    other, _, wanted = listed.partition("-")
    if one != other:
        return False
    return not release or not wanted or release == wanted or release.startswith(f"{wanted}.")
