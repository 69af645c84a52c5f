"""Signing in with a second factor, one's own account, and a broken glass, as people see them at desk and phone width."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from playwright.sync_api import expect

from penstock.server import commandline
from penstock.server.core import onetime
from tests.browser.conftest import DESK, PHONE, Viewer
from tests.front.served import PASSWORD
from tests.front.test_signin import Phone, secret_of

CASES = [(DESK, "dark"), (PHONE, "light")]


@pytest.fixture(params=CASES, ids=["desk-dark", "phone-light"])
def anyone(request, chromium, served):
    """A viewer of each kind; what one sets up it switches off again."""
    served.ready()
    found = Viewer(chromium, served, *request.param)
    yield found
    found.close()
    assert not found.faults


def test_a_second_factor_from_the_page_to_the_next_sign_in(anyone: Any) -> None:
    page = anyone.page
    anyone.sign_in()
    page.get_by_role("link", name="My account").click()
    expect(page.get_by_role("heading", name="My account")).to_be_visible()
    anyone.look("account")
    panel = page.get_by_role("region", name="Second factor")
    panel.get_by_label("Your password").fill(PASSWORD)
    panel.get_by_role("button", name="Set it up").click()
    drawing = page.get_by_role("img", name=re.compile("QR code"))
    expect(drawing).to_be_visible()
    assert drawing.evaluate("image => image.complete && image.naturalWidth > 0"), "the drawing is one"
    anyone.look("account-second-factor")
    phone = Phone(secret_of(page.locator("#secret").inner_text()))
    page.get_by_label("The code it shows").fill("000 000")
    page.get_by_role("button", name="Switch it on").click()
    expect(page.get_by_role("alert")).to_contain_text("The code is wrong")
    anyone.look("account-wrong-code")
    page.get_by_label("The code it shows").fill(phone.code())
    page.get_by_role("button", name="Switch it on").click()
    expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
    codes = page.locator("#recovery-codes").inner_text().split()
    assert len(codes) == onetime.RECOVERY_CODES
    anyone.look("account-recovery-codes")
    page.locator("[data-copy=recovery-codes]").click()
    assert page.evaluate("navigator.clipboard.readText()").split() == codes
    page.evaluate("window.print = () => { document.title = 'printed' }")
    page.get_by_role("button", name="Print").click()
    assert page.title() == "printed"
    page.emulate_media(media="print")
    expect(page.get_by_role("heading", name="Password")).to_be_hidden()
    expect(page.locator("#recovery-codes")).to_be_visible()
    page.emulate_media(media="screen")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Name").fill("mara")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    assert page.evaluate("document.activeElement.name") == "code"
    anyone.look("login-code")
    page.get_by_label("One-time code").fill("not one")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    anyone.look("login-code-wrong")
    page.get_by_label("One-time code").fill(codes[0])
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/$"))
    anyone.goto("/account")
    expect(page.get_by_role("region", name="Second factor")).to_contain_text("9 recovery codes are left")
    anyone.look("account-with-second-factor")
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_label("One-time code").fill(codes[1])
    page.get_by_role("button", name="Switch it off").click()
    expect(page.get_by_role("status").filter(has_text="The second factor is off")).to_be_visible()


def test_a_broken_glass_is_seen_until_it_is_noted_and_sealed(anyone: Any, served: Any, chromium: Any) -> None:
    secret = commandline.seal_break_glass(served.settings)
    page = anyone.page
    anyone.goto("/login")
    page.get_by_label("Name").fill("break-glass")
    page.get_by_label("Password").fill(secret.upper())
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Break the glass")).to_be_visible()
    anyone.look("login-break-glass")
    page.get_by_label("Reason").fill("The identity provider is down and line 3 stands still")
    page.get_by_role("button", name="Break the glass").click()
    banner = page.get_by_role("region", name="The break-glass account was used")
    expect(banner).to_contain_text("line 3 stands still")
    expect(banner.get_by_role("button")).to_have_count(0)
    anyone.look("broken-glass")
    page.get_by_role("button", name="Sign out").click()
    anyone.sign_in()
    expect(banner).to_be_visible()
    anyone.look("broken-glass-administrator")
    banner.get_by_role("button", name="I have taken note").click()
    expect(banner).to_contain_text("mara has taken note")
    anyone.look("broken-glass-noted")
    time.sleep(0.01)
    commandline.seal_break_glass(served.settings)
    anyone.goto("/sites")
    expect(banner).to_have_count(0)


def test_sessions_and_settings(anyone: Any, chromium: Any, served: Any) -> None:
    other = Viewer(chromium, served, DESK, "light")
    try:
        other.sign_in()
    finally:
        other.close()
    anyone.sign_in()
    anyone.goto("/account")
    anyone.look("account-sessions")
    anyone.page.get_by_role("button", name="End all others").click()
    expect(anyone.page.get_by_role("button", name="End all others")).to_have_count(0)
    anyone.goto("/settings")
    anyone.look("settings")
