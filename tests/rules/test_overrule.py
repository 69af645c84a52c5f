"""Who may overrule what, cell by cell of the table, for every combination of proofs, and with a stolen director key."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.rules import consent as consents
from penstock.rules import holds, interlocks
from penstock.rules.gates import Open, Shut
from penstock.rules.instants import When
from penstock.rules.overrule import KEYS, ORDER, STANDINGS, TABLE, Actor, Allow, Deny, may_overrule, may_remove, may_tighten, passage, standings
from penstock.wire.consent import Consent, ConsentRule
from penstock.wire.holds import Hold
from penstock.wire.interlocks import Condition, Interlock, TcpCheck, interlock_digest

HOUR = 3_600_000
NOW = When(1_800_000_000_000, 10 * HOUR, "boot")
SITE = Actor("per_anna", "Anna Ahrens", local=True)
SITE_KEY = Actor("site", "Werk Nord", keys=("site-authority",))
CENTRE = Actor("director", "", keys=("director",))
OWNER = Actor("usr_olga", "Olga Otto", keys=("director",))
GLASS = Actor("usr_greta", "Greta Groß", keys=("director", "break-glass"))
PROGRAM = Actor("plc-bridge", "PLC bridge", local=True, program=True)
NOBODY = Actor("usr_x", "X")

# The table as it was asked for, cell by cell: gate -> (what the centre may, who overrules).
WANTED = {
    "interlock": ("add", set()),
    "hold-site": ("see", {"site"}),
    "consent": ("require more", {"site"}),
    "hold-centre": ("place", {"owner", "site", "break-glass"}),
    "calendar": ("narrow", {"site", "break-glass"}),
    "approval": ("set", {"break-glass"}),
    "budget": ("set", {"break-glass"}),
}
WHO = {"site": (SITE, SITE_KEY), "owner": (OWNER,), "break-glass": (GLASS,), "centre": (CENTRE,)}


def test_the_table_is_the_one_that_was_asked_for():
    assert {row.gate: (row.centre_may, set(row.overruled_by)) for row in TABLE} == WANTED
    assert set(WHO) == set(STANDINGS)


@pytest.mark.parametrize("gate", WANTED)
@pytest.mark.parametrize("who", WHO)
def test_every_cell(gate: str, who: str):
    for actor in WHO[who]:
        answer = may_overrule(gate, actor, "the pump must run", OWNER.id)
        allowed = who in WANTED[gate][1]
        assert isinstance(answer, Allow if allowed else Deny), (gate, actor, answer)
        assert answer.why
        if isinstance(answer, Allow):
            assert answer.by == who
            assert answer.loud == (gate == "calendar" and who == "break-glass")


@pytest.mark.parametrize("gate", WANTED)
def test_nobody_else_overrules_anything(gate: str):
    assert isinstance(may_overrule(gate, NOBODY, "please", OWNER.id), Deny)
    assert isinstance(may_overrule("another gate", SITE, "please"), Deny)


@pytest.mark.parametrize("gate", WANTED)
def test_a_break_glass_has_a_name_and_a_reason(gate: str):
    for reason in ("", "   "):
        assert isinstance(may_overrule(gate, GLASS, reason, ""), Deny)
    assert isinstance(may_overrule(gate, Actor("usr_g", " ", keys=("director", "break-glass")), "why"), Deny)


@pytest.mark.parametrize("gate", WANTED)
def test_the_centre_only_tightens(gate: str):
    word = WANTED[gate][0]
    assert isinstance(may_tighten(gate, word, CENTRE), Allow)
    loosening = next(row.loosening for row in TABLE if row.gate == gate)
    for act in (loosening, "remove", "lower", "release", "widen", "pass", ""):
        assert isinstance(may_tighten(gate, act, CENTRE), Deny)
        assert isinstance(may_tighten(gate, act, SITE), Deny)


def test_a_hold_taken_on_site_is_only_seen_by_the_centre():
    assert isinstance(may_tighten("hold-site", "place", CENTRE), Deny)
    assert isinstance(may_tighten("hold-site", "place", SITE), Allow)
    assert isinstance(may_tighten("budget", "set", SITE), Deny)


def test_programs_let_go_of_their_own_only():
    assert isinstance(may_overrule("hold-site", PROGRAM, "", "plc-bridge"), Allow)
    assert isinstance(may_overrule("hold-site", PROGRAM, "", "per_anna"), Deny)
    for gate in WANTED:
        if gate != "hold-site":
            assert isinstance(may_overrule(gate, PROGRAM, "why", "plc-bridge"), Deny)
    assert isinstance(may_remove("site", PROGRAM), Deny)


def test_what_is_written_down_goes_by_who_wrote_it():
    assert isinstance(may_remove("site", SITE), Allow)
    assert isinstance(may_remove("site", SITE_KEY), Allow)
    for actor in (CENTRE, OWNER, GLASS, NOBODY):
        assert isinstance(may_remove("site", actor), Deny)
    assert isinstance(may_remove("centre", CENTRE), Allow)
    assert isinstance(may_remove("centre", SITE), Deny)


def test_names_are_believed_only_with_their_proof():
    for count in range(len(KEYS) + 1):
        for keys in combinations(KEYS, count):
            actor = Actor("usr_olga", "site", keys=keys)
            found = standings(actor, "usr_olga")
            assert ("site" in found) == ("site-authority" in keys)
            assert ("owner" in found) == ("centre" in found) == ("director" in keys)
            assert ("break-glass" in found) == ("break-glass" in keys)


# --- a stolen director key ----------------------------------------------------------------------------------------------

NAMES = st.text(max_size=8) | st.sampled_from(("per_anna", "plc-bridge", "site", "site-authority", "break-glass", "Anna Ahrens", "usr_olga"))
THIEF = st.builds(Actor, NAMES, NAMES, st.just(("director",)), st.just(False), st.booleans())


@given(THIEF, st.text(max_size=20), NAMES)
def test_a_stolen_director_key_overrules_nothing_of_the_site(thief, reason, owner):
    for gate in ("interlock", "hold-site", "consent", "calendar", "approval", "budget"):
        assert isinstance(may_overrule(gate, thief, reason, owner), Deny)
    assert isinstance(may_remove("site", thief), Deny)
    assert isinstance(may_tighten("hold-site", "place", thief), Deny)


def lease(identity: str, owner: str, origin: str, hours: int, **fields) -> Hold:
    return Hold(identity, "device", "no", "person", owner, origin, NOW.now_ms, NOW.now_ms + hours * HOUR, **fields)


HOLD = st.builds(
    lambda identity, owner, origin, hours, revision, released: lease(
        identity, owner, origin, hours, revision=revision, released_ms=released, released_by="Anna Ahrens" if released else ""
    ),
    st.sampled_from(("h1", "h2", "h3", "file:stop")),
    st.sampled_from(("per_anna", "usr_olga")),
    st.sampled_from(("site", "centre")),
    st.integers(1, 100),
    st.integers(1, 9),
    st.sampled_from((0, 5)),
)


@given(st.lists(st.lists(HOLD, max_size=4), min_size=1, max_size=3), THIEF, st.text(max_size=9))
def test_a_stolen_director_key_never_ends_a_hold_taken_on_site(words, thief, reason):
    mine = holds.take((), lease("h1", "per_anna", "site", 8), SITE, NOW)
    assert isinstance(mine, tuple)
    (before,) = mine
    kept = mine
    for word in words:
        kept, _ = holds.take_central(kept, tuple(word), NOW)
        for identity in ("h1", "h2", "file:stop"):
            tried = holds.release(kept, identity, thief, NOW, reason)
            kept = tried if isinstance(tried, tuple) else kept
            tried = holds.renew(kept, identity, 1, thief, NOW)
            kept = tried if isinstance(tried, tuple) else kept
    assert before in kept
    late = When(NOW.now_ms + 8 * HOUR - 1, NOW.mono_ms + 8 * HOUR - 1, "boot")
    assert isinstance(holds.held(kept, "update", "line", late), Shut)


RULE = st.builds(
    ConsentRule,
    st.sampled_from(("release", "wave", "always", "never", "none", "")),
    st.sampled_from(("", "line", "other")),
    st.sampled_from(("site", "centre")),
)
CHANGE = consents.Change("update", "line", "sha256:" + "a" * 64, "rol_1", 2)
YES = st.sampled_from(("content", "wave", "until")).map(
    lambda form: Consent(
        "c",
        "line",
        form,
        "per_anna",
        "Anna Ahrens",
        NOW.now_ms,
        NOW.now_ms + HOUR,
        CHANGE.content if form == "content" else "",
        "rol_1" if form == "wave" else "",
        2 if form == "wave" else 0,
    )
)


@given(st.lists(RULE, max_size=3).map(tuple), st.lists(RULE, max_size=3).map(tuple), st.lists(YES, max_size=2))
def test_the_centre_never_lowers_a_consent_requirement(site, centre, yeses):
    given_ = tuple(consents.given(one, NOW) for one in yeses)
    both = consents.consented(CHANGE, consents.joined(site, centre), given_, NOW)
    alone = consents.consented(CHANGE, consents.joined(site, ()), given_, NOW)
    if isinstance(alone, Shut):
        assert isinstance(both, Shut)


LOCK = Interlock("press-stands", (Condition("c", "tcp", tcp=TcpCheck("plc", 102)),))


@given(st.lists(st.sampled_from((LOCK, Interlock("press-stands", (Condition("c", "tcp", tcp=TcpCheck("elsewhere", 1)),), origin="site"))), max_size=3))
def test_the_centre_never_takes_a_sites_interlock_away_or_puts_another_in_its_place(central):
    both = interlocks.joined((LOCK,), tuple(central))
    rounds = {}
    for one in both[1:]:
        if one.conditions != LOCK.conditions:
            digest = interlock_digest(one)
            rounds[digest] = interlocks.Round(digest, 0, "boot", (interlocks.Seen("seen"),))
    assert isinstance(interlocks.interlocked(both, rounds, 0, "boot")[0], Shut)


# --- the order of the gates ---------------------------------------------------------------------------------------------

GATE = st.none() | st.just(Open("yes")) | st.integers(0, 5).map(lambda at: Shut("x", "no", at))


@given(st.fixed_dictionaries(dict.fromkeys(ORDER, GATE)))
def test_a_change_passes_only_when_every_gate_was_asked_and_is_open(answers):
    asked = {name: answer for name, answer in answers.items() if answer is not None}
    result = passage(asked)
    assert isinstance(result, Open) == all(isinstance(answer, Open) for answer in answers.values())
    if isinstance(result, Shut):
        first = next(name for name in ORDER if not isinstance(answers[name], Open))
        assert result.why.startswith("no" if answers[first] is not None else f"the gate '{first}' has not been asked")


def test_the_machine_is_asked_last():
    assert ORDER[-1] == "interlock"
    answers: dict[str, Open | Shut] = dict.fromkeys(ORDER, Open("yes"))
    assert isinstance(passage(answers), Open)
    shut = {**answers, "hold": Shut("hold", "held", 7), "interlock": Shut("interlock", "moves")}
    assert passage(shut) == Shut("hold", "held (1 more gate is shut behind it)", 0)
    assert passage({**answers, "hold": Shut("hold", "held", 7), "calendar": Shut("calendar", "closed", 9)}).until_ms == 9  # type: ignore[union-attr]
    assert isinstance(passage({**answers, "new": Open("yes")}), Shut)


def test_the_page_shows_this_table():
    page = (Path(__file__).parents[2] / "docs" / "holds-and-consent.md").read_text()
    for row in TABLE:
        line = next(line for line in page.splitlines() if line.startswith(f"| {row.words} |"))
        assert row.centre_may in line.split("|")[2]
        for word, standing in (("site", "site"), ("owner", "owner"), ("break-glass", "break-glass")):
            assert (word in line.split("|")[3]) == (standing in row.overruled_by), line
