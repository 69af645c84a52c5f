"""Platforms: which processor and system an image is for, and which variant a device takes.

Owns the names ("linux/arm/v7", as in the OCI image index), their one normal form, and the choice. Never asks a machine anything.
"""

from __future__ import annotations

from penstock.wire.types import Image, Variant

_MACHINES = {
    "x86_64": "amd64", "amd64": "amd64", "i386": "386", "i486": "386", "i586": "386", "i686": "386", "386": "386",
    "aarch64": "arm64", "arm64": "arm64", "armv8l": "arm/v7", "armv7l": "arm/v7", "armv7": "arm/v7", "armhf": "arm/v7",
    "armv6l": "arm/v6", "armv6": "arm/v6", "armel": "arm/v5", "armv5tel": "arm/v5", "arm": "arm/v7",
}  # fmt: skip


def normal(platform: str) -> str:
    """One name for one platform: "linux/arm64/v8" is "linux/arm64", "linux/arm" is "linux/arm/v7", "linux/x86_64" is "linux/amd64"
    (OCI image-spec, image-index.md, platform variants)."""
    system, _, rest = platform.lower().partition("/")
    architecture, _, variant = rest.partition("/")
    named = _MACHINES.get(architecture, architecture)
    if named.startswith("arm/"):
        named = f"arm/{variant}" if variant else named
    elif variant and not (named == "arm64" and variant == "v8") and not (named == "amd64" and variant == "v1"):
        named = f"{named}/{variant}"
    return f"{system}/{named}"


def runnable(machine: str, engine: str = "") -> tuple[str, ...]:
    """What a kernel of `machine` (uname -m) with an engine built for `engine` (its own word for its architecture) surely runs, best
    first. A 64-bit kernel under a 32-bit engine counts as 32-bit."""
    best = normal(f"linux/{machine}")
    if engine.lower() in ("arm", "armhf") and best == "linux/arm64":
        best = "linux/arm/v7"
    if engine.lower() == "386":
        best = "linux/386"
    older = {"linux/amd64": ("linux/386",), "linux/arm/v7": ("linux/arm/v6", "linux/arm/v5"), "linux/arm/v6": ("linux/arm/v5",)}
    return (best, *older.get(best, ()))


def excluded(platform: str, platforms: tuple[str, ...]) -> bool:
    """Whether an image for `platform` certainly cannot run where `platforms` do: another processor family, or another system.

    32-bit ARM on a 64-bit ARM kernel is not excluded: some processors can, and only trying tells."""
    asked = normal(platform)
    if asked in {normal(known) for known in platforms}:
        return False
    return not (asked.startswith("linux/arm/") and any(normal(known) == "linux/arm64" for known in platforms))


def choose(image: Image, platforms: tuple[str, ...]) -> Variant | None:
    """The variant a device takes: the first of its platforms, best first, that the image has. None: there is none for it."""
    for platform in platforms:
        for variant in image.variants:
            if normal(variant.platform) == normal(platform):
                return variant
    return None
