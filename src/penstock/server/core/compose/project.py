"""A whole Compose file to a template: services, volumes, networks, parameters, settings.

Owns the top level of a file (`read`) and the order of reading. Never sees an image's content or a device; `core.release` goes on from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.server.core.compose import refused, tree
from penstock.server.core.compose.faults import Faults
from penstock.server.core.compose.filling import try_values
from penstock.server.core.compose.lists import Parts
from penstock.server.core.compose.reader import OURS, Reader
from penstock.server.core.compose.scalars import shown
from penstock.server.core.compose.service import labels, option_fault, read_service
from penstock.server.core.compose.settings import Settings, read_settings, secrets
from penstock.server.core.interpolate import Parameter, TemplateError, parameters, parse, uses
from penstock.wire.types import name_fault

DEFAULT_NETWORK = "default"
MAX_SERVICES = 64

Places = dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Template:
    """What a Compose file says, with holes where parameters stand. Services, volumes and networks have the shape of `wire.types`
    (fields at their default may be left out). `images`: service name -> image reference as written, parameters settled. `fixed`:
    parameters settled when the file was read. `places`: path -> (line, column)."""

    name: str
    services: tuple[dict[str, Any], ...]
    volumes: tuple[dict[str, Any], ...]
    networks: tuple[dict[str, Any], ...]
    parameters: tuple[Parameter, ...]
    settings: Settings
    images: dict[str, str]
    fixed: dict[str, str] = field(default_factory=dict)
    places: Places = field(default_factory=dict)


def read(source: str | bytes, fixed: Mapping[str, str] | None = None) -> Template:
    """The template that a Compose file is. Raises ComposeError with every fault found, and nothing else.

    `fixed` gives parameters their value for good, the same for every device; a parameter that stands in an `image` is always settled
    here, by `fixed` or by its default, since a release pins its images."""
    fixed = dict(fixed or {})
    top = tree.parse(source)
    faults = Faults()
    early = Reader(faults)
    secret = secrets(early, top)
    names = _image_parameters(top) | frozenset(fixed)
    reader = Reader(faults, secret, names, fixed)
    reader.places.update(early.places)
    for name in sorted(names & secret):
        line, column = early.places.get(f"{OURS}.secrets.{name}", (0, 0))
        faults.add(f"{OURS}.secrets", line, column, f"the secret {name} cannot be settled when the release is made", "use another parameter in `image`")
    found = _Top(reader)
    handlers = {
        "version": lambda node, path: _ignore(reader.static(node, path)),
        "name": found.take_name,
        "services": found.take_services,
        "volumes": found.take_volumes,
        "networks": found.take_networks,
        OURS: lambda _node, _path: None,
    }
    reader.keys(top, "", handlers, refused.TOP, "a Compose file")
    if top.get("services") is None:
        faults.add("", top.line, top.column, "`services` is missing", "a Compose file has at least `services:` with one service")
    settings = read_settings(reader, top.get(OURS))
    template = found.finish(settings, secret)
    faults.check()
    return template


def _ignore(_: object) -> None:
    """A handler gives nothing back; `version` has had no meaning since Compose v2, and any value is as good."""


def _image_parameters(top: tree.Mapping) -> frozenset[str]:
    """Parameters that stand in an image."""
    services = top.get("services")
    names: set[str] = set()
    for entry in services.entries if isinstance(services, tree.Mapping) else ():
        image = entry.value.get("image") if isinstance(entry.value, tree.Mapping) else None
        if isinstance(image, tree.Scalar):
            try:
                names.update(use.name for use in uses(parse(image.text)))
            except TemplateError:
                continue  # said when the service is read
    return frozenset(names)


class _Top:
    """Gathers the top level."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.name = ""
        self.services: list[dict[str, Any]] = []
        self.volumes: list[dict[str, Any]] = []
        self.networks: list[dict[str, Any]] = []

    def take_name(self, node: tree.Node, path: str) -> None:
        found = self.reader.static(node, path)
        fault = name_fault(found) if found is not None else None
        if fault:
            self.reader.fault(node, path, f"{shown(found or '')} is no name for an app: {fault}", "rename it")
        self.name = found or ""

    def _named(self, node: tree.Node, path: str, noun: str) -> list[tuple[tree.Entry, str]]:
        mapping = self.reader.mapping(node, path)
        out = []
        for entry in mapping.entries if mapping else ():
            here = f"{path}.{entry.key[:60]}"
            self.reader.places[here] = (entry.line, entry.column)
            if entry.key.startswith("x-"):
                continue
            fault = name_fault(entry.key)
            if fault:
                self.reader.fault(entry, here, f"{shown(entry.key)} is no name for a {noun}: {fault}", "rename it, here and where it is used")
            out.append((entry, here))
        return out

    def take_services(self, node: tree.Node, path: str) -> None:
        found = self._named(node, path, "service")
        if not found:
            self.reader.fault(node, path, "there is no service", "describe at least one")
        if len(found) > MAX_SERVICES:
            self.reader.fault(node, path, f"{len(found)} services, more than the {MAX_SERVICES} allowed", "split the app into several")
        for entry, here in found:
            service = read_service(self.reader, entry.key, entry.value, here)
            if service is not None:
                self.services.append(service)

    def take_volumes(self, node: tree.Node, path: str) -> None:
        if not _empty(node):
            self.volumes = [self._store(entry, here, "volume") for entry, here in self._named(node, path, "volume")]

    def take_networks(self, node: tree.Node, path: str) -> None:
        if not _empty(node):
            self.networks = [self._store(entry, here, "network") for entry, here in self._named(node, path, "network")]

    def _store(self, entry: tree.Entry, path: str, noun: str) -> dict[str, Any]:
        """A top-level volume or network; they differ in one key."""
        if _empty(entry.value):
            return {"name": entry.key}
        parts = Parts(self.reader)
        made = parts.made

        def options(node: tree.Node, here: str) -> None:
            pairs = self.reader.pairs(node, here, option_fault, "option", "write a value")
            read_options = {name: self.reader.text(place, text, at, "text") for name, (place, text, at) in pairs.items()}
            made["driver_options"] = {name: value for name, value in read_options.items() if value is not None}

        def external(node: tree.Node, here: str) -> None:
            if isinstance(node, tree.Mapping):
                made["external"] = True
                self.reader.keys(node, here, {"name": parts.take("engine_name", "engine_name")}, {}, "an external " + noun)
            else:
                made["external"] = self.reader.choice(node, here, ("true", "false")) == "true"

        def take_labels(node: tree.Node, here: str) -> None:
            made["labels"] = labels(self.reader, node, here)

        handlers: dict[str, Any] = {
            "driver": parts.take("driver", "engine_name"),
            "driver_opts": options,
            "name": parts.take("engine_name", "engine_name"),
            "external": external,
            "labels": take_labels,
        }
        if noun == "network":
            handlers["internal"] = lambda node, here: made.update(internal=self.reader.choice(node, here, ("true", "false")) == "true")
        self.reader.keys(entry.value, path, handlers, refused.NETWORK if noun == "network" else refused.VOLUME, f"a {noun}")
        others = [key for key in ("driver", "driver_options", "labels", "internal") if made.get(key)]
        if made.get("external") and others:
            why = f"an external {noun} exists already, so `{others[0].replace('options', 'opts')}` would have no effect"
            self.reader.fault(entry, path, why, "leave it out, or remove `external`")
        return {"name": entry.key, **{key: value for key, value in made.items() if value not in (False, {})}}

    def finish(self, settings: Settings, secret: frozenset[str]) -> Template:
        reader = self.reader
        self._default_network()
        self._settings(settings)
        images = {}
        for service in self.services:
            image = service.get("image")
            if isinstance(image, str):
                images[service["name"]] = image
        found = parameters(reader.templates, secret)
        used = {use.name for _, template in reader.templates for use in uses(template)}
        for name in sorted(secret - used):
            line, column = reader.places.get(f"{OURS}.secrets.{name}", (0, 0))
            reader.faults.add(
                f"{OURS}.secrets", line, column, f"the secret {name} is used nowhere", f"write `NAME: ${{{name}}}` in an environment, or remove it"
            )
        try_values(reader.faults, reader.places, reader.fixed, self.services, self.volumes, self.networks, saying="with its defaults filled in, ")
        settled = {name: reader.fixed[name] for name in sorted(reader.fixed_names) if name in reader.fixed}
        return Template(
            name=self.name,
            services=tuple(self.services),
            volumes=tuple(self.volumes),
            networks=tuple(self.networks),
            parameters=tuple(item for item in found if item.name not in reader.fixed_names),
            settings=settings,
            images=images,
            fixed=settled,
            places=reader.places,
        )

    def _default_network(self) -> None:
        """A service that names no network joins the app's default one, which exists as soon as it is used (compose-spec, networks)."""
        for service in self.services:
            if "networks" not in service:
                service["networks"] = [{"network": DEFAULT_NETWORK, "aliases": [service["name"]]}]
        used = any(use["network"] == DEFAULT_NETWORK for service in self.services for use in service["networks"])
        if used and not any(network["name"] == DEFAULT_NETWORK for network in self.networks):
            self.networks.append({"name": DEFAULT_NETWORK})

    def _settings(self, settings: Settings) -> None:
        """What `x-penstock` says of volumes and services, put where it belongs."""
        reader = self.reader
        for name, policy in settings.volumes.items():
            path = f"{OURS}.volumes.{name[:60]}"
            line, column = reader.places.get(path, (0, 0))
            volume = next((volume for volume in self.volumes if volume["name"] == name), None)
            if volume is None:
                reader.faults.add(path, line, column, f"there is no volume {shown(name)} in this file", "declare it under the top-level `volumes`")
            elif volume.get("external") and policy == "snapshot":
                why = "an external volume is not ours to put back"
                reader.faults.add(path, line, column, why, "write `compatible` or `irreversible`, or let the app own the volume")
            elif policy != "compatible":
                volume["policy"] = policy
        for name, probes in settings.probes.items():
            service = next((service for service in self.services if service["name"] == name), None)
            if service is None:
                path = f"{OURS}.probes.{name[:60]}"
                line, column = reader.places.get(path, (0, 0))
                reader.faults.add(path, line, column, f"there is no service {shown(name)} in this file", "name a service of this file")
            elif probes:
                service["probes"] = probes


def _empty(node: tree.Node) -> bool:
    return isinstance(node, tree.Scalar) and node.kind == "null"
