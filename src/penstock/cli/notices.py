"""Commands about what is wrong, and about who is told of it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.text import Text

from penstock.apiv1 import notices as n
from penstock.cli import out
from penstock.cli.common import COMMON, Common, Usage, text_of

fault = App(name="fault", help="Say that a fault is known.")
notice = App(name="notice", help="Who is told of faults and acts.")

DAY_MS = 86_400_000


def faults(
    *,
    severity: Literal["bad", "warn"] | None = None,
    kind: Annotated[str, Parameter(help="Only this kind, such as away or disk.")] = "",
    site: str = "",
    device: str = "",
    known: Annotated[bool, Parameter(negative=(), help="Also those somebody knows of.")] = False,
    common: Common = COMMON,
) -> int:
    """What is wrong, worst first, with what to do.

    Exit code 6 when something is bad.
    """
    with common.client() as client:
        query = {"severity": severity, "kind": kind, "site": site, "device": device, "known": None if known else False}
        found = tuple(client.faults(**query))
    if common.json:
        out.show_json(found)
    elif not found:
        out.console.print(out.status("good", "nothing needs a person"))
    else:
        for item in found:
            _show(item)
    return out.ENDED_BADLY if any(item.severity == "bad" and item.known is None for item in found) else out.DONE


def _show(item: n.FleetFault) -> None:
    out.console.print(out.status("bad" if item.severity == "bad" else "wait", item.title), Text(f"  {out.ago(item.since_ms)}  {item.id}", style="dim"))
    out.console.print(Text(f"    {out.sentence(item.why)}"))
    out.console.print(Text(f"    {item.remedy}", style="dim"))
    if item.known is not None:
        out.console.print(Text(f"    Known to {item.known.by} until {out.at(item.known.until_ms)}: {out.sentence(item.known.reason)}", style="dim"))


@fault.command(name="acknowledge")
def fault_acknowledge(
    fault: str,
    *,
    reason: Annotated[str, Parameter(help="What is being done about it.")],
    days: Annotated[int, Parameter(validator=Number(gte=1, lte=366), help="How long it is known.")] = 1,
    common: Common = COMMON,
) -> int:
    """Say that a fault is known: muted, not hidden, until then, unless it gets worse.

    FAULT is its id, as `penstock faults` shows it.
    """
    with common.client() as client:
        return out.outcome(client.acknowledge(fault, int(time.time() * 1000) + days * DAY_MS, reason), json=common.json)


@fault.command(name="undo")
def fault_undo(fault: str, *, common: Common = COMMON) -> int:
    """Let an acknowledged fault be news again."""
    with common.client() as client:
        return out.outcome(client.unacknowledge(fault), json=common.json)


@notice.command(name="list")
def notice_list(*, common: Common = COMMON) -> int:
    """Who is told, and how the last message fared."""
    with common.client() as client:
        found = client.notices()
    if common.json:
        out.show_json(found)
        return out.DONE
    out.table(
        ("name", "to", "site", "hears of", "quiet", "last", "outcome"),
        ((one.name, one.to, one.site or "the fleet", _hears(one.rules), _quiet(one.rules), out.ago(one.last_ms), _outcome(one)) for one in found),
        "Nobody yet: penstock notice add NAME --webhook https://...",
    )
    return out.DONE


def _hears(rules: n.NoticeRules) -> str:
    said = ["what is bad" if rules.severity == "bad" else "every fault"] if not rules.kinds else [", ".join(rules.kinds)]
    if rules.sites:
        said.append(f"at {', '.join(rules.sites)}")
    if rules.acts:
        said.append(f"acts {', '.join(rules.acts)}")
    return "; ".join(said)


def _quiet(rules: n.NoticeRules) -> str:
    return f"{rules.quiet} {rules.time_zone}" if rules.quiet else ""


def _outcome(one: n.Notice) -> Text:
    if not one.enabled:
        return out.status("none", "off")
    if not one.outcome:
        return out.status("none", "nothing sent yet")
    waiting = f", {one.queued} waiting" if one.queued else ""
    return out.status("good", f"delivered{waiting}") if one.outcome == "delivered" else out.status("bad", f"{one.outcome}{waiting}: {one.why}")


@notice.command(name="add")
def notice_add(
    name: str,
    *,
    webhook: Annotated[str, Parameter(help="An https address that takes POSTs.")] = "",
    email: Annotated[tuple[str, ...], Parameter(help="A mail address; may be repeated.")] = (),
    smtp: Annotated[str, Parameter(help="The mail server, HOST or HOST:PORT.")] = "",
    sender: Annotated[str, Parameter(name="--from", help="The address mails come from.")] = "",
    security: Annotated[Literal["starttls", "tls", "none"], Parameter(help="How the mail server is spoken to.")] = "starttls",
    user: Annotated[str, Parameter(help="Who signs in to the mail server; its password is PENSTOCK_NOTICE_SECRET, or read from standard input.")] = "",
    ca: Annotated[Path | None, Parameter(help="A file with the authority to trust for it.")] = None,
    of_site: Annotated[str, Parameter(help="It belongs to this site and hears of it only.")] = "",
    severity: Annotated[Literal["bad", "warn"], Parameter(help="The least bad that is told.")] = "warn",
    kind: Annotated[tuple[str, ...], Parameter(help="Only this kind of fault; may be repeated.")] = (),
    site: Annotated[tuple[str, ...], Parameter(help="Only this site; may be repeated.")] = (),
    act: Annotated[tuple[str, ...], Parameter(help="Acts whose verb begins so, such as deployment. ; webhooks only; may be repeated.")] = (),
    quiet: Annotated[str, Parameter(help="Quiet hours, such as 22:00-06:00.")] = "",
    zone: Annotated[str, Parameter(help="The time zone of the quiet hours.")] = "UTC",
    silent: Annotated[bool, Parameter(negative=(), help="Not even what is bad comes in quiet hours.")] = False,
    per_hour: Annotated[int, Parameter(validator=Number(gte=1, lte=1000), help="At most so many messages about faults in an hour.")] = 20,
    common: Common = COMMON,
) -> int:
    """Tell somebody, by webhook or by mail.

    The secret that signs a webhook is shown this once.
    """
    if bool(webhook) == bool(email):
        raise Usage("say where to: --webhook URL, or --email ADDRESS with --smtp and --from")
    trust = text_of(ca) if ca is not None else ""
    mail = None
    if email:
        if not smtp or not sender:
            raise Usage("a mail needs its server and sender: --smtp HOST --from ADDRESS")
        host, _, port = smtp.partition(":")
        if port and not port.isdigit():
            raise Usage(f"{smtp!r} is no mail server: write HOST or HOST:PORT")
        usual = {"starttls": 587, "tls": 465, "none": 25}[security]
        mail = n.Email(host=host, port=int(port or usual), security=security, user=user, sender=sender, to=email, ca=trust)
    rules = n.NoticeRules(severity=severity, kinds=kind, sites=site, acts=act, quiet=quiet, time_zone=zone, through=not silent, per_hour=per_hour)
    hook = n.Webhook(url=webhook, ca=trust) if webhook else None
    secret = os.environ.get("PENSTOCK_NOTICE_SECRET", "") or (sys.stdin.readline().rstrip("\n") if user else "")
    with common.client() as client:
        made = client.create_notice(n.NoticeCreate(name=name, site=of_site, rules=rules, webhook=hook, email=mail, secret=secret))
    if common.json:
        out.show_json(made)
        return out.DONE
    out.say(f"{name} is told from now on; try it: penstock notice test {name}")
    if made.secret:
        out.say(f"What it is sent is signed with this secret, shown this once: {made.secret}")
    return out.DONE


@notice.command(name="test")
def notice_test(notice: str, *, common: Common = COMMON) -> int:
    """Send a test at once. Exit code 6 when it does not arrive."""
    with common.client() as client:
        found = client.test_notice(notice)
    if common.json:
        out.show_json(found)
    else:
        out.say("It arrived." if found.arrived else f"It did not arrive: {found.why}")
    return out.DONE if found.arrived else out.ENDED_BADLY


@notice.command(name="remove")
def notice_remove(notice: str, *, common: Common = COMMON) -> int:
    """Tell it nothing any more."""
    with common.client() as client:
        found = client.notice(notice)
        return out.outcome(client.remove_notice(found.id, found.revision), json=common.json)


@notice.command(name="off")
def notice_off(notice: str, *, common: Common = COMMON) -> int:
    """Tell it nothing for now."""
    return _switch(notice, common, enabled=False)


@notice.command(name="on")
def notice_on(notice: str, *, common: Common = COMMON) -> int:
    """Tell it again."""
    return _switch(notice, common, enabled=True)


def _switch(notice: str, common: Common, *, enabled: bool) -> int:
    with common.client() as client:
        found = client.notice(notice)
        client.change_notice(found.id, found.revision, n.NoticeChange(enabled=enabled))
    out.say(f"{found.name} is {'told again from now on' if enabled else 'told nothing until it is turned on'}.")
    return out.DONE
