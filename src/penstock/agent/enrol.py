"""Becoming a member of a fleet: the keys are made here, the question is asked and asked again, and the answer is verified before it is kept.

Owns the conversation with /d/v1/enrol and its resumption after any interruption. Nothing the plane says is believed before its root has
the hash that the join string carries and the admission is signed under that root. Never decides who may join; that is a person's,
in the waiting room.
"""

from __future__ import annotations

import time

from penstock import crypto
from penstock.agent import identity
from penstock.agent.dial import DialError
from penstock.agent.endpoints import Book
from penstock.agent.facts import facts
from penstock.agent.http1 import HttpError
from penstock.agent.identity import Pending
from penstock.agent.places import read_file, write_file
from penstock.agent.reach import connect, first_judge_at_s
from penstock.wire.codec import WireError, decode, encode, parse
from penstock.wire.envelope import payload_type, seal
from penstock.wire.join import parse_join
from penstock.wire.messages import Endpoint, EnrolReply, EnrolRequest
from penstock.wire.record import record
from penstock.wire.trust import Refusal, accept_admission, fingerprint
from penstock.wire.types import name_fault
from penstock.wire.urls import read_url
from penstock.wire.version import WIRE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.agent.identity import Keys
    from penstock.agent.places import Places
    from penstock.wire.messages import Engine

LEAST_S, MOST_S = 2, 60  # bounds of the plane's say over when to ask again
MAX_REPLY = 2 * 1024 * 1024


class EnrolError(Exception):
    """Enrolment cannot go on. `why` is a sentence; `final`: asking again with the same join string cannot help."""

    def __init__(self, why: str, *, final: bool) -> None:
        super().__init__(why)
        self.why = why
        self.final = final


@record
class Standing:
    """How one asking ended: "waiting" or "approved", with the plane's sentence, the fingerprint to compare, and when to ask again."""

    status: str
    why: str
    fingerprint: str
    retry_s: int = 0
    device: str = ""
    name: str = ""
    site: str = ""


def prepare(places: Places, join: str, name: str, *, replaces: bool = False, ca: tuple[str, ...] = (), proxy: str = "") -> Pending:
    """Check what was given, make the keys and remember the enrolment. Raises EnrolError, PlaceError, OSError.

    The same join string given again goes on with the same asking, so that an impatient person does not stand in the waiting room twice."""
    try:
        parse_join(join)
        if proxy:
            read_url(proxy, ("http",), "--proxy")
    except WireError as fault:
        raise EnrolError(str(fault), final=True) from None
    fault_of_name = name_fault(name)
    if fault_of_name:
        raise EnrolError(f"{name!r} is no name for a device: {fault_of_name}", final=True)
    places.prepare()
    identity.make_keys(places)
    before = identity.read_pending(places)
    nonce = before.nonce if before is not None and before.join == join and before.name == name else crypto.random_bytes(16).hex()
    pending = Pending(join, name, nonce, replaces, ca, proxy)
    identity.store_pending(places, pending)
    return pending


def endpoints_of(pending: Pending) -> tuple[Endpoint, ...]:
    """The addresses to ask at: the join string's, with certificates and proxy given by hand added to them."""
    join = parse_join(pending.join)
    return tuple(Endpoint(url, (*join.ca, *pending.ca), pending.proxy or join.proxy) for url in join.urls)


def ask(places: Places, pending: Pending, environment: Mapping[str, str], engine: Engine | None = None) -> Standing:
    """Ask once, at each address until one answers. On approval everything is verified and stored. Raises EnrolError."""
    keys = identity.read_keys(places)
    if keys is None:
        raise EnrolError(f"the keys under {places.identity} have gone; give the join string again", final=True)
    join = parse_join(pending.join)
    request = EnrolRequest(WIRE, join.token, pending.name, keys.sign_public, keys.seal_public, pending.nonce, facts(places.data, engine), pending.replaces)
    signer = (keys.keyid(), lambda message: crypto.sign(keys.sign_private, message))
    body = seal(payload_type("enrol"), encode(request), (signer,))
    endpoints = endpoints_of(pending)
    faults: list[str] = []
    for at, endpoint in enumerate(endpoints):
        try:
            reply = _post(endpoint, environment, body)
        except EnrolError as fault:
            if fault.final:
                raise
            faults.append(fault.why)
            continue
        return _judge(places, pending, keys, reply, (endpoint, *endpoints[:at], *endpoints[at + 1 :]))
    raise EnrolError("; ".join(faults), final=False)


def _post(endpoint: Endpoint, environment: Mapping[str, str], body: bytes) -> EnrolReply:
    try:
        connection, base = connect(endpoint, environment, first_judge_at_s())
        with connection:
            answer = connection.request("POST", f"{base}/d/v1/enrol", {"Content-Type": "application/json"}, body, timeout_s=60)
            raw = answer.read(MAX_REPLY)
    except DialError as fault:
        raise EnrolError(fault.why, final=False) from None
    except HttpError as fault:
        raise EnrolError(f"{endpoint.url}: {fault.why}", final=False) from None
    if answer.status != 200:
        raise _refused(endpoint, answer.status, raw)
    try:
        return decode(EnrolReply, raw, MAX_REPLY)
    except WireError as fault:
        raise EnrolError(f"{endpoint.url} gave no usable answer ({fault}); is this the address of a Penstock control plane?", final=False) from None


def _refused(endpoint: Endpoint, status: int, raw: bytes) -> EnrolError:
    """An RFC 9457 problem, or whatever it was, as a sentence. Only the plane's own refusals (400 to 499 with a code) are final."""
    try:
        problem = parse(raw, 65536)
    except WireError:
        problem = None
    if isinstance(problem, dict) and isinstance(problem.get("code"), str):
        words = problem.get("detail") or problem.get("title") or problem["code"]
        return EnrolError(f"the control plane refused: {str(words)[:500]}", final=400 <= status < 500 and status not in (408, 425, 429))
    return EnrolError(f"{endpoint.url} answered {status}; is this the address of a Penstock control plane?", final=False)


def _judge(places: Places, pending: Pending, keys: Keys, reply: EnrolReply, endpoints: tuple[Endpoint, ...]) -> Standing:
    print_ = fingerprint(keys.sign_public)
    if reply.status == "rejected":
        identity.forget_pending(places)
        raise EnrolError(f"the control plane rejected this device: {reply.why or 'no reason was given'}", final=True)
    if reply.status == "waiting":
        return Standing("waiting", reply.why, print_, min(max(reply.retry_s, LEAST_S), MOST_S))
    followed = identity.follow_roots(reply.roots, parse_join(pending.join).root)
    if isinstance(followed, Refusal):
        raise EnrolError(f"the control plane is not the one the join string names ({followed.reason}): {followed.why}", final=True)
    root, chain = followed
    admission = accept_admission(root, keys.keyid(), reply.admission.encode("utf-8"), crypto.verify)
    if isinstance(admission, Refusal):
        raise EnrolError(f"the admission is not acceptable ({admission.reason}): {admission.why}", final=True)
    write_file(places.endpoints, encode(Book(endpoints)))
    identity.store_member(places, reply.admission, chain)
    identity.forget_pending(places)
    return Standing("approved", reply.why, print_, 0, admission.device, admission.name, admission.site)


def wait(
    places: Places,
    pending: Pending,
    environment: Mapping[str, str],
    tell: Callable[[Standing | EnrolError], None],
    *,
    until_s: float | None = None,
    engine: Engine | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Standing:
    """Ask until the plane says yes; `tell` hears every answer and every passing fault. Raises EnrolError on a final no, or when
    `until_s` (monotonic seconds) has come; asking may then be taken up again later."""
    pause = float(LEAST_S)
    while True:
        try:
            standing = ask(places, pending, environment, engine)
        except EnrolError as fault:
            if fault.final:
                raise
            tell(fault)
            missing = f"not reached: {fault.why}; when that is mended"
            pause = min(pause * 2, float(MOST_S))
        else:
            tell(standing)
            if standing.status == "approved":
                return standing
            missing = "not approved yet; approve the device on the control plane, then"
            pause = float(standing.retry_s)
        if until_s is not None and time.monotonic() + pause > until_s:
            raise EnrolError(f"{missing} run: penstock-agent enroll", final=False)
        sleep(pause)


def read_book(places: Places) -> Book | None:
    """The addresses in use, None where none are stored. A damaged file counts as none: the accepted desired state names them too."""
    raw = read_file(places.endpoints)
    if raw is None:
        return None
    try:
        return decode(Book, raw)
    except WireError:
        return None


def write_book(places: Places, book: Book) -> None:
    """Keep the addresses. Raises OSError."""
    write_file(places.endpoints, encode(book))
