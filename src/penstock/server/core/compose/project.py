"""A whole Compose file to a template: services, volumes, networks, parameters, settings.

Owns the top level of a file (`read`) and the order of reading. Never sees an image's content or a device; `core.release` goes on from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from penstock.server.core.compose import putfiles, refused, stores, tree
from penstock.server.core.compose.arrange import arrange
from penstock.server.core.compose.assemble import Assembled, assemble
from penstock.server.core.compose.declaring import Reading, declarations, joined, settled, tried
from penstock.server.core.compose.declaring import images as image_parameters
from penstock.server.core.compose.faults import Fault, Faults, Sources
from penstock.server.core.compose.filling import try_values
from penstock.server.core.compose.reader import OURS, Reader
from penstock.server.core.compose.scalars import shown
from penstock.server.core.compose.service import read_service
from penstock.server.core.compose.settings import Settings, read_settings, secrets
from penstock.server.core.interpolate import Parameter, parameters, uses
from penstock.wire.types import name_fault

MAX_SERVICES = 64

Places = dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Template:
    """What a Compose file says, with holes where parameters stand. Services, volumes and networks have the shape of `wire.types`
    (fields at their default may be left out). `images`: service name -> image reference as written, parameters settled. `fixed`:
    parameters settled when the file was read. `places`: path -> (line, column), the lines numbered through `sources`. `unused`: what is declared
    and stands nowhere, where that was not refused; `settled`: names that no deployment can give a value, since they stand in an image."""

    name: str
    services: tuple[dict[str, Any], ...]
    volumes: tuple[dict[str, Any], ...]
    networks: tuple[dict[str, Any], ...]
    parameters: tuple[Parameter, ...]
    settings: Settings
    images: dict[str, str]
    fixed: dict[str, str] = field(default_factory=dict)
    places: Places = field(default_factory=dict)
    sources: Sources = field(default_factory=Sources)
    unused: tuple[Fault, ...] = ()
    settled: frozenset[str] = frozenset()


ALONE = "compose.yaml"  # what a file is called that came without others


def read(source: str | bytes, fixed: Mapping[str, str] | None = None, files: Mapping[str, bytes] | None = None) -> Template:
    """The template that a Compose file is, `files` beside it. See `read_assembled`."""
    content = source if isinstance(source, bytes) else source.encode("utf-8", "surrogatepass")
    return read_assembled(assemble({**(files or {}), ALONE: content}, (ALONE,)), fixed, files)


def read_assembled(assembled: Assembled, fixed: Mapping[str, str] | None = None, files: Mapping[str, bytes] | None = None, *, one_of: bool = False) -> Template:
    """The template that a tree is; `files` are those of its package, by their path in it. Raises ComposeError with every fault found, and
    nothing else.

    `fixed` gives parameters their value for good, the same for every device; a parameter that stands in an `image` is always settled
    here, by `fixed` or by its default, since a release pins its images. `one_of` several readings: what it declares may stand in another."""
    top = assembled.top
    faults = Faults(assembled.sources)
    early = Reader(faults)
    declared = declarations(early, top)
    secret = secrets(early, top, declared) | putfiles.secret_parameters(early, top)
    fixed = settled(top, declared, fixed or {})
    names = image_parameters(top) | frozenset(fixed)
    reader = Reader(faults, secret, names, fixed)
    reader.places.update(early.places)
    for name in sorted(names & secret):
        line, column = early.places.get(f"{OURS}.secrets.{name}") or early.places.get(f"{OURS}.parameters.{name}", (0, 0))
        faults.add(f"{OURS}.secrets", line, column, f"the secret {name} cannot be settled when the release is made", "use another parameter in `image`")
    found = _Top(reader, files or {})
    handlers = {
        "version": lambda node, path: _ignore(reader.static(node, path)),
        "name": found.take_name,
        "services": found.take_services,
        "volumes": found.take_volumes,
        "networks": found.take_networks,
        "configs": found.take_files("config"),
        "secrets": found.take_files("secret"),
        OURS: lambda _node, _path: None,
    }
    reader.keys(top, "", handlers, refused.TOP, "a Compose file")
    if top.get("services") is None:
        faults.add("", top.line, top.column, "`services` is missing", "a Compose file has at least `services:` with one service")
    settings = read_settings(reader, top.get(OURS))
    template = found.finish(settings, secret, declared, assembled.sources)
    if one_of:
        template = replace(template, unused=reader.unused.listed())
    else:
        faults.take(reader.unused)
    faults.check()
    return template


def _ignore(_: object) -> None:
    """A handler gives nothing back; `version` has had no meaning since Compose v2, and any value is as good."""


class _Top:
    """Gathers the top level."""

    def __init__(self, reader: Reader, files: Mapping[str, bytes]) -> None:
        self.reader = reader
        self.files = files
        self.sources: putfiles.Sources = {}
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
            self.volumes = [stores.volume(self.reader, entry, here) for entry, here in self._named(node, path, "volume")]

    def take_networks(self, node: tree.Node, path: str) -> None:
        if not _empty(node):
            self.networks = [stores.network(self.reader, entry, here) for entry, here in self._named(node, path, "network")]

    def take_files(self, kind: str) -> Any:
        def handler(node: tree.Node, path: str) -> None:
            self.sources.update(putfiles.sources(self.reader, node, path, kind, self.files))

        return handler

    def finish(self, settings: Settings, secret: frozenset[str], declared: Mapping[str, Reading], sources: Sources) -> Template:
        reader = self.reader
        self._settings(settings)
        putfiles.bring(reader, self.services, self.sources)
        self.services = arrange(reader, self.services, self.volumes, self.networks)
        images = {}
        for service in self.services:
            image = service.get("image")
            if isinstance(image, str):
                images[service["name"]] = image
        found = parameters(reader.templates, secret)
        used = {use.name for _, template in reader.templates for use in uses(template)}
        for name in sorted(secret - used - declared.keys()):
            line, column = reader.places.get(f"{OURS}.secrets.{name}", (0, 0))
            reader.unused.add(
                f"{OURS}.secrets", line, column, f"the secret {name} is used nowhere", f"write `NAME: ${{{name}}}` in an environment, or remove it"
            )
        found = joined(reader, found, declared, used)
        try_values(
            reader.faults,
            reader.places,
            {**tried(declared), **reader.fixed},
            self.services,
            self.volumes,
            self.networks,
            saying="with its defaults filled in, ",
        )
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
            sources=sources,
            settled=reader.fixed_names,
        )

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
