"""Adopting what the plane signs: roots, desired state, leaves, commands, its word on the time.

Owns the walk through one reply to a poll and the new book that comes of it. Every piece is judged by itself by `wire.trust`; what is refused changes
nothing and is noted once for the same bytes. Verifies with functions passed in; stores nothing itself.
"""

from __future__ import annotations

from penstock.agent.ledger import Book, CommandNote, Wanted
from penstock.rules.pins import still
from penstock.wire.log import Event, RefusalNote
from penstock.wire.record import record, replace
from penstock.wire.trust import Refusal, Root, accept_authorisation, accept_command, accept_currency, accept_desired, accept_root, leave_fault
from penstock.wire.types import AppState, content_digest, sha256_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from penstock.wire.messages import Authorisation, Desired, StateReply
    from penstock.wire.trust import Verify

MAX_REFUSALS = 64
MAX_COMMANDS = 256
FORGET_COMMAND_MS = 86_400_000  # past its end by so much, a command's note may go: the command itself can only be refused as lapsed


@record
class Adopted:
    """What one reply comes to. `roots`: version and bytes of newly trusted roots, to be kept. `releases`: what the desired state brought.
    `clean`: nothing was refused, so that the reply's ETag may be believed. `raised`: the epoch rose. `time_ms`: the plane's signed word, 0 for none.
    `listed`: the open orders it named."""

    book: Book
    root: Root
    roots: tuple[tuple[int, bytes], ...] = ()
    releases: tuple[tuple[str, AppState], ...] = ()
    refusals: tuple[RefusalNote, ...] = ()
    events: tuple[Event, ...] = ()
    clean: bool = True
    raised: bool = False
    time_ms: int = 0
    news: bool = False
    listed: frozenset[str] = frozenset()


class Adopter:
    """Judges replies for one device. Keeps accepted leaves by digest, because every reply repeats them."""

    def __init__(self, device: str, verify: Verify) -> None:
        self._device = device
        self._verify = verify
        self._leaves: dict[str, Authorisation] = {}

    def adopt(self, book: Book, root: Root, reply: StateReply, nonce: str, now_ms: int) -> Adopted:
        """The reply to one poll, piece by piece."""
        walk = _Walk(book)
        roots = []
        for text in reply.roots:
            raw = text.encode("utf-8")
            fresh = accept_root(root, raw, self._verify)
            if isinstance(fresh, Refusal):
                if _root_is_known(raw, root):
                    continue
                walk.refuse("root", fresh, raw)
                break
            if fresh.epoch > root.epoch:
                walk.raise_epoch(fresh.epoch)
                self._leaves.clear()
            root = fresh
            roots.append((fresh.version, raw))
            walk.event("trust.root", f"root document {fresh.version} is trusted now")
        if reply.desired:
            self._desired(walk, root, reply.desired.encode("utf-8"))
        self._leave_all(walk, root, reply, now_ms)
        self._commands(walk, root, reply, now_ms)
        time_ms = 0
        if reply.currency and nonce:
            raw = reply.currency.encode("utf-8")
            currency = accept_currency(root, self._device, nonce, raw, self._verify)
            if isinstance(currency, Refusal):
                walk.refuse("currency", currency, raw)
            else:
                time_ms = currency.time_ms
        return walk.result(root, tuple(roots), time_ms)

    def _desired(self, walk: _Walk, root: Root, raw: bytes) -> None:
        accepted = accept_desired(root, walk.book.held, self._device, raw, self._verify)
        if isinstance(accepted, Refusal):
            walk.refuse("desired", accepted, raw)
            return
        desired, held = accepted
        if held != walk.book.held:
            walk.take(desired)
            walk.book = replace(walk.book, held=held, signed_ms=max(walk.book.signed_ms, desired.issued_ms))
            walk.event("desired.adopted", f"generation {held.generation} of epoch {held.epoch} is what this device shall run")

    def _leave_all(self, walk: _Walk, root: Root, reply: StateReply, now_ms: int) -> None:
        """The reply names all open leaves, so one that is missing is withdrawn."""
        leaves = []
        kept: dict[str, Authorisation] = {}
        for text in reply.authorisations:
            raw = text.encode("utf-8")
            digest = sha256_of(raw)
            known = self._leaves.get(digest)
            leave = known if known is not None else accept_authorisation(root, self._device, raw, self._verify)
            if isinstance(leave, Refusal):
                walk.refuse("authorisation", leave, raw)
                continue
            fault = leave_fault(leave, leave.app, leave.content, now_ms)
            in_place = any(memory.app == leave.app and memory.running == leave.content for memory in walk.book.apps)
            if fault is not None and not in_place:
                walk.note("authorisation", fault, raw)
            kept[digest] = leave
            leaves.append(leave)
        self._leaves = kept
        if tuple(leaves) != walk.book.leaves:
            walk.news = True
            walk.book = replace(walk.book, leaves=tuple(leaves), signed_ms=max([walk.book.signed_ms, *(one.issued_ms for one in leaves)]))

    def _commands(self, walk: _Walk, root: Root, reply: StateReply, now_ms: int) -> None:
        known = {note.command.id for note in walk.book.commands}
        listed = set()
        notes = [note for note in walk.book.commands if note.state != "ended" or now_ms < note.command.not_after_ms + FORGET_COMMAND_MS]
        for text in reply.commands:
            raw = text.encode("utf-8")
            command = accept_command(root, self._device, raw, self._verify)
            if isinstance(command, Refusal):
                walk.refuse("command", command, raw)
                continue
            listed.add(command.id)
            if command.id not in known and len(notes) < MAX_COMMANDS and now_ms < command.not_after_ms + FORGET_COMMAND_MS:
                notes.append(CommandNote(command))
                known.add(command.id)
                walk.news = True
        if tuple(notes) != walk.book.commands:
            walk.book = replace(walk.book, commands=tuple(notes))
        walk.listed = frozenset(listed)


def void_epoch(book: Book, epoch: int) -> Book:
    """The book after a root of a newer epoch: leaves and open orders of before are void."""
    return replace(book, epoch=epoch, leaves=(), commands=tuple(note for note in book.commands if note.state != "open"))


def _root_is_known(raw: bytes, root: Root) -> bool:
    """Whether these bytes are a root no newer than the trusted one: a repeated answer, not an attack."""
    from penstock.wire.codec import WireError
    from penstock.wire.envelope import open_unverified
    from penstock.wire.trust import read_root

    try:
        return read_root(open_unverified(raw, 256 * 1024)[1]).version <= root.version
    except WireError:
        return False


class _Walk:
    """What gathers on the way through one reply."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.refusals: list[RefusalNote] = []
        self.events: list[Event] = []
        self.releases: list[tuple[str, AppState]] = []
        self.clean = True
        self.raised = False
        self.news = False
        self.listed: frozenset[str] = frozenset()

    def event(self, name: str, why: str) -> None:
        self.events.append(Event(name, why))
        self.news = True

    def refuse(self, what: str, refusal: Refusal, raw: bytes) -> None:
        """Something was not accepted: the whole reply may come again, and this is noted once."""
        self.clean = False
        self.note(what, refusal, raw)

    def note(self, what: str, refusal: Refusal, raw: bytes) -> None:
        digest = sha256_of(raw)
        if digest in self.book.refusals:
            return
        self.refusals.append(RefusalNote(what, refusal.reason, refusal.why[:1000], digest))
        self.book = replace(self.book, refusals=(*self.book.refusals, digest)[-MAX_REFUSALS:])

    def raise_epoch(self, epoch: int) -> None:
        """A restored or rebuilt plane, by word of the root key: every leave and every open order of before is void."""
        self.raised = True
        self.book = void_epoch(self.book, epoch)
        self.event("trust.epoch", f"the plane began epoch {epoch}: leaves of before are void, and the log is offered to it again")

    def take(self, desired: Desired) -> None:
        wanted = []
        for app in desired.apps:
            content = content_digest(app)
            wanted.append(Wanted(app.app, content))
            self.releases.append((content, app))
        self.book = replace(
            self.book,
            wanted=tuple(wanted),
            endpoints=desired.endpoints,
            settings=desired.settings,
            people=desired.people,
            misses=still(self.book.misses, desired.people),
            site=desired.site,
        )

    def result(self, root: Root, roots: tuple[tuple[int, bytes], ...], time_ms: int) -> Adopted:
        return Adopted(
            self.book, root, roots, tuple(self.releases), tuple(self.refusals), tuple(self.events), self.clean, self.raised, time_ms, self.news, self.listed
        )  # fmt: skip
