"""Paths inside a package: made whole, held inside, and written into the tree before files of several folders are merged.

Owns `inside` and `localise`: after it every path of a file is one below the package's top, whatever folder the file lies in. Never reads a file.
"""

from __future__ import annotations

from dataclasses import replace

from penstock.server.core.compose import tree
from penstock.server.core.compose.assemble_merge import as_list, split, text
from penstock.server.core.compose.faults import Faults

MAX_PATH = 512


def inside(folder: str, path: str) -> tuple[str, str]:
    """A path as it stands in a file of `folder`, from the package's top ("" for the top itself); and why it cannot be one, a sentence ("": it can)."""
    shown = repr(path[:60])
    if not path or len(path) > MAX_PATH or "\0" in path or "\\" in path:
        return "", f"{shown} is no path"
    if "$" in path:
        return "", f"{shown} holds a parameter, and which files belong together is the same for every device"
    if path.startswith(("/", "~")) or "://" in path:
        return "", f"{shown} is not inside the package"
    parts = folder.split("/") if folder else []
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part == "..":
            if not parts:
                return "", f"{shown} leads out of the package"
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts), ""


REMEDY = "write a path to a file of the package, seen from the file it stands in, such as ./conf/app.conf"


def folder_of(path: str) -> str:
    """The folder a file lies in."""
    return path.rpartition("/")[0]


def path_at(node: tree.Node, folder: str, faults: Faults, where: str) -> tree.Node:
    """A scalar that is a path, from the package's top; a fault where it leads elsewhere."""
    if not isinstance(node, tree.Scalar) or node.kind == "null" or node.tag:
        return node
    found, why = inside(folder, node.text)
    if why:
        faults.add(where, node.line, node.column, why, REMEDY)
        return node
    return text(found, node)


def _in_keys(node: tree.Node, keys: tuple[str, ...], folder: str, faults: Faults, where: str) -> tree.Node:
    """A mapping whose `keys` are paths."""
    if not isinstance(node, tree.Mapping):
        return node
    made = tuple(replace(one, value=path_at(one.value, folder, faults, f"{where}.{one.key}")) if one.key in keys else one for one in node.entries)
    return replace(node, entries=made)


def relative(source: str) -> bool:
    """Whether the source of a mount is a path beside the file: one that begins with a dot."""
    return source in (".", "..") or source.startswith(("./", "../"))


def _mount(node: tree.Node, folder: str, faults: Faults, where: str) -> tree.Node:
    if isinstance(node, tree.Mapping):
        source, kind = node.get("source"), node.get("type")
        if isinstance(source, tree.Scalar) and relative(source.text) and (not isinstance(kind, tree.Scalar) or kind.text == "bind"):
            return replace(
                node, entries=tuple(replace(one, value=_dotted(source, folder, faults, where)) if one.key == "source" else one for one in node.entries)
            )
        return node
    if isinstance(node, tree.Scalar):
        parts = split(node.text)
        if len(parts) > 1 and relative(parts[0]):
            found = _dotted(tree.Scalar(parts[0], "text", node.line, node.column), folder, faults, where)
            return replace(node, text=":".join((found.text, *parts[1:])))
    return node


def _dotted(node: tree.Scalar, folder: str, faults: Faults, where: str) -> tree.Scalar:
    found, why = inside(folder, node.text)
    if why:
        faults.add(where, node.line, node.column, why, REMEDY)
        return node
    return tree.Scalar(f"./{found}", "text", node.line, node.column)


def _listed(node: tree.Node, one: object) -> tree.Node:
    assert callable(one)
    return replace(node, items=tuple(one(item) for item in node.items)) if isinstance(node, tree.Sequence) else node


def _service(node: tree.Node, folder: str, faults: Faults, where: str, *, mounts: bool) -> tree.Node:
    if not isinstance(node, tree.Mapping):
        return node
    made = []
    for one in node.entries:
        here, value = f"{where}.{one.key[:60]}", one.value
        if one.key in ("env_file", "label_file"):

            def path(item: tree.Node, here: str = here) -> tree.Node:
                return _in_keys(item, ("path",), folder, faults, here) if isinstance(item, tree.Mapping) else path_at(item, folder, faults, here)

            value = _listed(as_list(value), path)
        elif one.key == "volumes" and mounts:
            value = _listed(value, lambda item, here=here: _mount(item, folder, faults, here))
        elif one.key == "extends":
            value = _in_keys(value, ("file",), folder, faults, here)
        made.append(one if value is one.value else replace(one, value=value))
    return replace(node, entries=tuple(made))


def localise(top: tree.Mapping, folder: str, faults: Faults, *, mounts: bool = True) -> tree.Mapping:
    """A file's tree with every path as one from the package's top; `folder` is what its paths are seen from. Without `mounts` those of mounts stay."""
    made = []
    for one in top.entries:
        value = one.value
        if one.key == "services" and isinstance(value, tree.Mapping):
            value = replace(
                value,
                entries=tuple(
                    replace(one_of, value=_service(one_of.value, folder, faults, f"services.{one_of.key[:60]}", mounts=mounts)) for one_of in value.entries
                ),
            )
        elif one.key in ("configs", "secrets") and isinstance(value, tree.Mapping):
            value = replace(
                value,
                entries=tuple(replace(each, value=_in_keys(each.value, ("file",), folder, faults, f"{one.key}.{each.key[:60]}")) for each in value.entries),
            )
        made.append(one if value is one.value else replace(one, value=value))
    return replace(top, entries=tuple(made))
