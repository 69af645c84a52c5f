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

folder = os.environ["PENSTOCK_TEST_ACCELERATORS"]
state = json.load(sys.stdin)
with open(state["bundle"] + "/config.json", encoding="utf-8") as source:
    config = json.load(source)
variables = dict(one.partition("=")[::2] for one in config["process"]["env"])
asked = variables.get("NVIDIA_VISIBLE_DEVICES", "")
there = sorted(name.removeprefix("nvidia") for name in os.listdir(folder) if name.startswith("nvidia") and name[6:].isdigit())
given = there if asked == "all" else asked.split(",")
lacking = [one for one in given if one not in there]
with open(folder + "/runs", "a", encoding="utf-8") as target:
    kinds = variables.get("NVIDIA_DRIVER_CAPABILITIES", "")
    target.write(json.dumps({"container": state["id"], "verb": sys.argv[1], "asked": asked, "given": given, "lacking": lacking, "capabilities": kinds}) + "\n")
if lacking:
    sys.exit("nvidia-container-cli: device error: " + ", ".join(lacking) + ": unknown device")
root = os.path.join(state["bundle"], config["root"]["path"])
for one in given:
    node = root + "/dev/nvidia" + one
    subprocess.run(["nsenter", "-t", str(state["pid"]), "-m", "--", "mknod", "-m", "666", node, "c", "1", "3"], check=True, timeout=20)
