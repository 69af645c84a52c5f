"""The agent, made to die: `python -I -S dying.py PROGRAM run ...` is the real agent (zipapp or source folder) that kills itself (SIGKILL) at chosen moments.

Owns the moments only: right after the ledger was written, and right after the engine did a step and before the agent took note of it. The environment
says which. PENSTOCK_DIE_AT=n: the n-th moment of this process. PENSTOCK_DIE_EACH=file: every moment that differs from those the file names, which
it is added to first, so that agents started one after the other die once at each. PENSTOCK_DIE_ON=text: the first moment whose name holds the text.
Without any nothing dies. Started by the tests, standard library only.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any


class Moments:
    """Counts or remembers moments, and dies."""

    def __init__(self) -> None:
        self.at = int(os.environ.get("PENSTOCK_DIE_AT", "0"))
        self.file = Path(os.environ["PENSTOCK_DIE_EACH"]) if "PENSTOCK_DIE_EACH" in os.environ else None
        self.on = os.environ.get("PENSTOCK_DIE_ON", "")
        self.seen = 0

    def come(self, name: str) -> None:
        self.seen += 1
        if (self.at and self.seen == self.at) or (self.on and self.on in name):
            self.die(name)
        if self.file:
            known = set()
            if self.file.exists():
                known = set(self.file.read_text(encoding="utf-8").splitlines())
            if name not in known:
                with self.file.open("a", encoding="utf-8") as out:
                    out.write(name + "\n")
                self.die(name)

    def die(self, name: str) -> None:
        sys.stderr.write(f"dying at {name}\n")
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGKILL)


def shape(book: Any) -> str:
    """What the ledger says of the apps and commands, without the stopwatches and counters that creep."""
    said = []
    for memory in book.apps:
        change = memory.change
        parts = [memory.app, memory.running[7:13]]
        if change is not None:
            parts += [change.kind, change.stage, change.target[7:13], "touched" if change.touched else "", ",".join(change.replaced), str(len(change.restored))]
        parts += sorted(f"{unit.service}:{unit.content[7:13]}:{bool(unit.container)}:{bool(unit.booted)}" for unit in memory.units)
        parts += [note.name for note in memory.networks] + [note.name for note in memory.volumes]
        parts += [f"{copy.volume}@{copy.content[7:13]}" for copy in memory.snapshots] + sorted(memory.images)
        said.append(" ".join(parts))
    said += [f"{note.command.verb} {note.state}" for note in book.commands]
    return " | ".join(said)


def main() -> int:
    sys.argv = sys.argv[1:]
    sys.path.insert(0, sys.argv[0])
    from penstock.agent import __main__ as program
    from penstock.agent.brain import Brain
    from penstock.agent.ledger import Ledger
    from penstock.agent.work import ApplyStep, RunCommand

    if sys.argv[1:2] == ["run"]:
        moments = Moments()
        save, done = Ledger.save, Brain.done
        last = [""]

        def saved(self: Any, book: Any) -> bool:
            good: bool = save(self, book)
            now = shape(book)
            if good and (moments.at or now != last[0]):
                last[0] = now
                moments.come("ledger: " + now)
            return good

        def ended(self: Any, work: Any, outcome: Any, now: Any) -> None:
            if isinstance(work, ApplyStep):
                step = work.step
                moments.come(f"engine: {step.app} {step.kind} {step.service} {step.name} {step.content[7:13]}")
            elif isinstance(work, RunCommand):
                moments.come(f"engine: {work.verb}")
            done(self, work, outcome, now)

        Ledger.save = saved  # type: ignore[method-assign]
        Brain.done = ended  # type: ignore[method-assign]
    return program.main()


if __name__ == "__main__":
    sys.exit(main())
