"""Pages of the fleet: the first page, joining, one device and what may be asked of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from msgspec import structs

from penstock.apiv1 import devices as d
from penstock.apiv1 import fleet as f
from penstock.apiv1.common import Page
from penstock.server.api import apps, devices, groups, notices, people, queries
from penstock.server.api import fleet as api_fleet
from penstock.server.core import usage
from penstock.server.core.errors import Invalid
from penstock.server.core.rights import reach
from penstock.server.core.saved import FILTERS
from penstock.server.web.frame import PAGE_FAULTS, Go, Show, Undo, faults_of, read, told
from penstock.server.web.notices import may_know
from penstock.server.web.parameters import room_of
from penstock.server.web.render import NAV

if TYPE_CHECKING:
    from penstock.apiv1.common import Problem
    from penstock.server.web.frame import Ask

# The numbers of a part of the fleet: what each shows when clicked, its word, its field, its tone.
TALLY = (
    ("", "Devices", "devices", ""),
    ("healthy", "Healthy", "healthy", "good"),
    ("moving", "Moving", "moving", "busy"),
    ("waiting", "Waiting", "waiting", "wait"),
    ("failing", "Failing", "failing", "bad"),
    ("silent", "Silent", "silent", "away"),
    ("drifted", "Drifted", "drifted", "drift"),
    ("noway", "No way back", "no_way_back", "back"),
    ("outdated", "Outdated", "outdated", "old"),
)
ROWS = 1000  # of the list on one page


def labels_of(text: str) -> dict[str, str]:
    """ "line=3, kind=press" as labels. Raises Invalid naming the piece that is none."""
    found: dict[str, str] = {}
    for piece in text.replace("\n", ",").split(","):
        if not piece.strip():
            continue
        key, sign, value = piece.partition("=")
        if not sign or not key.strip():
            raise Invalid("label-malformed", f"{piece.strip()[:60]!r} is not a label", field="labels", remedy="write key=value, separated by commas")
        found[key.strip()] = value.strip()
    return found


def labels_text(labels: dict[str, str]) -> str:
    """Labels as they are typed."""
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))


def fleet(ask: Ask) -> Show | Go:
    """The fleet: numbers, what needs a person, devices. Who may see none of it gets the first page that is theirs."""
    if not ask.may("devices.read"):
        theirs = [href for href, _, _, verb in NAV if verb != "devices.read" and ask.may(verb)]
        if not theirs:
            return Go("/account", "You have no role here yet. Ask whoever looks after people and access for one.", "wait")
        return Go(theirs[0])
    return _fleet(ask)


def _fleet(ask: Ask, problem: Problem | None = None, name: str = "") -> Show:
    given = ask.query if ask.query or not ask.first("query") else dict(parse_qsl(ask.first("query")))
    q = {key: given.get(key, "")[:200] for key in ("q", "site", "group", "show", "app", "sort", "cursor")}
    if q["show"] not in api_fleet.SHOWS:
        q["show"] = ""
    if q["sort"] not in ("name", "seen"):
        q["sort"] = ""
    found = ask.ask(devices.overview)
    try:
        query = read(queries.Devices, {**api_fleet.filters_of(q), "cursor": q["cursor"]})
        listed = ask.ask(devices.list_devices, query=structs.replace(query, limit=ROWS))
    except PAGE_FAULTS as fault:
        problem = told(fault)
        listed = Page[d.DeviceSummary](items=())
    tally = [(key, label, getattr(found, field), tone) for key, label, field, tone in TALLY]
    places = ask.ask(people.list_sites).items if found.sites else ()
    wrong = found.faults
    if q["site"]:
        known = any(site.name == q["site"] for site in places)
        wrong = ask.ask(notices.list_faults, query=queries.Faults(site=q["site"], known=False)).items if known else ()
    kept = {key: q[key] for key in FILTERS if q.get(key)}
    views = ask.ask(api_fleet.list_views).items
    here = urlencode(kept)
    return Show(
        "fleet.html",
        {
            "overview": found,
            "wrong": wrong,
            "may_know": may_know(ask),
            "devices": listed,
            "problem": problem,
            "sites": places,
            "clocks": {site.name: site for site in places},
            "faults": faults_of(problem),
            "apps": ask.ask(apps.list_apps).items if ask.may("apps.read") else (),
            "groups": ask.ask(groups.list_groups).items if ask.may("groups.read") else (),
            "filters": q,
            "narrowed": bool(kept),
            "query": here,
            "views": views,
            "view": next((view for view in views if view.query == here), None),
            "name": name,
            "tally": [
                ("/?" + urlencode({**{k: v for k, v in kept.items() if k != "show"}, **({"show": key} if key else {})}), key, *rest) for key, *rest in tally
            ],
            "next_url": "/?" + urlencode({**kept, "cursor": listed.next}) if listed.next else "",
            "first_url": "/?" + urlencode(kept) if q["cursor"] else "",
        },
        422 if problem and name else 200,
    )


def save_view(ask: Ask) -> Go | Show:
    """Give the filters of this page a name."""
    try:
        made = ask.ask(api_fleet.save_view, body=read(f.SavedViewCreate, {"name": ask.first("name"), "query": ask.first("query")}))
    except PAGE_FAULTS as fault:
        return _fleet(ask, told(fault), ask.first("name") or " ")
    return Go(f"/?{made.query}", f"{made.name} is one of your views now.")


def drop_view(ask: Ask) -> Go:
    """Forget a saved view."""
    mine = {view.id: view for view in ask.ask(api_fleet.list_views).items}
    said = ask.ask(api_fleet.drop_view).said
    view = mine[ask.path["view"]]
    return Go(f"/?{view.query}", said, undo=Undo("/views", {"name": view.name, "query": view.query}))


# --- joining ----------------------------------------------------------------------------------------------------------


def _room(ask: Ask, *, made: d.JoinTokenMade | None = None, problem: Problem | None = None, form: dict[str, Any] | None = None) -> Show:
    waiting = ask.ask(devices.list_enrolments, query=queries.Enrolments(status="waiting", limit=queries.WHOLE)).items
    decided = [*ask.ask(devices.list_enrolments, query=queries.Enrolments(status="approved", limit=queries.WHOLE)).items]
    decided += ask.ask(devices.list_enrolments, query=queries.Enrolments(status="rejected", limit=queries.WHOLE)).items
    tokens = [*ask.ask(devices.list_joins, query=queries.Joins(good=True, limit=queries.WHOLE)).items]
    return Show(
        "join.html",
        {
            "made": made,
            "problem": problem,
            "faults": faults_of(problem),
            "form": form or {"site": ask.query.get("site", ""), "uses": "1", "valid_s": "86400", "labels": "", "auto_approve": ""},
            "sites": ask.ask(people.list_sites).items,
            "waiting": waiting,
            "decided": sorted(decided, key=lambda item: -item.asked_ms)[:6],
            "tokens": tokens,
        },
        status=422 if problem else 200,
    )


def join(ask: Ask) -> Show:
    """Add a device: a join line, the waiting room."""
    return _room(ask)


def make_join(ask: Ask) -> Show:
    """A join line, shown this once."""
    form = {key: ask.first(key) for key in ("site", "uses", "valid_s", "labels", "auto_approve")}
    try:
        body = read(
            d.JoinTokenCreate,
            {"uses": form["uses"], "valid_s": form["valid_s"], "auto_approve": form["auto_approve"] == "yes", "labels": labels_of(form["labels"])},
        )
        made = ask.ask(devices.create_join, body=body, site=form["site"])
    except PAGE_FAULTS as fault:
        return _room(ask, problem=told(fault), form=form)
    return _room(ask, made=made, form=form)


def revoke_join(ask: Ask) -> Go:
    """A join line lets nobody in any more."""
    return Go("/join", ask.ask(devices.revoke_join).said)


def approve(ask: Ask) -> Go | Show:
    """Let a device in."""
    try:
        asked = ask.ask(devices.get_enrolment)
        said = ask.ask(devices.approve, body=d.Approve(replace=asked.replaces and ask.first("replace") == "yes", fingerprint=ask.first("fingerprint"))).said
    except PAGE_FAULTS as fault:
        return _room(ask, problem=told(fault))
    return Go("/join", said)


def reject(ask: Ask) -> Go:
    """Turn a device away."""
    return Go("/join", ask.ask(devices.reject, body=d.Reason(reason=ask.first("reason") or "rejected in the waiting room")).said)


# --- one device -------------------------------------------------------------------------------------------------------


def _device(ask: Ask, tab: str, template: str, status: int = 200, **more: Any) -> Show:
    found = more.pop("device", None) or ask.ask(devices.get_device)
    return Show(
        template,
        {"device": found, "s": found.summary, "tab": tab, "zone": found.time_zone, "place": found.site_title or found.summary.site, **more},
        status,
    )


def device(ask: Ask) -> Show:
    """One device: what runs, whether it is well, the way back, its latest entries."""
    return _now(ask)


def _now(ask: Ask, problem: Problem | None = None, labels: str | None = None) -> Show:
    found = ask.ask(devices.get_device)
    recent = ask.ask(devices.timeline, query=queries.Timeline(limit=8))
    wrong = ask.ask(notices.list_faults, query=queries.Faults(device=found.summary.id)).items if found.summary.state != "retired" else ()
    commands = ask.ask(devices.list_commands, query=queries.Paging(limit=200)).items
    asked = [one for one in commands if one.arguments.get("what") == "usage"]
    samples = ((one.arguments["app"], one.arguments["service"], usage.sample(one.ended_ms, one.output)) for one in asked if one.outcome == "done")
    return _device(
        ask,
        "now",
        "device.html",
        422 if problem else 200,
        device=found,
        recent=recent.items,
        wrong=wrong,
        may_know=may_know(ask),
        room=room_of(ask, found.summary.id) if found.summary.state != "retired" else None,
        commands=[one for one in commands if one.arguments.get("what") != "usage"][:5],
        measured={(one.app, one.service): one for one in usage.measured((app, service, one) for app, service, one in samples if one is not None)},
        measuring=next((one for one in asked if one.outcome == "open"), None),
        unmeasured=next((one for one in asked[:8] if one.outcome != "open" and (one.outcome != "done" or usage.sample(0, one.output) is None)), None),
        problem=problem,
        faults=faults_of(problem),
        labels=labels_text(found.summary.labels) if labels is None else labels,
        editing=labels is not None,
    )


MEASURED_AT_ONCE = 12  # services of one device


def measure(ask: Ask) -> Go:
    """Ask the device what each of its services uses now; the figures come onto the page by themselves."""
    found = ask.ask(devices.get_device)
    running = [(app.app, one.service) for app in found.apps for one in app.services if one.state == "running"]
    if not running:
        raise Invalid("nothing-runs", "no service runs on this device, so there is nothing to measure")
    for app, service in running[:MEASURED_AT_ONCE]:
        ask.ask(devices.order, body=d.CommandCreate(verb="inspect", app=app, service=service, what="usage", valid_s=120))
    return Go(f"/devices/{found.summary.id}")


def change_labels(ask: Ask) -> Go | Show:
    """Other labels, edited in place. What was typed is kept when somebody else was quicker."""
    try:
        before = ask.ask(devices.get_device).summary
        made = ask.ask(devices.change_device, body=d.DeviceChange(labels=labels_of(ask.first("labels"))), revision=ask.revision()).summary
    except PAGE_FAULTS as fault:
        return _now(ask, told(fault), ask.first("labels"))
    here = f"/devices/{made.id}"
    undo = Undo(f"{here}/labels", {"labels": labels_text(before.labels), "revision": str(made.revision)})
    return Go(here, "Labels saved. Deployments that choose devices by label look again now.", undo=undo)


def device_timeline(ask: Ask) -> Show:
    """What happened on a device."""
    kinds = ask.query.get("kinds", "")
    if kinds not in ("", "receipt", "command-outcome", "local-act,receipt"):
        kinds = ""
    cursor = ask.query.get("cursor", "")
    found = ask.ask(devices.timeline, query=read(queries.Timeline, {"kinds": kinds, "cursor": cursor, "limit": 100}))
    base = f"/devices/{ask.path['device']}/timeline"
    kept = {"kinds": kinds} if kinds else {}
    return _device(
        ask,
        "timeline",
        "device_timeline.html",
        items=found.items,
        kinds=kinds,
        next_url=f"{base}?{urlencode({**kept, 'cursor': found.next})}" if found.next else "",
        first_url=f"{base}?{urlencode(kept)}" if cursor else "",
    )


def device_commands(ask: Ask) -> Show:
    """Commands given to a device."""
    found = ask.ask(devices.list_commands, query=read(queries.Paging, {"cursor": ask.query.get("cursor", ""), "limit": 50}))
    base = f"/devices/{ask.path['device']}/commands"
    return _device(
        ask,
        "commands",
        "device_commands.html",
        commands=found.items,
        next_url=f"{base}?{urlencode({'cursor': found.next})}" if found.next else "",
        first_url=base if ask.query.get("cursor") else "",
    )


def order(ask: Ask) -> Go:
    """Ask something of a device, and watch its outcome."""
    given = {key: ask.first(key) for key in ("verb", "app", "service", "lines") if ask.first(key)}
    made = ask.ask(devices.order, body=read(d.CommandCreate, given))
    return Go(f"/devices/{made.device}/commands/{made.id}")


def command(ask: Ask) -> Show:
    """One command and its outcome."""
    found = ask.ask(devices.get_command)
    return _device(ask, "commands", "device_command.html", command=found)


def device_settings(ask: Ask) -> Show:
    """Labels, name, leaving the fleet."""
    return _settings(ask)


def _settings(ask: Ask, problem: Problem | None = None, form: dict[str, str] | None = None) -> Show:
    found = ask.ask(devices.get_device)
    shown = {"labels": labels_text(found.summary.labels), "name": found.summary.name, "reason": "", "confirm": "", "wipe": "apps", "site": ""} | (form or {})
    # Who has a device only, and no site, has nowhere to move it to.
    places = tuple(one for one in ask.ask(people.list_sites).items if one.name != found.summary.site) if reach(ask.actor.rights, "sites.read") else ()
    more = {"problem": problem, "faults": faults_of(problem), "form": shown, "sites": places}
    return _device(ask, "settings", "device_settings.html", 422 if problem else 200, device=found, **more)


def change_device(ask: Ask) -> Go | Show:
    """Other labels or another name."""
    form = {"labels": ask.first("labels"), "name": ask.first("name")}
    try:
        before = ask.ask(devices.get_device).summary
        labels, name = labels_of(form["labels"]), form["name"]
        body = read(d.DeviceChange, {**({"labels": labels} if labels != before.labels else {}), **({"name": name} if name != before.name else {})})
        made = ask.ask(devices.change_device, body=body, revision=ask.revision()).summary
    except PAGE_FAULTS as fault:
        return _settings(ask, told(fault), form)
    here = f"/devices/{made.id}/settings"
    undo = Undo(here, {"labels": labels_text(before.labels), "name": before.name, "revision": str(made.revision)})
    return Go(here, "Saved. Deployments that choose devices by label look again now.", undo=undo)


def retire(ask: Ask) -> Go | Show:
    """Take a device out of the fleet for good."""
    form = {key: ask.first(key) for key in ("reason", "confirm", "wipe")}
    try:
        found = ask.ask(devices.get_device).summary
        if form["confirm"] != found.name:
            raise Invalid("confirm-name", f"type {found.name} to retire it", field="confirm")
        said = ask.ask(devices.retire, body=read(d.Retire, {"reason": form["reason"], "wipe": form["wipe"]}), revision=ask.revision()).said
    except PAGE_FAULTS as fault:
        return _settings(ask, told(fault), form)
    return Go(f"/devices/{found.id}", said)


def keep(ask: Ask) -> Go:
    """Take an order to retire back, while the device has not heard it."""
    return Go(f"/devices/{ask.path['device']}", ask.ask(devices.keep, body=d.Reason(reason=ask.first("reason"))).said)


def move(ask: Ask) -> Go | Show:
    """It stands at another site now."""
    form = {"site": ask.first("site"), "reason": ask.first("reason")}
    try:
        made = ask.ask(devices.move, body=read(d.Move, form), revision=ask.revision()).summary
    except PAGE_FAULTS as fault:
        return _settings(ask, told(fault), form)
    return Go(f"/devices/{made.id}/settings", f"{made.name} stands at {made.site} now.")


def release_quarantine(ask: Ask) -> Go:
    """Let a quarantined device change things again."""
    said = ask.ask(devices.release_quarantine, body=d.Reason(reason=ask.first("reason")), revision=ask.revision()).said
    return Go(f"/devices/{ask.path['device']}", said)


def accept_review(ask: Ask) -> Go:
    """Somebody has looked; the device may change things again."""
    said = ask.ask(devices.accept_review, body=d.Reason(reason=ask.first("reason")), revision=ask.revision()).said
    return Go(f"/devices/{ask.path['device']}", said)
