"""Shapes for one's own account and how people get in: sessions, the second factor, the break-glass account."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from penstock.apiv1.people import Password

Code = Annotated[str, Meta(min_length=1, max_length=100, description="six digits of an authenticator app, or a recovery code")]


class Session(Struct, frozen=True, kw_only=True):
    """A browser that is signed in. `agent` is in words; `this`: the asker's own; it ends at `ends_ms` if nobody uses it before."""

    id: str
    address: str
    agent: str
    created_ms: int
    seen_ms: int
    ends_ms: int
    this: bool


class SecondFactor(Struct, frozen=True, kw_only=True):
    """A second factor. `state`: off, awaiting (its first code) or on."""

    state: str
    since_ms: int = 0
    recovery_codes_left: int = 0


class PasswordOnly(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One's present password."""

    password: Password


class CodeOnly(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A one-time code."""

    code: Code


class PasswordAndCode(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One's present password and a code."""

    password: Password
    code: Code


class FactorSecret(Struct, frozen=True, kw_only=True):
    """What goes into an authenticator app; shown until the first code confirms it. `uri` is what a QR code says."""

    secret: str
    uri: str


class RecoveryCodes(Struct, frozen=True, kw_only=True):
    """Codes that each sign in once in place of the authenticator app. Shown this once and stored only as hashes."""

    codes: tuple[str, ...]


class BreakGlass(Struct, frozen=True, kw_only=True):
    """How the sealed account stands. `state`: none, sealed, used (to be acknowledged), acknowledged (to be sealed anew) or resealed (to be acknowledged)."""

    state: str
    sealed_ms: int = 0
    used_ms: int = 0
    uses: int = 0
    reason: str = ""
    address: str = ""
    acknowledged_ms: int = 0
    acknowledged_by: str = ""
