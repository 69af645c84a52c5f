"""Accelerators that a machine of the tests has: nodes like /dev/null, which engines give to containers by the means they have for real ones.

Docker by its own driver for them, with the hook in this folder in place of NVIDIA's; newer Podman by the Container Device Interface. Owns making them and
telling what Docker's driver was asked for.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

from tests.engines import Engine


def plug_in(engine: Engine, number: int) -> None:
    """One more, without a description for Podman."""
    os.mknod(engine.slot.accelerators / f"nvidia{number}", 0o20666, os.makedev(1, 3))


def accelerate(engine: Engine, count: int) -> None:
    """Let the engine's machine have so many, and forget what was asked for before."""
    folder = engine.slot.accelerators
    shutil.rmtree(folder)
    folder.mkdir()
    described = []
    for number in range(count):
        plug_in(engine, number)
        nodes = [{"path": f"/dev/nvidia{number}", "hostPath": str(folder / f"nvidia{number}")}]
        described.append({"name": str(number), "containerEdits": {"deviceNodes": nodes}})
    if described:
        (folder / "cdi.json").write_text(json.dumps({"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": described}))


def accelerated(engine: Engine) -> list[dict[str, Any]]:
    """What Docker's driver was asked for since then, run by run."""
    runs = engine.slot.accelerators / "runs"
    return [json.loads(line) for line in runs.read_text().splitlines()] if runs.exists() else []
