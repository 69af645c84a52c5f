"""Which packages a vulnerability affects: lists in the OSV format or as CSV, and the judgement of one package.

Owns the reading of one entry and its limits, and `judge`, which says affected, not affected, or that it cannot be told (no order of versions is known
for that ecosystem). Never looks anything up.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import Any

from penstock.server.core.purl import Package, PurlError, normal_name, osv_ecosystem, read_purl, same_distro
from penstock.server.core.versionorder import ORDERED, compare, key

MOST_AFFECTED = 5000  # packages of one entry
MOST_VERSIONS = 20_000
MOST_TEXT = 255
MOST_ROWS = 100_000

AFFECTED, CLEAR, UNKNOWN = "affected", "clear", "unknown"


class ListError(ValueError):
    """An entry that cannot be read. The text names the place."""


@dataclass(frozen=True, slots=True)
class Span:
    """A range of versions by its events, in the order they stand: (introduced | fixed | last_affected, version). `order` is the ecosystem whose order counts."""

    order: str
    events: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Affected:
    """One package that a vulnerability affects, in `spans` and in the exact `versions`. Neither: in every version."""

    ecosystem: str
    name: str
    distro: str = ""
    spans: tuple[Span, ...] = ()
    versions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """One entry of a list. `names`: its id and aliases (CVE-...), upper case as lists write them."""

    id: str
    names: tuple[str, ...]
    summary: str
    severity: str
    modified: str
    affected: tuple[Affected, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said of one package. `fixed`: the version to go to, empty where there is none known."""

    word: str
    fixed: str = ""
    why: str = ""


# --- judging --------------------------------------------------------------------------------------------------------------


def judge(package: Package, entries: tuple[Affected, ...]) -> Verdict:
    """Whether a package is affected by a vulnerability. The worst of its entries counts."""
    mine = [one for one in entries if _speaks_of(one, package)]
    verdicts = [_one(package, entry) for entry in mine]
    for word in (AFFECTED, UNKNOWN):
        for verdict in verdicts:
            if verdict.word == word:
                return verdict
    return Verdict(CLEAR)


def _speaks_of(entry: Affected, package: Package) -> bool:
    return entry.ecosystem == package.ecosystem and entry.name in (package.name, package.origin) and same_distro(package.distro, entry.distro)


def _one(package: Package, entry: Affected) -> Verdict:
    version = package.origin_version if package.origin_version and entry.name == package.origin else package.version
    if not version:
        return Verdict(UNKNOWN, why="its version is not known")
    if version in entry.versions:
        return Verdict(AFFECTED, _fixed(version, entry))
    if not entry.spans:
        return Verdict(CLEAR) if entry.versions else Verdict(AFFECTED)
    unknown = ""
    for span in entry.spans:
        found = _inside(version, span)
        if found is None:
            unknown = f"versions of {span.order} are compared for equality only" if span.order not in ORDERED else f"{version} is no version of {span.order}"
        elif found:
            return Verdict(AFFECTED, _fixed(version, entry))
    return Verdict(UNKNOWN, why=unknown) if unknown else Verdict(CLEAR)


def _inside(version: str, span: Span) -> bool | None:
    """Whether a version lies in a span (OSV schema, evaluation); None where it cannot be told."""
    mine = key(span.order, version)
    if mine is None:
        return None
    keyed = []
    for event, at in span.events:
        place = () if at == "0" else key(span.order, at)
        if place is None:
            return None
        keyed.append((at != "0", place, event))
    # In the order of versions; where a version is both, the bugs come in before they go out.
    rank = {"introduced": 0, "last_affected": 1, "fixed": 2}
    inside = False
    for later, place, event in sorted(keyed, key=lambda one: (one[0], one[1], rank[one[2]])):
        if event == "introduced" and (not later or mine >= place):
            inside = True
        elif (event == "fixed" and mine >= place) or (event == "last_affected" and mine > place):
            inside = False
    return inside


def _fixed(version: str, entry: Affected) -> str:
    best = ""
    for span in entry.spans:
        for event, at in span.events:
            if event == "fixed" and compare(span.order, at, version) == 1 and (not best or compare(span.order, at, best) == -1):
                best = at
    return best


# --- OSV ------------------------------------------------------------------------------------------------------------------


def read_osv(plain: Any) -> Vulnerability | None:
    """One entry of a list in the OSV format; None for one that was withdrawn. Raises ListError."""
    if not isinstance(plain, dict):
        raise ListError("an entry is no JSON object")
    key_ = _text(plain.get("id"), "id")
    if not key_ or len(key_) > 128:
        raise ListError("an entry has no id of at most 128 characters")
    if plain.get("withdrawn"):
        return None
    listed = plain.get("affected", [])
    if not isinstance(listed, list) or len(listed) > MOST_AFFECTED:
        raise ListError(f"{key_}: affected is no list of at most {MOST_AFFECTED}")
    names = [key_, *(_text(one, f"{key_}: aliases") for one in plain.get("aliases") or () if one)]
    # Distributions name what they fix by their own id and say which CVE it is under `upstream`.
    names += [_text(one, f"{key_}: upstream") for one in plain.get("upstream") or () if one]
    affected = tuple(found for at, one in enumerate(listed) for found in _osv_package(one, f"{key_}: affected[{at}]"))
    summary = str(plain.get("summary") or plain.get("details") or "").strip()[:500]
    return Vulnerability(
        key_, tuple(dict.fromkeys(name.upper()[:128] for name in names)), summary, _severity(plain), str(plain.get("modified", ""))[:40], affected
    )


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or len(value) > MOST_TEXT:
        raise ListError(f"{where} is no text of at most {MOST_TEXT} characters")
    return value


def _severity(plain: dict[str, Any]) -> str:
    own = plain.get("database_specific")
    said = own.get("severity") if isinstance(own, dict) else None
    if isinstance(said, str):
        return said.lower()[:40]
    scores = plain.get("severity")
    first = scores[0] if isinstance(scores, list) and scores and isinstance(scores[0], dict) else {}
    return str(first.get("score", ""))[:120]


def _osv_package(one: Any, where: str) -> list[Affected]:
    if not isinstance(one, dict):
        raise ListError(f"{where} is no object")
    package = one.get("package")
    if not isinstance(package, dict):
        return []  # speaks of source code by commit, which no list of packages names
    ecosystem, distro = osv_ecosystem(_text(package.get("ecosystem"), f"{where}.package.ecosystem"))
    name = normal_name(ecosystem, _text(package.get("name"), f"{where}.package.name"))
    versions = one.get("versions") or []
    if not isinstance(versions, list) or len(versions) > MOST_VERSIONS:
        raise ListError(f"{where}.versions is no list of at most {MOST_VERSIONS}")
    spans = []
    for at, given in enumerate(one.get("ranges") or ()):
        if not isinstance(given, dict):
            raise ListError(f"{where}.ranges[{at}] is no object")
        if given.get("type") == "GIT":
            continue
        spans.append(_osv_span(given, ecosystem, f"{where}.ranges[{at}]"))
    exact = tuple(_text(version, f"{where}.versions") for version in versions)
    # Where the order is known, ranges say the same in less room.
    if spans and all(span.order in ORDERED for span in spans):
        exact = tuple(version for version in exact if key(spans[0].order, version) is None)
    if not spans and not exact:
        return []  # by commit only
    return [Affected(ecosystem, name, distro, tuple(spans), exact)]


def _osv_span(given: dict[str, Any], ecosystem: str, where: str) -> Span:
    events = given.get("events")
    if not isinstance(events, list) or not events or len(events) > 1000:
        raise ListError(f"{where}.events is no list of 1 to 1000")
    found = []
    for event in events:
        if not isinstance(event, dict) or len(event) != 1:
            raise ListError(f"{where}.events: each has one key")
        ((word, version),) = event.items()
        if word == "limit":
            continue
        if word not in ("introduced", "fixed", "last_affected"):
            raise ListError(f"{where}.events: {str(word)[:40]!r} is no event")
        found.append((str(word), _text(version, f"{where}.events.{word}")))
    return Span("semver" if given.get("type") == "SEMVER" else ecosystem, tuple(found))


# --- CSV ------------------------------------------------------------------------------------------------------------------

COLUMNS = ("id", "purl", "introduced", "fixed", "last_affected", "versions", "severity", "summary")


def read_csv(text: str) -> tuple[Vulnerability, ...]:
    """A list as CSV with a head line of `COLUMNS`, a package a line: `purl` names it without a version, `versions` are exact ones with spaces between; without
    `introduced` a range begins at the first version. Lines of one id are one entry. Raises ListError."""
    rows = csv.DictReader([f"{line}\n" for line in text.split("\n")])
    head = rows.fieldnames or ()
    unknown = [str(one) for one in head if one not in COLUMNS]
    if "id" not in head or "purl" not in head or unknown:
        raise ListError(f"line 1: {f'{unknown[0][:40]!r} is no column' if unknown else 'id or purl is missing'}; the columns are {', '.join(COLUMNS)}")
    found: dict[str, list[Any]] = {}
    try:
        for row in rows:
            line = rows.line_num
            if line > MOST_ROWS:
                raise ListError(f"it has more than the {MOST_ROWS} lines allowed")
            if None in row or any(value is None for value in row.values()):
                raise ListError(f"line {line} has not as many fields as the head")
            plain = {name: (row.get(name) or "").strip() for name in COLUMNS}
            if not plain["id"] or len(plain["id"]) > 128:
                raise ListError(f"line {line}: id has 1 to 128 characters")
            found.setdefault(plain["id"].upper(), [plain["summary"][:500], plain["severity"][:40].lower()]).append(_csv_package(plain, line))
    except csv.Error as fault:
        raise ListError(f"line {rows.line_num}: {fault}") from None
    return tuple(Vulnerability(name, (name,), kept[0], kept[1], "", tuple(kept[2:])) for name, kept in found.items())


def _csv_package(plain: dict[str, str], line: int) -> Affected:
    try:
        package = read_purl(plain["purl"])
    except PurlError as fault:
        raise ListError(f"line {line}: {fault}") from None
    if plain["fixed"] and plain["last_affected"]:
        raise ListError(f"line {line}: give fixed or last_affected, not both")
    versions = tuple(plain["versions"].split())
    if any(len(one) > MOST_TEXT for one in (*versions, plain["introduced"], plain["fixed"], plain["last_affected"])):
        raise ListError(f"line {line}: a version has more than {MOST_TEXT} characters")
    events: list[tuple[str, str]] = []
    if plain["introduced"] or plain["fixed"] or plain["last_affected"]:
        events.append(("introduced", plain["introduced"] or "0"))
        events += [(word, plain[word]) for word in ("fixed", "last_affected") if plain[word]]
    return Affected(package.ecosystem, package.name, package.distro, (Span(package.ecosystem, tuple(events)),) if events else (), versions)


# --- asking for a package ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """A package by name, in one ecosystem or any, and conditions on its version: (operator, version) each."""

    name: str
    ecosystem: str = ""
    conditions: tuple[tuple[str, str], ...] = ()


_OPERATORS = ("<=", ">=", "==", "=", "<", ">")


def read_asked(text: str) -> Asked:
    """ "openssl", "openssl 3.0.2", "openssl <3.0.11, >=3", "pypi:flask <2.3", or a package URL. Raises ListError."""
    text = text.strip()
    if not text or len(text) > 500:
        raise ListError("a package is asked for by its name, with at most 500 characters")
    if text.startswith("pkg:"):
        try:
            found = read_purl(text)
        except PurlError as fault:
            raise ListError(str(fault)) from None
        return Asked(found.name, found.ecosystem, (("=", found.version),) if found.version else ())
    at = next((place for place, letter in enumerate(text) if letter in "<>= "), len(text))
    name, rest = text[:at].strip(), text[at:].strip()
    ecosystem = ""
    head, colon, tail = name.partition(":")
    if colon and head.islower() and head.isalnum() and tail:
        ecosystem, name = head, tail
    if not name:
        raise ListError(f"{text[:80]!r} names no package; write openssl, or openssl <3.0.11")
    conditions = []
    for part in filter(None, (one.strip() for one in rest.split(","))):
        word = next((one for one in _OPERATORS if part.startswith(one)), "")
        version = part[len(word) :].strip()
        if not version or " " in version:
            raise ListError(f"{part[:80]!r} is no condition on a version; write <3.0.11, >=3 or =3.0.2")
        conditions.append((word if word not in ("", "==") else "=", version))
    return Asked(normal_name(ecosystem, name) if ecosystem else name, ecosystem, tuple(conditions))


def meets(package: Package, asked: Asked) -> Verdict:
    """Whether a package of the name asked for meets the conditions on its version."""
    for operator, wanted in asked.conditions:
        found = compare(package.ecosystem, package.version, wanted)
        if found is None and operator == "=":
            return Verdict(CLEAR)
        if found is None:
            known = package.ecosystem in ORDERED
            why = (
                f"{package.version or wanted} is no version of {package.ecosystem}"
                if known
                else f"versions of {package.ecosystem} are compared for equality only"
            )
            return Verdict(UNKNOWN, why=why)
        if not {"<": found < 0, "<=": found <= 0, "=": found == 0, ">": found > 0, ">=": found >= 0}[operator]:
            return Verdict(CLEAR)
    return Verdict(AFFECTED)
