"""Every route of the API and every page, for every role, inside and outside of what it is for.

What is expected follows from the rights alone: without the verb anywhere, 403; a thing one may not see, 404, as if it were not there; one that may be seen
and not changed, 403; else anything but those. And no answer ever holds a word of the half that its asker may not see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from penstock.server.api.frame import PUBLIC, SIGNED_IN
from penstock.server.api.routes import ROUTES
from penstock.server.core.rights import Allow, Target, may, reach
from penstock.server.web.routes import PAGES
from tests.front.halves import Asker, Half, World
from tests.server.planes import make_plane
from tests.server.pushing import small_image

V = "/api/v1"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    plane = make_plane(tmp_path_factory.mktemp("halves"))
    made = World(plane)
    yield made
    made.close()
    plane.db.close()


# --- what the rights say ------------------------------------------------------------------------------------------------


def on(half: Half, app: str = "") -> Target:
    """A half's device, in all that it lies in; with an app: that app on it."""
    return Target(site=half.ids["site"], device=half.ids["device"], groups=frozenset({half.ids["group"]}), app=app)


# Per noun: the verb that shows it, and the target of that.
SEEN = {
    "site": ("sites.read", lambda half: Target(site=half.ids["site"])),
    "join": ("joins.read", lambda half: Target(site=half.ids["site"])),
    "enrolment": ("enrolments.read", lambda half: Target(site=half.ids["site"])),
    "group": ("groups.read", lambda half: Target(groups=frozenset({half.ids["group"]}))),
    "device": ("devices.read", on),
    "fault": ("devices.read", on),
    "notice": ("notices.read", lambda half: Target(site=half.ids["site"])),
    "person": ("users.read", lambda half: Target(site=half.ids["site"])),  # seen by who looks after the part their roles are on
    "grant": ("access.read", lambda half: Target(site=half.ids["site"])),
    "app": ("apps.read", lambda half: on(half, app=half.ids["app"])),
    "repository": ("images.pull", lambda half: Target(app=half.ids["app"])),
    "deployment": ("deployments.read", lambda half: on(half, app=half.ids["app"])),
}


def allowed(asker: Asker, verb: str, target: Target) -> bool:
    return isinstance(may(asker.actor.rights, verb, target), Allow)


def expected(asker: Asker, permission: str, noun: str, verb: str, half: Half) -> int:
    """200 stands for "not refused for want of rights"."""
    rights = asker.actor.rights
    if permission not in (PUBLIC, SIGNED_IN) and not reach(rights, permission):
        return 403
    if noun == "fleet":
        return 200 if not verb or allowed(asker, verb, Target()) else 403
    if not noun:
        return 200
    shows, target = SEEN[noun]
    if not reach(rights, shows):
        return 403
    if not allowed(asker, shows, target(half)):
        return 404
    return 200 if not verb or allowed(asker, verb, target(half)) else 403


def may_see(asker: Asker, half: Half) -> bool:
    """Whether there is anything of a half that an asker may see at all."""
    whole = on(half, app=half.ids["app"])
    return any(allowed(asker, verb, whole) for verb in asker.actor.rights.by_verb)


# --- the lines ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """How a route is asked. `noun` is what it is about ("fleet": the plane as a whole; "": what the asker may see, or the asker himself), `verb` what it
    does to it beyond reading. `body` may use the half's ids."""

    noun: str = ""
    verb: str = ""
    body: Callable[[Half], Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    query: str = ""
    skip: str = ""  # why it is not asked here


STALE = {"if-match": '"r999"'}  # a change that is allowed gets as far as the revision, and changes nothing


HOOK = {"webhook": {"url": "https://x.example/"}}


def compose(half: Half) -> str:
    return f"services:\n  web:\n    image: {half.ids['app']}/web:1\n"


def deploying(half: Half) -> dict[str, Any]:
    return {"release": half.ids["release"], "name": f"{half.name}-line", "target": {"devices": [half.ids["device"]]}}


CATALOGUE = '{"version": "2", "templates": []}'
THE_FLEETS = "neither half has one: test_mirrors, test_finding and test_supply, with who may"


def setting(half: Half) -> dict[str, Any]:
    return {"app": half.ids["app"], "level": "device", "part": half.ids["device"], "values": {"LEVEL": "debug"}}


def pinned(half: Half) -> dict[str, Any]:
    """An image that a release needs: whoever may delete is told so, and nothing goes."""
    return {"repository": f"{half.ids['app']}/web", "reference": small_image(half.name).digest}


OWN_PASSWORD = "it is about the asker's own password, and throttled"

API = {
    ("GET", f"{V}/openapi.json"): Line(),
    ("GET", f"{V}/ca"): Line(),
    ("GET", f"{V}/setup"): Line(),
    ("POST", f"{V}/setup"): Line(body=lambda _: {"token": "x", "name": "eve", "password": "long enough a sentence"}),
    ("POST", f"{V}/login"): Line(skip="it is what makes a session; its answers are the same for everybody"),
    ("GET", f"{V}/me"): Line(),
    ("POST", f"{V}/me/password"): Line(skip=OWN_PASSWORD),
    ("GET", f"{V}/me/sessions"): Line(),
    ("DELETE", f"{V}/me/sessions"): Line(),
    ("DELETE", f"{V}/me/sessions/{{session}}"): Line(skip="only one's own: test_signin"),
    ("GET", f"{V}/me/second-factor"): Line(),
    ("POST", f"{V}/me/second-factor"): Line(skip=OWN_PASSWORD),
    ("POST", f"{V}/me/second-factor/confirm"): Line(body=lambda _: {"code": "000000"}),
    ("POST", f"{V}/me/second-factor/recovery-codes"): Line(skip=OWN_PASSWORD),
    ("POST", f"{V}/me/second-factor/off"): Line(skip=OWN_PASSWORD),
    ("POST", f"{V}/me/second-factor/cancel"): Line(),
    ("GET", f"{V}/users/{{user}}/sessions"): Line("fleet", "users.read"),
    ("DELETE", f"{V}/users/{{user}}/sessions/{{session}}"): Line(skip="it can be ended once: test_signing"),
    ("DELETE", f"{V}/users/{{user}}/sessions"): Line("fleet", "users.write"),
    ("GET", f"{V}/users/{{user}}/second-factor"): Line("fleet", "users.read"),
    ("POST", f"{V}/users/{{user}}/second-factor/reset"): Line("fleet", "users.write", body=lambda _: {}),
    ("GET", f"{V}/break-glass"): Line("fleet", "users.read"),
    ("POST", f"{V}/break-glass/acknowledge"): Line("fleet", "users.write"),
    ("GET", f"{V}/tokens"): Line(),
    ("POST", f"{V}/tokens"): Line(body=lambda _: {"label": "mine"}),
    ("DELETE", f"{V}/tokens/{{token}}"): Line(skip="only one's own: test_api"),
    ("GET", f"{V}/users"): Line(),
    ("POST", f"{V}/users"): Line("fleet", "users.write", body=lambda half: {"name": f"{half.name}-new"}),
    ("GET", f"{V}/users/{{user}}"): Line("person"),
    ("PATCH", f"{V}/users/{{user}}"): Line("fleet", "users.write", body=lambda _: {"title": "x"}, headers=STALE),
    ("POST", f"{V}/users/{{user}}/invite"): Line("fleet", "users.write", body=lambda _: {}),
    ("POST", f"{V}/users/{{user}}/disable"): Line(skip="it would shut the half's person out: test_accounts, with who may"),
    ("POST", f"{V}/users/{{user}}/enable"): Line("fleet", "users.write", body=lambda _: {}),
    ("POST", f"{V}/users/{{user}}/remove"): Line(skip="it would remove the half's person: test_accounts, with who may"),
    ("GET", f"{V}/users/{{user}}/tokens"): Line(skip="of service accounts only: test_accounts"),
    ("POST", f"{V}/users/{{user}}/tokens"): Line(skip="of service accounts only: test_accounts"),
    ("DELETE", f"{V}/users/{{user}}/tokens/{{token}}"): Line(skip="of service accounts only: test_accounts"),
    ("POST", f"{V}/invitation"): Line(body=lambda _: {"code": "x", "password": "long enough a sentence"}),
    ("GET", f"{V}/teams"): Line(),
    ("POST", f"{V}/teams"): Line("fleet", "users.write", body=lambda half: {"name": f"{half.name}-shift"}),
    ("GET", f"{V}/teams/{{team}}"): Line("person"),
    ("PATCH", f"{V}/teams/{{team}}"): Line("fleet", "users.write", body=lambda _: {"title": "x"}, headers=STALE),
    ("POST", f"{V}/teams/{{team}}/remove"): Line(skip="it would remove the half's team: test_accounts, with who may"),
    ("GET", f"{V}/roles"): Line(),
    ("POST", f"{V}/roles"): Line("fleet", "access.write", body=lambda half: {"name": f"own-{half.name[0]}", "verbs": ["devices.read"]}),
    ("GET", f"{V}/roles/{{role}}"): Line(),
    ("PATCH", f"{V}/roles/{{role}}"): Line("fleet", "access.write", body=lambda _: {"title": "x"}, headers=STALE),
    ("POST", f"{V}/roles/{{role}}/remove"): Line("fleet", "access.write", body=lambda _: {}),
    ("GET", f"{V}/bindings"): Line(),
    ("POST", f"{V}/bindings"): Line("grant", "access.write", body=lambda half: {"who": half.ids["user"], "role": "viewer", "on": f"site:{half.ids['site']}"}),
    ("POST", f"{V}/bindings/{{binding}}/take"): Line(skip="it would take it: test_access, with who may"),
    ("GET", f"{V}/access/parts"): Line(),
    ("GET", f"{V}/access/explain"): Line(skip="it needs its question: test_access, with who may ask it"),
    ("GET", f"{V}/access/effective"): Line(),
    ("GET", f"{V}/access/who-can"): Line(skip="it needs its question: test_access, with who may ask it"),
    ("GET", f"{V}/sites"): Line(),
    ("POST", f"{V}/sites"): Line("fleet", "sites.write", body=lambda half: {"name": f"{half.name}-site"}),
    ("GET", f"{V}/sites/{{site}}"): Line("site"),
    ("PATCH", f"{V}/sites/{{site}}"): Line("site", "sites.write", body=lambda _: {"title": "x"}, headers=STALE),
    ("GET", f"{V}/groups"): Line(),
    ("POST", f"{V}/groups"): Line("fleet", "groups.write", body=lambda half: {"name": f"{half.name}-group"}),
    ("GET", f"{V}/groups/{{group}}"): Line("group"),
    ("GET", f"{V}/groups/{{group}}/members"): Line("group"),
    ("PATCH", f"{V}/groups/{{group}}"): Line("group", "groups.write", body=lambda half: {"devices": [half.ids["device"]]}, headers=STALE),
    ("DELETE", f"{V}/groups/{{group}}"): Line("group", "groups.write", headers=STALE),
    ("GET", f"{V}/sites/{{site}}/people"): Line("site"),
    ("POST", f"{V}/sites/{{site}}/people"): Line("site", "sites.people", body=lambda half: {"name": f"{half.name} two"}),
    ("PATCH", f"{V}/sites/{{site}}/people/{{person}}"): Line("site", "sites.people", body=lambda _: {"may": ["revert"]}, headers=STALE),
    ("POST", f"{V}/sites/{{site}}/people/{{person}}/pin"): Line("site", "sites.people", body=lambda _: {"pin": "271828"}),
    ("DELETE", f"{V}/sites/{{site}}/people/{{person}}"): Line(skip="it takes away what the next is asked about: test_localpeople"),
    ("GET", f"{V}/sites/{{site}}/history"): Line("site"),
    ("GET", f"{V}/views"): Line(),
    ("POST", f"{V}/views"): Line(body=lambda _: {"name": "mine", "query": "show=drifted"}),
    ("DELETE", f"{V}/views/{{view}}"): Line(skip="only one's own: test_looking"),
    ("GET", f"{V}/compare/devices"): Line(skip="it is about two: test_looking"),
    ("GET", f"{V}/compare/sites"): Line(skip="it is about two: test_looking"),
    ("GET", f"{V}/join-tokens"): Line(),
    ("POST", f"{V}/sites/{{site}}/join-tokens"): Line("site", "joins.write", body=lambda _: {}),
    ("DELETE", f"{V}/join-tokens/{{join}}"): Line("join", "joins.write"),
    ("GET", f"{V}/enrolments"): Line(),
    ("GET", f"{V}/enrolments/{{enrolment}}"): Line("enrolment"),
    ("POST", f"{V}/enrolments/{{enrolment}}/approve"): Line(
        "enrolment", "enrolments.decide", body=lambda _: {"name": "NOT A NAME".lower(), "labels": {}} and {"replace": True}
    ),
    ("POST", f"{V}/enrolments/{{enrolment}}/reject"): Line("enrolment", "enrolments.decide", body=lambda _: {}),
    ("GET", f"{V}/overview"): Line(),
    ("GET", f"{V}/devices"): Line(),
    ("GET", f"{V}/devices/{{device}}"): Line("device"),
    ("PATCH", f"{V}/devices/{{device}}"): Line("device", "devices.write", body=lambda _: {"labels": {}}, headers=STALE),
    ("POST", f"{V}/devices/{{device}}/retire"): Line("device", "devices.retire", body=lambda _: {}, headers=STALE),
    ("POST", f"{V}/devices/{{device}}/keep"): Line("device", "devices.retire", body=lambda _: {}),
    ("POST", f"{V}/devices/{{device}}/move"): Line("device-to-site", "devices.write", body=lambda half: {"site": half.ids["site"]}, headers=STALE),
    ("POST", f"{V}/devices/{{device}}/release-quarantine"): Line("device", "devices.quarantine", body=lambda _: {}, headers=STALE),
    ("POST", f"{V}/devices/{{device}}/accept-review"): Line("device", "devices.quarantine", body=lambda _: {}, headers=STALE),
    ("GET", f"{V}/devices/{{device}}/timeline"): Line("device"),
    ("GET", f"{V}/devices/{{device}}/commands"): Line("device"),
    ("POST", f"{V}/devices/{{device}}/commands"): Line("device", "devices.command", body=lambda _: {"verb": "refresh"}),
    ("GET", f"{V}/commands/{{command}}"): Line("device"),
    ("GET", f"{V}/faults"): Line(),
    ("POST", f"{V}/faults/{{fault}}/acknowledge"): Line("fault", "faults.acknowledge", body=lambda _: {"until_ms": 1_800_000_100_000, "reason": "x"}),
    ("POST", f"{V}/faults/{{fault}}/unacknowledge"): Line("fault", "faults.acknowledge"),
    ("GET", f"{V}/notices"): Line(),
    ("POST", f"{V}/notices"): Line("site", "notices.write", body=lambda half: {**HOOK, "name": f"{half.name}-other", "site": half.ids["site"]}),
    ("GET", f"{V}/notices/{{notice}}"): Line("notice"),
    ("PATCH", f"{V}/notices/{{notice}}"): Line("notice", "notices.write", body=lambda _: {}, headers=STALE),
    ("DELETE", f"{V}/notices/{{notice}}"): Line("notice", "notices.write", headers=STALE),
    ("POST", f"{V}/notices/{{notice}}/test"): Line("notice", "notices.write"),
    ("GET", f"{V}/apps"): Line(),
    ("GET", f"{V}/apps/{{app}}"): Line("app"),
    ("GET", f"{V}/releases"): Line(),
    ("GET", f"{V}/releases/{{release}}"): Line("app"),
    ("GET", f"{V}/releases/{{release}}/package"): Line("app"),
    ("GET", f"{V}/releases/{{release}}/archive"): Line("app"),
    ("GET", f"{V}/compare/releases"): Line(skip="it is about two: test_looking"),
    ("POST", f"{V}/releases/check"): Line(body=lambda half: {"compose": compose(half), "app": half.ids["app"]}),
    ("POST", f"{V}/releases/builds"): Line("app-to-be", "images.push", body=lambda half: {"app": half.ids["app"], "version": "1", "compose": compose(half)}),
    ("POST", f"{V}/releases"): Line("app-to-be", "releases.publish", body=lambda half: {"app": half.ids["app"], "version": "1", "compose": compose(half)}),
    ("GET", f"{V}/upstreams"): Line("fleet", "upstreams.read"),
    ("POST", f"{V}/upstreams"): Line("fleet", "upstreams.write", body=lambda _: {"host": "x.example"}),
    ("GET", f"{V}/upstreams/{{host}}"): Line(skip=THE_FLEETS),
    ("DELETE", f"{V}/upstreams/{{host}}"): Line(skip=THE_FLEETS),
    ("POST", f"{V}/upstreams/{{host}}/test"): Line(skip=THE_FLEETS),
    ("GET", f"{V}/mirrors"): Line(),
    ("POST", f"{V}/mirrors/check"): Line(body=lambda _: {}),
    ("DELETE", f"{V}/mirrors/{{mirror}}"): Line(skip=THE_FLEETS),
    ("GET", f"{V}/releases/{{release}}/attached"): Line("app"),
    ("GET", f"{V}/find"): Line(),
    ("GET", f"{V}/vulnerability-lists"): Line(),
    ("POST", f"{V}/vulnerability-lists"): Line("fleet", "vulnerabilities.write", body=lambda _: {"name": "x", "text": "[]"}),
    ("DELETE", f"{V}/vulnerability-lists/{{list}}"): Line(skip=THE_FLEETS),
    ("GET", f"{V}/templates"): Line(),
    ("POST", f"{V}/templates"): Line("fleet", "releases.publish", body=lambda _: {"catalogue": CATALOGUE}),
    ("GET", f"{V}/templates/{{app}}"): Line(skip=THE_FLEETS),
    ("DELETE", f"{V}/templates/{{app}}"): Line(skip=THE_FLEETS),
    ("POST", f"{V}/deployments/preview"): Line(
        "new-deployment", "deployments.read", body=lambda half: {key: value for key, value in deploying(half).items() if key != "name"}
    ),
    ("GET", f"{V}/registry"): Line(),
    ("GET", f"{V}/registry/repository"): Line("repository", query="?name={app}/web"),
    ("POST", f"{V}/registry/delete"): Line("repository", "images.push", body=pinned),
    ("POST", f"{V}/registry/sweep"): Line("fleet", "images.push", body=lambda _: {"dry_run": True}),
    ("GET", f"{V}/deployments"): Line(),
    ("POST", f"{V}/deployments"): Line("new-deployment", "deployments.write", body=deploying),
    ("GET", f"{V}/deployments/{{deployment}}"): Line("deployment"),
    ("PATCH", f"{V}/deployments/{{deployment}}"): Line("deployment", "deployments.write", body=lambda _: {}, headers=STALE),
    ("POST", f"{V}/deployments/{{deployment}}/withdraw"): Line("deployment", "deployments.write", body=lambda _: {}, headers=STALE),
    ("POST", f"{V}/deployments/{{deployment}}/stand-again"): Line("deployment", "deployments.write", body=lambda _: {}, headers=STALE),
    ("POST", f"{V}/deployments/{{deployment}}/retry"): Line("deployment", "deployments.write", body=lambda _: {}),
    ("GET", f"{V}/deployments/{{deployment}}/rollouts"): Line("deployment"),
    ("GET", f"{V}/rollouts/{{rollout}}"): Line("deployment"),
    ("GET", f"{V}/rollouts/{{rollout}}/members"): Line("deployment"),
    ("POST", f"{V}/rollouts/{{rollout}}/stop"): Line("deployment", "deployments.write", body=lambda _: {}),
    ("GET", f"{V}/parameters"): Line(),
    ("POST", f"{V}/parameters/preview"): Line("new-deployment", "deployments.read", body=setting),
    ("POST", f"{V}/parameters"): Line("new-deployment", "parameters.write", body=setting),
    ("GET", f"{V}/devices/{{device}}/room"): Line("device", "deployments.read"),
    ("GET", f"{V}/sites/{{site}}/room"): Line("site", "deployments.read"),
    ("GET", f"{V}/events"): Line(skip="a stream: test_streams"),
    ("GET", f"{V}/changes"): Line(skip="a stream: test_streams"),
    ("GET", f"{V}/history"): Line(),
    ("POST", f"{V}/backup"): Line("fleet", "system.backup", body=lambda _: {"key": "none"}),
    ("GET", f"{V}/about"): Line("fleet", "settings.read"),
    ("GET", f"{V}/settings"): Line("fleet", "settings.read"),
    ("PATCH", f"{V}/settings"): Line("fleet", "settings.write", body=lambda _: {"poll_s": 60}, headers=STALE),
}


def test_every_route_has_a_line():
    assert set(API) == {(route.method, route.path) for route in ROUTES}


# --- asking -----------------------------------------------------------------------------------------------------------------


def address(path: str, half: Half) -> str:
    found = path.replace("{role}", "viewer")
    for noun, one in half.ids.items():
        found = found.replace("{" + noun + "}", one)
    assert "{" not in found, path
    return found


def verdict(asker: Asker, permission: str, line: Line, half: Half) -> int:
    if line.noun == "app-to-be":  # publishing makes the app: whoever may is told the name is theirs, whoever may not learns nothing
        if not reach(asker.actor.rights, permission):
            return 403
        return 200 if allowed(asker, line.verb, Target(app=half.ids["app"])) else 403
    if line.noun == "device-to-site":  # a device, and the site it goes to
        found = expected(asker, permission, "device", line.verb, half)
        return found if found != 200 else expected(asker, permission, "site", line.verb, half)
    if line.noun == "new-deployment":
        found = expected(asker, permission, "app", "", half)
        found = expected(asker, permission, "device", "", half) if found == 200 else found
        return found if found != 200 else 200 if allowed(asker, line.verb, SEEN["deployment"][1](half)) else 403
    return expected(asker, permission, line.noun, line.verb, half)


def leaked(asker: Asker, text: str, half: Half, asked: str) -> list[str]:
    """The words of a half in an answer that the asker may see nothing of, and did not say himself."""
    return [] if may_see(asker, half) else [word for word in half.words() if word in text and word not in asked]


@pytest.mark.parametrize(("method", "path"), [key for key, line in API.items() if not line.skip], ids=lambda part: part)
def test_the_api(world, method, path):
    line = API[method, path]
    permission = next(route.permission for route in ROUTES if (route.method, route.path) == (method, path))
    wrong = []
    for asker in world.askers:
        for half in (world.basalt, world.amber):
            asked, body = address(path + line.query, half), line.body(half) if line.body else None
            got = world.ask(asker, method, asked, body=body, headers=line.headers)
            want = verdict(asker, permission, line, half) if permission != PUBLIC else 200
            fine = got.status == want if want != 200 else got.status not in (401, 403, 404) and got.status < 500
            if not fine:
                wrong.append(f"{asker.label}, {half.name}: {got.status}, expected {want}: {got.text[:300]}")
            wrong += [f"{asker.label} was told {word!r} by {asked}" for word in leaked(asker, got.text, world.basalt, f"{asked} {body}")]
    assert not wrong, "\n".join(wrong)


def test_what_is_not_there_and_what_is_not_ones_own_cannot_be_told_apart(world):
    """The same status and the same words, but for the name that was asked."""
    wrong = []
    for (method, path), line in API.items():
        if line.skip or method != "GET" or "{" not in path or "{role}" in path:  # which roles there are is nobody's half
            continue
        noun = path.rsplit("{", 1)[1].split("}")[0]
        theirs, nowhere = address(path, world.basalt), address(path, world.basalt).replace(world.basalt.ids[noun], world.basalt.ids[noun][:-1] + "~")
        for asker in world.askers:
            one, other = world.ask(asker, method, theirs), world.ask(asker, method, nowhere)
            if one.status in (403, 404):
                same = (one.status, one.text.replace(world.basalt.ids[noun], "X")) == (other.status, other.text.replace(world.basalt.ids[noun][:-1] + "~", "X"))
                if not same:
                    wrong.append(f"{asker.label} {theirs}: {one.text} / {other.text}")
    assert not wrong, "\n".join(wrong)


def test_the_halves_are_seen_by_who_may(world):
    """A guard for the tests above: that the lists do hold something, of the right half, for the right askers."""
    found = {asker.label: world.ask(asker, "GET", f"{V}/devices").text for asker in world.askers}
    assert "amber-press" in found["administrator on the fleet"]
    assert "basalt-press" in found["administrator on the fleet"]
    assert "amber-press" in found["viewer on amber's site"]
    assert "basalt" not in found["viewer on amber's site"]
    assert "amber-press" in found["engineer on amber's device"]


# --- pages ------------------------------------------------------------------------------------------------------------------

D, L, G, P = "/devices/{device}", "/deployments/{deployment}", "/groups/{group}", "/people/{user}"
WEB = {
    ("GET", "/setup"): Line(),
    ("POST", "/setup"): Line(skip="set-up is over: test_pages"),
    ("GET", "/language"): Line(),
    ("GET", "/login"): Line(),
    ("POST", "/login"): Line(skip="it is what makes a session; its answers are the same for everybody"),
    ("POST", "/logout"): Line(skip="it would end the asker's session"),
    ("GET", "/"): Line(),
    ("GET", "/parameters"): Line(),
    ("POST", "/parameters"): Line(
        "new-deployment",
        "parameters.write",
        body=lambda half: {"app": half.ids["app"], "level": "device", "part": half.ids["device"], "v.LEVEL": "debug", "do": "set"},
    ),
    ("GET", "/faults"): Line(),
    ("POST", "/faults/{fault}/acknowledge"): Line("fault", "faults.acknowledge", body=lambda _: {"days": "1", "reason": "x"}),
    ("POST", "/faults/{fault}/unacknowledge"): Line("fault", "faults.acknowledge"),
    ("GET", "/notices"): Line(),
    ("POST", "/notices"): Line(
        "site", "notices.write", body=lambda half: {"name": f"{half.name}-another", "site": half.ids["site"], "way": "webhook", "url": "https://x.example/"}
    ),
    ("POST", "/notices/{notice}/test"): Line("notice", "notices.write"),
    ("POST", "/notices/{notice}/switch"): Line("notice", "notices.write", body=lambda _: {"enabled": "no", "revision": "999"}),
    ("POST", "/notices/{notice}/remove"): Line("notice", "notices.write", body=lambda _: {"revision": "999"}),
    ("POST", "/views"): Line(body=lambda _: {"name": "mine", "query": "show=drifted"}),
    ("POST", "/views/{view}/drop"): Line(skip="only one's own: test_looking"),
    ("GET", "/compare"): Line(),
    ("GET", "/registry"): Line(),
    ("GET", "/registry/repository"): Line("repository", query="?name={app}/web"),
    ("POST", "/registry/delete"): Line("repository", "images.push", body=pinned),
    ("POST", "/registry/sweep"): Line("fleet", "images.push", body=lambda _: {"do": "look"}),
    ("GET", "/join"): Line(),
    ("POST", "/join"): Line("site", "joins.write", body=lambda half: {"site": half.ids["site"], "uses": "1", "valid_s": "60"}),
    ("POST", "/join-tokens/{join}/revoke"): Line("join", "joins.write"),
    ("POST", "/enrolments/{enrolment}/approve"): Line("enrolment", "enrolments.decide", body=lambda _: {"fingerprint": "00"}),
    ("POST", "/enrolments/{enrolment}/reject"): Line("enrolment", "enrolments.decide"),
    ("GET", D): Line("device"),
    ("GET", f"{D}/timeline"): Line("device"),
    ("GET", f"{D}/commands"): Line("device"),
    ("POST", f"{D}/commands"): Line("device", "devices.command", body=lambda _: {"verb": "refresh"}),
    ("GET", f"{D}/commands/{{command}}"): Line("device"),
    ("GET", f"{D}/logs"): Line("device"),
    ("POST", f"{D}/logs"): Line("device", "devices.command", body=lambda _: {"app": "web", "service": "web", "lines": "100"}),
    ("POST", f"{D}/measure"): Line("device", "devices.command"),
    ("POST", f"{D}/labels"): Line("device", "devices.write", body=lambda _: {"labels": "x=y", "revision": "999"}),
    ("GET", f"{D}/settings"): Line("device"),
    ("POST", f"{D}/settings"): Line("device", "devices.write", body=lambda _: {"labels": "x=y", "revision": "999"}),
    ("POST", f"{D}/retire"): Line("device", "devices.retire", body=lambda _: {"revision": "999", "confirm": "x"}),
    ("POST", f"{D}/keep"): Line("device", "devices.retire"),
    ("POST", f"{D}/move"): Line("device-to-site", "devices.write", body=lambda half: {"site": half.ids["site"], "revision": "999"}),
    ("POST", f"{D}/release-quarantine"): Line("device", "devices.quarantine", body=lambda _: {"revision": "999"}),
    ("POST", f"{D}/accept-review"): Line("device", "devices.quarantine", body=lambda _: {"revision": "999"}),
    ("GET", "/apps"): Line(),
    ("GET", "/apps/{app}"): Line("app"),
    ("GET", "/apps/{app}/{version}"): Line("app"),
    ("GET", "/mirrors"): Line(),
    ("POST", "/mirrors/check"): Line(),
    ("POST", "/mirrors/{mirror}/forget"): Line(skip=THE_FLEETS),
    ("POST", "/upstreams"): Line("fleet", "upstreams.write", body=lambda _: {"host": "x.example"}),
    ("POST", "/upstreams/{host}/test"): Line(skip=THE_FLEETS),
    ("POST", "/upstreams/{host}/remove"): Line(skip=THE_FLEETS),
    ("GET", "/find"): Line(),
    ("POST", "/vulnerability-lists"): Line("fleet", "vulnerabilities.write", body=lambda _: {"name": "x", "file": "[]"}),
    ("POST", "/vulnerability-lists/{list}/remove"): Line(skip=THE_FLEETS),
    ("GET", "/templates"): Line(),
    ("POST", "/templates"): Line("fleet", "releases.publish", body=lambda _: {"file": CATALOGUE}),
    ("POST", "/templates/{app}/remove"): Line(skip=THE_FLEETS),
    ("GET", "/apps/{app}/{version}/icon"): Line(skip="not every release has one: test_packages"),
    ("GET", "/apps/{app}/{version}/changes"): Line("app"),
    ("GET", "/publish"): Line(),
    ("POST", "/publish"): Line(body=lambda half: {"app": half.ids["app"], "version": "1", "compose": compose(half), "do": "check"}),
    ("GET", "/deploy"): Line(),
    ("POST", "/deploy"): Line("new-deployment", "deployments.write", body=lambda half: {"release": half.ids["release"], "devices": half.ids["device"]}),
    ("GET", "/deployments"): Line(),
    ("GET", L): Line("deployment"),
    ("POST", f"{L}/withdraw"): Line("deployment", "deployments.write", body=lambda _: {"revision": "999"}),
    ("POST", f"{L}/stand-again"): Line("deployment", "deployments.write", body=lambda _: {"revision": "999"}),
    ("POST", f"{L}/retry"): Line("deployment", "deployments.write"),
    ("POST", f"{L}/stop"): Line("deployment", "deployments.write", body=lambda half: {"rollout": half.ids["rollout"]}),
    ("GET", "/sites"): Line(),
    ("POST", "/sites"): Line("fleet", "sites.write", body=lambda half: {"name": f"{half.name}-site"}),
    ("GET", "/sites/{site}"): Line("site"),
    ("POST", "/sites/{site}"): Line("site", "sites.write", body=lambda _: {"title": "x", "time_zone": "UTC", "revision": "999"}),
    ("GET", "/groups"): Line(),
    ("POST", "/groups"): Line("fleet", "groups.write", body=lambda half: {"name": f"{half.name}-group"}),
    ("GET", G): Line("group"),
    ("POST", G): Line("group", "groups.write", body=lambda _: {"title": "x", "selector": "", "revision": "999"}),
    ("POST", f"{G}/devices"): Line("group", "groups.write", body=lambda _: {"add": "nothing-like-it", "revision": "999"}),
    ("POST", f"{G}/remove"): Line("group", "groups.write", body=lambda _: {"revision": "999"}),
    ("GET", "/sites/{site}/people"): Line("site"),
    ("POST", "/sites/{site}/people"): Line("site", "sites.people", body=lambda half: {"name": f"{half.name} two", "may": "revert"}),
    ("POST", "/sites/{site}/people/{person}"): Line("site", "sites.people", body=lambda _: {"name": "x", "may": "revert", "revision": "999"}),
    ("POST", "/sites/{site}/people/{person}/pin"): Line("site", "sites.people", body=lambda _: {"pin": "271828", "again": "271828"}),
    ("POST", "/sites/{site}/people/{person}/remove"): Line(skip="it takes away what the next is asked about: test_localpeople"),
    ("GET", "/invitation"): Line(),
    ("POST", "/invitation"): Line(skip="it is for who is not signed in: test_people of the browser"),
    ("GET", "/people"): Line(),
    ("POST", "/people"): Line("fleet", "users.write", body=lambda half: {"name": f"{half.name}-newer"}),
    ("GET", P): Line("person"),
    ("POST", P): Line("person", "users.write", body=lambda _: {"title": "x", "revision": "999"}),
    ("POST", f"{P}/invite"): Line("person", "users.write"),
    ("POST", f"{P}/disable"): Line(skip="it would shut the half's person out: test_accounts, with who may"),
    ("POST", f"{P}/enable"): Line("person", "users.write"),
    ("POST", f"{P}/remove"): Line("person", "users.write", body=lambda _: {"confirm": "not the name"}),
    ("POST", f"{P}/give"): Line("person", "access.write", body=lambda half: {"role": "viewer", "on": f"site:{half.ids['site']}"}),
    ("POST", f"{P}/sessions/end"): Line("fleet", "users.write"),
    ("POST", f"{P}/sessions/{{session}}/end"): Line(skip="it can be ended once: test_signing"),
    ("POST", f"{P}/second-factor/take"): Line("fleet", "users.write", body=lambda _: {"reason": "x"}),
    ("POST", f"{P}/tokens"): Line(skip="of service accounts only: test_accounts"),
    ("POST", f"{P}/tokens/{{token}}/revoke"): Line(skip="of service accounts only: test_accounts"),
    ("POST", "/teams"): Line("fleet", "users.write", body=lambda half: {"team": f"{half.name}-crew"}),
    ("GET", "/teams/{team}"): Line("person"),
    ("POST", "/teams/{team}"): Line("person", "users.write", body=lambda _: {"title": "x", "revision": "999"}),
    ("POST", "/teams/{team}/give"): Line("person", "access.write", body=lambda half: {"role": "viewer", "on": f"site:{half.ids['site']}"}),
    ("POST", "/teams/{team}/remove"): Line(skip="it would remove the half's team: test_accounts, with who may"),
    ("GET", "/roles"): Line(),
    ("POST", "/roles"): Line("fleet", "access.write", body=lambda half: {"name": f"more-{half.name[0]}", "verbs": "devices.read"}),
    ("GET", "/roles/{role}"): Line(),
    ("POST", "/roles/{role}"): Line("fleet", "access.write", body=lambda _: {"title": "x", "verbs": "devices.read", "revision": "999"}),
    ("POST", "/roles/{role}/remove"): Line("fleet", "access.write"),
    ("GET", "/access"): Line(skip="on what the asker looks after: tests/browser/test_people.py"),
    ("POST", "/access/give"): Line("grant", "access.write", body=lambda half: {"who": half.ids["user"], "role": "viewer", "on": f"site:{half.ids['site']}"}),
    ("POST", "/bindings/{binding}/take"): Line(skip="it would take it: test_access, with who may"),
    ("GET", "/history"): Line(),
    ("GET", "/settings"): Line("fleet", "settings.read"),
    ("POST", "/settings"): Line("fleet", "settings.write", body=lambda _: {"poll_s": "60", "revision": "999"}),
    ("GET", "/account"): Line(),
    ("POST", "/account/password"): Line(skip=OWN_PASSWORD),
    ("POST", "/account/second-factor"): Line(skip=OWN_PASSWORD),
    ("GET", "/account/second-factor.svg"): Line(skip="there is one only while one's own secret waits for its code: test_signin"),
    ("POST", "/account/second-factor/confirm"): Line(body=lambda _: {"code": "000000"}),
    ("POST", "/account/second-factor/cancel"): Line(),
    ("POST", "/account/second-factor/recovery-codes"): Line(skip=OWN_PASSWORD),
    ("POST", "/account/second-factor/off"): Line(skip=OWN_PASSWORD),
    ("POST", "/account/sessions/end-others"): Line(),
    ("POST", "/account/sessions/{session}/end"): Line(skip="only one's own: test_signin"),
    ("POST", "/account/tokens"): Line(body=lambda _: {"label": "mine"}),
    ("POST", "/account/tokens/{token}/revoke"): Line(skip="only one's own: test_pages"),
    ("POST", "/break-glass/acknowledge"): Line("fleet", "users.write"),
}


def test_every_page_has_a_line():
    assert set(WEB) == {(page.method, page.path) for page in PAGES}


@pytest.mark.parametrize(("method", "path"), [key for key, line in WEB.items() if not line.skip], ids=lambda part: part)
def test_the_pages(world, method, path):
    """As for the API; a form that is refused may also come back with the reason (422), if it is not one that nobody may send."""
    line = WEB[method, path]
    permission = next(page.permission for page in PAGES if (page.method, page.path) == (method, path))
    wrong = []
    for asker in world.askers:
        for half in (world.basalt, world.amber):
            asked = address(path.replace("{version}", "1") + line.query, half)
            form = (line.body(half) if line.body else {}) if method == "POST" else None
            got = world.ask(asker, method, asked, form=form)
            want = verdict(asker, permission, line, half) if permission != PUBLIC else 200
            verb = "tokens.own" if permission == SIGNED_IN else permission
            refused = (want,) if method == "GET" or not reach(asker.actor.rights, verb) else (want, 422)
            fine = got.status in refused if want != 200 else got.status not in (401, 403, 404) and got.status < 500
            if not fine:
                wrong.append(f"{asker.label}, {half.name}: {got.status}, expected {want}: {' '.join(got.text.split())[-300:]}")
            wrong += [f"{asker.label} was told {word!r} by {asked}" for word in leaked(asker, got.text, world.basalt, f"{asked} {form}")]
    assert not wrong, "\n".join(wrong)
