"""Which variant each service of a release runs from on a device, and the refusal when there is none.

Owns the walk over a release; the choice among an image's variants is `platforms`'. What a device says it runs may exclude it from a release,
never include it anywhere.
"""

from __future__ import annotations

from penstock.rules.platforms import choose as best
from penstock.rules.platforms import normal
from penstock.wire.types import AppState, Image, Service, Variant


def choose(image: Image, platforms: tuple[str, ...], wanted: str = "") -> Variant | None:
    """The variant for the best platform the device runs; only `wanted` where a service insists."""
    allowed = tuple(one for one in platforms if not wanted or normal(one) == normal(wanted))
    return best(image, allowed)


def image_of(state: AppState, service: Service) -> Image:
    """The image of a service; `AppState.check` has made sure that there is one."""
    for image in state.images:
        if image.name == service.image:
            return image
    raise KeyError(service.image)


def variants_of(state: AppState, platforms: tuple[str, ...]) -> dict[str, Variant]:
    """Service name to the variant it runs from here; a service without one is left out."""
    found = {}
    for service in state.services:
        variant = choose(image_of(state, service), platforms, service.platform)
        if variant is not None:
            found[service.name] = variant
    return found


def platform_fault(state: AppState, platforms: tuple[str, ...]) -> str | None:
    """Why this release cannot run here; None when every service has a variant."""
    if not platforms:
        return "the engine has not said yet which platforms it runs"
    for service in state.services:
        image = image_of(state, service)
        if choose(image, platforms, service.platform) is None:
            offered = ", ".join(sorted(variant.platform for variant in image.variants)) or "none"
            insists = f" and the service insists on {service.platform}" if service.platform else ""
            return (
                f"image {image.name} of service {service.name} comes for {offered}; this device runs {', '.join(platforms)}{insists}. "
                "Publish a release that has this platform."
            )
    return None
