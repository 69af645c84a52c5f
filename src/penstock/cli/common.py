"""What every command takes: which context, how to print, how long to wait. Opens the client for it, and adds what is near to a name nobody has.

Owns the options all commands share and the small readers of what is typed. Decides nothing about the fleet.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from penstock.cli import contexts, out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.client import Client

MOST = 100  # rows on a terminal when nobody says how many

Limit = Annotated[
    int | None,
    Parameter(validator=Number(gte=1, lte=1_000_000), help=f"At most so many; on a terminal {MOST} unless --all, else (and with --json) all of them."),
]
All = Annotated[bool, Parameter(name="--all", negative=(), help="All of them.")]
Reason = Annotated[str, Parameter(help="Why, for the record.")]


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """Which control plane, and how to print."""

    context: Annotated[str, Parameter(help="Which control plane, if not the current one; or PENSTOCK_CONTEXT.")] = ""
    json: Annotated[bool, Parameter(negative=(), help="Print JSON for programs.")] = False
    timeout: Annotated[
        float | None,
        Parameter(validator=Number(gt=0, lte=3600), help="Seconds to wait for an answer of the control plane; 60 unless said; or PENSTOCK_TIMEOUT."),
    ] = None
    debug: Annotated[bool, Parameter(negative=(), help="Say each request on standard error: method, path, status, duration.")] = False

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        """The client of the chosen context. Raises NoContext. What is not found comes with the names that are near."""
        from penstock.cli import near
        from penstock.client import Client, ClientError

        found = contexts.chosen(self.context)
        with Client(found.url, found.token, way=contexts.way(found, timeout_s=self.timeout or 0.0, debug=self.debug)) as client:
            try:
                yield client
            except ClientError as fault:
                raise ClientError(near.helped(client, fault.problem)) from None


COMMON = Common()


class Usage(Exception):
    """The command cannot be meant as it was given; the text says how to say it."""


def most(limit: int | None, *, everything: bool, json: bool) -> int:
    """How many rows to ask for; 0 is all. A program, and what reads a pipe, gets all unless it says otherwise."""
    if limit is not None and everything:
        raise Usage("either --limit or --all, not both")
    if limit is not None:
        return limit
    return 0 if everything or json or not out.console.is_terminal else MOST


def text_of(file: Path) -> str:
    """A file's text. Raises OSError, and Usage for what is no text."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as fault:
        raise Usage(f"{file} is no text in UTF-8: byte {fault.start + 1} is 0x{fault.object[fault.start]:02x}; is it the right file?") from None


def certificates(file: Path) -> str:
    """A file's certificates, PEM text. Raises Usage for a file without any."""
    import ssl

    text = text_of(file)
    try:
        ssl.create_default_context(cadata=text)
    except (ssl.SSLError, ValueError):
        raise Usage(f"{file} holds no certificate in PEM (BEGIN CERTIFICATE)") from None
    return text


def pairs(given: tuple[str, ...], what: str) -> dict[str, str]:
    """ "key=value" texts as a dict; the value may be "@FILE" for a file's text. Raises Usage naming the one that is none."""
    found = {}
    for text in given:
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise Usage(f"{text!r} is no {what}: write key=value")
        found[key] = text_of(Path(value[1:])).removesuffix("\n") if value.startswith("@") else value
    return found


_SPANS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def moment(text: str) -> int:
    """A moment in Unix milliseconds: a span back from now ("30m", "2h", "7d"), or a date or time ("2026-03-01", "2026-03-01 14:30"), local unless it
    names a zone. Raises Usage."""
    from datetime import datetime

    number, unit = text[:-1], text[-1:]
    if unit in _SPANS and number.isdigit() and len(number) < 10:
        return int((time.time() - int(number) * _SPANS[unit]) * 1000)
    try:
        return int(datetime.fromisoformat(text).astimezone().timestamp() * 1000)
    except (ValueError, OverflowError):
        raise Usage(f"{text!r} is no moment: write a span such as 2h or 7d, or a time such as 2026-03-01 14:30") from None
