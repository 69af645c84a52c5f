"""Container images from bytes: no engine, no registry, no build tool.

Owns turning files into layers and layers into images (OCI or Docker media types, one platform or an index of several), and writing them
as an OCI layout or as an archive that `docker load` and `podman load` take. The same input gives the same bytes, hence the same
digests. Never runs anything, never reads the clock, never talks to a network. Formats: OCI image specification 1.1, Docker image
manifest version 2 schema 2, Docker image specification 1.2 (archives).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_PLAIN = "application/vnd.oci.image.layer.v1.tar"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"

EPOCH = "1970-01-01T00:00:00Z"


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Entry:
    """One file of a layer: content, or the target of a symbolic link; neither means a folder."""

    path: str
    content: bytes | None = None
    link: str | None = None
    mode: int = 0o644
    uid: int = 0
    gid: int = 0


def layer_tar(entries: Iterable[Entry], mtime: int = 0) -> bytes:
    """An uncompressed layer. Entries keep their order; parents that were not given are made (mode 755)."""
    out = io.BytesIO()
    made: set[str] = set()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:

        def folder(path: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> None:
            if path in made or path in ("", "."):
                return
            parent = path.rpartition("/")[0]
            folder(parent)
            made.add(path)
            info = tarfile.TarInfo(path)
            info.type, info.mode, info.mtime, info.uid, info.gid = tarfile.DIRTYPE, mode, mtime, uid, gid
            tar.addfile(info)

        for entry in entries:
            path = entry.path.strip("/")
            if entry.content is None and entry.link is None:
                folder(path, entry.mode if entry.mode != 0o644 else 0o755, entry.uid, entry.gid)
                continue
            folder(path.rpartition("/")[0])
            info = tarfile.TarInfo(path)
            info.mode, info.mtime, info.uid, info.gid = entry.mode, mtime, entry.uid, entry.gid
            if entry.link is not None:
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.link, 0o777
                tar.addfile(info)
            else:
                info.size = len(entry.content or b"")
                tar.addfile(info, io.BytesIO(entry.content or b""))
    return out.getvalue()


@dataclass(frozen=True)
class Layer:
    """A layer as it travels, and the digest of its uncompressed bytes (diffID)."""

    data: bytes
    diff_id: str
    compressed: bool = True


def make_layer(entries: Iterable[Entry], *, compress: bool = True, level: int = 6, mtime: int = 0) -> Layer:
    raw = layer_tar(entries, mtime)
    return Layer(gzip.compress(raw, level, mtime=0) if compress else raw, digest(raw), compress)


@dataclass(frozen=True)
class Platform:
    """`linux/arm/v7` and the like."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        parts = text.split("/")
        return cls(parts[0], parts[1], parts[2] if len(parts) > 2 else "")

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def fields(self) -> dict[str, str]:
        found = {"os": self.os, "architecture": self.architecture}
        return {**found, "variant": self.variant} if self.variant else found


@dataclass(frozen=True)
class Variant:
    """The image for one platform."""

    platform: Platform
    layers: tuple[Layer, ...]
    config: bytes
    manifest: bytes
    manifest_type: str

    @property
    def config_digest(self) -> str:
        """The image id of classic stores."""
        return digest(self.config)

    @property
    def digest(self) -> str:
        return digest(self.manifest)


@dataclass(frozen=True)
class Image:
    """One or several variants; `index` is None for a plain image without an index."""

    variants: tuple[Variant, ...]
    index: bytes | None
    index_type: str
    blobs: Mapping[str, bytes] = field(repr=False)

    @property
    def digest(self) -> str:
        """What a reference by digest names: the index, or the only manifest."""
        return digest(self.index) if self.index is not None else self.variants[0].digest

    @property
    def top(self) -> tuple[bytes, str]:
        """Bytes and media type of what `digest` names."""
        return (self.index, self.index_type) if self.index is not None else (self.variants[0].manifest, self.variants[0].manifest_type)

    def variant(self, platform: str) -> Variant:
        for each in self.variants:
            if str(each.platform) == platform:
                return each
        raise KeyError(f"no variant {platform}: {', '.join(str(each.platform) for each in self.variants)}")

    def write_layout(self, folder: Path, reference: str = "latest") -> Path:
        """An OCI layout; `skopeo copy oci:FOLDER:REFERENCE ...` reads it."""
        (folder / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        for name, data in self.blobs.items():
            (folder / "blobs" / "sha256" / name.partition(":")[2]).write_bytes(data)
        data, kind = self.top
        (folder / "blobs" / "sha256" / digest(data).partition(":")[2]).write_bytes(data)
        (folder / "oci-layout").write_bytes(canonical({"imageLayoutVersion": "1.0.0"}))
        descriptor = {**_descriptor(data, kind), "annotations": {"org.opencontainers.image.ref.name": reference}}
        (folder / "index.json").write_bytes(canonical({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor]}))
        return folder

    def write_docker_archive(self, path: Path, *references: str, platform: str = "") -> Path:
        """A tar that `docker load` and `podman load` take: one platform, layers uncompressed as `docker save` writes them."""
        variant = self.variant(platform) if platform else self.variants[0]
        entries = [Entry(f"{variant.config_digest.partition(':')[2]}.json", variant.config)]
        names = []
        for layer in variant.layers:
            names.append(f"{layer.diff_id.partition(':')[2]}/layer.tar")
            entries.append(Entry(names[-1], gzip.decompress(layer.data) if layer.compressed else layer.data))
        manifest = [{"Config": entries[0].path, "RepoTags": list(references), "Layers": names}]
        entries.append(Entry("manifest.json", canonical(manifest)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(layer_tar({entry.path: entry for entry in entries}.values()))
        return path


def _descriptor(data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}


def make_variant(
    platform: str,
    layers: Sequence[Layer],
    runtime_config: Mapping[str, Any],
    *,
    docker_types: bool = False,
    labels: Mapping[str, str] | None = None,
) -> Variant:
    """`runtime_config` is the `config` object of the image configuration: Env, Cmd, Entrypoint, Healthcheck ..."""
    parsed = Platform.parse(platform)
    config = canonical(
        {
            "created": EPOCH,
            **parsed.fields(),
            "config": {**runtime_config, **({"Labels": dict(labels)} if labels else {})},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            "history": [{"created": EPOCH, "created_by": "penstock"} for _ in layers],
        }
    )
    if docker_types:
        manifest_type, config_type, kinds = DOCKER_MANIFEST, DOCKER_CONFIG, (DOCKER_LAYER, DOCKER_LAYER)
    else:
        manifest_type, config_type, kinds = OCI_MANIFEST, OCI_CONFIG, (OCI_LAYER, OCI_LAYER_PLAIN)
    manifest = canonical(
        {
            "schemaVersion": 2,
            "mediaType": manifest_type,
            "config": _descriptor(config, config_type),
            "layers": [_descriptor(layer.data, kinds[0] if layer.compressed else kinds[1]) for layer in layers],
        }
    )
    return Variant(parsed, tuple(layers), config, manifest, manifest_type)


def make_image(variants: Sequence[Variant], *, indexed: bool | None = None) -> Image:
    """`indexed`: wrap in an index; by default when there is more than one variant."""
    blobs: dict[str, bytes] = {}
    for variant in variants:
        blobs[variant.config_digest] = variant.config
        blobs[variant.digest] = variant.manifest
        for layer in variant.layers:
            blobs[digest(layer.data)] = layer.data
    docker_types = variants[0].manifest_type == DOCKER_MANIFEST
    index_type = DOCKER_LIST if docker_types else OCI_INDEX
    index = None
    if indexed if indexed is not None else len(variants) > 1:
        manifests = [_descriptor(each.manifest, each.manifest_type, platform=each.platform.fields()) for each in variants]
        index = canonical({"schemaVersion": 2, "mediaType": index_type, "manifests": manifests})
        blobs[digest(index)] = index
    return Image(tuple(variants), index, index_type, blobs)
