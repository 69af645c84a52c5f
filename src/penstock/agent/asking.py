"""Asking a local person for the PIN, and deriving from it what the agent is told.

Owns the terminal without echo and the derivation, which takes a good part of a second on a small processor: it runs in the process of the local
command, never in the agent. The PIN is on no command line and in no file, and goes nowhere from here.
"""

from __future__ import annotations

import sys

from penstock import crypto
from penstock.rules.pins import MOST, PROOF_BYTES
from penstock.wire.messages import MOST_ROUNDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class AskError(Exception):
    """There is nobody to ask, or nothing usable was said. `why` is a sentence."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def derive(pin: str, salt: str, rounds: int) -> str:
    """The proof of a PIN, as 64 hex digits."""
    return crypto.pbkdf2(pin.encode("utf-8"), bytes.fromhex(salt), rounds, PROOF_BYTES).hex()


def proof_of(people: list[dict[str, Any]], name: str, right: str) -> tuple[str, str]:
    """The id of the person who asks and the proof of the PIN typed in. Raises AskError."""
    person = _choose(people, name, right)
    if person["wait_s"]:
        raise AskError(f"there were too many wrong PINs for {person['name']}; the next try is in {person['wait_s']} s")
    if not isinstance(person["rounds"], int) or person["rounds"] > MOST_ROUNDS:
        raise AskError("the agent asks for more work than a PIN takes; are agent and command of one version?")
    pin = _read(f"PIN of {person['name']}: ")
    return person["id"], derive(pin, person["salt"], person["rounds"])


def _choose(people: list[dict[str, Any]], name: str, right: str) -> dict[str, Any]:
    able = [one for one in people if right in one["may"]]
    if not name and len(able) != 1 and sys.stdin.isatty():
        name = input("who are you? " + ", ".join(one["name"] for one in able) + ": ").strip()
    found = [one for one in people if name and name.casefold() in (one["id"], one["name"].casefold())]
    if not name and len(able) == 1:
        found = able
    if len(found) != 1:
        who = ", ".join(one["name"] for one in able) or "nobody, by the site's list"
        said = f"{name!r} is none of the site's local people" if name else "say who you are: --as NAME"
        raise AskError(f"{said}; who may do this here: {who}. Root may go on with --without-pin --reason 'why', which is on record")
    return found[0]


def _read(prompt: str) -> str:
    if sys.stdin.isatty():
        from getpass import getpass

        pin = getpass(prompt)
    else:
        pin = sys.stdin.readline(MOST + 2).rstrip("\n")
    if not pin:
        raise AskError("no PIN was given; it is asked for at a terminal, or read as one line from standard input")
    return pin[: MOST + 1]
