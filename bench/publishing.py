"""Whether the same input gives the same release, however it is packed and wherever it is published.

Owns that answer. Two whole planes in this process, each with a database and images of its own; the package is the example of docs/packages.md.
"""

from __future__ import annotations

import io
import random
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from bench.place import NOTE, SHORT
from bench.results import Result
from penstock.apiv1.archives import pack, unpack
from penstock.server.actions import releases
from penstock.server.actions.context import Plane
from tests.server.planes import ADMIN, make_plane, turn
from tests.server.pushing import push, small_image

KEYS = ("publish.same_input_same_digest",)
EXAMPLE = Path(__file__).resolve().parents[1] / "docs" / "examples" / "line-monitor"
TIMES = 5 if SHORT else 50


def measure(_wanted: frozenset[str]) -> Iterator[Result]:
    """The answer."""
    files = {path.relative_to(EXAMPLE).as_posix(): path.read_bytes() for path in EXAMPLE.rglob("*") if path.is_file()}
    dice = random.Random(7)
    found: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        for name in ("one", "two"):
            plane = make_plane(Path(folder) / name)
            _images(plane)
            try:
                for _ in range(TIMES):
                    turn(plane, dice.randrange(10**9))
                    given = releases.Given(files=unpack(_packed(files, dice)))
                    found.add(releases.publish(plane, ADMIN, given=given).digest)
            finally:
                plane.db.close()
    how = (
        f"the example package published {2 * TIMES} times on two planes, as folder, tar, gzipped tar and zip, with files in another order, other times and modes "
        f"each time, the planes' clocks moved in between: {len(found)} digest{'' if len(found) == 1 else 's'}.{NOTE}"
    )
    yield Result("publish.same_input_same_digest", len(found) == 1, how)


def _images(plane: Plane) -> None:
    for name, tag in (("collector", "1.4.0"), ("dashboard", "1.4.0"), ("broker", "2.0")):
        push(plane.blobs, f"line-monitor/{name}", small_image(name, ("linux/amd64", "linux/arm64")), tag)


def _packed(files: dict[str, bytes], dice: random.Random) -> bytes:
    mixed = list(files.items())
    dice.shuffle(mixed)
    form = dice.choice(("ours", "tar", "gz", "zip"))
    if form == "ours":
        return pack(dict(mixed))
    out = io.BytesIO()
    if form == "zip":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
            for path, content in mixed:
                zipped.writestr(path, content)
        return out.getvalue()
    with tarfile.open(fileobj=out, mode="w:gz" if form == "gz" else "w") as archive:
        for path, content in mixed:
            item = tarfile.TarInfo(f"line-monitor/{path}")
            item.size, item.mtime, item.mode = len(content), dice.randrange(2**31), dice.choice((0o600, 0o644, 0o755))
            archive.addfile(item, io.BytesIO(content))
    return out.getvalue()
