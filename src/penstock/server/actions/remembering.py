"""The plane's memory of what takes long to make and is asked for often: bounded, forgetting what was not asked for longest."""

from __future__ import annotations

from typing import Any

from penstock.server.actions.context import Plane

REMEMBERED = 2048


def remember(plane: Plane, key: Any, make: Any) -> Any:
    """The value under `key`, made at first use."""
    with plane.memo_lock:
        found = plane.memo.get(key)
        if found is not None:
            plane.memo.move_to_end(key)
            return found
    made = make()
    with plane.memo_lock:
        plane.memo[key] = made
        while len(plane.memo) > REMEMBERED:
            plane.memo.popitem(last=False)
    return made
