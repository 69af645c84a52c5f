"""Holds by file: what a file in the folder `holds.d` says, and how the holds follow the files.

Owns the format (docs/holds-and-consent.md). A file that cannot be understood holds the whole device for one shift: who wrote it wanted a hold, and half of one
would be none. A file that lies there after its lease has run out holds nothing, and is shown. Never reads a folder: names and bytes come as arguments.
"""

from __future__ import annotations

from penstock.rules.holds import DEFAULT_LEASE_MS, Kept, forgotten, keep
from penstock.rules.instants import When, read_instant, read_span, show_span
from penstock.wire.holds import MAX_HOLDS, MAX_LEASE_MS, Hold
from penstock.wire.record import record, replace
from penstock.wire.types import name_fault, sha256_of

MAX_FILE = 4096  # bytes
KEYS = ("reason", "for", "until", "app", "owner", "program")
PREFIX = "file:"


@record
class HoldFile:
    """One file of the folder as found. `mark` changes when the file is rewritten or touched (its time of change, to the nanosecond); `fault`: why it could not be
    read (not a regular file, too large, not ours to read)."""

    name: str
    data: bytes
    mark: str
    fault: str = ""


@record
class Said:
    """What a file says. `until_ms` 0: it says how long (`lease_ms`). `fault`: what cannot be understood, with its line."""

    reason: str = ""
    lease_ms: int = DEFAULT_LEASE_MS
    until_ms: int = 0
    app: str = ""
    owner: str = ""
    program: bool = False
    fault: str = ""


def passed_over(name: str) -> bool:
    """Whether a name is that of a file still being written, or of an editor's leavings. Write beside under such a name, then rename."""
    return name.startswith(".") or name.endswith(("~", ".tmp", ".new", ".swp"))


def read_hold_file(data: bytes) -> Said:
    """What the bytes of a hold file say. An empty file is a hold of the whole device for one shift."""
    if len(data) > MAX_FILE:
        return Said(fault=f"it has more than {MAX_FILE} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return Said(fault="it is not text in UTF-8")
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        key, colon, value = bare.partition(":")
        key, value = key.strip().lower(), value.strip()
        if not colon or key not in KEYS:
            return Said(fault=f"line {number}: {bare[:40]!r} does not begin with one of {', '.join(f'{one}:' for one in KEYS)}")
        if key in found:
            return Said(fault=f"line {number}: {key} stands twice")
        if not value or not value.isprintable():
            return Said(fault=f"line {number}: {key} says nothing that can be read")
        found[key] = value
    return _said(found)


def _said(found: dict[str, str]) -> Said:
    if "for" in found and "until" in found:
        return Said(fault="for and until stand together; one of them says when it ends")
    if "owner" in found and "program" in found:
        return Said(fault="owner and program stand together; it is a person's or a program's")
    lease: int | None = DEFAULT_LEASE_MS
    if "for" in found:
        lease = read_span(found["for"])
        if lease is None:
            return Said(fault=f"for: {found['for'][:40]!r} is no span such as 90m, 2h or 1d12h")
    until: int | None = 0
    if "until" in found:
        until = read_instant(found["until"])
        if until is None:
            return Said(fault=f"until: {found['until'][:40]!r} is no time with its offset, such as 2026-05-03T06:00+02:00")
    if "app" in found and name_fault(found["app"]):
        return Said(fault=f"app: {name_fault(found['app'])}")
    owner = found.get("owner") or found.get("program") or ""
    return Said(found.get("reason", "")[:300], min(lease, MAX_LEASE_MS) if lease else 0, until or 0, found.get("app", ""), owner[:80], "program" in found)


def identity_of(name: str) -> str:
    """The id of the hold a file is. A name that is long or does not print is shortened and gets a digest, so that no two files are ever the same hold."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in name)
    if clean == name and len(name) <= 64:
        return PREFIX + name
    return f"{PREFIX}{clean[:48]}~{sha256_of(name.encode('utf-8', 'surrogatepass'))[7:23]}"


def from_file(file: HoldFile, when: When) -> Kept:
    """The hold that a file is, as of this moment."""
    said = Said(fault=file.fault) if file.fault else read_hold_file(file.data)
    note = ""
    lease = said.lease_ms
    if said.fault:
        note = (
            f"The file {file.name} cannot be understood ({said.fault}), so it holds the whole device for {show_span(DEFAULT_LEASE_MS)}. Mend it, or remove it."
        )
    elif said.until_ms and when.clock == "trusted":
        lease = said.until_ms - when.now_ms
        if lease > MAX_LEASE_MS:
            note = "It asks for more than 30 days, which is the most; touch the file to renew it."
    elif said.until_ms:
        lease = MAX_LEASE_MS
    over = lease <= 0  # its time had passed when it was put there
    lease = min(max(lease, 1), MAX_LEASE_MS)
    name = identity_of(file.name)
    reason = said.reason or ("a file that cannot be understood" if said.fault else "no reason was given")
    hold = Hold(
        id=name,
        scope="app" if said.app else "device",
        reason=reason,
        owner_kind="program" if said.program else "person",
        owner=said.owner or name,
        origin="site",
        placed_ms=when.now_ms,
        expires_ms=when.now_ms + lease,
        app=said.app,
        owner_name=said.owner or f"the file {name[len(PREFIX) :]} in holds.d",
    )
    kept = keep(hold, when, "file", file.mark, note)
    if over:
        return replace(kept, until_ms=said.until_ms, spent_ms=lease)
    if said.until_ms and when.clock != "trusted":
        return replace(kept, until_ms=said.until_ms)  # measured by nobody, but right once the clock can be trusted
    return kept


def follow(holds: tuple[Kept, ...], files: tuple[HoldFile, ...], when: When) -> tuple[Kept, ...]:
    """The holds after a look into the folder: a new file is a hold, a changed or touched one is renewed, one that is gone has been let go. More files than a
    device keeps are one hold of the whole device."""
    there = {from_file(file, when).hold.id: file for file in _bounded(files)}
    result: list[Kept] = []
    for kept in holds:
        file = there.pop(kept.hold.id, None) if kept.source == "file" else None
        if kept.source != "file":
            result.append(kept)
        elif file is None:
            result.append(_gone(kept, when))
        elif file.mark != kept.mark:
            fresh = from_file(file, when)
            result.append(replace(fresh, hold=replace(fresh.hold, revision=kept.hold.revision + 1)))
        else:
            result.append(kept)
    return forgotten((*result, *(from_file(file, when) for file in there.values())), when)


def _bounded(files: tuple[HoldFile, ...]) -> list[HoldFile]:
    mine = sorted((file for file in files if not passed_over(file.name)), key=lambda one: one.name)
    if len(mine) <= MAX_HOLDS:
        return mine
    return [*mine[: MAX_HOLDS - 1], HoldFile("(too many)", b"", "", f"there are {len(mine)} files in holds.d, and {MAX_HOLDS} are read")]


def _gone(kept: Kept, when: When) -> Kept:
    """The hold of a file that was removed: let go, and from now on kept under a name of its own, since the same file may come again."""
    hold = kept.hold
    if not hold.released_ms:
        hold = replace(hold, released_ms=max(when.now_ms, 1), released_by="whoever removed the file")
    return replace(kept, hold=replace(hold, id=f"{hold.id[len(PREFIX) :][:50]} until {hold.released_ms}"), source="gone")
