"""Pages of people: set-up, signing in and out, the record of acts, settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from msgspec.structs import replace

from penstock.apiv1 import people as p
from penstock.server.actions import sessions, setup
from penstock.server.api import people, queries
from penstock.server.core.errors import Invalid, Refused
from penstock.server.core.rights import Allow, Target, may
from penstock.server.web.frame import PAGE_FAULTS, Go, Show, faults_of, read, told
from penstock.server.web.render import LANGUAGES

if TYPE_CHECKING:
    from penstock.apiv1.common import Problem
    from penstock.server.web.frame import Ask

STEPS = ("code", "reason")  # what may still be missing after the password
AGAIN = ("sign-in-again", "wrong-credentials")  # then the password is asked for anew


def setup_page(ask: Ask) -> Show | Go:
    """Make the first administrator."""
    if not setup.setup_needed(ask.plane):
        return Go("/login")
    return Show("setup.html", {"form": {"token": ask.query.get("token", "")[:256], "name": ""}})


def set_up(ask: Ask) -> Show | Go:
    """Make the first administrator and sign in."""
    form = {"token": ask.first("token"), "name": ask.first("name")}
    try:
        body = read(p.SetupRequest, {**form, "password": ask.secret("password")})
        made = setup.set_up(ask.plane, token=body.token, name=body.name, password=body.password, address=ask.address, agent=ask.agent)
    except PAGE_FAULTS as fault:
        problem = told(fault)
        return Show("setup.html", {"form": form, "problem": problem, "faults": faults_of(problem)}, 422)
    return Go("/", f"Welcome, {made.user.name}. This control plane is yours.", session=made.secret, session_s=made.life_s)


def login_page(ask: Ask) -> Show | Go:
    """Sign in."""
    if setup.setup_needed(ask.plane):
        return Go("/setup")
    return Show("login.html", {"form": {"name": "", "ticket": "", "reason": "", "next": safe_next(ask.query.get("next", ""))}, "step": ""})


def safe_next(path: str) -> str:
    """A page of ours to go to after signing in; anything else is the first page. It stands in a header, so it is plain ASCII as browsers send it."""
    plain = path.isascii() and path.isprintable() and "\\" not in path and len(path) <= 2000
    return path if plain and path.startswith("/") and not path.startswith(("//", "/login", "/logout")) else "/"


def log_in(ask: Ask) -> Show | Go:
    """Sign in with a name and password, then with what is still missing. The password is asked for once and never sent back."""
    form = {key: ask.first(key) for key in ("name", "ticket", "reason")} | {"next": safe_next(ask.first("next"))}
    step, ticket = ask.first("step"), form["ticket"]
    try:
        if ticket:
            user = sessions.resume(ask.plane, ticket)
        else:
            user = sessions.prove(ask.plane, name=form["name"], password=ask.secret("password"), address=ask.address)
        made = sessions.complete(ask.plane, user, code=ask.first("code"), reason=form["reason"], address=ask.address, agent=ask.agent, instead=ask.brought)
    except PAGE_FAULTS as fault:
        problem = told(fault)
        headers = {"Retry-After": str(fault.retry_s)} if isinstance(fault, Refused) and fault.retry_s else {}
        if problem.code in sessions.NEEDED and not ticket:
            return Show("login.html", {"form": form | {"ticket": sessions.wait_for_code(ask.plane, user)}, "step": problem.field})
        if problem.code in AGAIN:
            form["ticket"] = ""
        known = step if step in STEPS and form["ticket"] else ""
        context = {"form": form, "step": known, "problem": problem, "faults": faults_of(problem)}
        return Show("login.html", context, problem.status if problem.status != 401 else 422, headers)
    return Go(form["next"], session=made.secret, session_s=made.life_s)


def log_out(ask: Ask) -> Go:
    """Sign out; the session is dead at once."""
    sessions.sign_out(ask.plane, ask.actor, session=ask.session)
    return Go("/login", "You are signed out.", session="")


def choose_language(ask: Ask) -> Go:
    """Another language, kept in a cookie of this browser."""
    wanted = ask.query.get("to", "")
    if wanted and wanted not in LANGUAGES:
        raise Invalid("language-unknown", f"{wanted[:20]!r} is no language of these pages", field="to", remedy=f"choose one of {', '.join(LANGUAGES)}")
    return Go(safe_next(ask.query.get("next", "")), language=wanted)


def history(ask: Ask) -> Show:
    """Who did what, newest first."""
    cursor = ask.query.get("cursor", "")
    found = ask.ask(people.history, query=read(queries.History, {"cursor": cursor, "limit": 100}))
    return Show(
        "history.html",
        {"items": found.items, "next_url": f"/history?{urlencode({'cursor': found.next})}" if found.next else "", "first_url": "/history" if cursor else ""},
    )


def _settings(ask: Ask, problem: Problem | None = None, form: dict[str, str] | None = None) -> Show:
    found: p.Settings = ask.ask(people.get_settings)
    shown = {
        "poll_s": str(found.poll_s),
        "rate": str(found.fetch_bytes_per_s // 1000),
        "leave_h": str(found.leave_s // 3600),
        "idle_min": str(found.session_idle_s // 60),
        "total_h": str(found.session_total_s // 3600),
    }
    return Show(
        "settings.html",
        {
            "about": ask.ask(people.about),
            "may_back_up": isinstance(may(ask.actor.rights, "system.backup", Target()), Allow),
            "authorities": ask.ask(people.authorities),
            "settings": found,
            "problem": problem,
            "faults": faults_of(problem),
            "form": shown | (form or {}),
        },
        422 if problem else 200,
    )


def settings(ask: Ask) -> Show:
    """The plane's settings, and what this plane is."""
    return _settings(ask)


def change_settings(ask: Ask) -> Show | Go:
    """Other settings."""
    form = {key: ask.first(key) for key in ("poll_s", "rate", "leave_h", "idle_min", "total_h")}
    units = (("rate", "fetch_bytes_per_s", 1000), ("leave_h", "leave_s", 3600), ("idle_min", "session_idle_s", 60), ("total_h", "session_total_s", 3600))
    try:
        given: dict[str, Any] = {"poll_s": form["poll_s"]} if form["poll_s"] else {}
        given |= {name: _number(form[key], key) * unit for key, name, unit in units if form[key]}
        ask.ask(people.change_settings, body=read(p.SettingsChange, given), revision=ask.revision())
    except PAGE_FAULTS as fault:
        problem = told(fault)
        shown = {name: key for key, name, _ in units}.get(problem.field)
        return _settings(ask, replace(problem, field=shown) if shown else problem, {key: value for key, value in form.items() if value})
    return Go("/settings", "Saved. Devices take over what concerns them at their next poll, in signed state.")


def _number(text: str, field: str) -> int:
    if not text.isdigit() or len(text) > 12:
        raise Invalid("not-a-number", f"{text[:40]!r} is no whole number", field=field, remedy="write digits only")
    return int(text)
