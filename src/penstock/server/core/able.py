"""Whether the agent and the engine of a device know what an app asks for, by what the device says of them.

Owns that judgement and its sentences: a device would refuse what they do not know, so it is not sent at all. Never judges room or clashes.
"""

from __future__ import annotations

from penstock.rules.engines import refusal
from penstock.wire.messages import Facts
from penstock.wire.types import AppState


def unable(state: AppState, facts: Facts) -> tuple[str, ...]:
    """Why this device cannot be given the app; nothing where it can, or where it has not said what engine it has."""
    found = []
    if state.wire > max(facts.reads, 1):
        reads = max(facts.reads, 1)
        found.append(
            f"its agent ({facts.agent}) is too old for this release: it reads version {reads} of the orders and this needs {state.wire}; update the agent"
        )
    if facts.engine is not None:
        found += [why for service in state.services if (why := refusal(service.name, service.options, facts.engine))]
    return tuple(found)
