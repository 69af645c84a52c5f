"""Consent: silence is no, a yes is for what it says and as long as it says, and no clock that lies keeps one alive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.rules.consent import BRINGS, Change, Given, consented, covers, joined, lapse, revoke
from penstock.rules.consent import given as kept
from penstock.rules.gates import KINDS, Open, Shut
from penstock.rules.instants import When
from penstock.wire.codec import WireError, decode, encode, from_plain, to_plain
from penstock.wire.consent import MAX_CONSENT_MS, Consent, ConsentRule

HOUR = 3_600_000
A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
NOW = When(1_800_000_000_000, 10 * HOUR, "boot")
UPDATE = Change("update", "line", A, "rol_1", 2)


def later(ms: int, clock: str = "trusted", boot: str = "boot", mono: int | None = None) -> When:
    return When(NOW.now_ms + ms, NOW.mono_ms + ms if mono is None else mono, boot, clock)


def yes(form: str = "content", hours: int = 4, **fields) -> Consent:
    base = {"content": A} if form == "content" else {"rollout": "rol_1", "wave": 2} if form == "wave" else {}
    made = Consent("con_1", "line", form, "per_anna", "Anna Ahrens", NOW.now_ms, NOW.now_ms + hours * HOUR, **{**base, **fields})
    return from_plain(Consent, to_plain(made))


def why(change: Change, rules: tuple[ConsentRule, ...], yeses: tuple[Given, ...] = (), when: When = NOW) -> str:
    answer = consented(change, rules, yeses, when)
    return answer.why if isinstance(answer, Shut) else ""


@pytest.mark.parametrize("need", ["release", "wave", "always", "a newer word"])
def test_silence_is_no(need):
    assert "waits" in why(UPDATE, (ConsentRule(need),)) or "update it" in why(UPDATE, (ConsentRule(need),))
    assert why(UPDATE, ()) == ""
    assert why(UPDATE, (ConsentRule(need, "other"),)) == ""


@pytest.mark.parametrize(
    ("need", "form", "change", "enough"),
    [
        ("release", "content", UPDATE, True),
        ("release", "content", Change("update", "line", B), False),
        ("release", "wave", UPDATE, True),
        ("release", "until", UPDATE, True),
        ("wave", "content", UPDATE, False),
        ("wave", "content", Change("update", "line", A), True),  # outside a rollout there is no wave
        ("wave", "wave", UPDATE, True),
        ("wave", "wave", Change("update", "line", A, "rol_1", 3), False),
        ("wave", "wave", Change("update", "line", A, "rol_2", 2), False),
        ("wave", "wave", Change("update", "line", A), False),
        ("wave", "until", UPDATE, True),
        ("always", "content", Change("restart", "line", A), True),
        ("always", "content", Change("restart", "line", B), False),
        ("always", "wave", Change("recreate", "line", A), False),
        ("always", "until", Change("recreate", "line", A), True),
        ("release", "until", Change("update", "other", A), None),
        ("later", "until", UPDATE, False),
    ],
)
def test_a_yes_is_for_what_it_says(need, form, change, enough):
    answer = consented(change, (ConsentRule(need, "line"),), (kept(yes(form), NOW),), NOW)
    assert isinstance(answer, Shut if enough is False else Open)
    if enough:
        assert "Anna Ahrens said yes" in answer.why


def test_a_yes_to_a_withdrawal_is_one_to_nothing_else():
    agreed = (kept(yes(content=""), NOW),)
    rules = (ConsentRule("always"),)
    assert why(Change("uninstall", "line", ""), rules, agreed) == ""
    assert why(Change("restart", "line", ""), rules, agreed)
    assert why(UPDATE, rules, agreed)


@pytest.mark.parametrize("kind", KINDS)
def test_which_changes_ask(kind):
    change = Change(kind, "line", A)
    for need in ("release", "wave"):
        assert bool(why(change, (ConsentRule(need),))) == (kind in BRINGS)
    assert bool(why(change, (ConsentRule("always"),))) == (kind != "revert-local")


def test_a_change_of_a_kind_nobody_knows_asks():
    assert why(Change("later", "line", A), (ConsentRule("release"),))


@given(st.integers(-HOUR, 10 * HOUR))
def test_a_yes_ends_at_its_time(ms):
    answer = lapse(kept(yes(hours=4), NOW), later(ms))
    assert bool(answer) == (not 0 <= ms < 4 * HOUR)


def test_a_yes_taken_back_counts_for_nothing():
    agreed = revoke((kept(yes(), NOW),), "con_1", "Bert Brandt", later(5))
    assert "Bert Brandt took it back" in why(UPDATE, (ConsentRule("release"),), agreed, later(6))
    assert revoke(agreed, "con_1", "Carla", later(9)) == agreed
    assert revoke(agreed, "con_2", "Carla", later(9)) == agreed


def test_a_clock_that_cannot_be_trusted_keeps_no_old_yes_alive_and_hinders_no_new_one():
    agreed = kept(yes(hours=4), NOW)
    assert not lapse(agreed, later(HOUR, "untrusted"))
    assert not lapse(agreed, When(5, NOW.mono_ms + HOUR, "boot", "untrusted"))  # the wall clock says nothing; four hours have not passed
    assert lapse(agreed, later(5 * HOUR, "untrusted"))
    assert "give it again" in lapse(agreed, later(HOUR, "untrusted", "another boot"))
    dark = When(NOW.now_ms - 99 * HOUR, 7, "boot", "untrusted")
    fresh = kept(yes(hours=4), dark)
    assert not lapse(fresh, When(dark.now_ms + HOUR, 7 + HOUR, "boot", "untrusted"))
    assert not lapse(fresh, When(NOW.now_ms + 30 * HOUR, 7 + HOUR, "boot"))  # the clock was set meanwhile: one hour is what has passed
    assert lapse(fresh, When(NOW.now_ms + HOUR, 7 + 5 * HOUR, "boot"))
    assert lapse(fresh, When(NOW.now_ms + HOUR, 8, "another boot"))


def test_a_clock_set_back_makes_no_yes_longer():
    agreed = kept(yes(hours=4), NOW)
    assert lapse(agreed, When(NOW.now_ms + HOUR, NOW.mono_ms + 5 * HOUR, "boot"))
    assert lapse(agreed, When(NOW.now_ms - HOUR, 9, "another boot"))


RULES = st.lists(
    st.builds(ConsentRule, st.sampled_from(("release", "wave", "always", "x")), st.sampled_from(("", "line")), st.sampled_from(("site", "centre"))), max_size=3
).map(tuple)
YESES = st.lists(
    st.builds(
        lambda form, hours, content: kept(yes(form, hours, **({"content": content} if form == "content" else {})), NOW),
        st.sampled_from(("content", "wave", "until")),
        st.integers(1, 9),
        st.sampled_from((A, B, "")),
    ),
    max_size=3,
).map(tuple)
CHANGES = st.builds(
    Change, st.sampled_from((*KINDS, "x")), st.sampled_from(("line", "other")), st.sampled_from((A, B, "")), st.sampled_from(("", "rol_1")), st.integers(0, 3)
)
TIMES = st.builds(later, st.integers(-HOUR, 12 * HOUR), st.sampled_from(("trusted", "untrusted")), st.sampled_from(("boot", "other")))


@given(RULES, RULES, YESES, CHANGES, TIMES)
def test_more_rules_never_open_and_more_yeses_never_shut(site, centre, yeses, change, when):
    alone, both = consented(change, joined(site, ()), yeses, when), consented(change, joined(site, centre), yeses, when)
    assert isinstance(alone, Open) or isinstance(both, Shut)
    fewer = consented(change, site, yeses[:1], when)
    assert isinstance(fewer, Shut) or isinstance(consented(change, site, yeses, when), Open)
    assert both.why


@given(YESES, CHANGES)
def test_order_does_not_matter(yeses, change):
    rules = (ConsentRule("release"), ConsentRule("always", "line"))
    assert consented(change, rules, yeses, NOW) == consented(change, rules, yeses[::-1], NOW) or isinstance(consented(change, rules, yeses, NOW), Shut)
    assert isinstance(consented(change, rules, yeses, NOW), Open) == isinstance(consented(change, rules[::-1], yeses[::-1], NOW), Open)


def test_a_yes_for_one_app_is_none_for_another():
    assert not covers(yes("until"), ConsentRule("always"), Change("update", "other", A))


def test_consents_travel():
    for form in ("content", "wave", "until"):
        assert decode(Consent, encode(yes(form))) == yes(form)
        assert decode(Given, encode(kept(yes(form), NOW))) == kept(yes(form), NOW)
    rule = ConsentRule("always", "line", "centre")
    assert decode(ConsentRule, encode(rule)) == rule


@pytest.mark.parametrize(
    ("form", "fields", "said"),
    [
        ("content", {"content": "x"}, "digest"),
        ("wave", {"content": A}, "only there"),
        ("wave", {"rollout": ""}, "form 'wave'"),
        ("until", {"rollout": "r"}, "form 'wave'"),
        ("until", {"wave": 1}, "form 'wave'"),
        ("until", {"by_name": " "}, "given by somebody"),
        ("until", {"by": ""}, "given by somebody"),
        ("until", {"app": ""}, "name"),
        ("until", {"hours": 0}, "after given_ms"),
        ("until", {"hours": MAX_CONSENT_MS // HOUR + 1}, "30 days"),
        ("until", {"revoked_ms": 5}, "revoked_ms"),
        ("until", {"remark": "a\nb"}, "one line"),
        ("later", {}, "one of"),
    ],
)
def test_what_is_no_yes_is_refused_by_its_place(form, fields, said):
    app = fields.pop("app", "line")
    with pytest.raises(WireError) as caught:
        from_plain(
            Consent,
            {
                **to_plain(Consent("c", app, form, fields.pop("by", "p"), fields.pop("by_name", "P"), 0, fields.pop("hours", 4) * HOUR)),
                **({"content": A} if form == "content" else {"rollout": "r", "wave": 1} if form == "wave" else {}),
                **fields,
            },
        )
    assert said in str(caught.value)
