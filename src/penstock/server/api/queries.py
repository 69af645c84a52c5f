"""The query parameters of /api/v1, as shapes. Unknown ones are refused: a misspelt filter must not look like an empty one."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

from msgspec import Meta, Struct

Cursor = Annotated[str, Meta(max_length=500, description="opaque; `next` of the page before")]
Limit = Annotated[int, Meta(ge=1, le=200)]
WHOLE = 1 << 30  # the limit of a page of ours that shows a list whole; nobody can ask for it
Word = Annotated[str, Meta(max_length=200)]


class Paging(Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a list."""

    cursor: Cursor = ""
    limit: Limit = 50


class Listed(Protocol):
    """What every query of a list has that is sorted and cut by `lists.part`."""

    @property
    def sort(self) -> str: ...
    @property
    def cursor(self) -> str: ...
    @property
    def limit(self) -> int: ...


class Devices(Struct, frozen=True, forbid_unknown_fields=True):
    """Which devices, and in which order. `group` is an id or a name; `label` is a selector such as "line=3,!spare"; `phase` may name several, separated by commas."""

    site: Word = ""
    group: Word = ""
    phase: Word = ""
    liveness: Literal["", "never", "current", "late", "silent"] = ""
    state: Literal["", "active", "quarantined", "retired"] = ""
    drift: bool | None = None
    way_back: Literal["", "ok", "missing", "none"] = ""
    label: Annotated[str, Meta(max_length=1000)] = ""
    text: Word = ""
    app: Word = ""
    outdated: bool | None = None
    sort: Literal["worst", "name", "seen"] = "worst"
    cursor: Cursor = ""
    limit: Limit = 50


class Compare(Struct, frozen=True, forbid_unknown_fields=True):
    """Which two, by id or name."""

    a: Annotated[str, Meta(min_length=1, max_length=200)]
    b: Annotated[str, Meta(min_length=1, max_length=200)]


class Find(Struct, frozen=True, forbid_unknown_fields=True):
    """What to look for, one of the three: a `digest`; a `package` such as "openssl <3.0.11", "pypi:flask" or a package URL; a vulnerability, as `cve`."""

    digest: Word = ""
    package: Annotated[str, Meta(max_length=500)] = ""
    cve: Annotated[str, Meta(max_length=128)] = ""


class CompareReleases(Struct, frozen=True, forbid_unknown_fields=True):
    """Two releases of an app, by id or "app:version"; or what runs on `device`, in place of `a`. `engine`: what devices of it get, docker or podman; empty for
    what is common."""

    b: Annotated[str, Meta(min_length=1, max_length=200)]
    a: Word = ""
    device: Word = ""
    engine: Word = ""


class Timeline(Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a timeline; `kinds` are separated by commas, none means all."""

    kinds: Word = ""
    cursor: Cursor = ""
    limit: Limit = 50


class Enrolments(Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests for admission."""

    status: Literal["waiting", "approved", "rejected"] = "waiting"
    site: Word = ""
    text: Word = ""
    sort: Literal["newest", "name"] = "newest"
    cursor: Cursor = ""
    limit: Limit = 50


class Joins(Struct, frozen=True, forbid_unknown_fields=True):
    """Which join tokens; `good`: those that still let somebody in, or those that do not."""

    site: Word = ""
    good: bool | None = None
    sort: Literal["newest", "expires"] = "newest"
    cursor: Cursor = ""
    limit: Limit = 50


class Tokens(Struct, frozen=True, forbid_unknown_fields=True):
    """Which API tokens."""

    sort: Literal["newest", "label", "expires"] = "newest"
    cursor: Cursor = ""
    limit: Limit = 50


class Groups(Struct, frozen=True, forbid_unknown_fields=True):
    """Which groups; `text` looks in names and titles."""

    text: Word = ""
    sort: Literal["name", "title", "members"] = "name"
    cursor: Cursor = ""
    limit: Limit = 50


class Sites(Struct, frozen=True, forbid_unknown_fields=True):
    """Which sites; `text` looks in names and titles."""

    text: Word = ""
    sort: Literal["name", "title", "devices"] = "name"
    cursor: Cursor = ""
    limit: Limit = 50


class Apps(Struct, frozen=True, forbid_unknown_fields=True):
    """Which apps; `text` looks in names and titles."""

    text: Word = ""
    sort: Literal["name", "title", "newest"] = "name"
    cursor: Cursor = ""
    limit: Limit = 50


class Releases(Struct, frozen=True, forbid_unknown_fields=True):
    """Which releases; `text` looks in apps, versions and notes."""

    app: Word = ""
    text: Word = ""
    sort: Literal["newest", "app"] = "newest"
    cursor: Cursor = ""
    limit: Limit = 50


class Deployments(Struct, frozen=True, forbid_unknown_fields=True):
    """Which deployments; `text` looks in names and apps."""

    app: Word = ""
    state: Literal["", "standing", "withdrawn"] = ""
    text: Word = ""
    sort: Literal["oldest", "name", "changed"] = "oldest"
    cursor: Cursor = ""
    limit: Limit = 50


class Rollouts(Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a deployment's rollouts."""

    sort: Literal["newest"] = "newest"
    cursor: Cursor = ""
    limit: Limit = 50


class Members(Struct, frozen=True, forbid_unknown_fields=True):
    """Which devices of a rollout."""

    state: Word = ""
    cursor: Cursor = ""
    limit: Limit = 50


class History(Struct, frozen=True, forbid_unknown_fields=True):
    """Which acts, newest first."""

    subject: Word = ""
    cursor: Cursor = ""
    limit: Limit = 50


class Events(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a stream of events begins: after this number (Last-Event-ID wins); -1 is now."""

    after: Annotated[int, Meta(ge=-1, le=2**53 - 1)] = -1


class Changes(Struct, frozen=True, forbid_unknown_fields=True):
    """What a stream of changes is about: one to eight topics, separated by commas: fleet, enrolments, deployments, events, device/ID, rollout/ID."""

    topics: Annotated[str, Meta(min_length=1, max_length=700)]


class Faults(Struct, frozen=True, forbid_unknown_fields=True):
    """Which faults: of one severity, kind, site or device; `known` true: only those somebody knows of, false: only news."""

    severity: Literal["", "bad", "warn"] = ""
    kind: Word = ""
    site: Word = ""
    device: Word = ""
    known: bool | None = None
    cursor: Cursor = ""
    limit: Limit = 50


class Users(Struct, frozen=True, forbid_unknown_fields=True):
    """Which people and service accounts; `text` is part of a name or title."""

    kind: Literal["", "person", "service"] = ""
    text: Word = ""
    cursor: Cursor = ""
    limit: Limit = 50


class Bindings(Struct, frozen=True, forbid_unknown_fields=True):
    """Which bindings: of whom, on exactly which part of the fleet, of which role."""

    who: Word = ""
    on: Word = ""
    role: Word = ""
    cursor: Cursor = ""
    limit: Limit = 50


class Explain(Struct, frozen=True, forbid_unknown_fields=True):
    """Who may do what on which part of the fleet; nobody named: oneself."""

    verb: Word
    what: Word
    who: Word = ""


class Effective(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose rights; nobody named: one's own."""

    who: Word = ""


class WhoCan(Struct, frozen=True, forbid_unknown_fields=True):
    """Who may do what on which part of the fleet."""

    verb: Word
    what: Word
    cursor: Cursor = ""
    limit: Limit = 50


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Of which app, at which level (fleet, group, site, device); `part` is the group, site or device by id or name; `name` one parameter, all if left out."""

    app: Word
    level: Literal["fleet", "group", "site", "device"] = "fleet"
    part: Word = ""
    name: Word = ""


class Repository(Struct, frozen=True, forbid_unknown_fields=True):
    """Which repository of the image registry."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
