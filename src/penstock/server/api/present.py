"""From the plane's nouns to the public API's shapes.

Owns the mapping only: nothing is looked up, decided or hidden here (the reach of the asker did that). Pages render the same shapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from penstock.apiv1 import apps, common, devices, fleet, groups, people
from penstock.server.api import problems, words
from penstock.server.api.present_parts import release_parts
from penstock.server.core.compose.parameters import allowed
from penstock.server.core.declared import SECRET, TEXT, Declared
from penstock.server.core.rights import VERBS, reach
from penstock.server.core.siteview import worst

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.server.actions import releases
    from penstock.server.actions.compare import Comparison
    from penstock.server.actions.tokens import TokenView
    from penstock.server.core import model, views
    from penstock.server.core.outdated import Running
    from penstock.wire.messages import Facts


A = TypeVar("A")
B = TypeVar("B")


def one_of(word: str) -> Any:
    """A word of the model where the API's type lists the words it may be; tests compare the answers with the API document."""
    return word


def page(found: views.Page[A], one: Callable[[A], B]) -> common.Page[B]:
    """A page of nouns as a page of shapes."""
    return common.Page(items=tuple(one(item) for item in found.items), next=found.next)


def me(actor: model.Actor) -> people.Me:
    """Who is asking."""
    return people.Me(kind=actor.kind, id=actor.id, name=actor.name, may=tuple(sorted(verb for verb in VERBS if reach(actor.rights, verb))))


def token(found: TokenView) -> people.Token:
    """An API token without its secret."""
    one = found.token
    only = tuple(people.TokenOnly(role=role, on=place.typed) for role, place in found.only)
    return people.Token(
        id=one.id, label=one.name, created_ms=one.created_ms, expires_ms=one.expires_ms, used_ms=one.used_ms, revoked_ms=one.revoked_ms, only=only
    )


def site(found: views.SiteView) -> people.Site:
    """A site and what is in it."""
    return bare_site(found.site, found)


def bare_site(found: model.Site, view: views.SiteView | None = None) -> people.Site:
    """A site; what is in it, where that was asked."""
    return people.Site(
        id=found.id,
        name=found.name,
        title=found.title,
        time_zone=found.time_zone,
        devices=view.devices if view else 0,
        waiting=view.waiting if view else 0,
        revision=found.revision,
        latitude=found.latitude,
        longitude=found.longitude,
        tones=view.tones if view else {},
        worst=worst(view.tones) if view else "none",
        may=view.may if view else (),
    )


def comparison(found: Comparison) -> fleet.Comparison:
    """Two things, side by side."""
    a, b = (fleet.Compared(id=side[0], name=side[1]) for side in (found.a, found.b))
    return fleet.Comparison(a=a, b=b, rows=tuple(fleet.ComparedRow(part=row.part, name=row.name, a=row.a, b=row.b, same=row.same) for row in found.rows))


def about(found: views.About) -> people.About:
    """The plane."""
    return people.About(
        version=found.version,
        wire=found.wire,
        epoch=found.epoch,
        root_version=found.root_version,
        root_digest=found.root_digest,
        root_expires_ms=found.root_expires_ms,
        director_keyid=found.director_keyid,
        database=found.database,
        started_ms=found.started_ms,
        devices=found.devices,
        addresses=found.addresses,
        backup_ms=found.backup_ms,
    )


def settings(found: views.PlaneSettings) -> people.Settings:
    """The plane's settings."""
    return people.Settings(
        revision=found.revision,
        poll_s=found.poll_s,
        fetch_bytes_per_s=found.fetch_bytes_per_s,
        log_quota_bytes=found.log_quota_bytes,
        leave_s=found.leave_s,
        session_idle_s=found.session_idle_s,
        session_total_s=found.session_total_s,
        endpoints=tuple(people.Endpoint(url=e.url, ca=e.ca, proxy=e.proxy) for e in found.endpoints),
    )


def history(found: model.Event) -> people.HistoryItem:
    """One act."""
    return people.HistoryItem(
        number=found.number,
        at_ms=found.at_ms,
        actor_kind=found.actor_kind,
        actor=found.actor_name,
        site=found.site,
        verb=found.verb,
        subject=found.subject,
        outcome=one_of(found.outcome),
        reason=found.reason,
        data=found.data,
    )


# --- groups -----------------------------------------------------------------------------------------------------------


def group(found: views.GroupView) -> groups.Group:
    """A group and what is in it."""
    g = found.group
    return groups.Group(
        id=g.id,
        name=g.name,
        title=g.title,
        selector=g.selector,
        devices=found.named,
        members=found.devices,
        gives_rights=found.gives_rights,
        created_ms=g.created_ms,
        revision=g.revision,
        tally=tally(found.counts) if found.counts is not None else None,
        deployments=tuple(groups.DeployedTo(id=one.id, name=one.name, app=one.app) for one in found.deployments),
    )


def tally(found: views.FleetCounts) -> groups.Tally:
    """Devices in numbers."""
    at = found.phases.get
    return groups.Tally(
        devices=found.devices,
        healthy=at("soaked", 0),
        moving=sum(at(phase, 0) for phase in words.MOVING),
        waiting=at("waiting", 0),
        failing=at("failed", 0) + at("reverting", 0),
        silent=found.liveness.get("silent", 0),
        drifted=found.drift,
        no_way_back=found.no_way_back,
        outdated=found.outdated,
    )


def group_member(found: views.GroupMember) -> groups.GroupMember:
    """A device of a group, and why it is in."""
    return groups.GroupMember(device=row(found.row), ways=tuple(one_of(way) for way in found.ways))


# --- devices ----------------------------------------------------------------------------------------------------------


def join(found: model.JoinToken, site_name: str, now_ms: int) -> devices.JoinToken:
    """A join token without its secret."""
    return devices.JoinToken(
        id=found.id,
        site=site_name,
        uses=found.uses,
        used=found.used,
        created_ms=found.created_ms,
        expires_ms=found.expires_ms,
        auto_approve=found.auto_approve,
        good=not found.revoked_ms and found.used < found.uses and found.expires_ms > now_ms,
        revoked=found.revoked_ms != 0,
        title=found.title,
    )


def facts(found: Facts) -> devices.Facts:
    """What a device says of itself."""
    engine = found.engine
    return devices.Facts(
        hostname=found.hostname,
        platforms=found.platforms,
        agent=found.agent,
        python=found.python,
        kernel=found.kernel,
        cpus=found.cpus,
        memory_bytes=found.memory_bytes,
        disk_bytes=found.disk_bytes,
        engine=engine.kind if engine else "",
        engine_version=engine.version if engine else "",
    )


def enrolment(found: model.Enrolment, site_name: str) -> devices.Enrolment:
    """A device that asks to be let in."""
    return devices.Enrolment(
        id=found.id,
        name=found.name,
        site=site_name,
        fingerprint=found.fingerprint,
        status=one_of(found.status),
        asked_ms=found.asked_ms,
        facts=facts(found.facts),
        replaces=bool(found.replaces),
        why=found.why,
        device=found.device,
    )


def summary(device: model.Device, site_name: str, status: model.DeviceStatus, runs: tuple[Running, ...] = ()) -> devices.DeviceSummary:
    """A device in a list."""
    tone, word, why = words.of_device(device, status)
    return devices.DeviceSummary(
        id=device.id,
        name=device.name,
        site=site_name,
        state=one_of(device.state),
        liveness=one_of("current" if status.liveness == "never" and status.reported_ms else status.liveness),
        status=word,
        tone=tone,
        phase=one_of(status.phase if status.apps else "none"),
        why=why,
        last_seen_ms=max(status.seen_ms, status.reported_ms),
        drift=status.drift,
        way_back=one_of(status.way_back),
        apps=status.apps,
        labels=device.labels,
        revision=device.revision,
        alarms=status.alarms,
        pinned=status.pinned,
        runs=tuple(devices.Running(app=one.app, version=one.version, phase=one_of(one.phase), newest=one.newest) for one in runs),
    )


def row(found: views.DeviceRow) -> devices.DeviceSummary:
    """A device in a list."""
    return summary(found.device, found.site.name, found.status, found.runs)


def app_on_device(found: views.DeviceApp) -> devices.AppOnDevice:
    """One app on one device."""
    seen = found.observed.observed if found.observed else None
    return devices.AppOnDevice(
        app=found.app,
        deployment=found.deployment.id if found.deployment else "",
        deployment_name=found.deployment.name if found.deployment else "",
        wanted_version=found.wanted_version,
        leave_until_ms=found.leave_until_ms,
        rollout_state=found.member.state if found.member else "",
        rollout_why=found.member.why if found.member else "",
        phase=one_of(seen.phase if seen else "pending"),
        why=seen.why if seen else "the device has not said anything about it yet",
        version=seen.version if seen else "",
        target_version=seen.target_version if seen else "",
        services=tuple(
            devices.ServiceStatus(
                service=s.service,
                state=s.state,
                health=s.health,
                image=s.image,
                container=s.container,
                restarts=s.restarts,
                exit_code=s.exit_code,
                why=s.why,
            )
            for s in (seen.services if seen else ())
        ),
        drift=tuple(devices.DriftItem(service=d.service, field=d.field, wanted=d.wanted, seen=d.seen, action=d.action) for d in (seen.drift if seen else ())),
        way_back=devices.WayBack(ok=seen.way_back.ok, version=seen.way_back.version, why=seen.way_back.why) if seen else devices.WayBack(ok=False),
        pinned=seen.pinned if seen else False,
        health_rule=seen.health_rule if seen else True,
        fetched_bytes=seen.fetched_bytes if seen else 0,
        total_bytes=seen.total_bytes if seen else 0,
        at_ms=found.observed.at_ms if found.observed else 0,
        content=seen.content if seen else "",
        outdated=found.outdated,
    )


def device(found: views.DeviceView) -> devices.Device:
    """A device in full."""
    return devices.Device(
        summary=summary(found.device, found.site.name, found.status, found.runs),
        site_title=found.site.title,
        time_zone=found.site.time_zone,
        fingerprint=found.device.fingerprint,
        facts=facts(found.device.facts),
        owed_epoch=found.epoch,
        owed_generation=found.generation,
        adopted_epoch=found.status.epoch,
        adopted_generation=found.status.generation,
        log_seq=found.log_seq,
        lost=found.status.lost,
        enrolled_ms=found.device.enrolled_ms,
        disk_free_bytes=found.status.disk_free_bytes,
        engine_ok=found.status.engine_ok,
        strangers=found.status.strangers,
        apps=tuple(app_on_device(item) for item in found.apps),
        liveness_why=found.liveness_why,
        review=found.device.review,
        groups=tuple(devices.GroupOfDevice(name=one.name, title=one.title) for one in found.groups),
        retirement=retirement(found.retirement) if found.retirement is not None else None,
        may=found.may,
    )


def retirement(found: model.Retirement) -> devices.Retirement:
    """How a device leaves the fleet, or left it."""
    return devices.Retirement(
        wipe=one_of(found.wipe),
        by=found.by,
        reason=found.reason,
        ordered_ms=found.ordered_ms,
        heard_ms=found.heard_ms,
        wiped_ms=found.wiped_ms,
        destroyed_ms=found.destroyed_ms,
        ended_ms=found.ended_ms,
        outcome=one_of(found.outcome),
        said=found.said,
    )


def entry(found: views.TimelineEntry) -> devices.TimelineItem:
    """One thing in a device's life."""
    return devices.TimelineItem(
        source=found.source,
        key=found.key,
        at_ms=found.at_ms,
        kind=found.kind,
        title=found.title,
        why=found.why,
        app=found.app,
        by=found.by,
        clock=found.clock,
        tone=words.of_entry(found.kind, found.title, found.body),
        body=found.body,
    )


def command(found: model.CommandRow) -> devices.Command:
    """A command and how it ended."""
    return devices.Command(
        id=found.id,
        device=found.device,
        verb=found.verb,
        arguments=found.arguments,
        by=found.by,
        issued_ms=found.issued_ms,
        not_after_ms=found.not_after_ms,
        outcome=one_of(found.outcome),
        why=found.why,
        output=found.output,
        ended_ms=found.ended_ms,
    )


# --- apps and deployments ---------------------------------------------------------------------------------------------


def parameter(found: views.Parameter) -> apps.Parameter:
    """A value a release asks for."""
    d = found.declared or Declared(type=SECRET if found.secret else TEXT)
    default = d.default if d.default is not None else found.default
    return apps.Parameter(
        name=found.name,
        default=None if found.secret else default,
        required=found.required,
        secret=found.secret,
        services=found.services,
        type=d.type,
        title=d.title,
        help=d.help,
        group=d.group,
        choices=d.choices,
        allowed=allowed(d),
    )


def brief(found: model.ReleaseBrief) -> apps.ReleaseBrief:
    """A release in a list."""
    return apps.ReleaseBrief(
        id=found.id, app=found.app, version=found.version, digest=found.digest, published_ms=found.published_ms, by=found.published_by, note=found.note
    )


def pinned(found: views.ImageView) -> apps.PinnedImage:
    """An image of a release."""
    variants = found.image.variants
    return apps.PinnedImage(
        name=found.image.name,
        digest=found.image.index or variants[0].manifest.digest,
        platforms=tuple(variant.platform for variant in variants),
        bytes=max(sum(blob.size for blob in (variant.manifest, variant.config, *variant.layers)) for variant in variants),
        services=found.services,
    )


def release(found: views.ReleaseView) -> apps.Release:
    """A release in full."""
    return apps.Release(
        id=found.row.id,
        app=found.row.app,
        version=found.row.version,
        digest=found.row.digest,
        published_ms=found.row.published_ms,
        by=found.row.published_by,
        note=found.row.note,
        services=found.services,
        images=tuple(pinned(item) for item in found.images),
        platforms=found.platforms,
        parameters=tuple(parameter(item) for item in found.parameters),
        irreversible=found.irreversible,
        health_rule=found.health_rule,
        hazards=found.hazards,
        parts=release_parts(found.parts),
        compose=found.row.source,
    )


def check(found: releases.ReleasePreview) -> apps.ReleaseCheck:
    """What a Compose file would become."""
    change = found.difference
    return apps.ReleaseCheck(
        name=found.name,
        version=found.version,
        services=found.services,
        parameters=tuple(parameter(item) for item in found.parameters),
        faults=tuple(problems.of_fault(fault) for fault in found.faults),
        hazards=found.hazards,
        restarts={} if change is None else {item.name: "restarts" if item.restarts else item.kind for item in change.services},
        copies=found.copies,
        parts=release_parts(found.parts),
    )


def app(found: views.AppView) -> apps.App:
    """A catalogue entry."""
    return apps.App(
        name=found.name,
        title=found.title,
        releases=tuple(brief(item) for item in found.releases),
        deployments=found.deployments,
        vendor=found.vendor,
        icon=found.icon,
    )


def preview(found: views.DeploymentPreview) -> apps.Preview:
    """What would change where."""
    return apps.Preview(
        devices=tuple(
            apps.PreviewDevice(
                device=r.device,
                name=r.name,
                site=r.site,
                what=r.what,
                why=r.why,
                from_version=r.from_version,
                restarted=r.restarted,
                added=r.added,
                removed=r.removed,
            )
            for r in found.rows
        ),
        counts=found.counts,
        missing=tuple(parameter(item) for item in found.missing),
        warnings=found.warnings,
    )


def rollout(found: views.RolloutView) -> apps.Rollout:
    """A rollout and how many devices stand where."""
    r = found.rollout
    return apps.Rollout(
        id=r.id,
        state=r.state,
        why=r.why,
        plan=r.plan,
        wave=r.wave,
        waves=r.waves,
        started_ms=r.started_ms,
        ended_ms=r.ended_ms,
        total=sum(found.counts.values()),
        counts=found.counts,
    )


def deployment(found: views.DeploymentView) -> apps.Deployment:
    """A deployment as it stands."""
    d, p = found.deployment, found.plan
    return apps.Deployment(
        id=d.id,
        name=d.name,
        app=d.app,
        version=found.release.version,
        release=found.release.id,
        state=one_of(d.state),
        plan=d.plan,
        target=apps.Target(devices=p.target.devices, selector=p.target.selector, group=found.group),
        values=p.values,
        secret_names=tuple(sorted(p.secrets)),
        drift=p.drift,
        soak_s=p.soak_s,
        deadline_s=p.deadline_s,
        devices=found.devices,
        conflict=d.conflict,
        rollout=rollout(found.rollout) if found.rollout else None,
        created_ms=d.created_ms,
        changed_ms=p.made_ms,
        by=p.made_by,
        reason=p.reason,
        revision=d.revision,
        may=found.may,
    )


def member(found: views.MemberRow) -> apps.Member:
    """One device of a rollout."""
    tone, word = words.MEMBERS.get(found.member.state, ("none", found.member.state))
    return apps.Member(
        device=found.member.device,
        name=found.name,
        site=found.site,
        liveness=one_of(found.liveness),
        state=found.member.state,
        status=word,
        tone=tone,
        why=found.member.why,
        changed_ms=found.member.changed_ms,
    )
