"""Several control planes on one machine, none of them in a file for a pipeline, and no secret in anything that is printed."""

from __future__ import annotations

import json
import stat

import pytest

from penstock.cli import contexts, out
from penstock.cli.main import COMMANDS, build, run
from tests.front.served import PASSWORD, Served

TOKEN = "pst_" + "s" * 40


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    found = Served(tmp_path_factory.mktemp("plane"))
    found.ready()
    yield found
    found.stop()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("PENSTOCK_URL", "PENSTOCK_TOKEN", "PENSTOCK_CA", "PENSTOCK_CONTEXT", "PENSTOCK_PROXY", "PENSTOCK_TIMEOUT", "PENSTOCK_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(out.console, "width", 200)
    return tmp_path


@pytest.fixture
def two(home):
    kept = contexts.Contexts(current="works")
    kept.contexts["works"] = contexts.Context(url="https://plane.example:8443", token=TOKEN, user="mara", proxy="http://mara:sesame@proxy.example:3128")
    kept.contexts["lab"] = contexts.Context(url="https://lab.example", token=TOKEN)
    contexts.save(kept)
    return home


def told(capsys, *arguments, code=0):
    ended = run(list(arguments))
    said = capsys.readouterr()
    assert ended == code, said
    assert TOKEN not in said.out + said.err
    assert "sesame" not in said.out + said.err
    return said.out + said.err


def test_contexts_are_listed_used_renamed_and_removed(two, capsys):
    listed = told(capsys, "context", "list")
    assert "http://…@proxy.example:3128" in listed
    shown = json.loads(told(capsys, "context", "list", "--json"))
    assert [(one["name"], one["current"]) for one in shown] == [("lab", False), ("works", True)]
    told(capsys, "context", "use", "lab")
    assert contexts.load().current == "lab"
    told(capsys, "context", "rename", "lab", "laboratory")
    assert contexts.load().current == "laboratory"
    assert "already" in told(capsys, "context", "rename", "laboratory", "works", code=2)
    assert json.loads(told(capsys, "context", "remove", "laboratory", "--json"))["name"] == "laboratory"
    assert contexts.load().current == "works"
    told(capsys, "context", "remove", "works")
    assert contexts.load() == contexts.Contexts()
    file = two / "penstock" / "contexts.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("command", [("use", "none"), ("rename", "none", "x"), ("remove", "none")])
def test_a_context_that_is_not_there_names_those_that_are(two, capsys, command):
    assert "lab, works" in told(capsys, "context", *command, code=4)


def test_which_context_counts(two, monkeypatch):
    assert contexts.chosen().url == "https://plane.example:8443"
    monkeypatch.setenv("PENSTOCK_CONTEXT", "lab")
    assert contexts.chosen().url == "https://lab.example"
    assert contexts.chosen("works").url == "https://plane.example:8443"
    monkeypatch.setenv("PENSTOCK_URL", "https://ci.example")
    monkeypatch.setenv("PENSTOCK_TOKEN", TOKEN)
    monkeypatch.setenv("PENSTOCK_PROXY", "http://proxy.example:3128")
    assert contexts.chosen() == contexts.Context(url="https://ci.example", token=TOKEN, proxy="http://proxy.example:3128")
    assert contexts.chosen("lab").url == "https://lab.example", "what is named is meant"


def test_a_pipeline_needs_no_file(home, served, capsys, monkeypatch):
    (home / "ca.pem").write_text(served.ca)
    monkeypatch.setenv("PENSTOCK_URL", served.url)
    monkeypatch.setenv("PENSTOCK_TOKEN", served.token)
    monkeypatch.setenv("PENSTOCK_CA", str(home / "ca.pem"))
    said = told(capsys, "whoami", "--debug")
    assert "GET /api/v1/me 200" in said
    assert served.token not in said
    assert not (home / "penstock").exists()


def test_how_long_is_waited_is_said_in_seconds(two, monkeypatch):
    found = contexts.chosen()
    assert contexts.way(found).timeout_s == 60
    monkeypatch.setenv("PENSTOCK_TIMEOUT", "7.5")
    assert contexts.way(found).timeout_s == 7.5
    assert contexts.way(found, timeout_s=3).timeout_s == 3
    assert contexts.way(found).proxy.endswith("proxy.example:3128")
    for wrong in ("soon", "0", "-1", "4000", "nan"):
        monkeypatch.setenv("PENSTOCK_TIMEOUT", wrong)
        with pytest.raises(contexts.NoContext, match="PENSTOCK_TIMEOUT"):
            contexts.way(found)


def test_logging_in_keeps_the_proxy_and_takes_a_token_from_standard_input(home, served, capsys, monkeypatch):
    import io

    (home / "ca.pem").write_text(served.ca)
    monkeypatch.setattr("sys.stdin", io.StringIO(served.token + "\n"))
    said = told(capsys, "login", served.url, "--token", "-", "--ca", str(home / "ca.pem"), "--as", "piped", "--json")
    assert json.loads(said)["own_ca"] is True
    assert served.token not in said
    assert contexts.load().contexts["piped"].token == served.token
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD + "\n"))
    said = told(capsys, "login", served.url, "--user", "mara", "--password-stdin", "--ca", str(home / "ca.pem"))
    assert PASSWORD not in said


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (("https://mara:sesame@plane.example", "--user", "m"), "--user"),
        (("plane.example", "--user", "m"), "https://NAME"),
        (("https://", "--user", "m"), "https://NAME"),
        (("https://plane.example", "--user", "m", "--proxy", "mara:sesame@proxy"), "http://HOST:PORT"),
        (("https://plane.example",), "--user"),
    ],
)
def test_an_address_that_is_none_is_a_sentence_without_its_password(home, capsys, arguments, remedy):
    assert remedy in told(capsys, "login", *arguments, code=2)


def test_a_refusal_for_programs_is_a_problem_on_standard_error(two, capsys):
    assert run(["device", "list", "--json", "--nonsense"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert json.loads(said.err)["code"] == "usage"


def test_every_command_prints_json():
    """Those that print what is no shape: a join line's script, a page, a shell's script."""
    without = {"completion"}
    app = build(whole=True)

    def leaves(found, path):
        names = [name for name in found if not name.startswith("-")]
        if not names:
            yield path, found
        for name in names:
            yield from leaves(found[name], (*path, name))

    for name, _ in COMMANDS:
        for path, leaf in leaves(app[name], (name,)):
            offered = {option for argument in leaf.assemble_argument_collection() for option in argument.names}
            assert ("--json" in offered) != (path[0] in without), f"penstock {' '.join(path)}"
            assert leaf.help, f"penstock {' '.join(path)} says nothing of itself"
