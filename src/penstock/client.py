"""The typed client of /api/v1: one method per thing a program may ask of a control plane.

Owns the connection (TLS against the system's certificates or a pinned private one, never without), tokens, problems as exceptions, pages as
iterators, and streams of events that resume. Shapes are `penstock.apiv1`. It never prints, and keeps nothing on disk.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import time
import uuid
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from penstock.apiv1 import apps as a
from penstock.apiv1 import devices as d
from penstock.apiv1 import fleet as f
from penstock.apiv1 import people as p
from penstock.apiv1.common import Outcome, Page, Problem, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self

T = TypeVar("T")


class ClientError(Exception):
    """The control plane refused, or cannot be reached. `problem` says which, with a stable code and what to do."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.code}: {problem.detail}")
        self.problem = problem


def _unreachable(url: str, fault: Exception) -> ClientError:
    said = str(fault) or type(fault).__name__
    remedy = "check the address, the network and whether the control plane runs"
    if "CERTIFICATE_VERIFY_FAILED" in said or "certificate verify failed" in said:
        remedy = "its certificate is not one this machine trusts: log in again with --ca FILE, or with --fingerprint and the one shown on the control plane"
    return ClientError(Problem(title="Unreachable", status=0, code="unreachable", detail=f"cannot reach {url}: {said}", remedy=remedy))


def plain_print(text: str) -> str:
    """A SHA-256 fingerprint without the ways people write it."""
    return text.strip().lower().removeprefix("sha256:").translate(str.maketrans("", "", " :-"))


def pinned_ca(url: str, fingerprint: str, timeout: float = 20.0) -> str:
    """The PEM certificate of the plane's own authority, if it is the one with this fingerprint. Raises ClientError.

    The certificate is fetched over a connection that is not yet trusted and is believed only because its hash is the one given; nothing
    secret is sent on that connection."""
    untrusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    untrusted.check_hostname = False
    untrusted.verify_mode = ssl.CERT_NONE
    try:
        with httpx.Client(base_url=url, verify=untrusted, timeout=timeout) as http:
            found = msgspec.json.decode(http.get("/api/v1/ca").raise_for_status().content, type=p.Authorities)
    except (httpx.HTTPError, msgspec.MsgspecError) as fault:
        raise _unreachable(url, fault) from fault
    wanted = plain_print(fingerprint)
    for pem in found.certificates:
        if hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest() == wanted:
            return pem
    shown = ", ".join(hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest() for pem in found.certificates) or "none"
    raise ClientError(
        Problem(
            title="Not this one",
            status=0,
            code="other-fingerprint",
            detail=f"the control plane at {url} shows the fingerprint {shown}, not the one given",
            remedy="compare it with what penstock-server printed; somebody may be in between",
        )
    )


def _context(ca: str) -> ssl.SSLContext:
    if not ca:
        return ssl.create_default_context()
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    found.minimum_version = ssl.TLSVersion.TLSv1_2
    found.load_verify_locations(cadata=ca)
    return found


class Client:
    """One control plane, as one asker. `url` like "https://plane.example:8443"; `ca` PEM text of its private authority, empty for the system's."""

    def __init__(self, url: str, token: str = "", *, ca: str = "", timeout: float = 60.0, http: httpx.Client | None = None) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = http or httpx.Client(base_url=self.url, verify=_context(ca), timeout=timeout, headers={"User-Agent": "penstock-client", **headers})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    # --- the way of one request -----------------------------------------------------------------------------------------

    def _ask(
        self,
        method: str,
        path: str,
        kind: type[T],
        body: Any = None,
        *,
        query: dict[str, Any] | None = None,
        revision: int | None = None,
        creates: bool = False,
    ) -> T:
        headers: dict[str, str] = {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if revision is not None:
            headers["If-Match"] = f'"r{revision}"'
        if creates:
            headers["Idempotency-Key"] = uuid.uuid4().hex
        params = {
            key: ("true" if value is True else "false" if value is False else str(value)) for key, value in (query or {}).items() if value not in ("", None)
        }
        content = to_json(body) if body is not None else None
        for attempt in range(3):
            try:
                answer = self._http.request(method, f"/api/v1{path}", content=content, params=params, headers=headers)
            except httpx.TransportError as fault:
                if attempt == 2 or not (creates or method == "GET"):
                    raise _unreachable(self.url, fault) from fault
                time.sleep(0.3 * (attempt + 1))
                continue
            if answer.status_code in (429, 503) and attempt < 2 and int(answer.headers.get("retry-after", "99")) <= 5:
                time.sleep(int(answer.headers["retry-after"]))
                continue
            break
        return self._read(answer, kind)

    def _read(self, answer: httpx.Response, kind: type[T]) -> T:
        if answer.status_code >= 300:
            raise ClientError(self._problem(answer))
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except msgspec.MsgspecError as fault:
            raise ClientError(
                Problem(
                    title="Not understood",
                    status=answer.status_code,
                    code="not-understood",
                    detail=f"{self.url} answered something this client does not understand: {fault}",
                    remedy="use a client of the control plane's version, and check the address",
                )
            ) from fault

    def _problem(self, answer: httpx.Response) -> Problem:
        try:
            return msgspec.json.decode(answer.content, type=Problem)
        except msgspec.MsgspecError:
            return Problem(
                title=answer.reason_phrase,
                status=answer.status_code,
                code="not-penstock",
                detail=f"{self.url} answered {answer.status_code} without saying why",
                remedy="check the address; a proxy may be answering for the control plane",
            )

    def _pages(self, path: str, kind: type[Page[T]], query: dict[str, Any]) -> Iterator[T]:
        cursor = ""
        while True:
            found = self._ask("GET", path, kind, query={**query, "cursor": cursor, "limit": 200})
            yield from found.items
            cursor = found.next
            if not cursor:
                return

    # --- the front door ---------------------------------------------------------------------------------------------------

    def setup_needed(self) -> bool:
        """Whether the first administrator is still to be made."""
        return self._ask("GET", "/setup", p.SetupState).needed

    def set_up(self, token: str, name: str, password: str) -> p.TokenMade:
        """Make the first administrator."""
        return self._ask("POST", "/setup", p.TokenMade, p.SetupRequest(token=token, name=name, password=password))

    def log_in(self, name: str, password: str, label: str, valid_s: int) -> p.TokenMade:
        """A token for a name and password."""
        return self._ask("POST", "/login", p.TokenMade, p.LoginRequest(name=name, password=password, label=label, valid_s=valid_s))

    def me(self) -> p.Me:
        """Who the token belongs to."""
        return self._ask("GET", "/me", p.Me)

    def about(self) -> p.About:
        """What the plane is."""
        return self._ask("GET", "/about", p.About)

    def tokens(self) -> tuple[p.Token, ...]:
        """One's own tokens."""
        return self._ask("GET", "/tokens", Page[p.Token]).items

    def create_token(self, label: str, valid_s: int) -> p.TokenMade:
        """Another token."""
        return self._ask("POST", "/tokens", p.TokenMade, p.TokenCreate(label=label, valid_s=valid_s), creates=True)

    def revoke_token(self, token: str) -> Outcome:
        """A token is dead at once."""
        return self._ask("DELETE", f"/tokens/{_part(token)}", Outcome)

    # --- places and joining -------------------------------------------------------------------------------------------------

    def sites(self) -> tuple[p.Site, ...]:
        """Every site."""
        return self._ask("GET", "/sites", Page[p.Site]).items

    def create_site(self, name: str, title: str = "", time_zone: str = "UTC") -> p.Site:
        """Name a site."""
        return self._ask("POST", "/sites", p.Site, p.SiteCreate(name=name, title=title, time_zone=time_zone), creates=True)

    def site(self, site: str) -> p.Site:
        """One site, by id or name."""
        return self._ask("GET", f"/sites/{_part(site)}", p.Site)

    def change_site(self, site: str, revision: int, body: p.SiteChange) -> p.Site:
        """Another title, time zone or place on the map."""
        return self._ask("PATCH", f"/sites/{_part(site)}", p.Site, body, revision=revision)

    def create_join(self, site: str, body: d.JoinTokenCreate) -> d.JoinTokenMade:
        """A join line for a site."""
        return self._ask("POST", f"/sites/{_part(site)}/join-tokens", d.JoinTokenMade, body, creates=True)

    def joins(self, site: str = "") -> tuple[d.JoinToken, ...]:
        """Join tokens, without their secrets."""
        return self._ask("GET", "/join-tokens", Page[d.JoinToken], query={"site": site}).items

    def revoke_join(self, join: str) -> Outcome:
        """A join line lets nobody in any more."""
        return self._ask("DELETE", f"/join-tokens/{_part(join)}", Outcome)

    def enrolments(self, status: str = "waiting") -> tuple[d.Enrolment, ...]:
        """Who asks to be let in."""
        return self._ask("GET", "/enrolments", Page[d.Enrolment], query={"status": status}).items

    def approve(self, enrolment: str, body: d.Approve) -> Outcome:
        """Let a device in."""
        return self._ask("POST", f"/enrolments/{_part(enrolment)}/approve", Outcome, body)

    def reject(self, enrolment: str, reason: str) -> Outcome:
        """Turn a device away."""
        return self._ask("POST", f"/enrolments/{_part(enrolment)}/reject", Outcome, d.Reason(reason=reason))

    # --- looking at the fleet -----------------------------------------------------------------------------------------------

    def views(self) -> tuple[f.SavedView, ...]:
        """One's own saved views of the fleet."""
        return self._ask("GET", "/views", Page[f.SavedView]).items

    def save_view(self, name: str, query: str) -> f.SavedView:
        """Give some filters of the fleet a name."""
        return self._ask("POST", "/views", f.SavedView, f.SavedViewCreate(name=name, query=query), creates=True)

    def drop_view(self, view: str) -> Outcome:
        """Forget a saved view."""
        return self._ask("DELETE", f"/views/{_part(view)}", Outcome)

    def compare(self, kind: str, a: str, b: str) -> f.Comparison:
        """Two of a kind ("devices" or "sites") side by side."""
        return self._ask("GET", f"/compare/{kind}", f.Comparison, query={"a": a, "b": b})

    # --- devices --------------------------------------------------------------------------------------------------------------

    def overview(self) -> d.Overview:
        """The fleet in numbers, and what needs a person."""
        return self._ask("GET", "/overview", d.Overview)

    def devices(self, **query: Any) -> Iterator[d.DeviceSummary]:
        """Devices, worst first unless `sort` says otherwise. Filters are those of GET /api/v1/devices."""
        return self._pages("/devices", Page[d.DeviceSummary], query)

    def device(self, device: str) -> d.Device:
        """One device, by id or name."""
        return self._ask("GET", f"/devices/{_part(device)}", d.Device)

    def change_device(self, device: str, revision: int, body: d.DeviceChange) -> d.Device:
        """Other labels or another name."""
        return self._ask("PATCH", f"/devices/{_part(device)}", d.Device, body, revision=revision)

    def retire(self, device: str, revision: int, reason: str) -> Outcome:
        """Take a device out of the fleet for good."""
        return self._ask("POST", f"/devices/{_part(device)}/retire", Outcome, d.Reason(reason=reason), revision=revision)

    def release_quarantine(self, device: str, revision: int, reason: str) -> Outcome:
        """Let a quarantined device change things again."""
        return self._ask("POST", f"/devices/{_part(device)}/release-quarantine", Outcome, d.Reason(reason=reason), revision=revision)

    def accept_review(self, device: str, revision: int, reason: str) -> Outcome:
        """Somebody has looked."""
        return self._ask("POST", f"/devices/{_part(device)}/accept-review", Outcome, d.Reason(reason=reason), revision=revision)

    def timeline(self, device: str, kinds: str = "", limit: int = 50) -> tuple[d.TimelineItem, ...]:
        """The newest entries of a device's timeline, newest first."""
        return self._ask("GET", f"/devices/{_part(device)}/timeline", Page[d.TimelineItem], query={"kinds": kinds, "limit": limit}).items

    def order(self, device: str, body: d.CommandCreate) -> d.Command:
        """Ask something of a device."""
        return self._ask("POST", f"/devices/{_part(device)}/commands", d.Command, body, creates=True)

    def command(self, command: str) -> d.Command:
        """One command and its outcome."""
        return self._ask("GET", f"/commands/{_part(command)}", d.Command)

    def commands(self, device: str, limit: int = 50) -> tuple[d.Command, ...]:
        """The newest commands of a device."""
        return self._ask("GET", f"/devices/{_part(device)}/commands", Page[d.Command], query={"limit": limit}).items

    # --- apps and deployments ---------------------------------------------------------------------------------------------------

    def apps(self) -> tuple[a.App, ...]:
        """The catalogue."""
        return self._ask("GET", "/apps", Page[a.App]).items

    def releases(self, app: str = "") -> tuple[a.ReleaseBrief, ...]:
        """Releases, newest first."""
        return self._ask("GET", "/releases", Page[a.ReleaseBrief], query={"app": app}).items

    def release(self, release: str) -> a.Release:
        """One release, by id or "app:version"."""
        return self._ask("GET", f"/releases/{_part(release)}", a.Release)

    def check(self, compose: str, app: str = "") -> a.ReleaseCheck:
        """What a Compose file would become."""
        return self._ask("POST", "/releases/check", a.ReleaseCheck, a.Check(compose=compose, app=app))

    def publish(self, body: a.Publish) -> a.Release:
        """A Compose file becomes a release."""
        return self._ask("POST", "/releases", a.Release, body, creates=True)

    def preview(self, body: a.PreviewRequest) -> a.Preview:
        """What a deployment would change where."""
        return self._ask("POST", "/deployments/preview", a.Preview, body)

    def deploy(self, body: a.DeploymentCreate) -> a.Deployment:
        """A standing intention."""
        return self._ask("POST", "/deployments", a.Deployment, body, creates=True)

    def deployments(self, app: str = "", state: str = "") -> tuple[a.Deployment, ...]:
        """Deployments and how far they are."""
        return self._ask("GET", "/deployments", Page[a.Deployment], query={"app": app, "state": state}).items

    def deployment(self, deployment: str) -> a.Deployment:
        """One deployment."""
        return self._ask("GET", f"/deployments/{_part(deployment)}", a.Deployment)

    def change_deployment(self, deployment: str, revision: int, body: a.DeploymentChange) -> a.Deployment:
        """Another release, target or values."""
        return self._ask("PATCH", f"/deployments/{_part(deployment)}", a.Deployment, body, revision=revision)

    def withdraw(self, deployment: str, revision: int, reason: str) -> Outcome:
        """Remove the app from every device of the deployment."""
        return self._ask("POST", f"/deployments/{_part(deployment)}/withdraw", Outcome, d.Reason(reason=reason), revision=revision)

    def retry(self, deployment: str, names: tuple[str, ...] = ()) -> Outcome:
        """Try again where it failed."""
        return self._ask("POST", f"/deployments/{_part(deployment)}/retry", Outcome, a.Retry(devices=names))

    def rollouts(self, deployment: str) -> tuple[a.Rollout, ...]:
        """The rollouts of a deployment."""
        return self._ask("GET", f"/deployments/{_part(deployment)}/rollouts", Page[a.Rollout]).items

    def members(self, rollout: str) -> Iterator[a.Member]:
        """The devices of a rollout."""
        return self._pages(f"/rollouts/{_part(rollout)}/members", Page[a.Member], {})

    def stop_rollout(self, rollout: str, reason: str) -> Outcome:
        """Give nobody leave any more."""
        return self._ask("POST", f"/rollouts/{_part(rollout)}/stop", Outcome, d.Reason(reason=reason))

    # --- the plane ------------------------------------------------------------------------------------------------------------------

    def settings(self) -> p.Settings:
        """The plane's settings."""
        return self._ask("GET", "/settings", p.Settings)

    def change_settings(self, revision: int, body: p.SettingsChange) -> p.Settings:
        """Other settings."""
        return self._ask("PATCH", "/settings", p.Settings, body, revision=revision)

    def history(self, limit: int = 50) -> tuple[p.HistoryItem, ...]:
        """Acts on the plane, newest first."""
        return self._ask("GET", "/history", Page[p.HistoryItem], query={"limit": limit}).items

    def events(self, after: int = -1) -> Iterator[p.HistoryItem]:
        """Every act from now on, or after the number given. Goes on for ever: a broken or ended stream is resumed where it was, after a pause."""
        last, pause = after, 1.0
        while True:
            try:
                for item in self._stream(last):
                    last, pause = item.number, 1.0
                    yield item
            except httpx.TransportError:
                pause = min(pause * 2, 30.0)
            time.sleep(pause)

    def _stream(self, after: int) -> Iterator[p.HistoryItem]:
        with self._http.stream("GET", "/api/v1/events", params={"after": after}, timeout=httpx.Timeout(20.0, read=45.0)) as answer:
            if answer.status_code != 200:
                answer.read()
                raise ClientError(self._problem(answer))
            event, data = "", ""
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    event = line[7:]
                elif line.startswith("data: "):
                    data = line[6:]
                elif not line:
                    if event == "act":
                        yield msgspec.json.decode(data, type=p.HistoryItem)
                    elif event == "bye":
                        return
                    event, data = "", ""


def _part(text: str) -> str:
    """One part of a path."""
    return quote(text, safe="")


def as_json(value: Any) -> str:
    """A shape as JSON for programs to read, indented."""
    return json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=False)
