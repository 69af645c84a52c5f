"""A package: the files a vendor hands over, what they say of themselves, and the template they make.

Owns `penstock.yaml`, which files of a package mean what, and the one way from files to templates (`read`): one for every engine, and one for each engine
with a part of its own. Its words on parameters, needs,
health, volumes and order become part of the Compose tree before it is read, so that both ways of saying them mean the same. Never reads an
archive, a disk or an image.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from penstock.server.core.compose import ComposeError, Fault, Sources, Template, assemble, read_assembled, tree
from penstock.server.core.compose.assemble_merge import as_names, entry, mapping, put, text
from penstock.server.core.compose.assemble_paths import folder_of, inside
from penstock.server.core.compose.faults import Faults
from penstock.server.core.compose.reader import Reader
from penstock.server.core.model import ReleaseId

MANIFEST = "penstock.yaml"
COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
OVERRIDE = ("compose.override.yaml", "compose.override.yml", "docker-compose.override.yaml", "docker-compose.override.yml")
README = ("README.md", "README.txt", "README")
NOTES = ("NOTES.md", "NOTES.txt", "CHANGELOG.md", "CHANGELOG.txt", "CHANGELOG")
LICENCE = ("LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE", "LICENCE.md", "LICENCE.txt", "COPYING")
ICON = ("icon.svg", "icon.png")
RUNTIMES = ("docker", "podman")  # engines that a package may have a part for
LATER = ("kubernetes",)  # likewise, and nothing runs it yet
PART = re.compile(rf"compose\.({'|'.join((*RUNTIMES, *LATER))})\.ya?ml\Z")
SETTINGS = ("parameters", "needs", "secrets", "soak", "deadline", "drift", "keep", "volumes")

MAX_TEXT = 1024 * 1024
MAX_ICON = 256 * 1024
MAX_WORDS = 200
PNG = b"\x89PNG\r\n\x1a\n"
UNSAFE = re.compile(
    rb"<!|<\?(?!xml[\s?])|<script|<foreignobject|<iframe|<handler|<listener|javascript:|\son[a-z]+\s*=|href\s*=(?!\s*[\"']?\s*(?:#|data:image/))", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Package:
    """What a package says of itself. Paths are those of its files; empty: it has none. `entries` are the Compose files laid over each other, `parts` the
    file that is laid over them for each engine that has one."""

    name: str = ""
    title: str = ""
    vendor: str = ""
    version: str = ""
    homepage: str = ""
    readme: str = ""
    notes: str = ""
    licence: str = ""
    icon: str = ""
    entries: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    parts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Templates:
    """What the files of a package make: the template for every engine, and those for engines with a part of their own."""

    package: Package
    common: Template
    parts: Mapping[str, Template]

    @property
    def every(self) -> tuple[tuple[str, Template], ...]:
        """All of them, by engine; the common one first, under no name."""
        return (("", self.common), *self.parts.items())


@dataclass(frozen=True, slots=True)
class PackageRow:
    """What a release's package says of itself, and which of its files people read (empty: it has none). `entries` are the Compose files that were
    laid over each other, `profiles` those chosen."""

    release: ReleaseId
    title: str
    vendor: str
    homepage: str
    readme: str
    notes: str
    licence: str
    icon: str
    entries: tuple[str, ...]
    profiles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PackageFile:
    """One file of a release's package."""

    path: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A package whose own words are read, its Compose files not yet. `ours` are the words that belong under x-penstock, `order` the services one after
    the other; their lines are numbered in `sources`."""

    package: Package
    ours: tree.Mapping | None
    order: tree.Sequence | None
    sources: Sources


def opened(files: Mapping[str, bytes], entries: Sequence[str] = (), profiles: Sequence[str] = ()) -> Opened:
    """What a package says of itself. `entries` and `profiles` take the place of its own. Raises ComposeError with every fault found."""
    sources = Sources()
    faults = Faults(sources)
    found = _Manifest(files, faults)
    if MANIFEST in files:
        found.take(tree.parse(files[MANIFEST], sources, MANIFEST, "a penstock.yaml has at least `name` and `version`"))
    readme, notes, licence, icon = _texts(files, faults)
    chosen = tuple(entries) or found.package.entries or _entries(files, faults)
    parts = _parts(files, chosen, faults) if chosen else ()
    package = replace(
        found.package,
        readme=readme,
        notes=notes,
        licence=licence,
        icon=icon,
        entries=chosen,
        profiles=tuple(profiles) or found.package.profiles,
        parts=parts,
    )
    faults.check()
    return Opened(package, found.ours, found.order, sources)


def read(files: Mapping[str, bytes], entries: Sequence[str] = (), profiles: Sequence[str] = (), fixed: Mapping[str, str] | None = None) -> Templates:
    """A package and the templates it makes. `entries` and `profiles` chosen when publishing take the place of the package's own. Raises ComposeError
    with every fault found, each with its file."""
    package = opened(files, entries, profiles).package
    made: dict[str, Template] = {}
    faults: dict[str, tuple[Fault, ...]] = {}
    for runtime, path in (("", ""), *package.parts):
        # Each is numbered anew: its files are others.
        found = opened(files, entries, profiles)
        over = (*package.entries, path) if path else package.entries
        try:
            tree_of = assemble(files, over, package.profiles, found.ours, found.sources)
            tree_of = replace(tree_of, top=_ordered(tree_of.top, found.order))
            made[runtime] = read_assembled(tree_of, fixed, {} if alone(files) else files, one_of=bool(package.parts))
        except ComposeError as fault:
            faults[runtime] = fault.faults
    if not faults:
        faults = _unused(package, made)
    if faults:
        raise together(faults)
    return Templates(package, made.pop(""), made)


def _unused(package: Package, made: Mapping[str, Template]) -> dict[str, tuple[Fault, ...]]:
    """What is declared and stands in no reading that knows of it, by engine."""
    nowhere = frozenset[Fault]().union(*(one.unused for one in made.values())).intersection(*(one.unused for one in made.values()))
    own = dict(package.parts)
    found = {engine: tuple(fault for fault in one.unused if fault in nowhere or (engine and fault.file == own[engine])) for engine, one in made.items()}
    return {engine: many for engine, many in found.items() if many}


def together(faults: Mapping[str, tuple[Fault, ...]]) -> ComposeError:
    """The faults of all readings, by engine, as one error: what is wrong for every engine is said once, what is wrong for one says for which."""
    found = dict.fromkeys(faults.get("", ()))
    for runtime, many in faults.items():
        found |= dict.fromkeys(replace(one, why=f"for {runtime}: {one.why}") for one in many if runtime and one not in found)
    return ComposeError(tuple(found))


def parts_of(paths: Iterable[str], entries: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The files that say what is different on one engine, by its name: those that stand beside the first Compose file. None where one of them is itself among
    `entries`: then the package is for that engine."""
    if any(PART.match(path.rpartition("/")[2]) for path in entries):
        return ()
    folder = folder_of(entries[0])
    found = ((path, path.rpartition("/")) for path in sorted(paths))
    return tuple((known.group(1), path) for path, (where, _, name) in found if where == folder and (known := PART.match(name)))


def not_read(engine: str) -> str:
    """Why the part for an engine is only kept."""
    return f"it is kept with the release and not read: no device runs {engine.capitalize()} yet"


def alone(files: Mapping[str, bytes]) -> bool:
    """Whether this is one Compose file and nothing else."""
    return len(files) == 1 and MANIFEST not in files


def _first(files: Mapping[str, bytes], names: Sequence[str]) -> str:
    return next((name for name in names if name in files), "")


def _entries(files: Mapping[str, bytes], faults: Faults) -> tuple[str, ...]:
    """The Compose file of a package that names none, and the one laid over it, as Compose itself finds them."""
    first = _first(files, COMPOSE) or (next(iter(files)) if alone(files) else "")
    if not first:
        faults.add("", 0, 0, "there is no Compose file in the package", f"call it {COMPOSE[0]}, or name it under `files` in {MANIFEST}")
        return ()
    over = _first(files, OVERRIDE)
    return (first, over) if over else (first,)


def _parts(files: Mapping[str, bytes], entries: Sequence[str], faults: Faults) -> tuple[tuple[str, str], ...]:
    """The parts that are read, each engine's file."""
    found: dict[str, str] = {}
    for runtime, path in parts_of(files, entries):
        if runtime in found:
            faults.add("", 0, 0, f"{found[runtime]} and {path} both say what is different on {runtime}", "keep one of the two")
        elif runtime in RUNTIMES:
            found[runtime] = path
    return tuple(found.items())


def _texts(files: Mapping[str, bytes], faults: Faults) -> tuple[str, str, str, str]:
    """The files that people read: readme, notes, licence, icon."""
    readme, notes, licence, icon = (_first(files, names) for names in (README, NOTES, LICENCE, ICON))
    for name in (readme, notes, licence):
        if not name:
            continue
        why = ""
        if len(files[name]) > MAX_TEXT:
            why = f"the file has {len(files[name])} bytes, more than the {MAX_TEXT} allowed"
        else:
            try:
                files[name].decode("utf-8")
            except UnicodeError:
                why = "the file is not UTF-8"
        if why:
            faults.add(name, 0, 0, why, "save it as UTF-8 text, at most 1 MiB")
    why = icon_fault(icon, files[icon]) if icon else ""
    if why:
        faults.add(icon, 0, 0, why, "save it as a plain SVG without scripts, styles from elsewhere or entities, or as PNG, at most 256 KiB")
    return readme, notes, licence, icon


def icon_fault(name: str, content: bytes) -> str:
    """Why a file cannot be an icon; empty when it can."""
    if len(content) > MAX_ICON:
        return f"the icon has {len(content)} bytes, more than the {MAX_ICON} allowed"
    if name.endswith(".png"):
        return "" if content.startswith(PNG) else "the icon is no PNG"
    try:
        whole = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeError:
        return "the icon is not UTF-8"
    bare = re.sub(r"<!--.*?-->", "", whole, flags=re.DOTALL).strip()
    if not re.match(r"(<\?xml[^>]*\?>\s*)?<svg[\s>]", bare):
        return "the icon is no SVG"
    if UNSAFE.search(bare.encode()):
        return "the icon holds a script, an entity or a link, which a picture does not need"
    return ""


class _Manifest:
    """Gathers penstock.yaml. `ours` are its words that belong under x-penstock, at their own places."""

    def __init__(self, files: Mapping[str, bytes], faults: Faults) -> None:
        self.files = files
        self.reader = Reader(faults)
        self.package = Package()
        self.ours: tree.Mapping | None = None
        self.order: tree.Sequence | None = None

    def take(self, top: tree.Mapping) -> None:
        words: dict[str, str] = {}
        ours: list[tree.Entry] = []

        def word(key: str) -> object:
            def handler(node: tree.Node, path: str) -> None:
                found = self.reader.static(node, path)
                if found is not None and (len(found) > MAX_WORDS or not found.isprintable()):
                    self.reader.fault(node, path, f"must be one line of at most {MAX_WORDS} characters", "write less; the README has room")
                elif found is not None and key == "homepage" and not found.startswith(("https://", "http://")):
                    self.reader.fault(node, path, f"{found[:60]!r} is no address of a page", "write one that begins with https://")
                elif found is not None:
                    words[key] = found

            return handler

        handlers = {key: word(key) for key in ("name", "title", "vendor", "version", "homepage")}

        def setting(as_key: str) -> object:
            def handler(node: tree.Node, _path: str) -> None:
                ours.append(entry(as_key, node, node))

            return handler

        handlers |= {key: setting(key) for key in SETTINGS} | {"health": setting("probes")}
        paths: dict[str, tuple[str, ...]] = {}

        def listed(node: tree.Node, path: str) -> None:
            found = []
            for index, item in enumerate(self.reader.sequence(node, path)):
                name = self.reader.static(item, f"{path}[{index}]")
                if name is None:
                    continue
                whole, why = inside("", name) if path == "files" else (name, "")
                if path == "files" and (why or whole not in self.files):
                    self.reader.fault(item, f"{path}[{index}]", why or f"there is no file {name[:80]!r} in the package", "name Compose files of the package")
                found.append(whole)
            paths[path] = tuple(found)

        def order(node: tree.Node, path: str) -> None:
            for index, item in enumerate(self.reader.sequence(node, path)):
                self.reader.static(item, f"{path}[{index}]")
            self.order = node if isinstance(node, tree.Sequence) else None

        handlers |= {"files": listed, "profiles": listed, "order": order}
        self.reader.keys(top, "", handlers, REFUSED, MANIFEST)  # type: ignore[arg-type]
        self.package = Package(**words, entries=paths.get("files", ()), profiles=paths.get("profiles", ()), parts=())
        self.ours = mapping(ours, top) if ours else None


REFUSED = {
    "probes": "write `health`",
    "services": "describe services in compose.yaml",
    "icon": "call the file icon.svg or icon.png",
    "readme": "call the file README.md",
    "licence": "call the file LICENSE",
    "license": "call the file LICENSE",
}


def _ordered(top: tree.Mapping, order: tree.Sequence | None) -> tree.Mapping:
    """Services started one after the other: each waits for the one before it, unless it says so itself."""
    services = top.get("services")
    if order is None or not isinstance(services, tree.Mapping):
        return top
    names = [item for item in order.items if isinstance(item, tree.Scalar)]
    unknown = next((item for item in names if services.get(item.text) is None), None)
    if unknown is not None:
        why, remedy = f"there is no service {unknown.text[:60]!r}", "name services of the Compose file, those of profiles that are not chosen left out"
        raise ComposeError((Fault("order", unknown.line, unknown.column, why, remedy, MANIFEST),))
    for before, after in zip(names, names[1:], strict=False):
        service = services.get(after.text)
        if not isinstance(service, tree.Mapping):
            continue
        given = service.get("depends_on")
        waits = as_names(given, "depends_on") if given is not None else mapping([], after)
        if isinstance(waits, tree.Mapping) and waits.get(before.text) is None:
            started = mapping([entry("condition", text("service_started", after), after)], after)
            service = put(service, "depends_on", put(waits, before.text, started))
            services = put(services, after.text, service)
    return put(top, "services", services)
