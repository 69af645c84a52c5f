"""Handlers for set-up, log-in, tokens, sites, settings and the record of acts. Each decodes, calls one action, and shows what it gave."""

from __future__ import annotations

import hashlib
import ssl
from typing import TYPE_CHECKING

from penstock.apiv1 import people as shapes
from penstock.apiv1.common import Outcome, Page
from penstock.server.actions import events, passwords, sessions, settings, setup, sites, system, tokens
from penstock.server.api import present
from penstock.server.api.frame import Answer
from penstock.server.api.lists import Order, part
from penstock.server.core.breakglass import ID as BREAK_GLASS
from penstock.server.core.breakglass import SESSION_MS
from penstock.wire.messages import Endpoint

if TYPE_CHECKING:
    from penstock.server.api.frame import Call

TOKENS: dict[str, Order[shapes.Token]] = {
    "newest": Order(lambda item: item.created_ms, lambda item: item.id, down=True),
    "label": Order(lambda item: item.label, lambda item: item.id),
    "expires": Order(lambda item: item.expires_ms, lambda item: item.id),
}
SITES: dict[str, Order[shapes.Site]] = {
    "name": Order(lambda item: item.name, lambda item: item.id),
    "title": Order(lambda item: item.title, lambda item: item.id),
    "devices": Order(lambda item: item.devices, lambda item: item.id, down=True),
}


def authorities(call: Call) -> shapes.Authorities:
    """What to trust for this plane. Public: a fingerprint given by other means is what makes it believable."""
    found = call.plane.authorities
    prints = tuple(hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest() for pem in found)
    return shapes.Authorities(certificates=found, fingerprints=prints)


def setup_state(call: Call) -> shapes.SetupState:
    """Whether the first administrator is still to be made."""
    return shapes.SetupState(needed=setup.setup_needed(call.plane))


def set_up(call: Call) -> shapes.TokenMade:
    """Make the first administrator and a token for it."""
    made = setup.set_up(call.plane, token=call.body.token, name=call.body.name, password=call.body.password, address=call.address, agent=call.agent)
    return _token_for(call, made.secret, "set-up", 30 * 86400)


def log_in(call: Call) -> shapes.TokenMade:
    """A name and password, and a code where the person has a second factor, for a token."""
    body: shapes.LoginRequest = call.body
    made = sessions.sign_in(call.plane, name=body.name, password=body.password, code=body.code, reason=body.reason, address=call.address, agent=call.agent)
    return _token_for(call, made.secret, body.label, body.valid_s)


def _token_for(call: Call, secret: str, label: str, valid_s: int) -> shapes.TokenMade:
    who = sessions.who(call.plane, secret)
    valid_s = min(valid_s, SESSION_MS // 1000) if who.user.id == BREAK_GLASS else valid_s
    made = tokens.create_token(call.plane, who.actor, name=label, expires_s=valid_s, at_sign_in=True)
    sessions.sign_out(call.plane, who.actor, session=who.session.id)
    return shapes.TokenMade(id=made.token.id, token=made.secret, label=made.token.name, expires_ms=made.token.expires_ms)


def me(call: Call) -> shapes.Me:
    """Who the token or session belongs to."""
    return present.me(call.actor)


def change_password(call: Call) -> Outcome:
    """A new password; every other session ends."""
    passwords.change_password(call.plane, call.actor, old=call.body.old, new=call.body.new, keep=call.session)
    return Outcome(said="The password is changed and all other sessions have ended.")


def list_tokens(call: Call) -> Page[shapes.Token]:
    """One's own tokens."""
    return part(map(present.token, tokens.list_tokens(call.plane, call.actor)), call.query, TOKENS)


def create_token(call: Call) -> shapes.TokenMade:
    """Another token."""
    made = tokens.create_token(call.plane, call.actor, name=call.body.label, expires_s=call.body.valid_s)
    return shapes.TokenMade(id=made.token.id, token=made.secret, label=made.token.name, expires_ms=made.token.expires_ms)


def revoke_token(call: Call) -> Outcome:
    """A token is dead at once."""
    tokens.revoke_token(call.plane, call.actor, token=call.path["token"])
    return Outcome(said="The token is revoked.")


def list_sites(call: Call) -> Page[shapes.Site]:
    """Every site."""
    found = map(present.site, sites.list_sites(call.plane, call.actor))
    return part(found, call.query, SITES, lambda item: (item.name, item.title))


def create_site(call: Call) -> Answer:
    """A new site."""
    made = sites.create_site(call.plane, call.actor, name=call.body.name, title=call.body.title, time_zone=call.body.time_zone)
    return Answer(present.bare_site(made), revision=made.revision)


def get_site(call: Call) -> Answer:
    """One site."""
    found = present.site(sites.get_site(call.plane, call.actor, site=call.path["site"]))
    return Answer(found, revision=found.revision)


def change_site(call: Call) -> Answer:
    """Another title or time zone."""
    made = sites.change_site(call.plane, call.actor, site=call.path["site"], revision=call.revision, title=call.body.title, time_zone=call.body.time_zone)
    return Answer(present.bare_site(made), revision=made.revision)


def about(call: Call) -> shapes.About:
    """The plane's version, root and addresses."""
    return present.about(system.about(call.plane, call.actor))


def get_settings(call: Call) -> Answer:
    """The plane's settings."""
    found = settings.get_settings(call.plane, call.actor)
    return Answer(present.settings(found), revision=found.revision)


def change_settings(call: Call) -> Answer:
    """Other settings; they reach devices through signed state."""
    body: shapes.SettingsChange = call.body
    ends = None if body.endpoints is None else tuple(Endpoint(url=e.url, ca=e.ca, proxy=e.proxy) for e in body.endpoints)
    found = settings.change_settings(
        call.plane,
        call.actor,
        revision=call.revision,
        poll_s=body.poll_s,
        fetch_bytes_per_s=body.fetch_bytes_per_s,
        log_quota_bytes=body.log_quota_bytes,
        leave_s=body.leave_s,
        session_idle_s=body.session_idle_s,
        session_total_s=body.session_total_s,
        endpoints=ends,
    )
    return Answer(present.settings(found), revision=found.revision)


def history(call: Call) -> Page[shapes.HistoryItem]:
    """Acts on the plane, newest first."""
    return present.page(
        events.latest_events(call.plane, call.actor, subject=call.query.subject, cursor=call.query.cursor, limit=call.query.limit), present.history
    )
