"""Commands to devices: order, read, and what closes them.

Owns the checks before one is signed. A command waits while its device is away and lapses by itself; its outcome comes with the device's log.
"""

from __future__ import annotations

from penstock.server.actions import states
from penstock.server.actions.context import Plane, bounded, make_cursor, note, read_cursor, seal, tell
from penstock.server.actions.devices import find
from penstock.server.core.access import require
from penstock.server.core.errors import Conflict, Invalid, Limited, missing
from penstock.server.core.model import ACTIVE, Actor, CommandId, CommandRow
from penstock.server.core.views import Page
from penstock.server.store import commands as store
from penstock.server.store.db import Tx
from penstock.wire.codec import encode
from penstock.wire.messages import Command
from penstock.wire.types import name_fault
from penstock.wire.version import WIRE

# Arguments by verb: those that must be there, those that may.
ARGUMENTS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "restart": (frozenset(("app", "service")), frozenset()),
    "revert": (frozenset(("app",)), frozenset()),
    "logs": (frozenset(("app", "service")), frozenset(("lines",))),
    "inspect": (frozenset(("app", "service")), frozenset(("what",))),
    "prune": (frozenset(), frozenset()),
    "refresh": (frozenset(), frozenset()),
    "accept-pin": (frozenset(("app",)), frozenset()),
}
MAX_OPEN = 64


def _check(verb: str, arguments: dict[str, str]) -> None:
    if verb not in ARGUMENTS:
        raise Invalid("verb-unknown", f"{verb[:40]!r} is no command; they are {', '.join(ARGUMENTS)}", field="verb")
    must, can = ARGUMENTS[verb]
    for name in sorted(must - set(arguments)):
        raise Invalid("argument-missing", f"{verb} wants {name}", field=f"arguments.{name}")
    for name in sorted(set(arguments) - must - can):
        raise Invalid("argument-unknown", f"{verb} knows no argument {name[:40]!r}", field=f"arguments.{name[:40]}")
    for name in ("app", "service"):
        fault = name_fault(arguments[name]) if name in arguments else None
        if fault:
            raise Invalid("argument-malformed", fault, field=f"arguments.{name}")
    if arguments.get("what", "usage") != "usage":
        raise Invalid("argument-malformed", "what is usage, or left out for everything", field="arguments.what")
    lines = arguments.get("lines", "100")
    if not lines.isdigit() or not 1 <= int(lines[:6]) <= 5000:
        raise Invalid("argument-malformed", "lines is 1 to 5000", field="arguments.lines")


def order(
    plane: Plane, actor: Actor, *, device: str, verb: str, arguments: dict[str, str] | None = None, expires_s: int = 3600, reason: str = ""
) -> CommandRow:
    """Order a device to do something, within `expires_s` seconds (a minute to a week)."""
    given = dict(arguments or {})
    _check(verb, given)
    if not 60 <= expires_s <= 7 * 86_400:
        raise Invalid("expiry-out-of-range", "expires_s is 60 seconds to 7 days", field="expires_s")

    def work(tx: Tx) -> CommandRow:
        found = find(tx, actor, device, "devices.command")
        if found.state != ACTIVE:
            raise Conflict("device-not-active", f"the device is {found.state}", remedy="release it first")
        if len(store.open_ids(tx, [found.id])[found.id]) >= MAX_OPEN:
            raise Limited("too-many-commands", f"{MAX_OPEN} commands already wait for this device", remedy="wait until it has called, or until they lapse")
        now = plane.clock.now_ms()
        ident = CommandId(plane.ids.new("cmd"))
        said = Command(WIRE, ident, found.id, plane.epoch, verb, now, now + expires_s * 1000, given, actor.name)
        row = CommandRow(ident, found.id, verb, given, now, said.not_after_ms, actor.name, seal(plane, "command", encode(said)))
        store.add(tx, row)
        note(
            plane,
            tx,
            actor,
            "command.ordered",
            found.id,
            site=found.site,
            reason=reason,
            data={"command": ident, "name": found.name, "verb": verb, **given},
            topics=[(f"device/{found.id}", ident)],
        )
        states.owe(plane, tx, [found.id])
        return row

    return plane.db.update(work)


def get_command(plane: Plane, actor: Actor, *, command: str) -> CommandRow:
    """One command, with its outcome once the device has said it."""
    reach = require(actor, "devices.read")

    def work(tx: Tx) -> CommandRow:
        found = store.by_id(tx, reach, command)
        if found is None:
            raise missing("command", command)
        return found

    return plane.db.view(work)


def list_commands(plane: Plane, actor: Actor, *, device: str, cursor: str = "", limit: int = 50) -> Page[CommandRow]:
    """A device's commands, newest first."""
    after = read_cursor(cursor, int, str)
    most = bounded(plane, limit)

    def work(tx: Tx) -> Page[CommandRow]:
        found = store.of_device(tx, find(tx, actor, device).id, (after[0], after[1]) if after else None, most + 1)
        rows = found[:most]
        return Page(rows, make_cursor(rows[-1].issued_ms, rows[-1].id) if len(found) > most else "")

    return plane.db.view(work)


def expire(plane: Plane) -> int:
    """Close what lapsed without a word from its device; how many devices were concerned."""

    def work(tx: Tx) -> int:
        concerned = store.expire(tx, plane.clock.now_ms())
        states.owe(plane, tx, list(concerned))
        tell(plane, tx, [(f"device/{device}", device) for device in concerned])
        return len(concerned)

    return plane.db.update(work)
