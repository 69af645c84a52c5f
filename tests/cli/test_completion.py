"""What a shell is offered when the key is pressed, and that a command starts without reading what it does not need."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from penstock.cli.main import COMMANDS, run
from tests.front.served import Served


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    found = Served(tmp_path_factory.mktemp("plane"))
    found.ready()
    with found.client() as client:
        client.create_site("hamburg")
        client.create_site("bremen")
    yield found
    found.stop()


@pytest.fixture
def environment(served, tmp_path, monkeypatch):
    (tmp_path / "ca.pem").write_text(served.ca)
    for name, value in (("URL", served.url), ("TOKEN", served.token), ("CA", str(tmp_path / "ca.pem"))):
        monkeypatch.setenv(f"PENSTOCK_{name}", value)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("PENSTOCK_CONTEXT", raising=False)


def offered(capsys, *words):
    run(["__complete", *words])
    return [line.partition("\t")[0] for line in capsys.readouterr().out.splitlines()]


def test_names_come_from_the_plane(environment, capsys):
    assert {"hamburg", "bremen"} <= set(offered(capsys, "join", ""))
    assert {"hamburg", "bremen"} <= set(offered(capsys, "device", "list", "--site", "h"))


def test_people_roles_and_rights_too(environment, capsys):
    assert {"viewer", "site-owner"} <= set(offered(capsys, "role", "show", ""))
    assert {"viewer", "site-owner"} <= set(offered(capsys, "access", "give", "mara", ""))
    assert "devices.command" in offered(capsys, "role", "change", "viewer", "--add", "")
    assert "devices.command" in offered(capsys, "access", "who", "")
    assert "mara" in offered(capsys, "access", "give", "")


def test_a_plane_that_is_not_there_offers_nothing_and_says_nothing(environment, capsys, monkeypatch):
    monkeypatch.setenv("PENSTOCK_URL", "https://127.0.0.1:9")
    assert "hamburg" not in offered(capsys, "join", "")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_with_every_command(shell, capsys, tmp_path):
    assert run(["completion", shell]) == 0
    script = capsys.readouterr().out
    for name, _ in COMMANDS:
        assert name in script
    if shutil.which(shell):
        (tmp_path / "script").write_text(script)
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True, timeout=30)


def test_bash_completes_commands_and_names(environment, tmp_path, capsys):
    run(["completion", "bash"])
    (tmp_path / "script").write_text(capsys.readouterr().out)
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "penstock"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m penstock.cli.main "$@"\n')
    program.chmod(0o755)
    asked = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _penstock; printf "%s\\n" "${COMPREPLY[@]}"'

    def pressed(*words):
        found = subprocess.run(
            ["bash", "-c", asked, "bash", str(tmp_path / "script"), "penstock", *words],
            env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        return [line.strip() for line in found.stdout.splitlines()]

    assert "device" in pressed("devi")
    assert pressed("join", "ham") == ["hamburg"]
    assert pressed("role", "cha") == ["change"]
    assert pressed("role", "change", "site-o") == ["site-operator", "site-owner"]


def read_by(*arguments):
    """The modules that stand in memory after a command."""
    asked = f"import sys; from penstock.cli.main import run; run({list(arguments)!r}); print('|', *sys.modules)"
    found = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=60, check=True)
    return set(found.stdout.rpartition("|")[2].split())


def test_the_version_is_told_without_reading_anything():
    assert not {"cyclopts", "httpx", "rich", "msgspec"} & read_by("--version")


def test_a_command_reads_what_it_needs(environment):
    read = read_by("site", "list")
    assert "httpx" in read
    assert not {"click", "pygments", "rich.live", "penstock.cli.account", "penstock.cli.deployments", "penstock.server"} & read
