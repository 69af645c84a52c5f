"""Who may do what, where: bindings of roles to people, teams and service accounts, each on a part of the fleet.

Owns the roles, the parts of the fleet a binding can be on, and the one judgement `may`, with its reason. Deny by default; bindings only ever add. Never
looks anything up: which team somebody is in and which groups a device is in are told to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

FLEET, GROUP, SITE, DEVICE, APP = "fleet", "group", "site", "device", "app"
KINDS = (FLEET, GROUP, SITE, DEVICE, APP)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the fleet that a binding is on: all of it (no id), or one group, site, device or app."""

    kind: str
    id: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.id}" if self.id else "the whole fleet"


@dataclass(frozen=True, slots=True)
class Binding:
    """A role for somebody on a part of the fleet. `subject` is the id of a person, a team or a service account."""

    id: str
    subject: str
    role: str
    on: Part
    given_by: str = ""
    reason: str = ""
    created_ms: int = 0


@dataclass(frozen=True, slots=True)
class Team:
    """People who get bindings together."""

    id: str
    name: str
    title: str
    created_ms: int
    revision: int = 1


@dataclass(frozen=True, slots=True)
class Target:
    """What an act or a question is about, as far as it is about one of each. Nothing named: the fleet as a whole.

    A device's target names its site and its groups too, so that whoever has the site has the device."""

    site: str = ""
    device: str = ""
    app: str = ""
    groups: frozenset[str] = frozenset()

    def parts(self) -> tuple[Part, ...]:
        """The parts of the fleet this lies in, the smallest first."""
        found = [Part(DEVICE, self.device)] if self.device else []
        found += [Part(APP, self.app)] if self.app else []
        found += [Part(GROUP, group) for group in sorted(self.groups)]
        found += [Part(SITE, self.site)] if self.site else []
        return (*found, Part(FLEET))


@dataclass(frozen=True, slots=True)
class Role:
    """A named set of verbs. `built_in` ones cannot be changed."""

    name: str
    title: str
    verbs: frozenset[str]
    built_in: bool = False


# --- verbs and roles ----------------------------------------------------------------------------------------------------

# What a route or a command may ask for: a noun and what is done to it.
_READ = frozenset(
    f"{noun}.read"
    for noun in (
        "sites",
        "groups",
        "joins",
        "enrolments",
        "devices",
        "apps",
        "releases",
        "deployments",
        "events",
        "settings",
        "users",
        "access",
        "notices",
        "upstreams",
    )
)
VERBS = _READ | frozenset(
    (
        "sites.write",
        "sites.people",
        "groups.write",
        "joins.write",
        "enrolments.decide",
        "devices.write",
        "devices.command",
        "devices.quarantine",
        "devices.retire",
        "faults.acknowledge",
        "releases.publish",
        "images.push",
        "images.pull",
        "deployments.write",
        "deployments.approve",
        "parameters.write",
        "settings.write",
        "users.write",
        "access.write",
        "notices.write",
        "upstreams.write",
        "vulnerabilities.write",
        "tokens.own",
        "system.backup",
        "system.metrics",
    )
)
_LOOK = frozenset(("sites.read", "groups.read", "devices.read", "apps.read", "releases.read", "deployments.read", "events.read", "notices.read", "tokens.own"))
_OPERATE = _LOOK | {"devices.command", "faults.acknowledge", "joins.read", "enrolments.read"}
_OWN = _OPERATE | {
    "joins.write",
    "enrolments.decide",
    "devices.write",
    "devices.quarantine",
    "devices.retire",
    "sites.people",
    "deployments.approve",
    "parameters.write",
}
_PUBLISH = frozenset(("apps.read", "releases.read", "releases.publish", "images.push", "images.pull", "tokens.own"))

BUILT_IN = {
    role.name: role
    for role in (
        Role("administrator", "Fleet administrator: everything", VERBS, built_in=True),
        Role(
            "engineer",
            "Fleet engineer: devices, releases and deployments; not people and settings",
            _OWN
            | _PUBLISH
            | {
                "groups.write",
                "deployments.write",
                "notices.write",
                "upstreams.read",
                "upstreams.write",
                "vulnerabilities.write",
                "settings.read",
                "system.metrics",
            },
            built_in=True,
        ),
        # Owners give roles on their own site, never more than they have: who works there is known there.
        Role(
            "site-owner",
            "Site owner: who and what comes to the site, and its approvals",
            _OWN | {"sites.write", "notices.write", "users.read", "access.read", "access.write"},
            built_in=True,
        ),
        Role("site-operator", "Site operator: looks, restarts, fetches logs", _OPERATE, built_in=True),
        Role("publisher", "Vendor or publisher: releases of apps, and how they fare", _PUBLISH | {"deployments.read"}, built_in=True),
        Role("approver", "Approver: agrees to changes", _LOOK | {"deployments.approve"}, built_in=True),
        Role("auditor", "Auditor: sees everything, changes nothing", _READ | {"system.metrics", "tokens.own"}, built_in=True),
        Role("viewer", "Viewer: sees devices, apps and deployments", _LOOK, built_in=True),
        Role("ci", "CI: publishes releases and moves deployments to them", _PUBLISH | {"deployments.read", "deployments.write", "devices.read"}, built_in=True),
    )
}


# --- judging ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Allow:
    """It may, by this binding."""

    by: Binding


@dataclass(frozen=True, slots=True)
class Deny:
    """It may not. `why` is a sentence; `roles` would do, on one of `parts`."""

    why: str
    roles: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Reach:
    """Everything a subject may do one verb on: what lists, counts, searches and streams are filtered by."""

    fleet: bool = False
    groups: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    apps: frozenset[str] = frozenset()
    within: Reach | None = None  # of a token: its owner's; what it may is in both

    def covers(self, target: Target) -> bool:
        """Whether a target lies inside."""
        inside = (
            self.fleet
            or (bool(target.site) and target.site in self.sites)
            or (bool(target.device) and target.device in self.devices)
            or (bool(target.app) and target.app in self.apps)
            or not self.groups.isdisjoint(target.groups)
        )
        return inside and (self.within is None or self.within.covers(target))

    def __bool__(self) -> bool:
        return (self.fleet or bool(self.groups or self.sites or self.devices or self.apps)) and (self.within is None or bool(self.within))

    @property
    def whole(self) -> bool:
        """Whether it is the whole fleet, so that nothing needs to be filtered."""
        return self.fleet and (self.within is None or self.within.whole)


EVERYWHERE = Reach(fleet=True)


@dataclass(frozen=True)
class Rights:
    """What one subject may do, ready to be asked thousands of times a second. Made by `rights_of`."""

    subject: str
    by_verb: Mapping[str, Mapping[Part, Binding]] = field(default_factory=dict)
    roles: Mapping[str, Role] = field(default_factory=lambda: BUILT_IN, repr=False)  # those there are, to say which would do
    within: Rights | None = None  # of a token: what its owner may do; both must allow
    reaches: dict[str, Reach] = field(default_factory=dict, compare=False, repr=False)  # worked out once for each verb


NONE = Rights("nobody")


def rights_of(subject: str, bindings: Iterable[Binding], roles: Mapping[str, Role], within: Rights | None = None) -> Rights:
    """The rights of a subject from its own bindings and those of its teams. A binding to a role that is not there gives nothing.

    Where two bindings give the same, the one with the smaller id is named as the reason, so that the answer is always the same."""
    found: dict[str, dict[Part, Binding]] = {}
    for binding in sorted(bindings, key=lambda one: one.id):
        role = roles.get(binding.role)
        for verb in role.verbs if role is not None else ():
            found.setdefault(verb, {}).setdefault(binding.on, binding)
    return Rights(subject, found, roles, within)


def everything(subject: str) -> Rights:
    """The rights of the plane itself."""
    return rights_of(subject, [Binding("built-in", subject, "administrator", Part(FLEET))], BUILT_IN)


def may(rights: Rights, verb: str, target: Target) -> Allow | Deny:
    """Whether a subject may do `verb` on `target`, and by which binding or what is missing. An unknown verb is a programming error: ValueError."""
    if verb not in VERBS:
        raise ValueError(f"{verb!r} is no verb of this plane")
    held = rights.by_verb.get(verb, {})
    for part in target.parts():
        binding = held.get(part)
        if binding is not None:
            if rights.within is None:
                return Allow(binding)
            above = may(rights.within, verb, target)
            return Allow(binding) if isinstance(above, Allow) else Deny(f"its owner may not: {above.why}", above.roles, above.parts)
    able = tuple(sorted(role.name for role in rights.roles.values() if verb in role.verbs))
    parts = target.parts()
    where = _where(parts)
    if not held:
        return Deny(f"this needs {verb}, which no role you have includes; {', '.join(able) or 'no role'} on {where} would do", able, parts)
    mine = reach(rights, verb)
    elsewhere = " and ".join(word for has, word in ((mine.sites, "a site"), (mine.groups, "a group"), (mine.devices, "a device"), (mine.apps, "an app")) if has)
    return Deny(f"you have {verb} on {elsewhere} elsewhere; here it is needed on {where}", able, parts)


# Never the ids of groups: a person need not know which there are.
def _where(parts: tuple[Part, ...]) -> str:
    kinds = {part.kind for part in parts}
    words = [word for kind, word in ((DEVICE, "this device"), (APP, "this app"), (GROUP, "one of its groups"), (SITE, "its site")) if kind in kinds]
    if kinds == {SITE, FLEET}:
        words = ["this site"]
    elif kinds == {GROUP, FLEET}:
        words = ["this group"]
    return " or ".join((*words, "the whole fleet"))


def reach(rights: Rights, verb: str) -> Reach:
    """Everything a subject may do `verb` on. An unknown verb is a programming error: ValueError."""
    found = rights.reaches.get(verb)
    if found is None:
        if verb not in VERBS:
            raise ValueError(f"{verb!r} is no verb of this plane")
        ids: dict[str, set[str]] = {kind: set() for kind in KINDS}
        for part in rights.by_verb.get(verb, {}):
            ids[part.kind].add(part.id)
        above = reach(rights.within, verb) if rights.within is not None else None
        groups, sites, devices, apps = (frozenset(ids[kind]) for kind in (GROUP, SITE, DEVICE, APP))
        found = Reach(bool(ids[FLEET]), groups, sites, devices, apps, None if above == EVERYWHERE else above)
        rights.reaches[verb] = found
    return found


def allowed(rights: Rights, verbs: Iterable[str], target: Target) -> tuple[str, ...]:
    """Those of the verbs that a subject may do on `target`, in their order: what a page shows buttons by."""
    return tuple(verb for verb in verbs if isinstance(may(rights, verb, target), Allow))


def lacking(giver: Rights, role: Role, on: Target) -> tuple[str, ...]:
    """The verbs of a role that somebody who gives it on a part of the fleet may not do there: nobody hands out what they have not."""
    return tuple(verb for verb in sorted(role.verbs & VERBS) if isinstance(may(giver, verb, on), Deny))


def beyond(giver: Rights, other: Rights, targets: Mapping[Part, Target]) -> tuple[tuple[str, Part], ...]:
    """What `other` may by itself (its `within` not counted) and `giver` may not, verb and part each: nobody hands out the keys of who may more.

    `targets` says what each part lies in; a part that is not in it is asked for as it stands."""
    asked = ((verb, part) for verb, held in sorted(other.by_verb.items()) if verb in VERBS for part in sorted(held, key=str))
    return tuple((verb, part) for verb, part in asked if isinstance(may(giver, verb, targets.get(part) or target_of(part)), Deny))


def target_of(part: Part) -> Target:
    """A part of the fleet as a target, as far as it is known without looking: a device's site and groups are not."""
    return {
        FLEET: Target(),
        GROUP: Target(groups=frozenset((part.id,))),
        SITE: Target(site=part.id),
        DEVICE: Target(device=part.id),
        APP: Target(app=part.id),
    }[part.kind]


def administrators(bindings: Iterable[Binding], roles: Mapping[str, Role], members: Mapping[str, Iterable[str]], able: Iterable[str]) -> frozenset[str]:
    """The people (of those `able` to sign in) who may change rights on the whole fleet, by themselves or by a team: the last of them may not go.

    `members` is the people of each team."""
    found: set[str] = set()
    for binding in bindings:
        role = roles.get(binding.role)
        if role is not None and "access.write" in role.verbs and binding.on == Part(FLEET):
            found.update(members.get(binding.subject, (binding.subject,)))
    return frozenset(found & set(able))
