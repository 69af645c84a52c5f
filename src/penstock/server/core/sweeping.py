"""What a sweep of the image registry takes away from one repository.

Owns the rule. A manifest stays while it has a tag, while a release names it, while it was pushed or used within `untagged_ms`, while a manifest that stays
lists it, or while it says something about one that stays (a signature, a list of parts). A tag that only says what a manifest is about keeps it no longer than that. A blob stays while a manifest that stays names it, while a release
does, or while it was pushed, mounted or asked for within `grace_ms`: so a push that has brought its blobs and not yet its manifest has that long. Never
touches storage and never asks the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from penstock.server.core.attached import named_by
from penstock.server.core.oci import Manifest


@dataclass(frozen=True, slots=True)
class Shelf:
    """One repository. `manifests` and how long ago each was used, `blobs` likewise; `tags` to digests. Ages in milliseconds."""

    tags: Mapping[str, str]
    manifests: Mapping[str, tuple[Manifest, int]]
    blobs: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which manifests and blobs go, and everything the repository still has a use for."""

    manifests: frozenset[str]
    blobs: frozenset[str]
    named: frozenset[str]


def judge(shelf: Shelf, keep: frozenset[str], grace_ms: int, untagged_ms: int) -> Verdict:
    """What goes. `keep` are the digests that releases name."""
    known = frozenset(shelf.manifests)
    about = named_by(shelf.tags, known)
    stay = {digest for tag, digest in shelf.tags.items() if digest in known and tag not in about} | (keep & known)
    stay |= {digest for digest, (_, age_ms) in shelf.manifests.items() if age_ms <= untagged_ms}
    while True:
        more = {child.digest for digest in stay for child in shelf.manifests[digest][0].children}
        more |= {digest for digest, (one, _) in shelf.manifests.items() if one.subject is not None and one.subject.digest in stay}
        more |= {shelf.tags[tag] for tag, subject in about.items() if subject in stay}
        more = (more & known) - stay
        if not more:
            break
        stay |= more
    named = set(stay) | (keep & frozenset(shelf.blobs))
    for digest in stay:
        named.update(one.digest for one in shelf.manifests[digest][0].content)
    loose = frozenset(digest for digest, age_ms in shelf.blobs.items() if digest not in named and age_ms > grace_ms)
    return Verdict(known - stay, loose, frozenset(named))
