"""Jinja templates and what they may use: static addresses with content hashes, times, sizes, sentences, the words for states; one compiled set for each
language.

Owns presentation helpers only; no lookups, no decisions.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import mimetypes
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_environment, select_autoescape
from jinja2.compiler import CodeGenerator

from penstock.server.api import words
from penstock.server.core.usage import line
from penstock.server.web import markdown
from penstock.server.web.phrases import Catalogue
from penstock.server.web.translate import Walk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import nodes
    from jinja2.compiler import Frame

    from penstock.apiv1.apps import Rollout
    from penstock.apiv1.devices import AppOnDevice

HERE = Path(__file__).parent
ENGLISH = "en"
# What a language is called in itself.
LANGUAGES = {ENGLISH: "English", "de": "Deutsch"}
NAV = (
    # address, glyph, word, the verb it needs
    ("/", "fleet", "Fleet", "devices.read"),
    ("/join", "door", "Add device", "enrolments.read"),
    ("/apps", "apps", "Apps", "apps.read"),
    ("/registry", "registry", "Registry", "images.pull"),
    ("/deployments", "deploy", "Deployments", "deployments.read"),
    ("/sites", "sites", "Sites", "sites.read"),
    ("/people", "people", "People", "users.read"),
    ("/groups", "groups", "Groups", "groups.read"),
    ("/history", "history", "History", "events.read"),
    ("/settings", "settings", "Settings", "settings.read"),
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


_CLOCKS = {ENGLISH: "%Y-%m-%d %H:%M", "de": "%d.%m.%Y, %H:%M"}


def utc(ms: int, language: str = ENGLISH) -> str:
    """A time as people read it; the script puts it into the viewer's zone."""
    return datetime.fromtimestamp(ms / 1000, timezone.utc).strftime(f"{_CLOCKS[language]} UTC")


def there(ms: int, zone: str) -> str:
    """The clock of a site at that moment, "" where it is the one of UTC."""
    at = datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)) if zone else None
    return at.strftime("%H:%M") if at is not None and at.utcoffset() else ""


def clock_in(ms: int, zone: str) -> tuple[str, str]:
    """The day of the week and the time of day in a zone, as ("Sat", "14:05")."""
    at = datetime.fromtimestamp(ms / 1000, ZoneInfo(zone))
    return f"{at:%a}", f"{at:%H:%M}"


def image(reference: str) -> str:
    """What an image is called, without where it comes from; of a digest its beginning. "host:5000/press/web@sha256:0123..." is "press/web 0123456789ab"."""
    host, _, path = reference.partition("/")
    name = path if path and (set(host) & set(".:") or host == "localhost") else reference
    name, _, digest = name.partition("@")
    return f"{name} {digest.partition(':')[2][:12]}".strip()


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


def size(count: int, language: str = ENGLISH) -> str:
    """Bytes as people read them."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            shown = f"{value:.0f}" if unit == "B" or value >= 100 else f"{value:.1f}"
            return f"{shown if language == ENGLISH else shown.replace('.', ',')} {unit}"
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


@pass_environment
def progress_words(env: Pages, rollout: Rollout) -> str:
    """A rollout's counts in words."""
    at = rollout.counts.get
    done = at("soaked", 0) + at("removed", 0)
    said = [env.say(f"{done} of {rollout.total} done")]
    said += [
        f"{count} {env.say(word)}"
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


def catalogue(language: str) -> Catalogue:
    """The phrases of a language. Raises ValueError where a phrase has not the holes of its English."""
    found = json.loads((HERE / "lang" / f"{language}.json").read_text("utf-8"))
    return Catalogue(language, found["phrases"], found["composed"])


class _Said(CodeGenerator):
    """Says a template's phrases before it is compiled."""

    def visit_Template(self, node: nodes.Template, frame: Frame | None = None) -> None:  # noqa: N802 (jinja2's name)
        said = self.environment.catalogue  # type: ignore[attr-defined]
        if said is not None:
            Walk(said.phrases.get).template(node)
        super().visit_Template(node, frame)


class Pages(Environment):
    """The templates in one language. Undefined names are errors, everything is escaped."""

    code_generator_class = _Said

    def __init__(self, language: str) -> None:
        self.language = language
        self.catalogue = None if language == ENGLISH else catalogue(language)
        super().__init__(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def say(self, text: str) -> str:
        """A sentence or words of ours, in this language; other text as it is."""
        return text if self.catalogue is None or not isinstance(text, str) else self.catalogue.say(text)


@pass_environment
def _say(env: Pages, text: str) -> str:
    return env.say(text)


@pass_environment
def _sentence(env: Pages, text: str) -> str:
    return sentence(env.say(text))


@pass_environment
def _headline(env: Pages, title: str) -> str:
    said = env.say(title)
    plain = headline(title)
    return plain if said == title else said[:1].upper() + said[1:] if plain[:1] != title[:1] else said


@pass_environment
def _span(env: Pages, seconds: int) -> str:
    return env.say(span(seconds))


@pass_environment
def _size(env: Pages, count: int) -> str:
    return size(count, env.language)


@pass_environment
def _utc(env: Pages, ms: int) -> str:
    return utc(ms, env.language)


@pass_environment
def _clock_in(env: Pages, ms: int, zone: str) -> str:
    day, clock = clock_in(ms, zone)
    return f"{env.say(day)} {clock}"


def environments(assets: Mapping[str, Asset]) -> dict[str, Pages]:
    """The templates of each language."""
    return {language: environment(assets, language) for language in LANGUAGES}


def environment(assets: Mapping[str, Asset], language: str = ENGLISH) -> Pages:
    """The templates of one language."""
    env = Pages(language)

    def static(path: str, *, bare: bool = False) -> str:
        return f"/static/{path}" if bare else f"/static/{path}?v={assets[path].etag}"

    env.filters.update(
        iso=iso, utc=_utc, say=_say, sentence=_sentence, headline=_headline, size=_size, span=_span, clock_in=_clock_in, image=image, markdown=markdown.to_html
    )
    env.globals.update(static=static, nav=NAV, phase_word=words.of_phase, rail=rail, words=words, progress_parts=progress_parts, progress_words=progress_words)
    env.globals.update(language=language, languages=LANGUAGES, there=there, line=line)
    return env


def render(env: Pages, template: str, context: dict[str, Any]) -> bytes:
    """One page."""
    return env.get_template(template).render(context).encode()


def chosen(cookie: str, accepted: str) -> str:
    """The language somebody reads: the one chosen here before, else the first of ours that the browser asks for, else English."""
    if cookie in LANGUAGES:
        return cookie
    best, most = ENGLISH, 0.0
    for piece in accepted[:500].split(","):
        tag, _, given = piece.strip().partition(";")
        weight = given.strip().removeprefix("q=")
        try:
            value = float(weight) if weight else 1.0
        except ValueError:
            continue
        name = tag.strip().partition("-")[0].lower()
        if name in LANGUAGES and value > most:
            best, most = name, value
    return best
