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


def target_of(endpoint: Endpoint, environment: Mapping[str, str]) -> Target:
    """Where an endpoint leads: its own proxy, else the environment's, else straight. Raises WireError."""
    url = read_url(endpoint.url)
    return Target(url, read_url(endpoint.proxy, ("http",), "proxy") if endpoint.proxy else proxy_for(url, environment))


def judge_at_s(floor_ms: int, wall_ms: int | None = None) -> int:
    """The time to judge certificates at, in unix seconds: the floor while the system clock is behind it, else 0 (the system clock serves)."""
    floor_ms = max(floor_ms, BUILT_MS)
    wall = int(time.time() * 1000) if wall_ms is None else wall_ms
    return floor_ms // 1000 if wall < floor_ms else 0


def connect(endpoint: Endpoint, environment: Mapping[str, str], floor_ms: int = 0, timeout_s: float = 30.0) -> tuple[Connection, str]:
    """A connection to the plane and the path its address begins with. Raises DialError."""
    try:
        target = target_of(endpoint, environment)
        context = Context(endpoint.ca, judge_at_s(floor_ms))
    except WireError as fault:
        raise DialError(str(fault)) from None
    except TlsError as fault:
        raise DialError(f"{endpoint.url}: {fault.why}") from None
    stream = dial_now(target, context, timeout_s=timeout_s)
    return Connection(stream, target.url.authority(), idle_s=timeout_s), target.url.path
