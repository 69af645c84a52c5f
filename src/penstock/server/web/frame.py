"""How one page is served: session, permission, form token, the page, its headers.

Owns pages' routes as values, cookies, the content security policy, flash messages, and what a person sees when something is refused. What a
page shows it asks of the API's handlers.
"""

from __future__ import annotations

import gzip
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from penstock.apiv1.common import Problem
from penstock.server.actions import breakglass, enrolments, refusals
from penstock.server.api import auth, problems
from penstock.server.api import frame as api
from penstock.server.core import access
from penstock.server.core.breakglass import ID as BREAK_GLASS
from penstock.server.core.errors import Forbidden, Refused, Unauthenticated
from penstock.server.core.rights import VERBS, reach
from penstock.server.web import render

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.server.actions.context import Plane
    from penstock.server.core.model import Actor

FLASH = "__Host-penstock-said"
FLASH_MOST = 3500  # browsers keep 4096 bytes of a cookie with its name and attributes
LANGUAGE = "penstock-lang"  # which language somebody chose; no secret
BEFORE = "__Host-penstock-form"  # the form token of somebody not signed in
CSP = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
PAGE_FAULTS = (Refused, msgspec.MsgspecError)
FORM_LIMIT = 2 * 1024 * 1024

log = structlog.get_logger("web")


@dataclass(frozen=True, slots=True)
class Page:
    """One line of the table of pages. `most`: bytes of a form."""

    method: str
    path: str
    handler: Callable[[Ask], Show | Go | Drawing | Picture]
    permission: str
    doc: str
    section: str = "/"
    most: int = FORM_LIMIT


@dataclass(frozen=True, slots=True)
class Show:
    """Render a template."""

    template: str
    context: dict[str, Any]
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drawing:
    """An SVG of its own, for an image of a page; nobody keeps it."""

    svg: bytes


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that somebody else made. It may run nothing and fetch nothing, also where a browser opens it by itself."""

    content: bytes
    media_type: str
    etag: str


@dataclass(frozen=True, slots=True)
class Undo:
    """The form that takes back what was just done: the page to post to, and its fields. It names the revision it was made from, so that it can undo
    that one act only: whatever was changed since is told, not overwritten."""

    to: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class Go:
    """See another page; say something there. `session`: a secret to set as the session for `session_s` seconds, "" to end it. `language`: one to read
    from now on. `undo` is offered beside what is said."""

    to: str
    said: str = ""
    tone: str = "good"
    session: str | None = None
    session_s: int = 0
    undo: Undo | None = None
    language: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request for a page."""

    plane: Plane
    actor: Actor
    path: dict[str, str]
    query: dict[str, str]
    form: dict[str, list[str]]
    session: str
    address: str
    agent: str
    script: bool  # asked by htmx
    here: str
    brought: str = ""  # the secret in the session cookie, whether or not it is good
    method: str = "GET"
    verb: str = ""  # the permission of the page
    files: dict[str, bytes] = field(default_factory=dict)  # what was uploaded under which field's name

    def first(self, name: str, default: str = "") -> str:
        """The first value of a form field, trimmed."""
        return self.form.get(name, [default])[0].strip()

    def secret(self, name: str) -> str:
        """The first value of a form field, exactly as it was typed."""
        return self.form.get(name, [""])[0]

    def ask(self, handler: Callable[[api.Call], Any], *, query: Any = None, body: Any = None, revision: int = 0, **path: str) -> Any:
        """What an API handler answers."""
        call = api.Call(
            plane=self.plane,
            actor=self.actor,
            path=path or self.path,
            query=query,
            body=body,
            revision=revision,
            session=self.session,
            address=self.address,
            agent=self.agent,
        )
        try:
            answer = handler(call)
        except Forbidden as refused:
            if self.method == "POST":  # here, since a page that shows its form again tells the frame nothing
                refusals.note_refused(self.plane, self.actor, verb=self.verb, path=self.here, refused=refused)
            raise
        return answer.shape if isinstance(answer, api.Answer) else answer

    def may(self, verb: str) -> bool:
        """Whether the asker may do this on some part of the fleet: what pages leave out parts by."""
        return bool(reach(self.actor.rights, verb))

    def revision(self) -> int:
        """The revision a form was made from. Raises ValidationError."""
        return msgspec.convert(self.first("revision"), type=int, strict=False)


def read(shape: type[Any], given: dict[str, Any]) -> Any:
    """Form values as a shape of the API. Raises ValidationError naming the field."""
    return msgspec.convert(given, type=shape, strict=False)


def told(fault: Refused | msgspec.MsgspecError) -> Problem:
    """A refusal as a problem to show."""
    return problems.of_refusal(fault) if isinstance(fault, Refused) else problems.of_decoding(fault)


def refusal(problem: Problem) -> str:
    """What was refused and the remedy, in a line to show on the next page."""
    return " ".join(render.sentence(text) for text in (problem.detail, problem.remedy) if text)


def faults_of(problem: Problem | None) -> dict[str, str]:
    """What to show beside which field."""
    return {problem.field.rpartition(".")[2]: render.sentence(problem.detail)} if problem and problem.field else {}


class Web:
    """Serves pages for one plane."""

    def __init__(self, frame: api.Frame) -> None:
        self.plane = frame.plane
        self.frame = frame
        self.assets = render.load_assets()
        self.envs = render.environments(self.assets)

    # --- static -------------------------------------------------------------------------------------------------------

    def static(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """A vendored or own asset."""
        asset = self.assets.get(str(request.path_params.get("path", "")).lstrip("/"))
        if asset is None:
            return Response(b"not here", status_code=404, media_type="text/plain", headers=HEADERS)
        kept = "public, max-age=31536000, immutable" if request.query_params.get("v") == asset.etag else "public, max-age=86400"
        headers = {**HEADERS, "Cache-Control": kept, "ETag": f'"{asset.etag}"', "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == f'"{asset.etag}"':
            return Response(b"", status_code=304, headers=headers, media_type=asset.media_type)
        if asset.packed and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(asset.packed, media_type=asset.media_type, headers={**headers, "Content-Encoding": "gzip"})
        return Response(asset.body, media_type=asset.media_type, headers=headers)

    # --- pages --------------------------------------------------------------------------------------------------------

    async def serve(self, page: Page, request: Request[Any, Any, Any]) -> Response[bytes]:
        """The whole way of one request for a page. Every fault becomes a page."""
        asker = auth.nobody()
        try:
            cookie = request.cookies.get(auth.COOKIE, "")
            if page.permission != api.PUBLIC:
                asker = await self.frame.run(lambda: auth.identify(self.plane, "", cookie))
                if page.permission == api.SIGNED_IN:
                    access.known(asker.actor)
                else:
                    access.require(asker.actor, page.permission)
            token = asker.csrf or request.cookies.get(BEFORE, "") or secrets.token_hex(16)
            form: dict[str, list[str]] = {}
            files: dict[str, bytes] = {}
            if page.method == "POST":
                form, files = await read_form(request)
                auth.check_form(token, form.get("csrf", [""])[0], request.headers.get("sec-fetch-site", ""))
            ask = Ask(
                plane=self.plane,
                actor=asker.actor,
                path={key: str(value) for key, value in request.path_params.items()},
                query={key: value.strip() for key, value in request.query_params.multi_items()},
                form=form,
                session=asker.signed_in.session.id if asker.signed_in else "",
                address=request.client.host if request.client else "",
                agent=request.headers.get("user-agent", "")[:200],
                script=request.headers.get("hx-request") == "true",
                here=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
                brought=cookie,
                method=page.method,
                verb=page.permission,
                files=files,
            )
            return await self.frame.run(lambda: self._answer(page, ask, asker, token, request))  # type: ignore[no-any-return]
        except Unauthenticated:
            return self._to_login(page, request)
        except PAGE_FAULTS as fault:
            if isinstance(fault, Forbidden):
                await self.frame.refused(asker.actor, page.method, page.permission, request.url.path, fault)
            return self._problem(told(fault), asker, request)
        except HTTPException as fault:
            found = problems.make(fault.status_code, "bad-request", "the request cannot be read", remedy="go back and try again")
            return self._problem(found, asker, request)
        except Exception:
            log.exception("unexpected", page=page.path)
            found = problems.make(500, "internal", "something went wrong here that should not have; the server's log has it", remedy="try again")
            return self._problem(found, asker, request)

    def _answer(self, page: Page, ask: Ask, asker: auth.Asker, token: str, request: Request[Any, Any, Any]) -> Response[bytes]:
        found = page.handler(ask)
        if isinstance(found, Go):
            return self._go(found, ask)
        if isinstance(found, Drawing):
            return Response(found.svg, status_code=200, media_type="image/svg+xml", headers={**HEADERS, "Cache-Control": "no-store"})
        if isinstance(found, Picture):
            return _picture(found, request)
        said = request.cookies.get(FLASH, "")
        body = self._page(found.template, found.context, asker, token, ask, page.section, _flash(said), request)
        response = self._html(body, found.status, request)
        response.headers.update(found.headers)
        if said:
            _drop(response, FLASH)
        if not asker.signed_in:
            response.set_cookie(key=BEFORE, value=token, path="/", secure=True, httponly=True, samesite="strict", max_age=86400)
        return response

    def _page(
        self,
        template: str,
        context: dict[str, Any],
        asker: auth.Asker,
        token: str,
        ask: Ask | None,
        section: str,
        flash: dict[str, Any] | None,
        request: Request[Any, Any, Any],
    ) -> bytes:
        may = frozenset(verb for verb in VERBS if reach(asker.actor.rights, verb))
        waiting = len(enrolments.list_enrolments(self.plane, asker.actor, status="waiting")) if "enrolments.read" in may else 0
        base = {
            "me": asker.actor,
            "may": may,
            "csrf_token": auth.mask(token),
            "section": section,
            "flash": flash,
            "waiting_room": waiting,
            "alarm": breakglass.alarm(self.plane) if asker.signed_in else None,
            "may_acknowledge": "users.write" in may and asker.actor.id != BREAK_GLASS,
            "here": ask.here if ask else "/",
            "back": ask.here if ask and request.method == "GET" else section or "/",  # where another language is chosen
            "problem": None,
            "faults": {},
            "zone": "",
            "place": "",
            "clocks": {},
        }
        language = render.chosen(request.cookies.get(LANGUAGE, ""), request.headers.get("accept-language", ""))
        return render.render(self.envs[language], template, {**base, **context})

    def _html(self, body: bytes, status: int, request: Request[Any, Any, Any] | None) -> Response[bytes]:
        headers = {**HEADERS, "Cache-Control": "no-store", "Vary": "Accept-Encoding, Accept-Language"}
        if request is not None and len(body) > 2048 and "gzip" in request.headers.get("accept-encoding", ""):
            body = gzip.compress(body, 5)
            headers["Content-Encoding"] = "gzip"
        return Response(body, status_code=status, media_type="text/html; charset=utf-8", headers=headers)

    def _go(self, found: Go, ask: Ask) -> Response[bytes]:
        headers = {**HEADERS, "Cache-Control": "no-store"}
        response: Response[bytes]
        if ask.script:
            response = Response(b"", status_code=200, headers={**headers, "HX-Redirect": found.to}, media_type="text/html")
        else:
            response = Response(b"", status_code=303, headers={**headers, "Location": found.to}, media_type="text/html")
        if found.said:
            value = _said(found)
            response.set_cookie(key=FLASH, value=value, path="/", secure=True, httponly=True, samesite="lax", max_age=60)
        if found.session:
            response.set_cookie(key=auth.COOKIE, value=found.session, path="/", secure=True, httponly=True, samesite="lax", max_age=found.session_s)
        elif found.session == "":
            _drop(response, auth.COOKIE)
        if found.language:
            response.set_cookie(key=LANGUAGE, value=found.language, path="/", secure=True, httponly=True, samesite="lax", max_age=400 * 86400)
        return response

    def _to_login(self, page: Page, request: Request[Any, Any, Any]) -> Response[bytes]:
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        to = "/login" if page.method != "GET" or here == "/" else "/login?" + urlencode({"next": here})
        headers = {**HEADERS, "Cache-Control": "no-store"}
        if request.headers.get("hx-request") == "true":
            return Response(b"", status_code=200, headers={**headers, "HX-Redirect": to}, media_type="text/html")
        return Response(b"", status_code=303, headers={**headers, "Location": to}, media_type="text/html")

    def _problem(self, found: Problem, asker: auth.Asker, request: Request[Any, Any, Any]) -> Response[bytes]:
        template = "problem.html" if asker.signed_in else "problem_gate.html"
        body = self._page(template, {"problem": found}, asker, asker.csrf or "none", None, "", None, request)
        return self._html(body, found.status, None)

    def not_found(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """There is no such page."""
        found = problems.make(404, "no-such-page", "there is no such page", remedy="go to the fleet and look from there")
        return self._problem(found, auth.nobody(), request)


def _drop(response: Response[Any], name: str) -> None:
    """Delete a __Host- cookie; browsers ignore a deletion that is not Secure."""
    response.set_cookie(key=name, value="", path="/", secure=True, httponly=True, samesite="lax", max_age=0)


def _said(found: Go) -> str:
    """What to say on the next page, as the value of a cookie. An undo that a cookie cannot hold is left out."""
    plain = quote(json.dumps({"tone": found.tone, "text": found.said[:600]}), safe="")
    if found.undo is None:
        return plain
    whole = quote(json.dumps({"tone": found.tone, "text": found.said[:600], "undo": {"to": found.undo.to, "fields": found.undo.fields}}), safe="")
    return whole if len(whole) <= FLASH_MOST else plain


def _flash(raw: str) -> dict[str, Any] | None:
    if not raw:
        return None
    try:
        found = json.loads(unquote(raw))
        undo = found.get("undo")
        return {
            "tone": found["tone"] if found["tone"] in ("good", "bad", "wait", "busy") else "wait",
            "text": str(found["text"])[:600],
            "undo": Undo(str(undo["to"]), {str(key): str(value) for key, value in undo["fields"].items()}) if undo and _ours(str(undo["to"])) else None,
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _ours(path: str) -> bool:
    return path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()


def _picture(found: Picture, request: Request[Any, Any, Any]) -> Response[bytes]:
    """A picture under a policy of its own: no script, no request, no form, and an origin of its own."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'"
    headers = {**HEADERS, "Content-Security-Policy": policy, "Cache-Control": "no-cache", "ETag": f'"{found.etag}"'}
    if request.headers.get("if-none-match") == f'"{found.etag}"':
        return Response(b"", status_code=304, headers=headers, media_type=found.media_type)
    return Response(found.content, media_type=found.media_type, headers=headers)


async def read_form(request: Request[Any, Any, Any]) -> tuple[dict[str, list[str]], dict[str, bytes]]:
    """A form's fields as lists of text, and its uploads as bytes; an uploaded text counts as its field's value too."""
    found: dict[str, list[str]] = {}
    files: dict[str, bytes] = {}
    for name, value in (await request.form()).multi_items():
        if isinstance(value, str):
            text = value
        elif hasattr(value, "read"):
            content: bytes = await value.read()
            if content:
                files[name] = content
            text = "" if b"\0" in content else content.decode("utf-8", "replace")
        else:
            text = str(value)
        found.setdefault(name, []).append(text.replace("\r\n", "\n"))
    return found, files
