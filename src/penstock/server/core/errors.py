"""What the control plane says when it does not do something.

Owns the kinds of refusal and their fields. `code` is stable and for programs, `why` and `remedy` are sentences for people,
`field` names the input at fault. How a kind becomes an HTTP status is the API's business.
"""

from __future__ import annotations


class Refused(Exception):
    """Not done, and nothing changed. `kind` groups codes: invalid, missing, conflict, stale, forbidden, unauthenticated, limited,
    unavailable."""

    kind = "invalid"

    def __init__(self, code: str, why: str, *, field: str = "", remedy: str = "", retry_s: int = 0, faults: tuple[object, ...] = ()) -> None:
        super().__init__(f"{code}: {why}")
        self.code = code
        self.why = why
        self.field = field
        self.remedy = remedy
        self.retry_s = retry_s
        self.faults = faults


class Invalid(Refused):
    """The input is not what it must be; `field` says which."""


class Missing(Refused):
    """No such thing, or not one the asker may see."""

    kind = "missing"


class Conflict(Refused):
    """It contradicts what already is."""

    kind = "conflict"


class Stale(Refused):
    """Somebody changed it since it was read (compare-and-set)."""

    kind = "stale"


class Forbidden(Refused):
    """The asker is known and may not."""

    kind = "forbidden"


class Unauthenticated(Refused):
    """The asker is not known."""

    kind = "unauthenticated"


class Limited(Refused):
    """Too much, or too often; `retry_s` says when again."""

    kind = "limited"


class Unavailable(Refused):
    """Not now; `retry_s` says when again."""

    kind = "unavailable"


def missing(noun: str, name: str) -> Missing:
    """There is no such thing."""
    return Missing(f"{noun}-not-found", f"there is no {noun} {name!r} here, or it is not yours to see")


def stale(noun: str, have: int, given: int) -> Stale:
    """The thing changed since it was read."""
    return Stale(
        "stale-revision",
        f"the {noun} was changed meanwhile: it is at revision {have}, you changed revision {given}",
        field="revision",
        remedy="read it again and repeat the change",
    )
