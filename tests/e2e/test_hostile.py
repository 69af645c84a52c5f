"""Somebody between the device and the plane, with a certificate the device believes: what he may cost is time, never evidence or safety."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from penstock import crypto
from penstock.server.core.rootdoc import Holders, draft_of, first_draft, sign_first, sign_next
from penstock.server.effects.keys import HeldKey, key_path, read_key
from penstock.wire import messages as m
from penstock.wire.codec import decode, encode
from penstock.wire.envelope import open_unverified, payload_type, seal
from penstock.wire.record import replace
from penstock.wire.trust import read_root
from tests.e2e.elsewhere import Answer, Middle, Plane, poke, settle
from tests.e2e.house import House, eventually, free_port
from tests.e2e.recipes import release
from tests.engines import Engine
from tests.images import Images
from tools.oci import Image

TAKES = 2  # how often each lie is told


@pytest.fixture
def between(tmp_path: Path, images: Images, agent_program: list[str]) -> Iterator[tuple[House, Middle]]:
    """A house whose devices reach the plane through a man in the middle."""
    house = House(tmp_path, images, agent_program)
    port, listens = free_port(), free_port()
    plane = Behind(tmp_path / "plane", port=port, listens=listens)
    house.plane = plane
    plane.init()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    middle = None
    try:
        plane.known_as, plane.port, plane.url = port, listens, f"https://127.0.0.1:{listens}"  # the tests themselves talk to the plane directly
        plane.start()
        context.load_cert_chain(plane.data / "tls" / "server.pem")
        middle = Middle(plane, listens, context, port)
        plane.mint_token()
        plane.call("POST", "/sites", {"name": "lab"})
        plane.change("/settings", {"poll_s": 5})
        yield house, middle
    finally:
        house.close()
        if middle is not None:
            middle.close()


def signed(kind: str, value: Any, key: HeldKey, keyid: str = "") -> str:
    own, sign = key.signer()
    return seal(payload_type(kind), encode(value), ((keyid or own, sign),)).decode("ascii")


class Behind(Plane):
    """A plane that devices and Compose files know by another address than the one its registry is pushed to here."""

    known_as = 0

    def push(self, image: Image, reference: str, images: Any) -> str:
        return super().push(image, reference, images).replace(f":{self.port}/", f":{self.known_as}/", 1)


class Liar:
    """Answers polls with `lie(reply)` while told to, and remembers the last honest reply."""

    def __init__(self) -> None:
        self.lie: Callable[[m.StateReply], m.StateReply] | None = None
        self.ack: str | None = None  # said instead of every acknowledgement
        self.told = 0
        self.honest: list[m.StateReply] = []

    def __call__(self, path: str, _body: str, answer: Answer) -> Answer:
        status, headers, content = answer
        if path.startswith("/d/v1/report") and status == 200 and self.ack is not None:
            self.told += 1
            return status, headers, encode(replace(decode(m.ReportReply, content, 1 << 20), ack=self.ack))
        if not path.startswith("/d/v1/state") or status not in (200, 304):
            return answer
        if status == 200:
            self.honest.append(decode(m.StateReply, content, 16 << 20))
        if self.lie is None:
            return answer
        self.told += 1
        said = encode(self.lie(self.honest[-1]))
        return 200, {**headers, "etag": f'"lie-{self.told}"', "content-type": "application/json", "penstock-wait": "0"}, said


def test_a_man_in_the_middle_changes_nothing_and_is_seen(between: tuple[House, Middle], box: Engine) -> None:
    house, middle = between
    plane = house.plane
    liar = middle.tamper = Liar()
    release(house, "1", app="safe", soak=1)
    release(house, "2", app="safe", soak=1)
    agent = house.agent(box, "safe-1")
    settle(agent, lambda: agent.status().get("generation", 0) == 1, "it has taken its first document")
    deployment = plane.deploy("safe:1", ["safe-1"])["id"]
    plane.wait_app("safe-1", "safe", "1")
    settle(agent, lambda: agent.status()["log"]["acknowledged"] == agent.status()["log"]["newest"], "all is told")
    running = box.inspect("safe-writer-1")
    device = agent.status()["device"]
    first = next(reply for reply in liar.honest if reply.desired)
    honest = [reply for reply in liar.honest if reply.desired][-1]

    director = read_key(key_path(plane.data / "keys", "director"), "the director key")
    thief = HeldKey(crypto.generate_key())
    real: m.Desired = decode(m.Desired, open_unverified(honest.desired.encode(), 1 << 22)[1], 1 << 22)
    evil = replace(real, generation=real.generation + 5, apps=())
    now = int(time.time() * 1000)
    leave = m.Authorisation(1, "lv_evil", device, real.epoch, "safe", "sha256:" + "0" * 64, "rol_x", 1, now, now + 3_600_000)
    order = m.Command(1, "cmd_evil", device, real.epoch, "restart", now, now + 3_600_000, {"app": "safe", "service": "writer"})
    # The lies are signed once, since the same lie told twice is to be noted once.
    coup = read_root(open_unverified(sign_first(first_draft(Holders((thief.public,)), {"director": thief.public}, now + 10**11), (thief.signer(),)))[1])
    lapsed = replace(leave, issued_ms=now - 7_200_000, not_after_ms=now - 3_600_000)
    elsewhere = "dev_" + "b" * 26
    lies: dict[tuple[str, str], dict[str, Any]] = {
        ("desired", "unknown-key"): {"desired": signed("desired", evil, thief)},
        ("desired", "bad-signature"): {"desired": signed("desired", evil, thief, director.signer()[0])},
        ("desired", "malformed"): {"desired": honest.desired[:-40]},
        ("desired", "oversize"): {"desired": seal(payload_type("desired"), b" " * (4 * 1024 * 1024 + 1), (thief.signer(),)).decode("ascii")},
        # What follows bears the plane's own signature: stolen, or meant for somebody else, or of another day.
        ("desired", "wrong-device"): {"desired": signed("desired", replace(evil, device=elsewhere), director)},
        ("desired", "conflicting-content"): {"desired": signed("desired", replace(real, apps=()), director)},
        ("desired", "unknown-epoch"): {"desired": signed("desired", replace(evil, epoch=real.epoch + 1), director)},
        ("desired", "older-generation"): {"desired": first.desired},
        ("authorisation", "authorisation-lapsed"): {"authorisations": (signed("authorisation", lapsed, director),)},
        ("authorisation", "unknown-key"): {"authorisations": (signed("authorisation", leave, thief),)},
        ("command", "unknown-key"): {"commands": (signed("command", order, thief),)},
        ("command", "wrong-device"): {"commands": (signed("command", replace(order, device=elsewhere), director),)},
        ("root", "unknown-key"): {"roots": (sign_next(coup, draft_of(coup), (thief.signer(),)).decode("ascii"),)},
    }
    assert first.desired != honest.desired
    for fields in lies.values():
        liar.told, liar.lie = 0, partial(_instead, fields)
        settle(agent, lambda: liar.told >= TAKES, "the lie has been told")
    liar.lie = None
    seen = [(one["what"], one["reason"]) for one in agent.entries("refusal")]
    assert sorted(seen) == sorted(lies), "each once"
    after = box.inspect("safe-writer-1")
    assert (after["Id"], after["State"]["StartedAt"]) == (running["Id"], running["State"]["StartedAt"])
    assert agent.status()["generation"] == real.generation

    # Acknowledgements withheld and forged: the device keeps its log, and the whole of it comes up in the end.
    acknowledged = agent.status()["log"]["acknowledged"]
    for ack in ("", signed("ack", m.Ack(1, device, real.epoch, 10**6, "sha256:" + "0" * 64, now), thief)):
        liar.told, liar.ack = 0, ack
        agent.cli("retry", "safe", check=False)
        plane.call("POST", "/devices/safe-1/commands", {"verb": "inspect", "app": "safe", "service": "page"})
        settle(agent, lambda: liar.told >= TAKES, "a report was answered with a forged acknowledgement")
        assert agent.status()["log"]["acknowledged"] == acknowledged
    liar.ack = None
    settle(agent, lambda: agent.status()["log"]["acknowledged"] == agent.status()["log"]["newest"], "the honest one is believed")

    # Cut off from news, then let through: what was ordered meanwhile is done.
    liar.lie = lambda _reply: honest
    plane.redeploy(deployment, release="safe:2")
    liar.told = 0
    settle(agent, lambda: liar.told >= TAKES, "yesterday's answer has been repeated")
    assert agent.app("safe")["version"] == "1"
    liar.lie = None
    poke(agent)
    plane.wait_app("safe-1", "safe", "2")
    mine = [one for one in plane.timeline("safe-1") if one["source"] == "device"]
    numbers = [int(one["key"].rpartition("-")[2]) for one in mine]
    assert numbers == list(range(1, len(numbers) + 1))
    told = [json.loads(one["body"]) for one in mine if one["kind"] == "refusal"]
    assert {(one["what"], one["reason"]) for one in told} >= set(lies)
    eventually(box.containers, lambda names: [name for name in names if name.startswith("safe-")] == ["safe-page-1", "safe-writer-1"], 30)


def _instead(fields: dict[str, Any], reply: m.StateReply) -> m.StateReply:
    """The reply with some of it replaced."""
    changed: m.StateReply = replace(reply, **fields)
    return changed
