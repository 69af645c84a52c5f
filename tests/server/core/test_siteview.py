"""A site's tones are the tones of its devices, one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.server.api.words import of_device
from penstock.server.core.model import ACTIVE, QUARANTINED, Device, DeviceId, DeviceStatus
from penstock.server.core.siteview import TONES, Alike, by_site, tone, worst
from penstock.server.core.status import SEVERITY
from penstock.wire.messages import Facts

FACTS = Facts("ipc", ("linux/amd64",), "0.1.0", "3.11.2", "6.1.0", 4, 8 << 30, 1 << 40, None)


@given(
    st.sampled_from((ACTIVE, QUARANTINED)),
    st.sampled_from(("", "look")),
    st.sampled_from(("none", *SEVERITY)),
    st.sampled_from(("never", "current", "late", "silent")),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_it_is_the_tone_the_device_itself_is_shown_with(state, review, phase, liveness, reported, engine_ok, apps, alarm):
    device = Device(DeviceId("dev_1"), "a", "site_1", {}, state, "", "", "", "", "", 1, FACTS, 1, review)
    status = DeviceStatus(
        "dev_1",
        severity=75 if alarm else 0,
        phase=phase,
        apps=int(apps),
        alarms=("disk",) if alarm else (),
        engine_ok=engine_ok,
        reported_ms=int(reported),
        liveness=liveness,
    )
    assert tone(Alike("site_1", state, bool(review), phase, liveness, reported, engine_ok, apps, alarm, 1)) == of_device(device, status)[0]


def test_counted_by_site_and_the_worst_first():
    one = Alike("a", ACTIVE, False, "soaked", "current", True, True, True, False, 3)
    away = Alike("a", ACTIVE, False, "soaked", "silent", True, True, True, False, 2)
    other = Alike("b", ACTIVE, False, "failed", "current", True, True, True, False, 1)
    found = by_site([one, away, other, one])
    assert found == {"a": {"good": 6, "away": 2}, "b": {"bad": 1}}
    assert [worst(found["a"]), worst(found["b"]), worst({})] == ["away", "bad", "none"]
    assert set(TONES) == {"bad", "away", "wait", "busy", "none", "good"}
