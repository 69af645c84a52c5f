"""Pages of people: set-up, signing in and out, the record of acts, settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from penstock.apiv1 import people as p
from penstock.server.actions import sessions, setup
from penstock.server.api import people, queries
from penstock.server.core.errors import Invalid
from penstock.server.web.frame import PAGE_FAULTS, Go, Show, faults_of, read, told
from penstock.server.web.render import LANGUAGES

if TYPE_CHECKING:
    from penstock.apiv1.common import Problem
    from penstock.server.web.frame import Ask


def setup_page(ask: Ask) -> Show | Go:
    """Make the first administrator."""
    if not setup.setup_needed(ask.plane):
        return Go("/login")
    return Show("setup.html", {"form": {"token": ask.query.get("token", "")[:256], "name": ""}})


def set_up(ask: Ask) -> Show | Go:
    """Make the first administrator and sign in."""
    form = {"token": ask.first("token"), "name": ask.first("name")}
    try:
        body = read(p.SetupRequest, {**form, "password": ask.form.get("password", [""])[0]})
        made = setup.set_up(ask.plane, token=body.token, name=body.name, password=body.password, address=ask.address, agent=ask.agent)
    except PAGE_FAULTS as fault:
        problem = told(fault)
        return Show("setup.html", {"form": form, "problem": problem, "faults": faults_of(problem)}, 422)
    return Go("/", f"Welcome, {made.user.name}. This control plane is yours.", session=made.secret)


def login_page(ask: Ask) -> Show | Go:
    """Sign in."""
    if setup.setup_needed(ask.plane):
        return Go("/setup")
    return Show("login.html", {"form": {"name": "", "next": safe_next(ask.query.get("next", ""))}})


def safe_next(path: str) -> str:
    """A page of ours to go to after signing in; anything else is the first page."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\", "/login", "/logout")) and path.isprintable() and "\\" not in path else "/"


def log_in(ask: Ask) -> Show | Go:
    """Sign in with a name and password."""
    form = {"name": ask.first("name"), "next": safe_next(ask.first("next"))}
    try:
        made = sessions.sign_in(ask.plane, name=form["name"], password=ask.form.get("password", [""])[0], address=ask.address, agent=ask.agent)
    except PAGE_FAULTS as fault:
        problem = told(fault)
        return Show("login.html", {"form": form, "problem": problem, "faults": faults_of(problem)}, problem.status if problem.status != 401 else 422)
    return Go(form["next"], session=made.secret)


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


def _settings(ask: Ask, problem: Problem | None = None, made: p.TokenMade | None = None, form: dict[str, str] | None = None) -> Show:
    found = ask.ask(people.get_settings)
    shown = {"poll_s": str(found.poll_s), "rate": str(found.fetch_bytes_per_s // 1000), "leave_h": str(found.leave_s // 3600), "label": ""} | (form or {})
    return Show(
        "settings.html",
        {
            "about": ask.ask(people.about),
            "authorities": ask.ask(people.authorities),
            "settings": found,
            "tokens": ask.ask(people.list_tokens).items,
            "made": made,
            "problem": problem,
            "faults": faults_of(problem),
            "form": shown,
        },
        422 if problem else 200,
    )


def settings(ask: Ask) -> Show:
    """The plane's settings, one's own account, what this plane is."""
    return _settings(ask)


def change_settings(ask: Ask) -> Show | Go:
    """Other settings."""
    form = {key: ask.first(key) for key in ("poll_s", "rate", "leave_h")}
    try:
        given: dict[str, Any] = {"poll_s": form["poll_s"]}
        if form["rate"].isdigit():
            given["fetch_bytes_per_s"] = int(form["rate"]) * 1000
        if form["leave_h"].isdigit():
            given["leave_s"] = int(form["leave_h"]) * 3600
        ask.ask(people.change_settings, body=read(p.SettingsChange, given), revision=ask.revision())
    except PAGE_FAULTS as fault:
        return _settings(ask, told(fault), form=form)
    return Go("/settings", "Saved. Devices take it over at their next poll, in signed state.")


def create_token(ask: Ask) -> Show:
    """An API token, shown this once."""
    form = {"label": ask.first("label")}
    try:
        made = ask.ask(people.create_token, body=read(p.TokenCreate, {"label": form["label"], "valid_s": ask.first("valid_s", "7776000")}))
    except PAGE_FAULTS as fault:
        return _settings(ask, told(fault), form=form)
    return _settings(ask, made=made)


def revoke_token(ask: Ask) -> Go:
    """An API token is dead at once."""
    return Go("/settings", ask.ask(people.revoke_token).said)


def change_password(ask: Ask) -> Show | Go:
    """Another password; all other sessions end."""
    try:
        if ask.form.get("new", [""])[0] != ask.form.get("again", [""])[0]:
            raise Invalid("passwords-differ", "the two new passwords are not the same", field="again")
        body = read(p.PasswordChange, {"old": ask.form.get("old", [""])[0], "new": ask.form.get("new", [""])[0]})
        said = ask.ask(people.change_password, body=body).said
    except PAGE_FAULTS as fault:
        return _settings(ask, told(fault))
    return Go("/settings", said)
