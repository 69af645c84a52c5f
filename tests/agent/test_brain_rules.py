"""The brain on the stage: order, jobs, probes, restarts of the agent, storage damage, several apps, and what the link lane does."""

from __future__ import annotations

from penstock.agent import shown
from penstock.agent.work import Answer, Call, Local
from penstock.wire.codec import encode
from penstock.wire.messages import Settings, StateReply
from penstock.wire.record import replace
from penstock.wire.types import Dependency, Mount, Network, NetworkUse, Port, Probe, Sealed, Secret, SecretUse, Volume
from tests.agent.stage import Stage, app, checked, config_of, service, simple
from tests.agent.tinyengine import Act


def order_of(stage: Stage, verb: str) -> list[str]:
    return [one.split(" ")[1] for one in stage.engine.did if one.startswith(verb + " ")]


def test_services_start_in_order_with_their_conditions_and_stop_in_reverse():
    stage = Stage()
    stage.engine.acts[config_of("db")] = Act(healthy_after_ms=3_000)
    stage.engine.acts[config_of("job")] = Act(exit_after_ms=1_000)
    state = app(
        "1",
        checked("web", "web", depends_on=(Dependency("job", "completed"), Dependency("db", "healthy"))),
        checked("db", "db"),
        service("job", "job", depends_on=(Dependency("db", "healthy"),)),
    )
    stage.want(state)
    stage.run(60)
    assert order_of(stage, "start") == ["line-db-1", "line-job-1", "line-web-1"]
    assert stage.app()["phase"] == "soaked"
    stage.want()
    stage.run(60)
    assert order_of(stage, "stop") == ["line-web-1", "line-db-1"]
    assert order_of(stage, "remove") == ["line-web-1", "line-job-1", "line-db-1"]


def test_a_finished_job_is_not_repeated_by_a_reboot_or_a_prune():
    stage = Stage()
    stage.engine.acts[config_of("job")] = Act(exit_after_ms=1_000)
    stage.want(app("1", service("job", "job"), checked("web", "web", depends_on=(Dependency("job", "completed"),))))
    stage.run(60)
    stage.reboot()
    stage.run(60)
    job = next(box for box in stage.engine.boxes.values() if box.order.service.name == "job")
    assert job.starts == 1
    assert "2/2 well, 1 of them finished" in "\n".join(shown.status(stage.status()))
    del stage.engine.boxes[job.id]
    stage.run(200)
    assert order_of(stage, "start").count("line-job-1") == 1
    assert "2/2 well, 1 of them finished" in "\n".join(shown.status(stage.status())), "without its container too"
    assert stage.app()["phase"] == "soaked"


def test_a_job_that_fails_fails_the_change():
    stage = Stage()
    stage.engine.acts[config_of("job")] = Act(exit_after_ms=100, exit_code=2)
    stage.want(app("1", service("job", "job"), checked("web", "web", depends_on=(Dependency("job", "completed"),))))
    stage.run(60)
    assert stage.plane.receipts()[-1].verdict == "failed-unchanged"
    assert "exit code 2" in stage.plane.receipts()[-1].why
    assert stage.engine.boxes == {}


def test_a_service_dropped_from_a_release_is_removed_and_a_new_one_comes():
    stage = Stage()
    stage.want(app("1", checked("a", "a"), checked("b", "b")))
    stage.run(60)
    kept = next(box.id for box in stage.engine.boxes.values() if box.order.service.name == "a")
    stage.want(app("2", checked("a", "a"), checked("c", "c")))
    stage.run(60)
    assert set(stage.running()) == {"line-a-1", "line-c-1"}
    assert kept in stage.engine.boxes
    assert stage.engine.boxes[kept].starts == 1


def test_a_network_that_changes_is_made_anew_with_its_services_and_a_dropped_one_goes():
    stage = Stage()
    one = app("1", checked("a", "a", networks=(NetworkUse("net"),)), checked("b", "b"), networks=(Network("net"), Network("old")))
    stage.want(one)
    stage.run(60)
    assert set(stage.engine.networks) == {"line_net", "line_old"}
    two = app("2", checked("a", "a", networks=(NetworkUse("net"),)), checked("b", "b"), networks=(Network("net", internal=True),))
    stage.want(two)
    stage.run(60)
    assert set(stage.engine.networks) == {"line_net"}
    assert stage.engine.networks["line_net"].internal
    assert order_of(stage, "create") == ["line-a-1", "line-b-1", "line-a-1"]


def test_a_missing_external_volume_is_a_clear_refusal_before_anything_stops():
    stage = Stage()
    stage.want(app("1", checked("a", "a", mounts=(Mount("volume", "/x", "ext"),)), volumes=(Volume("ext", external=True),)))
    stage.run(60)
    assert stage.engine.boxes == {}
    assert "ext" in stage.plane.receipts()[-1].why


def test_probes_decide_and_the_start_period_forgives():
    stage = Stage()
    probe = Probe("http", port=80, interval_ms=1_000, retries=2, start_period_ms=8_000)
    stage.engine.acts[config_of("a")] = Act(healthy_after_ms=6_000)
    stage.want(app("1", service("a", "a", probes=(probe,))))
    stage.run(60)
    assert stage.app()["phase"] == "soaked"
    assert stage.plane.receipts()[-1].health_rule
    stage.engine.probe_fails.add("a")
    stage.run(300)
    seen = stage.plane.bodies("observation")[-1].app
    assert seen.services[0].health == "unhealthy"
    assert "connection refused" in seen.services[0].why
    assert len(stage.plane.receipts()) == 1  # after the soak, going back is a person's decision


def test_without_any_health_rule_running_counts_and_is_said():
    stage = Stage()
    stage.want(app("1", service("a", "a")))
    stage.run(60)
    receipt = stage.plane.receipts()[-1]
    assert receipt.verdict == "soaked"
    assert not receipt.health_rule
    assert "no health rule" in receipt.why


def test_an_engine_without_timers_is_told_to_check():
    stage = Stage()
    stage.engine.timers = False
    asked: list[tuple[str, ...]] = []
    observe = stage.engine.observe

    def watch(ask):
        asked.append(ask.healthchecks)
        return observe(ask)

    stage.engine.observe = watch  # type: ignore[method-assign]
    stage.want(simple("1"))
    stage.run(60)
    assert sum(len(one) for one in asked) >= 4
    assert stage.app()["phase"] == "soaked"


def test_the_soak_goes_on_over_a_restart_of_the_agent_and_counts_only_what_was_watched():
    stage = Stage()
    stage.want(simple("1", soak_s=120))
    stage.run(70)
    assert stage.app()["phase"] == "confirmed"
    stage.mono += 3_600_000  # nobody watched
    stage.start()
    stage.run(30)
    assert stage.app()["phase"] == "confirmed"
    stage.run(40)
    assert stage.app()["phase"] == "soaked"


def test_ill_in_between_begins_the_soak_anew():
    stage = Stage()
    stage.want(simple("1", soak_s=30, deadline_s=60))
    stage.run(20)
    stage.engine.acts[config_of("web1")] = Act(healthy_after_ms=40_000)
    stage.run(15)
    stage.engine.acts.clear()
    stage.run(20)
    assert stage.app()["phase"] == "confirmed"
    stage.run(20)
    assert stage.app()["phase"] == "soaked"


def test_well_and_ill_in_turns_fails_in_the_end():
    stage = Stage()
    stage.want(simple("1"))
    stage.run(60)
    stage.want(simple("2", soak_s=60, deadline_s=30))
    for _ in range(40):
        stage.engine.acts[config_of("web2")] = Act()
        stage.run(15)
        stage.engine.acts[config_of("web2")] = Act(healthy_after_ms=10_000_000)
        stage.run(8)
    assert stage.running()["line-web-1"] == "web1"
    assert "in turns" in stage.plane.receipts()[-1].why


def test_a_crash_after_the_soak_is_restarted_under_back_off_and_reported():
    stage = Stage()
    stage.want(simple("1"))
    stage.run(60)
    stage.engine.acts[config_of("web1")] = Act(exit_after_ms=10, exit_code=1)
    stage.run(3600)
    starts = order_of(stage, "start").count("line-web-1")
    assert 5 < starts < 30
    assert len(stage.plane.receipts()) == 1
    stage.engine.acts.clear()
    stage.run(400)
    assert len(stage.running()) == 2


def test_two_apps_live_side_by_side():
    stage = Stage()
    one, two = simple("1"), simple("1", name="other")
    stage.want(one, two)
    stage.run(60)
    assert len(stage.running()) == 4
    stage.engine.acts[config_of("web2")] = Act(healthy_after_ms=-1)
    stage.want(simple("2"), two)
    stage.run(90)
    assert stage.running()["line-web-1"] == "web1"
    assert all(box.starts == 1 for box in stage.engine.boxes.values() if box.order.name.startswith("other"))
    stage.want(two)
    stage.run(60)
    assert set(stage.running()) == {"other-db-1", "other-web-1"}


def test_secrets_are_opened_for_the_container_and_stand_nowhere_else():
    stage = Stage()
    secret = Secret("password", "3", Sealed("ZQ==", "aQ==", "c2VhbGVk", "dA=="))
    stage.want(app("1", service("a", "a", secret_environment={"PASSWORD": SecretUse("password", "3")}), secrets=(secret,)))
    stage.run(60)
    box = next(iter(stage.engine.boxes.values()))
    assert box.order.secrets == {"PASSWORD": "opened"}
    assert not any(b"opened" in data for data in stage.disk.files.values())
    assert not any("opened" in entry.body for entry in stage.plane.entries)


def test_a_damaged_newest_slot_in_the_middle_of_a_change_is_survived():
    for at in range(1, 40):
        stage = Stage()
        stage.want(simple("1", policy="snapshot"))
        stage.run(30)
        stage.engine.volumes["line_data"]["file"] = "kept"
        stage.want(simple("2", policy="snapshot"))
        stage.kill_after = stage.performed + at
        try:
            stage.run(100)
            break
        except BaseException:  # noqa: BLE001 - the stage's power cut
            stage.kill_after = -1
        newest = max(("ledger.a", "ledger.b"), key=lambda name: int(stage.disk.files[name].split(b'"serial":')[1].split(b"}")[0].split(b",")[0]))
        stage.disk.truncate(newest, len(stage.disk.files[newest]) // 2)
        stage.start()
        stage.run(150)
        assert stage.running() == {"line-db-1": "db", "line-web-1": "web2"}, at
        assert len(stage.engine.boxes) == 2, (at, [box.order.name for box in stage.engine.boxes.values()])
        assert stage.engine.volumes["line_data"]["file"] == "kept"
    assert at > 5


def test_the_sparing_mode_wakes_without_a_trace():
    stage = Stage()
    stage.want(simple("1"))
    stage.run(60)
    stage.run(60)
    before = dict(stage.disk.files)
    stage.mono += 900_000
    stage.start(resumed=True)
    stage.run(30)
    assert stage.disk.files == before
    assert not stage.brain.busy()


def test_a_year_without_the_plane_stays_within_its_quota():
    stage = Stage()
    stage.want(simple("1"))
    stage.run(60)
    stage.plane.up = False
    box = next(box for box in stage.engine.boxes.values() if box.order.service.name == "web")
    for _ in range(60):
        box.state, box.exit_code = "exited", 137
        stage.run(120)
        stage.start()
    assert sum(len(data) for data in stage.disk.files.values()) < 17 * 1024 * 1024
    stage.plane.up = True
    stage.run(2000)
    assert [entry.seq for entry in stage.plane.entries] == list(range(1, len(stage.plane.entries) + 1))
    assert stage.status()["log"]["newest"] == stage.status()["log"]["acknowledged"]


def test_a_report_whose_answer_is_lost_is_sent_again_and_nothing_twice():
    stage = Stage()
    stage.plane.lost_acks = 5
    stage.want(simple("1"))
    stage.run(400)
    assert [entry.seq for entry in stage.plane.entries] == list(range(1, len(stage.plane.entries) + 1))
    assert stage.status()["log"]["newest"] == stage.status()["log"]["acknowledged"]


def test_a_granted_long_poll_is_used_at_rest_and_given_up_for_news():
    stage = Stage()
    stage.plane.wait = 25
    stage.want(simple("1"))
    stage.run(120)
    assert any("wait=25" in call.path for call in stage.calls)
    while True:
        call = stage.brain.link_work(stage.now())
        if call is not None and "wait=" in call.path:
            break
        if call is not None:
            stage.brain.done(call, stage.plane.answer(call), stage.now())
        stage.mono += 250
    assert isinstance(call, Call)
    assert not stage.brain.interrupt(stage.now())
    stage.brain.local(Local("revert", "line"), stage.now())
    stage.brain.local(Local("retry", "line"), stage.now())
    box = next(box for box in stage.engine.boxes.values() if box.order.service.name == "web")
    box.state = "exited"
    for _ in range(60):
        work = stage.brain.engine_work(stage.now())
        if work is not None:
            stage.brain.done(work, stage.hands.perform(work), stage.now())
        stage.mono += 1000
    assert stage.brain.interrupt(stage.now())
    stage.brain.dropped(stage.now())
    following = stage.brain.link_work(stage.now())
    assert following is not None
    assert following.kind == "report"


def test_the_planes_poll_is_kept_within_bounds():
    stage = Stage()
    stage.want(simple("1"))
    stage.run(60)
    before = len(stage.calls)
    stage.run(3600)
    assert 50 < len(stage.calls) - before < 80


def test_a_rate_cap_and_settings_come_with_signed_state():
    stage = Stage()
    stage.plane.want(simple("1"))
    stage.hear()
    stage.run(30)
    assert stage.brain._mind.book.settings == Settings()


def test_a_refused_reply_changes_nothing_and_is_noted_once():
    stage = Stage()
    stage.want(simple("1"))
    stage.run(60)
    good = stage.plane.desired
    stage.plane.desired = good.replace(b"dev_", b"dxv_") if b"dev_" in good else good[:-40] + b"}"
    stage.plane.edition += 1
    stage.hear()
    stage.run(300)
    assert len([one for one in stage.plane.bodies("refusal") if one.what == "desired"]) == 1
    assert len(stage.running()) == 2


def test_the_same_number_with_other_content_is_refused():
    stage = Stage()
    stage.want(simple("1"))
    stage.run(60)
    stage.plane.generation -= 1
    stage.want(simple("2"))
    stage.run(120)
    assert stage.running()["line-web-1"] == "web1"
    assert stage.plane.bodies("refusal")[-1].reason == "conflicting-content"


def test_why_speaks_and_knows_its_apps():
    stage = Stage()
    assert stage.brain.local(Local("why"), stage.now()).why
    stage.want(simple("1"))
    stage.run(60)
    assert "runs" in stage.brain.local(Local("why", "line"), stage.now()).why
    assert "line" in stage.brain.local(Local("why", "nope"), stage.now()).why
    assert stage.brain.local(Local("log", count=5), stage.now()).data["entries"]
    assert not stage.brain.local(Local("revert", "nope"), stage.now()).ok
    assert not stage.brain.local(Local("hold"), stage.now()).ok


def test_another_platform_is_a_clear_refusal_before_anything_starts():
    stage = Stage()
    stage.engine.platforms = ("linux/riscv64",)
    stage.want(simple("1"))
    stage.run(60)
    assert stage.engine.did == []
    receipt = stage.plane.receipts()[-1]
    assert receipt.verdict == "rejected"
    assert "riscv64" in receipt.why
    assert len(stage.plane.receipts()) == 1


def test_a_published_port_makes_no_job():
    stage = Stage()
    stage.want(app("1", service("a", "a", restart="on-failure", ports=(Port(80, 80),))))
    stage.run(60)
    stage.reboot()
    stage.run(60)
    assert stage.running() == {"line-a-1": "a"}


def test_changing_only_how_long_to_soak_restarts_nothing():
    stage = Stage()
    stage.want(simple("1"))
    stage.run(60)
    did = list(stage.engine.did)
    stage.want(replace(simple("1"), soak_s=99, drift="report"))
    stage.run(120)
    assert stage.engine.did == did
    assert len(stage.plane.receipts()) == 1


def test_a_service_that_asks_for_it_is_restarted_with_the_one_it_depends_on():
    stage = Stage()
    web = checked("web", "web", depends_on=(Dependency("db", "healthy", restart=True),))
    log = checked("log", "log", depends_on=(Dependency("db", "healthy"),))
    stage.want(app("1", web, log, checked("db", "db")))
    stage.run(60)
    stage.engine.did.clear()
    stage.want(app("2", web, log, checked("db", "db", user="5")))
    stage.run(60)
    assert order_of(stage, "stop") == ["line-web-1", "line-db-1"]
    assert order_of(stage, "start") == ["line-db-1", "line-web-1"]
    assert order_of(stage, "create") == ["line-db-1"]


def test_an_answer_without_the_planes_word_raises_an_alarm():
    stage = Stage()
    stage.want(simple("1"))
    stage.run(60)
    answer = stage.plane.answer
    whole = Answer(200, {"etag": '"old"'}, encode(StateReply(stage.plane.desired.decode())))
    stage.plane.answer = lambda call: whole if call.kind == "poll" else answer(call)  # type: ignore[method-assign]
    stage.run(4000)
    assert any("repeat old answers" in one for one in stage.status()["alarms"])
    assert len(stage.running()) == 2
    stage.plane.answer = answer  # type: ignore[method-assign]
    stage.run(100)
    assert stage.status()["alarms"] == []


def test_a_hole_in_the_log_is_named_and_the_rest_arrives():
    stage = Stage()
    stage.want(simple("1"))
    stage.run(60)
    stage.plane.up = False
    stage.want(simple("1"))
    box = next(box for box in stage.engine.boxes.values() if box.order.service.name == "web")
    box.state = "exited"
    stage.run(60)
    name = max(one for one in stage.disk.files if one.startswith("log/"))
    stage.disk.truncate(name, len(stage.disk.files[name]) - 10)
    stage.start()
    stage.plane.up = True
    stage.run(900)
    numbers = {entry.seq for entry in stage.plane.entries}
    named = {number for gap in stage.plane.bodies("gap") for number in range(gap.first, gap.last + 1)}
    assert numbers | named == set(range(1, stage.plane.seq + 1))


def test_an_acknowledgement_of_an_unknown_epoch_does_not_keep_the_root_from_coming():
    stage = Stage()
    stage.want(simple("1"))
    stage.run(2)
    stage.plane.raise_epoch()
    stage.want(simple("1"))
    stage.run(60)
    assert stage.brain.root().epoch == 2
    assert stage.status()["log"]["newest"] == stage.status()["log"]["acknowledged"]


def test_another_image_than_the_release_names_is_never_confirmed():
    stage = Stage()
    stage.want(simple("1"))
    stage.run(60)
    create = stage.engine.create

    def swapped(order):
        identity = create(order)
        if order.service.image == "web2":
            stage.engine.boxes[identity].image = "sha256:" + "9" * 64
        return identity

    stage.engine.create = swapped  # type: ignore[method-assign]
    stage.want(simple("2"))
    stage.run(60)
    assert stage.running()["line-web-1"] == "web1"
    assert "not the one the release names" in stage.plane.receipts()[-1].why


def test_a_volume_that_appears_with_data_in_the_last_moment_is_never_removed():
    stage = Stage()
    stage.engine.acts[config_of("web1")] = Act(healthy_after_ms=-1)
    create = stage.engine.create_volume

    def raced(order):
        stage.engine.volumes.setdefault(order.name, {})
        create(order)

    has = stage.engine.volume_has_data
    stage.engine.volume_has_data = lambda name, helper: stage.engine.volumes.setdefault(name, {"their": "data"}) is not None and has(name, helper)  # type: ignore[method-assign]
    stage.engine.create_volume = raced  # type: ignore[method-assign]
    stage.want(simple("1", policy="compatible"))
    stage.run(90)
    assert stage.engine.boxes == {}
    assert stage.engine.volumes == {"line_data": {"their": "data"}}


def test_a_cut_between_the_new_root_and_the_ledger_still_voids_what_was_before():
    for at in range(8):
        stage = Stage()
        stage.want(simple("1"))
        stage.run(60)
        stage.engine.down = "gone"
        stage.want(simple("2"))
        stage.run(30)
        assert stage.brain._mind.book.leaves
        stage.plane.raise_epoch()
        stage.plane.want(simple("2"), leave=False)
        stage.hear()
        stage.disk.cut_after = at
        stage.run_through(100)
        stage.disk.cut_after = -1
        stage.engine.down = ""
        stage.run(100)
        assert stage.running()["line-web-1"] == "web1", at
        assert stage.brain._mind.book.epoch == 2
        stage.hear()
        stage.run(5)
        assert stage.status()["log"]["newest"] == stage.status()["log"]["acknowledged"]


def test_a_command_cut_at_every_change_of_a_file_has_one_outcome_and_one_restart_at_most():
    for at in range(12):
        stage = Stage()
        stage.want(simple("1"))
        stage.run(60)
        stage.plane.order("restart", app="line", service="web")
        stage.hear()
        stage.disk.cut_after = at
        cuts = stage.run_through(200)
        stage.disk.cut_after = -1
        outcomes = stage.plane.bodies("command-outcome")
        assert len(outcomes) == 1, (at, outcomes)
        assert outcomes[0].outcome == "done" or (cuts and outcomes[0].outcome == "unknown"), (at, outcomes)
        restarts = [one for one in stage.plane.receipts() if one.kind == "restart"]
        assert len(restarts) == 1
        assert stage.engine.did.count("restart line-web-1") <= 1
        assert not stage.brain.busy()


def test_a_question_that_was_cut_short_is_owned_up_to():
    stage = Stage()
    stage.want(simple("1"))
    stage.run(60)
    stage.plane.order("logs", app="line", service="web")
    stage.hear()
    while True:
        work = stage.brain.engine_work(stage.now())
        if type(work).__name__ == "RunCommand":
            break
        stage.beat() if work is None else stage.brain.done(work, stage.hands.perform(work), stage.now())
        stage.mono += 50
    stage.start()
    stage.run(120)
    assert [one.outcome for one in stage.plane.bodies("command-outcome")] == ["unknown"]
    assert "logs" not in stage.engine.did


def test_from_the_write_that_fails_on_the_engine_is_not_touched():
    for at in range(1, 40):
        stage = Stage()
        stage.want(simple("1"))
        stage.run(60)
        stage.want(simple("2"))
        seen: list[int] = []
        change, begin = stage.disk._change, stage.disk.changes

        def failing(name, size, *, stage=stage, seen=seen, change=change, last=begin + at):
            if stage.disk.changes >= last and not stage.disk.broken:
                stage.disk.broken = "input/output error"
                seen.append(len(stage.engine.did))
            return change(name, size)

        stage.disk._change = failing  # type: ignore[method-assign]
        stage.run(60)
        if not seen:
            assert at > 10
            break
        assert len(stage.engine.did) == seen[0], (at, stage.engine.did[seen[0] :])
