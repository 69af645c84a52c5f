"""Rules, ledger and device log with nothing but an interpreter: old Pythons, foreign processors, 32-bit integers of C."""

from __future__ import annotations

import sys
import time

from penstock.agent.asking import derive
from penstock.agent.devicelog import DeviceLog
from penstock.agent.ledger import Book, Ledger
from penstock.agent.memorydisk import MemoryDisk
from penstock.agent.tokens import Tokens
from penstock.rules.answers import Act, Circumstances, Turn, Wait
from penstock.rules.look import Look
from penstock.rules.memory import AppMemory
from penstock.rules.naming import keep_tag
from penstock.rules.observed import Observation, ObservedImage
from penstock.rules.order import start_order
from penstock.rules.pins import ROUNDS, fits
from penstock.rules.plan import plan
from penstock.wire.codec import decode, encode
from penstock.wire.log import Event, chain_fault
from penstock.wire.messages import Authorisation, LocalPerson
from penstock.wire.record import replace
from penstock.wire.types import AppState, Blob, Dependency, Image, Service, Variant, content_digest, sha256_of

DEVICE = "dev_" + "a" * 26
LATE_MS = 4_102_444_800_000  # the year 2100: past every 32-bit count of seconds


def digest(text: str) -> str:
    return sha256_of(text.encode())


def release() -> AppState:
    variant = Variant("linux/arm/v7", Blob(digest("m"), 1), Blob(digest("c"), 1), (Blob(digest("l"), 1),))
    services = (Service("web", "i", depends_on=(Dependency("db"),)), Service("db", "i"))
    return AppState("line", "dep_1", digest("r"), "1", services, images=(Image("i", (variant,)),))


def around(*leaves: Authorisation) -> Circumstances:
    return Circumstances(DEVICE, LATE_MS, 5_000, "boot", "chg_1", "tok_1", trust_until_ms=LATE_MS + 1, leaves=leaves)


def test_services_in_order() -> None:
    assert [service.name for service in start_order(release().services)] == ["db", "web"]


def test_a_plan_begins_only_with_leave_and_takes_one_step() -> None:
    state = release()
    content = content_digest(state)
    variant = state.images[0].variants[0]
    bare = Look(Observation(engine_ok=True), platforms=("linux/arm/v7",))
    answer = plan(AppMemory("line"), state, {content: state}, bare, around())
    assert isinstance(answer, Wait)
    assert len(answer.needs) == 3
    image = ObservedImage(variant.manifest.digest, variant.config.digest, variant.config.digest, (keep_tag("line", "i", variant),))
    held = replace(bare, seen=Observation(engine_ok=True, images=(image,)))
    answer = plan(AppMemory("line"), state, {content: state}, held, around())
    assert isinstance(answer, Wait)
    assert answer.reason == "no-authorisation"
    leave = Authorisation(1, "aut_1", DEVICE, 1, "line", content, "rol_1", 1, 0, LATE_MS + 1)
    answer = plan(AppMemory("line"), state, {content: state}, held, around(leave))
    assert isinstance(answer, Turn)
    answer = plan(answer.memory, state, {content: state}, held, around(leave))
    assert isinstance(answer, Act)
    assert (answer.step.kind, answer.step.service) == ("create", "db")
    assert decode(AppMemory, encode(answer.memory)) == answer.memory


def test_the_ledger_survives_a_cut() -> None:
    disk = MemoryDisk()
    ledger = Ledger(disk)
    assert ledger.save(Book(0, DEVICE, "00", signed_ms=LATE_MS))
    assert ledger.save(Book(0, DEVICE, "00", signed_ms=LATE_MS, boots=2))
    disk.truncate("ledger.b", 50)
    again = Ledger(disk)
    assert again.book is not None
    assert again.book.signed_ms == LATE_MS


def test_the_log_is_chained_and_names_what_was_cut() -> None:
    disk = MemoryDisk()
    log = DeviceLog(disk, 1, 0, "", 0)
    for number in range(5):
        log.add("event", Event("test", str(number)), LATE_MS, "trusted")
    assert log.flush(LATE_MS, "trusted")
    assert chain_fault(log.entries_after(0), 0, "") is None
    name = disk.names("log")[0]
    disk.truncate("log/" + name, len(disk.files["log/" + name]) - 3)
    again = DeviceLog(disk, 2, log.seq, log.head, 0)
    again.add("event", Event("test", "after"), LATE_MS, "trusted")
    assert again.flush(LATE_MS, "trusted")
    assert [entry.kind for entry in again.tail(2)] == ["gap", "event"]


def test_a_pins_proof_fits_everywhere() -> None:
    begun = time.monotonic()
    proof = derive("271828", "0f" * 16, ROUNDS)
    took_s = time.monotonic() - begun
    assert proof == "7d44939d12511d44f00b6fc4561cb57b23fa74c422329ac53adc57c9083e7138"
    assert fits(LocalPerson("per_a", "Anna", "0f" * 16, ROUNDS, "sha256:11dd6633515eb78d64b7caa48636b52c718e6ad675dd21e2c19714607ef2233d"), proof)
    print(f"a proof of {ROUNDS} rounds took {took_s:.2f} s", file=sys.stderr)


def test_tokens_are_the_same_everywhere() -> None:
    assert Tokens("00").token(1) == "tok_88bb61bfd8cd81b6457ce959bc"
    assert Tokens("00").change(7) == "chg_50861a4ba3966861c836ff6611"
