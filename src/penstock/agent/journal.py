"""The agent's own words on standard error: one line each, `level event key=value`, as journald and `docker logs` like them.

Owns the form of a line and nothing else: no levels to configure, no files, no rotation. The device log is the record that counts; these
lines are for the person who stands at the machine. `logging` would cost the resident process over half a megabyte.
"""

from __future__ import annotations

import os
import sys

_PRIORITY = {"error": "<3>", "warning": "<4>", "info": "<6>"}
MAX_VALUE = 600  # characters


def _quoted(value: object) -> str:
    text = str(value)
    if len(text) > MAX_VALUE:
        text = text[:MAX_VALUE] + "..."
    if text and all("!" <= letter <= "~" and letter not in "\"'=\\" for letter in text):
        return text
    inside = "".join(letter if letter.isprintable() and letter not in '"\\' else _escaped(letter) for letter in text)
    return f'"{inside}"'


def _escaped(letter: str) -> str:
    return "\\" + letter if letter in '"\\' else f"\\u{ord(letter):04x}"


def line(level: str, event: str, **fields: object) -> str:
    """One line without its line break; a value that holds spaces or worse is quoted, so that no text from outside makes a second line."""
    return " ".join([level, event, *(f"{key}={_quoted(value)}" for key, value in fields.items() if value not in (None, ""))])


def say(level: str, event: str, **fields: object) -> None:
    """Write one line to standard error. `level`: error, warning or info. A standard error that is gone is no reason to stop."""
    prefix = _PRIORITY[level] if "JOURNAL_STREAM" in os.environ else ""
    try:
        os.write(2, (prefix + line(level, event, **fields) + "\n").encode("utf-8", "backslashreplace"))
    except OSError:
        sys.exc_info()  # nobody listens (a closed pipe, a full disk behind it); the device log has what matters
