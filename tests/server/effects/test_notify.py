"""Notices over real sockets: signed, trusted, bounded in time, and never to where they must not go."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from penstock.server.effects.notify import NetCourier, Parcel, signature
from tests.server.effects.receivers import Hook, Post, Proxy

NOW = 1_800_000_000_123
SECRET = b"s" * 32
BODY = json.dumps({"event": "test", "id": "ntc_1"}).encode()
COURIER = NetCourier(loopback=True, step_s=1.0, whole_s=2.0)
DOCS = Path(__file__).parents[3] / "docs" / "notices.md"


def parcel(hook: Hook, **way: object) -> Parcel:
    return Parcel("ntc_1", "webhook", {"url": hook.url, "ca": hook.ca, **way}, SECRET, BODY)


def mail(post: Post, **way: object) -> Parcel:
    plain = {
        "host": "localhost",
        "port": post.port,
        "security": "starttls",
        "user": "",
        "sender": "plane@plant.example",
        "to": ["mara@plant.example"],
        "ca": post.ca,
    }
    secret = b"p4ss" if way.get("user") else b""
    return Parcel("ntc_1", "email", {**plain, **way}, secret, BODY, "[Penstock] Hamburg: 12 of 12 devices away", "Überall still.\n.\nEnde\n")


def sent(one: Parcel, courier: NetCourier = COURIER) -> str:
    (why,) = courier.deliver([one], NOW)
    return why


def test_a_webhook_is_signed_and_arrives_whole(tmp_path):
    with Hook(tmp_path) as hook:
        assert sent(parcel(hook)) == ""
        (got,) = hook.got
    assert got.line == "POST /hook HTTP/1.1\r\n"
    assert got.body == BODY
    assert got.headers["penstock-notice"] == "ntc_1"
    assert got.headers["content-type"] == "application/json"
    assert got.headers["penstock-signature"] == signature(SECRET, NOW // 1000, BODY)


def test_the_documented_check_takes_ours_and_no_other():
    """The example of docs/notices.md, run as it stands there."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    room: dict[str, object] = {}
    exec(compile(code, "docs/notices.md", "exec"), room)
    genuine = room["genuine"]
    assert callable(genuine)
    header = signature(SECRET, int(time.time()), BODY)
    assert genuine(SECRET.decode(), header, BODY)
    assert not genuine("another secret of mine", header, BODY)
    assert not genuine(SECRET.decode(), header, BODY + b" ")
    assert not genuine(SECRET.decode(), signature(SECRET, int(time.time()) - 3600, BODY), BODY), "an old one played again"
    assert not genuine(SECRET.decode(), "nonsense", BODY)


def test_what_the_receiver_answers_is_said(tmp_path):
    with Hook(tmp_path, 500) as hook:
        assert sent(parcel(hook)) == "it answered 500: ok"


def test_redirects_are_not_followed(tmp_path):
    with Hook(tmp_path) as elsewhere, Hook(tmp_path, 302, location=elsewhere.url) as hook:
        assert "redirects are not followed" in sent(parcel(hook))
        assert elsewhere.connections == 0


@pytest.mark.parametrize(("answer", "said"), [(0, "within 1 second"), (-1, "within 2 seconds")])
def test_a_receiver_that_hangs_or_drips_holds_nobody_up(tmp_path, answer, said):
    with Hook(tmp_path, answer) as hook:
        began = time.monotonic()
        assert said in sent(parcel(hook))
        assert time.monotonic() - began < 4


def test_an_untrusted_certificate_gets_nothing(tmp_path):
    with Hook(tmp_path) as hook:
        assert "not trusted" in sent(parcel(hook, ca=""))
        assert hook.got == []


def test_nobody_there(tmp_path):
    with Hook(tmp_path) as hook:
        one = parcel(hook)
    assert "cannot be reached" in sent(one)
    assert "no address for" in sent(parcel(hook, url="https://nobody.invalid/x"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "169.254.169.254", "[::ffff:127.0.0.1]", "224.0.0.1", "127.1"])
def test_the_planes_own_machine_and_link_are_refused(tmp_path, host):
    with Hook(tmp_path) as hook:
        guarded = NetCourier(step_s=1.0, whole_s=2.0)
        why = sent(parcel(hook, url=f"https://{host}:{hook.port}/hook"), guarded)
        assert "control plane's own machine" in why or "no message is sent to" in why, why
        assert hook.connections == 0
        through = NetCourier(proxy="http://127.0.0.1:9", step_s=1.0, whole_s=2.0)
        if host != "127.1":  # a proxy reads that name by itself
            assert sent(parcel(hook, url=f"https://{host}:{hook.port}/hook"), through) == why


def test_through_a_proxy(tmp_path):
    with Hook(tmp_path) as hook, Proxy(tmp_path) as proxy:
        assert sent(parcel(hook), NetCourier(loopback=True, proxy=f"http://127.0.0.1:{proxy.port}")) == ""
        assert proxy.asked == [f"127.0.0.1:{hook.port}"]
        assert len(hook.got) == 1
    with Hook(tmp_path) as hook, Proxy(tmp_path, status=403) as proxy:
        assert "the proxy answered: HTTP/1.1 403" in sent(parcel(hook), NetCourier(loopback=True, proxy=f"http://127.0.0.1:{proxy.port}"))


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
def test_a_mail_arrives(tmp_path, security):
    with Post(tmp_path, tls=security == "tls") as post:
        assert sent(mail(post, security=security)) == ""
        (got,) = post.mails
    assert (got.sender, got.to, got.encrypted) == ("plane@plant.example", ["mara@plant.example"], security != "none")
    assert "Subject: [Penstock] Hamburg: 12 of 12 devices away" in got.text
    assert "Auto-Submitted: auto-generated" in got.text


def test_a_mail_server_is_signed_in_to_over_tls_only(tmp_path):
    with Post(tmp_path, users={"plane": "p4ss"}) as post:
        assert sent(mail(post, user="plane")) == ""
        assert (post.mails[0].user, post.mails[0].password, post.mails[0].encrypted) == ("plane", "p4ss", True)
    with Post(tmp_path, users={"plane": "another"}) as post:
        assert sent(mail(post, user="plane")) == "the mail server answered 535: 5.7.8 wrong"
        assert post.mails == []


def test_what_a_mail_server_refuses_is_said(tmp_path):
    with Post(tmp_path, refuse="RCPT") as post:
        assert sent(mail(post)) == "the mail server takes no mail for mara@plant.example: 550 5.7.1 not here"
    with Post(tmp_path) as post:
        assert "not trusted" in sent(mail(post, ca=""))
        assert post.mails == []


def test_a_header_cannot_be_smuggled_in(tmp_path):
    with Post(tmp_path) as post:
        one = mail(post, to=["mara@plant.example\r\nBcc: eve@elsewhere.example"])
        assert "cannot be made" in sent(one)
        assert post.mails == []


def test_one_that_hangs_does_not_hold_up_the_others(tmp_path):
    with Hook(tmp_path, 0) as slow, Hook(tmp_path) as quick:
        said = COURIER.deliver([parcel(slow), parcel(quick)], NOW)
    assert said[0]
    assert said[1] == ""
    assert SECRET.decode() not in repr(parcel(quick)), "a secret stands in no trace"
