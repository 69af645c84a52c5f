"""How the command line speaks: tables, facts, words with a shape and a colour, JSON; errors with their remedy and an exit code.

Owns presentation and exit codes only. Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 cannot reach the control plane; 4 not signed
in or not allowed; 5 no such thing; 6 ended, but not well (a command failed, a rollout failed).
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from penstock.client import as_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.apiv1.common import Problem

DONE, REFUSED, USAGE, UNREACHABLE, NOT_ALLOWED, MISSING, ENDED_BADLY = 0, 1, 2, 3, 4, 5, 6

TONES = {"good": ("green", "●"), "busy": ("blue", "◐"), "wait": ("yellow", "◆"), "bad": ("red", "■"), "away": ("dim", "◌"), "none": ("dim", "○")}

UNFOLDED = 1000  # columns where no terminal says how many there are: what is piped or kept in a file is one line a row

console = Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else UNFOLDED)
errors = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() or "COLUMNS" in os.environ else UNFOLDED)


def status(tone: str, word: str) -> Text:
    """A word with its shape and colour."""
    colour, glyph = TONES.get(tone, TONES["none"])
    return Text(f"{glyph} {word}", style=colour)


def ago(ms: int) -> str:
    """How long ago."""
    if not ms:
        return "never"
    seconds = int(time.time() - ms / 1000)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if abs(seconds) >= 2 * length:
            return f"{seconds // length} {unit} ago" if seconds > 0 else f"in {-seconds // length} {unit}"
    return f"{seconds} s ago" if seconds >= 0 else f"in {-seconds} s"


def at(ms: int) -> str:
    """A time in this machine's zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ms / 1000)) if ms else "never"


def show_json(value: Any) -> None:
    """A shape as JSON, for programs."""
    sys.stdout.write(as_json(value) + "\n")


def table(columns: Iterable[str], rows: Iterable[Iterable[Any]], empty: str) -> None:
    """A table for people; a sentence where it is empty."""
    listed = [tuple(row) for row in rows]
    if not listed:
        console.print(empty, style="dim")
        return
    shown = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 3, 0, 0))
    for name in columns:
        shown.add_column(name, overflow="fold")
    for row in listed:
        shown.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    console.print(shown)


def facts(pairs: Iterable[tuple[str, Any]]) -> None:
    """Names and values."""
    shown = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    shown.add_column(style="dim", no_wrap=True)
    shown.add_column(overflow="fold")
    for name, value in pairs:
        shown.add_row(name, value if isinstance(value, Text) else Text(str(value)))
    console.print(shown)


def say(text: str) -> None:
    """A sentence of our own, as it stands."""
    console.print(Text(text))


def sentence(text: str) -> str:
    """A `why` as a sentence."""
    text = text.strip()
    if text and text[0].islower() and text.split(" ", 1)[0].isalpha():
        text = text[0].upper() + text[1:]
    return text if not text or text[-1] in ".!?:" else text + "."


def number(many: int, thing: str) -> str:
    """ "1 device", "2 devices"."""
    return f"{many} {thing}{'' if many == 1 else 's'}"


def complain(problem: Problem) -> int:
    """Say what was refused and what to do, on standard error; the exit code that belongs to it."""
    detail = f"refused, {len(problem.faults)} to put right:" if problem.faults else problem.detail  # the faults say it line by line
    errors.print(Text("Error: ", style="bold red") + Text(sentence(detail), style="not bold"))
    for fault in problem.faults:
        place = f"line {fault.line}, column {fault.column}: " if fault.line else ""
        path = f"{fault.path}: " if fault.path else ""
        errors.print(Text(f"  {place}{path}", style="bold") + Text(sentence(fault.why), style="not bold"))
        if fault.remedy:
            errors.print(Text(f"    {sentence(fault.remedy)}", style="dim"))
    if problem.field and not problem.faults:
        errors.print(Text(f"  field: {problem.field}", style="dim"))
    if problem.remedy and not problem.faults:
        errors.print(Text(f"  {sentence(problem.remedy)}"))
    errors.print(Text(f"  ({problem.code})", style="dim"))
    return {0: UNREACHABLE, 401: NOT_ALLOWED, 403: NOT_ALLOWED, 404: MISSING}.get(problem.status, REFUSED)
