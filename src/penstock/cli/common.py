"""What every command takes: which context, and whether to print JSON. Opens the client for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from penstock.cli import contexts
from penstock.client import Client


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """Which control plane, and how to print."""

    context: Annotated[str, Parameter(help="Which control plane, if not the current one.")] = ""
    json: Annotated[bool, Parameter(negative=(), help="Print JSON for programs.")] = False

    def client(self) -> Client:
        """The client of the chosen context. Raises NoContext."""
        found = contexts.chosen(self.context)
        return Client(found.url, found.token, ca=found.ca)


COMMON = Common()


class Usage(Exception):
    """The command cannot be meant as it was given; the text says how to say it."""


def text_of(file: Path) -> str:
    """A file's text. Raises OSError, and Usage for what is no text."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as fault:
        raise Usage(f"{file} is no text in UTF-8: byte {fault.start + 1} is 0x{fault.object[fault.start]:02x}; is it the right file?") from None


def pairs(given: tuple[str, ...], what: str) -> dict[str, str]:
    """ "key=value" texts as a dict; the value may be "@FILE" for a file's text. Raises Usage naming the one that is none."""
    found = {}
    for text in given:
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise Usage(f"{text!r} is no {what}: write key=value")
        found[key] = text_of(Path(value[1:])).removesuffix("\n") if value.startswith("@") else value
    return found
