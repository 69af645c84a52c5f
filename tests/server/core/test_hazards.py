"""What a release may do to its device, as sentences: each thing that breaks isolation is told, and nothing else is."""

from __future__ import annotations

import pytest

from penstock.server.core.compose import read
from penstock.server.core.hazards import hazards


def told(*lines: str) -> tuple[str, ...]:
    body = "".join(f"    {line}\n" for line in lines)
    return hazards(read(f"services:\n  web:\n    image: web\n{body}volumes: {{data: {{}}}}\n").services)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("privileged: true", "all that root can"),
        ("privileged: ${P:-false}", "where ${P:-false} says so"),
        ("network_mode: host", "the device's own network"),
        ("pid: host", "every process"),
        ("ipc: host", "shares memory"),
        ("uts: host", "host name"),
        ("userns_mode: host", "own users"),
        ("cgroup: host", "control groups"),
        ("cap_add: [SYS_ADMIN]", "the capability SYS_ADMIN"),
        ("cap_add: [CAP_NET_ADMIN]", "the capability NET_ADMIN"),
        ("cap_add: [ALL]", "every capability"),
        ("cap_add: ['${C}']", "the capability ${C}"),
        ("security_opt: ['seccomp:unconfined']", "without seccomp"),
        ("security_opt: [label=disable]", "without SELinux"),
        ("oom_kill_disable: true", "is spared"),
        ("oom_score_adj: -1000", "is spared"),
        ("devices: [/dev/ttyUSB0]", "uses /dev/ttyUSB0"),
        ("devices: ['${D}']", "uses ${D}"),
        ("device_cgroup_rules: ['c 188:* rmw']", "by the rule c 188:* rmw"),
        ("volumes: ['/var/run/docker.sock:/var/run/docker.sock:ro']", "the socket of the container engine"),
        ("volumes: ['/:/host:ro']", "the socket of the container engine through /"),
        ("volumes: ['/var/run:/x']", "the socket of the container engine"),
        ("volumes: ['/etc:/etc:ro']", "reads /etc of the device"),
        ("volumes: ['/srv:/srv']", "reads and writes /srv of the device"),
        ("volumes: ['${FOLDER}:/x']", "mounts what ${FOLDER}:/x says"),
        ("volumes: [{type: bind, source: '${FOLDER}', target: /x}]", "reads and writes ${FOLDER}"),
    ],
)
def test_each_is_told(line, words):
    (text,) = told(line)
    assert text.startswith("web ")
    assert words in text


def test_what_stays_in_its_container_is_not_told():
    assert told("cap_add: [NET_BIND_SERVICE, chown]", "cap_drop: [ALL]", "read_only: true", "volumes: ['data:/data', /cache]", "ports: ['80:80']") == ()
    assert told("security_opt: ['no-new-privileges:true']", "network_mode: none", "ipc: shareable", "cgroup: private", "oom_score_adj: 500") == ()


def test_each_is_told_once():
    assert len(told("devices: ['/dev/a:/dev/a', '/dev/a:/dev/b']")) == 1
