"""Where the command line keeps which control planes it talks to, with what token, and through which proxy.

Owns ~/.config/penstock/contexts.json: written whole, mode 0600 in a folder 0700. Environment variables win over it: PENSTOCK_URL with
PENSTOCK_TOKEN, PENSTOCK_CA (a file) and PENSTOCK_PROXY need no file at all; PENSTOCK_CONTEXT names one of it. Never prints a token.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from penstock.client import Way


class Context(Struct, frozen=True, kw_only=True):
    """One control plane as one asker. `ca` is PEM text, empty for the system's certificates; `proxy` an HTTP proxy's URL, empty for what
    HTTPS_PROXY and NO_PROXY say."""

    url: str
    token: str
    user: str = ""
    ca: str = ""
    proxy: str = ""
    expires_ms: int = 0


class Contexts(Struct, kw_only=True):
    """Every context, and which one is meant when none is named."""

    current: str = ""
    contexts: dict[str, Context] = {}


class NoContext(Exception):
    """There is nothing to talk to yet."""


def folder() -> Path:
    """Where it lies: $XDG_CONFIG_HOME/penstock or ~/.config/penstock."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "penstock"


def load() -> Contexts:
    """What is kept. Raises NoContext for a file that cannot be read."""
    path = folder() / "contexts.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Contexts)
    except FileNotFoundError:
        return Contexts()
    except msgspec.MsgspecError as fault:
        raise NoContext(f"{path} cannot be read: {fault}. Move it away and log in again.") from fault


def save(found: Contexts) -> None:
    """Keep it: a new file beside the old one, then renamed over it."""
    where = folder()
    where.mkdir(parents=True, exist_ok=True)
    where.chmod(0o700)
    handle, name = tempfile.mkstemp(dir=where, prefix=".contexts-")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(msgspec.json.format(msgspec.json.encode(found)))
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(where / "contexts.json")
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def chosen(name: str = "") -> Context:
    """The context to use: named, from the environment, or the current one. Raises NoContext."""
    url = os.environ.get("PENSTOCK_URL", "")
    if url and not name:
        ca = os.environ.get("PENSTOCK_CA", "")
        return Context(url=url, token=os.environ.get("PENSTOCK_TOKEN", ""), ca=Path(ca).read_text() if ca else "", proxy=os.environ.get("PENSTOCK_PROXY", ""))
    found = load()
    wanted = name or os.environ.get("PENSTOCK_CONTEXT", "") or found.current
    if not wanted:
        raise NoContext("Nothing to talk to yet: penstock login https://PLANE --user NAME")
    return named(found, wanted)


def named(found: Contexts, name: str) -> Context:
    """The context of that name. Raises NoContext, naming those there are."""
    if name not in found.contexts:
        known = ", ".join(sorted(found.contexts)) or "none"
        raise NoContext(f"There is no context {name!r}; known: {known}.")
    return found.contexts[name]


def way(found: Context, *, timeout_s: float = 0.0, debug: bool = False) -> Way:
    """How to get there. `timeout_s` 0 is what PENSTOCK_TIMEOUT says, or the client's own. Raises NoContext for a PENSTOCK_TIMEOUT that is no number."""
    from penstock.cli import out
    from penstock.client import TIMEOUT_S, Way

    given = os.environ.get("PENSTOCK_TIMEOUT", "")
    if not timeout_s and given:
        try:
            timeout_s = float(given)
        except ValueError:
            timeout_s = -1.0
        if not 0 < timeout_s <= 3600:
            raise NoContext(f"PENSTOCK_TIMEOUT is {given!r}; write seconds, more than 0 and at most 3600.")
    return Way(ca=found.ca, proxy=found.proxy, timeout_s=timeout_s or TIMEOUT_S, told=out.aside, trace=out.aside if debug else None)
