"""`build:` of Compose files, for a machine that builds: what is to be built of what, and the files with `image:` in its place.

Owns the keys of `build:` that have a meaning, and the exact change of the text: all but those lines stays as it was written. Never builds, never sees a
context: paths are checked where they lie.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import yaml

from penstock.server.core.compose import tree
from penstock.server.core.compose.assemble import assemble
from penstock.server.core.compose.assemble_paths import folder_of
from penstock.server.core.compose.faults import ComposeError, Faults, Sources
from penstock.server.core.images import app_of
from penstock.server.core.mirrors import platform_fault
from penstock.server.core.oci import TAG, name_fault

KEYS = ("context", "dockerfile", "args", "target", "platforms")
HERE = "write build in the service itself, not in what it takes over"


@dataclass(frozen=True, slots=True)
class Build:
    """One image to build: of which service, from the folder `context` with the file `dockerfile` in it, and what it is called here. The context is
    as it was written, seen from the folder of the first Compose file, with that in front."""

    service: str
    context: str
    dockerfile: str
    args: tuple[tuple[str, str], ...]
    target: str
    platforms: tuple[str, ...]
    image: str
    line: int
    column: int


def name_of(files: Mapping[str, bytes], entries: Sequence[str]) -> str:
    """What the Compose files call themselves; empty for nothing. Raises ComposeError."""
    found = [top.get("name") for _, top in _trees(files, entries, Sources())]
    return next((node.text for node in reversed(found) if isinstance(node, tree.Scalar) and node.kind != "null"), "")


def plan(
    files: Mapping[str, bytes],
    entries: Sequence[str],
    profiles: Sequence[str],
    app: str,
    version: str,
    host: str,
    parts: Sequence[tuple[str, str]] = (),
) -> tuple[tuple[Build, ...], Mapping[str, bytes]]:
    """What Compose files laid over each other ask to have built (of services whose profile is chosen), and those that change, with
    HOST/APP/SERVICE:VERSION in place of each `build:`. `files` has every file they may name. `parts` are laid over them for one engine each (its name, the
    file); what one of them builds is HOST/APP/SERVICE/ENGINE:VERSION. Raises ComposeError."""
    sources = Sources()
    faults = Faults(sources)
    base = folder_of(entries[0])
    called = (app, version, host)
    found = {"": _found(files, entries, sources, faults, called)}
    for engine, file in parts:
        found[engine] = _found(files, (file,), sources, faults, called, engine, found[""])
    faults.check()
    changed = {}
    for file in (*entries, *(path for _, path in parts)):
        here = {service: build for builds in found.values() for service, (whose, build) in builds.items() if whose == file}
        if here:
            changed[file] = _replaced(files[file].decode("utf-8"), here, sources).encode()
    left = {engine: _chosen({**files, **changed}, (*entries, *over), profiles) for engine, over in (("", ()), *((one, (path,)) for one, path in parts))}
    wanted = {"": frozenset[str]().union(*left.values()), **{engine: left[engine] for engine, _ in parts}}
    made = (build for engine, builds in found.items() for service, (_, build) in builds.items() if service in wanted[engine])
    return tuple(replace(one, context=f"{base}/{one.context}" if base else one.context) for one in made), changed


def _found(
    files: Mapping[str, bytes],
    entries: Sequence[str],
    sources: Sources,
    faults: Faults,
    called: tuple[str, str, str],
    engine: str = "",
    common: Mapping[str, tuple[str, Build]] | None = None,
) -> dict[str, tuple[str, Build]]:
    """What files build, by service, each with the file that says so. `called`: app, version and host, of which images have their names; `common`: what is
    built for every engine, where these files are one's."""
    app, version, host = called
    builds: dict[str, tuple[str, Build]] = {}
    named: dict[str, list[tuple[str, tree.Entry]]] = {}
    for file, top in _trees(files, entries, sources):
        services = top.get("services")
        for entry in services.entries if isinstance(services, tree.Mapping) else ():
            own = {one.key: one for one in entry.value.entries} if isinstance(entry.value, tree.Mapping) else {}
            if "image" in own:
                named.setdefault(entry.key, []).append((file, own["image"]))
            if "build" not in own or (engine and own["build"].value.tag == tree.RESET):
                continue
            node = own["build"]
            if entry.key in builds:
                why = f"it is built in {builds[entry.key][0]} already"
                faults.add(f"services.{entry.key}.build", node.line, node.column, why, "write all of `build` in one of the files")
                continue
            if common and entry.key in common and isinstance(node.value, tree.Mapping) and node.value.get("context") is None:
                why = f"it is built in {common[entry.key][0]} already, and here it is another image with no context"
                faults.add(f"services.{entry.key}.build", node.line, node.column, why, "write all of `build` here, with its `context`")
                continue
            repository = f"{app}/{entry.key}/{engine}" if engine else f"{app}/{entry.key}"
            image = f"{host}/{repository}:{version}"
            wrong = name_fault(repository) or (None if TAG.match(version) else f"{version!r} cannot be a tag")
            if wrong or app_of(f"{app}/x") != app:
                faults.add(f"services.{entry.key}", entry.line, entry.column, f"its image cannot be named {image}: {wrong}", "choose another name")
                continue
            build = _build(faults, entry.key, node.value, image)
            if build is not None:
                builds[entry.key] = (file, build)
    for service, (file, _) in builds.items():
        for other, given in named.get(service, ()):
            if other != file:
                faults.add(f"services.{service}.image", given.line, given.column, f"it is built in {file}, which gives it its image", "write both in one file")
    return builds


def _trees(files: Mapping[str, bytes], entries: Sequence[str], sources: Sources) -> Iterator[tuple[str, tree.Mapping]]:
    """The Compose files that are there; of those that are not, `assemble` says so."""
    for file in entries:
        if file in files:
            yield file, tree.parse(files[file], sources, file if len(files) > 1 else "")


def _chosen(files: Mapping[str, bytes], entries: Sequence[str], profiles: Sequence[str]) -> frozenset[str]:
    """The services there are in the end. Raises ComposeError for one that is still to be built, by what a file that is included or extended says."""
    made = assemble(files, entries, profiles)
    services = made.top.get("services")
    faults = Faults(made.sources)
    found = services.entries if isinstance(services, tree.Mapping) else ()
    for one in found:
        node = one.value.get("build") if isinstance(one.value, tree.Mapping) else None
        if node is not None:
            faults.add(f"services.{one.key}.build", node.line, node.column, "it comes from a file that is included or extended", f"write it in {entries[0]}")
    faults.check()
    return frozenset(one.key for one in found)


def _build(faults: Faults, service: str, node: tree.Node, image: str) -> Build | None:
    path = f"services.{service}.build"
    before = len(faults.listed())
    if isinstance(node, tree.Scalar):
        context = _text(faults, node, path)
        return (
            Build(service, context, "", (), "", (), image, node.line, node.column)
            if len(faults.listed()) == before and _local(faults, node, path, context)
            else None
        )
    if not isinstance(node, tree.Mapping):
        faults.add(path, node.line, node.column, f"must be a folder or a mapping, is {tree.kind_of(node)}", "write `build: ./folder`")
        return None
    said: dict[str, str] = {}
    args: tuple[tuple[str, str], ...] = ()
    platforms: tuple[str, ...] = ()
    for entry in node.entries:
        here = f"{path}.{entry.key}"
        if entry.key not in KEYS:
            faults.add(
                here,
                entry.line,
                entry.column,
                f"`{entry.key[:60]}` is not supported in a build",
                f"build it by hand, push it and name it under `image`; supported are {', '.join(KEYS)}",
            )
        elif entry.key == "args":
            args = tuple(_args(faults, entry.value, here))
        elif entry.key == "platforms":
            items = entry.value.items if isinstance(entry.value, tree.Sequence) else (entry.value,)
            platforms = tuple(_platform(faults, item, here) for item in items)
        else:
            said[entry.key] = _text(faults, entry.value, here)
    context = said.get("context", ".")
    if len(faults.listed()) != before or not _local(faults, node, f"{path}.context", context):
        return None
    return Build(service, context, said.get("dockerfile", ""), args, said.get("target", ""), platforms, image, node.line, node.column)


def _text(faults: Faults, node: tree.Node, path: str) -> str:
    if not isinstance(node, tree.Scalar) or node.kind == "null":
        faults.add(path, node.line, node.column, f"must be one value, is {tree.kind_of(node)}", "write one value behind the ':'")
        return ""
    text = node.text.replace("$$", "\0")
    if "$" in text:
        faults.add(path, node.line, node.column, "no parameter may stand in a build: an image is built once, for every device", "write the value itself")
        return ""
    return text.replace("\0", "$")


def _local(faults: Faults, node: tree.Node, path: str, context: str) -> bool:
    if "://" in context or context.startswith(("git@", "github.com/")) or context.endswith(".git"):
        faults.add(path, node.line, node.column, f"{context[:100]} is not a folder beside the file", "fetch it first, and name its folder")
        return False
    return True


def _args(faults: Faults, node: tree.Node, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, tree.Mapping):
        for entry in node.entries:
            yield entry.key, _text(faults, entry.value, f"{path}.{entry.key}")
    elif isinstance(node, tree.Sequence):
        for item in node.items:
            name, sign, value = _text(faults, item, path).partition("=")
            if not sign:
                faults.add(path, item.line, item.column, f"{name[:60]!r} has no value", "write NAME=value; nothing is taken from the machine that builds")
            yield name, value
    else:
        faults.add(path, node.line, node.column, f"must be a mapping or a list, is {tree.kind_of(node)}", "write `NAME: value` lines under it")


def _platform(faults: Faults, node: tree.Node, path: str) -> str:
    text = _text(faults, node, path)
    if text and platform_fault(text):
        faults.add(path, node.line, node.column, platform_fault(text), "")
    return text


# --- the text -------------------------------------------------------------------------------------------------------------


def _replaced(text: str, builds: Mapping[str, Build], sources: Sources) -> str:
    """The text with each service's build (and image) replaced. Raises ComposeError where a build stands somewhere else than in its service."""
    top = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(top, yaml.MappingNode)
    services = next(value for key, value in top.value if key.value == "services")
    edits: list[tuple[int, int, str]] = []
    faults = Faults(sources)
    seen: set[int] = set()
    for key, node in services.value:
        build = builds.get(key.value)
        if build is None:
            continue
        own = {inner.value: (inner, value) for inner, value in node.value if isinstance(inner, yaml.ScalarNode)} if isinstance(node, yaml.MappingNode) else {}
        if "build" not in own or id(node) in seen or own["build"][1].start_mark.index < own["build"][0].start_mark.index:
            faults.add(f"services.{build.service}.build", build.line, build.column, "it comes from an anchor or another service", HERE)
            continue
        seen.add(id(node))
        inner, value = own["build"]
        edits.append((inner.start_mark.index, _last(value), f'image: "{build.image}"' if "image" not in own else f'x-built: "{build.image}"'))
        if "image" in own:
            edits.append((own["image"][1].start_mark.index, own["image"][1].end_mark.index, f'"{build.image}"'))
    faults.check()
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _last(node: yaml.Node) -> int:
    """Where the text of a node ends: a block's own mark lies at whatever comes next."""
    if isinstance(node, yaml.ScalarNode) or getattr(node, "flow_style", False):
        return int(node.end_mark.index)
    children = [child for pair in node.value for child in (pair if isinstance(pair, tuple) else (pair,))]
    return max((_last(child) for child in children), default=int(node.end_mark.index))


__all__ = ["Build", "ComposeError", "name_of", "plan"]
