"""The engine of a simulated device: the fake runtime, with a record of what the agent did to it and of what others did.

Owns the record, and the acts of people at the machine (stop, remove, tamper, prune). The model of containers is `agent.runtimes.fake`'s.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock.agent.runtimes import RuntimeFault
from penstock.agent.runtimes.fake import FakeRuntime
from penstock.agent.runtimes.fakelife import FakeContainer
from penstock.agent.runtimes.fakeworld import FakeWorld
from penstock.rules.observed import LABEL_APP, LABEL_DEVICE, LABEL_SERVICE, LABEL_TOKEN
from penstock.sim.catalogue import MARK

TOUCHING = (
    "create",
    "start",
    "stop",
    "restart",
    "remove",
    "rename",
    "import_volume",
    "remove_volume",
    "create_volume",
    "create_network",
    "remove_network",
    "prune",
    "unkeep",
)


@dataclass(frozen=True)
class Shown:
    """A container as it was at one moment."""

    id: str
    name: str
    app: str
    service: str
    mark: str
    state: str
    health: str
    token: str
    device: str


@dataclass(frozen=True)
class Act:
    """Something the agent did. `target` is the container concerned, None for other things; `name` is what the verb named."""

    at_ms: int
    verb: str
    name: str
    target: Shown | None


class SimEngine:
    """The runtime the hands get. Every verb goes to the fake runtime over `fake`; those that touch something are told to `seen`."""

    def __init__(self, fake: FakeWorld, seen: Callable[[Act], None]) -> None:
        self.fake = fake
        self._runtime = FakeRuntime(fake)
        self._seen = seen

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._runtime, name)
        if name not in TOUCHING:
            return verb

        def told(*arguments: Any, **named: Any) -> Any:
            first = arguments[0] if arguments else ""
            target = self.shown(first) if isinstance(first, str) and first in self.fake.containers else None
            at_ms = self.fake.clock()
            there = set(self.fake.containers)
            try:
                result = verb(*arguments, **named)
            except RuntimeFault:
                # Also what failed may have happened: only the answer was lost.
                if target is not None and self._differs(target):
                    self._seen(Act(at_ms, name, first, target))
                for fresh in sorted(set(self.fake.containers) - there):
                    self._seen(Act(at_ms, name, fresh, self.shown(fresh)))
                raise
            if name == "create":
                if result not in there:
                    self._seen(Act(at_ms, name, result, self.shown(result)))
            elif target is not None:
                if name != "stop" or self._differs(target):
                    self._seen(Act(at_ms, name, first, target))
            else:
                self._seen(Act(at_ms, name, first if isinstance(first, str) else getattr(first, "name", ""), None))
            return result

        return told

    def _differs(self, before: Shown) -> bool:
        return before.id not in self.fake.containers or self.shown(before.id) != before

    def shown(self, identity: str) -> Shown:
        """One container now."""
        container = self.fake.containers[identity]
        now = self.fake.clock()
        container.settle(now, self.fake.volumes)
        health = container.health(now, self.fake.volumes, timers=self.fake.timers)
        labels = container.labels
        return Shown(
            identity,
            container.name,
            labels.get(LABEL_APP, ""),
            labels.get(LABEL_SERVICE, ""),
            container.environment.get(MARK, ""),
            container.state,
            health,
            labels.get(LABEL_TOKEN, ""),
            labels.get(LABEL_DEVICE, ""),
        )

    def all_shown(self) -> list[Shown]:
        """Every container, by name."""
        return sorted((self.shown(identity) for identity in list(self.fake.containers)), key=lambda one: (one.name, one.id))

    # --- people at the machine ------------------------------------------------------------------------------------------

    def of_app(self, app: str) -> list[FakeContainer]:
        """The containers that bear an app's label."""
        return sorted((one for one in self.fake.containers.values() if one.labels.get(LABEL_APP) == app), key=lambda one: one.name)

    def meddle(self, dice: random.Random, device: str) -> tuple[str, set[str]] | None:
        """Somebody does something by hand; what, and which apps it concerns."""
        mine = sorted((one for one in self.fake.containers.values() if one.labels.get(LABEL_DEVICE) == device), key=lambda one: one.name)
        kind = dice.choice(("stop", "remove", "tamper", "kill", "prune", "stranger", "look-alike"))
        if kind == "prune":
            self.fake.prune_images()
            return "somebody ran a prune of all images", set()
        if kind == "stranger":
            self.fake.stranger_container(f"stranger-{dice.randrange(1000)}")
            return "somebody started a container of their own", set()
        if not mine:
            return None
        one = dice.choice(mine)
        app = one.labels.get(LABEL_APP, "")
        if kind == "stop":
            self.fake.stop_by_hand(one.id)
        elif kind == "remove":
            self.fake.vanish(one.id)
        elif kind == "tamper":
            self.fake.tamper(one.id, user="1000")
        elif kind == "kill":
            if one.state == "running":
                self.fake.kill(one.id)
        else:
            identity = self.fake.stranger_container(f"copy-of-{one.name}-{dice.randrange(1000)}")
            copy = self.fake.containers[identity]
            copy.labels = {**one.labels, LABEL_TOKEN: "tok_of_somebody_else"}
            return f"somebody ran a copy of {one.name} with its labels", set()
        return f"{kind} of {one.name} by hand", {app}


def copied(world: FakeWorld) -> FakeWorld:
    """What of an engine lies on its disk, in another one that nobody uses. Records are never changed, so they may be shared."""
    made = FakeWorld(world.clock, world.platforms, world.store)
    made.free_bytes = world.free_bytes
    for digest, image in world.images.items():
        made.images[digest] = copy.copy(image)
        made.images[digest].names = set(image.names)
    for identity, container in world.containers.items():
        made.containers[identity] = copy.copy(container)
        made.containers[identity].log = list(container.log)
    for name, volume in world.volumes.items():
        made.volumes[name] = copy.copy(volume)
        made.volumes[name].files = dict(volume.files)
    made.networks = {name: (order, set(attached)) for name, (order, attached) in world.networks.items()}
    return made
