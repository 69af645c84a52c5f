"""What one judgement of the rights costs, with ten thousand bindings.

Owns that number. Pure functions in this process, no plane; the time is the processor's.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from bench.place import NOTE, SHORT
from bench.results import Result
from penstock.server.core.rights import BUILT_IN, KINDS, VERBS, Allow, Binding, Part, Rights, Target, may, rights_of

KEYS = ("access.decide_us",)
BINDINGS = 10_000
ASKED = 2_000 if SHORT else 50_000


def measure(wanted: frozenset[str]) -> Iterator[Result]:
    """The number, the dearest of three subjects: all the bindings are somebody's own, a tenth of them, or a token's within its owner's."""
    if "access.decide_us" not in wanted:
        return
    dice = random.Random(3)
    bindings = [_binding(dice, number) for number in range(BINDINGS)]
    before = time.process_time()
    own = rights_of("own", bindings, BUILT_IN)
    making = (time.process_time() - before) * 1000
    few = rights_of("few", bindings[: BINDINGS // 10], BUILT_IN)
    token = rights_of("token", bindings[: BINDINGS // 2], BUILT_IN, within=own)
    costs = {name: _cost(rights, dice) for name, rights in (("own", own), ("a tenth", few), ("token", token))}
    told = ", ".join(f"{name} {cost:.1f}, {share:.0%} allowed" for name, (cost, share) in costs.items())
    how = (
        f"mean processor time of may() over {ASKED} targets, each with a site, a device, an app and four groups, and a verb drawn at random, refusals with their "
        f"reason included: {told}; the dearest is told; putting together the rights of who has all {BINDINGS} bindings took {making:.0f} ms, once for a session.{NOTE}"
    )
    yield Result("access.decide_us", max(cost for cost, _ in costs.values()), how)


def _binding(dice: random.Random, number: int) -> Binding:
    kind = dice.choice(KINDS[1:])
    return Binding(f"bnd_{number:05}", "own", dice.choice(sorted(BUILT_IN)), Part(kind, f"{kind}_{dice.randrange(5000)}"))


def _cost(rights: Rights, dice: random.Random) -> tuple[float, float]:
    verbs = sorted(VERBS)
    asked = [
        (
            dice.choice(verbs),
            Target(
                f"site_{dice.randrange(5000)}",
                f"device_{dice.randrange(5000)}",
                f"app_{dice.randrange(5000)}",
                frozenset(f"group_{dice.randrange(5000)}" for _ in range(4)),
            ),
        )
        for _ in range(ASKED)
    ]
    before = time.process_time()
    allowed = sum(isinstance(may(rights, verb, target), Allow) for verb, target in asked)
    return (time.process_time() - before) / len(asked) * 1e6, allowed / len(asked)
