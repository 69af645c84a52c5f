"""Whatever comes in, the reader answers with a template or with declared faults; and what it accepts can be kept and filled in."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core import release as releases
from penstock.server.core.compose import ComposeError, project, read, tree
from penstock.server.core.compose.forms import READERS
from penstock.server.core.compose.refused import SERVICE
from penstock.server.core.compose.scalars import Bad
from penstock.server.core.facts import Site
from penstock.server.core.interpolate import TemplateError, evaluate, parse, render, uses
from tests.server.core.compose.test_read import WHOLE

KEYS = sorted(
    {*SERVICE, "image", "command", "entrypoint", "environment", "ports", "expose", "volumes", "tmpfs", "networks", "depends_on", "healthcheck", "restart"}
    | {"deploy", "mem_limit", "memswap_limit", "cpus", "pids_limit", "cpuset", "devices", "user", "working_dir", "labels", "stop_grace_period"}
    | {"stop_signal", "container_name", "platform", "x-note", "resources", "limits", "memory", "target", "published", "type", "source", "test", "interval"}
    | {"disable", "condition", "aliases", "external", "name", "driver", "driver_opts", "http", "tcp", "port", "soak", "secrets", "probes", "data", "db", "web"}
    | {
        "parameters",
        "needs",
        "default",
        "choices",
        "min",
        "max",
        "pattern",
        "min_length",
        "max_length",
        "required",
        "title",
        "architecture",
        "disk",
        "accelerators",
    }
    | {"node", "kind", "count", "shared", "A", "B"}
)
WORDS = [
    "", "web", "db", "data", "data:/data", "/a:/b:ro", "80", "8080:80", "1-3:4-6/udp", "${A}", "${A:-80}:80", "${B:?no}", "$$", "$", "${", "1g", "64m", "0.5", "5s",
    "1m", "true", "no", "always", "on-failure:3", "CMD", "NONE", "snapshot", "service_healthy", "bind", "volume", "tmpfs", "SIGINT", "linux/arm/v7", "10.0.0.1", "A=b",
    "A", "web:1", "sha256:" + "0" * 64, "~", "<<", "\x00", "\ud800", "é", "::", "[::1]:80:80", "-1", "1000:1000", "/dev/a:/dev/b:r",
    "integer", "number", "boolean", "choice", "secret", "duration", "bytes", "(a|b)*", "[", "${PENSTOCK_SITE}", "${PENSTOCK_X}", "nvidia", "amd64", "/dev/ttyUSB0",
]  # fmt: skip

scalars = st.sampled_from(WORDS) | st.text(max_size=8) | st.integers(-10, 100_000) | st.booleans() | st.none() | st.floats()
trees = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4), max_leaves=12)
services = st.dictionaries(st.sampled_from(KEYS), trees, max_size=5).map(lambda made: {"image": "web:1", **made})
ours = st.fixed_dictionaries(
    {},
    optional={
        "parameters": st.dictionaries(
            st.sampled_from(["A", "B", "C"]), st.dictionaries(st.sampled_from(KEYS), scalars | st.lists(scalars, max_size=3), max_size=4) | trees
        ),
        "needs": trees,
        "secrets": st.lists(st.sampled_from(["A", "B"])),
    },
)
files: st.SearchStrategy[dict[str, object]] = st.fixed_dictionaries(
    {"services": st.dictionaries(st.sampled_from(["web", "db", "job"]), services | trees, min_size=1, max_size=3)},
    optional={"volumes": st.just({"data": {}}) | trees, "networks": trees, "x-penstock": trees | ours, "name": scalars, "version": scalars, "x-a": trees},
)


@pytest.fixture(params=["fast", "plain"], autouse=True)
def both_parsers(request, monkeypatch):
    """libyaml where the wheel brings it, PyYAML's own parser elsewhere: the same answers."""
    if request.param == "plain":
        monkeypatch.setattr(tree, "LOADER", yaml.SafeLoader)


def judge(source: str | bytes) -> None:
    """Read; on success also keep, load and fill in. Anything but the declared errors fails the test by itself."""
    try:
        template = read(source)
    except ComposeError as refused:
        assert refused.faults
        for fault in refused.faults:
            assert fault.why
            assert "\n" not in fault.why
            assert fault.line >= 0
        assert str(refused)
        return
    made = releases.Release(
        "app", "1", template.services, template.volumes, template.networks, (), template.parameters, 60, 120, "correct", 2, template.fixed, template.places
    )
    kept = releases.load(releases.document(made))
    assert kept == made
    assert releases.digest(kept) == releases.digest(made)
    values = {item.name: "1" for item in made.parameters if not item.secret}
    try:
        state = releases.resolve(made, values, dict.fromkeys(made.secrets, "1"), Site("d", "dev_a", "s"))
    except ComposeError as refused:
        assert refused.faults
    else:
        assert {service.name for service in state.services} == {service["name"] for service in template.services}


@given(st.text(max_size=200))
def test_any_text(source):
    judge(source)


@given(st.binary(max_size=200))
def test_any_bytes(source):
    judge(source)


@given(files)
def test_files_of_known_keys_with_any_values(plain):
    source = yaml.safe_dump(plain, allow_unicode=True, sort_keys=False)
    judge(source)


@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE)), st.integers(0, 20), st.sampled_from(WORDS) | st.text("[]{}:,-&*!|>'\"\n \t#?%@`$", max_size=3)), max_size=4)
)
def test_a_good_file_with_pieces_cut_and_put_in(changes):
    source = WHOLE
    for at, cut, put in changes:
        source = source[:at] + put + source[at + cut :]
    judge(source)


@given(st.sampled_from(sorted(READERS)), st.sampled_from(WORDS) | st.text(max_size=40) | st.text("0123456789:-/.,msh[]% ", max_size=30))
def test_readers_raise_nothing_but_bad(name, text):
    try:
        READERS[name](text)
    except Bad as bad:
        assert bad.why


@given(st.text("ab$${}:-?+AB1 ", max_size=24))
def test_templates_survive_being_written_again(text):
    try:
        template = parse(text)
    except TemplateError as fault:
        assert fault.why
        assert fault.remedy
        return
    assert parse(render(template)) == template
    try:
        value = evaluate(template, {use.name: "v" for use in uses(template)})
    except TemplateError:
        raise AssertionError("a template whose every parameter has a value cannot fail") from None
    if "$" not in text:
        assert value == text


def test_both_parsers_find_the_same_in_a_good_file():
    assert project.read(WHOLE).places == read(WHOLE).places
    assert read(WHOLE).places["services.web.healthcheck"] == (23, 5)
