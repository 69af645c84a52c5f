"""Small images for the tests, made here from a static busybox: no registry, no build.

Owns one program, `/bin/app`, whose behaviour is chosen by environment variables, and the images around it. Versions differ by
content, so their digests differ. The fixture ``images`` makes them and remembers what it made.

Environment of `/bin/app` (all may be combined; baked into an image with ``env=`` or given to the container):
  PORT=8080            where it serves HTTP; `/` answers the version, `/healthz` answers "ok" while healthy
  START_DELAY=s        waits before it serves
  UNHEALTHY=1          `/healthz` is missing, and `app check` fails, from the start
  UNHEALTHY_AFTER=s    ... from then on
  HEALTHY_IF=path      healthy only while that file exists
  WRITE=path           appends "<version>" as a line to that file before it serves (a volume, say)
  FAIL_IF_MISSING=path exits 3 when the file is not there
  CRASH_AFTER=s        exits with EXIT_CODE (1) then
  EXIT_CODE=n          without CRASH_AFTER: a one-shot job, ends at once with that code (after WRITE)
  IGNORE_TERM=1        ignores SIGTERM, so that only SIGKILL ends it
  STOP_DELAY=s         takes that long to end after SIGTERM
  SAY=text             prints the line each second
  EAT_MB=n             takes that much memory
`app check` is the health check (exit code 0 or 1). With WRITE_ON_STOP=path, "<NAME> <uptime>" is appended there when SIGTERM arrives, so that
tests can read the order of stops (NAME=... names the service).
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.needs import require, which
from tools.oci import Entry, Image, Layer, make_image, make_layer, make_variant

APP = """\
#!/bin/sh
# One program for all tests, see tests/images.py.
version="$(cat /version)"
port="${PORT:-8080}"
if [ "$1" = check ]; then
    exec timeout 2 wget -q -O /dev/null "http://127.0.0.1:$port/healthz"
fi
leave() {
    echo "app $version ends"
    [ -z "$WRITE_ON_STOP" ] || echo "${NAME:-app} $(cut -d' ' -f1 /proc/uptime)" >>"$WRITE_ON_STOP"
    [ -z "$STOP_DELAY" ] || sleep "$STOP_DELAY"
    exit 0
}
if [ -n "$IGNORE_TERM" ]; then trap '' TERM; else trap leave TERM INT QUIT HUP USR1; fi
echo "app $version starts"
if [ -n "$FAIL_IF_MISSING" ] && [ ! -e "$FAIL_IF_MISSING" ]; then
    echo "app $version: $FAIL_IF_MISSING is missing" >&2
    exit 3
fi
if [ -n "$WRITE" ]; then echo "$version" >>"$WRITE" || exit 4; fi
if [ -n "$EXIT_CODE" ] && [ -z "$CRASH_AFTER" ]; then exit "$EXIT_CODE"; fi
www="${WWW:-/www}"
mkdir -p "$www"
echo "$version" >"$www/index.html"
rm -f "$www/healthz"
if [ -n "$START_DELAY" ]; then sleep "$START_DELAY" & wait $!; fi
healthy() {
    [ -z "$UNHEALTHY" ] || return 1
    [ -z "$HEALTHY_IF" ] || [ -e "$HEALTHY_IF" ] || return 1
    [ -z "$UNHEALTHY_AFTER" ] || [ "$1" -lt "$UNHEALTHY_AFTER" ] || return 1
}
if healthy 0; then echo ok >"$www/healthz"; fi
httpd -f -p "$port" -h "$www" &
web=$!
if [ -n "$EAT_MB" ]; then
    dd if=/dev/zero bs=1048576 count="$EAT_MB" 2>/dev/null | tail -c "$((EAT_MB * 1048576))" | sleep 1000000 &
fi
if [ -z "$CRASH_AFTER$UNHEALTHY_AFTER$HEALTHY_IF$SAY" ]; then
    wait "$web"
    exit 5
fi
second=0
while :; do
    sleep 1 & wait $!
    second=$((second + 1))
    if healthy "$second"; then [ -e "$www/healthz" ] || echo ok >"$www/healthz"; else rm -f "$www/healthz"; fi
    [ -z "$SAY" ] || echo "$SAY"
    if [ -n "$CRASH_AFTER" ] && [ "$second" -ge "$CRASH_AFTER" ]; then
        echo "app $version crashes" >&2
        exit "${EXIT_CODE:-1}"
    fi
done
"""

HOST_PLATFORM = "linux/amd64"
ALL_PLATFORMS = ("linux/amd64", "linux/arm64", "linux/arm/v7", "linux/arm/v6", "linux/386")
HEALTHCHECK: Mapping[str, Any] = {
    "Test": ["CMD", "/bin/app", "check"],
    "Interval": 1_000_000_000,
    "Timeout": 3_000_000_000,
    "Retries": 2,
    "StartPeriod": 0,
}


def base_layer() -> Layer:
    """A root file system of busybox alone: the same bytes in every image, so that engines share it."""
    busybox = Path(which("busybox") or "/bin/busybox").read_bytes()
    names = subprocess.run([which("busybox") or "busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
    entries = [
        Entry("bin", mode=0o755),
        Entry("bin/busybox", busybox, mode=0o755),
        *(Entry(f"bin/{name}", link="busybox") for name in sorted(names) if name != "busybox"),
        Entry("etc/passwd", b"root:x:0:0:root:/:/bin/sh\napp:x:1000:1000:app:/:/bin/sh\n"),
        Entry("etc/group", b"root:x:0:\napp:x:1000:\n"),
        Entry("tmp", mode=0o1777),
        Entry("data", mode=0o777),
        Entry("www", mode=0o777),
    ]
    return make_layer(entries)


@dataclass
class Images:
    """Makes test images; one call with the same arguments gives the same digests."""

    folder: Path
    _base: Layer | None = None
    _made: int = 0

    def make(
        self,
        version: str = "1",
        *,
        env: Mapping[str, str] | None = None,
        platforms: Sequence[str] = (HOST_PLATFORM,),
        healthcheck: Mapping[str, Any] | None = None,
        payload_bytes: int = 0,
        indexed: bool | None = None,
        docker_types: bool = False,
        compress: bool = True,
        config: Mapping[str, Any] | None = None,
        volumes: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
    ) -> Image:
        """`payload_bytes` adds a layer of that many bytes that do not compress (for transfers that are cut). Variants for other
        platforms than this machine's hold no program, only /platform: they prove the choice, they cannot run."""
        if self._base is None:
            self._base = base_layer()
        variants = []
        for platform in platforms:
            layers = [self._base] if platform == HOST_PLATFORM else []
            files = [Entry("version", f"{version}\n".encode()), Entry("platform", f"{platform}\n".encode())]
            if platform == HOST_PLATFORM:
                files.append(Entry("bin/app", APP.encode(), mode=0o755))
            layers.append(make_layer(files, compress=compress))
            if payload_bytes:
                noise = random.Random(f"{version} {platform}").randbytes(payload_bytes)
                layers.append(make_layer([Entry("payload", noise)], compress=compress, level=1))
            runtime: dict[str, Any] = {
                "Env": ["PATH=/bin", *(f"{name}={value}" for name, value in sorted((env or {}).items()))],
                "Entrypoint": ["/bin/app"],
                "ExposedPorts": {"8080/tcp": {}},
                "WorkingDir": "/",
                **(config or {}),
            }
            if healthcheck is not None:
                runtime["Healthcheck"] = dict(healthcheck)
            if volumes:
                runtime["Volumes"] = {path: {} for path in volumes}
            variants.append(make_variant(platform, layers, runtime, docker_types=docker_types, labels=labels))
        return make_image(variants, indexed=indexed)

    def archive(self, image: Image, *references: str) -> Path:
        """A file for `engine.load`."""
        self._made += 1
        return image.write_docker_archive(self.folder / f"{self._made}.tar", *references)

    def layout(self, image: Image, reference: str = "latest") -> Path:
        """A folder for `skopeo copy oci:FOLDER:REFERENCE`."""
        self._made += 1
        return image.write_layout(self.folder / f"{self._made}.oci", reference)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    require("busybox")
    return Images(tmp_path_factory.mktemp("images"))
