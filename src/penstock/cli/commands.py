"""Commands about commands: what may be asked of a device, waiting for its answer, the log of a service.

Following a log is asking for its end again and again: every answer is signed by the device and kept by the control plane like any other.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from penstock.apiv1 import devices as d
from penstock.cli import out
from penstock.cli.common import COMMON, All, Common, Limit, Usage, most
from penstock.cli.names import AppName, DeviceName, ServiceName, apps, services
from penstock.cli.overlap import fresh, lines_of
from penstock.cli.watch import News

if TYPE_CHECKING:
    from penstock.client import Client

command = App(name="command", help="Ask something of a device.")

WAIT_S = 90  # a device at rest asks once a minute
LINES_MOST = 5000
LINES_LOOK = 200  # a look while following shows at least so many, so that the one before continues in it
LOG_BYTES = 65_536  # a device cuts a log's end at this
TONES = {"done": "good", "failed": "bad", "refused": "wait", "unknown": "wait", "open": "busy", "expired": "none"}

Wait = Annotated[int, Parameter(validator=Number(gte=0, lte=86_400), help="Seconds to wait for its outcome; 0 not to wait.")]
Lines = Annotated[int, Parameter(validator=Number(gte=1, lte=LINES_MOST), help="How many of the last lines.")]


def waited(client: Client, found: d.Command, device: str, wait_s: float, news: News | None = None) -> d.Command:
    """The command once it has ended, or as it stands after `wait_s` seconds."""
    if found.outcome != "open" or wait_s <= 0:
        return found
    if news is None:
        with News(client, f"device/{found.device}") as listening:  # a device that is listened to asks within a second
            return waited(client, found, device, wait_s, listening)
    until = time.monotonic() + wait_s
    with out.errors.status(f"waiting for {device} to ask: once a minute while it is at rest"):  # shown on terminals only
        while (left := until - time.monotonic()) > 0:
            news.heard(min(left, 2.0))
            found = client.command(found.id)
            if found.outcome != "open":
                break
    return found


def _ended(found: d.Command, *, json: bool, waiting: bool) -> int:
    if json:
        out.show_json(found)
    else:
        if found.output:
            out.verbatim(found.output if found.output.endswith("\n") else f"{found.output}\n")
        words = {"open": f"still on its way, done when the device asks next (`penstock command show {found.id}` says how it ended)"}
        told = f"{found.verb}: {words.get(found.outcome, found.outcome)}. {out.sentence(found.why)}"
        out.errors.print(out.status(TONES[found.outcome], told))
    if found.outcome == "open":
        return out.NOT_YET if waiting else out.DONE
    return out.DONE if found.outcome == "done" else out.ENDED_BADLY


@command.command(name="send")
def command_send(
    device: DeviceName,
    verb: Literal["restart", "revert", "logs", "inspect", "prune", "refresh", "accept-pin"],
    *,
    app: Annotated[str, Parameter(help="Which app, for restart, revert, logs, inspect and accept-pin.", completer=apps)] = "",
    service: Annotated[str, Parameter(help="Which of its services, for restart, logs and inspect.", completer=services)] = "",
    lines: Lines = 200,
    what: Annotated[Literal["usage"] | None, Parameter(help="Of inspect: only what the container uses now.")] = None,
    wait: Wait = WAIT_S,
    common: Common = COMMON,
) -> int:
    """Ask something of a device.

    Signed, done at most once, kept while it is away. Exit code 6 when it ended badly, 8 when it has not ended yet.
    """
    with common.client() as client:
        found = waited(client, client.order(device, d.CommandCreate(verb=verb, app=app, service=service, lines=lines, what=what or "")), device, wait)
    return _ended(found, json=common.json, waiting=wait > 0)


@command.command(name="list")
def command_list(device: DeviceName, *, limit: Limit = None, all_: All = False, common: Common = COMMON) -> int:
    """The commands of a device, newest first."""
    rows = most(limit, everything=all_, json=common.json)
    with common.client() as client:
        found = tuple(client.commands(device, rows))
    return out.listing(
        found,
        ("id", "command", "outcome", "by", "given", "why"),
        ((c.id, " ".join([c.verb, *c.arguments.values()]), out.status(TONES[c.outcome], c.outcome), c.by, out.ago(c.issued_ms), c.why) for c in found),
        "None yet.",
        json=common.json,
        most=rows,
    )


@command.command(name="show")
def command_show(command: str, *, wait: Wait = 0, common: Common = COMMON) -> int:
    """One command and its outcome.

    Exit code 6 when it ended badly, 8 when it was waited for and has not ended yet.
    """
    with common.client() as client:
        found = waited(client, client.command(command), "the device", wait)
    return _ended(found, json=common.json, waiting=wait > 0)


def logs(
    device: DeviceName,
    app: AppName,
    service: ServiceName,
    *,
    lines: Lines = 200,
    follow: Annotated[bool, Parameter(name=("--follow", "-f"), negative=(), help="Then stay and show what is written, until stopped.")] = False,
    every: Annotated[float, Parameter(validator=Number(gte=1, lte=3600), help="Seconds between two looks when following.")] = 5.0,
    wait: Wait = WAIT_S,
    common: Common = COMMON,
) -> int:
    """The last lines of a service, fetched from the device now.

    With --follow what it writes from then on: the device is asked again and again, and where lines may be missing in between that is said.
    """
    with common.client() as client:
        if follow:
            if not wait:
                raise Usage("--follow waits for the device: leave out --wait 0")
            looked = d.CommandCreate(verb="logs", app=app, service=service, lines=max(lines, LINES_LOOK), valid_s=300)
            return _follow(client, looked, device, lines, wait, every, json=common.json)
        found = waited(client, client.order(device, d.CommandCreate(verb="logs", app=app, service=service, lines=lines)), device, wait)
    return _ended(found, json=common.json, waiting=wait > 0)


def _follow(client: Client, ask: d.CommandCreate, device: str, first: int, wait_s: float, every_s: float, *, json: bool) -> int:
    before: tuple[str, ...] | None = None
    began = False  # whether `before` was the whole log
    told = ""  # the trouble that was told of last
    found = client.order(device, ask)
    with News(client, f"device/{found.device}") as news:
        while True:
            found = waited(client, found, device, wait_s, news)
            if found.outcome == "open":
                told = _trouble(told, f"{device} has not answered for {wait_s:.0f} s; it is asked on", json=json)
                continue
            if found.outcome == "done":
                now = lines_of(found.output, LOG_BYTES)
                whole = len(now) < ask.lines and len(found.output) < LOG_BYTES
                if before is None:
                    _print(now[-first:], json=json)
                else:
                    seen = fresh(before, now, ask.lines, began=began)
                    if seen.gap:
                        _trouble("", "lines may be missing here: more was written than a look shows, or the log began anew", json=json)
                    elif seen.alike:
                        told = _trouble(told, "this log repeats itself: lines that are just like those before them may not be shown", json=json)
                    _print(seen.lines, json=json)
                    if seen.gap or len(seen.lines) > ask.lines // 2:
                        ask = d.CommandCreate(verb="logs", app=ask.app, service=ask.service, lines=min(2 * ask.lines, LINES_MOST), valid_s=ask.valid_s)
                before, began = now, whole
            elif before is None:
                return _ended(found, json=json, waiting=True)
            else:
                told = _trouble(told, f"logs: {found.outcome}. {out.sentence(found.why)}", json=json)
            time.sleep(every_s)
            found = client.order(device, ask)


def _print(lines: tuple[str, ...], *, json: bool) -> None:
    if json:
        for line in lines:
            out.line_json({"line": line})
    elif lines:
        out.verbatim("\n".join(lines) + "\n")


def _trouble(before: str, now: str, *, json: bool) -> str:
    """Say it, unless it was what was said last."""
    if now != before:
        out.line_json({"note": now}) if json else out.aside(f"-- {now} --")
    return now
