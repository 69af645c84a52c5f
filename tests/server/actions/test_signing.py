"""Signing in on a real plane: rounds counted, guessing slowed down, the second factor, sessions, the break-glass account."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from penstock.crypto import pbkdf2
from penstock.server.actions import breakglass, housekeeping, passwords, registryaccess, secondfactor, sessions, settings, setup, tokens
from penstock.server.actions.attempts import RECORDED, STRANGERS, Attempts
from penstock.server.core import guessing, onetime
from penstock.server.core.breakglass import ID
from penstock.server.core.errors import Conflict, Forbidden, Invalid, Limited, Missing, Unauthenticated, Unavailable
from penstock.server.core.model import SERVICE, Actor, User, UserId
from penstock.server.core.rights import EVERYWHERE, VERBS, Binding, Part, Role, everything, reach, rights_of
from penstock.server.effects import passwords as digests
from penstock.server.effects.passwords import hash_password
from penstock.server.store import access, events, users
from tests.server.planes import first_administrator, make_plane, turn

PASSWORD = "correct horse battery"
HOME, ELSEWHERE = "192.0.2.7", "198.51.100.1"


@pytest.fixture
def plane(tmp_path):
    made = make_plane(tmp_path)
    yield made
    made.db.close()


def person(plane, name="bert", **more):
    made = User(UserId(f"usr_p_{name}"), name, hash_password(PASSWORD, 1000), 1, **more)
    plane.db.update(lambda tx: users.add(tx, made))
    return Actor("user", made.id, name, everything(made.id))


def sign_in(plane, name="ada", password=PASSWORD, **more):
    return sessions.sign_in(plane, name=name, password=password, **more)


def code_of(plane, secret, steps=0):
    return onetime.hotp(secret, plane.clock.now_ms() // 30_000 + steps)


def with_factor(plane, actor, keep=""):
    """Set a second factor up; its secret and recovery codes."""
    shown = secondfactor.begin(plane, actor, password=PASSWORD)
    import base64

    text = shown.secret.replace(" ", "")
    secret = base64.b32decode(text + "=" * (-len(text) % 8))
    codes = secondfactor.confirm(plane, actor, code=code_of(plane, secret), keep=keep)
    turn(plane, 30_000)
    return secret, codes


def record(plane):
    return [(one.verb, one.subject, one.reason) for one in plane.db.view(lambda tx: events.before(tx, EVERYWHERE, 10**9, "", 500))]


def count_rounds(monkeypatch):
    """The rounds of every digest from now on."""
    counted = []

    def count(password, salt, rounds, size):
        counted.append(rounds)
        return pbkdf2(password, salt, rounds, size)

    monkeypatch.setattr(digests, "pbkdf2", count)
    return counted


# --- what an answer tells -------------------------------------------------------------------------------------------------


def test_every_refusal_costs_the_same_rounds(plane, monkeypatch):
    first_administrator(plane)
    person(plane, "gone", disabled=True)
    plane.db.update(lambda tx: users.add(tx, User(UserId("usr_robot"), "robot", "", 1, SERVICE)))  # a service account
    plane.db.update(lambda tx: users.add(tx, User(UserId("usr_old"), "old", hash_password(PASSWORD, 1000), 1)))
    plane.limits = replace(plane.limits, password_rounds=3000)
    counted = count_rounds(monkeypatch)
    cost, said = {}, set()
    for name, password in (
        ("nobody", PASSWORD),
        ("ada", "wrong horse battery"),
        ("gone", PASSWORD),
        ("gone", "wrong"),
        ("robot", ""),
        ("old", "wrong"),
        ("", ""),
    ):
        counted.clear()
        with pytest.raises(Unauthenticated) as refused:
            sign_in(plane, name, password)
        cost[name, password] = sum(counted)
        said.add((refused.value.code, refused.value.why, refused.value.field))
    assert set(cost.values()) == {plane.limits.password_rounds}
    assert len(said) == 1


# --- guessing -------------------------------------------------------------------------------------------------------------


def test_a_stranger_waits_longer_and_longer_and_the_person_does_not(plane):
    first_administrator(plane)
    sign_in(plane, address=HOME)
    waits = []
    for _ in range(guessing.PAIR.free + 6):
        try:
            with pytest.raises(Unauthenticated):
                sign_in(plane, password="wrong horse battery", address=ELSEWHERE)
        except Limited as limited:
            waits.append(limited.retry_s)
            turn(plane, limited.retry_s * 1000)
            with pytest.raises(Unauthenticated):
                sign_in(plane, password="wrong horse battery", address=ELSEWHERE)
    assert waits == [1, 2, 4, 8, 16, 32]
    with pytest.raises(Limited):
        sign_in(plane, address=ELSEWHERE)  # even with the right one
    assert sign_in(plane, address=HOME).user.name == "ada"


def test_strangers_from_everywhere_shut_out_new_places_only(plane):
    first_administrator(plane)
    sign_in(plane, address=HOME)
    for n in range(guessing.NAME.free):
        with pytest.raises(Unauthenticated):
            sign_in(plane, password="wrong horse battery", address=f"198.51.100.{n}")
    with pytest.raises(Limited):
        sign_in(plane, address="203.0.113.9")
    assert sign_in(plane, address=HOME).secret
    person(plane)
    assert sign_in(plane, "bert", address="203.0.113.9")  # another name


def test_an_account_of_ones_own_clears_no_count(plane):
    first_administrator(plane)
    person(plane)
    for n in range(guessing.ADDRESS.free):
        with pytest.raises(Unauthenticated):
            sign_in(plane, f"guess-{n}", address=ELSEWHERE)
    turn(plane, 1000)
    with pytest.raises(Unauthenticated):
        sign_in(plane, "another", address=ELSEWHERE)
    turn(plane, 2000)
    assert sign_in(plane, "bert", address=ELSEWHERE).secret
    with pytest.raises(Limited):
        sign_in(plane, "one-more", address=ELSEWHERE)


def test_attempts_at_once_count_before_they_are_judged(plane):
    attempts = Attempts(2)
    keys = guessing.judged_by("password", "ada", ELSEWHERE, known=False)
    assert [attempts.begin(keys, 5) for _ in range(guessing.PAIR.free + 1)] == [0] * guessing.PAIR.free + [1000]
    attempts.withdraw(keys, 5)
    assert attempts.begin(keys, 5) == 0


def test_a_flood_is_turned_away_and_people_who_were_here_before_are_not(plane):
    first_administrator(plane)
    sign_in(plane, address=HOME)
    plane.attempts = Attempts(2)
    go = threading.Event()

    def hold():
        with plane.attempts.turn(STRANGERS):
            go.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        with pytest.raises(Unavailable) as busy:  # its wait ends by itself
            sign_in(plane, address=ELSEWHERE)
        assert busy.value.retry_s > 0
        assert sign_in(plane, address=HOME).user.name == "ada"
    finally:
        go.set()
        holder.join(20)
    for _ in range(guessing.PAIR.free):  # what was turned away did not count
        with pytest.raises(Unauthenticated):
            sign_in(plane, password="wrong horse battery", address=ELSEWHERE)


def test_refusals_do_not_fill_the_record(plane):
    first_administrator(plane)
    for n in range(RECORDED + 7):
        with pytest.raises(Unauthenticated):
            sign_in(plane, f"guess-{n}\r\nSet-Cookie: x", address=f"198.51.{n}.1")
    found = [one for one in plane.db.view(lambda tx: events.before(tx, EVERYWHERE, 10**9, "", 500)) if one.verb == "user.sign-in-refused"]
    assert len(found) == RECORDED
    assert all(one.actor_name.isprintable() for one in found)
    turn(plane, 60_000)
    with pytest.raises(Unauthenticated):
        sign_in(plane, "late")
    newest = next(
        one
        for one in plane.db.view(lambda tx: events.before(tx, EVERYWHERE, 10**9, "", 500))
        if one.verb == "user.sign-in-refused" and one.actor_name == "late"
    )
    assert newest.data["not_recorded_before"] == "7"


# --- the second factor ----------------------------------------------------------------------------------------------------


def test_a_second_factor_from_set_up_to_switched_off(plane):
    actor = first_administrator(plane)
    mine, other = sign_in(plane), sign_in(plane)
    with pytest.raises(Unauthenticated):
        secondfactor.begin(plane, actor, password="wrong horse battery")
    assert secondfactor.awaiting(plane, actor) is None
    secret, codes = with_factor(plane, actor, keep=mine.session.id)
    assert sessions.who(plane, mine.secret).user.id
    with pytest.raises(Unauthenticated):
        sessions.who(plane, other.secret)
    assert secondfactor.awaiting(plane, actor) is None  # a confirmed secret is never shown again
    assert len(set(codes)) == 10
    with pytest.raises(Unauthenticated) as needed:
        sign_in(plane)
    assert (needed.value.code, needed.value.field) == ("second-factor-needed", "code")
    with pytest.raises(Unauthenticated) as wrong:
        sign_in(plane, code="000000")
    assert wrong.value.code == "wrong-code"
    with pytest.raises(Unauthenticated) as first:
        sign_in(plane, password="wrong horse battery", code=code_of(plane, secret))
    assert first.value.code == "wrong-credentials"  # and the code is not used up by that
    assert sign_in(plane, code=code_of(plane, secret)).secret
    with pytest.raises(Unauthenticated):
        sign_in(plane, code=code_of(plane, secret))  # once only
    assert sign_in(plane, code=codes[3].upper().replace("-", " ")).secret
    with pytest.raises(Unauthenticated):
        sign_in(plane, code=codes[3])
    factor = secondfactor.get_factor(plane, actor)
    assert factor is not None
    assert len(factor.codes) == 9
    turn(plane, 30_000)
    renewed = secondfactor.renew_codes(plane, actor, password=PASSWORD, code=code_of(plane, secret))
    with pytest.raises(Unauthenticated):
        sign_in(plane, code=codes[4])
    assert sign_in(plane, code=renewed[4]).secret
    with pytest.raises(Conflict):
        secondfactor.begin(plane, actor, password=PASSWORD)
    with pytest.raises(Unauthenticated):
        secondfactor.switch_off(plane, actor, password=PASSWORD, code="000000")
    late = sign_in(plane, code=renewed[5])
    secondfactor.switch_off(plane, actor, password=PASSWORD, code=renewed[6])
    with pytest.raises(Unauthenticated):
        sessions.who(plane, late.secret)
    assert sign_in(plane).secret
    verbs = [verb for verb, _, _ in record(plane)]
    assert {"user.second-factor-on", "user.second-factor-off", "user.recovery-codes-renewed", "user.recovery-code-used"} <= set(verbs)


def test_a_secret_that_was_not_confirmed_is_not_asked_for_and_can_be_given_up(plane):
    actor = first_administrator(plane)
    one = secondfactor.begin(plane, actor, password=PASSWORD)
    assert sign_in(plane).secret
    assert secondfactor.awaiting(plane, actor) == one
    assert secondfactor.begin(plane, actor, password=PASSWORD) != one
    with pytest.raises(Unauthenticated):
        secondfactor.confirm(plane, actor, code="000000")
    secondfactor.cancel(plane, actor)
    assert secondfactor.get_factor(plane, actor) is None
    with pytest.raises(Conflict):
        secondfactor.confirm(plane, actor, code="000000")


def test_neither_secret_nor_recovery_codes_lie_in_the_database(plane):
    secret, codes = with_factor(plane, first_administrator(plane))
    raw = plane.db.engine.raw_connection()
    dump = "".join(
        str(row) for table in ("second_factors", "users", "settings", "events", "sessions") for row in raw.cursor().execute(f"SELECT * FROM {table}")
    )
    raw.close()
    for text in (onetime.secret_text(secret), onetime.secret_text(secret).replace(" ", ""), secret.hex(), *codes):
        assert text not in dump


def test_codes_cannot_be_guessed(plane):
    """Somebody who has the password tries codes from everywhere; the person goes on signing in at home."""
    actor = first_administrator(plane)
    sign_in(plane, address=HOME)
    secret, _ = with_factor(plane, actor)
    tried = 0
    for n in range(200):
        try:
            with pytest.raises(Unauthenticated):
                sign_in(plane, address=f"198.51.{n}.1", code="000000")
            tried += 1
        except Limited:
            pass
    assert tried <= guessing.NAME.free
    assert sign_in(plane, address=HOME, code=code_of(plane, secret)).secret


def test_the_ticket_between_password_and_code_is_short_and_small(plane):
    actor = first_administrator(plane)
    secret, _ = with_factor(plane, actor)
    user = sessions.prove(plane, name="ada", password=PASSWORD)
    ticket = sessions.wait_for_code(plane, user)
    for _ in range(sessions.HALFWAY_TRIES):
        assert sessions.resume(plane, ticket) == user
    for bad in (ticket, "", "0" * 64):
        with pytest.raises(Unauthenticated) as again:
            sessions.resume(plane, bad)
        assert again.value.code == "sign-in-again"
    late = sessions.wait_for_code(plane, user)
    turn(plane, sessions.HALFWAY_MS)
    with pytest.raises(Unauthenticated):
        sessions.resume(plane, late)
    for _ in range(sessions.HALFWAY + 5):
        sessions.wait_for_code(plane, user)
    assert len(plane.halfway) == sessions.HALFWAY
    # What was proven counts no more once the password is another.
    passwords.change_password(plane, actor, old=PASSWORD, new="another long sentence")
    with pytest.raises(Unauthenticated):
        sessions.complete(plane, user, code=code_of(plane, secret))


def test_an_administrator_resets_a_lost_second_factor_on_record(plane):
    admin, bert = first_administrator(plane), person(plane)
    _, codes = with_factor(plane, bert)
    standing = sign_in(plane, "bert", code=codes[0])
    with pytest.raises(Forbidden):
        secondfactor.reset(plane, Actor("user", "usr_x", "eve"), user="bert", reason="")
    with pytest.raises(Missing):
        secondfactor.reset(plane, admin, user="nobody", reason="")
    with pytest.raises(Missing):
        secondfactor.get_factor_of(plane, admin, user="nobody")
    with pytest.raises(Forbidden):
        secondfactor.get_factor_of(plane, Actor("user", "usr_x", "eve"), user="bert")
    held = secondfactor.get_factor_of(plane, admin, user="bert")
    assert held is not None
    assert held.confirmed_ms
    secondfactor.reset(plane, admin, user="bert", reason="the phone fell into the press")
    with pytest.raises(Unauthenticated):
        sessions.who(plane, standing.secret)
    assert sign_in(plane, "bert").secret
    assert ("user.second-factor-reset", bert.id, "the phone fell into the press") in record(plane)
    with pytest.raises(Conflict):
        secondfactor.reset(plane, admin, user="bert", reason="")


def test_a_second_factor_is_no_way_round_ones_own_or_to_more_than_one_may(plane):
    admin, bert = first_administrator(plane), person(plane)
    with_factor(plane, admin)
    with pytest.raises(Conflict) as own:  # a session that was left open must not do it
        secondfactor.reset(plane, admin, user="ada", reason="")
    assert own.value.code == "own-second-factor"
    helpdesk = rights_of(
        bert.id, [Binding("b", bert.id, "helpdesk", Part("fleet"))], {"helpdesk": Role("helpdesk", "", frozenset(("users.read", "users.write")))}
    )
    with pytest.raises(Forbidden) as more:
        secondfactor.reset(plane, replace(bert, rights=helpdesk), user="ada", reason="")
    assert more.value.code == "more-than-yours"
    assert secondfactor.get_factor(plane, admin) is not None
    seal(plane)
    with pytest.raises(Conflict) as sealed:
        secondfactor.reset(plane, admin, user="break-glass", reason="")
    assert sealed.value.code == "break-glass-sealed"


def test_the_registry_takes_a_token_from_whoever_has_a_second_factor(plane):
    actor = first_administrator(plane)
    assert registryaccess.sign_in(plane, "ada", PASSWORD, HOME).id
    with_factor(plane, actor)
    with pytest.raises(Unauthenticated, match="not enough"):
        registryaccess.sign_in(plane, "ada", PASSWORD, HOME)
    made = tokens.create_token(plane, actor, name="push")
    assert registryaccess.sign_in(plane, "ada", made.secret, HOME).id


# --- sessions -------------------------------------------------------------------------------------------------------------


def test_sessions_are_listed_and_ended(plane):
    admin, bert = first_administrator(plane), person(plane)
    one, two, three = (sign_in(plane, "bert", address=HOME, agent=f"curl/{n}") for n in range(3))
    assert {item.id for item in sessions.list_sessions(plane, bert)} == {made.session.id for made in (one, two, three)}
    sessions.sign_out(plane, bert, session=one.session.id)
    with pytest.raises(Missing):
        sessions.sign_out(plane, admin, session=two.session.id)  # not one's own
    assert sessions.sign_out_others(plane, bert, keep=two.session.id) == 1
    assert [item.id for item in sessions.list_sessions(plane, bert)] == [two.session.id]
    for gone in (one, three):
        with pytest.raises(Unauthenticated):
            sessions.who(plane, gone.secret)
    with pytest.raises(Forbidden):
        sessions.list_sessions_of(plane, Actor("user", "usr_x", "eve"), user="bert")
    with pytest.raises(Forbidden):
        sessions.end_sessions_of(plane, Actor("user", "usr_x", "eve"), user="bert")
    assert [item.id for item in sessions.list_sessions_of(plane, admin, user="bert")] == [two.session.id]
    with pytest.raises(Missing):
        sessions.end_sessions_of(plane, admin, user="bert", session=one.session.id)
    sign_in(plane, "bert")
    assert sessions.end_sessions_of(plane, admin, user=bert.id, session=two.session.id) == 1
    assert sessions.end_sessions_of(plane, admin, user="bert") == 1
    assert sessions.list_sessions(plane, bert) == ()


def test_a_new_sign_in_takes_the_place_of_the_session_brought_along(plane):
    first_administrator(plane)
    person(plane)
    old, others = sign_in(plane), sign_in(plane, "bert")
    user = sessions.prove(plane, name="ada", password=PASSWORD)
    made = sessions.complete(plane, user, instead=old.secret)
    assert made.secret != old.secret
    with pytest.raises(Unauthenticated):
        sessions.who(plane, old.secret)
    sessions.complete(plane, user, instead=others.secret)  # somebody else's is not ended
    assert sessions.who(plane, others.secret).user.id


def test_a_disabled_persons_sessions_end(plane):
    first_administrator(plane)
    person(plane)
    made = sign_in(plane, "bert")
    raw = plane.db.engine.raw_connection()
    raw.execute("UPDATE users SET disabled = 1 WHERE name = 'bert'")
    raw.commit()
    raw.close()
    plane.forget()
    with pytest.raises(Unauthenticated):
        sessions.who(plane, made.secret)


def test_time_outs_are_settings_and_count_at_once(plane):
    actor = first_administrator(plane)
    made = sign_in(plane)
    before = settings.get_settings(plane, actor)
    assert (before.session_idle_s, before.session_total_s) == (12 * 3600, 7 * 86_400)
    after = settings.change_settings(plane, actor, revision=before.revision, session_idle_s=600, session_total_s=3600)
    for idle_s, total_s in ((299, None), (None, 3599), (7200, None), (None, 91 * 86_400)):
        with pytest.raises(Invalid) as refused:
            settings.change_settings(plane, actor, revision=after.revision, session_idle_s=idle_s, session_total_s=total_s)
        assert refused.value.field in {"session_idle_s", "session_total_s"}
    for _ in range(6):
        assert sessions.who(plane, made.secret).user.id
        turn(plane, 599_000)
    assert sessions.who(plane, made.secret).user.id
    turn(plane, 6_000)
    with pytest.raises(Unauthenticated):
        sessions.who(plane, made.secret)  # an hour, however busy
    idle = sign_in(plane)
    turn(plane, 600_000)
    with pytest.raises(Unauthenticated):
        sessions.who(plane, idle.secret)
    assert sessions.list_sessions(plane, actor) == ()
    assert housekeeping.sweep(plane) >= 2
    plane.session_idle_s = plane.session_total_s = 0
    housekeeping.load_fleet(plane)  # as after a restart
    assert (plane.session_idle_s, plane.session_total_s) == (600, 3600)


def test_tokens_worth_nothing_are_forgotten_after_a_while(plane):
    actor = first_administrator(plane)
    lasting = tokens.create_token(plane, actor, name="lasting", expires_s=300 * 86_400).token.id
    lapsing = tokens.create_token(plane, actor, name="lapsing", expires_s=86_400).token.id
    revoked = tokens.create_token(plane, actor, name="revoked", expires_s=300 * 86_400).token.id
    tokens.revoke_token(plane, actor, token=revoked)

    def held():
        return {view.token.id for view in tokens.list_tokens(plane, actor)} & {lasting, lapsing, revoked}

    turn(plane, housekeeping.KEEP_TOKENS_MS)
    housekeeping.sweep(plane)
    assert held() == {lasting, lapsing, revoked}
    turn(plane, 1)
    housekeeping.sweep(plane)
    assert held() == {lasting, lapsing}
    turn(plane, 86_400_000)
    housekeeping.sweep(plane)
    assert held() == {lasting}


def test_known_addresses_are_few_and_forgotten(plane):
    first_administrator(plane)
    for n in range(sessions.ADDRESSES + 5):
        turn(plane, 1000)
        sign_in(plane, address=f"198.51.100.{n}")
    raw = plane.db.engine.raw_connection()
    held = {row[0] for row in raw.execute("SELECT address FROM known_addresses")}
    assert held == {f"198.51.100.{n}" for n in range(5, sessions.ADDRESSES + 5)}
    turn(plane, housekeeping.KEEP_ADDRESSES_MS + 1)
    housekeeping.sweep(plane)
    assert list(raw.execute("SELECT address FROM known_addresses")) == []
    raw.close()


# --- the break-glass account ----------------------------------------------------------------------------------------------


def seal(plane):
    return plane.db.update(lambda tx: breakglass.seal_anew(tx, plane.ids, plane.clock.now_ms()))


def test_breaking_the_glass_from_sealing_to_sealing_anew(plane):
    assert setup.setup_needed(plane)
    secret = seal(plane)
    assert setup.setup_needed(plane)  # it is nobody who could set the plane up
    admin = first_administrator(plane)
    with pytest.raises(Unauthenticated) as needed:
        sign_in(plane, "break-glass", secret)
    assert (needed.value.code, needed.value.field) == ("reason-needed", "reason")
    with pytest.raises(Invalid):
        sign_in(plane, "break-glass", secret, reason="fire")
    assert breakglass.alarm(plane) is None
    made = sign_in(plane, "break-glass", secret.upper().replace("-", " "), reason="the identity provider is down", address=HOME)
    glass = sessions.who(plane, made.secret).actor
    assert all(reach(glass.rights, verb).fleet for verb in VERBS)
    assert plane.db.view(lambda tx: access.bindings_of(tx, [ID])) == ()  # nothing that could be taken away
    alarm = breakglass.alarm(plane)
    assert alarm is not None
    assert (alarm.state, alarm.reason, alarm.address, alarm.uses) == ("used", "the identity provider is down", HOME, 1)
    assert ("break-glass.opened", ID, "the identity provider is down") in record(plane)
    with pytest.raises(Forbidden):
        breakglass.acknowledge(plane, glass)
    for refused in (
        lambda: passwords.change_password(plane, glass, old=secret, new="a long sentence of mine"),
        lambda: secondfactor.begin(plane, glass, password=secret),
        lambda: tokens.create_token(plane, glass, name="for later"),
    ):
        with pytest.raises(Conflict):
            refused()
    assert breakglass.acknowledge(plane, admin).state == "acknowledged"
    with pytest.raises(Conflict):
        breakglass.acknowledge(plane, admin)
    alarm = breakglass.alarm(plane)
    assert alarm is not None
    assert alarm.acknowledged_by == "ada"
    turn(plane, 1000)
    renewed = seal(plane)
    assert breakglass.alarm(plane) is None
    plane.forget()  # within seconds by itself
    with pytest.raises(Unauthenticated):
        sessions.who(plane, made.secret)
    with pytest.raises(Unauthenticated):
        sign_in(plane, "break-glass", secret, reason="once more, please")
    again = sign_in(plane, "break-glass", renewed, reason="once more, please")
    turn(plane, 3_599_000)
    assert sessions.who(plane, again.secret).user.id
    turn(plane, 1000)
    with pytest.raises(Unauthenticated):
        sessions.who(plane, again.secret)


def test_nobody_locks_the_sealed_account_out(plane):
    first_administrator(plane)
    secret = seal(plane)
    for n in range(300):
        with pytest.raises(Unauthenticated):
            sign_in(plane, "break-glass", "wrong", address=ELSEWHERE if n % 2 else f"203.0.113.{n % 250}")
    raw = plane.db.engine.raw_connection()
    raw.execute("UPDATE users SET disabled = 1")
    raw.commit()
    raw.close()
    made = sign_in(plane, "break-glass", secret, reason="nobody gets in any more", address=ELSEWHERE)
    assert sessions.who(plane, made.secret).user.id


def test_wrong_passphrases_cost_nobody_elses_turn_and_few_rounds(plane, monkeypatch):
    first_administrator(plane)
    plane.limits = replace(plane.limits, password_rounds=600_000)
    seal(plane)
    counted = count_rounds(monkeypatch)
    with pytest.raises(Unauthenticated):
        sign_in(plane, "break-glass", "wrong")
    assert sum(counted) == 1000


def test_its_name_is_nobody_elses(plane, tmp_path):
    token = setup.new_setup_token(plane)
    with pytest.raises(Invalid):
        setup.set_up(plane, token=token, name="break-glass", password=PASSWORD)
    person(plane, "break-glass")
    with pytest.raises(Conflict):
        seal(plane)
