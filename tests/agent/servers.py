"""Loopback servers for the agent's tests: an authority, an HTTPS server with knobs, a CONNECT proxy that may open TLS.

Certificates come from the openssl command, so that no second OpenSSL is loaded beside the one under test.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


class Authority:
    """A private CA in a folder; `pem` is what a device is told to trust. Dates are "YYYYMMDDHHMMSSZ"."""

    def __init__(self, folder: Path, name: str = "Test CA", begin: str = "", end: str = "") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.key, self.certificate = folder / "ca.key", folder / "ca.pem"
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(self.key))
        (folder / "ca.cnf").write_text(
            f"[ca]\ndefault_ca=c\n[c]\ndatabase={folder}/index\nnew_certs_dir={folder}\nrand_serial=yes\ndefault_md=sha256\npolicy=p\nunique_subject=no\n"
            "default_days=3650\n[p]\ncommonName=supplied\n[v3]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
            "[req]\ndistinguished_name=dn\n[dn]\n"
        )
        (folder / "index").write_text("")
        request = folder / "ca.csr"
        openssl("req", "-new", "-key", str(self.key), "-subj", f"/CN={name}", "-out", str(request), "-config", str(folder / "ca.cnf"))
        self._sign(request, self.certificate, ["-selfsign", "-extensions", "v3"], begin or "20200101000000Z", end or "20400101000000Z")
        self.pem = self._bare(self.certificate)

    def _bare(self, path: Path) -> str:
        text = path.read_text()
        return text[text.index("-----BEGIN") :]

    def _sign(self, request: Path, out: Path, extra: list[str], begin: str, end: str) -> None:
        config = str(self.folder / "ca.cnf")
        dates = ["-startdate", begin, "-enddate", end]
        openssl(
            "ca", "-batch", "-config", config, "-keyfile", str(self.key), "-cert", str(self.certificate), "-in", str(request), "-out", str(out), *dates, *extra
        )

    def leaf(self, names: str = "DNS:localhost,IP:127.0.0.1,IP:::1", begin: str = "", end: str = "") -> ssl.SSLContext:
        """A server context with a fresh certificate."""
        stem = self.folder / f"leaf{len(list(self.folder.iterdir()))}"
        key, request, out, extensions = (stem.with_suffix(suffix) for suffix in (".key", ".csr", ".pem", ".ext"))
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(key))
        openssl("req", "-new", "-key", str(key), "-subj", "/CN=server", "-out", str(request), "-config", str(self.folder / "ca.cnf"))
        extensions.write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n")
        self._sign(request, out, ["-extfile", str(extensions)], begin or "20200101000000Z", end or "20400101000000Z")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(out, key)
        return context


class HttpsServer:
    """Answers with `handler(method, path, headers, body) -> (status, headers, body)`; None closes the connection without an answer, a
    (prefix,) sends those raw bytes and closes."""

    def __init__(self, context: ssl.SSLContext, handler: Any = None, host: str = "127.0.0.1", port: int = 0) -> None:
        self.handler: Any = handler or (lambda method, path, headers, body: (200, {}, b"ok"))
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.connections = 0
        self.resumed = 0
        self.bytes = 0
        self.context = context
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((host, port))
        self._listener.listen(32)
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def drop(self) -> None:
        """Cut every open connection."""
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, raw: socket.socket) -> None:
        try:
            raw.settimeout(30)
            with self.context.wrap_socket(raw, server_side=True) as sock:
                self._open.append(sock)
                self.connections += 1
                self.resumed += bool(sock.session_reused)
                while self._one(sock):
                    pass
        except OSError:
            raw.close()

    def _one(self, sock: ssl.SSLSocket) -> bool:
        data = b""
        while b"\r\n\r\n" not in data:
            more = sock.recv(65536)
            if not more:
                return False
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ")
        headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines[1:]}
        while len(body) < int(headers.get("content-length", "0")):
            body += sock.recv(65536)
        self.requests.append((method, path, headers, body))
        answer: Any = self.handler(method, path, headers, body)
        if answer is None:
            return False
        if len(answer) == 1:
            sock.sendall(answer[0])
            return False
        status, extra, content = answer
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in extra.items())]
        if status not in (204, 304):
            lines.append(f"Content-Length: {len(content)}")
        sock.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content)
        self.bytes += len(content)
        return extra.get("Connection") != "close"


class ConnectProxy:
    """An HTTP proxy that knows CONNECT only. `opens` is a server context with which it ends TLS itself (and trusts `upstream_ca`)."""

    def __init__(self, opens: ssl.SSLContext | None = None, upstream_ca: str = "", password: str = "") -> None:
        self.asked: list[str] = []
        self._opens, self._ca, self._password = opens, upstream_ca, password
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                byte = sock.recv(1)
                if not byte:
                    return
                head += byte
            method, place, _ = head.split(b"\r\n")[0].decode().split(" ")
            self.asked.append(place)
            if self._password and f"Basic {self._password}".encode() not in head:
                sock.sendall(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")
                return
            assert method == "CONNECT"
            host, _, port = place.rpartition(":")
            try:
                far: socket.socket = socket.create_connection((host.strip("[]"), int(port)), 10)
            except OSError:
                sock.sendall(b"HTTP/1.1 502 Nobody there\r\nContent-Length: 0\r\n\r\n")
                return
            self._open.append(far)
            sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            near = sock
            if self._opens is not None:
                near = self._opens.wrap_socket(sock, server_side=True)
                far = ssl.create_default_context(cadata=self._ca).wrap_socket(far, server_hostname=host)
            self._open += [near, far]
            with near, far:
                self._relay(near, far)

    @staticmethod
    def _relay(near: socket.socket, far: socket.socket) -> None:
        """Bytes both ways in one thread, since a TLS connection must not be read and written by two at once."""
        other = {near: far, far: near}
        while True:
            held = [side for side in other if isinstance(side, ssl.SSLSocket) and side.pending()]
            for side in held or select.select(list(other), [], [], 60)[0]:
                side.settimeout(0.05)  # what arrived may have been no data, only a TLS message
                try:
                    data = side.recv(65536)
                except TimeoutError:
                    continue
                if not data:
                    return
                other[side].settimeout(10)
                other[side].sendall(data)
