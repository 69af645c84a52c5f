"""Commands about parameters at levels: what holds where, why, and setting and clearing values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from penstock.apiv1 import parameters as m
from penstock.cli import out
from penstock.cli.common import COMMON, Common, Reason, Usage, pairs
from penstock.cli.names import AppName, devices, groups, sites

if TYPE_CHECKING:
    from collections.abc import Iterable

param = App(name="param", help="Values of parameters: at the fleet, a group, a site or a device; the most specific holds.")

Fleet = Annotated[bool, Parameter(negative=(), help="The whole fleet.")]
Group = Annotated[str, Parameter(help="A group, by name or id.", completer=groups)]
Site = Annotated[str, Parameter(help="A site, by name or id.", completer=sites)]
Device = Annotated[str, Parameter(help="A device, by name or id.", completer=devices)]
Look = Annotated[bool, Parameter(name="--preview", negative=(), help="Only show what it would change where.")]


def _level(*, fleet: bool, group: str, site: str, device: str, free: bool = True) -> tuple[m.Level, str]:
    """The level that was named. Raises Usage for several, and for none unless that is `free`: then the fleet is meant."""
    named: list[tuple[m.Level, str]] = []
    if fleet:
        named.append(("fleet", ""))
    if group:
        named.append(("group", group))
    if site:
        named.append(("site", site))
    if device:
        named.append(("device", device))
    if len(named) > 1 or (not named and not free):
        raise Usage("say where: one of --fleet, --group NAME, --site NAME and --device NAME")
    return named[0] if named else ("fleet", "")


def _value(row: m.ParameterRow) -> str:
    if row.why:
        return "groups disagree"
    if row.secret:
        return "(sealed)" if row.origin else "-"
    return row.value if row.value is not None else "-"


@param.command(name="list")
def param_list(app: AppName, *, group: Group = "", site: Site = "", device: Device = "", common: Common = COMMON) -> int:
    """The parameters of an app: what holds at a level, and where it comes from."""
    level, part = _level(fleet=False, group=group, site=site, device=device)
    with common.client() as client:
        found = client.parameters(app, level, part)
    if common.json:
        out.show_json(found)
        return out.DONE
    out.table(
        ("parameter", "type", "value", "from", "what it is"),
        ((x.name, x.type, _value(x), x.origin or ("needed" if x.required else "-"), x.title if x.title != x.name else x.help) for x in found.parameters),
        f"{app} has no parameters.",
    )
    return out.DONE


@param.command(name="get")
def param_get(app: AppName, name: str, *, group: Group = "", site: Site = "", device: Device = "", common: Common = COMMON) -> int:
    """The value of one parameter at a level, and nothing else."""
    level, part = _level(fleet=False, group=group, site=site, device=device)
    with common.client() as client:
        row = client.parameters(app, level, part, name).parameters[0]
    if common.json:
        out.show_json(row)
    elif row.secret:
        raise Usage(f"{name} is a secret; nobody is shown its value")
    elif row.value is None:
        out.aside(row.why or f"{name} has no value here")
        return out.REFUSED
    else:
        out.say(row.value)
    return out.DONE


@param.command(name="explain")
def param_explain(app: AppName, name: str, *, group: Group = "", site: Site = "", device: Device = "", common: Common = COMMON) -> int:
    """Where the value of a parameter comes from: every level that says something, and what a change here would touch."""
    level, part = _level(fleet=False, group=group, site=site, device=device)
    with common.client() as client:
        found = client.parameters(app, level, part, name)
    row = found.parameters[0]
    if common.json:
        out.show_json(found)
        return out.DONE
    out.facts(
        (
            ("parameter", f"{row.name}: {row.title}" if row.title != row.name else row.name),
            ("may be", row.allowed),
            *((("help", row.help),) if row.help else ()),
            ("holds here", f"{_value(row)}, from {row.origin}" if row.origin else row.why or "nothing: it has no value"),
            ("devices", f"{out.number(found.touches, 'device')} with {app} under {_named(found)}"),
        )
    )
    out.console.print()
    out.table(
        ("level", "value", "holds", "set", "by"),
        (
            *((f"{x.level} {x.name}".strip(), _said(x, row), "yes" if x.holds else "", out.ago(x.at_ms) if x.at_ms else "-", x.by or "-") for x in row.layers),
            *(((("default"), row.default, "yes" if row.origin == "default" else "", "-", "the release"),) if row.default is not None else ()),
        ),
        "Nothing is said of it at any level.",
    )
    if row.below:
        out.console.print()
        out.table(
            ("below, more specific", "value", "set", "by"), ((f"{x.level} {x.name}".strip(), _said(x, row), out.ago(x.at_ms), x.by) for x in row.below), ""
        )
    return out.DONE


def _named(found: m.ParameterTable) -> str:
    return f"{found.level} {found.name}" if found.name else "the whole fleet"


def _said(layer: m.Layer, row: m.ParameterRow) -> str:
    return "(sealed)" if row.secret or layer.value is None else layer.value


def _show(found: m.ValuesSeen, *, done: bool) -> None:
    out.table(
        ("device", "site", "what", "from", "to", "restarts"),
        (
            (
                x.name,
                x.site,
                x.what,
                _sides((one.before, one.before_origin) for one in x.changes),
                _sides((one.after, one.after_origin) for one in x.changes) or x.why,
                ", ".join(x.restarted) or "-",
            )
            for x in found.devices
        ),
        "No device has the app there; devices that get it later will have this value.",
    )
    for line in found.warnings:
        out.console.print(out.status("wait", out.sentence(line)))
    moving = found.counts.get("update", 0) + found.counts.get("install", 0)
    if done:
        out.say(f"{out.number(moving, 'device')} {'gets' if moving == 1 else 'get'} the change when the gate there opens")


def _sides(sides: Iterable[tuple[str | None, str]]) -> str:
    return ", ".join(
        f"{'(sealed)' if value is None and origin else value if value is not None else '-'}{f' ({origin})' if origin else ''}" for value, origin in sides
    )


def _do(
    common: Common,
    app: str,
    level: m.Level,
    part: str,
    values: dict[str, str],
    secrets: dict[str, str],
    clear: tuple[str, ...],
    reason: str,
    *,
    preview: bool,
) -> int:
    with common.client() as client:
        if preview:
            found = client.preview_values(m.ValuesLook(app=app, level=level, part=part, values=values, secrets=secrets, clear=clear))
        else:
            found = client.change_values(m.ValuesChange(app=app, level=level, part=part, values=values, secrets=secrets, clear=clear, reason=reason))
    if common.json:
        out.show_json(found)
    else:
        _show(found, done=not preview)
    return out.DONE


@param.command(name="set")
def param_set(
    app: AppName,
    *values: str,
    secret: Annotated[tuple[str, ...], Parameter(help="A secret as NAME=VALUE or NAME=@FILE; may be repeated.")] = (),
    fleet: Fleet = False,
    group: Group = "",
    site: Site = "",
    device: Device = "",
    preview: Look = False,
    reason: Reason = "",
    common: Common = COMMON,
) -> int:
    """Set parameters at a level, as NAME=VALUE (or NAME=@FILE); devices whose content changes are ordered anew."""
    level, part = _level(fleet=fleet, group=group, site=site, device=device, free=False)
    given, sealed = pairs(values, "value"), pairs(secret, "secret")
    if not given and not sealed:
        raise Usage("say what to set: NAME=VALUE, or --secret NAME=VALUE")
    return _do(common, app, level, part, given, sealed, (), reason, preview=preview)


@param.command(name="unset")
def param_unset(
    app: AppName,
    *names: str,
    fleet: Fleet = False,
    group: Group = "",
    site: Site = "",
    device: Device = "",
    preview: Look = False,
    reason: Reason = "",
    common: Common = COMMON,
) -> int:
    """Clear parameters at a level, so that what the wider levels say holds again."""
    level, part = _level(fleet=fleet, group=group, site=site, device=device, free=False)
    if not names:
        raise Usage("say what to clear: the NAME of a parameter")
    return _do(common, app, level, part, {}, {}, names, reason, preview=preview)
