"""Rollouts for people: how far they are, which devices are in them, stopping one.

Owns reading and the one act. How a rollout moves is `rollouts`'.
"""

from __future__ import annotations

from penstock.server.actions import catalog, states, visible
from penstock.server.actions.context import Plane, bounded, make_cursor, note, read_cursor
from penstock.server.core.errors import Conflict, missing
from penstock.server.core.model import RUNNING, SETTLED, STOPPED, Actor, Rollout
from penstock.server.core.rights import Reach
from penstock.server.core.views import MemberRow, Page, RolloutView
from penstock.server.store import deployments
from penstock.server.store import rollouts as store
from penstock.server.store import states as state_store
from penstock.server.store.db import Tx


def view(tx: Tx, rollout: Rollout, reach: Reach) -> RolloutView:
    """A rollout with its counts, of the devices inside `reach`."""
    return RolloutView(rollout, store.counts(tx, reach, rollout.id))


def list_rollouts(plane: Plane, actor: Actor, *, deployment: str, cursor: str = "", limit: int = 50) -> Page[RolloutView]:
    """A deployment's rollouts, newest first. They grow with time, so the store cuts them."""
    after = read_cursor(cursor, int, str)
    most = bounded(plane, limit)

    def work(tx: Tx) -> Page[RolloutView]:
        of = visible.deployment(tx, actor, deployment)
        reach = visible.reach_into(actor, of.app)
        found = store.page_of(tx, of.id, (after[0], after[1]) if after else None, most + 1)
        last = found[most - 1] if len(found) > most else None
        return Page(tuple(view(tx, rollout, reach) for rollout in found[:most]), make_cursor(last.started_ms, last.id) if last is not None else "")

    return plane.db.view(work)


def _get(tx: Tx, actor: Actor, rollout: str) -> tuple[Rollout, str]:
    """The rollout and the app it moves. Raises Missing for what the actor may not see."""
    found = store.by_id(tx, rollout)
    of = deployments.find(tx, found.deployment) if found is not None else None
    if found is None or of is None or not visible.deployments_seen(tx, actor, (of,)):
        raise missing("rollout", rollout)
    return found, of.app


def get_rollout(plane: Plane, actor: Actor, *, rollout: str) -> RolloutView:
    """One rollout."""

    def work(tx: Tx) -> RolloutView:
        found, app = _get(tx, actor, rollout)
        return view(tx, found, visible.reach_into(actor, app))

    return plane.db.view(work)


def members(plane: Plane, actor: Actor, *, rollout: str, state: str = "", cursor: str = "", limit: int = 50) -> Page[MemberRow]:
    """The devices of a rollout, by id."""
    after = read_cursor(cursor, str)
    most = bounded(plane, limit)

    def work(tx: Tx) -> Page[MemberRow]:
        _, app = _get(tx, actor, rollout)
        found = store.page(tx, visible.reach_into(actor, app), rollout, state, after[0] if after else "", most + 1)
        rows = tuple(MemberRow(member, name, catalog.site_name(plane, tx, site), liveness) for member, name, site, liveness in found[:most])
        return Page(rows, make_cursor(rows[-1].member.device) if len(found) > most else "")

    return plane.db.view(work)


def stop_rollout(plane: Plane, actor: Actor, *, rollout: str, reason: str) -> RolloutView:
    """Stop it where it stands: no more leave is given, and the leave already given lapses. What was applied stays."""

    def work(tx: Tx) -> RolloutView:
        found, app = _get(tx, actor, rollout)
        if found.state != RUNNING:
            raise Conflict("rollout-ended", f"the rollout is {found.state} already")
        open_ones = [member for member in store.members_of(tx, found.id) if member.state not in SETTLED]
        visible.permit_deploying(tx, actor, app, [member.device for member in open_ones])
        state_store.drop_leaves(tx, [(member.device, member.app) for member in open_ones])
        store.change(tx, found.id, state=STOPPED, why=f"stopped by {actor.name}: {reason}"[:1000], ended_ms=plane.clock.now_ms())
        note(
            plane,
            tx,
            actor,
            "rollout.stopped",
            found.id,
            app=app,
            reason=reason,
            data={"deployment": found.deployment},
            topics=[("deployments", found.deployment)],
        )
        states.owe(plane, tx, [member.device for member in open_ones])
        again, _ = _get(tx, actor, rollout)
        return view(tx, again, visible.reach_into(actor, app))

    return plane.db.update(work)
