"""Which addresses of the plane to use: the ones that work, the ones signed state asks for, and the ones kept to fall back on.

Owns that book as a value and its rules, pure. A new set of addresses is tried beside the old one and takes its place only after a
check-in over it has succeeded; the old one is kept until then and one generation beyond, so that a plane may move and be mistaken
without stranding anybody. Never connects; storing the book is the caller's.
"""

from __future__ import annotations

from penstock.wire.messages import Endpoint
from penstock.wire.record import record, replace
from penstock.wire.types import same

TRIAL_FIRST_MS = 60_000  # after a failed trial of new addresses, the next one comes this much later, doubling
TRIAL_MOST_MS = 3_600_000


@record
class Book:
    """`current`: in use, in order of preference. `wanted`: asked for by the accepted desired state `at` ("epoch.generation"), not proven
    yet. `previous`: what `current` replaced under the desired state `committed`, kept until another one has been accepted."""

    LIMITS = {"current": 8, "previous": 8, "wanted": 8}

    current: tuple[Endpoint, ...]
    previous: tuple[Endpoint, ...] = ()
    wanted: tuple[Endpoint, ...] = ()
    at: str = ""
    committed: str = ""


def offered(book: Book, endpoints: tuple[Endpoint, ...], at: str) -> Book:
    """The book after the desired state `at` has been accepted that names `endpoints` (none: it does not say, so nothing changes)."""
    if at == book.at:
        return book
    book = replace(book, at=at)
    if book.previous and at != book.committed:
        book = replace(book, previous=())
    if not endpoints or _alike(endpoints, book.current):
        return replace(book, wanted=())
    return replace(book, wanted=endpoints)


def checked_in(book: Book, endpoint: Endpoint) -> Book:
    """The book after a whole check-in over `endpoint`: a wanted one is proven by it, and its set becomes the current one."""
    if not any(same(endpoint, one) for one in book.wanted):
        return book
    return replace(book, current=book.wanted, previous=book.current, wanted=(), committed=book.at)


def order(book: Book, *, trial: bool) -> tuple[Endpoint, ...]:
    """What to try, in order; the wanted set first when a trial is due, last otherwise (better an unproven address than none)."""
    sets = (book.wanted, book.current, book.previous) if trial else (book.current, book.previous, book.wanted)
    chosen: list[Endpoint] = []
    for one in (endpoint for group in sets for endpoint in group):
        if not any(same(one, other) for other in chosen):
            chosen.append(one)
    return tuple(chosen)


def wanted(book: Book, endpoint: Endpoint) -> bool:
    """Whether `endpoint` is one still to be proven."""
    return any(same(endpoint, one) for one in book.wanted) and not any(same(endpoint, one) for one in book.current)


def _alike(one: tuple[Endpoint, ...], other: tuple[Endpoint, ...]) -> bool:
    return len(one) == len(other) and all(same(left, right) for left, right in zip(one, other))
