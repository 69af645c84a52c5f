"""How it looks: wide and narrow, piped and on a terminal; and that nothing printed commands a terminal."""

from __future__ import annotations

import json

import pytest
from rich.text import Text

from penstock.apiv1.common import Outcome, Problem
from penstock.cli import out

ROWS = (("press-01", "hamburg", out.status("good", "Healthy"), "it is as it should be, for a long while now"), ("press-02", "", "Failed", "no"))
NAMES = ("name", "site", "status", "why")


def drawn(width, monkeypatch, capsys, rows=ROWS):
    monkeypatch.setattr(out.console, "width", width)
    out.table(NAMES, rows, "None.")
    return capsys.readouterr().out.splitlines()


def test_a_wide_table_is_a_line_a_row(monkeypatch, capsys):
    lines = drawn(100, monkeypatch, capsys)
    assert len(lines) == 3
    assert lines[0].split() == list(NAMES)
    assert "● Healthy" in lines[1]


@pytest.mark.parametrize("width", range(20, 100, 7))
def test_a_table_fits_whatever_width_there_is_and_loses_no_word(width, monkeypatch, capsys):
    lines = drawn(width, monkeypatch, capsys)
    assert max(len(line.rstrip()) for line in lines) <= width
    told = " ".join(" ".join(lines).split())
    for word in ("press-01", "hamburg", "Healthy", "press-02", "Failed"):
        assert word in told


def test_a_narrow_one_stands_in_lines_of_its_own(monkeypatch, capsys):
    lines = [line.rstrip() for line in drawn(34, monkeypatch, capsys)]
    assert lines[0] == "press-01"
    assert lines[1].split() == ["site", "hamburg"]
    assert lines[lines.index("press-02") + 1].split() == ["status", "Failed"], "an empty cell takes no line"


def test_a_mark_without_a_name_stands_before_what_it_marks(monkeypatch, capsys):
    monkeypatch.setattr(out.console, "width", 24)
    out.table(("", "name", "control plane"), (("*", "works", "https://plane.example:8443"), ("", "home", "https://other.example")), "None.")
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "* works"
    assert "home" in lines


def test_an_empty_one_is_a_sentence(monkeypatch, capsys):
    assert drawn(80, monkeypatch, capsys, ()) == ["None."]


@pytest.mark.parametrize("text", ["\x1b]0;owned\x07", "\x1b[2J", "a\x9b31mb", "x\ry", "\x00"])
def test_what_somebody_wrote_commands_no_terminal(text, monkeypatch, capsys):
    shown = out.plain(text)
    assert not {char for char in shown if ord(char) < 32 or 127 <= ord(char) < 160}
    monkeypatch.setattr(out.console, "width", 200)
    out.table(NAMES, ((text, text, text, text),), "None.")
    out.facts((("name", text),))
    out.say(text)
    out.complain(Problem(title="x", status=409, code="x", detail=text, remedy=text, field=text))
    told = capsys.readouterr()
    assert not {char for char in told.out + told.err if (ord(char) < 32 and char != "\n") or 127 <= ord(char) < 160}
    assert isinstance(out.status("good", text), Text)


@pytest.mark.parametrize(
    ("status", "code"), [(0, 3), (400, 1), (401, 4), (403, 4), (404, 5), (409, 7), (412, 7), (413, 1), (422, 1), (428, 1), (429, 3), (500, 1), (503, 3)]
)
def test_each_kind_of_refusal_has_its_exit_code(status, code, capsys):
    problem = Problem(title="No", status=status, code="no-such", detail="it is so", remedy="do this")
    assert out.complain(problem) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert "It is so." in said.err
    assert "Do this." in said.err
    assert out.complain(problem, json=True) == code
    assert json.loads(capsys.readouterr().err)["code"] == "no-such"


def test_an_outcome_is_a_sentence_or_its_shape(capsys):
    assert out.outcome(Outcome(said="It is done."), json=True) == out.DONE
    assert json.loads(capsys.readouterr().out) == {"said": "It is done."}
