"""Pages of one's own account: password, second factor, sessions, API tokens. And the note that the break-glass account was used.

Owns what these pages do and the drawing of the QR code. What they show they ask of the API's handlers.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import segno
from msgspec.structs import replace

from penstock.apiv1 import account as c
from penstock.apiv1 import people as p
from penstock.server.actions import secondfactor
from penstock.server.api import account, people
from penstock.server.core.errors import Invalid, missing
from penstock.server.web.frame import PAGE_FAULTS, Drawing, Go, Show, faults_of, read, told

if TYPE_CHECKING:
    from penstock.apiv1.common import Problem
    from penstock.server.web.frame import Ask

PAGE = "/account"


def _show(
    ask: Ask, problem: Problem | None = None, *, form: dict[str, str] | None = None, made: p.TokenMade | None = None, codes: tuple[str, ...] = ()
) -> Show:
    factor = ask.ask(account.get_factor)
    return Show(
        "account.html",
        {
            "factor": factor,
            "awaiting": secondfactor.awaiting(ask.plane, ask.actor) if factor.state == "awaiting" else None,
            "sessions": ask.ask(account.list_sessions).items,
            "tokens": ask.ask(people.list_tokens).items,
            "idle_s": ask.plane.session_idle_s,
            "total_s": ask.plane.session_total_s,
            "made": made,
            "codes": codes,
            "problem": problem,
            "faults": faults_of(problem),
            "form": {"label": ""} | (form or {}),
        },
        422 if problem else 200,
    )


def page(ask: Ask) -> Show:
    """One's own account."""
    return _show(ask)


def change_password(ask: Ask) -> Show | Go:
    """Another password; all other sessions end."""
    try:
        if ask.secret("new") != ask.secret("again"):
            raise Invalid("passwords-differ", "the two new passwords are not the same", field="again")
        body = read(p.PasswordChange, {"old": ask.secret("old"), "new": ask.secret("new")})
        said = ask.ask(people.change_password, body=body).said
    except PAGE_FAULTS as fault:
        problem = told(fault)
        field = {"wrong-password": "old", "weak-password": "new"}.get(problem.code)
        return _show(ask, replace(problem, field=field) if field else problem)
    return Go(PAGE, said)


def begin_factor(ask: Ask) -> Show | Go:
    """Show a secret for an authenticator app."""
    try:
        ask.ask(account.begin_factor, body=read(c.PasswordOnly, {"password": ask.secret("password")}))
    except PAGE_FAULTS as fault:
        return _show(ask, told(fault))
    return Go(f"{PAGE}#second-factor")


def confirm_factor(ask: Ask) -> Show:
    """The first code switches it on; the recovery codes are shown this once."""
    try:
        found: c.RecoveryCodes = ask.ask(account.confirm_factor, body=read(c.CodeOnly, {"code": ask.first("code")}))
    except PAGE_FAULTS as fault:
        return _show(ask, told(fault))
    return _show(ask, codes=found.codes)


def cancel_factor(ask: Ask) -> Go:
    """Give up setting it up."""
    return Go(PAGE, ask.ask(account.cancel_factor).said)


def _both(ask: Ask) -> c.PasswordAndCode:
    found: c.PasswordAndCode = read(c.PasswordAndCode, {"password": ask.secret("password"), "code": ask.first("code")})
    return found


def renew_codes(ask: Ask) -> Show:
    """New recovery codes, shown this once."""
    try:
        found: c.RecoveryCodes = ask.ask(account.renew_codes, body=_both(ask))
    except PAGE_FAULTS as fault:
        return _show(ask, told(fault))
    return _show(ask, codes=found.codes)


def switch_off_factor(ask: Ask) -> Show | Go:
    """The password alone suffices again."""
    try:
        said = ask.ask(account.switch_off_factor, body=_both(ask)).said
    except PAGE_FAULTS as fault:
        return _show(ask, told(fault))
    return Go(PAGE, said, tone="wait")


def qr_code(ask: Ask) -> Drawing:
    """The secret that waits for its first code, as a QR code. Dark on light in either colour scheme, as scanners want it."""
    shown = secondfactor.awaiting(ask.plane, ask.actor)
    if shown is None:
        raise missing("drawing", "second-factor.svg")
    out = io.BytesIO()
    segno.make(shown.address, error="m", micro=False, boost_error=False).save(
        out, kind="svg", border=4, dark="#000", light="#fff", xmldecl=False, omitsize=True
    )
    return Drawing(out.getvalue())


def end_session(ask: Ask) -> Go:
    """End one of one's own sessions."""
    said = ask.ask(account.end_session).said
    return Go("/login", "You are signed out.", session="") if ask.path["session"] == ask.session else Go(PAGE, said)


def end_other_sessions(ask: Ask) -> Go:
    """End all of one's own sessions but this one."""
    return Go(PAGE, ask.ask(account.end_other_sessions).said)


def create_token(ask: Ask) -> Show:
    """An API token, shown this once."""
    form = {"label": ask.first("label")}
    try:
        made = ask.ask(people.create_token, body=read(p.TokenCreate, {"label": form["label"], "valid_s": ask.first("valid_s", "7776000")}))
    except PAGE_FAULTS as fault:
        return _show(ask, told(fault), form=form)
    return _show(ask, made=made)


def revoke_token(ask: Ask) -> Go:
    """An API token is dead at once."""
    return Go(PAGE, ask.ask(people.revoke_token).said)


def acknowledge_break_glass(ask: Ask) -> Go:
    """Take note that the break-glass account was used."""
    ask.ask(account.acknowledge_break_glass)
    return Go("/", "You have taken note of it. Have the account sealed anew.")
