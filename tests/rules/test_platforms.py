"""Platforms and names: one normal form each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.rules.naming import container_name, keep_tag, network_name, volume_name
from penstock.rules.platforms import choose, excluded, normal, runnable
from penstock.wire.types import Blob, Image, Network, Service, Variant, Volume


def variant(platform, digit="a"):
    return Variant(platform, Blob("sha256:" + digit * 64, 1), Blob("sha256:" + digit * 64, 1), ())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/armv7l", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("linux/i686", "linux/386"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/riscv64", "linux/riscv64"),
        ("Linux/AMD64", "linux/amd64"),
    ],
)
def test_one_name_for_one_platform(text, name):
    assert normal(text) == name
    assert normal(name) == name


@pytest.mark.parametrize(
    ("machine", "engine", "best"),
    [
        ("x86_64", "amd64", "linux/amd64"),
        ("armv7l", "arm", "linux/arm/v7"),
        ("aarch64", "arm64", "linux/arm64"),
        ("aarch64", "arm", "linux/arm/v7"),
        ("x86_64", "386", "linux/386"),
        ("armv6l", "arm", "linux/arm/v6"),
    ],
)
def test_what_a_machine_runs(machine, engine, best):
    assert runnable(machine, engine)[0] == best


@pytest.mark.parametrize(
    ("platform", "machine", "out"),
    [
        ("linux/arm64", "x86_64", True),
        ("linux/386", "x86_64", False),
        ("linux/amd64", "i686", True),
        ("linux/arm/v6", "armv7l", False),
        ("linux/arm/v7", "armv6l", True),
        ("linux/arm/v7", "aarch64", False),
        ("windows/amd64", "x86_64", True),
        ("linux/amd64/v3", "x86_64", True),
    ],
)
def test_what_is_excluded(platform, machine, out):
    assert excluded(platform, runnable(machine)) is out


def test_the_best_variant_is_taken_whatever_the_order_in_the_image():
    image = Image("app", (variant("linux/arm/v6", "1"), variant("linux/arm64/v8", "2"), variant("linux/arm/v7", "3")))
    assert choose(image, ("linux/arm/v7", "linux/arm/v6")) == image.variants[2]
    assert choose(image, ("linux/arm/v6",)) == image.variants[0]
    assert choose(image, ("linux/arm64",)) == image.variants[1]
    assert choose(image, ("linux/amd64",)) is None


def test_names():
    assert container_name("press", Service("web", "app")) == "press-web-1"
    assert container_name("press", Service("web", "app", container_name="mine")) == "mine"
    assert volume_name("press", Volume("data")) == "press_data"
    assert volume_name("press", Volume("data", external=True)) == "data"
    assert volume_name("press", Volume("data", engine_name="real", external=True)) == "real"
    assert network_name("press", Network("net")) == "press_net"


@given(st.text("abc019-_.", min_size=1, max_size=63), st.text("abcXYZ019-_./:@é", max_size=120))
def test_keep_tags_are_names_every_engine_takes(app, image):
    import re

    tag = keep_tag(app, image, variant("linux/amd64"))
    component = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
    assert re.fullmatch(rf"penstock\.local/{component}/{component}:[0-9a-f]{{12}}", tag), tag
