"""The settings in a real browser, at desk and phone width, in both languages: when the newest backup was made, and the lines that make one."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from penstock.crypto import generate_key, public_pem
from penstock.server.core.rights import Binding, Part
from penstock.server.store import access
from tests.browser.conftest import DESK, PHONE, Viewer
from tests.needs import needs

pytestmark = [needs("chromium"), pytest.mark.browser]


@pytest.fixture(params=[(DESK, "light"), (PHONE, "dark")], ids=["desk", "phone"])
def mara(request, chromium, served):
    served.ready()
    found = Viewer(chromium, served, *request.param)
    found.sign_in()
    yield found
    found.close()
    assert not found.faults


def make_one(served) -> None:
    with served.client() as client:
        for _ in client.backup(public_pem(generate_key()).decode()):
            pass


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_newest_backup_and_how_one_is_made(mara, language):
    page = mara.page
    mara.goto("/settings")
    if language == "de":
        page.get_by_role("button", name="Deutsch").click()
    panel = page.get_by_role("region", name={"en": "Backup", "de": "Sicherung"}[language])
    make_one(mara.served)
    mara.goto("/settings")
    expect(panel).to_contain_text({"en": "The newest backup was made", "de": "Die neueste Sicherung:"}[language])
    expect(panel.locator("time")).to_be_visible()
    expect(panel).to_contain_text("penstock backup --key backup.key.pub plane.sealed")
    panel.get_by_role("button").first.click()
    assert page.evaluate("navigator.clipboard.readText()") == "penstock backup key backup.key"
    mara.look(f"settings-backup-{language}")


def test_who_may_not_is_shown_no_command(mara):
    """Who only looks learns when, and that is all."""
    plane = mara.served.plane
    with mara.served.client() as client:
        me = client.me()
    (kept,) = plane.db.view(lambda tx: access.bindings_of(tx, [me.id]))
    page = mara.page
    try:
        plane.db.update(lambda tx: access.unbind(tx, kept.id))
        plane.db.update(lambda tx: access.bind(tx, Binding("bnd_look", kept.subject, "auditor", Part("fleet"))))
        plane.forget()
        mara.goto("/settings")
        panel = page.get_by_role("region", name="Backup")
        expect(panel).to_contain_text("backup")
        expect(panel).not_to_contain_text("penstock backup")
        mara.look("settings-backup-auditor")
    finally:
        plane.db.update(lambda tx: access.unbind(tx, "bnd_look"))
        plane.db.update(lambda tx: access.bind(tx, kept))
        plane.forget()
