"""A controller that speaks Modbus TCP (function 3, read holding registers); the registers count up."""

import socketserver
import struct
import time

import small

START = time.time()


class Unit(socketserver.BaseRequestHandler):
    def handle(self):
        while True:
            head = self.request.recv(12)
            if len(head) < 12:
                return
            number, _, _, unit, function, first, count = struct.unpack(">HHHBBHH", head)
            if function == 3 and first + count <= 100:
                values = [(int(time.time() - START) + first + index) % 65536 for index in range(count)]
                body = struct.pack(f">BBB{count}H", unit, function, 2 * count, *values)
            else:
                body = struct.pack(">BBB", unit, function | 0x80, 1 if function != 3 else 2)
            self.request.sendall(struct.pack(">HHH", number, 0, len(body)) + body)


socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer.daemon_threads = True
small.beside(socketserver.ThreadingTCPServer(("0.0.0.0", 502), Unit).serve_forever)
small.serve({})
