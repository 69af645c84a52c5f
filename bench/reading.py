"""What reading one Compose file costs: text to normal form with holes, for a file of twenty services.

Owns that number. Pure functions in this process, no plane; the time is the processor's.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median

from bench.place import NOTE, SHORT
from bench.results import Result
from penstock.server.core.compose import read

KEYS = ("compose.normalise_ms",)
SERVICES = 20
TIMES = 5 if SHORT else 50

HEAD = """
name: plant
x-base: &base
  restart: unless-stopped
  logging: {driver: json-file, options: {max-size: 10m, max-file: "3"}}
  networks: {front: {aliases: [all]}, back: {}}
services:
"""
ONE = """
  service-%(number)d:
    <<: *base
    image: shop/service-%(number)d:${TAG:-1.0}
    command: [serve, --line, "${LINE:-%(number)d}"]
    environment: {TZ: Europe/Berlin, LEVEL: "${LEVEL:-info}", PASSWORD: "${PASSWORD}", NUMBER: %(number)d}
    ports: ["%(port)d:8080", "127.0.0.1:%(other)d:9090/udp"]
    volumes: ["data-%(number)d:/data", "/srv/line:/line:ro", {type: tmpfs, target: /scratch, tmpfs: {size: 64m}}]
    depends_on: %(needs)s
    healthcheck: {test: [CMD, curl, -f, "http://localhost:8080/healthz"], interval: 10s, timeout: 2s, retries: 5, start_period: 20s}
    deploy: {resources: {limits: {memory: 128m, cpus: "0.5"}, reservations: {memory: 64m}}}
    cap_drop: [ALL]
    ulimits: {nofile: {soft: 1024, hard: 2048}}
    extra_hosts: ["plc:192.0.2.7"]
    labels: {vendor: acme, line: "%(number)d"}
    configs: [{source: settings, target: /etc/settings.conf}]
"""
TAIL = """
volumes: {%(volumes)s}
networks: {front: {}, back: {internal: true}}
configs: {settings: {content: "line = ${LINE:-7}"}}
x-penstock: {secrets: [PASSWORD]}
"""


def measure(wanted: frozenset[str]) -> Iterator[Result]:
    """The number: the median of many readings."""
    if "compose.normalise_ms" not in wanted:
        return
    source = _file()
    spans = []
    for _ in range(TIMES):
        before = time.process_time()
        template = read(source)
        spans.append((time.process_time() - before) * 1000)
    how = (
        f"processor time of reading a file of {len(template.services)} services and {len(source.splitlines())} lines, with parameters, anchors, health checks, "
        f"limits, volumes and a config each: text to normal form, tried with its defaults; median of {TIMES}, the longest {max(spans):.1f} ms.{NOTE}"
    )
    yield Result("compose.normalise_ms", median(spans), how)


def _file() -> str:
    services = "".join(
        ONE % {"number": number, "port": 8000 + number, "other": 9000 + number, "needs": f"[service-{number - 1}]" if number else "[]"}
        for number in range(SERVICES)
    )
    return HEAD + services + TAIL % {"volumes": ", ".join(f"data-{number}: {{}}" for number in range(SERVICES))}
