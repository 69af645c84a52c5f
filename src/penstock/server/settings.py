"""How a control plane is started: where its data is, where it listens, under which names it is reached.

Owns reading the settings from a TOML file and the environment, and their checks. What an administrator changes while it runs is not here (see
`actions.settings`). Precedence: command line, then environment (PENSTOCK_...), then file, then what `init` was told (server.toml in the data
folder), then defaults.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tomllib

from penstock.wire.codec import WireError
from penstock.wire.urls import read_url

DEFAULT_FILE = Path("/etc/penstock/server.toml")
KEPT_FILE = "server.toml"  # in the data folder


class SettingsFault(ValueError):
    """A setting that cannot be used; the text names it and says what to write."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All of them. `addresses`: how devices and people reach the plane, e.g. https://plane.example.com:8443. `certificate`, `key`, `trust`: files
    of a certificate of one's own (empty: the plane's private authority makes one). `tls` False: a proxy in front ends TLS, and the plane
    listens in clear on loopback only. `notify_proxy`: an HTTP proxy for webhooks; `notify_loopback`: notices may go to this very machine.
    `mirror`: "allow-list" copies images of the registries that stand in it when a release needs them, "off" copies none and asks nobody."""

    data: Path = Path("/var/lib/penstock")
    addresses: tuple[str, ...] = ()
    listen: str = "0.0.0.0:8443"
    certificate: str = ""
    key: str = ""
    trust: str = ""
    tls: bool = True
    names: tuple[str, ...] = field(default=())
    log: str = "text"
    notify_proxy: str = ""
    notify_loopback: bool = False
    mirror: str = "allow-list"

    @property
    def host(self) -> str:
        """The address to listen on."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port to listen on."""
        return int(self.listen.rpartition(":")[2])

    @property
    def certificate_names(self) -> tuple[str, ...]:
        """Host names and addresses that the certificate must be for."""
        return tuple(dict.fromkeys([*(read_url(address).host for address in self.addresses), *self.names]))


def read(path: Path | None, environment: Mapping[str, str] | None = None, given: Mapping[str, Any] | None = None) -> Settings:
    """The settings from a file (None: the default file, if there is one), the environment, and what is `given`. Raises SettingsFault."""
    plain = _file(path)
    for name in _KINDS:
        value = (os.environ if environment is None else environment).get(f"PENSTOCK_{name.upper()}")
        if value:
            plain[name] = value
    plain.update({name: value for name, value in (given or {}).items() if value is not None and value != ()})
    folder = _KINDS["data"]("data", plain.get("data", Settings().data))
    kept = folder / KEPT_FILE  # what `init` was told; anything said elsewhere wins
    plain = {**(_file(kept) if kept.exists() else {}), **plain}
    unknown = sorted(set(plain) - set(_KINDS))
    if unknown:
        raise SettingsFault(f"{unknown[0]!r} is no setting; the settings are {', '.join(_KINDS)}")
    values: dict[str, Any] = {name: _KINDS[name](name, value) for name, value in plain.items()}
    return check(replace(Settings(), **values))


def keep(found: Settings) -> None:
    """Write the addresses and where to listen into the data folder, so that `run` needs to be told neither."""
    lines = [f"# Made by penstock-server init; /etc/penstock/server.toml and the command line win over it.\nlisten = {_quoted(found.listen)}"]
    if found.addresses:
        lines.append(f"addresses = [{', '.join(_quoted(address) for address in found.addresses)}]")
    (found.data / KEPT_FILE).write_text("\n".join(lines) + "\n")


def _quoted(text: str) -> str:
    """A TOML basic string (TOML v1.0, String); JSON's escapes are among its own."""
    return json.dumps(text)


def check(found: Settings) -> Settings:
    """The same settings, if they can be used together. Raises SettingsFault."""
    host, colon, port = found.listen.rpartition(":")
    if not colon or not port.isdigit() or not 0 <= int(port) <= 65535 or not host:
        raise SettingsFault(f"listen is {found.listen!r}; write ADDRESS:PORT, e.g. 0.0.0.0:8443 or [::]:8443")
    for address in found.addresses:
        try:
            read_url(address, path="addresses")
        except WireError as fault:
            raise SettingsFault(f"addresses: {fault.why}") from None
    if bool(found.certificate) != bool(found.key):
        raise SettingsFault("certificate and key belong together: give both, or neither for a certificate of the plane's own authority")
    if not found.tls and found.host not in ("127.0.0.1", "::1", "localhost"):
        raise SettingsFault('with tls off the plane listens on loopback only (listen = "127.0.0.1:8080"); the proxy in front ends TLS')
    if found.notify_proxy:
        try:
            read_url(found.notify_proxy, ("http",), "notify_proxy")
        except WireError as fault:
            raise SettingsFault(f"notify_proxy: {fault.why}") from None
    if found.mirror not in ("allow-list", "off"):
        raise SettingsFault(f"mirror is {found.mirror!r}; it is allow-list or off")
    if found.log not in ("text", "json"):
        raise SettingsFault(f"log is {found.log!r}; it is text or json")
    return found


def _file(path: Path | None) -> dict[str, Any]:
    wanted = path or DEFAULT_FILE
    try:
        with wanted.open("rb") as file:
            return dict(tomllib.load(file))
    except FileNotFoundError:
        if path is None:
            return {}
        raise SettingsFault(f"there is no settings file {path}") from None
    except (OSError, tomllib.TOMLDecodeError) as fault:
        raise SettingsFault(f"the settings file {wanted} cannot be read: {fault}") from None


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise SettingsFault(f"{name} must be text")
    return value


def _path(name: str, value: Any) -> Path:
    return value if isinstance(value, Path) else Path(_text(name, value)).absolute()


def _texts(name: str, value: Any) -> tuple[str, ...]:
    found = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else list(value) if isinstance(value, (list, tuple)) else None
    if found is None or not all(isinstance(one, str) for one in found):
        raise SettingsFault(f"{name} must be a list of texts")
    return tuple(one.rstrip("/") for one in found)


def _flag(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "on", "yes", "1"):
        return True
    if str(value).lower() in ("false", "off", "no", "0"):
        return False
    raise SettingsFault(f"{name} must be true or false")


_KINDS: dict[str, Callable[[str, Any], Any]] = {
    "data": _path,
    "addresses": _texts,
    "listen": _text,
    "certificate": _text,
    "key": _text,
    "trust": _text,
    "tls": _flag,
    "names": _texts,
    "log": _text,
    "notify_proxy": _text,
    "notify_loopback": _flag,
    "mirror": _text,
}
