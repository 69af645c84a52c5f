"""Checks the agent makes itself over the network: HTTP and TCP. Owns one attempt each and its sentence; how often, how many failures count
and what follows is decided elsewhere."""

from __future__ import annotations

from penstock.agent.http1 import Connection, HttpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from penstock.wire.types import Probe

MAX_BODY = 65536


def reach(places: tuple[tuple[str, int], ...], probe: Probe) -> str:
    """Try each (address, port) in turn; empty when one passed, else the last reason. One time-out covers each attempt."""
    if not places:
        return f"the container has no address and publishes no port {probe.port}, so it cannot be asked"
    why = ""
    for address, port in places:
        why = _http(address, port, probe) if probe.kind == "http" else _tcp(address, port, probe)
        if not why:
            return ""
    return why


def _connect(address: str, port: int, timeout_s: float) -> Connection:
    import socket

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        sock.connect((address, port))
    except BaseException:
        sock.close()
        raise
    return Connection(sock, f"[{address}]:{port}" if ":" in address else f"{address}:{port}", timeout_s)


def _tcp(address: str, port: int, probe: Probe) -> str:
    try:
        _connect(address, port, probe.timeout_ms / 1000).close()
    except OSError as fault:
        return f"no connection to port {probe.port} ({address}:{port}): {_reason(fault)}"
    return ""


def _http(address: str, port: int, probe: Probe) -> str:
    where = f"http://{address}:{port}{probe.path}"
    try:
        with _connect(address, port, probe.timeout_ms / 1000) as connection:
            answer = connection.request("GET", probe.path, {"Connection": "close", "User-Agent": "penstock"}, timeout_s=probe.timeout_ms / 1000)
            status = answer.status
    except OSError as fault:
        return f"no connection to {where}: {_reason(fault)}"
    except HttpError as fault:
        return f"{where}: {fault.why}"
    except ValueError as fault:
        return f"the probe's path cannot be asked for: {fault}"
    return "" if 200 <= status < 400 else f"{where} answered {status}; 200 to 399 was wanted"


def _reason(fault: OSError) -> str:
    return "timed out" if isinstance(fault, TimeoutError) or type(fault).__name__ == "timeout" else (fault.strerror or str(fault))
