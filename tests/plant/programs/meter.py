"""Reads a controller over Modbus TCP and a raw sensor from a device node, and says both to a broker that may be another app's."""

import struct

import small

BROKER = small.setting("BROKER")
seen = {}


def look():
    with small.dial(small.setting("PLC", "plc:502")) as line:
        line.sendall(struct.pack(">HHHBBHH", 7, 0, 6, 1, 3, 10, 2))
        answer = line.recv(64)
    first, second = struct.unpack(">HH", answer[9:13])
    with open("/dev/ttyMETER", "rb") as sensor:
        raw = sensor.read(2)
    seen.update(register=first, next=second, sensor=len(raw))
    for name, value in seen.items():
        small.say(BROKER, f"line/meter/{name}", value)


small.beside(lambda: small.often(0.5, look))
small.serve({("GET", "/seen"): lambda _: seen}, healthy=lambda: bool(seen))
