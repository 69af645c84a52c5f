"""Reading what engines say: times, odd input, and what each engine words differently."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.agent.runtimes import CreateOrder, dockerorders, dockerseen
from penstock.rules.observed import SECRET_CHANGED, SECRET_INTACT, ImageDefaults, Observation
from penstock.wire.codec import decode, encode
from penstock.wire.types import Blob, Service, Variant

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
KEYS = st.sampled_from(["State", "Config", "HostConfig", "NetworkSettings", "Mounts", "Id", "Name", "Image", "Created", "RestartCount"])


@given(st.datetimes(min_value=dt.datetime(1970, 1, 1), max_value=dt.datetime(2199, 1, 1)))  # noqa: DTZ001
def test_times_are_read(moment):
    whole = moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=dt.timezone.utc)
    wanted = (whole - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)) // dt.timedelta(milliseconds=1)
    assert dockerseen.moment_ms(moment.strftime("%Y-%m-%dT%H:%M:%S") + f".{moment.microsecond:06d}123Z") == wanted


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-11-21T03:22:14.37134237Z", 1795231334371),
        ("2026-11-21T03:22:13Z", 1795231333000),
        ("2026-11-21T04:22:13+01:00", 1795231333000),
        ("2026-11-20T22:52:13.5-04:30", 1795231333500),
        ("2000-02-29T00:00:00Z", 951782400000),
        ("0001-01-01T00:00:00Z", 0),
        ("", 0),
        (None, 0),
        (17, 0),
        ("yesterday, in the afternoon", 0),
        ("2026-1x-21T03:22:13Z", 0),
    ],
)
def test_times_by_example(text, ms):
    assert dockerseen.moment_ms(text) == ms


@given(st.dictionaries(KEYS, ANYTHING, max_size=8) | ANYTHING, st.booleans())
def test_odd_answers_become_records_the_wire_can_carry(plain, podman):
    seen = dockerseen.container(plain, dockerseen.defaults(plain), podman=podman)
    assert decode(Observation, encode(Observation(engine_ok=True, containers=(seen,)))).containers == (seen,)
    dockerseen.volume(plain)
    dockerseen.network(plain)


def order(**fields):
    variant = Variant("linux/amd64", Blob("sha256:" + "a" * 64, 1), Blob("sha256:" + "b" * 64, 1), ())
    return CreateOrder("c", Service("web", "app"), variant, "token", {"penstock.token": "token"}, **fields)


@given(st.dictionaries(st.text("ABC_=ü\n", min_size=1, max_size=5).filter(lambda name: "=" not in name), st.text(max_size=20), min_size=1, max_size=4))
def test_secrets_are_recognised_and_never_shown(secrets):
    body = dockerorders.container_body(order(secrets=secrets), "sha256:x", ImageDefaults(), start_interval=True)
    seen = dockerseen.container({"Config": {"Env": body["Env"], "Labels": body["Labels"]}}, ImageDefaults(), podman=False)
    assert seen.settings.environment == dict.fromkeys(secrets, SECRET_INTACT)
    name = min(secrets)
    changed = [line if not line.startswith(name + "=") else f"{name}=not the same as before" for line in body["Env"]]
    seen = dockerseen.container({"Config": {"Env": changed, "Labels": body["Labels"]}}, ImageDefaults(), podman=False)
    assert set(seen.settings.environment.values()) == {SECRET_CHANGED}


def test_equal_secrets_do_not_show_as_equal():
    assert dockerorders.secrets_label("one", {"A": "x"}) != dockerorders.secrets_label("two", {"A": "x"})


@pytest.mark.parametrize("label", ["", "[", "[]", "{}", "[1]", '["x"', "null"])
def test_a_spoilt_label_names_nothing(label):
    assert dockerorders.secret_names(label)[1] == ()


def test_podmans_words_for_a_state():
    for word, state in (("stopped", "exited"), ("configured", "created"), ("running", "running"), ("weird", "dead")):
        assert dockerseen.container({"State": {"Status": word}}, ImageDefaults(), podman=True).state == state


def test_one_that_lives_in_anothers_network_has_none_of_its_own():
    networks = {"bus": {"IPAddress": "10.0.3.2", "Aliases": ["tunnel"]}}
    for mode, names in (("container:abc", []), ("bus", ["bus"])):
        plain = {"Id": "a", "Name": "/a", "HostConfig": {"NetworkMode": mode}, "NetworkSettings": {"Networks": networks}}
        seen = dockerseen.container(plain, ImageDefaults(known=False), podman=True)
        assert [use.network for use in seen.settings.networks] == names
        assert seen.addresses == {"bus": "10.0.3.2"}  # that is where it can be asked
