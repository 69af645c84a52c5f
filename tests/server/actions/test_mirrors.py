"""Images copied for a release, looked at again, never followed; with registries in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from penstock.server.actions import inventory, mirrors, releases, upstreams
from penstock.server.core.attached import Tally, fallback_tag
from penstock.server.core.errors import Conflict, Forbidden, Invalid, Missing
from penstock.server.core.mirrors import DONE, FAILED, at_digest
from penstock.server.core.oci import read_manifest
from penstock.server.effects.upstream import UNREACHABLE, UpstreamFault
from penstock.server.effects.upstream_memory import MemoryUpstream
from penstock.server.store import mirrors as store
from penstock.server.store.tables import events
from penstock.wire.types import sha256_of
from tests.attaching import cosigned, listing, put, referrer, spdx
from tests.server.people import person
from tests.server.planes import ADMIN, make_plane, turn
from tests.server.pushing import push, small_image

FILE = b"services:\n  web:\n    image: ghcr.io/x/web:2\n  db:\n    image: shop/db:1\n"
SOURCE = "ghcr.io/x/web:2"


@pytest.fixture
def plane(tmp_path):
    made = make_plane(tmp_path)
    made.upstream = MemoryUpstream()
    push(made.blobs, "shop/db", small_image("db"), "1")
    there(made, "one")
    yield made
    made.db.close()


def there(plane, text, platforms=("linux/amd64", "linux/arm64"), name=SOURCE):
    """An image in the other registry; its digest."""
    image = small_image(text, platforms)
    return plane.upstream.put(name, image.blobs, image.index or image.variants[0].manifest)


def publish(plane, version="1", actor=ADMIN, **more):
    return releases.publish(plane, actor, source=FILE, app="shop", version=version, **more)


def published(plane, version="1", **more):
    """As a person does it: ask again until the copies are made."""
    with pytest.raises(Conflict, match="images-on-their-way"):
        publish(plane, version, **more)
    assert mirrors.copy_next(plane)
    return publish(plane, version, **more)


def allow(plane, **more):
    upstreams.set_upstream(plane, ADMIN, host="ghcr.io", **more)


def only(plane):
    (view,) = mirrors.list_mirrors(plane, ADMIN)
    return view


def verbs(plane):
    """What the record says of mirrors, in order."""
    query = select(events.c.verb).where(events.c.verb.like("mirror.%")).order_by(events.c.number)
    return plane.db.view(lambda tx: list(tx.run(query).scalars()))


def test_an_image_of_another_registry_is_copied_and_pinned(plane):
    allow(plane)
    digest = plane.upstream.tags[SOURCE]
    made = published(plane)
    view = releases.get_release(plane, ADMIN, release=made.id)
    assert {item.image.name: item.image.index for item in view.images}[SOURCE] == digest
    assert plane.blobs.manifest("ghcr.io/x/web", "2").digest == digest
    assert only(plane).mirror.state == DONE
    assert only(plane).releases == ("shop 1",)
    assert publish(plane).digest == made.digest, "again is the same, and copies nothing"
    assert len(plane.upstream.fetched) == 2


def test_nothing_is_copied_from_a_registry_that_nobody_allowed(plane):
    with pytest.raises(Invalid) as refused:
        publish(plane)
    said = str(refused.value)
    assert "ghcr.io is not among the registries that images are copied from (penstock upstream set ghcr.io)" in said
    assert refused.value.remedy == "copy it: skopeo copy --all docker://ghcr.io/x/web:2 docker://127.0.0.1:8443/ghcr.io/x/web:2"
    assert plane.blobs.manifest("ghcr.io/x/web", "2") is None


def test_a_plane_that_copies_nothing_says_so(plane):
    allow(plane)
    plane.upstream = None
    with pytest.raises(Invalid, match="mirror is off"):
        publish(plane)
    assert not mirrors.copy_next(plane)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (UpstreamFault("absent", "skopeo is not installed on the control plane's machine"), "skopeo is not installed"),
        (UpstreamFault(UNREACHABLE, "dial tcp: no such host"), "dial tcp: no such host"),
    ],
)
def test_a_copy_that_fails_says_which_and_what_to_type_and_leaves_no_tag(plane, fault, said):
    allow(plane)
    plane.upstream.faults["ghcr.io"] = fault
    with pytest.raises(Conflict):
        publish(plane)
    assert mirrors.copy_next(plane)
    with pytest.raises(Invalid, match=said) as refused:
        publish(plane)
    assert SOURCE in str(refused.value)
    assert "skopeo copy --all docker://ghcr.io/x/web:2" in refused.value.remedy
    assert plane.blobs.manifest("ghcr.io/x/web", "2") is None
    del plane.upstream.faults["ghcr.io"]
    assert published(plane).version == "1", "told once, it is tried anew"


def test_a_copy_that_breaks_off_goes_on_where_it_was(plane):
    allow(plane)
    arm = plane.upstream.content[plane.upstream.tags[SOURCE]]
    last = read_manifest(arm).children[-1].digest
    plane.upstream.breaks.add(last)
    with pytest.raises(Conflict):
        publish(plane)
    mirrors.copy_next(plane)
    assert plane.blobs.tags("ghcr.io/x/web") == ()
    assert only(plane).mirror.state == FAILED
    with pytest.raises(Invalid, match="unexpected EOF"):
        publish(plane)
    plane.upstream.breaks.clear()
    before = len(plane.upstream.fetched)
    published(plane)
    assert len(plane.upstream.fetched) == before + 1, "the platform that had come was not fetched again"


def test_what_a_process_died_over_is_made_by_the_next(plane):
    allow(plane)
    with pytest.raises(Conflict):
        publish(plane)
    plane.db.update(lambda tx: store.stand(tx, only(plane).mirror.id, state="copying"))
    assert mirrors.copy_next(plane)
    assert publish(plane).version == "1"


def test_limits_of_size_and_room(plane):
    allow(plane)
    plane.upstream.free = 1000
    with pytest.raises(Conflict):
        publish(plane)
    mirrors.copy_next(plane)
    assert "bytes of room here, and 1000 are free" in only(plane).mirror.why
    plane.limits = replace(plane.limits, mirror_bytes=10)
    with pytest.raises(Invalid):
        publish(plane)
    with pytest.raises(Conflict):
        publish(plane)
    mirrors.copy_next(plane)
    assert "more than the 10 allowed" in only(plane).mirror.why
    assert plane.upstream.fetched == []


def test_some_platforms(plane):
    allow(plane)
    made = published(plane, platforms=("linux/arm64",))
    image = next(item.image for item in releases.get_release(plane, ADMIN, release=made.id).images if item.image.name == SOURCE)
    assert [variant.platform for variant in image.variants] == ["linux/arm64"]
    wider = published(plane, "2", platforms=("linux/amd64",))
    image = next(item.image for item in releases.get_release(plane, ADMIN, release=wider.id).images if item.image.name == SOURCE)
    assert [variant.platform for variant in image.variants] == ["linux/amd64", "linux/arm64"]
    with pytest.raises(Invalid, match="is no platform"):
        publish(plane, "3", platforms=("arm64",))


def test_a_check_says_what_publishing_would_copy(plane):
    assert "ghcr.io" in releases.check(plane, ADMIN, source=FILE, app="shop").faults[0].why
    allow(plane)
    found = releases.check(plane, ADMIN, source=FILE, app="shop")
    assert (found.faults, found.copies, found.services) == ((), (SOURCE,), ("db", "web") if found.services[0] == "db" else ("web", "db"))
    broken = FILE.replace(b"shop/db:1", b"shop/db:9")
    assert [fault.path for fault in releases.check(plane, ADMIN, source=broken, app="shop").faults] == ["services.db.image"]
    assert mirrors.list_mirrors(plane, ADMIN) == ()


def test_a_moved_tag_is_told_and_never_followed(plane):
    allow(plane)
    made = published(plane)
    old = plane.upstream.tags[SOURCE]
    new = there(plane, "two")
    assert mirrors.check_due(plane) == 0, "not due yet"
    turn(plane, plane.limits.mirror_check_s * 1000)
    assert mirrors.check_due(plane) == 1
    seen = only(plane)
    assert (seen.mirror.upstream, seen.mirror.seen, seen.releases) == (old, new, ("shop 1",))
    assert seen.mirror.moved_ms == plane.clock.now_ms()
    assert plane.blobs.manifest("ghcr.io/x/web", "2").digest == old
    assert publish(plane).digest == made.digest, "the release stays what it is"
    took = published(plane, "2")
    assert took.digest != made.digest
    assert plane.blobs.manifest("ghcr.io/x/web", "2").digest == new
    assert plane.blobs.manifest("ghcr.io/x/web", old) is not None, "what shop 1 pins stays"
    assert only(plane).mirror.moved_ms == 0


def test_an_upstream_that_is_away_and_a_tag_that_went(plane):
    allow(plane)
    published(plane)
    plane.upstream.faults["ghcr.io"] = UpstreamFault(UNREACHABLE, "no route to host")
    turn(plane, 1000)
    (view,) = mirrors.check(plane, ADMIN)
    since = view.mirror.unreachable_ms
    assert (since, view.mirror.unreachable_why) == (plane.clock.now_ms(), "no route to host")
    turn(plane, 1000)
    assert mirrors.check(plane, ADMIN, mirror=SOURCE)[0].mirror.unreachable_ms == since
    plane.upstream.faults.clear()
    del plane.upstream.tags[SOURCE]
    (view,) = mirrors.check(plane, ADMIN)
    assert view.mirror.unreachable_ms == 0
    assert view.mirror.gone_ms == plane.clock.now_ms()
    assert verbs(plane) == ["mirror.copied", "mirror.unreachable", "mirror.gone"]
    mirrors.check(plane, ADMIN)
    assert len(verbs(plane)) == 3, "nothing new is told twice"


def test_a_name_without_a_registry_is_looked_for_on_the_hub_unless_it_is_ones_own(plane):
    file = b"services:\n  a:\n    image: redis:7\n  b:\n    image: grafana/grafana:10\n  c:\n    image: shop/web:1\n"
    there(plane, "redis", name="docker.io/library/redis:7")
    there(plane, "grafana", name="docker.io/grafana/grafana:10")
    there(plane, "somebody else's", name="docker.io/shop/web:1")

    def again():
        return releases.publish(plane, ADMIN, source=file, app="mixed", version="1")

    with pytest.raises(Invalid) as refused:
        again()
    assert "docker.io" not in str(refused.value), "nobody said that anything may come from there"
    upstreams.set_upstream(plane, ADMIN, host="docker.io")
    with pytest.raises(Conflict):
        again()
    assert mirrors.copy_next(plane)
    assert mirrors.copy_next(plane)
    assert not mirrors.copy_next(plane)
    with pytest.raises(Invalid, match="the image shop/web:1 is not in the built-in registry") as refused:
        again()
    assert len(refused.value.faults) == 1
    push(plane.blobs, "shop/web", small_image("own"), "1")
    assert again().version == "1"
    assert {view.mirror.repository for view in mirrors.list_mirrors(plane, ADMIN)} == {"redis", "grafana/grafana"}


# --- what is attached there ---------------------------------------------------------------------------------------------


def attach(plane, made, tag=""):
    """A manifest with its blobs there, under a tag."""
    digest = sha256_of(made[0])
    plane.upstream.content |= {**made[1], digest: made[0]}
    if tag:
        plane.upstream.tags[f"ghcr.io/x/web:{tag}"] = digest
    return digest


def test_what_is_attached_comes_along_by_a_list_of_referrers_and_by_tags(plane):
    allow(plane)
    top = plane.upstream.tags[SOURCE]
    list_ = referrer(top, 2, spdx("pkg:npm/left-pad@1.0.0"))
    attach(plane, list_)
    plane.upstream.lists = {top: listing(list_[0])}
    attach(plane, cosigned(b"sig"), f"{fallback_tag(top)}.sig")
    published(plane)
    assert (only(plane).mirror.attached, only(plane).mirror.attached_why) == (2, "")
    assert verbs(plane) == ["mirror.copied", "mirror.attached"]
    inventory.index(plane)
    shown = [one for found in inventory.attachments(plane, ADMIN, release="shop:1") for one in found.attached]
    assert sorted(one.kind for one in shown) == ["signature", "spdx"]
    mirrors.check(plane, ADMIN)
    assert verbs(plane) == ["mirror.copied", "mirror.attached"], "nothing new is told twice"


def test_what_is_wrong_with_one_of_them_keeps_no_other_and_no_release_away(plane):
    allow(plane)
    top = plane.upstream.tags[SOURCE]
    foreign, good, gone = referrer("sha256:" + "1" * 64, 2, b"a"), referrer(top, 2, b"b", "application/x"), referrer(top, 2, b"c", "application/x")
    attach(plane, foreign)
    attach(plane, good)
    attach(plane, gone)
    plane.upstream.breaks.add(sha256_of(b"c"))
    plane.upstream.lists = {top: listing(foreign[0], good[0], gone[0], b"never pushed")}
    published(plane)
    found = only(plane).mirror
    assert (found.state, found.attached) == (DONE, 1)
    first = f"{sha256_of(foreign[0])[7:19]}: it does not name the image it is listed for"
    assert found.attached_why == f"not all that is attached to it there is here, 3 times over; the first: {first}"
    assert plane.blobs.referrers("ghcr.io/x/web", "sha256:" + "1" * 64) == ()
    plane.upstream.breaks.clear()
    assert mirrors.check(plane, ADMIN)[0].mirror.attached == 2


def test_limits_of_what_comes_along(plane, monkeypatch):
    allow(plane)
    top = plane.upstream.tags[SOURCE]
    many = [referrer(top, 2, b"%d" % at, "application/x") for at in range(4)]
    for one in many:
        attach(plane, one)
    plane.upstream.lists = {top: listing(*(one[0] for one in many))}
    monkeypatch.setattr("penstock.server.actions.takingin.Tally", lambda: Tally(most=3))
    published(plane)
    assert only(plane).mirror.attached == 3
    assert "more than 3 documents are attached to it" in only(plane).mirror.attached_why


def test_a_registry_that_cannot_be_asked_for_it_costs_no_release(plane, monkeypatch):
    allow(plane)

    def away(self, *_):
        raise UpstreamFault(UNREACHABLE, "ghcr.io answers 503")

    monkeypatch.setattr(MemoryUpstream, "attached", away)
    assert published(plane).version == "1"
    assert only(plane).mirror.attached_why == "what is attached to it there could not be copied: ghcr.io answers 503"


def test_what_was_attached_here_under_the_same_tag_is_not_lost(plane):
    allow(plane)
    top = plane.upstream.tags[SOURCE]
    tag = f"{fallback_tag(top)}.sig"
    attach(plane, cosigned(b"theirs"), tag)
    published(plane)
    ours = put(plane.blobs, "ghcr.io/x/web", cosigned(b"theirs", b"ours"), tag)
    mirrors.check(plane, ADMIN)
    assert plane.blobs.manifest("ghcr.io/x/web", tag).digest == ours
    assert f"{top[7:19]}.sig: what is here under that tag has more in it than what is there, and stays" in only(plane).mirror.attached_why
    attach(plane, cosigned(b"theirs", b"ours", b"more"), tag)
    mirrors.check(plane, ADMIN)
    assert only(plane).mirror.attached_why == ""
    assert plane.blobs.manifest("ghcr.io/x/web", tag).digest != ours


def test_of_some_platforms_only_theirs_comes(plane):
    allow(plane)
    top = plane.upstream.tags[SOURCE]
    amd, arm = (child.digest for child in read_manifest(plane.upstream.content[top]).children)
    for subject in (top, amd, arm):
        attach(plane, cosigned(subject.encode()), f"{fallback_tag(subject)}.sig")
    published(plane, platforms=("linux/arm64",))
    assert only(plane).mirror.attached == 1
    assert [tag for tag in plane.blobs.tags("ghcr.io/x/web") if tag.endswith(".sig")] == [f"{fallback_tag(arm)}.sig"]


def test_a_mirror_by_digest_is_looked_at_for_what_is_attached_later(plane):
    allow(plane)
    top = plane.upstream.tags[SOURCE]
    plane.upstream.tags[f"{at_digest(SOURCE, top)}"] = top
    file = FILE.replace(b"web:2", f"web@{top}".encode())
    with pytest.raises(Conflict):
        releases.publish(plane, ADMIN, source=file, app="shop", version="1")
    assert mirrors.copy_next(plane)
    attach(plane, cosigned(b"sig"), f"{fallback_tag(top)}.sig")
    turn(plane, plane.limits.mirror_check_s * 1000)
    assert mirrors.check_due(plane) == 1
    found = only(plane).mirror
    assert (found.attached, found.moved_ms, found.gone_ms) == (1, 0, 0)


# --- upstreams ----------------------------------------------------------------------------------------------------------


def test_a_password_signs_in_and_is_never_shown_again(plane):
    plane.upstream.passwords["ghcr.io"] = ("robot", "s3cret")
    allow(plane, user="robot", password="wrong")
    assert upstreams.test_upstream(plane, ADMIN, host="ghcr.io") == "unauthorized: authentication required"
    allow(plane, user="robot", password="s3cret")
    assert upstreams.test_upstream(plane, ADMIN, host="ghcr.io") == ""
    assert published(plane).version == "1"
    kept = upstreams.get_upstream(plane, ADMIN, host="ghcr.io")
    assert "s3cret" not in repr(kept)
    allow(plane, user="robot")
    assert upstreams.get_upstream(plane, ADMIN, host="ghcr.io").vaulted == kept.vaulted, "left out, it stays"
    with pytest.raises(Invalid, match="is not sent in a new way"):
        allow(plane, user="robot", insecure=True)
    with pytest.raises(Invalid, match="needs a password"):
        allow(plane, user="other")
    upstreams.remove_upstream(plane, ADMIN, host="ghcr.io")
    with pytest.raises(Missing):
        upstreams.get_upstream(plane, ADMIN, host="ghcr.io")


def test_who_may_what(plane):
    allow(plane)
    for role in ("publisher", "auditor", "site-operator"):
        actor = person(plane, role, (role, "fleet"))
        with pytest.raises(Forbidden):
            upstreams.set_upstream(plane, actor, host="quay.io")
    maker = person(plane, "pia", ("publisher", "fleet"))
    with pytest.raises(Conflict, match="images-on-their-way"):
        publish(plane, actor=maker)


def _has_app(plane):
    push(plane.blobs, "shop/web", small_image("x"), "1")
    releases.publish(plane, ADMIN, source=b"services:\n  db:\n    image: shop/db:1\n", app="shop", version="0")


def test_who_may_not_push_there_is_told_why(plane):
    allow(plane)
    _has_app(plane)
    bound = person(plane, "vera", ("publisher", "app:shop"))
    with pytest.raises(Invalid, match=r"this needs images\.push on ghcr\.io or on the whole fleet"):
        publish(plane, actor=bound)


def test_a_mirror_is_forgotten_and_its_image_stays(plane):
    allow(plane)
    published(plane)
    mirrors.forget(plane, ADMIN, mirror=SOURCE)
    assert mirrors.list_mirrors(plane, ADMIN) == ()
    assert plane.blobs.manifest("ghcr.io/x/web", "2") is not None


def test_a_check_of_a_package_with_a_part_says_what_either_would_copy(plane):
    allow(plane)
    files = {"compose.yaml": b"services:\n  db:\n    image: shop/db:1\n", "compose.podman.yaml": f"services:\n  db:\n    image: {SOURCE}\n".encode()}
    found = releases.check(plane, ADMIN, given=releases.Given(files=files), app="shop")
    assert (found.faults, found.copies) == ((), (SOURCE,))
    assert [(part.engine, part.difference) for part in found.parts] == [("podman", None)]
    files["compose.yaml"] = b"services:\n  db:\n    image: shop/db:9\n"
    (fault,) = releases.check(plane, ADMIN, given=releases.Given(files=files), app="shop").faults
    assert (fault.file, fault.path, fault.line) == ("compose.yaml", "services.db.image", 3), "the other one comes"
