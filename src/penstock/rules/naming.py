"""How things of an app are called in the engine: containers, volumes, networks, image tags.

Owns the mapping from an app's names to engine names, one way only; nothing ever parses a name back. What is ours is decided by
the ledger, never by a name.
"""

from __future__ import annotations

from penstock.wire.types import AppState, Network, Service, Variant, Volume

KEEP_REPOSITORY = "penstock.local"


def container_name(app: str, service: Service) -> str:
    """The container of a service: its `container_name`, else "<app>-<service>-1"."""
    return service.container_name or f"{app}-{service.name}-1"


def volume_name(app: str, volume: Volume) -> str:
    """The engine's name of a volume: the explicit one, the plain one where it is external, else "<app>_<name>"."""
    return volume.engine_name or (volume.name if volume.external else f"{app}_{volume.name}")


def network_name(app: str, network: Network) -> str:
    """The engine's name of a network: the explicit one, the plain one where it is external, else "<app>_<name>"."""
    return network.engine_name or (network.name if network.external else f"{app}_{network.name}")


def volume_names(state: AppState) -> dict[str, str]:
    """Each volume of the app to its engine name."""
    return {volume.name: volume_name(state.app, volume) for volume in state.volumes}


def network_names(state: AppState) -> dict[str, str]:
    """Each network of the app to its engine name."""
    return {network.name: network_name(state.app, network) for network in state.networks}


def keep_tag(app: str, image: str, variant: Variant) -> str:
    """The local tag that keeps a pulled variant from dangling: "penstock.local/<app>/<image>:<12 of its config digest>".

    `image` is the release's name of the image, which may hold registry, path, tag and digest; letters no repository may have become '-'."""
    plain = image.split("@", 1)[0]
    head, slash, last = plain.rpartition("/")
    plain = head + slash + last.split(":", 1)[0]
    safe = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in plain.lower())
    parts = [part for part in safe.split("-") if part]
    return f"{KEEP_REPOSITORY}/{_component(app)}/{'-'.join(parts)[-80:].strip('-') or 'image'}:{variant.config.digest[7:19]}"


def _component(text: str) -> str:
    """One path component of an image name: separators never double (OCI distribution-spec, pull, <name>)."""
    parts = [part for part in "".join(letter if letter.isalnum() else "-" for letter in text).split("-") if part]
    return "-".join(parts) or "app"
