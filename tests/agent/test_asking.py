"""The local command asks for a PIN: it is read without echo or from standard input, derived here, and stands in nothing that leaves but as its proof."""

from __future__ import annotations

import io

import pytest

from penstock.agent import asking, cli
from penstock.agent.work import LocalReply

SALT = "0f" * 16
ANNA = {"id": "per_a", "name": "Anna Ahrens", "may": ["revert", "let-go"], "salt": SALT, "rounds": 1000, "wait_s": 0}
BERT = {"id": "per_b", "name": "Bert", "may": ["let-go"], "salt": SALT, "rounds": 1000, "wait_s": 0}
APP = {"app": "line", "version": "2", "way_back": {"ok": True, "version": "1"}}


class Agent:
    """Answers as a running agent would, and keeps what it was told."""

    def __init__(self, people) -> None:
        self.people = people
        self.told: list[dict[str, object]] = []

    def __call__(self, path, request, timeout_s=10.0):
        self.told.append(request)
        if request["verb"] == "people":
            return LocalReply(True, "people", {"people": self.people})
        return LocalReply(True, "it goes back", {"apps": [APP]} if request["verb"] == "status" else {})


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    def act(people, typed, *arguments):
        agent = Agent(people)
        monkeypatch.setattr(cli, "ask", agent)
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        status = cli.command([*arguments, "--data-dir", str(tmp_path)])
        return status, agent.told, capsys.readouterr()

    return act


def test_the_proof_goes_out_and_the_pin_does_not(run):
    status, told, shown = run([ANNA, BERT], "271828\n", "revert", "line", "--yes", "--as", "anna ahrens", "--reason", "it jams")
    assert status == 0
    assert told[-1] == {"verb": "revert", "app": "line", "person": "per_a", "proof": asking.derive("271828", SALT, 1000), "reason": "it jams"}
    assert "271828" not in str(told) + shown.out + shown.err


def test_the_only_one_who_may_need_not_say_the_name(run):
    assert run([ANNA, BERT], "271828\n", "revert", "line", "--yes")[1][-1]["person"] == "per_a"


@pytest.mark.parametrize(
    ("people", "typed", "arguments", "status", "why"),
    [
        ([ANNA, BERT], "271828\n", ("retry", "line"), 1, "say who you are"),
        ([ANNA], "271828\n", ("revert", "line", "--yes", "--as", "Carla"), 1, "none of the site's local people"),
        ([ANNA], "", ("revert", "line", "--yes"), 1, "no PIN was given"),
        ([{**ANNA, "wait_s": 9}], "271828\n", ("revert", "line", "--yes"), 1, "the next try is in 9 s"),
        ([{**ANNA, "rounds": 10**9}], "271828\n", ("revert", "line", "--yes"), 1, "more work than a PIN takes"),
        ([], "", ("revert", "line", "--yes", "--as", "Anna"), 2, "has no local people"),
        ([BERT], "", ("revert", "line", "--yes"), 1, "nobody, by the site's list"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence_and_nothing_is_done(run, people, typed, arguments, status, why):
    ended, told, shown = run(people, typed, *arguments)
    assert ended == status
    assert why in shown.err
    assert [one["verb"] for one in told if one["verb"] in ("revert", "retry")] == []


def test_without_local_people_or_without_a_pin_nobody_is_asked(run):
    assert run([], "", "revert", "line", "--yes")[1][-1] == {"verb": "revert", "app": "line", "reason": ""}
    told = run([ANNA], "", "revert", "line", "--yes", "--without-pin", "--reason", "nobody is here")[1]
    assert told[-1] == {"verb": "revert", "app": "line", "without_pin": True, "reason": "nobody is here"}


def test_at_a_terminal_it_is_typed_without_echo(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    asked: list[str] = []

    def typed(prompt: str) -> str:
        asked.append(prompt)
        return "314159"

    monkeypatch.setattr("sys.stdin", Terminal("bert\n"))
    monkeypatch.setattr("getpass.getpass", typed)
    assert asking.proof_of([ANNA, BERT], "", "let-go") == ("per_b", asking.derive("314159", SALT, 1000))
    assert asked == ["PIN of Bert: "]


def test_people_says_who_may_what(run):
    _, _, shown = run([ANNA, {**BERT, "wait_s": 20}], "", "people")
    assert "Anna Ahrens may go back and let something be tried again" in shown.out
    assert "Bert may let something be tried again (after wrong PINs: next try in 20 s)" in shown.out
