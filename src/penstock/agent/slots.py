"""The agent's own program in two slots: telling the launcher that the slot this agent was started from is good.

Owns the file slots/confirmed and reads the environment the launcher sets; choosing, counting attempts and going back are the launcher's, which
must work when no agent does. A slot is confirmed by a check-in the plane has answered: an agent that cannot do that could not be replaced
from afar again.
"""

from __future__ import annotations

from penstock.agent.places import read_file, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.agent.places import Places

SLOTS = ("a", "b")
VARIABLE = "PENSTOCK_SLOT"


def current(environment: Mapping[str, str]) -> str:
    """The slot this process was started from, empty where no launcher did it (a container, a development machine)."""
    slot = environment.get(VARIABLE, "")
    return slot if slot in SLOTS else ""


def confirm(places: Places, environment: Mapping[str, str]) -> bool:
    """Say that this slot is good, once; whether there was something to say. Raises OSError."""
    slot = current(environment)
    if not slot or confirmed(places) == slot:
        return False
    write_file(f"{places.slots}/confirmed", f"{slot}\n".encode("ascii"), 0o644)
    return True


def confirmed(places: Places) -> str:
    """The slot last confirmed, empty where none was."""
    raw = read_file(f"{places.slots}/confirmed", 64)
    return raw.decode("ascii", "replace").strip() if raw is not None else ""
