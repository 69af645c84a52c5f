"""Pages of apps and deployments: the catalogue, deploying with a preview, watching it happen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from penstock.apiv1 import apps as a
from penstock.apiv1 import devices as d
from penstock.server.api import apps, devices, groups, queries, supply
from penstock.server.core.errors import Invalid
from penstock.server.web.frame import PAGE_FAULTS, Go, Show, Undo, faults_of, read, told

if TYPE_CHECKING:
    from penstock.apiv1.common import Problem
    from penstock.server.web.frame import Ask


def catalogue(ask: Ask) -> Show:
    """Every app and its newest release."""
    templates = frozenset(one.app for one in ask.ask(supply.list_templates).items)
    return Show("apps.html", {"apps": ask.ask(apps.list_apps).items, "templates": templates})


def app(ask: Ask) -> Show:
    """One app, its releases and where it is deployed."""
    found = ask.ask(apps.get_app)
    return Show("app.html", {"app": found, "deployments": ask.ask(apps.list_deployments, query=queries.Deployments(app=found.name, limit=queries.WHOLE)).items})


def release(ask: Ask) -> Show:
    """One release: what came with it, what it is pinned to, its parameters, the file it was made from."""
    name = f"{ask.path['app']}:{ask.path['version']}"
    found = ask.ask(apps.get_release, release=name)
    attached = [(image.image, one) for image in ask.ask(supply.attached, release=found.id).items for one in image.attached]
    others = [one.version for one in ask.ask(apps.get_app, app=found.app).releases if one.version != found.version]
    return Show("release.html", {"release": found, "package": ask.ask(apps.get_package, release=name), "others": others, "attached": attached})


# --- deploying --------------------------------------------------------------------------------------------------------

DEVICES_SHOWN = 200


def _deploy(ask: Ask, form: dict[str, Any], problem: Problem | None = None, preview: a.Preview | None = None) -> Show:
    found = ask.ask(apps.get_release, release=form["release"])
    standing = ask.ask(apps.get_deployment, deployment=form["deployment"]) if form["deployment"] else None
    listed = ask.ask(devices.list_devices, query=queries.Devices(sort="name", limit=DEVICES_SHOWN)).items
    return Show(
        "deploy.html",
        {
            "release": found,
            "app": ask.ask(apps.get_app, app=found.app),
            "standing": standing,
            "groups": ask.ask(groups.list_groups).items if ask.may("groups.read") else (),
            "fleet": [item for item in listed if item.state != "retired"],
            "form": form,
            "problem": problem,
            "faults": faults_of(problem),
            "preview": preview,
        },
        422 if problem else 200,
    )


def deploy_page(ask: Ask) -> Show:
    """Deploy: choose a release, then where and with what."""
    wanted, deployment = ask.query.get("release", ""), ask.query.get("deployment", "")
    if deployment:
        found: a.Deployment = ask.ask(apps.get_deployment, deployment=deployment)
        form = {
            "deployment": found.id,
            "revision": str(found.revision),
            "release": wanted or found.release,
            "name": found.name,
            "kind": "group" if found.target.group else "selector" if found.target.selector else "devices",
            "devices": list(found.target.devices),
            "selector": found.target.selector,
            "group": found.target.group,
            "values": found.values,
            "drift": found.drift,
            "reason": "",
        }
        return _deploy(ask, form)
    if not wanted:
        where = {key: ask.query[key] for key in ("device", "group") if ask.query.get(key)}
        return Show("deploy_choose.html", {"apps": ask.ask(apps.list_apps).items, "where": urlencode(where)})
    device, group = ask.query.get("device", ""), ask.query.get("group", "")
    return _deploy(
        ask,
        {
            "deployment": "",
            "revision": "",
            "release": wanted,
            "name": apps.name_of(ask.plane, ask.actor, wanted),
            "kind": "group" if group else "devices",
            "devices": [device] if device else [],
            "selector": "",
            "group": group,
            "values": {},
            "drift": "",
            "reason": "",
        },
    )


def deploy(ask: Ask) -> Show | Go:
    """Preview what would change where, or let it go."""
    form: dict[str, Any] = {key: ask.first(key) for key in ("deployment", "revision", "release", "name", "selector", "group", "drift", "reason")}
    form["kind"] = ask.first("kind") if ask.first("kind") in ("selector", "group") else "devices"
    form["devices"] = ask.form.get("devices", [])
    given = {key[2:]: value[0] for key, value in ask.form.items() if key.startswith("v.")}
    form["values"] = {key: value for key, value in given.items() if value}
    secrets = {key[2:]: value[0] for key, value in ask.form.items() if key.startswith("s.") and value[0]}
    target = {form["kind"]: form[form["kind"]]}
    wanted: dict[str, Any] = {"release": form["release"], "target": target, "values": form["values"], "secrets": secrets, "drift": form["drift"]}
    try:
        if not any(target.values()):
            raise Invalid(
                "target-empty", "no device is chosen", field="target", remedy="tick at least one device, give a selector over labels, or choose a group"
            )
        if ask.first("do") != "deploy":
            preview = ask.ask(apps.preview, body=read(a.PreviewRequest, {**wanted, "deployment": form["deployment"]}))
            return _deploy(ask, form, preview=preview)
        if form["deployment"]:
            body = read(a.DeploymentChange, {**wanted, "reason": form["reason"]})
            made = ask.ask(apps.change_deployment, body=body, revision=ask.revision(), deployment=form["deployment"])
        else:
            made = ask.ask(apps.create_deployment, body=read(a.DeploymentCreate, {**wanted, "name": form["name"], "reason": form["reason"]}))
    except PAGE_FAULTS as fault:
        return _deploy(ask, form, told(fault))
    return Go(f"/deployments/{made.id}", f"{made.app} {made.version} is ordered. Each device fetches it now and changes when its gate opens.")


def deployments(ask: Ask) -> Show:
    """Every deployment and how far it is."""
    query = queries.Deployments(state="withdrawn" if ask.query.get("state") == "withdrawn" else "standing", limit=queries.WHOLE)
    return Show("deployments.html", {"items": ask.ask(apps.list_deployments, query=query).items, "state": query.state})


PAST = 10  # rollouts of a deployment shown beside the newest


def deployment(ask: Ask) -> Show:
    """One deployment: how far it is, device by device."""
    found: a.Deployment = ask.ask(apps.get_deployment)
    cursor = ask.query.get("cursor", "")
    members: Any = None
    if found.rollout:
        members = ask.ask(apps.members, query=read(queries.Members, {"cursor": cursor, "limit": 100}), rollout=found.rollout.id)
    past = ask.ask(apps.list_rollouts, query=queries.Rollouts(limit=PAST + 1)).items
    base = f"/deployments/{found.id}"
    return Show(
        "deployment.html",
        {
            "d": found,
            "members": members.items if members else (),
            "past": [item for item in past if not found.rollout or item.id != found.rollout.id][:PAST],
            "next_url": f"{base}?{urlencode({'cursor': members.next})}" if members and members.next else "",
            "first_url": base if cursor else "",
        },
    )


def withdraw(ask: Ask) -> Go:
    """Remove the app from every device of the deployment."""
    said = ask.ask(apps.withdraw, body=d.Reason(reason=ask.first("reason")), revision=ask.revision()).said
    found: a.Deployment = ask.ask(apps.get_deployment)
    undo = Undo(f"/deployments/{found.id}/stand-again", {"revision": str(found.revision)})
    return Go(f"/deployments/{found.id}", said, undo=undo)


def stand_again(ask: Ask) -> Go:
    """Take a withdrawal back."""
    said = ask.ask(apps.stand_again, body=d.Reason(reason=ask.first("reason")), revision=ask.revision()).said
    return Go(f"/deployments/{ask.path['deployment']}", said)


def retry(ask: Ask) -> Go:
    """Try again where it failed."""
    return Go(f"/deployments/{ask.path['deployment']}", ask.ask(apps.retry, body=a.Retry()).said)


def stop(ask: Ask) -> Go:
    """Give nobody leave any more."""
    found: a.Deployment = ask.ask(apps.get_deployment)
    if found.rollout is None:
        raise Invalid("no-rollout", "nothing is being rolled out here")
    return Go(f"/deployments/{found.id}", ask.ask(apps.stop_rollout, body=d.Reason(reason=ask.first("reason")), rollout=found.rollout.id).said)
