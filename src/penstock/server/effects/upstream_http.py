"""What is attached to images of another registry, asked for over HTTP: lists of referrers, manifests, small blobs.

Owns the requests of the distribution specification that `skopeo` has no command for, signing in to them (Basic, or a token for it), redirects and the limits of time
and size of an answer. A name and password go to that registry and to whom it names for its tokens, and nowhere else. Never decides what is copied.
"""

from __future__ import annotations

import base64
import json
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from http.client import HTTPException
from typing import IO, TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote, urlencode, urljoin, urlsplit

from penstock.server.core.attached import MOST_LIST, MOST_PAGES
from penstock.server.core.oci import INDEXES, MANIFESTS, MAX_MANIFEST, OCI_INDEX
from penstock.server.effects.upstream import BROKEN, GONE, REFUSED, UNREACHABLE, Access, UpstreamFault

if TYPE_CHECKING:
    from typing_extensions import Self

STEP_S = 30.0  # one wait
WHOLE_S = 300.0  # everything that is asked of one image
MOST_TOKEN = 64 * 1024
HUB, HUB_SERVER = "docker.io", "registry-1.docker.io"
_CHALLENGE = re.compile(r"\s*(bearer|basic)\b(.*)", re.IGNORECASE | re.DOTALL)
_PAIR = re.compile(r'([a-zA-Z]+)="([^"]*)"')
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')
_HEADER = "Authorization"


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Followed a few times, without the sign-in to anybody else, and never out of TLS."""

    max_redirections = 5

    def __init__(self, plain: Callable[[], bool]) -> None:
        self._plain = plain

    def redirect_request(self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str) -> urllib.request.Request | None:
        """See `urllib.request`."""
        if urlsplit(newurl).scheme != "https" and not (self._plain() and urlsplit(newurl).scheme == "http"):
            raise UpstreamFault(BROKEN, f"it points to {newurl[:100]}, out of TLS")
        made = super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]
        if made is not None and urlsplit(newurl).netloc != urlsplit(req.full_url).netloc:
            made.remove_header(_HEADER)
        return made


class _Body:
    """An answer's bytes, read no longer than there is time."""

    def __init__(self, found: Any, check: Callable[[], None]) -> None:
        self._found, self._check = found, check

    def read(self, size: int = -1) -> bytes:
        """See `io`. Raises UpstreamFault."""
        self._check()
        try:
            read: bytes = self._found.read(size)
        except (OSError, HTTPException) as fault:
            raise UpstreamFault(UNREACHABLE, f"its answer broke off: {str(fault)[:200]}") from None
        return read

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._found.close()


class Asking:
    """`effects.upstream.Attached` for the repository of `source` ("ghcr.io/x/y:2"). `stopped`: whether the plane is being stopped."""

    def __init__(self, access: Access, source: str, stopped: Callable[[], bool] = lambda: False, *, step_s: float = STEP_S, whole_s: float = WHOLE_S) -> None:
        host, _, rest = source.partition("@")[0].partition("/")
        head, slash, tail = rest.rpartition("/")
        self._name = f"{head}{slash}{tail.partition(':')[0]}"
        self._server = HUB_SERVER if host == HUB else host
        self._access, self._stopped, self._step_s = access, stopped, step_s
        self._until = time.monotonic() + whole_s
        self._scheme = "https"
        self._sign_in = ""
        context = ssl.create_default_context()
        if access.ca:
            context.load_verify_locations(cadata=access.ca)
        if access.insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(context=context),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            _Redirects(lambda: access.insecure),
            urllib.request.UnknownHandler(),
        ):
            self._opener.add_handler(handler)

    # --- what is asked ------------------------------------------------------------------------------------------------

    def referrers(self, digest: str) -> tuple[bytes, ...] | None:
        """See `effects.upstream.Attached`."""
        pages: list[bytes] = []
        path = f"referrers/{digest}"
        while True:
            found = self._ask(path, OCI_INDEX)
            if found is None:
                return tuple(pages) if pages else None
            body, headers = found
            if headers.get("Content-Type", "").partition(";")[0].strip().lower() != OCI_INDEX:
                return None  # somebody answers everything with a page
            pages.append(_whole(body, MOST_LIST))
            more = _NEXT.search(headers.get("Link", ""))
            if more is None:
                return tuple(pages)
            if len(pages) >= MOST_PAGES:
                raise UpstreamFault(BROKEN, f"its list of what is attached has more than {MOST_PAGES} pages")
            path = more[1]

    def manifest(self, reference: str) -> bytes | None:
        """See `effects.upstream.Attached`."""
        found = self._ask(f"manifests/{quote(reference, safe=':')}", ", ".join((*INDEXES, *MANIFESTS)))
        return None if found is None else _whole(found[0], MAX_MANIFEST)

    def open(self, digest: str) -> BinaryIO:
        """See `effects.upstream.Fetched`."""
        found = self._ask(f"blobs/{digest}", "*/*")
        if found is None:
            raise UpstreamFault(GONE, f"the blob {digest} is not there")
        body: Any = found[0]
        return body  # type: ignore[no-any-return]

    # --- how ----------------------------------------------------------------------------------------------------------

    def _ask(self, path: str, accept: str) -> tuple[_Body, Message] | None:
        """What is answered; None where there is nothing, or nobody who knows the question. Raises UpstreamFault."""
        try:
            return self._answer(path, accept)
        except ValueError:
            raise UpstreamFault(BROKEN, f"{self._server} points to an address that is none") from None

    def _answer(self, path: str, accept: str) -> tuple[_Body, Message] | None:
        signed = False
        while True:
            url = urljoin(f"{self._scheme}://{self._server}/v2/{self._name}/", path)
            if urlsplit(url).netloc != self._server:
                raise UpstreamFault(BROKEN, f"its list goes on at another place: {url[:100]}")
            headers = {"Accept": accept, **({_HEADER: self._sign_in} if self._sign_in else {})}
            try:
                found = self._open(url, headers)
                return _Body(found, self._check), found.headers
            except urllib.error.HTTPError as fault:
                with fault:
                    if fault.code == 401 and not signed:
                        signed = True
                        self._sign_in = self._answer_to(fault.headers.get_all("WWW-Authenticate") or [])
                        if self._sign_in:
                            continue
                    if fault.code in (401, 403):
                        raise UpstreamFault(REFUSED, f"{self._server} answers {fault.code} to who asks for {path[:100]}") from None
                    if fault.code == 429 or fault.code >= 500:
                        raise UpstreamFault(UNREACHABLE, f"{self._server} answers {fault.code}") from None
                    if fault.code < 400:
                        raise UpstreamFault(BROKEN, f"{self._server} points to where nothing is asked for") from None
                    return None
            except (urllib.error.URLError, OSError, HTTPException) as fault:
                if self._access.insecure and self._scheme == "https":
                    self._scheme = "http"
                    continue
                raise UpstreamFault(UNREACHABLE, f"{self._server} cannot be reached: {str(getattr(fault, 'reason', fault))[:200]}") from None

    def _open(self, url: str, headers: dict[str, str]) -> Any:
        self._check()
        asked = urllib.request.Request(url, headers={"User-Agent": "penstock", **headers})  # noqa: S310 (the opener has no handler but for HTTP)
        return self._opener.open(asked, timeout=self._step_s)

    def _check(self) -> None:
        if self._stopped():
            raise UpstreamFault(BROKEN, "the control plane is stopping")
        if time.monotonic() > self._until:
            raise UpstreamFault(UNREACHABLE, f"{self._server} took too long to say what is attached; it was given up")

    def _answer_to(self, challenges: list[str]) -> str:
        """The header that answers a challenge; empty where nothing does. Raises UpstreamFault."""
        access = self._access
        basic = f"Basic {base64.b64encode(f'{access.user}:{access.password}'.encode()).decode()}" if access.user else ""
        for challenge in challenges:
            found = _CHALLENGE.match(challenge)
            if found is not None and found[1].lower() == "bearer":
                return self._token(dict(_PAIR.findall(found[2])), basic)
        return basic

    def _token(self, asked: dict[str, str], basic: str) -> str:
        realm = asked.get("realm", "")
        if urlsplit(realm).scheme != "https" and not (self._access.insecure and urlsplit(realm).scheme == "http"):
            raise UpstreamFault(REFUSED, f"{self._server} sends for a token to {realm[:100]!r}, without TLS")
        query = urlencode({**({"service": asked["service"]} if "service" in asked else {}), "scope": asked.get("scope") or f"repository:{self._name}:pull"})
        try:
            raw = _whole(_Body(self._open(f"{realm}{'&' if '?' in realm else '?'}{query}", {_HEADER: basic} if basic else {}), self._check), MOST_TOKEN)
            plain = json.loads(raw)
        except urllib.error.HTTPError as fault:
            with fault:
                raise UpstreamFault(REFUSED if fault.code < 500 else UNREACHABLE, f"{self._server} gives no token: {fault.code}") from None
        except (urllib.error.URLError, OSError, HTTPException) as fault:
            raise UpstreamFault(UNREACHABLE, f"{self._server} gives no token: {str(getattr(fault, 'reason', fault))[:200]}") from None
        except (ValueError, RecursionError):
            plain = None
        token = (plain.get("token") or plain.get("access_token")) if isinstance(plain, dict) else None
        if not isinstance(token, str) or not token or any(not 33 <= ord(letter) < 127 for letter in token):
            raise UpstreamFault(REFUSED, f"{self._server} gives no token that can be read")
        return f"Bearer {token}"


def _whole(body: _Body, most: int) -> bytes:
    """All of an answer. Raises UpstreamFault."""
    parts: list[bytes] = []
    size = 0
    with body:
        while piece := body.read(min(65_536, most + 1 - size)):
            parts.append(piece)
            size += len(piece)
            if size > most:
                raise UpstreamFault(BROKEN, f"an answer has more than the {most} bytes allowed")
    return b"".join(parts)
