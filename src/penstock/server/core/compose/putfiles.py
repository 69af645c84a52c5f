"""`configs` and `secrets`: where their content comes from, and where a service wants it.

Owns both at the top of a file (`sources`), the uses in a service (`uses`), and the bringing together of the two (`bring`). A config or a secret becomes a file
that is put into the container before it starts; the content travels with the release, or sealed where it is a secret's. Never opens a file: the bytes of a
package are an argument.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from penstock.server.core.compose import tree
from penstock.server.core.compose.lists import Parts
from penstock.server.core.compose.reader import Reader
from penstock.server.core.compose.scalars import shown
from penstock.server.core.interpolate import FIRST, LETTERS, SECRET_VERSION, Hole, parse
from penstock.wire.options import MAX_FILE

EXTERNAL = "write `file:` with a file of the package, `content:` or `environment:`; there is no store of them on a device"
FOLDERS = {"config": "/", "secret": "/run/secrets/"}

Source = dict[str, Any]  # `content`, or `secret` and `version`, as `wire.options.File` has them
Sources = dict[tuple[str, str], Source | None]  # None: it is there, and something is wrong with it


def secret_parameters(read: Reader, top: tree.Mapping) -> frozenset[str]:
    """The parameters that secrets of the file take their value from (`environment:`): they are secret without being said so under x-penstock."""
    node = top.get("secrets")
    found = set()
    for entry in node.entries if isinstance(node, tree.Mapping) else ():
        inner = entry.value.get("environment") if isinstance(entry.value, tree.Mapping) else None
        if isinstance(inner, tree.Scalar) and _is_name(inner.text):
            found.add(inner.text)
            read.places.setdefault(f"x-penstock.secrets.{inner.text}", (inner.line, inner.column))
    return frozenset(found)


def _is_name(text: str) -> bool:
    return bool(text) and text[0] in FIRST and set(text) <= LETTERS


def sources(read: Reader, node: tree.Node, path: str, kind: str, files: Mapping[str, bytes]) -> Sources:
    """Top-level `configs` or `secrets`; `kind` is "config" or "secret"."""
    made: Sources = {}
    if isinstance(node, tree.Scalar) and node.kind == "null":
        return made
    mapping = read.mapping(node, path)
    for entry in mapping.entries if mapping else ():
        here = f"{path}.{entry.key[:60]}"
        read.places[here] = (entry.line, entry.column)
        if not entry.key.startswith("x-"):
            made[kind, entry.key] = _source(read, entry, here, kind, files)
    return made


def _source(read: Reader, entry: tree.Entry, path: str, kind: str, files: Mapping[str, bytes]) -> Source | None:
    found: list[Source | None] = []

    def file(node: tree.Node, here: str) -> None:
        found.append(_packaged(read, node, here, files))

    def inline(node: tree.Node, here: str) -> None:
        value = read.value(node, here, "content")
        found.append(None if value is None else {"content": value})

    def environment(node: tree.Node, here: str) -> None:
        name = read.static(node, here)
        if name is None or not _is_name(name):
            if name is not None:
                read.fault(node, here, f"{shown(name)} is no name of a parameter", "use letters, digits and '_', not beginning with a digit")
            found.append(None)
        elif kind == "secret":
            read.templates.append((here, parse("${" + name + "}")))
            found.append({"secret": name, "version": Hole(name, SECRET_VERSION, here, node.line, node.column)})
        else:
            value = read.text(node, "${" + name + "}", here, "content")
            found.append(None if value is None else {"content": value})

    handlers: dict[str, Any] = {"file": file, "environment": environment}
    if kind == "config":
        handlers["content"] = inline
    others = {
        "external": EXTERNAL,
        "name": "leave it out; it names what stands in a store, and there is none on a device",
        "labels": "leave them out; a file has none",
        "driver": EXTERNAL,
        "template_driver": "leave it out; parameters stand in `content:` as ${NAME}",
        "content": "write `environment:` with the name of a parameter, whose value then travels sealed",
    }
    if not read.keys(entry.value, path, handlers, others, "a " + kind):
        return None
    if len(found) != 1:
        if not read.faults:
            read.fault(
                entry,
                path,
                f"a {kind} has one source, this has {len(found)}",
                "write one of `file`, `environment`" + (", `content`" if kind == "config" else ""),
            )
        return None
    return found[0]


def _packaged(read: Reader, node: tree.Node, path: str, files: Mapping[str, bytes]) -> Source | None:
    name = read.static(node, path)
    if name is None:
        return None
    plain = "/".join(part for part in name.split("/") if part not in ("", "."))
    data = files.get(plain) if not name.startswith(("/", "~")) and ".." not in name.split("/") else None
    if data is None:
        why = f"there is no file {shown(name)} in the package"
        read.fault(
            node,
            path,
            why,
            "publish the folder the file stands in, or write the text under `content:`" if not files else "name a file of the package, relative to its top",
        )
        return None
    if len(data) > MAX_FILE:
        read.fault(node, path, f"{shown(name)} has {len(data)} bytes, more than the {MAX_FILE} allowed", "put it into the image")
        return None
    return {"content": base64.b64encode(data).decode("ascii")}


# --- in a service -----------------------------------------------------------------------------------------------------


def uses(read: Reader, node: tree.Node, path: str, kind: str) -> list[Any]:
    """A service's `configs` or `secrets`, short and long: which one, and where the file stands. The content is brought later."""
    made = []
    for index, item in enumerate(read.sequence(node, path)):
        here = f"{path}[{index}]"
        read.places.setdefault(here, (item.line, item.column))
        if isinstance(item, tree.Mapping):
            one = _long(read, item, here, kind)
        else:
            name = read.static(item, here)
            one = None if name is None else {"target": FOLDERS[kind] + name, "use": (kind, name, here)}
        if one is not None:
            made.append(one)
    return made


def _long(read: Reader, node: tree.Mapping, path: str, kind: str) -> dict[str, Any] | None:
    parts = Parts(read)
    name: list[str] = []

    def source(inner: tree.Node, here: str) -> None:
        found = read.static(inner, here)
        if found is not None:
            name.append(found)

    def target(inner: tree.Node, here: str) -> None:
        plain = read.static(inner, here)
        if plain is not None:
            whole = plain if plain.startswith("/") else FOLDERS[kind] + plain
            parts.made["target"] = read.text(inner, whole, here, "absolute")

    handlers: dict[str, Any] = {
        "source": source,
        "target": target,
        "uid": parts.take("uid", "number_of_user"),
        "gid": parts.take("gid", "number_of_user"),
        "mode": parts.take("mode", "file_mode"),
    }
    read.keys(node, path, handlers, {}, f"a service's {kind}")
    if not name:
        if node.get("source") is None:
            read.fault(node, path, "`source` is missing", f"name a {kind} of the top-level `{kind}s`")
        return None
    parts.made.setdefault("target", FOLDERS[kind] + name[0])
    if parts.made["target"] is None:
        return None
    return {**parts.made, "use": (kind, name[0], path)}


def bring(read: Reader, services: list[dict[str, Any]], known: Sources) -> None:
    """Put the content into every use. A config or secret that nothing declares is a fault."""
    for service in services:
        made = []
        for item in service.get("files", ()):
            kind, name, path = item["use"]
            line, column = read.places.get(path, (0, 0))
            if (kind, name) not in known:
                remedy = f"declare it: `{kind}s: {{{name[:60]}: {{file: ...}}}}` at the top of the file"
                read.faults.add(path, line, column, f"there is no {kind} {shown(name)} in this file", remedy)
                continue
            source = known[kind, name]
            if source is not None:
                made.append({**{key: value for key, value in item.items() if key != "use"}, **source})
        if made:
            service["files"] = made
        else:
            service.pop("files", None)
