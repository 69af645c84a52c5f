"""Settings asked for and seen: the normal form, and the sentence for each difference. Real engines are compared in tests/conformance."""

from __future__ import annotations

import pytest

from penstock.rules.observed import LABEL_SECRETS, NOT_SAID, SECRET_CHANGED, SECRET_INTACT, ImageDefaults, Settings
from penstock.rules.settings import differences, signal_name, wanted
from penstock.wire.options import Options
from penstock.wire.record import replace
from penstock.wire.types import AppState, DeviceNode, Healthcheck, Mount, Network, NetworkUse, Port, Resources, SecretUse, Service, Volume

IMAGE = ImageDefaults(
    command=("serve",),
    entrypoint=("/entry",),
    environment={"PATH": "/bin", "MODE": "image"},
    expose=("80/tcp",),
    healthcheck=Healthcheck(("CMD", "check")),
    user="app",
    working_dir="/srv",
    labels={"vendor": "x"},
    stop_signal="3",
)


def state(service, **more):
    return AppState("press", "dep", "sha256:" + "0" * 64, "1", (service,), **more)


def expect(service, defaults=IMAGE, labels=None, **more):
    return wanted(state(service, **more), service, defaults, labels or {})


def test_the_image_fills_what_the_service_leaves():
    found = expect(Service("web", "app"))
    assert found == Settings(
        command=("serve",),
        entrypoint=("/entry",),
        environment={"PATH": "/bin", "MODE": "image"},
        expose=("80/tcp",),
        healthcheck=Healthcheck(("CMD", "check")),
        user="app",
        working_dir="/srv",
        labels={"vendor": "x"},
        stop_signal="SIGQUIT",
    )


def test_the_service_says_otherwise():
    service = Service("web", "app", entrypoint=("/other",), environment={"MODE": "mine"}, user="0", working_dir="/", stop_signal="KILL", labels={"vendor": "y"})
    found = expect(service, labels={"ours": "1"})
    assert (found.entrypoint, found.command) == (("/other",), ())  # another entrypoint drops the image's command
    assert found.environment["MODE"] == "mine"
    assert (found.user, found.working_dir, found.stop_signal) == ("0", "/", "SIGKILL")
    assert found.labels == {"vendor": "y", "ours": "1"}


def test_names_become_the_engines():
    service = Service("web", "app", mounts=(Mount("volume", "/d/", "data"), Mount("volume", "/e", "shared")), networks=(NetworkUse("net", ("www",)),))
    found = expect(service, volumes=(Volume("data"), Volume("shared", external=True)), networks=(Network("net", engine_name="plant-net"),))
    assert found.mounts == (Mount("volume", "/d", "press_data"), Mount("volume", "/e", "shared"))
    assert found.networks == (NetworkUse("plant-net", ("web", "www")),)


@pytest.mark.parametrize(("text", "name"), [("", "SIGTERM"), ("9", "SIGKILL"), ("int", "SIGINT"), ("SIGUSR1", "SIGUSR1"), ("63", "63")])
def test_signals(text, name):
    assert signal_name(text) == name


@pytest.mark.parametrize(
    ("seen", "fields"),
    [
        ({}, []),
        ({"environment": {"PATH": "/bin", "MODE": "image", "container": "podman", "HOSTNAME": "x"}}, []),
        ({"environment": {"PATH": "/bin"}}, ["environment.MODE"]),
        ({"environment": {"PATH": "/bin", "MODE": "image", "EXTRA": "1"}}, ["environment.EXTRA"]),
        ({"labels": {"vendor": "x", LABEL_SECRETS: "[]"}}, []),
        ({"labels": {}}, ["labels.vendor"]),
        ({"options": Options(privileged=True)}, ["privileged"]),
        ({"options": Options(network_mode="host")}, ["network_mode"]),
        ({"ports": (Port(80, 8080),)}, ["ports"]),
        ({"healthcheck": None}, ["healthcheck"]),
    ],
)
def test_differences(seen, fields):
    expected = expect(Service("web", "app"))
    assert [item.field for item in differences(expected, replace(expected, **seen))] == fields


def test_what_an_engine_cannot_show_is_no_difference():
    check = Healthcheck(("CMD", "x"), start_interval_ms=500)
    expected = replace(expect(Service("web", "app")), ports=(Port(80), Port(81, 81)), devices=(DeviceNode("/dev/a", "/dev/a", "r"),), healthcheck=check)
    seen = replace(
        expected, ports=(Port(80, 40123), Port(81, 81)), devices=(DeviceNode("/dev/a", "/dev/a", ""),), healthcheck=replace(check, start_interval_ms=0)
    )
    assert differences(expected, seen) == ()
    assert [item.field for item in differences(expected, replace(seen, ports=(Port(80, 40123), Port(81, 82))))] == ["ports"]
    assert [item.field for item in differences(expected, replace(seen, ports=(Port(81, 81),)))] == ["ports"]


def test_podman_shows_the_first_name_of_a_device_node():
    asked = (DeviceNode("/dev/serial/by-id/usb-1", "/dev/ttyMETER", "rw"), DeviceNode("/dev/b", "/dev/b", "r"))
    expected = replace(expect(Service("web", "app")), devices=asked)
    shown = (DeviceNode("/dev/b", "/dev/b", ""), DeviceNode("/dev/ttyUSB0", "/dev/ttyMETER", ""))
    assert differences(expected, replace(expected, devices=shown)) == ()
    assert [item.field for item in differences(expected, replace(expected, devices=shown[:1]))] == ["devices"]
    told = (DeviceNode("/dev/ttyUSB0", "/dev/ttyMETER", "rw"), asked[1])  # Docker shows what was asked for
    assert [item.field for item in differences(expected, replace(expected, devices=told))] == ["devices"]


def test_a_name_a_container_has_anyway_may_be_its_alias_as_well():
    service = Service("web", "app", container_name="plant-web", networks=(NetworkUse("bus", ("plant-web", "desk", "mqtt")),), options=Options(hostname="desk"))
    assert expect(service).networks[0].aliases == ("mqtt", "web")
    named = replace(service, container_name="web", networks=(NetworkUse("bus"),))
    assert expect(named).networks[0].aliases == ()


def test_a_secret_is_never_shown():
    service = Service("web", "app", secret_environment={"PW": SecretUse("pw", "1")})
    expected = expect(service)
    for value, shown in (("clear text", SECRET_CHANGED), (SECRET_CHANGED, SECRET_CHANGED)):
        seen = replace(expected, environment={**expected.environment, "PW": value})
        assert [(item.wanted, item.seen) for item in differences(expected, seen)] == [(SECRET_INTACT, shown)]


def test_where_the_image_is_gone_only_what_the_service_says_counts():
    service = Service("web", "app", user="0", command=("mine",), environment={"A": "1"})
    unknown = ImageDefaults(known=False)
    expected = expect(service, unknown)
    seen = Settings(
        ("mine",), ("/entry",), {"A": "1", "PATH": "/bin"}, user="0", working_dir="/srv", labels={"vendor": "x"}, stop_signal="SIGQUIT", expose=("80/tcp",)
    )
    assert differences(expected, seen, image_known=False, service=service) == ()
    wrong = replace(seen, user="1", environment={"A": "2"})
    assert [item.field for item in differences(expected, wrong, image_known=False, service=service)] == ["environment.A", "user"]


def test_a_difference_reads_as_a_sentence_does():
    expected = replace(expect(Service("web", "app")), ports=(Port(80, 8080, "10.0.0.1"),), resources=Resources(memory_bytes=1024))
    seen = replace(expected, ports=(), resources=Resources(), environment={**expected.environment, "MODE": "x" * 1000})
    found = {item.field: item for item in differences(expected, seen)}
    assert (found["ports"].wanted, found["ports"].seen) == ("10.0.0.1:8080->80/tcp", "(none)")
    assert "memory_bytes 1024" in found["resources"].wanted
    assert len(found["environment.MODE"].seen) <= 200


@pytest.mark.parametrize(
    ("asked", "seen", "told"),
    [
        ("10.0.0.9", "10.0.0.9", []),
        ("10.0.0.9", "", ["plant as web at 10.0.0.9"]),
        ("10.0.0.9", NOT_SAID, []),  # Podman, not running: nobody can say
        ("10.0.0.9", NOT_SAID + "10.0.0.9", []),
        ("10.0.0.9", NOT_SAID + "10.0.0.8", ["plant as web at 10.0.0.9"]),
        ("", NOT_SAID + "10.0.0.8", []),
        ("", "10.0.0.8", ["plant as web"]),
    ],
)
def test_addresses_that_the_engine_does_not_speak_of(asked, seen, told):
    service = Service("web", "app", networks=(NetworkUse("plant", (), asked),))
    expected = expect(service, networks=(Network("plant", external=True),))
    found = differences(expected, replace(expected, networks=(replace(expected.networks[0], ipv4=seen),)))
    assert [one.wanted for one in found] == told
    assert NOT_SAID not in str(found)
