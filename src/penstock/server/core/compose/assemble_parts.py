"""What a service takes from files of its package: variables, labels, and files mounted into its container.

Owns the turning of `env_file` and `label_file` into `environment` and `labels`, and of a read-only mount of a file or a folder of the package
into `configs`, whose content travels with the release. Never decides what a value means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock.server.core.compose import assemble_env as env
from penstock.server.core.compose import tree
from penstock.server.core.compose.assemble_merge import as_list, as_pairs, entry, mapping, put, split, text, without
from penstock.server.core.compose.assemble_paths import relative
from penstock.server.core.compose.faults import Faults, Sources
from penstock.wire.types import sha256_of

MAX_MOUNTED = 64  # files of one mounted folder
MODES = ("ro", "rw", "z", "Z")


@dataclass(slots=True)
class Parts:
    """One assembly's files, and the configs that mounts became: path in the package -> name."""

    files: Mapping[str, bytes]
    sources: Sources
    faults: Faults
    taken: set[str]  # names of configs that the author gave
    mounted: dict[str, tuple[str, tree.Node]] = field(default_factory=dict)

    # --- variables --------------------------------------------------------------------------------------------------------

    def variables(self, service: tree.Mapping, where: str, values: Mapping[str, str]) -> tree.Mapping:
        """`env_file` below `environment`, `label_file` below `labels`; `values` are defaults of parameters."""
        for key, into, noun in (("env_file", "environment", "variable"), ("label_file", "labels", "label")):
            node = service.get(key)
            if node is None:
                continue
            made: dict[str, tree.Entry] = {}
            for place, one in self._read(as_list(node), f"{where}.{key}", long=key == "env_file"):
                if one.value is None:
                    remedy = f"write {one.name}= for an empty one, or {one.name}=${{{one.name}}} for one that a deployment gives"
                    self.faults.add(f"{where}.{key}", one.line, one.column, f"the {noun} {one.name[:60]} has no value", remedy)
                    continue
                at = tree.Scalar(one.value, "text", one.line, one.column)
                value = env.put_defaults(at, values, self.faults)
                made[one.name] = tree.Entry(one.name, value, one.line or place.line, one.column)
            own = service.get(into)
            own = as_pairs(own) if own is not None else None
            if own is not None and not isinstance(own, tree.Mapping) and not (isinstance(own, tree.Scalar) and own.kind == "null"):
                service = without(service, key)
                continue  # refused by the reader
            for one_of in own.entries if isinstance(own, tree.Mapping) else ():
                made[one_of.key] = one_of
            at_node = own if isinstance(own, tree.Mapping) else node
            service = without(service, key)
            if made:
                service = put(service, into, mapping(list(made.values()), at_node))
        return service

    def _read(self, node: tree.Node, where: str, *, long: bool) -> list[tuple[tree.Node, env.Variable]]:
        found: list[tuple[tree.Node, env.Variable]] = []
        if not isinstance(node, tree.Sequence):
            if not (isinstance(node, tree.Scalar) and node.kind == "null"):
                self.faults.add(where, node.line, node.column, f"must be a path or a list of paths, is {tree.kind_of(node)}", "write the path of a file")
            return found
        for item in node.items:
            path, required, raw = self._file(item, where, long=long)
            if path is None:
                continue
            content = self.files.get(path)
            if content is None:
                if required:
                    remedy = "put it there, or write `required: false`" if long else "put it there"
                    self.faults.add(where, item.line, item.column, f"there is no file {path[:80]!r} in the package", remedy)
                continue
            found.extend((item, one) for one in env.read(content, path, self.sources, self.faults, raw=raw))
        return found

    def _file(self, item: tree.Node, where: str, *, long: bool) -> tuple[str | None, bool, bool]:
        """The path of an entry, whether it must be there, whether it is raw. No path after a fault."""
        if isinstance(item, tree.Scalar) and item.kind != "null":
            return item.text, True, False
        if not isinstance(item, tree.Mapping) or not long:
            self.faults.add(where, item.line, item.column, f"must be a path, is {tree.kind_of(item)}", "write the path of a file")
            return None, True, False
        said: dict[str, str] = {}
        for one in item.entries:
            allowed = {"path": None, "required": ("true", "false"), "format": ("raw",)}.get(one.key, ())
            if not isinstance(one.value, tree.Scalar) or one.value.kind == "null" or (allowed is not None and one.value.text not in allowed):
                remedy = f"write {' or '.join(allowed)}" if allowed else "an entry has `path`, `required` and `format`"
                self.faults.add(f"{where}.{one.key[:60]}", one.line, one.column, f"`{one.key[:60]}` is not understood here", remedy)
                return None, True, False
            said[one.key] = one.value.text
        if "path" not in said:
            self.faults.add(where, item.line, item.column, "`path` is missing", "write the path of a file")
        return said.get("path"), said.get("required") != "false", said.get("format") == "raw"

    # --- mounts -----------------------------------------------------------------------------------------------------------

    def mounts(self, service: tree.Mapping, where: str) -> tree.Mapping:
        """Mounts of files and folders of the package as `configs`; all others stay."""
        volumes = service.get("volumes")
        if not isinstance(volumes, tree.Sequence) or len(self.files) == 1:
            return service  # the reader refuses what a file without a package cannot have
        kept: list[tree.Node] = []
        made: list[tree.Node] = []
        for item in volumes.items:
            mount = _relative_mount(item)
            if mount is None:
                kept.append(item)
                continue
            self._mount(item, mount, f"{where}.volumes", made)
        if not made:
            return service if len(kept) == len(volumes.items) else put(service, "volumes", tree.Sequence(tuple(kept), volumes.line, volumes.column))
        given = service.get("configs")
        if isinstance(given, tree.Sequence):
            made = [*given.items, *made]
        service = put(service, "configs", tree.Sequence(tuple(made), volumes.line, volumes.column))
        return put(service, "volumes", tree.Sequence(tuple(kept), volumes.line, volumes.column)) if kept else without(service, "volumes")

    def _mount(self, item: tree.Node, mount: tuple[str, str, bool, str], where: str, made: list[tree.Node]) -> None:
        source, target, reads, odd = mount
        source = source.removeprefix("./")

        def fault(why: str, remedy: str) -> None:
            self.faults.add(where, item.line, item.column, why, remedy)

        below = f"{source}/" if source else ""
        found = {"": source} if source in self.files else {path[len(below) :]: path for path in sorted(self.files) if path.startswith(below)}
        shown = f"./{source}"
        if not found:
            fault(f"there is no file or folder {shown[:80]!r} in the package", "put it there, or mount a named volume")
        elif odd:
            fault(f"{odd[:60]!r} has no meaning for a file of the package", "leave it out; write :ro behind the target")
        elif not reads:
            fault(
                f"{shown[:80]!r} is a file of the package, and a container cannot write into a release", "write :ro behind the target, or mount a named volume"
            )
        elif not target.startswith("/") or "$" in target:
            fault(f"{target[:60]!r} is no absolute path", "write where in the container it shall be, beginning with '/'")
        elif len(found) > MAX_MOUNTED:
            fault(f"the folder {shown[:80]!r} has {len(found)} files, more than the {MAX_MOUNTED} that may be mounted", "put them into the image")
        else:
            for rest, path in found.items():
                made.append(self._config(item, path, target if not rest else f"{target.rstrip('/')}/{rest}"))

    def _config(self, item: tree.Node, path: str, target: str) -> tree.Node:
        name = self._name(path, item)
        mode = "0555" if self.files[path].startswith(b"#!") else "0444"
        keys = {"source": name, "target": target, "mode": mode}
        return mapping([entry(key, text(value, item), item) for key, value in keys.items()], item)

    def _name(self, path: str, item: tree.Node) -> str:
        if path in self.mounted:
            return self.mounted[path][0]
        slug = "".join(letter if letter in "abcdefghijklmnopqrstuvwxyz0123456789._-" else "-" for letter in path.lower()).strip("._-")[:40] or "file"
        name = slug
        if name in self.taken:
            name = f"{slug}-{sha256_of(path.encode())[7:19]}"
        self.taken.add(name)
        self.mounted[path] = (name, item)
        return name

    def configs(self, top: tree.Mapping) -> tree.Mapping:
        """The top with the configs that mounts became."""
        if not self.mounted:
            return top
        given = top.get("configs")
        entries = list(given.entries) if isinstance(given, tree.Mapping) else []
        for path, (name, item) in sorted(self.mounted.items()):
            entries.append(entry(name, mapping([entry("file", text(path, item), item)], item), item))
        return put(top, "configs", mapping(entries, given if isinstance(given, tree.Mapping) else top))


def _relative_mount(item: tree.Node) -> tuple[str, str, bool, str] | None:
    """Source, target, whether it is read only, and what is odd about it, of a mount of a relative path; None for any other."""
    if isinstance(item, tree.Scalar):
        source, *rest = split(item.text)
        if not rest or not relative(source):
            return None
        modes = rest[1].split(",") if len(rest) > 1 else []
        odd = next((mode for mode in modes if mode not in MODES), "") or ":".join(rest[2:])
        return source, rest[0], "ro" in modes, odd
    if not isinstance(item, tree.Mapping):
        return None
    said = {one.key: one.value.text if isinstance(one.value, tree.Scalar) else "" for one in item.entries}
    if not relative(said.get("source", "")) or said.get("type", "bind") != "bind":
        return None
    odd = next((key for key in said if key not in ("type", "source", "target", "read_only") and not key.startswith("x-")), "")
    return said["source"], said.get("target", ""), said.get("read_only") == "true", odd
