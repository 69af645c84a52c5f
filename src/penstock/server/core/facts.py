"""What is known of a device and may stand in values and Compose files: its name, site, labels, architecture, as `${PENSTOCK_...}`.

Owns their names, how a label is spelled, and the filling of facts into a value that somebody gave (`with_facts`): one level deep, since a fact's own text is
never looked at again. Never knows parameters; `interpolate` does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

PREFIX = "PENSTOCK_"
LABEL = "PENSTOCK_LABEL_"
FACTS = {
    "PENSTOCK_DEVICE": "the device's name",
    "PENSTOCK_DEVICE_ID": "the device's id",
    "PENSTOCK_SITE": "the name of the device's site",
    "PENSTOCK_SITE_TITLE": "what people call the site",
    "PENSTOCK_SITE_TIME_ZONE": "the site's time zone, such as Europe/Berlin",
    "PENSTOCK_ARCHITECTURE": "the device's processor: amd64, arm64, arm, 386, riscv64",
}
LABEL_NAME = re.compile(r"PENSTOCK_LABEL_[A-Z0-9_]{1,63}\Z")
ASKED = re.compile(r"(\$*)\$\{(PENSTOCK_[A-Za-z0-9_]*)\}")


class NoFact(ValueError):
    """A fact that this device has not. `why` and `remedy` are sentences."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Site:
    """Where and what a device is: names of device and site, title and zone of the site, the processor (empty: not reported yet), labels as pairs."""

    device: str
    device_id: str
    site: str
    title: str = ""
    time_zone: str = ""
    architecture: str = ""
    labels: tuple[tuple[str, str], ...] = ()


def is_fact(name: str) -> bool:
    """Whether a name is one of ours."""
    return name in FACTS or LABEL_NAME.match(name) is not None


def spelled(label: str) -> str:
    """How the label `line-number` is asked for: PENSTOCK_LABEL_LINE_NUMBER. Everything but letters and digits becomes "_"."""
    return LABEL + "".join(letter if letter.isalnum() else "_" for letter in label.upper())


def architecture_of(platforms: tuple[str, ...]) -> str:
    """The processor of the best platform: "linux/arm/v7" is "arm"; empty where none was reported."""
    return platforms[0].split("/")[1] if platforms and platforms[0].count("/") else ""


def facts_of(site: Site) -> dict[str, str]:
    """The facts of a device by name. What is not known is not there; nor is what two labels of different values spell alike."""
    known = {
        "PENSTOCK_DEVICE": site.device,
        "PENSTOCK_DEVICE_ID": site.device_id,
        "PENSTOCK_SITE": site.site,
        "PENSTOCK_SITE_TITLE": site.title,
        "PENSTOCK_SITE_TIME_ZONE": site.time_zone,
        "PENSTOCK_ARCHITECTURE": site.architecture,
    }
    found: dict[str, set[str]] = {}
    for label, value in site.labels:
        found.setdefault(spelled(label), set()).add(value)
    return {**{name: text for name, text in known.items() if text}, **{name: next(iter(texts)) for name, texts in found.items() if len(texts) == 1}}


def lacking(name: str) -> tuple[str, str]:
    """Why a device has not this fact, and what to do."""
    if name.startswith(LABEL):
        return f"the device has no label that spells {name}, or two that differ", "give the device the label, or write a default behind ':-'"
    if name == "PENSTOCK_ARCHITECTURE":
        return "the device has not said what processor it has", "wait for its first report, or write a default behind ':-'"
    if name in FACTS:
        return f"{name} is empty for this device", "fill it in, or write a default behind ':-'"
    return f"there is no {name}; names that begin with {PREFIX} are ours", f"ours are {', '.join(FACTS)} and {LABEL}<NAME>"


def asks(value: str) -> tuple[str, ...]:
    """The names of the facts that a value asks for."""
    return tuple(name for dollars, name in ASKED.findall(value) if not dollars)


def with_facts(value: str, facts: Mapping[str, str]) -> str:
    """A value with `${PENSTOCK_...}` filled in and nothing else touched; `$${PENSTOCK_...}` is that text with one dollar less. Raises NoFact."""

    def one(found: re.Match[str]) -> str:
        dollars, name = found.group(1), found.group(2)
        if dollars:
            return found.group(0)[1:]
        if name not in facts:
            raise NoFact(*lacking(name))
        return facts[name]

    return ASKED.sub(one, value)


def escaped(value: str) -> str:
    """The value that `with_facts` gives back as `value`."""
    return ASKED.sub(lambda found: "$" + found.group(0), value)
