"""Commands about the control plane itself: its settings, its record of acts, its pages."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.text import Text

from penstock.apiv1 import people as p
from penstock.cli import contexts, out
from penstock.cli.common import COMMON, Common, Usage, certificates, moment
from penstock.cli.deployments import find

settings = App(name="settings", help="How devices behave, and by which addresses they reach the control plane.")

HISTORY_MOST = 100_000  # acts that --since looks back through


def open_(
    kind: Annotated[Literal["device", "deployment", "app", "site"] | None, Parameter(help="What kind of thing; nothing for the first page.")] = None,
    name: Annotated[str, Parameter(help="Its name or id.")] = "",
    *,
    only_print: Annotated[bool, Parameter(name="--print", negative=(), help="Print the address; open nothing.")] = False,
    common: Common = COMMON,
) -> int:
    """Open a page of the control plane in a browser.

    Its address is printed, which is all where there is no browser.
    """
    if bool(kind) != bool(name):
        raise Usage("say which: penstock open device NAME (or deployment, app, site)")
    path = "/"
    if kind:
        with common.client() as client:
            if kind == "device":
                path = f"/devices/{client.device(name).summary.id}"
            elif kind == "deployment":
                path = f"/deployments/{find(client, name).id}"
            elif kind == "app":
                path = f"/apps/{quote(client.app(name).name, safe='')}"
            else:
                path = f"/?site={quote(client.site(name).name, safe='')}"
    url = f"{contexts.chosen(common.context).url.rstrip('/')}{path}"
    if common.json:
        out.show_json({"url": url})
    else:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
    if not only_print and not common.json and (sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        import webbrowser

        webbrowser.open(url)
    return out.DONE


def events(
    *,
    since: Annotated[str, Parameter(help="Begin at this moment: a span back such as 2h or 7d, or a time such as 2026-03-01 14:30.")] = "",
    after: Annotated[int, Parameter(validator=Number(gte=-1), help="Begin after the act of this number; -1 is now.")] = -1,
    follow: Annotated[bool, Parameter(help="Stay and show what comes, until stopped.")] = True,
    common: Common = COMMON,
) -> int:
    """Every act on the control plane, oldest first: from now on, or from where --since or --after says."""
    if since and after >= 0:
        raise Usage("either --since or --after, not both")
    with common.client() as client:
        if since:
            begins, past = moment(since), []
            for item in client.history(HISTORY_MOST):
                if item.at_ms < begins:
                    after = item.number
                    break
                past.append(item)
            for item in reversed(past):
                _print_act(item, json=common.json)
            after = past[0].number if past else after
        elif not follow and after >= 0:
            past = []
            for item in client.history(HISTORY_MOST):
                if item.number <= after:
                    break
                past.append(item)
            for item in reversed(past):
                _print_act(item, json=common.json)
        if follow:
            for item in client.events(after):
                _print_act(item, json=common.json)
    return out.DONE


def _print_act(item: p.HistoryItem, *, json: bool) -> None:
    if json:
        out.line_json(item)
        return
    told = f"{item.actor}  {item.verb}  {item.subject}{'' if item.outcome == 'done' else f'  {item.outcome}'}{f'  {item.reason}' if item.reason else ''}"
    out.console.print(Text(f"{item.number:>6}  {out.at(item.at_ms)}  ", style="dim") + Text(out.plain(told)))


@settings.command(name="show")
def settings_show(*, common: Common = COMMON) -> int:
    """The control plane's settings."""
    with common.client() as client:
        found = client.settings()
    if common.json:
        out.show_json(found)
        return out.DONE
    out.facts(
        (
            ("poll", f"every {found.poll_s} s"),
            ("fetch at most", f"{found.fetch_bytes_per_s} bytes/s" if found.fetch_bytes_per_s else "no cap"),
            ("leave lapses after", f"{found.leave_s // 3600} h"),
            ("log quota", f"{found.log_quota_bytes // 1024} KiB"),
            ("people are signed out", f"after {found.session_idle_s // 60} min without use, after {found.session_total_s // 3600} h in any case"),
            *(("address", f"{one.url}{f'  proxy {one.proxy}' if one.proxy else ''}  ({len(one.ca) or 'no own'} authority)") for one in found.endpoints),
        )
    )
    return out.DONE


@settings.command(name="set")
def settings_set(
    *,
    poll: Annotated[int | None, Parameter(help="Seconds between two questions of a device.")] = None,
    fetch_bytes_per_s: Annotated[int | None, Parameter(help="A device fetches at most this; 0 is no cap.")] = None,
    leave_hours: Annotated[int | None, Parameter(help="How long the leave to apply a change is good.")] = None,
    idle_minutes: Annotated[int | None, Parameter(help="How long people may be away before they must sign in again.")] = None,
    session_hours: Annotated[int | None, Parameter(help="How long people stay signed in at all.")] = None,
    address: Annotated[tuple[str, ...], Parameter(help="All addresses devices shall use, in order of preference; may be repeated.")] = (),
    ca: Annotated[Path | None, Parameter(help="A file with the authorities to trust for those addresses; else those of the present ones.")] = None,
    common: Common = COMMON,
) -> int:
    """Change settings; devices take them over at their next poll, in signed state."""
    with common.client() as client:
        before = client.settings()
        trust = (certificates(ca),) if ca else tuple(dict.fromkeys(pem for one in before.endpoints for pem in one.ca))
        change = p.SettingsChange(
            poll_s=poll,
            fetch_bytes_per_s=fetch_bytes_per_s,
            leave_s=None if leave_hours is None else leave_hours * 3600,
            session_idle_s=None if idle_minutes is None else idle_minutes * 60,
            session_total_s=None if session_hours is None else session_hours * 3600,
            endpoints=tuple(p.Endpoint(url=url, ca=trust) for url in address) or None,
        )
        made = client.change_settings(before.revision, change)
    if common.json:
        out.show_json(made)
    else:
        out.say("Saved. Devices take it over at their next poll; a new address is tried beside the old ones and kept once it works.")
    return out.DONE
