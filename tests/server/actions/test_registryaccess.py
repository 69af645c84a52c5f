"""Tokens for the image registry: what they carry, when they end, and that nobody else's are taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.actions import registryaccess, tokens
from penstock.server.core.errors import Limited, Unauthenticated
from penstock.server.core.guessing import PAIR
from penstock.server.core.registryscopes import MOST, Granted, allowed, covers, read_scopes, scope_of
from penstock.server.effects.tokens import MOST_REGISTRY, RegistryTokens, SessionTokens
from tests.server.planes import ADMIN, first_administrator, make_plane, turn

PASSWORD = "correct horse battery"
SCOPE = ("repository:shop/web:pull,push",)


@pytest.fixture
def plane(tmp_path):
    found = make_plane(tmp_path)
    first_administrator(found)
    yield found
    found.db.close()


def issue(plane, user="ada", password=PASSWORD):
    return registryaccess.issue(plane, user, password, "198.51.100.7", SCOPE, lambda _actor, _name, verb: verb == "pull")


def test_a_token_says_who_and_for_what_and_ends(plane):
    made = issue(plane)
    assert made.scope == (Granted("shop/web", ("pull",)),)
    found = registryaccess.redeem(plane, made.text)
    assert (found.actor.name, found.scope) == ("ada", made.scope)
    turn(plane, made.expires_s * 1000 - 2000)
    assert registryaccess.redeem(plane, made.text).actor.name == "ada"
    turn(plane, 2000)
    with pytest.raises(Unauthenticated):
        registryaccess.redeem(plane, made.text)


def test_an_api_token_is_good_by_itself_and_ends_before_what_was_made_of_it(plane):
    secret = tokens.create_token(plane, registryaccess.sign_in(plane, "ada", PASSWORD), name="ci", expires_s=60).secret
    made = issue(plane, "whoever", secret)
    assert registryaccess.redeem(plane, secret).scope is None
    assert registryaccess.redeem(plane, made.text).actor.kind == "token"
    turn(plane, 61_000)
    for text in (secret, made.text):
        with pytest.raises(Unauthenticated):
            registryaccess.redeem(plane, text)


def test_tokens_of_others_are_refused(plane):
    mine = issue(plane).text
    body, mac = mine.split(".")
    session = plane.tokens.issue("dev_1", 1, 2**40)
    for text in (
        session,
        body,
        f"{body}.",
        f"{body}.{mac[:-1]}",
        f"{body}A.{mac}",
        f".{mac}",
        "",
        "x" * (MOST_REGISTRY + 1),
        RegistryTokens(b"x" * 32).issue(b"{}"),
    ):
        with pytest.raises(Unauthenticated):
            registryaccess.redeem(plane, text)
    assert plane.tokens.read(mine) is None  # nor is it a device's


def test_a_right_password_is_not_judged_again_and_a_wrong_one_always(plane):
    for _ in range(PAIR.free):
        with pytest.raises(Unauthenticated):
            issue(plane, password="wrong")
    with pytest.raises(Limited):
        issue(plane, password="wrong")


@given(st.lists(st.text(alphabet="repository:shop/web,pullpushdelete* .-_A0", max_size=60), max_size=40))
def test_any_scope_is_read(texts):
    found = read_scopes(texts)
    assert len(found) <= MOST
    assert read_scopes(map(str, found)) == found  # what is granted can be asked for again
    for one in found:
        assert all(covers(found, one.repository, verb) for verb in one.verbs)


def test_scopes():
    assert read_scopes(["repository:a/b:pull,push repository:c:*", "repository:a/b:delete", "registry:catalog:*", "repository:A:pull", "repository:x:fly"]) == (
        Granted("a/b", ("pull", "push", "delete")),
        Granted("c", ("pull", "push", "delete")),
    )
    assert read_scopes(["repository(plugin):a:pull"]) == (Granted("a", ("pull",)),)
    assert allowed(read_scopes(["repository:a:*"]), lambda _name, verb: verb == "push") == (Granted("a", ("push",)),)
    assert not covers(read_scopes(["repository:a:pull"]), "a/b", "pull")
    assert [scope_of("a", verb).rpartition(":")[2] for verb in ("pull", "push", "delete")] == ["pull", "pull,push", "pull,push,delete"]


@given(st.binary(max_size=200), st.binary(min_size=1, max_size=40))
def test_only_what_we_made_is_read(body, other):
    ours = SessionTokens(b"k" * 32).registry
    token = ours.issue(body)
    assert ours.read(token) == body
    assert RegistryTokens(other).read(token) is None
    for at in range(0, len(token), 7):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        assert ours.read(changed) is None


def test_the_administrator_of_tests_is_nobody_special(plane):
    """A guard: signing in goes by the people of the plane, not by an actor that is passed around."""
    with pytest.raises(Unauthenticated):
        issue(plane, ADMIN.name, "not the password")
