"""What the documents say can be typed can be typed: every command in a console block is read by the program it names.

Owns finding the commands and having each program's own reader judge its words, without running it. That the main ones do what they say is
shown end to end by tests/e2e/test_documented.py. Links between documents are followed too.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from penstock.agent.cli import command as agent_command
from penstock.cli.main import build
from penstock.server.__main__ import parser

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(?:console|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:penstock|penstock-server|penstock-agent|make) [^`<>]*)`")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)) | {"demo-stop", "demo"}
OTHERS = {"docker", "buildah", "ctr", "curl", "systemctl", "journalctl", "skopeo", "git", "podman", "python", ".venv/bin/python", "pytest", ".venv/bin/pytest"}
AGENT_COMMANDS = {"enroll", "run", "poll", "status", "why", "revert", "retry", "people", "log", "uninstall", "version"}


def commands() -> list[tuple[str, str]]:
    """(page, command) of every command line that stands in a document."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for block in BLOCK.findall(text):
            for line in block.splitlines():
                words = line.removeprefix("$ ").partition("  #")[0].strip()
                if words and not words.startswith("#"):
                    found.append((page.name, words))
        found += [(page.name, words) for words in INLINE.findall(text)]
    return found


def words_of(line: str) -> list[str]:
    """The command's words without what the shell takes."""
    return shlex.split(line.partition(" > ")[0].partition(" | ")[0].partition("...")[0])


COMMANDS = commands()


def test_there_are_commands_to_judge() -> None:
    assert len(COMMANDS) > 30
    assert {words_of(line)[0] for _, line in COMMANDS} >= {"penstock", "penstock-server", "penstock-agent", "make"}


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_every_documented_command_is_one(page: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = words_of(line)
    program = words[0]
    if program == "make":
        assert set(words[1:2]) <= TARGETS, f"{page}: {line}"
    elif program == "penstock" and len(words) > 1:
        build().parse_args(words[1:], exit_on_error=False, print_error=False)
    elif program == "penstock-server" and len(words) > 1:
        needed = {"init": ["--root-key", "x"], "restore": ["--root-key", "x", "archive"], "backup": ["x"], "service-token": ["--name", "x"]}
        short = len(words) == 2  # a sentence that names the command, not one to type
        assert parser().parse_args([*words[1:], *(needed.get(words[1], []) if short else [])]).command == words[1]
    elif program == "penstock-agent" and len(words) > 1:
        assert words[1] in AGENT_COMMANDS, f"{page}: {line}"
        assert agent_command([words[1], "--help"]) == 0
        said = capsys.readouterr().out
        for word in words[2:]:
            assert not word.startswith("-") or word in said, f"{page}: {line}: {word} is not in the command's own help"
    else:
        assert program in OTHERS or program.startswith(("penstock", "PENSTOCK", "HYPOTHESIS", "BENCH")), f"{page}: who reads {line!r}?"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        assert (page.parent / link).exists(), f"{page.name}: {link}"
