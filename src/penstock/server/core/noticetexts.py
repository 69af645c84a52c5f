"""What a message says: the body of a webhook as plain values, and the subject and text of a mail made from the same.

Owns the shape of bodies (docs/notices.md describes it) and the words of mails. Times in mails are in the zone of the target's rules, as the person who reads it
reads a clock.
"""

from __future__ import annotations

from datetime import datetime, timezone, tzinfo
from typing import Any

from penstock.server.core.faultkinds import KINDS
from penstock.server.core.model import Event
from penstock.server.core.notices import CLEARED, OPENED, PASSED, WORSENED, Message, News

MOST_LINES, MOST_SUBJECTS = 50, 50
_WORDS = {OPENED: "", WORSENED: "Worse: ", CLEARED: "Over: ", PASSED: "Came and went: "}


def body_of(message: Message, plane: str, sites: dict[str, str]) -> dict[str, Any]:
    """A message about faults. `plane` is the address people open, `sites` the names of sites by id."""
    shown = message.news[:MOST_LINES]
    event = "digest" if message.digest else f"fault.{message.news[0].what}"
    return {"event": event, "faults": [_line(one, plane, sites) for one in shown], "more": len(message.news) - len(shown), "url": f"{plane}/faults"}


def _line(news: News, plane: str, sites: dict[str, str]) -> dict[str, Any]:
    told, cause = news.told, news.cause
    names = [fault.name for fault in cause.faults] if cause is not None else []
    return {
        "what": news.what,
        "id": told.id,
        "kind": told.kind,
        "severity": news.severity,
        "title": told.title,
        "why": cause.why if cause is not None else "",
        "remedy": KINDS[told.kind].remedy if cause is not None and told.kind in KINDS else "",
        "site": sites.get(told.site, ""),
        "since_ms": told.since_ms,
        "over_ms": told.gone_ms,
        "names": names[:MOST_SUBJECTS],
        "count": len(names) if cause is not None else told.count,
        "url": f"{plane}/faults#{told.id}",
    }


def body_of_act(event: Event, sites: dict[str, str]) -> dict[str, Any]:
    """A message about one act of the plane's record."""
    return {
        "event": "act",
        "act": {
            "number": event.number,
            "at_ms": event.at_ms,
            "verb": event.verb,
            "actor_kind": event.actor_kind,
            "actor": event.actor_name,
            "subject": event.subject,
            "site": sites.get(event.site, ""),
            "outcome": event.outcome,
            "reason": event.reason,
            "data": event.data,
        },
    }


def body_of_test(plane: str) -> dict[str, Any]:
    """A message that says nothing but that messages arrive."""
    return {"event": "test", "faults": [], "more": 0, "url": f"{plane}/notices"}


def mail_of(body: dict[str, Any], zone: tzinfo = timezone.utc) -> tuple[str, str]:
    """(subject, text) of a mail with that body."""
    faults = body["faults"]
    if body["event"] == "test":
        return "[Penstock] Test", f"This is a test. Messages of this control plane arrive here.\n\n{body['url']}\n"
    if len(faults) == 1:
        subject = f"[Penstock] {_WORDS[faults[0]['what']]}{faults[0]['title']}"
    else:
        open_ = sum(one["what"] in (OPENED, WORSENED) for one in faults)
        over = len(faults) - open_
        subject = f"[Penstock] Digest: {open_ + body['more']} open, {over} over"
    parts = [_paragraph(one, zone) for one in faults]
    if body["more"]:
        parts.append(f"and {body['more']} more")
    return " ".join(subject.split())[:200], "\n\n".join([*parts, body["url"]]) + "\n"


def _paragraph(one: dict[str, Any], zone: tzinfo) -> str:
    lines = [f"{_WORDS[one['what']]}{one['title']} ({one['severity']})", f"Since {_at(one['since_ms'], zone)}"]
    if one["over_ms"]:
        lines[-1] += f", over at {_at(one['over_ms'], zone)}"
    if one["why"]:
        lines.append(f"Why: {one['why']}")
    if one["remedy"]:
        lines.append(f"What to do: {one['remedy']}")
    return "\n".join(lines)


def _at(ms: int, zone: tzinfo) -> str:
    return datetime.fromtimestamp(ms / 1000, zone).strftime("%Y-%m-%d %H:%M %Z")
