"""Pages of parameters: what holds at a level and where it comes from, setting and clearing, with a look before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from penstock.apiv1 import parameters as m
from penstock.server.api import parameters, queries
from penstock.server.core.errors import Forbidden, Invalid
from penstock.server.web.frame import PAGE_FAULTS, Go, Show, faults_of, read, told

if TYPE_CHECKING:
    from penstock.apiv1.common import Problem
    from penstock.server.web.frame import Ask

LEVELS = ("fleet", "group", "site", "device")
Groups = list[tuple[str, list[m.ParameterRow]]]


@dataclass(frozen=True, slots=True)
class Table:
    """An app's parameters at a level as a page shows them: under their headings, those without one first."""

    of: m.ParameterTable
    groups: Groups


def grouped(rows: tuple[m.ParameterRow, ...]) -> Groups:
    """Rows under their headings, in the order in which the headings first come up; without a heading first."""
    found: dict[str, list[m.ParameterRow]] = {"": []}
    for row in rows:
        found.setdefault(row.group, []).append(row)
    return [(name, many) for name, many in found.items() if many]


def tables_of(ask: Ask, level: str, part: str, app: str = "") -> list[Table]:
    """The tables of a level: of one app, or of all that stand there. None for who may not see deployments."""
    if not ask.may("deployments.read"):
        return []
    apps = (app,) if app else ask.ask(parameters.apps_of, query=queries.Parameters(app="", level=level, part=part))  # type: ignore[arg-type]
    found = [ask.ask(parameters.table, query=queries.Parameters(app=one, level=level, part=part)) for one in apps]  # type: ignore[arg-type]
    return [Table(one, grouped(one.parameters)) for one in found if one.parameters]


def room_of(ask: Ask, device: str) -> m.Room | None:
    """The room of a device, for who may see what runs there."""
    try:
        found: m.Room = ask.ask(parameters.device_room, device=device)
    except Forbidden:
        return None
    return found


def rooms_of(ask: Ask, site: str) -> tuple[m.Room, ...]:
    """The room of a site's devices, for who may see what runs there."""
    try:
        found: tuple[m.Room, ...] = ask.ask(parameters.site_room, site=site).items
    except Forbidden:
        return ()
    return found


def _own(level: str, part: str, app: str) -> str:
    return "/parameters?" + urlencode({key: value for key, value in (("level", level), ("part", part), ("app", app)) if value})


def _page(
    ask: Ask, level: str, part: str, app: str, problem: Problem | None = None, form: dict[str, str] | None = None, preview: m.ValuesSeen | None = None
) -> Show:
    if level not in LEVELS:
        raise Invalid("level-unknown", f"{level[:40]!r} is no level", field="level", remedy=f"it is one of {', '.join(LEVELS)}")
    tables = tables_of(ask, level, part, app)
    name = tables[0].of.name if tables else part
    back = {"device": f"/devices/{part}", "site": f"/sites/{name}", "group": f"/groups/{name}", "fleet": f"/apps/{app}" if app else "/apps"}[level]
    return Show(
        "parameters.html",
        {
            "tables": tables,
            "level": level,
            "part": part,
            "app": app,
            "name": name,
            "back_to": back,
            "own": _own(level, part, app),
            "problem": problem,
            "faults": faults_of(problem),
            "form": form or {},
            "posted": ask.first("app"),
            "preview": preview,
        },
        422 if problem else 200,
    )


def page(ask: Ask) -> Show:
    """The parameters of a level."""
    return _page(ask, ask.query.get("level", "fleet"), ask.query.get("part", ""), ask.query.get("app", ""))


def change(ask: Ask) -> Show | Go:
    """Look what would change, or set it. A field that is filled is set; one that was filled and is empty now is cleared; of a secret only what is typed counts."""
    level, part, app, shown = (ask.first(key) for key in ("level", "part", "app", "shown"))
    given = {key[2:]: value[0] for key, value in ask.form.items() if key.startswith("v.")}
    secrets = {key[2:]: value[0] for key, value in ask.form.items() if key.startswith("s.") and value[0]}
    wipe = [key[2:] for key in ask.form if key.startswith("c.")]
    try:
        table: m.ParameterTable = ask.ask(parameters.table, query=read(queries.Parameters, {"app": app, "level": level, "part": part}))
        own = {row.name: layer.value for row in table.parameters for layer in row.layers if row.own and (layer.level, layer.part) == (table.level, table.part)}
        values = {name: text for name, text in given.items() if text and text != own.get(name)}
        clear = tuple(name for name, text in given.items() if not text and name in own) + tuple(name for name in wipe if name in own)
        if not values and not secrets and not clear:
            raise Invalid("nothing-changes", "nothing is filled in differently", field="values", remedy="fill in a value, or empty one that is set here")
        wanted: dict[str, Any] = {"app": app, "level": level, "part": part, "values": values, "secrets": secrets, "clear": clear}
        if ask.first("do") != "set":
            return _page(ask, level, part, shown, form=given, preview=ask.ask(parameters.preview, body=read(m.ValuesLook, wanted)))
        made: m.ValuesSeen = ask.ask(parameters.change, body=read(m.ValuesChange, {**wanted, "reason": ask.first("reason")}))
    except PAGE_FAULTS as fault:
        return _page(ask, level, part, shown, told(fault), given)
    moving = made.counts.get("update", 0) + made.counts.get("install", 0)
    if not moving:
        return Go(_own(level, part, shown), "Saved. It changes nothing on any device now.")
    return Go(
        _own(level, part, shown), "Saved. One device changes when its gate opens." if moving == 1 else f"Saved. {moving} devices change when their gates open."
    )
