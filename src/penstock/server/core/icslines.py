"""The lines of an iCalendar file: unfolded, with their names, parameters and values, each with the number it has in the file; and written again.

Owns RFC 5545, 3.1 (content lines, folding) and 3.3.11 (escapes of text). Never knows what a property means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_BYTES = 1024 * 1024
MOST_LINES = 50_000
MOST_LINE = 20_000  # characters of one unfolded line
FOLD = 75  # octets
_NAME = re.compile(r"[A-Za-z0-9-]+")


@dataclass(frozen=True)
class Line:
    """One property. `name` and the names of `parameters` are in capitals; `value` is as it stands, escapes included."""

    number: int
    name: str
    parameters: dict[str, str]
    value: str


class IcsFault(ValueError):
    """A file that cannot be read as iCalendar; `line` is where (0: the file as a whole)."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}" if line else why)
        self.line = line
        self.why = why


def read_lines(raw: bytes) -> list[Line]:
    """The properties of a file in order. Raises IcsFault."""
    if len(raw) > MOST_BYTES:
        raise IcsFault(0, f"the file has {len(raw)} bytes, more than the {MOST_BYTES} allowed; export fewer events")
    # Folds are taken out before decoding: RFC 5545, 3.1 lets them fall within a character.
    physical = raw.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").split(b"\n")
    if len(physical) > MOST_LINES:
        raise IcsFault(0, f"the file has more than {MOST_LINES} lines; export fewer events")
    found: list[tuple[int, bytearray]] = []
    for number, piece in enumerate(physical, 1):
        if piece[:1] in (b" ", b"\t") and found:
            found[-1][1].extend(piece[1:])
        elif piece.strip():
            found.append((number, bytearray(piece)))
    return [_line(number, piece) for number, piece in found]


def _line(number: int, piece: bytearray) -> Line:
    try:
        text = piece.decode("utf-8")
    except UnicodeDecodeError:
        raise IcsFault(number, "is not UTF-8; export the calendar as UTF-8") from None
    if len(text) > MOST_LINE:
        raise IcsFault(number, f"has more than {MOST_LINE} characters")
    name = _NAME.match(text)
    if name is None:
        raise IcsFault(number, "has no property name; is this an iCalendar (.ics) file?")
    at, parameters = name.end(), {}
    while text[at : at + 1] == ";":
        key = _NAME.match(text, at + 1)
        if key is None or text[key.end() : key.end() + 1] != "=":
            raise IcsFault(number, f"the property {name[0].upper()} has a parameter without a name or a value")
        at = key.end() + 1
        if text[at : at + 1] == '"':
            end = text.find('"', at + 1)
            if end < 0:
                raise IcsFault(number, f"the parameter {key[0].upper()} has a quotation mark that is not closed")
            value, at = text[at + 1 : end], end + 1
        else:
            end = min((place for place in (text.find(";", at), text.find(":", at)) if place >= 0), default=len(text))
            value, at = text[at:end], end
        parameters[key[0].upper()] = value
    if text[at : at + 1] != ":":
        raise IcsFault(number, f"the property {name[0].upper()} has no ':' before its value")
    return Line(number, name[0].upper(), parameters, text[at + 1 :])


def unescaped(value: str) -> str:
    """The text of a value, RFC 5545, 3.3.11."""
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] in "nN" else found[1], value)


def escaped(text: str) -> str:
    """A text as a value."""
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\\n")


def listed(value: str) -> list[str]:
    """The texts of a list of them, RFC 5545, 3.1.1: split at commas that no backslash escapes."""
    parts, begin, at = [], 0, 0
    while at < len(value):
        if value[at] == ",":
            parts.append(value[begin:at])
            begin = at + 1
        at += 2 if value[at] == "\\" else 1
    return [unescaped(part).strip() for part in [*parts, value[begin:]]]


def folded(line: str) -> str:
    """A line as it is written: folded to 75 octets, between characters, and ended by CR LF."""
    pieces, piece, room = [], "", FOLD
    for letter in line:
        size = len(letter.encode())
        if size > room:
            pieces.append(piece)
            piece, room = "", FOLD - 1
        piece += letter
        room -= size
    return "\r\n ".join([*pieces, piece]) + "\r\n"
