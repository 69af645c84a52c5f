"""Catalogues of app templates as Portainer keeps them (JSON, versions 2 and 3): each template becomes a Compose text with declared parameters, or is refused.

Owns the meaning of a template's keys; whether its Compose text can be published is what the reader of Compose files says. A key that says how an app runs and has no meaning here refuses the template by name; keys that only describe it
are kept or left out. Never fetches anything: the file of a stack must be given.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.server.core import compose, package
from penstock.wire.types import name_fault

MOST_TEMPLATES = 2000
MOST_TEXT = 4000
CONTAINER, SWARM, STACK = 1, 2, 3
_WORDS = {"container": CONTAINER, "swarm": SWARM, "compose": STACK, "stack": SWARM}
DESCRIBES = frozenset(
    ("id", "type", "title", "name", "description", "categories", "platform", "logo", "note", "maintainer", "administrator_only", "administrator-only")
)
RUNS = frozenset(("image", "registry", "command", "env", "ports", "volumes", "labels", "privileged", "interactive", "restart_policy", "network", "hostname"))
ENV = frozenset(("name", "label", "description", "default", "preset", "set", "select", "type"))
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")
PORT = re.compile(r"(?:[0-9.]+:)?(?:[0-9]{1,5}(?:-[0-9]{1,5})?:)?[0-9]{1,5}(?:-[0-9]{1,5})?(?:/(?:tcp|udp|sctp))?\Z")
SECRET = re.compile(r"(?:PASSWORD|PASSWD|SECRET|TOKEN|_KEY)\Z", re.IGNORECASE)
RESTARTS = {"always": "always", "unless-stopped": "unless-stopped", "on-failure": "on-failure", "no": "no", "none": "no"}


class CatalogueError(ValueError):
    """A file that is no such catalogue."""


class _Refused(ValueError):
    """`lacks`: the place of a Compose file that would help, empty where none would."""

    def __init__(self, why: str, lacks: str = "", app: str = "") -> None:
        super().__init__(why)
        self.lacks = lacks
        self.app = app


@dataclass(frozen=True, slots=True)
class Template:
    """A catalogue entry from which a release is published: `compose` is the text to publish, `note` what its author says of it."""

    app: str
    title: str
    description: str
    note: str
    compose: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A template as it is kept: of which catalogue (`source`), and the digest of what it said."""

    app: str
    title: str
    description: str
    note: str
    source: str
    digest: str
    compose: str
    imported_ms: int
    imported_by: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one template: its place in the file and its title; the template, or why it was refused. `needs`: what is to be changed in its Compose text
    before it can be published (empty: nothing). `lacks`: where the Compose file lies that `app` is refused without."""

    number: int
    title: str
    template: Template | None
    why: str = ""
    needs: str = ""
    app: str = ""
    lacks: str = ""


def read_catalogue(raw: bytes, stacks: Mapping[str, str] | None = None) -> tuple[Outcome, ...]:
    """Every template of a catalogue, in order. `stacks`: Compose texts by the names of the templates that only point to a repository. Raises CatalogueError."""
    try:
        plain = json.loads(raw)
    except (ValueError, RecursionError):
        raise CatalogueError("the file is no JSON") from None
    if not isinstance(plain, dict) or not isinstance(plain.get("templates"), list):
        raise CatalogueError('the file is no catalogue: it has a version and a list "templates"')
    if str(plain.get("version")) not in ("2", "3"):
        raise CatalogueError(f"it is of version {str(plain.get('version'))[:20]!r}; versions 2 and 3 are read")
    if len(plain["templates"]) > MOST_TEMPLATES:
        raise CatalogueError(f"it has {len(plain['templates'])} templates, more than the {MOST_TEMPLATES} allowed")
    found: list[Outcome] = []
    taken: dict[str, int] = {}
    for number, one in enumerate(plain["templates"], 1):
        title = str(one.get("title") or one.get("name") or "")[:100] if isinstance(one, dict) else ""
        try:
            made = _template(one, stacks or {})
            if made.app in taken:
                raise _Refused(f"template {taken[made.app]} of this file is named {made.app} too")  # noqa: TRY301
            taken[made.app] = number
            found.append(Outcome(number, made.title, made, needs=needs(made.compose), app=made.app))
        except _Refused as fault:
            found.append(Outcome(number, title, None, str(fault), app=fault.app, lacks=fault.lacks))
    return tuple(found)


def needs(text: str) -> str:
    """What the reader of Compose files refuses in a template's text, as publishing would; empty where it can be published as it is."""
    try:
        package.read({compose.ALONE: text.encode("utf-8", "replace")})
    except compose.ComposeError as fault:
        more = f" (and {len(fault.faults) - 1} more)" if len(fault.faults) > 1 else ""
        return f"{fault.faults[0]}{more}"
    return ""


def alone(raw: str, numbers: Sequence[int]) -> str:
    """A catalogue of those templates alone, by their place in a catalogue that was read."""
    plain = json.loads(raw)
    return json.dumps({"version": plain["version"], "templates": [plain["templates"][number - 1] for number in numbers]})


def app_name(text: str) -> str:
    """A name for an app from a title: "SQL Server" is sql-server. Empty where nothing is left."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63].strip("-")


def _template(one: Any, stacks: Mapping[str, str]) -> Template:
    if not isinstance(one, dict):
        raise _Refused("it is no JSON object")
    try:
        json.dumps(one, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _Refused("it holds half a character") from None
    title = _text(one, "title") or _text(one, "name")
    app = app_name(_text(one, "name") or title)
    if not app or name_fault(app):
        raise _Refused("it has no title that makes a name")
    kind = _kind(one)
    platform = _text(one, "platform") or "linux"
    if platform != "linux":
        raise _Refused(f"it is for {platform[:40]}; devices run linux")
    if kind == SWARM:
        raise _Refused("it is a Swarm stack (type 2), which no device runs; take its Compose stack, if there is one")
    text = _stack(one, app, stacks) if kind == STACK else _container(one, app)
    return Template(app, title, _text(one, "description"), _text(one, "note"), text)


def _kind(one: dict[str, Any]) -> int:
    given = one.get("type", CONTAINER)
    found = _WORDS.get(given, 0) if isinstance(given, str) else given
    if found not in (CONTAINER, SWARM, STACK) or isinstance(found, bool):
        raise _Refused(f"type {str(given)[:40]} is none; it is 1 (container), 2 (Swarm stack) or 3 (Compose stack)")
    return int(found)


def _text(plain: dict[str, Any], key: str, where: str = "") -> str:
    found = plain.get(key)
    if found is None:
        return ""
    if not isinstance(found, str) or len(found) > MOST_TEXT:
        raise _Refused(f"{where}{key} is no text of at most {MOST_TEXT} characters")
    return found.strip()


def _flag(plain: dict[str, Any], key: str) -> bool:
    found = plain.get(key, False)
    if not isinstance(found, bool):
        raise _Refused(f"{key} is neither true nor false")
    return found


def _list(plain: dict[str, Any], key: str) -> list[Any]:
    found = plain.get(key) or []
    if not isinstance(found, list) or len(found) > 200:
        raise _Refused(f"{key} is no list of at most 200")
    return found


def _known(plain: dict[str, Any], keys: frozenset[str], where: str = "") -> None:
    unknown = sorted(set(plain) - keys)
    if unknown:
        raise _Refused(f"{where}{unknown[0][:60]} has no meaning here; take it out of the template, or write the Compose file by hand")


# --- a container ------------------------------------------------------------------------------------------------------------


def _container(one: dict[str, Any], app: str) -> str:
    _known(one, DESCRIBES | RUNS)
    image = _text(one, "image")
    if not image:
        raise _Refused("it names no image")
    registry = _text(one, "registry")
    service: dict[str, Any] = {"image": literal(f"{registry.rstrip('/')}/{image}" if registry else image)}
    if _text(one, "command"):
        service["command"] = literal(_text(one, "command"))
    if _text(one, "hostname"):
        service["hostname"] = literal(_text(one, "hostname"))
    environment, parameters = _environment(one)
    if environment:
        service["environment"] = environment
    if ports := [_port(port) for port in _list(one, "ports")]:
        service["ports"] = ports
    mounts, volumes = _volumes(one)
    if mounts:
        service["volumes"] = mounts
    if labels := _labels(one):
        service["labels"] = labels
    for key, names in (("privileged", ("privileged",)), ("interactive", ("stdin_open", "tty"))):
        if _flag(one, key):
            service |= dict.fromkeys(names, True)
    restart = _text(one, "restart_policy") or "always"
    if restart not in RESTARTS:
        raise _Refused(f"restart_policy {restart[:40]!r} is none; it is one of {', '.join(RESTARTS)}")
    service["restart"] = RESTARTS[restart]
    networks: dict[str, Any] = {}
    network = _text(one, "network")
    if network in ("host", "none"):
        service["network_mode"] = network
    elif network and network != "bridge":
        service["networks"] = [network]
        networks[network] = {"external": True}
    whole: dict[str, Any] = {"name": app, "services": {app: service}}
    whole |= {"volumes": volumes} if volumes else {}
    whole |= {"networks": networks} if networks else {}
    whole |= {"x-penstock": {"parameters": parameters}} if parameters else {}
    return written(whole)


def literal(text: str) -> str:
    """A text that Compose takes as it stands: a dollar is two."""
    return text.replace("$", "$$")


def _environment(one: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """The environment, and the parameters that fill it in."""
    environment: dict[str, str] = {}
    parameters: dict[str, Any] = {}
    for at, item in enumerate(_list(one, "env")):
        where = f"env[{at}]."
        if not isinstance(item, dict):
            raise _Refused(f"env[{at}] is no object")
        _known(item, ENV, where)
        name = _text(item, "name", where)
        if not VARIABLE.match(name):
            raise _Refused(f"{where}name {name[:60]!r} is no name of a variable")
        fixed = _text(item, "set", where) or (_text(item, "default", where) if _flag(item, "preset") else "")
        if fixed or _flag(item, "preset"):
            environment[name] = literal(fixed)
            continue
        environment[name] = f"${{{name}}}"
        parameters[name] = _parameter(item, name, where)
    return environment, parameters


def _parameter(item: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    title, help_, default = _text(item, "label", where)[:100], _text(item, "description", where)[:1500], _text(item, "default", where)
    options = _list(item, "select")
    if options:
        values = []
        for option in options:
            if not isinstance(option, dict) or not isinstance(option.get("value"), str) or not option["value"]:
                raise _Refused(f"{where}select has an option without a value")
            _known(option, frozenset(("text", "value", "default")), f"{where}select.")
            values.append(option["value"])
            default = option["value"] if option.get("default") is True else default
        told = [f"{option['value']}: {option['text']}" for option in options if option.get("text") and option["text"] != option["value"]]
        help_ = "\n".join(filter(None, (help_, "; ".join(told))))[:2000]
        found = {"type": "choice", "choices": list(dict.fromkeys(values))}
    elif not default and SECRET.search(name):
        found = {"type": "secret"}
    else:
        found = {"type": "text"}
    found |= {"title": title} if title else {}
    found |= {"help": help_} if help_ else {}
    return found | ({"default": default} if default else {"required": True})


def _port(port: Any) -> str:
    if not isinstance(port, str) or not PORT.match(port):
        raise _Refused(f"ports: {str(port)[:60]!r} is no port; it is 80, 8080:80 or 8080:80/udp")
    return port


def _volumes(one: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    mounts: list[str] = []
    volumes: dict[str, Any] = {}
    for at, item in enumerate(_list(one, "volumes")):
        where = f"volumes[{at}]."
        if not isinstance(item, dict):
            raise _Refused(f"volumes[{at}] is no object")
        _known(item, frozenset(("container", "bind", "readonly")), where)
        target, source = _text(item, "container", where), _text(item, "bind", where)
        if not target.startswith("/") or ":" in target:
            raise _Refused(f"{where}container {target[:60]!r} is no path inside the container")
        if ":" in source:
            raise _Refused(f"{where}bind {source[:60]!r} is no path or volume")
        name = source or app_name(target) or "data"
        if not source or not source.startswith("/"):
            volumes[name] = {}
        mounts.append(f"{literal(name)}:{literal(target)}{':ro' if _flag(item, 'readonly') else ''}")
    return mounts, volumes


def _labels(one: dict[str, Any]) -> dict[str, str]:
    found = {}
    for at, item in enumerate(_list(one, "labels")):
        if not isinstance(item, dict) or set(item) - {"name", "value"} or not isinstance(item.get("name"), str):
            raise _Refused(f"labels[{at}] is no name and value")
        found[item["name"]] = literal(str(item.get("value", "")))
    return found


# --- a stack ----------------------------------------------------------------------------------------------------------------


def _stack(one: dict[str, Any], app: str, stacks: Mapping[str, str]) -> str:
    """The Compose text given for it, or written in the template itself."""
    _known(one, DESCRIBES | {"repository", "env", "stackFile", "stackfile"})
    place = one.get("repository")
    url = str(place.get("url", ""))[:200] if isinstance(place, dict) else ""
    file = str(place.get("stackfile", "docker-compose.yml"))[:200] if isinstance(place, dict) else "its Compose file"
    inner = next((found for key in ("stackFile", "stackfile") if isinstance(found := one.get(key), str) and "\n" in found), None)
    text = stacks.get(app, inner)
    if text is None:
        lies = f"{file} in {url or 'a repository'}"
        raise _Refused(f"its Compose file lies elsewhere ({lies}); fetch that file and give it, on the page or with --stack {app}=@FILE", lies, app)
    _, parameters = _environment(one)
    fixed = {name: value for name, value in _environment(one)[0].items() if name not in parameters}
    if fixed:
        first = min(fixed)
        raise _Refused(f"env: {first} has a fixed value; write it into the Compose file in place of ${{{first}}}")
    if not parameters:
        return text
    if re.search(r"^x-penstock\s*:", text, re.MULTILINE):
        raise _Refused("its Compose file has x-penstock already; declare the parameters there and take env out of the template")
    return text.rstrip("\n") + "\n" + written({"x-penstock": {"parameters": parameters}})


# --- writing ----------------------------------------------------------------------------------------------------------------


_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")
_TAKEN = frozenset(("no", "yes", "on", "off", "y", "n", "null", "true", "false"))  # what YAML takes for something else


def written(plain: Mapping[str, Any], depth: int = 0) -> str:
    """Mappings, lists and values as YAML: block style, every text quoted as JSON does, which YAML reads alike."""
    lines = []
    pad = "  " * depth
    for key, value in plain.items():
        head = f"{pad}{key if _PLAIN.match(key) and key.lower() not in _TAKEN else _quoted(key)}:"
        if isinstance(value, dict) and value:
            lines.append(f"{head}\n{written(value, depth + 1)}")
        elif isinstance(value, list) and value:
            lines.append(f"{head}\n" + "".join(f"{pad}  - {_quoted(item)}\n" for item in value))
        else:
            lines.append(f"{head} {_quoted(value)}\n")
    return "".join(lines)


def _quoted(value: Any) -> str:
    """JSON, with what YAML wants escaped besides."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in text)
