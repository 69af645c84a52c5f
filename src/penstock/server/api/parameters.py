"""Handlers for parameters at levels and for the room of devices. Each decodes, calls one action, and shows what it gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.apiv1 import parameters as shapes
from penstock.apiv1.common import Page
from penstock.server.actions import parameters, rooms
from penstock.server.core import parameterviews as views
from penstock.server.core.compose.parameters import allowed

if TYPE_CHECKING:
    from penstock.server.api.frame import Call

DEFAULT = "default"


def _layer(found: views.Layer) -> shapes.Layer:
    return shapes.Layer(level=found.level, part=found.part, name=found.name, value=found.value, holds=found.holds, at_ms=found.at_ms, by=found.by)


def origin(level: str, name: str) -> str:
    """A level in words: "site ulm"."""
    return f"{level} {name}".strip()


def _row(found: views.ParameterRow, level: str, part: str) -> shapes.ParameterRow:
    held, d = found.held, found.declared
    return shapes.ParameterRow(
        name=found.name,
        title=d.title or found.name,
        help=d.help or found.message,
        group=d.group,
        type=d.type,
        secret=found.secret,
        required=found.required,
        choices=d.choices,
        allowed=allowed(d),
        default=found.default,
        value=held.value if held is not None else None if found.why else found.default,
        origin=origin(held.level, held.name) if held is not None else DEFAULT if found.default is not None and not found.why else "",
        own=any(one.level == level and one.part == part for one in found.layers),
        layers=tuple(map(_layer, found.layers)),
        below=tuple(map(_layer, found.below)),
        why=found.why,
        low=d.low,
        high=d.high,
        pattern=d.pattern,
        min_length=d.min_length,
        max_length=d.max_length,
    )


def table(call: Call) -> shapes.ParameterTable:
    """Every parameter of an app at a level."""
    q = call.query
    found = parameters.table(call.plane, call.actor, app=q.app, level=q.level, part=q.part, name=q.name)
    return shapes.ParameterTable(
        app=found.app,
        level=found.level,
        part=found.part,
        name=found.name,
        may=found.may,
        touches=found.touches,
        versions=found.versions,
        parameters=tuple(_row(one, found.level, found.part) for one in found.rows),
    )


def apps_of(call: Call) -> tuple[str, ...]:
    """The apps whose tables a level's page shows."""
    return parameters.apps_of(call.plane, call.actor, level=call.query.level, part=call.query.part)


def _seen(found: views.ValuePreview) -> shapes.ValuesSeen:
    return shapes.ValuesSeen(
        app=found.app,
        level=found.level,
        part=found.part,
        name=found.name,
        values=found.values,
        before=found.before,
        devices=tuple(
            shapes.ValueDevice(
                device=row.device,
                name=row.name,
                site=row.site,
                deployment=row.deployment,
                what=row.what,
                why=row.why,
                changes=tuple(
                    shapes.ValueChange(name=one.name, before=one.before, before_origin=one.before_level, after=one.after, after_origin=one.after_level)
                    for one in row.changes
                ),
                restarted=row.restarted,
            )
            for row in found.rows
        ),
        counts=found.counts,
        warnings=found.warnings,
    )


def preview(call: Call) -> shapes.ValuesSeen:
    """What a change of values would do, device by device; nothing is stored."""
    b: shapes.ValuesLook = call.body
    return _seen(parameters.preview(call.plane, call.actor, app=b.app, level=b.level, part=b.part, values=b.values, secrets=b.secrets, clear=b.clear))


def change(call: Call) -> shapes.ValuesSeen:
    """Set values at a level, and clear others; what it did."""
    b: shapes.ValuesChange = call.body
    return _seen(
        parameters.change(call.plane, call.actor, app=b.app, level=b.level, part=b.part, values=b.values, secrets=b.secrets, clear=b.clear, reason=b.reason)
    )


def _room(found: views.DeviceRoom) -> shapes.Room:
    r = found.reserve
    return shapes.Room(
        device=found.device,
        name=found.name,
        site=found.site,
        memory_bytes=r.memory_bytes,
        memory_system=r.memory_system,
        memory_promised=dict(r.memory_promised),
        memory_left=r.memory_left,
        disk_bytes=r.disk_bytes,
        disk_free=r.disk_free,
        disk_system=r.disk_system,
        disk_left=r.disk_left,
        nodes=found.nodes,
        accelerators=found.accelerators,
        clashes=found.clashes,
    )


def device_room(call: Call) -> shapes.Room:
    """The room of one device."""
    return _room(rooms.of_device(call.plane, call.actor, device=call.path["device"]))


def site_room(call: Call) -> Page[shapes.Room]:
    """The room of each device of a site."""
    return Page(items=tuple(map(_room, rooms.of_site(call.plane, call.actor, site=call.path["site"]))))
