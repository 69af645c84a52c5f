"""What nvidia-container-runtime-hook beside this does: it stands for NVIDIA's in tests. dockerd takes a machine that has that program for one with a
driver for accelerators, and runc runs it before a container starts.

Owns what the real one does to a container, as far as a test can see it: the device nodes asked for appear in /dev, or the start fails. They are
nodes like /dev/null. Which accelerators there are says the folder PENSTOCK_TEST_ACCELERATORS (nvidia0, nvidia1, ...); each run is written to the file `runs` in
it. Never part of Penstock.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

folder = Path(os.environ["PENSTOCK_TEST_ACCELERATORS"])
state = json.load(sys.stdin)
bundle = Path(state["bundle"])
config = json.loads((bundle / "config.json").read_text())
variables = dict(one.partition("=")[::2] for one in config["process"]["env"])
asked = variables.get("NVIDIA_VISIBLE_DEVICES", "")
there = sorted(path.name.removeprefix("nvidia") for path in folder.glob("nvidia[0-9]*"))
given = there if asked == "all" else asked.split(",")
lacking = [one for one in given if one not in there]
with (folder / "runs").open("a") as runs:
    runs.write(json.dumps({"container": state["id"], "verb": sys.argv[1], "asked": asked, "given": given, "lacking": lacking}) + "\n")
if lacking:
    sys.exit("nvidia-container-cli: device error: " + ", ".join(lacking) + ": unknown device")
for one in given:
    node = bundle / config["root"]["path"] / "dev" / f"nvidia{one}"
    subprocess.run(["nsenter", "-t", str(state["pid"]), "-m", "--", "mknod", "-m", "666", node, "c", "1", "3"], check=True, timeout=20)
