"""Whose business a piece of news is: what a page that listens is told of.

Owns that one question. News carry a topic and the id of what changed (`effects.live`); who may not see that thing does not hear that it changed.
"""

from __future__ import annotations

from penstock.server.actions import visible
from penstock.server.actions.context import Plane
from penstock.server.core import rights
from penstock.server.core.access import require
from penstock.server.core.errors import missing
from penstock.server.core.images import app_of
from penstock.server.core.model import Actor
from penstock.server.core.rights import Reach, Target
from penstock.server.effects.live import Note
from penstock.server.store import deployments, devices, enrolments, events, groups, join_tokens, rollouts, sites
from penstock.server.store.db import Tx

# What a page may listen to, and the verb that lets it. "device" and "rollout" name one: "device/dev_...".
TOPICS = {
    "fleet": "devices.read",
    "device": "devices.read",
    "enrolments": "enrolments.read",
    "deployments": "deployments.read",
    "rollout": "deployments.read",
    "groups": "groups.read",
    "events": "events.read",
    "mirrors": "images.pull",
    "registry": "images.pull",
}


def listen(plane: Plane, actor: Actor, topic: str) -> None:
    """Raises Forbidden, Missing unless the actor may listen to a topic; an unknown topic is a KeyError."""
    noun, _, which = topic.partition("/")
    reach = require(actor, TOPICS[noun])
    if which and not reach.whole and not plane.db.view(lambda tx: _seen(tx, actor, reach, noun, which)):
        raise missing(noun, which)


def concerns(plane: Plane, actor: Actor, note: Note) -> bool:
    """Whether an actor who listens to its topic is told of `note`."""
    noun = note.topic.partition("/")[0]
    if noun not in TOPICS:  # "resync": read anew
        return True
    reach = rights.reach(actor.rights, TOPICS[noun])
    if reach.whole:
        return True
    if noun == "events":
        return plane.db.view(lambda tx: any(one.number == note.event_number for one in events.after(tx, reach, note.event_number - 1, "", 1)))
    return plane.db.view(lambda tx: _seen(tx, actor, reach, noun, note.key))


def _seen(tx: Tx, actor: Actor, reach: Reach, noun: str, key: str) -> bool:
    if noun in ("fleet", "device"):
        return devices.find(tx, reach, key) is not None or sites.find(tx, reach, key) is not None
    if noun == "mirrors":  # by the app their repository belongs to
        return reach.covers(rights.Target(app=key))
    if noun == "registry":
        return reach.covers(Target(app=app_of(key)))
    if noun == "groups":
        return groups.find(tx, reach, key) is not None
    if noun == "enrolments":
        return enrolments.by_id(tx, reach, key) is not None or join_tokens.by_id(tx, reach, key) is not None
    rollout = rollouts.by_id(tx, key)
    found = deployments.find(tx, rollout.deployment if rollout is not None else key)
    if found is None:  # a release of an app
        seen = visible.apps_seen(tx, actor) if rights.reach(actor.rights, "apps.read") else frozenset()
        return seen is None or key in seen
    return bool(visible.deployments_seen(tx, actor, (found,)))
