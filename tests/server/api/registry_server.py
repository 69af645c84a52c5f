"""The registry behind a real uvicorn on loopback, for tests with real clients. Owns starting and stopping; knows two users."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import uvicorn

from penstock.server.actions.registryaccess import Issued, Redeemed
from penstock.server.api.registry import Registry
from penstock.server.api.registry_gate import Doors, Gate
from penstock.server.core.errors import Limited, Unauthenticated
from penstock.server.core.model import Actor
from penstock.server.core.oci import Content
from penstock.server.core.registryscopes import allowed, read_scopes
from penstock.server.effects.tokens import RegistryTokens
from penstock.wire.types import sha256_of

DATA = bytes(range(256)) * 400
DIGEST = sha256_of(DATA)
NONE = "sha256:" + "0" * 64
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
    stranger: httpx.Client = field(default_factory=httpx.Client)  # nobody is signed in there
    tokens: RegistryTokens = field(default_factory=lambda: RegistryTokens(b"k" * 32))

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

    def sign_in(self, user: str, password: str, _address: str) -> Actor:
        self.signed_in += 1
        if user == "slow":
            raise Limited("too-many-attempts", "too many attempts; wait", retry_s=7)
        if password != PASSWORD:
            raise Unauthenticated("wrong-credentials", "this name and password are not known here")
        return READER if user == "bob" else PUSHER

    def redeem(self, token: str) -> Redeemed:
        self.signed_in += 1
        raw = self.tokens.read(token)
        if raw is None and token != PASSWORD:
            raise Unauthenticated("token-unknown", "this token is not known here")
        if raw is None:
            return Redeemed(PUSHER)
        name, *scopes = raw.decode().split()
        return Redeemed(READER if name == "bob" else PUSHER, read_scopes(scopes))

    def issue(self, user: str, password: str, address: str, scopes: Iterable[str]) -> Issued:
        actor = self.sign_in(user, password, address)
        granted = allowed(read_scopes(scopes), lambda name, verb: self.may(actor, name, verb) is None)
        return Issued(self.tokens.issue(" ".join((actor.name, *map(str, granted))).encode()), 300, 1_800_000_000_000, granted)

    def may(self, actor: Actor, repository: str, verb: str) -> str | None:
        self.asked.append((actor.name, repository, verb))
        if repository.startswith("hidden/"):
            return f"{repository} is not yours to see"
        return None if actor is PUSHER or verb == "pull" else f"{actor.name} may only pull"


def code(answer: httpx.Response) -> str:
    """The one error of an answer, in the form that is written for it."""
    assert answer.headers["content-type"] == "application/json"
    (error,) = answer.json()["errors"]
    assert error["message"]
    return str(error["code"])


def begin(client: httpx.Client, name: str = "a/b") -> str:
    """A new upload; where it is."""
    answer = client.post(f"/v2/{name}/blobs/uploads/")
    assert answer.status_code == 202
    assert answer.headers["range"] == "0-0"
    assert answer.headers["docker-upload-uuid"] in answer.headers["location"]
    return answer.headers["location"]


@contextmanager
def serve(content: Content) -> Iterator[Served]:
    """Serve `content` on a free port of 127.0.0.1."""
    served = Served(Registry(content, None))  # type: ignore[arg-type]
    served.registry.gate = Gate(Doors(served.sign_in, served.redeem, served.issue, served.may))
    served.registry.held = served.held.get
    config = uvicorn.Config(served.registry, host="127.0.0.1", port=0, log_level="warning", lifespan="off", timeout_graceful_shutdown=2)
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
        with httpx.Client(base_url=served.url, timeout=20) as served.stranger:
            yield served
    finally:
        server.should_exit = True
        thread.join(20)
