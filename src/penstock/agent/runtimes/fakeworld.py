"""The world of the simulated engine: what it holds, and the knobs that make it slow, flaky, full, pruned, tampered with or gone.

Owns the state behind `fake.FakeRuntime` and everything that happens to an engine from outside. It outlives an agent: after a crash a
new runtime goes on with the same world. Reads no clock (one is handed in), draws nothing at random, waits for nothing.
"""

from __future__ import annotations

import hashlib
import json
import os

from penstock.agent.runtimes import NetworkOrder, RuntimeFault, dockerseen
from penstock.agent.runtimes.fakelife import FakeContainer, FakeImage, FakeVolume
from penstock.rules.observed import ImageDefaults
from penstock.wire.record import replace
from penstock.wire.types import Variant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from penstock.agent.runtimes import BlobSource

    Trouble = Callable[[str, str], "RuntimeFault | None"]


class FakeWorld:
    """One engine's world. `clock` gives unix milliseconds. Plain attributes are knobs; `trouble(verb, when)` is asked at every verb, `when`
    being "before" (nothing has happened yet), "after" (it has, and only the answer is lost) and, for `import_volume`, "middle" (the old
    data is gone, the new not there). What verbs would have taken adds up in `spent_ms`."""

    def __init__(self, clock: Callable[[], int], platforms: tuple[str, ...] = ("linux/amd64",), store: str = "config") -> None:
        self.clock = clock
        self.platforms = platforms
        self.store = store
        self.timers = True
        self.down = ""  # a sentence: the engine does not answer, and this is why
        self.free_bytes = 10 * 1024**3
        self.trouble: Trouble = lambda _verb, _when: None
        self.taken_ports: set[tuple[int, str]] = set()  # held by programs outside the containers
        self.verb_ms = 20
        self.bytes_per_s = 50 * 1024**2
        self.spent_ms = 0
        self.images: dict[str, FakeImage] = {}  # by manifest digest
        self.containers: dict[str, FakeContainer] = {}
        self.volumes: dict[str, FakeVolume] = {}
        self.networks: dict[str, tuple[NetworkOrder, set[str]]] = {}
        self._known: dict[str, tuple[ImageDefaults, str]] = {}
        self.made = 0

    def settle(self) -> int:
        """Let all containers live up to now; now."""
        now = self.clock()
        for container in self.containers.values():
            container.settle(now, self.volumes)
        return now

    def enter(self, verb: str, when: str = "before") -> None:
        """A verb begins, or has done its work. Raises RuntimeFault where the world says so."""
        if self.down:
            raise RuntimeFault("engine-down", self.down, retry=True)
        self.spent_ms += self.verb_ms if when == "before" else 0
        fault = self.trouble(verb, when)
        if fault is not None:
            raise fault

    def identity(self, variant: Variant) -> str:
        """The id an engine with this kind of store gives the image."""
        return variant.config.digest if self.store == "config" else variant.manifest.digest

    def used(self, image: FakeImage) -> bool:
        """Whether a container is made of it."""
        return any(container.image == self.identity(image.variant) for container in self.containers.values())

    def drop_nameless(self, image: FakeImage) -> bool:
        """Let an image go that nothing names or uses; whether it went."""
        if image.names or self.used(image):
            return False
        del self.images[image.variant.manifest.digest]
        self.free_bytes += image.size
        return True

    def learned(self, variant: Variant, blobs: BlobSource) -> tuple[ImageDefaults, str]:
        """What an image brings, and what its program calls itself: as told by `learn`, else out of its real blobs."""
        known = self._known.get(variant.manifest.digest)
        if known is not None:
            return known
        path = blobs.path(variant.config.digest)
        if path is not None and os.path.isfile(path):
            with open(path, "rb") as file:
                return dockerseen.defaults({"Config": json.loads(file.read(1024 * 1024)).get("config")}), variant.config.digest[7:19]
        return ImageDefaults(), variant.config.digest[7:19]

    def find(self, container: str) -> FakeContainer:
        """A container as it is now. Raises RuntimeFault("not-found")."""
        self.settle()
        if container not in self.containers:
            raise RuntimeFault("not-found", "there is no such container", retry=False)
        return self.containers[container]

    # --- knobs: what the world does to it -----------------------------------------------------------------------------

    def learn(self, variant: Variant, config: dict[str, Any], version: str = "") -> None:
        """What an image brings (an OCI configuration's inner object) and what its program calls itself, where blobs hold no real ones."""
        self._known[variant.manifest.digest] = (dockerseen.defaults({"Config": config}), version or variant.config.digest[7:19])

    def take_spent_ms(self) -> int:
        """What the verbs since the last asking would have taken."""
        spent, self.spent_ms = self.spent_ms, 0
        return spent

    def fail(self, verb: str, code: str, *, retry: bool = True, times: int = 1, when: str = "before") -> None:
        """Let the next `times` calls of one verb fail."""
        left = [times]

        def trouble(called: str, at: str) -> RuntimeFault | None:
            if called != verb or at != when or left[0] < 1:
                return None
            left[0] -= 1
            return RuntimeFault(code, f"{verb} failed: the simulated engine was told to ({code})", retry=retry)

        self.trouble = trouble

    def vanish(self, container: str) -> None:
        """Somebody removed a container."""
        self.containers.pop(container, None)
        for _, attached in self.networks.values():
            attached.discard(container)
        for image in list(self.images.values()):
            self.drop_nameless(image)

    def kill(self, container: str, code: int = 137) -> None:
        """Its process died, by no order of the engine's; restart policies apply."""
        found = self.find(container)
        found.state, found.exit_code, found.finished_ms = "exited", code, self.clock()

    def stop_by_hand(self, container: str) -> None:
        """Somebody stopped a container."""
        self.find(container).halt(self.clock(), 0)

    def tamper(self, container: str, **settings: Any) -> None:
        """Somebody made the container again, with other settings: another id, the same labels."""
        found = self.containers.pop(container)
        self.made += 1
        found.id = hashlib.sha256(f"{found.name} {self.made}".encode()).hexdigest()
        found.settings = replace(found.settings, **settings)
        self.containers[found.id] = found

    def restart_engine(self) -> None:
        """The engine, or the machine, was restarted: everything stopped, and what its policy wants runs again."""
        now = self.settle()
        for container in self.containers.values():
            ran = container.state in ("running", "restarting")
            wants = container.settings.restart == "always" or (container.settings.restart in ("unless-stopped", "on-failure") and ran and not container.by_hand)
            if ran:
                container.state, container.exit_code, container.finished_ms = "exited", 137, now
            container.by_hand = not wants
            if wants and container.state != "created":
                container.begin(now, self.volumes)

    def prune_images(self) -> None:
        """Somebody ran `docker system prune -a`."""
        for image in list(self.images.values()):
            if not self.used(image):
                image.names.clear()
                self.drop_nameless(image)

    def write(self, volume: str, name: str, data: bytes) -> None:
        """A service wrote a file."""
        self.volumes[volume].files[name] = data

    def say(self, container: str, *lines: str) -> None:
        """A container wrote lines."""
        self.containers[container].log.extend(lines)

    def stranger_container(self, name: str, image_id: str = "sha256:" + "e" * 64) -> str:
        """Somebody else's container; its id."""
        self.made += 1
        identity = hashlib.sha256(f"stranger {name} {self.made}".encode()).hexdigest()
        self.containers[identity] = FakeContainer(
            identity, name, image_id, "", dockerseen.container({}, ImageDefaults(), podman=False).settings, {}, ImageDefaults()
        )
        return identity

    def stranger_network(self, name: str) -> None:
        """Somebody else's network."""
        self.networks[name] = (NetworkOrder(name), set())
