"""What is wrong with a Compose file, all of it at once, each with its place and what to do instead.

Owns the fault, the error that carries faults, the list they are gathered in, and the numbering of lines over several files. Never decides
that something is wrong.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

MAX_FAULTS = 100


class Sources:
    """Which line is whose where a tree was put together from several files: their lines are numbered through, so that a place stays two numbers
    everywhere, and is told as a file and its line at the end. Without files a line is itself."""

    def __init__(self, firsts: Iterable[tuple[int, str]] = ()) -> None:
        """`firsts`: for each file the number its first line has, and its name; rising."""
        self.firsts = list(firsts)
        self._next = 1

    def add(self, name: str, text: str | bytes) -> int:
        """What to add to a line of this file to number it through."""
        first = self._next
        self.firsts.append((first, name))
        self._next += text.count("\n" if isinstance(text, str) else b"\n") + 2  # type: ignore[arg-type]
        return first - 1

    def place(self, line: int) -> tuple[str, int]:
        """The file (empty: there is but one) and the line in it."""
        at = bisect_right(self.firsts, line, key=lambda item: item[0]) - 1
        if line <= 0 or at < 0:
            return "", line
        first, name = self.firsts[at]
        return name, line - first + 1


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong. `path` as in `services.web.ports[0]` (empty: the file as a whole); `line` and `column` count from 1 (0: nowhere in
    particular); `why` and `remedy` are sentences; `file` is named where there are several."""

    path: str
    line: int
    column: int
    why: str
    remedy: str = ""
    file: str = ""

    def __str__(self) -> str:
        place = f"line {self.line}, column {self.column}: " if self.line else ""
        if self.file:
            place = f"{self.file}, {place}" if place else f"{self.file}: "
        name = f"{self.path}: " if self.path else ""
        return f"{place}{name}{self.why}{'; ' + self.remedy if self.remedy else ''}"


class ComposeError(ValueError):
    """A Compose file (or the values for one) that is refused. `faults` is never empty and stands in the file's order."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class Faults:
    """Gathers faults, their lines numbered through `sources`. The same fault at the same place (a part used twice through an anchor) is said once."""

    def __init__(self, sources: Sources | None = None) -> None:
        self._found: dict[Fault, None] = {}
        self.more = 0
        self.sources = sources

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

    def take(self, others: Faults) -> None:
        """Take note of others' faults too."""
        for fault in others._found:
            self.add(fault.path, fault.line, fault.column, fault.why, fault.remedy)

    def listed(self) -> tuple[Fault, ...]:
        """All of them, in the file's order."""
        ordered = [self._told(fault) for fault in sorted(self._found, key=lambda fault: (fault.line == 0, fault.line, fault.column))]
        if self.more:
            ordered.append(Fault("", 0, 0, f"and {self.more} more faults", "mend these first and read the file again"))
        return tuple(ordered)

    def _told(self, fault: Fault) -> Fault:
        if self.sources is None or fault.file:
            return fault
        file, line = self.sources.place(fault.line)
        return Fault(fault.path, line, fault.column, fault.why, fault.remedy, file) if file else fault

    def check(self) -> None:
        """Raise ComposeError when there is any fault."""
        if self._found:
            raise ComposeError(self.listed())
