"""`x-penstock`: what Compose has no words for.

Owns its keys: `secrets` (`parameters` are `declaring`'s, `needs` are `needing`'s), `soak`, `deadline`, `drift`, `keep`, `volumes` (what a change does to the data), `probes` (checks the agent makes
itself). Never decides what they do; docs/compose.md says it to people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.server.core.compose import tree
from penstock.server.core.compose.declaring import Reading, name_wrong
from penstock.server.core.compose.lists import Parts
from penstock.server.core.compose.needing import read_needs
from penstock.server.core.compose.reader import OURS, Reader
from penstock.server.core.compose.scalars import shown
from penstock.server.core.declared import SECRET
from penstock.server.core.needs import NO_NEEDS, Needs

POLICIES = ("compatible", "snapshot", "irreversible")
PROBE_KINDS = ("http", "tcp", "command")


@dataclass(frozen=True, slots=True)
class Settings:
    """A release's own words, at their defaults where the file is silent. `volumes`: name -> policy; `probes`: service -> probes in wire
    shape. Spans in seconds."""

    soak_s: int = 60
    deadline_s: int = 120
    drift: str = "correct"
    keep: int = 2
    volumes: dict[str, str] = field(default_factory=dict)
    probes: dict[str, list[Any]] = field(default_factory=dict)
    needs: Needs = NO_NEEDS


def secrets(read: Reader, top: tree.Mapping, declared: Mapping[str, Reading]) -> frozenset[str]:
    """The names of the parameters that are secret: read before anything else, since they decide where a parameter may stand. `secrets: [A]` is short for
    `parameters: {A: {type: secret}}`."""
    ours = top.get(OURS)
    node = ours.get("secrets") if isinstance(ours, tree.Mapping) else None
    found = {name for name, one in declared.items() if one.declared.type == SECRET}
    if node is None:
        return frozenset(found)
    for index, item in enumerate(read.sequence(node, f"{OURS}.secrets")):
        here = f"{OURS}.secrets[{index}]"
        name = read.static(item, here)
        if name is None:
            continue
        if name_wrong(name):
            read.fault(item, here, f"{shown(name)} is no name of a parameter of yours", "use letters, digits and '_', not beginning with a digit")
        elif name in declared:
            read.fault(item, here, f"{name} is declared under `parameters` too", "write `type: secret` there, and remove it here")
        elif name in found:
            read.fault(item, here, f"{name} stands twice", "keep one of the two")
        else:
            found.add(name)
            read.places[f"{OURS}.secrets.{name}"] = (item.line, item.column)
    return frozenset(found)


def read_settings(read: Reader, node: tree.Node | None) -> Settings:
    """The settings of a file."""
    if node is None:
        return Settings()
    parts = Parts(read)
    volumes: dict[str, str] = {}
    probes: dict[str, list[Any]] = {}
    needs: list[Needs] = []

    def policies(inner: tree.Node, path: str) -> None:
        mapping = read.mapping(inner, path)
        for entry in mapping.entries if mapping else ():
            here = f"{path}.{entry.key[:60]}"
            read.places[here] = (entry.line, entry.column)
            found = read.choice(entry.value, here, POLICIES)
            if found is not None:
                volumes[entry.key] = found

    def checks(inner: tree.Node, path: str) -> None:
        mapping = read.mapping(inner, path)
        for entry in mapping.entries if mapping else ():
            here = f"{path}.{entry.key[:60]}"
            read.places[here] = (entry.line, entry.column)
            made = (_probe(read, item, f"{here}[{index}]") for index, item in enumerate(read.sequence(entry.value, here)))
            probes[entry.key] = [probe for probe in made if probe is not None]

    handlers = {
        "secrets": lambda _node, _path: None,
        "parameters": lambda _node, _path: None,
        "needs": lambda inner, _path: needs.append(read_needs(read, inner)),
        "soak": parts.take("soak_s", "some_duration_s"),
        "deadline": parts.take("deadline_s", "some_duration_s"),
        "drift": parts.pick("drift", ("correct", "report")),
        "keep": parts.take("keep", "keep"),
        "volumes": policies,
        "probes": checks,
    }
    read.keys(node, OURS, handlers, {}, OURS)
    for name in ("soak_s", "deadline_s", "keep"):
        if name in parts.made and not isinstance(parts.made[name], int):
            read.fault(node, f"{OURS}.{name.removesuffix('_s')}", "no parameter may stand here", "write the value; a deployment can overrule it")
            del parts.made[name]
    return Settings(volumes=volumes, probes=probes, needs=needs[0] if needs else NO_NEEDS, **parts.made)


def _probe(read: Reader, node: tree.Node, path: str) -> dict[str, Any] | None:
    """One probe: `http: {port, path}`, `tcp: {port}` or `command: [...]`, with interval, timeout, retries, start_period."""
    parts = Parts(read)
    kinds: list[str] = []

    def http(inner: tree.Node, here: str) -> None:
        kinds.append("http")
        read.keys(inner, here, {"port": parts.take("port", "port_number"), "path": parts.take("path", "absolute")}, {}, "an http probe")

    def tcp(inner: tree.Node, here: str) -> None:
        kinds.append("tcp")
        read.keys(inner, here, {"port": parts.take("port", "port_number")}, {}, "a tcp probe")

    def command(inner: tree.Node, here: str) -> None:
        kinds.append("command")
        words = read.values(inner, here, "text") if isinstance(inner, tree.Sequence) else read.value(inner, here, "words")
        if words:
            parts.made["command"] = words
        elif words is not None:
            read.fault(inner, here, "the command is empty", 'write ["program", "argument"]')

    handlers = {
        "http": http,
        "tcp": tcp,
        "command": command,
        "interval": parts.take("interval_ms", "some_duration_ms"),
        "timeout": parts.take("timeout_ms", "some_duration_ms"),
        "retries": parts.take("retries", "retries"),
        "start_period": parts.take("start_period_ms", "duration_ms"),
    }
    if not read.keys(node, path, handlers, {}, "a probe"):
        return None
    if len(kinds) != 1:
        read.fault(node, path, f"a probe has one kind, this has {len(kinds)}", "write one of `http`, `tcp` and `command`; for two checks write two probes")
        return None
    if kinds[0] != "command" and "port" not in parts.made:
        read.fault(node, path, "`port` is missing", f"write `{kinds[0]}: {{port: 8080}}`, the port inside the container")
        return None
    return {"kind": kinds[0], **parts.made}
