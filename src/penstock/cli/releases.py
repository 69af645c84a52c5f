"""Commands about apps and releases: the catalogue, checking and publishing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.text import Text

from penstock.apiv1 import apps as a
from penstock.apiv1.common import Problem
from penstock.cli import out
from penstock.cli.common import COMMON, All, Common, Limit, Usage, most, text_of
from penstock.cli.names import AppName, ReleaseName, apps

app = App(name="app", help="The catalogue.")
release = App(name="release", help="Releases: publish, check, list, show.")

File = Annotated[Path, Parameter(help="A Compose file; - reads standard input.", allow_leading_hyphen=True)]


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
    if common.json:
        out.show_json(found)
        return out.DONE
    out.facts(
        (
            ("release", f"{found.app} {found.version}"),
            ("digest", found.digest),
            ("published", f"{out.at(found.published_ms)} by {found.by}"),
            ("services", ", ".join(found.services)),
            ("runs on", ", ".join(found.platforms)),
            *((f"image {image.name}", f"{image.digest} for {', '.join(image.platforms)}") for image in found.images),
        )
    )
    _print_parameters(found.parameters)
    return out.DONE


def _print_parameters(found: tuple[a.Parameter, ...]) -> None:
    for item in found:
        what = "secret" if item.secret else "required" if item.default is None else f"default {item.default!r}"
        out.console.print(Text(out.plain(f"  {item.name}: {what}"), style="dim"))


@release.command(name="check")
def release_check(file: File, *, app: AppName = "", common: Common = COMMON) -> int:
    """What a Compose file would become; every fault is named by line."""
    with common.client() as client:
        found = client.check(_text(file), app)
    if common.json:
        out.show_json(found)
        return out.REFUSED if found.faults else out.DONE
    if found.faults:
        return out.complain(Problem(title="Refused", status=422, code="compose-refused", detail=f"{file} cannot be published as it is", faults=found.faults))
    out.say(f"It can be published: {', '.join(found.services)}")
    _print_parameters(found.parameters)
    return out.DONE


@release.command(name="publish")
def release_publish(
    file: File,
    *,
    app: Annotated[str, Parameter(help="The app it is a release of; made if there is none of that name.", completer=apps)],
    version: str,
    note: Annotated[str, Parameter(help="What is new, for people.")] = "",
    common: Common = COMMON,
) -> int:
    """Publish a Compose file as a release.

    Its images must be in the control plane's registry; they are pinned by digest.
    """
    body = a.Publish(app=app, version=version, compose=_text(file), note=note)
    with common.client() as client, out.errors.status(f"publishing {app} {version}: its images are looked up and pinned"):  # shown on terminals only
        made = client.publish(body)
    if common.json:
        out.show_json(made)
    else:
        pinned = out.number(len(made.images), "image")
        out.say(f"{made.app} {made.version} is published, {pinned} pinned; deploy it with: penstock deploy {made.app}:{made.version} --device NAME")
    return out.DONE


def _text(file: Path) -> str:
    text = sys.stdin.read() if str(file) == "-" else text_of(file)
    if not text.strip():
        raise Usage(f"{file} is empty; name the Compose file")
    return text
