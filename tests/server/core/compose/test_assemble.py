"""Several files to one tree: overlays, include, extends, files of variables, profiles and mounted files, and the faults of each by its file."""

from __future__ import annotations

from textwrap import dedent

import pytest

from penstock.server.core.compose import ComposeError, Fault, assemble, read_assembled
from penstock.server.core.compose.assemble_merge import plain


def package(**files: str) -> dict[str, bytes]:
    return {name.replace("__", "/").replace("_yaml", ".yaml").replace("_env", ".env"): dedent(text).lstrip("\n").encode() for name, text in files.items()}


def whole(files: dict[str, bytes], *entries: str, profiles: tuple[str, ...] = ()):
    """The tree as plain values, texts without their kind."""
    found = plain(assemble({"README.md": b"", **files}, entries or ("compose.yaml",), profiles).top)

    def simple(node):
        if isinstance(node, dict):
            return {key: simple(value) for key, value in node.items()}
        if isinstance(node, list):
            return [simple(item) for item in node]
        return None if node[1] == "null" else node[0]

    return simple(found)


def refused(files: dict[str, bytes], *entries: str, profiles: tuple[str, ...] = ()) -> Fault:
    with pytest.raises(ComposeError) as caught:
        assemble({"README.md": b"", **files}, entries or ("compose.yaml",), profiles)
    assert len(caught.value.faults) == 1, str(caught.value)
    fault = caught.value.faults[0]
    assert fault.why, "a fault without a reason"
    assert fault.remedy, "a fault without a remedy"
    return fault


# --- overlays ------------------------------------------------------------------------------------------------------------------


def test_overlays_merge_as_the_specification_says():
    files = package(
        compose_yaml="""
            services:
              web:
                image: web:1
                command: [a, b]
                healthcheck: {test: [CMD, x], retries: 3}
                environment: [A=1, B=2]
                labels: {one: "1"}
                ports: ["80:80", "81:81/udp"]
                volumes: ["data:/d", "old:/o"]
                depends_on: [db]
                dns: 1.1.1.1
              db: {image: db:1}
            volumes: {data: {}, old: {}}
        """,
        over_yaml="""
            services:
              web:
                command: run it
                healthcheck: {test: [CMD, y]}
                environment: {B: "3", C: "4"}
                labels: [two=2]
                ports: ["80:80", "82:82"]
                volumes: ["new:/o:ro"]
                depends_on: {db: {condition: service_healthy}}
                dns: [2.2.2.2]
            volumes: {new: {}}
        """,
    )
    web = whole(files, "compose.yaml", "over.yaml")["services"]["web"]
    assert web == {
        "image": "web:1",
        "command": "run it",
        "healthcheck": {"test": ["CMD", "y"], "retries": "3"},
        "environment": {"A": "1", "B": "3", "C": "4"},
        "labels": {"one": "1", "two": "2"},
        "ports": ["80:80", "81:81/udp", "82:82"],
        "volumes": ["data:/d", "new:/o:ro"],
        "depends_on": {"db": {"condition": "service_healthy"}},
        "dns": ["1.1.1.1", "2.2.2.2"],
    }


def test_reset_and_override():
    files = package(
        compose_yaml="services: {web: {image: a, ports: ['80:80'], environment: {A: '1', B: '2'}, labels: {x: y}, user: root}}",
        over_yaml="""
            services:
              web:
                ports: !override ["90:90"]
                environment: {A: !reset null}
                labels: !reset {}
                user: !reset ""
                dns: !reset []
        """,
    )
    assert whole(files, "compose.yaml", "over.yaml")["services"]["web"] == {"image": "a", "ports": ["90:90"], "environment": {"B": "2"}}
    files = package(compose_yaml="services: {web: {image: a, ports: [!reset '80:80']}}")
    assert refused(files).why == "the tag !reset stands on an item of a list"


def test_two_kinds_for_one_key_name_the_file_that_lies_above():
    files = package(compose_yaml="services: {web: {image: a, deploy: {resources: {}}}}", over_yaml="services:\n  web:\n    deploy: [x]\n")
    fault = refused(files, "compose.yaml", "over.yaml")
    assert (fault.file, fault.line, fault.column, fault.path) == ("over.yaml", 3, 13, "services.web.deploy")
    assert str(fault).startswith("over.yaml, line 3, column 13: services.web.deploy: is a list, and a mapping in what it is laid over")


def test_a_fault_of_the_reader_names_its_file_too():
    files = package(compose_yaml="services: {web: {image: a}}", over_yaml="services:\n  web:\n    no_such: 1\n")
    files["README.md"] = b""
    with pytest.raises(ComposeError) as caught:
        read_assembled(assemble(files, ("compose.yaml", "over.yaml")), None, files)
    fault = caught.value.faults[0]
    assert (fault.file, fault.line, fault.column) == ("over.yaml", 3, 5)
    # Without other files a place is a line and a column.
    with pytest.raises(ComposeError) as caught:
        read_assembled(assemble({"compose.yaml": b"services: {web: {image: a, no_such: 1}}"}, ("compose.yaml",)))
    assert caught.value.faults[0].file == ""


# --- include -------------------------------------------------------------------------------------------------------------------


def test_include_short_and_long():
    files = package(
        compose_yaml="""
            include:
              - infra/compose.yaml
              - path: [apps/a.yaml, apps/b.yaml]
                project_directory: .
                env_file: apps/vars.env
            services: {web: {image: "web:${TAG}", depends_on: [broker]}}
        """,
        _env="TAG=1.0\n",
        infra__compose_yaml="""
            name: infra
            services: {broker: {image: "mq:${TAG:-0}-${PORT}", volumes: ["./mq.conf:/etc/mq.conf:ro"]}}
            volumes: {data: {}}
        """,
        infra___env="PORT=1883\nTAG=ignored\n",
        apps__a_yaml="services: {flow: {image: flow, env_file: x.env}}",
        apps__b_yaml="services: {flow: {environment: {B: '${B}'}}}",
        apps__vars_env="B=fromvars\n",
        x_env="X=1\n",
    )
    files["infra/mq.conf"] = b"listener 1883\n"
    found = whole(files)
    assert set(found["services"]) == {"web", "broker", "flow"}
    assert found["services"]["web"]["image"] == "web:${TAG-1.0}"
    assert found["services"]["broker"]["image"] == "mq:${TAG:-1.0}-${PORT-1883}"  # the including project's value comes first
    assert found["services"]["flow"]["environment"] == {"X": "1", "B": "${B-fromvars}"}
    assert found["configs"] == {"infra-mq.conf": {"file": "infra/mq.conf"}}
    assert found["services"]["broker"]["configs"] == [{"source": "infra-mq.conf", "target": "/etc/mq.conf", "mode": "0444"}]
    assert "volumes" not in found["services"]["broker"]
    assert "name" not in found


def test_an_include_that_says_another_thing_under_the_same_name_is_refused():
    files = package(compose_yaml="include: [b.yaml]\nservices: {a: {image: x}}", b_yaml="services:\n  a: {image: y}\n")
    fault = refused(files)
    assert (fault.file, fault.line) == ("b.yaml", 2)
    assert "compose.yaml, line 2 too" in fault.why
    files = package(compose_yaml="include: [b.yaml]\nservices: {a: {image: x}}", b_yaml="services: {a: {image: x}}")
    assert whole(files)["services"] == {"a": {"image": "x"}}


# --- extends -------------------------------------------------------------------------------------------------------------------


def test_extends_within_a_file_over_files_and_in_chains():
    files = package(
        compose_yaml="""
            services:
              cli: {extends: {service: common}, environment: {PORT: "8080"}}
              common: {extends: {file: base/base.yaml, service: base}, environment: [TZ=utc, PORT=80], volumes: ["a:/x"]}
              short: {extends: cli, volumes: ["b:/x:ro"]}
        """,
        base__base_yaml="services: {base: {image: busybox, user: root, env_file: v.env, extends: {service: root}}, root: {labels: [r=1]}}",
        base__v_env="V=1\n",
    )
    services = whole(files)["services"]
    assert services["cli"] == {
        "labels": ["r=1"],
        "image": "busybox",
        "user": "root",
        "environment": {"V": "1", "TZ": "utc", "PORT": "8080"},
        "volumes": ["a:/x"],
    }
    assert services["short"]["volumes"] == ["b:/x:ro"]


def test_a_health_check_is_not_switched_off_by_extending():
    files = package(compose_yaml="services: {a: {image: x, healthcheck: {test: t}}, b: {extends: a, healthcheck: {disable: true}}}")
    assert refused(files).path == "services.b.healthcheck.disable"


# --- variables -----------------------------------------------------------------------------------------------------------------


def test_env_files_in_every_form():
    files = package(
        compose_yaml="""
            services:
              a:
                image: x
                env_file: [one.env, {path: two.env, required: false}, {path: gone.env, required: false}, {path: raw.env, format: raw}]
                label_file: labels.env
                environment: [C=own]
                labels: {l: own}
        """,
        one_env=r"""
            # a comment
            A=VAL # comment
            B=VAL# not a comment
            C=from file

            export D="a\tb \"q\" # no" # yes
            E='Let\'s $GO \n'
            F=
            G="two
            lines"
            H=${A}/${OUTSIDE:-x}
        """,
        two_env="A=second\n",
        raw_env='Q="as $it is"\n',
        labels_env="l=file\nm=file\n",
    )
    a = whole(files)["services"]["a"]
    assert a["environment"] == {
        "A": "second",
        "B": "VAL# not a comment",
        "C": "own",
        "D": 'a\tb "q" # no',
        "E": "Let's $$GO \\n",
        "F": "",
        "G": "two\nlines",
        "H": "${A-VAL}/${OUTSIDE:-x}",
        "Q": '"as $$it is"',
    }
    assert a["labels"] == {"l": "own", "m": "file"}


@pytest.mark.parametrize(
    ("text", "why", "line"),
    [
        ("A\n", "the variable A has no value", 1),
        ("A=1\nno name\n", "'no name' is no name of a variable", 2),
        ("A='open\n", "the quote ' is not closed", 1),
        ("A='x' y\n", "'y' stands behind the closing quote", 1),
        ("A=" + "x" * 40_000 + "\n", "the value of A has more than 32768 characters", 1),
    ],
)
def test_a_fault_in_a_file_of_variables_names_it(text, why, line):
    files = {**package(compose_yaml="services: {a: {image: x, env_file: vars.env}}"), "vars.env": text.encode()}
    fault = refused(files)
    assert (fault.file, fault.line, fault.why) == ("vars.env", line, why)


def test_env_gives_parameters_their_defaults():
    env = "A=1\nB=a b\nE=\nW=${A}0\n"
    files = package(
        compose_yaml="services: {a: {image: x, command: ['$A', '${A:-9}', '${A:?m}', '${B?m}', '${E:-9}', '${E-9}', '${A+y}', '${W}', '$$A', '${Z:-$A}']}}",
        _env=env,
    )
    assert whole(files)["services"]["a"]["command"] == [
        "${A-1}",
        "${A:-1}",
        "${A:-1}",
        "${B-a b}",
        "${E:-9}",
        "${E-}",
        "y",
        "${W-${A-1}0}",
        "$$A",
        "${Z:-${A-1}}",
    ]
    files = package(compose_yaml="services: {a: {image: '${A:+x}'}}", _env=env)
    assert "asks whether it has one" in refused(files).why
    files = package(compose_yaml="services: {a: {image: x}}", _env="COMPOSE_PROFILES=x\n")
    assert refused(files).file == ".env"


# --- profiles ------------------------------------------------------------------------------------------------------------------

PROFILES = package(
    compose_yaml="""
        services:
          foo: {image: foo}
          bar: {image: bar, profiles: [test]}
          baz: {image: baz, depends_on: [bar], profiles: [test]}
          zot: {image: zot, depends_on: [bar], profiles: [debug]}
          may: {image: may, depends_on: {bar: {condition: service_started, required: false}}}
    """
)


def test_profiles_choose_services():
    assert set(whole(PROFILES)["services"]) == {"foo", "may"}
    assert "depends_on" not in whole(PROFILES)["services"]["may"]
    assert set(whole(PROFILES, profiles=("test",))["services"]) == {"foo", "may", "bar", "baz"}
    assert set(whole(PROFILES, profiles=("*",))["services"]) == {"foo", "may", "bar", "baz", "zot"}
    fault = refused(PROFILES, profiles=("debug",))
    assert (fault.path, fault.line) == ("services.zot.depends_on.bar", 5)
    assert "--profile test" in fault.remedy
    assert refused(PROFILES, profiles=("nope",)).remedy == "there are: debug, test"


# --- mounted files ---------------------------------------------------------------------------------------------------------------


def test_files_and_folders_of_the_package_become_configs():
    files = package(
        compose_yaml="services: {a: {image: x, volumes: ['./conf:/etc/app:ro', {type: bind, source: ./run.sh, target: /run.sh, read_only: true}, 'd:/d']}}"
    )
    files |= {"conf/a.conf": b"a", "conf/sub/B.conf": b"b", "run.sh": b"#!/bin/sh\n"}
    found = whole(files)
    assert found["services"]["a"]["volumes"] == ["d:/d"]
    assert found["services"]["a"]["configs"] == [
        {"source": "conf-a.conf", "target": "/etc/app/a.conf", "mode": "0444"},
        {"source": "conf-sub-b.conf", "target": "/etc/app/sub/B.conf", "mode": "0444"},
        {"source": "run.sh", "target": "/run.sh", "mode": "0555"},
    ]
    assert found["configs"]["conf-sub-b.conf"] == {"file": "conf/sub/B.conf"}


@pytest.mark.parametrize(
    ("mount", "why"),
    [
        ("./conf:/etc/app", "'./conf' is a file of the package, and a container cannot write into a release"),
        ("./conf:/etc/app:rw", "'./conf' is a file of the package, and a container cannot write into a release"),
        ("./gone:/x:ro", "there is no file or folder './gone' in the package"),
        ("./conf:/x:ro,cached", "'cached' has no meaning for a file of the package"),
        ("./conf:x:ro", "'x' is no absolute path"),
        ("../conf:/x:ro", "'../conf' leads out of the package"),
    ],
)
def test_mounts_that_cannot_be(mount, why):
    files = package(compose_yaml=f"services: {{a: {{image: x, volumes: ['{mount}']}}}}")
    with pytest.raises(ComposeError) as caught:
        assemble({**files, "conf": b"x", "y": b""}, ("compose.yaml",))
    assert caught.value.faults[0].why == why
    assert caught.value.faults[0].remedy


# --- what must not work ------------------------------------------------------------------------------------------------------------

BOMBS = {
    "a file includes itself": (package(compose_yaml="include: [compose.yaml]\nservices: {}"), "circle"),
    "two files include each other": (package(compose_yaml="include: [b.yaml]", b_yaml="include: [compose.yaml]"), "circle"),
    "include as a path out": (package(compose_yaml="include: [../x.yaml]"), "leads out of the package"),
    "include of an absolute path": (package(compose_yaml="include: [/etc/passwd]"), "is not inside the package"),
    "include of an address": (package(compose_yaml="include: ['oci://x/y']"), "is not inside the package"),
    "include by a parameter": (package(compose_yaml="include: ['${X}.yaml']"), "holds a parameter"),
    "include of nothing": (package(compose_yaml="include: [gone.yaml]"), "there is no file 'gone.yaml'"),
    "includes that double at each level": (
        {"compose.yaml": b"include: [n0.yaml]"}
        | {f"n{i}.yaml": f"include: [n{i + 1}.yaml, {{path: [n{i + 1}.yaml]}}]".encode() for i in range(7)}
        | {"n7.yaml": b"services: {}"},
        "more than 64 files are read",
    ),
    "includes nested without end": (
        {"compose.yaml": b"include: [n0.yaml]"} | {f"n{i}.yaml": f"include: [n{i + 1}.yaml]".encode() for i in range(20)},
        "included more than 8 deep",
    ),
    "a service extends itself": (package(compose_yaml="services: {a: {extends: a}}"), "circle"),
    "services extend each other": (package(compose_yaml="services: {a: {extends: b}, b: {extends: {service: a}}}"), "circle"),
    "services of two files extend each other": (
        package(compose_yaml="services: {a: {extends: {file: b.yaml, service: b}}}", b_yaml="services: {b: {extends: {file: compose.yaml, service: a}}}"),
        "circle",
    ),
    "a long chain": (
        {"compose.yaml": ("services:\n" + "".join(f"  s{i}: {{extends: s{i + 1}}}\n" for i in range(40)) + "  s40: {image: x}\n").encode()},
        "more than 16 deep",
    ),
    "extends of nothing": (package(compose_yaml="services: {a: {extends: gone}}"), "there is no service 'gone' in this file"),
    "extends out of the package": (package(compose_yaml="services: {a: {extends: {file: ../../x.yaml, service: a}}}"), "leads out of the package"),
    "env_file out of the package": (package(compose_yaml="services: {a: {image: x, env_file: ../../etc/passwd}}"), "leads out of the package"),
    "env_file that is huge": (
        {**package(compose_yaml="services: {a: {image: x, env_file: big.env}}"), "big.env": b"#" * 200_000},
        "more than the 131072 allowed",
    ),
    "env_file with too many lines": (
        {**package(compose_yaml="services: {a: {image: x, env_file: big.env}}"), "big.env": b"".join(b"A%d=1\n" % i for i in range(2000))},
        "more than 1024 variables",
    ),
    "extends that multiplies a large base": (
        {
            "compose.yaml": (
                "services:\n  b: {image: x, environment: {"
                + ", ".join(f"V{i}: v" for i in range(900))
                + "}}\n"
                + "".join(f"  s{i}: {{extends: b}}\n" for i in range(40))
            ).encode()
        },
        "more than 20000 values",
    ),
    "a folder of too many files": (
        {**package(compose_yaml="services: {a: {image: x, volumes: ['./many:/m:ro']}}"), **{f"many/{i}": b"" for i in range(100)}},
        "has 100 files, more than the 64",
    ),
    "aliases": (
        package(
            compose_yaml="a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d]"
        ),
        "more than 20000 values",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused(name):
    files, why = BOMBS[name]
    with pytest.raises(ComposeError) as caught:
        assemble({"README.md": b"", **files}, ("compose.yaml",))
    assert why in str(caught.value)
    assert all(fault.why and fault.remedy for fault in caught.value.faults)
