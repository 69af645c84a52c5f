"""Commands about deployments: preview, deploy, wait for it device by device, change, withdraw."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.text import Text

from penstock.apiv1 import apps as a
from penstock.cli import out
from penstock.cli.common import COMMON, Common, Reason, Usage, pairs
from penstock.cli.names import AppName, DeploymentName, ReleaseName, deployments, devices, groups
from penstock.cli.watch import News, Picture, Watch, shown

if TYPE_CHECKING:
    from penstock.client import Client

deployment = App(name="deployment", help="Deployments: list, show, change, withdraw.")

Pairs = tuple[str, ...]
Set = Annotated[Pairs, Parameter(name="--set", help="A value, NAME=VALUE or NAME=@FILE; may be repeated.")]
Secret = Annotated[Pairs, Parameter(help="A secret, NAME=@FILE (or NAME=VALUE); sealed for each device; may be repeated.")]
Devices = Annotated[Pairs, Parameter(name="--device", help="A device, by name or id; may be repeated.", completer=devices)]
Group = Annotated[str, Parameter(help="Every device of this group; also who comes into it later.", completer=groups)]
Selector = Annotated[str, Parameter(help="Every device with these labels, e.g. 'line=3,!spare'; also later ones.")]
Wait = Annotated[bool, Parameter(name=("--wait", "--watch", "-w"), negative=(), help="Stay until its rollout ends, and show each device.")]
For = Annotated[int, Parameter(name="--for", validator=Number(gte=0, lte=30 * 86_400), help="Wait at most so many seconds; 0 is as long as it takes.")]


def _target(devices: Pairs, selector: str, group: str) -> a.Target:
    if bool(devices) + bool(selector) + bool(group) != 1:
        raise Usage("say where, in one way: --device NAME (may be repeated), --selector 'key=value' or --group NAME")
    return a.Target(devices=devices, selector=selector, group=group)


def _where(target: a.Target) -> str:
    if target.group:
        return f"group {target.group}"
    if target.devices:
        return out.number(len(target.devices), "chosen device")
    return target.selector or "devices of which you see a part"


def preview(
    release: ReleaseName,
    *,
    device: Devices = (),
    selector: Selector = "",
    group: Group = "",
    set_: Set = (),
    secret: Secret = (),
    deployment: Annotated[str, Parameter(help="As a change of this deployment, by its id.", completer=deployments)] = "",
    common: Common = COMMON,
) -> int:
    """What a deployment would change where, and which services restart; nothing is done."""
    body = a.PreviewRequest(
        release=release, target=_target(device, selector, group), values=pairs(set_, "value"), secrets=pairs(secret, "secret"), deployment=deployment
    )
    with common.client() as client:
        found = client.preview(body)
    if common.json:
        out.show_json(found)
        return out.REFUSED if found.missing else out.DONE
    out.table(
        ("device", "site", "what", "from", "restarts", "added", "removed", "why"),
        ((r.name, r.site, r.what, r.from_version, ", ".join(r.restarted), ", ".join(r.added), ", ".join(r.removed), r.why) for r in found.devices),
        "No device is chosen by this.",
    )
    for line in found.warnings:
        out.console.print(out.status("wait", out.sentence(line)))
    for item in found.missing:
        out.console.print(out.status("bad", f"{out.sentence(item.required or f'{item.name} has no value')} Give it with --set {item.name}=VALUE"))
    return out.REFUSED if found.missing else out.DONE


def deploy(
    release: ReleaseName,
    *,
    device: Devices = (),
    selector: Selector = "",
    group: Group = "",
    set_: Set = (),
    secret: Secret = (),
    name: Annotated[str, Parameter(help="What to call the deployment; the app's name unless said.")] = "",
    drift: Annotated[Literal["correct", "report"] | None, Parameter(help="What devices do where something is not as ordered.")] = None,
    reason: Reason = "",
    to: Annotated[str, Parameter(help="Change this deployment instead of making one; what is not given stays.", completer=deployments)] = "",
    wait: Wait = False,
    for_: For = 0,
    common: Common = COMMON,
) -> int:
    """Deploy a release, or change a deployment to it.

    With --wait until its rollout ends: exit code 6 if it failed somewhere, 8 if it did not end in time.
    """
    values, secrets = pairs(set_, "value"), pairs(secret, "secret")
    with common.client() as client:
        if to:
            before = find(client, to)
            made = client.change_deployment(
                before.id,
                before.revision,
                a.DeploymentChange(
                    release=release,
                    target=_target(device, selector, group) if device or selector or group else None,
                    values={**before.values, **values} if values else None,
                    secrets=secrets or None,
                    drift=drift or None,
                    reason=reason,
                ),
            )
        else:
            made = client.deploy(
                a.DeploymentCreate(
                    release=release, target=_target(device, selector, group), name=name, values=values, secrets=secrets, drift=drift or "", reason=reason
                )
            )
        if wait or for_:
            return follow(client, made.id, for_, json=common.json)
    if common.json:
        out.show_json(made)
    else:
        out.say(f"{made.app} {made.version} is ordered on {out.number(made.devices, 'device')}; follow it with: penstock deployment show {made.name} --watch")
        if made.conflict:
            out.console.print(out.status("wait", f"{out.sentence(made.conflict)} To change that one instead: penstock deploy {release} --to NAME"))
    return out.DONE


def find(client: Client, text: str) -> a.Deployment:
    """The standing deployment of that name, or the one with that id. Raises ClientError."""
    for item in client.deployments():
        if item.name == text and item.state == "standing":
            return item
    return client.deployment(text)


# --- waiting ----------------------------------------------------------------------------------------------------------------


def follow(client: Client, deployment: str, seconds: int, *, json: bool) -> int:
    """Show a rollout device by device until it ends, at most `seconds` (0: as long as it takes); the exit code that says how it ended.

    A live table with a bar on a terminal; elsewhere a line each time a device gets on; for programs the deployment, one line at each change."""
    until = time.monotonic() + seconds if seconds else float("inf")
    stood: dict[str, tuple[str, str]] = {}
    with News(client, "deployments", "fleet") as news, Picture(json=json) as picture:
        while True:
            found = client.deployment(deployment)
            members = tuple(client.members(found.rollout.id)) if found.rollout and not json else ()
            if picture.live or json:
                picture.put(found, partial(_print_deployment, members=members))
            else:
                _print_news(stood, members)
            left = until - time.monotonic()
            if _over(found) or left <= 0:
                break
            news.heard(min(left, 5.0))
    if not json:
        out.aside(_ending(found))
    if not _over(found):
        return out.NOT_YET
    return out.ENDED_BADLY if _bad(found) else out.DONE


def _over(found: a.Deployment) -> bool:
    return found.rollout is None or found.rollout.state != "running"


def _bad(found: a.Deployment) -> bool:
    return found.rollout is not None and (found.rollout.counts.get("failed", 0) > 0 or found.rollout.state == "stopped")


def _ending(found: a.Deployment) -> str:
    if not _over(found):
        return f"{found.name} has not ended yet; it goes on: penstock deployment show {found.name} --watch"
    if _bad(found):
        return f"{found.name} did not end well. To try again where it failed: penstock deployment retry {found.name}"
    return f"{found.name} is where it should be"


def _print_news(stood: dict[str, tuple[str, str]], members: tuple[a.Member, ...]) -> None:
    for m in members:
        if stood.get(m.device) != (m.status, m.why):
            stood[m.device] = (m.status, m.why)
            out.say(f"{time.strftime('%H:%M:%S')}  {m.name}  {m.status}{f': {m.why}' if m.why else ''}")


BAR = 24


def _bar(rollout: a.Rollout) -> Text:
    """How many have settled, well or badly, as a bar and in numbers."""
    good, bad = rollout.counts.get("soaked", 0), rollout.counts.get("failed", 0)
    total = max(rollout.total, 1)
    whole, hurt = BAR * good // total, -(-BAR * bad // total)
    drawn = Text("█" * whole, style="green") + Text("▒" * hurt, style="red") + Text("░" * max(BAR - whole - hurt, 0), style="dim")
    return drawn + Text(f"  {good} of {rollout.total} soaked{f', {bad} failed' if bad else ''}")


def _print_deployment(found: a.Deployment, members: tuple[a.Member, ...]) -> None:
    rollout = found.rollout
    out.facts(
        (
            ("deployment", f"{found.name}  ({found.id})"),
            ("release", f"{found.app} {found.version}"),
            ("where", _where(found.target)),
            ("state", found.state),
            (
                "rollout",
                f"{rollout.state}: " + ", ".join(f"{count} {state}" for state, count in sorted(rollout.counts.items()) if count) if rollout else "none",
            ),
            *((("progress", _bar(rollout)),) if rollout else ()),
        )
    )
    if rollout:
        out.table(
            ("device", "site", "stands at", "since", "why"),
            ((m.name, m.site, out.status(m.tone, m.status), out.ago(m.changed_ms), m.why) for m in members),
            "No device.",
        )


# --- what stands ------------------------------------------------------------------------------------------------------------


@deployment.command(name="list")
def deployment_list(
    *,
    app: AppName = "",
    all_: Annotated[bool, Parameter(name="--all", negative=(), help="Withdrawn ones too.")] = False,
    watch: Watch = False,
    common: Common = COMMON,
) -> int:
    """Deployments and how far they are."""

    def show(found: tuple[a.Deployment, ...]) -> None:
        out.table(
            ("name", "app", "version", "devices", "rollout", "changed", "by"),
            ((x.name, x.app, x.version, x.devices, x.rollout.state if x.rollout else "-", out.ago(x.changed_ms), x.by) for x in found),
            "None yet: penstock deploy APP:VERSION --device NAME",
        )

    with common.client() as client:
        shown(client, ("deployments",), lambda: client.deployments(app, "" if all_ else "standing"), show, watch=watch, json=common.json)
    return out.DONE


@deployment.command(name="show")
def deployment_show(deployment: DeploymentName, *, wait: Wait = False, for_: For = 0, common: Common = COMMON) -> int:
    """One deployment, device by device.

    With --wait until its rollout ends: exit code 6 if it failed somewhere, 8 if it did not end in time.
    """
    with common.client() as client:
        found = find(client, deployment)
        if wait or for_:
            return follow(client, found.id, for_, json=common.json)
        if common.json:
            out.show_json(found)
        else:
            _print_deployment(found, tuple(client.members(found.rollout.id)) if found.rollout else ())
    return out.DONE


@deployment.command(name="withdraw")
def deployment_withdraw(deployment: DeploymentName, *, reason: Reason = "", common: Common = COMMON) -> int:
    """Remove the app from every device of the deployment; volumes stay."""
    with common.client() as client:
        found = find(client, deployment)
        return out.outcome(client.withdraw(found.id, found.revision, reason), json=common.json)


@deployment.command(name="retry")
def deployment_retry(deployment: DeploymentName, *devices: str, common: Common = COMMON) -> int:
    """Try again where it failed."""
    with common.client() as client:
        return out.outcome(client.retry(find(client, deployment).id, devices), json=common.json)


@deployment.command(name="stop")
def deployment_stop(deployment: DeploymentName, *, reason: Reason, common: Common = COMMON) -> int:
    """Stop its rollout: nobody gets leave any more."""
    with common.client() as client:
        found = find(client, deployment)
        if found.rollout is None:
            raise Usage(f"nothing is being rolled out by {found.name}")
        return out.outcome(client.stop_rollout(found.rollout.id, reason), json=common.json)
