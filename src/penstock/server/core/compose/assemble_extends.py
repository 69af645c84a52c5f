"""`extends`: a service that begins as another one, of the same file or of another.

Owns the finding of the base, chains and circles, and what the specification asks of a base (05-services.md, extends). The merging itself is
`assemble_merge`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from penstock.server.core.compose import tree
from penstock.server.core.compose.assemble_merge import merge, without
from penstock.server.core.compose.assemble_paths import folder_of
from penstock.server.core.compose.faults import Faults

MAX_CHAIN = 16

Load = Callable[[str, str, tree.Node | None, str], tree.Mapping]


class Extender:
    """One file's `extends`, and the files it takes bases from, each read once."""

    def __init__(self, load: Load, faults: Faults) -> None:
        self.load = load
        self.faults = faults
        self.tops: dict[str, tree.Mapping] = {}
        self.done: dict[tuple[str, str], tree.Node | None] = {}

    def top(self, top: tree.Mapping, path: str) -> tree.Mapping:
        """The file's tree, every service written out."""
        services = top.get("services")
        if not isinstance(services, tree.Mapping) or not any(isinstance(one.value, tree.Mapping) and one.value.get("extends") for one in services.entries):
            return top
        self.tops[path] = top
        made = []
        for one in services.entries:
            value = self._service(path, one.key, one.value, ())
            made.append(replace(one, value=value if value is not None else one.value))
        whole = replace(services, entries=tuple(made))
        return replace(top, entries=tuple(replace(one, value=whole) if one.key == "services" else one for one in top.entries))

    def _service(self, path: str, name: str, node: tree.Node, chain: tuple[tuple[str, str], ...]) -> tree.Node | None:
        """A service with what it extends; None after a fault."""
        key = (path, name)
        if key in self.done:
            return self.done[key]
        if not isinstance(node, tree.Mapping) or node.get("extends") is None:
            return node
        asked = node.get("extends")
        assert asked is not None
        where = f"services.{name[:60]}.extends"
        own = without(node, "extends")
        found = self._base(path, asked, where)
        if found is None:
            return None
        base_path, base_name, at = found
        chain = (*chain, key)
        if (base_path, base_name) in chain:
            told = " -> ".join(one for _, one in (*chain, (base_path, base_name)))
            self.faults.add(where, at.line, at.column, f"the services extend each other in a circle: {told[:200]}", "remove one of these `extends`")
            return None
        if len(chain) > MAX_CHAIN:
            self.faults.add(where, at.line, at.column, f"services extend each other more than {MAX_CHAIN} deep", "write some of them out")
            return None
        services = self.tops[base_path].get("services")
        base = services.get(base_name) if isinstance(services, tree.Mapping) else None
        if base is None:
            names = [one.key for one in services.entries][:10] if isinstance(services, tree.Mapping) else []
            remedy = f"its services are: {', '.join(names)}" if names else "describe it there"
            told = "this file" if base_path == path else base_path
            self.faults.add(where, at.line, at.column, f"there is no service {base_name[:60]!r} in {told}", remedy)
            return None
        whole = self._service(base_path, base_name, base, chain)
        if whole is None:
            return None
        self._disabled(own, whole, where)
        self.done[key] = merge(whole, own, self.faults, ("services", name))
        return self.done[key]

    def _base(self, path: str, asked: tree.Node, where: str) -> tuple[str, str, tree.Node] | None:
        """The file and the name of the base, and where it is named; None after a fault."""
        if isinstance(asked, tree.Scalar) and asked.kind != "null":
            return path, asked.text, asked
        said: dict[str, tree.Scalar] = {}
        for one in asked.entries if isinstance(asked, tree.Mapping) else ():
            if one.key in ("service", "file") and isinstance(one.value, tree.Scalar) and one.value.kind != "null":
                said[one.key] = one.value
            else:
                self.faults.add(
                    f"{where}.{one.key[:60]}",
                    one.line,
                    one.column,
                    f"`{one.key[:60]}` is not understood here",
                    "write `service: NAME` and, for another file, `file: PATH`",
                )
                return None
        if "service" not in said:
            self.faults.add(where, asked.line, asked.column, "`service` is missing", "write `service: NAME` and, for another file, `file: PATH`")
            return None
        file = said["file"].text if "file" in said else path
        if file not in self.tops:
            self.tops[file] = self.load(file, folder_of(file), said["file"], f"{where}.file")
        return file, said["service"].text, said["service"]

    def _disabled(self, own: tree.Mapping, base: tree.Node, where: str) -> None:
        """A health check may be switched off where the base has it off only, says the specification."""
        check = own.get("healthcheck")
        off = check.get("disable") if isinstance(check, tree.Mapping) else None
        if not isinstance(off, tree.Scalar) or off.text != "true" or (check is not None and check.tag):
            return
        below = base.get("healthcheck") if isinstance(base, tree.Mapping) else None
        if below is None:
            return
        under = below.get("disable") if isinstance(below, tree.Mapping) else None
        if not isinstance(under, tree.Scalar) or under.text != "true":
            path = where.replace(".extends", ".healthcheck.disable")
            self.faults.add(
                path, off.line, off.column, "the service it extends has a health check", "tag it: `healthcheck: !override {disable: true}`, or leave it out"
            )
