"""Checks the agent makes itself over the network: HTTP and TCP. Owns one attempt each and its sentence, and that many are made side by side; how often, how
many failures count and what follows is decided elsewhere."""

from __future__ import annotations

import errno
import time

from penstock.agent.http1 import Connection, HttpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.rules.observed import ObservedContainer
    from penstock.wire.types import Probe

MAX_BODY = 65536
AT_ONCE = 8


def side_by_side(asked: Sequence[tuple[tuple[tuple[str, int], ...], Probe]]) -> list[str]:
    """`reach` for each, in their order. A service that does not answer costs one time-out, not one for each service beside it."""
    if len(asked) < 2:
        return [reach(where, probe) for where, probe in asked]
    from threading import Thread

    left = list(range(len(asked)))[::-1]
    said = ["the check was not made"] * len(asked)

    def work() -> None:
        while True:
            try:
                number = left.pop()
            except IndexError:
                return
            said[number] = reach(*asked[number])

    workers = [Thread(target=work, daemon=True) for _ in range(min(AT_ONCE, len(asked)))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return said


def places(seen: ObservedContainer, probe: Probe) -> tuple[tuple[str, int], ...]:
    """Where a container's port may be found, (address, port): its addresses in the order they were seen in, what it publishes, the host where that is its
    network."""
    published = (port for port in seen.settings.ports if port.container == probe.port and port.protocol == "tcp" and port.host)
    found = [(address, probe.port) for address in seen.addresses.values()]
    found += [(port.host_ip or "127.0.0.1", port.host) for port in published]
    return (*found, ("127.0.0.1", probe.port)) if seen.settings.options.network_mode == "host" else tuple(found)


def reach(places: tuple[tuple[str, int], ...], probe: Probe) -> str:
    """Try each (address, port) until one takes the connection; what comes over it is the answer. Empty when the probe passed, else the last reason. The
    probe's time-out covers all of it, and no address that swallows connections takes more than its share."""
    if not places:
        return f"the container has no address and publishes no port {probe.port}, so it cannot be asked"
    until = time.monotonic() + probe.timeout_ms / 1000
    why = ""
    for number, (address, port) in enumerate(places):
        left = max(until - time.monotonic(), 0.001)
        try:
            connection = _connect(address, port, left / (len(places) - number))
        except OSError as fault:
            what = f"http://{address}:{port}{probe.path}" if probe.kind == "http" else f"port {probe.port} ({address}:{port})"
            why = f"no connection to {what}: {_reason(fault)}"
            continue
        with connection:
            return _http(connection, f"http://{address}:{port}{probe.path}", probe, until) if probe.kind == "http" else ""
    return why


def _connect(address: str, port: int, timeout_s: float) -> Connection:
    import socket

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A container is asked on a network this device stands in, never by way of a router: for an address of an internal network the router may know
        # somebody else, who would answer for it.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE, 1)
        sock.settimeout(timeout_s)
        sock.connect((address, port))
    except BaseException:
        sock.close()
        raise
    return Connection(sock, f"[{address}]:{port}" if ":" in address else f"{address}:{port}", timeout_s)


def _http(connection: Connection, where: str, probe: Probe, until: float) -> str:
    left = max(until - time.monotonic(), 0.001)
    try:
        status = connection.request("GET", probe.path, {"Connection": "close", "User-Agent": "penstock"}, timeout_s=left).status
    except OSError as fault:
        return f"no answer from {where}: {_reason(fault)}"
    except HttpError as fault:
        return f"{where}: {fault.why}"
    except ValueError as fault:
        return f"the probe's path cannot be asked for: {fault}"
    return "" if 200 <= status < 400 else f"{where} answered {status}; 200 to 399 was wanted"


def _reason(fault: OSError) -> str:
    if fault.errno == errno.ENETUNREACH:
        return "this device has no way into that network; use a command probe there, or publish the port"
    return "timed out" if isinstance(fault, TimeoutError) or type(fault).__name__ == "timeout" else (fault.strerror or str(fault))
