"""Who it is that acts at the device: a local person with a PIN, the machine's own user, or root without a PIN.

Owns that judgement and the count of wrong PINs in the ledger. What a PIN is and how waits grow is `rules.pins`; what is then done is `ordered`'s. No PIN
comes here: whoever asks sends what was derived from it.
"""

from __future__ import annotations

from penstock.agent.work import LocalReply
from penstock.rules import pins
from penstock.wire.log import Event, LocalAct
from penstock.wire.record import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from penstock.agent.mind import Mind
    from penstock.agent.work import Local, Moment
    from penstock.wire.messages import LocalPerson

WORDS = {"revert": "go back", "let-go": "let it be tried again"}


@record
class Who:
    """`by` is the name for sentences and receipts, `person` the id of a local person, `pin` as in `log.LocalAct`, `reason` what was given for it."""

    by: str
    person: str = ""
    pin: str = ""
    reason: str = ""

    def act(self, verb: str, why: str, app: str) -> LocalAct:
        """The entry of the device log for what was done."""
        return LocalAct(verb, self.by, f"{why}: {self.reason}" if self.reason else why, app, self.person, self.pin)


def people(mind: Mind, now: Moment) -> LocalReply:
    """Who may act here, with what a PIN's proof is derived from."""
    found = [
        {"id": one.id, "name": one.name, "may": list(one.may), "salt": one.salt, "rounds": one.rounds, "wait_s": -(-_left_ms(mind, one, now) // 1000)}
        for one in mind.book.people
    ]
    why = f"{len(found)} local people may act at this device" if found else "this site has no local people: root acts here, under the name of its user"
    return LocalReply(True, why, {"people": found})


def _left_ms(mind: Mind, person: LocalPerson, now: Moment) -> int:
    return pins.left_ms(mind.book.misses, person, now.mono_ms, now.boot_id, mind.started_ms)


def who(mind: Mind, request: Local, right: str, now: Moment) -> Who | LocalReply:
    """Who asks, or why that is not enough. `right` is one of `messages.LOCAL_ACTS`."""
    if not mind.book.people:
        return Who(request.by)
    if request.without_pin:
        return _without(request)
    able = [one for one in mind.book.people if right in one.may]
    if not request.person:
        names = ", ".join(one.name for one in able) or "nobody, by the site's list"
        why = f"say who you are, with your PIN: --as NAME ({names} may {WORDS[right]} here); root may go on with --without-pin --reason, which is on record"
        return LocalReply(False, why, {"needs": "pin"})
    found = [one for one in mind.book.people if request.person == one.id or request.person.casefold() == one.name.casefold()]
    if len(found) != 1:
        known = ", ".join(one.name for one in mind.book.people)
        return LocalReply(False, f"{len(found) or 'none'} of the local people of this site is called {request.person}; there is: {known}", {})
    return _by_pin(mind, found[0], right, request, now)


def _without(request: Local) -> Who | LocalReply:
    reason = request.reason.strip()
    if not reason:
        return LocalReply(False, "going on without a PIN needs a reason for the record: --reason 'why nobody with a PIN could'", {})
    return Who(f"{request.by} without a PIN", "", "without-pin", reason)


def _by_pin(mind: Mind, person: LocalPerson, right: str, request: Local, now: Moment) -> Who | LocalReply:
    if right not in person.may:
        return LocalReply(False, f"{person.name} may not {WORDS[right]} here; the list of the site's local people says who may: penstock-agent people", {})
    left = _left_ms(mind, person, now)
    if left:
        return LocalReply(False, f"there were too many wrong PINs for {person.name}; the next try is in {-(-left // 1000)} s", {"wait_s": -(-left // 1000)})
    if pins.fits(person, request.proof):
        mind.book = replace(mind.book, misses=pins.forgiven(mind.book.misses, person.id))  # to disk with what is now done
        return Who(person.name, person.id, "by-pin", request.reason.strip())
    before = mind.book
    mind.book = replace(before, misses=pins.missed(before.misses, person, now.mono_ms, now.boot_id))
    if not mind.save():  # a wrong PIN that is not counted could be tried for ever
        mind.book = before
        return LocalReply(False, f"the PIN cannot be judged while the agent's storage cannot be written: {mind.storage_fault()}", {})
    wait = -(-_left_ms(mind, person, now) // 1000)
    mind.say("event", Event("local.wrong-pin", f"a wrong PIN was given for {person.name}", data={"person": person.id, "user": request.by}), now)
    return LocalReply(False, f"the PIN is not {person.name}'s" + (f"; the next try is in {wait} s" if wait else "; try again"), {"wait_s": wait})
