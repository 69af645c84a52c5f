"""Declared parameters: read with every fault at its place, values in one canonical form, old releases as they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core import release as releases
from penstock.server.core.compose import ComposeError, read
from penstock.server.core.compose.parameters import measure, normal
from penstock.server.core.compose.scalars import Bad
from penstock.server.core.declared import ORDERED, Declared, from_plain, to_plain
from penstock.server.core.facts import Site, escaped, facts_of, spelled, with_facts
from penstock.server.core.needs import Accelerator, Needs, Node
from penstock.server.core.release import Release

HEAD = "services:\n  web: {image: 'shop/web:1', environment: {X: '${X:-}'}}\nx-penstock:\n"
HERE = Site("press-4", "dev_a", "ulm", "Ulm foundry", "Europe/Berlin", "arm64", (("line", "3"), ("kind.of", "press")))


def faults(source):
    with pytest.raises(ComposeError) as caught:
        read(source)
    return caught.value.faults


# --- values -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text", "made"),
    [
        ("integer", "+007", "7"),
        ("integer", "-0", "0"),
        ("number", "1.50", "1.5"),
        ("number", "1e3", "1000"),
        ("number", "-0.0", "0"),
        ("boolean", "Yes", "true"),
        ("boolean", "off", "false"),
        ("port", "08080", "8080"),
        ("duration", "90m", "1h30m"),
        ("duration", "0", "0s"),
        ("duration", "1d0h500ms", "1d500ms"),
        ("bytes", "1024m", "1G"),
        ("bytes", "1536k", "1536K"),
        ("bytes", "1.5g", "1536M"),
        ("bytes", "0", "0B"),
    ],
)
def test_canonical_texts(kind, text, made):
    assert normal(Declared(type=kind), text) == made


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("integer", "1.5"),
        ("integer", "٣"),
        ("integer", ""),
        ("number", "nan"),
        ("number", "1e999999"),
        ("number", "1_000"),
        ("boolean", "maybe"),
        ("port", "0"),
        ("port", "65536"),
        ("port", "-80"),
        ("duration", "10"),
        ("duration", "5000d"),
        ("duration", "1us"),
        ("bytes", "12 parsecs"),
        ("bytes", "0.3b"),
        ("bytes", "9999999999t"),
    ],
)
def test_what_is_none_is_refused_with_what_is_allowed(kind, text):
    with pytest.raises(Bad) as caught:
        normal(Declared(type=kind), text)
    assert caught.value.why
    assert caught.value.remedy


AMOUNTS = {
    "integer": st.integers(-(10**17), 10**17).map(str),
    "number": st.decimals(-(10**6), 10**6, places=3).map(str),
    "port": st.integers(1, 65535).map(str),
    "duration": st.tuples(st.integers(0, 400), st.integers(0, 99), st.integers(0, 999)).map(lambda t: f"{t[0]}h{t[1]}m{t[2]}ms"),
    "bytes": st.tuples(st.integers(0, 10**5), st.sampled_from("bkmgBKMG")).map(lambda t: f"{t[0]}{t[1]}"),
}


@given(st.sampled_from(ORDERED).flatmap(lambda kind: st.tuples(st.just(kind), AMOUNTS[kind])))
def test_a_canonical_text_is_its_own_and_as_much_as_what_was_given(pair):
    kind, text = pair
    made = normal(Declared(type=kind), text)
    assert normal(Declared(type=kind), made) == made
    assert measure(kind, made) == measure(kind, text)


@given(st.sampled_from(ORDERED).flatmap(lambda kind: st.tuples(st.just(kind), AMOUNTS[kind], AMOUNTS[kind], AMOUNTS[kind])))
def test_bounds_hold(case):
    kind, value, one, other = case
    low, high = sorted((normal(Declared(type=kind), one), normal(Declared(type=kind), other)), key=lambda text: measure(kind, text))
    declared = Declared(type=kind, low=low, high=high)
    inside = measure(kind, low) <= measure(kind, value) <= measure(kind, high)
    try:
        normal(declared, value)
    except Bad as fault:
        assert not inside
        assert low in fault.remedy
        assert high in fault.remedy
    else:
        assert inside


def test_a_secret_is_never_repeated():
    for declared in (Declared(type="secret", min_length=20), Declared(type="secret", max_length=3), Declared(type="secret", pattern="[0-9]+")):
        with pytest.raises(Bad) as caught:
            normal(declared, "hunter2x")
        assert "hunter2x" not in caught.value.why + caught.value.remedy


# --- reading ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "line", "why"),
    [
        ("  parameters: {Y: {type: text}}\n", 4, "declared and used nowhere"),
        ("  parameters: {X: {type: colour}}\n", 4, "'colour' is not supported"),
        ("  parameters: {X: {type: port, default: http}}\n", 4, "is no port"),
        ("  parameters: {X: {type: integer, min: 5, max: 3}}\n", 4, "less than `min`"),
        ("  parameters: {X: {type: integer, min: 5, default: 3}}\n", 4, "less than is allowed"),
        ("  parameters: {X: {type: choice}}\n", 4, "no `choices`"),
        ("  parameters: {X: {choices: [a, a]}}\n", 4, "stands twice"),
        ("  parameters: {X: {choices: [a, b], default: c}}\n", 4, "none of the choices"),
        ("  parameters: {X: {type: port, pattern: a}}\n", 4, "no meaning for the type port"),
        ("  parameters: {X: {pattern: '(a'}}\n", 4, "the pattern is not understood"),
        ("  parameters: {X: {default: a, required: true}}\n", 4, "required and has a default"),
        ("  parameters: {X: {type: secret, default: a}}\n", 4, "a secret has no default"),
        ("  parameters: {X: {default: '${PENSTOCK_FOO}'}}\n", 4, "there is no PENSTOCK_FOO"),
        ("  parameters: {PENSTOCK_X: {}}\n", 4, "no name of a parameter of yours"),
        ("  parameters: {X: {description: a}}\n", 4, "`description` is not supported"),
        ("  parameters: {X: {min_length: 9, max_length: 3}}\n", 4, "less than `min_length`"),
        ("  parameters: [X]\n", 4, "must be a mapping"),
        ("  secrets: [X]\n  parameters: {X: {}}\n", 4, "declared under `parameters` too"),
    ],
)
def test_a_fault_of_a_declaration_has_its_place(body, line, why):
    found = faults(HEAD + body)
    assert any(why in one.why and one.line == line and one.column and one.remedy for one in found), found


@pytest.mark.parametrize(
    ("use", "body", "why"),
    [
        ("'${X:-80}'", "{type: port, default: 90}", "the default here is '90'"),
        ("'${X:-http}'", "{type: port}", "the file gives it the default 'http'"),
        ("'${X}'", "{required: false}", "cannot do without it"),
    ],
)
def test_a_declaration_that_contradicts_the_file(use, body, why):
    found = faults(f"services:\n  web: {{image: a, environment: {{X: {use}}}}}\nx-penstock:\n  parameters:\n    X: {body}\n")
    assert any(why in one.why and one.line == 5 for one in found), found


def test_a_declared_secret_may_stand_in_an_environment_only():
    found = faults("services:\n  web: {image: a, command: 'x ${X}'}\nx-penstock:\n  parameters:\n    X: {type: secret}\n")
    assert any("X" in one.why and one.line == 2 for one in found), found


def test_what_a_declaration_says_of_a_parameter():
    template = read(
        "services:\n  web: {image: 'a:${TAG}', environment: {X: '${X}', Y: '${Y:-1}', Z: '${Z}'}, ports: ['${P}:80']}\nx-penstock:\n  parameters:\n"
        "    X: {title: ' An X ', help: h, group: g, default: 'n-${PENSTOCK_SITE}'}\n    Y: {type: integer, required: true}\n    Z: {type: secret}\n"
        "    P: {type: port, default: 08080}\n    TAG: {default: '1.2', pattern: '[0-9.]+'}\n"
    )
    by_name = {one.name: one for one in template.parameters}
    assert set(by_name) == {"X", "Y", "Z", "P"}
    assert template.images == {"web": "a:1.2"}
    assert template.fixed == {"TAG": "1.2"}
    assert by_name["X"].declared == Declared(title="An X", help="h", group="g", default="n-${PENSTOCK_SITE}")
    assert (by_name["Y"].required, by_name["Y"].default) == (True, None)
    assert by_name["Z"].secret
    assert by_name["P"].declared is not None
    assert by_name["P"].declared.default == "8080"
    for one in template.parameters:
        assert one.declared is None or from_plain(to_plain(one.declared)) == one.declared


def test_needs():
    template = read(
        HEAD + "  needs: {architecture: [arm64, amd64], memory: 512m, disk: 2g, devices: [/dev/ttyUSB0, {node: /dev/video0, shared: true}],"
        " accelerators: [{kind: nvidia, count: 2}, gpu]}\n"
    )
    nodes = (Node("/dev/ttyUSB0"), Node("/dev/video0", shared=True))
    assert template.settings.needs == Needs(("arm64", "amd64"), 512 << 20, 2 << 30, nodes, (Accelerator("nvidia", 2), Accelerator("gpu")))
    for body, why in (
        ("architecture: x86_64", "'x86_64' is not supported"),
        ("memory: lots", "is no size"),
        ("devices: [tty0]", "is no device node"),
        ("devices: [{shared: true}]", "`node` is missing"),
        ("devices: [/dev/a, /dev/a]", "stands twice"),
        ("accelerators: [magic]", "'magic' is not supported"),
        ("accelerators: [{kind: gpu, count: 0}]", "is no number of accelerators"),
        ("cpus: 2", "`cpus` is not supported"),
    ):
        found = faults(HEAD + f"  needs: {{{body}}}\n")
        assert any(why in one.why and one.line == 4 for one in found), (body, found)


# --- releases -----------------------------------------------------------------------------------------------------------


def release(source):
    template = read(source)
    return Release(
        "shop", "1", template.services, template.volumes, template.networks, (), template.parameters, 60, 120, "correct", 2, needs=template.settings.needs
    )


def test_a_release_without_declarations_has_the_digest_it_always_had():
    plain = release("services:\n  web: {image: a, environment: {X: '${X:-1}', S: '${S}'}}\nx-penstock: {secrets: [S]}\n")
    assert releases.digest(plain) == GOLDEN
    assert '"declared"' not in releases.document(plain)
    assert '"needs"' not in releases.document(plain)


GOLDEN = "sha256:7ff13e9ffce59fceefa79a067c72817d3c80d9cd8bf8a4755928bb44bed7ce05"


def test_a_release_keeps_its_declarations():
    made = release(HEAD + "  parameters: {X: {type: integer, default: 3, title: T}}\n  needs: {memory: 1g}\n")
    kept = releases.load(releases.document(made))
    assert releases.digest(kept) == releases.digest(made)
    assert kept.parameters == made.parameters
    assert kept.needs == made.needs
    assert releases.digest(made) != releases.digest(release(HEAD + "  parameters: {X: {type: integer, default: 4, title: T}}\n  needs: {memory: 1g}\n"))


# --- facts --------------------------------------------------------------------------------------------------------------


def test_facts_of_a_device():
    found = facts_of(HERE)
    assert with_facts("${PENSTOCK_SITE} ${PENSTOCK_SITE_TITLE} ${PENSTOCK_SITE_TIME_ZONE} ${PENSTOCK_ARCHITECTURE} ${PENSTOCK_LABEL_KIND_OF}", found) == (
        "ulm Ulm foundry Europe/Berlin arm64 press"
    )
    assert spelled("line-number.1") == "PENSTOCK_LABEL_LINE_NUMBER_1"
    twice = Site("d", "i", "s", labels=(("a-b", "1"), ("a.b", "2"), ("c", "3")))
    assert {name for name in facts_of(twice) if "LABEL" in name} == {"PENSTOCK_LABEL_C"}


@given(st.text(st.sampled_from("$${}PENSTOCK_SITEx"), max_size=40))
def test_an_escaped_value_means_itself(text):
    assert with_facts(escaped(text), {}) == text


@given(st.text(st.sampled_from("${}abc"), max_size=12))
def test_a_fact_is_never_looked_at_again(name):
    assert with_facts("${PENSTOCK_SITE}", {"PENSTOCK_SITE": name, "PENSTOCK_DEVICE": "no"}) == name
