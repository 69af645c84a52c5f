"""Interlocks on the wire: what is badly written is refused by the name of its field, and what is good comes through unchanged."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from penstock.rules.interlocks import Round, Seen, interlocked
from penstock.wire.codec import WireError, decode, encode
from penstock.wire.comparing import OPERATORS, TYPES, Compare
from penstock.wire.interlocks import (
    FORMATS,
    KINDS,
    TABLES,
    WORDS,
    CommandCheck,
    Condition,
    FileCheck,
    HttpCheck,
    Interlock,
    ModbusCheck,
    TcpCheck,
    interlock_digest,
    writing_fault,
)
from penstock.wire.record import replace

WHOLE = Interlock(
    "press-stands",
    (
        Condition("the panel says stop", "http", http=HttpCheck("https://hmi.line/state?x=1", pointer="/mode/0", compare=Compare("==", "STOP", type="text"))),
        Condition("the controller is there", "tcp", 500, tcp=TcpCheck("fe80::1", 102)),
        Condition("no batch", "file", file=FileCheck("/run/line/batch", "absent")),
        Condition("cool", "file", file=FileCheck("/run/line/temperature", "content", Compare("in", "10", "35.5"))),
        Condition("by the script", "command", command=CommandCheck(("/usr/local/bin/stands", "line 3"), "nobody", 0, {"LINE": "3"})),
        Condition("speed is nought", "modbus", modbus=ModbusCheck("10.0.0.7", "input-register", 100, Compare("==", "0"), "f32", 2, 17, 1502, "low-first")),
    ),
    "press 3 stands still",
    "line",
    between=True,
)


def test_every_kind_comes_through():
    assert decode(Interlock, encode(WHOLE)) == WHOLE
    assert writing_fault(replace(WHOLE, origin="site")) is None
    assert interlock_digest(WHOLE) == interlock_digest(decode(Interlock, encode(WHOLE)))


def refused(path: str, said: str, plain: dict[str, Any]) -> None:
    with pytest.raises(WireError) as caught:
        decode(Interlock, json.dumps({"name": "x", "conditions": [{"name": "c", **plain}]}).encode())
    assert caught.value.path == f"conditions[0].{path}" if path else "conditions[0]", caught.value
    assert said in caught.value.why, caught.value


def http(**fields) -> dict[str, Any]:
    return {"kind": "http", "http": {"url": "http://a/", **fields}}


def file(**fields) -> dict[str, Any]:
    return {"kind": "file", "file": {"path": "/a", **fields}}


def command(**fields) -> dict[str, Any]:
    return {"kind": "command", "command": {"argv": ["/bin/a"], "user": "nobody", **fields}}


def modbus(op: str = "==", value: str = "1", **fields) -> dict[str, Any]:
    compare = {"op": op, "value": value, **({"high": fields.pop("high")} if "high" in fields else {})}
    return {"kind": "modbus", "modbus": {"host": "plc", "table": "holding-register", "address": 0, "compare": compare, **fields}}


@pytest.mark.parametrize(
    ("path", "said", "plain"),
    [
        ("tcp", "is missing", {"kind": "tcp"}),
        ("http", "one check", {"kind": "tcp", "tcp": {"host": "a", "port": 1}, "http": {"url": "http://a"}}),
        ("http", "one check", {"kind": "later", "http": {"url": "http://a"}}),
        ("timeout_ms", "100 to 30000", {"kind": "tcp", "tcp": {"host": "a", "port": 1}, "timeout_ms": 0}),
        ("timeout_ms", "100 to 30000", {"kind": "tcp", "tcp": {"host": "a", "port": 1}, "timeout_ms": 30_001}),
        ("name", "what must be so", {"name": " ", "kind": "tcp", "tcp": {"host": "a", "port": 1}}),
        ("name", "what must be so", {"name": "a\nb", "kind": "tcp", "tcp": {"host": "a", "port": 1}}),
        ("tcp.host", "port", {"kind": "tcp", "tcp": {"host": "a", "port": 0}}),
        ("tcp.host", "not a host name", {"kind": "tcp", "tcp": {"host": "a b", "port": 1}}),
        ("tcp.host", "not a host name", {"kind": "tcp", "tcp": {"host": "", "port": 1}}),
        ("http.url", "http://", http(url="ftp://a")),
        ("http.url", "user name", http(url="http://u:p@a/")),
        ("http.url", "'#'", http(url="http://a/#b")),
        ("http.url", "percent-encoded", http(url="http://a/\r\nX: y")),
        ("http.status_low", "100 to 599", http(status_low=99)),
        ("http.status_high", "status_low to 599", http(status_low=300, status_high=299)),
        ("http.compare", "is missing", http(pointer="/a")),
        ("http.pointer", "begins with '/'", http(pointer="a", compare={"op": "==", "value": "1"})),
        ("http.pointer", "~0", http(pointer="/a~", compare={"op": "==", "value": "1"})),
        ("http.compare.value", "not a decimal number", http(compare={"op": "==", "value": "x"})),
        ("http.compare.value", "not a decimal number", http(compare={"op": ">"})),
        ("http.compare.high", "not a decimal number", http(compare={"op": "in", "value": "1"})),
        ("http.compare.high", "below the lower", http(compare={"op": "in", "value": "2", "high": "1.9"})),
        ("http.compare.high", "only the operator", http(compare={"op": "<", "value": "2", "high": "3"})),
        ("http.compare.op", "compares numbers", http(compare={"op": "<", "value": "a", "type": "text"})),
        ("http.compare.value", "true or false", http(compare={"op": "==", "value": "yes", "type": "truth"})),
        ("http.compare.value", "a bit has", http(compare={"op": "bit-set", "value": "32"})),
        ("http.compare.type", "needs a number", http(compare={"op": "bit-set", "value": "1", "type": "text"})),
        ("file.path", "begins with '/'", file(path="a")),
        ("file.path", "whole path", file(path="/a/")),
        ("file.path", "'..'", file(path="/a/../b")),
        ("file.compare", "stands with", file(state="content")),
        ("file.compare", "stands with", file(compare={"op": "==", "value": "1"})),
        ("file.state", "one of", file(state="newer")),
        ("command.argv", "whole path", command(argv=["a"])),
        ("command.argv", "whole path", command(argv=[])),
        ("command.argv", "zero byte", command(argv=["/a", "\0"])),
        ("command.user", "whom", command(user="")),
        ("command.code", "0 to 255", command(code=256)),
        ("command.environment", "name of a variable", command(environment={"A-B": "1"})),
        ("command.environment", "foreign code", command(environment={"LD_PRELOAD": "/x"})),
        ("command.environment.A", "zero byte", command(environment={"A": "\0"})),
        ("modbus.unit", "0 to 255", modbus(unit=256)),
        ("modbus.count", "1 to 64", modbus(count=0)),
        ("modbus.count", "1 to 64", modbus(count=65)),
        ("modbus.address", "counts from 0", modbus(address=65536)),
        ("modbus.address", "counts from 0", modbus(address=65535, format="u32")),
        ("modbus.format", "holds registers", modbus(format="bit")),
        ("modbus.format", "single bits", modbus(table="coil", format="u16")),
        ("modbus.table", "one of", modbus(table="fifo")),
        ("modbus.words", "one of", modbus(words="mixed")),
        ("modbus.compare.value", "never open", modbus("==", "65536")),
        ("modbus.compare.value", "never open", modbus("<", "0")),
        ("modbus.compare.value", "never open", modbus(">", "65535")),
        ("modbus.compare.value", "never open", modbus("in", "-5", high="-1")),
        ("modbus.compare.value", "guard nothing", modbus(">=", "0")),
        ("modbus.compare.value", "guard nothing", modbus("!=", "-1")),
        ("modbus.compare.value", "guard nothing", modbus("<=", "65535")),
        ("modbus.compare.value", "guard nothing", modbus("in", "0", high="65535")),
        ("modbus.compare.value", "guard nothing", modbus("<", "32768", format="s16")),
        ("modbus.compare.value", "no bit 16", modbus("bit-set", "16")),
        ("modbus.compare.value", "which bit", modbus("bit-set", "")),
        ("modbus.compare.value", "one bit", modbus("bit-set", "1", table="coil")),
        ("modbus.compare.op", "mean nothing", modbus("bit-set", "1", format="f32")),
    ],
)
def test_what_is_badly_written_is_refused_by_its_place(path, said, plain):
    refused(path, said, plain)


@pytest.mark.parametrize(
    "plain",
    [
        {"name": "x", "conditions": []},
        {"name": "X", "conditions": [{"name": "c", "kind": "later"}]},
        {"name": "x", "conditions": [{"name": "c", "kind": "later"}] * 2},
        {"name": "x", "conditions": [{"name": f"c{number}", "kind": "later"} for number in range(17)]},
        {"name": "x", "conditions": [{"name": f"c{number}", "kind": "later", "timeout_ms": 30_000} for number in range(3)]},
        {"name": "x", "app": "A", "conditions": [{"name": "c", "kind": "later"}]},
        {"name": "x", "origin": "vendor", "conditions": [{"name": "c", "kind": "later"}]},
        {"name": "x", "means": "m" * 201, "conditions": [{"name": "c", "kind": "later"}]},
    ],
)
def test_limits_of_the_whole(plain):
    with pytest.raises(WireError):
        decode(Interlock, json.dumps(plain).encode())


@pytest.mark.parametrize(
    ("plain", "place"),
    [
        ({"kind": "opc-ua"}, "conditions[0].kind"),
        (http(compare={"op": "~", "value": "1"}), "conditions[0].http.compare.op"),
        (http(compare={"op": "==", "value": "1", "type": "date"}), "conditions[0].http.compare.type"),
        (modbus(format="f64"), "conditions[0].modbus.format"),
    ],
)
def test_newer_words_are_read_here_and_refused_where_they_are_written(plain, place):
    lock = decode(Interlock, json.dumps({"name": "x", "conditions": [{"name": "c", **plain}]}).encode())
    found = writing_fault(lock)
    assert found is not None
    assert found[0] == place


def test_the_centre_writes_no_programs_and_reads_no_files():
    for plain in (command(), file(state="content", compare={"op": "==", "value": "1"})):
        for origin, refused_ in (("site", False), ("centre", True)):
            lock = decode(Interlock, json.dumps({"name": "x", "origin": origin, "conditions": [{"name": "c", **plain}]}).encode())
            assert (writing_fault(lock) is not None) == refused_
    for plain in (file(), file(state="absent"), modbus(), http()):
        assert writing_fault(decode(Interlock, json.dumps({"name": "x", "origin": "centre", "conditions": [{"name": "c", **plain}]}).encode())) is None


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "bit"])
@pytest.mark.parametrize("op", ["==", "!=", "<", "<=", ">", ">=", "in"])
def test_what_can_go_both_ways_is_taken(op, form):
    compare = Compare(op, "7", "9" if op == "in" else "")
    assert ModbusCheck("plc", "input-register", 5, compare, form).check() is None


@pytest.mark.parametrize(("url", "target"), [("http://a", "/"), ("http://a?b=c", "/?b=c"), ("http://a:81/x/?q=1", "/x/?q=1"), ("https://[::1]/a:b", "/a:b")])
def test_what_is_asked_for_is_what_was_written(url, target):
    assert HttpCheck(url).place()[1] == target


# --- the page -----------------------------------------------------------------------------------------------------------

PAGE = (Path(__file__).parents[2] / "docs" / "interlocks.md").read_text()
EXAMPLES = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_of_the_page_is_an_interlock(text):
    lock = decode(Interlock, text.encode())
    assert writing_fault(replace(lock, origin="site")) is None


def test_there_is_an_example_of_every_kind():
    assert {condition.kind for text in EXAMPLES for condition in decode(Interlock, text.encode()).conditions} == set(KINDS)


def test_the_page_names_every_word():
    for word in (*OPERATORS, *FORMATS[1:], *TABLES, *WORDS, *TYPES):
        assert f"`{word}`" in PAGE or f'"{word}"' in PAGE, word


def test_the_sentence_of_the_page_is_the_one_that_is_said():
    lock = decode(Interlock, EXAMPLES[0].encode())
    seen = (Seen("seen", raw=(0x4148, 0)), Seen("seen", type="absent"))
    answer, _ = interlocked((lock,), {interlock_digest(lock): Round(interlock_digest(lock), 0, "b", seen)}, 0, "b")
    assert f"> {answer.why}\n" in PAGE
