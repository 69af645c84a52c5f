"""How the simulated engine makes a container: through the same translations a real engine's container goes through, out and back.

Owns the merge of a create call with what the image brings, as engines do it. Pure.
"""

from __future__ import annotations

import hashlib

from penstock.agent.runtimes import CreateOrder, dockerorders, dockerseen
from penstock.agent.runtimes.dockerfiles import content_of
from penstock.agent.runtimes.fakelife import FakeContainer, FakeImage
from penstock.rules.observed import ImageDefaults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def make_container(order: CreateOrder, image: FakeImage, image_id: str, number: int, now_ms: int) -> FakeContainer:
    """The container an order makes; `number` tells it from others of its name."""
    identity = hashlib.sha256(f"{order.name} {number}".encode()).hexdigest()
    body = dockerorders.container_body(order, image_id, image.defaults, start_interval=True)
    seen = dockerseen.container(_as_inspected(identity, order, body, image.defaults), image.defaults, podman=False)
    made = FakeContainer(identity, order.name, seen.image, image.version, seen.settings, seen.labels, image.defaults)
    made.environment = {**image.defaults.environment, **order.service.environment, **order.secrets}
    made.ports = {(port.host, port.protocol) for port in order.service.ports if port.host}
    made.files = {file.target: content_of(file, order.secret_files) for file in order.service.files}
    made.created_ms = now_ms
    return made


def _as_inspected(identity: str, order: CreateOrder, body: dict[str, Any], image: ImageDefaults) -> dict[str, Any]:
    """A create body as an engine shows it again: the image's own settings merged in (moby, merge of container and image configuration)."""
    host = body["HostConfig"]
    names = {line.partition("=")[0] for line in body["Env"]}
    entrypoint = body.get("Entrypoint", list(image.entrypoint))
    command = body.get("Cmd", [] if body.get("Entrypoint") else list(image.command))
    networks = {order.networks.get(use.network, use.network): dockerorders.endpoint(order.service, use) for use in order.service.networks}
    return {
        "Id": identity,
        "Name": "/" + order.name,
        "Image": body["Image"],
        "State": {"Status": "created"},
        "Config": {
            "Env": body["Env"] + [f"{name}={value}" for name, value in image.environment.items() if name not in names],
            "Cmd": command,
            "Entrypoint": entrypoint,
            "Labels": {**image.labels, **body["Labels"]},
            "ExposedPorts": {**body["ExposedPorts"], **{port: {} for port in image.expose}},
            "User": body.get("User") or image.user,
            "WorkingDir": body.get("WorkingDir") or image.working_dir,
            "StopSignal": body.get("StopSignal") or image.stop_signal,
            "Healthcheck": body.get("Healthcheck") or _checked(image),
            **{key: body[key] for key in ("Hostname", "Domainname", "Tty", "OpenStdin", "MacAddress") if key in body},
        },
        "HostConfig": host,
        "NetworkSettings": {"Networks": networks},
        "Mounts": [
            {
                "Type": mount["Type"],
                "Name": mount["Source"],
                "Source": mount["Source"],
                "Destination": mount["Target"],
                "RW": not mount["ReadOnly"],
                "Propagation": mount.get("BindOptions", {}).get("Propagation", ""),
            }
            for mount in host["Mounts"]
        ]
        + [_bound(text) for text in host.get("Binds", ())],
    }


def _bound(text: str) -> dict[str, Any]:
    source, target, options = text.split(":")
    words = options.split(",")
    propagation = next((word for word in words if word.lstrip("r") in ("private", "shared", "slave")), "")
    return {"Type": "bind", "Source": source, "Destination": target, "RW": "ro" not in words, "Propagation": propagation}


def _checked(image: ImageDefaults) -> dict[str, Any] | None:
    check = image.healthcheck
    if check is None:
        return None
    return {
        "Test": list(check.test),
        "Interval": check.interval_ms * dockerorders.MS,
        "Timeout": check.timeout_ms * dockerorders.MS,
        "Retries": check.retries,
        "StartPeriod": check.start_period_ms * dockerorders.MS,
    }
