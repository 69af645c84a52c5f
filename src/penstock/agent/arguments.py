"""The command line's words to values: a parser small enough for the resident process.

Owns flags, their values and the errors about them; which command has which is said by each command. `argparse` would cost over a megabyte.
"""

from __future__ import annotations

from penstock.wire.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class UsageError(Exception):
    """The words given make no command. `why` is a sentence."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@record
class Given:
    """What was given: a value for each flag that takes one (the last wins; "" where not given), the flags that take none, and the rest."""

    values: dict[str, str]
    switches: frozenset[str]
    lists: dict[str, tuple[str, ...]]
    words: tuple[str, ...]


def read(arguments: Sequence[str], takes: Mapping[str, bool], words: tuple[int, int], aliases: Mapping[str, str] | None = None) -> Given:
    """`takes`: each flag ("--name") to whether it takes a value. `words`: least and most other words. Raises UsageError."""
    values: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    switches: set[str] = set()
    rest: list[str] = []
    queue = list(arguments)
    while queue:
        word = queue.pop(0)
        if word == "--":
            rest += queue
            break
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        flag, equals, value = word.partition("=")
        flag = (aliases or {}).get(flag, flag)
        if flag not in takes:
            near = next((one for one in takes if one.startswith(flag[:4])), "")
            raise UsageError(f"there is no option {flag}" + (f"; did you mean {near}?" if near else ""))
        if not takes[flag]:
            if equals:
                raise UsageError(f"{flag} takes no value")
            switches.add(flag)
            continue
        if not equals:
            if not queue:
                raise UsageError(f"{flag} needs a value")
            value = queue.pop(0)
        values[flag] = value
        lists[flag] = (*lists.get(flag, ()), value)
    if len(rest) < words[0]:
        raise UsageError("something is missing")
    if len(rest) > words[1]:
        raise UsageError(f"{rest[words[1]]!r} is one word too many")
    return Given(values, frozenset(switches), lists, tuple(rest))
