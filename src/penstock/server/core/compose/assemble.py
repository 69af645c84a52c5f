"""Several files to one tree: overlays, `include`, `extends`, `.env`, profiles, and what services take from files of their package.

Owns the order in which that is done (`assemble`) and `include`. The rules of merging stand in `assemble_merge`, `extends` in
`assemble_extends`. Never reads what a key means; the tree goes to the reader as if somebody had written it in one file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from penstock.server.core.compose import assemble_env as env
from penstock.server.core.compose import tree
from penstock.server.core.compose.assemble_extends import Extender
from penstock.server.core.compose.assemble_merge import as_list, as_names, entry, mapping, merge, plain, put, settle, without
from penstock.server.core.compose.assemble_parts import Parts
from penstock.server.core.compose.assemble_paths import folder_of, localise, path_at
from penstock.server.core.compose.faults import ComposeError, Fault, Faults, Sources

MAX_READS = 64  # files read, one counted as often as it is read
MAX_NESTING = 8  # includes within includes
ENV = ".env"
OURS = "x-penstock"
IMPORTED = ("services", "volumes", "networks", "configs", "secrets")


@dataclass(frozen=True, slots=True)
class Assembled:
    """One tree, and whose its lines are."""

    top: tree.Mapping
    sources: Sources


def assemble(
    files: Mapping[str, bytes], entries: Sequence[str], profiles: Sequence[str] = (), ours: tree.Mapping | None = None, sources: Sources | None = None
) -> Assembled:
    """The tree that `entries` are, laid over each other in their order. `files` has every file they may name, by its path in the package;
    `ours` are settings said elsewhere than under `x-penstock`, with the `sources` their lines are numbered in. Raises ComposeError with every
    fault that keeps the tree from being made."""
    made = _Assembly(files, sources or Sources())
    top = made.project(tuple(entries), folder_of(entries[0]), (), {})
    top = made.finish(top, profiles, ours)
    made.faults.check()
    return Assembled(top, made.sources)


class _Assembly:
    """The files read so far, and the faults found."""

    def __init__(self, files: Mapping[str, bytes], sources: Sources) -> None:
        self.files = files
        self.sources = sources
        self.faults = Faults(sources)
        self.reads = 0
        self.named = len(files) > 1
        self.values: dict[str, Mapping[str, str]] = {}  # a service -> the variables of the project it stands in

    def stop(self, why: str, remedy: str, node: tree.Node | None = None, path: str = "") -> ComposeError:
        """The error for a fault after which going on makes no sense, with those found before."""
        self.faults.add(path, node.line if node else 0, node.column if node else 0, why, remedy)
        return ComposeError(self.faults.listed())

    def load(self, path: str, folder: str, asked: tree.Node | None, where: str) -> tree.Mapping:
        """One file's tree, its paths made whole. Raises ComposeError."""
        self.reads += 1
        if self.reads > MAX_READS:
            raise self.stop(f"more than {MAX_READS} files are read, each counted as often as it is named", "use fewer files", asked, where)
        content = self.files.get(path)
        if content is None:
            there = ", ".join(sorted(one for one in self.files if one.endswith((".yaml", ".yml")))[:10]) if self.named else ""
            remedy = f"there are: {there}" if there else "publish a package, which has it: penstock release publish ./folder"
            raise self.stop(f"there is no file {path[:80]!r} {'in the package' if self.named else 'beside this one'}", remedy, asked, where)
        try:
            top = tree.parse(content, self.sources, path if self.named else "")
        except ComposeError as fault:
            # What was found before is told with it.
            raise ComposeError((*self.faults.listed(), *fault.faults)) from None
        return localise(top, folder, self.faults, mounts=self.named)

    # --- one project -------------------------------------------------------------------------------------------------------

    def project(
        self, paths: tuple[str, ...], folder: str, above: tuple[tuple[str, ...], ...], outer: Mapping[str, str], given: tuple[str, ...] | None = None
    ) -> tree.Mapping:
        """Files laid over each other, with what they include. `above`: the projects that include this one; `outer`: their variables, which
        come first; `given`: the files of variables in place of `.env`."""
        values = {**self._values(given if given is not None else (f"{folder}/{ENV}" if folder else ENV,), strict=given is not None), **outer}
        top: tree.Mapping | None = None
        for path in paths:
            loaded = self.load(path, folder, None, "")
            loaded = Extender(self.load, self.faults).top(loaded, path)
            merged = loaded if top is None else merge(top, loaded, self.faults)
            assert isinstance(merged, tree.Mapping)
            top = merged
        assert top is not None
        settled = env.put_defaults(settle(top, self.faults), values, self.faults)
        assert isinstance(settled, tree.Mapping)
        services = settled.get("services")
        for one in services.entries if isinstance(services, tree.Mapping) else ():
            self.values.setdefault(one.key, values)
        return self._include(settled, folder, (*above, paths), values)

    def _values(self, paths: Sequence[str], *, strict: bool) -> dict[str, str]:
        """Variables of `.env` files: defaults of parameters."""
        found: dict[str, str] = {}
        for path in paths:
            content = self.files.get(path)
            if content is None:
                if strict:
                    self.faults.add("include", 0, 0, f"there is no file {path[:80]!r} in the package", "put it there, or leave `env_file` out")
                continue
            for one in env.read(content, path, self.sources, self.faults):
                if one.name in ("COMPOSE_FILE", "COMPOSE_PROFILES", "COMPOSE_ENV_FILES"):
                    why = f"{one.name} chooses what is read, and a release is the same wherever it is published from"
                    self.faults.add("", one.line, one.column, why, "write `files` and `profiles` in penstock.yaml, or name them when publishing")
                elif one.value is not None:
                    found[one.name] = one.value
        return found

    # --- include -------------------------------------------------------------------------------------------------------------

    def _include(self, top: tree.Mapping, folder: str, above: tuple[tuple[str, ...], ...], values: Mapping[str, str]) -> tree.Mapping:
        node = top.get("include")
        if node is None:
            return top
        top = without(top, "include")
        if not isinstance(node, tree.Sequence):
            self.faults.add("include", node.line, node.column, f"must be a list, is {tree.kind_of(node)}", "write items beginning with '- ' under it")
            return top
        if len(above) > MAX_NESTING:
            raise self.stop(f"files are included more than {MAX_NESTING} deep", "include them further up", node, "include")
        for index, item in enumerate(node.items):
            where = f"include[{index}]"
            wanted = self._wanted(item, folder, where)
            if wanted is None:
                continue
            paths, base, given = wanted
            if any(set(paths) & set(one) for one in above):
                chain = " -> ".join(one[0] for one in (*above, paths))
                raise self.stop(f"the files include each other in a circle: {chain[:200]}", "remove one of these includes", item, where)
            for path in paths:
                if path not in self.files:
                    self.load(path, base, item, where)  # says that it is not there
            top = self._import(top, self.project(paths, base, above, values, given))
        return top

    def _wanted(self, item: tree.Node, folder: str, where: str) -> tuple[tuple[str, ...], str, tuple[str, ...] | None] | None:
        """The files, the folder their paths are seen from, and the files of variables; None after a fault."""
        if isinstance(item, tree.Scalar):
            item = mapping([entry("path", item, item)], item)
        if not isinstance(item, tree.Mapping):
            self.faults.add(where, item.line, item.column, f"must be a path or a mapping, is {tree.kind_of(item)}", "write the path of a Compose file")
            return None
        found: dict[str, tuple[str, ...]] = {}
        for one in item.entries:
            here = f"{where}.{one.key[:60]}"
            if one.key not in ("path", "project_directory", "env_file"):
                self.faults.add(
                    here, one.line, one.column, f"`{one.key[:60]}` is no key of an include", "an include has `path`, `project_directory` and `env_file`"
                )
                return None
            before = len(self.faults.listed())
            values = as_list(one.value) if one.key != "project_directory" else tree.Sequence((one.value,), one.line, one.column)
            made = []
            for each in values.items if isinstance(values, tree.Sequence) else ():
                whole = path_at(each, folder, self.faults, here)
                if isinstance(whole, tree.Scalar) and whole.kind != "null":
                    made.append(whole.text)
                else:
                    self.faults.add(here, each.line, each.column, f"must be a path, is {tree.kind_of(each)}", "write the path of a file")
            if len(self.faults.listed()) > before:
                return None
            found[one.key] = tuple(made)
        if not found.get("path"):
            self.faults.add(where, item.line, item.column, "`path` is missing", "write the path of a Compose file")
            return None
        base = found["project_directory"][0] if found.get("project_directory") else folder_of(found["path"][0])
        return found["path"], base, found.get("env_file")

    def _import(self, top: tree.Mapping, sub: tree.Mapping) -> tree.Mapping:
        """What an included project has, beside what is there; the same name with another meaning is refused."""
        for one in sub.entries:
            if one.key == OURS and isinstance(one.value, tree.Mapping):
                own = top.get(OURS)
                top = put(top, OURS, merge(one.value, own, self.faults, (OURS,)) if own is not None else one.value)
            if one.key not in IMPORTED:
                if one.key not in ("name", "version") and not one.key.startswith("x-"):
                    self.faults.add(one.key[:60], one.line, one.column, f"`{one.key[:60]}` is no key of a Compose file", "remove it")
                continue
            own = top.get(one.key)
            if own is None or (isinstance(own, tree.Scalar) and own.kind == "null"):
                top = put(top, one.key, one.value)
                continue
            if not isinstance(own, tree.Mapping) or not isinstance(one.value, tree.Mapping):
                continue  # the reader refuses what is no mapping, where it stands
            entries = list(own.entries)
            for each in one.value.entries:
                there = own.get(each.key)
                if there is None:
                    entries.append(each)
                elif plain(there) != plain(each.value):
                    file, line = self.sources.place(there.line)
                    why = f"{one.key}.{each.key[:60]} is described in {file}, line {line} too, and differently"
                    self.faults.add(f"{one.key}.{each.key[:60]}", each.line, each.column, why, "rename one of them: what is included is not merged")
            top = put(top, one.key, replace(own, entries=tuple(entries)))
        return top

    # --- the whole -----------------------------------------------------------------------------------------------------------

    def finish(self, top: tree.Mapping, profiles: Sequence[str], ours: tree.Mapping | None) -> tree.Mapping:
        """Profiles chosen, files of variables read, mounts of files made configs, settings from elsewhere put in."""
        if ours is not None:
            top = self._settings(top, ours)
        services = top.get("services")
        if isinstance(services, tree.Mapping):
            given = top.get("configs")
            taken = {one.key for one in given.entries} if isinstance(given, tree.Mapping) else set()
            parts = Parts(self.files, self.sources, self.faults, taken)
            chosen = self._profiles(services, tuple(profiles))
            made = []
            for one in chosen.entries:
                value, where = one.value, f"services.{one.key[:60]}"
                if isinstance(value, tree.Mapping):
                    value = parts.mounts(parts.variables(value, where, self.values.get(one.key, {})), where)
                made.append(one if value is one.value else replace(one, value=value))
            top = parts.configs(put(top, "services", replace(chosen, entries=tuple(made))))
        self._count(top)
        return top

    def _settings(self, top: tree.Mapping, ours: tree.Mapping) -> tree.Mapping:
        own = top.get(OURS)
        if not isinstance(own, tree.Mapping):
            return put(top, OURS, ours) if own is None else top
        self._twice(own, ours, OURS)
        return put(top, OURS, merge(ours, own, self.faults, (OURS,)))

    def _twice(self, own: tree.Mapping, ours: tree.Mapping, path: str) -> None:
        """Refuse what is said both in penstock.yaml and under x-penstock, unless both say the same."""
        for one in own.entries:
            there = ours.get(one.key)
            here = f"{path}.{one.key[:60]}"
            if isinstance(there, tree.Mapping) and isinstance(one.value, tree.Mapping):
                self._twice(one.value, there, here)
            elif there is not None and not (isinstance(there, tree.Sequence) and path == OURS and one.key == "secrets") and plain(there) != plain(one.value):
                file, line = self.sources.place(there.line)
                self.faults.add(here, one.line, one.column, f"is said in {file}, line {line} too, and differently", "keep one of the two")

    def _profiles(self, services: tree.Mapping, chosen: tuple[str, ...]) -> tree.Mapping:
        """The services that are always there, and those of the chosen profiles."""
        known: dict[str, tuple[str, ...]] = {}
        for one in services.entries:
            node = one.value.get("profiles") if isinstance(one.value, tree.Mapping) else None
            names = []
            for item in node.items if isinstance(node, tree.Sequence) else () if node is None else (node,):
                if isinstance(item, tree.Scalar) and item.kind != "null" and _is_profile(item.text) and isinstance(node, tree.Sequence):
                    names.append(item.text)
                else:
                    why = "must be a list of names" if not isinstance(node, tree.Sequence) else "is no name of a profile"
                    self.faults.add(
                        f"services.{one.key[:60]}.profiles", item.line, item.column, why, "write profiles: [name]; a name has letters, digits, '_', '.' and '-'"
                    )
            if names:
                known[one.key] = tuple(names)
        there = {name for names in known.values() for name in names}
        for name in chosen:
            if name != "*" and name not in there:
                remedy = f"there are: {', '.join(sorted(there))}" if there else "no service has `profiles`"
                self.faults.add("profiles", 0, 0, f"no service has the profile {name[:60]!r}", remedy)
        gone = {key: names for key, names in known.items() if "*" not in chosen and not set(names) & set(chosen)}
        made = []
        for one in services.entries:
            if one.key in gone:
                continue
            value = one.value
            if isinstance(value, tree.Mapping):
                value = without(value, "profiles") if value.get("profiles") is not None else value
                value = self._waits(value, one.key, gone) if gone else value
            made.append(one if value is one.value else replace(one, value=value))
        return replace(services, entries=tuple(made))

    def _waits(self, service: tree.Mapping, name: str, gone: Mapping[str, tuple[str, ...]]) -> tree.Mapping:
        """What a service waits for, without services that were not chosen and need not be there."""
        node = service.get("depends_on")
        named = as_names(node, "depends_on") if node is not None else None
        if not isinstance(named, tree.Mapping) or not any(one.key in gone for one in named.entries):
            return service
        kept = []
        for one in named.entries:
            if one.key not in gone:
                kept.append(one)
                continue
            required = one.value.get("required") if isinstance(one.value, tree.Mapping) else None
            if not (isinstance(required, tree.Scalar) and required.text == "false"):
                why = f"{one.key[:60]} is there with the profile {' or '.join(gone[one.key])} only, which is not chosen"
                remedy = f"publish with --profile {gone[one.key][0]}, or write `required: false`"
                self.faults.add(f"services.{name[:60]}.depends_on.{one.key[:60]}", one.line, one.column, why, remedy)
        return put(service, "depends_on", replace(named, entries=tuple(kept))) if kept else without(service, "depends_on")

    def _count(self, top: tree.Mapping) -> None:
        """Hold the whole to the limit of one file: what a mapping of 64 files multiplies is as large for all who come after."""
        left = tree.MAX_NODES
        stack: list[tree.Node] = [top]
        while stack:
            node = stack.pop()
            left -= 1
            if left < 0:
                remedy = "use fewer aliases, extends and includes, or split the app"
                raise ComposeError((*self.faults.listed(), Fault("", 0, 0, f"put together, the files have more than {tree.MAX_NODES} values", remedy)))
            if isinstance(node, tree.Mapping):
                stack.extend(one.value for one in node.entries)
            elif isinstance(node, tree.Sequence):
                stack.extend(node.items)


def _is_profile(name: str) -> bool:
    return 0 < len(name) <= 63 and name[0].isalnum() and all(letter.isascii() and (letter.isalnum() or letter in "_.-") for letter in name)
