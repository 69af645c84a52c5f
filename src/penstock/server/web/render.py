"""Jinja templates and what they may use: static addresses with content hashes, times, sizes, sentences, the words for states.

Owns presentation helpers only; no lookups, no decisions.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from penstock.server.api import words
from penstock.server.core.usage import line

if TYPE_CHECKING:
    from penstock.apiv1.apps import Rollout
    from penstock.apiv1.devices import AppOnDevice

HERE = Path(__file__).parent
NAV = (
    # address, glyph, word, only where there is room, the verb it needs
    ("/", "fleet", "Fleet", False, "devices.read"),
    ("/join", "door", "Add device", False, "enrolments.read"),
    ("/apps", "apps", "Apps", False, "apps.read"),
    ("/deployments", "deploy", "Deployments", False, "deployments.read"),
    ("/sites", "sites", "Sites", True, "sites.read"),
    ("/history", "history", "History", True, "events.read"),
    ("/settings", "settings", "Settings", False, "tokens.own"),
)


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file, ready to send."""

    body: bytes
    packed: bytes
    media_type: str
    etag: str


def load_assets() -> dict[str, Asset]:
    """Every static file by its path under /static/."""
    found = {}
    for path in sorted((HERE / "static").rglob("*")):
        if path.is_file():
            body = path.read_bytes()
            kind = {".woff2": "font/woff2", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}.get(
                path.suffix, mimetypes.guess_type(path.name)[0] or "text/plain; charset=utf-8"
            )
            packed = b"" if path.suffix == ".woff2" else gzip.compress(body, 9, mtime=0)
            found[path.relative_to(HERE / "static").as_posix()] = Asset(body, packed, kind, hashlib.sha256(body).hexdigest()[:16])
    return found


def iso(ms: int) -> str:
    """An ISO 8601 time in UTC."""
    return datetime.fromtimestamp(ms / 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc(ms: int) -> str:
    """A time as people read it; the script puts it into the viewer's zone."""
    return datetime.fromtimestamp(ms / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def sentence(text: str) -> str:
    """A `why` as a sentence: a capital first (but not where it begins with a name, as in "line: ..."), a full stop at the end."""
    text = text.strip()
    if not text:
        return ""
    if not text[:2].isupper() and not text[0].isupper() and text.split(" ", 1)[0].rstrip(",;").isalpha():
        text = text[0].upper() + text[1:]
    return text if text[-1] in ".!?:" else text + "."


_PLAIN = frozenset(("update", "install", "revert", "restart", "recreate", "uninstall", "at", "agent", "command", "refused", "entries", "device", "receipt"))


def headline(title: str) -> str:
    """A title with a capital where it begins with a plain word; a dotted verb such as "deployment.changed" in words. Names stay as they are."""
    first = title.partition(" ")[0]
    if "." in first and first.replace(".", "").replace("-", "").isalpha():
        title = title.replace(first, first.replace(".", " ").replace("-", " "), 1)
        return title[:1].upper() + title[1:]
    return title[:1].upper() + title[1:] if first.rstrip(":") in _PLAIN else title


def size(count: int) -> str:
    """Bytes as people read them."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return ""


def span(seconds: int) -> str:
    """A span as people read it."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length and seconds % length == 0:
            count = seconds // length
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds} seconds"


_STEPS = ("Fetched", "Applied", "Claimed", "Confirmed", "Soaked")
_NOW = {"pending": 0, "fetching": 0, "waiting": 1, "applying": 1, "claimed": 3, "confirmed": 4}


def rail(app: AppOnDevice) -> list[tuple[str, str]]:
    """The five stations of a change and how each stands: done, now, shut (a gate), fail, or nothing yet."""
    phase = app.phase
    if phase == "soaked":
        return [(step, "done") for step in _STEPS]
    if phase in ("failed", "reverting"):
        return [(_STEPS[0], "done"), (_STEPS[1], "done"), ("Going back" if phase == "reverting" else "Failed", "fail"), (_STEPS[3], ""), (_STEPS[4], "")]
    if phase in ("removing", "removed", "none"):
        return []
    now = _NOW.get(phase, 0)
    mark = "shut" if phase == "waiting" else "now"
    label = {"fetching": "Fetching", "waiting": "Gate", "applying": "Applying"}.get(phase)
    return [((label or step) if index == now else step, "done" if index < now else mark if index == now else "") for index, step in enumerate(_STEPS)]


def progress_parts(rollout: Rollout) -> list[tuple[str, int]]:
    """A rollout's devices as parts of a bar: good, moving, waiting for a person, bad, the rest."""
    at = rollout.counts.get
    return [
        ("good", at("soaked", 0) + at("removed", 0)),
        ("busy", at("ordered", 0) + at("claimed", 0) + at("confirmed", 0)),
        ("wait", at("pinned", 0)),
        ("bad", at("failed", 0)),
    ]


def progress_words(rollout: Rollout) -> str:
    """A rollout's counts in words."""
    at = rollout.counts.get
    done = at("soaked", 0) + at("removed", 0)
    said = [f"{done} of {rollout.total} done"]
    said += [
        f"{count} {word}"
        for word, count in (
            ("on the way", at("ordered", 0) + at("claimed", 0) + at("confirmed", 0)),
            ("not begun", at("pending", 0)),
            ("failed", at("failed", 0)),
            ("pinned", at("pinned", 0)),
            ("left out", at("left-out", 0)),
        )
        if count
    ]
    return ", ".join(said)


def environment(assets: dict[str, Asset]) -> Environment:
    """The templates' environment. Undefined names are errors, everything is escaped."""
    env = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=select_autoescape(default=True), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )

    def static(path: str, *, bare: bool = False) -> str:
        return f"/static/{path}" if bare else f"/static/{path}?v={assets[path].etag}"

    env.filters.update(iso=iso, utc=utc, sentence=sentence, headline=headline, size=size, span=span)
    env.globals.update(
        static=static, nav=NAV, phase_word=words.of_phase, rail=rail, words=words, progress_parts=progress_parts, progress_words=progress_words, line=line
    )
    return env


def render(env: Environment, template: str, context: dict[str, Any]) -> bytes:
    """One page."""
    return env.get_template(template).render(context).encode()
