"""Every command for those who may nothing, those who may look at one half of the fleet, and an administrator: codes that tell, and no word of the other half."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from penstock.cli import out
from penstock.cli.main import build, run
from penstock.crypto import generate_key, public_pem
from penstock.server.core.model import ApiToken
from penstock.server.store import api_tokens
from penstock.wire.types import sha256_of
from tests.front.halves import Half, World
from tests.front.served import Served
from tests.server.pushing import small_image

REFUSED, NOT_THERE = 4, 5

# What is done with the context and the machine alone, or begins without a token, or only prints.
LOCAL = {"setup", "login", "logout", "context list", "context use", "context rename", "context remove", "open", "completion", "backup key"}
# About oneself, open to whoever is signed in.
SELF = {
    "whoami",
    "session list",
    "session end",
    "second-factor show",
    "second-factor begin",
    "second-factor confirm",
    "second-factor codes",
    "second-factor off",
    "break-glass show",
}
# About oneself, with the right to have tokens; then those that list what the asker may see.
OWN = {"view remove": ["none"], "token list": [], "token create": ["mine"], "token revoke": ["tok_nothing"]}
LISTS = {
    "mirror list": [],
    "vulnerability list": [],
    "app templates": [],
    "find": ["--package", "x"],
    "status": [],
    "device list": [],
    "view list": [],
    "view save": ["mine", "--show", "drifted"],
    "site list": [],
    "site joins": [],
    "group list": [],
    "waiting list": [],
    "app list": [],
    "release list": [],
    "registry list": [],
    "registry usage": [],
    "deployment list": [],
    "faults": [],
    "user list": [],
    "team list": [],
    "access list": [],
    "role list": [],
    "notice list": [],
    "events": ["--since", "1d", "--no-follow"],
}
FLEET: dict[str, list[str]] = {
    "upstream list": [],
    "upstream set": ["x.example"],
    "upstream remove": ["x.example"],
    "upstream test": ["x.example"],
    "mirror check": [],
    "mirror forget": ["x.example/y:1"],
    "vulnerability remove": ["x"],
    "site create": ["another"],
    "group create": ["another"],
    "user create": ["another"],
    "team create": ["others"],
    "role create": ["another", "--add", "devices.read"],
    "backup": ["all.sealed", "--key", "backup.key.pub"],
    "registry gc": ["--dry-run"],
    "settings show": [],
    "settings set": ["--poll", "60"],
    "break-glass acknowledge": [],
}
Words = Callable[[Half], list[str]]
DEVICE: dict[str, Words] = {
    name: (lambda half, more=more: [f"{half.name}-press", *more])  # type: ignore[misc]
    for name, more in {
        "device show": [],
        "device labels": ["a=b"],
        "device rename": ["another"],
        "device retire": ["--reason", "x", "--wipe", "nothing", "--yes"],
        "device keep": [],
        "device move": ["nowhere"],
        "device release": ["--reason", "x"],
        "device accept": ["--reason", "x"],
        "timeline": [],
        "command send": ["refresh", "--wait", "0"],
        "command list": [],
        "logs": ["any", "web", "--wait", "0"],
    }.items()
}
OTHERS: dict[str, Words] = {
    "device approve": lambda half: [half.ids["enrolment"], "--fingerprint", "00"],
    "device reject": lambda half: [half.ids["enrolment"]],
    "fault acknowledge": lambda half: [half.ids["fault"], "--reason", "x"],
    "fault undo": lambda half: [half.ids["fault"]],
    "notice add": lambda half: ["another", "--webhook", "https://a.example/", "--site", f"{half.name}-site"],
    "notice on": lambda half: [f"{half.name}-pager"],
    "notice off": lambda half: [f"{half.name}-pager"],
    "notice test": lambda half: [f"{half.name}-pager"],
    "notice remove": lambda half: [f"{half.name}-pager"],
    "second-factor reset": lambda half: [half.ids["user"], "--reason", "x"],
    "access explain": lambda half: [half.ids["user"], "devices.read", f"device:{half.name}-press"],
    "access give": lambda half: [half.ids["user"], "viewer", f"device:{half.name}-press"],
    "access take": lambda half: [half.ids["user"], "viewer", f"device:{half.name}-press"],
    "access who": lambda half: ["devices.read", f"device:{half.name}-press"],
    "device compare": lambda half: [f"{half.name}-press", "amber-press"],
    "site compare": lambda half: [f"{half.name}-site", "amber-site"],
    "team add": lambda half: [half.ids["team"], half.ids["user"]],
    "team drop": lambda half: [half.ids["team"], half.ids["user"]],
    "team remove": lambda half: [half.ids["team"]],
    "role show": lambda _: ["viewer"],
    "role change": lambda _: ["viewer", "--title", "x"],
    "role remove": lambda _: ["viewer"],
    "user show": lambda half: [half.ids["user"]],
    "user rename": lambda half: [half.ids["user"], "x"],
    "user invite": lambda half: [half.ids["user"]],
    "user disable": lambda half: [half.ids["user"]],
    "user enable": lambda half: [half.ids["user"]],
    "user remove": lambda half: [half.ids["user"]],
    "command show": lambda half: [half.ids["command"]],
    "site show": lambda half: [f"{half.name}-site"],
    "site change": lambda half: [f"{half.name}-site", "--title", "x"],
    "site people list": lambda half: [f"{half.name}-site"],
    "site people add": lambda half: [f"{half.name}-site", f"{half.name} three"],
    "site people change": lambda half: [f"{half.name}-site", half.ids["person"], "--name", "x"],
    "site people pin": lambda half: [f"{half.name}-site", half.ids["person"]],
    "site people remove": lambda half: [f"{half.name}-site", half.ids["person"]],
    "site revoke-join": lambda half: [half.ids["join"]],
    "group show": lambda half: [f"{half.name}-group"],
    "group set": lambda half: [f"{half.name}-group", "--title", "x"],
    "group remove": lambda half: [f"{half.name}-group"],
    "join": lambda half: [f"{half.name}-site"],
    "release show": lambda half: [f"{half.ids['app']}:1"],
    "app template": lambda half: [half.ids["app"]],
    "app remove-template": lambda half: [half.ids["app"]],
    "release files": lambda half: [f"{half.ids['app']}:1"],
    "release export": lambda half: [f"{half.ids['app']}:1", str(Path(mkdtemp()) / "back")],
    "release diff": lambda half: [f"{half.ids['app']}:1", f"{half.ids['app']}:1"],
    "registry show": lambda half: [f"{half.ids['app']}/web"],
    "registry delete": lambda half: [f"{half.ids['app']}/web@{small_image(half.name).digest}"],
    "deploy": lambda half: [f"{half.ids['app']}:1", "--device", f"{half.name}-press"],
    "preview": lambda half: [f"{half.ids['app']}:1", "--device", f"{half.name}-press"],
    "param list": lambda half: [half.ids["app"], "--site", f"{half.name}-site"],
    "param get": lambda half: [half.ids["app"], "LEVEL", "--device", f"{half.name}-press"],
    "param explain": lambda half: [half.ids["app"], "LEVEL", "--group", f"{half.name}-group"],
    "param set": lambda half: [half.ids["app"], "LEVEL=debug", "--device", f"{half.name}-press"],
    "param unset": lambda half: [half.ids["app"], "LEVEL", "--site", f"{half.name}-site"],
    "deployment show": lambda half: [f"{half.name}-line"],
    "deployment withdraw": lambda half: [f"{half.name}-line"],
    "deployment retry": lambda half: [f"{half.name}-line"],
    "deployment stop": lambda half: [f"{half.name}-line", "--reason", "x"],
}
ABOUT = {**DEVICE, **OTHERS}
# They begin with a file; what they may is releases.publish, on the app (test_matrix).
FILES = {"release check", "release publish", "app import-templates", "vulnerability import"}
# What an administrator is not asked to do here, because the rest needs it.
SPOILS = {
    "app template",  # neither half has one
    "app remove-template",
    "access take",
    "team remove",
    "user disable",
    "user remove",
    "notice remove",
    "notice test",
    "device retire",
    "device rename",
    "device move",
    "site people pin",
    "site people remove",
    "device approve",
    "device reject",
    "deployment withdraw",
    "settings set",
    "site create",
    "group create",
    "group remove",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    served = Served(tmp_path_factory.mktemp("plane"))
    served.ready()
    made = World(served.plane)
    made.served = served  # type: ignore[attr-defined]

    def work(tx):
        for number, one in enumerate(made.askers):
            secret = made.secrets[one.label] = f"pst_{number:064}"
            api_tokens.add(tx, ApiToken(f"tok_{number}", one.actor.id, "a test", sha256_of(secret.encode()), 0, 1 << 50))

    served.plane.db.update(work)
    yield made
    made.close()
    served.stop()


@pytest.fixture
def ask(world, tmp_path, monkeypatch, capsys):
    """`ask(label, command, words)`: the exit code and what was printed."""
    ca = tmp_path / "ca.pem"
    ca.write_text(world.served.ca)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("PENSTOCK_URL", world.served.url)
    monkeypatch.setenv("PENSTOCK_CA", str(ca))
    monkeypatch.setattr(out.console, "width", 200)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "backup.key.pub").write_bytes(public_pem(generate_key()))

    def asked(label: str, command: str, words: list[str]) -> tuple[int, str]:
        monkeypatch.setenv("PENSTOCK_TOKEN", world.secrets[label])
        monkeypatch.setattr("sys.stdin", io.StringIO("271828\n"))  # a PIN, where one is asked for
        code = run([*command.split(), *words])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return asked


def commands(app: Any, before: tuple[str, ...] = ()) -> set[str]:
    """Every command there is."""
    found: set[str] = set()
    for name in app:
        if not name.startswith("-"):
            inner = {one for one in app[name] if not one.startswith("-")}
            found |= commands(app[name], (*before, name)) if inner else set()
            if not inner or app[name].default_command:
                found.add(" ".join((*before, name)))
    return found


def test_every_command_has_a_line():
    assert commands(build()) == {*LOCAL, *SELF, *OWN, *LISTS, *FLEET, *ABOUT, *FILES}


def test_those_who_may_nothing(ask):
    for command in ("whoami", "session list", "second-factor show"):
        assert ask("nothing", command, [])[0] == 0
    wrong = {}
    for command, words in {**LISTS, **FLEET, **OWN}.items():
        code, text = ask("nothing", command, words)
        if code != REFUSED:
            wrong[command] = (code, text)
    assert not wrong


@pytest.mark.parametrize("command", sorted(ABOUT))
def test_what_is_the_other_halfs(world, ask, command):
    for label in ("nothing", "viewer on amber's site", "engineer on amber's device"):
        words = ABOUT[command](world.basalt)
        code, text = ask(label, command, words)
        assert code in (REFUSED, NOT_THERE), (label, code, text)
        assert not [word for word in world.basalt.words() if word in text and word not in " ".join(words)], (label, text)
    if command not in SPOILS:
        code, text = ask("administrator on the fleet", command, ABOUT[command](world.basalt))
        assert code not in (REFUSED, NOT_THERE), text


def test_lists_hold_ones_own_half(world, ask):
    for command, words in LISTS.items():
        _, text = ask("administrator on amber's site", command, words)
        assert not [word for word in world.basalt.words() if word in text], (command, text)
    assert "amber-press" in ask("viewer on amber's site", "device list", [])[1]
