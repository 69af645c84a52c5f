"""What stays until it is stopped: watching, following, waiting; run as a process, as people and pipelines run it."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from penstock.apiv1 import apps as a
from penstock.apiv1 import devices as d
from tests.front.served import ScriptedDevice, Served, until

COUNT = itertools.count(1)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    found = Served(tmp_path_factory.mktemp("plane"))
    found.ready()
    found.images("1.0.0")
    with found.client() as client:
        client.create_site("hamburg")
        client.publish(a.Publish(app="press-monitor", version="1.0.0", compose=found.compose("1.0.0")))
    yield found
    found.stop()


@pytest.fixture
def environment(served, tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_text(served.ca)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PENSTOCK")}
    mine = {"PENSTOCK_URL": served.url, "PENSTOCK_TOKEN": served.token, "PENSTOCK_CA": str(ca), "XDG_CONFIG_HOME": str(tmp_path)}
    return {**kept, **mine, "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}


def _interruptible():
    """A suite that was started in the background ignores Ctrl-C, and so would what it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Running:
    """One command that goes on; what it has printed so far."""

    def __init__(self, environment, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "penstock.cli.main", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_interruptible,  # noqa: PLW1509 - nothing but a signal is set there
        )
        assert self.process.stdout
        assert self.process.stderr
        self.streams = (self.process.stdout, self.process.stderr)
        self.lines: list[str] = []
        self.told: list[str] = []
        self.readers = [
            threading.Thread(target=lambda: self.lines.extend(iter(self.streams[0].readline, ""))),
            threading.Thread(target=lambda: self.told.extend(iter(self.streams[1].readline, ""))),
        ]
        for reader in self.readers:
            reader.start()

    @property
    def text(self):
        return "".join(self.lines)

    def ended(self, seconds=30):
        code = self.process.wait(seconds)
        for reader in self.readers:
            reader.join(5)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.ended()
        for stream in self.streams:
            stream.close()

    def stop(self):
        """As Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        return self.ended()


@pytest.fixture
def device(served):
    with served.client() as client:
        line = client.create_join("hamburg", d.JoinTokenCreate(auto_approve=True)).line
    with ScriptedDevice(served, line, f"press-{next(COUNT)}") as found:
        found.enrol()
        found.start()
        yield found


def deployed(served, device):
    with served.client() as client:
        made = client.deploy(
            a.DeploymentCreate(release="press-monitor:1.0.0", name=f"on-{device.name}", target=a.Target(devices=(device.name,)), values={"LINE_NAME": "3"})
        )
    until(lambda: device.poll() and device.desired and device.desired.apps, "the device is told")
    return made


def answering(device, texts):
    """Answer each command for logs with the next of the texts, the last of them again and again."""
    done = set()
    left = list(texts)

    def look():
        device.poll()
        if device.commands and device.commands[-1].id not in done:
            done.add(device.commands[-1].id)
            text = left.pop(0) if len(left) > 1 else left[0]
            device.answer(*text) if isinstance(text, tuple) else device.answer("done", "", text)
        return len(done)

    return look


def test_logs_are_followed_without_doubles_and_gaps_are_told(environment, device):
    lines = [f"line {number}\n" for number in range(500)]
    looks = ["".join(lines[:10]), "".join(lines[:14]), "".join(lines[4:20]), "".join(lines[300:500]), ("failed", "the container is being replaced", "")]
    look = answering(device, looks)
    with Running(environment, "logs", "-f", device.name, "press-monitor", "web", "--lines", "5", "--every", "1") as following:
        until(lambda: look() >= 5 and any("being replaced" in told or "Container is" in told for told in following.told), "it was looked five times", 40)
        assert following.stop() == 130
    wanted = lines[5:20] + lines[300:500]
    assert following.lines == wanted, "from the last five lines on, each once"
    assert len([told for told in following.told if "may be missing" in told]) == 1
    assert [told for told in following.told if "failed" in told] != []


def test_logs_for_programs_are_lines_of_json(environment, device):
    look = answering(device, ["one\n", "one\ntwo \u00fc\n", "new\n"])
    with Running(environment, "logs", "-f", device.name, "press-monitor", "web", "--every", "1", "--json") as following:
        until(lambda: look() and len(following.lines) >= 4, "all was read", 40)
        following.stop()
    read = [json.loads(line) for line in following.lines]
    assert [item.get("line") for item in read] == ["one", "two \u00fc", None, "new"]
    assert "missing" in read[2]["note"]


def test_a_log_that_cannot_be_read_at_all_ends_badly(environment, device):
    look = answering(device, [("failed", "there is no such service", "")])
    with Running(environment, "logs", "-f", device.name, "press-monitor", "nothing") as following:
        until(lambda: look() and following.process.poll() is not None, "it ended", 30)
        assert following.ended() == 6


def test_a_command_that_is_not_heard_in_time_has_a_code_of_its_own(environment, device):
    with Running(environment, "command", "send", device.name, "refresh", "--wait", "1") as asking:
        assert asking.ended() == 8
    assert "still on its way" in "".join(asking.told)
    with Running(environment, "command", "send", device.name, "refresh", "--wait", "0") as asking:
        assert asking.ended() == 0


def test_deploying_is_waited_for_a_line_each_time_a_device_gets_on(environment, served, device):
    with Running(environment, "deploy", "press-monitor:1.0.0", "--device", device.name, "--name", "waited", "--set", "LINE_NAME=1", "--wait") as waiting:
        until(lambda: device.poll() and device.desired and device.desired.apps, "the device is told")
        until(lambda: waiting.lines, "where it stands at first")
        device.observe("applying", "step 1 of 2")
        device.observe("soaked", "healthy for 60 seconds")
        device.receipt("soaked", "healthy for 60 seconds")
        assert waiting.ended() == 0
    assert f"{device.name}  Soaked" in waiting.text
    told = [line.split("  ", 1)[1] for line in waiting.lines]
    assert len(told) == len(set(told)), "nothing is told twice"
    assert "waited is where it should be" in "".join(waiting.told)


def test_waiting_ends_in_time_or_badly_with_codes_that_say_so(environment, served, device):
    made = deployed(served, device)
    with Running(environment, "deployment", "show", made.name, "--for", "1") as waiting:
        assert waiting.ended() == 8
    assert "has not ended yet" in "".join(waiting.told)
    with Running(environment, "deployment", "show", made.name, "--wait", "--json") as waiting:
        until(lambda: waiting.lines, "it began")
        device.observe("failed", "web was unhealthy")
        device.receipt("failed-left", "web was unhealthy")
        assert waiting.ended() == 6
    read = [json.loads(line) for line in waiting.lines]
    assert read[0]["rollout"]["state"] == "running"
    assert read[-1]["rollout"]["state"] != "running"


def test_a_list_is_shown_anew_when_the_plane_says_so(environment, served, device):
    with Running(environment, "device", "list", "--text", device.name, "--watch") as watching:
        until(lambda: "Idle" in watching.text, "it is shown")
        with served.client() as client:
            client.change_device(device.name, client.device(device.name).summary.revision, d.DeviceChange(labels={"line": "7"}))
            client.order(device.name, d.CommandCreate(verb="refresh"))
        device.observe_device("the disk is nearly full")
        until(lambda: watching.text.count(device.name) >= 2, "it is shown again")
        watching.stop()


def test_watching_for_programs_is_a_line_at_each_change(environment, served):
    with Running(environment, "status", "--watch", "--json") as watching:
        until(lambda: watching.lines, "it is shown")
        with served.client() as client:
            client.create_site("another")
        until(lambda: len(watching.lines) >= 2, "the change is heard")
        watching.stop()
    first, second = (json.loads(line)["sites"] for line in watching.lines[:2])
    assert second == first + 1


def test_a_timeline_is_followed(environment, device):
    with Running(environment, "timeline", device.name, "--follow", "--json") as following:
        until(lambda: following.lines, "what is there already")
        had = len(following.lines)
        device.observe_device("the disk is nearly full")
        until(lambda: len(following.lines) > had, "what came")
        following.stop()
    keys = [json.loads(line)["key"] for line in following.lines]
    assert len(keys) == len(set(keys))


def test_events_since_a_moment_and_then_on(environment, served):
    with Running(environment, "events", "--since", "1h", "--no-follow", "--json") as once:
        assert once.ended() == 0
    numbers = [json.loads(line)["number"] for line in once.lines]
    assert numbers == sorted(numbers)
    assert numbers[0] == 1
    with Running(environment, "events", "--since", "1h", "--json") as following:
        until(lambda: len(following.lines) >= len(numbers), "what was")
        with served.client() as client:
            client.create_site("last")
        until(lambda: "site.created" in following.lines[-1], "what came")
        following.stop()
    followed = [json.loads(line)["number"] for line in following.lines]
    assert followed == sorted(set(followed))


def test_who_reads_may_leave(environment, served):
    found = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m penstock.cli.main events --since 1h --no-follow | head -1"],
        env=environment, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert found.stdout.count("\n") == 1
    assert "Traceback" not in found.stderr
    assert "BrokenPipe" not in found.stderr
