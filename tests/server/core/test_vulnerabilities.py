"""Documents of packages, lists of vulnerabilities, and what both say of one another."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core import sbom
from penstock.server.core import vulnerabilities as v
from penstock.server.core.purl import Package, PurlError, osv_ecosystem, read_purl, same_distro

DEB = "pkg:deb/debian/libssl3@3.0.11-1~deb12u1?arch=amd64&distro=debian-12&upstream=openssl"
SPDX = {
    "spdxVersion": "SPDX-2.3",
    "documentDescribes": ["SPDXRef-image"],
    "packages": [
        {"SPDXID": "SPDXRef-image", "name": "shop/web", "versionInfo": "1"},
        {"SPDXID": "a", "name": "libssl3", "versionInfo": "3.0.11-1~deb12u1", "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": DEB}]},
        {"SPDXID": "b", "name": "own-tool", "versionInfo": "7"},
    ],
}  # fmt: skip
CYCLONEDX = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "components": [
        {"type": "library", "name": "Flask_Login", "version": "0.5", "purl": "pkg:pypi/Flask_Login@0.5"},
        {
            "type": "library",
            "name": "outer",
            "version": "1",
            "components": [{"type": "library", "name": "core", "version": "2", "purl": "pkg:npm/%40scope/core@2.0.0"}],
        },
        {"type": "file", "name": "/etc/passwd"},
    ],
}


def statement(inner, kind="https://spdx.dev/Document"):
    return {"_type": "https://in-toto.io/Statement/v0.1", "predicateType": kind, "subject": [], "predicate": inner}


# --- documents ------------------------------------------------------------------------------------------------------------


def test_spdx():
    found = sbom.read(json.dumps(SPDX).encode())
    assert found.format == "SPDX-2.3"
    assert [(one.ecosystem, one.name, one.version, one.distro, one.origin) for one in found.packages] == [
        ("deb", "libssl3", "3.0.11-1~deb12u1", "debian-12", "openssl"),
        ("generic", "own-tool", "7", "", ""),
    ]


def test_cyclonedx_with_components_inside_components():
    found = sbom.read(json.dumps(CYCLONEDX).encode())
    assert found.format == "CycloneDX-1.5"
    assert [(one.ecosystem, one.name, one.version) for one in found.packages] == [
        ("pypi", "flask-login", "0.5"),
        ("generic", "outer", "1"),
        ("npm", "@scope/core", "2.0.0"),
    ]


def test_an_envelope_around_it():
    bare = sbom.read(json.dumps(SPDX).encode())
    inside = json.dumps(statement(SPDX)).encode()
    assert sbom.read(inside) == bare
    signed = {"payloadType": "application/vnd.in-toto+json", "payload": base64.b64encode(inside).decode(), "signatures": []}
    assert sbom.read(json.dumps(signed).encode()) == bare


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"{", "no JSON"),
        (b"[]", "no JSON object"),
        (b"[" * 100_000, "no JSON"),
        (json.dumps({**SPDX, "spdxVersion": "SPDX-3.0"}).encode(), "SPDX-3.0"),
        (json.dumps({**CYCLONEDX, "specVersion": "1.3"}).encode(), "1.4, 1.5 and 1.6 are read"),
        (json.dumps({**SPDX, "packages": [{"name": "x" * 300}]}).encode(), r"packages\[0\].name"),
        (json.dumps({**SPDX, "packages": [{"versionInfo": "1"}]}).encode(), "has no name"),
        (json.dumps({**SPDX, "packages": 7}).encode(), "packages is no list"),
        (json.dumps({**CYCLONEDX, "components": [{"name": "x", "purl": "pkg:"}]}).encode(), "no package URL"),
        (json.dumps({"payloadType": "x", "payload": "%%"}).encode(), "base64"),
    ],
)
def test_what_is_otherwise_is_refused_whole(raw, said):
    with pytest.raises(sbom.SbomError, match=said):
        sbom.read(raw)


def test_depth_is_limited():
    deep: dict[str, Any] = {"name": "x"}
    for _ in range(40):
        deep = {"name": "x", "components": [deep]}
    with pytest.raises(sbom.SbomError, match="deep"):
        sbom.read(json.dumps({**CYCLONEDX, "components": [deep]}).encode())


def test_provenance_is_no_list_of_packages():
    with pytest.raises(sbom.NoSbom, match="slsa"):
        sbom.read(json.dumps(statement({}, "https://slsa.dev/provenance/v1")).encode())


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["packages", "components", "name", "purl", "externalRefs", "predicate"]), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_any_json_is_read_or_refused(plain):
    for head in ({"spdxVersion": "SPDX-2.3"}, {"bomFormat": "CycloneDX", "specVersion": "1.6"}, {"predicateType": "spdx"}):
        try:
            sbom.read(json.dumps({**head, **(plain if isinstance(plain, dict) else {"packages": plain})}).encode())
        except sbom.SbomError as fault:
            assert str(fault)


# --- package URLs -----------------------------------------------------------------------------------------------------------


def test_package_urls():
    assert read_purl("pkg:maven/org.apache/log4j@2.1") == Package("maven", "org.apache:log4j", "2.1", "pkg:maven/org.apache/log4j@2.1")
    assert read_purl("pkg:apk/alpine/busybox@1.36-r1?distro=3.18.4").distro == "alpine-3.18.4"
    assert read_purl("pkg:deb/debian/x@1?upstream=y%402").origin_version == "2"
    for text in ("openssl", "pkg:", "pkg:deb", "pkg:deb/", "pkg:/x@1", "pkg:deb/" + "x" * 3000):
        with pytest.raises(PurlError):
            read_purl(text)


def test_distributions():
    assert osv_ecosystem("Debian:12") == ("deb", "debian-12")
    assert osv_ecosystem("Alpine:v3.18") == ("apk", "alpine-3.18")
    assert osv_ecosystem("PyPI") == ("pypi", "")
    assert same_distro("alpine-3.18.4", "alpine-3.18")
    assert not same_distro("alpine-3.1", "alpine-3.18")
    assert not same_distro("debian-12", "ubuntu-22.04")
    assert same_distro("debian", "debian-12"), "what does not say its release may be of any"


# --- vulnerabilities --------------------------------------------------------------------------------------------------------


def osv(ecosystem, name, events, versions=(), kind="ECOSYSTEM", **more):
    plain = {"id": "X-1", "aliases": ["CVE-2024-1"], "summary": "bad", **more}
    plain["affected"] = [
        {"package": {"ecosystem": ecosystem, "name": name}, "ranges": [{"type": kind, "events": events}] if events else [], "versions": list(versions)}
    ]
    found = v.read_osv(plain)
    assert found is not None
    return found


def word(package, found):
    return v.judge(read_purl(package), found.affected).word


def test_debian_by_its_source_package_and_release():
    found = osv("Debian:12", "openssl", [{"introduced": "0"}, {"fixed": "3.0.11-1~deb12u2"}])
    assert found.names == ("X-1", "CVE-2024-1")
    verdict = v.judge(read_purl(DEB), found.affected)
    assert (verdict.word, verdict.fixed) == (v.AFFECTED, "3.0.11-1~deb12u2")
    assert word(DEB.replace("deb12u1", "deb12u2"), found) == v.CLEAR
    assert word(DEB.replace("debian-12", "debian-11"), found) == v.CLEAR


def test_events_in_any_order_and_more_than_one_range():
    found = osv("PyPI", "Flask", [{"fixed": "1.5"}, {"introduced": "2.0"}, {"introduced": "1.0"}, {"fixed": "2.3"}])
    words = {version: word(f"pkg:pypi/flask@{version}", found) for version in ("0.9", "1.0", "1.4.9", "1.5", "1.9", "2.0", "2.2.9", "2.3")}
    assert [version for version, said in words.items() if said == v.AFFECTED] == ["1.0", "1.4.9", "2.0", "2.2.9"]
    assert v.judge(read_purl("pkg:pypi/flask@1.4"), found.affected).fixed == "1.5"


def test_last_affected():
    found = osv("npm", "left-pad", [{"introduced": "0"}, {"last_affected": "1.3.0"}], kind="SEMVER")
    assert [word(f"pkg:npm/left-pad@{version}", found) for version in ("1.3.0-rc.1", "1.3.0", "1.3.1")] == [v.AFFECTED, v.AFFECTED, v.CLEAR]


def test_ecosystems_without_an_order_are_exact_or_unknown():
    found = osv("Maven", "org.x:y", [{"introduced": "0"}, {"fixed": "2"}], versions=["1.0", "1.1"])
    assert word("pkg:maven/org.x/y@1.1", found) == v.AFFECTED
    assert v.judge(read_purl("pkg:maven/org.x/y@1.2"), found.affected) == v.Verdict(v.UNKNOWN, "", "versions of maven are compared for equality only")
    exact = osv("Maven", "org.x:y", [], versions=["1.0"])
    assert word("pkg:maven/org.x/y@1.2", exact) == v.CLEAR
    semver = osv("Go", "x.org/y", [{"introduced": "0"}, {"fixed": "1.2.0"}], kind="SEMVER")
    assert word("pkg:golang/x.org/y@v1.1.0", semver) == v.AFFECTED


def test_a_package_without_a_version_is_unknown():
    assert word("pkg:pypi/flask", osv("PyPI", "flask", [{"introduced": "0"}])) == v.UNKNOWN


def test_withdrawn_and_commit_only():
    assert v.read_osv({"id": "X", "withdrawn": "2024-01-01T00:00:00Z"}) is None
    found = v.read_osv({"id": "X", "affected": [{"package": {"ecosystem": "PyPI", "name": "x"}, "ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}]})
    assert found is not None
    assert found.affected == ()


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ([], "no JSON object"),
        ({}, "id"),
        ({"id": "X", "affected": 1}, "affected is no list"),
        ({"id": "X", "affected": [{"package": {"ecosystem": "PyPI"}}]}, r"affected\[0\].package.name"),
        (
            {"id": "X", "affected": [{"package": {"ecosystem": "PyPI", "name": "x"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"begun": "0"}]}]}]},
            "'begun' is no event",
        ),
    ],
)
def test_entries_that_cannot_be_read(plain, said):
    with pytest.raises(v.ListError, match=said):
        v.read_osv(plain)


def test_csv():
    text = "id,purl,fixed,summary\ncve-1,pkg:deb/debian/openssl?distro=debian-12,3.0.12,leaks\nCVE-1,pkg:pypi/flask,2.0,\nCVE-2,pkg:generic/own-tool,,\n"
    one, two = v.read_csv(text)
    assert (one.id, len(one.affected), one.summary) == ("CVE-1", 2, "leaks")
    assert v.judge(read_purl(DEB), one.affected).word == v.AFFECTED
    assert v.judge(Package("generic", "own-tool", "7"), two.affected).word == v.AFFECTED, "neither range nor versions: every version"
    for wrong, said in (
        ("id\n", "purl is missing"),
        ("id,purl,cvss\n", "'cvss' is no column"),
        ("id,purl\nx\n", "line 2"),
        ("id,purl\nx,openssl\n", "line 2: 'openssl' is no package URL"),
    ):
        with pytest.raises(v.ListError, match=said):
            v.read_csv(wrong)


def test_asking_for_a_package():
    found = v.read_asked("openssl <3.0.11, >=3")
    assert found == v.Asked("openssl", "", (("<", "3.0.11"), (">=", "3")))
    assert v.read_asked("pypi:Flask_Login") == v.Asked("flask-login", "pypi")
    assert v.read_asked("openssl 3.0.2").conditions == (("=", "3.0.2"),)
    assert v.read_asked("pkg:npm/%40scope/core@2.0.0") == v.Asked("@scope/core", "npm", (("=", "2.0.0"),))
    assert v.meets(Package("deb", "openssl", "3.0.2-0"), found).word == v.AFFECTED
    assert v.meets(Package("deb", "openssl", "3.0.11"), found).word == v.CLEAR
    assert v.meets(Package("maven", "openssl", "3.0.2"), found).word == v.UNKNOWN
    for text in ("", "<3", "openssl <", "openssl 1 2"):
        with pytest.raises(v.ListError):
            v.read_asked(text)
