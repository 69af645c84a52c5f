"""A real Modbus TCP server as a process: pymodbus with four tables of known values, for the tests of interlocks.

Owns what stands at which address. Start it as a program with a port; it serves until it is killed.
"""

from __future__ import annotations

import sys

TABLES = ("coil", "discrete-input", "holding-register", "input-register")
COILS = (True, False, True, True, False, False, True, False, True, True)
# 0: u16 40000 (s16 -25536); 1: s16 -2; 2-3: u32 70000; 4-5: s32 -70000; 6-7: f32 21.1; 8-9: f32 21.1, low word first; 10-11: NaN; 12: bits
HOLDING = (40000, 0xFFFE, 0x0001, 0x1170, 0xFFFE, 0xEE90, 0x41A8, 0xCCCD, 0xCCCD, 0x41A8, 0x7FC0, 0x0000, 0b1000_0000_0000_0101)
INPUT = (7, 7, 7, 8)


def main(port: int) -> None:
    """Serve units 1 and 17 on loopback."""
    from pymodbus.server import StartTcpServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    def device(unit: int) -> SimDevice:
        coils = [*COILS, *[False] * (16 - len(COILS))]
        inputs = [not one for one in coils]
        return SimDevice(
            id=unit,
            simdata=(
                [SimData(0, values=coils, datatype=DataType.BITS)],
                [SimData(0, values=inputs, datatype=DataType.BITS)],
                [SimData(0, values=list(HOLDING), datatype=DataType.REGISTERS)],
                [SimData(0, values=list(INPUT), datatype=DataType.REGISTERS)],
            ),
        )

    StartTcpServer([device(1), device(17)], address=("127.0.0.1", port))


if __name__ == "__main__":
    main(int(sys.argv[1]))
