"""Images made from bytes: determinism, references that fit, archives that say what they hold; libraries read from ELF files."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from tools.elf import closure, needed, resolve
from tools.oci import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, Entry, Image, Platform, digest, layer_tar, make_image, make_layer, make_variant


def image(*platforms: str, docker_types: bool = False, indexed: bool | None = None) -> Image:
    layer = make_layer([Entry("bin/tool", b"tool", mode=0o755), Entry("lib", link="usr/lib"), Entry("tmp", mode=0o1777)])
    return make_image([make_variant(each, [layer], {"Cmd": ["/bin/tool"]}, docker_types=docker_types) for each in platforms], indexed=indexed)


def test_the_same_input_gives_the_same_bytes():
    assert image("linux/amd64").digest == image("linux/amd64").digest
    assert image("linux/amd64").digest != image("linux/arm64").digest


def test_folders_are_made_and_modes_kept():
    with tarfile.open(fileobj=io.BytesIO(layer_tar([Entry("a/b/c", b"x", mode=0o600, uid=7), Entry("tmp", mode=0o1777), Entry("l", link="a")]))) as tar:
        found = {member.name: member for member in tar.getmembers()}
    assert list(found) == ["a", "a/b", "a/b/c", "tmp", "l"]
    assert (found["a/b/c"].mode, found["a/b/c"].uid, found["a/b/c"].mtime) == (0o600, 7, 0)
    assert found["tmp"].mode == 0o1777
    assert found["l"].linkname == "a"


@pytest.mark.parametrize("docker_types", [False, True])
def test_every_reference_names_bytes_that_are_there(docker_types: bool):
    made = image("linux/amd64", "linux/arm/v7", docker_types=docker_types)
    index = json.loads(made.top[0])
    assert index["mediaType"] == (DOCKER_LIST if docker_types else OCI_INDEX)
    assert [Platform(**each["platform"]) for each in index["manifests"]] == [Platform("linux", "amd64"), Platform("linux", "arm", "v7")]
    for each in index["manifests"]:
        manifest = json.loads(made.blobs[each["digest"]])
        assert len(made.blobs[each["digest"]]) == each["size"]
        for part in (manifest["config"], *manifest["layers"]):
            assert digest(made.blobs[part["digest"]]) == part["digest"]
            assert len(made.blobs[part["digest"]]) == part["size"]
        config = json.loads(made.blobs[manifest["config"]["digest"]])
        assert config["rootfs"]["diff_ids"] == [digest(gzip.decompress(made.blobs[layer["digest"]])) for layer in manifest["layers"]]


def test_one_platform_has_no_index_unless_asked_for():
    assert image("linux/amd64").index is None
    assert image("linux/amd64", docker_types=True).top[1] == DOCKER_MANIFEST
    assert image("linux/amd64", indexed=True).index is not None


def content(tar: tarfile.TarFile, name: str) -> bytes:
    found = tar.extractfile(name)
    assert found is not None
    return found.read()


def test_an_archive_names_what_it_holds(tmp_path: Path):
    made = image("linux/amd64", "linux/arm64")
    path = made.write_docker_archive(tmp_path / "a.tar", "localhost/x:1", platform="linux/arm64")
    with tarfile.open(path) as tar:
        manifest = json.loads(content(tar, "manifest.json"))[0]
        assert manifest["RepoTags"] == ["localhost/x:1"]
        assert digest(content(tar, manifest["Config"])) == made.variant("linux/arm64").config_digest
        assert [digest(content(tar, name)) for name in manifest["Layers"]] == [layer.diff_id for layer in made.variants[1].layers]


def test_an_unknown_platform_is_named():
    with pytest.raises(KeyError, match="no variant linux/386: linux/amd64"):
        image("linux/amd64").variant("linux/386")


def test_libraries_of_a_program_are_read_from_its_bytes():
    names, interpreter = needed(Path("/bin/ls").read_bytes())
    assert any(name.startswith("libc.so") for name in names)
    assert "ld-linux" in interpreter
    assert needed(b"#!/bin/sh\n") == ([], "")


def test_links_stay_below_the_folder(tmp_path: Path):
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "usr/lib/real").write_bytes(b"x")
    (tmp_path / "usr/lib/absolute").symlink_to("/lib/real")
    (tmp_path / "usr/lib/upward").symlink_to("../../lib/real")
    (tmp_path / "usr/lib/round").symlink_to("round")
    for name in ("lib/real", "lib/absolute", "lib/upward"):
        assert resolve(tmp_path, name).read_bytes() == b"x"
    for name in ("lib/none", "lib/round"):
        with pytest.raises(FileNotFoundError):
            resolve(tmp_path, name)


def test_a_missing_library_is_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"lib\w+\.so\S* is in none of usr/lib"):
        closure(tmp_path, [Path("/bin/ls")], ["usr/lib"])
