"""`penstock user`, `team`, `role`, `access` and `token` against a served plane."""

from __future__ import annotations

import json

import pytest

from penstock.apiv1 import access as r
from penstock.cli import contexts, out
from penstock.cli.main import run
from penstock.client import Client, ClientError
from penstock.client_access import AccessClient
from tests.front.served import PASSWORD, Served


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    found = Served(tmp_path_factory.mktemp("plane"))
    found.ready()
    with found.client() as client:
        client.create_site("hamburg")
    yield found
    found.stop()


@pytest.fixture
def mara(tmp_path, monkeypatch, served, capsys):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("PENSTOCK_URL", "PENSTOCK_TOKEN", "PENSTOCK_CA", "PENSTOCK_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PENSTOCK_PASSWORD", PASSWORD)
    monkeypatch.setattr(out.console, "width", 200)
    ca = tmp_path / "ca.pem"
    ca.write_text(served.ca)
    assert run(["login", served.url, "--user", "mara", "--ca", str(ca)]) == 0
    assert contexts.load().current
    capsys.readouterr()


def said(capsys, *arguments, code=0):
    ended = run(list(arguments))
    got = capsys.readouterr()
    assert ended == code, (ended, got.out, got.err)
    return got.out + got.err


def test_from_an_invitation_to_an_explained_role(mara, served, capsys):
    made = json.loads(said(capsys, "user", "create", "anna", "--title", "Anna Berg", "--json"))
    assert made["link"].startswith(f"{served.url}/invitation?code=")
    with Client(served.url, ca=served.ca) as nobody:
        assert nobody.access.accept_invitation(made["code"], PASSWORD).said == "Your password is set. Sign in as anna."
        with pytest.raises(ClientError) as spent:
            nobody.access.accept_invitation(made["code"], PASSWORD)
    assert spent.value.problem.code == "invitation-unknown"
    no = said(capsys, "access", "explain", "anna", "deployments.write", "site:hamburg", code=1)
    assert "anna may not deploy and change deployments on site hamburg" in no
    assert "anna has the role engineer on site hamburg now" in said(capsys, "access", "give", "anna", "engineer", "site:hamburg", "--reason", "new")
    yes = said(capsys, "access", "explain", "anna", "deployments.write", "site:hamburg")
    assert "they have the role engineer on site hamburg, given by mara" in yes
    assert "anna" in said(capsys, "access", "who", "deployments.write", "site:hamburg")
    assert "engineer" in said(capsys, "access", "list", "--who", "anna")
    assert "On site hamburg they may" in said(capsys, "user", "show", "anna")
    assert "no more" in said(capsys, "access", "take", "anna", "engineer", "site:hamburg")
    assert "has no role engineer" in said(capsys, "access", "take", "anna", "engineer", "site:hamburg", code=2)
    assert "deploy and change deployments" in said(capsys, "role", "show", "engineer")
    assert "field: role" in said(capsys, "access", "give", "anna", "boss", "fleet", code=1)


def test_the_last_administrator_and_who_is_disabled(mara, capsys):
    assert "nobody would be left" in said(capsys, "user", "disable", "mara", code=7).lower()
    said(capsys, "user", "create", "bert")
    assert "Hand this link to bert" in said(capsys, "user", "invite", "bert")
    assert "bert is disabled" in said(capsys, "user", "disable", "bert", "--reason", "on leave")
    assert "disabled" in said(capsys, "user", "list", "--text", "bert")
    assert "enabled again" in said(capsys, "user", "enable", "bert")
    said(capsys, "team", "create", "shift", "--member", "bert")
    assert "In team shift: nobody" in said(capsys, "team", "drop", "shift", "bert")
    assert "In team shift: bert" in said(capsys, "team", "add", "shift", "bert")
    assert "bert" in said(capsys, "team", "list")
    assert "is removed" in said(capsys, "team", "remove", "shift")
    assert "is removed" in said(capsys, "user", "remove", "bert")


def test_a_role_of_ones_own(mara, served, capsys, monkeypatch):
    made = json.loads(said(capsys, "role", "create", "night", "--like", "site-operator", "--add", "devices.write", "--drop", "joins.read", "--json"))
    verbs = {right["verb"] for right in made["rights"]}
    with served.client() as client:
        operator = {right.verb for right in client.access.role("site-operator").rights}
        assert verbs == (operator | {"devices.write"}) - {"joins.read"}
        changed = said(capsys, "role", "change", "night", "--title", "Night shift", "--drop", "devices.write")
        assert f"includes {len(verbs) - 1} rights now" in changed
        assert "devices.write" not in changed
        listed = {one["name"]: one for one in json.loads(said(capsys, "role", "list", "--json"))}
        assert (listed["night"]["title"], listed["night"]["built_in"], listed["viewer"]["built_in"]) == ("Night shift", False, True)
        assert "Night shift" in said(capsys, "role", "list")
        shown = said(capsys, "role", "show", "night")
        assert "restart, refresh and fetch logs" in shown
        assert "given  0 times" in shown
        # Somebody changed it since it was read: the second is told, and nothing is overwritten.
        read = AccessClient.role

        def read_and_overtaken(self, name):
            found = read(self, name)
            monkeypatch.setattr(AccessClient, "role", read)
            client.access.change_role(name, found.revision, r.RoleChange(title="Late shift"))
            return found

        monkeypatch.setattr(AccessClient, "role", read_and_overtaken)
        assert "changed meanwhile" in said(capsys, "role", "change", "night", "--add", "devices.retire", code=7)
        assert client.access.role("night").title == "Late shift"
        assert "devices.retire" not in {right.verb for right in client.access.role("night").rights}
    for words, code, told in (
        (("create", "viewer", "--add", "devices.read"), 7, "there is a role viewer already"),
        (("create", "dawn"), 2, "--like ROLE, or --add RIGHT; `penstock role show administrator` lists every right"),
        (("create", "dawn", "--add", "devices.fly"), 1, "`penstock role show administrator` lists them"),
        (("change", "viewer", "--add", "devices.write"), 7, "built in"),
        (("change", "night"), 2, "--title, --add RIGHT or --drop RIGHT"),
        (("change", "night", "--drop", "system.backup"), 2, "night does not include system.backup; `penstock role show night`"),
        (("show", "nihgt"), 5, "did you mean night? `penstock role list`"),
        (("remove", "nihgt"), 5, "did you mean night?"),
    ):
        assert told.lower() in " ".join(said(capsys, "role", *words, code=code).lower().split()), words
    said(capsys, "user", "create", "dora")
    said(capsys, "access", "give", "dora", "night", "site:hamburg")
    assert "penstock access list --role night" in said(capsys, "role", "remove", "night", code=7)
    said(capsys, "access", "take", "dora", "night", "site:hamburg")
    assert "The role night is removed." in said(capsys, "role", "remove", "night", "--reason", "nobody has it")


def test_a_narrow_token_and_one_of_a_service_account(mara, served, capsys):
    token = said(capsys, "token", "create", "--role", "ci", "--on", "app:press").strip()
    with Client(served.url, token, ca=served.ca) as narrow:
        assert "releases.publish" in narrow.me().may
        with pytest.raises(ClientError) as refused:
            narrow.create_site("bremen")
        assert refused.value.problem.status == 403
    assert "ci on app:press" in said(capsys, "token", "list")
    said(capsys, "user", "create", "press-ci", "--service")
    said(capsys, "access", "give", "press-ci", "ci", "app:press")
    made = json.loads(said(capsys, "token", "create", "pipeline", "--account", "press-ci", "--json"))
    with Client(served.url, made["token"], ca=served.ca) as robot:
        assert robot.me().name == "press-ci (pipeline)"
        assert "revoked" in said(capsys, "token", "revoke", made["id"], "--account", "press-ci")
        with pytest.raises(ClientError) as dead:
            robot.me()
    assert dead.value.problem.status == 401
    assert "revoked" in said(capsys, "token", "list", "--account", "press-ci")
    assert "as often as each other" in said(capsys, "token", "create", "x", "--on", "fleet", code=2)
