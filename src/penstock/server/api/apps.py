"""Handlers for apps, releases, deployments and rollouts. Each decodes, calls one action, and shows what it gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.apiv1 import apps as shapes
from penstock.apiv1 import archives
from penstock.apiv1.common import Outcome, Page
from penstock.server.actions import deployments, devices, packages, progress, releases
from penstock.server.api import present, present_apps
from penstock.server.api.frame import Answer
from penstock.server.api.lists import Order, part
from penstock.server.core import model
from penstock.server.core.errors import Invalid

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


def _given(body: shapes.Publish | shapes.Check | shapes.BuildsAsk) -> releases.Given:
    """What a body brings: one Compose file's text, or a package."""
    if bool(body.compose.strip()) == bool(body.archive):
        why = "there is a Compose file and a package" if body.archive else "there is neither a Compose file nor a package"
        raise Invalid("compose-or-archive", why, field="compose", remedy="send `compose`, a file's text, or `archive`, a package")
    if body.compose:
        return releases.Given(body.compose.encode(), profiles=body.profiles)
    try:
        return releases.Given(files=archives.unpack(body.archive), entries=body.files, profiles=body.profiles)
    except archives.ArchiveError as fault:
        raise Invalid("archive-refused", f"the package is refused: {fault.why}", field="archive", remedy=fault.remedy) from None


def check(call: Call) -> shapes.ReleaseCheck:
    """What a Compose file or a package would become; nothing is stored."""
    return present.check(releases.check(call.plane, call.actor, given=_given(call.body), app=call.body.app))


def builds(call: Call) -> shapes.Builds:
    """What a Compose file or a package asks to have built, and the files with the images in place."""
    body: shapes.BuildsAsk = call.body
    found, changed = releases.builds(call.plane, call.actor, given=_given(body), app=body.app, version=body.version)
    return shapes.Builds(
        builds=tuple(
            shapes.Build(
                service=one.service,
                context=one.context,
                dockerfile=one.dockerfile,
                args=dict(one.args),
                target=one.target,
                platforms=one.platforms,
                image=one.image,
            )
            for one in found
        ),
        changed={path: content.decode("utf-8") for path, content in changed.items()},
    )


def publish(call: Call) -> shapes.Release:
    """A Compose file or a package becomes a release, its images pinned by digest."""
    body: shapes.Publish = call.body
    made = releases.publish(
        call.plane, call.actor, given=_given(body), app=body.app, version=body.version, title=body.title, note=body.note, platforms=body.platforms
    )
    return present.release(releases.get_release(call.plane, call.actor, release=made.id))


def get_package(call: Call) -> shapes.Package:
    """What came with a release: its texts, and its files by path."""
    return present_apps.package(packages.get_package(call.plane, call.actor, release=call.path["release"]))


def get_archive(call: Call) -> shapes.PackageArchive:
    """Every file a release was made from."""
    row, files = packages.get_files(call.plane, call.actor, release=call.path["release"])
    return shapes.PackageArchive(release=row.id, app=row.app, version=row.version, archive=archives.pack(files))


def compare_releases(call: Call) -> shapes.ReleaseChange:
    """What one release would change where another runs."""
    q = call.query
    if bool(q.a) == bool(q.device):
        raise Invalid("release-or-device", "compare with one release, or with what runs on a device", field="a", remedy="give either `a` or `device`")
    return present_apps.change(releases.compare(call.plane, call.actor, old=q.a, new=q.b, device=q.device, engine=q.engine))


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
