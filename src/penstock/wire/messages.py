"""The messages between agent and control plane, and the entries of the device log.

Owns their fields and limits only. Each signed message names its wire version, the device it is for or from, and what bounds
it, inside the signed bytes. Rules of acceptance stand in `trust`; the log's bodies in `log`.
"""

from __future__ import annotations

from penstock.wire.record import record
from penstock.wire.types import HEX, AppState, digest_fault, name_fault

# --- who a device is --------------------------------------------------------------------------------------------------


@record
class Engine:
    """A container engine as found. `store` tells what the engine's image id is: "config" (classic stores) or "manifest"
    (containerd image store). `timers`: whether the engine runs health checks by itself."""

    CHOICES = {"kind": ("docker", "podman", "kubernetes", "fake"), "store": ("config", "manifest")}

    kind: str
    version: str
    api: str
    store: str = "config"
    timers: bool = True


@record
class Facts:
    """What a device says of itself. It may exclude the device from a release (wrong architecture), never include it.
    `platforms`: what it runs, best first, as "linux/arm/v7". `nodes`: device nodes that apps may want; None where that cannot be told (an agent in a container
    sees its own). `reads`: the newest wire version its agent understands; 0 from agents that do not say, which are of version 1."""

    hostname: str
    platforms: tuple[str, ...]
    agent: str
    python: str
    kernel: str = ""
    cpus: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0
    engine: Engine | None = None
    nodes: tuple[str, ...] | None = None
    reads: int = 0


@record
class EnrolRequest:
    """ "Let me in." Signed by the very key it brings, which proves possession. `token` is the join token's secret; `replaces` asks to
    take the place of the device of that name. `nonce` is 32 hex digits drawn by the device, kept while it asks."""

    wire: int
    token: str
    name: str
    sign_key: str
    seal_key: str
    nonce: str
    facts: Facts
    replaces: bool = False

    LIMITS = {"token": 256, "sign_key": 1024, "seal_key": 1024, "nonce": 64}

    def check(self) -> tuple[str, str] | None:
        fault = name_fault(self.name)
        return ("name", fault) if fault else None


@record
class EnrolReply:
    """How the asking stands. `roots` is the chain of root envelopes (JSON text), oldest first; `admission` the signed Admission
    once approved. Nothing here is believed before the root's hash has been compared with the join command's."""

    CHOICES = {"status": ("waiting", "approved", "rejected")}
    LIMITS = {"why": 1000, "roots": 64, "admission": 65536}

    status: str
    why: str
    retry_s: int
    fingerprint: str
    device: str = ""
    roots: tuple[str, ...] = ()
    admission: str = ""


@record
class Admission:
    """Signed by the director: this key is this device, at this site. Kept on disk for ever."""

    wire: int
    device: str
    name: str
    site: str
    keyid: str
    at_ms: int


@record
class SessionRequest:
    """ "Give me a session." Signed by the device key. `at_ms` is the device's floor time; `nonce` makes it unique."""

    wire: int
    device: str
    at_ms: int
    nonce: str
    agent: str = ""


@record
class SessionReply:
    """A bearer token that only reads what this device is owed."""

    LIMITS = {"token": 1024}

    token: str
    expires_s: int
    wire: int


# --- what a device shall run ------------------------------------------------------------------------------------------


@record
class Endpoint:
    """A way to the plane. `ca`: PEM certificates to trust for it (empty: the system's); `proxy`: an HTTP proxy's URL or empty."""

    url: str
    ca: tuple[str, ...] = ()
    proxy: str = ""


@record
class Settings:
    """How the device behaves towards the plane. The device clamps every value to bounds of its own. 0 for a rate: no cap."""

    poll_s: int = 60
    fetch_bytes_per_s: int = 0
    log_quota_bytes: int = 16 * 1024 * 1024


LOCAL_ACTS = ("let-go", "revert")  # what a local person may do with a PIN: let what was stopped be tried again, and go back
MOST_ROUNDS = 200_000  # of PBKDF2; more would keep an armhf node busy for seconds


@record
class LocalPerson:
    """Somebody who may act at the devices of one site, known by a PIN. `verifier` is the SHA-256 of what PBKDF2-HMAC-SHA256 makes of the PIN with
    `salt` (32 hex digits) and `rounds`: who reads it cannot answer with it, though a PIN is short enough to be guessed by whoever holds it."""

    LIMITS = {"id": 64, "name": 100, "may": 16}

    id: str
    name: str
    salt: str
    rounds: int
    verifier: str
    may: tuple[str, ...] = ()
    revision: int = 1

    def check(self) -> tuple[str, str] | None:
        if len(self.salt) != 32 or not set(self.salt) <= HEX:
            return ("salt", "is 32 lower-case hex digits")
        if not 1000 <= self.rounds <= MOST_ROUNDS:
            return ("rounds", f"must be 1000 to {MOST_ROUNDS}")
        fault = digest_fault(self.verifier)
        return ("verifier", fault) if fault else None


@record
class Desired:
    """All that one device shall run: one signed document whose (epoch, generation) only rises. Signed by the director.
    An app that stood in the last one and does not stand here is withdrawn. `people` are those of the device's site; `site` is its name where that is
    another than in the device's admission."""

    LIMITS = {"apps": 64, "endpoints": 8, "people": 64, "site": 64}

    wire: int
    device: str
    epoch: int
    generation: int
    issued_ms: int
    apps: tuple[AppState, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    settings: Settings = Settings()
    people: tuple[LocalPerson, ...] = ()
    site: str = ""

    def check(self) -> tuple[str, str] | None:
        names = [app.app for app in self.apps]
        if len(names) != len(set(names)):
            return ("apps", "an app stands twice")
        people = [person.id for person in self.people]
        if len(people) != len(set(people)):
            return ("people", "a person stands twice")
        if self.epoch < 1 or self.generation < 1:
            return ("generation", "epoch and generation begin at 1")
        return None


@record
class Authorisation:
    """The signed, expiring leave to apply one content on one device. Signed by the director. `content` is
    `types.content_digest` of the app's state; an empty one is the leave to withdraw the app."""

    wire: int
    id: str
    device: str
    epoch: int
    app: str
    content: str
    rollout: str
    wave: int
    issued_ms: int
    not_after_ms: int
    by: str = ""

    def check(self) -> tuple[str, str] | None:
        fault = digest_fault(self.content) if self.content else None
        return ("content", fault) if fault else None


@record
class Command:
    """One act ordered from the plane, done at most once. Signed by the director.

    `arguments` by verb: restart {app, service}; revert {app}; logs {app, service, lines}; inspect {app, service};
    prune {}; refresh {}; accept-pin {app} (the centre agrees with a local revert); wipe {data: keep or wipe} (the device leaves the fleet for good:
    its apps go, with their volumes where asked, and in the end its keys)."""

    CHOICES = {"verb": ("restart", "revert", "logs", "inspect", "prune", "refresh", "accept-pin", "wipe")}

    wire: int
    id: str
    device: str
    epoch: int
    verb: str
    issued_ms: int
    not_after_ms: int
    arguments: dict[str, str] = {}
    by: str = ""


@record
class Currency:
    """ "You are current at this generation, at this time." Signed by the director; `nonce` is the device's own, so that it cannot be
    replayed. It raises the device's time floor."""

    wire: int
    device: str
    epoch: int
    generation: int
    time_ms: int
    nonce: str


@record
class StateReply:
    """The answer to a poll: envelopes as JSON text, each judged by itself. `desired` empty: no newer document than the one named in
    the request. `commands` and `authorisations` are all that are open for this device, not only new ones."""

    LIMITS = {"desired": 6 * 1024 * 1024, "authorisations": 256, "commands": 256, "roots": 64, "currency": 65536}

    desired: str = ""
    authorisations: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    currency: str = ""


# --- what a device says -----------------------------------------------------------------------------------------------


@record
class LogEntry:
    """One entry of the device log. `seq` rises by one for ever, over restarts too; `boot` rises by one at each start of the agent.
    `prev` is the digest of the entry before (see `log.entry_digest`), empty for the very first. `body` is the JSON text of the
    record that `kind` names."""

    CHOICES = {
        "kind": ("boot", "observation", "event", "receipt", "local-act", "command-outcome", "refusal", "gap"),
        "clock": ("trusted", "untrusted"),
    }
    LIMITS = {"body": 262_144}

    boot: int
    seq: int
    prev: str
    at_ms: int
    clock: str
    kind: str
    body: str


@record
class Report:
    """A batch of the device log on its way up, signed by the device key. Entries are consecutive. `epoch` and `generation` are what
    the device has adopted; `acked` is the last number it holds a signed acknowledgement for."""

    LIMITS = {"entries": 512}

    wire: int
    device: str
    epoch: int
    generation: int
    acked: int
    entries: tuple[LogEntry, ...]


@record
class Ack:
    """ "I have your log up to here, durably." Signed by the director. Only this lets a device forget. `head` is the digest of entry
    `seq`; a device whose own digest of that entry differs keeps everything and says so."""

    wire: int
    device: str
    epoch: int
    seq: int
    head: str
    time_ms: int


@record
class ReportReply:
    """The answer to a report. `expect` is the next number the plane wants: smaller than what was sent after a restore, larger never."""

    LIMITS = {"ack": 65536, "why": 1000}

    ack: str
    expect: int
    why: str = ""
