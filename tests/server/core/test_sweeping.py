"""The rule of sweeps: what has a use stays, whatever the shelf looks like, and nothing else does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core.oci import OCI_INDEX, OCI_MANIFEST, Descriptor, Manifest
from penstock.server.core.sweeping import Shelf, judge
from penstock.wire.types import sha256_of

GRACE, UNTAGGED = 100, 300
BLOBS = [sha256_of(b"blob %d" % number) for number in range(6)]
NAMES = [sha256_of(b"manifest %d" % number) for number in range(6)]


def to(digest: str) -> Descriptor:
    return Descriptor(digest, 1, "x")


manifests = st.builds(
    lambda index, children, config, layers, subject: (
        Manifest(OCI_INDEX, children=tuple(map(to, children)), subject=subject)
        if index
        else Manifest(OCI_MANIFEST, config=to(config), layers=tuple(map(to, layers)), subject=subject)
    ),
    st.booleans(),
    st.lists(st.sampled_from(NAMES), max_size=3),
    st.sampled_from(BLOBS),
    st.lists(st.sampled_from(BLOBS), max_size=3),
    st.none() | st.sampled_from(NAMES).map(to),
)
ages = st.sampled_from([0, GRACE, GRACE + 1, UNTAGGED, UNTAGGED + 1])
shelves = st.builds(
    Shelf,
    st.dictionaries(st.sampled_from(["1", "2", "latest"]), st.sampled_from(NAMES)),
    st.dictionaries(st.sampled_from(NAMES), st.tuples(manifests, ages)),
    st.dictionaries(st.sampled_from(BLOBS), ages),
)
keeps = st.frozensets(st.sampled_from(NAMES + BLOBS), max_size=3)


@given(shelves, keeps)
def test_what_has_a_use_stays(shelf, keep):
    verdict = judge(shelf, keep, GRACE, UNTAGGED)
    stay = {digest: one for digest, (one, _) in shelf.manifests.items() if digest not in verdict.manifests}
    assert not verdict.manifests & (keep | set(shelf.tags.values()))
    assert not verdict.blobs & keep
    assert all(shelf.manifests[digest][1] > UNTAGGED for digest in verdict.manifests)
    assert all(shelf.blobs[digest] > GRACE for digest in verdict.blobs)
    for one in stay.values():
        assert not verdict.blobs & {part.digest for part in (*one.layers, *([one.config] if one.config else []))}
        assert not verdict.manifests & {child.digest for child in one.children}
    assert not any(shelf.manifests[gone][0].subject is not None and shelf.manifests[gone][0].subject.digest in stay for gone in verdict.manifests)
    assert set(stay) <= verdict.named


@given(shelves, keeps)
def test_a_second_sweep_takes_nothing_more(shelf, keep):
    first = judge(shelf, keep, GRACE, UNTAGGED)
    rest = Shelf(
        shelf.tags,
        {digest: one for digest, one in shelf.manifests.items() if digest not in first.manifests},
        {digest: age for digest, age in shelf.blobs.items() if digest not in first.blobs},
    )
    again = judge(rest, keep, GRACE, UNTAGGED)
    assert (again.manifests, again.blobs) == (frozenset(), frozenset())


def test_what_nothing_names_goes():
    """A guard for the two above: the rule does take something."""
    old = Manifest(OCI_MANIFEST, config=to(BLOBS[0]), layers=(to(BLOBS[1]),))
    shelf = Shelf({}, {NAMES[0]: (old, UNTAGGED + 1)}, dict.fromkeys(BLOBS[:3], GRACE + 1))
    verdict = judge(shelf, frozenset(), GRACE, UNTAGGED)
    assert (verdict.manifests, verdict.blobs) == (frozenset(NAMES[:1]), frozenset(BLOBS[:3]))
