"""Publishing while images of other registries are copied: asks again until they are here, and says how far they are.

Owns the waiting only. What is published is the caller's.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, TypeVar

from rich.text import Text

from penstock.cli import out

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.apiv1.common import Problem

T = TypeVar("T")
AGAIN_S = 2.0
_FAR = re.compile(r"([0-9]+) of ([0-9]+) bytes\Z")


def published(publish: Callable[[], T], what: str) -> T:
    """What `publish` gives in the end. Ctrl-C ends the waiting only: the copies go on. Raises ClientError."""
    from penstock.client import ClientError

    told = ""
    with out.errors.status(Text(out.plain(what))) as shown:  # on terminals only
        while True:
            try:
                return publish()
            except ClientError as fault:
                if fault.problem.code != "images-on-their-way":
                    raise
                said = how_far(fault.problem)
                shown.update(Text(out.plain(f"{what}: {said}")))
                names = ", ".join(one.path for one in fault.problem.faults)
                if names != told and not out.errors.is_terminal:
                    out.aside(f"Copied here first: {names}")
                told = names
                time.sleep(AGAIN_S)


def how_far(problem: Problem) -> str:
    """Images and how much of each is here, in a line."""
    parts = []
    for one in problem.faults:
        found = _FAR.match(one.why)
        parts.append(f"{one.path} {int(found[1]) / 1e6:.1f} of {int(found[2]) / 1e6:.1f} MB" if found else f"{one.path} {one.why}")
    return "; ".join(parts)
