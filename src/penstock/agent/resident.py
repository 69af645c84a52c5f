"""The resident agent put together: `penstock-agent run`.

Owns the composition (the only place that builds everything), the single instance, and the jobs that run in children. Whatever only a child
needs is imported in the child. Decides nothing.
"""

from __future__ import annotations

import fcntl
import gc
import os
import select

from penstock import __version__, crypto
from penstock.agent import identity, slots, stone
from penstock.agent.arguments import read
from penstock.agent.brain import Brain, Identity, Tools
from penstock.agent.built import BUILT_MS
from penstock.agent.children import Children
from penstock.agent.clock import Clock, mono_ms
from penstock.agent.control import Control
from penstock.agent.disk import RealDisk
from penstock.agent.endpoints import Book
from penstock.agent.facts import default_name, facts, nodes
from penstock.agent.journal import say
from penstock.agent.link import Link
from penstock.agent.loop import Loop, Options
from penstock.agent.places import DEFAULT, PlaceError, Places, read_file, write_file
from penstock.agent.rest import give_back
from penstock.agent.work import work_of
from penstock.wire.codec import WireError, decode, encode, to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from penstock.agent.children import Ended, Job
    from penstock.agent.hands import Hands
    from penstock.agent.identity import Member
    from penstock.agent.ledger import Wipe
    from penstock.agent.work import EngineWork, Fetch, Local, LocalReply

ENGINES = ("/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock")
FLAGS = {"--data-dir": True, "--engine": True, "--sparing": False, "--join": True, "--name": True}
NOT_ENROLLED = 4
FAILED = 1
_FOREVER_MS = 10 * 365 * 86_400_000


def engine_socket(given: str) -> str:
    """The engine's socket: as given (an optional unix:// in front), else the first of the usual places that exists."""
    if given:
        return given.removeprefix("unix://")
    return next((path for path in ENGINES if os.path.exists(path)), ENGINES[0])


def lock(places: Places) -> int | None:
    """Hold the data folder for this process; None while another agent holds it. Works on a read-only file system too."""
    number = os.open(places.data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(number)
        return None
    return number


# --- jobs: what children do --------------------------------------------------------------------------------------------


class EngineJob:
    """One work on the engine, and those that follow it: while a change is under way the child stays, with all it has loaded and learnt."""

    def __init__(self, places: Places, socket: str, work: EngineWork) -> None:
        self._places = places
        self._socket = socket
        self._work = work
        self._hands: Hands | None = None

    def __call__(self, _send: object) -> Any:
        """Carry out the first."""
        from penstock.agent.blobstore import BlobStore
        from penstock.agent.hands import Hands, SnapshotFolder
        from penstock.agent.runtimes.docker import DockerRuntime
        from penstock.wire.sealing import sealed_from_wire

        places = self._places

        def open_secret(sealed: Any, bound: bytes) -> bytes:
            return crypto.open_sealed(identity.read_seal_key(places), sealed_from_wire(sealed), bound)

        runtime = DockerRuntime(engine_socket(self._socket))
        self._hands = Hands(runtime, BlobStore(places.blobs), SnapshotFolder(places.snapshots), open_secret, nodes)
        return to_plain(self._hands.perform(self._work))

    def again(self, order: Any) -> Any:
        """Carry out a further one."""
        assert self._hands is not None
        return to_plain(self._hands.perform(work_of(order)))


def fetch_job(places: Places, link: Link, work: Fetch, at_s: int) -> Job:
    """Bring blobs, over the addresses the link knows, the one in use first."""

    def job(send: Any) -> Any:
        from penstock.agent.endpoints import order
        from penstock.agent.fetch import Way, fetch

        chosen = sorted(order(link.book, trial=False), key=lambda one: one.url != link.address())
        return to_plain(fetch(work, Way(tuple(chosen), dict(os.environ), at_s), places.blobs, send))

    return job


def check_job(_send: object) -> Any:
    """The cryptography of this process, checked; known answers cost imports that only a child needs."""
    return list(crypto.self_check())


def enrol_job(places: Places, environment: dict[str, str]) -> Job:
    """Go on asking to be let in until there is an answer."""

    def job(_send: object) -> Any:
        from penstock.agent import enrol

        pending = identity.read_pending(places)
        if pending is None:
            return ""
        last = [""]

        def tell(heard: Any) -> None:
            if isinstance(heard, enrol.EnrolError):
                words = heard.why
            elif heard.status == "waiting":
                words = f"waiting for approval on the control plane; fingerprint {heard.fingerprint}"
            else:
                words = f"enrolled as {heard.name}"
            if words != last[0]:
                last[0] = words
                say("info", "enrol", why=words)

        try:
            enrol.wait(places, pending, environment, tell)
        except enrol.EnrolError as fault:
            return fault.why
        return ""

    return job


def in_child(name: str, job: Job, timeout_ms: int = 60_000) -> Ended:
    """Run a job in a child and wait for its end; before there is a loop."""
    children = Children()
    children.start(name, job, timeout_ms, mono_ms())
    while True:
        for number, child in children.watched().items():
            select.select([number], [], [], 0.2)
            children.read(child)
        children.expire(mono_ms())
        for _, ended in children.reap():
            return ended
        if not children.watched():
            select.select([], [], [], 0.01)


# --- putting it together ------------------------------------------------------------------------------------------------


def run(arguments: Sequence[str]) -> int:
    """`penstock-agent run`; the exit status."""
    given = read(arguments, FLAGS, (0, 0))
    places = Places(given.values.get("--data-dir") or os.environ.get("PENSTOCK_DATA_DIR") or DEFAULT)
    try:
        places.prepare()
        held = lock(places)
        if held is None:
            say("error", "agent.second", why=f"another penstock-agent already uses {places.data}; stop it first, or give this one its own --data-dir")
            return FAILED
        grave = stone.read(places)
        if grave is not None:
            stone.destroy(places)  # the rest of it, where a kill fell in between
            say("warning", "agent.retired", why=f"{grave.why()}. To let it into a fleet again: penstock-agent enroll 'pst-join:...'")
            return NOT_ENROLLED
        checked = in_child("the check of the cryptography", check_job)
        for problem in checked.value or () if checked.ok else (checked.why,):
            say("error", "crypto.unfit", why=problem)
        if not checked.ok or checked.value:
            return FAILED
        member = _member(places, given.values.get("--join", os.environ.get("PENSTOCK_JOIN", "")), given.values.get("--name", ""))
    except (PlaceError, OSError) as fault:
        say("error", "agent.place", why=getattr(fault, "why", "") or str(fault))
        return FAILED
    if member is None:
        return NOT_ENROLLED
    try:
        loop = build(places, member, given.values.get("--engine") or os.environ.get("PENSTOCK_ENGINE", ""), Options("--sparing" in given.switches))
    except ValueError as fault:  # the ledger is another device's
        say("error", "agent.place", why=str(fault))
        return FAILED
    say("info", "agent.up", version=__version__, device=member.admission.device, name=member.admission.name, data=places.data, crypto=crypto.openssl_version())
    gc.collect()
    gc.freeze()  # what lives now lives on; children then do not copy pages by collecting
    return loop.run()


def _member(places: Places, join: str, name: str) -> Member | None:
    """The device as enrolled, enrolling first where that has been asked for."""
    member = identity.read_member(places)
    if member is not None:
        return member
    if join:
        from penstock.agent import enrol

        try:
            enrol.prepare(places, join, name or default_name(os.uname().nodename))
        except enrol.EnrolError as fault:
            say("error", "enrol.failed", why=fault.why)
            return None
    if identity.read_pending(places) is None:
        say("error", "agent.not-enrolled", why="this device belongs to no fleet yet; enrol it with: penstock-agent enroll 'pst-join:...'")
        return None
    ended = in_child("enrolling", enrol_job(places, dict(os.environ)), _FOREVER_MS)
    if not ended.ok or ended.value:
        say("error", "enrol.failed", why=ended.value or ended.why)
        return None
    return identity.read_member(places)


def build(places: Places, member: Member, engine: str, options: Options) -> Loop:
    """Everything the resident agent consists of."""
    clock = Clock()
    signer = crypto.Signer(member.keys.sign_private)
    who = Identity(member.admission.device, member.keys.keyid(), member.keys.data, signer.sign)
    now = clock.now()
    resumed = options.sparing and _woke_before(places, now.boot_id)
    tools = Tools(crypto.random_bytes, crypto.verify)
    brain = Brain(
        RealDisk(places.data), who, member.root, tools, now, facts=facts(places.data), built_ms=BUILT_MS, resumed=resumed, patient=not options.sparing
    )

    def keep(book: Book) -> None:
        if os.path.exists(places.stone):
            return  # retired: nothing is written any more
        try:
            write_file(places.endpoints, encode(book))
        except OSError as fault:
            say("warning", "endpoints.unwritten", why=str(fault))

    link = Link(_book(places, brain), dict(os.environ), keep, lambda event, **fields: say("info", event, **fields))
    loop = Loop(
        brain,
        link,
        Children(),
        clock,
        lambda work: EngineJob(places, engine, work),
        lambda work, at_s: fetch_job(places, link, work, at_s),
        options,
    )
    try:
        loop.control = Control(places.control, _answers(loop, member))
    except OSError as fault:
        say("warning", "control.closed", why=f"local commands cannot be answered: {fault.strerror or fault}")

    def checked_in() -> None:
        loop.checked_in = lambda: None
        try:
            if slots.confirm(places, os.environ):
                say("info", "slot.confirmed", slot=slots.current(os.environ))
        except (OSError, PlaceError) as fault:
            say("warning", "slot.unconfirmed", why=str(fault))

    loop.checked_in = checked_in
    loop.before_rest = give_back

    def bury(wipe: Wipe) -> None:
        at_ms, _ = brain.device_time(clock.now())
        stone.bury(places, stone.Stone(member.admission.device, member.admission.name, at_ms, wipe.by, wipe.said))

    loop.bury = bury
    return loop


def _woke_before(places: Places, boot_id: str) -> bool:
    """Whether this program has run before since the machine started: then the sparing mode's next waking is no start worth an entry."""
    mark = f"{boot_id} {__version__}".encode("ascii", "replace")
    path = f"{places.run}/woken"
    try:
        if read_file(path, 256) == mark:
            return True
        write_file(path, mark)
    except (OSError, PlaceError) as fault:
        say("warning", "woken.unwritten", why=str(fault))
    return False


def _answers(loop: Loop, member: Member) -> Any:
    def answer(request: Local) -> LocalReply:
        reply = loop.answer(request)
        if request.verb == "status" and reply.ok:
            site = reply.data.get("site") or member.admission.site
            reply.data.update(version=__version__, name=member.admission.name, site=site, device=member.admission.device)
        return reply

    return answer


def _book(places: Places, brain: Brain) -> Book:
    """The addresses in use; where their file is gone or damaged, those of the accepted desired state."""
    try:
        raw = read_file(places.endpoints)
        if raw is not None:
            return decode(Book, raw)
    except (OSError, PlaceError, WireError) as fault:
        say("warning", "endpoints.unread", why=str(fault))
    return Book(brain.endpoints())
