"""Whatever happens to a device, in whatever order: a handful of promises hold at every step, and once the faults stop it settles.

The events are those of a bad week in a plant: orders with and without leave, links and engines that go away, kills and reboots, people who stop, remove and
prune, disks that refuse, releases that never get healthy.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.agent.memorydisk import PowerCut
from penstock.agent.work import Local
from penstock.rules.observed import ObservedContainer
from penstock.wire.types import content_digest
from tests.agent.stage import DEVICE, Stage, config_of, simple
from tests.agent.tinyengine import Act

STRANGER = ObservedContainer("f" * 64, "somebody-elses", "running", "sha256:0", labels={"penstock.device": DEVICE, "penstock.app": "line"})

EVENTS = st.sampled_from(
    (
        "want 1", "want 2", "want 3", "want 4", "want 2 without leave", "want 3 without leave", "withdraw", "plane away", "plane back", "engine away",
        "engine back", "kill", "kill in work", "reboot", "stop web", "remove web", "alter web", "prune", "drop blobs", "disk broken", "disk mended",
        "revert", "revert from afar", "accept pin", "restart", "cut power", "short wait", "long wait", "epoch",
    )
)  # fmt: skip


class Week:
    def __init__(self, bad: frozenset[str]) -> None:
        self.stage = Stage()
        self.stage.engine.strangers.append(STRANGER)
        for version in bad:
            self.stage.engine.acts[config_of(f"web{version}")] = Act(healthy_after_ms=-1, writes=("by", version))
        self.allowed: set[str] = set()
        self.held = (0, 0)
        self.mono_wall = 0

    def web(self):
        return next((box for box in self.stage.engine.boxes.values() if box.order.service.name == "web"), None)

    def do(self, event: str) -> None:
        stage, engine, plane = self.stage, self.stage.engine, self.stage.plane
        word = event.split(" ")
        if word[0] == "want":
            leave = not event.endswith("without leave")
            if leave:
                self.allowed.add(word[1])
            stage.want(simple(word[1], policy="snapshot"), leave=leave)
        elif event == "withdraw":
            stage.want()
        elif event == "epoch":
            plane.raise_epoch()
            stage.want(*plane.apps)
            self.allowed |= {one.version for one in plane.apps}
        elif word[0] == "plane":
            plane.up = word[1] == "back"
        elif word[0] == "engine":
            engine.down = "" if word[1] == "back" else "connection refused"
        elif event == "kill":
            stage.start()
        elif event == "kill in work":
            stage.kill_after = stage.performed + 2
        elif event == "cut power":
            stage.disk.cut_after, stage.disk.torn = 3, True
        elif event == "reboot":
            stage.reboot()
        elif event in ("stop web", "remove web", "alter web"):
            box = self.web()
            if box is not None and word[0] == "stop":
                box.state, box.exit_code = "exited", 143
            elif box is not None and word[0] == "remove":
                del engine.boxes[box.id]
            elif box is not None:
                box.settings_changed = {"user": "0"}
        elif event == "prune":
            engine.prune_all()
        elif event == "drop blobs":
            stage.blobs.blobs.clear()
        elif word[0] == "disk":
            stage.disk.broken = "input/output error" if word[1] == "broken" else ""
        elif event == "revert":
            stage.brain.local(Local("revert", "line", by="bea"), stage.now())
        elif event == "revert from afar":
            plane.order("revert", app="line")
        elif event == "accept pin":
            plane.order("accept-pin", app="line")
        elif event == "restart":
            plane.order("restart", app="line", service="web")
        self.carry_on(40 if event == "long wait" else 4)

    def carry_on(self, seconds: int) -> None:
        end = self.stage.mono + self.stage.wall_offset + seconds * 1000
        while self.stage.mono + self.stage.wall_offset < end:
            try:
                self.stage.run(1)
            except PowerCut:
                self.stage.disk.cut_after = self.stage.kill_after = -1
                self.stage.start()
            self.promises()

    def promises(self) -> None:
        stage = self.stage
        epoch, generation = stage.brain.generation()
        assert (epoch, generation) >= self.held, "a generation went back"
        self.held = (epoch, generation)
        assert STRANGER in stage.engine.strangers
        assert not any("somebody-elses" in one for one in stage.engine.did)
        webs = [box for box in stage.engine.boxes.values() if box.order.service.name == "web"]
        assert len(webs) <= 1, "two containers of one service"
        for box in webs:
            assert box.order.service.image[3:] in self.allowed, "a release ran that nobody ever gave leave for"

    def settle(self) -> None:
        stage = self.stage
        stage.plane.up, stage.engine.down, stage.disk.broken, stage.disk.cut_after, stage.kill_after = True, "", "", -1, -1
        self.carry_on(30)
        stage.hear()
        try:
            stage.run(1500)
        except PowerCut as cut:
            raise AssertionError("the power was to stay on") from cut
        self.promises()
        assert not stage.brain.busy(), "a change never ends"
        writes = stage.disk.changes
        did = len(stage.engine.did)
        stage.run(1200)
        assert len(stage.engine.did) == did, f"it is never at rest: {stage.engine.did[did:]}"
        assert stage.disk.changes - writes <= 4, "at rest it writes"
        webs = [box.order.service.image[3:] for box in stage.engine.boxes.values() if box.order.service.name == "web" and box.state == "running"]
        wanted = [one.version for one in stage.plane.apps]
        goods = {one.to_version for one in stage.plane.receipts() if one.verdict == "soaked"}
        left = {one.to_version for one in stage.plane.receipts() if one.verdict == "failed-left"}
        assert set(webs) <= goods | left | set(wanted), (webs, wanted, goods)
        seqs = [entry.seq for entry in stage.plane.entries]
        assert seqs == sorted(set(seqs))
        if not stage.plane.bodies("gap"):
            assert seqs == list(range(1, len(seqs) + 1)), "an entry was lost without a word"
        begun = {one.change for one in stage.plane.bodies("event") if one.name == "change.begun"}
        ended = [one.change for one in stage.plane.receipts()]
        assert begun <= set(ended), "a change without a receipt"
        assert len(ended) == len(set(ended)), "a change with two receipts"
        if wanted and wanted[0] in webs:
            assert content_digest(simple(wanted[0], policy="snapshot")) == stage.app().get("content")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EVENTS, max_size=14), st.frozensets(st.sampled_from("234")))
def test_a_bad_week_ends_well(events, bad):
    week = Week(bad)
    week.do("want 1")
    week.carry_on(20)
    for event in events:
        week.do(event)
    week.settle()
