"""Reading from a Modbus TCP server: one question, one answer, over a connection made for it.

Owns the bytes: the MBAP header (MODBUS Messaging on TCP/IP Implementation Guide V1.0b, section 3.1.3) and the four reading functions (MODBUS Application
Protocol Specification V1.1b3, sections 6.1 to 6.4). Whatever is not exactly the answer to the question is refused. It never writes to a machine: there is no
function code here that could.
"""

from __future__ import annotations

import struct
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket

# table -> function code, and how many may be asked for at once
FUNCTIONS = {"coil": (1, 2000), "discrete-input": (2, 2000), "holding-register": (3, 125), "input-register": (4, 125)}
MAX_LENGTH = 254  # of what the length field counts: unit identifier and PDU (V1.0b, 3.1.3; V1.1b3, 4.1)

# V1.1b3, section 7
EXCEPTIONS = {
    1: "illegal function: it does not serve this table",
    2: "illegal data address: it has nothing at this address; addresses count from 0",
    3: "illegal data value: it does not take this quantity",
    4: "server device failure",
    5: "acknowledge: it needs longer than a reading may",
    6: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable: the gateway has no way to this unit",
    11: "gateway target device failed to respond: nobody has this unit identifier behind the gateway, or it is off",
}


class ModbusFault(Exception):
    """No value. `code` as in `rules.interlocks.CODES`; `why` is a sentence."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


def question(transaction: int, unit: int, table: str, address: int, quantity: int) -> bytes:
    """The bytes of one question. Raises ValueError for what the protocol cannot ask."""
    function, most = FUNCTIONS[table]
    if not 1 <= quantity <= most or not address >= 0 or address + quantity > 65536 or not 0 <= unit <= 255:
        raise ValueError(f"{quantity} from {address} of unit {unit} cannot be asked for")
    return struct.pack(">HHHBBHH", transaction & 0xFFFF, 0, 6, unit, function, address, quantity)


def length_of(header: bytes, transaction: int, unit: int) -> int:
    """How many bytes of PDU follow this MBAP header of seven bytes. Raises ModbusFault."""
    number, protocol, length, from_unit = struct.unpack(">HHHB", header)
    if protocol != 0:
        raise ModbusFault("malformed", f"it does not speak Modbus: protocol identifier {protocol} where 0 belongs")
    if number != transaction & 0xFFFF:
        raise ModbusFault("malformed", f"the answer belongs to another question (transaction {number}, asked with {transaction & 0xFFFF})")
    if from_unit != unit:
        raise ModbusFault("malformed", f"the answer is from unit {from_unit}, asked was unit {unit}")
    if not 3 <= length <= MAX_LENGTH:
        raise ModbusFault("malformed", f"it announces {length} bytes, where an answer has 3 to {MAX_LENGTH}")
    return int(length) - 1


def values_in(pdu: bytes, table: str, quantity: int) -> tuple[int, ...]:
    """The bits or registers of an answer. Raises ModbusFault: for an exception with its name."""
    function, _ = FUNCTIONS[table]
    if pdu[0] == function | 0x80 and len(pdu) == 2:
        raise ModbusFault("refused", f"exception {pdu[1]}, {EXCEPTIONS.get(pdu[1], 'one the standard does not name')}")
    if pdu[0] != function:
        raise ModbusFault("malformed", f"it answers function {pdu[0]}, asked was function {function}")
    bits = function in (1, 2)
    size = (quantity + 7) // 8 if bits else 2 * quantity
    if pdu[1] != size or len(pdu) != 2 + size:
        raise ModbusFault("malformed", f"{len(pdu) - 2} bytes of values came and {pdu[1]} were announced, where {size} belong")
    if bits:
        return tuple(pdu[2 + at // 8] >> (at % 8) & 1 for at in range(quantity))
    return struct.unpack(f">{quantity}H", pdu[2:])


def read(sock: socket, until: float, transaction: int, unit: int, table: str, address: int, quantity: int) -> tuple[int, ...]:
    """Ask over a connected socket, and wait for the whole answer until `until` (time.monotonic). Raises ModbusFault."""
    try:
        _arm(sock, until)
        sock.sendall(question(transaction, unit, table, address, quantity))
        header = _exactly(sock, 7, until)
        return values_in(_exactly(sock, length_of(header, transaction, unit), until), table, quantity)
    except ValueError as fault:
        raise ModbusFault("fault", str(fault)) from None
    except OSError as fault:
        if isinstance(fault, TimeoutError) or type(fault).__name__ == "timeout":  # Python 3.9 has a class of its own for it
            raise ModbusFault("timeout", "no whole answer came within the time allowed") from None
        raise ModbusFault("unreachable", f"the connection broke: {fault.strerror or fault}") from None


def _arm(sock: socket, until: float) -> None:
    left = until - time.monotonic()
    if left <= 0:
        raise ModbusFault("timeout", "no whole answer came within the time allowed")
    sock.settimeout(left)


def _exactly(sock: socket, count: int, until: float) -> bytes:
    data = b""
    while len(data) < count:
        _arm(sock, until)
        piece = sock.recv(count - len(data))
        if not piece:
            raise ModbusFault(
                "malformed", f"it closed the connection after {len(data)} of {count} bytes" if data else "it closed the connection without an answer"
            )
        data += piece
    return data
