"""Publishing packages: the same files give the same release however they come, nothing is ever half there, and the files come back as they were."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from penstock.apiv1 import archives
from penstock.server.actions import packages, releases
from penstock.server.core.errors import Conflict, Invalid, Missing
from penstock.server.core.release import load
from penstock.server.store import packages as store
from penstock.server.store.tables_packages import package_contents
from tests.apiv1.test_archives import as_tar, as_zip
from tests.server.core.test_package import EXAMPLE, example
from tests.server.planes import ADMIN, COMPOSE, a_release, make_plane
from tests.server.pushing import push, small_image

ROOT = Path(__file__).parents[3]


def images(plane) -> None:
    for name, tag in (("collector", "1.4.0"), ("collector", "1.5.0"), ("dashboard", "1.4.0"), ("broker", "2.0"), ("simulator", "1.4.0")):
        push(plane.blobs, f"line-monitor/{name}", small_image(f"{name} {tag}", ("linux/amd64", "linux/arm64")), tag)


@pytest.fixture
def plane(tmp_path):
    made = make_plane(tmp_path)
    images(made)
    yield made
    made.db.close()


def publish(plane, files, **more):
    return releases.publish(plane, ADMIN, given=releases.Given(files=files, **more))


def test_a_package_says_itself_what_it_is_and_comes_back_byte_for_byte(plane):
    files = example()
    made = publish(plane, files)
    assert (made.app, made.version) == ("line-monitor", "1.4.0")
    row, back = packages.get_files(plane, ADMIN, release="line-monitor:1.4.0")
    assert (row.id, back) == (made.id, files)
    found = packages.get_package(plane, ADMIN, release=made.id)
    assert (found.said.title, found.said.vendor, found.said.icon) == ("Line monitor", "Example Works GmbH", "icon.svg")
    assert found.readme == (EXAMPLE / "README.md").read_text()
    assert [one.path for one in found.files] == sorted(files)
    assert packages.get_icon(plane, ADMIN, release=made.id) == ("icon.svg", files["icon.svg"])
    app = releases.get_app(plane, ADMIN, app="line-monitor")
    assert (app.title, app.vendor, app.icon) == ("Line monitor", "Example Works GmbH", "1.4.0")


def test_the_same_input_gives_the_same_release(plane):
    files = example()
    first = publish(plane, files)
    forms = (as_tar(dict(reversed(files.items())), when=1_700_000_000), as_tar(files, "w:gz", top="line-monitor/"), as_zip(files), archives.pack(files))
    for form in forms:
        assert publish(plane, archives.unpack(form)).id == first.id
    # Another plane, another day: the digest is of the content alone.
    other = make_plane(Path(plane.db.url.removeprefix("sqlite:///")).parent / "other")
    try:
        images(other)
        assert publish(other, files).digest == first.digest
    finally:
        other.db.close()
    for path in ("README.md", "icon.svg", "LICENSE", "broker/.env", "collector.env"):
        with pytest.raises(Conflict):
            publish(plane, {**files, path: files[path] + b"\n"})


def test_one_compose_file_is_the_same_release_with_or_without_a_folder(plane):
    made = a_release(plane)
    text = COMPOSE.format(version="1").encode()
    assert releases.publish(plane, ADMIN, given=releases.Given(files={"compose.yaml": text}), app="shop", version="1").id == made.id
    assert load(made.document).files == {}
    assert packages.get_files(plane, ADMIN, release=made.id)[1] == {"compose.yaml": text}
    with pytest.raises(Missing):
        packages.get_icon(plane, ADMIN, release=made.id)


def test_overlays_and_profiles_are_chosen_when_publishing(plane):
    files = example() | {"prod.yaml": b"services: {dashboard: {environment: {MODE: prod}}}"}
    made = load(publish(plane, files, entries=("compose.yaml", "prod.yaml"), profiles=("demo",)).document)
    services = {one["name"]: one for one in made.services}
    assert set(services) == {"broker", "collector", "dashboard", "simulator"}
    assert services["dashboard"]["environment"]["MODE"] == "prod"


def test_a_package_is_not_published_as_something_else(plane):
    with pytest.raises(Invalid) as caught:
        releases.publish(plane, ADMIN, given=releases.Given(files=example()), version="9")
    assert caught.value.code == "version-differs"
    with pytest.raises(Invalid) as caught:
        releases.publish(plane, ADMIN, given=releases.Given(files={"compose.yaml": b"services: {a: {image: line-monitor/broker:2.0}}"}))
    assert caught.value.code == "app-missing"


def test_faults_name_their_file(plane):
    files = example() | {"broker/compose.yaml": b"services:\n  broker:\n    image: line-monitor/gone:1\n    imagee: x\n"}
    with pytest.raises(Invalid) as caught:
        publish(plane, files)
    assert [(getattr(fault, "file", ""), getattr(fault, "line", 0)) for fault in caught.value.faults] == [("broker/compose.yaml", 4)]
    files["broker/compose.yaml"] = b"services:\n  broker:\n    image: line-monitor/gone:1\n"
    with pytest.raises(Invalid) as caught:
        publish(plane, files)
    assert [(getattr(fault, "file", ""), getattr(fault, "line", 0)) for fault in caught.value.faults] == [("broker/compose.yaml", 3)]
    found = releases.check(plane, ADMIN, given=releases.Given(files=files))
    assert str(found.faults[0]).startswith("broker/compose.yaml, line 3, column 5: services.broker.image: the image line-monitor/gone:1 is not in")


KILLED = """
import os, sys
from pathlib import Path
from penstock.server.actions import releases
from penstock.server.store import packages
from tests.server.actions.test_publishing import images, publish
from tests.server.core.test_package import example
from tests.server.planes import make_plane
plane = make_plane(Path(sys.argv[1]))
images(plane)
add = packages.add
def killed(*given):
    add(*given)
    os._exit(9)
releases.packages.add = killed
publish(plane, example())
"""


def test_killed_in_between_nothing_is_half_there(tmp_path):
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path / "plane")], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 9
    plane = make_plane(tmp_path / "plane")
    try:
        images(plane)
        assert releases.list_apps(plane, ADMIN) == ()
        made = publish(plane, example())
        assert plane.db.view(lambda tx: len(store.files_of(tx, made.id))) == len(example())
    finally:
        plane.db.close()


def test_content_that_two_releases_have_is_kept_once(plane):
    publish(plane, example())
    files = example()
    files["penstock.yaml"] = files["penstock.yaml"].replace(b"1.4.0", b"1.5.0")
    publish(plane, files)
    count = plane.db.view(lambda tx: tx.run(package_contents.select()).all())
    assert len(count) == len(example()) + 1


def test_what_a_release_changes(plane):
    old = publish(plane, example())
    files = example()
    files["penstock.yaml"] = files["penstock.yaml"].replace(b"version: 1.4.0", b"version: 1.5.0").replace(b"soak: 60s", b"soak: 90s")
    files["compose.yaml"] = files["compose.yaml"].replace(b"collector:1.4.0", b"collector:1.5.0").replace(b"${LINE:-press}", b"${LINE:-paint}")
    new = publish(plane, files)
    whole = releases.compare(plane, ADMIN, old=old.id, new="line-monitor:1.5.0")
    found = whole.change
    assert (whole.old.id, whole.new.id, whole.device, whole.engine, whole.engines) == (old.id, new.id, "", "", ())
    assert {part.name: part.restarts for part in found.services} == {"broker": False, "collector": True, "dashboard": False}
    collector = next(part for part in found.services if part.name == "collector")
    assert collector.why == "its container is made anew: environment.LINE and image change"
    assert [(part.name, part.touched, part.policy, part.services) for part in found.volumes] == [("history", True, "snapshot", ("collector",))]
    assert [(part.name, part.kind) for part in found.parameters if part.kind != "same"] == [("LINE", "changed")]
    image = next(part for part in found.images if part.kind != "same")
    assert (image.service, image.before, image.after) == ("collector", "line-monitor/collector:1.4.0", "line-monitor/collector:1.5.0")
    assert image.before_digest != image.after_digest
    # Of the new image everything but what both have is fetched.
    before = {
        blob.digest: blob.size
        for item in load(old.document).images
        for v in item.variants
        if v.platform == "linux/arm64"
        for blob in (v.manifest, v.config, *v.layers)
    }
    after = {
        blob.digest: blob.size
        for item in load(new.document).images
        for v in item.variants
        if v.platform == "linux/arm64"
        for blob in (v.manifest, v.config, *v.layers)
    }
    assert found.fetched["linux/arm64"] == sum(size for digest, size in after.items() if digest not in before) > 0
    assert [(part.path, part.kind) for part in found.files] == [("compose.yaml", "changed"), ("penstock.yaml", "changed")]
    assert [(part.field, part.before, part.after) for part in found.settings] == [("soak_s", "60", "90")]
    assert releases.compare(plane, ADMIN, old=old.id, new=old.id).change.same


def test_another_tag_of_the_same_image_restarts_nothing(plane):
    push(plane.blobs, "line-monitor/broker", small_image("broker 2.0", ("linux/amd64", "linux/arm64")), "2.0.1")
    text = "services: {{a: {{image: line-monitor/broker:{}}}}}"
    old, new = (releases.publish(plane, ADMIN, source=text.format(tag).encode(), app="tags", version=tag) for tag in ("2.0", "2.0.1"))
    found = releases.compare(plane, ADMIN, old=old.id, new=new.id).change
    assert [(part.restarts, part.why) for part in found.services] == [(False, "it goes on running; image changes")]


def test_a_mounted_file_that_changes_restarts_who_mounts_it(plane):
    files = {"compose.yaml": b"services: {a: {image: line-monitor/broker:2.0, volumes: ['./a.conf:/etc/a.conf:ro']}}", "a.conf": b"one"}
    old = releases.publish(plane, ADMIN, given=releases.Given(files=files), app="mounts", version="1")
    new = releases.publish(plane, ADMIN, given=releases.Given(files={**files, "a.conf": b"two"}), app="mounts", version="2")
    found = releases.compare(plane, ADMIN, old=old.id, new=new.id).change
    assert [(part.name, part.restarts, part.why) for part in found.services] == [("a", True, "its container is made anew: files./etc/a.conf changes")]
    assert "b25l" not in str(found.services), "content is told by its digest"
    assert [(part.path, part.kind) for part in found.files] == [("a.conf", "changed")]
