"""What is wrong with a Compose file, all of it at once, each with its place and what to do instead.

Owns the fault, the error that carries faults, and the list they are gathered in. Never decides that something is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_FAULTS = 100


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong. `path` as in `services.web.ports[0]` (empty: the file as a whole); `line` and `column` count from 1 (0: nowhere in
    particular); `why` and `remedy` are sentences."""

    path: str
    line: int
    column: int
    why: str
    remedy: str = ""

    def __str__(self) -> str:
        place = f"line {self.line}, column {self.column}: " if self.line else ""
        name = f"{self.path}: " if self.path else ""
        return f"{place}{name}{self.why}{'; ' + self.remedy if self.remedy else ''}"


class ComposeError(ValueError):
    """A Compose file (or the values for one) that is refused. `faults` is never empty and stands in the file's order."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class Faults:
    """Gathers faults. The same fault at the same place (a part used twice through an anchor) is said once."""

    def __init__(self) -> None:
        self._found: dict[Fault, None] = {}
        self.more = 0

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, path: str, line: int, column: int, why: str, remedy: str = "") -> None:
        """Take note of a fault; beyond MAX_FAULTS they are only counted."""
        fault = Fault(path, line, column, why, remedy)
        if fault in self._found:
            return
        if len(self._found) >= MAX_FAULTS:
            self.more += 1
            return
        self._found[fault] = None

    def listed(self) -> tuple[Fault, ...]:
        """All of them, in the file's order."""
        ordered = sorted(self._found, key=lambda fault: (fault.line == 0, fault.line, fault.column))
        if self.more:
            ordered.append(Fault("", 0, 0, f"and {self.more} more faults", "mend these first and read the file again"))
        return tuple(ordered)

    def check(self) -> None:
        """Raise ComposeError when there is any fault."""
        if self._found:
            raise ComposeError(self.listed())
