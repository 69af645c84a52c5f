"""Setting up, signing in and out, tokens: what is kept, what is refused, what ends what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.server.actions import passwords, registryaccess, sessions, setup, tokens
from penstock.server.core.errors import Conflict, Forbidden, Invalid, Missing, Unauthenticated
from penstock.server.core.model import Actor
from tests.server.planes import ADMIN, first_administrator, make_plane, turn

PASSWORD = "correct horse battery"


@pytest.fixture
def plane(tmp_path):
    made = make_plane(tmp_path)
    yield made
    made.db.close()


def sign_in(plane, password=PASSWORD, **more):
    return sessions.sign_in(plane, name="ada", password=password, **more)


def test_set_up_once(plane):
    assert setup.setup_needed(plane)
    old = setup.new_setup_token(plane)
    token = setup.new_setup_token(plane)
    for wrong in ("", old, token + "x"):
        with pytest.raises(Invalid) as refused:
            setup.set_up(plane, token=wrong, name="ada", password=PASSWORD)
        assert refused.value.code == "setup-token-wrong"
    with pytest.raises(Invalid, match="12 to 1000"):
        setup.set_up(plane, token=token, name="ada", password="short")
    made = setup.set_up(plane, token=token, name="ada", password=PASSWORD)
    assert sessions.who(plane, made.secret).actor.name == "ada"
    assert not setup.setup_needed(plane)
    with pytest.raises(Conflict):
        setup.set_up(plane, token=token, name="eve", password=PASSWORD)
    with pytest.raises(Conflict):
        setup.new_setup_token(plane)


def test_sessions_idle_out_and_end(plane):
    first_administrator(plane)
    made = sign_in(plane, address="10.0.0.1")
    assert sessions.who(plane, made.secret).session.csrf == made.session.csrf != made.secret
    for _ in range(5):
        turn(plane, plane.session_idle_s * 1000 - 1)
        assert sessions.who(plane, made.secret).user.name == "ada"
    turn(plane, plane.session_idle_s * 1000)
    with pytest.raises(Unauthenticated):
        sessions.who(plane, made.secret)
    made = sign_in(plane)
    for _ in range(30):
        turn(plane, plane.session_idle_s * 500)
        try:
            sessions.who(plane, made.secret)
        except Unauthenticated:
            break
    else:
        raise AssertionError("a session has an absolute end")
    made = sign_in(plane)
    actor = sessions.who(plane, made.secret).actor
    with pytest.raises(Missing):
        sessions.sign_out(plane, actor, session="ses_other")
    sessions.sign_out(plane, actor, session=made.session.id)
    with pytest.raises(Unauthenticated):
        sessions.who(plane, made.secret)


def test_secrets_are_not_kept(plane):
    first_administrator(plane)
    made = sign_in(plane)
    token = tokens.create_token(plane, sessions.who(plane, made.secret).actor, name="ci")
    raw = plane.db.engine.raw_connection()
    dump = "".join(str(row) for table in ("sessions", "api_tokens", "users", "settings", "events") for row in raw.cursor().execute(f"SELECT * FROM {table}"))
    raw.close()
    for secret in (made.secret, token.secret, PASSWORD):
        assert secret not in dump


def test_a_new_password_ends_other_sessions(plane):
    first_administrator(plane)
    one, two = sign_in(plane), sign_in(plane)
    actor = sessions.who(plane, one.secret).actor
    with pytest.raises(Unauthenticated):
        passwords.change_password(plane, actor, old="nope", new="another long one")
    passwords.change_password(plane, actor, old=PASSWORD, new="another long one", keep=one.session.id)
    assert sessions.who(plane, one.secret).user.name == "ada"
    with pytest.raises(Unauthenticated):
        sessions.who(plane, two.secret)
    with pytest.raises(Unauthenticated):
        sign_in(plane)
    plane.limits = replace(plane.limits, password_rounds=2000)
    assert sign_in(plane, "another long one")  # and made anew with more rounds
    assert sign_in(plane, "another long one")


def test_tokens(plane):
    actor = first_administrator(plane)
    made = tokens.create_token(plane, actor, name="ci", expires_s=3600)
    assert made.secret.startswith("pst_")
    found = tokens.token_actor(plane, made.secret)
    assert (found.kind, found.id, found.rights) == ("token", actor.id, actor.rights)
    assert [one.token.name for one in tokens.list_tokens(plane, actor)] == ["ci"]
    assert registryaccess.sign_in(plane, "anything", made.secret) == found
    assert registryaccess.sign_in(plane, "ada", PASSWORD).id == actor.id
    with pytest.raises(Unauthenticated):
        registryaccess.sign_in(plane, "ada", "wrong")
    with pytest.raises(Missing):
        tokens.revoke_token(plane, ADMIN, token=made.token.id)  # another person's
    tokens.revoke_token(plane, actor, token=made.token.id)
    for secret in (made.secret, "pst_" + "0" * 64, ""):
        with pytest.raises(Unauthenticated):
            tokens.token_actor(plane, secret)
    late = tokens.create_token(plane, actor, name="late", expires_s=60)
    turn(plane, 60_000)
    with pytest.raises(Unauthenticated):
        tokens.token_actor(plane, late.secret)
    with pytest.raises(Forbidden):
        tokens.create_token(plane, Actor("user", "u", "eve"), name="x")
