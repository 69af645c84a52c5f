"""Holds: leases that end by being let go or by their time and by nothing else, clocks that lie, and holds by file."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.rules import holds as h
from penstock.rules.gates import KINDS, Shut
from penstock.rules.holdfiles import KEYS, MAX_FILE, HoldFile, follow, from_file, passed_over, read_hold_file
from penstock.rules.instants import When, read_instant, read_span, show_instant, show_span
from penstock.rules.overrule import Actor
from penstock.wire.codec import WireError, decode, encode, from_plain, to_plain
from penstock.wire.holds import MAX_HOLDS, MAX_LEASE_MS, Hold
from penstock.wire.record import replace

HOUR, DAY = 3_600_000, 86_400_000
NOW = When(1_800_000_000_000, 10 * HOUR, "boot")
ANNA = Actor("per_anna", "Anna Ahrens", local=True)
BRIDGE = Actor("plc-bridge", "PLC bridge", local=True, program=True)
CENTRE = Actor("usr_olga", "Olga Otto", keys=("director",))


def later(ms: int, clock: str = "trusted", boot: str = "boot", mono: int | None = None) -> When:
    return When(NOW.now_ms + ms, NOW.mono_ms + ms if mono is None else mono, boot, clock)


def hold(hours: float = 8, identity: str = "h1", **fields) -> Hold:
    base = {"scope": "device", "reason": "shift change", "owner_kind": "person", "owner": "per_anna", "origin": "site", "owner_name": "Anna Ahrens"}
    plain = {**base, **fields, "id": identity, "placed_ms": NOW.now_ms, "expires_ms": NOW.now_ms + int(hours * HOUR)}
    return from_plain(Hold, plain)


def taken(one: Hold, when: When = NOW, actor: Actor = ANNA) -> tuple[h.Kept, ...]:
    found = h.take((), one, actor, when)
    assert isinstance(found, tuple), found
    return found


def state(kept: h.Kept, when: When) -> str:
    return h.standing(kept, when).state


# --- what a hold holds --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_hold_holds_every_change_but_going_back_at_the_device(kind):
    answer = h.held(taken(hold()), kind, "line", later(HOUR))
    assert (answer is None) == (kind == "revert-local")
    if answer is not None:
        assert answer.reason == "hold"
        assert answer.until_ms == NOW.now_ms + 8 * HOUR
        assert "Anna Ahrens holds this device: shift change. It waits until 2027-01-15 16:00 UTC, that is 7 h from now" in answer.why
        assert "somebody at this device lets it go" in answer.why


def test_a_hold_of_one_app_leaves_the_others_alone():
    kept = taken(hold(scope="app", app="line"))
    assert h.held(kept, "update", "line", NOW) is not None
    assert h.held(kept, "update", "other", NOW) is None


def test_the_longest_is_named_and_the_others_counted():
    kept = (*taken(hold(2)), *taken(hold(9, "h2", owner_name="Bert Brandt", reason="filter change")), *taken(hold(4, "h3")))
    answer = h.held(kept, "update", "line", NOW)
    assert answer is not None
    assert answer.why.startswith("Bert Brandt holds")
    assert "2 more holds beside it" in answer.why
    assert h.held(kept[::-1], "update", "line", NOW) == answer
    assert answer.until_ms == NOW.now_ms + 9 * HOUR


@given(st.integers(0, 40 * HOUR), st.integers(1, 30 * 24))
def test_a_lease_ends_at_its_time_and_is_then_seen_and_holds_nothing(ms, hours):
    kept = taken(hold(hours))
    answer = h.held(kept, "update", "line", later(ms))
    assert (answer is None) == (ms >= hours * HOUR)
    stands = h.standing(kept[0], later(ms))
    if answer is None:
        assert stands.state == "expired"
        assert stands.since_ms == NOW.now_ms + hours * HOUR
        assert "nobody let it go; it holds nothing back any more" in stands.why


def test_a_program_that_does_not_renew_is_named_so():
    kept = taken(hold(1, owner_kind="program", owner="plc-bridge"), actor=BRIDGE)
    assert "its program has not renewed it" in h.standing(kept[0], later(2 * HOUR)).why


# --- clocks -------------------------------------------------------------------------------------------------------------


@given(st.integers(-(10**12), 10**12), st.integers(0, 8 * HOUR - 1))
def test_no_untrusted_clock_ends_a_hold(jump, spent):
    kept = taken(hold(8))[0]
    when = When(max(NOW.now_ms + jump, 0), NOW.mono_ms + spent, "boot", "untrusted")
    assert state(kept, when) == "holding"
    answer = h.held((kept,), "update", "line", when)
    assert answer is not None
    assert answer.until_ms == 0
    assert "cannot be trusted" in answer.why
    assert state(kept, replace(when, mono_ms=NOW.mono_ms + 8 * HOUR)) == "expired"  # measured in the same boot
    assert state(kept, replace(when, boot="another", mono_ms=10**9)) == "holding"


@given(st.lists(st.tuples(st.integers(0, 3 * HOUR), st.booleans()), max_size=8))
def test_measured_time_adds_up_over_boots_and_unmeasured_time_does_not(spans):
    dark = When(0, 0, "b0", "untrusted")
    kept = h.keep(hold(8), dark)
    measured, boot, mono = 0, 0, 0
    for span, reboot in spans:
        if reboot:
            boot, mono = boot + 1, 0
            kept = h.counted(kept, When(0, mono, f"b{boot}", "untrusted"))
        mono += span
        measured += span
        kept = h.counted(kept, When(0, mono, f"b{boot}", "untrusted"))
    assert kept.spent_ms == min(measured, 8 * HOUR)
    assert (state(kept, When(0, mono, f"b{boot}", "untrusted")) == "expired") == (measured >= 8 * HOUR)


def test_a_hold_taken_in_the_dark_is_tied_to_the_clock_once_there_is_one():
    kept = h.keep(replace(hold(8), placed_ms=5, expires_ms=5 + 8 * HOUR), When(5, 0, "boot", "untrusted"))
    kept = h.counted(kept, When(6, 3 * HOUR, "boot", "untrusted"))
    lit = When(NOW.now_ms, 3 * HOUR, "boot")
    assert state(kept, lit) == "holding"
    kept = h.counted(kept, lit)
    assert kept.until_ms == NOW.now_ms + 5 * HOUR
    assert state(kept, When(NOW.now_ms + 5 * HOUR, 9, "another")) == "expired"
    assert state(kept, When(NOW.now_ms + 5 * HOUR - 1, 9, "another")) == "holding"


@given(st.integers(0, 9 * HOUR), st.integers(0, 9 * HOUR))
def test_counting_more_often_changes_nothing(one, two):
    kept = taken(hold(8))[0]
    first, second = sorted((one, two))
    for clock in ("trusted", "untrusted"):
        once, twice = h.counted(kept, later(second, clock)), h.counted(h.counted(kept, later(first, clock)), later(second, clock))
        assert once == twice
        assert h.standing(once, later(second, clock)) == h.standing(kept, later(second, clock))


def test_a_clock_set_back_makes_no_lease_longer():
    assert state(taken(hold(8))[0], When(NOW.now_ms - DAY, NOW.mono_ms + 8 * HOUR, "boot")) == "expired"


# --- taking, renewing, letting go ---------------------------------------------------------------------------------------


def test_letting_go_ends_it_and_stays_to_be_seen():
    kept = h.release(taken(hold()), "h1", ANNA, later(HOUR))
    assert isinstance(kept, tuple)
    assert h.held(kept, "update", "line", later(HOUR)) is None
    assert "Anna Ahrens let it go" in h.standing(kept[0], later(HOUR)).why
    assert h.release(kept, "h1", CENTRE, later(HOUR)) == kept
    assert isinstance(h.release(kept, "h9", ANNA, NOW), h.Refused)
    assert isinstance(h.renew(kept, "h1", HOUR, ANNA, NOW), h.Refused)
    again = h.take(kept, hold(), ANNA, later(2 * HOUR))
    assert isinstance(again, tuple)
    assert [one.hold.released_ms for one in again] == [0]


def test_nobody_from_afar_lets_go_of_what_was_taken_on_site():
    kept = taken(hold())
    for actor in (CENTRE, Actor("per_anna", "Anna Ahrens", keys=("director",)), Actor("g", "Greta", keys=("director", "break-glass"))):
        answer = h.release(kept, "h1", actor, NOW, "the pump must run")
        assert isinstance(answer, h.Refused)
        assert "site" in answer.why


def test_a_program_lets_go_of_its_own():
    kept = (*taken(hold()), *taken(hold(1, "h2", owner_kind="program", owner="plc-bridge"), actor=BRIDGE))
    assert isinstance(h.release(kept, "h2", BRIDGE, NOW), tuple)
    assert isinstance(h.release(kept, "h1", BRIDGE, NOW), h.Refused)
    assert isinstance(h.release(kept, "h2", ANNA, NOW), tuple)


def test_a_renewal_begins_anew_and_is_bounded():
    kept = h.renew(taken(hold(2)), "h1", 5 * HOUR, ANNA, later(HOUR))
    assert isinstance(kept, tuple)
    assert kept[0].hold.revision == 2
    assert state(kept[0], later(6 * HOUR - 1)) == "holding"
    assert state(kept[0], later(6 * HOUR)) == "expired"
    for span in (0, -1, MAX_LEASE_MS + 1):
        assert isinstance(h.renew(kept, "h1", span, ANNA, NOW), h.Refused)
    assert isinstance(h.renew(kept, "h9", HOUR, ANNA, NOW), h.Refused)
    assert isinstance(h.renew(kept, "h1", HOUR, CENTRE, NOW), h.Refused)
    late = h.renew(kept, "h1", HOUR, ANNA, later(9 * HOUR))  # after it had run out
    assert isinstance(late, tuple)
    assert state(late[0], later(9 * HOUR)) == "holding"


def test_a_program_cannot_make_a_persons_hold_shorter_by_renewing_it():
    kept = taken(hold(8))
    assert isinstance(h.renew(kept, "h1", HOUR, BRIDGE, NOW), h.Refused)
    assert isinstance(h.renew(kept, "h1", 9 * HOUR, BRIDGE, NOW), tuple)
    assert isinstance(h.renew(kept, "h1", HOUR, ANNA, NOW), tuple)


def test_a_hold_that_is_too_long_is_cut_and_too_many_are_refused():
    long = replace(hold(), expires_ms=NOW.now_ms + 99 * DAY)
    assert taken(long)[0].until_ms == NOW.now_ms + MAX_LEASE_MS
    kept: tuple[h.Kept, ...] = ()
    for number in range(MAX_HOLDS):
        found = h.take(kept, hold(8, f"n{number}"), ANNA, NOW)
        assert isinstance(found, tuple)
        kept = found
    assert isinstance(h.take(kept, hold(8, "more"), ANNA, NOW), h.Refused)
    assert isinstance(h.take(kept, hold(8, "n1"), ANNA, NOW), h.Refused)
    assert isinstance(h.take(kept, hold(8, "more"), ANNA, later(9 * HOUR)), tuple)  # those before have run out
    assert isinstance(h.take((), hold(8, origin="site"), CENTRE, NOW), h.Refused)


def test_what_has_ended_is_forgotten_in_time_and_what_holds_never():
    kept = (*taken(hold(8)), *taken(hold(30 * 24, "h2")))
    assert len(h.forgotten(kept, later(DAY))) == 2
    assert [one.hold.id for one in h.forgotten(kept, later(20 * DAY))] == ["h2"]
    assert len(h.forgotten(kept, later(20 * DAY, "untrusted"))) == 2


def test_the_list_puts_what_holds_first():
    released = h.release(taken(hold(8, "gone")), "gone", ANNA, NOW)
    assert isinstance(released, tuple)
    kept = (*released, *taken(hold(1, "over")), *taken(hold(8, "short")), *taken(hold(9, "long")))
    assert [(one.hold.id, stands.state) for one, stands in h.listing(kept, later(2 * HOUR))] == [
        ("long", "holding"),
        ("short", "holding"),
        ("over", "expired"),
        ("gone", "released"),
    ]


# --- the centre ---------------------------------------------------------------------------------------------------------


def central(hours: float = 8, identity: str = "c1", **fields) -> Hold:
    return hold(hours, identity, **{"origin": "centre", "owner": "usr_olga", "owner_name": "Olga Otto", **fields})


def test_a_central_hold_comes_is_renewed_and_goes():
    mine = taken(hold())
    kept, told = h.take_central(mine, (central(),), NOW)
    assert not told
    answer = h.held(kept[1:], "update", "line", NOW)
    assert answer is not None
    assert "Olga Otto, at the control plane, holds this device" in answer.why
    kept, _ = h.take_central(kept, (replace(central(20), revision=2),), later(HOUR))
    assert state(kept[1], later(15 * HOUR)) == "holding"
    kept, _ = h.take_central(kept, (), later(2 * HOUR))
    assert [state(one, later(2 * HOUR)) for one in kept] == ["holding", "released"]
    assert kept[0] == mine[0]


def test_what_the_site_let_go_stays_so_until_it_is_placed_anew():
    kept, _ = h.take_central((), (central(),), NOW)
    gone = h.release(kept, "c1", ANNA, NOW)
    assert isinstance(gone, tuple)
    again, _ = h.take_central(gone, (central(),), NOW)
    assert state(again[0], NOW) == "released"
    anew, _ = h.take_central(gone, (replace(central(), revision=2),), NOW)
    assert state(anew[0], NOW) == "holding"


def test_the_centre_speaks_for_itself_only():
    mine = taken(hold())
    kept, told = h.take_central(mine, (hold(1), central(1, "h1"), hold(5, "h7")), NOW)
    assert kept == mine
    assert len(told) == 3
    assert all("passed over" in one for one in told)


def test_who_placed_it_lets_go_from_afar():
    kept, _ = h.take_central((), (central(),), NOW)
    assert isinstance(h.release(kept, "c1", CENTRE, NOW), tuple)
    assert isinstance(h.release(kept, "c1", Actor("usr_other", "O", keys=("director",)), NOW), h.Refused)
    assert isinstance(h.release(kept, "c1", Actor("usr_g", "Greta", keys=("director", "break-glass")), NOW, "storm"), tuple)


# --- files --------------------------------------------------------------------------------------------------------------


def file(text: str, name: str = "stop", mark: str = "1", fault: str = "") -> HoldFile:
    return HoldFile(name, text.encode(), mark, fault)


def test_the_files_of_the_page_are_holds():
    page = (Path(__file__).parents[2] / "docs" / "holds-and-consent.md").read_text()
    examples = re.findall(r"^```hold\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(examples) == 2
    assert [read_hold_file(text.encode()).fault for text in examples] == ["", ""]
    for key in KEYS:
        assert f"`{key}:`" in page
    kept = from_file(file(examples[0].replace("2h30m", "2h10m"), "cleaning"), replace(NOW, now_ms=read_instant("2026-05-03T01:50Z") or 0))
    answer = h.held((kept,), "update", "line", replace(NOW, now_ms=read_instant("2026-05-03T01:50Z") or 0))
    assert answer is not None
    assert f"> {answer.why.rstrip('.')}\n" in page


def test_a_file_says_who_why_and_how_long():
    said = read_hold_file(b"# by the night shift\nreason: line 3 is being cleaned\nfor: 2h30m\napp: line\nowner: Anna Ahrens\n")
    assert (said.reason, said.lease_ms, said.app, said.owner, said.fault) == ("line 3 is being cleaned", 150 * 60_000, "line", "Anna Ahrens", "")
    kept = from_file(file("until: 2027-01-15T12:00+02:00\r\nProgram: plc-bridge\n"), NOW)
    assert kept.until_ms == 1_800_000_000_000 + 2 * HOUR
    assert (kept.hold.owner_kind, kept.hold.owner, kept.hold.scope) == ("program", "plc-bridge", "device")
    assert decode(h.Kept, encode(kept)) == kept


def test_an_empty_file_is_a_hold_for_a_shift():
    answer = h.held((from_file(file(""), NOW),), "update", "line", NOW)
    assert isinstance(answer, Shut)
    assert "no reason was given" in answer.why
    assert "8 h from now" in answer.why
    assert "the file stop is removed from holds.d" in answer.why


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hello", "line 1: 'hello'"),
        ("\n\nfrom: 2h", "line 3"),
        ("for: soon", "no span"),
        ("for: 2", "no span"),
        ("for:", "says nothing"),
        ("for: 1h\nfor: 2h", "line 2: for stands twice"),
        ("for: 1h\nuntil: 2027-01-15T12:00Z", "stand together"),
        ("owner: a\nprogram: b", "stand together"),
        ("until: 2027-01-15T12:00", "with its offset"),
        ("until: 2027-02-30T12:00Z", "with its offset"),
        ("app: Line!", "app:"),
        ("reason: a\x00b", "nothing that can be read"),
        ("x" * (MAX_FILE + 1), "more than"),
    ],
)
def test_what_cannot_be_understood_holds_the_whole_device_for_a_shift_and_says_so(text, said):
    kept = from_file(file(text), NOW)
    answer = h.held((kept,), "update", "any", later(7 * HOUR))
    assert isinstance(answer, Shut)
    assert said in answer.why
    assert "Mend it, or remove it" in answer.why
    assert h.held((kept,), "update", "any", later(8 * HOUR)) is None


@given(st.binary(max_size=200), st.text(min_size=1, max_size=90), st.sampled_from(("trusted", "untrusted")))
def test_whatever_lies_there_is_a_hold_or_over(data, name, clock):
    when = replace(NOW, clock=clock)
    kept = from_file(HoldFile(name, data, "1"), when)
    from_plain(h.Kept, to_plain(kept))
    if not read_hold_file(data).until_ms:
        assert state(kept, when) == "holding"


def test_no_two_files_are_the_same_hold():
    names = ("a" * 100 + "1", "a" * 100 + "2", "b\x01", "b\x02", "b?", "\udcff", "\udcfe", "b")
    kept = follow((), tuple(file("", name) for name in names), NOW)
    assert len({one.hold.id for one in kept}) == len(names)
    assert all(one.hold.check() is None for one in kept)


def test_a_file_whose_time_has_passed_is_seen_and_holds_nothing():
    kept = follow((), (file("until: 2020-01-01T00:00Z"),), NOW)
    assert h.held(kept, "update", "line", NOW) is None
    stands = h.standing(kept[0], NOW)
    assert stands.state == "expired"
    assert "2020-01-01 00:00 UTC" in stands.why
    dark = follow((), (file("until: 2020-01-01T00:00Z"),), replace(NOW, clock="untrusted"))
    assert state(dark[0], replace(NOW, clock="untrusted")) == "holding"  # nobody can say that it has passed
    assert state(dark[0], NOW) == "expired"


def test_holds_follow_the_files():
    kept = follow((), (file("for: 2h"), file("", ".stop.tmp"), file("", "stop~")), NOW)
    assert [one.hold.id for one in kept] == ["file:stop"]
    assert follow(kept, (file("for: 2h"),), later(HOUR)) == kept  # looking again renews nothing
    assert h.held(follow(kept, (file("for: 2h"),), later(3 * HOUR)), "update", "line", later(3 * HOUR)) is None
    touched = follow(kept, (file("for: 2h", mark="2"),), later(HOUR))
    assert touched[0].hold.revision == 2
    assert state(touched[0], later(2 * HOUR)) == "holding"
    gone = follow(touched, (), later(2 * HOUR))
    assert state(gone[0], later(2 * HOUR)) == "released"
    assert "whoever removed the file" in h.standing(gone[0], NOW).why
    again = follow(gone, (file("for: 2h", mark="9"),), later(3 * HOUR))
    assert [state(one, later(3 * HOUR)) for one in again] == ["released", "holding"]
    assert len({one.hold.id for one in again}) == 2


def test_a_file_let_go_by_a_person_stays_let_go_until_it_is_touched():
    kept = h.release(follow((), (file(""),), NOW), "file:stop", ANNA, NOW)
    assert isinstance(kept, tuple)
    assert h.held(follow(kept, (file(""),), NOW), "update", "line", NOW) is None
    assert h.held(follow(kept, (file("", mark="2"),), NOW), "update", "line", NOW) is not None


def test_too_many_files_are_one_hold_of_everything():
    many = tuple(file("app: line", f"f{number:03}") for number in range(MAX_HOLDS + 5))
    kept = follow((), many, NOW)
    assert len(kept) == MAX_HOLDS
    answer = h.held(kept, "update", "other", NOW)
    assert answer is not None
    assert "69 files" in answer.why
    assert follow(kept, many, later(HOUR)) == kept


def test_a_file_that_cannot_be_read_holds():
    answer = h.held((from_file(file("", fault="it is a pipe, not a regular file"), NOW),), "update", "line", NOW)
    assert answer is not None
    assert "it is a pipe" in answer.why


def test_half_written_names_are_passed_over():
    assert [passed_over(name) for name in (".a", "a~", "a.tmp", "a.new", "a.swp", "a", "a.hold")] == [True] * 5 + [False] * 2


# --- the record, instants and spans -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"reason": " "}, "why nothing"),
        ({"reason": "a\nb"}, "one line"),
        ({"scope": "app"}, "names the app"),
        ({"app": "line"}, "names the app"),
        ({"scope": "app", "app": "L"}, "name"),
        ({"owner": ""}, "one line"),
        ({"scope": "site"}, "one of"),
        ({"origin": "vendor"}, "one of"),
        ({"released_ms": 5}, "released_ms"),
        ({"released_by": "x"}, "released_ms"),
        ({"revision": 0}, "begin at 1"),
    ],
)
def test_what_is_no_hold_is_refused(fields, said):
    with pytest.raises(WireError) as caught:
        hold(**fields)
    assert said in str(caught.value)
    for hours in (0, -1, 31 * 24):
        with pytest.raises(WireError):
            hold(hours)


@given(st.datetimes(dt.datetime(1970, 1, 2), dt.datetime(2400, 1, 1)), st.integers(-23 * 60, 23 * 60))  # noqa: DTZ001 - the zone is the next word
def test_instants_read_and_show_as_the_standard_library_has_them(moment, minutes):
    zoned = moment.replace(microsecond=0, tzinfo=dt.timezone(dt.timedelta(minutes=minutes)))
    want = int(zoned.timestamp()) * 1000
    assert read_instant(zoned.isoformat()) == want
    assert read_instant(zoned.isoformat(" ", "minutes")) == want - zoned.second * 1000
    assert show_instant(want) == zoned.astimezone(dt.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


@given(st.text(max_size=30))
def test_no_text_upsets_the_readers(text):
    assert read_instant(text) is None or len(text) >= 17
    assert read_span(text) is None or text[:1].strip().isdigit() or text.strip()[0].isdigit()


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("90m", 5_400_000),
        ("1d12h", 129_600_000),
        ("2h30m", 9_000_000),
        ("45s", 45_000),
        ("", None),
        ("2", None),
        ("h", None),
        ("30m2h", None),
        ("1h1h", None),
        ("0m", None),
        ("-1h", None),
        ("1.5h", None),
        ("1234567m", None),
    ],
)
def test_spans(text, ms):
    assert read_span(text) == ms


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "less than a minute"),
        (59_999, "less than a minute"),
        (60_000, "1 min"),
        (HOUR, "1 h"),
        (2 * HOUR + 600_000, "2 h 10 min"),
        (DAY, "1 day"),
        (3 * DAY + 4 * HOUR, "3 days 4 h"),
    ],
)
def test_spans_in_words(ms, text):
    assert show_span(ms) == text
