"""Files for a container whose root is read-only, on Docker: a volume of their own, bound into the container file by file.

Owns that volume: filled before the container is made, removed with it, and swept where a crash came between. Docker's archive call refuses such a container
(Podman's does not, see `dockerfiles`), and a folder of the host would need an agent that sees the host. Never decides what stands in a file.
"""

from __future__ import annotations

import hashlib

from penstock.agent.runtimes import dockerfiles
from penstock.agent.runtimes.dockerorders import HELPER_VOLUME, helper_body
from penstock.agent.runtimes.engine import EngineError, fault_of, query, quoted
from penstock.rules.observed import LABEL_DEVICE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import Self

    from penstock.agent.runtimes import CreateOrder
    from penstock.agent.runtimes.engine import EngineClient

LABEL = "penstock.files"  # on the volume and on the helper that fills it: whose they are
BEGINNING = "penstock-files-"  # of both names
PLACE = "/.penstock"  # where the container holds the volume, so that the engine knows it is used


class Shelf:
    """The filled volume of one container that is about to be made. Use as a context manager around the making: a container that could not be made leaves
    no volume behind."""

    def __init__(self, client: EngineClient, version: str, image: str, order: CreateOrder) -> None:
        self._client = client
        self._version = version
        self._image = image
        self._order = order
        self._doing = f"putting files beside the container of {order.service.name}"
        self.name = BEGINNING + hashlib.sha256(f"{order.name}\n{order.token}".encode()).hexdigest()[:24]
        self._folder = ""

    def __enter__(self) -> Self:
        self._call("DELETE", f"/containers/{self.name}{query(force=True)}", gone=True)
        labels = {LABEL: self._order.labels.get(LABEL_DEVICE, "")}
        made = self._call("POST", "/volumes/create", {"Name": self.name, "Driver": "local", "Labels": labels})
        self._folder = str((made or {}).get("Mountpoint", ""))
        try:
            self._call("POST", f"/containers/create{query(name=self.name)}", helper_body(self._image, self.name, "", labels))
            files = self._order.service.files
            archive = dockerfiles.archive([(str(number), file) for number, file in enumerate(files)], self._order.secret_files)
            dockerfiles.send(self._client, self._version, self.name, "/" + HELPER_VOLUME, archive, self._doing)
        except BaseException:
            self._drop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._drop()
        else:
            self._call("DELETE", f"/containers/{self.name}{query(force=True)}", gone=True)

    def mounts(self) -> list[dict[str, Any]]:
        """What the container is given: the volume itself, and each file at its place."""
        held = {"Type": "volume", "Source": self.name, "Target": PLACE, "ReadOnly": True, "VolumeOptions": {"NoCopy": True}}
        files = enumerate(self._order.service.files)
        return [held, *({"Type": "bind", "Source": f"{self._folder}/{number}", "Target": file.target, "ReadOnly": True} for number, file in files)]

    def _drop(self) -> None:
        self._call("DELETE", f"/containers/{self.name}{query(force=True)}", gone=True)
        remove(self._client, self._version, self.name)

    def _call(self, method: str, target: str, body: Any = None, *, gone: bool = False) -> Any:
        try:
            return self._client.call(method, self._version + target, self._doing, body=body, timeout_s=120.0)
        except EngineError as error:
            if gone and error.status == 404:
                return None
            raise fault_of(error) from None


def of(plain: dict[str, Any]) -> tuple[str, str]:
    """The volume that holds a container's files, and its folder, out of GET /containers/{id}/json; empty where it has none."""
    mounts = plain.get("Mounts")
    for mount in mounts if isinstance(mounts, list) else ():
        if not isinstance(mount, dict):
            continue
        name = str(mount.get("Name", ""))
        if mount.get("Type") == "volume" and mount.get("Destination") == PLACE and name.startswith(BEGINNING):
            return name, str(mount.get("Source", ""))
    return "", ""


def remove(client: EngineClient, version: str, name: str) -> None:
    """Remove such a volume; one that a container still uses stays."""
    try:
        client.call("DELETE", f"{version}/volumes/{quoted(name)}", "removing files of a container that is gone")
    except EngineError as error:
        if error.status not in (404, 409):
            raise fault_of(error) from None


def sweep(client: EngineClient, version: str, device: str) -> None:
    """Remove what a crash left: helpers, and volumes whose container is gone or never came."""
    ours = {"label": [f"{LABEL}={device}"]}
    try:
        for item in client.call("GET", f"{version}/containers/json{query(all=True, filters=ours)}", "listing containers") or ():
            client.call("DELETE", f"{version}/containers/{item.get('Id')}{query(force=True)}", "removing a helper container")
        found = client.call("GET", f"{version}/volumes{query(filters={**ours, 'dangling': ['true']})}", "listing volumes")
    except EngineError as error:
        raise fault_of(error) from None
    for item in (found or {}).get("Volumes") or ():
        remove(client, version, str(item.get("Name")))
