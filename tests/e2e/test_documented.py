"""The commands of docs/operate.md and docs/at-the-device.md, typed in the order in which they stand there, against the running product.

Owns the translation of the documents' example names (host, folders, fingerprint) into this test's; the commands are otherwise run as written.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.e2e.house import ROOT, House, eventually
from tests.engines import Engine
from tests.images import Images
from tests.needs import require, which

BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMPOSE = """\
name: line
services:
  counter:
    image: {host}/acme/line:1
    healthcheck: {{test: [CMD, /bin/app, check], interval: 1s}}
    stop_grace_period: 1s
x-penstock: {{soak: 1s}}
"""


# Lines that need another device, a phone with an authenticator, or that would end the example's device; and where they are typed instead.
ELSEWHERE = {
    "penstock device retire press-7 --wipe=apps": "tests/e2e/test_leaving.py, tests/cli/test_cli.py",
    "penstock device keep press-7": "tests/cli/test_cli.py",
    "penstock device retire press-7 --wipe=nothing": "tests/cli/test_cli.py",
    "penstock group set presses --add": "tests/cli/test_cli.py",
    "penstock second-factor confirm": "tests/cli/test_cli.py",
    "penstock second-factor reset bert": "tests/cli/test_cli.py",
    "penstock login https://plane.example:8443 --ca plane-ca.pem --user break-glass": "tests/cli/test_cli.py",
}
# What is asked for without being shown comes on standard input.
ASKED = {"penstock site people add": "271828\n", "penstock site people pin": "314159\n"}


def typed(page: str) -> list[str]:
    """The lines a person would type, in order."""
    return [line[2:] for block in BLOCK.findall((ROOT / "docs" / page).read_text()) for line in block.splitlines() if line.startswith("$ ")]


def test_the_documented_way_is_walkable(box: Engine, house: House, images: Images, tmp_path: Path) -> None:
    require("skopeo")
    plane = house.plane
    fingerprint = ""
    asking: subprocess.Popen[str] | None = None
    agent = house.agent(box, "press-7", enrol=False, start=False)
    bin_folder = Path(sys.executable).parent
    host = f"127.0.0.1:{plane.port}"
    environment = {
        **os.environ,
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "PENSTOCK_PASSWORD": "a long enough password",
        "PENSTOCK_DATA": str(plane.data),  # where a plane of the documents has /var/lib/penstock
        "PENSTOCK_SETUP_TOKEN": plane.server("token", "--data", str(plane.data)).stdout.split()[-1],
        "NO_COLOR": "1",
        "COLUMNS": "200",
    }
    names = {
        "plane.example:8443": host,
        "/var/lib/penstock-new": str(tmp_path / "restored"),
        "/var/lib/penstock": str(plane.data),
        "/media/safe/root.key": str(plane.root_key),
        "/media/safe/backup.key": "backup.key",  # made by the document's own line, where it is typed
        "/backup/plane.sealed": str(tmp_path / "here.sealed"),
        "/backup/penstock.tar": str(tmp_path / "penstock.tar"),
    }
    (tmp_path / "compose.yaml").write_text(COMPOSE.format(host=host))
    done: list[str] = []
    lines = typed("operate.md")
    assert not [start for start in ELSEWHERE if not any(line.startswith(start) for line in lines)], "these do not stand in the document any more"
    for line in lines:
        if line.startswith(tuple(ELSEWHERE)):
            continue
        words = line
        for old, new in names.items():
            words = words.replace(old, new)
        if words.startswith(("penstock-server init", "penstock-server run")):
            continue  # the house did exactly this before the test began
        if words.startswith("docker login"):
            continue  # the image goes in by skopeo below, with the same token
        if words.startswith("docker push"):
            plane.push(images.make("documented"), "acme/line:1", images)
            continue
        if "approve press-7" in words:
            waiting = eventually(lambda: plane.call("GET", "/enrolments")["items"], bool, 30, what="somebody waits")
            fingerprint = waiting[0]["fingerprint"]
            words = re.sub(r"--fingerprint \S+", f"--fingerprint {fingerprint}", words)
        if words.endswith("--watch"):
            words = words.removesuffix(" --watch")
        asked = next((given for start, given in ASKED.items() if line.startswith(start)), "")
        result = subprocess.run(["/bin/sh", "-c", words], cwd=tmp_path, env=environment, input=asked, capture_output=True, text=True, timeout=120, check=False)
        allowed = {0, 6} if words == "penstock status" else {0}  # 6: something on the fleet is bad
        assert result.returncode in allowed, f"{line}\n{result.stdout}\n{result.stderr}"
        done.append(shlex.split(words)[0])
        if words.startswith("penstock site create"):
            plane.call("POST", "/sites", {"name": "plant-2"})  # the document moves a device there
        if words.startswith("penstock join"):
            join = re.search(r"pst-join:\S+", result.stdout)
            assert join, result.stdout
            asking = agent.enroll(join[0].strip("'\""), "press-7")
        if "approve press-7" in words:
            assert asking is not None
            output, _ = asking.communicate(timeout=60)
            assert asking.returncode == 0, output
            assert fingerprint in output
            agent.start()
            eventually(lambda: plane.device("press-7")["summary"]["liveness"], lambda word: word == "current", 60)
        if words.startswith("penstock deploy "):
            plane.wait_app("press-7", "line", "1")
    assert done.count("penstock") > 12
    assert (tmp_path / "restored").is_dir()

    ran = 0
    for line in typed("at-the-device.md"):
        parts = shlex.split(line)
        assert parts[0] == "penstock-agent"
        sure = ("--yes",) if parts[1] == "revert" and "--yes" not in parts else ()  # a person is asked at the terminal, which there is none of here
        result = agent.cli(*parts[1:], *sure, check=False)
        # There is no release to go back to here, nothing failed, and the site's local people were removed above: those two say so, in a sentence.
        assert result.returncode in ((1, 2) if parts[1] in ("revert", "retry") else (0,)), f"{line}: {result.stdout}{result.stderr}"
        assert (result.stdout + result.stderr).strip()
        ran += 1
    assert ran >= 4
    assert which("docker")
