"""Signing in as browsers and programs do it, and as those try who should not get in."""

from __future__ import annotations

import base64
import re
import time
from dataclasses import replace

import pytest

from penstock.apiv1 import people as p
from penstock.client import ClientError
from penstock.crypto import pbkdf2
from penstock.server import commandline
from penstock.server.actions import sessions
from penstock.server.core import breakglass, guessing, onetime
from penstock.server.effects import passwords as digests
from tests.front.browsing import Browser
from tests.front.served import PASSWORD, Served, problem

V = "/api/v1"


@pytest.fixture
def plane(tmp_path):
    """A plane for one test: these change who may come in."""
    found = Served(tmp_path)
    found.ready()
    yield found
    found.stop()


def secret_of(text: str) -> bytes:
    plain = text.replace(" ", "")
    return base64.b32decode(plain + "=" * (-len(plain) % 8))


class Phone:
    """An authenticator app, which never shows a code twice here: it looks one step ahead where it must."""

    def __init__(self, secret: bytes) -> None:
        self.secret, self.step = secret, 0

    def code(self) -> str:
        self.step = max(self.step + 1, int(time.time()) // 30)
        while self.step > int(time.time()) // 30 + 1:
            time.sleep(0.5)
        return onetime.hotp(self.secret, self.step)


def with_factor(plane: Served) -> tuple[Phone, list[str]]:
    with plane.client() as client:
        phone = Phone(secret_of(client.begin_second_factor(PASSWORD).secret))
        return phone, list(client.confirm_second_factor(phone.code()).codes)


def test_the_second_step_keeps_what_was_typed_and_asks_for_the_password_once(plane):
    phone, codes = with_factor(plane)
    browser = Browser(plane)
    browser.get("/login?next=/sites")
    step = browser.post("/login", name="mara", password=PASSWORD, next="/sites")
    assert step.status_code == 200
    assert "One-time code" in step.text
    assert PASSWORD not in step.text
    assert 'name="password"' not in step.text
    assert "__Host-penstock" not in browser.http.cookies
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', step.text.split('action="/login"')[1].split("</form>")[0]))
    fields.pop("csrf")
    assert (fields["name"], fields["next"], fields["step"]) == ("mara", "/sites", "code")
    wrong = browser.post("/login", **fields, code="000000")
    assert wrong.status_code == 422
    assert "The code is wrong" in wrong.text
    assert fields["ticket"] in wrong.text
    done = browser.post("/login", **fields, code=phone.code())
    assert (done.status_code, done.headers["location"]) == (303, "/sites")
    assert browser.get("/sites").status_code == 200
    # A recovery code does as well, and once only.
    other = Browser(plane)
    for status in (303, 422):
        other.get("/login")
        text = other.post("/login", name="mara", password=PASSWORD, next="/").text
        ticket = re.search(r'name="ticket" value="(\w+)"', text)
        assert ticket
        assert other.post("/login", name="mara", ticket=ticket[1], step="code", code=codes[0], next="/").status_code == status


def test_a_ticket_is_worth_nothing_without_a_code_and_ends_after_a_few(plane):
    with_factor(plane)
    browser = Browser(plane)
    browser.get("/login")
    text = browser.post("/login", name="mara", password=PASSWORD, next="/").text
    ticket = re.search(r'name="ticket" value="(\w+)"', text)
    assert ticket
    browser.http.cookies.set("__Host-penstock", ticket[1], domain="127.0.0.1")
    assert browser.get("/sites").status_code == 303
    browser.http.cookies.delete("__Host-penstock")
    browser.get("/login")
    for _ in range(sessions.HALFWAY_TRIES - 1):
        assert "The code is wrong" in browser.post("/login", name="mara", ticket=ticket[1], step="code", code="000000").text
    browser.post("/login", name="mara", ticket=ticket[1], step="code", code="000000")
    ended = browser.post("/login", name="mara", ticket=ticket[1], step="code", code="000000")
    assert "Give your name and password again" in ended.text
    assert 'value="mara"' in ended.text
    assert 'name="password"' in ended.text


def test_programs_give_the_code_along(plane):
    phone, _ = with_factor(plane)
    with plane.http("") as http:
        given = {"name": "mara", "password": PASSWORD}
        needed = http.post(f"{V}/login", json=given)
        assert needed.status_code == 401
        assert problem(needed)["code"] == "second-factor-needed"
        assert problem(needed)["field"] == "code"
        assert problem(http.post(f"{V}/login", json={**given, "code": "000000"}))["code"] == "wrong-code"
        code = phone.code()
        assert http.post(f"{V}/login", json={**given, "code": code}).status_code == 201
        assert problem(http.post(f"{V}/login", json={**given, "code": code}))["code"] == "wrong-code"
        refused = http.get("/v2/", auth=("mara", PASSWORD))
        assert refused.status_code == 401, "a password alone opens the registry no longer"


def test_the_session_is_never_the_one_brought_along(plane):
    """Fixation: neither a made-up secret nor a real earlier session lives on after signing in."""
    browser = Browser(plane)
    browser.sign_in()
    old = browser.http.cookies["__Host-penstock"]
    browser.get("/login")
    assert browser.post("/login", name="mara", password=PASSWORD, next="/").status_code == 303
    new = browser.http.cookies["__Host-penstock"]
    assert new != old
    attacker = Browser(plane)
    attacker.http.cookies.set("__Host-penstock", old, domain="127.0.0.1")
    assert attacker.get("/account").status_code == 303
    assert browser.get("/account").status_code == 200


def test_every_refusal_costs_the_same_and_says_the_same_by_every_way_in(plane, monkeypatch):
    """Counted, not timed: whoever is meant, and whether or not there is anything to compare with, the same rounds are made and the same words said."""
    with plane.client() as client:
        client.access.create_user("robot", service=True)
        for name in ("invited", "away", "gone"):
            client.access.create_user(name)
        client.access.disable("away", "on leave")
        client.access.remove_user("gone", "left")
    plane.plane.limits = replace(plane.plane.limits, password_rounds=3000)
    counted: list[int] = []

    def count(password: bytes, salt: bytes, rounds: int, size: int) -> bytes:
        counted.append(rounds)
        return pbkdf2(password, salt, rounds, size)

    monkeypatch.setattr(digests, "pbkdf2", count)

    def refused(name: str) -> list[tuple[int, int, str]]:
        """Status, rounds and words of each way in."""
        found, browser = [], Browser(plane)
        with plane.http("") as http:
            browser.get("/login")
            for ask in (
                lambda: http.post(f"{V}/login", json={"name": name, "password": "not it at all"}),
                lambda: browser.post("/login", name=name, password="not it at all", next="/"),
                lambda: http.get("/v2/", auth=(name, "not it at all")),
            ):
                counted.clear()
                answer = ask()
                said = re.sub(r'"[0-9a-f]{64,}"', '"token"', answer.text).replace(f'"{name}"', '"name"')
                found.append((answer.status_code, sum(counted), said))
        return found

    wrong = refused("mara")  # a person's name with a wrong password: what all others are held to
    assert [(status, rounds) for status, rounds, _ in wrong] == [(401, 3000), (422, 3000), (401, 3000)]
    for name in ("robot", "invited", "away", "gone", "nobody-ever"):
        assert refused(name) == wrong, name
    # The sealed account has a random passphrase and few rounds (decision 60), and the same words; whether it was sealed at all is not told.
    unsealed = refused("break-glass")
    commandline.seal_break_glass(plane.settings)
    assert refused("break-glass") == unsealed
    assert [(status, words) for status, _, words in unsealed] == [(status, words) for status, _, words in wrong]
    assert [rounds for _, rounds, _ in unsealed] == [breakglass.ROUNDS] * 3


def test_signing_in_needs_a_form_of_ours(plane):
    """Log-in CSRF: nobody is signed in to somebody else's account by a page from elsewhere."""
    browser = Browser(plane)
    browser.get("/login")
    given = {"name": "mara", "password": PASSWORD, "next": "/"}
    for form, site in ((given, "same-origin"), ({**given, "csrf": "00"}, "same-origin"), ({**given, "csrf": browser.token()}, "cross-site")):
        answer = browser.http.post("/login", data=form, headers={"Sec-Fetch-Site": site})
        assert answer.status_code == 403
        assert "__Host-penstock=" not in answer.headers.get("set-cookie", "")


@pytest.mark.parametrize("path", ["/account/password", "/account/second-factor", "/account/sessions/end-others", "/account/tokens", "/break-glass/acknowledge"])
def test_nothing_of_an_account_changes_without_its_form_token(served, path):
    served.ready()
    browser = Browser(served)
    browser.sign_in()
    assert browser.http.post(path, data={"password": PASSWORD}, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 403


def test_the_account_page_shows_and_ends_sessions(plane):
    here, there = Browser(plane), Browser(plane)
    there.http.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    here.sign_in()
    there.sign_in()
    text = here.get("/account").text
    assert "Firefox on Linux" in text
    assert text.count("This one") == 1
    assert "12 hours without use, and after 7 days in any case" in text
    ended = re.search(r"/account/sessions/(ses_\w+)/end", text)
    assert ended
    assert here.post(f"/account/sessions/{ended[1]}/end").status_code == 303
    assert there.get("/account").status_code == 303
    for _ in range(2):
        there = Browser(plane)
        there.sign_in()
    here.get("/account")
    here.post("/account/sessions/end-others")
    assert "2 sessions have ended" in here.get("/account").text
    assert there.get("/account").status_code == 303
    with plane.client() as client:
        (only,) = client.sessions("mara")
        assert not only.this
        assert client.end_sessions("mara").said == "One session has ended."
    assert here.get("/account").status_code == 303


def test_a_new_password_ends_other_sessions_and_says_what_is_wrong_where(plane):
    here, there = Browser(plane), Browser(plane)
    here.sign_in()
    there.sign_in()
    here.get("/account")
    for form, said in (
        ({"old": PASSWORD, "new": "a new long sentence", "again": "another"}, "The two new passwords are not the same"),
        ({"old": "not this one, no", "new": "a new long sentence", "again": "a new long sentence"}, "The present password is wrong"),
        ({"old": PASSWORD, "new": "short", "again": "short"}, "12 to 1000 characters"),
    ):
        answer = here.post("/account/password", **form)
        assert answer.status_code == 422
        assert said in answer.text
        assert 'aria-invalid="true"' in answer.text
    assert here.post("/account/password", old=PASSWORD, new="a new long sentence", again="a new long sentence").status_code == 303
    assert here.get("/account").status_code == 200
    assert there.get("/account").status_code == 303


def test_the_second_factor_is_set_up_on_the_page(plane):
    browser = Browser(plane)
    browser.sign_in()
    browser.get("/account")
    assert browser.get("/account/second-factor.svg").status_code == 404
    browser.get("/account")
    assert "The present password is wrong" in browser.post("/account/second-factor", password="no, not this one").text
    assert browser.post("/account/second-factor", password=PASSWORD).status_code == 303
    text = browser.get("/account").text
    shown = re.search(r'<code id="secret"[^>]*>([A-Z2-7 ]+)<', text)
    assert shown
    drawing = browser.http.get("/account/second-factor.svg")
    assert drawing.headers["content-type"].startswith("image/svg+xml")
    assert drawing.headers["cache-control"] == "no-store"
    assert drawing.text.startswith("<svg")
    assert "script" not in drawing.text
    with plane.http("") as nobody:
        assert nobody.get("/account/second-factor.svg").status_code == 303
    done = browser.post("/account/second-factor/confirm", code=Phone(secret_of(shown[1])).code())
    codes = re.search(r'id="recovery-codes"[^>]*>([^<]+)<', done.text)
    assert codes
    assert len(codes[1].split()) == onetime.RECOVERY_CODES
    assert shown[1] not in browser.get("/account").text
    assert browser.get("/account/second-factor.svg").status_code == 404
    browser.get("/account")
    assert browser.post("/account/second-factor/off", password=PASSWORD, code=codes[1].split()[0]).status_code == 303
    assert "Set it up" in browser.get("/account").text


def test_a_token_is_worth_nothing_after_it_was_revoked(plane):
    with plane.client() as client:
        made = client.create_token("for a replay", 600)
        with plane.http(made.token) as http:
            assert http.get(f"{V}/me").status_code == 200
            client.revoke_token(made.id)
            for _ in range(3):
                assert problem(http.get(f"{V}/me"))["code"] == "token-unknown"
            assert http.get("/v2/", auth=("mara", made.token)).status_code == 401


@pytest.mark.parametrize("name", ["mara\r\nSet-Cookie: __Host-penstock=x", "mara\x00", "\u2028mara", "<script>alert(1)</script>", "マラ", "x" * 5000])
def test_names_reach_no_header_and_no_markup(plane, name):
    browser = Browser(plane)
    browser.get("/login")
    answer = browser.post("/login", name=name, password="not it at all", next=f"/{name}")
    assert answer.status_code in (422, 413)
    assert "__Host-penstock=x" not in answer.headers.get("set-cookie", "")
    assert "<script>alert" not in answer.text
    with plane.http("") as http:
        told = http.post(f"{V}/login", json={"name": name, "password": "not it at all"})
        assert told.status_code in (401, 422)
    with plane.client() as client:
        for act in client.history():
            assert "\r" not in act.actor
            assert "\n" not in act.actor


def test_who_guesses_is_told_when_to_come_back(plane):
    with plane.http("") as http:
        answers = [http.post(f"{V}/login", json={"name": "eve", "password": f"guess number {n}"}) for n in range(guessing.PAIR.free + 1)]
        assert [answer.status_code for answer in answers] == [401] * guessing.PAIR.free + [429]
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert http.post(f"{V}/login", json={"name": "mara", "password": PASSWORD}).status_code == 201
    browser = Browser(plane)
    browser.get("/login")
    answer = browser.post("/login", name="eve", password="guess once more", next="/")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert 'value="eve"' in answer.text


def test_breaking_the_glass_is_seen_by_everybody(plane):
    secret = commandline.seal_break_glass(plane.settings)
    mara, glass = Browser(plane), Browser(plane)
    mara.sign_in()
    glass.get("/login")
    step = glass.post("/login", name="break-glass", password=secret.replace("-", " "), next="/")
    ticket = re.search(r'name="ticket" value="(\w+)"', step.text)
    assert ticket
    short = glass.post("/login", name="break-glass", ticket=ticket[1], step="reason", reason="fire")
    assert 'value="fire"' in short.text
    assert "break-glass account was used" not in mara.get("/sites").text
    done = glass.post("/login", name="break-glass", ticket=ticket[1], step="reason", reason="all phones are lost & <b>gone</b>", next="/")
    assert done.status_code == 303
    cookie = next(value for value in done.headers.get_list("set-cookie") if value.startswith("__Host-penstock="))
    assert "max-age=3600" in cookie.lower()
    for browser in (mara, glass):
        for path in ("/", "/sites", "/account", "/settings", "/devices/nothing"):
            text = browser.get(path).text
            assert "The break-glass account was used" in text, path
            assert "all phones are lost &amp; &lt;b&gt;gone" in text
    assert "I have taken note" not in glass.get("/sites").text
    assert glass.post("/break-glass/acknowledge").status_code == 403
    mara.get("/sites")
    assert mara.post("/break-glass/acknowledge").status_code == 303
    assert "mara has taken note" in mara.get("/sites").text
    with plane.client() as client:
        assert client.break_glass().state == "acknowledged"
        commandline.seal_break_glass(plane.settings)
        assert client.break_glass().state == "sealed"
    assert "break-glass account was used" not in mara.get("/sites").text
    plane.plane.forget()  # within seconds by itself: another process ended it
    assert glass.get("/sites").status_code == 303


def test_a_program_that_breaks_the_glass_has_an_hour(plane):
    secret = commandline.seal_break_glass(plane.settings)
    with plane.http("") as http:
        given = {"name": "break-glass", "password": secret, "valid_s": 30 * 86_400}
        assert problem(http.post(f"{V}/login", json=given))["code"] == "reason-needed"
        made = http.post(f"{V}/login", json={**given, "reason": "the pages do not load"})
        assert made.status_code == 201
        assert made.json()["expires_ms"] <= (time.time() + 3600) * 1000
    with plane.http(made.json()["token"]) as http:
        assert http.get(f"{V}/sites").status_code == 200
        assert problem(http.post(f"{V}/tokens", json={"label": "for later"}))["code"] == "sealed-account"
    with plane.client() as client:
        assert client.break_glass().reason == "the pages do not load"


def test_time_outs_are_set_on_the_settings_page(plane):
    browser = Browser(plane)
    browser.sign_in()
    text = browser.get("/settings").text
    revision = re.search(r'name="revision" value="(\d+)"', text)
    assert revision
    form = {"revision": revision[1], "poll_s": "60", "rate": "0", "leave_h": "24", "idle_min": "30", "total_h": "8"}
    wrong = browser.post("/settings", **{**form, "idle_min": "1"})
    assert wrong.status_code == 422
    assert 'name="idle_min" type="number" value="1"' in wrong.text
    assert browser.post("/settings", **form).status_code == 303
    assert "30 minutes without use, and after 8 hours in any case" in browser.get("/account").text
    with plane.client() as client, pytest.raises(ClientError) as refused:
        client.change_settings(client.settings().revision, p.SettingsChange(session_idle_s=9 * 3600))
    assert refused.value.problem.field == "session_idle_s"
