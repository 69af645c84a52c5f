"""An HTTP proxy (CONNECT) on loopback that cuts and stalls connections as a test orders, and counts what came down.

Owns moving bytes and breaking off; knows nothing of what they mean. One thread for each direction of each connection; all end with `close`.
"""

from __future__ import annotations

import contextlib
import socket
import threading


class CuttingProxy:
    """`cut_after`: how many bytes each following connection may bring down before it is cut, one number for each cut. `stalled`: while set, what
    is beyond `stall_after` bytes of a connection does not move."""

    def __init__(self) -> None:
        self.cut_after: list[int] = []
        self.cuts = 0
        self.stall_after = -1
        self.stalled = threading.Event()
        self.go = threading.Event()
        self.go.set()
        self.down = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        head = b""
        try:
            while b"\r\n\r\n" not in head:
                piece = client.recv(4096)
                if not piece:
                    client.close()
                    return
                head += piece
            host, _, port = head.split()[1].decode("ascii").rpartition(":")
            server = socket.create_connection((host.strip("[]"), int(port)), 10)
        except (OSError, ValueError, IndexError):
            client.close()
            return
        server.settimeout(None)
        self._open |= {client, server}
        with contextlib.suppress(OSError):
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=self._pump, args=(client, server, False), daemon=True).start()
        self._pump(server, client, True)

    def _pump(self, source: socket.socket, sink: socket.socket, down: bool) -> None:
        moved = 0
        try:
            while True:
                piece = source.recv(16384)
                if not piece:
                    break
                if down:
                    moved += len(piece)
                    if 0 <= self.stall_after < moved:
                        self.stalled.set()
                        self.go.wait()
                    sink.sendall(piece)
                    with self._lock:
                        self.down += len(piece)
                        if self.cut_after and moved > self.cut_after[0]:
                            self.cut_after.pop(0)
                            self.cuts += 1
                            break
                else:
                    sink.sendall(piece)
        except OSError:
            moved = -1
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def stall(self, after: int) -> None:
        """From now on a connection that brings more than `after` bytes down stands still until `release`."""
        self.stalled.clear()
        self.go.clear()
        self.stall_after = after

    def release(self) -> None:
        self.stall_after = -1
        self.go.set()

    def close(self) -> None:
        self.release()
        self._listener.close()
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
