"""Keys that Compose knows and Penstock does not take, each with what to do instead.

Owns sentences only. A key is refused wherever it stands; this page decides how helpfully.
"""

from __future__ import annotations

NOT_YET = "leave it out; if the app cannot do without it, it cannot be run by this version"
SWARM = "leave it out; it is for Docker Swarm, and a device is one engine"
ISOLATION = "leave it out; a service that needs it cannot be run by this version, ask its vendor for one that does with devices and named volumes"

SERVICE = {
    "annotations": "write them as labels",
    "attach": "leave it out; it is about a terminal",
    "blkio_config": NOT_YET,
    "build": "build the image, push it to the built-in registry and name it under `image`; nothing is built on a device",
    "cap_add": ISOLATION,
    "cap_drop": NOT_YET,
    "cgroup": ISOLATION,
    "cgroup_parent": ISOLATION,
    "configs": "put the files into the image, or write the settings under `environment`",
    "cpu_count": "write `cpus`",
    "cpu_percent": "write `cpus`",
    "cpu_period": "write `cpus`",
    "cpu_quota": "write `cpus`",
    "cpu_rt_period": NOT_YET,
    "cpu_rt_runtime": NOT_YET,
    "cpu_shares": "write `cpus` for a limit",
    "credential_spec": "leave it out; it is for Windows",
    "develop": "leave it out; it is for a developer's machine",
    "device_cgroup_rules": "name the device nodes under `devices`",
    "dns": "leave it out; set the name servers of the device's engine",
    "dns_opt": "leave it out; set the name servers of the device's engine",
    "dns_search": "leave it out; write full host names",
    "domainname": NOT_YET,
    "env_file": "write the variables under `environment`; what differs from device to device as ${NAME}",
    "extends": "write the service out, or use a YAML anchor and `<<`",
    "external_links": "join an external network under `networks`",
    "extra_hosts": "use the host's name server, or give the address as an environment variable ${NAME}",
    "gpus": "name the device nodes under `devices`",
    "group_add": "write `user: name:group`",
    "hostname": "leave it out; other services reach it by its service name, or by an alias under `networks`",
    "init": "leave it out, and let the image bring an init such as tini if it needs one",
    "ipc": ISOLATION,
    "isolation": "leave it out; it is for Windows",
    "label_file": "write the labels under `labels`",
    "links": "leave it out; services of one network reach each other by name. For another name write an alias under `networks`",
    "logging": "leave it out; set the log driver and its limits in the device's engine",
    "mac_address": NOT_YET,
    "mem_swappiness": NOT_YET,
    "memory": "write `mem_limit`",
    "models": NOT_YET,
    "net": "write `networks`",
    "network_mode": "join networks under `networks` and publish what must be reachable under `ports`",
    "oom_kill_disable": "leave it out; set `mem_limit` so that it fits",
    "oom_score_adj": NOT_YET,
    "pid": ISOLATION,
    "post_start": "do it in the container's own entrypoint",
    "pre_stop": "let the container do it when it gets its stop signal; give it time with `stop_grace_period`",
    "privileged": "leave it out and name what is needed under `devices`",
    "profiles": "leave it out and publish two apps, or two releases",
    "provider": NOT_YET,
    "pull_policy": "leave it out; images are pinned by digest and fetched before the change",
    "read_only": NOT_YET,
    "runtime": NOT_YET,
    "scale": "leave it out; write the service twice under two names",
    "secrets": "name the parameter under `x-penstock: secrets:` and use it as the whole value of an environment variable, `NAME: ${PARAMETER}`",
    "security_opt": ISOLATION,
    "shm_size": "mount a tmpfs of the wanted size at /dev/shm: `tmpfs: /dev/shm:size=64m`",
    "stdin_open": "leave it out; nobody sits at a container's terminal",
    "storage_opt": NOT_YET,
    "sysctls": "leave it out; set it on the device",
    "tty": "leave it out; nobody sits at a container's terminal",
    "ulimits": "leave it out; set the default limits of the device's engine",
    "use_api_socket": ISOLATION,
    "userns_mode": ISOLATION,
    "uts": ISOLATION,
    "volume_driver": "write the driver of the volume under the top-level `volumes`",
    "volumes_from": "name the same volume in both services",
}

DEPLOY = {
    "endpoint_mode": SWARM,
    "labels": "write them under the service's `labels`",
    "mode": SWARM,
    "placement": "choose the devices in the deployment",
    "restart_policy": "write `restart` in the service",
    "rollback_config": "leave it out; going back is decided on the device, see `x-penstock`",
    "update_config": "leave it out; waves and windows belong to the deployment and the site",
}

LIMITS = {"devices": "name the device nodes under the service's `devices`", "generic_resources": SWARM}
RESERVATIONS = {
    "cpus": "leave it out; an engine can limit processors but not reserve them",
    "pids": "write it under `limits`",
    "devices": "name the device nodes under the service's `devices`",
    "generic_resources": SWARM,
}

TOP = {
    "secrets": "name the parameter under `x-penstock: secrets:` and use it as the whole value of an environment variable, `NAME: ${PARAMETER}`",
    "configs": "put the files into the images, or write the settings under `environment`",
    "include": "put everything into one file",
    "models": NOT_YET,
}

VOLUME = {"driver_config": "write `driver_opts`"}
NETWORK = {
    "attachable": SWARM,
    "enable_ipv4": NOT_YET,
    "enable_ipv6": NOT_YET,
    "ipam": "leave it out, the engine picks addresses; or create the network on the device and name it as `external`",
}
NETWORK_USE = {
    "driver_opts": NOT_YET,
    "gw_priority": NOT_YET,
    "interface_name": NOT_YET,
    "ipv6_address": NOT_YET,
    "link_local_ips": NOT_YET,
    "mac_address": NOT_YET,
    "priority": NOT_YET,
}
PORT = {"name": "leave it out, or write it as a comment", "app_protocol": "leave it out, or write it as a comment"}
MOUNT = {
    "bind": "leave it out; the folder must exist on the device, and its SELinux label is set there",
    "volume": "leave it out; a new named volume begins with what the image holds there",
    "image": NOT_YET,
    "consistency": "leave it out; it has no effect on Linux",
}
HEALTHCHECK: dict[str, str] = {}
DEPENDENCY: dict[str, str] = {}
