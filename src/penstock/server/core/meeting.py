"""Two changes that want one device: which goes on, and what the other is told.

Owns the rule for two rollouts of one app (`meeting`) and the turn of several apps on one device (`turn`). Never changes either.

    of one deployment            the newer one supersedes the older, also a paused or halted one: the repaired release is the way out of a halt
    of one, and the older one    the newer is refused until the older has ended: two at once would leave nobody knowing what runs
      is aborting or goes back
    of two deployments           the one that has the app on the device keeps it; the other is refused there
    the device has begun         it ends what it has begun, or goes back from it; the newer order is next
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.server.core.courses import ABORTING

REFUSED, SUPERSEDES, BESIDE = "refused", "supersedes", "beside"


@dataclass(frozen=True, slots=True)
class Moving:
    """A rollout on one device. `back`: it undoes another. `begun`: the device has begun with it. `has_it`: its deployment has the app on the device."""

    rollout: str
    deployment: str
    app: str
    state: str
    started_ms: int
    back: bool = False
    begun: bool = False
    has_it: bool = False


@dataclass(frozen=True, slots=True)
class Meeting:
    """How it ends: `outcome` is the newer one's: refused, supersedes, beside (they do not meet). A sentence for each side; `after`: the newer one waits until the
    device has ended what it has begun."""

    outcome: str
    old_told: str
    new_told: str
    after: bool = False


def meeting(old: Moving, new: Moving) -> Meeting:
    """Two rollouts on one device, the older one first."""
    if old.app != new.app:
        return Meeting(BESIDE, "", f"another app is being changed on this device (rollout {old.rollout}); they take turns", after=old.begun)
    if old.deployment != new.deployment:
        if old.has_it or not new.has_it:
            return Meeting(REFUSED, f"rollout {new.rollout} of another deployment wanted this app here and was refused", _first_came(old))
        return Meeting(SUPERSEDES, f"another deployment has this app here and rollout {new.rollout} changes it", "", after=old.begun)
    if old.state == ABORTING or old.back:
        doing = "goes back" if old.back else "is being aborted"
        told = f"rollout {old.rollout} {doing} on this device; start this one when that has ended, or excuse the device there"
        return Meeting(REFUSED, f"rollout {new.rollout} was refused until this one has ended", told)
    after = "; the device ends what it has begun first" if old.begun else ""
    return Meeting(
        SUPERSEDES, f"a newer rollout ({new.rollout}) of the same deployment took over{after}", f"takes over from rollout {old.rollout}{after}", after=old.begun
    )


def _first_came(old: Moving) -> str:
    return f"deployment {old.deployment} has this app on this device (rollout {old.rollout}); withdraw it there first"


def turn(moving: Sequence[Moving]) -> tuple[str, dict[str, str]]:
    """Whose turn it is on one device, and why the others wait: what has begun goes first, then the oldest. Empty where nobody wants anything."""
    if not moving:
        return "", {}
    row = sorted(moving, key=lambda one: (not one.begun, one.started_ms, one.app, one.rollout))
    first = row[0]
    doing = "is being changed" if first.begun else "comes first"
    return first.rollout, {one.rollout: f"{first.app} {doing} on this device (rollout {first.rollout}); apps take turns there" for one in row[1:]}
