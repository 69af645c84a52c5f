"""The whole of /api/v1, asked from its own document by an administrator, by the owner of one site and by nobody: no 500, no status, media type or shape that
the document does not name, no secret anywhere, and every operation does at least once what it is for."""

from __future__ import annotations

import base64
import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import schemathesis
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import sampled_from

from penstock.crypto import generate_key, public_pem
from penstock.server.actions import (
    breakglass,
    deployments,
    devices,
    enrolments,
    finding,
    groups,
    joins,
    localpeople,
    notices,
    people,
    progress,
    releases,
    retiring,
    roles,
    saved,
    secondfactor,
    sessions,
    setup,
    templates,
    tokens,
    upstreams,
)
from penstock.server.api.routes import ROUTES
from penstock.server.core import onetime
from penstock.server.core.mirrors import Mirror
from penstock.server.core.model import SERVICE, Target
from penstock.server.core.rights import Part
from penstock.server.effects.passwords import hash_password
from penstock.server.effects.upstream_memory import MemoryUpstream
from penstock.server.store import devices as device_store
from penstock.server.store import mirrors as mirror_store
from penstock.server.store import rollouts as rollout_store
from penstock.server.store import users
from penstock.server.store.columns import metadata
from tests.front.asking import NO_SECRET, SECRET_COLUMNS, STREAMS, kept_secrets, operations, rows, send
from tests.front.halves import Asker, Half, World
from tests.front.test_matrix import API, compose
from tests.needs import IN_CI
from tests.server.paper import PaperDevice, straight
from tests.server.planes import ADMIN, WITH_SECRET, make_plane, turn
from tests.server.pushing import push, small_image

EXAMPLES = int(os.environ.get("PENSTOCK_FUZZ_EXAMPLES", "0")) or (4 if IN_CI else 2)  # `make soak` takes two hundred
V = "/api/v1"
ASKED = operations()
PASSWORD = "a long enough sentence"
# Answers that say a secret, because it is made there and said this once.
SAY_ONE = {
    ("POST", f"{V}/login"),
    ("POST", f"{V}/tokens"),
    ("POST", f"{V}/users/{{user}}/tokens"),
    ("POST", f"{V}/sites/{{site}}/join-tokens"),
}
FORMS = re.compile(r"pst_[A-Za-z0-9_-]{20,}|pst-join:[A-Za-z0-9_.-]{20,}|PRIVATE KEY")


@dataclass
class Furnished:
    """The plane, who asks, and what nobody may ever be told."""

    world: World
    admin: Asker
    owner: Asker
    person: Asker  # has a password and a second factor
    seed: bytes  # of that
    told: list[str]
    statuses: dict[tuple[str, str], Counter[int]] = field(default_factory=dict)

    def ask(self, key: tuple[str, str], asker: Asker | None, case: Any) -> int:
        """Ask, check against the document and for secrets, count; the status."""
        got = send(self.world, asker, case)
        self.statuses.setdefault(key, Counter())[got.status] += 1
        said = got.text + repr(got.headers)
        held = [one for one in self.told if one in said]
        assert not held, f"{key} says the secret {held[0]}"
        assert key in SAY_ONE or not FORMS.search(said), f"{key} says a secret"
        self.last = got.text
        return got.status


def with_password(world: World, label: str, *given: tuple[str, Part]) -> Asker:
    """Somebody who could sign in."""
    found, plane = world.asker(label, given), world.plane

    def work(tx: Any) -> None:
        user = users.by_id(tx, found.actor.id)
        assert user is not None
        users.set_password(tx, user, hash_password(PASSWORD, plane.limits.password_rounds))

    plane.db.update(work)
    return found


@pytest.fixture(scope="module")
def furnished(tmp_path_factory):
    """The two halves, and one of every secret there is."""
    plane = make_plane(tmp_path_factory.mktemp("fuzzed"))
    told = [setup.new_setup_token(plane), "smtp-password-of-the-fuzz", "/a-token-in-the-path", "webhook-secret-of-the-fuzz", "value-of-the-fuzz", "80217536"]
    world = World(plane)
    site = world.amber.ids["site"]
    owner = with_password(world, "the owner of amber's site", ("site-owner", Part("site", site)))
    person = with_password(world, "somebody with a second factor", ("viewer", Part("site", site)))
    admin = with_password(world, "the administrator", ("administrator", Part("fleet")))
    mail = {"host": "mail.example", "port": 587, "security": "starttls", "user": "mara", "sender": "a@b.example", "to": ["c@d.example"], "ca": ""}
    notices.create_notice(plane, ADMIN, name="mails", kind="email", site=site, way=mail, secret=told[1])
    notices.create_notice(plane, ADMIN, name="hooks", kind="webhook", way={"url": f"https://hook.example{told[2]}", "ca": ""}, secret=told[3])
    push(plane.blobs, "shop/web", small_image("web"), "1")
    vault = releases.publish(plane, ADMIN, source=WITH_SECRET.encode(), app="vault", version="1")
    where = Target(devices=(world.amber.ids["device"],))
    deployments.create_deployment(plane, ADMIN, name="vault", release=vault.id, target=where, secrets={"PASSWORD": told[4]})
    localpeople.add_person(plane, ADMIN, site=site, name="Ines", may=("revert",), pin=told[5])
    told += [PASSWORD, tokens.create_token(plane, owner.actor, name="known").secret, *(one.secret for one in (owner, person, admin))]
    told.append(joins.create_join(plane, ADMIN, site=site).join)
    told.append(plane.db.update(lambda tx: breakglass.seal_anew(tx, plane.ids, plane.clock.now_ms())))
    shown = secondfactor.begin(plane, person.actor, password=PASSWORD)
    plain = shown.secret.replace(" ", "")
    seed = base64.b32decode(plain + "=" * (-len(plain) % 8))
    code = onetime.hotp(seed, plane.clock.now_ms() // 30_000)
    told += [shown.secret, plain, *secondfactor.confirm(plane, person.actor, code=code, keep=sessions.who(plane, person.secret).session.id)]
    made = Furnished(world, admin, owner, person, seed, [*told, *kept_secrets(plane)])
    yield made
    print()
    for (method, path), found in sorted(made.statuses.items(), key=lambda one: (one[0][1], one[0][0])):
        print(f"{method:6} {path}: {', '.join(f'{count} x {status}' for status, count in sorted(found.items()))}")
    world.close()
    plane.db.close()


# --- as it should be asked --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """How an operation is asked so that it does what it is for: with other ids, another body, by somebody else. What is not said is as in the matrix."""

    ids: Callable[[Furnished], dict[str, str]] = lambda _: {}
    body: Callable[[Furnished], Any] | None = None
    who: Callable[[Furnished], Asker] = lambda made: made.admin
    query: Callable[[Furnished], dict[str, str]] = lambda _: {}


def waiting(made: Furnished) -> dict[str, str]:
    """Somebody new who asks to be let in."""
    plane = made.world.plane
    join = joins.create_join(plane, ADMIN, site=made.world.amber.ids["site"], title="for the fuzz")
    PaperDevice(straight(made.world.agents), f"press-{plane.ids.new('n')[-6:].strip('_')}", clock=plane.clock.now_ms).ask(join.join)
    return {"enrolment": enrolments.list_enrolments(plane, ADMIN)[0].id}


def another_session(made: Furnished) -> dict[str, str]:
    found = with_password(made.world, "one more")
    return {"user": found.actor.id, "session": sessions.who(made.world.plane, found.secret).session.id}


def another_factor(made: Furnished) -> dict[str, str]:
    found = with_password(made.world, "one with a factor")
    secondfactor.begin(made.world.plane, found.actor, password=PASSWORD)
    return {"user": found.actor.id}


def broken_glass(made: Furnished) -> dict[str, str]:
    plane = made.world.plane
    plane.db.update(lambda tx: breakglass.opened(plane, tx, ADMIN, "a fuzz", ""))
    return {}


def code_of(made: Furnished) -> str:
    """A code that was not used before."""
    turn(made.world.plane, 60_000)
    return onetime.hotp(made.seed, made.world.plane.clock.now_ms() // 30_000)


def first_code(made: Furnished) -> Any:
    shown = secondfactor.begin(made.world.plane, made.admin.actor, password=PASSWORD)
    plain = shown.secret.replace(" ", "")
    return {"code": onetime.hotp(base64.b32decode(plain + "=" * (-len(plain) % 8)), made.world.plane.clock.now_ms() // 30_000)}


def a_view(made: Furnished) -> str:
    return saved.save_view(made.world.plane, made.admin.actor, name="to go", query="show=drifted").id


def a_deployment(made: Furnished, name: str) -> str:
    """One more, of an app of its own; its id."""
    world = made.world
    push(world.plane.blobs, "shop/db", small_image("db"), "1")
    found = releases.publish(world.plane, ADMIN, source=b"services:\n  web:\n    image: shop/db:1\n", app=name, version="1")
    device = Target(devices=(world.basalt.ids["device"],))
    return deployments.create_deployment(world.plane, ADMIN, name=name, release=found.id, target=device).id


def a_rollout(made: Furnished) -> dict[str, str]:
    """One that goes on."""
    return {"rollout": progress.list_rollouts(made.world.plane, ADMIN, deployment=a_deployment(made, "more")).items[0].rollout.id}


def standing(made: Furnished, **values: Any) -> dict[str, str]:
    """The device of amber, as the plane found that it stands."""
    made.world.plane.db.update(lambda tx: device_store.mark(tx, half(made).ids["device"], **values))
    return {}


def ordered_to_go(made: Furnished) -> dict[str, str]:
    plane, device = made.world.plane, half(made).ids["device"]
    revision = devices.get_device(plane, ADMIN, device=device).device.revision
    retiring.retire(plane, ADMIN, device=device, revision=revision, reason="", wipe="apps")
    return {}


def failed(made: Furnished) -> dict[str, str]:
    plane = made.world.plane
    rollout = progress.list_rollouts(plane, ADMIN, deployment=half(made).ids["deployment"]).items[0].rollout.id

    def work(tx: Any) -> None:
        rollout_store.put_members(tx, [replace(one, state="failed") for one in rollout_store.members_of(tx, rollout)])

    plane.db.update(work)
    return {}


def withdrawn(made: Furnished) -> dict[str, str]:
    plane, found = made.world.plane, a_deployment(made, "gone")
    deployments.withdraw(plane, ADMIN, deployment=found, revision=deployments.get_deployment(plane, ADMIN, deployment=found).deployment.revision, reason="")
    return {"deployment": found}


def both(noun: str) -> Callable[[Furnished], dict[str, str]]:
    return lambda made: {"a": made.world.amber.ids[noun], "b": made.world.basalt.ids[noun]}


ASK = {"verb": "devices.read", "what": "fleet"}


def new_name(made: Furnished) -> str:
    return made.world.plane.ids.new("n").replace("_", "-")


def invited(made: Furnished) -> tuple[str, str]:
    """Somebody new, and the code of their invitation."""
    user, invitation = people.create_person(made.world.plane, ADMIN, name=new_name(made))
    assert invitation is not None
    return user.id, invitation.code


def disabled(made: Furnished) -> dict[str, str]:
    user, _ = invited(made)
    people.disable_person(made.world.plane, ADMIN, user=user)
    return {"user": user}


def a_role(made: Furnished) -> dict[str, str]:
    return {"role": roles.create_role(made.world.plane, ADMIN, name=new_name(made), title="", verbs=("devices.read",)).role.name}


def a_service(made: Furnished) -> dict[str, str]:
    plane = made.world.plane
    user, _ = people.create_person(plane, ADMIN, name=new_name(made), kind=SERVICE)
    return {"user": user.id, "token": tokens.create_token(plane, ADMIN, name="to go", user=user.id).token.id}


def half(made: Furnished) -> Half:
    return made.world.amber


def an_upstream(made: Furnished) -> dict[str, str]:
    made.world.plane.upstream = MemoryUpstream()
    upstreams.set_upstream(made.world.plane, ADMIN, host="x.example", user="robot", password="a password of the vault")
    return {"host": "x.example"}


def a_mirror(made: Furnished) -> dict[str, str]:
    mirror = Mirror("mir_1", "x.example/y:1", "x.example/y", "1", (), "done", "", False, "", "", 0, 0, "", 0, 0, "", 0, 0, 0, "", 0, "")
    made.world.plane.db.update(lambda tx: mirror_store.put(tx, mirror))
    return {"mirror": "mir_1"}


def a_list(made: Furnished) -> dict[str, str]:
    finding.import_list(made.world.plane, ADMIN, source="own", kind="osv", text='{"id": "X-1"}')
    return {"list": "own"}


def a_template(made: Furnished) -> dict[str, str]:
    catalogue = '{"version": "2", "templates": [{"type": 1, "title": "Redis", "image": "redis"}]}'
    templates.import_templates(made.world.plane, ADMIN, source="", catalogue=catalogue, stacks={})
    return {"app": "redis"}


OURS = {"password": PASSWORD}


def a_tag(made: Furnished) -> dict[str, str]:
    """A tag of the registry that may go."""
    push(made.world.plane.blobs, "amber-app/web", small_image("amber"), "to-go")
    return {"repository": "amber-app/web", "reference": "to-go"}


WAYS = {
    ("POST", f"{V}/login"): Way(body=lambda made: {"name": made.owner.actor.name, **OURS}),
    ("POST", f"{V}/me/password"): Way(body=lambda _: {"old": PASSWORD, "new": "another long sentence"}, who=lambda made: with_password(made.world, "x")),
    ("DELETE", f"{V}/me/sessions/{{session}}"): Way(ids=lambda made: {"session": own_session(made)}),
    ("POST", f"{V}/me/second-factor"): Way(body=lambda _: OURS),
    ("POST", f"{V}/me/second-factor/confirm"): Way(body=first_code),
    ("POST", f"{V}/me/second-factor/recovery-codes"): Way(body=lambda made: {**OURS, "code": code_of(made)}, who=lambda made: made.person),
    ("POST", f"{V}/me/second-factor/off"): Way(body=lambda made: {**OURS, "code": code_of(made)}, who=lambda made: made.person),
    ("DELETE", f"{V}/users/{{user}}/sessions/{{session}}"): Way(ids=another_session),
    ("POST", f"{V}/users/{{user}}/second-factor/reset"): Way(ids=another_factor),
    ("POST", f"{V}/break-glass/acknowledge"): Way(ids=broken_glass),
    ("DELETE", f"{V}/tokens/{{token}}"): Way(ids=lambda made: {"token": tokens.create_token(made.world.plane, made.admin.actor, name="to go").token.id}),
    ("DELETE", f"{V}/views/{{view}}"): Way(ids=lambda made: {"view": a_view(made)}),
    ("POST", f"{V}/rollouts/{{rollout}}/stop"): Way(ids=a_rollout),
    ("GET", f"{V}/registry/repository"): Way(query=lambda _: {"name": "amber-app/web"}),
    ("POST", f"{V}/registry/delete"): Way(body=a_tag),
    ("POST", f"{V}/groups"): Way(body=lambda made: {"name": new_name(made), "selector": "line=3"}),
    ("DELETE", f"{V}/groups/{{group}}"): Way(ids=lambda made: {"group": groups.create_group(made.world.plane, ADMIN, name=new_name(made)).id}),
    ("GET", f"{V}/access/explain"): Way(query=lambda _: ASK),
    ("GET", f"{V}/access/who-can"): Way(query=lambda _: ASK),
    ("POST", f"{V}/bindings/{{binding}}/take"): Way(body=lambda _: {}),
    ("POST", f"{V}/invitation"): Way(body=lambda made: {"code": invited(made)[1], "password": "another long sentence"}),
    ("PATCH", f"{V}/roles/{{role}}"): Way(ids=a_role),
    ("POST", f"{V}/roles/{{role}}/remove"): Way(ids=a_role),
    ("POST", f"{V}/teams/{{team}}/remove"): Way(body=lambda _: {}),
    ("POST", f"{V}/users/{{user}}/disable"): Way(ids=lambda made: {"user": invited(made)[0]}, body=lambda _: {}),
    ("POST", f"{V}/users/{{user}}/enable"): Way(ids=disabled),
    ("POST", f"{V}/users/{{user}}/remove"): Way(ids=lambda made: {"user": invited(made)[0]}, body=lambda _: {}),
    ("GET", f"{V}/users/{{user}}/tokens"): Way(ids=a_service),
    ("POST", f"{V}/users/{{user}}/tokens"): Way(ids=a_service, body=lambda _: {"label": "for CI"}),
    ("DELETE", f"{V}/users/{{user}}/tokens/{{token}}"): Way(ids=a_service),
    ("GET", f"{V}/compare/devices"): Way(query=both("device")),
    ("GET", f"{V}/compare/sites"): Way(query=both("site")),
    ("GET", f"{V}/compare/releases"): Way(query=lambda made: {"a": half(made).ids["release"], "b": half(made).ids["release"]}),
    ("POST", f"{V}/deployments"): Way(
        body=lambda made: {"release": half(made).ids["release"], "name": "one-more", "target": {"devices": [half(made).ids["device"]]}}
    ),
    ("POST", f"{V}/deployments/{{deployment}}/retry"): Way(ids=failed),
    ("POST", f"{V}/deployments/{{deployment}}/stand-again"): Way(ids=withdrawn),
    ("POST", f"{V}/devices/{{device}}/accept-review"): Way(ids=lambda made: standing(made, review="looked at")),
    ("POST", f"{V}/devices/{{device}}/release-quarantine"): Way(ids=lambda made: standing(made, state="quarantined", why="a fork")),
    ("POST", f"{V}/devices/{{device}}/keep"): Way(ids=ordered_to_go),
    ("POST", f"{V}/devices/{{device}}/move"): Way(body=lambda made: {"site": made.world.basalt.ids["site"]}),
    ("POST", f"{V}/sites"): Way(body=lambda _: {"name": "one-more"}),
    ("POST", f"{V}/sites/{{site}}/people"): Way(body=lambda _: {"name": "Jo"}),
    ("POST", f"{V}/enrolments/{{enrolment}}/approve"): Way(ids=waiting, body=lambda _: {}),
    ("POST", f"{V}/enrolments/{{enrolment}}/reject"): Way(ids=waiting),
    ("POST", f"{V}/backup"): Way(body=lambda _: {"key": public_pem(generate_key()).decode()}),
    ("GET", f"{V}/upstreams/{{host}}"): Way(ids=an_upstream),
    ("DELETE", f"{V}/upstreams/{{host}}"): Way(ids=an_upstream),
    ("POST", f"{V}/upstreams/{{host}}/test"): Way(ids=an_upstream),
    ("POST", f"{V}/mirrors/check"): Way(ids=an_upstream, body=lambda _: {}),
    ("DELETE", f"{V}/mirrors/{{mirror}}"): Way(ids=a_mirror),
    ("GET", f"{V}/find"): Way(query=lambda _: {"digest": "sha256:" + "0" * 64}),
    ("DELETE", f"{V}/vulnerability-lists/{{list}}"): Way(ids=a_list),
    ("GET", f"{V}/templates/{{app}}"): Way(ids=a_template),
    ("DELETE", f"{V}/templates/{{app}}"): Way(ids=a_template),
    ("GET", f"{V}/parameters"): Way(query=lambda made: {"app": half(made).ids["app"]}),
    ("POST", f"{V}/parameters/preview"): Way(
        body=lambda made: {"app": half(made).ids["app"], "level": "device", "part": half(made).ids["device"], "values": {"LEVEL": "warning"}}
    ),
    ("POST", f"{V}/releases"): Way(body=lambda made: {"app": half(made).ids["app"], "version": "one-more", "compose": compose(half(made))}),
    ("POST", f"{V}/notices"): Way(body=lambda _: {"name": "more", "webhook": {"url": "https://x.example/"}}),
}
# Those that cannot do it here, and where they do.
ELSEWHERE = {
    ("POST", f"{V}/setup"): "it is done once, before there is anybody: served.Served.ready",
}
LATE = ("second-factor/off", "/withdraw", "/retire", "/me/sessions")  # what takes away what others need; DELETE too, and last


def own_session(made: Furnished) -> str:
    plane = made.world.plane

    def work(tx: Any) -> str:
        user = users.by_id(tx, made.admin.actor.id)
        assert user is not None
        return sessions.open_for(plane, tx, user, "", "").session.id

    return plane.db.update(work)


def in_order() -> list[tuple[str, str]]:
    """The operations, what takes things away last, what lies deeper first among them."""
    return sorted(ASKED, key=lambda key: (key[0] == "DELETE", key[1].endswith(LATE), -len(key[1]) if key[0] == "DELETE" else 0, key[1]))


@pytest.mark.slow
def test_every_operation_does_what_it_is_for(furnished):
    """And leaves no secret in the record of acts or in the log."""
    wrong = []
    with structlog.testing.capture_logs() as lines:
        for key in in_order():
            if key in ELSEWHERE:
                continue
            way, line, operation = WAYS.get(key, Way()), API[key], ASKED[key]
            ids = {"role": "viewer"} | furnished.world.amber.ids | way.ids(furnished)
            body = way.body(furnished) if way.body else line.body(half(furnished)) if line.body else None
            asker = way.who(furnished)
            status = 0
            for revision in range(1, 40):
                headers = {"If-Match": f'"r{revision}"'} if route_of(key).conditional else {}
                path = {name: ids[name] for name in re.findall(r"{(\w+)}", key[1])}
                given = {"body": body, "media_type": "application/json"} if body is not None else {}
                status = furnished.ask(key, asker, operation.Case(path_parameters=path, headers=headers, query=way.query(furnished), **given))
                if status != 412:
                    break
            if not 200 <= status < 300:
                wrong.append(f"{key[0]} {key[1]}: {status} {furnished.last}")
    assert not wrong, "they never did what they are for; say how in WAYS:\n" + "\n".join(wrong)
    said = "\n".join([repr(lines), *(repr(row) for table, row in rows(furnished.world.plane) if table in ("events", "outbox", "log_entries", "timeline"))])
    held = [one for one in furnished.told if one in said]
    assert not held, f"the record of acts or the log holds {held[0]}"


def test_nothing_is_left_out():
    assert set(ASKED) | {("GET", path) for path in STREAMS} == {(route.method, route.path) for route in ROUTES}


def test_every_column_that_may_hold_a_secret_is_known():
    named = re.compile(r"hash|digest|salt|verif|secret|seal|pass|totp|recov|csrf|^way$|vault|token|private|proof|codes")
    found = {(table.name, column.name) for table in metadata.sorted_tables for column in table.columns if named.search(column.name)}
    assert found - SECRET_COLUMNS - set(NO_SECRET) == set()


def route_of(key: tuple[str, str]) -> Any:
    return next(route for route in ROUTES if (route.method, route.path) == key)


# --- as it should not -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("key", list(ASKED), ids=" ".join)
def test_no_surprise(key, furnished):
    operation = ASKED[key]
    real = furnished.world.amber.ids
    modes = schemathesis.GenerationMode

    def probe(mode: Any) -> None:
        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
        @given(case=operation.as_strategy(generation_mode=mode), known=sampled_from((True, True, False)))
        def run(case, known):
            if known and case.path_parameters:
                case.path_parameters = {name: real.get(name, value) for name, value in case.path_parameters.items()}
            for asker in (None, furnished.owner, furnished.admin):
                furnished.ask(key, asker, case)

        try:
            run()
        except Unsatisfiable:
            assert mode is modes.NEGATIVE, "nothing as described can be made"

    probe(modes.POSITIVE)
    probe(modes.NEGATIVE)
