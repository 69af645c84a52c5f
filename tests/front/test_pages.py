"""The pages over plain HTTP: sessions, form tokens, headers, errors that keep what was typed, every page there is."""

from __future__ import annotations

import re
from html import unescape

import pytest

from penstock.apiv1.devices import JoinTokenCreate
from penstock.server.web.frame import CSP
from penstock.server.web.people import safe_next
from penstock.server.web.render import headline, load_assets, sentence, size
from penstock.server.web.routes import PAGES
from tests.front.browsing import Browser
from tests.front.served import PASSWORD, ScriptedDevice, Served


@pytest.fixture
def browser(served):
    served.ready()
    return Browser(served)


@pytest.fixture
def mara(browser):
    browser.sign_in()
    return browser


def test_set_up_then_signed_in(tmp_path):
    served = Served(tmp_path)
    try:
        browser = Browser(served)
        assert browser.get("/").headers["location"] == "/login"
        assert browser.get("/login").headers["location"] == "/setup"
        assert browser.get("/setup").status_code == 200
        weak = browser.post("/setup", token=served.setup_token, name="mara", password="short")
        assert weak.status_code == 422
        assert 'value="mara"' in weak.text, "what was typed is kept"
        assert "short" not in re.sub(r"<[^>]+>", "", weak.text).split("Password")[0]
        before = dict(browser.http.cookies)
        done = browser.post("/setup", token=served.setup_token, name="mara", password=PASSWORD)
        assert (done.status_code, done.headers["location"]) == (303, "/")
        assert "__Host-penstock" not in before
        first = browser.get("/")
        assert "From here to a running app" in first.text
        assert "Welcome, mara." in first.text
        assert "Welcome, mara." not in browser.get("/").text, "said once"
    finally:
        served.stop()


def test_the_session_cookie_is_guarded_and_fresh(browser):
    browser.get("/login")
    browser.http.cookies.set("__Host-penstock", "an attacker's own choice", domain="127.0.0.1")
    answer = browser.post("/login", name="mara", password=PASSWORD, next="/")
    cookie = next(value for value in answer.headers.get_list("set-cookie") if value.startswith("__Host-penstock="))
    assert "an attacker" not in cookie
    for part in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"):
        assert part.lower() in cookie.lower(), cookie


def test_a_form_from_elsewhere_is_refused(mara):
    mara.get("/sites")
    for form, site in (({"csrf": "00"}, "same-origin"), ({}, "same-origin"), ({"csrf": mara.token()}, "cross-site")):
        answer = mara.http.post("/sites", data={"name": "intruder", **form}, headers={"Sec-Fetch-Site": site})
        assert answer.status_code == 403
    assert "intruder" not in mara.get("/sites").text
    answer = mara.http.post("/api/v1/sites", json={"name": "intruder"}, headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 403, "a session alone is not enough to change something over the API"


def test_signing_out_ends_the_session(mara):
    secret = mara.http.cookies["__Host-penstock"]
    assert mara.post("/logout").headers["location"] == "/login"
    mara.http.cookies.set("__Host-penstock", secret, domain="127.0.0.1")
    assert mara.get("/sites").headers["location"] == "/login?next=%2Fsites"


def test_wrong_password_says_so_and_keeps_the_name(browser):
    browser.get("/login")
    answer = browser.post("/login", name="mara", password="not this one either", next="/sites")
    assert answer.status_code == 422
    assert 'value="mara"' in answer.text
    assert 'value="/sites"' in answer.text
    assert "not this one either" not in answer.text


@pytest.mark.parametrize(
    "where",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/\t/evil",
        "javascript:x",
        "",
        "/login",
        "/x\r\nSet-Cookie: a",
        "/\u2028x",
        "/日本",
        "/" + "x" * 2000,
    ],
)
def test_no_open_redirect(where):
    assert safe_next(where) == "/"


def test_a_page_of_ours_is_a_fine_place_to_go():
    assert safe_next("/devices/dev_1?kinds=receipt") == "/devices/dev_1?kinds=receipt"


def test_every_page_says_what_browsers_must_not_do(mara):
    for page in PAGES:
        if page.method != "GET":
            continue
        path = re.sub(r"{\w+}", "nothing", page.path)
        answer = mara.get(path)
        assert answer.status_code in (200, 303, 404), (path, answer.status_code, answer.text[:300])
        assert answer.headers["content-security-policy"] == CSP, path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "style=" not in answer.text
        assert "<script>" not in answer.text
        assert "onclick" not in answer.text


def test_nobody_sees_a_page(browser):
    for page in PAGES:
        path = re.sub(r"{\w+}", "nothing", page.path)
        if page.method == "GET" and page.permission != "public":
            assert browser.http.get(path).status_code == 303, path
        elif page.permission != "public":
            assert browser.http.post(path, data={}).status_code == 303, path


def test_what_was_typed_is_kept_and_escaped(mara):
    mara.get("/sites")
    answer = mara.post("/sites", name="Bad Name", title="<script>alert(1)</script>", time_zone="Europe/Berlin")
    assert answer.status_code == 422
    assert "<script>alert" not in answer.text
    assert "<script>alert(1)</script>" in unescape(answer.text)
    assert 'aria-invalid="true"' in answer.text


def test_faults_of_a_compose_file_are_shown_by_line(mara):
    mara.get("/publish")
    source = "services:\n  web:\n    image: web:1\n    attach: true\n"
    answer = mara.post("/publish", app="x", version="1", compose=source, do="publish")
    assert answer.status_code == 422
    assert "Line 4" in answer.text
    assert "    attach: true" in answer.text
    assert unescape(answer.text).count(source.strip()) == 1, "the file is still in its box"


def test_a_join_line_is_shown_once(mara):
    mara.get("/sites")
    mara.post("/sites", name="oslo", title="Oslo", time_zone="Europe/Oslo")
    mara.get("/join")
    answer = mara.post("/join", site="oslo", uses="2", valid_s="3600", labels="line=3")
    assert answer.status_code == 200
    assert "pst-join:" in answer.text
    assert "pst-join:" not in mara.get("/join").text
    bad = mara.post("/join", site="oslo", uses="2", valid_s="3600", labels="no label")
    assert bad.status_code == 422
    assert 'value="no label"' in bad.text


def test_replaced_hardware_is_let_in_only_as_such(mara, served):
    with served.client() as client:
        client.create_site("bergen")
        line = client.create_join("bergen", JoinTokenCreate(uses=2)).line
    with ScriptedDevice(served, line, "mill-01") as old, ScriptedDevice(served, line, "mill-01", replaces=True) as new:
        for device, word in ((old, "The same: approve<"), (new, "The same: approve, and replace the old one<")):
            assert device.enrol() == "waiting"
            page = mara.get("/join").text
            assert word in page
            form = re.search(r'action="(/enrolments/[^/]+/approve)">.*?</form>', page, re.DOTALL)
            assert form
            fields = dict(re.findall(r'name="(fingerprint|replace)" value="([^"]+)"', form[0]))
            assert mara.post(form[1], **{**fields, "fingerprint": "00"}).status_code == 422, "another fingerprint than the one shown"
            mara.get("/join")
            assert mara.post(form[1], **fields).status_code == 303
            assert device.enrol() == "approved"
        new.start()
        with served.client() as client:
            assert client.device("mill-01").fingerprint == new.fingerprint


def test_static_files_are_ours_hashed_and_small(mara):
    page = mara.get("/").text
    paths = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert paths
    assert not re.findall(r'(?:href|src)="https?://', page)
    total = len(mara.last.content)
    for path in {path.split("#")[0] for path in paths}:
        answer = mara.http.get(path, headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 200, path
        if "?v=" in path:
            assert "immutable" in answer.headers["cache-control"]
    packed = sum(len(asset.packed or asset.body) for name, asset in load_assets().items() if not name.endswith(".txt"))
    assert packed + total < 200_000
    assert mara.http.get("/static/../frame.py").status_code == 404
    assert mara.http.get("/static/nothing.css").status_code == 404


def test_an_unknown_page_is_a_page(mara):
    answer = mara.get("/no/such/page")
    assert answer.status_code == 404
    assert "There is no such page." in answer.text


def test_words():
    assert sentence("started; waiting") == "Started; waiting."
    assert sentence("press-01 is away") == "press-01 is away."
    assert headline("deployment.changed") == "Deployment changed"
    assert headline("press-monitor 1: soaked") == "press-monitor 1: soaked"
    assert [size(n) for n in (5, 1500, 61 * 10**9)] == ["5 B", "1.5 kB", "61.0 GB"]
