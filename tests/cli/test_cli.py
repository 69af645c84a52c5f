"""`penstock` as a person or a pipeline uses it: against a served plane, in this process, with its own home."""

from __future__ import annotations

import io
import json
import re
import stat
import time

import pytest

from penstock.apiv1 import apps as a
from penstock.apiv1 import devices as d
from penstock.cli import contexts, out
from penstock.cli.common import Usage, moment
from penstock.cli.main import run
from penstock.server import commandline
from penstock.server.actions import secondfactor, sessions
from penstock.server.core.model import Actor
from tests.front.served import PASSWORD, ScriptedDevice, Served, until
from tests.front.test_signin import Phone, secret_of


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    found = Served(tmp_path_factory.mktemp("plane"))
    found.ready()
    yield found
    found.stop()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("PENSTOCK_URL", "PENSTOCK_TOKEN", "PENSTOCK_CA", "PENSTOCK_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PENSTOCK_PASSWORD", PASSWORD)
    monkeypatch.setattr(out.console, "width", 200)
    return tmp_path


@pytest.fixture
def mara(home, served, capsys):
    ca = home / "ca.pem"
    ca.write_text(served.ca)
    assert run(["login", served.url, "--user", "mara", "--ca", str(ca)]) == 0
    capsys.readouterr()
    return home


def said(capsys, *arguments, code=0):
    """What a command prints, with the exit code it must end with."""
    ended = run(list(arguments))
    out = capsys.readouterr()
    assert ended == code, (ended, out.out, out.err)
    return out.out if code == 0 else out.err


def test_log_in_keeps_a_token_only_its_owner_can_read(home, served, capsys):
    with served.http("") as http:
        fingerprint = http.get("/api/v1/ca").json()["fingerprints"][0]
    text = said(capsys, "login", served.url, "--user", "mara", "--fingerprint", fingerprint, "--as", "works")
    assert "context 'works'" in text
    file = home / "penstock" / "contexts.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    kept = contexts.load().contexts["works"]
    assert kept.token.startswith("pst_")
    assert kept.token not in text
    assert PASSWORD not in file.read_text()
    assert "works" in said(capsys, "context", "list")
    assert json.loads(said(capsys, "whoami", "--json"))["kind"] == "token"
    said(capsys, "logout")
    assert contexts.load().contexts == {}
    with served.http(kept.token) as http:
        assert http.get("/api/v1/me").status_code == 401, "logging out revokes the token"


def test_sessions_of_oneself_and_of_others(mara, served, capsys):
    made = sessions.sign_in(served.plane, name="mara", password=PASSWORD, address="192.0.2.7", agent="curl/8")
    assert "192.0.2.7" in said(capsys, "session", "list")
    shown = json.loads(said(capsys, "session", "list", "--user", "mara", "--json"))
    assert made.session.id in {one["id"] for one in shown}
    assert "curl" in {one["agent"] for one in shown}
    assert "One session has ended." in said(capsys, "session", "end", made.session.id)
    said(capsys, "session", "end", made.session.id, code=5)
    sessions.sign_in(served.plane, name="mara", password=PASSWORD)
    assert "One session has ended." in said(capsys, "session", "end", "--all", "--user", "mara")
    assert said(capsys, "session", "list").strip() == "Nowhere."
    for wrong in (("session", "end"), ("session", "end", "--all", "ses_1")):
        assert "say which" in said(capsys, *wrong, code=2).lower()
    said(capsys, "session", "list", "--user", "nobody", code=5)


def test_a_second_factor_by_commands(mara, served, capsys, monkeypatch):
    assert json.loads(said(capsys, "second-factor", "show", "--json"))["state"] == "off"
    made = json.loads(said(capsys, "second-factor", "begin", "--json"))
    phone = Phone(secret_of(made["secret"]))
    assert made["uri"].startswith("otpauth://totp/Penstock")
    codes = said(capsys, "second-factor", "confirm", phone.code()).split()
    assert "10" in said(capsys, "second-factor", "show")
    again = ["login", served.url, "--user", "mara", "--ca", str(mara / "ca.pem"), "--as", "again"]
    assert "second-factor-needed" in said(capsys, *again, code=4)
    assert "Logged in" in said(capsys, *again, "--code", codes[0])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda _prompt: codes[1])
    assert "Logged in" in said(capsys, *again)
    fresh = said(capsys, "second-factor", "codes", codes[2]).split()
    assert len(set(fresh) - set(codes)) == 10
    said(capsys, "second-factor", "off", codes[3], code=4)
    assert "is off" in said(capsys, "second-factor", "off", fresh[0])
    said(capsys, "second-factor", "begin")
    assert "own-second-factor" in said(capsys, "second-factor", "reset", "mara", "--reason", "the short way", code=7)
    with served.client() as client:
        code = client.access.create_user("dirk").code
        client.access.accept_invitation(code, PASSWORD)
        dirk = client.access.user("dirk").id
    assert json.loads(said(capsys, "second-factor", "show", "--user", "dirk", "--json"))["state"] == "off"
    secondfactor.begin(served.plane, Actor("user", dirk, "dirk"), password=PASSWORD)
    assert "awaiting" in said(capsys, "second-factor", "show", "--user", "dirk")
    assert "reset" in said(capsys, "second-factor", "reset", "dirk", "--reason", "the phone fell into the press")
    said(capsys, "second-factor", "reset", "dirk", "--reason", "once more", code=7)
    said(capsys, "second-factor", "show", "--user", "nobody", code=5)


def test_breaking_the_glass_by_commands(mara, served, capsys, monkeypatch):
    assert json.loads(said(capsys, "break-glass", "show", "--json"))["state"] == "none"
    monkeypatch.setenv("PENSTOCK_PASSWORD", commandline.seal_break_glass(served.settings))
    enter = ["login", served.url, "--user", "break-glass", "--ca", str(mara / "ca.pem"), "--as", "glass"]
    assert "reason-needed" in said(capsys, *enter, code=4)
    assert "Logged in" in said(capsys, *enter, "--reason", "the phones with our codes are lost")
    assert "the phones with our codes are lost" in said(capsys, "break-glass", "show", "--context", "default")
    said(capsys, "break-glass", "acknowledge", code=4)  # not by whoever broke it
    assert "seal" in said(capsys, "break-glass", "acknowledge", "--context", "default")
    commandline.seal_break_glass(served.settings)
    assert json.loads(said(capsys, "break-glass", "show", "--json", "--context", "default"))["state"] == "sealed"


def test_a_wrong_pin_or_no_trust_at_all_is_refused_with_a_remedy(home, served, capsys):
    text = said(capsys, "login", served.url, "--user", "mara", "--fingerprint", "00" * 32, code=3)
    assert "other-fingerprint" in text
    text = said(capsys, "login", served.url, "--user", "mara", code=3)
    assert "--fingerprint" in text


def test_nothing_to_talk_to(home, capsys):
    assert "penstock login" in said(capsys, "status", code=4)


def test_wrong_usage_and_missing_things_have_their_own_codes(mara, capsys):
    assert run(["device", "list", "--nonsense"]) == 2
    assert run(["deploy", "a:1"]) == 2
    assert "--device" in capsys.readouterr().err
    assert "device-not-found" in said(capsys, "device", "show", "nobody", code=5)
    assert "none.yaml" in said(capsys, "release", "publish", "none.yaml", "--app", "x", "--version", "1", code=1)


def test_a_token_instead_of_a_password_and_the_environment(home, served, capsys, monkeypatch):
    ca = home / "ca.pem"
    ca.write_text(served.ca)
    said(capsys, "login", served.url, "--token", served.token, "--ca", str(ca), "--as", "robot")
    assert contexts.load().current == "robot"
    said(capsys, "context", "use", "robot")
    (home / "penstock" / "contexts.json").unlink()
    monkeypatch.setenv("PENSTOCK_URL", served.url)
    monkeypatch.setenv("PENSTOCK_TOKEN", served.token)
    monkeypatch.setenv("PENSTOCK_CA", str(ca))
    assert "mara" in said(capsys, "whoami")


def test_two_that_ask_for_one_name_are_told_apart_and_a_join_line_can_be_taken_back(mara, served, capsys):
    said(capsys, "site", "create", "bremen")
    line = said(capsys, "join", "bremen", "--uses", "3")
    with ScriptedDevice(served, line, "twin") as one, ScriptedDevice(served, line, "twin") as other:
        one.enrol(), other.enrol()
        refused = said(capsys, "device", "approve", "twin", "--fingerprint", one.fingerprint, code=2)
        assert one.fingerprint in refused.replace("\n", "")
        assert other.fingerprint in refused.replace("\n", "")
        waiting = {item["fingerprint"]: item["id"] for item in json.loads(said(capsys, "waiting", "list", "--json"))}
        said(capsys, "device", "approve", waiting[one.fingerprint], "--fingerprint", one.fingerprint)
        assert one.enrol() == "approved"
        assert other.enrol() == "waiting"
        assert "compares the fingerprint" in said(capsys, "waiting", "list")
        assert "needs-replace" in said(capsys, "device", "approve", "twin", "--fingerprint", other.fingerprint, code=7)
        (kept,) = (item for item in json.loads(said(capsys, "site", "joins", "bremen", "--json")))
        assert "2 of 3" in said(capsys, "site", "joins")
        said(capsys, "site", "revoke-join", kept["id"])
        assert kept["id"] not in said(capsys, "site", "joins")
        assert json.loads(said(capsys, "site", "joins", "bremen", "--json")) == []
        said(capsys, "device", "reject", waiting[other.fingerprint])
    with ScriptedDevice(served, line, "late") as late:
        assert late.enrol() == "rejected"


@pytest.mark.parametrize(("content", "code", "told"), [(b"\xff\xfe\x00", 2, "no text in UTF-8"), (b" \n", 2, "is empty"), (None, 1, "No such file")])
def test_a_file_that_is_no_compose_file_is_a_sentence(mara, capsys, tmp_path, content, code, told):
    file = tmp_path / "compose.yaml"
    if content is not None:
        file.write_bytes(content)
    for command in (("check", str(file)), ("publish", str(file), "--app", "a", "--version", "1")):
        refused = said(capsys, "release", *command, code=code)
        assert told in refused
        assert "Errno" not in refused


def test_an_address_or_a_certificate_that_is_none_is_a_sentence(home, served, capsys, tmp_path):
    assert "write https://" in said(capsys, "login", "penstock.plant", "--user", "mara", code=2)
    for content in (b"\xff\xfe", b"no certificate\n", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        (tmp_path / "ca.pem").write_bytes(content)
        assert "ca.pem" in said(capsys, "login", served.url, "--user", "mara", "--ca", str(tmp_path / "ca.pem"), code=2)


@pytest.mark.parametrize(("option", "value"), [("--hours", "0"), ("--hours", "9000"), ("--uses", "0"), ("--uses", "many")])
def test_a_bound_is_told_in_the_words_that_were_typed(mara, capsys, option, value):
    assert run(["join", "anywhere", option, value]) == 2
    assert option in "".join(capsys.readouterr())


def test_the_main_job(mara, served, capsys, tmp_path):
    served.images("1.0.0")
    said(capsys, "site", "create", "hamburg", "--title", "Hamburg press shop", "--time-zone", "Europe/Berlin")
    assert "Hamburg press shop" in said(capsys, "site", "list")
    line = said(capsys, "join", "hamburg", "--label", "kind=press")
    with ScriptedDevice(served, line, "press-01") as device:
        device.enrol()
        assert device.fingerprint in said(capsys, "waiting", "list").replace("\n", "")
        assert "other-fingerprint" in said(capsys, "device", "approve", "press-01", "--fingerprint", "12:34", code=7)
        said(capsys, "device", "approve", "press-01", "--fingerprint", device.fingerprint)
        assert device.enrol() == "approved"
        device.start()
        file = tmp_path / "compose.yaml"
        file.write_text("services:\n  web:\n    image: x\n    attach: true\n")
        faults = said(capsys, "release", "check", str(file), code=1)
        assert "line 4" in faults
        file.write_text(served.compose("1.0.0").replace("    environment:", "    privileged: true\n    environment:", 1))
        assert "web runs privileged: it can do all that root can on the device" in said(capsys, "release", "check", str(file))
        file.write_text(served.compose("1.0.0"))
        assert "on the device" not in said(capsys, "release", "check", str(file))
        said(capsys, "release", "publish", str(file), "--app", "press-monitor", "--version", "1.0.0")
        assert "1.0.0" in said(capsys, "release", "list")
        shown = said(capsys, "release", "show", "press-monitor:1.0.0")
        assert "LINE_NAME: required" in shown
        assert re.search(r"image \S+:1\.0\.0 +sha256:[0-9a-f]{64} for linux/amd64", shown)
        assert "press-monitor" in said(capsys, "app", "list")
        assert run(["preview", "press-monitor:1.0.0", "--device", "press-01"]) == 1, "a value is missing"
        assert "install" in said(capsys, "preview", "press-monitor:1.0.0", "--device", "press-01", "--set", "LINE_NAME=Line 3")
        said(capsys, "deploy", "press-monitor:1.0.0", "--selector", "kind=press", "--set", "LINE_NAME=Line 3")
        until(lambda: device.poll() and device.desired.apps, "the device is told")
        device.observe("soaked", "healthy for 60 seconds")
        device.receipt("soaked", "healthy for 60 seconds")
        assert run(["deployment", "show", "press-monitor", "--watch"]) == 0, "it waits for the end of the rollout"
        assert "soaked" in capsys.readouterr().out.lower()
        assert "press-monitor" in said(capsys, "deployment", "list")
        assert "healthy" in said(capsys, "device", "show", "press-01").lower()
        shown = json.loads(said(capsys, "device", "show", "press-01", "--json"))
        assert (shown["summary"]["name"], shown["room"]["name"], shown["room"]["clashes"]) == ("press-01", "press-01", [])
        assert "● Healthy" in said(capsys, "device", "list", "--sort", "name")
        assert "install of press-monitor" in said(capsys, "timeline", "press-01")
        assert "nothing needs a person" in said(capsys, "status")
        assert run(["logs", "press-01", "press-monitor", "web", "--wait", "0"]) == 0
        until(lambda: device.poll() and device.commands, "the command arrives")
        device.answer("failed", "there is no such service", "")
        command = json.loads((capsys.readouterr(), run(["command", "list", "press-01", "--json"]), capsys.readouterr())[2].out)[0]
        assert run(["command", "show", command["id"]]) == 6, "a failed command is not a success"
        capsys.readouterr()
        assert "line=3" in said(capsys, "device", "labels", "press-01", "kind=press", "line=3")
        assert run(["device", "retire", "press-01", "--reason", "gone", "--wipe", "nothing"]) == 2, "it is for good: --yes"
        capsys.readouterr()
        device.observe_device("the disk is nearly full")
        device.observe("failed", "web was unhealthy for 120 seconds", health="unhealthy")
        assert run(["status"]) == 6
        assert "press-01: Change failed" in capsys.readouterr().out
        said(capsys, "deployment", "withdraw", "press-monitor", "--reason", "over")
        said(capsys, "device", "retire", "press-01", "--reason", "gone", "--wipe", "nothing", "--yes")


def test_settings(mara, served, capsys):
    said(capsys, "settings", "set", "--poll", "30", "--address", served.url, "--address", "https://other.example:8443")
    shown = json.loads(said(capsys, "settings", "show", "--json"))
    assert shown["poll_s"] == 30
    assert [one["url"] for one in shown["endpoints"]] == [served.url, "https://other.example:8443"]
    assert shown["endpoints"][1]["ca"] == shown["endpoints"][0]["ca"] != []
    assert "other.example" in said(capsys, "settings", "show")


def test_no_command_prints_a_secret_it_was_given(mara, served, capsys):
    text = said(capsys, "context", "list") + said(capsys, "token", "list") + said(capsys, "whoami")
    assert "pst_" not in text


def test_a_name_nobody_has_is_answered_with_those_that_are_near(mara, served, capsys):
    said(capsys, "site", "create", "lubeck-1", "--title", "Lübeck")
    said(capsys, "site", "create", "lubeck-2")
    text = " ".join(said(capsys, "site", "show", "lubek-1", code=5).split())
    assert "mean lubeck-1" in text
    assert "`penstock site list`" in text
    assert "`penstock device list`" in said(capsys, "device", "show", "zzz", code=5)
    problem = said(capsys, "site", "show", "lubek-1", "--json", code=5)
    assert "lubeck-1" in json.loads(problem)["remedy"]
    assert 'mean "device"' in said(capsys, "devcie", "list", code=2)
    assert "penstock device --help" in said(capsys, "device", "lst", code=2)


def test_a_site_is_changed_and_the_second_of_two_is_told(mara, served, capsys):
    said(capsys, "site", "create", "kiel")
    said(capsys, "site", "change", "kiel", "--title", "Kiel works")
    assert "Kiel works" in said(capsys, "site", "show", "kiel")
    assert "--title" in said(capsys, "site", "change", "kiel", code=2)
    assert "name-taken" in said(capsys, "site", "create", "kiel", code=7)


def test_where_a_page_is(mara, served, capsys):
    assert said(capsys, "open", "--print") == f"{served.url}/\n"
    said(capsys, "site", "create", "husum")
    assert json.loads(said(capsys, "open", "site", "husum", "--json"))["url"].endswith("site=husum")
    assert "device-not-found" in said(capsys, "open", "device", "none", "--print", code=5)
    assert "penstock open device NAME" in said(capsys, "open", "device", code=2)


def test_how_many_of_a_list(mara, served, capsys, monkeypatch):
    with served.client() as client:
        line = client.create_join(client.create_site("many").name, d.JoinTokenCreate(uses=5, auto_approve=True)).line
    for number in range(5):
        with ScriptedDevice(served, line, f"many-{number}") as device:
            device.enrol()
    asked = ("device", "list", "--site", "many", "--sort", "name")

    def names(*more):
        return [one["name"] for one in json.loads(said(capsys, *asked, "--json", *more))]

    assert names() == [f"many-{number}" for number in range(5)], "a program gets all"
    assert names("--limit", "2") == ["many-0", "many-1"]
    assert run([*asked, "--limit", "2"]) == 0
    told = capsys.readouterr()
    assert told.out.count("many-") == 2
    assert "--all" in told.err
    assert run([*asked, "--limit", "2", "--all"]) == 2
    capsys.readouterr()


def test_a_saved_view_is_the_same_here_and_on_the_first_page(mara, served, capsys):
    with served.client() as client:
        place = client.create_site("viewed").name
        for labels, name in (({"line": "3"}, "viewed-a"), ({"line": "3"}, "viewed-b"), ({"line": "4"}, "viewed-c")):
            with ScriptedDevice(served, client.create_join(place, d.JoinTokenCreate(auto_approve=True, labels=labels)).line, name) as device:
                device.enrol()
    assert "penstock view save" in said(capsys, "view", "list")
    assert "--view 'Line 3'" in said(capsys, "view", "save", "Line 3", "--text", "line=3", "--site", "viewed", "--sort", "name")
    with served.client() as client:
        (view,) = client.views()
        assert view.query == "q=line%3D3&site=viewed&sort=name"
        client.save_view("Backless", "show=noway&site=viewed")

    def names(*more):
        return [one["name"] for one in json.loads(said(capsys, "device", "list", "--json", *more))]

    assert names("--view", "line 3") == ["viewed-a", "viewed-b"]
    assert names("--view", "Line 3", "--label", "line=4") == ["viewed-c"], "what is said beside the view goes before it"
    assert names("--view", "Backless") == []
    assert "No such device." in said(capsys, "device", "list", "--view", "Backless")
    assert "way_back=missing" in said(capsys, "view", "list")
    assert "yours are Line 3, Backless" in said(capsys, "device", "list", "--view", "Nights", code=2)
    assert "name-taken" in said(capsys, "view", "save", "line 3", "--show", "drifted", code=7)
    assert "Say what it shows" in said(capsys, "view", "save", "All", code=2)
    assert "removed" in said(capsys, "view", "remove", "Line 3")
    assert [one["name"] for one in json.loads(said(capsys, "view", "list", "--json"))] == ["Backless"]


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("2h", 7200), ("7d", 7 * 86400)])
def test_a_moment_is_a_span_back(text, seconds):
    assert abs(moment(text) - (time.time() - seconds) * 1000) < 5000


def test_a_moment_is_a_time():
    assert moment("2026-03-01T12:00:00+00:00") == 1772366400000
    for wrong in ("yesterday", "", "99999999999999d", "h"):
        with pytest.raises(Usage):
            moment(wrong)


def test_groups(mara, served, capsys):
    served.images("1.0.0")
    with served.client() as client:
        client.create_site("wismar")
        line = client.create_join("wismar", d.JoinTokenCreate(auto_approve=True, uses=2, labels={"kind": "saw"})).line
        if "press-monitor" not in [one.name for one in client.apps()]:
            client.publish(a.Publish(app="press-monitor", version="1.0.0", compose=served.compose("1.0.0")))
    assert "None yet" in said(capsys, "group", "list")
    for name in ("saw-01", "saw-02"):
        with ScriptedDevice(served, line, name) as device:
            assert device.enrol() == "approved"
    assert "a group of 2 devices" in said(capsys, "group", "create", "saws", "--title", "All saws", "--selector", "kind=saw", "--device", "saw-01")
    assert "name-taken" in said(capsys, "group", "create", "saws", code=7)
    shown = said(capsys, "group", "show", "saws")
    assert re.search(r"saw-01.*named and by its labels", shown)
    assert re.search(r"saw-02.*wismar.*by its labels", shown)
    assert {item["name"] for item in json.loads(said(capsys, "device", "list", "--group", "saws", "--json"))} == {"saw-01", "saw-02"}
    assert "group-not-found" in said(capsys, "device", "list", "--group", "mills", code=5)
    assert re.search(r"groups +saws", said(capsys, "device", "show", "saw-02"))
    assert "install" in said(capsys, "preview", "press-monitor:1.0.0", "--group", "saws", "--set", "LINE_NAME=x")
    assert run(["deploy", "press-monitor:1.0.0", "--group", "saws", "--device", "saw-01"]) == 2, "one of the two"
    capsys.readouterr()
    said(capsys, "deploy", "press-monitor:1.0.0", "--group", "saws", "--name", "on-saws", "--set", "LINE_NAME=x")
    assert "group saws" in said(capsys, "deployment", "show", "on-saws")
    assert "deployment on-saws is for it" in said(capsys, "group", "remove", "saws", code=7)
    said(capsys, "group", "set", "saws", "--selector", "", "--add", "saw-02", "--drop", "saw-01")
    found = json.loads(said(capsys, "group", "show", "saws", "--json"))
    assert [(one["device"]["name"], one["ways"]) for one in found["members"]] == [("saw-02", ["named"])]
    assert "not every one is named" in said(capsys, "group", "set", "saws", "--drop", "saw-01", code=2)
    assert run(["group", "set", "saws"]) == 2
    capsys.readouterr()
    said(capsys, "deployment", "withdraw", "on-saws")
    said(capsys, "group", "remove", "saws")
    assert "saws" not in said(capsys, "group", "list")


def test_local_people_and_their_pins(mara, served, capsys, monkeypatch):
    said(capsys, "site", "create", "emden")
    assert "Nobody" in said(capsys, "site", "people", "list", "emden")
    monkeypatch.setattr("sys.stdin", io.StringIO("271828\n"))
    assert "on the list" in said(capsys, "site", "people", "add", "emden", "Anna Ahrens", "--pin")
    assert "once there is a PIN" in said(capsys, "site", "people", "add", "emden", "Bert", "--may", "revert")
    monkeypatch.setattr("sys.stdin", io.StringIO("000000\n"))
    assert "anybody would try" in said(capsys, "site", "people", "pin", "emden", "Bert", code=out.REFUSED)
    monkeypatch.setattr("sys.stdin", io.StringIO("314159\n"))
    assert "is set" in said(capsys, "site", "people", "pin", "emden", "Bert")
    assert "Bert may let something be tried again" in said(capsys, "site", "people", "change", "emden", "bert", "--may", "let-go")
    shown = json.loads(said(capsys, "site", "people", "list", "emden", "--json"))
    assert [(one["name"], one["may"], bool(one["pin_ms"])) for one in shown] == [("Anna Ahrens", ["let-go", "revert"], True), ("Bert", ["let-go"], True)]
    assert "271828" not in json.dumps(shown)
    said(capsys, "site", "people", "remove", "emden", "Bert")
    assert "Bert" not in said(capsys, "site", "people", "list", "emden")


def test_move_retire_and_keep(mara, served, capsys):
    said(capsys, "site", "create", "luebeck")
    said(capsys, "site", "create", "rostock")
    line = json.loads(said(capsys, "join", "luebeck", "--auto-approve", "--json"))["line"]
    with ScriptedDevice(served, line, "leaver") as device:
        assert device.enrol() == "approved"
        device.start()
        assert "leaver is at rostock now" in said(capsys, "device", "move", "leaver", "rostock", "--reason", "line 3")
        assert "wipes itself" in said(capsys, "device", "retire", "leaver", "--reason", "old", "--wipe", "data", code=out.USAGE)
        assert "ordered to wipe itself" in said(capsys, "device", "retire", "leaver", "--reason", "old", "--wipe=data", "--yes")
        assert "has not heard it yet" in said(capsys, "device", "show", "leaver")
        assert "stays in the fleet" in said(capsys, "device", "keep", "leaver")
        assert "Nothing was wiped" in said(capsys, "device", "retire", "leaver", "--reason", "stolen", "--wipe=nothing", "--yes")
        assert "not-wiped" in said(capsys, "device", "show", device.device)
