"""What a registry token may be used for: repositories and what is done to them.

Owns the grammar of scopes ("repository:shop/web:pull,push", the token documents of Docker's registry), and the question whether what was granted covers an act.
Never knows who asks or what they may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from penstock.server.core.oci import name_fault

VERBS = ("pull", "push", "delete")
MOST = 16  # repositories in one token: it must fit a header
CATALOG = "registry:catalog:*"


@dataclass(frozen=True, slots=True)
class Granted:
    """One repository and what may be done to it."""

    repository: str
    verbs: tuple[str, ...]

    def __str__(self) -> str:
        return f"repository:{self.repository}:{','.join(self.verbs)}"


def scope_of(repository: str, verb: str) -> str:
    """What a client should ask for to do this. Whoever pushes also looks at what is there."""
    verbs = {"pull": "pull", "push": "pull,push", "delete": "pull,push,delete"}[verb]
    return f"repository:{repository}:{verbs}"


def read_scopes(texts: Iterable[str]) -> tuple[Granted, ...]:
    """What is asked for, each repository once. Kinds, names and verbs that are not known here ask for nothing, as the token documents say; "*" is every verb."""
    found: dict[str, list[str]] = {}
    for text in " ".join(texts).split():
        kind, _, rest = text.partition(":")
        name, _, actions = rest.rpartition(":")
        if kind.partition("(")[0] != "repository" or name_fault(name) is not None:
            continue
        asked = actions.split(",")
        known = [verb for verb in VERBS if verb in asked or "*" in asked]
        if known and (name in found or len(found) < MOST):
            found.setdefault(name, []).extend(known)
    return tuple(Granted(name, tuple(verb for verb in VERBS if verb in verbs)) for name, verbs in sorted(found.items()))


def allowed(asked: Iterable[Granted], may: Callable[[str, str], bool]) -> tuple[Granted, ...]:
    """What of it is granted: `may(repository, verb)` says."""
    found = (Granted(one.repository, tuple(verb for verb in one.verbs if may(one.repository, verb))) for one in asked)
    return tuple(one for one in found if one.verbs)


def covers(granted: Iterable[Granted], repository: str, verb: str) -> bool:
    """Whether a token with this may be used for that."""
    return any(one.repository == repository and verb in one.verbs for one in granted)
