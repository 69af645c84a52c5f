"""Commands about apps, releases and deployments: publish, preview, deploy, watch it happen, withdraw."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter
from rich.text import Text

from penstock.apiv1 import apps as a
from penstock.apiv1.common import Problem
from penstock.cli import out
from penstock.cli.common import COMMON, Common, Usage, pairs, text_of
from penstock.cli.fleet import Watch, watched

if TYPE_CHECKING:
    from penstock.client import Client

app = App(name="app", help="The catalogue.")
release = App(name="release", help="Releases: publish, check, list, show.")
deployment = App(name="deployment", help="Deployments: list, show, change, withdraw.")

Pairs = tuple[str, ...]
Set = Annotated[Pairs, Parameter(name="--set", help="A value, NAME=VALUE or NAME=@FILE; may be repeated.")]
Secret = Annotated[Pairs, Parameter(help="A secret, NAME=@FILE (or NAME=VALUE); sealed for each device; may be repeated.")]
Devices = Annotated[Pairs, Parameter(name="--device", help="A device, by name or id; may be repeated.")]
Selector = Annotated[str, Parameter(help="Every device with these labels, e.g. 'line=3,!spare'; also later ones.")]


@app.command(name="list")
def app_list(*, common: Common = COMMON) -> int:
    """Every app and its newest release."""
    with common.client() as client:
        found = client.apps()
    if common.json:
        out.show_json(found)
    else:
        out.table(
            ("app", "newest", "releases", "deployments"),
            ((x.name, x.releases[0].version if x.releases else "-", len(x.releases), x.deployments) for x in found),
            "None yet: penstock release publish compose.yaml --app NAME --version 1.0.0",
        )
    return out.DONE


@release.command(name="list")
def release_list(app: str = "", *, common: Common = COMMON) -> int:
    """Releases, newest first."""
    with common.client() as client:
        found = client.releases(app)
    if common.json:
        out.show_json(found)
    else:
        out.table(
            ("app", "version", "published", "by", "digest"), ((r.app, r.version, out.ago(r.published_ms), r.by, r.digest[7:19]) for r in found), "None yet."
        )
    return out.DONE


@release.command(name="show")
def release_show(release: Annotated[str, Parameter(help="app:version, or an id.")], *, common: Common = COMMON) -> int:
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
        out.console.print(Text(f"  {item.name}: {what}", style="dim"))


@release.command(name="check")
def release_check(file: Path, *, app: str = "", common: Common = COMMON) -> int:
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
def release_publish(file: Path, *, app: str, version: str, note: str = "", common: Common = COMMON) -> int:
    """Publish a Compose file as a release. Its images must be in the control plane's registry; they are pinned by digest."""
    with common.client() as client:
        made = client.publish(a.Publish(app=app, version=version, compose=_text(file), note=note))
    if common.json:
        out.show_json(made)
    else:
        out.say(
            f"{made.app} {made.version} is published, {out.number(len(made.images), 'image')} pinned; deploy it with: penstock deploy {made.app}:{made.version} --device NAME"
        )
    return out.DONE


def _text(file: Path) -> str:
    text = sys.stdin.read() if str(file) == "-" else text_of(file)
    if not text.strip():
        raise Usage(f"{file} is empty; name the Compose file")
    return text


def _target(devices: Pairs, selector: str) -> a.Target:
    if bool(devices) == bool(selector):
        raise Usage("say where: either --device NAME (may be repeated) or --selector 'key=value'")
    return a.Target(devices=devices, selector=selector)


def preview(
    release: str, *, device: Devices = (), selector: Selector = "", set_: Set = (), secret: Secret = (), deployment: str = "", common: Common = COMMON
) -> int:
    """What a deployment would change where, and which services restart. Nothing is done."""
    body = a.PreviewRequest(
        release=release, target=_target(device, selector), values=pairs(set_, "value"), secrets=pairs(secret, "secret"), deployment=deployment
    )
    with common.client() as client:
        found = client.preview(body)
    if common.json:
        out.show_json(found)
        return out.DONE
    out.table(
        ("device", "site", "what", "from", "restarts", "added", "removed", "why"),
        ((r.name, r.site, r.what, r.from_version, ", ".join(r.restarted), ", ".join(r.added), ", ".join(r.removed), r.why) for r in found.devices),
        "No device is chosen by this.",
    )
    for line in found.warnings:
        out.console.print(out.status("wait", out.sentence(line)))
    for item in found.missing:
        out.console.print(out.status("bad", out.sentence(item.required or f"{item.name} has no value")))
    return out.REFUSED if found.missing else out.DONE


def deploy(
    release: Annotated[str, Parameter(help="app:version, or an id.")],
    *,
    device: Devices = (),
    selector: Selector = "",
    set_: Set = (),
    secret: Secret = (),
    name: str = "",
    drift: Literal["", "correct", "report"] = "",
    reason: str = "",
    to: Annotated[str, Parameter(help="Change this deployment instead of making one; what is not given stays.")] = "",
    watch: Watch = False,
    common: Common = COMMON,
) -> int:
    """Deploy a release, or change a deployment to it."""
    values, secrets = pairs(set_, "value"), pairs(secret, "secret")
    with common.client() as client:
        if to:
            before = _find(client, to)
            made = client.change_deployment(
                before.id,
                before.revision,
                a.DeploymentChange(
                    release=release,
                    target=_target(device, selector) if device or selector else None,
                    values={**before.values, **values} if values else None,
                    secrets=secrets or None,
                    drift=drift or None,
                    reason=reason,
                ),
            )
        else:
            made = client.deploy(
                a.DeploymentCreate(release=release, target=_target(device, selector), name=name, values=values, secrets=secrets, drift=drift, reason=reason)
            )
        if watch:
            return _follow(client, made.id, json=common.json)
    if common.json:
        out.show_json(made)
    else:
        out.say(f"{made.app} {made.version} is ordered on {out.number(made.devices, 'device')}; follow it with: penstock deployment show {made.name} --watch")
        if made.conflict:
            out.console.print(out.status("wait", f"{out.sentence(made.conflict)} To change that one instead: penstock deploy {release} --to NAME"))
    return out.DONE


def _find(client: Client, text: str) -> a.Deployment:
    for item in client.deployments():
        if item.name == text and item.state == "standing":
            return item
    return client.deployment(text)


def _follow(client: Client, deployment: str, *, json: bool) -> int:
    found: a.Deployment | None = None

    def show() -> bool:
        nonlocal found
        found = client.deployment(deployment)
        if json:
            out.show_json(found)
        else:
            _print_deployment(client, found)
        return found.rollout is None or found.rollout.state != "running"

    watched(show, watch=True)
    bad = found is not None and found.rollout is not None and (found.rollout.counts.get("failed", 0) or found.rollout.state == "stopped")
    return out.ENDED_BADLY if bad else out.DONE


def _print_deployment(client: Client, found: a.Deployment) -> None:
    where = found.target.selector or out.number(len(found.target.devices), "chosen device")
    rollout = found.rollout
    out.facts(
        (
            ("deployment", f"{found.name}  ({found.id})"),
            ("release", f"{found.app} {found.version}"),
            ("where", where),
            ("state", found.state),
            (
                "rollout",
                f"{rollout.state}: " + ", ".join(f"{count} {state}" for state, count in sorted(rollout.counts.items()) if count) if rollout else "none",
            ),
        )
    )
    if rollout:
        out.table(
            ("device", "site", "stands at", "since", "why"),
            ((m.name, m.site, out.status(m.tone, m.status), out.ago(m.changed_ms), m.why) for m in client.members(rollout.id)),
            "No device.",
        )


@deployment.command(name="list")
def deployment_list(
    *, app: str = "", all_: Annotated[bool, Parameter(name="--all", negative=(), help="Withdrawn ones too.")] = False, common: Common = COMMON
) -> int:
    """Deployments and how far they are."""
    with common.client() as client:
        found = client.deployments(app, "" if all_ else "standing")
    if common.json:
        out.show_json(found)
    else:
        out.table(
            ("name", "app", "version", "devices", "rollout", "changed", "by"),
            ((x.name, x.app, x.version, x.devices, x.rollout.state if x.rollout else "-", out.ago(x.changed_ms), x.by) for x in found),
            "None yet: penstock deploy APP:VERSION --device NAME",
        )
    return out.DONE


@deployment.command(name="show")
def deployment_show(deployment: str, *, watch: Watch = False, common: Common = COMMON) -> int:
    """One deployment, device by device. With --watch until its rollout ends; exit code 6 if it failed somewhere."""
    with common.client() as client:
        found = _find(client, deployment)
        if watch:
            return _follow(client, found.id, json=common.json)
        if common.json:
            out.show_json(found)
        else:
            _print_deployment(client, found)
    return out.DONE


@deployment.command(name="withdraw")
def deployment_withdraw(deployment: str, *, reason: str = "", common: Common = COMMON) -> int:
    """Remove the app from every device of the deployment; volumes stay."""
    with common.client() as client:
        found = _find(client, deployment)
        out.say(client.withdraw(found.id, found.revision, reason).said)
    return out.DONE


@deployment.command(name="retry")
def deployment_retry(deployment: str, *devices: str, common: Common = COMMON) -> int:
    """Try again where it failed."""
    with common.client() as client:
        out.say(client.retry(_find(client, deployment).id, devices).said)
    return out.DONE


@deployment.command(name="stop")
def deployment_stop(deployment: str, *, reason: str, common: Common = COMMON) -> int:
    """Stop its rollout: nobody gets leave any more."""
    with common.client() as client:
        found = _find(client, deployment)
        if found.rollout is None:
            out.say("Nothing is being rolled out there")
            return out.REFUSED
        out.say(client.stop_rollout(found.rollout.id, reason).said)
    return out.DONE
