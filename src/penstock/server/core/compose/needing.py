"""`x-penstock: needs:`: what an app needs of a device beyond what its services say.

Owns its keys. Never compares a need with a device.
"""

from __future__ import annotations

from typing import Any

from penstock.server.core.compose import tree
from penstock.server.core.compose.reader import OURS, Reader
from penstock.server.core.compose.scalars import Bad, shown, size_bytes
from penstock.server.core.needs import ACCELERATORS, ARCHITECTURES, Accelerator, Needs, Node

PATH = f"{OURS}.needs"
MOST = 64  # device nodes or accelerators
ALIASES = {"x86_64": "amd64", "aarch64": "arm64", "arm64/v8": "arm64", "armv7": "arm", "armhf": "arm", "i386": "386"}


def read_needs(read: Reader, node: tree.Node) -> Needs:
    """The needs of a file."""
    made: dict[str, Any] = {}

    def architecture(inner: tree.Node, path: str) -> None:
        items = inner.items if isinstance(inner, tree.Sequence) else (inner,)
        found = [read.choice(item, path, ARCHITECTURES, {old: f"write {new}" for old, new in ALIASES.items()}) for item in items]
        made["architectures"] = tuple(dict.fromkeys(one for one in found if one))

    def size(key: str) -> Any:
        def take(inner: tree.Node, path: str) -> None:
            text = read.static(inner, path)
            try:
                made[key] = size_bytes(text) if text is not None else 0
            except Bad as fault:
                read.fault(inner, path, fault.why, fault.remedy)

        return take

    def devices(inner: tree.Node, path: str) -> None:
        found = [_node(read, item, f"{path}[{index}]") for index, item in enumerate(_few(read, inner, path))]
        made["nodes"] = _once(read, inner, path, tuple(one for one in found if one is not None), lambda one: one.path)

    def accelerators(inner: tree.Node, path: str) -> None:
        found = [_accelerator(read, item, f"{path}[{index}]") for index, item in enumerate(_few(read, inner, path))]
        made["accelerators"] = _once(read, inner, path, tuple(one for one in found if one is not None), lambda one: one.kind)

    handlers = {
        "architecture": architecture,
        "memory": size("memory_bytes"),
        "disk": size("disk_bytes"),
        "devices": devices,
        "accelerators": accelerators,
    }
    refused = {"cpus": "limit services with `cpus`; processors are shared", "gpu": "write `accelerators: [nvidia]`", "platform": "write `architecture`"}
    read.keys(node, PATH, handlers, refused, "`needs`")
    return Needs(**made)


def _few(read: Reader, node: tree.Node, path: str) -> tuple[tree.Node, ...]:
    items = read.sequence(node, path)
    if len(items) > MOST:
        read.fault(node, path, f"{len(items)} entries, more than the {MOST} allowed", "name fewer")
        return ()
    return items


def _once(read: Reader, node: tree.Node, path: str, found: tuple[Any, ...], name: Any) -> tuple[Any, ...]:
    names = [name(one) for one in found]
    twice = next((one for one in names if names.count(one) > 1), None)
    if twice is not None:
        read.fault(node, path, f"{shown(twice)} stands twice", "keep one of the two")
    return found


def _shared(read: Reader, node: tree.Node, path: str, made: dict[str, Any]) -> None:
    found = read.choice(node, path, ("true", "false"))
    if found is not None:
        made["shared"] = found == "true"


def _node(read: Reader, item: tree.Node, path: str) -> Node | None:
    made: dict[str, Any] = {}

    def node(inner: tree.Node, here: str) -> None:
        text = read.static(inner, here)
        if text is not None and (not text.startswith("/dev/") or ".." in text.split("/") or len(text) > 255):
            read.fault(inner, here, f"{shown(text)} is no device node", "write its path on the device, such as /dev/ttyUSB0")
        elif text is not None:
            made["path"] = text

    if isinstance(item, tree.Mapping):
        read.keys(item, path, {"node": node, "shared": lambda inner, here: _shared(read, inner, here, made)}, {"path": "write `node`"}, "a device node")
        if "node" not in {entry.key for entry in item.entries}:
            read.fault(item, path, "`node` is missing", "write `{node: /dev/ttyUSB0}`")
    else:
        node(item, path)
    return Node(**made) if "path" in made else None


def _accelerator(read: Reader, item: tree.Node, path: str) -> Accelerator | None:
    made: dict[str, Any] = {}

    def kind(inner: tree.Node, here: str) -> None:
        found = read.choice(inner, here, tuple(ACCELERATORS))
        if found is not None:
            made["kind"] = found

    def count(inner: tree.Node, here: str) -> None:
        text = read.static(inner, here)
        if text is not None and text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= 64:
            made["count"] = int(text)
        elif text is not None:
            read.fault(inner, here, f"{shown(text)} is no number of accelerators", "write a whole number from 1 to 64")

    if isinstance(item, tree.Mapping):
        handlers = {"kind": kind, "count": count, "shared": lambda inner, here: _shared(read, inner, here, made)}
        read.keys(item, path, handlers, {}, "an accelerator")
        if "kind" not in {entry.key for entry in item.entries}:
            read.fault(item, path, "`kind` is missing", f"write one of {', '.join(ACCELERATORS)}")
    else:
        kind(item, path)
    return Accelerator(**made) if "kind" in made else None
