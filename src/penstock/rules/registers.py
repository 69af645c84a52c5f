"""What Modbus registers say: bits, integers of 16 and 32 bits with and without a sign, and single-precision fractions.

Owns the decoding only. Registers are big-endian inside (MODBUS Application Protocol Specification V1.1b3, section 4.2); the order of the two registers of a
32-bit value is not standardised, so the condition names it.
"""

from __future__ import annotations

import struct

from penstock.wire.interlocks import WIDTHS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union

    Number = Union[int, float]


def values_of(raw: tuple[int, ...], form: str, words: str) -> tuple[Number, ...]:
    """The values in what was read. A fraction may be NaN or infinite: what that means is the caller's to say. Raises ValueError when the count does not
    fit."""
    width = WIDTHS[form][0]
    if len(raw) % width or not raw:
        raise ValueError(f"{len(raw)} registers are no whole number of {form} values")
    if any(not 0 <= one <= (1 if form == "bit" else 0xFFFF) for one in raw):
        raise ValueError("a value lies outside what a bit or register can hold")
    if width == 1:
        return tuple(one - 0x10000 if form == "s16" and one >= 0x8000 else one for one in raw)
    found: list[Number] = []
    for at in range(0, len(raw), 2):
        high, low = (raw[at], raw[at + 1]) if words == "high-first" else (raw[at + 1], raw[at])
        whole = high << 16 | low
        if form == "f32":
            found.append(struct.unpack(">f", struct.pack(">I", whole))[0])
        else:
            found.append(whole - (1 << 32) if form == "s32" and whole >= 1 << 31 else whole)
    return tuple(found)


def single(value: float) -> float:
    """The number as a register pair holds it: rounded to single precision (IEEE 754 binary32). Beyond its range it is infinite."""
    try:
        rounded: float = struct.unpack(">f", struct.pack(">f", value))[0]
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    return rounded
