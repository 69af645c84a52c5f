"""Interlocks judged: every comparison, JSON pointers by the table of RFC 6901, and that whatever is not plainly right is not satisfied."""

from __future__ import annotations

import json
import math
import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.rules.gates import KINDS as CHANGES
from penstock.rules.gates import Open, Shut
from penstock.rules.interlocks import CODES, FRESH_MS, Round, Seen, compared, guarding, interlocked, joined, judge, judge_condition
from penstock.rules.pointer import PointerFault, find, value_at
from penstock.rules.registers import single, values_of
from penstock.wire.codec import decode, encode
from penstock.wire.comparing import OPERATORS, Compare, exact, order_of
from penstock.wire.interlocks import KINDS, CommandCheck, Condition, FileCheck, HttpCheck, Interlock, ModbusCheck, TcpCheck, interlock_digest

# --- JSON pointers ------------------------------------------------------------------------------------------------------

# RFC 6901, section 5
DOCUMENT = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, 'k"l': 6, " ": 7, "m~n": 8}
TABLE = [
    ("", DOCUMENT),
    ("/foo", ["bar", "baz"]),
    ("/foo/0", "bar"),
    ("/", 0),
    ("/a~1b", 1),
    ("/c%d", 2),
    ("/e^f", 3),
    ("/g|h", 4),
    ("/i\\j", 5),
    ('/k"l', 6),
    ("/ ", 7),
    ("/m~0n", 8),
]


@pytest.mark.parametrize(("pointer", "value"), TABLE, ids=[pointer for pointer, _ in TABLE])
def test_the_table_of_rfc_6901(pointer, value):
    assert value_at(DOCUMENT, pointer) == value
    found = find(json.dumps(DOCUMENT).encode(), pointer)
    if isinstance(value, (int, str)):
        assert found.text == str(value)


@pytest.mark.parametrize(
    "pointer",
    [
        "foo",
        "/bar",
        "/foo/2",
        "/foo/-",
        "/foo/00",
        "/foo/01",
        "/foo/+1",
        "/foo/1 ",
        "/foo/",
        "/foo/0/x",
        "/m~n",
        "/~2",
        "/~",
        "/foo/99999999999",
        "/foo/\u0661",
    ],
)
def test_what_a_pointer_does_not_find(pointer):
    with pytest.raises(PointerFault) as caught:
        value_at(DOCUMENT, pointer)
    assert caught.value.code == "missing"
    assert caught.value.why


def test_escapes_are_undone_in_the_right_order():
    assert value_at({"~1": 5}, "/~01") == 5


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1, "a": 2}',
        b'{"a": 1} x',
        b"\xff",
        b"[" * 100_000,
        b'{"a": ' + b"9" * 41 + b"}",
        b"{'a': 1}",
        b'{"a": 01}',
    ],
)
def test_what_is_no_json_is_malformed(body):
    with pytest.raises(PointerFault) as caught:
        find(body, "/a")
    assert caught.value.code == "malformed"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_every_place_of_every_document_is_found(document):
    def walk(at, pointer):
        assert value_at(document, pointer) == at
        if isinstance(at, dict):
            for key, inner in at.items():
                walk(inner, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
        elif isinstance(at, list):
            for number, inner in enumerate(at):
                walk(inner, f"{pointer}/{number}")

    walk(document, "")


# --- numbers ------------------------------------------------------------------------------------------------------------


@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-1000, max_value=1000),
)
def test_numbers_are_compared_exactly(one, two):
    left, right = exact(f"{one:f}"), exact(f"{two:f}")
    assert left is not None
    assert right is not None
    assert order_of(left, right) == (one > two) - (one < two)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_a_machine_prints_reads_back(value):
    number = exact(repr(value))
    assert number is not None
    assert Fraction(number[0]) * Fraction(10) ** number[1] == Fraction(repr(value))


@pytest.mark.parametrize(
    "text", ["", "-", "1.", ".5", "01", "+1", "1e", "1e401", "0x1", "1_0", "nan", "inf", "NaN", " 1", "1 ", "1" * 41, "\u0661", "1,5", "--1"]
)
def test_what_is_no_number(text):
    assert exact(text) is None


NUMBERS = [("==", 3, 3), ("!=", 3, 4), ("<", 2, 3), ("<=", 3, 3), (">", 4, 3), (">=", 3, 3)]


@given(st.sampled_from([op for op, _, _ in NUMBERS]), st.integers(-50, 50), st.integers(-50, 50))
def test_every_operator_is_its_own(op, value, wanted):
    fits = {"==": value == wanted, "!=": value != wanted, "<": value < wanted, "<=": value <= wanted, ">": value > wanted, ">=": value >= wanted}[op]
    why = compared(Compare(op, str(wanted)), "number", str(value))
    assert (not why) is fits


@given(st.integers(-20, 20), st.integers(-20, 20), st.integers(0, 20))
def test_a_range_includes_its_ends(value, low, width):
    assert (not compared(Compare("in", str(low), str(low + width)), "number", str(value))) is (low <= value <= low + width)


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 31))
def test_bits_count_from_the_least_significant(value, bit):
    there = bool(value & (1 << bit))
    assert (not compared(Compare("bit-set", str(bit)), "number", str(value))) is there
    assert (not compared(Compare("bit-clear", str(bit)), "number", str(value))) is not there


@pytest.mark.parametrize("text", ["-1", "1.5", "1e30"])
def test_bits_of_what_has_none(text):
    for op in ("bit-set", "bit-clear"):
        assert compared(Compare(op, "0"), "number", text)


@pytest.mark.parametrize(
    ("op", "kind", "wanted", "said", "fits"),
    [
        ("==", "text", "AUTO", "AUTO", True),
        ("==", "text", "AUTO", "auto", False),
        ("!=", "text", "AUTO", "HAND", True),
        ("!=", "text", "AUTO", "AUTO", False),
        ("==", "truth", "true", "true", True),
        ("!=", "truth", "true", "true", False),
        ("==", "truth", "false", "true", False),
    ],
)
def test_texts_and_truths(op, kind, wanted, said, fits):
    assert (not compared(Compare(op, wanted, type=kind), kind, said)) is fits


@given(st.sampled_from(OPERATORS), st.sampled_from(("number", "text", "truth")), st.sampled_from(("number", "text", "truth", "null", "list", "object", "")))
def test_a_value_of_another_kind_never_fits(op, wanted, kind):
    if wanted != kind:
        assert "is needed" in compared(Compare(op, "1", "1", wanted), kind, "1")


@given(st.text(max_size=8), st.text(max_size=8), st.sampled_from(("nan", "inf", "-inf", "", "1e999")))
def test_words_nobody_knows_and_values_that_are_none_never_fit(op, kind, text):
    for compare in (Compare(op, "1"), Compare("==", "1", type=kind)):
        if op not in OPERATORS and kind not in ("number", "text", "truth"):
            assert "does not know" in compared(compare, "number", "1")
    for known in OPERATORS:
        assert compared(Compare(known, "1", "2"), "number", text)


# --- registers ----------------------------------------------------------------------------------------------------------


@given(st.integers(-(2**31), 2**32 - 1), st.floats(width=32))
def test_registers_of_every_format(whole, fraction):
    if whole < 2**31:
        high, low = struct.unpack(">HH", struct.pack(">i", whole))
        assert values_of((high, low), "s32", "high-first") == values_of((low, high), "s32", "low-first") == (whole,)
    if whole >= 0:
        high, low = struct.unpack(">HH", struct.pack(">I", whole))
        assert values_of((high, low), "u32", "high-first") == values_of((low, high), "u32", "low-first") == (whole,)
    high, low = struct.unpack(">HH", struct.pack(">f", fraction))
    (read,) = values_of((high, low), "f32", "high-first")
    assert read == fraction or (math.isnan(read) and math.isnan(fraction))
    assert values_of((0xFFFF, 0x8000, 5), "s16", "high-first") == (-1, -32768, 5)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**60), max_value=2.0**60))
def test_what_a_machine_means_by_a_fraction_is_equal_to_it(value):
    text = f"{value:.9g}"
    assert single(float(text)) == value
    condition = Condition("c", "modbus", modbus=ModbusCheck("plc", "holding-register", 0, Compare("==", text), "f32"))
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    assert judge_condition(condition, Seen("seen", raw=(high, low))).holds
    apart = Condition("c", "modbus", modbus=ModbusCheck("plc", "holding-register", 0, Compare("!=", text), "f32"))
    assert not judge_condition(apart, Seen("seen", raw=(high, low))).holds


@pytest.mark.parametrize("raw", [(0x7FC0, 0), (0x7F80, 0), (0xFF80, 0), (0x7F80, 1), (0xFFFF, 0xFFFF)])
@pytest.mark.parametrize("op", ["==", "!=", "<", "<=", ">", ">=", "in"])
def test_no_number_satisfies_nothing(raw, op):
    condition = Condition("c", "modbus", modbus=ModbusCheck("plc", "holding-register", 0, Compare(op, "1", "2" if op == "in" else ""), "f32"))
    finding = judge_condition(condition, Seen("seen", raw=raw))
    assert not finding.holds
    assert "not a number" in finding.why


# --- conditions ---------------------------------------------------------------------------------------------------------

HTTP = Condition("c", "http", http=HttpCheck("http://hmi/state", pointer="/mode", compare=Compare("==", "AUTO", type="text")))
BARE = Condition("c", "http", http=HttpCheck("http://hmi/state", 200, 204))
TCP = Condition("c", "tcp", tcp=TcpCheck("plc", 102))
THERE = Condition("c", "file", file=FileCheck("/run/line/stopped"))
GONE = Condition("c", "file", file=FileCheck("/run/line/running", "absent"))
TEXT = Condition("c", "file", file=FileCheck("/run/line/speed", "content", Compare("<=", "0.5")))
COMMAND = Condition("c", "command", command=CommandCheck(("/bin/line-stands",), "nobody", 3))
COIL = Condition("c", "modbus", modbus=ModbusCheck("plc", "coil", 7, Compare("bit-clear")))
ALL = (HTTP, BARE, TCP, THERE, GONE, TEXT, COMMAND, COIL)
FITS = (
    (HTTP, Seen("seen", status=200, type="text", text="AUTO")),
    (BARE, Seen("seen", status=204)),
    (TCP, Seen("seen")),
    (THERE, Seen("seen", type="file")),
    (GONE, Seen("seen", type="absent")),
    (TEXT, Seen("seen", type="text", text="0.25")),
    (COMMAND, Seen("seen", exit=3)),
    (COIL, Seen("seen", raw=(0,))),
)


def test_what_fits_holds_and_shows_what_was_seen():
    assert [judge_condition(one, seen).observed for one, seen in FITS] == [
        "AUTO (status 200)",
        "status 204",
        "connected",
        "there",
        "not there",
        "0.25",
        "exit code 3",
        "0",
    ]
    assert all(judge_condition(one, seen).holds for one, seen in FITS)


@pytest.mark.parametrize(
    ("condition", "seen", "said"),
    [
        (HTTP, Seen("seen", status=302, type="text", text="AUTO"), "status 302; 200 to 299 was wanted"),
        (HTTP, Seen("seen", status=200, type="text", text="HAND"), "it is 'HAND', and must be 'AUTO'"),
        (HTTP, Seen("seen", status=200, type="number", text="1"), "it is a number, where a text is needed"),
        (HTTP, Seen("seen", status=200, type="null"), "it is null"),
        (HTTP, Seen("missing", "there is nothing at /mode", status=200), "the value is not there: there is nothing at /mode"),
        (HTTP, Seen("missing", status=503), "status 503"),
        (HTTP, Seen("seen"), "could not be asked"),
        (THERE, Seen("seen", type="absent"), "is not there, and must be"),
        (GONE, Seen("seen", type="file"), "is there, and must not be"),
        (GONE, Seen("seen"), "nobody can say"),
        (TEXT, Seen("seen", type="absent"), "no content to compare"),
        (TEXT, Seen("seen", type="text", text="fast"), "'fast', which is not a number"),
        (TEXT, Seen("seen", type="text", text="0.75"), "it is 0.75, and must be at most 0.5"),
        (COMMAND, Seen("seen", exit=0), "ended with exit code 0; exit code 3 was wanted"),
        (COIL, Seen("seen", raw=(1,)), "coil 7: it is set, and must be clear"),
        (COIL, Seen("seen", raw=()), "0 bits or registers came, 1 were asked for"),
        (COIL, Seen("seen", raw=(0, 0)), "2 bits or registers"),
        (COIL, Seen("seen", raw=(2,)), "outside"),
        (Condition("c", "opc-ua"), Seen("seen"), "does not know conditions of kind 'opc-ua'"),
        (Condition("c", "tcp", tcp=TcpCheck("plc", 1), wire=99), Seen("seen"), "update it"),
        (Condition("c", "tcp"), Seen("seen"), "correct the interlock"),
        (Condition("c", "modbus", modbus=ModbusCheck("plc", "holding-register", 0, Compare("==", "1"), "f64")), Seen("seen", raw=(1, 2, 3, 4)), "format 'f64'"),
    ],
)
def test_each_way_not_to_hold_has_its_sentence(condition, seen, said):
    finding = judge_condition(condition, seen)
    assert not finding.holds
    assert said in finding.why


@given(st.sampled_from(ALL), st.sampled_from([code for code in CODES if code != "seen"]) | st.text(max_size=12), st.integers(0, 599), st.text(max_size=20))
def test_nothing_seen_is_never_satisfied(condition, code, status, text):
    if code == "seen":
        return
    seen = Seen(code, text, status, 3, (0,), "text", "AUTO")
    finding = judge_condition(condition, seen)
    assert not finding.holds
    assert finding.why


SEEN = st.builds(
    Seen,
    st.sampled_from(sorted(CODES)),
    st.text(max_size=20),
    st.integers(0, 599),
    st.integers(-1, 255),
    st.lists(st.integers(0, 0xFFFF), max_size=4).map(tuple),
    st.sampled_from(("", "file", "absent", "number", "text", "truth", "null", "list", "object")),
    st.text(max_size=20),
)


@given(st.sampled_from(ALL), SEEN)
def test_judging_never_raises_and_always_explains(condition, seen):
    finding = judge_condition(condition, seen)
    assert finding.holds is not bool(finding.why)
    assert finding.observed.isprintable()
    assert len(finding.observed) <= 120


# --- interlocks ---------------------------------------------------------------------------------------------------------

LOCK = Interlock("press-stands", (TCP, Condition("d", "file", file=FileCheck("/run/x"))), "press 3 stands still")


def made(lock: Interlock, *seen: Seen, at: int = 1000, took: int = 50) -> Round:
    return Round(interlock_digest(lock), at, "boot", seen, took)


def test_all_conditions_must_hold():
    good, bad = (Seen("seen"), Seen("seen", type="file")), (Seen("seen"), Seen("seen", type="absent"))
    assert judge(LOCK, made(LOCK, *good), 1050, "boot").holds
    verdict = judge(LOCK, made(LOCK, *bad), 1050, "boot")
    assert not verdict.holds
    assert verdict.why.startswith("d: /run/x is not there")
    assert [one.holds for one in verdict.findings] == [True, False]
    assert "(and 1 more condition does not hold)" in judge(LOCK, made(LOCK, Seen("timeout"), bad[1]), 1050, "boot").why


@pytest.mark.parametrize(
    ("found", "now", "boot", "said"),
    [
        (None, 1000, "boot", "not been asked yet"),
        (made(LOCK, Seen("seen")), 1000, "boot", "older text"),
        (Round("sha256:0", 1000, "boot", (Seen("seen"), Seen("seen", type="file"))), 1000, "boot", "older text"),
        (made(LOCK, Seen("seen"), Seen("seen", type="file")), 1000 + 50 + FRESH_MS + 1, "boot", "too long ago"),
        (made(LOCK, Seen("seen"), Seen("seen", type="file")), 999, "boot", "too long ago"),
        (made(LOCK, Seen("seen"), Seen("seen", type="file")), 1000, "another", "too long ago"),
        (made(LOCK, Seen("seen"), Seen("seen", type="file"), took=10**9), 10**8, "boot", "too long ago"),
    ],
)
def test_what_was_not_asked_just_now_and_for_this_opens_nothing(found, now, boot, said):
    verdict = judge(LOCK, found, now, boot)
    assert not verdict.holds
    assert said in verdict.why


def test_an_interlock_without_conditions_does_not_hold():
    assert not judge(Interlock("x", ()), Round(interlock_digest(Interlock("x", ())), 0, "boot", ()), 0, "boot").holds


def test_the_gate_says_which_and_that_nobody_overrules_it():
    answer, verdicts = interlocked((LOCK,), {}, 0, "boot")
    assert isinstance(answer, Shut)
    assert answer.reason == "interlock"
    assert "press-stands (press 3 stands still) does not hold" in answer.why
    assert "nobody can overrule" in answer.why
    assert len(verdicts) == 1
    assert isinstance(interlocked((), {}, 0, "boot")[0], Open)
    rounds = {interlock_digest(LOCK): made(LOCK, Seen("seen"), Seen("seen", type="file"))}
    assert isinstance(interlocked((LOCK,), rounds, 1000, "boot")[0], Open)


@pytest.mark.parametrize("kind", CHANGES)
def test_every_change_but_a_local_revert_is_guarded(kind):
    locks = (
        Interlock("a", (TCP,)),
        Interlock("b", (TCP,), app="line"),
        Interlock("c", (TCP,), app="other"),
        Interlock("d", (TCP,), between=True, guards_return=True),
    )
    names = [one.name for one in guarding(locks, kind, "line")]
    assert names == ([] if kind == "revert-local" else ["a", "b", "d"])
    if kind != "revert-local":
        assert [one.name for one in guarding(locks, kind, "line", moment="between")] == ["d"]
        assert [one.name for one in guarding(locks, kind, "line", moment="return")] == ["d"]


LOCKS = st.lists(st.sampled_from((Interlock("a", (TCP,)), Interlock("a", (THERE,)), Interlock("b", (COIL,), origin="centre"))), max_size=3).map(tuple)


@given(LOCKS, LOCKS, st.sets(st.integers(0, 2)))
def test_the_centre_can_only_add(site, centre, holding):
    alone, both = joined(site, ()), joined(site, centre)
    assert both[: len(alone)] == alone
    assert {one.origin for one in alone} <= {"site"}
    assert all(one.origin == "centre" for one in both[len(alone) :])
    rounds = {
        interlock_digest(one): made(one, next(seen for fitting, seen in FITS if fitting == one.conditions[0]) if number in holding else Seen("timeout"))
        for number, one in enumerate(both)
    }
    if isinstance(interlocked(both, rounds, 1000, "boot")[0], Open):
        assert isinstance(interlocked(alone, rounds, 1000, "boot")[0], Open)


def test_rounds_and_verdicts_travel():
    found = made(LOCK, Seen("seen"), Seen("refused", "exception 2", raw=(1, 2)))
    assert decode(Round, encode(found)) == found
    verdict = judge(LOCK, found, 1000, "boot")
    assert decode(type(verdict), encode(verdict)) == verdict


def test_a_newer_planes_words_reach_an_older_agent_and_shut():
    plain = b'{"name":"x","conditions":[{"name":"c","kind":"opc-ua","opcua":{"node":"ns=2;s=Run"}},{"name":"d","kind":"file","file":{"path":"/a","state":"content","compare":{"op":"matches","value":"."}}}]}'
    lock = decode(Interlock, plain)
    seen = tuple(Seen("seen", type="text", text="x") for _ in lock.conditions)
    assert [one.holds for one in judge(lock, made(lock, *seen), 1000, "boot").findings] == [False, False]
    assert set(KINDS) == {"http", "tcp", "file", "command", "modbus"}
