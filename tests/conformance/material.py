"""Images for the suite, made on the spot out of one static busybox and put into a blob store. Never touches an engine or a registry."""

import gzip
import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path

from penstock.agent.blobstore import BlobStore
from penstock.wire.types import Blob, Image, Variant

APPLETS = ("sh", "sleep", "cat", "echo", "ls", "touch", "mkdir", "rm", "ln", "chown", "chmod", "stat", "httpd", "nc", "kill", "true", "false", "id", "env", "wget", "nslookup", "ping")

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _add(tar, name, data=b"", kind=tarfile.REGTYPE, mode=0o755, link="", uid=0):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size, info.linkname, info.uid, info.gid = kind, mode, len(data), link, uid, uid
    tar.addfile(info, io.BytesIO(data))


def layer_tar(files):
    """A layer: name to bytes; names ending in / are folders."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            if name.endswith("/"):
                _add(tar, name, kind=tarfile.DIRTYPE)
            elif isinstance(data, str):
                _add(tar, name, kind=tarfile.SYMTYPE, link=data)
            else:
                _add(tar, name, data)
    return out.getvalue()


def base_files():
    busybox = Path(shutil.which("busybox") or "/bin/busybox").read_bytes()
    files = {"bin/": b"", "etc/": b"", "tmp/": b"", "www/": b"", "bin/busybox": busybox}
    files.update({f"bin/{name}": "busybox" for name in APPLETS})
    files["etc/passwd"] = b"root:x:0:0:root:/:/bin/sh\nplant:x:1000:1000:plant:/:/bin/sh\n"
    files["etc/group"] = b"root:x:0:\nplant:x:1000:\n"
    return files


class Material:
    """Blobs of images, in a store, with the Variant that names them."""

    def __init__(self, root):
        self.store = BlobStore(str(root), reserve_bytes=0)
        self._base = layer_tar(base_files())

    def put(self, data, media_type):
        blob = Blob(digest(data), len(data), media_type)
        if self.store.path(blob.digest) is None:
            self.store.put(blob, data)
        return blob

    def variant(self, version="1", config=None, platform="linux/amd64", compress=True):
        """One image: the base layer, and one that holds its version. `config` is the OCI config's inner object."""
        tars = [self._base, layer_tar({"version": version.encode(), "www/index.html": version.encode()})]
        layers = [self.put(gzip.compress(tar, 6, mtime=0) if compress else tar, OCI_LAYER if compress else OCI_LAYER[:-5]) for tar in tars]
        system, architecture, *rest = platform.split("/")
        document = {
            "architecture": architecture,
            "os": system,
            "config": {"Env": ["PATH=/bin", "FROM_IMAGE=yes"], "Cmd": ["sh", "-c", "echo up; while :; do sleep 1; done"], **(config or {})},
            "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in tars]},
            "history": [{"created_by": "test"} for _ in tars],
        }
        if rest:
            document["variant"] = rest[0]
        held = self.put(json.dumps(document).encode(), OCI_CONFIG)
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": {"mediaType": OCI_CONFIG, "digest": held.digest, "size": held.size},
                "layers": [{"mediaType": blob.media_type, "digest": blob.digest, "size": blob.size} for blob in layers],
            }
        ).encode()
        return Variant(platform, self.put(manifest, OCI_MANIFEST), held, tuple(layers))

    def image(self, name="web", **how):
        return Image(name, (self.variant(**how),))
