"""Who stands at the registry, and what they are told when they may not.

Owns the challenge (`WWW-Authenticate: Bearer`, RFC 6750 and the token documents of Docker's registry), Basic and Bearer headers, the token address
`/v2/token` and the short memory of who signed in. Who somebody is and what they may is asked of four functions, in threads.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Protocol
from urllib.parse import urlsplit

from penstock.server.api.blobs import header
from penstock.server.api.registry_http import Call, Problem, credentials, only, parameters, whole_body
from penstock.server.core.errors import Unauthenticated
from penstock.server.core.model import Actor
from penstock.server.core.registryscopes import Granted, covers, scope_of

REMEMBERED_S = 30  # a sign-in is believed again for so long: a push asks fifty times
MAX_REMEMBERED = 256
MAX_FORM = 16 * 1024  # bytes of a request for a token
HOST = re.compile(r"[A-Za-z0-9.\[\]:_-]{1,255}\Z")


class Token(Protocol):
    """A token just made; see `actions.registryaccess.Issued`."""

    @property
    def text(self) -> str: ...
    @property
    def expires_s(self) -> int: ...
    @property
    def at_ms(self) -> int: ...
    @property
    def scope(self) -> tuple[Granted, ...]: ...


class Bearer(Protocol):
    """Who a token speaks for and for what; see `actions.registryaccess.Redeemed`."""

    @property
    def actor(self) -> Actor: ...
    @property
    def scope(self) -> tuple[Granted, ...] | None: ...


@dataclass(frozen=True, slots=True)
class Doors:
    """What the gate asks, in threads; each may raise `core.errors.Refused`. `sign_in(user, password, address)` gives who it is; `redeem(token)` who a bearer
    token speaks for; `issue(user, password, address, scopes)` makes a token; `may(actor, repository, verb)` is the sentence why not, or None."""

    sign_in: Callable[[str, str, str], Actor]
    redeem: Callable[[str], Bearer]
    issue: Callable[[str, str, str, Iterable[str]], Token]
    may: Callable[[Actor, str, str], str | None]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `scope`: what their token was made for; None for who signed in by themselves."""

    actor: Actor
    scope: tuple[Granted, ...] | None = None


class Gate:
    """`addresses` are those of this plane: they say which scheme people use where a proxy ends TLS. `clock` gives monotonic seconds."""

    def __init__(self, doors: Doors, addresses: tuple[str, ...] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self.doors = doors
        self.clock = clock
        self._schemes = {urlsplit(one).netloc: urlsplit(one).scheme for one in addresses}
        self._remembered: dict[bytes, tuple[Caller, float]] = {}
        self._turn = 0

    def forget(self) -> None:
        """Ask everybody to sign in again: call it when a user, a token or a right is taken away."""
        self._turn += 1
        self._remembered.clear()

    # --- the challenge ------------------------------------------------------------------------------------------------

    def challenge(self, call: Call, why: str, scope: str = "", fault: str = "") -> Problem:
        """ "Sign in first", and how: for a token, which every client can, or by Basic where the request does not say under which name it came."""
        host = header(call.scope, b"host")
        if not HOST.match(host):
            return Problem(401, "UNAUTHORIZED", why, [(b"www-authenticate", b'Basic realm="Penstock registry", charset="UTF-8"')])
        scheme = self._schemes.get(host, call.scope.get("scheme", "https"))
        said = f'Bearer realm="{scheme}://{host}/v2/token",service="{host}"'
        said += f',scope="{scope}"' if scope else ""
        said += f',error="{fault}"' if fault else ""
        return Problem(401, "UNAUTHORIZED", why, [(b"www-authenticate", said.encode())])

    async def caller(self, call: Call, scope: str = "") -> Caller:
        """Who asks. `scope` is what a token for this request would be for. Raises Problem, Refused."""
        given = header(call.scope, b"authorization")
        if not given:
            raise self.challenge(call, "sign in first: docker login", scope)
        key = hashlib.sha256(given.encode("latin-1")).digest()
        now, turn = self.clock(), self._turn
        known = self._remembered.get(key)
        if known is not None and now < known[1]:
            return known[0]
        pair = credentials(given)
        if pair is None:
            raise self.challenge(call, "the Authorization header is not understood; sign in with docker login, or send a bearer token", scope)
        try:
            found = await asyncio.to_thread(self._known, *pair, _address(call))
        except Unauthenticated as fault:
            raise self.challenge(call, _sentence(fault), scope, "" if pair[0] or given[:5].lower() == "basic" else "invalid_token") from None
        # A token of ours lapses by itself: it is cheap to judge, and not remembered beyond its end.
        if found.scope is None and turn == self._turn:
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = (found, now + REMEMBERED_S)
        return found

    def _known(self, user: str, password: str, address: str) -> Caller:
        if user:
            return Caller(self.doors.sign_in(user, password, address))
        found = self.doors.redeem(password)
        return Caller(found.actor, found.scope)

    # --- rights -------------------------------------------------------------------------------------------------------

    async def may(self, caller: Caller, name: str, verb: str) -> bool:
        """Whether this may be done, with this token."""
        if caller.scope is not None and not covers(caller.scope, name, verb):
            return False
        return await asyncio.to_thread(self.doors.may, caller.actor, name, verb) is None

    async def need(self, call: Call, caller: Caller, verb: str) -> None:
        """Raises Problem unless the caller may do this to the repository of the call. Who may not look is told no more than that there is nothing to see;
        it is judged by the name alone, before anything is looked up, so the answer is the same whether the repository exists or not."""
        why = await asyncio.to_thread(self.doors.may, caller.actor, call.name, verb)
        if why is not None:
            if verb == "pull":
                raise Problem(404, "NAME_UNKNOWN", f"there is no repository {call.name} here, or it is not yours to see")
            raise Problem(403, "DENIED", why)
        if caller.scope is not None and not covers(caller.scope, call.name, verb):
            why = f"this token is not for {verb} on {call.name}; ask for another"
            raise self.challenge(call, why, scope_of(call.name, verb), "insufficient_scope")

    # --- tokens -------------------------------------------------------------------------------------------------------

    async def token(self, call: Call) -> None:
        """`/v2/token`: a name and password, or an API token, for a short-lived token. Raises Problem, Refused."""
        only(call, "GET", "POST")
        if call.method == "GET":
            pair = credentials(header(call.scope, b"authorization"))
            scopes = call.every.get("scope", [])
        else:
            form = parameters(await whole_body(call, MAX_FORM))
            pair, scopes = _of_form({key: values[0] for key, values in form.items()}), form.get("scope", [])
        if pair is None:
            raise _basic("give a name and password, or an API token as the password")
        try:
            made = await asyncio.to_thread(self.doors.issue, *pair, _address(call), scopes)
        except Unauthenticated as fault:
            raise _basic(_sentence(fault)) from None
        at = datetime.fromtimestamp(made.at_ms / 1000, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        said = {"access_token": made.text, "expires_in": made.expires_s, "issued_at": at, "scope": " ".join(map(str, made.scope))}
        if call.method == "GET":
            said["token"] = made.text
        await call.json(said, [(b"cache-control", b"no-store")])


def _of_form(form: dict[str, str]) -> tuple[str, str] | None:
    """User and password of an OAuth 2 request (RFC 6749). The refresh token is an API token, made by its owner: none is made here unasked."""
    kind = form.get("grant_type", "")
    if kind == "password":
        return form.get("username", "") or "token", form.get("password", "")
    if kind == "refresh_token":
        return "token", form.get("refresh_token", "")
    raise Problem(400, "UNSUPPORTED", f"the grant_type {kind[:40]!r} is not given here; send password or refresh_token")


def _basic(why: str) -> Problem:
    return Problem(401, "UNAUTHORIZED", why, [(b"www-authenticate", b'Basic realm="Penstock registry", charset="UTF-8"')])


def _address(call: Call) -> str:
    return str((call.scope.get("client") or ("",))[0])


def _sentence(fault: Unauthenticated) -> str:
    return f"{fault.why}; {fault.remedy}" if fault.remedy else fault.why
