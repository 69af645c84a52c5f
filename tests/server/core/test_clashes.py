"""Two apps on one device: what excludes what, symmetric and whatever the order; and the sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core.clashes import ACCELERATOR, NODE, PORT, Claim, Claims, among, between, claims_of
from penstock.server.core.needs import NO_NEEDS, Accelerator, Needs, Node, accelerators_of
from penstock.wire.types import AppState, DeviceNode, Network, Port, Service, Volume

ADDRESSES = st.sampled_from(["", "0.0.0.0", "::", "127.0.0.1", "10.0.0.5", "::1"])
CLAIMS = st.one_of(
    st.builds(Claim, st.just(PORT), st.sampled_from(["80/tcp", "80/udp", "81/tcp"]), st.sampled_from(["a", "b"]), ADDRESSES),
    st.builds(Claim, st.just(NODE), st.sampled_from(["/dev/ttyUSB0", "/dev/dri"]), alone=st.booleans()),
    st.builds(Claim, st.just(ACCELERATOR), st.sampled_from(["nvidia", "gpu"]), alone=st.booleans(), count=st.integers(1, 3)),
    st.builds(Claim, st.sampled_from(["container", "volume", "network"]), st.sampled_from(["x", "y"])),
)
APPS = st.lists(CLAIMS, max_size=6).map(tuple)
HAVE = st.one_of(st.none(), st.dictionaries(st.sampled_from(["nvidia", "gpu"]), st.integers(0, 4)))


@given(APPS, APPS, HAVE)
def test_it_is_symmetric_and_indifferent_to_order(one, other, have):
    a, b = Claims("alpha", one), Claims("beta", other)
    found = between(a, b, have)
    assert found == between(b, a, have)
    turned = between(Claims("alpha", tuple(reversed(one))), Claims("beta", tuple(reversed(other))), have)
    assert {(clash.kind, clash.what) for clash in turned} == {(clash.kind, clash.what) for clash in found}
    assert among((a, b), have) == among((b, a), have) == found
    for clash in found:
        assert clash.apps == ("alpha", "beta")
        assert "alpha" in clash.why
        assert "beta" in clash.why
        assert clash.remedy


@given(APPS, APPS, CLAIMS)
def test_wanting_more_never_takes_a_clash_away(one, other, more):
    before = {(clash.kind, clash.what) for clash in between(Claims("a", one), Claims("b", other))}
    after = {(clash.kind, clash.what) for clash in between(Claims("a", (*one, more)), Claims("b", other))}
    assert before <= after


@given(ADDRESSES, ADDRESSES)
def test_addresses_overlap_when_they_are_the_same_or_one_is_all(one, other):
    clash = bool(between(Claims("a", (Claim(PORT, "80/tcp", "x", one),)), Claims("b", (Claim(PORT, "80/tcp", "y", other),))))
    assert clash == (one == other or bool({one, other} & {"", "0.0.0.0", "::"}))


def app(name, **more):
    service = {key: more.pop(key) for key in ("ports", "devices", "container_name") if key in more}
    return AppState(name, "dep", "r", "1", (Service("main", "i", **service),), **more)


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ({"ports": (Port(80, 8080),)}, {"ports": (Port(81, 8080, "127.0.0.1"),)}, "port 8080/tcp of the device"),
        ({"ports": (Port(80, 8080),)}, {"ports": (Port(80, 8080, protocol="udp"),)}, ""),
        ({"ports": (Port(80),)}, {"ports": (Port(80),)}, ""),
        ({"devices": (DeviceNode("/dev/ttyUSB0", "/dev/x"),)}, {"devices": (DeviceNode("/dev/ttyUSB0", "/dev/y"),)}, "the device node /dev/ttyUSB0"),
        ({"devices": (DeviceNode("/dev/dri/card0", "/dev/x"),)}, {"devices": (DeviceNode("/dev/dri/card0", "/dev/y"),)}, ""),
        ({"container_name": "line"}, {"container_name": "line"}, "the container name line"),
        ({"container_name": "b-main-1"}, {}, "the container name b-main-1"),
        ({"volumes": (Volume("d", "data"),)}, {"volumes": (Volume("e", "data"),)}, "the volume data of the engine"),
        ({"volumes": (Volume("d", "data"),)}, {"volumes": (Volume("data", external=True),)}, ""),
        ({"networks": (Network("d", "net"),)}, {"networks": (Network("e", "net"),)}, "the network net of the engine"),
    ],
)
def test_what_two_apps_cannot_share(one, other, why):
    found = between(claims_of(app("a", **one), NO_NEEDS), claims_of(app("b", **other), NO_NEEDS))
    assert [why in clash.why for clash in found] == ([True] if why else [])


def test_needs_say_what_is_shared():
    serial = {"devices": (DeviceNode("/dev/ttyUSB0", "/dev/x"),)}
    shared = Needs(nodes=(Node("/dev/ttyUSB0", shared=True),))
    assert not between(claims_of(app("a", **serial), shared), claims_of(app("b", **serial), shared))
    assert between(claims_of(app("a", **serial), shared), claims_of(app("b", **serial), NO_NEEDS))
    one, two = Needs(accelerators=(Accelerator("nvidia"),)), Needs(accelerators=(Accelerator("nvidia", 2),))
    assert between(claims_of(app("a"), one), claims_of(app("b"), two), {"nvidia": 2})
    assert not between(claims_of(app("a"), one), claims_of(app("b"), two), {"nvidia": 3})
    assert accelerators_of(("/dev/nvidia0", "/dev/nvidia1", "/dev/nvidiactl", "/dev/hailo0")) == {"nvidia": 2, "hailo": 1}
