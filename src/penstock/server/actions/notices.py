"""Who is told of faults and acts: setting them up, deciding what is due, and carrying it out.

Owns the checks of a target and the order of things: what is decided and what is remembered are one transaction; a message is forgotten only when it has arrived or
was given up, which is itself a fault. Deciding is `core.notices`', reaching receivers `effects.notify`'s.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from penstock.server.actions.context import Plane, note
from penstock.server.actions.faults import judged
from penstock.server.actions.sites import find as find_site
from penstock.server.core import rights
from penstock.server.core.access import permit, require
from penstock.server.core.causes import causes
from penstock.server.core.errors import Conflict, Invalid, Unavailable, missing, stale
from penstock.server.core.faultkinds import KINDS, SEVERITIES
from penstock.server.core.faults import Fault, SiteKnown
from penstock.server.core.model import SYSTEM, Actor
from penstock.server.core.notices import (
    EMAIL,
    GIVE_UP_MS,
    WEBHOOK,
    Book,
    Rules,
    Target,
    decide,
    hears_act,
    hears_of,
    quiet_at,
    quiet_fault,
    wait_ms,
    wants,
)
from penstock.server.core.noticetexts import body_of, body_of_act, body_of_test, mail_of
from penstock.server.core.rights import EVERYWHERE
from penstock.server.effects.notify import Parcel
from penstock.server.store import events, sites
from penstock.server.store import faults as fault_store
from penstock.server.store import notices as store
from penstock.server.store.db import Tx
from penstock.wire.codec import WireError
from penstock.wire.join import pem_fault
from penstock.wire.types import name_fault
from penstock.wire.urls import read_url

MOST_TARGETS = 100
MOST_QUEUED = 200  # on their way to one target; what comes after waits in the book or the record
ACTS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class View:
    """A target, how it fares, how much is on its way, and the names of its site and of the sites in its rules."""

    target: Target
    standing: store.Standing
    queued: int
    site: str
    sites: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A new target. `secret` signs what it is sent; it is shown this once (empty for mail)."""

    view: View
    secret: str


# --- reading ------------------------------------------------------------------------------------------------------------


def list_notices(plane: Plane, actor: Actor) -> tuple[View, ...]:
    """All of the fleet's and the sites' that the asker may see, by name."""
    reach = require(actor, "notices.read")
    return plane.db.view(lambda tx: _views(tx, store.all_in(tx, reach)))


def get_notice(plane: Plane, actor: Actor, *, notice: str) -> View:
    """One, by id or name. Raises Missing."""
    return plane.db.view(lambda tx: _views(tx, (_find(tx, actor, notice, "notices.read"),))[0])


def _find(tx: Tx, actor: Actor, notice: str, verb: str = "notices.write") -> Target:
    """By id or name, for `verb`. Raises Missing for what the actor may not see, Forbidden for what it may only see."""
    found = store.find(tx, require(actor, "notices.read"), notice)
    if found is None:
        raise missing("notice", notice)
    permit(actor, verb, rights.Target(site=found.site))
    return found


def _views(tx: Tx, found: tuple[Target, ...]) -> tuple[View, ...]:
    standings, on_way = store.standings(tx), store.queued(tx)
    names = {str(site.id): site.name for site in sites.all_in(tx, EVERYWHERE)}
    return tuple(
        View(
            one,
            standings.get(one.id, store.Standing(one.id)),
            on_way.get(one.id, 0),
            names.get(one.site, ""),
            tuple(names[site] for site in one.rules.sites if site in names),
        )
        for one in found
    )


# --- setting up ---------------------------------------------------------------------------------------------------------


def create_notice(
    plane: Plane, actor: Actor, *, name: str, kind: str, site: str = "", rules: Rules | None = None, way: dict[str, Any], secret: str = ""
) -> Made:
    """Somebody more is told. A webhook without a `secret` is given one. Raises Invalid, Conflict."""
    require(actor, "notices.write")
    fault = name_fault(name)
    if fault:
        raise Invalid("name-malformed", fault, field="name")
    given = secret or (plane.ids.secret() if kind == WEBHOOK else "")

    def work(tx: Tx) -> Made:
        place = find_site(tx, actor, site).id if site else ""
        permit(actor, "notices.write", rights.Target(site=place))
        chosen = _check(tx, actor, kind, place, rules or Rules(), way, given)
        if store.named(tx, name) is not None:
            raise Conflict("name-taken", f"there is a notice named {name} already", field="name", remedy="choose another name")
        if store.count(tx) >= MOST_TARGETS:
            raise Conflict("too-many-notices", f"there are {MOST_TARGETS} already", remedy="remove one that nobody needs")
        key = plane.ids.new("ntt")
        made = Target(key, name, place, kind, True, chosen, way, _vaulted(plane, key, given), plane.clock.now_ms(), actor.name)
        store.add(tx, made, events.last(tx))
        note(plane, tx, actor, "notice.created", made.id, site=place, data={"name": name, "kind": kind, "to": _address(made)}, topics=[("notices", made.id)])
        return Made(_views(tx, (_find(tx, actor, key),))[0], given if kind == WEBHOOK and not secret else "")

    return plane.db.update(work)


def change_notice(
    plane: Plane,
    actor: Actor,
    *,
    notice: str,
    revision: int,
    enabled: bool | None = None,
    rules: Rules | None = None,
    way: dict[str, Any] | None = None,
    secret: str | None = None,
) -> View:
    """Change what is given; where it goes and its secret change together or not at all. Raises Stale, Invalid, Missing."""
    require(actor, "notices.write")

    def work(tx: Tx) -> View:
        found = _find(tx, actor, notice)
        if way is not None and way != found.way and secret is None and found.vaulted:
            raise Invalid(
                "secret-missing", "a new address needs its secret anew: a kept one is not sent elsewhere", field="secret", remedy="give the secret too"
            )
        after = replace(found, enabled=found.enabled if enabled is None else enabled, rules=rules or found.rules, way=found.way if way is None else way)
        known = secret if secret is not None else ("kept" if found.vaulted else "")
        after = replace(after, rules=_check(tx, actor, after.kind, after.site, after.rules, after.way, known))
        if secret is not None:
            after = replace(after, vaulted=_vaulted(plane, found.id, secret))
        store.change(tx, after, revision)
        book = store.book(tx, found.id)
        present = {one.key for one in _causes_for(plane, tx, after)}
        store.put_book(tx, found.id, Book(tuple(one for one in book.told if one.key in present), book.sent))
        if not found.enabled and after.enabled:  # what was done while it was off is not told afterwards
            store.stand(tx, found.id, event=events.last(tx))
        data = {"name": found.name, "enabled": str(after.enabled).lower(), "to": _address(after)}
        note(plane, tx, actor, "notice.changed", found.id, site=found.site, data=data, topics=[("notices", found.id)])
        return _views(tx, (_find(tx, actor, found.id),))[0]

    return plane.db.update(work)


def remove_notice(plane: Plane, actor: Actor, *, notice: str, revision: int) -> None:
    """It is told nothing any more; what is on its way is dropped. Raises Missing, Stale."""
    require(actor, "notices.write")

    def work(tx: Tx) -> None:
        found = _find(tx, actor, notice)
        if found.revision != revision:
            raise stale("notice", found.revision, revision)
        store.remove(tx, found.id)
        note(plane, tx, actor, "notice.removed", found.id, site=found.site, data={"name": found.name, "to": _address(found)}, topics=[("notices", found.id)])

    plane.db.update(work)


def send_test(plane: Plane, actor: Actor, *, notice: str) -> tuple[View, str]:
    """Send a test at once, past the queue; how the target fares, and why the test did not arrive (empty: it did). Raises Missing."""
    require(actor, "notices.write")
    target = plane.db.view(lambda tx: _find(tx, actor, notice))
    if plane.courier is None:
        raise Unavailable("no-courier", "this control plane sends nothing", remedy="start it as a server")
    now = plane.clock.now_ms()
    key = plane.ids.new("ntc")
    (why,) = plane.courier.deliver([_parcel(plane, target, key, body_of_test(_home(plane)), now)], now)

    def work(tx: Tx) -> View:
        found = _find(tx, actor, notice)
        _settle(tx, found, why, now)
        note(plane, tx, actor, "notice.tested", found.id, site=found.site, outcome="failed" if why else "done", reason=why, topics=[("notices", found.id)])
        return _views(tx, (found,))[0]

    return plane.db.update(work), why


def _check(tx: Tx, actor: Actor, kind: str, site: str, rules: Rules, way: dict[str, Any], secret: str) -> Rules:
    """The rules with ids in place of names of sites, if everything is fit to be used. Raises Invalid, Missing."""
    if rules.severity not in SEVERITIES:
        raise Invalid("severity-unknown", f"severity is {rules.severity[:40]!r}; it is one of {', '.join(SEVERITIES)}", field="rules.severity")
    for name in rules.kinds:
        if name not in KINDS:
            raise Invalid("kind-unknown", f"{name[:40]!r} is no kind of fault", field="rules.kinds", remedy=f"it is one of {', '.join(KINDS)}")
    if rules.acts and kind == EMAIL:
        raise Invalid("acts-by-mail", "acts go to webhooks only", field="rules.acts", remedy="leave acts out, or make a webhook")
    if any(not start or len(start) > 60 or not start.replace(".", "").replace("-", "").isalnum() for start in rules.acts):
        raise Invalid("act-malformed", "an act is named by the beginning of its verb", field="rules.acts", remedy="write deployment. or device.retired")
    wrong = quiet_fault(rules.quiet)
    if wrong:
        raise Invalid("quiet-malformed", wrong, field="rules.quiet", remedy="write it as 22:00-06:00")
    if rules.time_zone not in available_timezones():
        raise Invalid(
            "time-zone-unknown", f"{rules.time_zone[:60]!r} is no time zone", field="rules.time_zone", remedy="use a name such as Europe/Berlin, or UTC"
        )
    if not 1 <= rules.per_hour <= 1000:
        raise Invalid("per-hour-out-of-range", f"per_hour is {rules.per_hour}; it must be 1 to 1000", field="rules.per_hour")
    if site and rules.sites:
        raise Invalid("sites-of-a-site", "a notice of one site hears of that site only", field="rules.sites", remedy="leave sites out")
    if kind == WEBHOOK:
        _check_webhook(way, secret)
    elif kind == EMAIL:
        _check_mail(way, secret)
    else:
        raise Invalid("kind-unknown", f"{kind[:40]!r} is no kind of notice", field="kind", remedy=f"it is {WEBHOOK} or {EMAIL}")
    return replace(rules, sites=tuple(find_site(tx, actor, one).id for one in rules.sites))


def _check_webhook(way: dict[str, Any], secret: str) -> None:
    try:
        read_url(way["url"], path="webhook.url")
        if way.get("ca"):
            pem_fault(way["ca"], "webhook.ca")
    except WireError as fault:
        raise Invalid("webhook-malformed", fault.why, field=fault.path, remedy="write it as https://host/path") from None
    if secret != "kept" and not 16 <= len(secret) <= 256:  # noqa: S105 - the word, not a secret
        raise Invalid("secret-malformed", "a secret has 16 to 256 characters", field="secret", remedy="leave it out, and one is made")


def _check_mail(way: dict[str, Any], secret: str) -> None:
    for name, addresses in (("email.sender", (way["sender"],)), ("email.to", way["to"])):
        for address in addresses:
            if not _is_address(address):
                raise Invalid("address-malformed", f"{address[:80]!r} is no mail address", field=name, remedy="write it as name@example.com")
    if not 1 <= len(way["to"]) <= 20:
        raise Invalid("address-missing", "a mail goes to one to twenty addresses", field="email.to")
    try:
        read_url(f"https://{way['host']}:{way['port']}", path="email.host")
        if way.get("ca"):
            pem_fault(way["ca"], "email.ca")
    except WireError as fault:
        raise Invalid("host-malformed", fault.why, field=fault.path, remedy="write the mail server's name, and its port beside it") from None
    if secret and way["security"] == "none":
        raise Invalid("password-in-clear", "a password is never sent in clear", field="email.security", remedy="use starttls or tls, or sign in to nothing")
    if bool(secret) != bool(way.get("user")):
        raise Invalid("sign-in-incomplete", "a user name and a password belong together", field="secret", remedy="give both, or neither")


def _is_address(text: str) -> bool:
    name, at, host = text.rpartition("@")
    fine = all(" " < letter < "\x7f" and letter not in '<>()[],;:\\"@' for letter in name + host)
    return bool(at and name and "." in host + "." and host and fine and len(text) <= 254)


def _bound(target: str) -> bytes:
    return f"notice {target}".encode()


def _vaulted(plane: Plane, target: str, secret: str) -> str:
    return plane.vault.put(secret.encode("utf-8"), _bound(target)) if secret else ""


def _address(target: Target) -> str:
    """Where it goes, without anything that lets somebody in: the path of a webhook may be a secret of its receiver's."""
    return read_url(target.way["url"]).host if target.kind == WEBHOOK else ", ".join(target.way["to"])


def _home(plane: Plane) -> str:
    return plane.addresses[0] if plane.addresses else ""


# --- deciding -----------------------------------------------------------------------------------------------------------


def _causes_for(plane: Plane, tx: Tx, target: Target, known: tuple[tuple[Fault, ...], dict[str, SiteKnown]] | None = None) -> tuple[Any, ...]:
    """The causes a target hears of now: made of the faults it hears of only, so that it is told of no device elsewhere."""
    if known is None:
        found, places = judged(plane, tx, EVERYWHERE, EVERYWHERE, own=True)
    else:
        found, places = known
    now = plane.clock.now_ms()
    heard = {key: place for key, place in places.items() if hears_of(target, key)}
    made = causes(
        [one for one in found if hears_of(target, one.site)], heard, fault_store.known(tx, now), now, whole=not target.site and not target.rules.sites
    )
    return tuple(one for one in made if wants(target, one))


def decide_all(plane: Plane) -> int:
    """Decide for every target what is due, and owe it; how many messages."""
    if not plane.db.view(lambda tx: bool(_due(plane, tx))):
        return 0

    def work(tx: Tx) -> int:
        many = 0
        for target, book, event, bodies in _due(plane, tx):
            now = plane.clock.now_ms()
            store.queue(tx, target.id, [(key := plane.ids.new("ntc"), body["event"], _whole(target, key, body, now)) for body in bodies], now)
            store.put_book(tx, target.id, book)
            store.stand(tx, target.id, event=event)
            many += len(bodies)
        if many:
            tx.after(lambda: plane.poke("notices"))
        return many

    return plane.db.update(work)


def _whole(target: Target, key: str, body: dict[str, Any], now_ms: int) -> dict[str, Any]:
    return {"id": key, "made_ms": now_ms, "notice": target.name, **body}


def _due(plane: Plane, tx: Tx) -> list[tuple[Target, Book, int, list[dict[str, Any]]]]:
    """For each target with anything new: its book then, the newest act it was given, and the bodies to send."""
    targets = [one for one in store.all_in(tx, EVERYWHERE) if one.enabled]
    if not targets:
        return []
    now = plane.clock.now_ms()
    found, places = judged(plane, tx, EVERYWHERE, EVERYWHERE, own=True)
    names = {key: place.called for key, place in places.items()}
    on_way, standings = store.queued(tx), store.standings(tx)
    due = []
    for target in targets:
        if on_way.get(target.id, 0) >= MOST_QUEUED:
            continue
        book = store.book(tx, target.id)
        quiet = quiet_at(target.rules, ZoneInfo(target.rules.time_zone), now)
        decision = decide(target, book, _causes_for(plane, tx, target, (found, places)), now, quiet=quiet)
        bodies = [body_of(one, _home(plane), names) for one in decision.messages]
        was = standings[target.id].event
        event, acts = _acts(tx, target, was, names)
        if bodies or acts or event != was or decision.book.told != book.told:
            due.append((target, decision.book, event, [*bodies, *acts]))
    return due


def _acts(tx: Tx, target: Target, after: int, names: dict[str, str]) -> tuple[int, list[dict[str, Any]]]:
    if not target.rules.acts:
        return after, []
    many = events.after(tx, EVERYWHERE, after, "", ACTS_AT_ONCE)
    chosen = [body_of_act(one, names) for one in many if hears_act(target, one.verb, one.site)]
    return (many[-1].number if many else after), chosen


# --- carrying out -------------------------------------------------------------------------------------------------------


def deliver(plane: Plane) -> int:
    """Carry what is due, one message for each target; how many arrived. Nothing is open in the store meanwhile."""
    if plane.courier is None:
        return 0
    now = plane.clock.now_ms()
    heads = plane.db.view(lambda tx: store.heads(tx, now))
    if not heads:
        return 0
    parcels = [_parcel(plane, target, message.id, json.loads(message.body), now) for target, message in heads]
    said = plane.courier.deliver(parcels, now)

    def work(tx: Tx) -> int:
        for (target, message), why in zip(heads, said, strict=True):
            _settle(tx, target, why, now)
            if not why:
                store.delivered(tx, message.number)
            elif now - message.made_ms >= GIVE_UP_MS:
                store.delivered(tx, message.number)
                store.stand(tx, target.id, last_outcome="given-up")
                data = {"notice": message.id, "kind": message.kind, "attempts": str(message.attempts + 1)}
                note(plane, tx, SYSTEM, "notice.given-up", target.id, site=target.site, outcome="failed", reason=why, data=data)
            else:
                store.later(tx, message.number, now + wait_ms(message.attempts + 1), why)
        return sum(not why for why in said)

    return plane.db.update(work)


def _settle(tx: Tx, target: Target, why: str, now_ms: int) -> None:
    was = store.standings(tx).get(target.id)
    if was is None:  # it was removed meanwhile
        return
    failing = 0 if not why else was.failing_ms or now_ms
    store.stand(tx, target.id, last_ms=now_ms, last_outcome="failed" if why else "delivered", last_why=why[:500], failing_ms=failing)


def _parcel(plane: Plane, target: Target, key: str, body: dict[str, Any], now_ms: int) -> Parcel:
    whole = body if "id" in body else _whole(target, key, body, now_ms)
    secret = plane.vault.open(target.vaulted, _bound(target.id)) if target.vaulted else b""
    subject, text = mail_of(whole, ZoneInfo(target.rules.time_zone)) if target.kind == EMAIL else ("", "")
    raw = json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    return Parcel(key, target.kind, target.way, secret, raw, subject, text)
