"""The Modbus client: against pymodbus as a process, and against servers that cut, drip, lie and babble."""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.agent import modbus
from penstock.agent.interlocking import ask, look
from penstock.agent.modbus import EXCEPTIONS, FUNCTIONS, ModbusFault
from penstock.rules.interlocks import CODES, judge, judge_condition
from penstock.wire.codec import from_plain, to_plain
from penstock.wire.comparing import Compare
from penstock.wire.interlocks import Condition, Interlock, ModbusCheck, TcpCheck
from tests.agent.modbusserver import COILS, HOLDING, INPUT


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """The port of a real server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = Path(__file__).with_name("modbusserver.py")
    with subprocess.Popen([sys.executable, str(program), str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            until = time.monotonic() + 30
            while True:
                assert process.poll() is None, process.stderr.read().decode() if process.stderr else ""
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                assert time.monotonic() < until
                time.sleep(0.05)
            yield port
        finally:
            process.kill()


def condition(port: int, table: str, address: int, op: str = "==", value: str = "0", **fields) -> Condition:
    high = fields.pop("high", "")
    timeout = fields.pop("timeout_ms", 3000)
    made = Condition("c", "modbus", timeout, modbus=ModbusCheck("127.0.0.1", table, address, Compare(op, value, high), port=port, **fields))
    return from_plain(Condition, to_plain(made))  # so that what the limits refuse is never tested here


# --- a real server ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [1, 17])
def test_every_table_of_a_real_server_is_read(server: int, unit: int):
    assert ask(condition(server, "coil", 0, "bit-set", "", count=10, unit=unit)).raw == tuple(int(one) for one in COILS)
    assert ask(condition(server, "discrete-input", 0, "bit-set", "", count=10, unit=unit)).raw == tuple(int(not one) for one in COILS)
    assert ask(condition(server, "holding-register", 0, count=13, unit=unit)).raw == HOLDING
    assert ask(condition(server, "input-register", 0, count=4, unit=unit)).raw == INPUT


HANGS_S = 20  # a busy machine is slow; what hangs is slower
REAL = [
    ("coil", 0, "bit-set", "", {}, True),
    ("coil", 1, "bit-set", "", {}, False),
    ("coil", 1, "bit-clear", "", {}, True),
    ("coil", 2, "==", "1", {"count": 2}, True),
    ("coil", 2, "==", "1", {"count": 3}, False),  # the third is off
    ("discrete-input", 1, "bit-set", "", {}, True),
    ("input-register", 0, "==", "7", {"count": 3}, True),
    ("input-register", 0, "==", "7", {"count": 4}, False),
    ("holding-register", 0, ">", "39999.5", {}, True),
    ("holding-register", 0, "<", "0", {"format": "s16"}, True),
    ("holding-register", 1, "==", "-2", {"format": "s16"}, True),
    ("holding-register", 1, "==", "-2", {"format": "s16", "count": 2}, False),
    ("holding-register", 2, "==", "70000", {"format": "u32"}, True),
    ("holding-register", 2, "==", "70000", {"format": "u32", "words": "low-first"}, False),
    ("holding-register", 4, "in", "-70001", {"high": "-69999", "format": "s32"}, True),
    ("holding-register", 6, "==", "21.1", {"format": "f32"}, True),
    ("holding-register", 6, "<=", "21.1", {"format": "f32"}, True),
    ("holding-register", 6, "<", "21.1", {"format": "f32"}, False),
    ("holding-register", 6, "in", "21", {"high": "22", "format": "f32"}, True),
    ("holding-register", 8, "==", "21.1", {"format": "f32", "words": "low-first"}, True),
    ("holding-register", 8, "==", "21.1", {"format": "f32"}, False),
    ("holding-register", 10, "!=", "5", {"format": "f32"}, False),  # NaN is nothing
    ("holding-register", 12, "bit-set", "15", {}, True),
    ("holding-register", 12, "bit-clear", "1", {}, True),
    ("holding-register", 12, "bit-set", "1", {}, False),
]


@pytest.mark.parametrize(("table", "address", "op", "value", "fields", "holds"), REAL)
def test_a_real_servers_values_are_judged(server: int, table, address, op, value, fields, holds):
    one = condition(server, table, address, op, value, **fields)
    finding = judge_condition(one, ask(one))
    assert finding.holds is holds, finding
    assert bool(finding.why) is not holds
    assert finding.observed


def test_an_address_it_does_not_have_is_refused_by_name(server: int):
    finding = judge_condition(one := condition(server, "holding-register", 5000), ask(one))
    assert not finding.holds
    assert "exception 2, illegal data address" in finding.why


def test_a_unit_nobody_has_never_holds(server: int):
    started = time.monotonic()
    one = condition(server, "holding-register", 0, ">=", "1", unit=99, timeout_ms=700)
    finding = judge_condition(one, ask(one))
    assert not finding.holds
    assert finding.why
    assert time.monotonic() - started < HANGS_S


def test_a_round_over_a_real_server_is_a_receipt(server: int):
    lock = Interlock("press-stands", (condition(server, "coil", 0, "bit-set", ""), Condition("answers", "tcp", tcp=TcpCheck("127.0.0.1", server))))
    found = look(lock, "boot")
    verdict = judge(lock, found, int(time.monotonic() * 1000), "boot")
    assert verdict.holds, verdict
    assert [(one.condition, one.observed) for one in verdict.findings] == [("c", "1"), ("answers", "connected")]


def test_nobody_there():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        one = condition(probe.getsockname()[1], "coil", 0, "bit-set", "")
        seen = ask(one)
    assert seen.code == "unreachable"
    assert "could not be reached" in judge_condition(one, seen).why


# --- hostile answers ----------------------------------------------------------------------------------------------------


def answer(transaction: int, unit: int, table: str, values: tuple[int, ...]) -> bytes:
    """A right answer, written independently of the client."""
    function = {"coil": 1, "discrete-input": 2, "holding-register": 3, "input-register": 4}[table]
    if function < 3:
        packed = bytearray((len(values) + 7) // 8)
        for number, value in enumerate(values):
            packed[number // 8] |= value << (number % 8)
        body = bytes(packed)
    else:
        body = b"".join(value.to_bytes(2, "big") for value in values)
    pdu = bytes([function, len(body)]) + body
    return transaction.to_bytes(2, "big") + b"\0\0" + (len(pdu) + 1).to_bytes(2, "big") + bytes([unit]) + pdu


def hear(data: bytes, table: str = "holding-register", quantity: int = 2, transaction: int = 7, unit: int = 1, seconds: float = 2.0) -> tuple[int, ...]:
    """What the client makes of these bytes, after which the other side closes."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        return modbus.read(ours, time.monotonic() + seconds, transaction, unit, table, 0, quantity)


def fault_of(data: bytes, **fields) -> ModbusFault:
    with pytest.raises(ModbusFault) as caught:
        hear(data, **fields)
    assert caught.value.code in CODES
    assert caught.value.why
    return caught.value


@given(st.sampled_from(("holding-register", "input-register")), st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=125), st.integers(0, 0xFFFF))
def test_registers_come_through(table, values, transaction):
    assert hear(answer(transaction, 9, table, tuple(values)), table, len(values), transaction, 9) == tuple(values)


@given(st.sampled_from(("coil", "discrete-input")), st.lists(st.integers(0, 1), min_size=1, max_size=300))
def test_bits_come_through(table, values):
    assert hear(answer(7, 1, table, tuple(values)), table, len(values)) == tuple(values)


def test_a_question_is_the_bytes_of_the_standard():
    # V1.1b3, 6.3: registers 108 to 110, that is addresses 107 to 109
    assert modbus.question(0x1501, 255, "holding-register", 107, 3) == bytes.fromhex("1501 0000 0006 ff 03 006b 0003")
    # V1.1b3, 6.1: coils 20 to 38, and the answer CD 6B 05
    assert modbus.question(1, 1, "coil", 19, 19)[7:] == bytes.fromhex("01 0013 0013")
    assert modbus.values_in(bytes.fromhex("01 03 cd6b05"), "coil", 19) == (1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1)
    assert modbus.values_in(bytes.fromhex("03 06 022b 0000 0064"), "holding-register", 3) == (555, 0, 100)


@pytest.mark.parametrize(
    ("table", "address", "quantity", "unit"), [("coil", 0, 0, 1), ("coil", 0, 2001, 1), ("holding-register", 0, 126, 1), ("coil", 65535, 2, 1)]
)
def test_what_cannot_be_asked_is_not_asked(table, address, quantity, unit):
    with pytest.raises(ValueError, match="cannot be asked"):
        modbus.question(1, unit, table, address, quantity)


def test_cut_anywhere():
    whole = answer(7, 1, "holding-register", (1, 2))
    for end in range(len(whole)):
        assert "closed the connection" in fault_of(whole[:end]).why


def test_another_transaction_protocol_unit_length_or_function():
    good = answer(7, 1, "holding-register", (1, 2))
    assert hear(good) == (1, 2)
    assert "another question" in fault_of(answer(8, 1, "holding-register", (1, 2))).why
    assert "does not speak Modbus" in fault_of(good[:2] + b"\0\1" + good[4:]).why
    assert "from unit 2" in fault_of(answer(7, 2, "holding-register", (1, 2))).why
    for length in (0, 1, 2, 255, 256, 0xFFFF):
        assert "announces" in fault_of(good[:4] + struct.pack(">H", length) + good[6:]).why
    for length in (3, 6, 8, 254):
        assert fault_of(good[:4] + struct.pack(">H", length) + good[6:] + bytes(max(length - 7, 0))).code == "malformed"
    assert "answers function 4" in fault_of(answer(7, 1, "input-register", (1, 2))).why
    assert "bytes of values" in fault_of(answer(7, 1, "holding-register", (1,))).why
    assert "bytes of values" in fault_of(answer(7, 1, "holding-register", (1, 2, 3))).why


@given(st.integers(0, 255))
def test_exceptions_are_named(code):
    fault = fault_of(b"\0\7\0\0\0\3\1" + bytes([0x83, code]))
    assert fault.code == "refused"
    assert f"exception {code}" in fault.why
    assert EXCEPTIONS.get(code, "does not name") in fault.why


@given(st.binary(max_size=300))
def test_garbage_is_never_a_value(data):
    if data[:7] != b"\0\7\0\0\0\7\1"[: len(data)] or len(data) < 7:
        fault_of(data)


@given(st.data())
def test_a_damaged_answer_is_refused_or_has_the_asked_form(data):
    table = data.draw(st.sampled_from(sorted(FUNCTIONS)))
    quantity = data.draw(st.integers(1, 40))
    values = tuple(data.draw(st.integers(0, 1 if table in ("coil", "discrete-input") else 0xFFFF)) for _ in range(quantity))
    whole = bytearray(answer(7, 1, table, values))
    for _ in range(data.draw(st.integers(1, 4))):
        how = data.draw(st.sampled_from(("flip", "cut", "insert", "double")))
        at = data.draw(st.integers(0, max(len(whole) - 1, 0)))
        if how == "flip" and whole:
            whole[at] ^= data.draw(st.integers(1, 255))
        elif how == "cut":
            del whole[at:]
        elif how == "insert":
            whole[at:at] = data.draw(st.binary(min_size=1, max_size=4))
        else:
            whole += whole[:200]
    try:
        got = hear(bytes(whole), table, quantity)
    except ModbusFault as fault:
        assert fault.code in CODES
        assert fault.code != "seen"
        return
    assert len(got) == quantity
    assert all(0 <= one <= (1 if table in ("coil", "discrete-input") else 0xFFFF) for one in got)
    assert bytes(whole[:9]) == answer(7, 1, table, values)[:9]  # only the values may have been changed: nobody signs them


@pytest.mark.parametrize("pause", [0.05, 10.0])
def test_a_slow_drip_costs_no_more_than_the_time_allowed(pause):
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def drip() -> None:
        with contextlib.suppress(OSError):
            peer, _ = listener.accept()
            with peer:
                for byte in answer(7, 1, "holding-register", tuple(range(60))):
                    peer.sendall(bytes([byte]))
                    if stop.wait(pause):
                        return

    worker = threading.Thread(target=drip)
    worker.start()
    try:
        started = time.monotonic()
        with socket.create_connection(listener.getsockname()) as sock, pytest.raises(ModbusFault) as caught:
            modbus.read(sock, started + 0.3, 7, 1, "holding-register", 0, 60)
        assert caught.value.code == "timeout"
        assert time.monotonic() - started < HANGS_S
    finally:
        stop.set()
        worker.join()
        listener.close()
