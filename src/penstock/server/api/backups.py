"""The handler for backups: it begins one, and the answer is the stream that it comes by."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from penstock.server.actions import backups
from penstock.server.api.frame import Answer

if TYPE_CHECKING:
    from penstock.server.api.frame import Call


def make(call: Call) -> Answer:
    """A backup of this control plane, sealed for the holder of the key: it opens with `penstock-server restore --backup-key`. It ends with the SHA-256 of all
    that stands before; one without that is not whole."""
    feed = backups.begin(call.plane, call.actor, key=call.body.key, images=call.body.images)
    name = time.strftime("penstock-%Y%m%d-%H%M%S.sealed", time.gmtime(call.plane.clock.now_ms() / 1000))
    return Answer(feed.pieces(), headers={"Content-Disposition": f'attachment;filename="{name}"'})
