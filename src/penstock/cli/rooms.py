"""The room of devices on a terminal: what there is, what is promised, what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from penstock.cli import out

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.apiv1.parameters import Room

BAR = 20


def rooms_of(ask: Callable[[], tuple[Room, ...]]) -> tuple[Room, ...]:
    """What the control plane says of rooms; nothing for who may not see deployments, since the names of apps stand in it."""
    from penstock.client import ClientError

    try:
        return ask()
    except ClientError as fault:
        if fault.problem.status == 403:
            return ()
        raise


def size(amount: int) -> str:
    """Bytes for people: "1.5 GiB"."""
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if abs(amount) >= 1 << shift:
            return f"{amount / (1 << shift):.1f}".removesuffix(".0") + f" {unit}"
    return f"{amount} bytes"


def bar(used: int, system: int, total: int) -> Text:
    """How much is taken, as a bar of fixed width."""
    whole = max(total, used + system, 1)
    mine, theirs = round(BAR * system / whole), round(BAR * used / whole)
    return (
        Text("▒" * mine, style="dim") + Text("█" * theirs, style="red" if used + system > total else "green") + Text("░" * (BAR - mine - theirs), style="dim")
    )


def _memory(room: Room) -> Text | str:
    if not room.memory_bytes:
        return "the device has not said how much it has"
    promised = sum(room.memory_promised.values())
    left = f"{size(room.memory_left)} left" if room.memory_left >= 0 else f"{size(-room.memory_left)} more promised than there is"
    return bar(promised, room.memory_system, room.memory_bytes) + Text(
        f"  {left} of {size(room.memory_bytes)}; {size(promised)} promised, {size(room.memory_system)} for the system"
    )


def _disk(room: Room) -> Text | str:
    if not room.disk_free:
        return "the device has not said how much is free"
    total = room.disk_bytes or room.disk_free
    return bar(max(0, total - room.disk_free), room.disk_system, total) + Text(
        f"  {size(max(0, room.disk_left))} left of {size(total)}; {size(room.disk_system)} stay free"
    )


def print_room(room: Room) -> None:
    """One device."""
    promised = ", ".join(f"{app} {size(amount)}" for app, amount in room.memory_promised.items() if amount)
    accelerators = ", ".join(f"{count} {kind}" for kind, count in sorted(room.accelerators.items()))
    out.facts(
        (
            ("memory", _memory(room)),
            *((("promised", promised),) if promised else ()),
            ("disk", _disk(room)),
            ("accelerators", accelerators or ("none" if room.nodes is not None else "the device does not say")),
            *(("clash", Text(out.plain(out.sentence(one)), style="red")) for one in room.clashes),
        )
    )


def print_rooms(rooms: tuple[Room, ...]) -> None:
    """The devices of a site, each with its room."""
    out.table(("device", "memory", "disk"), ((one.name, _memory(one), _disk(one)) for one in rooms), "No device yet.")
