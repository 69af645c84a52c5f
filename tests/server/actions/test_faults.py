"""Faults on a whole plane: from a device's own words to one cause, seen by whoever may see it, known of, told once, delivered over real sockets."""

from __future__ import annotations

import json

import pytest

from penstock.server.actions import devices as device_actions
from penstock.server.actions import enrolments, faults, joins, mirrors, notices, releases, sites, upstreams
from penstock.server.actions import housekeeping as house
from penstock.server.actions.faults import Query
from penstock.server.api.agent import AgentApi
from penstock.server.core import rights
from penstock.server.core.errors import Conflict, Forbidden, Invalid, Missing, Stale
from penstock.server.core.model import Actor, Target
from penstock.server.core.notices import Rules
from penstock.server.core.noticetexts import mail_of
from penstock.server.core.rights import BUILT_IN, Binding, Part, rights_of
from penstock.server.effects.notify import NetCourier, Parcel, signature
from penstock.server.effects.upstream_memory import MemoryUpstream
from penstock.server.store import events, outbox
from penstock.server.store import notices as store
from penstock.wire.log import Boot, Gap, ServiceStatus
from tests.server.effects.receivers import Hook, Post
from tests.server.paper import PaperDevice, straight
from tests.server.planes import ADMIN, a_release, a_site, make_plane, turn
from tests.server.pushing import small_image

from penstock.server.actions import deployments  # isort: skip


class Shelf:
    """A courier that keeps what it carries; `broken`: a sentence, and nothing arrives."""

    def __init__(self) -> None:
        self.carried: list[Parcel] = []
        self.broken = ""

    def deliver(self, parcels, now_ms):
        if not self.broken:
            self.carried.extend(parcels)
        return [self.broken for _ in parcels]

    def bodies(self):
        found = [json.loads(one.body) for one in self.carried]
        self.carried.clear()
        return found


@pytest.fixture
def plane(tmp_path):
    made = make_plane(tmp_path)
    made.courier = Shelf()
    yield made
    made.db.close()


@pytest.fixture
def api(plane):
    made = AgentApi(plane)
    yield made
    made.close()


def let_in(plane, api, name="press-1", site="plant-1", *, boot=True):
    if site not in {one.site.name for one in sites.list_sites(plane, ADMIN)}:
        a_site(plane, site)
    join = joins.create_join(plane, ADMIN, site=site, auto_approve=True, labels={"line": "paint"}).join
    device = PaperDevice(straight(api), name, clock=plane.clock.now_ms)
    assert device.ask(join).status == "approved"
    if boot:
        device.write("boot", Boot("0.1.0", "b1", device.facts, "d1"))
        device.poll()
        device.report()
    return device


def wrong(plane, actor=ADMIN, **query):
    return faults.list_faults(plane, actor, query=Query(**query))[0].items


def acting(*bindings):
    """Somebody with these (role, kind, id)."""
    made = [Binding(f"bnd_{n}", "usr_x", role, Part(kind, key)) for n, (role, kind, key) in enumerate(bindings)]
    return Actor("user", "usr_x", "xeno", rights_of("usr_x", made, BUILT_IN))


def pass_by(plane, ms=60_000, times=1):
    """Time goes by, and the loops look."""
    for _ in range(times):
        turn(plane, ms)
        house.judge_liveness(plane)
        faults.mark(plane)
        notices.decide_all(plane)
        while notices.deliver(plane):
            pass


def a_notice(plane, name="pager", actor=ADMIN, **more):
    way = {"url": "https://pager.example/hook/secret-path", "ca": ""}
    return notices.create_notice(plane, actor, name=name, kind="webhook", way=way, **more)


def test_a_device_that_is_well_is_no_fault(plane, api):
    device = let_in(plane, api)
    device.say_device()
    device.report()
    assert wrong(plane) == ()


def test_a_site_goes_dark_and_comes_back(plane, api):
    a, b = let_in(plane, api, "press-1"), let_in(plane, api, "press-2")
    let_in(plane, api, "press-3", "plant-2")
    a_notice(plane)
    turn(plane, 700_000)
    house.judge_liveness(plane)
    assert [one.key for one in wrong(plane)] == ["away|fleet"], "everybody is away: that is the plane's network"
    a.poll()
    house.judge_liveness(plane)
    (one, two) = wrong(plane)
    assert {one.key, two.key} == {f"away|site|{site.site.id}" for site in sites.list_sites(plane, ADMIN)}
    pass_by(plane, times=2)
    assert {body["event"] for body in plane.courier.bodies()} <= {"fault.opened", "digest"}
    b.poll()
    a.poll()
    pass_by(plane, times=1)
    pass_by(plane, 121_000)
    said = [line for body in plane.courier.bodies() for line in body["faults"]]
    assert ("cleared", "plant-1") in {(line["what"], line["site"]) for line in said}
    assert [one.site for one in wrong(plane)] == [next(s.site.id for s in sites.list_sites(plane, ADMIN) if s.site.name == "plant-2")]


def test_services_that_are_not_well_after_the_change_surface_and_stand_in_the_row(plane, api):
    device = let_in(plane, api)
    deployments.create_deployment(plane, ADMIN, name="shop", release=a_release(plane).id, target=Target(selector="line=paint"))
    device.poll()
    services = (ServiceStatus("web", "running", "unhealthy", why="its health check fails: 500"), ServiceStatus("db", "restarting", "none", restarts=9))
    device.say_app("soaked", services=services)
    device.report()
    (one,) = wrong(plane)
    assert (one.kind, one.severity) == ("crash-looping", "bad")
    row = device_actions.list_devices(plane, ADMIN).items[0].status
    assert (row.ill, row.severity) == (2, 78)
    device.say_app("soaked", services=services[:1])
    device.report()
    assert wrong(plane)[0].why == "shop: web: its health check fails: 500"
    since = wrong(plane)[0].since_ms
    faults.mark(plane)
    turn(plane, 5_000_000)
    assert wrong(plane, kind="unhealthy")[0].since_ms == since, "when it began is kept"
    device.say_app("soaked", services=(ServiceStatus("web", "running", "healthy"),))
    device.say_device()
    device.poll()
    device.report()
    house.judge_liveness(plane)
    assert wrong(plane) == ()
    assert faults.mark(plane) == 1
    assert faults.mark(plane) == 0


def test_lost_entries_are_one_fault_until_more_are_lost(plane, api):
    device = let_in(plane, api)
    device.write("gap", Gap(device.log[-1].seq + 1, device.log[-1].seq + 3, "disk"), seq=device.log[-1].seq + 4)
    device.report()
    (one,) = wrong(plane)
    assert (one.kind, one.why) == ("log-gap", "3 entries of its log are lost")
    faults.acknowledge(plane, ADMIN, fault=one.id, until_ms=plane.clock.now_ms() + 10**9, reason="the old disk")
    assert wrong(plane, known=False) == ()
    device.write("gap", Gap(device.log[-1].seq + 1, device.log[-1].seq + 1, "disk"), seq=device.log[-1].seq + 2)
    device.report()
    assert wrong(plane, known=False)[0].why == "4 entries of its log are lost"


def test_known_until_then_because_and_undone(plane, api):
    let_in(plane, api)
    turn(plane, 700_000)
    house.judge_liveness(plane)
    (one,) = wrong(plane)
    now = plane.clock.now_ms()
    for until, reason in ((now, "x"), (now + 10**12, "x"), (now + 1000, " ")):
        with pytest.raises(Invalid):
            faults.acknowledge(plane, ADMIN, fault=one.id, until_ms=until, reason=reason)
    with pytest.raises(Missing):
        faults.acknowledge(plane, ADMIN, fault="flt_none", until_ms=now + 1000, reason="x")
    with pytest.raises(Conflict):
        faults.unacknowledge(plane, ADMIN, fault=one.id)
    faults.acknowledge(plane, ADMIN, fault=one.id, until_ms=now + 3_600_000, reason="the line stands still")
    (muted,) = wrong(plane)
    assert (muted.known.reason, muted.known.by) == ("the line stands still", "ada")
    assert faults.overview(plane, ADMIN, limit=5)[0] == ()
    assert faults.overview(plane, ADMIN, limit=5)[2] == 1
    faults.unacknowledge(plane, ADMIN, fault=one.id)
    assert wrong(plane)[0].known is None
    verbs = [event.verb for event in plane.db.view(lambda tx: events.after(tx, rights.EVERYWHERE, 0, "", 100))]
    assert verbs[-2:] == ["fault.acknowledged", "fault.unacknowledged"]
    faults.acknowledge(plane, ADMIN, fault=one.id, until_ms=now + 3_600_000, reason="x")
    turn(plane, 3_600_000)
    assert wrong(plane)[0].known is None, "that time is over"
    faults.mark(plane)
    with pytest.raises(Conflict):
        faults.unacknowledge(plane, ADMIN, fault=one.id)


def test_everybody_sees_their_own_part_and_counts_nothing_else(plane, api):
    one, two = let_in(plane, api, "press-1"), let_in(plane, api, "press-2")
    let_in(plane, api, "press-3", "plant-2")
    turn(plane, 700_000)
    house.judge_liveness(plane)
    here = next(s.site.id for s in sites.list_sites(plane, ADMIN) if s.site.name == "plant-1")
    owner, narrow, nobody = acting(("site-operator", "site", here)), acting(("viewer", "device", one.id)), acting()
    (seen,) = wrong(plane, owner)
    assert (seen.key, len(seen.faults), seen.of) == (f"away|site|{here}", 2, 2)
    (seen,) = wrong(plane, narrow)
    assert [fault.id for fault in seen.faults] == [one.id]
    assert "press-2" not in repr(seen)
    assert seen.of == 1
    with pytest.raises(Missing):
        wrong(plane, narrow, device=two.id)
    with pytest.raises(Forbidden):
        wrong(plane, nobody)
    with pytest.raises(Forbidden):
        faults.acknowledge(plane, narrow, fault=seen.id, until_ms=plane.clock.now_ms() + 1000, reason="x")
    known = faults.acknowledge(plane, owner, fault=seen.id, until_ms=plane.clock.now_ms() + 1000, reason="x")
    assert len(known.faults) == 2
    there = acting(("viewer", "fleet", ""), ("site-operator", "site", here))
    whole = wrong(plane, there)[0]
    with pytest.raises(Forbidden):
        faults.acknowledge(plane, there, fault=whole.id, until_ms=plane.clock.now_ms() + 1000, reason="others too")


def test_the_planes_own_faults_are_for_who_may_read_its_settings(plane, api):
    let_in(plane, api)
    turn(plane, 9 * 86_400_000)
    kinds = {one.kind for one in wrong(plane)}
    assert "plane-no-backup" in kinds
    plane.db.update(lambda tx: outbox.owe(tx, "state", ["dev_x"], plane.clock.now_ms() - 3_600_000))
    assert {one.kind for one in wrong(plane)} >= {"plane-no-backup", "plane-stuck"}
    assert not {one.kind for one in wrong(plane, acting(("viewer", "fleet", "")))} & {"plane-no-backup", "plane-stuck"}
    plane_fault = wrong(plane, kind="plane-stuck")[0]
    with pytest.raises(Forbidden):
        faults.acknowledge(plane, acting(("engineer", "fleet", "")), fault=plane_fault.id, until_ms=plane.clock.now_ms() + 1000, reason="x")


def test_who_waits_is_for_who_may_let_them_in(plane, api):
    a_site(plane)
    join = joins.create_join(plane, ADMIN, site="plant-1").join
    assert PaperDevice(straight(api), "press-9", clock=plane.clock.now_ms).ask(join).status == "waiting"
    (one,) = wrong(plane)
    assert (one.kind, one.title) == ("waiting-room", "plant-1: Waits to be let in")
    assert wrong(plane, acting(("viewer", "fleet", ""))) == ()
    enrolments.reject(plane, ADMIN, enrolment=enrolments.list_enrolments(plane, ADMIN)[0].id, reason="no")
    assert wrong(plane) == ()


def test_filters_and_cursor(plane, api):
    for n in range(5):
        let_in(plane, api, f"press-{n}", f"plant-{n}")
    turn(plane, 700_000)
    house.judge_liveness(plane)
    let_in(plane, api, "press-9", "plant-9")
    seen, cursor = [], ""
    while True:
        page, _ = faults.list_faults(plane, ADMIN, cursor=cursor, limit=2)
        seen += [one.key for one in page.items]
        cursor = page.next
        if not cursor:
            break
    assert len(seen) == len(set(seen)) == 5
    assert len(wrong(plane, site="plant-3")) == 1
    assert len(wrong(plane, device="press-3")) == 1
    assert wrong(plane, severity="bad") == ()
    for bad in ({"severity": "awful"}, {"kind": "rust"}):
        with pytest.raises(Invalid):
            wrong(plane, **bad)


def test_a_tag_that_moved_is_a_fault_told_by_webhook_and_mail_until_a_release_takes_it(plane, api):
    let_in(plane, api)
    plane.upstream = MemoryUpstream()
    upstreams.set_upstream(plane, ADMIN, host="ghcr.io")

    def published(version):
        source = b"services: {web: {image: 'ghcr.io/x/web:2'}}"
        with pytest.raises(Conflict, match="images-on-their-way"):
            releases.publish(plane, ADMIN, source=source, app="shop", version=version)
        mirrors.copy_next(plane)
        releases.publish(plane, ADMIN, source=source, app="shop", version=version)

    def there(text):
        image = small_image(text)
        return plane.upstream.put("ghcr.io/x/web:2", image.blobs, image.variants[0].manifest)

    there("one")
    published("1")
    a_notice(plane, rules=Rules(kinds=("tag-moved",)))
    mirrors.check(plane, ADMIN)
    assert wrong(plane, kind="tag-moved") == ()
    new = there("two")
    mirrors.check(plane, ADMIN)
    (found,) = wrong(plane, kind="tag-moved")
    assert (found.title, found.severity, found.since_ms) == ("ghcr.io/x/web:2: Tag moved", "warn", plane.clock.now_ms())
    assert "pinned by shop 1" in found.why
    assert new[7:19] in found.why
    assert wrong(plane, acting(("viewer", "fleet", "")), kind="tag-moved") == ()
    pass_by(plane, times=3)
    (body,) = plane.courier.bodies()
    assert (body["event"], body["faults"][0]["kind"], body["faults"][0]["title"]) == ("fault.opened", "tag-moved", found.title)
    subject, text = mail_of(body)
    assert subject == "[Penstock] ghcr.io/x/web:2: Tag moved"
    assert "What to do: See in Images from elsewhere" in text
    faults.acknowledge(plane, ADMIN, fault=found.id, until_ms=plane.clock.now_ms() + 86_400_000, reason="the vendor said so")
    assert wrong(plane, kind="tag-moved")[0].known is not None
    there("three")
    mirrors.check(plane, ADMIN)
    assert wrong(plane, kind="tag-moved")[0].known is None, "moved again, it is news again"
    published("2")
    assert wrong(plane, kind="tag-moved") == ()


# --- notices ------------------------------------------------------------------------------------------------------------


def dark(plane, api):
    """Two devices of which one is heard no more; the one that still is."""
    let_in(plane, api, "press-1")
    well = let_in(plane, api, "press-2")
    turn(plane, 700_000)
    well.poll()
    house.judge_liveness(plane)
    return well


def stay(plane, well, ms=60_000, times=1):
    for _ in range(times):
        well.poll()
        pass_by(plane, ms)


def test_one_message_for_one_cause_through_a_restart(plane, api, tmp_path):
    well = dark(plane, api)
    made = a_notice(plane)
    stay(plane, well, times=4)
    (body,) = plane.courier.bodies()
    (line,) = body["faults"]
    assert (body["event"], line["title"], line["site"]) == ("fault.opened", "press-1: Away", "plant-1")
    assert line["remedy"]
    house.write_heartbeats(plane)
    plane.db.close()
    again = make_plane(tmp_path)
    again.courier = Shelf()
    turn(again, plane.clock.now_ms() - again.clock.now_ms())
    try:
        house.judge_liveness(again)
        pass_by(again, times=3)
        told = [line for body in again.courier.bodies() for line in body["faults"]]
        assert [one["what"] for one in told if one["title"] == "press-1: Away"] == [], "a restart repeats nothing"
        assert notices.get_notice(again, ADMIN, notice="pager").standing.last_outcome == "delivered"
        assert made.view.target.id == notices.get_notice(again, ADMIN, notice="pager").target.id
    finally:
        again.db.close()


def test_what_does_not_arrive_is_kept_in_order_tried_for_a_day_and_then_a_fault(plane, api):
    well = dark(plane, api)
    a_notice(plane, rules=Rules(acts=("site.",)))
    plane.courier.broken = "it answered 500"
    stay(plane, well, times=2)
    for n in range(3):
        sites.create_site(plane, ADMIN, name=f"extra-{n}")
    stay(plane, well)
    assert plane.db.view(store.queued)[notices.get_notice(plane, ADMIN, notice="pager").target.id] == 4
    stay(plane, well, 3_600_000)
    found = wrong(plane, kind="notices-failing")[0]
    assert "it answered 500" in found.why
    plane.courier.broken = ""
    stay(plane, well, 3_600_000)
    bodies = plane.courier.bodies()
    assert [body["event"] for body in bodies][:4] == ["fault.opened", "act", "act", "act"]
    assert [body["act"]["data"]["name"] for body in bodies[1:4]] == ["extra-0", "extra-1", "extra-2"]
    assert wrong(plane, kind="notices-failing") == ()
    plane.courier.broken = "it answered 500"
    sites.create_site(plane, ADMIN, name="last")
    stay(plane, well, 3_600_000, 26)
    assert plane.db.view(store.queued) == {}
    assert notices.get_notice(plane, ADMIN, notice="pager").standing.last_outcome == "given-up"
    record = plane.db.view(lambda tx: events.after(tx, rights.EVERYWHERE, 0, "", 1000))
    assert [event.reason for event in record if event.verb == "notice.given-up"] == ["it answered 500"]
    assert "pager" in wrong(plane, kind="notices-failing")[0].why


def test_a_notice_of_a_site_hears_of_that_site_only(plane, api):
    let_in(plane, api, "press-1")
    let_in(plane, api, "press-2", "plant-2")
    here = next(s.site.id for s in sites.list_sites(plane, ADMIN) if s.site.name == "plant-2")
    owner = acting(("site-owner", "site", here))
    with pytest.raises(Forbidden):
        a_notice(plane, actor=owner)
    with pytest.raises(Missing):
        a_notice(plane, actor=owner, site="plant-1")
    a_notice(plane, "ours", owner, site="plant-2", rules=Rules(acts=("site.",)))
    a_notice(plane, "theirs")
    assert [one.target.name for one in notices.list_notices(plane, owner)] == ["ours"]
    for act in (lambda: notices.get_notice(plane, owner, notice="theirs"), lambda: notices.remove_notice(plane, owner, notice="theirs", revision=1)):
        with pytest.raises(Missing):
            act()
    with pytest.raises(Forbidden):
        notices.remove_notice(plane, acting(("viewer", "fleet", "")), notice="ours", revision=1)
    sites.change_site(plane, ADMIN, site="plant-1", revision=1, title="One")
    sites.change_site(plane, ADMIN, site="plant-2", revision=1, title="Two")
    turn(plane, 700_000)
    pass_by(plane, times=3)
    said = [body for body in plane.courier.bodies() if body["notice"] == "ours"]
    assert {line["site"] for body in said for line in body.get("faults", ())} == {"Two"}
    assert [body["act"]["site"] for body in said if body["event"] == "act"] == ["Two"]
    assert "press-1" not in json.dumps(said)


def test_secrets_are_sealed_shown_once_and_go_to_no_other_address(plane, api):
    made = a_notice(plane)
    assert len(made.secret) == 64
    assert made.secret not in repr(notices.list_notices(plane, ADMIN))
    found = plane.db.view(lambda tx: store.find(tx, rights.EVERYWHERE, "pager"))
    assert made.secret not in repr(found)
    notices.send_test(plane, ADMIN, notice="pager")
    assert plane.courier.carried[0].secret == made.secret.encode()
    elsewhere = {"url": "https://elsewhere.example/", "ca": ""}
    with pytest.raises(Invalid) as refused:
        notices.change_notice(plane, ADMIN, notice="pager", revision=1, way=elsewhere)
    assert refused.value.field == "secret"
    changed = notices.change_notice(plane, ADMIN, notice="pager", revision=1, way=elsewhere, secret="n" * 20)
    with pytest.raises(Stale):
        notices.change_notice(plane, ADMIN, notice="pager", revision=1, enabled=False)
    notices.send_test(plane, ADMIN, notice="pager")
    assert plane.courier.carried[1].secret == b"n" * 20
    record = plane.db.view(lambda tx: events.after(tx, rights.EVERYWHERE, 0, "", 1000))
    assert made.secret not in repr(record)
    assert "secret-path" not in repr(record)
    with pytest.raises(Stale):
        notices.remove_notice(plane, ADMIN, notice="pager", revision=1)
    notices.remove_notice(plane, ADMIN, notice="pager", revision=changed.target.revision)
    assert notices.list_notices(plane, ADMIN) == ()


def test_one_that_is_off_is_told_nothing_and_nothing_afterwards(plane, api):
    well = dark(plane, api)
    a_notice(plane, rules=Rules(acts=("site.",)))
    notices.change_notice(plane, ADMIN, notice="pager", revision=1, enabled=False)
    sites.create_site(plane, ADMIN, name="meanwhile")
    stay(plane, well, times=3)
    assert plane.courier.bodies() == []
    notices.change_notice(plane, ADMIN, notice="pager", revision=2, enabled=True)
    stay(plane, well, times=3)
    assert [body["event"] for body in plane.courier.bodies()] == ["fault.opened"]


MAIL = {"host": "mail.example", "port": 587, "security": "starttls", "user": "", "sender": "plane@plant.example", "to": ["mara@plant.example"], "ca": ""}
HOOK = {"url": "https://x.example/", "ca": ""}


@pytest.mark.parametrize(
    ("kind", "way", "secret", "rules", "field"),
    [
        ("webhook", {"url": "http://x.example/", "ca": ""}, "", Rules(), "webhook.url"),
        ("webhook", {"url": "https://x.example/?a=b", "ca": ""}, "", Rules(), "webhook.url"),
        ("webhook", {**HOOK, "ca": "no certificate"}, "", Rules(), "webhook.ca"),
        ("webhook", HOOK, "short", Rules(), "secret"),
        ("webhook", HOOK, "", Rules(quiet="at night"), "rules.quiet"),
        ("webhook", HOOK, "", Rules(time_zone="Mars/Olympus"), "rules.time_zone"),
        ("webhook", HOOK, "", Rules(kinds=("rust",)), "rules.kinds"),
        ("webhook", HOOK, "", Rules(acts=("deployment.\n",)), "rules.acts"),
        ("webhook", HOOK, "", Rules(per_hour=0), "rules.per_hour"),
        ("email", {**MAIL, "to": ["mara"]}, "", Rules(), "email.to"),
        ("email", {**MAIL, "to": ["mara@plant.example\r\nBcc: eve@x.example"]}, "", Rules(), "email.to"),
        ("email", {**MAIL, "sender": "a b@c"}, "", Rules(), "email.sender"),
        ("email", {**MAIL, "host": "-"}, "", Rules(acts=("a.",)), "rules.acts"),
        ("email", {**MAIL, "host": "a/b"}, "", Rules(), "email.host"),
        ("email", {**MAIL, "security": "none", "user": "plane"}, "p4ssw0rd", Rules(), "email.security"),
        ("email", {**MAIL, "user": "plane"}, "", Rules(), "secret"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_what_cannot_be_used_is_refused_by_its_field(plane, kind, way, secret, rules, field):
    with pytest.raises(Invalid) as refused:
        notices.create_notice(plane, ADMIN, name="bad", kind=kind, way=way, secret=secret, rules=rules)
    assert refused.value.field == field
    assert plane.db.view(store.count) == 0


def test_a_name_is_taken_once(plane):
    a_notice(plane)
    with pytest.raises(Conflict):
        a_notice(plane)


def test_from_a_device_to_a_real_receiver_and_a_real_mailbox(plane, api, tmp_path):
    well = dark(plane, api)
    with Hook(tmp_path, 500, 200) as hook, Post(tmp_path, users={"plane": "p4ssw0rd"}) as post:
        plane.courier = NetCourier(loopback=True, step_s=3.0, whole_s=5.0)
        made = notices.create_notice(plane, ADMIN, name="hook", kind="webhook", way={"url": hook.url, "ca": hook.ca})
        way = {**MAIL, "host": "localhost", "port": post.port, "user": "plane", "ca": post.ca}
        notices.create_notice(plane, ADMIN, name="mail", kind="email", way=way, secret="p4ssw0rd", rules=Rules(time_zone="Europe/Berlin"))
        stay(plane, well, times=2)
        assert len(hook.got) == 1
        assert notices.get_notice(plane, ADMIN, notice="hook").standing.last_why == "it answered 500: ok"
        stay(plane, well)
        first, second = hook.got
        assert first.body == second.body, "the very same, tried again"
        at = int(second.headers["penstock-signature"].partition(",")[0][2:])
        assert second.headers["penstock-signature"] == signature(made.secret.encode(), at, second.body)
        assert json.loads(second.body)["id"] == second.headers["penstock-notice"]
        (mail,) = post.mails
        assert "Subject: [Penstock] press-1: Away" in mail.text
        assert (mail.user, mail.encrypted) == ("plane", True)
        view, why = notices.send_test(plane, ADMIN, notice="mail")
        assert (why, view.standing.last_outcome) == ("", "delivered")
        assert "[Penstock] Test" in post.mails[1].text
