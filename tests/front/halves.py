"""A fleet in two halves, amber and basalt, with everything twice: a site, devices, an app, a deployment, somebody who asks to be let in, and so on. And
actors with each role on the whole fleet, on amber's site, on amber's app, or on nothing.

Whatever belongs to basalt has that word in its name, so that one look at an answer shows whether it gave something away.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode

from penstock.server.actions import (
    bindings,
    commands,
    deployments,
    enrolments,
    faults,
    groups,
    joins,
    localpeople,
    notices,
    people,
    progress,
    releases,
    sessions,
    sites,
    teams,
)
from penstock.server.actions.context import Plane
from penstock.server.api import auth
from penstock.server.api.agent import AgentApi
from penstock.server.core.model import Actor, Target, User, UserId
from penstock.server.core.rights import BUILT_IN, Binding, Part
from penstock.server.effects.notify import Parcel
from penstock.server.front import build_front
from penstock.server.store import access, status, users
from penstock.wire.log import Boot
from penstock.wire.record import replace
from tests.server.paper import PaperDevice, straight
from tests.server.planes import ADMIN, work_off
from tests.server.pushing import push, small_image

COMPOSE = "services:\n  web:\n    image: {half}/web:1\n    environment: {{LEVEL: '${{LEVEL:-info}}'}}\n"


@dataclass
class Half:
    """One half: the ids and names of its things."""

    name: str
    ids: dict[str, str] = field(default_factory=dict)

    def words(self) -> set[str]:
        """What gives it away."""
        return {self.name, *self.ids.values()}


@dataclass(frozen=True)
class Asker:
    """A person with one role, or with none, signed in."""

    label: str
    actor: Actor
    secret: str
    csrf: str


@dataclass(frozen=True)
class Got:
    """An answer."""

    status: int
    text: str
    headers: dict[str, str]


class Nobody:
    """A courier that reaches nobody."""

    def deliver(self, parcels: Sequence[Parcel], now_ms: int) -> list[str]:
        return ["there is nobody there" for _ in parcels]


class World:
    """The plane, its halves, and a way to ask it."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.plane.courier = Nobody()
        self.agents = AgentApi(self.plane)
        self.front = build_front(self.plane)
        self.loop = asyncio.new_event_loop()
        self.amber, self.basalt = self._half("amber"), self._half("basalt")
        work_off(self.plane)
        self.askers = tuple(self._askers())
        self.places: list[Asker] = []  # askers of one half, where a test chooses some
        self.secrets: dict[str, str] = {}  # of API tokens, by asker, where a test makes some

    def close(self) -> None:
        self.loop.close()
        self.agents.close()

    # --- making -------------------------------------------------------------------------------------------------------

    def _half(self, name: str) -> Half:
        plane, made = self.plane, Half(name)
        place = sites.create_site(plane, ADMIN, name=f"{name}-site", title=f"The {name} site")
        made.ids |= {"site": place.id, "app": f"{name}-app"}
        join = joins.create_join(plane, ADMIN, site=place.id, uses=9, auto_approve=True, labels={"half": name}, title=f"{name} line")
        made.ids["join"] = join.token.id
        device = PaperDevice(straight(self.agents), f"{name}-press", clock=plane.clock.now_ms)
        assert device.ask(join.join).status == "approved"
        device.write("boot", Boot("0.1.0", "b1", device.facts, "d1"))
        device.poll()
        device.report()
        made.ids["device"] = device.id
        made.ids["group"] = groups.create_group(plane, ADMIN, name=f"{name}-group", title=f"The {name} group", named=[device.id]).id
        asking = joins.create_join(plane, ADMIN, site=place.id, title=f"{name} asks")
        assert PaperDevice(straight(self.agents), f"{name}-new", clock=plane.clock.now_ms).ask(asking.join).status == "waiting"
        made.ids["enrolment"] = next(one.id for one in enrolments.list_enrolments(plane, ADMIN) if one.site == place.id)
        push(plane.blobs, f"{name}-app/web", small_image(name), "1")
        source = COMPOSE.format(half=f"{name}-app").encode()
        made.ids["release"] = releases.publish(plane, ADMIN, source=source, app=f"{name}-app", version="1", title=f"The {name} app").id
        standing = deployments.create_deployment(plane, ADMIN, name=f"{name}-line", release=made.ids["release"], target=Target(devices=(device.id,)))
        made.ids["deployment"] = standing.id
        made.ids["rollout"] = progress.list_rollouts(plane, ADMIN, deployment=standing.id).items[0].rollout.id
        plane.db.update(lambda tx: status.put_reported(tx, [replace(status.get(tx, device.id), lost=1)]))
        made.ids["fault"] = faults.list_faults(plane, ADMIN, query=faults.Query(device=device.id, kind="log-gap"))[0].items[0].id
        hook = {"url": f"https://{name}.example/{name}-hook", "ca": ""}
        made.ids["notice"] = notices.create_notice(plane, ADMIN, name=f"{name}-pager", kind="webhook", site=place.id, way=hook).view.target.id
        made.ids["person"] = localpeople.add_person(plane, ADMIN, site=place.id, name=f"{name} one", may=("revert",), pin="314159").id
        person = self.asker(f"{name}-person", ())
        made.ids |= {"user": person.actor.id, "session": sessions.list_sessions(plane, person.actor)[0].id}
        made.ids["command"] = commands.order(plane, ADMIN, device=device.id, verb="refresh").id
        made.ids["user"] = people.create_person(plane, ADMIN, name=f"{name}-user", title=f"Somebody at {name}")[0].name
        made.ids["team"] = teams.create_team(plane, ADMIN, name=f"{name}-team", members=(f"{name}-user",)).team.name
        bindings.give(plane, ADMIN, who=made.ids["team"], role_name="viewer", on=f"site:{name}-site", reason=f"they are at {name}")
        made.ids["binding"] = bindings.give(plane, ADMIN, who=made.ids["user"], role_name="approver", on=f"site:{name}-site").binding.id
        return made

    def _askers(self) -> Iterator[Asker]:
        yield self.asker("nothing", ())
        for role in BUILT_IN:
            yield self.asker(f"{role} on the fleet", ((role, Part("fleet")),))
            yield self.asker(f"{role} on amber's site", ((role, Part("site", self.amber.ids["site"])),))
        for role in ("publisher", "ci", "viewer"):
            yield self.asker(f"{role} on amber's app", ((role, Part("app", self.amber.ids["app"])),))
        yield self.asker("engineer on amber's group", (("engineer", Part("group", self.amber.ids["group"])),))
        yield self.asker("engineer on amber's device", (("engineer", Part("device", self.amber.ids["device"])),))

    def asker(self, label: str, given: tuple[tuple[str, Part], ...]) -> Asker:
        """A person with these roles."""
        plane = self.plane

        def work(tx: Any) -> Any:
            user = User(UserId(plane.ids.new("usr")), plane.ids.new("name"), "x", plane.clock.now_ms())
            users.add(tx, user)
            for role, part in given:
                access.bind(tx, Binding(plane.ids.new("bnd"), user.id, role, part))
            return sessions.open_for(plane, tx, user, "", "")

        made = plane.db.update(work)
        return Asker(label, sessions.who(plane, made.secret).actor, made.secret, made.session.csrf)

    # --- asking -------------------------------------------------------------------------------------------------------

    def ask(self, asker: Asker, method: str, path: str, *, body: Any = None, form: dict[str, str] | None = None, headers: dict[str, str] | None = None) -> Got:
        """One request, by the asker's browser session, straight into the application."""
        given = {"cookie": f"{auth.COOKIE}={asker.secret}", "host": "plane", **(headers or {})}
        raw = b""
        if body is not None:
            raw, given["content-type"] = json.dumps(body).encode(), "application/json"
        if method != "GET":
            given["x-penstock-csrf"] = auth.mask(asker.csrf)
        if form is not None:
            raw, given["content-type"] = urlencode({**form, "csrf": auth.mask(asker.csrf)}).encode(), "application/x-www-form-urlencoded"
        return self.loop.run_until_complete(self._through(method, path, given, raw))

    def raw(self, method: str, target: str, headers: dict[str, str], raw: bytes) -> Got:
        """One request as it stands, by nobody unless its headers say who."""
        return self.loop.run_until_complete(self._through(method, target, {"host": "plane", **headers}, raw))

    async def _through(self, method: str, target: str, headers: dict[str, str], raw: bytes) -> Got:
        sent: list[Any] = []
        inbox = [{"type": "http.request", "body": raw, "more_body": False}]

        async def receive() -> Any:
            return inbox.pop(0) if inbox else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.front(_scope(method, target, headers), receive, send)
        start = sent[0]
        got = {key.decode().lower(): value.decode() for key, value in start["headers"]}
        return Got(start["status"], b"".join(message.get("body", b"") for message in sent[1:]).decode("utf-8", "replace"), got)

    def listen(self, asker: Asker, path: str, act: Callable[[], None], last: str) -> str:
        """What a stream says from its beginning until a message that holds `last` arrives, while `act()` is done. Raises TimeoutError."""
        return self.loop.run_until_complete(asyncio.wait_for(self._listen(asker, path, act, last), 20))

    async def _listen(self, asker: Asker, path: str, act: Callable[[], None], last: str) -> str:
        self.plane.live.start(asyncio.get_running_loop())
        heard: list[str] = []
        begun, over = asyncio.Event(), asyncio.Event()
        inbox = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Any:
            if inbox:
                return inbox.pop()
            await over.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            heard.append(message.get("body", b"").decode())
            if heard[-1]:
                begun.set()
            if last in heard[-1]:
                over.set()

        headers = {"cookie": f"{auth.COOKIE}={asker.secret}", "host": "plane"}
        task = asyncio.ensure_future(self.front(_scope("GET", path, headers), receive, send))
        await begun.wait()
        await asyncio.to_thread(act)
        await over.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return "".join(heard)


def _scope(method: str, target: str, headers: dict[str, str]) -> dict[str, Any]:
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "https",
        "server": ("plane", 443),
        "root_path": "",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(key.encode(), value.encode()) for key, value in headers.items()],
        "client": ("127.0.0.1", 1),
    }
