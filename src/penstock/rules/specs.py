"""What makes a container another container: which services differ between two releases, and in what.

Owns the digest a container is labelled with and the difference of two services in words. Nothing here looks at an engine (`drift` does).
"""

from __future__ import annotations

from penstock.rules.variants import image_of, variants_of
from penstock.wire.codec import canonical, to_plain
from penstock.wire.options import IN_SERVICE
from penstock.wire.record import record, replace
from penstock.wire.types import AppState, Network, Service, service_digest, sha256_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def spec_of(state: AppState, service: Service, platforms: tuple[str, ...]) -> str:
    """The digest of all that makes the container of `service` what it is on this device."""
    variant = variants_of(state, platforms).get(service.name)
    return _spec(state, service, variant.platform if variant else "")


def _spec(state: AppState, service: Service, platform: str) -> str:
    own = service_digest(service, image_of(state, service), platform)
    hosts = hosts_of(state, service)
    if not hosts:
        return own
    # It lives inside other containers' namespaces: where one of those is made anew, so is this.
    return sha256_of(canonical([own, *(service_digest(host, image_of(state, host)) for host in hosts)]))


def hosts_of(state: AppState, service: Service) -> tuple[Service, ...]:
    """The services in whose namespaces this one lives, and those in whose these live, by name."""
    by_name = {one.name: one for one in state.services}
    found: dict[str, Service] = {}
    asked = [service]
    while asked:
        options = asked.pop().options
        for mode in (options.network_mode, options.ipc, options.pid):
            name = mode[len(IN_SERVICE) :] if mode.startswith(IN_SERVICE) else ""
            if name in by_name and name not in found and name != service.name:
                found[name] = by_name[name]
                asked.append(by_name[name])
    return tuple(found[name] for name in sorted(found))


def specs_of(state: AppState, platforms: tuple[str, ...]) -> dict[str, str]:
    """Each service to its digest."""
    variants = variants_of(state, platforms)
    found = {}
    for service in state.services:
        variant = variants.get(service.name)
        found[service.name] = _spec(state, service, variant.platform if variant else "")
    return found


def network_spec(network: Network) -> str:
    """The digest of all that makes a network what it is."""
    return sha256_of(canonical(to_plain(replace(network, name="net", engine_name="", external=False))))


@record
class Changed:
    """How one release differs from another, by service."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    altered: tuple[str, ...]
    same: tuple[str, ...]


def changed(old: AppState | None, new: AppState | None, platforms: tuple[str, ...]) -> Changed:
    """Which services come, go, must be made anew, and stay untouched. A service stays when its digest and the networks it joins stay."""
    one = _full(old, platforms)
    two = _full(new, platforms)
    return Changed(
        added=tuple(sorted(set(two) - set(one))),
        removed=tuple(sorted(set(one) - set(two))),
        altered=tuple(sorted(name for name in two if name in one and one[name] != two[name])),
        same=tuple(sorted(name for name in two if one.get(name) == two[name])),
    )


def _full(state: AppState | None, platforms: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    if state is None:
        return {}
    specs = specs_of(state, platforms)
    networks = {network.name: network_spec(network) for network in state.networks}
    return {service.name: (specs[service.name], *sorted(networks.get(use.network, "") for use in service.networks)) for service in state.services}


def differences_in_words(old: Service, new: Service) -> tuple[str, ...]:
    """Field by field, what a person reads before a change: "environment.MODE: slow -> fast"."""
    return tuple(_walk(to_plain(old), to_plain(new), ""))


def _walk(one: Any, two: Any, path: str) -> list[str]:
    if isinstance(one, dict) and isinstance(two, dict):
        found = []
        for key in sorted(set(one) | set(two)):
            found.extend(_walk(one.get(key), two.get(key), f"{path}.{key}" if path else key))
        return found
    if one == two:
        return []
    return [f"{path}: {_short(one)} -> {_short(two)}"]


def _short(value: Any) -> str:
    if value is None:
        return "(default)"
    text = value if isinstance(value, str) else canonical(value).decode("ascii")
    return text if len(text) <= 120 else text[:117] + "..."
