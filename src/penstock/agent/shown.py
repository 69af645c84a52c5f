"""What the local commands show: tables and sentences out of JSON-ready answers.

Owns layout only, pure: values in, text out. Times are shown in the machine's own zone with the offset, as the person beside it reads a clock.
"""

from __future__ import annotations

import json
import time

from penstock.rules.health import ENDED_WELL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Columns aligned by two spaces; the last one runs free."""
    widths = [max(len(row[index]) for row in [head, *rows]) for index in range(len(head))]
    lines = []
    for row in [head, *rows]:
        cells = [cell.ljust(width) for cell, width in zip(row, widths)]
        lines.append("  ".join(cells).rstrip())
    return lines


def moment(at_ms: int) -> str:
    """A time for people."""
    at = time.localtime(at_ms / 1000)
    return time.strftime("%Y-%m-%d %H:%M:%S %z", at)


def size(count: int) -> str:
    """Bytes for people."""
    amount, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"


def status(data: dict[str, Any]) -> list[str]:
    """The answer to `status`."""
    lines = []
    name, device, site = (str(data.get(key, "")) for key in ("name", "device", "site"))
    lines.append(f"device    {name or device}" + (f" ({device})" if name and device else "") + (f" at {site}" if site else ""))
    if not data.get("running", True):
        lines.append("agent     not running; what is shown was last written down, and the containers run on without it")
    elif data.get("version"):
        lines.append(f"agent     {data['version']}, process {data.get('pid', '?')}")
    lines.append("plane     " + _plane(data))
    if data.get("quarantined"):
        lines.append(f"apart     {data['quarantined']}")
    if data.get("generation"):
        lines.append(f"desired   generation {data['generation']}, epoch {data.get('epoch', 1)}")
    lines += [f"alarm     {alarm}" for alarm in data.get("alarms", ())]
    apps = [app for app in data.get("apps", ()) if not app.get("removed")]
    if not apps:
        lines += ["", "no app is to run here"]
        return lines
    rows: list[tuple[str, ...]] = [
        (app["app"], app.get("version", "-") or "-", app.get("phase", "?"), _services(app), _back(app), app.get("why", "")) for app in apps
    ]
    return [*lines, "", *table(("APP", "VERSION", "PHASE", "SERVICES", "WAY BACK", "WHY"), rows)]


def _plane(data: dict[str, Any]) -> str:
    if not data.get("running", True):
        return "not asked"
    link = data.get("link", {})
    ago = int(link.get("last_ok_s_ago", -1))
    last = f"last heard {span(ago)} ago" if ago >= 0 else "not heard since the agent started"
    if link.get("why"):
        return f"{last}; {link['why']}"
    return f"{data.get('address') or 'between two connections'}, {last}"


def span(seconds: int) -> str:
    """A length of time for people, in its largest unit."""
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _services(app: dict[str, Any]) -> str:
    services = app.get("services", [])
    if not services:
        return "-"
    well = sum(1 for one in services if one.get("state") == "running" and one.get("health") in ("healthy", "none"))
    done = sum(1 for one in services if one.get("state") != "running" and str(one.get("why", "")).startswith(ENDED_WELL))  # jobs
    finished = f", {done} of them finished" if done else ""
    drift = f", {len(app['drift'])} drifted" if app.get("drift") else ""
    return f"{well + done}/{len(services)} well{finished}{drift}"


def _back(app: dict[str, Any]) -> str:
    back = app.get("way_back", {})
    if back.get("ok"):
        return str(back.get("version") or "yes")
    return "none"


def entry(one: dict[str, Any]) -> str:
    """One entry of the device log as a line."""
    doubt = " (clock not trusted)" if one.get("clock") == "untrusted" else ""
    return f"{one.get('seq', 0):>6}  {moment(int(one.get('at_ms', 0)))}{doubt}  {words(str(one.get('kind', '')), _body(one.get('body')))}"


def _body(body: Any) -> dict[str, Any]:
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except ValueError:
            return {"why": body}
    return body if isinstance(body, dict) else {}


def words(kind: str, body: dict[str, Any]) -> str:
    """What an entry says, in one sentence."""
    why = str(body.get("why", ""))
    if kind == "boot":
        return f"the agent {body.get('agent', '')} started"
    if kind == "observation":
        return _observed(body)
    if kind == "receipt":
        versions = " to ".join(text for text in (str(body.get("from_version", "")), str(body.get("to_version", ""))) if text)
        return f"{body.get('app', '')}: {body.get('kind', 'change')} {versions} ended: {body.get('verdict', '?')}; {why}"
    if kind == "local-act":
        pin = " by PIN" if body.get("pin") == "by-pin" else ""
        return f"{body.get('by', 'somebody')} did {body.get('verb', '?')} {body.get('app', '')} here{pin}: {why}".replace("  ", " ")
    if kind == "command-outcome":
        return f"command {body.get('verb', '?')}: {body.get('outcome', '?')}; {why}"
    if kind == "refusal":
        return f"refused {body.get('what', 'something')} ({body.get('reason', '?')}): {why}"
    if kind == "gap":
        return f"entries {body.get('first', '?')} to {body.get('last', '?')} are lost: {why}"
    app = f"{body['app']}: " if body.get("app") else ""
    return f"{app}{why or body.get('name', kind)}"


def _observed(body: dict[str, Any]) -> str:
    app = body.get("app")
    if isinstance(app, dict):
        return f"{app.get('app', '')}: {app.get('phase', '')}, {app.get('why', '')}"
    device = body.get("device")
    alarms = device.get("alarms", []) if isinstance(device, dict) else []
    return "the device: " + ("; ".join(str(alarm) for alarm in alarms) or "no alarms")
