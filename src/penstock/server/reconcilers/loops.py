"""The reconcilers of this plane: each a name, a rhythm and one action."""

from __future__ import annotations

from collections.abc import Callable

from penstock.server.actions import commands, faults, housekeeping, images, inventory, mirrors, notices, retiring, rollouts, states
from penstock.server.actions.context import Plane
from penstock.server.reconcilers.driver import Reconciler


def all_of(plane: Plane, renew_certificate: Callable[[], bool]) -> tuple[Reconciler, ...]:
    """All of them. `renew_certificate` looks at the server's certificate and replaces it when it is due; whether it did."""

    def owed() -> bool:
        return states.pay(plane) > 0

    def news() -> bool:
        rollouts.tick_dirty(plane)
        return False

    def running() -> bool:
        rollouts.tick_running(plane)
        return False

    def heartbeats() -> bool:
        housekeeping.write_heartbeats(plane)
        return False

    def liveness() -> bool:
        housekeeping.judge_liveness(plane)
        return False

    def lapsed() -> bool:
        commands.expire(plane)
        retiring.settle(plane)
        return False

    def sweep() -> bool:
        return housekeeping.sweep(plane) >= housekeeping.SWEPT

    def registry() -> bool:
        images.sweep(plane)
        return False

    def copies() -> bool:
        return mirrors.copy_next(plane)

    def looks() -> bool:
        mirrors.check_due(plane)
        return False

    def contents() -> bool:
        inventory.index(plane)
        return False

    def judge() -> bool:
        faults.mark(plane)
        notices.decide_all(plane)
        return False

    def carry() -> bool:
        return notices.deliver(plane) > 0

    def certificate() -> bool:
        renew_certificate()
        return False

    return (
        Reconciler("states", owed, 30.0),
        Reconciler("rollouts", news, 30.0),
        Reconciler("rollouts-all", running, 60.0),
        Reconciler("heartbeats", heartbeats, 10.0),
        Reconciler("liveness", liveness, 15.0),
        Reconciler("commands", lapsed, 30.0),
        Reconciler("retention", sweep, 3600.0),
        Reconciler("images", registry, 6 * 3600.0),
        Reconciler("copies", copies, 60.0),
        Reconciler("mirrors", looks, 900.0),
        Reconciler("inventory", contents, 600.0),
        Reconciler("faults", judge, 15.0),
        Reconciler("notices", carry, 5.0),
        Reconciler("certificate", certificate, 3600.0),
    )
