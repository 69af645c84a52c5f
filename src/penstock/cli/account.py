"""Commands about oneself: set-up, login, the contexts kept on this machine, tokens."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from cyclopts import App, Parameter
from cyclopts.validators import Number

from penstock.apiv1 import people as p
from penstock.cli import contexts, out
from penstock.cli.common import COMMON, Common, Usage, certificates
from penstock.cli.names import ContextName, people, roles
from penstock.client import Client, ClientError, pinned_ca

if TYPE_CHECKING:
    from penstock.apiv1 import people as p

context = App(name="context", help="Which control planes this machine knows.")
token = App(name="token", help="Your API tokens.")

Json = Annotated[bool, Parameter(negative=(), help="Print JSON for programs.")]
Ca = Annotated[Path | None, Parameter(help="A file with the certificate to trust.")]
Fingerprint = Annotated[str, Parameter(help="Trust the control plane's own authority if it has this SHA-256 fingerprint.")]
Proxy = Annotated[str, Parameter(help="An HTTP proxy to go through, http://HOST:PORT; else HTTPS_PROXY and NO_PROXY count.")]
As = Annotated[str, Parameter(name="--as", help="What to call this context.")]
PasswordStdin = Annotated[bool, Parameter(negative=(), help="Read the password from standard input.")]
Days = Annotated[int, Parameter(validator=Number(gte=1, lte=366), help="How long the token is good.")]

DAY = 86400


def secret_from(prompt: str, *, stdin: bool, variable: str) -> str:
    """A secret from the environment, standard input or whoever sits at the terminal; never from the command line, which others may read."""
    if os.environ.get(variable):
        return os.environ[variable]
    if stdin:
        return sys.stdin.readline().rstrip("\n")
    import getpass  # what it brings along is not worth a tenth of a second where nobody is asked

    return getpass.getpass(prompt)


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise Usage(f"{url!r} is no address of a control plane: write https://NAME or https://NAME:PORT")
    if parts.username or parts.password:
        raise Usage("an address holds no name and password: write https://NAME:PORT, and say who with --user")
    return url.rstrip("/")


def _trust(url: str, ca: Path | None, fingerprint: str, proxy: str) -> str:
    if ca is not None:
        return certificates(ca)
    return pinned_ca(url, fingerprint, proxy=proxy) if fingerprint else ""


def _proxy(url: str) -> str:
    if url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname):
        raise Usage(f"{shown_proxy(url)!r} is no proxy: write http://HOST:PORT")
    return url


def _keep(name: str, kept: contexts.Context, said: str, *, json: bool) -> int:
    found = contexts.load()
    found.contexts[name] = kept
    found.current = name
    contexts.save(found)
    return _kept(name, kept, said, json=json)


def setup(
    url: str,
    *,
    user: str,
    setup_token: Annotated[str, Parameter(help="The one-time token; or PENSTOCK_SETUP_TOKEN, or asked for.")] = "",
    ca: Ca = None,
    fingerprint: Fingerprint = "",
    proxy: Proxy = "",
    password_stdin: PasswordStdin = False,
    name: As = "default",
    json: Json = False,
) -> int:
    """Make the first administrator of a new control plane, and log in as them."""
    url = _address(url)
    trust = _trust(url, ca, fingerprint, _proxy(proxy))
    secret = setup_token or secret_from("One-time set-up token: ", stdin=False, variable="PENSTOCK_SETUP_TOKEN")
    password = secret_from("New password: ", stdin=password_stdin, variable="PENSTOCK_PASSWORD")
    kept = contexts.Context(url=url, token="", user=user, ca=trust, proxy=proxy)
    with Client(url, way=contexts.way(kept)) as client:
        made = client.set_up(secret, user, password)
    kept = contexts.Context(url=url, token=made.token, user=user, ca=trust, proxy=proxy, expires_ms=made.expires_ms)
    return _keep(name, kept, f"{user} is the first administrator of {url}, and logged in here as context {name!r}", json=json)


def login(
    url: str,
    *,
    user: str = "",
    token: Annotated[
        str,
        Parameter(help="An API token instead of a password; - reads it from standard input, where no list of processes shows it.", allow_leading_hyphen=True),
    ] = "",
    ca: Ca = None,
    fingerprint: Fingerprint = "",
    proxy: Proxy = "",
    password_stdin: PasswordStdin = False,
    name: As = "default",
    days: Days = 30,
    json: Json = False,
    code: Annotated[str, Parameter(help="A one-time or recovery code, where you have a second factor; else it is asked for.")] = "",
    reason: Annotated[str, Parameter(help="Why you break the glass; the break-glass account only.")] = "",
) -> int:
    """Log in, and keep the token on this machine (mode 0600).

    The password is asked for, or comes from --password-stdin or PENSTOCK_PASSWORD.
    """
    url = _address(url)
    trust = _trust(url, ca, fingerprint, _proxy(proxy))
    if token:
        given = sys.stdin.readline().strip() if token == "-" else token  # noqa: S105
        kept = contexts.Context(url=url, token=given, ca=trust, proxy=proxy)
        with Client(url, given, way=contexts.way(kept)) as client:
            me = client.me()
        kept = contexts.Context(url=url, token=given, user=me.name, ca=trust, proxy=proxy)
        return _keep(name, kept, f"Logged in to {url} as {me.name}, context {name!r}", json=json)
    if not user and sys.stdin.isatty() and not password_stdin:
        user = input("User name: ").strip()
    if not user:
        raise Usage("say who: --user NAME, or --token TOKEN")
    password = secret_from(f"Password of {user}: ", stdin=password_stdin, variable="PENSTOCK_PASSWORD")
    with Client(url, way=contexts.way(contexts.Context(url=url, token="", ca=trust, proxy=proxy))) as client:
        made = _log_in(client, user, password, days, code, reason)
    kept = contexts.Context(url=url, token=made.token, user=user, ca=trust, proxy=proxy, expires_ms=made.expires_ms)
    return _keep(name, kept, f"Logged in to {url} as {user} until {out.at(made.expires_ms)}, context {name!r}", json=json)


def _log_in(client: Client, user: str, password: str, days: int, code: str, reason: str) -> p.TokenMade:
    """A token; what the control plane still wants is asked for where somebody sits at a terminal."""
    label = f"penstock on {os.uname().nodename}"[:200]
    try:
        return client.log_in(user, password, label, days * DAY, code=code, reason=reason)
    except ClientError as fault:
        wanted = fault.problem.code
        if not sys.stdin.isatty() or wanted not in ("second-factor-needed", "reason-needed"):
            raise
    if wanted == "second-factor-needed":
        code = secret_from("One-time code: ", stdin=False, variable="PENSTOCK_CODE")
    else:
        sys.stderr.write("This account is for emergencies; everybody will read your reason.\nReason: ")
        sys.stderr.flush()
        reason = sys.stdin.readline().strip()
    return client.log_in(user, password, label, days * DAY, code=code, reason=reason)


def logout(*, name: Annotated[str, Parameter(name="--as", help="Of this context, if not the current one.")] = "", json: Json = False) -> int:
    """Revoke the token kept here and forget it."""
    found = contexts.load()
    wanted = name or found.current
    if not wanted:
        raise contexts.NoContext("Nobody is logged in here.")
    kept = contexts.named(found, wanted)
    said = "it is forgotten here"
    try:
        with Client(kept.url, kept.token, way=contexts.way(kept)) as client:
            mine = [item for item in client.tokens() if item.expires_ms == kept.expires_ms and kept.expires_ms]
            for item in mine:
                client.revoke_token(item.id)
            said = "its token is revoked, and forgotten here" if mine else said
    except ClientError as fault:
        said = f"it is forgotten here, but could not be revoked: {fault.problem.detail}"
    forget(found, wanted)
    contexts.save(found)
    return _kept(wanted, kept, f"Logged out of {wanted!r}: {said}", json=json)


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
def context_list(*, json: Json = False) -> int:
    """Every context, without its token."""
    found = contexts.load()
    if json:
        out.show_json([_told(name, one, current=name == found.current) for name, one in sorted(found.contexts.items())])
        return out.DONE
    out.table(
        ("", "name", "user", "token good until", "proxy", "control plane"),
        (
            ("*" if key == found.current else "", key, one.user, out.at(one.expires_ms) if one.expires_ms else "", shown_proxy(one.proxy), one.url)
            for key, one in sorted(found.contexts.items())
        ),
        "None yet: penstock login https://PLANE --user NAME",
    )
    return out.DONE


@context.command(name="use")
def context_use(name: ContextName, *, json: Json = False) -> int:
    """Which context is meant when none is named."""
    found = contexts.load()
    kept = contexts.named(found, name)
    found.current = name
    contexts.save(found)
    return _kept(name, kept, f"Now talking to {kept.url}", json=json)


@context.command(name="rename")
def context_rename(name: ContextName, new: str, *, json: Json = False) -> int:
    """Call a context something else."""
    found = contexts.load()
    kept = contexts.named(found, name)
    if new in found.contexts:
        raise Usage(f"there is a context {new!r} already: take another name, or `penstock context remove {new}` first")
    found.contexts[new] = found.contexts.pop(name)
    found.current = new if found.current == name else found.current
    contexts.save(found)
    return _kept(new, kept, f"The context {name!r} is {new!r} now", json=json)


@context.command(name="remove")
def context_remove(name: ContextName, *, json: Json = False) -> int:
    """Forget a context.

    Its token stays good until it lapses: `penstock logout --as NAME` revokes it too.
    """
    found = contexts.load()
    kept = contexts.named(found, name)
    forget(found, name)
    contexts.save(found)
    return _kept(name, kept, f"The context {name!r} is forgotten here; its token was not revoked", json=json)


def forget(found: contexts.Contexts, name: str) -> None:
    """Take a context out; the first of those left is the current one if it was that."""
    del found.contexts[name]
    if found.current == name:
        found.current = min(found.contexts, default="")


def shown_proxy(url: str) -> str:
    """A proxy's URL without the password in it."""
    who, sign, host = url.rpartition("@")
    if not sign:
        return url
    scheme, slashes, _ = who.rpartition("://")
    return f"{scheme}{slashes}…@{host}"


def _told(name: str, one: contexts.Context, *, current: bool) -> dict[str, object]:
    told = {"name": name, "url": one.url, "user": one.user, "proxy": shown_proxy(one.proxy), "expires_ms": one.expires_ms, "current": current}
    return {**told, "own_ca": bool(one.ca)}


def _kept(name: str, kept: contexts.Context, said: str, *, json: bool) -> int:
    if json:
        out.show_json(_told(name, kept, current=contexts.load().current == name))
    else:
        out.say(said)
    return out.DONE


Account = Annotated[str, Parameter(help="A service account's, not your own.", completer=people)]


@token.command(name="list")
def token_list(*, account: Account = "", common: Common = COMMON) -> int:
    """Your tokens (or a service account's), without their secrets."""
    with common.client() as client:
        found = client.access.tokens(account) if account else client.tokens()
    rows = ((t.id, "; ".join(f"{o.role} on {o.on}" for o in t.only) or "all its owner may", out.ago(t.used_ms), _good(t), t.label) for t in found)
    return out.listing(found, ("id", "may", "last used", "good until", "for"), rows, "None yet: penstock token create LABEL", json=common.json)


def _good(found: p.Token) -> str:
    return f"revoked {out.ago(found.revoked_ms)}" if found.revoked_ms else out.at(found.expires_ms)


@token.command(name="create")
def token_create(
    label: str = "",
    *,
    days: Days = 90,
    role: Annotated[tuple[str, ...], Parameter(help="Narrow it to a role, on the --on of the same place; may be repeated.", completer=roles)] = (),
    on: Annotated[tuple[str, ...], Parameter(help="fleet, group:NAME, site:NAME, device:NAME or app:NAME; may be repeated.")] = (),
    account: Account = "",
    common: Common = COMMON,
) -> int:
    """Make a token, for a pipeline for instance.

    It is shown this once. With --role and --on it may less than its owner.
    """
    if len(on) > len(role) or len(role) > max(1, len(on)):
        raise Usage("say --role and --on as often as each other: --role ci --on app:press")
    only = tuple(p.TokenOnly(role=one, on=part) for one, part in zip(role, on or ("fleet",), strict=True)) if role else ()
    named = label or ", ".join(f"{one.role} on {one.on}" for one in only)
    if not named:
        raise Usage("say what the token is for: penstock token create LABEL")
    with common.client() as client:
        made = client.access.create_token(account, named, days * DAY, only) if account else client.create_token(named, days * DAY, only)
    if common.json:
        out.show_json(made)
    else:
        sys.stdout.write(made.token + "\n")  # the one secret a command is asked to print: there is no other way to it
    return out.DONE


@token.command(name="revoke")
def token_revoke(token: str, *, account: Account = "", common: Common = COMMON) -> int:
    """Revoke a token; it is dead at once."""
    with common.client() as client:
        return out.outcome(client.access.revoke_token(account, token) if account else client.revoke_token(token), json=common.json)
