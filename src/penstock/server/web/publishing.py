"""Pages of releases: publishing a package or a Compose file, its icon, and what it changes where another release runs."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from penstock.apiv1 import apps as a
from penstock.server.actions import packages
from penstock.server.api import apps, problems, queries, supply
from penstock.server.core.errors import Invalid, Refused
from penstock.server.web.frame import PAGE_FAULTS, Go, Picture, Show, faults_of, read, told
from penstock.wire.types import sha256_of

if TYPE_CHECKING:
    from penstock.apiv1.common import Problem
    from penstock.server.web.frame import Ask

PACKAGE_FORM = 17 * 1024 * 1024  # a package of 16 MiB, and what stands around it
FIELDS = ("app", "version", "note", "profiles")
ICONS = {".svg": "image/svg+xml", ".png": "image/png"}


def _publish(form: dict[str, str], problem: Problem | None = None, checked: a.ReleaseCheck | None = None, *, package: bool = False) -> Show:
    lines = form["compose"].split("\n")
    shown = [(fault, lines[fault.line - 1][:300] if 0 < fault.line <= len(lines) and not package else "") for fault in (problem.faults if problem else ())]
    coming = problem.faults if problem is not None and problem.code == "images-on-their-way" else ()
    if coming:  # nothing is wrong: the page asks again by itself
        problem, shown = None, []
    context = {"form": form, "problem": problem, "faults": faults_of(problem), "lines": shown, "checked": checked, "package": package}
    return Show("publish.html", {**context, "coming": [far(one.path, one.why) for one in coming]}, 422 if problem else 200)


def far(image: str, said: str) -> tuple[str, int, int]:
    """An image that is being copied, with the bytes that are here and of how many (0: not known yet)."""
    words = said.split(" ")
    known = len(words) == 4 and words[0].isdigit() and words[2].isdigit()
    return (image, int(words[0]), int(words[2])) if known else (image, 0, 0)


def publish_page(ask: Ask) -> Show:
    """Publish a package or a Compose file."""
    form = {"app": ask.query.get("app", ""), "version": "", "compose": "", "note": "", "profiles": ""}
    if ask.query.get("template"):
        found = ask.ask(supply.get_template, app=ask.query["template"])
        form |= {"app": found.app, "compose": found.compose}
    return _publish(form)


def publish(ask: Ask) -> Show | Go:
    """A package or a Compose file becomes a release, or its faults are shown by file and line."""
    form = {key: ask.first(key) for key in FIELDS}
    form["compose"] = ask.form.get("compose", [""])[0] or ask.form.get("file", [""])[0]
    archive = ask.files.get("archive", b"")
    given = {"profiles": tuple(form["profiles"].replace(",", " ").split()), "app": form["app"]}
    given |= {"archive": base64.b64encode(archive).decode("ascii")} if archive else {"compose": form["compose"]}
    try:
        if not archive and not form["compose"].strip():
            raise Invalid(
                "compose-empty",
                "there is no package and no Compose file here yet",
                field="compose",
                remedy="choose a package, choose a file, or paste its text",
            )
        if ask.first("do") == "check":
            found = ask.ask(apps.check, body=read(a.Check, given))
            bad = problems.make(422, "compose-refused", "it cannot be published as it is", faults=found.faults) if found.faults else None
            return _publish(form, bad, None if bad else found, package=bool(archive))
        made = ask.ask(apps.publish, body=read(a.Publish, {**given, "version": form["version"], "note": form["note"]}))
    except PAGE_FAULTS as fault:
        return _publish(form, told(fault), package=bool(archive))
    return Go(f"/apps/{made.app}/{made.version}", f"{made.app} {made.version} is published, every image pinned by digest.")


def icon(ask: Ask) -> Picture:
    """A release's icon. Raises Missing."""
    name, content = packages.get_icon(ask.plane, ask.actor, release=f"{ask.path['app']}:{ask.path['version']}")
    return Picture(content, ICONS[name[-4:]], sha256_of(content)[7:23])


def changes(ask: Ask) -> Show:
    """What a release changes where another of its app runs, or on a device."""
    app, version = ask.path["app"], ask.path["version"]
    device, older, engine = ask.query.get("device", ""), ask.query.get("from", ""), ask.query.get("engine", "")
    found, problem = None, None
    others = [one.version for one in ask.ask(apps.get_app, app=app).releases if one.version != version]
    if not device and not older:
        older = others[0] if others else ""
    if device or older:
        query = queries.CompareReleases(b=f"{app}:{version}", a="" if device else f"{app}:{older}", device=device, engine="" if device else engine)
        try:
            found = ask.ask(apps.compare_releases, query=query)
        except Refused as fault:
            problem = told(fault)
    context = {"app": app, "version": version, "older": older, "device": device, "engine": engine, "others": others, "found": found, "problem": problem}
    return Show("release_changes.html", context, 422 if problem else 200)
