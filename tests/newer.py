"""Engines of a later Debian: their packages unpacked into a cache, run here with that release's /usr in a mount namespace of their own.

Owns which releases and packages, and starting the two engines. Nothing is installed. The first release that can be had is used; what was run,
and what was found, stands in docs/engines.md. The environment variable PENSTOCK_NEWER names other releases ("trixie").
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

from tests.engines import Engine, start_docker, start_podman
from tools.debs import DebsError, unpack

RELEASES = tuple(os.environ.get("PENSTOCK_NEWER", "forky trixie").split())
PACKAGES = (
    *("docker.io", "docker-cli", "containerd", "runc"),
    *("podman", "conmon", "netavark", "aardvark-dns", "catatonit"),
    *("iptables", "nftables", "iproute2", "util-linux", "coreutils", "dash", "tini"),
)


@functools.cache
def _usr() -> tuple[Path | None, str]:
    """The unpacked /usr, or why there is none."""
    reasons = []
    for release in RELEASES:
        try:
            usr = unpack(release, "amd64", *PACKAGES) / "usr"
        except DebsError as error:
            reasons.append(f"{release}: {error}")
            continue
        for name in ("iptables", "ip6tables"):
            # What the alternatives system would have made; /etc/alternatives of this machine points to the same places.
            link = usr / "sbin" / name
            if not link.exists() and not link.is_symlink():
                link.symlink_to("xtables-nft-multi")
        return usr, ""
    return None, "; ".join(reasons)


def why_not(kind: str) -> str:
    """Why a newer engine of this kind cannot be had here; empty when it can."""
    usr, reason = _usr()
    return "" if usr is not None else f"no newer {kind}: {reason}"


def start_newer_docker() -> Engine:
    return start_docker(name="docker_new", usr=_usr()[0], features={"containerd-snapshotter": True})


def start_newer_podman() -> Engine:
    return start_podman(name="podman_new", usr=_usr()[0], backend="netavark")
