"""One step of a change, as data: what is to be done to the engine next, and why.

Owns the kinds of steps and their fields. `plan` chooses them, the agent's hands carry them out; both directions survive a crash, because
every step can be done again and its effect be seen. Never holds policy.
"""

from __future__ import annotations

from penstock.wire.record import record

KINDS = (
    "image",  # bring a service's image into the engine, out of our own blobs
    "stop",  # stop a container
    "snapshot",  # copy a volume's data into a snapshot file
    "remove",  # remove a container
    "network",  # make a network
    "volume",  # make a volume (notes first whether data lies in it already)
    "create",  # make a container, not started
    "start",  # start a container
    "restore",  # make a volume anew and fill it from a snapshot
    "remove-network",
    "remove-volume",
    "remove-image",  # take away our tag of a variant, and with it the image where nothing else needs it
    "restart",  # stop and start a container, for a command
)


@record
class Step:
    """One act. Which fields count follows from `kind`: `container` is the engine's id, `token` the intent written to the ledger before a
    container is made, `name` an engine name of a volume or network or an image tag, `snapshot` a snapshot's name. `content` tells which
    release of the app `service` and `image` are to be looked up in. `change` is empty for a step that is no change (starting
    what should be running)."""

    CHOICES = {"kind": KINDS}

    kind: str
    app: str
    why: str
    change: str = ""
    content: str = ""
    service: str = ""
    image: str = ""
    container: str = ""
    token: str = ""
    name: str = ""
    snapshot: str = ""
    grace_ms: int = 10_000
    signal: str = ""
