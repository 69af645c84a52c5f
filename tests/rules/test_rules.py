"""The small rules one by one: order, variants, specs, probes, watches, gates, the way back, polling, commands, tokens of ownership."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.rules import commands, gates, polling, soak, specs, variants, wayback
from penstock.rules.answers import Circumstances, ProbeView
from penstock.rules.health import Verdict, condition_met, fitting_unit, has_rule, is_job, probe_after, verdict
from penstock.rules.look import Look
from penstock.rules.memory import AppMemory, Change, Good, Snapshot, Unit, Watch
from penstock.rules.observed import LABEL_APP, LABEL_DEVICE, LABEL_SERVICE, LABEL_TOKEN, Observation, ObservedContainer
from penstock.rules.order import OrderFault, start_order, stop_order
from penstock.rules.ours import name_taken, owned, reconcile, strangers
from penstock.wire.messages import Authorisation, Command
from penstock.wire.record import replace
from penstock.wire.types import AppState, Blob, Dependency, Healthcheck, Image, Network, NetworkUse, Probe, Service, Variant, content_digest, sha256_of

DEVICE = "dev_" + "a" * 26


def digest(text: str) -> str:
    return sha256_of(text.encode())


def variant(platform: str, seed: str = "x") -> Variant:
    return Variant(platform, Blob(digest(seed + "m"), 1), Blob(digest(seed + "c"), 1), (Blob(digest(seed + "l"), 1),))


def state(*services: Service, **fields) -> AppState:
    images = tuple(Image(name, (variant("linux/amd64", name),)) for name in sorted({one.image for one in services}))
    return AppState("line", "dep_1", digest("release"), "1", services, images=images, **fields)


# --- order ------------------------------------------------------------------------------------------------------------


@st.composite
def graphs(draw):
    names = draw(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8, unique=True))
    services = []
    for index, name in enumerate(names):
        needs = draw(st.lists(st.sampled_from(names[:index]), unique=True, max_size=3)) if index else []
        services.append(Service(name, "i", depends_on=tuple(Dependency(need) for need in needs)))
    return tuple(services)


@settings(max_examples=80, deadline=None)
@given(graphs(), st.randoms())
def test_order_does_not_depend_on_how_services_are_written(services, random):
    mixed = list(services)
    random.shuffle(mixed)
    ordered = start_order(services)
    assert ordered == start_order(tuple(mixed))
    place = {one.name: index for index, one in enumerate(ordered)}
    for one in services:
        assert all(place[need.service] < place[one.name] for need in one.depends_on)
    assert stop_order(services) == ordered[::-1]


def test_circles_and_missing_services_are_named():
    circle = (Service("a", "i", depends_on=(Dependency("b"),)), Service("b", "i", depends_on=(Dependency("a"),)))
    with pytest.raises(OrderFault, match="a -> b -> a"):
        start_order(circle)
    assert {one.name for one in stop_order(circle)} == {"a", "b"}
    with pytest.raises(OrderFault, match="ghost"):
        start_order((Service("a", "i", depends_on=(Dependency("ghost"),)),))
    assert start_order((Service("a", "i", depends_on=(Dependency("ghost", required=False),)),))


# --- variants and specs ---------------------------------------------------------------------------------------------------


def test_the_best_platform_wins_and_a_service_may_insist():
    image = Image("i", (variant("linux/arm/v6", "6"), variant("linux/arm/v7", "7"), variant("linux/arm64", "64")))
    assert variants.choose(image, ("linux/arm/v7", "linux/arm/v6")).platform == "linux/arm/v7"  # type: ignore[union-attr]
    assert variants.choose(image, ("linux/arm64", "linux/arm/v7"), "linux/arm/v7").platform == "linux/arm/v7"  # type: ignore[union-attr]
    assert variants.choose(image, ("linux/amd64",)) is None
    assert variants.choose(image, ("linux/arm/v6",), "linux/arm64") is None
    one = AppState("line", "d", "", "1", (Service("a", "i", platform="linux/arm64"),), images=(image,))
    assert "insists" in (variants.platform_fault(one, ("linux/arm/v7",)) or "")
    assert "has not said" in (variants.platform_fault(one, ()) or "")
    assert variants.platform_fault(one, ("linux/arm64/v8",)) is None


def test_what_changed_between_two_releases():
    old = state(Service("a", "i"), Service("b", "i"), Service("c", "i", networks=(NetworkUse("n"),)), networks=(Network("n"),))
    new = state(
        Service("a", "i"),
        Service("b", "i", user="1"),
        Service("c", "i", networks=(NetworkUse("n"),)),
        Service("d", "i"),
        networks=(Network("n", internal=True),),
    )
    found = specs.changed(old, new, ("linux/amd64",))
    assert (found.added, found.removed, found.altered, found.same) == (("d",), (), ("b", "c"), ("a",))
    assert specs.changed(None, new, ("linux/amd64",)).added == ("a", "b", "c", "d")
    assert specs.changed(old, None, ("linux/amd64",)).removed == ("a", "b", "c")


def test_a_difference_reads_like_a_sentence():
    old = Service("a", "i", environment={"MODE": "slow", "X": "1"})
    new = Service("a", "i", environment={"MODE": "fast"}, user="1000")
    assert specs.differences_in_words(old, new) == ("environment.MODE: slow -> fast", "environment.X: 1 -> (default)", "user: (default) -> 1000")


# --- health ---------------------------------------------------------------------------------------------------------------


def box(**fields) -> ObservedContainer:
    values: dict[str, Any] = {"id": "c" * 64, "name": "line-a-1", "state": "running", "image": "sha256:0"}
    values.update(fields)
    return ObservedContainer(**values)


@pytest.mark.parametrize(
    ("service", "container", "expected"),
    [
        (Service("a", "i"), None, "missing"),
        (Service("a", "i"), box(), "well"),
        (Service("a", "i"), box(health="starting"), "starting"),
        (Service("a", "i"), box(health="unhealthy"), "ill"),
        (Service("a", "i"), box(health="healthy"), "well"),
        (Service("a", "i"), box(state="created"), "starting"),
        (Service("a", "i"), box(state="restarting"), "down"),
        (Service("a", "i"), box(state="paused"), "down"),
        (Service("a", "i"), box(state="exited", exit_code=0), "down"),
        (Service("a", "i", restart="on-failure"), box(state="exited", exit_code=0), "finished"),
        (Service("a", "i", restart="on-failure"), box(state="exited", exit_code=1), "down"),
        (Service("a", "i", restart="always"), box(state="exited", exit_code=0), "down"),
        (Service("a", "i", probes=(Probe("tcp", 1),)), box(), "starting"),
    ],
)
def test_verdicts(service, container, expected):
    unit = None if container is None else Unit("a", "tok", "", "", container.id)
    found = verdict(state(service), service, unit, container, {})
    assert found.verdict == expected
    assert found.why or expected == "well"


def test_out_of_memory_and_the_engines_error_are_said():
    service = Service("a", "i")
    found = verdict(state(service), service, Unit("a", "tok", "", ""), box(state="exited", exit_code=137, oom=True, error="no such device"), {})
    assert "memory" in found.why
    assert "no such device" in found.why


def test_conditions():
    assert condition_met("started", Verdict("a", "ill", running=True))
    assert not condition_met("started", Verdict("a", "starting"))
    assert condition_met("healthy", Verdict("a", "well"))
    assert not condition_met("healthy", Verdict("a", "finished"))
    assert condition_met("completed", Verdict("a", "finished"))
    assert not condition_met("completed", Verdict("a", "well"))
    assert not condition_met("started", None)


def test_probes_forgive_within_the_start_period_and_count_after_it():
    probe = Probe("tcp", 1, retries=2, start_period_ms=5_000)
    view = ProbeView()
    view = probe_after(view, passed=False, why="no", probe=probe, age_ms=1_000)
    assert view == ProbeView(ok=False, fails=0, asked=True, why="no")
    view = probe_after(view, passed=False, why="no", probe=probe, age_ms=6_000)
    view = probe_after(view, passed=False, why="no", probe=probe, age_ms=7_000)
    assert view.fails == 2
    view = probe_after(view, passed=True, why="", probe=probe, age_ms=8_000)
    assert view == ProbeView(ok=True, fails=0, asked=True)
    view = probe_after(view, passed=False, why="no", probe=probe, age_ms=1_000)
    assert view.ok  # one failure of two
    assert not probe_after(view, passed=False, why="no", probe=probe, age_ms=1_000).ok


def test_jobs_and_rules():
    job = Service("job", "i")
    assert not is_job(state(job), job)
    assert is_job(state(job, Service("w", "i", depends_on=(Dependency("job", "completed"),))), job)
    assert not is_job(
        state(Service("x", "i", restart="on-failure", probes=(Probe("tcp", 1),))), Service("x", "i", restart="on-failure", probes=(Probe("tcp", 1),))
    )
    assert not has_rule(state(job))
    assert not has_rule(state(Service("a", "i", healthcheck=Healthcheck(("NONE",)))))
    assert has_rule(state(Service("a", "i", healthcheck=Healthcheck(("CMD", "x")))))


# --- time -----------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 60_000), max_size=20))
def test_a_watch_counts_exactly_the_gaps_that_were_watched(gaps):
    watch, now, expected = soak.restarted(0), 0, 0
    for gap in gaps:
        now += gap
        expected += gap if gap <= soak.MAX_GAP_MS else 0
        watch = soak.tick(watch, now)
    assert watch.spent_ms == expected
    assert soak.tick(replace(watch, mark_ms=-1), now + 1_000).spent_ms == expected
    assert soak.tick(watch, now - 1).spent_ms == expected  # a clock that went back counts nothing


def test_spans_are_bounded():
    assert soak.deadline_ms(replace(state(Service("a", "i")), deadline_s=-5)) == 1_000
    assert soak.soak_ms(replace(state(Service("a", "i")), soak_s=10**9)) == 30 * 86_400_000
    assert [soak.backoff_ms(tries) for tries in (0, 1, 2, 3, 100)] == [0, 1_000, 2_000, 4_000, 300_000]


@given(st.integers(-10, 10**9), st.integers(0, 999))
def test_polls_are_bounded_and_spread(poll_s, draw):
    pause = polling.poll_ms(poll_s, draw)
    assert 4_500 <= pause <= 3_960_000


@given(st.integers(0, 10_000), st.integers(0, 999), st.integers(0, 10**9))
def test_back_off_is_bounded_and_respects_the_plane(failures, draw, retry):
    pause = polling.backoff_ms(failures, draw, retry)
    assert 1_000 <= pause <= 3_960_000
    assert pause >= min(retry, 3_600) * 1000


def test_headers_are_numbers_or_nothing():
    assert polling.header_number("12", 5) == 12
    for text in ("", "-1", "1.5", "\u0661", "9" * 30, "Wed, 21 Oct 2015 07:28:00 GMT"):
        assert polling.header_number(text, 5) == 5
    assert [polling.wait_s(one) for one in (-1, 10, 1_000)] == [0, 10, 50]


# --- gates ----------------------------------------------------------------------------------------------------------------


def leave(app: str = "line", content: str = "", until: int = 2_000) -> Authorisation:
    return Authorisation(1, "aut_1", DEVICE, 1, app, content, "rol", 1, 0, until, "ann")


def around(**fields) -> Circumstances:
    values: dict[str, Any] = {"device": DEVICE, "now_ms": 1_000, "mono_ms": 0, "boot": "b", "change_id": "c", "token": "t", "trust_until_ms": 10_000}
    values.update(fields)
    return Circumstances(**values)


CONTENT = digest("content")


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        ("install", {}, "no-authorisation"),
        ("install", {"leaves": (leave(content=CONTENT),)}, ""),
        ("install", {"leaves": (leave(content=digest("other")),)}, "authorisation-other-content"),
        ("install", {"leaves": (leave("else", CONTENT),)}, "no-authorisation"),
        ("install", {"leaves": (leave(content=CONTENT, until=999),)}, "authorisation-lapsed"),
        ("install", {"leaves": (leave(content=CONTENT, until=999), leave(content=CONTENT))}, ""),
        ("install", {"leaves": (leave(content=CONTENT),), "clock": "untrusted"}, "clock"),
        ("install", {"leaves": (leave(content=CONTENT),), "trust_until_ms": 999}, "trust-expired"),
        ("install", {"leaves": (leave(content=CONTENT),), "quarantined": "a clone"}, "quarantined"),
        ("install", {"leaves": (leave(content=CONTENT),), "storage_fault": "full"}, "storage"),
        ("recreate", {}, ""),
        ("recreate", {"trust_until_ms": 1}, "trust-expired"),
        ("restart", {"quarantined": "a clone"}, "quarantined"),
        ("revert-local", {"trust_until_ms": 1, "quarantined": "a clone", "clock": "untrusted"}, ""),
        ("revert-local", {"storage_fault": "full"}, "storage"),
        ("uninstall", {"leaves": (leave(content=CONTENT),)}, "authorisation-other-content"),
        ("format-disk", {}, "unknown-kind"),
    ],
)
def test_the_gate(kind, fields, reason):
    answer = gates.gate(kind, "line", "" if kind == "uninstall" else CONTENT, around(**fields))
    assert (answer.reason if isinstance(answer, gates.Shut) else "") == reason
    assert answer.why


def test_a_withdrawal_needs_its_own_leave():
    assert isinstance(gates.gate("uninstall", "line", "", around(leaves=(leave(content=""),))), gates.Open)


# --- ours -----------------------------------------------------------------------------------------------------------------


def labels(token: str = "tok", app: str = "line", device: str = DEVICE) -> dict[str, str]:
    return {LABEL_DEVICE: device, LABEL_APP: app, LABEL_SERVICE: "a", LABEL_TOKEN: token}


def test_ours_needs_the_ledger_and_the_labels():
    unit = Unit("a", "tok", "", "", "c" * 64)
    memory = AppMemory("line", units=(unit,))
    mine = box(labels=labels())
    assert owned(memory, Observation(engine_ok=True, containers=(mine,)), DEVICE) == {"tok": mine}
    for other in (labels("tok2"), labels(device="dev_else"), {}):
        assert owned(memory, Observation(engine_ok=True, containers=(box(labels=other),)), DEVICE) == {}
    copy = box(id="d" * 64, name="copy", labels=labels())
    both = Observation(engine_ok=True, containers=(copy, mine))
    assert owned(memory, both, DEVICE) == {"tok": mine}
    assert strangers((memory,), both, DEVICE) == (copy,)
    intent = AppMemory("line", units=(replace(unit, container=""),))
    assert owned(intent, Observation(engine_ok=True, containers=(mine,)), DEVICE) == {"tok": mine}
    for other in (labels(app="else"), labels("tok2"), labels(device="dev_else"), {**labels(), LABEL_SERVICE: "b"}):
        assert owned(intent, Observation(engine_ok=True, containers=(box(labels=other),)), DEVICE) == {}


def test_an_engine_that_does_not_answer_makes_nothing_forgotten():
    memory = AppMemory("line", units=(Unit("a", "tok", "", "", "c" * 64),))
    assert reconcile(memory, Observation(engine_ok=False), DEVICE, "b") == memory
    assert reconcile(memory, Observation(engine_ok=True), DEVICE, "b").units == ()
    done = replace(memory, units=(replace(memory.units[0], finished=True),))
    assert reconcile(done, Observation(engine_ok=True), DEVICE, "b") == done
    intent = AppMemory("line", units=(Unit("a", "tok", "", ""),))
    assert reconcile(intent, Observation(engine_ok=True), DEVICE, "b") == intent


def test_a_taken_name_is_a_sentence():
    one = state(Service("a", "i"))
    seen = Observation(engine_ok=True, containers=(box(),))
    assert "line-a-1" in (name_taken(one, "a", AppMemory("line"), seen, DEVICE) or "")
    assert name_taken(one, "a", AppMemory("line"), Observation(engine_ok=True), DEVICE) is None


def test_the_unit_that_stands_for_a_service():
    old, new = Unit("a", "t1", "s", ""), Unit("a", "t2", "s", "")
    memory = AppMemory("line", units=(old, new))
    assert fitting_unit(memory, "a", {}) == new
    assert fitting_unit(memory, "a", {"t1": box(state="exited")}) == old
    assert fitting_unit(memory, "a", {"t1": box(state="exited"), "t2": box()}) == new
    assert fitting_unit(memory, "b", {}) is None
    assert fitting_unit(memory, "a", {}, "other") is None


# --- the way back ---------------------------------------------------------------------------------------------------------


def goods(*names: str) -> tuple[Good, ...]:
    return tuple(Good(digest(name), name) for name in names)


def test_back_to_what():
    memory = AppMemory("line", running=digest("3"), good=goods("3", "2"))
    assert wayback.back_of(memory, digest("4")) == digest("3")
    assert wayback.back_of(memory, digest("3")) == digest("2")
    assert wayback.earlier_of(memory) == digest("2")
    assert wayback.earlier_of(replace(memory, running=digest("2"))) == ""
    assert wayback.earlier_of(replace(memory, running=digest("x"))) == digest("3")
    soaking = replace(memory, change=Change("c", "update", "rollout", "", digest("3"), digest("4"), digest("3"), "confirmed"))
    assert wayback.earlier_of(soaking) == digest("3")
    assert wayback.back_of(AppMemory("line"), digest("1")) == ""


def test_the_proof_of_a_way_back():
    one = state(Service("a", "i"))
    content = content_digest(one)
    memory = AppMemory("line", good=(Good(content, "1"),))
    bare = Look(Observation(engine_ok=True), platforms=("linux/amd64",))
    missing = wayback.proof(one, content, memory, bare)
    assert missing is not None
    assert len(missing.blobs) == 3
    whole = replace(bare, blobs=tuple(blob.digest for blob in missing.blobs))
    assert wayback.proof(one, content, memory, whole) is None
    copied = replace(memory, snapshots=(Snapshot("line_data", content, "copy.tar"),))
    assert "line_data" in wayback.proof(one, content, copied, whole).why  # type: ignore[union-attr]
    assert wayback.proof(one, content, copied, replace(whole, snapshots=("copy.tar",))) is None
    assert wayback.proof(None, content, memory, whole) is not None


# --- commands -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "arguments", "noted", "now", "clock", "expected"),
    [
        ("refresh", {}, "open", 5, "trusted", "do"),
        ("refresh", {}, "open", 11, "trusted", "refused"),
        ("refresh", {}, "begun", 5, "trusted", "unknown"),
        ("restart", {"app": "a", "service": "s"}, "open", 5, "trusted", "do"),
        ("restart", {"app": "a", "service": "s"}, "open", 5, "untrusted", "refused"),
        ("restart", {"app": "a"}, "open", 5, "trusted", "refused"),
        ("logs", {"app": "a", "service": "s"}, "open", 5, "untrusted", "do"),
    ],
)
def test_commands_are_judged(verb, arguments, noted, now, clock, expected):
    found = commands.judge(Command(1, "cmd", DEVICE, 1, verb, 0, 10, arguments), noted, now, clock)
    assert found.verdict == expected
    assert found.why or expected == "do"


def test_a_standing_change_lets_its_watches_stand():
    change = Change("c", "update", "rollout", "", "", "", ill=Watch(1, 2), soak=Watch(3, 4), total=Watch(5, 6))
    stood = soak.stand(change)
    assert [stood.ill.mark_ms, stood.soak.mark_ms, stood.total.mark_ms] == [-1, -1, -1]
    assert [stood.ill.spent_ms, stood.soak.spent_ms, stood.total.spent_ms] == [1, 3, 5]
