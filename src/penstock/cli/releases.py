"""Commands about apps and releases: the catalogue, checking and publishing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.text import Text

from penstock.apiv1 import apps as a
from penstock.apiv1 import supply as s
from penstock.apiv1.archives import pack, unpack
from penstock.apiv1.common import Problem
from penstock.cli import out, templates
from penstock.cli.common import COMMON, All, Common, Limit, Usage, most
from penstock.cli.names import AppName, DeviceName, ReleaseName, apps
from penstock.cli.packing import ALONE, folder_of, gather, write
from penstock.cli.publishing import published
from penstock.cli.releasediff import lines_of, lines_of_parts

app = App(name="app", help="The catalogue.")
release = App(name="release", help="Releases: publish, check, compare, list, show.")
app.command(templates.import_templates, name="import-templates")
app.command(templates.templates, name="templates")
app.command(templates.template, name="template")
app.command(templates.remove_template, name="remove-template")


@app.command(name="list")
def app_list(*, common: Common = COMMON) -> int:
    """Every app and its newest release."""
    with common.client() as client:
        found = client.apps()
    return out.listing(
        found,
        ("app", "newest", "releases", "deployments", "title"),
        ((x.name, x.releases[0].version if x.releases else "-", len(x.releases), x.deployments, x.title) for x in found),
        "None yet: penstock release publish compose.yaml --app NAME --version 1.0.0",
        json=common.json,
    )


@release.command(name="list")
def release_list(
    app: AppName = "",
    *,
    text: Annotated[str, Parameter(help="With this in the app, the version or the note.")] = "",
    limit: Limit = None,
    all_: All = False,
    common: Common = COMMON,
) -> int:
    """Releases, newest first."""
    rows = most(limit, everything=all_, json=common.json)
    with common.client() as client:
        found = client.releases(app, text, rows)
    return out.listing(
        found,
        ("app", "version", "published", "by", "digest", "note"),
        ((r.app, r.version, out.ago(r.published_ms), r.by, r.digest[7:19], r.note) for r in found),
        "No such release." if text or app else "None yet: penstock release publish compose.yaml --app NAME --version 1.0.0",
        json=common.json,
        most=rows,
    )


@release.command(name="show")
def release_show(release: ReleaseName, *, common: Common = COMMON) -> int:
    """One release: images pinned, parameters."""
    with common.client() as client:
        found = client.release(release)
        attached = () if common.json else client.supply.attached(release)
        said = client.package(release)
    if common.json:
        out.show_json(found)
        return out.DONE
    out.facts(
        (
            ("release", f"{found.app} {found.version}"),
            ("digest", found.digest),
            *((name, text) for name, text in (("title", said.title), ("vendor", said.vendor), ("homepage", said.homepage)) if text),
            ("published", f"{out.at(found.published_ms)} by {found.by}"),
            ("services", ", ".join(found.services)),
            ("runs on", ", ".join(found.platforms)),
            *((f"image {image.name}", f"{image.digest} for {', '.join(image.platforms)}") for image in found.images),
            *((f"attached to {one.image}", attachment(item)) for one in attached for item in one.attached),
        )
    )
    _print_hazards(found.hazards)
    _print_parameters(found.parameters)
    for line in lines_of_parts(found.parts):
        out.say(line)
    return out.DONE


def attachment(found: s.Attached) -> str:
    """What is attached to an image, in a line."""
    words = {
        "spdx": "packages (SPDX)",
        "cyclonedx": "packages (CycloneDX)",
        "signature": "signature (not verified)",
        "attestation": "attestation",
        "other": found.media_type,
    }
    many = f", {out.number(found.packages, 'package')}" if found.packages >= 0 and not found.why else ""
    return f"{words[found.kind]}{many}{f', cannot be read: {found.why}' if found.why else ''} {found.document[7:19]}{f' for {found.platform}' if found.platform else ''}"


def _print_hazards(found: tuple[str, ...]) -> None:
    if found:
        out.say("What it may do to the device:")
    for text in found:
        out.console.print(Text(out.plain(f"  {text}"), style="yellow"))


def _print_parameters(found: tuple[a.Parameter, ...]) -> None:
    for item in found:
        what = "secret" if item.secret else "required" if item.default is None else f"default {item.default!r}"
        out.console.print(Text(out.plain(f"  {item.name}: {what}"), style="dim"))


Source = Annotated[
    Path, Parameter(help="A folder, an archive (.tar, .tar.gz, .zip), or a Compose file; - reads one from standard input.", allow_leading_hyphen=True)
]
Over = Annotated[
    tuple[Path, ...],
    Parameter(name=["--file", "-f"], help="A Compose file to lay over the one before; several. In a package: those to use, from the first on."),
]
Profiles = Annotated[tuple[str, ...], Parameter(name="--profile", help="A profile whose services belong to the release too; several. * is all.")]


@release.command(name="check")
def release_check(source: Source, *, app: AppName = "", file: Over = (), profile: Profiles = (), common: Common = COMMON) -> int:
    """What a Compose file or a package would become; every fault is named by file and line."""
    text, files, entries = gather(source, file)
    body = a.Check(compose=text, archive=pack(files) if files else b"", files=entries, profiles=profile, app=app)
    with common.client() as client:
        found = client.check(body)
    if common.json:
        out.show_json(found)
        return out.REFUSED if found.faults else out.DONE
    if found.faults:
        return out.complain(Problem(title="Refused", status=422, code="compose-refused", detail=f"{source} cannot be published as it is", faults=found.faults))
    what = f"{found.name} {found.version}".strip()
    out.say(f"It can be published{f' as {what}' if what else ''}: {', '.join(found.services)}")
    if found.copies:
        out.say(f"Publishing copies here first: {', '.join(found.copies)}")
    _print_hazards(found.hazards)
    _print_parameters(found.parameters)
    for line in lines_of_parts(found.parts):
        out.say(line)
    return out.DONE


@release.command(name="publish")
def release_publish(
    source: Source,
    *,
    app: Annotated[str, Parameter(help="The app it is a release of; made if there is none of that name. A package says it itself.", completer=apps)] = "",
    version: Annotated[str, Parameter(help="The version. A package says it itself.")] = "",
    file: Over = (),
    profile: Profiles = (),
    note: Annotated[str, Parameter(help="What is new, for people.")] = "",
    build: Annotated[bool, Parameter(negative=(), help="Build what has `build` on this machine first, and push it to the control plane's registry.")] = False,
    builder: Annotated[str, Parameter(help="Build with this engine: buildah, podman or docker; the first there is unless said.")] = "",
    platform: Annotated[
        tuple[str, ...], Parameter(help="Copy images of other registries for these platforms only, such as linux/arm64; all unless said.")
    ] = (),
    common: Common = COMMON,
) -> int:
    """Publish a Compose file or a package as a release.

    Its images are pinned by digest. What is not in the control plane's registry yet is copied there first, from registries that `penstock upstream list`
    names. The same files give the same release, however they are packed.
    """
    text, files, entries = gather(source, file)
    with common.client() as client:
        if build:
            from penstock.cli.building import built  # reads what only a few need

            asked = a.BuildsAsk(app=app, version=version, compose=text, archive=pack(files) if files else b"", files=entries, profiles=profile)
            changed = built(client, common.context, asked, folder_of(source, files), builder)
            text = changed.get(ALONE, text) if text else ""
            files |= {path: content.encode() for path, content in changed.items()} if files else {}
        body = a.Publish(
            app=app, version=version, compose=text, archive=pack(files) if files else b"", files=entries, profiles=profile, note=note, platforms=platform
        )
        made = published(lambda: client.publish(body), f"publishing {app or source} {version}: its images are looked up and pinned")
    if common.json:
        out.show_json(made)
    else:
        pinned = out.number(len(made.images), "image")
        out.say(f"{made.app} {made.version} is published, {pinned} pinned; deploy it with: penstock deploy {made.app}:{made.version} --device NAME")
        _print_hazards(made.hazards)
        for line in lines_of_parts(made.parts, short=True):
            out.say(line)
    return out.DONE


@release.command(name="files")
def release_files(release: ReleaseName, *, common: Common = COMMON) -> int:
    """The files a release was made from."""
    with common.client() as client:
        found = client.package(release)
    return out.listing(
        found.files,
        ("path", "bytes", "digest", "part for"),
        ((one.path, one.bytes, one.digest[7:19], one.engine) for one in found.files),
        "None.",
        json=common.json,
    )


@release.command(name="export")
def release_export(release: ReleaseName, folder: Annotated[Path, Parameter(help="A new folder, or an empty one.")], *, common: Common = COMMON) -> int:
    """Get the files of a release back, byte for byte."""
    with common.client() as client:
        found = client.archive(release)
    files = unpack(found.archive)
    write(files, folder)
    out.say(f"{found.app} {found.version}: {out.number(len(files), 'file')} written to {folder}")
    return out.DONE


@release.command(name="diff")
def release_diff(
    release: ReleaseName,
    other: ReleaseName = "",
    *,
    device: Annotated[DeviceName, Parameter(help="From what runs on this device; then name one release, the new one.")] = "",
    engine: Annotated[str, Parameter(help="On devices of this engine only, docker or podman; on all unless said.")] = "",
    common: Common = COMMON,
) -> int:
    """What a change from one release to another does on a device: services, volumes, parameters, images, files.

    What is common comes first, then what each engine has in place of it. With --json: only what is common, or that of the engine named.
    """
    if bool(other) == bool(device):
        raise Usage("name two releases, the old one first; or the new one and --device NAME")
    with common.client() as client:
        found = client.compare_releases(release, device=device) if device else client.compare_releases(other, old=release, engine=engine)
        more = () if device or engine or common.json else tuple(client.compare_releases(other, old=release, engine=one) for one in found.engines)
    if common.json:
        out.show_json(found)
        return out.DONE
    for one in (found, *more):
        for line in lines_of(one):
            out.say(line)
    return out.DONE
