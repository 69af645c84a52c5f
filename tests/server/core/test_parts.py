"""Parts of a package for engines: which there are, what they make, that they agree, and that what has none is as it always was."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.actions.images import find
from penstock.server.core import package, parts, release
from penstock.server.core.compose import ComposeError, Fault
from penstock.server.core.facts import Site
from penstock.server.core.hazards import hazards
from penstock.server.core.release import IN_PARTS
from penstock.server.effects.blobs_memory import MemoryContent
from penstock.wire.types import sha256_of
from tests.server.pushing import push, small_image

HERE = Site("press-4", "dev_a", "plant-7")
COMMON = b"""\
services:
  web:
    image: shop/web:1
    environment: {LEVEL: "${LEVEL:-info}", MODE: common}
    ports: ["8080:80"]
  db:
    image: shop/db:1
"""
PODMAN = b"""\
services:
  web:
    environment: {MODE: podman, SOCKET: "${SOCKET:?where the socket is}"}
    privileged: true
  extra:
    image: shop/extra:1
x-penstock: {needs: {memory: 64M}, soak: 5s}
"""
DOCKER = b"services: {web: {image: 'shop/web:2'}}\n"
FILES = {"compose.yaml": COMMON, "penstock.yaml": b"name: shop\nversion: '1'\n"}
BOTH = FILES | {"compose.podman.yaml": PODMAN, "compose.docker.yaml": DOCKER}
# What the code before there were parts made of FILES (with README.md "x"); see test_a_package_without_parts_is_as_it_was.
DIGEST, DOCUMENT = (
    "sha256:90aa377eb722e50b7f29138dd56d7f6a7c4dde0a80eecb863d4a3b3253bed274",
    "sha256:34e47b17eca0dca8744e8e1046d91f6f8255247664e5062371cfe92c6a142879",
)


def content_of() -> MemoryContent:
    made = MemoryContent()
    for name, tag, platforms in (("web", "1", ("linux/amd64", "linux/arm64")), ("web", "2", ("linux/amd64",)), ("db", "1", ("linux/amd64", "linux/arm64"))):
        push(made, f"shop/{name}", small_image(f"{name} {tag}", platforms), tag)
    push(made, "shop/extra", small_image("extra", ("linux/arm64",)), "1")
    return made


CONTENT = content_of()


def published(files, **more) -> release.Release:
    templates = package.read(files, **more)
    found = {one.name: find(CONTENT, one) for one in parts.images_wanted(templates)}
    digests = {path: sha256_of(text) for path, text in files.items()}
    return parts.publish("shop", "1", templates, found, "plane:8443", files=digests)


def refused(files, **more) -> tuple[Fault, ...]:
    with pytest.raises(ComposeError) as caught:
        published(files, **more)
    assert all(fault.why for fault in caught.value.faults)
    return caught.value.faults


def state(made: release.Release, engine: str, **values):
    return release.resolve(made.of(engine), values, {}, HERE, release_digest=release.digest(made))


def mode(made, engine, **values):
    services = {one.name: one for one in state(made, engine, **values).services}
    return services["web"].environment["MODE"], services["web"].image, sorted(services)


def test_each_engine_gets_its_own():
    made = published(BOTH)
    assert mode(made, "docker") == ("common", "shop/web:2", ["db", "web"])
    assert mode(made, "podman", SOCKET="/x") == ("podman", "shop/web:1", ["db", "extra", "web"])
    for other in ("", "fake", "kubernetes"):
        assert mode(made, other) == ("common", "shop/web:1", ["db", "web"])
    assert [image.name for image in made.every_image] == ["shop/db:1", "shop/extra:1", "shop/web:1", "shop/web:2"]
    assert [image.name for image in state(made, "podman", SOCKET="/x").images] == ["shop/db:1", "shop/extra:1", "shop/web:1"]
    assert made.of("podman").soak_s == 5
    assert (made.needs.memory_bytes, made.of("podman").needs.memory_bytes) == (0, 64 << 20)


def test_it_is_kept_whole_and_comes_back():
    made = published(BOTH)
    text = release.document(made)
    assert release.load(text) == made
    assert f'"format":{IN_PARTS},' in text
    assert release.digest(release.load(text)) == release.digest(made)
    # A plane that knows no parts refuses it rather than giving everybody what is common.
    assert '"format":1,' not in text


def test_a_package_without_parts_is_as_it_was():
    made = published({**FILES, "README.md": b"x"})
    assert made.parts == {}
    assert release.digest(made) == DIGEST
    assert sha256_of(release.document(made).encode()) == DOCUMENT
    assert "parts" not in release.document(made)


@given(st.permutations(sorted(BOTH)))
def test_the_same_input_gives_the_same_digest(order):
    assert release.digest(published({path: BOTH[path] for path in order})) == release.digest(published(BOTH))


@pytest.mark.parametrize("path", sorted(BOTH))
def test_the_digest_covers_every_part(path):
    changed = BOTH[path] + b"# said\n"
    assert release.digest(published({**BOTH, path: changed})) != release.digest(published(BOTH))


def test_the_meaning_of_a_part_counts_and_not_only_its_file():
    made = published(BOTH)
    other = replace(made, parts={**made.parts, "docker": made.of("podman")})
    assert release.digest(other) != release.digest(made)


# --- which files are parts --------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(
    [
        "compose.yaml",
        "compose.docker.yaml",
        "compose.podman.yaml",
        "compose.podman.yml",
        "compose.kubernetes.yaml",
        "compose.override.yaml",
        "a/compose.podman.yaml",
    ]
)


@given(st.frozensets(NAMES), st.lists(NAMES, min_size=1, max_size=3, unique=True))
def test_parts_stand_beside_the_first_file_and_only_where_none_is_named(paths, entries):
    found = package.parts_of(paths, entries)
    if any("docker" in one or "podman" in one or "kubernetes" in one for one in entries):
        assert found == ()
    folder = entries[0].rpartition("/")[0]
    for engine, path in found:
        assert path in paths
        assert path not in entries
        assert path.rpartition("/")[0] == folder
        assert path.rpartition("/")[2].split(".")[1] == engine
    assert package.parts_of(sorted(paths, reverse=True), entries) == found


def test_a_package_that_names_one_is_for_that_engine():
    made = published(BOTH, entries=("compose.yaml", "compose.docker.yaml"))
    assert made.parts == {}
    assert mode(made, "podman") == ("common", "shop/web:2", ["db", "web"])


def test_kubernetes_is_kept_and_not_read():
    made = published({**FILES, "compose.kubernetes.yaml": b"not: [read"})
    assert made.parts == {}
    assert made.files["compose.kubernetes.yaml"]
    (shown,) = parts.shown(made, made.files, ("compose.yaml",))
    assert (shown.engine, shown.difference) == ("kubernetes", None)
    assert "no device runs Kubernetes yet" in shown.note


def test_a_part_takes_away_by_the_rules_of_overlays():
    made = published({**FILES, "compose.podman.yaml": b"services: {db: !reset null, web: {ports: !override ['81:80']}}"})
    (web,) = state(made, "podman").services
    assert [port.host for port in web.ports] == [81]
    assert len(state(made, "docker").services) == 2


def test_two_files_for_one_engine_are_refused():
    (fault,) = refused({**BOTH, "compose.podman.yml": PODMAN})
    assert "compose.podman.yaml and compose.podman.yml both say" in fault.why


# --- faults -----------------------------------------------------------------------------------------------------------------


def test_faults_name_file_line_and_column_and_the_engine():
    (fault,) = refused({**BOTH, "compose.podman.yaml": b"services:\n  web:\n    imagee: x\n"})
    assert (fault.file, fault.line, fault.column, fault.path) == ("compose.podman.yaml", 3, 5, "services.web.imagee")
    assert fault.why.startswith("for podman: ")


def test_what_is_wrong_for_all_is_said_once():
    (fault,) = refused({**BOTH, "compose.yaml": COMMON + b"    imagee: x\n"})
    assert (fault.file, fault.line) == ("compose.yaml", 8)
    assert not fault.why.startswith("for ")


def test_images_of_every_part_are_wanted():
    one, two = refused({**BOTH, "compose.docker.yaml": b"services: {web: {image: 'gone:1'}}", "compose.podman.yaml": b"services: {db: {image: 'gone:2'}}"})
    assert {(one.file, one.path), (two.file, two.path)} == {("compose.docker.yaml", "services.web.image"), ("compose.podman.yaml", "services.db.image")}
    assert "the image gone:" in one.why


def test_the_common_one_must_stand_alone():
    faults = refused({**BOTH, "compose.yaml": b"services: {web: {environment: {A: b}}}"})
    assert any("image" in fault.why and not fault.why.startswith("for ") for fault in faults)


@pytest.mark.parametrize(
    ("manifest", "over", "why"),
    [
        (
            b"",
            b"services: {web: {environment: {LEVEL: '${LEVEL}'}}}\nx-penstock: {secrets: [LEVEL]}",
            "LEVEL is a secret for podman, and none for every engine",
        ),
        (b"", b"x-penstock: {parameters: {LEVEL: {type: choice, choices: [info, debug]}}}", "LEVEL is declared differently for podman and for every engine"),
        (b"", b"services: {db: {image: 'shop/db:${LEVEL:-1}'}}", "LEVEL stands in an image for podman"),
        (b"parameters: {GONE: {type: text}}\n", b"services: {}", "the parameter GONE is declared and used nowhere"),
        (b"", b"x-penstock: {parameters: {GONE: {type: text}}}", "the parameter GONE is declared and used nowhere"),
        (b"secrets: [GONE]\n", b"services: {}", "the secret GONE is used nowhere"),
    ],
)
def test_the_readings_agree_on_what_a_value_is(manifest, over, why):
    faults = refused({**FILES, "penstock.yaml": FILES["penstock.yaml"] + manifest, "compose.podman.yaml": over})
    assert any(why in fault.why for fault in faults), faults
    assert all(fault.file for fault in faults)


def test_what_one_part_alone_uses_may_be_declared_for_all():
    files = {**BOTH, "penstock.yaml": FILES["penstock.yaml"] + b"parameters: {SOCKET: {type: text, title: Socket}}\nsecrets: [PW]\n"}
    files["compose.docker.yaml"] = b"services: {web: {environment: {PASSWORD: '${PW}'}}}\n"
    made = published(files)
    assert [one.name for one in made.parameters] == ["LEVEL"]
    assert made.secrets == ("PW",)
    assert {one.name: one.required for one in made.every_parameter} == {"LEVEL": False, "PW": False, "SOCKET": False}


# --- values -----------------------------------------------------------------------------------------------------------------


def test_values_are_checked_for_every_part_and_given_to_whom_they_belong():
    made = published(BOTH)
    assert release.check_values(made, {"SOCKET": "/run/x", "LEVEL": "debug"}, {}) == {"SOCKET": "/run/x", "LEVEL": "debug"}
    with pytest.raises(ComposeError, match="has no parameter 'NONE'; its parameters are: LEVEL, SOCKET"):
        release.check_values(made, {"NONE": "x"}, {})
    ported = {**FILES, "compose.podman.yaml": b"services: {web: {ports: ['${PORT:-81}:81']}}"}
    with pytest.raises(ComposeError, match="PORT: for podman: "):
        release.check_values(published(ported), {"PORT": "none"}, {})


@given(st.sampled_from(["", "docker", "podman", "kubernetes", "fake", "x"]), st.sampled_from([FILES, BOTH]))
def test_of_gives_the_part_or_what_is_common(engine, files):
    made = published(files)
    one = made.of(engine)
    assert one is made.parts.get(engine, made)
    assert one.of(engine) is (one if one is not made else made.of(engine))
    assert {image.name for image in one.images} <= {image.name for image in made.every_image}
    assert {parameter.name for parameter in one.parameters} <= {parameter.name for parameter in made.every_parameter}


# --- showing ----------------------------------------------------------------------------------------------------------------


def test_what_differs_is_shown():
    made = published({**BOTH, "compose.kubernetes.yaml": b""})
    docker, kubernetes, podman = parts.shown(made, made.files, ("compose.yaml",))
    assert (docker.engine, docker.file, kubernetes.engine) == ("docker", "compose.docker.yaml", "kubernetes")
    assert podman.difference is not None
    assert {one.name: one.kind for one in podman.difference.services} == {"web": "changed", "db": "same", "extra": "added"}
    assert {one.field for one in podman.settings} == {"soak_s", "needs"}
    said = parts.hazards_of(made.readings)
    assert len(hazards(made.services)) < len(said)
    assert all(text.startswith("on podman: web runs privileged") for text in said)
