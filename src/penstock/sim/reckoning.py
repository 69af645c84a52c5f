"""The reckoning: what must hold once the faults have stopped and time has passed, judged from outside.

Owns "settled" for one device, and the comparison of what runs, what the plane ordered, what it believes, and what of the device's log it
holds. Never changes anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.agent.work import Local
from penstock.rules.wayback import REMEDY
from penstock.server.core.model import ACTIVE, SOAKED, STOPPED
from penstock.server.core.rights import EVERYWHERE
from penstock.server.core.rollout import FAILURES
from penstock.server.store import commands as command_store
from penstock.server.store import devices as device_store
from penstock.server.store import events, log, observations, receipts
from penstock.server.store import rollouts as rollout_store
from penstock.server.store import states as state_store
from penstock.server.store.db import Tx
from penstock.sim.catalogue import SECRET, Version
from penstock.sim.running import MIXED, part_of, runs, shown
from penstock.wire.codec import WireError, decode
from penstock.wire.log import Gap

if TYPE_CHECKING:
    from penstock.server.core.model import AppStatus, LogLine
    from penstock.sim.device import SimDevice
    from penstock.sim.world import World

MOVES = ("install", "update", "revert", "uninstall")  # changes from one version to another


class Reckoning:
    """One per world."""

    def __init__(self, world: World) -> None:
        self.world = world

    # --- what the plane says --------------------------------------------------------------------------------------------

    def _owed(self, tx: Tx, device: SimDevice) -> dict[str, tuple[str, str]]:
        """App to content and rollout."""
        return {one.app: (one.content, one.rollout) for one in rollout_store.assigned_to(tx, [device.id])[device.id]}

    def apart(self, device: SimDevice) -> bool:
        """Whether a person has to decide about it first."""
        row = self.world.plane.plane.db.view(lambda tx: device_store.find(tx, EVERYWHERE, device.id))
        return row is None or row.state != ACTIVE or bool(row.review)

    def _excuse(self, tx: Tx, device: SimDevice, app: str, content: str, rollout: str) -> str:
        """Why the device need not run what it is owed; empty where it must."""
        found = rollout_store.by_id(tx, rollout)
        if found is not None and found.state == STOPPED:
            return "halted"
        seen = {one.app: one for one in observations.of_device(tx, device.id)}.get(app)
        if seen is not None and seen.observed.pinned and self._left(device, app) == content:
            return "pinned"
        if self.forgotten(device, app):
            return "its storage was damaged"
        for row in receipts.of_device(tx, device.id, None, 200):
            if row.receipt.app == app and row.receipt.to_content == content:
                return row.receipt.verdict if row.receipt.verdict in FAILURES else ""
            if row.receipt.app == app and row.receipt.kind == "revert":
                return "went back"
        return ""

    def forgotten(self, device: SimDevice, app: str) -> bool:
        """Whether damage took from a device what it knew of the version it runs: it waits for somebody to order that version once more."""
        if not self.world.watch.of(device).damaged or device.brain is None:
            return False
        apps = device.brain.local(Local("status"), device.moment()).data["apps"]
        return any(one["app"] == app and one["phase"] == "waiting" and REMEDY in one["why"] for one in apps)

    def ran(self, device: SimDevice, app: str) -> Version | None:
        """The version that the device says it runs, whatever is left of it."""
        found = runs(self.world, device, app)
        if found is not MIXED or device.brain is None:
            return found
        apps = device.brain.local(Local("status"), device.moment()).data["apps"]
        return next((self.world.watch.version_of(one["content"]) for one in apps if one["app"] == app), None)

    def in_the_way(self, device: SimDevice, app: str) -> tuple[str, ...]:
        """Containers that somebody made anew by hand, with our labels and under the name that a service needs: such are never touched, the device says so, and
        only a person can go on."""
        if device.brain is None:
            return ()
        apps = device.brain.local(Local("status"), device.moment()).data["apps"]
        said = " ".join(drift["seen"] for one in apps if one["app"] == app for drift in one.get("drift", ()) if drift["action"].startswith("left alone"))
        return tuple(one.id for one in device.engine.all_shown() if one.app == app and f"({one.id[:12]})" in said)

    def _left(self, device: SimDevice, app: str) -> str:
        """The content that somebody at the device left; an order for another one lifts the pin as soon as the device has looked."""
        return device.brain.left(app) if device.brain is not None else ""

    # --- one device -----------------------------------------------------------------------------------------------------

    def unsettled(self, device: SimDevice, *, strict: bool = False) -> str:
        """Why a device has not come to rest; empty when it has. `strict`: nothing excuses it from running what is ordered."""
        brain = device.brain
        if brain is None:
            return "the agent does not run"
        if brain.busy():
            return "a change is under way"
        if device.at_work():
            return "a step is under way"  # what is there is told once nothing more is to be done at once
        status = brain.local(Local("status"), device.moment()).data
        if status["log"]["newest"] != status["log"]["acknowledged"]:
            return f"its log stands at {status['log']['newest']} and is acknowledged up to {status['log']['acknowledged']}"

        def work(tx: Tx) -> str:
            state = state_store.get(tx, device.id)
            if state is not None and (state.epoch, state.generation) != brain.generation():
                return f"it holds generation {brain.generation()}, and {(state.epoch, state.generation)} is newest"
            if command_store.open_ids(tx, [device.id])[device.id]:
                return "a command waits for it"  # one that reaches it later would move it after all, and rightly
            return self._apps(tx, device, strict=strict)

        return self.world.plane.plane.db.view(work)

    def _apps(self, tx: Tx, device: SimDevice, *, strict: bool) -> str:
        owed = self._owed(tx, device)
        for app in sorted(self.world.catalogue.versions):
            actual = runs(self.world, device, app)
            content, rollout = owed.get(app, ("", ""))
            wanted = self.world.watch.version_of(content) if content else None
            if actual is wanted and (wanted is None or not self._ill(device, app)):
                continue
            if content and (strict or not self._excuse(tx, device, app, content, rollout)):
                return f"{app} is to run {wanted.name if wanted else '?'}; there is {shown(device, app)}"
            if not content and actual is not None and not self._stopped(tx, app):
                return f"{app} is not wanted; there is {shown(device, app)}"
        return ""

    def _stopped(self, tx: Tx, app: str) -> bool:
        return False if not app else any(one.state == STOPPED for one in rollout_store.newest(tx).values() if one.app == app)

    def _ill(self, device: SimDevice, app: str) -> bool:
        return any(one.app == app and one.health in ("unhealthy", "starting") and one.state == "running" for one in device.engine.all_shown())

    def all_settled(self, *, strict: bool = False) -> bool:
        """Whether everybody who can has come to rest."""
        if not self.world.plane.up:
            return False
        return all(self.apart(device) or not self.unsettled(device, strict=strict) for device in self.world.devices)

    # --- in the end -----------------------------------------------------------------------------------------------------

    def reckon(self, *, strict: bool) -> None:
        """Judge everybody. `strict`: nobody is excused from running what is ordered."""
        watch = self.world.watch
        for device in self.world.devices:
            if self.apart(device):
                if strict:
                    watch.find("apart", device, "it is still set apart or under review, and nobody is left to decide")
                continue
            why = self.unsettled(device, strict=strict)
            if why:
                watch.find("unsettled", device, why)
                continue
            self.world.plane.plane.db.view(lambda tx, device=device: self._judge(tx, device, strict=strict))  # type: ignore[misc]
        self._secrets()

    def _judge(self, tx: Tx, device: SimDevice, *, strict: bool) -> None:
        watch = self.world.watch
        owed = self._owed(tx, device)
        believed = {one.app: one for one in observations.of_device(tx, device.id)}
        for app in sorted(self.world.catalogue.versions):
            actual = runs(self.world, device, app)
            content, _ = owed.get(app, ("", ""))
            wanted = watch.version_of(content) if content else None
            if actual is MIXED and (self._left_unfinished(tx, device, app, believed.get(app)) or self.forgotten(device, app) or self.in_the_way(device, app)):
                continue
            if actual is MIXED:
                watch.find("two-releases", device, f"at rest there is {shown(device, app)}")
                continue
            if strict and actual is not wanted:
                watch.find("wrong-release", device, f"{app} should run {wanted.name if wanted else 'nothing'}; there is {shown(device, app)}")
            self._believes(tx, device, app, actual, believed)
            self._data(tx, device, app)
            watch.rest(device, app, actual)
            if actual is not wanted:
                watch.in_play(device, app, wanted)
        self._tries(tx, device)
        if not watch.of(device).twin:
            self._log(tx, device)

    def _left_unfinished(self, tx: Tx, device: SimDevice, app: str, seen: AppStatus | None) -> bool:
        """Whether an ill version was left half begun, rightly and honestly: no version had soaked since the app came, so there was none to go back to;
        nothing is there but parts of that one, its receipt says that it failed and was left, and the plane believes so too."""
        rows = [row for row in receipts.of_device(tx, device.id, None, 1000) if row.receipt.app == app and row.receipt.kind in MOVES]
        if seen is None or not rows or rows[0].receipt.verdict != "failed-left":
            return False
        for row in rows:
            if row.receipt.kind == "uninstall" or row.branch != rows[0].branch:
                break
            if row.receipt.verdict == "soaked":
                return False
        content = rows[0].receipt.to_content
        version = self.world.watch.version_of(content)
        return version is not None and (seen.content, seen.phase) == (content, "failed") and part_of(device, version)

    def _believes(self, tx: Tx, device: SimDevice, app: str, actual: Version | None, believed: dict[str, AppStatus]) -> None:
        """The plane's picture is the truth."""
        watch = self.world.watch
        seen = believed.get(app)
        if seen is None:
            if actual is not None:
                watch.find("believes-wrong", device, f"the plane knows nothing of {app}, and version {actual.name} runs")
            return
        said = watch.version_of(seen.content) if seen.content and not seen.observed.removed else None
        if said is not actual:
            watch.find("believes-wrong", device, f"the plane believes {app} {said.name if said else 'gone'}, and there is {shown(device, app)}")
        for member in rollout_store.memberships(tx, device.id):
            if member.app == app and member.state == SOAKED and member.content and (owed := self._owed(tx, device).get(app)) and owed[1] == member.rollout:
                meant = watch.version_of(member.content)
                if meant is not actual:
                    watch.find(
                        "believes-wrong",
                        device,
                        f"the rollout counts {app} {meant.name if meant else '?'} as soaked; there is {shown(device, app)}",
                    )

    def look(self) -> None:
        """Now and then in between: what the plane counts as success must have been seen from outside."""
        if not self.world.plane.up:
            return
        for device in self.world.devices:
            for app in self.world.catalogue.versions:
                actual = runs(self.world, device, app)
                if actual is not None and actual is not MIXED:
                    self.world.watch.of(device).whole.add((app, actual.name))
        self.world.plane.plane.db.view(self._successes)

    def _successes(self, tx: Tx) -> None:
        by_id = {device.id: device for device in self.world.devices if device.clone_of is None}
        for rollout in rollout_store.newest(tx).values():
            for member in rollout_store.members_of(tx, rollout.id):
                device = by_id.get(member.device)
                version = self.world.watch.version_of(member.content) if member.content else None
                if member.state != SOAKED or device is None or version is None:
                    continue
                file = self.world.watch.of(device)
                if version.hopeless:
                    self.world.watch.find("false-success", device, f"{version.app} {version.name} counts as soaked, and can never have been well")
                if not file.twin and (version.app, version.name) not in file.whole:
                    self.world.watch.find("false-success", device, f"{version.app} {version.name} counts as soaked, and was never seen running there")

    def _tries(self, tx: Tx, device: SimDevice) -> None:
        """What failed is not tried again under the same leave, nor in the same rollout unless somebody ordered it."""
        failed: set[tuple[str, str]] = set()
        tries: dict[tuple[str, str], int] = {}
        file = self.world.watch.of(device)
        for row in reversed(receipts.of_device(tx, device.id, None, 1000)):
            receipt = row.receipt
            if receipt.kind not in ("install", "update") or not receipt.authorisation:
                continue
            key = (receipt.to_content, receipt.authorisation)
            version = self.world.watch.version_of(receipt.to_content)
            name = version.name if version else "?"
            if key in failed and not file.twin:
                self.world.watch.find("tried-again", device, f"version {name} was tried again under leave {receipt.authorisation}")
            if receipt.verdict in FAILURES:
                failed.add(key)
                tries[receipt.rollout, name] = tries.get((receipt.rollout, name), 0) + 1
        if file.twin or file.damaged or self.world.plane.plane.epoch > 1:
            return  # what it did was forgotten there, or by the plane: it is asked anew
        for (rollout, name), number in tries.items():
            ordered = sum(event.verb == "rollout.retried" for event in events.after(tx, EVERYWHERE, 0, rollout, 1000))
            if number > 1 + ordered:
                self.world.watch.find(
                    "tried-again", device, f"version {name} failed {number} times in one rollout, and another try was ordered {ordered} times"
                )

    def _data(self, tx: Tx, device: SimDevice, app: str) -> None:
        """What a version that was taken back wrote is gone from volumes that are copied before a change."""
        log_file = device.fake.volumes.get(f"{app}_data")
        if log_file is None or self.world.watch.of(device).twin:
            return
        written = set(log_file.files.get("log", b"").decode().split())
        decided: dict[str, set[str]] = {}
        good: set[str] = set()
        for row in reversed(receipts.of_device(tx, device.id, None, 1000)):
            if row.receipt.app == app and row.receipt.kind in ("install", "update", "revert"):
                decided.setdefault(row.receipt.to_content, set()).add(row.receipt.verdict)
        images = {}
        for content, verdicts in decided.items():
            version = self.world.watch.version_of(content)
            if version is not None and version.volumes.get("data") == "snapshot":
                images[content] = {self.world.catalogue.told[part.image] for part in version.parts if part.volumes}
                if verdicts != {"failed-reverted"}:
                    good |= images[content]
        for content, told in images.items():
            left = (told - good) & written
            version = self.world.watch.version_of(content)
            if decided[content] == {"failed-reverted"} and left and version is not None:
                self.world.watch.find("data-not-restored", device, f"what version {version.name} of {app} wrote is still in its volume after going back")

    def _log(self, tx: Tx, device: SimDevice) -> None:
        """Every number exactly once, or its loss is named."""
        watch = self.world.watch
        lines = self._lines(tx, device)
        branch = max((line.branch for line in lines), default=0)
        mine = {line.seq: line for line in lines if line.branch == branch}
        named: set[int] = set()
        for line in mine.values():
            if line.kind == "gap":
                try:
                    gap = decode(Gap, line.body.encode())
                except WireError:
                    continue
                named |= set(range(gap.first, gap.last + 1))
        newest = max(device.disk.entries, default=0)
        lost = self._named_by_plane(tx, device)
        missing = [seq for seq in range(1, newest + 1) if seq not in mine and seq not in named and seq not in lost]
        if missing:
            watch.find("log-lost", device, f"entries {missing[:5]} of {newest} never arrived, and nobody names their loss")
        for seq, digests in device.disk.entries.items():
            held = mine.get(seq)
            if held is not None and held.digest not in digests:
                watch.find("log-altered", device, f"entry {seq} as the plane holds it was never on the device's disk")

    def _lines(self, tx: Tx, device: SimDevice) -> list[LogLine]:
        found: list[LogLine] = []
        before: tuple[int, int, int] | None = None
        while True:
            page = log.newest(tx, device.id, before, (), 500)
            found.extend(page)
            if len(page) < 500:
                return found
            before = (page[-1].at_ms, page[-1].branch, page[-1].seq)

    def _named_by_plane(self, tx: Tx, device: SimDevice) -> set[int]:
        """Losses that the plane's own record names."""
        from penstock.server.store import events

        found: set[int] = set()
        after = 0
        while True:
            page = events.after(tx, EVERYWHERE, after, device.id, 500)
            for event in page:
                if event.verb == "log.entries-lost":
                    found |= set(range(int(event.data["first"]), int(event.data["last"]) + 1))
            if len(page) < 500:
                return found
            after = page[-1].number

    def _secrets(self) -> None:
        """No secret's plain value lies on any disk or in the plane's database."""
        for app in self.world.catalogue.versions:
            plain = SECRET.format(app=app).encode()
            for device in self.world.devices:
                for name, data in device.disk.files.items():
                    if plain in data:
                        self.world.watch.find("secret-told", device, f"the value of a secret stands in {name}")
            for suffix in ("", "-wal"):
                path = self.world.plane.path.with_name(self.world.plane.path.name + suffix)
                if path.exists() and plain in path.read_bytes():
                    self.world.watch.find("secret-told", None, f"the value of a secret stands in {path.suffix}")
