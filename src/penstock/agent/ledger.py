"""The ledger: all a device must know after any crash, in one snapshot that is either the old one or the new one.

Owns the snapshot's form, the two slot files it alternates between, and the releases kept beside it under their content digests. The newest slot that
is whole wins; when it had to be the older one, `recovered` says so and intents of the lost save are recognised by their tokens. Never
decides anything. Unwritable storage is remembered as `fault` until a write succeeds again.
"""

from __future__ import annotations

from penstock.agent.disk import DiskFault
from penstock.rules.memory import AppMemory
from penstock.rules.pins import Misses
from penstock.wire.codec import WireError, decode, encode
from penstock.wire.messages import Authorisation, Command, Endpoint, LocalPerson, Settings
from penstock.wire.record import record, replace
from penstock.wire.trust import Held
from penstock.wire.types import AppState, sha256_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from penstock.agent.disk import Disk

FORMAT = 1
SLOTS = ("ledger.a", "ledger.b")
RELEASES = "releases"
MAX_LEDGER = 4 * 1024 * 1024  # bytes


@record
class Wanted:
    """One app of the accepted desired state: which content it shall be, and what does not count into the content."""

    app: str
    content: str


@record
class CommandNote:
    """A command's life here: `state` "begun" is the intent, written before it is carried out; "ended" means its outcome is in the log."""

    CHOICES = {"state": ("open", "begun", "ended")}

    command: Command
    state: str = "open"
    change: str = ""


@record
class LogMark:
    """What the ledger knows of the device log: its head when last saved, and how far the plane has acknowledged it under signature."""

    seq: int = 0
    digest: str = ""
    acked: int = 0


@record
class Wipe:
    """The order under which this device leaves its fleet for good (see `agent.wiping`), and how far it is. `seq`: the log entry whose acknowledgement is
    waited for; `volumes`: what is to go besides what bears our label; `said`: what has been done, as sentences; `apps` were here; `tries` that failed in
    this stage, `left`: why the newest removal of an app did."""

    CHOICES = {"stage": ("telling", "asking", "apps", "engine", "last"), "data": ("keep", "wipe")}

    command: str
    by: str
    data: str
    stage: str = "telling"
    seq: int = 0
    volumes: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    tries: int = 0
    apps: tuple[str, ...] = ()
    left: str = ""


@record
class Book:
    """The snapshot. `serial` rises with every save. `secret` (hex, random, drawn once) makes tokens; `next_token` and `next_change` number them.
    `signed_ms` is the newest signed time ever seen, the floor under the clock. `refusals` are digests of refused bytes already noted.
    `told`: per subject ("" is the device) the fingerprint of the last numbered observation, so that a start alone is no news. `people` are the
    local ones of the site, `misses` the wrong PINs; `site` is its name where that is not the admission's; `wipe`: the device is being retired."""

    LIMITS = {"apps": 256, "leaves": 512, "commands": 512}

    serial: int
    device: str
    secret: str
    format: int = FORMAT
    boots: int = 0
    boot_id: str = ""
    held: Held = Held(0, 0, "")
    epoch: int = 1
    etag: str = ""
    wanted: tuple[Wanted, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    settings: Settings = Settings()
    signed_ms: int = 0
    apps: tuple[AppMemory, ...] = ()
    leaves: tuple[Authorisation, ...] = ()
    commands: tuple[CommandNote, ...] = ()
    refusals: tuple[str, ...] = ()
    log: LogMark = LogMark()
    next_token: int = 1
    next_change: int = 1
    quarantined: str = ""
    told: dict[str, str] = {}
    people: tuple[LocalPerson, ...] = ()
    misses: tuple[Misses, ...] = ()
    site: str = ""
    wipe: Wipe | None = None


class Ledger:
    """The book on disk. `book` is what was last saved or loaded, None when there is none yet."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.fault = ""
        self.recovered = ""
        self.book: Book | None = None
        self._slot = 0
        self._releases: dict[str, AppState] = {}
        self._load()

    # --- the book -------------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        found: list[tuple[int, int, Book]] = []
        damaged: list[str] = []
        for index, name in enumerate(SLOTS):
            try:
                raw = self._disk.read(name)
            except DiskFault as fault:
                damaged.append(f"{name}: {fault.why}")
                continue
            if raw is None:
                continue
            try:
                book = _unpack(raw)
                found.append((book.serial, index, book))
            except WireError as fault:
                damaged.append(f"{name}: {fault}")
        if found:
            _, index, self.book = max(found, key=lambda one: one[0])
            self._slot = index
        if damaged:
            self.recovered = "; ".join(damaged)

    def save(self, book: Book) -> bool:
        """Write the book into the other slot. False: it could not be written, `fault` says why, and the disk still holds the last one."""
        numbered = replace(book, serial=(self.book.serial if self.book else 0) + 1)
        slot = 1 - self._slot if self.book is not None else 0
        try:
            self._disk.write(SLOTS[slot], _pack(numbered))
        except DiskFault as fault:
            self.fault = fault.why
            return False
        self.fault = ""
        self.book = numbered
        self._slot = slot
        return True

    # --- releases ---------------------------------------------------------------------------------------------------------

    def release(self, content: str) -> AppState | None:
        """The release of that content, None where it is not here or its file is damaged."""
        if not content:
            return None
        if content in self._releases:
            return self._releases[content]
        try:
            raw = self._disk.read(_release_name(content))
            state = _unpack_release(raw) if raw is not None else None
        except (DiskFault, WireError):
            # A damaged or unreadable description is no description; the way back says that it is missing.
            state = None
        if state is not None:
            self._releases[content] = state
        return state

    def keep_release(self, content: str, state: AppState) -> bool:
        """Keep a release under its content. False: the disk would not (see `fault`)."""
        data = _pack_release(state)
        try:
            if self._disk.read(_release_name(content)) != data:
                self._disk.write(_release_name(content), data)
        except DiskFault as fault:
            self.fault = fault.why
            return False
        self._releases[content] = state
        return True

    def keep_file(self, name: str, data: bytes) -> bool:
        """Keep a file beside the ledger. False: the disk would not (see `fault`)."""
        try:
            self._disk.write(name, data)
        except DiskFault as fault:
            self.fault = fault.why
            return False
        return True

    def drop_releases(self, needed: frozenset[str]) -> None:
        """Let go of releases that nothing speaks of any more; what cannot be removed now is tried again later."""
        for content in [one for one in self._releases if one not in needed]:
            del self._releases[content]
        names = {_release_name(content) for content in needed}
        try:
            for name in self._disk.names(RELEASES):
                if f"{RELEASES}/{name}" not in names:
                    self._disk.remove(f"{RELEASES}/{name}")
        except DiskFault as fault:
            self.fault = fault.why


def _release_name(content: str) -> str:
    return f"{RELEASES}/{content[7:]}.json"


def _pack_release(state: AppState) -> bytes:
    body = encode(state)
    return sha256_of(body).encode("ascii") + b"\n" + body


def _unpack_release(raw: bytes) -> AppState:
    head, _, body = raw.partition(b"\n")
    if sha256_of(body).encode("ascii") != head:
        raise WireError("release", "its bytes do not fit their digest")
    return decode(AppState, body)


def _pack(book: Book) -> bytes:
    body = encode(book)
    return b"penstock-ledger %d %s\n%s" % (FORMAT, sha256_of(body).encode("ascii"), body)


def _unpack(raw: bytes) -> Book:
    """Raises WireError."""
    head, _, body = raw.partition(b"\n")
    parts = head.split(b" ")
    if len(parts) != 3 or parts[0] != b"penstock-ledger":
        raise WireError("head", "is not that of a ledger")
    if sha256_of(body).encode("ascii") != parts[2]:
        raise WireError("body", "does not fit its digest; the file was cut or damaged")
    book = decode(Book, body, MAX_LEDGER)
    if book.format > FORMAT:
        raise WireError("format", f"is {book.format}, newer than this program's {FORMAT}; run the newer agent again")
    return book


def memory_of(book: Book, app: str) -> AppMemory:
    """What the book says of an app; an empty memory where it says nothing."""
    for memory in book.apps:
        if memory.app == app:
            return memory
    return AppMemory(app)


def with_memory(book: Book, memory: AppMemory) -> Book:
    """The book with an app's memory replaced, added, or left out once it says nothing."""
    others = tuple(one for one in book.apps if one.app != memory.app)
    if memory == AppMemory(memory.app):
        return book if len(others) == len(book.apps) else replace(book, apps=others)
    apps = tuple(memory if one.app == memory.app else one for one in book.apps)
    return replace(book, apps=apps if len(others) < len(book.apps) else (*book.apps, memory))
