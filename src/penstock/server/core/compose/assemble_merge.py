"""One tree laid over another: the Compose specification's merge rules (13-merge.md), and the specification's own exceptions.

Owns `merge` and the keys by which items of a list are the same thing. Never knows where a tree came from, and checks no value: what does not
look as it should is kept as it is, for the reader to refuse by its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from penstock.server.core.compose import tree
from penstock.server.core.compose.faults import Faults

# Below services.NAME: what is replaced as a whole, since half of each would be neither.
REPLACED = frozenset(("command", "entrypoint", "healthcheck.test", "ulimits.*", "logging.options.*", "gpus", "extends"))
# Lists that are mappings in disguise: NAME=value, NAME:value, or bare names.
PAIRS = {"environment": "=", "labels": "=", "annotations": "=", "sysctls": "=", "extra_hosts": "=:", "deploy.labels": "=", "storage_opt": "="}
NAMED = frozenset(("depends_on", "networks"))
# One value or a list of them.
LISTS = frozenset(("dns", "dns_search", "env_file", "label_file", "tmpfs", "healthcheck.test"))


def entry(key: str, value: tree.Node, at: tree.Node | tree.Entry) -> tree.Entry:
    """A key of a mapping, at the place of another node."""
    return tree.Entry(key, value, at.line, at.column)


def mapping(entries: list[tree.Entry], at: tree.Node) -> tree.Mapping:
    """A mapping at the place of another node."""
    return tree.Mapping(tuple(entries), at.line, at.column)


def text(value: str, at: tree.Node | tree.Entry) -> tree.Scalar:
    """A text at the place of another node."""
    return tree.Scalar(value, "text", at.line, at.column)


def plain(node: tree.Node) -> object:
    """What a node says, without places: two that are equal mean the same."""
    if isinstance(node, tree.Mapping):
        return {one.key: plain(one.value) for one in node.entries}
    if isinstance(node, tree.Sequence):
        return [plain(item) for item in node.items]
    return (node.text, node.kind)


def put(top: tree.Mapping, key: str, value: tree.Node) -> tree.Mapping:
    """A mapping with a key set; in its old place where it stood."""
    if top.get(key) is None:
        return replace(top, entries=(*top.entries, entry(key, value, value)))
    return replace(top, entries=tuple(replace(one, value=value) if one.key == key else one for one in top.entries))


def without(top: tree.Mapping, *keys: str) -> tree.Mapping:
    """A mapping without some keys."""
    return replace(top, entries=tuple(one for one in top.entries if one.key not in keys))


def _kind(path: tuple[str, ...]) -> str:
    """A path as the tables above write it: below a service, without the service's name."""
    if len(path) < 3 or path[0] != "services":
        return ""
    inner = path[2:]
    if len(inner) == 3 and inner[0] == "networks" and inner[2] == "aliases":
        return "networks.*.aliases"
    name = ".".join(inner)
    if len(inner) > 1 and f"{'.'.join(inner[:-1])}.*" in REPLACED:
        return f"{'.'.join(inner[:-1])}.*"
    return name


def merge(base: tree.Node, over: tree.Node, faults: Faults, path: tuple[str, ...] = ()) -> tree.Node:
    """`over` laid over `base`. A fault where the two are of different kinds; `over` counts then."""
    if over.tag == tree.OVERRIDE:
        return replace(over, tag="")
    kind = _kind(path)
    if kind in REPLACED:
        return over
    if kind in PAIRS:
        base, over = as_pairs(base, PAIRS[kind]), as_pairs(over, PAIRS[kind])
    elif kind in NAMED:
        base, over = as_names(base, kind), as_names(over, kind)
    elif kind in LISTS:
        base, over = as_list(base), as_list(over)
    elif kind == "logging" and _driver(base) and _driver(over) and _driver(base) != _driver(over):
        return over
    if isinstance(over, tree.Scalar) and over.kind == "null" and not isinstance(base, tree.Scalar):
        return base
    if isinstance(base, tree.Scalar) and base.kind == "null":
        return over
    if isinstance(base, tree.Mapping) and isinstance(over, tree.Mapping):
        return _mappings(base, over, faults, path)
    if isinstance(base, tree.Sequence) and isinstance(over, tree.Sequence):
        items = (*base.items, *over.items)
        same = UNIQUE.get(kind)
        return replace(over, items=_unique(items, same) if same else items)
    if isinstance(base, tree.Scalar) and isinstance(over, tree.Scalar):
        return over
    why = f"is {tree.kind_of(over)}, and {tree.kind_of(base)} in what it is laid over"
    faults.add(".".join(path), over.line, over.column, why, "write both the same way, or tag it !override to replace the whole of it")
    return over


def _mappings(base: tree.Mapping, over: tree.Mapping, faults: Faults, path: tuple[str, ...]) -> tree.Mapping:
    upper = {one.key: one for one in over.entries}
    lower = {one.key for one in base.entries}
    made: list[tree.Entry] = []
    for one in base.entries:
        above = upper.get(one.key)
        if above is None:
            made.append(one)
        elif above.value.tag != tree.RESET:
            value = merge(one.value, above.value, faults, (*path, one.key))
            made.append(one if value is one.value else tree.Entry(one.key, value, above.line, above.column))
    made.extend(one for one in over.entries if one.key not in lower)
    return mapping(made, over)


def _driver(node: tree.Node) -> str:
    driver = node.get("driver") if isinstance(node, tree.Mapping) else None
    return driver.text if isinstance(driver, tree.Scalar) else ""


# --- lists that are mappings -----------------------------------------------------------------------------------------------


def as_pairs(node: tree.Node, equals: str = "=") -> tree.Node:
    """A list of NAME=value as a mapping, a later one of the same name in place of the earlier; anything else as it is."""
    if not isinstance(node, tree.Sequence) or not all(isinstance(item, tree.Scalar) for item in node.items):
        return node
    made: dict[str, tree.Entry] = {}
    for item in node.items:
        assert isinstance(item, tree.Scalar)
        at = min((place for place in (item.text.find(sign) for sign in equals) if place >= 0), default=-1)
        name, value = (item.text, tree.Scalar("", "null", item.line, item.column)) if at < 0 else (item.text[:at], text(item.text[at + 1 :], item))
        made[name] = entry(name, value, item)
    return tree.Mapping(tuple(made.values()), node.line, node.column, node.tag)


def as_names(node: tree.Node, kind: str) -> tree.Node:
    """A list of names as a mapping; for dependencies with what the short form stands for."""
    if not isinstance(node, tree.Sequence) or not all(isinstance(item, tree.Scalar) for item in node.items):
        return node
    made: dict[str, tree.Entry] = {}
    for item in node.items:
        assert isinstance(item, tree.Scalar)
        started = mapping([entry("condition", text("service_started", item), item)], item)
        made[item.text] = entry(item.text, started if kind == "depends_on" else tree.Scalar("", "null", item.line, item.column), item)
    return tree.Mapping(tuple(made.values()), node.line, node.column, node.tag)


def as_list(node: tree.Node) -> tree.Node:
    """One value as a list of one."""
    if isinstance(node, tree.Scalar) and node.kind != "null":
        return tree.Sequence((node,), node.line, node.column, node.tag)
    if isinstance(node, tree.Mapping):
        return tree.Sequence((node,), node.line, node.column, node.tag)
    return node


# --- items that are the same thing -------------------------------------------------------------------------------------------


def split(written: str, sign: str = ":") -> list[str]:
    """A short form's parts; a sign inside ${...} or [...] parts nothing."""
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(written):
        if (letter == "{" and at and written[at - 1] == "$") or letter == "[":
            depth += 1
        elif letter in "}]" and depth:
            depth -= 1
        elif letter == sign and not depth:
            parts.append(written[start:at])
            start = at + 1
    return [*parts, written[start:]]


def _of(node: tree.Mapping, key: str, default: str = "") -> str:
    found = node.get(key)
    return found.text if isinstance(found, tree.Scalar) and found.kind != "null" else default


def _port(node: tree.Node) -> object:
    if isinstance(node, tree.Mapping):
        return _of(node, "host_ip"), _of(node, "published"), _of(node, "target"), _of(node, "protocol", "tcp")
    assert isinstance(node, tree.Scalar)
    rest, _, protocol = node.text.partition("/")
    *host, target = split(rest)
    published = host.pop() if host else ""
    return ":".join(host).strip("[]"), published, target, protocol or "tcp"


def _mount(node: tree.Node) -> object:
    if isinstance(node, tree.Mapping):
        return _of(node, "target").rstrip("/")
    assert isinstance(node, tree.Scalar)
    parts = split(node.text)
    return (parts[1] if len(parts) > 1 else parts[0]).rstrip("/")


def _given(folder: str) -> Callable[[tree.Node], object]:
    def key(node: tree.Node) -> object:
        if isinstance(node, tree.Mapping):
            target = _of(node, "target") or _of(node, "source")
        else:
            assert isinstance(node, tree.Scalar)
            target = node.text
        return target if target.startswith("/") else folder + target

    return key


def _device(node: tree.Node) -> object:
    if isinstance(node, tree.Mapping):
        return _of(node, "target") or _of(node, "source")
    assert isinstance(node, tree.Scalar)
    parts = split(node.text)
    return parts[1] if len(parts) > 1 else parts[0]


def _whole(node: tree.Node) -> object:
    return repr(plain(node))


UNIQUE: dict[str, Callable[[tree.Node], object]] = {
    "ports": _port,
    "volumes": _mount,
    "configs": _given("/"),
    "secrets": _given("/run/secrets/"),
    "devices": _device,
    **dict.fromkeys(("expose", "cap_add", "cap_drop", "security_opt", "device_cgroup_rules", "external_links", "group_add", "profiles", "links"), _whole),
    **dict.fromkeys(("dns", "dns_search", "dns_opt", "tmpfs", "networks.*.aliases"), _whole),
}


def _unique(items: tuple[tree.Node, ...], same: Callable[[tree.Node], object]) -> tuple[tree.Node, ...]:
    """Each thing once: a later item takes the place of an earlier one of the same key."""
    made: dict[object, tree.Node] = {}
    for index, item in enumerate(items):
        odd = isinstance(item, tree.Sequence) or (isinstance(item, tree.Scalar) and item.kind == "null")
        made[index if odd else same(item)] = item  # what is odd stays for the reader to refuse
    return tuple(made.values())


# --- what is left over ---------------------------------------------------------------------------------------------------------


def settle(node: tree.Node, faults: Faults, path: str = "") -> tree.Node:
    """The tree without tags. A key that is reset with nothing below it goes; a fault where a tag stands on something else than a key's value."""
    if isinstance(node, tree.Mapping):
        made = [
            replace(one, value=settle(one.value, faults, f"{path}.{one.key[:60]}" if path else one.key[:60]))
            for one in node.entries
            if one.value.tag != tree.RESET
        ]
        return tree.Mapping(tuple(made), node.line, node.column)
    if isinstance(node, tree.Sequence):
        for item in node.items:
            if item.tag:
                why = f"the tag {item.tag} stands on an item of a list"
                faults.add(path, item.line, item.column, why, "items have no names to be found by; put the tag on the list")
        return tree.Sequence(tuple(settle(item, faults, path) for item in node.items), node.line, node.column)
    return replace(node, tag="") if node.tag else node
