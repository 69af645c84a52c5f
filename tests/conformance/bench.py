"""The bench every conformance test works on: one runtime, images for it, and what a test does to a container from outside.

Owns the difference between the simulated engine and real ones, so that no test has to know it. Never asserts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock.agent.blobstore import BlobStore
from penstock.agent.runtimes import CreateOrder, Runtime
from penstock.rules import observed
from penstock.rules.naming import container_name, keep_tag, network_names, volume_names
from penstock.rules.observed import Ask, Observation, ObservedContainer
from penstock.wire.types import AppState, Blob, Image, Network, Service, Variant, Volume
from tests.engines import Engine
from tests.images import Images
from tools import oci

DEVICE = "dev_conformance"
PATIENCE = 60.0  # seconds a condition may take; nothing asserts how long it took


def to_wire(name: str, image: oci.Image, store: BlobStore) -> Image:
    """A test image as the wire names it, its blobs put into `store`."""

    def put(digest: str, media_type: str) -> Blob:
        data = image.blobs[digest]
        blob = Blob(digest, len(data), media_type)
        if store.path(digest) is None:
            store.put(blob, data)
        return blob

    variants = []
    for one in image.variants:
        document = json.loads(one.manifest)
        variants.append(
            Variant(
                platform=str(one.platform),
                manifest=put(one.digest, one.manifest_type),
                config=put(one.config_digest, document["config"]["mediaType"]),
                layers=tuple(put(layer["digest"], layer["mediaType"]) for layer in document["layers"]),
            )
        )
    return Image(name, tuple(variants), image.digest if image.index is not None else "")


@dataclass
class Bench:
    """One runtime under test. `engine` is None for the simulated one, `fake` None for real ones."""

    kind: str
    runtime: Runtime
    images: Images
    store: BlobStore
    engine: Engine | None = None
    fake: Any = None
    _tokens: int = 0
    _pulled: set[str] = field(default_factory=set)

    @property
    def real(self) -> bool:
        return self.engine is not None

    def image(self, version: str = "1", name: str = "app", **how: Any) -> Image:
        """An image as the wire names it, its blobs on the device, not in the engine."""
        made = to_wire(name, self.images.make(version, **how), self.store)
        if self.fake is not None:
            self.fake.learn(made.variants[0], **_defaults_of(made, self.store))
        return made

    def ready(self, image: Image) -> Image:
        """The image, in the engine."""
        variant = image.variants[0]
        self.runtime.pull(variant, self.store, keep_tag("conf", image.name, variant))
        return image

    def state(self, *services: Service, images: tuple[Image, ...], volumes: tuple[Volume, ...] = (), networks: tuple[Network, ...] = ()) -> AppState:
        return AppState("conf", "dep_x", "sha256:" + "0" * 64, "1", tuple(services), volumes, networks, images)

    def order(self, state: AppState, service: Service, token: str = "", secrets: Mapping[str, str] | None = None) -> CreateOrder:
        self._tokens += 1
        token = token or f"token-{self._tokens}"
        image = next(image for image in state.images if image.name == service.image)
        return CreateOrder(
            name=container_name(state.app, service),
            service=service,
            variant=image.variants[0],
            token=token,
            labels=self.labels(state, service, token),
            index=image.index,
            volumes=volume_names(state),
            networks=network_names(state),
            secrets=dict(secrets or {}),
        )

    @staticmethod
    def labels(state: AppState, service: Service, token: str) -> dict[str, str]:
        return {
            observed.LABEL_DEVICE: DEVICE,
            observed.LABEL_APP: state.app,
            observed.LABEL_SERVICE: service.name,
            observed.LABEL_SPEC: "sha256:" + "1" * 64,
            observed.LABEL_TOKEN: token,
        }

    def look(self, **more: Any) -> Observation:
        return self.runtime.observe(Ask(device=DEVICE, **more))

    def see(self, container: str, **more: Any) -> ObservedContainer:
        seen = observed.container_by_id(self.look(containers=(container,), **more), container)
        assert seen is not None, f"container {container} is not there"
        return seen

    def wait(self, container: str, good: Callable[[ObservedContainer], bool]) -> ObservedContainer:
        """Look until `good`; runs health checks where the engine runs none."""
        checks = () if self.runtime.facts().engine.timers else (container,)
        until = time.monotonic() + PATIENCE
        while True:
            seen = self.see(container, healthchecks=checks)
            if good(seen):
                return seen
            assert time.monotonic() < until, f"still {seen}"
            self.pass_time()

    def pass_time(self, seconds: float = 0.3) -> None:
        if self.fake is not None:
            self.fake.clock.now_ms += 1000
        else:
            time.sleep(seconds)

    def write(self, container: str, volume: str, target: str, name: str, text: str) -> None:
        """The service writes a file into its volume."""
        if self.fake is not None:
            self.fake.write(volume, name, text.encode())
            return
        done = self.runtime.run(container, ("sh", "-c", f"printf '%s' '{text}' > {target}/{name}"), 20_000)
        assert done.exit_code == 0, done

    def read(self, container: str, volume: str, target: str, name: str) -> str | None:
        if self.fake is not None:
            data = self.fake.volumes[volume].files.get(name)
            return None if data is None else data.decode()
        done = self.runtime.run(container, ("cat", f"{target}/{name}"), 20_000)
        return done.output if done.exit_code == 0 else None

    def stranger(self, name: str, image: Image) -> str:
        """Somebody else's container, not started; its id."""
        if self.fake is not None:
            return str(self.fake.stranger_container(name))
        assert self.engine is not None
        held = self.runtime.image(image.variants[0])
        assert held is not None
        status, made = self.engine.api("POST", f"/containers/create?name={name}", {"Image": held.id, "Cmd": ["true"]})
        assert status == 201, made
        return str(made["Id"])

    def stranger_network(self, name: str) -> None:
        if self.fake is not None:
            self.fake.stranger_network(name)
            return
        assert self.engine is not None
        status, made = self.engine.api("POST", "/networks/create", {"Name": name, "Driver": "bridge"})
        assert status == 201, made


def _defaults_of(image: Image, store: BlobStore) -> dict[str, Any]:
    """The image's inner configuration, for the simulated engine, which reads no blobs."""
    path = store.path(image.variants[0].config.digest)
    assert path is not None
    return {"config": json.loads(Path(path).read_bytes()).get("config", {})}
