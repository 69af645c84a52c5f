"""What the agent or the engine of a device does not know is not sent there; the sentence names which and what to do."""

from __future__ import annotations

import pytest

from penstock.rules.engines import cdi_names, refusal
from penstock.server.core.able import unable
from penstock.wire.messages import Engine, Facts
from penstock.wire.options import Accelerator, Options
from penstock.wire.record import replace
from penstock.wire.types import AppState, Service

FACTS = Facts("press", ("linux/amd64",), "0.0.9", "3.11", reads=2)
PODMAN = Engine("podman", "4.3.1", "1.41")
DOCKER = Engine("docker", "20.10.24", "1.41")
GPU = Accelerator("nvidia", 2, (), ("gpu",))


def state(**options):
    return AppState("llm", "dep", "rel", "1", (Service("model", "x", options=Options(**options)),), wire=2)


def test_an_agent_that_does_not_read_a_release_is_named_with_the_remedy():
    assert unable(state(read_only=True), FACTS) == ()
    for reads in (0, 1):
        (why,) = unable(state(read_only=True), replace(FACTS, reads=reads))
        assert why == "its agent (0.0.9) is too old for this release: it reads version 1 of the orders and this needs 2; update the agent"
        assert unable(replace(state(), wire=1), replace(FACTS, reads=reads)) == ()


def test_an_engine_that_would_lose_a_setting_is_found_before_anything_is_sent():
    assert unable(state(accelerators=(GPU,)), FACTS) == (), "it has not said what engine it has"
    assert unable(state(accelerators=(GPU,)), replace(FACTS, engine=DOCKER)) == ()
    (why,) = unable(state(accelerators=(GPU,)), replace(FACTS, engine=PODMAN))
    assert why.startswith("service model asks for accelerators, which this engine (podman 4.3.1, API 1.41) does not take")
    assert why.endswith("update the engine to Podman 5.4 or later, or give the accelerator's device nodes by `devices:` there")
    assert unable(state(accelerators=(GPU,)), replace(FACTS, engine=replace(PODMAN, version="5.4.2"))) == ()
    (why,) = unable(state(accelerators=(Accelerator("hailo", 1, (), ("npu",)),)), replace(FACTS, engine=replace(PODMAN, version="5.4.2")))
    assert why.endswith("there only drivers nvidia, amd and cdi are known, without options; give the accelerator's device nodes by `devices:` there")


@pytest.mark.parametrize(
    ("options", "old", "new"),
    [
        ({"device_cgroup_rules": ("c 1:3 r",)}, True, True),
        ({"annotations": {"a": "b"}}, True, False),
        ({"ipc": "host"}, True, False),
        ({"ipc": "shareable"}, False, False),
        ({"privileged": True}, False, False),
    ],
)
def test_what_podman_loses_by_version(options, old, new):
    assert bool(refusal("x", Options(**options), PODMAN)) is old
    assert bool(refusal("x", Options(**options), replace(PODMAN, version="5.8.6-dev"))) is new


def test_annotations_need_a_newer_docker():
    assert "update the engine" in refusal("x", Options(annotations={"a": "b"}), DOCKER)
    assert not refusal("x", Options(annotations={"a": "b"}), replace(DOCKER, api="1.43"))


def test_accelerators_by_the_names_podman_knows():
    assert cdi_names(GPU) == ("nvidia.com/gpu=0", "nvidia.com/gpu=1")
    assert cdi_names(Accelerator("", -1, (), ("gpu",))) == ("nvidia.com/gpu=all",)
    assert cdi_names(Accelerator("amd", 0, ("3",), ("gpu",))) == ("amd.com/gpu=3",)
    assert cdi_names(Accelerator("cdi", 0, ("vendor.com/net=eth0",), ("any",))) == ("vendor.com/net=eth0",)
    for one in (Accelerator("cdi", -1, (), ("any",)), Accelerator("", 1, (), ("npu",)), replace(GPU, options={"a": "b"})):
        assert cdi_names(one) is None
