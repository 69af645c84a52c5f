"""Faults and their causes: no fault without evidence, none without a remedy, one order, the same causes in whatever order faults come."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.agent.timekeeper import Timekeeper
from penstock.agent.work import Moment
from penstock.server.core.causes import FLEET_AWAY, Known, causes
from penstock.server.core.faultkinds import BAD, KINDS, SEVERITIES, WARN
from penstock.server.core.faults import (
    BACKUP_WITHIN_MS,
    DAY_MS,
    GB,
    HOUR_MS,
    MB,
    AppKnown,
    DeviceKnown,
    Fault,
    Moved,
    PlaneKnown,
    SiteKnown,
    alarm_kind,
    faults,
)
from penstock.server.core.faults import Known as Judged

NOW = 1_800_000_000_000
WELL = DeviceKnown("dev_1", "press-1", "site_1", seen_ms=NOW - 1000, enrolled_ms=NOW - 30 * DAY_MS, disk_free_bytes=60 * GB, disk_bytes=128 * GB)
SITES = {"site_1": SiteKnown("site_1", "hamburg", "Hamburg", "Europe/Berlin", 12), "site_2": SiteKnown("site_2", "kiel", "", "UTC", 3)}
FINE = PlaneKnown(NOW + 300 * DAY_MS, NOW + 60 * DAY_MS, 50 * GB, 100 * GB, NOW - 300 * DAY_MS, NOW - DAY_MS)

apps = st.builds(
    AppKnown,
    st.sampled_from(("shop", "line")),
    st.sampled_from(("dep_1", "dep_2")),
    st.sampled_from(("soaked", "failed", "waiting", "reverting")),
    st.text(max_size=5),
    ill=st.lists(st.just("service web: it is ill"), max_size=2).map(tuple),
    looping=st.lists(st.just("service web: restarting"), max_size=1).map(tuple),
    drift=st.integers(0, 3),
    back_missing=st.booleans(),
    pinned=st.booleans(),
)
devices = st.builds(
    DeviceKnown,
    st.integers(0, 40).map(lambda n: f"dev_{n}"),
    st.integers(0, 40).map(lambda n: f"press-{n}"),
    st.sampled_from(("site_1", "site_2")),
    st.sampled_from(("active", "quarantined", "retired")),
    review=st.sampled_from(("", "look")),
    liveness=st.sampled_from(("never", "current", "late", "silent")),
    seen_ms=st.integers(NOW - 3 * DAY_MS, NOW),
    enrolled_ms=st.integers(NOW - 3 * DAY_MS, NOW),
    engine_ok=st.booleans(),
    alarms=st.lists(st.sampled_from(("the system's clock is off by 9 s; x", "something else", "the container engine does not answer: x")), max_size=3).map(
        tuple
    ),
    disk_free_bytes=st.sampled_from((0, 1, MB, 400 * MB, 4 * GB, 90 * GB)),
    disk_bytes=st.sampled_from((0, 8 * GB, 128 * GB)),
    lost=st.integers(0, 2),
    owed_ms=st.sampled_from((0, NOW - 2 * HOUR_MS)),
    apps=st.lists(apps, max_size=2, unique_by=lambda one: one.app).map(tuple),
)
fleets = st.lists(devices, max_size=12, unique_by=lambda one: one.id)


def kinds(*known: DeviceKnown, **more: object) -> list[tuple[str, str]]:
    return [(one.kind, one.severity) for one in faults(Judged(known, **more), NOW)]  # type: ignore[arg-type]


def test_what_is_well_has_no_fault():
    assert faults(Judged((WELL,), SITES, FINE), NOW) == ()
    assert faults(Judged((replace(WELL, disk_free_bytes=0, disk_bytes=0),)), NOW) == (), "what is not known is no evidence"
    assert kinds(replace(WELL, state="retired", review="x", engine_ok=False)) == [], "who has left the fleet is nobody's worry"


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"state": "quarantined", "why": "its log forked"}, ("quarantined", BAD)),
        ({"review": "it runs x"}, ("in-review", WARN)),
        ({"liveness": "silent", "seen_ms": NOW - HOUR_MS}, ("away", WARN)),
        ({"liveness": "silent", "seen_ms": NOW - DAY_MS}, ("away", BAD)),
        ({"liveness": "never", "seen_ms": 0, "enrolled_ms": NOW - HOUR_MS}, ("never-called", WARN)),
        ({"engine_ok": False}, ("engine-down", BAD)),
        ({"disk_free_bytes": 100 * MB, "disk_bytes": 0}, ("disk", BAD)),
        ({"disk_free_bytes": 700 * MB, "disk_bytes": 8 * GB}, ("disk", WARN)),
        ({"alarms": ("the agent's storage cannot be written: x",)}, ("storage", BAD)),
        ({"alarms": ("a fetch does not go on",)}, ("alarm", WARN)),
        ({"lost": 3}, ("log-gap", WARN)),
        ({"owed_ms": NOW - HOUR_MS}, ("not-following", WARN)),
        ({"apps": (AppKnown("shop", phase="failed", why="x"),)}, ("failed-change", BAD)),
        ({"apps": (AppKnown("shop", ill=("web: ill",)),)}, ("unhealthy", BAD)),
        ({"apps": (AppKnown("shop", ill=("web: ill",), looping=("web: again",)),)}, ("crash-looping", BAD)),
        ({"apps": (AppKnown("shop", back_missing=True),)}, ("no-way-back", BAD)),
        ({"apps": (AppKnown("shop", drift=2),)}, ("drifted", WARN)),
        ({"apps": (AppKnown("shop", pinned=True),)}, ("pinned", WARN)),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_each_kind_from_its_evidence_and_no_other(change, wanted):
    assert kinds(replace(WELL, **change)) == [wanted]


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"root_expires_ms": NOW + 30 * DAY_MS}, ("plane-root-expiring", WARN)),
        ({"root_expires_ms": NOW - DAY_MS}, ("plane-root-expiring", BAD)),
        ({"certificate_ends_ms": NOW + 10 * DAY_MS}, ("plane-certificate-expiring", WARN)),
        ({"disk_free_bytes": 100 * MB}, ("plane-disk", BAD)),
        ({"overdue": 2, "overdue_ms": NOW - HOUR_MS}, ("plane-stuck", BAD)),
        ({"backup_ms": NOW - BACKUP_WITHIN_MS}, ("plane-no-backup", WARN)),
        ({"backup_ms": 0}, ("plane-no-backup", WARN)),
        ({"failing": (("pager", NOW - DAY_MS, "it answers 500"),)}, ("notices-failing", WARN)),
        ({"moved": (Moved("ghcr.io/x/y:2", "sha256:aa", "sha256:bb", NOW - 1, ("shop 1",)),)}, ("tag-moved", WARN)),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_each_fault_of_the_plane(change, wanted):
    assert kinds(plane=replace(FINE, **change)) == [wanted]
    assert kinds() == [], "who may not see the plane's own sees none of it"


def test_a_tag_that_moved_says_who_needs_the_old_one_and_is_no_fault_where_nobody_does():
    moved = Moved("ghcr.io/x/y:2", "sha256:" + "a" * 64, "sha256:" + "b" * 64, NOW - 5, tuple(f"shop {number}" for number in range(7)))

    def found(*tags: Moved) -> tuple[Fault, ...]:
        return faults(Judged(plane=replace(FINE, moved=tags)), NOW)

    (fault,) = found(moved)
    assert (fault.name, fault.since_ms) == ("ghcr.io/x/y:2", NOW - 5)
    assert fault.why == "it named aaaaaaaaaaaa, which is pinned by shop 0, shop 1, shop 2, shop 3, shop 4 and 2 more, and names bbbbbbbbbbbb now"
    assert found(replace(moved, releases=())) == ()
    (again,) = found(replace(moved, after="sha256:" + "c" * 64))
    assert again.key != fault.key, "who knew of the first move knows nothing of the second"


def test_who_waits_to_be_let_in():
    (found,) = faults(Judged(sites={"site_1": replace(SITES["site_1"], waiting=2, waiting_ms=NOW - 5)}), NOW)
    assert (found.kind, found.subject, found.name, found.since_ms) == ("waiting-room", "site", "Hamburg", NOW - 5)


def test_the_agents_own_alarms_are_told_apart():
    """The sentences are the agent's (`witness.alarms`); who changes one there must see it here."""
    witness = (__import__("pathlib").Path(__file__).parents[3] / "src/penstock/agent/witness.py").read_text()
    for start, kind in (
        ("the agent's storage cannot be written", "storage"),
        ("the container engine does not answer", "engine-down"),
        ("the root document has expired", "trust-expiring"),
        ("the plane has set this device apart", "quarantined"),
    ):
        assert start in witness
        assert alarm_kind(start + ": x")[0] == kind
    untrusted = Timekeeper(NOW).trouble(Moment(0, 0, "untrusted", "boot"))
    assert alarm_kind(untrusted)[0] == "clock", untrusted


@given(fleets)
def test_worst_first_in_one_total_order_each_with_a_remedy_and_evidence(fleet):
    found = faults(Judged(tuple(fleet), SITES, FINE), NOW)
    assert list(found) == sorted(found, key=lambda one: one.order)
    assert len({one.order for one in found}) == len(found), "no two are alike"
    assert len({one.key for one in found}) == len(found)
    assert [SEVERITIES.index(one.severity) for one in found] == sorted(SEVERITIES.index(one.severity) for one in found)
    for one in found:
        assert len(one.remedy) > 30
        assert one.why
        assert 0 < one.since_ms <= NOW
        assert one.id in {device.id for device in fleet if device.state != "retired"}


@given(fleets, st.randoms())
def test_causes_are_the_same_in_whatever_order_and_lose_nobody(fleet, chance):
    found = list(faults(Judged(tuple(fleet), SITES, FINE), NOW))
    grouped = causes(found, SITES)
    chance.shuffle(found)
    assert causes(found, SITES) == grouped
    assert sorted(fault.key for cause in grouped for fault in cause.faults) == sorted(fault.key for fault in found)
    assert len({cause.id for cause in grouped}) == len(grouped)
    assert list(grouped) == sorted(grouped, key=lambda one: one.order)


@given(fleets)
def test_when_it_began_is_kept(fleet):
    first = faults(Judged(tuple(fleet)), NOW)
    later = faults(Judged(tuple(fleet)), NOW + 5000, {one.key: one.since_ms for one in first})
    assert {one.key: one.since_ms for one in first}.items() <= {one.key: one.since_ms for one in later}.items()


def away(number: int, site: str = "site_1") -> DeviceKnown:
    return replace(WELL, id=f"dev_{site}_{number}", name=f"press-{number}", site=site, liveness="silent", seen_ms=NOW - HOUR_MS - number)


def test_a_whole_site_away_is_one_cause_and_bad():
    (one,) = causes(faults(Judged(tuple(away(n) for n in range(12))), NOW), SITES)
    assert (one.severity, one.title, len(one.faults), one.site) == (BAD, "Hamburg: 12 of 12 devices away", 12, "site_1")
    assert "link" in one.why
    (some,) = causes(faults(Judged(tuple(away(n) for n in range(3))), NOW), SITES)
    assert (some.key, some.severity, some.title) == (one.key, WARN, "Hamburg: 3 of 12 devices away"), "the same cause, grown"


def test_every_site_away_is_the_planes_own_network():
    everybody = [away(n) for n in range(12)] + [away(n, "site_2") for n in range(3)]
    (one,) = causes(faults(Judged(tuple(everybody)), NOW), SITES)
    assert one.key == FLEET_AWAY
    assert one.covers == ("away|site|site_1", "away|site|site_2")
    assert len(causes(faults(Judged(tuple(everybody[1:])), NOW), SITES)) == 2


def test_one_release_that_fails_everywhere_is_one_cause():
    ill = [replace(WELL, id=f"dev_{n}", name=f"press-{n}", site=f"site_{1 + n % 2}", apps=(AppKnown("shop", "dep_1", "failed", "no"),)) for n in range(7)]
    (one,) = causes(faults(Judged(tuple(ill)), NOW), SITES)
    assert (one.title, one.site) == ("shop: Change failed on 7 devices", "")
    assert "and 2 more" in one.why


def test_what_is_known_is_muted_until_then_and_unless_it_gets_worse():
    fleet = (away(1), away(2))
    found = faults(Judged(fleet), NOW)
    known = {one.key: Known(one.key, WARN, NOW + DAY_MS, "works on the line", "ada", NOW) for one in found}
    (muted,) = causes(found, SITES, known, NOW)
    assert muted.known is not None
    assert muted.known.reason == "works on the line"
    assert causes(found, SITES, known, NOW + DAY_MS)[0].known is None, "the day has come"
    assert causes(found, SITES, dict(list(known.items())[:1]), NOW)[0].known is None, "one more is news"
    worse = faults(Judged((replace(away(1), seen_ms=NOW - 2 * DAY_MS), away(2))), NOW)
    assert causes(worse, SITES, known, NOW)[0].known is None
    assert set(KINDS) >= {one.kind for one in found}
