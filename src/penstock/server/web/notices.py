"""Pages of what is wrong, and of who is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from penstock.apiv1 import notices as n
from penstock.server.api import notices, people, queries
from penstock.server.core.faultkinds import KINDS
from penstock.server.core.rights import reach
from penstock.server.web.frame import PAGE_FAULTS, Go, Show, faults_of, read, told
from penstock.server.web.people import safe_next
from penstock.server.web.zones import ZONES

if TYPE_CHECKING:
    from penstock.apiv1.common import Problem
    from penstock.server.web.frame import Ask

DAY_MS = 86_400_000
KNOWN = {"": None, "yes": True, "no": False}


def may_know(ask: Ask) -> bool:
    """Whether the asker may say to know of any fault."""
    return bool(reach(ask.actor.rights, "faults.acknowledge"))


def faults(ask: Ask) -> Show:
    """What is wrong, worst first."""
    return _faults(ask)


def _faults(ask: Ask, problem: Problem | None = None) -> Show:
    q = {key: ask.query.get(key, "")[:200] for key in ("severity", "kind", "site", "known", "cursor")}
    found: Any = None
    try:
        found = ask.ask(notices.list_faults, query=read(queries.Faults, {**q, "known": KNOWN.get(q["known"]), "limit": 50}))
    except PAGE_FAULTS as fault:
        problem = told(fault)
    kept = {key: value for key, value in q.items() if value and key != "cursor"}
    places = ask.ask(people.list_sites).items if reach(ask.actor.rights, "sites.read") else ()
    return Show(
        "faults.html",
        {
            "found": found.items if found else (),
            "filters": q,
            "problem": problem,
            "kinds": sorted(KINDS.values(), key=lambda kind: kind.word),
            "sites": places,
            "clocks": {site.name: site for site in places},
            "may_know": may_know(ask),
            "can_notices": bool(reach(ask.actor.rights, "notices.read")),
            "next_url": f"/faults?{urlencode({**kept, 'cursor': found.next})}" if found and found.next else "",
            "first_url": f"/faults?{urlencode(kept)}" if q["cursor"] else "",
        },
        422 if problem else 200,
    )


def acknowledge(ask: Ask) -> Go | Show:
    """Somebody knows of it."""
    try:
        days = int(ask.first("days", "7")) if ask.first("days", "7").isdigit() else 0
        until = ask.plane.clock.now_ms() + min(days, 366) * DAY_MS
        said = ask.ask(notices.acknowledge, body=read(n.Acknowledge, {"until_ms": until, "reason": ask.first("reason")})).said
    except PAGE_FAULTS as fault:
        return _faults(ask, told(fault))
    return Go(safe_next(ask.first("back", "/faults")), said)


def unacknowledge(ask: Ask) -> Go | Show:
    """It is news again."""
    try:
        said = ask.ask(notices.unacknowledge).said
    except PAGE_FAULTS as fault:
        return _faults(ask, told(fault))
    return Go(safe_next(ask.first("back", "/faults")), said)


# --- who is told --------------------------------------------------------------------------------------------------------

FIELDS = ("name", "way", "url", "to", "sender", "host", "port", "security", "user", "severity", "site", "quiet", "time_zone", "through", "acts", "ca")
FRESH = dict.fromkeys(FIELDS, "") | {"way": "webhook", "port": "587", "security": "starttls", "severity": "warn", "through": "yes"}


def page(ask: Ask) -> Show:
    """Who is told of faults."""
    return _page(ask)


def _page(ask: Ask, problem: Problem | None = None, form: dict[str, str] | None = None, made: n.NoticeMade | None = None) -> Show:
    able = reach(ask.actor.rights, "notices.write")
    places = ask.ask(people.list_sites).items if reach(ask.actor.rights, "sites.read") else ()
    return Show(
        "notices.html",
        {
            "notices": ask.ask(notices.list_notices).items,
            "made": made,
            "problem": problem,
            "faults": faults_of(problem),
            "form": form or FRESH,
            "sites": places,
            "whole": able.whole,
            "zones": ZONES,
        },
        422 if problem else 200,
    )


def create(ask: Ask) -> Show | Go:
    """Somebody more is told."""
    form = {key: ask.first(key) for key in FIELDS}
    try:
        made = ask.ask(notices.create_notice, body=_body(ask, form))
    except PAGE_FAULTS as fault:
        return _page(ask, told(fault), form)
    if made.secret:
        return _page(ask, made=made)
    return Go("/notices", f"{made.notice.name} is told from now on. Send a test to see that it arrives.")


def _body(ask: Ask, form: dict[str, str]) -> n.NoticeCreate:
    rules = {
        "severity": form["severity"] or "warn",
        "quiet": form["quiet"],
        "time_zone": form["time_zone"] or "UTC",
        "through": form["through"] == "yes",
        "acts": _parts(form["acts"]) if form["way"] != "email" else (),
    }
    given: dict[str, Any] = {"name": form["name"], "site": form["site"], "rules": rules}
    if form["way"] == "email":
        mail = {key: form[key] for key in ("host", "security", "user", "sender", "ca")}
        given |= {"email": {**mail, "port": form["port"] or "587", "to": _parts(form["to"])}, "secret": ask.form.get("secret", [""])[0]}
    else:
        given["webhook"] = {"url": form["url"], "ca": form["ca"]}
    return read(n.NoticeCreate, given)  # type: ignore[no-any-return]


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.replace("\n", ",").split(",") if part.strip())


def test(ask: Ask) -> Go:
    """A test, sent at once."""
    found = ask.ask(notices.get_notice)
    tested = ask.ask(notices.try_notice)
    if tested.arrived:
        return Go("/notices", f"The test arrived at {found.name}.")
    return Go("/notices", f"The test did not arrive at {found.name}: {tested.why}", "bad")


def switch(ask: Ask) -> Go:
    """On, or off."""
    on = ask.first("enabled") == "yes"
    found = ask.ask(notices.change_notice, body=n.NoticeChange(enabled=on), revision=ask.revision())
    return Go("/notices", f"{found.name} is told again from now on." if on else f"{found.name} is told nothing until it is turned on.")


def remove(ask: Ask) -> Go:
    """Told nothing any more."""
    return Go("/notices", ask.ask(notices.remove_notice, revision=ask.revision()).said)
