"""What is attached to an image: documents that name it as their subject, and those that clients name it by, in a tag.

Owns the grammar of such tags (cosign's `sha256-HEX.sig`, `.att`, `.sbom`; the specification's `sha256-HEX`, for registries without a list of referrers), the limits of
what is copied along from elsewhere, and the sentence on what was not. Never verifies a signature, never touches storage or another registry.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from penstock.server.core.oci import MAX_MANIFEST, Descriptor, Manifest
from penstock.wire.types import digest_fault

MOST_ATTACHED = 100  # manifests attached to one image that are copied along
MOST_BYTES = 256 * 1024 * 1024  # of all of them together
MOST_LIST, MOST_PAGES = MAX_MANIFEST, 10  # bytes of one page of a list of referrers; pages
COSIGN = (".sig", ".att", ".sbom")
_ABOUT = re.compile(r"sha256-([0-9a-f]{64})(\.sig|\.att|\.sbom|)\Z")
_KINDS = {".sig": "signature", ".att": "attestation", ".sbom": "sbom"}


def subject_of(tag: str) -> str:
    """The digest that a tag says something of; empty for all other tags."""
    found = _ABOUT.match(tag)
    return f"sha256:{found[1]}" if found else ""


def kind_by(tag: str) -> str:
    """What a tag of cosign's says its manifest is; empty for all other tags."""
    found = _ABOUT.match(tag)
    return _KINDS.get(found[2], "") if found else ""


def fallback_tag(digest: str) -> str:
    """The tag under which a registry without a list of referrers has that of a manifest."""
    return digest.replace(":", "-")


def tags_about(digest: str) -> tuple[str, ...]:
    """The tags under which cosign puts what it attaches to a manifest."""
    return tuple(f"{fallback_tag(digest)}{end}" for end in COSIGN)


def named_by(tags: Iterable[str], there: frozenset[str]) -> dict[str, str]:
    """Of the tags of one repository those that say something of a manifest that is `there`, with its digest."""
    return {tag: subject for tag in tags if (subject := subject_of(tag)) in there}


# --- what is copied along ---------------------------------------------------------------------------------------------------


def subjects(top: str, children: tuple[Descriptor, ...], *, whole: bool) -> tuple[str, ...]:
    """The manifests of an image that something may be attached to: the image itself, unless its index was made anew here, and its platforms."""
    return tuple(dict.fromkeys(((top,) if whole else ()) + tuple(one.digest for one in children)))


def listed(manifest: Manifest, subject: str) -> tuple[str, ...]:
    """The digests of a list of referrers, without what is no list. `subject` itself never refers to itself."""
    return tuple(dict.fromkeys(one.digest for one in manifest.children if one.digest != subject and digest_fault(one.digest) is None))


def size_of(manifest: Manifest) -> int:
    """Bytes of its config and layers."""
    return sum(one.size for one in manifest.content)


def unfit(manifest: Manifest, subject: str, *, by_tag: bool) -> str:
    """Why a manifest is not taken as attached to `subject`; empty when it is."""
    if manifest.children or manifest.config is None:
        return "it is an index, which is not copied along"
    if not by_tag and (manifest.subject is None or manifest.subject.digest != subject):
        return "it does not name the image it is listed for"
    if any(one.foreign for one in manifest.layers):
        return "a part of it is kept in another place"
    return ""


def loses(here: Manifest, there: Manifest) -> bool:
    """Whether taking what another registry has under a tag would lose something that was attached here under the same."""
    return bool({one.digest for one in here.layers} - {one.digest for one in there.layers})


@dataclass(slots=True)
class Tally:
    """What came along with one image, and what did not, as it is counted."""

    manifests: int = 0
    bytes: int = 0
    most: int = MOST_ATTACHED
    most_bytes: int = MOST_BYTES
    whys: list[str] = field(default_factory=list)

    def room(self, size: int) -> str:
        """Why one more of that size is too much; empty when it is not."""
        if self.manifests >= self.most:
            return f"more than {self.most} documents are attached to it"
        if self.bytes + size > self.most_bytes:
            return f"what is attached to it has more than {self.most_bytes} bytes"
        return ""

    def came(self, size: int) -> None:
        """One more is here."""
        self.manifests += 1
        self.bytes += size

    @property
    def why(self) -> str:
        """What did not come, as a sentence; empty when all of it did."""
        if not self.whys:
            return ""
        first = next(iter(dict.fromkeys(self.whys)))[:400]
        if len(self.whys) == 1:
            return f"not all that is attached to it there is here: {first}"
        return f"not all that is attached to it there is here, {len(self.whys)} times over; the first: {first}"
