"""Rights in words: what each verb means, and what a judgement says about somebody.

Owns these words, for pages, API and command line alike. Judges nothing: that is `core.rights`.
"""

from __future__ import annotations

from collections.abc import Iterable

from penstock.server.core.rights import APP, DEVICE, FLEET, GROUP, SITE

WORDS = {
    "sites.read": "see sites",
    "groups.read": "see groups",
    "joins.read": "see join lines",
    "enrolments.read": "see who waits to be let in",
    "devices.read": "see devices, what runs there and its logs",
    "apps.read": "see apps",
    "releases.read": "see releases",
    "deployments.read": "see deployments and rollouts",
    "events.read": "see who did what",
    "settings.read": "see the control plane's settings",
    "users.read": "see people, teams and service accounts",
    "access.read": "see who may do what",
    "notices.read": "see notifications",
    "upstreams.read": "see the registries that images are copied from",
    "sites.write": "change sites",
    "sites.people": "name the people at a site and their PINs",
    "groups.write": "make and change groups",
    "joins.write": "make and revoke join lines",
    "enrolments.decide": "let devices in or turn them away",
    "devices.write": "change labels and names of devices",
    "devices.command": "restart, refresh and fetch logs",
    "devices.quarantine": "let devices out of quarantine",
    "devices.retire": "retire and replace devices",
    "releases.publish": "publish releases",
    "images.push": "push images",
    "images.pull": "pull images",
    "deployments.write": "deploy and change deployments",
    "deployments.approve": "approve changes",
    "parameters.write": "set values of parameters at levels",
    "settings.write": "change the control plane's settings",
    "users.write": "invite, disable and remove people, and manage teams and service accounts",
    "access.write": "give and take roles",
    "notices.write": "say who is notified of what",
    "upstreams.write": "say which registries images are copied from, and with which password",
    "vulnerabilities.write": "import lists of vulnerabilities",
    "faults.acknowledge": "say that a fault is known",
    "tokens.own": "make API tokens for themselves",
    "system.backup": "back up the control plane",
    "system.metrics": "read the control plane's metrics",
}

KIND_WORDS = {FLEET: "the whole fleet", GROUP: "group", SITE: "site", DEVICE: "device", APP: "app"}


def where(kind: str, name: str) -> str:
    """A part of the fleet in words: "the whole fleet", "site hamburg"."""
    return f"{KIND_WORDS[kind]} {name}" if name else KIND_WORDS[kind]


def on(kind: str, name: str) -> str:
    """A part as it is typed: "fleet", "site:hamburg"."""
    return f"{kind}:{name}" if name else kind


def listed(words: Iterable[str], joint: str = "or") -> str:
    """ "a", "a or b", "a, b or c"."""
    found = list(words)
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} {joint} {found[-1]}" if found else ""


def allowed(who: str, verb: str, place: str, role: str, held_on: str, team: str, given_by: str) -> str:
    """Why somebody may."""
    through = f" as a member of team {team}" if team else ""
    giver = f", given by {given_by}" if given_by else ""
    return f"{who} may {WORDS[verb]} on {place}: they have the role {role} on {held_on}{through}{giver}."


def disabled(who: str) -> str:
    """Why somebody may nothing at all."""
    return f"{who} may do nothing: the account is disabled."


def denied(who: str, verb: str, place: str, roles: Iterable[str], parts: Iterable[str], elsewhere: Iterable[str]) -> str:
    """Why somebody may not, and which of `roles` on which of `parts` would do. `elsewhere`: where they have it."""
    held, wanted = listed(elsewhere, "and"), listed(roles)
    lack = f"they have this on {held} only" if held else "no role they have includes this here"
    would = f" The role {wanted} on {listed(parts)} would do." if wanted else " There is no role that does; make one."
    return f"{who} may not {WORDS[verb]} on {place}: {lack}.{would}"
