"""What changes from one state to the next, told to people. The comparison of whole releases is met in test_release.py."""

from __future__ import annotations

from penstock.server.core.difference import between_states
from penstock.wire.options import File
from penstock.wire.types import AppState, Service


def test_a_file_is_told_by_its_path_and_by_what_stands_in_it():
    def state(*files):
        return AppState("a", "d", "sha256:" + "0" * 64, "1", (Service("web", "i", files=files),))

    one = state(File("/etc/app.conf", "YQ=="), File("/run/secrets/pw", secret="PW", version="1"))
    two = state(File("/etc/app.conf", "YWI=", mode=0o400), File("/run/secrets/pw", secret="PW", version="2"))
    (part,) = between_states(one, two).services
    assert part.restarts
    told = {change.field: (change.before, change.after) for change in part.changes}
    assert set(told) == {"files./etc/app.conf", "files./run/secrets/pw"}
    assert told["files./etc/app.conf"][0].startswith("1 bytes, ")
    assert told["files./etc/app.conf"][1].startswith("2 bytes, ")
    assert told["files./run/secrets/pw"] == ("the secret PW, version 1", "the secret PW, version 2")
