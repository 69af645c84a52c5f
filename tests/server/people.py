"""People with rights in a test's plane, as short as a test wants to say it."""

from __future__ import annotations

from penstock.server.actions import bindings, invitations, people, subjects
from penstock.server.actions.context import Plane
from penstock.server.core.model import Actor
from penstock.server.store import users
from tests.server.planes import ADMIN

SENTENCE = "correct horse battery"


def actor(plane: Plane, name: str) -> Actor:
    """Somebody as they stand now."""

    def look(tx):
        user = users.by_name(tx, name)
        assert user is not None
        return subjects.actor_of(tx, user)

    return plane.db.view(look)


def person(plane: Plane, name: str, *roles: tuple[str, str], by: Actor = ADMIN) -> Actor:
    """A person who has accepted their invitation, with (role, on) each."""
    made, invitation = people.create_person(plane, by, name=name)
    assert invitation is not None
    invitations.accept(plane, code=invitation.code, password=SENTENCE, address=f"test {name}")
    for role, on in roles:
        bindings.give(plane, by, who=made.name, role_name=role, on=on)
    return actor(plane, name)


def service(plane: Plane, name: str, *roles: tuple[str, str]) -> Actor:
    """A service account."""
    people.create_person(plane, ADMIN, name=name, kind="service")
    for role, on in roles:
        bindings.give(plane, ADMIN, who=name, role_name=role, on=on)
    return actor(plane, name)
