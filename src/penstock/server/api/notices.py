"""Handlers for faults and for who is told of them. Each decodes, calls one action, and shows what it gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.apiv1 import notices as shapes
from penstock.apiv1.common import Outcome, Page
from penstock.server.actions import faults, notices
from penstock.server.api import present_notices as present
from penstock.server.api.frame import Answer
from penstock.server.core.errors import Invalid
from penstock.server.core.notices import EMAIL, WEBHOOK, Rules

if TYPE_CHECKING:
    from penstock.server.api.frame import Call


def list_faults(call: Call) -> Page[shapes.FleetFault]:
    """What is wrong, worst first."""
    q = call.query
    query = faults.Query(q.severity, q.kind, q.site, q.device, q.known)
    found, places = faults.list_faults(call.plane, call.actor, query=query, cursor=q.cursor, limit=q.limit)
    return Page(items=tuple(present.fault(one, places) for one in found.items), next=found.next)


def acknowledge(call: Call) -> Outcome:
    """Somebody knows of it: muted until then, unless it gets worse."""
    found = faults.acknowledge(call.plane, call.actor, fault=call.path["fault"], until_ms=call.body.until_ms, reason=call.body.reason)
    return Outcome(said=f"Noted: {found.title} is known. It comes back when that time is over, or when it gets worse.")


def unacknowledge(call: Call) -> Outcome:
    """It is news again."""
    found = faults.unacknowledge(call.plane, call.actor, fault=call.path["fault"])
    return Outcome(said=f"{found.title} is news again.")


def list_notices(call: Call) -> Page[shapes.Notice]:
    """Who is told."""
    return Page(items=tuple(present.notice(one) for one in notices.list_notices(call.plane, call.actor)))


def get_notice(call: Call) -> Answer:
    """One of them."""
    found = notices.get_notice(call.plane, call.actor, notice=call.path["notice"])
    return Answer(present.notice(found), revision=found.target.revision)


def rules_of(given: shapes.NoticeRules) -> Rules:
    """What somebody is told, as the core knows it."""
    return Rules(given.severity, given.kinds, given.sites, given.acts, given.quiet, given.time_zone, given.through, given.per_hour)


def way_of(webhook: shapes.Webhook | None, email: shapes.Email | None) -> dict[str, Any] | None:
    """How to reach somebody, as it is kept; None where nothing is said."""
    if webhook is not None:
        return {"url": webhook.url, "ca": webhook.ca}
    if email is None:
        return None
    return {
        "host": email.host,
        "port": email.port,
        "security": email.security,
        "user": email.user,
        "sender": email.sender,
        "to": list(email.to),
        "ca": email.ca,
    }


def _either(webhook: object, email: object, *, needed: bool) -> None:
    if (webhook is not None and email is not None) or (needed and webhook is None and email is None):
        raise Invalid("way-unclear", "a notice goes to a webhook or by mail, exactly one of them", field="webhook", remedy="give webhook or email")


def create_notice(call: Call) -> Answer:
    """Somebody more is told."""
    body: shapes.NoticeCreate = call.body
    _either(body.webhook, body.email, needed=True)
    made = notices.create_notice(
        call.plane,
        call.actor,
        name=body.name,
        kind=WEBHOOK if body.webhook is not None else EMAIL,
        site=body.site,
        rules=rules_of(body.rules),
        way=way_of(body.webhook, body.email) or {},
        secret=body.secret,
    )
    return Answer(shapes.NoticeMade(notice=present.notice(made.view), secret=made.secret), revision=made.view.target.revision)


def change_notice(call: Call) -> Answer:
    """Other rules, another address, on or off."""
    body: shapes.NoticeChange = call.body
    _either(body.webhook, body.email, needed=False)
    before = notices.get_notice(call.plane, call.actor, notice=call.path["notice"]).target
    if (body.webhook is not None and before.kind != WEBHOOK) or (body.email is not None and before.kind != EMAIL):
        raise Invalid("way-unclear", f"{before.name} is a {before.kind} and stays one", field="webhook", remedy="remove it and make another")
    found = notices.change_notice(
        call.plane,
        call.actor,
        notice=before.id,
        revision=call.revision,
        enabled=body.enabled,
        rules=rules_of(body.rules) if body.rules is not None else None,
        way=way_of(body.webhook, body.email),
        secret=body.secret,
    )
    return Answer(present.notice(found), revision=found.target.revision)


def remove_notice(call: Call) -> Outcome:
    """Told nothing any more."""
    notices.remove_notice(call.plane, call.actor, notice=call.path["notice"], revision=call.revision)
    return Outcome(said="It is removed, and what was on its way to it is dropped.")


def try_notice(call: Call) -> shapes.NoticeTested:
    """A test, sent at once."""
    _, why = notices.send_test(call.plane, call.actor, notice=call.path["notice"])
    return shapes.NoticeTested(arrived=not why, why=why)
