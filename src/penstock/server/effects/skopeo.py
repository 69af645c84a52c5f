"""Other registries, asked and fetched from by `skopeo`, one process at a time.

Owns the program's arguments, its private folder (credentials 0600, gone with it), its limits of time and what its complaints mean. Passwords are written
to a file and never stand on a command line. Never decides what is copied, and knows nothing of where it goes.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from penstock.server.effects.upstream import ABSENT, BROKEN, GONE, REFUSED, UNREACHABLE, Access, Attached, Fetched, UpstreamFault
from penstock.server.effects.upstream_http import Asking

LOOK_S = 60.0  # a question about one manifest
STALL_S = 300.0  # a copy that grows by nothing
WHOLE_S = 4 * 3600.0  # a copy of one manifest with its layers
STEP_S = 0.25
MOST_RAW = 4 * 1024 * 1024  # bytes of a manifest
MOST_SAID = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Folder:
    """What `skopeo copy ... dir:` wrote: blobs by the hex of their digest."""

    root: Path

    def open(self, digest: str) -> BinaryIO:
        """See `Fetched`."""
        try:
            return (self.root / digest.partition(":")[2]).open("rb")
        except FileNotFoundError:
            raise UpstreamFault(BROKEN, f"the copy lacks {digest}") from None


class Skopeo:
    """`Upstream` by the program `skopeo`. `folder` is emptied at the start: what lies there is of a process that died."""

    def __init__(self, folder: Path, program: str = "skopeo", *, look_s: float = LOOK_S, stall_s: float = STALL_S, whole_s: float = WHOLE_S) -> None:
        self._folder, self._program = folder, program
        self._look_s, self._stall_s, self._whole_s = look_s, stall_s, whole_s
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def raw(self, image: str, access: Access) -> bytes:
        """See `Upstream`."""
        with self._place(access) as place:
            return self._run(place, ["inspect", "--raw", *_tls(place, access, ""), f"docker://{image}"], lambda: 0, self._look_s, self._look_s)

    @contextmanager
    def fetch(self, image: str, access: Access, told: Callable[[int], None]) -> Iterator[Fetched]:
        """See `Upstream`."""
        with self._place(access) as place:
            target = place / "image"
            words = ["copy", "--quiet", "--preserve-digests", "--retry-times", "2", *_tls(place, access, "src-"), f"docker://{image}", f"dir:{target}"]

            def grown() -> int:
                size = sum(one.stat().st_size for one in os.scandir(target)) if target.is_dir() else 0
                told(size)
                return size

            self._run(place, words, grown, self._whole_s, self._stall_s)
            yield _Folder(target)

    @contextmanager
    def attached(self, source: str, access: Access) -> Iterator[Attached]:
        """See `Upstream`. skopeo has no word for it, so it is asked for without."""
        yield Asking(access, source, lambda: self._stopped)

    def free_bytes(self) -> int:
        """See `Upstream`."""
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize

    def try_out(self, access: Access) -> None:
        """See `Upstream`. Without a user there is nothing to sign in to: an image that nobody has is asked for, and any answer about it will do."""
        if not access.user:
            try:
                self.raw(f"{access.host}/library/penstock-asks-whether-you-answer:none", access)
            except UpstreamFault as fault:
                if fault.kind in (ABSENT, UNREACHABLE, BROKEN):
                    raise
            return
        with self._place(access, sign_in=False) as place:
            words = ["login", "--authfile", str(place / "auth.json"), "--username", access.user, "--password-stdin", *_certificates(place, access, "")]
            self._run(place, [*words, access.host], lambda: 0, self._look_s, self._look_s, access.password.encode())

    def stop(self) -> None:
        """See `Upstream`."""
        with self._lock:
            self._stopped = True
            running = tuple(self._running)
        for process in running:
            _kill(process)

    @contextmanager
    def _place(self, access: Access, *, sign_in: bool = True) -> Iterator[Path]:
        """A private folder with what skopeo needs to know, gone afterwards."""
        place = Path(tempfile.mkdtemp(prefix="copy-", dir=self._folder))
        try:
            (place / "policy.json").write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
            (place / "registries.conf").write_text("unqualified-search-registries = []\n")
            (place / "registries.d").mkdir()
            certificates = place / "certs"
            certificates.mkdir()
            if access.ca:
                (certificates / "ca.crt").write_text(access.ca)
            signed: dict[str, dict[str, str]] = {}
            if sign_in and access.user:
                key = "https://index.docker.io/v1/" if access.host == "docker.io" else access.host
                signed[key] = {"auth": base64.b64encode(f"{access.user}:{access.password}".encode()).decode()}
            fd = os.open(place / "auth.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "w") as file:
                json.dump({"auths": signed}, file)
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _run(self, place: Path, words: list[str], grown: Callable[[], int], whole_s: float, stall_s: float, given: bytes = b"") -> bytes:
        """What the program prints. `grown` tells how far it is; growing by nothing for `stall_s` is the end of it."""
        line = [self._program, "--policy", str(place / "policy.json"), "--registries.d", str(place / "registries.d"), "--tmpdir", str(place), *words]
        environment = {key: value for key, value in os.environ.items() if key in _KEPT or key.lower() in _PROXIES}
        environment |= {"HOME": str(place), "XDG_RUNTIME_DIR": str(place), "CONTAINERS_REGISTRIES_CONF": str(place / "registries.conf"), "TMPDIR": str(place)}
        with (place / "said").open("w+b") as said, (place / "out").open("w+b") as out, (place / "in").open("w+b") as source:
            source.write(given)
            source.seek(0)
            with self._lock:
                if self._stopped:
                    raise UpstreamFault(BROKEN, "the control plane is stopping")
                try:
                    process = subprocess.Popen(line, stdin=source, stdout=out, stderr=said, env=environment, cwd=place, start_new_session=True)
                except FileNotFoundError:
                    raise UpstreamFault(ABSENT, f"{self._program} is not installed on the control plane's machine") from None
                self._running.add(process)
            try:
                self._wait(process, grown, whole_s, stall_s)
            finally:
                _kill(process)
                with self._lock:
                    self._running.discard(process)
                (place / "in").unlink(missing_ok=True)
            said.seek(0)
            words_said = said.read(MOST_SAID).decode("utf-8", "replace")
            if process.returncode != 0:
                if self._stopped:
                    raise UpstreamFault(BROKEN, "the control plane is stopping")
                raise fault_of(words_said)
            out.seek(0)
            found = out.read(MOST_RAW + 1)
        if len(found) > MOST_RAW:
            raise UpstreamFault(BROKEN, f"its manifest has more than the {MOST_RAW} bytes allowed")
        return found

    def _wait(self, process: subprocess.Popen[bytes], grown: Callable[[], int], whole_s: float, stall_s: float) -> None:
        began = moved = time.monotonic()
        size = -1
        while True:
            try:
                process.wait(STEP_S)
                return
            except subprocess.TimeoutExpired:
                now = time.monotonic()
                found = grown()
                if found != size:
                    size, moved = found, now
                if self._stopped:
                    raise UpstreamFault(BROKEN, "the control plane is stopping") from None
                if now - began > whole_s or now - moved > stall_s:
                    raise UpstreamFault(UNREACHABLE, f"nothing came for {int(min(now - moved, whole_s))} seconds; it was given up") from None


_KEPT = ("PATH", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
_MESSAGE = re.compile(r'level=(?:fatal|error) msg="((?:[^"\\]|\\.)*)"')
_NONE = ("manifest unknown", "name unknown", "repository name not known", "not found", "no such manifest")
_NO = ("unauthorized", "authentication required", "denied", "forbidden", "invalid username/password", "401", "403")
_AWAY = (
    "dial tcp",
    "no such host",
    "i/o timeout",
    "x509",
    "tls:",
    "connection refused",
    "network is unreachable",
    "eof",
    "connection reset",
    "server gave http response",
)


def fault_of(said: str) -> UpstreamFault:
    """What skopeo's complaint means."""
    found = _MESSAGE.findall(said)
    why = (
        (found[-1] if found else said.strip().splitlines()[-1] if said.strip() else "skopeo failed without a word")
        .replace('\\"', '"')
        .replace("\\n", " ")[:600]
    )
    low = why.lower()
    for kind, words in ((REFUSED, _NO), (GONE, _NONE), (UNREACHABLE, _AWAY)):
        if any(word in low for word in words):
            return UpstreamFault(kind, why)
    return UpstreamFault(BROKEN, why)


def _certificates(place: Path, access: Access, prefix: str) -> list[str]:
    found = [f"--{prefix}cert-dir", str(place / "certs")]
    return [*found, f"--{prefix}tls-verify=false"] if access.insecure else found


def _tls(place: Path, access: Access, prefix: str) -> list[str]:
    return [f"--{prefix}authfile", str(place / "auth.json"), *_certificates(place, access, prefix)]


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
