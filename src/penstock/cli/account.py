"""Commands about oneself and the control plane: set-up, login, contexts, tokens, the page, the stream of acts."""

from __future__ import annotations

import getpass
import os
import ssl
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from penstock.apiv1 import people as p
from penstock.cli import contexts, out
from penstock.cli.common import COMMON, Common, Usage, text_of
from penstock.client import Client, ClientError, as_json, pinned_ca

context = App(name="context", help="Which control planes this machine knows.")
token = App(name="token", help="Your API tokens.")
settings = App(name="settings", help="How devices behave, and by which addresses they reach the control plane.")

DAY = 86400


def _secret(prompt: str, *, stdin: bool, variable: str) -> str:
    if os.environ.get(variable):
        return os.environ[variable]
    if stdin:
        return sys.stdin.readline().rstrip("\n")
    return getpass.getpass(prompt)


def _trust(url: str, ca: Path | None, fingerprint: str) -> str:
    if not url.startswith(("https://", "http://")):
        raise Usage(f"{url!r} is no address of a control plane: write https://NAME or https://NAME:PORT")
    if ca is not None:
        return _certificates(ca)
    return pinned_ca(url, fingerprint) if fingerprint else ""


def _certificates(file: Path) -> str:
    text = text_of(file)
    try:
        ssl.create_default_context(cadata=text)
    except (ssl.SSLError, ValueError):
        raise Usage(f"{file} holds no certificate in PEM (BEGIN CERTIFICATE)") from None
    return text


def _keep(name: str, url: str, made_token: str, user: str, ca: str, expires_ms: int) -> None:
    found = contexts.load()
    found.contexts[name] = contexts.Context(url=url, token=made_token, user=user, ca=ca, expires_ms=expires_ms)
    found.current = name
    contexts.save(found)


def setup(
    url: str,
    *,
    user: str,
    setup_token: Annotated[str, Parameter(help="The one-time token; or PENSTOCK_SETUP_TOKEN, or asked for.")] = "",
    ca: Annotated[Path | None, Parameter(help="A file with the certificate to trust.")] = None,
    fingerprint: Annotated[str, Parameter(help="Trust the control plane's own authority if it has this SHA-256 fingerprint.")] = "",
    password_stdin: Annotated[bool, Parameter(negative=())] = False,
    name: Annotated[str, Parameter(name="--as", help="What to call this context.")] = "default",
) -> int:
    """Make the first administrator of a new control plane, and log in as them."""
    trust = _trust(url, ca, fingerprint)
    secret = setup_token or _secret("One-time set-up token: ", stdin=False, variable="PENSTOCK_SETUP_TOKEN")
    password = _secret("New password: ", stdin=password_stdin, variable="PENSTOCK_PASSWORD")
    with Client(url, ca=trust) as client:
        made = client.set_up(secret, user, password)
    _keep(name, url, made.token, user, trust, made.expires_ms)
    out.say(f"{user} is the first administrator of {url}, and logged in here as context {name!r}")
    return out.DONE


def login(
    url: str,
    *,
    user: str = "",
    token: Annotated[str, Parameter(help="An API token instead of a password; - reads it from standard input.", allow_leading_hyphen=True)] = "",
    ca: Annotated[Path | None, Parameter(help="A file with the certificate to trust.")] = None,
    fingerprint: Annotated[str, Parameter(help="Trust the control plane's own authority if it has this SHA-256 fingerprint.")] = "",
    password_stdin: Annotated[bool, Parameter(negative=(), help="Read the password from standard input.")] = False,
    name: Annotated[str, Parameter(name="--as", help="What to call this context.")] = "default",
    days: Annotated[int, Parameter(help="How long the token is good.")] = 30,
) -> int:
    """Log in, and keep the token on this machine (mode 0600)."""
    trust = _trust(url, ca, fingerprint)
    if token:
        given = sys.stdin.readline().strip() if token == "-" else token  # noqa: S105
        with Client(url, given, ca=trust) as client:
            me = client.me()
        _keep(name, url, given, me.name, trust, 0)
        out.say(f"Logged in to {url} as {me.name}, context {name!r}")
        return out.DONE
    if not user:
        raise Usage("say who: --user NAME, or --token TOKEN")
    password = _secret(f"Password of {user}: ", stdin=password_stdin, variable="PENSTOCK_PASSWORD")
    with Client(url, ca=trust) as client:
        made = client.log_in(user, password, f"penstock on {os.uname().nodename}"[:200], days * DAY)
    _keep(name, url, made.token, user, trust, made.expires_ms)
    out.say(f"Logged in to {url} as {user} until {out.at(made.expires_ms)}, context {name!r}")
    return out.DONE


def logout(*, name: Annotated[str, Parameter(name="--as")] = "") -> int:
    """Revoke the token kept here and forget it."""
    found = contexts.load()
    wanted = name or found.current
    kept = found.contexts.pop(wanted, None)
    if kept is None:
        raise contexts.NoContext(f"There is no context {wanted!r}.")
    said = "it is forgotten here"
    try:
        with Client(kept.url, kept.token, ca=kept.ca) as client:
            mine = [item for item in client.tokens() if item.expires_ms == kept.expires_ms and kept.expires_ms]
            for item in mine:
                client.revoke_token(item.id)
            said = "its token is revoked, and forgotten here" if mine else said
    except ClientError as fault:
        said = f"it is forgotten here, but could not be revoked: {fault.problem.detail}"
    found.current = next(iter(sorted(found.contexts)), "") if found.current == wanted else found.current
    contexts.save(found)
    out.say(f"Logged out of {wanted!r}: {said}")
    return out.DONE


def whoami(*, common: Common = COMMON) -> int:
    """Who you are, where."""
    with common.client() as client:
        me = client.me()
        if common.json:
            out.show_json(me)
        else:
            out.facts((("name", me.name), ("may", ", ".join(me.may) or "nothing yet"), ("control plane", client.url)))
    return out.DONE


@context.command(name="list")
def context_list() -> int:
    """Every context."""
    found = contexts.load()
    out.table(
        ("", "name", "control plane", "user", "token good until"),
        (
            ("*" if key == found.current else "", key, one.url, one.user, out.at(one.expires_ms) if one.expires_ms else "")
            for key, one in sorted(found.contexts.items())
        ),
        "None yet: penstock login https://PLANE --user NAME",
    )
    return out.DONE


@context.command(name="use")
def context_use(name: str) -> int:
    """Which context is meant when none is named."""
    found = contexts.load()
    if name not in found.contexts:
        raise contexts.NoContext(f"There is no context {name!r}.")
    found.current = name
    contexts.save(found)
    out.say(f"Now talking to {found.contexts[name].url}")
    return out.DONE


@token.command(name="list")
def token_list(*, common: Common = COMMON) -> int:
    """Your tokens, without their secrets."""
    with common.client() as client:
        found = client.tokens()
    if common.json:
        out.show_json(found)
    else:
        out.table(("id", "for", "last used", "good until"), ((t.id, t.label, out.ago(t.used_ms), out.at(t.expires_ms)) for t in found), "None.")
    return out.DONE


@token.command(name="create")
def token_create(label: str, *, days: int = 90, common: Common = COMMON) -> int:
    """Make a token, for a pipeline for instance. It is shown this once."""
    with common.client() as client:
        made = client.create_token(label, days * DAY)
    if common.json:
        out.show_json(made)
    else:
        sys.stdout.write(made.token + "\n")
    return out.DONE


@token.command(name="revoke")
def token_revoke(token: str, *, common: Common = COMMON) -> int:
    """Revoke a token; it is dead at once."""
    with common.client() as client:
        out.say(client.revoke_token(token).said)
    return out.DONE


def open_(*, common: Common = COMMON) -> int:
    """Open the control plane's page in a browser."""
    url = contexts.chosen(common.context).url
    out.say(f"{url}/")
    webbrowser.open(url)
    return out.DONE


def events(*, after: Annotated[int, Parameter(help="Begin after this number; -1 is now.")] = -1, common: Common = COMMON) -> int:
    """Follow every act on the control plane until stopped."""
    with common.client() as client:
        for item in client.events(after):
            if common.json:
                sys.stdout.write(as_json(item).replace("\n", "") + "\n")
                sys.stdout.flush()
            else:
                out.console.print(f"{item.number:>6}  {out.at(item.at_ms)}  {item.actor}  {item.verb}  {item.subject}  {item.outcome}  {item.reason}")
    return out.DONE


@settings.command(name="show")
def settings_show(*, common: Common = COMMON) -> int:
    """The control plane's settings."""
    with common.client() as client:
        found = client.settings()
    if common.json:
        out.show_json(found)
        return out.DONE
    out.facts(
        (
            ("poll", f"every {found.poll_s} s"),
            ("fetch at most", f"{found.fetch_bytes_per_s} bytes/s" if found.fetch_bytes_per_s else "no cap"),
            ("leave lapses after", f"{found.leave_s // 3600} h"),
            ("log quota", f"{found.log_quota_bytes // 1024} KiB"),
            *(("address", f"{one.url}{f'  proxy {one.proxy}' if one.proxy else ''}  ({len(one.ca) or 'no own'} authority)") for one in found.endpoints),
        )
    )
    return out.DONE


@settings.command(name="set")
def settings_set(
    *,
    poll: Annotated[int | None, Parameter(help="Seconds between two questions of a device.")] = None,
    fetch_bytes_per_s: Annotated[int | None, Parameter(help="A device fetches at most this; 0 is no cap.")] = None,
    leave_hours: Annotated[int | None, Parameter(help="How long the leave to apply a change is good.")] = None,
    address: Annotated[tuple[str, ...], Parameter(help="All addresses devices shall use, in order of preference; may be repeated.")] = (),
    ca: Annotated[Path | None, Parameter(help="A file with the authorities to trust for those addresses; else those of the present ones.")] = None,
    common: Common = COMMON,
) -> int:
    """Change settings; devices take them over at their next poll, in signed state."""
    with common.client() as client:
        before = client.settings()
        trust = (_certificates(ca),) if ca else tuple(dict.fromkeys(pem for one in before.endpoints for pem in one.ca))
        change = p.SettingsChange(
            poll_s=poll,
            fetch_bytes_per_s=fetch_bytes_per_s,
            leave_s=None if leave_hours is None else leave_hours * 3600,
            endpoints=tuple(p.Endpoint(url=url, ca=trust) for url in address) or None,
        )
        client.change_settings(before.revision, change)
    out.say("Saved. Devices take it over at their next poll; a new address is tried beside the old ones and kept once it works.")
    return out.DONE
