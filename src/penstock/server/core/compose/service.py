"""One service of a Compose file to the shape of `wire.types.Service`, holes where parameters stand.

Owns the table of a service's keys (`read_service`). Lists of things stand in `lists`; what services must be to each other is
checked in `project`.
"""

from __future__ import annotations

from typing import Any

from penstock.server.core.compose import lists, putfiles, rarer, refused, tree
from penstock.server.core.compose.reader import Reader
from penstock.server.core.interpolate import SECRET_VERSION, Hole, Template, Use
from penstock.wire.codec import MAX_ITEMS

RESERVED = "penstock."
MAX_REPLICAS = 32
CONDITIONS = {"none": "no", "on-failure": "on-failure", "any": "always"}  # of deploy.restart_policy


def environment_fault(name: str) -> str | None:
    """Why `name` is no name of an environment variable; None when it is one."""
    if not name:
        return "it is empty"
    if any(letter in "$=\0" or letter.isspace() for letter in name):
        return "it holds '$', '=' or white space"
    return "it has more than 255 characters" if len(name) > 255 else None


def label_fault(name: str) -> str | None:
    """Why `name` is no label; None when it is one."""
    if not name:
        return "it is empty"
    if "$" in name or "\0" in name:
        return "it holds '$'"
    if name.startswith(RESERVED):
        return f"names that begin with '{RESERVED}' are ours"
    return "it has more than 255 characters" if len(name) > 255 else None


def option_fault(name: str) -> str | None:
    """Why `name` is no driver option; None when it is one."""
    return label_fault(name) if not name.startswith(RESERVED) else None


def labels(read: Reader, node: tree.Node, path: str) -> dict[str, Any]:
    """`labels`, mapping or list."""
    made = {}
    for name, (place, text, here) in read.pairs(node, path, label_fault, "label", 'write "" for an empty one').items():
        made[name] = read.text(place, text, here, "text")
    return {name: value for name, value in made.items() if value is not None}


class _Service:
    """Gathers one service."""

    def __init__(self, read: Reader, name: str) -> None:
        self.read = read
        self.name = name
        self.parts = lists.Parts(read)
        self.made = self.parts.made
        self.mounts: list[Any] = []
        self.tmpfs: list[Any] = []
        # field of Resources -> (value, path, node) as first given, so that two ways of saying it may not differ
        self.limits: dict[str, tuple[Any, str]] = {}
        self.options = lists.Parts(read)
        self.files: list[Any] = []
        self.replicas: dict[str, int] = {}

    # --- values -------------------------------------------------------------------------------------------------------

    def environment(self, node: tree.Node, path: str) -> None:
        plain: dict[str, Any] = {}
        sealed: dict[str, Any] = {}
        remedy = 'write "" for an empty value, or ${NAME} for one that a deployment gives'
        for name, (place, text, here) in self.read.pairs(node, path, environment_fault, "variable", remedy).items():
            secret = self.secret(place, text, here)
            if secret is not None:
                hole = Hole(secret, SECRET_VERSION, here, place.line, place.column)
                sealed[name] = {"secret": secret, "version": hole}
                continue
            value = self.read.text(place, text, here, "text")
            if value is not None:
                plain[name] = value
        if plain:
            self.made["environment"] = plain
        if sealed:
            self.made["secret_environment"] = sealed

    def secret(self, node: tree.Node, text: str, path: str) -> str | None:
        """The secret whose value the variable takes; None when it is an ordinary value."""
        if "$" not in text:
            return None
        template: Template | None = self.read.template(node, text, path)
        if template is None or len(template) != 1 or not isinstance(template[0], Use):
            return None
        use = template[0]
        if use.name not in self.read.secrets or use.operator not in ("", "?", ":?"):
            return None
        self.read.templates.append((path, template))
        return use.name

    def command(self, name: str) -> Any:
        def handler(node: tree.Node, path: str) -> None:
            if isinstance(node, tree.Scalar) and node.kind == "null":
                return  # Compose: null keeps the image's own
            value = self.read.values(node, path, "text") if isinstance(node, tree.Sequence) else self.read.value(node, path, "words")
            if value is not None:
                self.made[name] = value

        return handler

    def listed(self, name: str, gather: Any) -> Any:
        def handler(node: tree.Node, path: str) -> None:
            found = gather(self.read, node, path)
            if len(found) > MAX_ITEMS:
                self.read.fault(node, path, f"{len(found)} items, more than the {MAX_ITEMS} allowed", "write fewer")
            elif found:
                self.made[name] = found

        return handler

    def expose(self, node: tree.Node, path: str) -> None:
        self.made["expose"] = self.read.values(node, path, "expose")

    def labels(self, node: tree.Node, path: str) -> None:
        self.made["labels"] = labels(self.read, node, path)

    def networks(self, node: tree.Node, path: str) -> None:
        self.made["networks"] = lists.networks(self.read, node, path, self.name)

    def volumes(self, node: tree.Node, path: str) -> None:
        self.mounts = lists.mounts(self.read, node, path)

    def take_tmpfs(self, node: tree.Node, path: str) -> None:
        if isinstance(node, tree.Sequence):
            self.tmpfs = self.read.values(node, path, "tmpfs")
        else:
            value = self.read.value(node, path, "tmpfs")
            self.tmpfs = [] if value is None else [value]

    def take_files(self, kind: str) -> Any:
        def handler(node: tree.Node, path: str) -> None:
            self.files.extend(putfiles.uses(self.read, node, path, kind))

        return handler

    def links(self, node: tree.Node, path: str) -> None:
        self.made["links"] = lists.links(self.read, node, path)

    def count(self, node: tree.Node, path: str) -> None:
        found = self.read.static(node, path)
        if found is None:
            return
        if not found.isdigit() or not 1 <= int(found[:4]) <= MAX_REPLICAS:
            remedy = f"write 1 to {MAX_REPLICAS}" + ("; to run none, leave the service out" if found == "0" else "")
            self.read.fault(node, path, f"{found[:20]!r} is no number of containers", remedy)
            return
        self.replicas[path] = int(found)
        if len(set(self.replicas.values())) > 1:
            self.read.fault(node, path, f"differs from `{next(iter(self.replicas))}`, which says the same thing", "keep one of the two")

    def restart(self, node: tree.Node, path: str) -> None:
        if "restart" in self.made:
            self.read.fault(node, path, "`deploy.restart_policy` says the same thing", "keep one of the two")
        value = self.read.value(node, path, "restart")
        if isinstance(value, Hole):
            why = "no parameter may stand here"
            self.read.fault(node, path, why, "write no, always, unless-stopped, on-failure or on-failure:5; it is the same for every device")
        elif value is not None:
            self.made.update(value)

    # --- limits -------------------------------------------------------------------------------------------------------

    def limit(self, field: str, reader: str) -> Any:
        def handler(node: tree.Node, path: str) -> None:
            value = self.read.value(node, path, reader)
            if value is None:
                return
            first = self.limits.setdefault(field, (value, path))
            if first[0] != value and not (isinstance(value, Hole) and isinstance(first[0], Hole) and value.text == first[0].text):
                self.read.fault(node, path, f"differs from `{first[1]}`, which says the same thing", "keep one of the two")

        return handler

    def deploy(self, node: tree.Node, path: str) -> None:
        limits = {
            "memory": self.limit("memory_bytes", "memory_bytes"),
            "cpus": self.limit("nano_cpus", "nano_cpus"),
            "pids": self.limit("pids", "pids"),
        }
        reservations = {
            "memory": self.limit("memory_reservation_bytes", "memory_bytes"),
            "devices": lambda part, at: rarer.accelerators(self.read, self.options, part, at),
        }

        def resources(inner: tree.Node, here: str) -> None:
            handlers = {
                "limits": lambda part, at: self.keys(part, at, limits, refused.LIMITS, "limits"),
                "reservations": lambda part, at: self.keys(part, at, reservations, refused.RESERVATIONS, "reservations"),
            }
            self.keys(inner, here, handlers, {}, "resources")

        def mode(inner: tree.Node, here: str) -> None:
            self.read.choice(inner, here, ("replicated",), {"global": refused.SWARM})

        own = {"resources": resources, "replicas": self.count, "mode": mode, "restart_policy": self.restart_policy}
        self.keys(node, path, own, refused.DEPLOY, "deploy")

    def restart_policy(self, node: tree.Node, path: str) -> None:
        parts = lists.Parts(self.read)
        handlers = {"condition": parts.pick("condition", tuple(CONDITIONS)), "max_attempts": parts.take("most", "restarts")}
        if not self.read.keys(node, path, handlers, refused.RESTART_POLICY, "a restart policy"):
            return
        if "restart" in self.made:
            self.read.fault(node, path, "`restart` says the same thing", "keep one of the two")
        name = CONDITIONS[parts.made.get("condition", "any")]
        most = parts.made.get("most", 0)
        if most and name != "on-failure":
            why = f"`max_attempts` has no effect where the service is {'always' if name == 'always' else 'never'} restarted"
            self.read.fault(node, path, why, "write `condition: on-failure`, or leave it out")
        elif isinstance(most, Hole):
            self.read.fault(node, f"{path}.max_attempts", "no parameter may stand here", "write the number; it is the same for every device")
        self.made["restart"] = name
        if most and name == "on-failure":
            self.made["restart_max"] = most

    def keys(self, node: tree.Node, path: str, handlers: Any, others: Any, noun: str) -> None:
        self.read.keys(node, path, handlers, others, noun)

    # --- health -------------------------------------------------------------------------------------------------------

    def healthcheck(self, node: tree.Node, path: str) -> None:
        parts = lists.Parts(self.read)

        def test(inner: tree.Node, here: str) -> None:
            value = self.test(inner, here)
            if value is not None:
                parts.made["test"] = value

        handlers = {
            "test": test,
            "interval": parts.take("interval_ms", "some_duration_ms"),
            "timeout": parts.take("timeout_ms", "some_duration_ms"),
            "retries": parts.take("retries", "retries"),
            "start_period": parts.take("start_period_ms", "duration_ms"),
            "start_interval": parts.take("start_interval_ms", "some_duration_ms"),
            "disable": parts.pick("disable", ("true", "false")),
        }
        if not self.read.keys(node, path, handlers, refused.HEALTHCHECK, "a health check"):
            return
        made = parts.made
        if made.pop("disable", "false") == "true":
            if made:
                self.read.fault(node, path, "it is disabled and described at the same time", "keep `disable: true` alone, or remove it")
            made = {"test": ["NONE"]}
        elif made.get("test") == ["NONE"]:
            made = {"test": ["NONE"]}
        elif made and "test" not in made:
            # The image's own test at other times: what is not said stays as the image has it.
            made = {"test": [], "interval_ms": 0, "timeout_ms": 0, "retries": 0, **made}
        if made:
            self.made["healthcheck"] = made

    def test(self, node: tree.Node, path: str) -> Any:
        if not isinstance(node, tree.Sequence):
            value = self.read.value(node, path, "something")
            return None if value is None else ["CMD-SHELL", value]
        form = self.read.choice(node.items[0], f"{path}[0]", ("CMD", "CMD-SHELL", "NONE")) if node.items else ""
        if form is None:
            return None
        counts = {"NONE": len(node.items) == 1, "CMD-SHELL": len(node.items) == 2, "CMD": len(node.items) > 1}
        if not counts.get(form):
            remedy = 'write ["CMD", "program", "argument"], ["CMD-SHELL", "line for a shell"] or ["NONE"]'
            self.read.fault(node, path, "is no test", remedy)
            return None
        rest = [self.read.value(item, f"{path}[{index}]", "text") for index, item in enumerate(node.items[1:], 1)]
        return None if None in rest else [form, *rest]

    # --- together -----------------------------------------------------------------------------------------------------

    def finish(self, node: tree.Mapping, path: str) -> dict[str, Any] | None:
        if node.get("image") is None:
            others = "publish with `penstock release publish --build`; nothing is built on a device" if node.get("build") else "name the image it runs"
            self.read.fault(node, path, "`image` is missing", others)
            return None
        if self.mounts or self.tmpfs:
            self.made["mounts"] = [*self.mounts, *self.tmpfs]
        resources = {field: value for field, (value, _) in self.limits.items() if value != 0}
        if resources:
            self.made["resources"] = resources
        if "platform" in self.made and isinstance(self.made["platform"], Hole):
            self.read.fault(node, f"{path}.platform", "no parameter may stand here", "leave `platform` out: each device gets the image built for it")
        options = {key: value for key, value in self.options.made.items() if value is not False and value not in ({}, [])}
        if options:
            self.made["options"] = options
        if self.files:
            self.made["files"] = self.files
        if self.replicas:
            self.made["replicas"] = next(iter(self.replicas.values()))
        if self.made.get("restart") == "no" and "restart" not in (entry.key for entry in node.entries):
            del self.made["restart"]
        return {"name": self.name, **{key: value for key, value in self.made.items() if value not in ({}, ())}}


def read_service(read: Reader, name: str, node: tree.Node, path: str) -> dict[str, Any] | None:
    """A service in wire shape; None after a fault that leaves nothing to check."""
    mapping = read.mapping(node, path)
    if mapping is None:
        return None
    own = _Service(read, name)
    take = own.parts.take
    handlers = {
        "image": take("image", "something"),
        "command": own.command("command"),
        "entrypoint": own.command("entrypoint"),
        "environment": own.environment,
        "ports": own.listed("ports", lists.ports),
        "expose": own.expose,
        "volumes": own.volumes,
        "tmpfs": own.take_tmpfs,
        "networks": own.networks,
        "depends_on": own.listed("depends_on", lists.depends_on),
        "healthcheck": own.healthcheck,
        "restart": own.restart,
        "deploy": own.deploy,
        "mem_limit": own.limit("memory_bytes", "memory_bytes"),
        "mem_reservation": own.limit("memory_reservation_bytes", "memory_bytes"),
        "memswap_limit": own.limit("memory_swap_bytes", "swap_bytes"),
        "cpus": own.limit("nano_cpus", "nano_cpus"),
        "pids_limit": own.limit("pids", "pids"),
        "cpuset": own.limit("cpuset", "cpuset"),
        "devices": own.listed("devices", lists.devices),
        "user": take("user", "user"),
        "working_dir": take("working_dir", "absolute"),
        "labels": own.labels,
        "stop_grace_period": take("stop_grace_ms", "duration_ms"),
        "stop_signal": take("stop_signal", "stop_signal"),
        "container_name": take("container_name", "container_name"),
        "platform": take("platform", "platform"),
        "links": own.links,
        "configs": own.take_files("config"),
        "secrets": own.take_files("secret"),
        "scale": own.count,
        **rarer.handlers(read, own.options),
    }
    read.keys(mapping, path, handlers, refused.SERVICE, "a service")
    return own.finish(mapping, path)
