"""Shapes for people and programs at the front door: set-up, log-in, tokens, who am I, what is this plane."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from penstock.apiv1.common import Name, Title

Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Password = Annotated[str, Meta(min_length=1, max_length=1024)]


class SetupState(Struct, frozen=True, kw_only=True):
    """Whether the plane still waits for its first administrator."""

    needed: bool


class SetupRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make the first administrator. `token` is the one-time set-up token that `penstock-server init` printed."""

    token: Annotated[str, Meta(min_length=1, max_length=256)]
    name: Name
    password: Password


class LoginRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name and password for an API token. `label` says what the token is for; `code` is a one-time or recovery code where the person has a second factor;
    `reason` is what the break-glass account must give."""

    name: Annotated[str, Meta(min_length=1, max_length=63)]
    password: Password
    label: Title = "penstock CLI"
    valid_s: Annotated[int, Meta(ge=60, le=366 * 86400)] = 30 * 86400
    code: Annotated[str, Meta(max_length=100)] = ""
    reason: Annotated[str, Meta(max_length=500)] = ""


class TokenOnly(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a token is narrowed to: a role on a part of the fleet, such as "ci" on "app:press"."""

    role: Annotated[str, Meta(min_length=1, max_length=64)]
    on: Annotated[str, Meta(min_length=1, max_length=150)]


class TokenCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another token of the same person, or of a service account. `only` narrows it; none: all its owner may."""

    label: Annotated[str, Meta(min_length=1, max_length=200)]
    valid_s: Annotated[int, Meta(ge=60, le=366 * 86400)] = 90 * 86400
    only: Annotated[tuple[TokenOnly, ...], Meta(max_length=20)] = ()


class TokenMade(Struct, frozen=True, kw_only=True):
    """A new API token. `token` is shown this once and stored only as a hash."""

    id: str
    token: str
    label: str
    expires_ms: int


class Token(Struct, frozen=True, kw_only=True):
    """An API token without its secret."""

    id: str
    label: str
    created_ms: int
    expires_ms: int
    used_ms: int = 0
    revoked_ms: int = 0
    only: tuple[TokenOnly, ...] = ()


class Me(Struct, frozen=True, kw_only=True):
    """Who is asking. `may`: the verbs they have on at least a part of the fleet."""

    kind: str
    id: str
    name: str
    may: tuple[str, ...]


class About(Struct, frozen=True, kw_only=True):
    """What this plane is, and the hashes people compare. `backup_ms`: when its newest backup was made."""

    version: str
    wire: int
    epoch: int
    root_version: int
    root_digest: str
    root_expires_ms: int
    director_keyid: str
    database: str
    started_ms: int
    devices: int
    addresses: tuple[str, ...]
    backup_ms: int = 0


class BackupOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A backup. `key`: the public half of a backup key, an EC P-256 key in PEM, as `penstock backup key` writes it; `images`: with the image registry."""

    key: Annotated[str, Meta(min_length=1, max_length=4096)]
    images: bool = False


class Authorities(Struct, frozen=True, kw_only=True):
    """The certificates to trust for this plane, PEM, and the SHA-256 fingerprint of each. None: it uses certificates the system already trusts."""

    certificates: tuple[str, ...]
    fingerprints: tuple[str, ...]


class Endpoint(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A way for devices to reach the plane. `ca`: PEM certificates to trust for it; `proxy`: an HTTP proxy's URL or empty."""

    url: Annotated[str, Meta(min_length=1, max_length=500)]
    ca: Annotated[tuple[Annotated[str, Meta(max_length=20_000)], ...], Meta(max_length=8)] = ()
    proxy: Annotated[str, Meta(max_length=500)] = ""


class Settings(Struct, frozen=True, kw_only=True):
    """What an administrator may set. 0 for a rate means no cap; `leave_s` is how long an authorisation is valid; `session_idle_s` and `session_total_s`
    are after how long people are signed out, unused and at all."""

    revision: int
    poll_s: int
    fetch_bytes_per_s: int
    log_quota_bytes: int
    leave_s: int
    session_idle_s: int
    session_total_s: int
    endpoints: tuple[Endpoint, ...]


class SettingsChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may change; what is left out stays."""

    poll_s: Annotated[int, Meta(ge=5, le=86400)] | None = None
    fetch_bytes_per_s: Annotated[int, Meta(ge=0, le=10**10)] | None = None
    log_quota_bytes: Annotated[int, Meta(ge=1024 * 1024, le=10**10)] | None = None
    leave_s: Annotated[int, Meta(ge=60, le=90 * 86400)] | None = None
    session_idle_s: Annotated[int, Meta(ge=300, le=7 * 86400)] | None = None
    session_total_s: Annotated[int, Meta(ge=3600, le=90 * 86400)] | None = None
    endpoints: Annotated[tuple[Endpoint, ...], Meta(min_length=1, max_length=8)] | None = None


class PasswordChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new password; all other sessions end."""

    old: Password
    new: Password


class Site(Struct, frozen=True, kw_only=True):
    """A plant, ship or substation. `latitude` and `longitude` in degrees, north and east positive; None: not on the map. `tones`: how many of its devices
    stand how (bad, away, wait, busy, none, good), `worst` the worst of them. `may`: what the asker may do here."""

    id: str
    name: str
    title: str
    time_zone: str
    devices: int
    waiting: int
    revision: int
    latitude: float | None = None
    longitude: float | None = None
    tones: dict[str, int] = {}
    worst: str = "none"
    may: tuple[str, ...] = ()


class SiteCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new site. `time_zone` is an IANA name such as "Europe/Berlin"."""

    name: Name
    title: Title = ""
    time_zone: Annotated[str, Meta(min_length=1, max_length=64)] = "UTC"
    latitude: Latitude | None = None
    longitude: Longitude | None = None


class SiteChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may change about a site; what is left out stays. `latitude` and `longitude` go together; both null takes it off the map."""

    title: Title | None = None
    time_zone: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    latitude: Latitude | UnsetType | None = UNSET
    longitude: Longitude | UnsetType | None = UNSET


Pin = Annotated[str, Meta(pattern=r"^[0-9]{6,12}$", description="6 to 12 digits that neither repeat nor count")]
LocalRight = Literal["let-go", "revert"]


class LocalPerson(Struct, frozen=True, kw_only=True):
    """Somebody who may act at the devices of a site with a PIN, link or no link. `pin_ms`: when the PIN was set, 0 for none yet; devices are told of those
    with one only. `may`: revert (go back to the release before), let-go (let what was stopped be tried again)."""

    id: str
    name: str
    may: tuple[LocalRight, ...]
    pin_ms: int
    created_ms: int
    revision: int


class LocalPersonCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new local person; the PIN may be set later. It is not kept: what stays is a salted digest."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    may: Annotated[tuple[LocalRight, ...], Meta(min_length=1, max_length=2)] = ("let-go", "revert")
    pin: Pin | None = None


class LocalPersonChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may change about a local person; what is left out stays."""

    name: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    may: Annotated[tuple[LocalRight, ...], Meta(min_length=1, max_length=2)] | None = None


class PinChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another PIN. It is not kept: what stays is a salted digest."""

    pin: Pin


class HistoryItem(Struct, frozen=True, kw_only=True):
    """One act on the plane: who did what to which thing, and how it ended. Numbers only rise."""

    number: int
    at_ms: int
    actor_kind: str
    actor: str
    site: str
    verb: str
    subject: str
    outcome: str
    reason: str
    data: dict[str, str]
