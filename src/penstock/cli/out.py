"""How the command line speaks: tables, facts, words with a shape and a colour, JSON; errors with their remedy and an exit code.

Owns presentation and exit codes only. Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 cannot reach the control plane, or no answer
in time; 4 not signed in or not allowed; 5 no such thing; 6 ended, or stands, badly; 7 it contradicts what is, or somebody changed it since; 8
waited, and not there yet. What a device or a person wrote is printed without the characters that command a terminal.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.apiv1.common import Outcome, Problem

DONE, REFUSED, USAGE, UNREACHABLE, NOT_ALLOWED, MISSING, ENDED_BADLY, CONFLICT, NOT_YET = range(9)
INTERRUPTED = 130

CODES = {0: UNREACHABLE, 401: NOT_ALLOWED, 403: NOT_ALLOWED, 404: MISSING, 409: CONFLICT, 412: CONFLICT}
CODES |= dict.fromkeys((429, 502, 503, 504), UNREACHABLE)

TONES = {"good": ("green", "●"), "busy": ("blue", "◐"), "wait": ("yellow", "◆"), "bad": ("red", "■"), "away": ("dim", "◌"), "none": ("dim", "○")}

UNFOLDED = 1000  # columns where no terminal says how many there are: what is piped or kept in a file is one line a row
GAP = 3
NARROWEST = 16  # a column of prose that would get less than this is no longer read: each row then stands as lines of its own

console = Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else UNFOLDED)
errors = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() or "COLUMNS" in os.environ else UNFOLDED)

_COMMANDS = {code: None for code in (*range(32), 127, *range(0x80, 0xA0)) if chr(code) not in "\t\n"}


def plain(text: str) -> str:
    """A text from elsewhere without the characters that command a terminal."""
    return text.translate(_COMMANDS)


def _cell(value: Any) -> Text:
    return value if isinstance(value, Text) else Text(plain(str(value)))


def status(tone: str, word: str) -> Text:
    """A word with its shape and colour."""
    colour, glyph = TONES.get(tone, TONES["none"])
    return Text(f"{glyph} {plain(word)}", style=colour)


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


def as_json(value: Any) -> str:
    """A shape as JSON for programs to read, indented."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def show_json(value: Any) -> None:
    """A shape as JSON, for programs."""
    sys.stdout.write(as_json(value) + "\n")
    sys.stdout.flush()


def line_json(value: Any) -> None:
    """A shape as one line of JSON, for programs that read a stream."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def outcome(found: Outcome, *, json: bool) -> int:
    """What was done, in its sentence."""
    if json:
        show_json(found)
    else:
        say(found.said)
    return DONE


def listing(found: tuple[Any, ...], columns: Iterable[str], rows: Iterable[Iterable[Any]], empty: str, *, json: bool = False, most: int = 0) -> int:
    """A list: a JSON array of its shapes, or a table. A table cut off at `most` rows says so."""
    if json:
        show_json(found)
        return DONE
    table(columns, rows, empty)
    if most and len(found) == most:
        aside(f"The first {most}; more with --limit NUMBER or --all.")
    return DONE


def table(columns: Iterable[str], rows: Iterable[Iterable[Any]], empty: str) -> None:
    """A table for people; a sentence where it is empty. The last column is prose and takes what room is left; where there is none, each row stands
    as lines of its own."""
    listed, names = [tuple(_cell(cell) for cell in row) for row in rows], tuple(columns)
    if not listed:
        console.print(empty, style="dim")
        return
    widths = [max(len(name), *(row[place].cell_len for row in listed)) for place, name in enumerate(names)]
    if sum(widths[:-1]) + GAP * (len(names) - 1) + min(widths[-1], NARROWEST) > console.width:
        _records(names, listed)
        return
    shown = Table(box=None, header_style="bold", pad_edge=False, padding=(0, GAP, 0, 0))
    for place, name in enumerate(names):
        shown.add_column(name, overflow="fold", no_wrap=place < len(names) - 1)
    for row in listed:
        shown.add_row(*row)
    console.print(shown)


def _records(names: tuple[str, ...], listed: list[tuple[Text, ...]]) -> None:
    head = 1 if not names[0] else 0  # a mark without a name stands before what it marks
    longest = max(len(name) for name in names)
    for row in listed:
        first = row[head].copy()
        first.stylize("bold")
        console.print((row[0] + Text(" ") + first) if head and row[0].plain.strip() else first)
        shown = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        shown.add_column(no_wrap=True, style="dim", min_width=longest + 2)
        shown.add_column(overflow="fold")
        for name, cell in zip(names[head + 1 :], row[head + 1 :], strict=True):
            if cell.plain:
                shown.add_row(f"  {name}", cell)
        console.print(shown)


def facts(pairs: Iterable[tuple[str, Any]]) -> None:
    """Names and values."""
    shown = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    shown.add_column(style="dim", no_wrap=True)
    shown.add_column(overflow="fold")
    for name, value in pairs:
        shown.add_row(name, _cell(value))
    console.print(shown)


def say(text: str) -> None:
    """A sentence of our own, as it stands."""
    console.print(Text(plain(text)))


def aside(text: str) -> None:
    """A sentence beside what was asked for, on standard error."""
    errors.print(Text(plain(text), style="dim"))


def verbatim(text: str) -> None:
    """Lines as somebody wrote them, never wrapped; on a terminal without the characters that command it."""
    sys.stdout.write(plain(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def sentence(text: str) -> str:
    """A `why` as a sentence."""
    text = text.strip()
    if text and text[0].islower() and text.split(" ", 1)[0].isalpha():
        text = text[0].upper() + text[1:]
    return text if not text or text[-1] in ".!?:" else text + "."


def number(many: int, thing: str) -> str:
    """ "1 device", "2 devices"."""
    return f"{many} {thing}{'' if many == 1 else 's'}"


def size(count: int) -> str:
    """ "512 B", "1.2 MB"; powers of ten."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def complain(problem: Problem, *, json: bool = False) -> int:
    """Say what was refused and what to do, on standard error; the exit code that belongs to it. As JSON it is the problem's own shape."""
    code = CODES.get(problem.status, REFUSED)
    if json:
        sys.stderr.write(as_json(problem) + "\n")
        return code
    detail = f"refused, {len(problem.faults)} to put right:" if problem.faults else problem.detail  # the faults say it line by line
    errors.print(Text("Error: ", style="bold red") + Text(plain(sentence(detail)), style="not bold"))
    for fault in problem.faults:
        place = f"line {fault.line}, column {fault.column}: " if fault.line else ""
        if fault.file:
            place = f"{fault.file}, {place}" if place else f"{fault.file}: "
        path = f"{fault.path}: " if fault.path else ""
        errors.print(Text(plain(f"  {place}{path}"), style="bold") + Text(plain(sentence(fault.why)), style="not bold"))
        if fault.remedy:
            errors.print(Text(plain(f"    {sentence(fault.remedy)}"), style="dim"))
    if problem.field and not problem.faults:
        errors.print(Text(plain(f"  field: {problem.field}"), style="dim"))
    remedy = problem.remedy or REMEDIES.get(problem.status, "")
    if remedy and not problem.faults:
        errors.print(Text(plain(f"  {sentence(remedy)}")))
    errors.print(Text(f"  ({problem.code})", style="dim"))
    return code


# What to run next where the control plane does not say it.
REMEDIES = {
    401: "log in again: penstock login https://PLANE --user NAME",
    403: "`penstock whoami` says who you are; an administrator gives rights",
    412: "look at it again, then repeat the command",
}
