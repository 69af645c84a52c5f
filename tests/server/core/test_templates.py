"""Catalogues of templates: what becomes of every key, and what is refused and why."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core import compose
from penstock.server.core.templates import CatalogueError, alone, app_name, read_catalogue, written

FULL = {
    "type": 1,
    "title": "Time Series $ Base",
    "name": "tsdb",
    "description": "keeps numbers",
    "note": "open port 8086",
    "categories": ["database"],
    "platform": "linux",
    "logo": "https://x.example/logo.png",
    "image": "x/tsdb:2",
    "registry": "quay.io",
    "command": "serve --cash $HOME",
    "hostname": "tsdb",
    "network": "plant",
    "privileged": True,
    "interactive": True,
    "restart_policy": "on-failure",
    "ports": ["8086/tcp", "9000:90/udp"],
    "volumes": [{"container": "/var/lib/tsdb"}, {"container": "/etc/tz", "bind": "/etc/localtime", "readonly": True}],
    "labels": [{"name": "role", "value": "db"}],
    "env": [
        {"name": "ACCEPT", "set": "Y"},
        {"name": "MODE", "preset": True, "default": "prod$1"},
        {"name": "USER", "label": "Who", "description": "the first user", "default": "admin"},
        {"name": "ADMIN_PASSWORD", "label": "Password"},
        {"name": "SIZE", "select": [{"text": "Small", "value": "s"}, {"text": "Large", "value": "l", "default": True}]},
        {"name": "PLACE"},
    ],
}


def catalogue(*templates, version="2", stacks=None):
    return read_catalogue(json.dumps({"version": version, "templates": templates}).encode(), stacks)


def test_every_key_of_a_container():
    (one,) = catalogue(FULL)
    assert one.template is not None
    assert (one.template.app, one.template.title, one.template.note) == ("tsdb", "Time Series $ Base", "open port 8086")
    plain = yaml.safe_load(one.template.compose)
    assert plain == {
        "name": "tsdb",
        "services": {
            "tsdb": {
                "image": "quay.io/x/tsdb:2",
                "command": "serve --cash $$HOME",
                "hostname": "tsdb",
                "environment": {
                    "ACCEPT": "Y",
                    "MODE": "prod$$1",
                    "USER": "${USER}",
                    "ADMIN_PASSWORD": "${ADMIN_PASSWORD}",
                    "SIZE": "${SIZE}",
                    "PLACE": "${PLACE}",
                },
                "ports": ["8086/tcp", "9000:90/udp"],
                "volumes": ["var-lib-tsdb:/var/lib/tsdb", "/etc/localtime:/etc/tz:ro"],
                "labels": {"role": "db"},
                "privileged": True,
                "stdin_open": True,
                "tty": True,
                "restart": "on-failure",
                "networks": ["plant"],
            }
        },
        "volumes": {"var-lib-tsdb": {}},
        "networks": {"plant": {"external": True}},
        "x-penstock": {
            "parameters": {
                "USER": {"type": "text", "title": "Who", "help": "the first user", "default": "admin"},
                "ADMIN_PASSWORD": {"type": "secret", "title": "Password", "required": True},
                "SIZE": {"type": "choice", "choices": ["s", "l"], "help": "s: Small; l: Large", "default": "l"},
                "PLACE": {"type": "text", "required": True},
            }
        },
    }


def test_what_comes_out_is_a_compose_file_that_is_read():
    (one,) = catalogue({**FULL, "env": [{"name": "ACCEPT", "set": "Y"}]})
    assert one.template is not None
    assert compose.read(one.template.compose.encode()).images == {"tsdb": "quay.io/x/tsdb:2"}


def test_the_least_there_is():
    (one,) = catalogue({"type": 1, "title": "Nginx", "image": "nginx:latest"}, version="3")
    assert one.template is not None
    assert one.template.compose == 'name: "nginx"\nservices:\n  nginx:\n    image: "nginx:latest"\n    restart: "always"\n'


def test_networks_of_the_host():
    (one,) = catalogue({"type": 1, "title": "n", "image": "n", "network": "host"})
    assert one.template is not None
    assert yaml.safe_load(one.template.compose)["services"]["n"]["network_mode"] == "host"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type": 2}, "Swarm stack"),
        ({"type": 9}, "type 9 is none"),
        ({"type": True}, "is none"),
        ({"platform": "windows"}, "it is for windows"),
        ({"image": ""}, "names no image"),
        ({"title": "", "name": "!!"}, "no title"),
        ({"devices": ["/dev/x"]}, "devices has no meaning here"),
        ({"env": [{"name": "A", "secret": True}]}, r"env\[0\].secret has no meaning here"),
        ({"env": [{"name": "1A"}]}, "is no name of a variable"),
        ({"env": [{"name": "A", "select": [{"text": "x"}]}]}, "without a value"),
        ({"ports": ["http"]}, "is no port"),
        ({"ports": [80]}, "is no port"),
        ({"volumes": [{"container": "data"}]}, "no path inside"),
        ({"volumes": [{"container": "C:/temp"}]}, "no path inside"),
        ({"labels": ["x"]}, "no name and value"),
        ({"privileged": "yes"}, "neither true nor false"),
        ({"restart_policy": "sometimes"}, "restart_policy"),
        ({"description": "x" * 5000}, "description is no text"),
    ],
)
def test_what_is_refused_says_why(change, said):
    (one,) = catalogue({**FULL, "env": [], **change})
    assert one.template is None
    assert re.search(said, one.why)


def test_one_that_is_refused_does_not_hold_up_the_others():
    found = catalogue({"type": 1, "title": "A", "image": "a"}, {"type": 2, "title": "B"}, 7, {"type": 1, "title": "a", "image": "b"})
    assert [(one.number, one.template is not None) for one in found] == [(1, True), (2, False), (3, False), (4, False)]
    assert found[3].why == "template 1 of this file is named a too"


def test_a_stack_needs_its_file():
    stack = {
        "type": 3,
        "title": "Shop",
        "repository": {"url": "https://git.example/x", "stackfile": "shop/compose.yml"},
        "env": [{"name": "LEVEL", "default": "info"}],
    }
    (one,) = catalogue(stack)
    assert (
        one.why
        == "its Compose file lies elsewhere (shop/compose.yml in https://git.example/x); fetch that file and give it, on the page or with --stack shop=@FILE"
    )
    assert (one.app, one.lacks) == ("shop", "shop/compose.yml in https://git.example/x")
    (one,) = catalogue(stack, stacks={"shop": "services:\n  a:\n    image: a:1\n    environment: {LEVEL: '${LEVEL}'}\n"})
    assert one.template is not None
    assert yaml.safe_load(one.template.compose)["x-penstock"] == {"parameters": {"LEVEL": {"type": "text", "default": "info"}}}
    (one,) = catalogue(stack, stacks={"shop": "x-penstock: {}\n"})
    assert "declare the parameters there" in one.why


INLINE = "services:\n  a:\n    image: a:1\n    environment: {LEVEL: '${LEVEL}'}\n"


@pytest.mark.parametrize("version", ["2", "3"])
@pytest.mark.parametrize("kind", [3, "compose"])
def test_a_stack_may_bring_its_compose_file_along(version, kind):
    (one,) = catalogue({"type": kind, "title": "Shop", "stackFile": INLINE, "env": [{"name": "LEVEL", "default": "info"}]}, version=version)
    assert one.template is not None
    assert (one.needs, one.lacks) == ("", "")
    assert yaml.safe_load(one.template.compose)["services"]["a"]["image"] == "a:1"
    (given,) = catalogue({"type": kind, "title": "Shop", "stackFile": INLINE}, version=version, stacks={"shop": "services: {b: {image: b}}\n"})
    assert given.template is not None
    assert "image: b" in given.template.compose, "what is given counts"


@pytest.mark.parametrize("version", ["2", "3", 2, 3])
def test_each_says_whether_it_can_be_published(version):
    found = catalogue(
        {"type": 1, "title": "Nginx", "image": "nginx:latest"},
        {"type": 3, "title": "Old", "stackFile": "version: '2'\nservices:\n  a:\n    image: a:1\n    links: [b]\n    cap_dropp: [x]\n"},
        {"type": 3, "title": "None", "stackFile": "just\nwords\n"},
        version=version,
    )
    assert [one.template is not None for one in found] == [True, True, True], "what needs changes is taken: the page is where it is changed"
    assert found[0].needs == ""
    assert found[1].needs.startswith("line 5, column 5: services.a.links: ")
    assert found[1].needs.endswith(" (and 1 more)")
    assert found[2].needs


def test_what_still_lacks_its_file_is_a_catalogue_of_its_own():
    whole = json.dumps(
        {"version": "3", "templates": [{"title": "a", "image": "x"}, {"type": 3, "title": "Shop", "repository": {"url": "u", "stackfile": "f"}}]}
    )
    rest = alone(whole, [one.number for one in read_catalogue(whole.encode()) if one.lacks])
    (one,) = read_catalogue(rest.encode(), {"shop": "services: {a: {image: a}}"})
    assert one.template is not None


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"templates": []}', b'{"version": "1", "templates": []}', b'{"version": "2"}', b"[" * 100_000])
def test_what_is_no_catalogue(raw):
    with pytest.raises(CatalogueError):
        read_catalogue(raw)


texts = st.text(max_size=20)
values = st.recursive(
    texts | st.booleans() | st.none() | st.integers(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)


@given(st.dictionaries(st.sampled_from(sorted(FULL)), values, max_size=6))
def test_any_template_is_read_or_refused(change):
    (one,) = catalogue({"type": 1, "title": "x", "image": "y", **change})
    assert (one.template is None) == bool(one.why)
    if one.template is not None:
        assert yaml.safe_load(one.template.compose)["services"]


plain = st.recursive(
    st.text(st.characters(codec="utf-8", exclude_characters="\x7f", exclude_categories=("Cs", "Cc")), max_size=12)
    | st.booleans()
    | st.integers(-(2**31), 2**31),
    lambda inner: st.dictionaries(st.text("abno-_ :#{\u00e4", min_size=1, max_size=6), inner, min_size=1, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["a", "no", "x-y", "1", "k: v"]), plain | st.lists(st.text("ab: #-$", max_size=6), max_size=3), min_size=1, max_size=4))
def test_what_is_written_reads_back(given_):
    def normal(value):
        return {key: normal(inner) for key, inner in value.items()} if isinstance(value, dict) else value

    assert yaml.safe_load(written(given_)) == normal(given_)


def test_names():
    assert app_name("SQL Server (2019)") == "sql-server-2019"
    assert app_name("--") == ""
    assert len(app_name("x" * 100)) == 63
