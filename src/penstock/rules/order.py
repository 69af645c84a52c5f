"""In which order services start and stop.

Owns the order over `depends_on` and the sentence that names a cycle. The start order is the same for every order in which the services are
written; the stop order is its reverse. Whether a condition is met is `health`'s to say.
"""

from __future__ import annotations

from penstock.wire.types import Service


class OrderFault(ValueError):
    """Services that wait for each other, or for one that is not there. The text is a sentence."""


def start_order(services: tuple[Service, ...]) -> tuple[Service, ...]:
    """Every service after those it depends on, ties by name. Raises OrderFault naming the cycle or the missing service."""
    by_name = {service.name: service for service in services}
    waits: dict[str, set[str]] = {}
    for service in services:
        waits[service.name] = set()
        for dependency in service.depends_on:
            if dependency.service in by_name:
                waits[service.name].add(dependency.service)
            elif dependency.required:
                raise OrderFault(f"service {service.name} depends on {dependency.service}, which the release does not have")
    done: list[Service] = []
    while waits:
        ready = sorted(name for name, needs in waits.items() if not needs)
        if not ready:
            raise OrderFault("services wait for each other in a circle: " + " -> ".join(_circle(waits)))
        for name in ready:
            del waits[name]
            done.append(by_name[name])
        for needs in waits.values():
            needs.difference_update(ready)
    return tuple(done)


def _circle(waits: dict[str, set[str]]) -> list[str]:
    name = min(waits)
    seen: list[str] = []
    while name not in seen:
        seen.append(name)
        name = min(waits[name])
    return [*seen[seen.index(name) :], name]


def stop_order(services: tuple[Service, ...]) -> tuple[Service, ...]:
    """The reverse of the start order; a release that somehow holds a circle is stopped in the reverse of how it is written."""
    try:
        return start_order(services)[::-1]
    except OrderFault:
        return services[::-1]
