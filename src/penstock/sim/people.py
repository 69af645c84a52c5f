"""The people of a simulated world: the fleet engineer who publishes and deploys, and those who stand at the machines.

Owns what they do, through the plane's real actions and the agent's real local requests, and the telling of the watch, which must know what was ordered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.agent.work import Local
from penstock.server.actions import catalog, commands, deployments, devices, progress, releases, settings
from penstock.server.core.errors import Refused
from penstock.server.core.model import FAILED, PINNED, QUARANTINED, RUNNING, STANDING, Deployment, Target
from penstock.server.store import deployments as deployment_store
from penstock.server.store import devices as device_store
from penstock.server.store import rollouts as rollout_store
from penstock.server.store.db import Tx
from penstock.sim.catalogue import SECRET, Version, compose_of
from penstock.sim.plane import BOSS

if TYPE_CHECKING:
    from penstock.agent.work import LocalReply
    from penstock.server.actions.context import Plane
    from penstock.sim.device import SimDevice
    from penstock.sim.world import World


class People:
    """One per world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dice = world.dice.of("people")

    def _plane(self) -> Plane:
        """The plane as it runs now; a restart makes another."""
        return self.world.plane.plane

    # --- the fleet engineer ---------------------------------------------------------------------------------------------

    def publish(self, version: Version) -> str:
        """Publish a version; the release's id."""
        self.world.trace(None, "publish", f"{version.app} {version.name} {'sound' if version.sound else 'unsound'}")
        row = releases.publish(self._plane(), BOSS, source=compose_of(version), app=version.app, version=version.name)
        return row.id

    def next_version(self, app: str, badness: float = 0.0) -> Version:
        """Make and publish the app's next version."""
        version = self.world.catalogue.next_version(app, self.dice, badness)
        self.publish(version)
        return version

    def deploy(self, version: Version, target: Target | None = None) -> None:
        """Order a version everywhere (or there): a new deployment, or a change of the one there is."""
        self.world.trace(None, "deploy", f"{version.app} {version.name}")
        aim = target or Target(selector="ring=all")
        secrets = {"PASSWORD": SECRET.format(app=version.app)} if any(part.secret for part in version.parts) else {}
        standing = self.deployment(version.app)
        name = f"{version.app}-everywhere"
        self._expect(version.app, version)
        if standing is None:
            taken = self._plane().db.view(lambda tx: len(deployment_store.all_of(tx, version.app)))
            deployments.create_deployment(
                self._plane(), BOSS, name=f"{name}-{taken}" if taken else name, release=f"{version.app}:{version.name}", target=aim, secrets=secrets
            )
        else:
            plan = self._plane().db.view(lambda tx: deployment_store.plan(tx, standing.id, standing.plan))
            assert plan is not None
            fresh = {key: value for key, value in secrets.items() if key not in plan.secrets}
            deployments.change_deployment(
                self._plane(),
                BOSS,
                deployment=standing.id,
                revision=standing.revision,
                release=f"{version.app}:{version.name}",
                target=target,
                secrets=fresh,
            )
        self._learn_contents()

    def withdraw(self, app: str) -> None:
        """Take an app away everywhere."""
        standing = self.deployment(app)
        if standing is None:
            return
        self.world.trace(None, "withdraw", app)
        self._expect(app, None)
        deployments.withdraw(self._plane(), BOSS, deployment=standing.id, revision=standing.revision, reason="no longer wanted")

    def deployment(self, app: str) -> Deployment | None:
        """The standing deployment of an app."""
        found = self._plane().db.view(lambda tx: deployment_store.all_of(tx, app, STANDING))
        return found[0] if found else None

    def _expect(self, app: str, version: Version | None) -> None:
        for device in self.world.devices:
            self.world.watch.in_play(device, app, version)

    def _learn_contents(self) -> None:
        """Which content digests the plane made of which version (the store knows; the watch wants to)."""

        def read(tx: Tx) -> None:
            devices_there = list(device_store.many(tx, list(device_store.ids(tx))[:1]).values())
            for plan in deployment_store.newest_plans(tx).values():
                loaded, _ = catalog.release_of(self._plane(), tx, plan.release)
                version = self.world.catalogue.version(loaded.app, loaded.version)
                for device in devices_there:
                    self.world.watch.knows(catalog.fill(self._plane(), tx, plan, device).content, version)

        self._plane().db.view(read)

    def after_restore(self, apps: list[str]) -> None:
        """The plane wants again what it wanted then: that is an order too."""
        for app in apps:
            self._expect(app, self.ordered(app))
        self._learn_contents()

    def ordered(self, app: str) -> Version | None:
        """The version that the plane wants everywhere."""
        standing = self.deployment(app)
        if standing is None:
            return None
        plan = self._plane().db.view(lambda tx: deployment_store.plan(tx, standing.id, standing.plan))
        assert plan is not None
        row = releases.get_release(self._plane(), BOSS, release=plan.release).row
        return self.world.catalogue.version(row.app, row.version)

    def retry(self, app: str) -> None:
        """Let what failed try again."""
        standing = self.deployment(app)
        if standing is not None:
            try:
                deployments.retry(self._plane(), BOSS, deployment=standing.id)
                self.world.trace(None, "retry", app)
            except Refused as refused:
                self.world.trace(None, "refused", refused.code)

    def stop_rollouts(self, app: str) -> None:
        """Halt."""
        standing = self.deployment(app)
        if standing is None:
            return
        former = self._plane().db.view(lambda tx: rollout_store.of_deployment(tx, standing.id))
        for rollout in former:
            if rollout.state == RUNNING:
                self.world.trace(None, "halt", rollout.id[-4:])
                progress.stop_rollout(self._plane(), BOSS, rollout=rollout.id, reason="something smells")

    def order(self, device: SimDevice, verb: str, app: str = "", service: str = "") -> None:
        """Give a command."""
        arguments = {key: value for key, value in (("app", app), ("service", service)) if value}
        try:
            commands.order(self._plane(), BOSS, device=device.id, verb=verb, arguments=arguments, expires_s=self.dice.choice((120, 3600)))
        except Refused as refused:
            self.world.trace(None, "refused", refused.code)
            return
        self.world.trace(None, "order", f"{verb} {app} {service} for {device.name}")
        if verb == "restart":
            self.world.watch.restart_ordered(device, app, service)

    def set_leave(self, seconds: int, poll_s: int) -> None:
        """Change the settings of the plane."""
        held = settings.get_settings(self._plane(), BOSS)
        settings.change_settings(self._plane(), BOSS, revision=held.revision, leave_s=seconds, poll_s=poll_s)

    def look_after(self) -> None:
        """What a person has to decide, decided: devices set apart are taken back, reviews accepted."""
        rows = self._plane().db.view(lambda tx: device_store.many(tx, list(device_store.ids(tx))))
        for row in sorted(rows.values(), key=lambda one: one.id):
            try:
                if row.state == QUARANTINED:
                    self.world.trace(None, "take back", row.name)
                    devices.release_quarantine(self._plane(), BOSS, device=row.id, revision=row.revision, reason="looked at it")
                elif row.review and not row.review.startswith("restored: waiting"):
                    self.world.trace(None, "accept review", row.name)
                    devices.accept_review(self._plane(), BOSS, device=row.id, revision=row.revision, reason="looked at it")
            except Refused as refused:
                self.world.trace(None, "refused", refused.code)

    def members(self, app: str) -> dict[str, str]:
        """Device id to where it stands in the newest rollout of an app."""
        standing = self.deployment(app)
        if standing is None:
            return {}

        def read(tx: Tx) -> dict[str, str]:
            former = rollout_store.of_deployment(tx, standing.id)
            return {member.device: member.state for member in rollout_store.members_of(tx, former[0].id)} if former else {}

        found: dict[str, str] = self._plane().db.view(read)
        return found

    def failed(self, app: str) -> bool:
        """Whether anybody failed or went back."""
        return any(state in (FAILED, PINNED) for state in self.members(app).values())

    # --- at the machine -------------------------------------------------------------------------------------------------

    def published(self, version: Version) -> bool:
        """Whether the plane (still) has it."""
        return any(row.version == version.name for row in releases.list_releases(self._plane(), BOSS, app=version.app, limit=1000).items)

    def back_in_play(self, device: SimDevice, app: str) -> None:
        """Somebody goes back: any earlier version may come, or none."""
        for version in self.world.catalogue.versions.get(app, []):
            self.world.watch.in_play(device, app, version)
        self.world.watch.in_play(device, app, None)

    def revert(self, device: SimDevice, app: str) -> LocalReply | None:
        """Somebody at the machine goes back."""
        return device.local(Local("revert", app, "the operator"))

    def meddle(self, device: SimDevice) -> None:
        """Somebody does something to containers by hand."""
        done = device.engine.meddle(self.dice, device.id)
        if done is None:
            return
        what, apps = done
        self.world.trace(device, "meddle", what)
        for app in apps:
            for container in device.engine.all_shown():
                if container.app == app:
                    self.world.watch.excuse(device, app, container.service)
            for version in self.world.catalogue.versions.get(app, []):
                for part in version.parts:
                    self.world.watch.excuse(device, app, part.name)
