"""What changes from one app state to the next: service by service, what is restarted and why.

Owns the comparison for people, before a deployment begins. What the device then does is decided there, by `rules`; both go by
`wire.types.service_digest`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from penstock.server.core.interpolate import Hole
from penstock.server.core.release import Release
from penstock.wire.codec import to_plain
from penstock.wire.options import size_of
from penstock.wire.types import AppState, Image, Service, service_digest, sha256_of

# Fields that do not make another container (see wire.types.service_digest).
QUIET = frozenset(("depends_on", "probes", "stop_grace_ms", "name", "image"))
MAX_SHOWN = 120  # characters of a value


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One setting; an environment variable or label by its own name. Empty: it was not set, or is not any more."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class PartChange:
    """One service, volume or network. `kind`: added, removed, changed, same. `restarts`: its container is made anew."""

    name: str
    kind: str
    restarts: bool
    changes: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """Everything between two states; `same` when nothing at all changes."""

    services: tuple[PartChange, ...]
    volumes: tuple[PartChange, ...]
    networks: tuple[PartChange, ...]
    parameters: tuple[PartChange, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing changes."""
        return all(part.kind == "same" for part in self.services + self.volumes + self.networks + self.parameters)

    @property
    def restarted(self) -> tuple[str, ...]:
        """Services whose container is stopped or replaced."""
        return tuple(part.name for part in self.services if part.restarts and part.kind != "added")


def between_states(old: AppState | None, new: AppState, platform: str = "") -> Difference:
    """What a device goes through from `old` (None: it has nothing of the app) to `new`."""
    before = {service.name: service for service in old.services} if old else {}
    after = {service.name: service for service in new.services}
    old_images = {image.name: image for image in old.images} if old else {}
    new_images = {image.name: image for image in new.images}
    services = []
    for name in sorted({*before, *after}):
        one, two = before.get(name), after.get(name)
        restarts = one is None or two is None or _made_of(one, old_images, platform) != _made_of(two, new_images, platform)
        services.append(_part(name, _shown_service(one, old_images), _shown_service(two, new_images), restarts=restarts))
    return Difference(
        services=tuple(services),
        volumes=_parts(_by_name(old.volumes if old else ()), _by_name(new.volumes)),
        networks=_parts(_by_name(old.networks if old else ()), _by_name(new.networks)),
    )


def between_releases(old: Release, new: Release) -> Difference:
    """What changes between two releases before any value is known; parameters stand as they are written."""
    old_images = {image.name: image for image in old.images}
    new_images = {image.name: image for image in new.images}
    before = {service["name"]: {**_told(service), "image": _image(old_images.get(service["image"]), service["image"])} for service in old.services}
    after = {service["name"]: {**_told(service), "image": _image(new_images.get(service["image"]), service["image"])} for service in new.services}
    services = []
    for name in sorted({*before, *after}):
        one, two = before.get(name), after.get(name)
        changes = _changes(one or {}, two or {})
        loud = any(change.field.split(".")[0] not in QUIET for change in changes)
        restarts = loud or one is None or two is None or _configs(old, old_images, name) != _configs(new, new_images, name)
        services.append(PartChange(name, _kind(one, two, changes), restarts and _kind(one, two, changes) != "same", changes))
    parameters = _parts(
        {item.name: {"default": item.default or "", "required": item.required, "secret": item.secret} for item in old.parameters},
        {item.name: {"default": item.default or "", "required": item.required, "secret": item.secret} for item in new.parameters},
    )
    return Difference(
        services=tuple(services),
        volumes=_parts({part["name"]: part for part in old.volumes}, {part["name"]: part for part in new.volumes}),
        networks=_parts({part["name"]: part for part in old.networks}, {part["name"]: part for part in new.networks}),
        parameters=parameters,
    )


def _configs(release: Release, images: dict[str, Image], name: str) -> list[tuple[str, str]]:
    """What a service's containers are made of, by platform: another tag of the same image makes no other container (`wire.types.service_digest`)."""
    service = next(one for one in release.services if one["name"] == name)
    image = images.get(service["image"])
    return [] if image is None else sorted((variant.platform, variant.config.digest) for variant in image.variants)


def _made_of(service: Service, images: dict[str, Image], platform: str) -> str:
    return service_digest(service, images.get(service.image), service.platform or platform)


def _shown_service(service: Service | None, images: dict[str, Image]) -> dict[str, Any] | None:
    if service is None:
        return None
    plain = _told(to_plain(service))
    plain["image"] = _image(images.get(service.image), service.image)
    return plain


def _told(service: dict[str, Any]) -> dict[str, Any]:
    """A service with its files by path, each by what stands in it: a digest, the text that makes it, or the secret it is the value of."""
    if not service.get("files"):
        return service
    return {**service, "files": {_shown(file["target"]): _file(file) for file in service["files"]}}


def _file(file: dict[str, Any]) -> str:
    content = file.get("content", "")
    if file.get("secret"):
        held = f"the secret {file['secret']}, version {_shown(file.get('version'))}"
    elif isinstance(content, Hole):
        held = content.text
    else:
        held = f"{size_of(content)} bytes, {sha256_of(content.encode('ascii'))[7:19]}"
    rest = {key: value for key, value in file.items() if key in ("uid", "gid", "mode")}
    return held + (f" {_shown(rest)}" if rest else "")


def _image(image: Image | None, name: str) -> str:
    """An image by name and the digest it is pinned to."""
    if image is None:
        return name
    digest = image.index or image.variants[0].manifest.digest
    return f"{name.split('@', 1)[0]}@{digest}"


def _by_name(parts: Any) -> dict[str, dict[str, Any]]:
    return {part.name: to_plain(part) for part in parts}


def _parts(before: dict[str, Any], after: dict[str, Any]) -> tuple[PartChange, ...]:
    return tuple(_part(name, before.get(name), after.get(name), restarts=False) for name in sorted({*before, *after}))


def _part(name: str, one: dict[str, Any] | None, two: dict[str, Any] | None, *, restarts: bool) -> PartChange:
    changes = _changes(one or {}, two or {})
    return PartChange(name, _kind(one, two, changes), restarts, changes)


def _kind(one: Any, two: Any, changes: tuple[FieldChange, ...]) -> str:
    if one is None:
        return "added"
    if two is None:
        return "removed"
    return "changed" if changes else "same"


def _changes(one: dict[str, Any], two: dict[str, Any]) -> tuple[FieldChange, ...]:
    """Field by field; mappings (environment, labels, limits) key by key."""
    found: list[FieldChange] = []
    for field in sorted({*one, *two} - {"name"}):
        before, after = one.get(field), two.get(field)
        if _shown(before) == _shown(after):
            continue
        if isinstance(before or after, dict) and isinstance(after or before, dict):
            found.extend(
                FieldChange(f"{field}.{key}", _short((before or {}).get(key)), _short((after or {}).get(key)))
                for key in sorted({*(before or {}), *(after or {})})
                if _shown((before or {}).get(key)) != _shown((after or {}).get(key))
            )
        else:
            found.append(FieldChange(field, _short(before), _short(after)))
    return tuple(found)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Hole):
        return value.text
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_shown(item)}" for key, item in sorted(value.items())) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def told(value: Any) -> str:
    """A value for people, cut where it is long."""
    return _short(value)


def _short(value: Any) -> str:
    text = _shown(value)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."
