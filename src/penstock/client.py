"""The typed client of /api/v1: one method per thing a program may ask of a control plane.

Owns which route a question takes, lists as iterators over their pages, and the streams that resume. How a request travels is
`penstock.transport`; shapes are `penstock.apiv1`. It never prints, and keeps nothing on disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import quote

import msgspec

from penstock.apiv1 import account as c
from penstock.apiv1 import apps as a
from penstock.apiv1 import devices as d
from penstock.apiv1 import fleet as f
from penstock.apiv1 import groups as g
from penstock.apiv1 import notices as n
from penstock.apiv1 import parameters as m
from penstock.apiv1 import people as p
from penstock.apiv1 import registry as i
from penstock.apiv1.common import Outcome, Page
from penstock.client_access import AccessClient
from penstock.client_supply import SupplyClient
from penstock.transport import TIMEOUT_S, ClientError, Switch, Transport, Way, pinned_ca, plain_print

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    from typing_extensions import Self

__all__ = ("TIMEOUT_S", "Client", "ClientError", "Switch", "Way", "pinned_ca", "plain_print")

T = TypeVar("T")

PAGE = 200


class Client:
    """One control plane, as one asker. `url` like "https://plane.example:8443"; `ca` PEM text of its private authority, empty for the system's;
    `way` says more than `ca` and `timeout` do."""

    def __init__(
        self, url: str, token: str = "", *, ca: str = "", timeout: float = TIMEOUT_S, way: Way | None = None, http: httpx.Client | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self._transport = Transport(url, token, way or Way(ca=ca, timeout_s=timeout), http)
        self._ask = self._transport.ask
        self.access = AccessClient(self._ask, self._pages)
        self.supply = SupplyClient(self._ask)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def _pages(self, path: str, kind: type[Page[T]], query: dict[str, Any], limit: int = 0) -> Iterator[T]:
        """The items of a list, page by page; at most `limit` of them, 0 for all."""
        cursor, left = "", limit
        while True:
            found = self._ask("GET", path, kind, query={**query, "cursor": cursor, "limit": min(left, PAGE) if limit else PAGE})
            yield from found.items
            cursor, left = found.next, left - len(found.items)
            if not cursor or (limit and left <= 0):
                return

    # --- the front door ---------------------------------------------------------------------------------------------------

    def setup_needed(self) -> bool:
        """Whether the first administrator is still to be made."""
        return self._ask("GET", "/setup", p.SetupState).needed

    def set_up(self, token: str, name: str, password: str) -> p.TokenMade:
        """Make the first administrator."""
        return self._ask("POST", "/setup", p.TokenMade, p.SetupRequest(token=token, name=name, password=password))

    def log_in(self, name: str, password: str, label: str, valid_s: int, *, code: str = "", reason: str = "") -> p.TokenMade:
        """A token for a name and password. Raises ClientError second-factor-needed and reason-needed where `code` or `reason` is missing."""
        return self._ask("POST", "/login", p.TokenMade, p.LoginRequest(name=name, password=password, label=label, valid_s=valid_s, code=code, reason=reason))

    def me(self) -> p.Me:
        """Who the token belongs to."""
        return self._ask("GET", "/me", p.Me)

    def sessions(self, user: str = "") -> tuple[c.Session, ...]:
        """One's own sessions, or somebody's."""
        return self._ask("GET", f"/users/{_part(user)}/sessions" if user else "/me/sessions", Page[c.Session]).items

    def end_session(self, session: str, user: str = "") -> Outcome:
        """End one of one's own sessions, or of somebody's."""
        whose = f"/users/{_part(user)}" if user else "/me"
        return self._ask("DELETE", f"{whose}/sessions/{_part(session)}", Outcome)

    def end_sessions(self, user: str = "") -> Outcome:
        """End all of one's own sessions (a token is none), or of somebody's."""
        return self._ask("DELETE", f"/users/{_part(user)}/sessions" if user else "/me/sessions", Outcome)

    def second_factor(self, user: str = "") -> c.SecondFactor:
        """One's own second factor, or somebody's."""
        return self._ask("GET", f"/users/{_part(user)}/second-factor" if user else "/me/second-factor", c.SecondFactor)

    def begin_second_factor(self, password: str) -> c.FactorSecret:
        """A fresh secret for an authenticator app."""
        return self._ask("POST", "/me/second-factor", c.FactorSecret, c.PasswordOnly(password=password))

    def confirm_second_factor(self, code: str) -> c.RecoveryCodes:
        """Switch it on with its first code; the recovery codes."""
        return self._ask("POST", "/me/second-factor/confirm", c.RecoveryCodes, c.CodeOnly(code=code))

    def renew_recovery_codes(self, password: str, code: str) -> c.RecoveryCodes:
        """New recovery codes; the old ones are worthless."""
        return self._ask("POST", "/me/second-factor/recovery-codes", c.RecoveryCodes, c.PasswordAndCode(password=password, code=code))

    def switch_off_second_factor(self, password: str, code: str) -> Outcome:
        """The password alone suffices again."""
        return self._ask("POST", "/me/second-factor/off", Outcome, c.PasswordAndCode(password=password, code=code))

    def reset_second_factor(self, user: str, reason: str) -> Outcome:
        """Take away somebody's lost second factor."""
        return self._ask("POST", f"/users/{_part(user)}/second-factor/reset", Outcome, d.Reason(reason=reason))

    def break_glass(self) -> c.BreakGlass:
        """How the sealed account stands."""
        return self._ask("GET", "/break-glass", c.BreakGlass)

    def acknowledge_break_glass(self) -> c.BreakGlass:
        """Take note that it was used."""
        return self._ask("POST", "/break-glass/acknowledge", c.BreakGlass)

    def about(self) -> p.About:
        """What the plane is."""
        return self._ask("GET", "/about", p.About)

    def tokens(self) -> tuple[p.Token, ...]:
        """One's own tokens."""
        return tuple(self._pages("/tokens", Page[p.Token], {}))

    def create_token(self, label: str, valid_s: int, only: tuple[p.TokenOnly, ...] = ()) -> p.TokenMade:
        """Another token; `only` narrows it."""
        return self._ask("POST", "/tokens", p.TokenMade, p.TokenCreate(label=label, valid_s=valid_s, only=only), creates=True)

    def revoke_token(self, token: str) -> Outcome:
        """A token is dead at once."""
        return self._ask("DELETE", f"/tokens/{_part(token)}", Outcome)

    # --- places and joining -------------------------------------------------------------------------------------------------

    def sites(self) -> tuple[p.Site, ...]:
        """Every site."""
        return tuple(self._pages("/sites", Page[p.Site], {}))

    def site(self, site: str) -> p.Site:
        """One site, by id or name."""
        return self._ask("GET", f"/sites/{_part(site)}", p.Site)

    def change_site(self, site: str, revision: int, body: p.SiteChange) -> p.Site:
        """Another title, time zone or place on the map."""
        return self._ask("PATCH", f"/sites/{_part(site)}", p.Site, body, revision=revision)

    def create_site(self, name: str, title: str = "", time_zone: str = "UTC") -> p.Site:
        """Name a site."""
        return self._ask("POST", "/sites", p.Site, p.SiteCreate(name=name, title=title, time_zone=time_zone), creates=True)

    def groups(self) -> tuple[g.Group, ...]:
        """Every group."""
        return tuple(self._pages("/groups", Page[g.Group], {}))

    def group(self, group: str) -> g.Group:
        """One group, by id or name."""
        return self._ask("GET", f"/groups/{_part(group)}", g.Group)

    def group_members(self, group: str) -> Iterator[g.GroupMember]:
        """The devices of a group by name, and why each is in."""
        return self._pages(f"/groups/{_part(group)}/members", Page[g.GroupMember], {})

    def create_group(self, body: g.GroupCreate) -> g.Group:
        """Make a group."""
        return self._ask("POST", "/groups", g.Group, body, creates=True)

    def change_group(self, group: str, revision: int, body: g.GroupChange) -> g.Group:
        """Another title, selector or list."""
        return self._ask("PATCH", f"/groups/{_part(group)}", g.Group, body, revision=revision)

    def remove_group(self, group: str, revision: int) -> Outcome:
        """Remove a group that nothing needs any more."""
        return self._ask("DELETE", f"/groups/{_part(group)}", Outcome, revision=revision)

    def registry(self) -> i.RegistryUsage:
        """What the image registry holds."""
        return self._ask("GET", "/registry", i.RegistryUsage)

    def repository(self, name: str) -> i.RepositoryDetail:
        """One repository and its images."""
        return self._ask("GET", "/registry/repository", i.RepositoryDetail, query={"name": name})

    def delete_image(self, body: i.RegistryDelete) -> Outcome:
        """Delete a tag, or an image that no release needs."""
        return self._ask("POST", "/registry/delete", Outcome, body)

    def sweep_registry(self, body: i.RegistrySweep) -> i.RegistrySwept:
        """Sweep the image registry, or say what would go."""
        return self._ask("POST", "/registry/sweep", i.RegistrySwept, body)

    def local_people(self, site: str) -> tuple[p.LocalPerson, ...]:
        """Who may act at a site's devices with a PIN."""
        return self._ask("GET", f"/sites/{_part(site)}/people", Page[p.LocalPerson]).items

    def add_local_person(self, site: str, body: p.LocalPersonCreate) -> p.LocalPerson:
        """Add a local person."""
        return self._ask("POST", f"/sites/{_part(site)}/people", p.LocalPerson, body, creates=True)

    def change_local_person(self, site: str, person: str, revision: int, body: p.LocalPersonChange) -> p.LocalPerson:
        """Another name or other rights."""
        return self._ask("PATCH", f"/sites/{_part(site)}/people/{_part(person)}", p.LocalPerson, body, revision=revision)

    def set_local_pin(self, site: str, person: str, pin: str) -> Outcome:
        """Set a local person's PIN."""
        return self._ask("POST", f"/sites/{_part(site)}/people/{_part(person)}/pin", Outcome, p.PinChange(pin=pin))

    def remove_local_person(self, site: str, person: str) -> Outcome:
        """Remove a local person."""
        return self._ask("DELETE", f"/sites/{_part(site)}/people/{_part(person)}", Outcome)

    def create_join(self, site: str, body: d.JoinTokenCreate) -> d.JoinTokenMade:
        """A join line for a site."""
        return self._ask("POST", f"/sites/{_part(site)}/join-tokens", d.JoinTokenMade, body, creates=True)

    def joins(self, site: str = "") -> tuple[d.JoinToken, ...]:
        """Join tokens, without their secrets."""
        return tuple(self._pages("/join-tokens", Page[d.JoinToken], {"site": site}))

    def revoke_join(self, join: str) -> Outcome:
        """A join line lets nobody in any more."""
        return self._ask("DELETE", f"/join-tokens/{_part(join)}", Outcome)

    def enrolments(self, status: str = "waiting") -> tuple[d.Enrolment, ...]:
        """Who asks to be let in."""
        return tuple(self._pages("/enrolments", Page[d.Enrolment], {"status": status}))

    def approve(self, enrolment: str, body: d.Approve) -> Outcome:
        """Let a device in."""
        return self._ask("POST", f"/enrolments/{_part(enrolment)}/approve", Outcome, body, creates=True)

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

    def devices(self, limit: int = 0, **query: Any) -> Iterator[d.DeviceSummary]:
        """Devices, worst first unless `sort` says otherwise. Filters are those of GET /api/v1/devices."""
        return self._pages("/devices", Page[d.DeviceSummary], query, limit)

    def device(self, device: str) -> d.Device:
        """One device, by id or name."""
        return self._ask("GET", f"/devices/{_part(device)}", d.Device)

    def change_device(self, device: str, revision: int, body: d.DeviceChange) -> d.Device:
        """Other labels or another name."""
        return self._ask("PATCH", f"/devices/{_part(device)}", d.Device, body, revision=revision)

    def retire(self, device: str, revision: int, reason: str, wipe: Literal["nothing", "apps", "data"] = "nothing") -> Outcome:
        """Take a device out of the fleet for good: at once, or by an order to wipe itself first."""
        return self._ask("POST", f"/devices/{_part(device)}/retire", Outcome, d.Retire(reason=reason, wipe=wipe), revision=revision)

    def keep(self, device: str, reason: str = "") -> Outcome:
        """Take an order to retire back that the device has not heard."""
        return self._ask("POST", f"/devices/{_part(device)}/keep", Outcome, d.Reason(reason=reason))

    def move(self, device: str, revision: int, site: str, reason: str = "") -> d.Device:
        """It stands at another site now."""
        return self._ask("POST", f"/devices/{_part(device)}/move", d.Device, d.Move(site=site, reason=reason), revision=revision)

    def release_quarantine(self, device: str, revision: int, reason: str) -> Outcome:
        """Let a quarantined device change things again."""
        return self._ask("POST", f"/devices/{_part(device)}/release-quarantine", Outcome, d.Reason(reason=reason), revision=revision)

    def accept_review(self, device: str, revision: int, reason: str) -> Outcome:
        """Somebody has looked."""
        return self._ask("POST", f"/devices/{_part(device)}/accept-review", Outcome, d.Reason(reason=reason), revision=revision)

    def timeline(self, device: str, kinds: str = "", limit: int = 50) -> Iterator[d.TimelineItem]:
        """The entries of a device's timeline, newest first; 0: all there are."""
        return self._pages(f"/devices/{_part(device)}/timeline", Page[d.TimelineItem], {"kinds": kinds}, limit)

    def order(self, device: str, body: d.CommandCreate) -> d.Command:
        """Ask something of a device."""
        return self._ask("POST", f"/devices/{_part(device)}/commands", d.Command, body, creates=True)

    def command(self, command: str) -> d.Command:
        """One command and its outcome."""
        return self._ask("GET", f"/commands/{_part(command)}", d.Command)

    def commands(self, device: str, limit: int = 50) -> Iterator[d.Command]:
        """The commands of a device, newest first; 0: all there are."""
        return self._pages(f"/devices/{_part(device)}/commands", Page[d.Command], {}, limit)

    # --- faults, and who is told ----------------------------------------------------------------------------------------------

    def faults(self, **query: Any) -> Iterator[n.FleetFault]:
        """What is wrong, worst first. Filters are those of GET /api/v1/faults."""
        return self._pages("/faults", Page[n.FleetFault], query)

    def acknowledge(self, fault: str, until_ms: int, reason: str) -> Outcome:
        """Somebody knows of a fault."""
        return self._ask("POST", f"/faults/{_part(fault)}/acknowledge", Outcome, n.Acknowledge(until_ms=until_ms, reason=reason))

    def unacknowledge(self, fault: str) -> Outcome:
        """It is news again."""
        return self._ask("POST", f"/faults/{_part(fault)}/unacknowledge", Outcome)

    def notices(self) -> tuple[n.Notice, ...]:
        """Who is told."""
        return self._ask("GET", "/notices", Page[n.Notice]).items

    def notice(self, notice: str) -> n.Notice:
        """One of them, by id or name."""
        return self._ask("GET", f"/notices/{_part(notice)}", n.Notice)

    def create_notice(self, body: n.NoticeCreate) -> n.NoticeMade:
        """Somebody more is told."""
        return self._ask("POST", "/notices", n.NoticeMade, body, creates=True)

    def change_notice(self, notice: str, revision: int, body: n.NoticeChange) -> n.Notice:
        """Other rules, another address, on or off."""
        return self._ask("PATCH", f"/notices/{_part(notice)}", n.Notice, body, revision=revision)

    def remove_notice(self, notice: str, revision: int) -> Outcome:
        """Told nothing any more."""
        return self._ask("DELETE", f"/notices/{_part(notice)}", Outcome, revision=revision)

    def test_notice(self, notice: str) -> n.NoticeTested:
        """A test, sent at once."""
        return self._ask("POST", f"/notices/{_part(notice)}/test", n.NoticeTested)

    # --- apps and deployments ---------------------------------------------------------------------------------------------------

    def apps(self) -> tuple[a.App, ...]:
        """The catalogue."""
        return tuple(self._pages("/apps", Page[a.App], {}))

    def app(self, app: str) -> a.App:
        """One app and its releases."""
        return self._ask("GET", f"/apps/{_part(app)}", a.App)

    def releases(self, app: str = "", text: str = "", limit: int = 0) -> tuple[a.ReleaseBrief, ...]:
        """Releases, newest first; 0: all there are."""
        return tuple(self._pages("/releases", Page[a.ReleaseBrief], {"app": app, "text": text}, limit))

    def release(self, release: str) -> a.Release:
        """One release, by id or "app:version"."""
        return self._ask("GET", f"/releases/{_part(release)}", a.Release)

    def check(self, body: a.Check) -> a.ReleaseCheck:
        """What a Compose file or a package would become."""
        return self._ask("POST", "/releases/check", a.ReleaseCheck, body)

    def builds(self, body: a.BuildsAsk) -> a.Builds:
        """What a Compose file or a package asks to have built."""
        return self._ask("POST", "/releases/builds", a.Builds, body)

    def publish(self, body: a.Publish) -> a.Release:
        """A Compose file or a package becomes a release."""
        return self._ask("POST", "/releases", a.Release, body, creates=True)

    def package(self, release: str) -> a.Package:
        """What came with a release."""
        return self._ask("GET", f"/releases/{_part(release)}/package", a.Package)

    def archive(self, release: str) -> a.PackageArchive:
        """Every file a release was made from."""
        return self._ask("GET", f"/releases/{_part(release)}/archive", a.PackageArchive)

    def compare_releases(self, new: str, *, old: str = "", device: str = "", engine: str = "") -> a.ReleaseChange:
        """What `new` would change where `old` runs, or on a device. `engine`: for devices of it."""
        return self._ask("GET", "/compare/releases", a.ReleaseChange, query={"a": old, "b": new, "device": device, "engine": engine})

    def preview(self, body: a.PreviewRequest) -> a.Preview:
        """What a deployment would change where."""
        return self._ask("POST", "/deployments/preview", a.Preview, body)

    def deploy(self, body: a.DeploymentCreate) -> a.Deployment:
        """A standing intention."""
        return self._ask("POST", "/deployments", a.Deployment, body, creates=True)

    def deployments(self, app: str = "", state: str = "") -> tuple[a.Deployment, ...]:
        """Deployments and how far they are."""
        return tuple(self._pages("/deployments", Page[a.Deployment], {"app": app, "state": state}))

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
        return tuple(self._pages(f"/deployments/{_part(deployment)}/rollouts", Page[a.Rollout], {}))

    def members(self, rollout: str) -> Iterator[a.Member]:
        """The devices of a rollout."""
        return self._pages(f"/rollouts/{_part(rollout)}/members", Page[a.Member], {})

    def stop_rollout(self, rollout: str, reason: str) -> Outcome:
        """Give nobody leave any more."""
        return self._ask("POST", f"/rollouts/{_part(rollout)}/stop", Outcome, d.Reason(reason=reason))

    # --- parameters at levels, and room -----------------------------------------------------------------------------------

    def parameters(self, app: str, level: str, part: str = "", name: str = "") -> m.ParameterTable:
        """The parameters of an app at a level (fleet, group, site, device), or the one named."""
        return self._ask("GET", "/parameters", m.ParameterTable, query={"app": app, "level": level, "part": part, "name": name})

    def preview_values(self, body: m.ValuesLook) -> m.ValuesSeen:
        """What a change of values would do."""
        return self._ask("POST", "/parameters/preview", m.ValuesSeen, body)

    def change_values(self, body: m.ValuesChange) -> m.ValuesSeen:
        """Set values at a level, and clear others there."""
        return self._ask("POST", "/parameters", m.ValuesSeen, body)

    def device_room(self, device: str) -> m.Room:
        """What a device has, what is promised, what is left."""
        return self._ask("GET", f"/devices/{_part(device)}/room", m.Room)

    def site_room(self, site: str) -> tuple[m.Room, ...]:
        """The room of each device of a site."""
        return self._ask("GET", f"/sites/{_part(site)}/room", Page[m.Room]).items

    # --- the plane ------------------------------------------------------------------------------------------------------------------

    def backup(self, key: str, *, images: bool = False) -> Iterator[bytes]:
        """The pieces of a backup sealed for the holder of `key` (PEM). Whether they are all of it is told by its end (`penstock.crypto.streaming`)."""
        return self._transport.download("/backup", p.BackupOrder(key=key, images=images))

    def settings(self) -> p.Settings:
        """The plane's settings."""
        return self._ask("GET", "/settings", p.Settings)

    def change_settings(self, revision: int, body: p.SettingsChange) -> p.Settings:
        """Other settings."""
        return self._ask("PATCH", "/settings", p.Settings, body, revision=revision)

    def history(self, limit: int = 50, subject: str = "") -> Iterator[p.HistoryItem]:
        """Acts on the plane, newest first; 0: all there are."""
        return self._pages("/history", Page[p.HistoryItem], {"subject": subject}, limit)

    def events(self, after: int = -1) -> Iterator[p.HistoryItem]:
        """Every act from now on, or after the number given. Goes on for ever: a broken or ended stream is resumed where it was, after a pause."""
        for event in self._transport.resumed("/events", {"after": after}):
            if event.name == "act":
                yield msgspec.json.decode(event.data, type=p.HistoryItem)

    def changes(self, topics: tuple[str, ...], switch: Switch | None = None) -> Iterator[str]:
        """The topics something changed under, as it happens; "resync" where some may have been missed. Goes on until `switch` is put off. A device
        that is listened to ("device/ID") answers within a second."""
        for event in self._transport.resumed("/changes", {"topics": ",".join(topics)}, opened="resync", switch=switch):
            yield msgspec.json.decode(event.data, type=dict[str, str])["topic"] if event.name == "changed" else "resync"


def _part(text: str) -> str:
    """One part of a path."""
    return quote(text, safe="")
