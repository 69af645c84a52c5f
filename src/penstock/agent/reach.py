"""From an endpoint, as the join string or signed state names it, to a connection for one synchronous conversation.

Owns the choice of the proxy on the way and the blocking connection that children and enrolment use. The resident link has its own
(`link`), on the same machine (`dial`).
"""

from __future__ import annotations

import time

from penstock.agent.built import BUILT_MS
from penstock.agent.dial import DialError, Target, dial_now
from penstock.agent.http1 import Connection
from penstock.agent.proxy import proxy_for
from penstock.agent.tls import Context, TlsError
from penstock.wire.codec import WireError
from penstock.wire.urls import read_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.wire.messages import Endpoint


OFF_MS = 300_000


def target_of(endpoint: Endpoint, environment: Mapping[str, str]) -> Target:
    """Where an endpoint leads: its own proxy, else the environment's, else straight. Raises WireError."""
    url = read_url(endpoint.url)
    return Target(url, read_url(endpoint.proxy, ("http",), "proxy") if endpoint.proxy else proxy_for(url, environment))


def judge_at_s(device_ms: int, wall_ms: int) -> int:
    """The time to judge certificates at, in unix seconds: the device's own time (never below its floor) where the system clock is off by
    more than five minutes, else 0 (the system clock serves)."""
    return device_ms // 1000 if abs(device_ms - wall_ms) > OFF_MS else 0


def first_judge_at_s() -> int:
    """The same before any signed time has been heard: it cannot be earlier than the build."""
    wall_ms = int(time.time() * 1000)
    return judge_at_s(max(wall_ms, BUILT_MS), wall_ms)


def connect(endpoint: Endpoint, environment: Mapping[str, str], at_s: int = 0, timeout_s: float = 30.0) -> tuple[Connection, str]:
    """A connection to the plane and the path its address begins with; `at_s` as `judge_at_s` gives it. Raises DialError."""
    try:
        target = target_of(endpoint, environment)
        context = Context(endpoint.ca, at_s)
    except WireError as fault:
        raise DialError(str(fault)) from None
    except TlsError as fault:
        raise DialError(f"{endpoint.url}: {fault.why}") from None
    stream = dial_now(target, context, timeout_s=timeout_s)
    return Connection(stream, target.url.authority(), idle_s=timeout_s), target.url.path
