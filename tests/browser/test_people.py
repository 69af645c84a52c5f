"""People and access in a real browser: somebody is invited and sets a password, gets a role, is explained, and is shut out; roles, teams, service accounts."""

from __future__ import annotations

import base64
import re
import time

import pytest
from playwright.sync_api import expect

from penstock.server.core import onetime
from tests.browser.conftest import DESK, PHONE, Viewer
from tests.needs import needs

pytestmark = [needs("chromium"), pytest.mark.browser]
SENTENCE = "a sentence only anna knows"


@pytest.fixture(scope="module")
def plant(served):
    """A plane with a site, an administrator, and a page's worth of people."""
    served.ready()
    with served.client() as client:
        client.create_site("hamburg", "Hamburg press shop")
        for name, title in (("bert", "Bert Olsen"), ("cleo", "Cleo Marin, Hamburg")):
            client.access.create_user(name, title)
        client.access.create_user("press-ci", "CI of the press app", service=True)
        client.access.give("press-ci", "ci", "app:press", "its pipeline")
        client.access.create_team("shift", "Shift leaders, Hamburg", ("bert", "cleo"))
        client.access.give("shift", "site-operator", "site:hamburg", "they are on the line")
        client.access.give("cleo", "site-owner", "site:hamburg")
    return served


@pytest.fixture
def mara(plant, viewer):
    viewer.sign_in()
    return viewer


def test_1_somebody_is_invited_and_sets_a_password(mara, chromium, plant):
    page = mara.page
    page.get_by_role("link", name="People", exact=True).click()
    expect(page.get_by_role("heading", name="People and access")).to_be_visible()
    mara.look("people-list")
    page.get_by_label("Name for signing in").fill("bert")
    page.get_by_label("What people call them").fill("Anna Berg")
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("alert")).to_contain_text("There is a bert already")
    assert page.get_by_label("What people call them").input_value() == "Anna Berg"  # what was typed is kept
    page.get_by_label("Name for signing in").fill("anna")
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("heading", name="The invitation of anna")).to_be_visible()
    link = page.locator("#invitation-link").inner_text()
    mara.look("people-invitation-made")

    anna = Viewer(chromium, plant, PHONE, "light")
    anna.goto(link)
    expect(anna.page.get_by_role("heading", name="Welcome, Anna Berg")).to_be_visible()
    anna.look("people-invited")
    anna.page.get_by_label("Password", exact=True).fill(SENTENCE)
    anna.page.get_by_label("Password again").fill("something else entirely")
    anna.page.get_by_role("button", name="Set the password and sign in").click()
    expect(anna.page.get_by_role("alert")).to_contain_text("not the same")
    anna.page.get_by_label("Password", exact=True).fill(SENTENCE)
    anna.page.get_by_label("Password again").fill(SENTENCE)
    anna.page.get_by_role("button", name="Set the password and sign in").click()
    expect(anna.page.get_by_role("status").first).to_contain_text("You have no role here yet")
    expect(anna.page.get_by_role("heading", name="My account")).to_be_visible()  # signed in, and may nothing yet
    anna.goto(link)
    expect(anna.page.get_by_role("alert")).to_contain_text("unknown, used or older")
    assert not anna.faults
    anna.close()


def test_2_a_role_is_given_shown_explained_and_taken(mara):
    page = mara.page
    mara.goto("/people/anna")
    expect(page.get_by_text("No role yet.")).to_be_visible()
    page.get_by_label("Role", exact=True).select_option("site-operator")
    page.get_by_label("Where", exact=True).first.select_option("site:hamburg")
    page.get_by_label("Why, for the record").first.fill("new on the line")
    page.get_by_role("button", name="Give the role").click()
    expect(page.get_by_role("status")).to_contain_text("anna has the role site-operator on site hamburg now.")
    page.get_by_label("What", exact=True).select_option("deployments.write")
    page.get_by_label("Where", exact=True).last.fill("site:hamburg")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_text("anna may not deploy and change deployments on site hamburg")).to_be_visible()
    mara.look("people-person")
    page.get_by_role("button", name="Take away the role site-operator on site hamburg from anna").click()
    expect(page.get_by_role("status")).to_contain_text("no more")
    expect(page.get_by_text("No role yet.")).to_be_visible()


def test_3_the_last_administrator_stays(mara):
    page = mara.page
    mara.goto("/people/mara")
    page.get_by_text("Disable mara").click()
    page.get_by_role("button", name="Disable", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Nobody would be left who can change rights on the whole fleet")
    mara.look("people-last-administrator")


def test_4_who_may_do_what_here(mara):
    page = mara.page
    mara.goto("/sites/hamburg")
    page.get_by_role("link", name="Who may do what here").click()
    page.get_by_label("Who may").select_option("devices.command")
    page.get_by_role("button", name="Show").click()
    table = page.get_by_role("region", name=re.compile("They may restart"))
    for name in ("mara", "Cleo Marin, Hamburg", "Bert Olsen"):
        expect(table.get_by_text(name)).to_be_visible()
    mara.look("people-here")
    page.get_by_label("Who", exact=True).fill("anna")
    page.get_by_label("Role", exact=True).select_option("viewer")
    page.get_by_role("button", name="Give the role").click()
    expect(page.get_by_role("status")).to_contain_text("anna has the role viewer on site hamburg now.")


def test_5_a_role_of_ones_own(mara):
    page = mara.page
    mara.goto("/roles")
    mara.look("people-roles")
    page.get_by_role("link", name="Make one like it: site-operator").click()
    page.get_by_label("Short name").fill("night-shift")
    page.get_by_label("What it is, in a sentence").fill("Night shift: looks, and restarts")
    page.get_by_label("See join lines").uncheck()
    page.get_by_role("button", name="Make the role").click()
    expect(page.get_by_role("status")).to_contain_text("is a role now")
    expect(page.get_by_label("Restart, refresh and fetch logs")).to_be_checked()
    expect(page.get_by_label("See join lines")).not_to_be_checked()
    mara.look("people-role")
    page.get_by_text("Remove night-shift").click()
    page.get_by_role("button", name="Remove the role").click()
    expect(page.get_by_role("status")).to_contain_text("The role night-shift is removed.")


def test_6_teams_and_service_accounts(mara):
    page = mara.page
    mara.goto("/teams/shift")
    page.get_by_label("Put somebody in").fill("anna")
    page.get_by_role("button", name="Put in").click()
    expect(page.get_by_role("link", name="Anna Berg")).to_be_visible()
    mara.look("people-team")
    page.get_by_role("button", name="Take out anna").click()
    expect(page.get_by_role("link", name="Anna Berg")).not_to_be_visible()
    mara.goto("/people/press-ci")
    page.get_by_label("What for").fill("pipeline")
    page.get_by_label("Only this role").select_option("ci")
    page.get_by_role("button", name="Make a token").click()
    expect(page.get_by_text("Shown this once")).to_be_visible()
    assert page.locator("#new-token").inner_text().startswith("pst_")
    mara.look("people-service")
    page.get_by_role("button", name="Revoke pipeline").click()
    expect(page.get_by_role("status")).to_contain_text("revoked")


def test_6a_where_somebody_is_signed_in_and_their_second_factor(mara, chromium, plant):
    """With `test_7` before anna is shut out: two browsers and a phone app of hers, seen, ended and taken away by an administrator."""
    anna = [Viewer(chromium, plant, DESK, "light") for _ in range(2)]
    for one in anna:
        one.goto("/login")
        one.page.get_by_label("Name").fill("anna")
        one.page.get_by_label("Password").fill(SENTENCE)
        one.page.get_by_role("button", name="Sign in").click()
        expect(one.page.get_by_role("button", name="Sign out")).to_be_visible()
    page = anna[0].page
    anna[0].goto("/account")
    page.get_by_label("Your password").fill(SENTENCE)
    page.get_by_role("button", name="Set it up").click()
    secret = page.locator("#secret").inner_text().replace(" ", "")
    code = onetime.hotp(base64.b32decode(secret + "=" * (-len(secret) % 8)), int(time.time()) // 30)
    page.get_by_label("The code it shows").fill(code)
    page.get_by_role("button", name="Switch it on").click()  # the other browser's session ends with it
    expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
    codes = page.locator("#recovery-codes").inner_text().split()
    anna[1].goto("/login")
    anna[1].page.get_by_label("Name").fill("anna")
    anna[1].page.get_by_label("Password").fill(SENTENCE)
    anna[1].page.get_by_role("button", name="Sign in").click()
    anna[1].page.get_by_label("One-time code").fill(codes[0])
    anna[1].page.get_by_role("button", name="Sign in").click()
    expect(anna[1].page.get_by_role("button", name="Sign out")).to_be_visible()

    page = mara.page
    mara.goto("/people/anna")
    signed_in = page.get_by_role("region", name="Where they are signed in")
    expect(signed_in.get_by_role("button", name="End the session of")).to_have_count(2)
    mara.look("people-signed-in")
    mara.resize(PHONE)
    mara.look("people-signed-in")
    mara.resize(DESK)
    signed_in.get_by_role("button", name="End the session of").first.click()  # the newest
    expect(page.get_by_role("status").first).to_contain_text("One session has ended.")
    anna[1].goto("/account")
    expect(anna[1].page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_text("Take it away", exact=True).click()
    mara.look("people-second-factor")
    page.get_by_label("Why, for the record", exact=True).last.fill("her phone fell into the press")
    page.get_by_role("button", name="Take the second factor away").click()
    expect(page.get_by_role("status").first).to_contain_text("their password alone lets them in")
    expect(page.get_by_text("Nowhere, by a browser.")).to_be_visible()
    anna[0].goto("/account")
    expect(anna[0].page.get_by_role("heading", name="Sign in")).to_be_visible()
    mara.goto("/people/press-ci")  # a service account never signs in
    expect(page.get_by_role("heading", name="API tokens")).to_be_visible()
    assert page.get_by_role("heading", name="Where they are signed in").count() == 0
    with plant.client() as client:
        (act,) = [one for one in client.history() if one.verb == "user.second-factor-reset"]
    assert act.reason == "her phone fell into the press"
    for one in anna:
        one.close()


def test_7_who_is_shut_out_is_out_at_once(mara, chromium, plant):
    anna = Viewer(chromium, plant, DESK, "light")
    anna.goto("/login")
    anna.page.get_by_label("Name").fill("anna")
    anna.page.get_by_label("Password").fill(SENTENCE)
    anna.page.get_by_role("button", name="Sign in").click()
    expect(anna.page.get_by_role("button", name="Sign out")).to_be_visible()
    assert anna.page.get_by_role("link", name="People", exact=True).count() == 0
    mara.goto("/people/anna")
    mara.page.get_by_text("Disable anna").click()
    mara.page.get_by_role("button", name="Disable", exact=True).click()
    expect(mara.page.get_by_role("status")).to_contain_text("anna is disabled")
    anna.goto("/")
    expect(anna.page.get_by_role("heading", name="Sign in")).to_be_visible()
    anna.close()


@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "light"), (DESK, "dark")])
def test_8_every_page_at_every_width_and_at_night(chromium, plant, size, scheme):
    viewer = Viewer(chromium, plant, size, scheme)
    viewer.sign_in()
    for path, name in (
        ("/people", "list"),
        ("/people/cleo?verb=devices.command&what=site:hamburg", "person"),
        ("/people/press-ci", "service"),
        ("/teams/shift", "team"),
        ("/roles", "roles"),
        ("/roles/site-owner", "built-in-role"),
        ("/access?on=site:hamburg", "here"),
    ):
        viewer.goto(path)
        expect(viewer.page.locator("main h1")).to_be_visible()
        viewer.look(f"people-{name}")
    viewer.goto("/invitation")
    viewer.look("people-code")
    viewer.close()


def test_9_a_site_owner_sees_their_site_and_gives_there(plant, chromium):
    with plant.client() as client:
        made = client.access.invite("cleo")
    cleo = Viewer(chromium, plant, DESK, "light")
    cleo.goto(made.link)
    cleo.page.get_by_label("Password", exact=True).fill(SENTENCE)
    cleo.page.get_by_label("Password again").fill(SENTENCE)
    cleo.page.get_by_role("button", name="Set the password and sign in").click()
    expect(cleo.page.get_by_role("status").first).to_contain_text("Your password is set.")
    cleo.goto("/people")
    cleo.page.get_by_role("link", name="Who may do what").click()
    expect(cleo.page.get_by_role("heading", name="Who may do what here")).to_be_visible()
    expect(cleo.page.get_by_text("site:hamburg")).to_be_visible()
    cleo.goto("/people")
    expect(cleo.page.get_by_role("link", name="Bert Olsen").first).to_be_visible()
    assert cleo.page.get_by_role("link", name="mara").count() == 0
    assert cleo.page.get_by_role("button", name="Make the account").count() == 0
    cleo.look("people-as-site-owner")
    cleo.goto("/people/bert")
    offered = cleo.page.get_by_label("Where", exact=True).first.locator("option").all_inner_texts()
    assert offered == ["Choose where", "Site hamburg"]
    roles = cleo.page.get_by_label("Role", exact=True).locator("option").all_inner_texts()
    assert [one.partition(":")[0] for one in roles] == ["Choose a role", "Approver", "Site operator", "Site owner", "Viewer"]
    cleo.page.get_by_label("Role", exact=True).select_option("approver")
    cleo.page.get_by_label("Where", exact=True).first.select_option("site:hamburg")
    cleo.page.get_by_role("button", name="Give the role").click()
    expect(cleo.page.get_by_role("status").first).to_contain_text("bert has the role approver on site hamburg now.")
    cleo.look("people-person-as-site-owner")
    cleo.close()
