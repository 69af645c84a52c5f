"""What the services of a file make of each other before any value is known: copies of one service, names through links, shared namespaces, volumes
without a name, the network nobody names.

Owns those steps (`arrange`), in that order, on services in wire shape with holes. They leave nothing behind that the wire does not know. What must not be
is checked in `whole`, once values are known.
"""

from __future__ import annotations

import hashlib
from typing import Any

from penstock.server.core.compose.reader import Reader
from penstock.server.core.compose.scalars import shown
from penstock.wire.options import IN_SERVICE
from penstock.wire.types import name_fault

DEFAULT_NETWORK = "default"
SHARED = ("network_mode", "ipc", "pid")

Plain = dict[str, Any]


def arrange(read: Reader, services: list[Plain], volumes: list[Plain], networks: list[Plain]) -> list[Plain]:
    """The services as they go on, copies made; `volumes` and `networks` gain what is used without being declared."""
    copies = {service["name"]: _copies(read, service) for service in services}
    _taken(read, copies)
    made = [copy for service in services for copy in _made(read, service, copies)]
    _default_network(made, networks)
    for service in made:
        _anonymous(service, volumes)
        _inside(read, service, copies)
    _links(read, made, copies)
    for service in made:
        service.pop("links", None)
    return made


def _fault(read: Reader, path: str, why: str, remedy: str) -> None:
    nearest = path
    while nearest and nearest not in read.places:
        nearest = nearest.rpartition(".")[0]
    line, column = read.places.get(nearest, (0, 0))
    read.faults.add(path, line, column, why, remedy)


# --- several containers of one service --------------------------------------------------------------------------------


def _copies(read: Reader, service: Plain) -> list[str]:
    """The names of the services that this one becomes: itself, or NAME-1 to NAME-n."""
    count = service.pop("replicas", 1)
    name = service["name"]
    if count == 1:
        return [name]
    if "container_name" in service:
        _fault(read, f"services.{name}.container_name", f"{count} containers cannot have one name", "leave `container_name` out, or run one")
    names = [f"{name}-{number}" for number in range(1, count + 1)]
    for one in names:
        fault = name_fault(one)
        if fault:
            _fault(read, f"services.{name}", f"its containers are called {one[:70]}: {fault}", "give the service a shorter name")
    return names


def _taken(read: Reader, copies: dict[str, list[str]]) -> None:
    for name, several in copies.items():
        for one in several:
            if one != name and one in copies:
                _fault(read, f"services.{name}", f"one of its {len(several)} containers is called {one}, like another service", "rename one of the two")


def _made(read: Reader, service: Plain, copies: dict[str, list[str]]) -> list[Plain]:
    name = service["name"]
    needs: list[Plain] = []
    for need in service.get("depends_on", ()):
        several = copies.get(need["service"])
        if several is None and need.get("required") is False:
            continue  # nobody waits for what is not there (compose-spec, depends_on, required)
        needs.extend({**need, "service": one} for one in several or [need["service"]])
    if needs:
        service["depends_on"] = needs
    else:
        service.pop("depends_on", None)
    if len(copies[name]) == 1:
        _spread_alone(read, service)
        return [service]
    made = []
    for index, one in enumerate(copies[name]):
        copy = {**service, "name": one, "alias": name}
        copy.pop("container_name", None)
        if "ports" in service:
            copy["ports"] = [_own_port(read, name, port, index, len(copies[name])) for port in service["ports"]]
        if "networks" in service:
            copy["networks"] = [dict(use) for use in service["networks"]]
        made.append(copy)
        for path, place in list(read.places.items()):
            if path == f"services.{name}" or path.startswith(f"services.{name}."):
                read.places.setdefault(f"services.{one}{path[len('services.' + name) :]}", place)
    for use in service.get("networks", ()):
        if use.get("ipv4") or use.get("ipv6") or use.get("mac_address"):
            why = f"{len(made)} containers cannot have one address"
            _fault(read, f"services.{name}.networks.{use['network'][:60]}", why, "let the network give them, or run one container")
    return made


def _spread_alone(read: Reader, service: Plain) -> None:
    for port in service.get("ports", ()):
        if isinstance(port, dict) and "spread" in port:
            hosts = port.pop("spread")
            why = f"{len(hosts)} ports of the device for 1 of the container"
            _fault(read, port.pop("at"), why, "name one port of the device, or leave it out and let the engine choose")


def _own_port(read: Reader, name: str, port: Any, index: int, count: int) -> Any:
    if not isinstance(port, dict):
        return port  # it waits for a value; two that come out the same are refused then
    hosts = port.get("spread")
    if hosts is None:
        if port.get("host") and index == 0:
            why = f"{count} containers cannot share port {port['host']} of the device"
            remedy = f"write a range of {count} ports, such as 8080-{8079 + count}:{port['container']}, or leave the device's port out"
            _fault(read, f"services.{name}.ports", why, remedy)
        return {key: value for key, value in port.items() if key != "host"}
    if len(hosts) < count:
        if index == 0:
            _fault(read, f"services.{name}.ports", f"{len(hosts)} ports of the device for {count} containers", "make the range as long as there are containers")
        return {key: value for key, value in port.items() if key not in ("spread", "at")}
    return {**{key: value for key, value in port.items() if key not in ("spread", "at")}, "host": hosts[index]}


# --- one beside another -----------------------------------------------------------------------------------------------


def _default_network(services: list[Plain], networks: list[Plain]) -> None:
    """A service that names no network joins the app's default one, which exists as soon as it is used (compose-spec, networks)."""
    for service in services:
        alone = service.get("options", {}).get("network_mode")
        if "networks" not in service and not alone:
            service["networks"] = [{"network": DEFAULT_NETWORK, "aliases": [service.get("alias", service["name"])]}]
        service.pop("alias", None)
    used = any(use["network"] == DEFAULT_NETWORK for service in services for use in service.get("networks", ()))
    if used and not any(network["name"] == DEFAULT_NETWORK for network in networks):
        networks.append({"name": DEFAULT_NETWORK})


def _anonymous(service: Plain, volumes: list[Plain]) -> None:
    """A mount without a name gets one that stays the same from release to release, so that its data stays too."""
    if not any(isinstance(mount, dict) and mount.get("source") == "" for mount in service.get("mounts", ())):
        return
    mounts = []
    for mount in service["mounts"]:
        if isinstance(mount, dict) and mount.get("source") == "":
            digest = hashlib.sha256(f"{service['name']} {mount['target']}".encode()).hexdigest()[:8]
            name = f"unnamed-{service['name'][:40].rstrip('-_.')}-{digest}"
            mounts.append({**mount, "source": name})
            if all(volume["name"] != name for volume in volumes):
                volumes.append({"name": name})
        else:
            mounts.append(mount)
    service["mounts"] = mounts


def _inside(read: Reader, service: Plain, copies: dict[str, list[str]]) -> None:
    """A service inside another's namespace needs it first, and begins anew with it (compose-spec, network_mode)."""
    for field in SHARED:
        mode = service.get("options", {}).get(field, "")
        if not isinstance(mode, str) or not mode.startswith(IN_SERVICE):
            continue
        other = mode[len(IN_SERVICE) :]
        path = f"services.{service['name']}.{field}"
        if other not in copies:
            _fault(read, path, f"there is no service {shown(other)} in this file", "name a service of this file")
            continue
        if len(copies[other]) > 1:
            _fault(read, path, f"{other} is {len(copies[other])} containers, and one can be lived in", f"run one container of {other}")
        _needs(service, other, restart=True)


def _needs(service: Plain, other: str, *, restart: bool = False) -> None:
    needs = service.get("depends_on", [])
    for index, need in enumerate(needs):
        if need["service"] == other:
            if restart:
                service["depends_on"] = [*needs[:index], {**need, "restart": True}, *needs[index + 1 :]]
            return
    service["depends_on"] = [*needs, {"service": other, **({"restart": True} if restart else {})}]


def _links(read: Reader, services: list[Plain], copies: dict[str, list[str]]) -> None:
    """A link is a name for another service: an alias of it in the networks both join."""
    by_name = {service["name"]: service for service in services}
    for service in services:
        for other, alias in service.get("links", ()):
            path = f"services.{service['name']}.links"
            targets = [by_name[one] for one in copies.get(other, ())]
            if not targets:
                _fault(read, path, f"there is no service {shown(other)} in this file", "name a service of this file, or remove it")
                continue
            if alias != other and alias in copies:
                _fault(read, path, f"{shown(alias)} is a service of this file, so it cannot be another name for {other}", "choose another name")
                continue
            own = {use["network"] for use in service.get("networks", ())}
            shared = False
            for target in targets:
                _needs(service, target["name"])
                for use in target.get("networks", ()):
                    if use["network"] in own:
                        shared = True
                        use["aliases"] = list(dict.fromkeys([*use.get("aliases", ()), alias]))
            if not shared:
                _fault(read, path, f"{service['name']} and {other} share no network", "let both join one network under `networks`")
