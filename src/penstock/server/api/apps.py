"""Handlers for apps, releases, deployments and rollouts. Each decodes, calls one action, and shows what it gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.apiv1 import apps as shapes
from penstock.apiv1.common import Outcome, Page
from penstock.server.actions import deployments, devices, progress, releases
from penstock.server.api import present
from penstock.server.api.frame import Answer
from penstock.server.api.lists import Order, part
from penstock.server.core import model

if TYPE_CHECKING:
    from penstock.server.actions.context import Plane
    from penstock.server.api.frame import Call
    from penstock.server.core.model import Actor

APPS: dict[str, Order[shapes.App]] = {
    "name": Order(lambda item: item.name, lambda item: item.name),
    "title": Order(lambda item: item.title, lambda item: item.name),
    "newest": Order(lambda item: item.releases[0].published_ms if item.releases else 0, lambda item: item.name, down=True),
}
DEPLOYMENTS: dict[str, Order[shapes.Deployment]] = {
    "oldest": Order(lambda item: item.created_ms, lambda item: item.id),
    "name": Order(lambda item: item.name, lambda item: item.id),
    "changed": Order(lambda item: item.changed_ms, lambda item: item.id, down=True),
}


def list_apps(call: Call) -> Page[shapes.App]:
    """The catalogue."""
    found = map(present.app, releases.list_apps(call.plane, call.actor))
    return part(found, call.query, APPS, lambda item: (item.name, item.title))


def get_app(call: Call) -> shapes.App:
    """One app and its releases."""
    return present.app(releases.get_app(call.plane, call.actor, app=call.path["app"]))


def list_releases(call: Call) -> Page[shapes.ReleaseBrief]:
    """Releases, newest first."""
    q = call.query
    found = releases.list_releases(call.plane, call.actor, app=q.app, text=q.text, sort=q.sort, cursor=q.cursor, limit=q.limit)
    return present.page(found, present.brief)


def get_release(call: Call) -> shapes.Release:
    """One release, by id or "app:version"."""
    return present.release(releases.get_release(call.plane, call.actor, release=call.path["release"]))


def check(call: Call) -> shapes.ReleaseCheck:
    """What a Compose file would become; nothing is stored."""
    found = releases.check(call.plane, call.actor, source=call.body.compose.encode(), app=call.body.app)
    return present.check(found)


def publish(call: Call) -> shapes.Release:
    """A Compose file becomes a release, its images pinned by digest."""
    body: shapes.Publish = call.body
    made = releases.publish(call.plane, call.actor, source=body.compose.encode(), app=body.app, version=body.version, title=body.title, note=body.note)
    return present.release(releases.get_release(call.plane, call.actor, release=made.id))


def target_of(plane: Plane, actor: Actor, target: shapes.Target) -> model.Target:
    """A target with names of devices turned into ids. Raises Missing for a name nobody has."""
    ids = tuple(name if name.startswith("dev_") else devices.get_device(plane, actor, device=name).device.id for name in dict.fromkeys(target.devices))
    return model.Target(devices=ids, selector=target.selector.strip(), group=target.group)


def preview(call: Call) -> shapes.Preview:
    """What a deployment, or a change of one, would do where."""
    body: shapes.PreviewRequest = call.body
    found = deployments.preview(
        call.plane,
        call.actor,
        release=body.release,
        target=target_of(call.plane, call.actor, body.target),
        values=body.values,
        secrets_given=tuple(body.secrets),
        drift=body.drift,
        soak_s=body.soak_s,
        deadline_s=body.deadline_s,
        deployment=body.deployment or None,
    )
    return present.preview(found)


def list_deployments(call: Call) -> Page[shapes.Deployment]:
    """Deployments and how far they are."""
    found = deployments.list_deployments(call.plane, call.actor, app=call.query.app, state=call.query.state)
    return part(map(present.deployment, found), call.query, DEPLOYMENTS, lambda item: (item.name, item.app))


def get_deployment(call: Call) -> Answer:
    """One deployment."""
    return _show(call, call.path["deployment"])


def _show(call: Call, deployment: str) -> Answer:
    found = present.deployment(deployments.get_deployment(call.plane, call.actor, deployment=deployment))
    return Answer(found, revision=found.revision)


def create_deployment(call: Call) -> Answer:
    """A standing intention; its rollout begins at once."""
    body: shapes.DeploymentCreate = call.body
    made = deployments.create_deployment(
        call.plane,
        call.actor,
        name=body.name or name_of(call.plane, call.actor, body.release),
        release=body.release,
        target=target_of(call.plane, call.actor, body.target),
        values=body.values,
        secrets=body.secrets,
        drift=body.drift,
        soak_s=body.soak_s,
        deadline_s=body.deadline_s,
        reason=body.reason,
    )
    return _show(call, made.id)


def name_of(plane: Plane, actor: Actor, release: str) -> str:
    """A free name for a deployment of `release`: the app's, with a number from the second on."""
    app = releases.get_release(plane, actor, release=release).row.app
    taken = {item.deployment.name for item in deployments.list_deployments(plane, actor)}
    number = 1
    while (name := app if number == 1 else f"{app[:58]}-{number}") in taken:
        number += 1
    return name


def change_deployment(call: Call) -> Answer:
    """Another release, target or values; a new rollout begins."""
    body: shapes.DeploymentChange = call.body
    made = deployments.change_deployment(
        call.plane,
        call.actor,
        deployment=call.path["deployment"],
        revision=call.revision,
        release=body.release,
        target=None if body.target is None else target_of(call.plane, call.actor, body.target),
        values=body.values,
        secrets=body.secrets,
        drift=body.drift,
        soak_s=body.soak_s,
        deadline_s=body.deadline_s,
        reason=body.reason,
    )
    return _show(call, made.id)


def withdraw(call: Call) -> Outcome:
    """The app is removed from every device of the deployment; volumes stay."""
    deployments.withdraw(call.plane, call.actor, deployment=call.path["deployment"], revision=call.revision, reason=call.body.reason)
    return Outcome(said="It is withdrawn: devices remove the app in order and keep its volumes.")


def stand_again(call: Call) -> Outcome:
    """A withdrawn deployment stands again, with the plan it had."""
    deployments.stand_again(call.plane, call.actor, deployment=call.path["deployment"], revision=call.revision, reason=call.body.reason)
    return Outcome(said="It stands again, with the plan it had: devices get the app back, on the volumes that were kept.")


def retry(call: Call) -> Outcome:
    """Try again where it failed."""
    names = target_of(call.plane, call.actor, shapes.Target(devices=call.body.devices)).devices
    deployments.retry(call.plane, call.actor, deployment=call.path["deployment"], devices=names)
    return Outcome(said="Devices where it failed get new leave to try.")


def list_rollouts(call: Call) -> Page[shapes.Rollout]:
    """The rollouts of a deployment, newest first."""
    q = call.query
    return present.page(progress.list_rollouts(call.plane, call.actor, deployment=call.path["deployment"], cursor=q.cursor, limit=q.limit), present.rollout)


def get_rollout(call: Call) -> shapes.Rollout:
    """One rollout."""
    return present.rollout(progress.get_rollout(call.plane, call.actor, rollout=call.path["rollout"]))


def stop_rollout(call: Call) -> Outcome:
    """No further device gets leave; what has begun there ends as the device decides."""
    progress.stop_rollout(call.plane, call.actor, rollout=call.path["rollout"], reason=call.body.reason)
    return Outcome(said="The rollout is stopped: nobody gets leave any more, and leave given out lapses by itself.")


def members(call: Call) -> Page[shapes.Member]:
    """The devices of a rollout."""
    found = progress.members(
        call.plane,
        call.actor,
        rollout=call.path["rollout"],
        state=call.query.state,
        cursor=call.query.cursor,
        limit=call.query.limit,
    )
    return present.page(found, present.member)
