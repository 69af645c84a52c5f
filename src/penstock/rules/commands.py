"""Commands from the plane are done at most once.

Owns the judgement of one command: carry it out, refuse it, or own up that nobody knows. Doing it, and its ledger note, are the agent's.
"""

from __future__ import annotations

from penstock.wire.messages import Command
from penstock.wire.record import record

CHANGING = ("restart", "revert")  # these are changes and meet the gates
ASKING = ("logs", "inspect", "prune")  # these need the engine and change nothing that runs


@record
class Judgement:
    """`verdict`: "do", "wait", or the outcome it ends with at once ("refused", "unknown"), with a reason."""

    CHOICES = {"verdict": ("do", "wait", "refused", "unknown", "failed")}

    verdict: str
    why: str = ""


def judge(command: Command, state: str, now_ms: int, clock: str) -> Judgement:
    """What becomes of a command. `state` is its note in the ledger: "begun" here means that a crash fell between doing and noting."""
    if state == "begun":
        return Judgement("unknown", "the agent was interrupted while it did this, so nobody knows whether it was done; it is not tried again")
    if now_ms > command.not_after_ms:
        return Judgement("refused", "it lapsed before the device received it or could carry it out")
    if clock != "trusted" and command.verb == "wipe":
        return Judgement("wait", "the device's clock cannot be trusted, so nobody can say whether this order has lapsed; it waits for the time from the plane")
    if clock != "trusted" and command.verb in CHANGING:
        return Judgement("refused", "the device's clock cannot be trusted, so nobody can say whether this order has lapsed")
    needs = {
        "restart": ("app", "service"),
        "revert": ("app",),
        "logs": ("app", "service"),
        "inspect": ("app", "service"),
        "accept-pin": ("app",),
        "wipe": ("data",),
    }
    for name in needs.get(command.verb, ()):
        if not command.arguments.get(name):
            return Judgement("refused", f"the command {command.verb} needs the argument {name}")
    return Judgement("do")
