"""Shapes for what is wrong and for who is told: faults worst first, saying that one is known, notices by webhook and mail."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from penstock.apiv1.common import Name, Text

Severity = Literal["bad", "warn"]
Word = Annotated[str, Meta(max_length=200)]
Words = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=63)], ...], Meta(max_length=64)]
Certificates = Annotated[str, Meta(max_length=20_000)]
Secret = Annotated[str, Meta(max_length=256)]


class FaultSubject(Struct, frozen=True, kw_only=True):
    """One device, site or the control plane itself, and what is wrong with it. `app` where it is about one."""

    kind: Literal["device", "site", "plane"]
    id: str
    name: str
    site: str
    severity: Severity
    since_ms: int
    why: str
    app: str = ""


class Acknowledged(Struct, frozen=True, kw_only=True):
    """Somebody knows of a fault, until then, because."""

    until_ms: int
    reason: str
    by: str
    at_ms: int


class FleetFault(Struct, frozen=True, kw_only=True):
    """Something that is wrong, with everybody it befell: faults with one cause are one. `count` of `of` devices (`of` 0: not counted); `subjects` are at most 200
    of them. `remedy` says what to do. `known` null: it is news."""

    id: str
    kind: str
    word: str
    severity: Severity
    title: str
    why: str
    remedy: str
    site: str
    since_ms: int
    count: int
    of: int
    subjects: tuple[FaultSubject, ...]
    known: Acknowledged | None = None


class Acknowledge(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say that a fault is known: it is muted until then, unless it gets worse."""

    until_ms: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    reason: Annotated[str, Meta(min_length=1, max_length=1000)]


class NoticeRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody is told. `severity` is the least bad that counts; empty `kinds` and `sites` mean all; `acts` are beginnings of verbs of the record, for webhooks.
    `quiet` is a span such as "22:00-06:00" in `time_zone`, in which only what is bad comes, and that only if `through`; the rest comes in one digest after.
    `per_hour` bounds messages about faults."""

    severity: Severity = "warn"
    kinds: Words = ()
    sites: Words = ()
    acts: Words = ()
    quiet: Annotated[str, Meta(max_length=11)] = ""
    time_zone: Annotated[str, Meta(min_length=1, max_length=64)] = "UTC"
    through: bool = True
    per_hour: Annotated[int, Meta(ge=1, le=1000)] = 20


class Webhook(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An HTTPS address that takes POSTs. `ca`: PEM certificates to trust for it (empty: the system's)."""

    url: Annotated[str, Meta(min_length=1, max_length=512)]
    ca: Certificates = ""


class Email(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Mail by SMTP. `user` where the mail server wants somebody to sign in; the password is the `secret` of the notice."""

    host: Annotated[str, Meta(min_length=1, max_length=253)]
    port: Annotated[int, Meta(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: Word = ""
    sender: Annotated[str, Meta(min_length=3, max_length=254)]
    to: Annotated[tuple[Annotated[str, Meta(min_length=3, max_length=254)], ...], Meta(min_length=1, max_length=20)]
    ca: Certificates = ""


class NoticeCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody to be told: a `webhook` or an `email`, exactly one. `site`: it belongs to that site and hears of it only. `secret` signs webhooks (empty: one is made)
    or signs in to the mail server."""

    name: Name
    site: Word = ""
    rules: NoticeRules = NoticeRules()
    webhook: Webhook | None = None
    email: Email | None = None
    secret: Secret = ""


class NoticeChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may change; what is left out stays. Another address needs its secret anew."""

    enabled: bool | None = None
    rules: NoticeRules | None = None
    webhook: Webhook | None = None
    email: Email | None = None
    secret: Secret | None = None


class Notice(Struct, frozen=True, kw_only=True):
    """Somebody who is told. `to` says where without what lets anybody in: the host of a webhook, the addresses of a mail. `outcome` is how the last message fared,
    `why` what the receiver answered; `failing_ms` since when nothing arrives (0: it does); `queued` messages are on their way."""

    id: str
    name: str
    site: str
    kind: Literal["webhook", "email"]
    to: str
    enabled: bool
    rules: NoticeRules
    last_ms: int
    outcome: Literal["", "delivered", "failed", "given-up"]
    why: str
    failing_ms: int
    queued: int
    created_ms: int
    by: str
    revision: int


class NoticeMade(Struct, frozen=True, kw_only=True):
    """A new notice. `secret` signs what a webhook is sent, where none was given; it is shown this once."""

    notice: Notice
    secret: str


class NoticeTested(Struct, frozen=True, kw_only=True):
    """How a test fared. `arrived` False: `why` says what the receiver answered."""

    arrived: bool
    why: Text
