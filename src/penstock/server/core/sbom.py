"""What is in an image, read from the documents attached to it: SPDX 2.3 and CycloneDX 1.4 to 1.6 as JSON, bare or in an in-toto envelope.

Owns the reading and its limits: what is larger, deeper or otherwise than the formats say is refused as a whole, never read in part. What an attached
manifest is called stands here too. Never touches storage.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from penstock.server.core.oci import Manifest
from penstock.server.core.purl import Package, PurlError, normal_name, read_purl

MOST_BYTES = 32 * 1024 * 1024
MOST_PACKAGES = 50_000
MOST_TEXT = 255
MOST_DEPTH = 32  # of components inside components

SPDX, CYCLONEDX, SIGNATURE, ATTESTATION, OTHER = "spdx", "cyclonedx", "signature", "attestation", "other"
READ = (
    "application/spdx+json",
    "text/spdx+json",
    "application/vnd.cyclonedx+json",
    "application/vnd.in-toto+json",
    "application/vnd.dsse.envelope.v1+json",
    "application/json",
)
PREDICATE = "in-toto.io/predicate-type"


class SbomError(ValueError):
    """A document that cannot be read. The text is a sentence."""


class NoSbom(SbomError):
    """A document that is fine and lists no packages: provenance, a signature."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a document says: its format ("SPDX-2.3", "CycloneDX-1.5") and its packages."""

    format: str
    packages: tuple[Package, ...]


def read(raw: bytes) -> Document:
    """The packages a document lists. Raises SbomError, NoSbom."""
    plain = _open(raw)
    if "payload" in plain and "payloadType" in plain:
        plain = _payload(plain)
    if "predicateType" in plain:
        inner = plain.get("predicate")
        kind = str(plain["predicateType"])[:200]
        if "spdx" not in kind and "cyclonedx" not in kind:
            raise NoSbom(f"it attests {kind}, and lists no packages")
        if not isinstance(inner, dict):
            raise SbomError("its predicate is no document")
        plain = inner
    if "spdxVersion" in plain:
        return _spdx(plain)
    if plain.get("bomFormat") == "CycloneDX":
        return _cyclonedx(plain)
    raise NoSbom("it is neither SPDX nor CycloneDX")


def _open(raw: bytes) -> dict[str, Any]:
    if len(raw) > MOST_BYTES:
        raise SbomError(f"it has {len(raw)} bytes, more than the {MOST_BYTES} allowed")
    try:
        plain = json.loads(raw)
    except (ValueError, RecursionError):
        raise SbomError("it is no JSON") from None
    if not isinstance(plain, dict):
        raise SbomError("it is no JSON object")
    return plain


def _payload(envelope: dict[str, Any]) -> dict[str, Any]:
    try:
        return _open(base64.b64decode(str(envelope["payload"]), validate=True))
    except binascii.Error:
        raise SbomError("its envelope holds no base64") from None


def _listed(plain: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = plain.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise SbomError(f"{key} is no list of objects")
    if len(found) > MOST_PACKAGES:
        raise SbomError(f"it lists {len(found)} packages, more than the {MOST_PACKAGES} allowed")
    return found


def _text(plain: dict[str, Any], key: str, where: str) -> str:
    found = plain.get(key, "")
    if found is None:
        return ""
    if not isinstance(found, str) or len(found) > MOST_TEXT:
        raise SbomError(f"{where}.{key} is no text of at most {MOST_TEXT} characters")
    return found


def _package(name: str, version: str, purl: str, where: str) -> Package:
    if purl:
        try:
            found = read_purl(purl)
        except PurlError as fault:
            raise SbomError(f"{where}: {fault}") from None
        found = replace(found, version=found.version or version)
        if any(len(text) > MOST_TEXT for text in (found.name, found.version, found.origin)):
            raise SbomError(f"{where} has a name or version of more than {MOST_TEXT} characters")
        return found
    return Package("generic", normal_name("generic", name), version)


# --- SPDX -----------------------------------------------------------------------------------------------------------------


def _spdx(plain: dict[str, Any]) -> Document:
    version = str(plain["spdxVersion"])[:40]
    if version not in ("SPDX-2.2", "SPDX-2.3"):
        raise SbomError(f"it is {version}; SPDX-2.3 is read")
    described = set(plain.get("documentDescribes") or ())
    described |= {
        one.get("relatedSpdxElement")
        for one in _listed_of(plain.get("relationships"))
        if one.get("relationshipType") == "DESCRIBES" and one.get("spdxElementId") == "SPDXRef-DOCUMENT"
    }
    found = []
    for at, one in enumerate(_listed(plain, "packages")):
        where = f"packages[{at}]"
        name = _text(one, "name", where)
        purls = [str(ref.get("referenceLocator", "")) for ref in _listed_of(one.get("externalRefs")) if ref.get("referenceType") == "purl"]
        if not name:
            raise SbomError(f"{where} has no name")
        if not purls and one.get("SPDXID") in described:
            continue  # the image itself
        found.append(_package(name, _text(one, "versionInfo", where), purls[0] if purls else "", where))
    return Document(version, _each_once(found))


def _listed_of(value: Any) -> Iterator[dict[str, Any]]:
    return (one for one in value if isinstance(one, dict)) if isinstance(value, list) else iter(())


# --- CycloneDX ----------------------------------------------------------------------------------------------------------------


def _cyclonedx(plain: dict[str, Any]) -> Document:
    version = str(plain.get("specVersion"))[:20]
    if version not in ("1.4", "1.5", "1.6"):
        raise SbomError(f"it is CycloneDX {version}; 1.4, 1.5 and 1.6 are read")
    found: list[Package] = []
    _components(plain, "", found, 0)
    return Document(f"CycloneDX-{version}", _each_once(found))


def _components(plain: dict[str, Any], where: str, found: list[Package], depth: int) -> None:
    if depth > MOST_DEPTH:
        raise SbomError(f"its components lie more than {MOST_DEPTH} deep")
    for at, one in enumerate(_listed(plain, "components")):
        place = f"{where}components[{at}]"
        name = _text(one, "name", place)
        if not name:
            raise SbomError(f"{place} has no name")
        purl = one.get("purl") or ""
        if not isinstance(purl, str):
            raise SbomError(f"{place}.purl is no text")
        if one.get("type") not in ("file", "operating-system", "container", "device") or purl:
            found.append(_package(name, _text(one, "version", place), purl, place))
        if len(found) > MOST_PACKAGES:
            raise SbomError(f"it lists more than the {MOST_PACKAGES} packages allowed")
        _components(one, f"{place}.", found, depth + 1)


def _each_once(found: list[Package]) -> tuple[Package, ...]:
    return tuple(dict.fromkeys(found))


# --- what is attached ---------------------------------------------------------------------------------------------------------


def kind_of(manifest: Manifest) -> str:
    """What an attached manifest is: a list of packages in one of two formats, a signature, another attestation, or something else."""
    types = " ".join((manifest.artifact_type, manifest.config.media_type if manifest.config else "", *(layer.media_type for layer in manifest.layers)))
    predicates = " ".join(layer.annotations.get(PREDICATE, "") for layer in manifest.layers)
    low = f"{types} {predicates}".lower()
    if "spdx" in low:
        return SPDX
    if "cyclonedx" in low:
        return CYCLONEDX
    if any(word in low for word in ("signature", "cosign.simplesigning", "notary", "sigstore.bundle")):
        return SIGNATURE
    return ATTESTATION if "in-toto" in low or "dsse" in low else OTHER
