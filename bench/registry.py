"""The image registry beside Debian's docker-registry: the same client, the same image, the same certificate, by turns.

Owns one plane and one docker-registry (file-system driver), both over TLS on loopback with their data on the same disk, and skopeo as the client. Each round has
an image nobody saw before: one layer of 200 MB and fifty of 64 kB. Which side goes first changes with every round; medians are compared.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import procs
from bench.place import NOTE, SHORT, log
from bench.results import Result
from tests.e2e.house import PlaneProcess, eventually, free_port
from tests.needs import which
from tools.oci import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, canonical, digest

KEYS = ("registry.push_ratio", "registry.pull_ratio")
ROUNDS = 2 if SHORT else 7
LARGE = 20_000_000 if SHORT else 200_000_000
SMALL, SMALL_SIZE = 50, 64 * 1024

CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {data}}}, delete: {{enabled: true}}, maintenance: {{uploadpurging: {{enabled: false}}}}}}
http: {{addr: "127.0.0.1:{port}", tls: {{certificate: {certificate}, key: {key}}}}}
"""


def measure(wanted: frozenset[str]) -> Iterator[Result]:
    """Both from the same rounds."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        folder = Path(name)
        plane = PlaneProcess(folder / "plane")
        plane.init()
        plane.start()
        other = _docker_registry(folder, plane.data / "tls")
        try:
            plane.mint_token()
            sides = {"ours": (f"127.0.0.1:{plane.port}", f"tests:{plane.token}"), "theirs": (other[1], "")}
            times = _rounds(folder, sides)
        finally:
            plane.stop()
            other[0].terminate()
            other[0].wait(30)
    size = LARGE + SMALL * SMALL_SIZE
    for key, act in (("registry.push_ratio", "push"), ("registry.pull_ratio", "pull")):
        if key in wanted:
            ours, theirs = (statistics.median(times[side, act]) for side in ("ours", "theirs"))
            how = (
                f"skopeo {act}, an image of {LARGE // 10**6} MB in one layer and {SMALL} of {SMALL_SIZE // 1024} KiB over TLS, by turns in one run, median of {ROUNDS}: "
                f"the built-in registry {ours:.2f} s ({size / ours / 1e6:.0f} MB/s), Debian's docker-registry 2.8.2 {theirs:.2f} s ({size / theirs / 1e6:.0f} MB/s); {procs.busy()}.{NOTE}"
            )
            yield Result(key, theirs / ours, how)


def _docker_registry(folder: Path, tls: Path) -> tuple[subprocess.Popen[bytes], str]:
    port, config = free_port(), folder / "docker-registry.yml"
    config.write_text(CONFIG.format(data=folder / "docker-registry", port=port, certificate=tls / "server.pem", key=tls / "server.pem"))
    process = subprocess.Popen(
        [str(which("docker-registry")), "serve", str(config)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    host = f"127.0.0.1:{port}"

    def ready() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"docker-registry ended with {process.returncode}")
        return subprocess.run(["curl", "-sk", "-o", "/dev/null", f"https://{host}/v2/"], check=False).returncode == 0

    eventually(ready, bool, 30, what="docker-registry answers")
    return process, host


def _rounds(folder: Path, sides: dict[str, tuple[str, str]]) -> dict[tuple[str, str], list[float]]:
    times: dict[tuple[str, str], list[float]] = {(side, act): [] for side in sides for act in ("push", "pull")}
    for number in range(ROUNDS):
        layout = _layout(folder / "layout")
        order = list(sides) if number % 2 else list(reversed(sides))
        for act in ("push", "pull"):
            for side in order:
                host, sign_in = sides[side]
                here, there = f"oci:{layout}:1", f"docker://{host}/bench/image:{number}"
                back = folder / "back"
                command = (
                    ["--dest-tls-verify=false", *([f"--dest-creds={sign_in}"] if sign_in else []), here, there]
                    if act == "push"
                    else ["--src-tls-verify=false", *([f"--src-creds={sign_in}"] if sign_in else []), there, f"dir:{back}"]
                )
                os.sync()
                began = time.monotonic()
                subprocess.run([str(which("skopeo")), "--insecure-policy", "copy", "--quiet", "--preserve-digests", *command], check=True, timeout=300)
                times[side, act].append(time.monotonic() - began)
                shutil.rmtree(back, ignore_errors=True)
        log(f"round {number + 1}: " + ", ".join(f"{side} {act} {times[side, act][-1]:.2f} s" for act in ("push", "pull") for side in sides))
        shutil.rmtree(layout)
    return times


def _layout(folder: Path) -> Path:
    """An OCI layout of layers that nobody saw before. They are no archives: neither side, and no copy, looks inside."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes, kind: str) -> dict[str, object]:
        (blobs / digest(data).partition(":")[2]).write_bytes(data)
        return {"mediaType": kind, "digest": digest(data), "size": len(data)}

    layers = [put(b"\x1f\x8b\x08" + os.urandom(size - 3), OCI_LAYER) for size in (LARGE, *[SMALL_SIZE] * SMALL)]
    config = put(canonical({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [one["digest"] for one in layers]}}), OCI_CONFIG)
    manifest = put(canonical({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers}), OCI_MANIFEST)
    entry = {**manifest, "annotations": {"org.opencontainers.image.ref.name": "1"}}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}))
    (folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    return folder
