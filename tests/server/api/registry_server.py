"""The registry behind a real uvicorn on loopback, for tests with real clients. Owns starting and stopping; knows two users."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn

from penstock.server.api.registry import Registry
from penstock.server.core.errors import Limited
from penstock.server.core.model import Actor
from penstock.server.core.oci import Content

PASSWORD = "pst_secret"
PUSHER = Actor("user", "usr_a", "ada")
READER = Actor("token", "tok_b", "bob")


@dataclass
class Served:
    """A running registry. `held` maps digests to why they may not be deleted; `asked` lists every (actor, repository, verb)."""

    registry: Registry
    host: str = ""
    held: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    signed_in: int = 0

    @property
    def content(self) -> Content:
        return self.registry.content

    def begin_anew(self, content: Content) -> None:
        """Other content, nobody signed in: a fresh registry without the seconds a server takes to start and stop."""
        self.registry.content = content
        self.registry.forget()
        self.held.clear()
        self.asked.clear()
        self.signed_in = 0

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def authenticate(self, user: str, password: str, _address: str) -> Actor | None:
        self.signed_in += 1
        if user == "slow":
            raise Limited("too-many-attempts", "too many attempts; wait", retry_s=7)
        if password != PASSWORD:
            return None
        return READER if user == "bob" else PUSHER

    def may(self, actor: Actor, repository: str, verb: str) -> str | None:
        self.asked.append((actor.name, repository, verb))
        if repository.startswith("hidden/"):
            return f"{repository} is not yours to see"
        return None if actor is PUSHER or verb == "pull" else f"{actor.name} may only pull"


@contextmanager
def serve(content: Content) -> Iterator[Served]:
    """Serve `content` on a free port of 127.0.0.1."""
    registry = Registry(content, lambda _user, _password, _address: None, lambda _actor, _name, _verb: None)
    served = Served(registry)
    registry.authenticate, registry.may, registry.held = served.authenticate, served.may, served.held.get
    config = uvicorn.Config(registry, host="127.0.0.1", port=0, log_level="warning", lifespan="off", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started:
            if time.monotonic() > deadline or not thread.is_alive():
                raise RuntimeError("the registry did not start")
            time.sleep(0.01)
        served.host = f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        yield served
    finally:
        server.should_exit = True
        thread.join(20)
