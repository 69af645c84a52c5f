"""`make package`: everything Penstock is delivered as, into dist/.

Owns which artefacts there are and their checksums: the agent as one file, as a Debian package and as a container image (an archive for
`docker load` and `podman load`, and an OCI layout with every processor), and the wheel with the control plane. Builds nothing itself.

    python -m tools.package [--only zipapp,deb,image,wheel] [--platforms linux/amd64,linux/arm64,linux/arm/v7] [--output dist] [--allow-old-packages]
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.agentimage import TARGETS, build_image
from tools.agentprogram import ROOT, version, zipapp
from tools.deb import make_deb
from tools.debs import DebsError
from tools.oci import Entry, layer_tar

KINDS = ("zipapp", "deb", "image", "wheel")


def make_zipapp(output: Path) -> Path:
    """OUTPUT/penstock-agent.pyz, executable."""
    output.mkdir(parents=True, exist_ok=True)
    path = output / "penstock-agent.pyz"
    path.write_bytes(zipapp())
    path.chmod(0o755)
    return path


def make_images(output: Path, platforms: tuple[str, ...], *, strict: bool = True) -> list[Path]:
    """OUTPUT/penstock-agent-VERSION-PLATFORM.docker.tar for each platform, and one OCI layout of all as a tar."""
    image = build_image(platforms, strict=strict)
    output.mkdir(parents=True, exist_ok=True)
    made = []
    for platform in platforms:
        name = platform.removeprefix("linux/").replace("/", "")
        archive = output / f"penstock-agent-{version()}-{name}.docker.tar"
        made.append(image.write_docker_archive(archive, f"penstock-agent:{version()}", platform=platform))
    with tempfile.TemporaryDirectory() as scratch:
        layout = image.write_layout(Path(scratch) / "layout", version())
        entries = [Entry(path.relative_to(layout).as_posix(), path.read_bytes()) for path in sorted(layout.rglob("*")) if path.is_file()]
    made.append(output / f"penstock-agent-{version()}.oci.tar")
    made[-1].write_bytes(layer_tar(entries))
    return made


def make_wheel(output: Path) -> list[Path]:
    """The wheel of the whole distribution (agent, control plane, command line)."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", scratch], cwd=ROOT, check=True, capture_output=True)
        return [Path(shutil.move(path, output / path.name)) for path in Path(scratch).glob("*.whl")]


def main() -> int:
    parser = argparse.ArgumentParser(description="Build what Penstock is delivered as.")
    parser.add_argument("--only", default=",".join(KINDS))
    parser.add_argument("--platforms", default=",".join(TARGETS))
    parser.add_argument("--output", type=Path, default=ROOT / "dist")
    parser.add_argument("--allow-old-packages", action="store_true", help="make the images even where security updates cannot be had just now")
    given = parser.parse_args()
    kinds, platforms = given.only.split(","), tuple(given.platforms.split(","))
    unknown = [kind for kind in kinds if kind not in KINDS] + [name for name in platforms if name not in TARGETS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; kinds are {', '.join(KINDS)}, platforms are {', '.join(TARGETS)}")
    made: list[Path] = []
    missing = ""
    try:
        if "zipapp" in kinds:
            made.append(make_zipapp(given.output))
        if "deb" in kinds:
            made.append(make_deb(given.output))
        if "image" in kinds:
            try:
                made += make_images(given.output, platforms, strict=not given.allow_old_packages)
            except DebsError as fault:  # a mirror in the middle of being renewed takes nothing from the rest
                missing = f"no container images: {fault}\nTry again later, or take what can be had: python -m tools.package --only image --allow-old-packages"
        if "wheel" in kinds:
            made += make_wheel(given.output)
    except subprocess.CalledProcessError as fault:
        sys.exit(f"package: {' '.join(map(str, fault.cmd[:3]))} failed: {(fault.stderr or b'').decode(errors='replace')[-800:]}")
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in made]
    (given.output / "SHA256SUMS").write_text("".join(sums))
    for path in made:
        print(f"{path.stat().st_size / 1e6:8.2f} MB  {path}")
    if missing:
        print(f"package: {missing}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
