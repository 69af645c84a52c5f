"""Names that are near to one nobody has, from what the asker may see.

Owns the suggestion behind "there is no device 'pres-7'". Asks the control plane for names only after it said that there is no such thing, and
keeps quiet when that fails too.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

import msgspec

from penstock.client import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from penstock.apiv1.common import Problem
    from penstock.client import Client

_TOLD = re.compile(r"there is no (\w+) '([^']*)'")
LOOKED_AT = 1000  # names of a kind


def _none(_client: Client) -> Iterable[str]:
    return ()


# How the names of each noun are asked for, and the command that lists them.
KINDS: dict[str, tuple[Callable[[Client], Iterable[str]], str]] = {
    "device": (lambda client: (item.name for item in client.devices(limit=LOOKED_AT, sort="name")), "penstock device list"),
    "site": (lambda client: (item.name for item in client.sites()), "penstock site list"),
    "group": (lambda client: (item.name for item in client.groups()), "penstock group list"),
    "app": (lambda client: (item.name for item in client.apps()), "penstock app list"),
    "release": (lambda client: (f"{item.app}:{item.version}" for item in client.releases(limit=LOOKED_AT)), "penstock release list"),
    "deployment": (lambda client: (item.name for item in client.deployments()), "penstock deployment list"),
    "enrolment": (lambda client: (item.name for item in client.enrolments()), "penstock waiting list"),
    "user": (lambda client: (item.name for item in client.access.users()), "penstock user list"),
    "team": (lambda client: (item.name for item in client.access.teams()), "penstock team list"),
    "role": (lambda client: (item.name for item in client.access.roles()), "penstock role list"),
    "token": (_none, "penstock token list"),
    "join": (_none, "penstock site joins"),
    "command": (_none, "penstock command list DEVICE"),
}


def names(client: Client, kind: str) -> tuple[str, ...]:
    """The names of a kind that the asker may see, sorted. Raises ClientError."""
    return tuple(sorted(set(KINDS[kind][0](client))))


def helped(client: Client, problem: Problem) -> Problem:
    """The problem with near names and the command that lists them, where it is about a name nobody has; else as it is."""
    told = _TOLD.search(problem.detail)
    if problem.status != 404 or told is None or told[1] not in KINDS or problem.remedy:
        return problem
    try:
        close = difflib.get_close_matches(told[2], names(client, told[1]), n=3, cutoff=0.5)
    except ClientError:
        close = []
    listed = f"`{KINDS[told[1]][1]}` lists those there are"
    return msgspec.structs.replace(problem, remedy=f"did you mean {' or '.join(close)}? {listed}" if close else listed)
