"""`make demo`: the main job on this machine, on real containers, told step by step; `make demo-stop` takes everything away again.

Owns one folder, /var/tmp/penstock-demo, and the processes whose ids stand in it: a Docker Engine of its own (the system's is left alone), a
control plane, an agent. Everything listens on loopback. Uses the same commands a person would type, and shows them.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]
BASE = Path("/var/tmp/penstock-demo")
SYSTEM_PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
PYTHON = sys.executable
PENSTOCK = str(Path(PYTHON).parent / "penstock")
SERVER = str(Path(PYTHON).parent / "penstock-server")
BOLD, DIM, GREEN, RED, PLAIN = ("\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m") if sys.stdout.isatty() else ("",) * 5
began = time.monotonic()


def step(text: str) -> None:
    print(f"\n{BOLD}{text}{PLAIN} {DIM}({time.monotonic() - began:.0f} s){PLAIN}", flush=True)


def say(text: str) -> None:
    print(f"  {text}", flush=True)


def give_up(why: str, log: Path | None = None) -> NoReturn:
    print(f"\n{RED}The demo stops here:{PLAIN} {why}", flush=True)
    if log is not None and log.exists():
        print(f"{DIM}The end of {log}:{PLAIN}\n" + log.read_text(errors="replace")[-3000:])
    print("\nWhat runs is left as it is, to be looked at. `make demo-stop` removes it.")
    sys.exit(1)


def program(name: str) -> str:
    found = shutil.which(name, path=SYSTEM_PATH)
    if found is None:
        give_up(f"{name} is not installed; `make setup` installs it")
    return found


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": SYSTEM_PATH, "XDG_CONFIG_HOME": str(BASE / "config"), "DOCKER_CONFIG": str(BASE / "docker-config"), "NO_COLOR": "1"}


def run(*command: str, show: bool = True, stdin: str | None = None, check: bool = True) -> str:
    """Run a command to its end; its standard output. What a person would type is shown."""
    if show:
        words = [Path(command[0]).name, *command[1:]]
        print(f"  {DIM}$ {' '.join(word if len(word) < 60 else word[:40] + '...' for word in words)}{PLAIN}", flush=True)
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, env=environment(), timeout=600, cwd=ROOT)
    if check and done.returncode:
        give_up(f"{' '.join(command[:6])} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def show(text: str) -> None:
    for line in text.rstrip().splitlines():
        print(f"    {line}", flush=True)


def until(ask: Callable[[], Any], seconds: float, what: str, log: Path | None = None) -> Any:
    """Ask until the answer is true."""
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > end:
            give_up(f"not within {seconds:.0f} s: {what}", log)
        time.sleep(0.3)


# --- processes, by id -------------------------------------------------------------------------------------------------


def start(name: str, *command: str) -> None:
    """Start a process that stays when this one ends; its id and its first word are kept."""
    with (BASE / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(), start_new_session=True, cwd=BASE)
    (BASE / f"{name}.pid").write_text(f"{process.pid} {started_at(process.pid)}\n")


def started_at(pid: int) -> str:
    """When a process began, in the kernel's ticks: an id given anew to another process has another."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def ours(name: str) -> int | None:
    """The id of a process we started, if it still runs."""
    try:
        pid, since = (BASE / f"{name}.pid").read_text().split()
    except (OSError, ValueError):
        return None
    return int(pid) if since and started_at(int(pid)) == since else None


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def end(name: str, seconds: float = 30) -> None:
    pid = ours(name)
    if pid is None:
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while alive(pid):
        with contextlib.suppress(ChildProcessError):  # it may be the child of an earlier run
            os.waitpid(pid, os.WNOHANG)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)


def demo_stop() -> None:
    """End what the demo started and remove its folder. Nothing else is touched."""
    if not BASE.exists():
        print("There is no demo to stop.")
        return
    for name in ("agent", "plane"):
        end(name)
    if ours("docker") is not None:
        docker = [program("docker"), "-H", f"unix://{BASE}/docker.sock"]
        running = subprocess.run([*docker, "ps", "-aq"], capture_output=True, text=True, check=False, env=environment()).stdout.split()
        if running:
            subprocess.run([*docker, "rm", "-f", *running], capture_output=True, check=False, env=environment())
        names = subprocess.run(
            [*docker, "network", "ls", "-q", "--filter", "type=custom"], capture_output=True, text=True, check=False, env=environment()
        ).stdout.split()
        if names:
            subprocess.run([*docker, "network", "rm", *names], capture_output=True, check=False, env=environment())
        end("docker")
    for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
        mount = line.split()[4]
        if mount.startswith(f"{BASE}/"):
            subprocess.run([program("umount"), "-l", mount], check=False, capture_output=True)
    shutil.rmtree(BASE, ignore_errors=True)
    print("The demo is stopped and its data removed.")


# --- the story --------------------------------------------------------------------------------------------------------


def free_port(wanted: int) -> int:
    for port in range(wanted, wanted + 50):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    give_up(f"no free port from {wanted} on")


class Demo:
    """The main job, a method for each chapter."""

    def __init__(self) -> None:
        self.port = free_port(8443)
        self.page_port = free_port(18080)
        self.url = f"https://127.0.0.1:{self.port}"
        self.data = BASE / "plane"
        self.agent_data = BASE / "agent"
        self.agent = [shutil.which("python3", path="/usr/bin:/bin") or PYTHON, "-I", "-S", str(BASE / "penstock-agent.pyz")]
        self.docker = [program("docker"), "-H", f"unix://{BASE}/docker.sock"]
        self.setup_token = ""
        self.token = ""

    def plane_ready(self) -> bool:
        import ssl

        try:
            context = ssl.create_default_context(cafile=str(BASE / "ca.pem"))
            with urllib.request.urlopen(f"{self.url}/readyz", context=context, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def start_plane(self) -> None:
        start("plane", SERVER, "run", "--data", str(self.data), "--listen", f"127.0.0.1:{self.port}")
        until(self.plane_ready, 60, "the control plane answers", BASE / "plane.log")

    def engine(self) -> None:
        step("1. A Docker Engine of its own")
        start(
            "docker",
            program("dockerd"),
            *(
                "--data-root",
                f"{BASE}/docker",
                "--exec-root",
                f"{BASE}/docker-exec",
                "--pidfile",
                f"{BASE}/dockerd.pid",
                "--host",
                f"unix://{BASE}/docker.sock",
            ),
            *("--bridge", "none", "--iptables=false", "--ip6tables=false", "--log-level", "warn"),
        )
        until(
            lambda: subprocess.run([*self.docker, "version"], capture_output=True, check=False, env=environment()).returncode == 0,
            60,
            "the engine answers",
            BASE / "docker.log",
        )
        say("Docker " + run(*self.docker, "version", "--format", "{{.Server.Version}}", show=False).strip() + f", on {BASE}/docker.sock")

    def plane(self) -> None:
        step("2. A control plane, with a database of its own and a private certificate authority")
        (BASE / "safe").mkdir(mode=0o700)
        told = run(SERVER, "init", "--data", str(self.data), "--root-key", str(BASE / "safe" / "root.key"), "--address", self.url)
        self.setup_token = told.strip().splitlines()[-1].strip()
        (BASE / "ca.pem").write_text(run(SERVER, "authority", "--data", str(self.data), show=False))
        self.start_plane()
        say(f"{self.url}; its root key is kept outside its data folder, in {BASE}/safe")
        self.token = run(SERVER, "service-token", "--data", str(self.data), "--name", "demo").strip().splitlines()[-1].strip()
        run(PENSTOCK, "login", self.url, "--token", "-", "--ca", str(BASE / "ca.pem"), stdin=self.token + "\n")
        run(PENSTOCK, "site", "create", "plant-1", "--title", "The plant of the demo")

    def enrol(self) -> None:
        step("3. An agent: keys made on the device, fingerprint compared, let in by a person")
        run(PYTHON, "-m", "tools.package", "--only", "zipapp", "--output", str(BASE), show=False)
        join = json.loads(run(PENSTOCK, "join", "plant-1", "--json", show=False))["join"]
        say(f"{DIM}$ penstock join plant-1{PLAIN}")
        command = [*self.agent, "enroll", join, "--name", "press-7", "--data-dir", str(self.agent_data)]
        say(f"{DIM}$ penstock-agent enroll pst-join:... --name press-7{PLAIN}")
        asking = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment())
        waiting = until(lambda: json.loads(run(PENSTOCK, "waiting", "list", "--json", show=False)), 30, "the device asks to be let in")[0]
        run(PENSTOCK, "device", "approve", "press-7", "--fingerprint", waiting["fingerprint"])
        output, _ = asking.communicate(timeout=60)
        if asking.returncode or waiting["fingerprint"] not in output:
            give_up(f"the agent was not let in:\n{output}")
        say(f"both ends show {waiting['fingerprint']}")
        start("agent", *self.agent, "run", "--data-dir", str(self.agent_data), "--engine", f"unix://{BASE}/docker.sock")
        until(lambda: self.device().get("summary", {}).get("liveness") == "current", 60, "the agent reports", BASE / "agent.log")
        say("the agent runs and reports")

    def device(self) -> Any:
        text = run(PENSTOCK, "device", "show", "press-7", "--json", show=False, check=False)
        return json.loads(text) if text.strip() else {}

    def local(self) -> Any:
        """What the agent says of its one app, asked at the device."""
        text = subprocess.run(
            [*self.agent, "status", "--json", "--data-dir", str(self.agent_data)], capture_output=True, text=True, check=False, env=environment()
        ).stdout
        apps = json.loads(text).get("apps", []) if text.strip() else []
        return apps[0] if apps else {}

    def publish(self, version: str) -> None:
        folder = BASE / f"app-{version}"
        shutil.copytree(ROOT / "demo" / "app", folder)
        shutil.copy(program("busybox"), folder / "busybox")
        image = f"127.0.0.1:{self.port}/demo/line:{version}"
        run(*self.docker, "build", "--quiet", "--build-arg", f"VERSION={version}", "-t", image, str(folder))
        run(*self.docker, "push", "--quiet", image)
        compose = folder / "compose.yaml"
        compose.write_text(compose.read_text().replace("@REGISTRY@", f"127.0.0.1:{self.port}").replace("@VERSION@", version))
        run(PENSTOCK, "release", "publish", str(compose), "--app", "line", "--version", version)

    def page(self) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.page_port}/cgi-bin/line", timeout=3) as answer:
                return str(answer.read().decode().strip())
        except OSError as fault:
            return f"(no answer: {fault})"

    def soaked(self, version: str) -> None:
        seen: list[str] = []

        def ask() -> bool:
            app = self.local()
            word = f"{app.get('phase', '')}: {app.get('why', '')}"
            if app and word not in seen and app.get("phase") not in [one.partition(":")[0] for one in seen]:
                seen.append(word)
                say(f"device: {word}")
            return bool(app.get("version") == version and app.get("phase") == "soaked")

        until(ask, 120, f"version {version} has soaked", BASE / "agent.log")
        say(f"the line's page says: {GREEN}{self.page()}{PLAIN}")

    def versions_one_and_two(self) -> None:
        step("4. Version 1: built here, pushed to the built-in registry, published from a Compose file, deployed")
        run(*self.docker, "login", "-u", "demo", "--password-stdin", f"127.0.0.1:{self.port}", stdin=self.token)
        self.publish("1")
        run(PENSTOCK, "deploy", "line:1", "--device", "press-7", "--name", "line-at-plant-1", "--set", f"PAGE_PORT={self.page_port}")
        self.soaked("1")
        step("5. Version 2: an upgrade")
        self.publish("2")
        run(PENSTOCK, "deploy", "line:2", "--to", "line-at-plant-1", "--reason", "a better counter")
        self.soaked("2")

    def version_three(self) -> None:
        step("6. Version 3: it rewrites the data in its volume and then fails its health check")
        self.publish("3")
        before = self.page()
        run(PENSTOCK, "deploy", "line:3", "--to", "line-at-plant-1", "--reason", "what could go wrong")
        until(
            lambda: self.local().get("target_version") == "3" and self.local().get("phase") in ("applying", "claimed", "confirmed", "reverting"),
            60,
            "the device begins with version 3",
            BASE / "agent.log",
        )
        end("plane")
        say(f"{BOLD}the control plane is stopped.{PLAIN} From here on the device is alone. Before version 3: {before}")
        volume = run(*self.docker, "exec", "line-counter-1", "/bin/busybox", "cat", "/data/pieces", "/data/format", show=False, check=False)
        if "???" in volume:
            say(f"version 3 has spoilt the data: {RED}{' / '.join(volume.split(chr(10))).strip(' /')}{PLAIN}")
        self.soaked_back()
        say(f"the line's page says: {GREEN}{self.page()}{PLAIN}: version 2 again, with its data from before")

    def soaked_back(self) -> None:
        seen: set[str] = set()

        def ask() -> bool:
            app = self.local()
            if app and app.get("phase") not in seen:
                seen.add(app["phase"])
                say(f"device: {app['phase']}: {app['why']}")
            return bool(app.get("version") == "2" and app.get("phase") == "failed")

        until(ask, 120, "the device is back on version 2", BASE / "agent.log")

    def story(self) -> None:
        step("7. What runs here and how it got there, asked at the device, the control plane still stopped")
        for arguments in (["status"], ["why", "line"], ["log", "-n", "40"]):
            say(f"{DIM}$ penstock-agent {' '.join(arguments)}{PLAIN}")
            done = subprocess.run([*self.agent, *arguments, "--data-dir", str(self.agent_data)], capture_output=True, text=True, check=False, env=environment())
            show(done.stdout + done.stderr)
        step("8. The control plane comes back and hears the story")
        self.start_plane()
        until(
            lambda: "failed-reverted" in run(PENSTOCK, "timeline", "press-7", "--kinds", "receipt", "--json", show=False),
            90,
            "the receipts have come up",
            BASE / "plane.log",
        )
        show(run(PENSTOCK, "timeline", "press-7", "--kinds", "receipt"))

    def farewell(self) -> None:
        step("Where to look")
        say(f"The control plane runs at {BOLD}{self.url}{PLAIN} (its private authority: {BASE}/ca.pem)")
        say(f"Make the first administrator there with this one-time set-up token: {BOLD}{self.setup_token}{PLAIN}")
        say(f"The app's own page: http://127.0.0.1:{self.page_port}/cgi-bin/line")
        say(f"The command line, as the demo uses it: XDG_CONFIG_HOME={BASE}/config {PENSTOCK} status")
        say(f"At the device: {' '.join(self.agent)} status --data-dir {self.agent_data}")
        say(f"The engine: docker -H unix://{BASE}/docker.sock ps")
        say("`make demo-stop` stops it all and removes its data.")


def main(arguments: list[str]) -> int:
    if os.geteuid() != 0:
        print("The demo starts a Docker Engine of its own and must be root for that.")
        return 1
    if arguments == ["--stop"]:
        demo_stop()
        return 0
    if BASE.exists():
        print("An earlier demo is still here; it is removed first.")
        demo_stop()
    BASE.mkdir(parents=True, mode=0o755)
    demo = Demo()
    for chapter in (demo.engine, demo.plane, demo.enrol, demo.versions_one_and_two, demo.version_three, demo.story, demo.farewell):
        chapter()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
