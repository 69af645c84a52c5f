"""Keys that Compose knows and Penstock does not take, each with what to do instead.

Owns sentences only. A key is refused wherever it stands; this page decides how helpfully.
"""

from __future__ import annotations

NOT_YET = "leave it out; if the app cannot do without it, it cannot be run by this version"
SWARM = "leave it out; it is for Docker Swarm, and a device is one engine"

SERVICE = {
    "attach": "leave it out; it is about a terminal",
    "blkio_config": NOT_YET,
    "build": "publish with `penstock release publish --build`, which builds it here and pushes it; nothing is built on a device",
    "cpu_count": "write `cpus`",
    "cpu_percent": "write `cpus`",
    "credential_spec": "leave it out; it is for Windows",
    "develop": "leave it out; it is for a developer's machine",
    "external_links": "join an external network under `networks`",
    "isolation": "leave it out; it is for Windows",
    "memory": "write `mem_limit`",
    "models": NOT_YET,
    "net": "write `networks`",
    "post_start": "do it in the container's own entrypoint",
    "pre_stop": "let the container do it when it gets its stop signal; give it time with `stop_grace_period`",
    "provider": NOT_YET,
    "pull_policy": "leave it out; images are pinned by digest and fetched before the change",
    "use_api_socket": "bind the engine's socket: `volumes: [/var/run/docker.sock:/var/run/docker.sock]`",
    "volume_driver": "write the driver of the volume under the top-level `volumes`",
    "volumes_from": "name the same volume in both services",
}

DEPLOY = {
    "endpoint_mode": SWARM,
    "labels": "write them under the service's `labels`",
    "placement": "choose the devices in the deployment",
    "rollback_config": "leave it out; going back is decided on the device, see `x-penstock`",
    "update_config": "leave it out; waves and windows belong to the deployment and the site",
}

LIMITS = {"devices": "name the device nodes under the service's `devices`", "generic_resources": SWARM}
RESERVATIONS = {
    "cpus": "leave it out; an engine can limit processors but not reserve them",
    "pids": "write it under `limits`",
    "generic_resources": SWARM,
}

RESTART_POLICY = {
    "delay": "leave it out; an engine waits longer after each restart by itself",
    "window": "leave it out; when it counts as good is said by `soak` under `x-penstock`",
}

TOP = {
    "models": NOT_YET,
}

VOLUME = {"driver_config": "write `driver_opts`"}
NETWORK = {"enable_ipv4": NOT_YET}
NETWORK_USE = {"gw_priority": "write `priority`", "interface_name": NOT_YET}
PORT = {"name": "leave it out, or write it as a comment", "app_protocol": "leave it out, or write it as a comment"}
MOUNT = {
    "bind": "leave it out; it belongs to a mount of type bind",
    "volume": "leave it out; it belongs to a mount of type volume",
    "tmpfs": "leave it out; it belongs to a mount of type tmpfs",
    "image": NOT_YET,
    "consistency": "leave it out; it has no effect on Linux",
}
BIND = {"recursive": NOT_YET}
MOUNTED_VOLUME = {"subpath": "mount the whole volume, or make a volume of its own for that folder", "labels": "write them at the top-level volume"}
ACCELERATOR = {"kind": "write `capabilities`"}
HEALTHCHECK: dict[str, str] = {}
DEPENDENCY: dict[str, str] = {}
