"""`penstock faults`, `fault` and `notice` against a served plane and a real receiver."""

from __future__ import annotations

import json

import pytest

from penstock.apiv1.devices import JoinTokenCreate
from penstock.cli.main import run
from tests.cli.test_cli import home, mara, said, served
from tests.front.served import ScriptedDevice
from tests.server.effects.receivers import Hook, Post

__all__ = ["home", "mara", "served"]  # fixtures


@pytest.fixture(scope="module")
def away(served):
    """One device nothing is heard of."""
    with served.client() as client:
        client.create_site("harbour")
        line = client.create_join("harbour", JoinTokenCreate(auto_approve=True)).line
    with ScriptedDevice(served, line, "crane-01") as device:
        assert device.enrol() == "approved"
        device.start()
    device.unheard(86_400_000)
    return device


def test_faults_are_told_known_and_news_again(mara, away, capsys):
    assert run(["faults"]) == 6
    shown = capsys.readouterr().out
    assert "crane-01: Away" in shown
    assert "Check power, network and proxy there." in shown
    assert run(["faults", "--device", "crane-01", "--json"]) == 6
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["kind"], one["severity"], one["subjects"][0]["name"]) == ("away", "bad", "crane-01")
    assert "is known" in said(capsys, "fault", "acknowledge", one["id"], "--reason", "in the dry dock", "--days", "3")
    assert "crane-01" not in said(capsys, "faults")
    assert "Known to mara" in said(capsys, "faults", "--known")
    assert "is news again" in said(capsys, "fault", "undo", one["id"])
    assert "not-acknowledged" in said(capsys, "fault", "undo", one["id"], code=7)
    assert "fault-not-found" in said(capsys, "fault", "undo", "flt_none", code=5)
    assert run(["status"]) == 6
    assert "crane-01: Away" in capsys.readouterr().out


def test_somebody_is_told(mara, served, capsys, tmp_path, monkeypatch):
    served.plane.courier._loopback = True
    with Hook(tmp_path, 500, 200) as hook, Post(tmp_path, users={"plane": "p4ssw0rd"}) as post:
        ca = tmp_path / "receiver-ca.pem"
        ca.write_text(hook.ca)
        text = said(capsys, "notice", "add", "pager", "--webhook", hook.url, "--ca", str(ca), "--severity", "bad", "--act", "site.", "--quiet", "22:00-06:00")
        assert "shown this once" in text
        assert run(["notice", "test", "pager"]) == 6
        assert "It did not arrive: it answered 500: ok" in capsys.readouterr().out
        assert "It arrived." in said(capsys, "notice", "test", "pager")
        post_ca = tmp_path / "post-ca.pem"
        post_ca.write_text(post.ca)
        monkeypatch.setenv("PENSTOCK_NOTICE_SECRET", "p4ssw0rd")
        mail = ("--email", "mara@plant.example", "--from", "plane@plant.example", "--smtp", f"localhost:{post.port}", "--user", "plane", "--ca", str(post_ca))
        said(capsys, "notice", "add", "mail", *mail)
        assert "It arrived." in said(capsys, "notice", "test", "mail")
        assert post.mails[0].to == ["mara@plant.example"]
    listed = said(capsys, "notice", "list")
    assert "what is bad; acts site." in listed
    assert "p4ssw0rd" not in listed
    assert hook.url not in said(capsys, "notice", "list", "--json"), "the path of a webhook may be its password"
    assert "is told nothing" in said(capsys, "notice", "off", "mail")
    assert "told again" in said(capsys, "notice", "on", "mail")
    assert "removed" in said(capsys, "notice", "remove", "mail")
    assert "notice-not-found" in said(capsys, "notice", "test", "mail", code=5)
    assert "--webhook URL" in said(capsys, "notice", "add", "both", code=2)
