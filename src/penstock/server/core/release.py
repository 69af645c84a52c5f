"""A release: one immutable version of an app, and what it asks of one device.

Owns the making of a release from a template and the images found for it (`publish`), its digest and its document, and the filling-in for
a device (`resolve`). How the readings of one package become one release stands in `parts`; comparing releases stands in `difference`. Never reads a file, a registry or a secret's value.

A release keeps services in normal form with holes where parameters stand, not the Compose text: what was published means the same after
the reader has learned new keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as altered
from typing import Any

from penstock.server.core.compose.faults import ComposeError, Fault, Faults, Sources
from penstock.server.core.compose.filling import fill_in, try_values
from penstock.server.core.compose.parameters import normal
from penstock.server.core.compose.project import Template
from penstock.server.core.compose.scalars import Bad
from penstock.server.core.declared import from_plain as declared_from
from penstock.server.core.declared import to_plain as declared_plain
from penstock.server.core.facts import PREFIX, NoFact, Site, asks, facts_of, is_fact, lacking, with_facts
from penstock.server.core.images import Documents, Wanted, image_from, remedy, wanted
from penstock.server.core.interpolate import Hole, Parameter
from penstock.server.core.needs import NO_NEEDS, Needs
from penstock.server.core.needs import from_plain as needs_from
from penstock.server.core.needs import to_plain as needs_plain
from penstock.server.core.oci import OciError
from penstock.wire.codec import canonical, from_plain, to_plain
from penstock.wire.record import replace
from penstock.wire.types import AppState, Image, name_fault, sha256_of, wire_needed

FORMAT = 1
IN_PARTS = 2  # of a release that has parts for engines: a plane that knows none must not take it for one without
HOLE = "$hole"  # no key of a service, label or option may hold '$', so no other mapping looks like a hole

Plain = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Release:
    """One immutable version of an app. Services, volumes and networks have the shape of `wire.types`, with holes. `fixed` are parameters
    that were settled when it was made. `files` are those of its package, path -> digest; none where it was made from one Compose file.
    `places` (path -> line and column in the Compose file) serves messages and is no part of the digest, and so does `sources`: the number of
    each file's first line, and its name. `parts`: what devices of an engine get in place of it, each a release as a whole; `Release.of` chooses."""

    app: str
    version: str
    services: tuple[Plain, ...]
    volumes: tuple[Plain, ...]
    networks: tuple[Plain, ...]
    images: tuple[Image, ...]
    parameters: tuple[Parameter, ...]
    soak_s: int
    deadline_s: int
    drift: str
    keep: int
    fixed: dict[str, str] = field(default_factory=dict)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    needs: Needs = NO_NEEDS
    files: dict[str, str] = field(default_factory=dict)
    sources: tuple[tuple[int, str], ...] = ()
    parts: dict[str, Release] = field(default_factory=dict)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the parameters whose values travel sealed, on any engine."""
        return tuple(parameter.name for parameter in self.every_parameter if parameter.secret)

    @property
    def readings(self) -> tuple[tuple[str, Release], ...]:
        """What devices may get, by engine: the common one first, under no name."""
        return (("", self), *sorted(self.parts.items()))

    @property
    def every_parameter(self) -> tuple[Parameter, ...]:
        """What the readings ask for, each name once. What one of them does not need is not required of all."""
        return asked_of([one for _, one in self.readings]) if self.parts else self.parameters

    @property
    def every_image(self) -> tuple[Image, ...]:
        """The images of all readings, each name once: one name is pinned to one digest."""
        if not self.parts:
            return self.images
        found = {image.name: image for _, one in self.readings for image in one.images}
        return tuple(found[name] for name in sorted(found))

    @property
    def every_fixed(self) -> dict[str, str]:
        """The parameters that are settled in any reading; the value is that of the first."""
        return {name: text for _, one in reversed(self.readings) for name, text in one.fixed.items()}

    def asks_for(self, name: str) -> bool:
        """Whether this reading has a parameter of that name."""
        return any(parameter.name == name for parameter in self.parameters)

    def of(self, engine: str) -> Release:
        """What a device of this engine gets: the engine's part, or what is common where there is none or the device has not said."""
        return self.parts.get(engine, self)


def asked_of(readings: Sequence[Release | Template]) -> tuple[Parameter, ...]:
    """What the readings of a package ask for, each name once; required is what all of them require."""
    found: dict[str, Parameter] = {}
    for one in readings:
        for parameter in one.parameters:
            found.setdefault(parameter.name, parameter)
    needed = [{parameter.name for parameter in one.parameters if parameter.required} for one in readings]
    return tuple(altered(one, required=all(one.name in names for names in needed)) for one in found.values())


# --- making one -------------------------------------------------------------------------------------------------------


def images_wanted(template: Template, hosts: tuple[str, ...] = ()) -> tuple[Wanted, ...]:
    """Where the images of a template should be in the built-in registry, each once. Raises ComposeError for names that are none."""
    faults = Faults(template.sources)
    found: dict[str, Wanted] = {}
    for service, name in template.images.items():
        try:
            found[name] = wanted(name, hosts)
        except OciError as fault:
            path = f"services.{service}.image"
            line, column = template.places.get(path, (0, 0))
            faults.add(path, line, column, fault.why, "write repository:tag or repository@sha256:...")
    faults.check()
    return tuple(found[name] for name in sorted(found))


def publish(
    app: str,
    version: str,
    template: Template,
    found: Mapping[str, Documents | None],
    host: str,
    hosts: tuple[str, ...] = (),
    whys: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
) -> Release:
    """The release that a template and its images are. `found` maps an image's name to what was found for it; `host` is the address a
    person pushes to; `files` are those of the package, path -> digest; `whys` says
    of missing images why they were not copied. Raises ComposeError, which names every image that is missing and how to bring it here."""
    faults = Faults(template.sources)
    _check_names(faults, app, version, template)
    by_name = {item.name: item for item in images_wanted(template, hosts)}
    images: dict[str, Image] = {}
    for service, name in template.images.items():
        path = f"services.{service}.image"
        line, column = template.places.get(path, (0, 0))
        place = by_name[name]
        documents = found.get(name)
        if documents is None:
            why = f"the image {name} is not in the built-in registry (looked for {place.repository}, {place.reference})"
            if whys and name in whys:
                why += f", and was not copied: {whys[name]}"
            faults.add(path, line, column, why, remedy(place, host))
            continue
        try:
            images[name] = image_from(name, documents)
        except OciError as fault:
            faults.add(path, line, column, f"the image {name} cannot be used: {fault.why}", remedy(place, host))
            continue
        _check_platform(faults, template, service, images[name])
    faults.check()
    settings = template.settings
    return Release(
        app=app,
        version=version,
        services=template.services,
        volumes=template.volumes,
        networks=template.networks,
        images=tuple(images[name] for name in sorted(images)),
        parameters=template.parameters,
        soak_s=settings.soak_s,
        deadline_s=settings.deadline_s,
        drift=settings.drift,
        keep=settings.keep,
        fixed=template.fixed,
        places=template.places,
        needs=settings.needs,
        files=dict(files or {}),
        sources=tuple(template.sources.firsts) if files else (),
    )


def version_fault(version: str) -> str | None:
    """Why `version` is none; None when it is one."""
    if not 1 <= len(version) <= 63:
        return "a version has 1 to 63 characters"
    if not version[0].isalnum() or not all(letter.isascii() and (letter.isalnum() or letter in "._+-") for letter in version):
        return "a version has letters, digits, '.', '_', '+' and '-', and begins with a letter or digit"
    return None


def _check_names(faults: Faults, app: str, version: str, template: Template) -> None:
    fault = name_fault(app)
    if fault:
        faults.add("app", 0, 0, f"{app[:80]!r} is no name for an app: {fault}", "choose another name")
    fault = version_fault(version)
    if fault:
        faults.add("version", 0, 0, f"{version[:80]!r} is no version: {fault}", "choose another, such as 1.4.0")
    if template.name and template.name != app:
        line, column = template.places.get("name", (0, 0))
        faults.add("name", line, column, f"the file is named {template.name}, and is published as {app}", f"publish it as {template.name}, or change `name`")


def _check_platform(faults: Faults, template: Template, service: str, image: Image) -> None:
    plain = next(item for item in template.services if item["name"] == service)
    asked = plain.get("platform")
    if asked and all(variant.platform != asked for variant in image.variants):
        path = f"services.{service}.platform"
        line, column = template.places.get(path, (0, 0))
        there = ", ".join(variant.platform for variant in image.variants)
        faults.add(path, line, column, f"the image has no {asked}, it has {there}", "push that platform too, or remove `platform`")


# --- what names it ----------------------------------------------------------------------------------------------------


def _to_json(plain: Any, *, places: bool) -> Any:
    if isinstance(plain, Hole):
        at = [plain.path, plain.line, plain.column] if places else []
        return {HOLE: [plain.text, plain.reader, *at]}
    if isinstance(plain, dict):
        return {key: _to_json(value, places=places) for key, value in plain.items()}
    if isinstance(plain, (list, tuple)):
        return [_to_json(value, places=places) for value in plain]
    return plain


def _from_json(plain: Any) -> Any:
    if isinstance(plain, dict):
        if len(plain) == 1 and isinstance(plain.get(HOLE), list):
            text, reader, path, line, column = plain[HOLE]
            return Hole(text, reader, path, line, column)
        return {key: _from_json(value) for key, value in plain.items()}
    if isinstance(plain, list):
        return [_from_json(value) for value in plain]
    return plain


def _parameter(item: Parameter) -> Plain:
    plain: Plain = {"name": item.name, "default": item.default, "required": item.required, "message": item.message, "secret": item.secret}
    # What is not declared leaves no trace, so that releases of before there were declarations keep their digest.
    return plain if item.declared is None else {**plain, "declared": declared_plain(item.declared)}


def _parameter_of(plain: Plain) -> Parameter:
    declared = plain.pop("declared", None)
    return Parameter(**{**plain, "used_at": tuple(plain["used_at"])}, declared=None if declared is None else declared_from(declared))


def _meaning(release: Release, *, places: bool) -> Plain:
    plain = _said(release, places=places)
    # What a release of before there were packages and needs does not say leaves no trace, so that it keeps its digest.
    if release.needs != NO_NEEDS:
        plain["needs"] = needs_plain(release.needs)
    if release.files:
        plain["files"] = release.files
    if release.parts:
        plain["format"] = IN_PARTS
        plain["parts"] = {engine: _part(one, places=places) for engine, one in release.parts.items()}
    return plain


SHARED = ("format", "app", "version", "files")  # what a part has from the whole


def _part(release: Release, *, places: bool) -> Plain:
    plain = _written(release) if places else _meaning(release, places=False)
    return {key: value for key, value in plain.items() if key not in SHARED}


def _said(release: Release, *, places: bool) -> Plain:
    return {
        "format": FORMAT,
        "app": release.app,
        "version": release.version,
        "services": _to_json(release.services, places=places),
        "volumes": _to_json(release.volumes, places=places),
        "networks": _to_json(release.networks, places=places),
        "images": [to_plain(image) for image in release.images],
        "parameters": [_parameter(item) for item in release.parameters],
        "soak_s": release.soak_s,
        "deadline_s": release.deadline_s,
        "drift": release.drift,
        "keep": release.keep,
        "fixed": release.fixed,
    }


def digest(release: Release) -> str:
    """What names a release: the digest of all it means. Comments, indentation and the order of keys in the file do not count."""
    return sha256_of(canonical(_meaning(release, places=False)))


def document(release: Release) -> str:
    """A release as JSON text, to be kept for ever; `load` reads it."""
    return canonical(_written(release)).decode("ascii")


def _written(release: Release) -> Plain:
    plain = _meaning(release, places=True)
    for item, parameter in zip(plain["parameters"], release.parameters, strict=True):
        item["used_at"] = list(parameter.used_at)
    plain["places"] = {path: list(place) for path, place in release.places.items()}
    if release.sources:
        plain["sources"] = [list(one) for one in release.sources]
    return plain


def load(text: str) -> Release:
    """The release of a document. Raises ValueError for a document this program did not write."""
    plain = json.loads(text)
    if not isinstance(plain, dict) or plain.get("format") != (IN_PARTS if "parts" in plain else FORMAT):
        raise ValueError("the release was written by a newer control plane; update this one")
    parts = plain.pop("parts", {})
    shared = {key: plain[key] for key in SHARED if key in plain}
    return altered(_read(plain), parts={engine: _read({**one, **shared}) for engine, one in parts.items()})


def _read(plain: Plain) -> Release:
    return Release(
        app=plain["app"],
        version=plain["version"],
        services=tuple(_from_json(plain["services"])),
        volumes=tuple(_from_json(plain["volumes"])),
        networks=tuple(_from_json(plain["networks"])),
        images=tuple(from_plain(Image, image) for image in plain["images"]),
        parameters=tuple(_parameter_of(item) for item in plain["parameters"]),
        soak_s=plain["soak_s"],
        deadline_s=plain["deadline_s"],
        drift=plain["drift"],
        keep=plain["keep"],
        fixed=plain["fixed"],
        places={path: (line, column) for path, (line, column) in plain["places"].items()},
        needs=needs_from(plain["needs"]) if "needs" in plain else NO_NEEDS,
        files=plain.get("files", {}),
        sources=tuple((first, name) for first, name in plain.get("sources", ())),
    )


# --- for one device ---------------------------------------------------------------------------------------------------


def asks_device(release: Release) -> bool:
    """Whether the filled-in release differs from device to device by facts; if not, one state serves all with the same values."""
    parts = (release.services, release.volumes, release.networks, [item.declared.default for item in release.parameters if item.declared])
    return PREFIX in json.dumps([_to_json(part, places=False) for part in parts])


def check_values(release: Release, values: Mapping[str, str], secrets: Mapping[str, str | None]) -> dict[str, str]:
    """The values in canonical form. Raises ComposeError for values a release did not ask for, that stand in the wrong place, that are not what is declared, or
    that fit on no device; `secrets` maps names to their values, None where they are not at hand. What differs from device to device is judged for each
    (see `resolve`)."""
    faults = Faults(Sources(release.sources))
    _check_given(faults, release, values, secrets)
    made = {**values}
    for parameter in release.every_parameter:
        for given in (values, secrets):
            if parameter.name in given:
                text = _judged(faults, parameter, given[parameter.name])
                if given is values:
                    made[parameter.name] = text
    faults.check()
    for engine, one in release.readings:
        wrong = _tried(one, {name: text for name, text in made.items() if not release.parts or one.asks_for(name)})
        if wrong:
            said = f"for {engine}: " if engine else ""
            raise ComposeError(tuple(Fault(fault.path, fault.line, fault.column, said + fault.why, fault.remedy, fault.file) for fault in wrong))
    return made


def _tried(release: Release, values: Mapping[str, str]) -> tuple[Fault, ...]:
    """What is wrong with these values where they stand in one reading of a release."""
    faults, tried = Faults(Sources(release.sources)), Faults()
    same = {name: text for name, text in {**_defaults(release), **release.fixed, **values}.items() if not asks(text)}
    try_values(tried, release.places, same, release.services, release.volumes, release.networks)
    for fault in tried.listed():
        names = [parameter.name for parameter in release.parameters if parameter.name in values and fault.path in parameter.used_at]
        path = f"values.{names[0]}" if len(names) == 1 else fault.path
        why = f"{fault.why} (it stands in {fault.path})" if len(names) == 1 else fault.why
        faults.add(path, fault.line, fault.column, why, fault.remedy)
    return faults.listed()


def judged(parameter: Parameter, text: str) -> str:
    """One value in canonical form, as far as it can be said before a device is known. Raises ComposeError."""
    faults = Faults()
    made = _judged(faults, parameter, text)
    faults.check()
    return made


def _defaults(release: Release) -> dict[str, str]:
    return {item.name: item.declared.default for item in release.parameters if item.declared is not None and item.declared.default is not None}


def _judged(faults: Faults, parameter: Parameter, text: str | None) -> str:
    """One value in canonical form, as far as it can be said before a device is known."""
    path = f"values.{parameter.name}"
    if text is None:
        return ""
    wrong = [] if parameter.secret else [name for name in asks(text) if not is_fact(name)]
    if wrong:
        faults.add(path, 0, 0, *lacking(wrong[0]))
    elif parameter.declared is not None and (parameter.secret or not asks(text)):
        try:
            return normal(parameter.declared, text)
        except Bad as fault:
            faults.add(path, 0, 0, fault.why, fault.remedy)
    return text


def _settled(faults: Faults, release: Release, values: Mapping[str, str], facts: Mapping[str, str]) -> dict[str, str]:
    """Values and declared defaults with the facts of one device filled in, and then in canonical form."""
    made: dict[str, str] = {}
    given = {**_defaults(release), **values}
    for parameter in release.parameters:
        path = f"values.{parameter.name}"
        if parameter.name not in given:
            if parameter.declared is not None and parameter.declared.required and not parameter.secret and parameter.name not in release.fixed:
                faults.add(path, 0, 0, f"parameter {parameter.name} has no value", f"give {parameter.name} a value in the deployment, or at a level")
            continue
        try:
            text = with_facts(given[parameter.name], facts)
            made[parameter.name] = normal(parameter.declared, text) if parameter.declared is not None else text
        except (NoFact, Bad) as fault:
            faults.add(path, 0, 0, fault.why, fault.remedy)
    return made


def _check_given(faults: Faults, release: Release, values: Mapping[str, str], secrets: Mapping[str, str | None]) -> None:
    known, fixed = {parameter.name: parameter for parameter in release.every_parameter}, release.every_fixed
    offered = ", ".join(sorted(known)) or "none"
    for name in sorted({*values, *secrets}):
        parameter = known.get(name)
        path = f"values.{name[:60]}"
        if name in fixed:
            faults.add(path, 0, 0, f"{name} was settled when the release was made ({fixed[name]!r})", "publish another release for another value")
        elif parameter is None:
            faults.add(path, 0, 0, f"release {release.app} {release.version} has no parameter {name[:60]!r}", f"its parameters are: {offered}")
        elif parameter.secret and name in values:
            faults.add(path, 0, 0, f"{name} is a secret", "give it as a secret, so that it travels sealed")
        elif not parameter.secret and name in secrets:
            faults.add(
                path, 0, 0, f"{name} is no secret in this release", "give it as an ordinary value, or name it under `x-penstock: secrets:` in a new release"
            )


def resolve(
    release: Release,
    values: Mapping[str, str],
    secret_versions: Mapping[str, str],
    site: Site,
    *,
    deployment: str = "",
    release_digest: str = "",
    drift: str = "",
    soak_s: int = 0,
    deadline_s: int = 0,
) -> AppState:
    """What the release asks of one device. `secret_versions` maps each secret to the version of its value; the sealed values themselves
    are put in by the caller (`replace(state, secrets=...)`). Empty `drift` and zero spans: as the release says. Raises ComposeError with
    every value that is missing or does not fit, by its place in the Compose file."""
    faults = Faults(Sources(release.sources))
    _check_given(faults, release, values, secret_versions)
    faults.check()
    facts = facts_of(site)
    everything = {**release.fixed, **_settled(faults, release, values, facts), **facts}
    faults.check()
    parts = fill_in(faults, release.places, everything, secret_versions, release.services, release.volumes, release.networks)
    faults.check()
    if parts is None:
        raise ComposeError((Fault("", 0, 0, "the release cannot be filled in", "read the file again"),))
    services, volumes, networks = parts
    state = AppState(
        app=release.app,
        deployment=deployment,
        release=release_digest or digest(release),
        version=release.version,
        services=services,
        volumes=volumes,
        networks=networks,
        images=release.images,
        drift=drift or release.drift,
        soak_s=soak_s or release.soak_s,
        deadline_s=deadline_s or release.deadline_s,
        keep=release.keep,
    )
    return replace(state, wire=wire_needed(state))
