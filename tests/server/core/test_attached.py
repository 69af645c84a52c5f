"""What counts as attached to an image, by tag and by subject, and what is said of what did not come along."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.server.core import attached as a
from penstock.server.core.oci import OCI_INDEX, OCI_MANIFEST, Descriptor, Manifest, Tagged
from penstock.server.core.registryviews import attachments, tops
from penstock.server.core.sweeping import Shelf, judge
from penstock.wire.types import sha256_of

IMAGE, SIGNATURE, LIST = sha256_of(b"image"), sha256_of(b"signature"), sha256_of(b"list")
CONFIG = Descriptor(sha256_of(b"config"), 3, "application/vnd.oci.image.config.v1+json")
PLAIN = Manifest(OCI_MANIFEST, config=CONFIG)
OLD = 1000
TAG = f"{a.fallback_tag(IMAGE)}.sig"


@pytest.mark.parametrize(
    ("tag", "subject", "kind"),
    [
        (TAG, IMAGE, "signature"),
        (f"{a.fallback_tag(IMAGE)}.att", IMAGE, "attestation"),
        (f"{a.fallback_tag(IMAGE)}.sbom", IMAGE, "sbom"),
        (a.fallback_tag(IMAGE), IMAGE, ""),
        (f"{TAG}.old", "", ""),
        (f"sha256-{'A' * 64}.sig", "", ""),
        ("sha256-0.sig", "", ""),
        ("latest", "", ""),
    ],
)
def test_what_a_tag_says(tag, subject, kind):
    assert (a.subject_of(tag), a.kind_by(tag)) == (subject, kind)


def shelf(**tags):
    return Shelf(tags, {IMAGE: (PLAIN, OLD), SIGNATURE: (PLAIN, OLD), LIST: (Manifest(OCI_INDEX), OLD)}, {})


def test_a_sweep_keeps_what_a_tag_says_to_be_attached_as_long_as_the_image_and_no_longer():
    about = {TAG: SIGNATURE, a.fallback_tag(IMAGE): LIST}
    assert judge(shelf(**about, latest=IMAGE), frozenset(), 0, OLD - 1).manifests == frozenset()
    assert judge(shelf(**about), frozenset({IMAGE}), 0, OLD - 1).manifests == frozenset(), "a release needs the image"
    assert judge(shelf(**about), frozenset(), 0, OLD - 1).manifests == {IMAGE, SIGNATURE, LIST}
    assert judge(shelf(**about), frozenset(), 0, OLD).manifests == frozenset()
    assert judge(shelf(**about, kept=SIGNATURE), frozenset(), 0, OLD - 1).manifests == {IMAGE, LIST}, "another tag keeps it"
    without = replace(shelf(**about), manifests={SIGNATURE: (PLAIN, OLD)})
    assert judge(without, frozenset(), 0, OLD - 1).manifests == frozenset(), "the image is kept in another place: this is a tag like any other"


def test_it_is_shown_with_its_image_and_not_as_one():
    manifests = {IMAGE: PLAIN, SIGNATURE: PLAIN, LIST: Manifest(OCI_INDEX)}
    tags = (Tagged("1", IMAGE, 0), Tagged(TAG, SIGNATURE, 0), Tagged(a.fallback_tag(IMAGE), LIST, 0))
    assert tops(manifests, tags) == (IMAGE,)
    assert {subject: [(one.digest, one.kind) for one in found] for subject, found in attachments(manifests, tags).items()} == {
        IMAGE: [(SIGNATURE, "signature")]
    }


def test_what_is_not_taken():
    about = replace(PLAIN, subject=Descriptor(IMAGE, 1, OCI_MANIFEST))
    assert a.unfit(about, IMAGE, by_tag=False) == ""
    assert a.unfit(PLAIN, IMAGE, by_tag=True) == ""
    assert "does not name" in a.unfit(PLAIN, IMAGE, by_tag=False)
    assert "an index" in a.unfit(Manifest(OCI_INDEX), IMAGE, by_tag=True)
    assert "another place" in a.unfit(replace(about, layers=(replace(CONFIG, foreign=True),)), IMAGE, by_tag=False)


def test_what_did_not_come_is_said_once():
    tally = a.Tally(most=2, most_bytes=10)
    assert (tally.why, tally.room(10), tally.room(11)) == ("", "", "what is attached to it has more than 10 bytes")
    tally.came(1)
    tally.came(0)
    assert tally.room(0) == "more than 2 documents are attached to it"
    tally.whys.append("first")
    assert tally.why == "not all that is attached to it there is here: first"
    tally.whys += ["first", "second"]
    assert tally.why == "not all that is attached to it there is here, 3 times over; the first: first"
