"""Overlays and `extends` against docker-compose: the tree that we make of several files must mean to it what the files themselves mean to it."""

from __future__ import annotations

import json
import subprocess

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from penstock.server.core.compose import assemble
from penstock.server.core.compose.assemble_merge import plain
from tests.needs import needs, which

pytestmark = needs("docker-compose")

NAMES = st.sampled_from(["A", "B", "C", "LONG_NAME"])
VALUE = st.sampled_from(["", "1", "two words", "a=b", "x:y", "$$cash"])
SHORT = st.sampled_from(["one", "two", "three"])


def pairs():
    as_map = st.dictionaries(NAMES, VALUE, max_size=3)
    return st.one_of(as_map, as_map.map(lambda found: [f"{name}={value}" for name, value in found.items()]))


def some(item, most: int = 3):
    return st.lists(item, min_size=1, max_size=most, unique_by=str)


PORT = st.builds(
    lambda host, port, kind: f"{host}{port}{kind}",
    st.sampled_from(["", "80", "127.0.0.1:90"]).map(lambda x: x and x + ":"),
    st.sampled_from(["80", "81"]),
    st.sampled_from(["", "/udp"]),
)
MOUNT = st.builds(
    lambda source, target, mode: f"{source}:{target}{mode}",
    st.sampled_from(["data", "logs", "/srv/x"]),
    st.sampled_from(["/a", "/b", "/c"]),
    st.sampled_from(["", ":ro"]),
)
SERVICE = st.fixed_dictionaries(
    {},
    optional={
        "command": st.one_of(st.just("run it"), some(SHORT)),
        "entrypoint": st.one_of(st.just("/entry x"), some(SHORT)),
        "environment": pairs(),
        "labels": pairs(),
        "ports": some(PORT),
        "volumes": st.lists(MOUNT, min_size=1, max_size=3, unique_by=lambda mount: mount.split(":")[1]),
        "devices": st.lists(st.sampled_from(["/dev/a:/dev/x", "/dev/b:/dev/y", "/dev/c:/dev/x"]), min_size=1, max_size=2, unique_by=lambda x: x.split(":")[1]),
        "networks": st.one_of(some(st.sampled_from(["front", "back"])), st.dictionaries(st.sampled_from(["front", "back"]), st.none(), min_size=1)),
        "dns": st.one_of(st.just("1.1.1.1"), some(st.sampled_from(["2.2.2.2", "3.3.3.3"]))),
        "tmpfs": st.one_of(st.just("/run"), some(st.sampled_from(["/tmp", "/var/x"]))),
        "expose": some(st.sampled_from(["3000", "4000"])),
        "cap_add": some(st.sampled_from(["NET_ADMIN", "SYS_TIME"])),
        "sysctls": st.dictionaries(st.sampled_from(["net.a", "net.b"]), st.sampled_from(["0", "1"]), min_size=1),
        "extra_hosts": st.one_of(st.just(["h:10.0.0.1"]), st.just({"h": "10.0.0.2"})),
        "healthcheck": st.fixed_dictionaries(
            {}, optional={"test": st.sampled_from([["CMD", "a"], ["CMD-SHELL", "b"]]), "retries": st.integers(1, 4), "interval": st.just("10s")}
        ),
        "logging": st.sampled_from(
            [
                {"driver": "json-file", "options": {"max-size": "1m"}},
                {"driver": "json-file", "options": {"max-file": "2"}},
                {"driver": "syslog", "options": {"tag": "t"}},
            ]
        ),
        "user": st.sampled_from(["root", "1000"]),
        "mem_limit": st.sampled_from(["64m", "1g"]),
        "ulimits": st.sampled_from([{"nofile": 10}, {"nofile": {"soft": 1, "hard": 2}}, {"nproc": 5}]),
        "cpuset": st.just("0"),
        "stop_grace_period": st.sampled_from(["1s", "5s"]),
    },
)
TOP: dict[str, object] = {"volumes": {"data": {}, "logs": {}}, "networks": {"front": {}, "back": {}}}


def config(folder, *names: str):
    arguments = [part for name in names for part in ("-f", name)]
    done = subprocess.run([str(which("docker-compose")), "-p", "x", *arguments, "config"], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    import yaml

    return ordered(yaml.safe_load(done.stdout))


def ordered(node, key: str = ""):
    """Lists whose order means nothing in one order, each thing once: it keeps what several files say twice, we do not."""
    if isinstance(node, dict):
        return {name: ordered(value, name) for name, value in node.items()}
    if node is None:
        return {}
    if key == "extra_hosts" and isinstance(node, list):
        return dict(item.split(":") for item in node)
    if isinstance(node, list) and key not in ("command", "entrypoint", "test"):
        return sorted({str(item): item for item in node}.values(), key=str)
    return node


def simple(node):
    """What `plain` gives, as a Compose file in JSON."""
    if isinstance(node, dict):
        return {key: simple(value) for key, value in node.items()}
    if isinstance(node, list):
        return [simple(item) for item in node]
    text, kind = node
    return None if kind == "null" else int(text) if kind == "integer" else text


HEALTH = {"image": "x", "healthcheck": {"test": ["CMD", "t"]}}


# One run of docker-compose looks at many services: starting it is what takes long.
@settings(max_examples=3, deadline=None, phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck))
@given(services=st.lists(st.tuples(SERVICE, SERVICE, SERVICE), min_size=12, max_size=24))
def test_overlays_and_extends_mean_the_same(services, tmp_path_factory):
    folder = tmp_path_factory.mktemp("overlay")
    files = {}
    for index, name in enumerate(("compose.yaml", "second.yaml", "third.yaml")):
        below = HEALTH if index == 0 else {}
        found = {f"s{number}": {**below, **layers[index]} for number, layers in enumerate(services)}
        if index == 0:
            for number, (base, _, layer) in enumerate(services):
                found[f"b{number}"] = {**HEALTH, **base}  # no other file says more of it: `extends` is about the services of one file
                own = {
                    key: value for key, value in layer.items() if key not in ("healthcheck", "logging")
                }  # it writes the options of who extends into the base, too
                found[f"e{number}"] = {"extends": {"service": f"b{number}"}, **own}
        files[name] = {"version": "2.4", "services": found, **(TOP if index == 0 else {})}
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    made = assemble({name: json.dumps(content).encode() for name, content in files.items()}, tuple(files))
    (folder / "ours.yaml").write_text(json.dumps(simple(plain(made.top))))
    ours, theirs = config(folder, "ours.yaml"), config(folder, *files)
    assert ours["services"].keys() == theirs["services"].keys()
    for name, service in theirs["services"].items():
        mine = ours["services"][name]
        assert {key: mine.get(key) for key in mine | service if mine.get(key) != service.get(key)} == {
            key: service.get(key) for key in mine | service if mine.get(key) != service.get(key)
        }, name
    assert ours == theirs
