"""Releases with parts: what devices of one engine get in place of what is common.

Owns the making of one release of all readings of a package (`publish`), that the readings agree on what a value is, and what a part says differently
(`shown`). Which part a device gets is `Release.of`. Never reads a file or an image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from penstock.server.core import release as releases
from penstock.server.core.compose import ComposeError, Fault, Template
from penstock.server.core.difference import Difference, FieldChange, between_releases, told
from penstock.server.core.hazards import hazards
from penstock.server.core.images import Documents, Wanted
from penstock.server.core.interpolate import Parameter
from penstock.server.core.needs import to_plain
from penstock.server.core.package import LATER, Templates, not_read, parts_of, together
from penstock.server.core.release import Release
from penstock.server.core.releasechange import settings_between


@dataclass(frozen=True, slots=True)
class PartShown:
    """A part of a release for one engine: the `file` that makes it; what devices of that engine get differently (None: not worked out), and the settings
    among it. `note`: why it is not run."""

    engine: str
    file: str
    difference: Difference | None = None
    settings: tuple[FieldChange, ...] = ()
    note: str = ""


def images_wanted(found: Templates, hosts: tuple[str, ...] = ()) -> tuple[Wanted, ...]:
    """Where the images of all readings should be in the built-in registry, each once. Raises ComposeError for names that are none."""
    wanted: dict[str, Wanted] = {}
    faults: dict[str, tuple[Fault, ...]] = {}
    for engine, template in found.every:
        try:
            wanted |= {one.name: one for one in releases.images_wanted(template, hosts)}
        except ComposeError as fault:
            faults[engine] = fault.faults
    if faults:
        raise together(faults)
    return tuple(wanted[name] for name in sorted(wanted))


def publish(
    app: str,
    version: str,
    templates: Templates,
    found: Mapping[str, Documents | None],
    host: str,
    hosts: tuple[str, ...] = (),
    whys: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
) -> Release:
    """The release that all readings of a package and their images are; see `release.publish`. Raises ComposeError with the faults of all."""
    made: dict[str, Release] = {}
    faults: dict[str, tuple[Fault, ...]] = {}
    for engine, template in templates.every:
        try:
            made[engine] = releases.publish(app, version, template, found, host, hosts, whys, files)
        except ComposeError as fault:
            faults[engine] = fault.faults
    if faults:
        raise together(faults)
    common, own = made.pop(""), dict(templates.package.parts)
    wrong = tuple(fault for engine in made for fault in _disagree(engine, own[engine], templates.common, templates.parts[engine]))
    if not wrong and len(made) > 1:
        first, second = made
        wrong = tuple(_disagree(second, own[second], templates.parts[first], templates.parts[second], first))
    if wrong:
        raise ComposeError(wrong)
    return replace(common, parts=made)


def _disagree(engine: str, file: str, one: Template, two: Template, other: str = "every engine") -> Iterator[Fault]:
    """Parameters that are one thing for others and another in the part that `file` makes: a deployment gives one value for all devices."""
    known = {parameter.name: parameter for parameter in one.parameters}
    for parameter in two.parameters:
        before, at = known.get(parameter.name), _place(two, parameter, file)
        if before is not None and before.secret != parameter.secret:
            sealed, plain = (engine, other) if parameter.secret else (other, engine)
            why = f"the parameter {parameter.name} is a secret for {sealed}, and none for {plain}"
            yield _fault(at, why, "name it under `secrets` in penstock.yaml, which holds for every engine")
        elif before is not None and before.declared != parameter.declared:
            why = f"the parameter {parameter.name} is declared differently for {engine} and for {other}"
            yield _fault(at, why, "declare it once, in penstock.yaml, which holds for every engine")
        elif parameter.name in one.settled:
            yield _fault(at, *_settled(parameter.name, other, engine))
    for name in sorted(two.settled & known.keys()):
        yield _fault(_place(two, known[name], file), *_settled(name, engine, other))


def _place(template: Template, parameter: Parameter, file: str) -> tuple[str, str, int, int]:
    """Where a part says something of a parameter: path, file, line, column; no more than the file where that is not kept."""
    for path in (f"x-penstock.parameters.{parameter.name}", f"x-penstock.secrets.{parameter.name}", *parameter.used_at):
        line, column = template.places.get(path, (0, 0))
        where, there = template.sources.place(line)
        if where == file:
            return path, file, there, column
    return "", file, 0, 0


def _fault(at: tuple[str, str, int, int], why: str, remedy: str) -> Fault:
    path, file, line, column = at
    return Fault(path, line, column, why, remedy, file)


def _settled(name: str, settled: str, left: str) -> tuple[str, str]:
    why = f"the parameter {name} stands in an image for {settled}, so it is settled when the release is made, and it is open for {left}"
    return why, "use another parameter in `image`"


# --- showing ----------------------------------------------------------------------------------------------------------------


def shown(release: Release | None, paths: Mapping[str, object], entries: tuple[str, ...]) -> tuple[PartShown, ...]:
    """The parts among a package's files, read or not; `release` where it was made."""
    found = []
    for engine, path in parts_of(paths, entries) if entries else ():
        if engine in LATER:
            found.append(PartShown(engine, path, note=not_read(engine)))
        elif release is None:
            found.append(PartShown(engine, path))
        elif engine in release.parts:  # a release of before there were parts has the files of some, and is what it was
            found.append(PartShown(engine, path, between_releases(release, release.of(engine)), _settings(release, release.of(engine))))
    return tuple(found)


def _settings(common: Release, part: Release) -> tuple[FieldChange, ...]:
    found = settings_between(common, part)
    before, after = (to_plain(one.needs) for one in (common, part))
    return found if before == after else (*found, FieldChange("needs", told(before), told(after)))


def irreversible_of(release: Release) -> tuple[str, ...]:
    """The volumes that a change cannot take back, on any engine."""
    found = {str(volume["name"]): None for _, one in release.readings for volume in one.volumes if volume.get("policy") == "irreversible"}
    return tuple(found)


def hazards_of(readings: Iterable[tuple[str, Release | Template]]) -> tuple[str, ...]:
    """What a release may do to devices beyond its own containers, the common reading first; what only a part does says for which engine."""
    found: dict[str, None] = {}
    for engine, one in readings:
        found |= dict.fromkeys(f"on {engine}: {text}" if engine else text for text in hazards(one.services) if text not in found)
    return tuple(found)
