"""What one running container uses, through the engine: processor, memory, network.

Owns reading the engine's figures and putting them into ours. Sources: Docker Engine API 1.41 to 1.51, ContainerStats; Podman's compatible call gives the
same fields. Asked without streaming, the engine itself waits about a second between its two readings.
"""

from __future__ import annotations

import time

from penstock.agent.runtimes import RuntimeFault
from penstock.agent.runtimes.engine import EngineError, fault_of
from penstock.wire.codec import canonical

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from penstock.agent.runtimes.engine import EngineClient

WAIT_S = 15.0
BETWEEN_S = 1.0


def usage(client: EngineClient, version: str, container: str) -> str:
    """The figures of one container as canonical JSON text. Raises RuntimeFault "not-running" for one without any."""

    def read() -> Any:
        return client.call("GET", f"{version}/containers/{container}/stats?stream=false", "reading what a container uses", timeout_s=WAIT_S)

    try:
        plain = read()
        if isinstance(plain, dict) and not _number(_dict(plain, "precpu_stats"), "system_cpu_usage"):
            first = _dict(plain, "cpu_stats")  # the engine told one reading only: take the other ourselves
            time.sleep(BETWEEN_S)
            plain = {**read(), "precpu_stats": first}
    except EngineError as error:
        raise fault_of(error) from None
    return canonical(figures(plain)).decode("ascii")


def figures(plain: Any) -> dict[str, int]:
    """The engine's answer in our words: `cpu_permille` of one processor between two readings, bytes of memory without what the kernel may drop."""
    now, before, memory = _dict(plain, "cpu_stats"), _dict(plain, "precpu_stats"), _dict(plain, "memory_stats")
    if not _number(memory, "usage") and not _number(_dict(now, "cpu_usage"), "total_usage"):
        raise RuntimeFault("not-running", "the container does not run, so it uses nothing", retry=False)
    used = _number(_dict(now, "cpu_usage"), "total_usage") - _number(_dict(before, "cpu_usage"), "total_usage")
    span = _number(now, "system_cpu_usage") - _number(before, "system_cpu_usage")
    cores = _number(now, "online_cpus") or len(_dict(now, "cpu_usage").get("percpu_usage") or ()) or 1
    details = _dict(memory, "stats")
    droppable = _number(details, "inactive_file") or _number(details, "total_inactive_file")
    networks = [one for one in _dict(plain, "networks").values() if isinstance(one, dict)]
    return {
        "cpu_permille": max(0, used * cores * 1000 // span) if span > 0 else 0,
        "memory_bytes": max(0, _number(memory, "usage") - droppable),
        "memory_limit_bytes": _number(memory, "limit"),
        "processes": _number(_dict(plain, "pids_stats"), "current"),
        "received_bytes": sum(_number(one, "rx_bytes") for one in networks),
        "sent_bytes": sum(_number(one, "tx_bytes") for one in networks),
    }


def _dict(plain: Any, key: str) -> dict[str, Any]:
    found = plain.get(key) if isinstance(plain, dict) else None
    return found if isinstance(found, dict) else {}


def _number(plain: dict[str, Any], key: str) -> int:
    found = plain.get(key)
    return int(found) if isinstance(found, (int, float)) and 0 <= found < 2**63 else 0
