"""The link lane: which exchange with the plane is next, and what its answer says.

Owns sessions, the times of polls and reports, back-off and long polls, in memory only. What an answer means for the device is decided elsewhere;
no answer, whatever its status, makes anything here forget. Never opens a connection.
"""

from __future__ import annotations

from penstock.agent.work import Answer, Call
from penstock.rules.polling import backoff_ms, header_number, poll_ms, wait_s
from penstock.wire.codec import WireError, decode, encode, parse
from penstock.wire.envelope import payload_type, seal
from penstock.wire.messages import Report, ReportReply, SessionReply, SessionRequest, StateReply
from penstock.wire.record import record
from penstock.wire.version import WIRE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.agent.devicelog import DeviceLog
    from penstock.agent.ledger import Book
    from penstock.agent.work import Moment, Unreachable

URGENT_GAP_MS = 300  # between two reports
WATCHED_MS = 1_000  # somebody looks: an observation is on its way within this
REWIND_MS = 3_600_000  # how often the unsigned word of a plane may make us send old entries again
APART_CODES = ("device-quarantined", "device-retired", "device-replaced", "log-forked")
MAX_STATE = 6 * 1024 * 1024


@record
class Heard:
    """What an answer says. `kind`: "state" (`reply` with its `etag`, and the `nonce` it answers), "current" (nothing new), "ack" (`report`), "apart" (the
    plane sets this device apart: `why`), "session", "superseded" (another session of this device was opened after ours), or "trouble" (`why`)."""

    kind: str
    why: str = ""
    reply: StateReply | None = None
    etag: str = ""
    nonce: str = ""
    report: ReportReply | None = None


class Courier:
    """One per start. `draw` gives a number from 0 to 999; `nonce` 32 hex digits; `sign` a DER signature with the device key."""

    def __init__(
        self, device: str, keyid: str, sign: Callable[[bytes], bytes], draw: Callable[[], int], nonce: Callable[[], str], agent: str, now: Moment
    ) -> None:
        self._device = device
        self._keyid = keyid
        self._sign = sign
        self._draw = draw
        self._new_nonce = nonce
        self._agent = agent
        self.token = ""
        self._token_until = 0
        self._failures = 0
        self._stuck = 0
        self._reported_for_poll = False
        self._fresh_session_refused = 0
        self._not_before = now.mono_ms
        self.poll_at = now.mono_ms
        self.report_at = -1
        self._reported_ms = -URGENT_GAP_MS
        self._wait = 0
        self._patient = True
        self._granted = 0
        self._nonce = ""
        self._sent_from = -1
        self._rewound_ms = -REWIND_MS
        self._asked_ms = 0
        self.last_ok_ms = -1
        self.last_why = "not connected yet"

    # --- what is next -----------------------------------------------------------------------------------------------------

    def work(self, book: Book, log: DeviceLog, root: int, time_ms: int, now: Moment, *, wants_word: bool, patient: bool) -> Call | None:
        """The next exchange, or None. `patient`: nothing is under way, so a poll may be held open."""
        if now.mono_ms < self._not_before:
            return None
        if patient and not self._patient and self._granted:  # a change has ended: from now on polls are held open again, the first one at once
            self._patient, self.poll_at = True, now.mono_ms
        report = self._report_due(log, now)
        if not report and now.mono_ms < self.poll_at:
            return None
        if not self.token or now.mono_ms >= self._token_until:
            return self._session(time_ms)
        if report:
            call = self.report(book, log, now)
            if call is not None:
                return call
        return self._poll(book, root, now, wants_word=wants_word, patient=patient)

    def _report_due(self, log: DeviceLog, now: Moment) -> bool:
        if not log.waiting() and self._sent_from < 0:
            return False
        if now.mono_ms >= self.poll_at and not self._reported_for_poll:
            return True
        return 0 <= self.report_at <= now.mono_ms and now.mono_ms - self._reported_ms >= URGENT_GAP_MS

    def _session(self, time_ms: int) -> Call:
        body = self._signed("session", encode(SessionRequest(WIRE, self._device, time_ms, self._new_nonce(), self._agent)))
        return Call("session", "POST", "/d/v1/session", {"content-type": "application/json"}, body)

    def report(self, book: Book, log: DeviceLog, now: Moment) -> Call | None:
        """A report of what the plane has not acknowledged, or None when there is nothing."""
        begin = self._sent_from if self._sent_from >= 0 else log.acked
        entries = log.entries_after(begin)
        if not entries:
            self._sent_from = -1
            return None
        report = Report(WIRE, self._device, book.held.epoch or book.epoch, book.held.generation, log.acked, entries)
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        self._asked_ms = now.mono_ms
        self._reported_for_poll = True  # and then the poll has its turn, whatever comes of this: it may bring what the answer lacked
        return Call("report", "POST", "/d/v1/report", headers, self._signed("report", encode(report)))

    def _poll(self, book: Book, root: int, now: Moment, *, wants_word: bool, patient: bool) -> Call:
        path = f"/d/v1/state?root={root}"
        self._reported_for_poll = False
        self._nonce = self._new_nonce() if wants_word else ""
        self._patient = patient
        self._wait = self._granted if patient and not wants_word and self._failures == 0 else 0
        if self._nonce:
            path += f"&nonce={self._nonce}"
        elif self._wait:
            path += f"&wait={self._wait}"
        headers = {"authorization": f"Bearer {self.token}"}
        if book.etag:
            headers["if-none-match"] = book.etag
        self._asked_ms = now.mono_ms
        return Call("poll", "GET", path, headers, timeout_ms=30_000 + self._wait * 1000)

    def _signed(self, kind: str, payload: bytes) -> bytes:
        return seal(payload_type(kind), payload, ((self._keyid, self._sign),))

    def interrupt(self, call: Call, log: DeviceLog, now: Moment) -> bool:
        """Whether a poll that is held open should be given up, because there is something to say."""
        return call.kind == "poll" and self._wait > 0 and log.waiting() and 0 <= self.report_at <= now.mono_ms

    def has_to_say(self, log: DeviceLog) -> bool:
        """Whether there is something to say at once, to a plane that answers and takes it."""
        return log.waiting() and self.report_at >= 0 and self._failures == 0 and self._stuck <= 1

    def wake_at(self, log: DeviceLog) -> int:
        """Monotonic time of the next exchange."""
        due = self.poll_at
        if log.waiting() and self.report_at >= 0:
            due = min(due, max(self.report_at, self._reported_ms + URGENT_GAP_MS))
        return max(due, self._not_before)

    def told(self, now: Moment, *, urgent: bool) -> None:
        """Entries were written. Urgent ones go at once, others soon where somebody watches, else with the next poll."""
        if urgent:
            due = now.mono_ms
        elif self._granted:
            due = now.mono_ms + WATCHED_MS
        else:
            return
        self.report_at = due if self.report_at < 0 else min(self.report_at, due)

    def poke(self, now: Moment) -> None:
        """Somebody asked for a poll now."""
        self.poll_at = now.mono_ms
        self._not_before = now.mono_ms

    # --- what came back ---------------------------------------------------------------------------------------------------

    def answered(self, call: Call, outcome: Answer | Unreachable, log: DeviceLog, poll_s: int, now: Moment) -> Heard:
        """Take in an answer, or that there was none."""
        if not isinstance(outcome, Answer):
            return self._trouble(outcome.why, now)
        status = outcome.status
        retry = header_number(outcome.headers.get("retry-after", ""), 0)
        if status == 401:
            return self._unauthorised(call, outcome, now, retry)
        if status == 403:
            code, detail = _problem(outcome.body)
            heard = self._trouble(f"the plane refuses this device: {detail or code or 'no reason given'}", now, retry)
            return Heard("apart", detail or code) if code in APART_CODES else heard
        if status not in (200, 304):
            code, detail = _problem(outcome.body)
            return self._trouble(f"the plane answered {status}: {detail or code or 'no reason given'}", now, retry)
        try:
            heard = self._good(call, outcome, log, poll_s, now)
        except WireError as fault:
            return self._trouble(f"the plane's answer to a {call.kind} cannot be read: {fault}", now)
        self._failures = 0
        self._not_before = now.mono_ms
        self.last_ok_ms = now.mono_ms
        self.last_why = ""
        return heard

    def _good(self, call: Call, outcome: Answer, log: DeviceLog, poll_s: int, now: Moment) -> Heard:
        if call.kind == "session":
            session = decode(SessionReply, outcome.body, 65536)
            self.token = session.token
            # Renewed a little early; a plane's span is bounded by ours.
            self._token_until = now.mono_ms + min(max(session.expires_s, 30), 7 * 86400) * 900
            return Heard("session")
        self._fresh_session_refused = 0
        if call.kind == "report":
            report = decode(ReportReply, outcome.body, 131_072)
            self._reported_ms = now.mono_ms
            self.report_at = -1
            before, self._sent_from = self._sent_from, -1
            again = now.mono_ms - self._rewound_ms >= REWIND_MS or 0 <= before < report.expect - 1
            if 0 < report.expect <= log.acked and again:
                # A plane that was restored and has not said so under signature: offering old entries again costs only their bytes.
                self._rewound_ms = now.mono_ms
                self._sent_from = max(report.expect - 1, log.oldest() - 1)
            return Heard("ack", report=report)
        self._next_poll(outcome, poll_s, now)
        if outcome.status == 304:
            return Heard("current")
        reply = decode(StateReply, outcome.body, MAX_STATE)
        return Heard("state", reply=reply, etag=outcome.headers.get("etag", "")[:256], nonce=self._nonce)

    def _next_poll(self, outcome: Answer, poll_s: int, now: Moment) -> None:
        asked = header_number(outcome.headers.get("penstock-poll", ""), poll_s)
        self._granted = wait_s(header_number(outcome.headers.get("penstock-wait", ""), 0))
        held = now.mono_ms - self._asked_ms
        pause = poll_ms(asked, self._draw())
        # While a change is under way polls are not held open, so they must not follow each other as if they had been.
        if self._granted and (outcome.status == 200 or (self._patient and (self._wait == 0 or held >= self._wait * 500))):
            pause = 200  # the poll itself is the pause
        self.poll_at = now.mono_ms + pause

    def more(self, log: DeviceLog, now: Moment, *, progress: bool) -> None:
        """After an acknowledgement: what is still unsent follows at once, and under back-off where the plane takes nothing of it."""
        self._stuck = 0 if progress or self._sent_from >= 0 else self._stuck + 1
        if log.waiting() or self._sent_from >= 0:
            # Asked for a hole that cannot be filled, a plane takes the same entries the second time: so the first repeat comes at once.
            self.report_at = now.mono_ms + (backoff_ms(self._stuck, self._draw()) if self._stuck > 1 else 0)

    def drop_session(self) -> None:
        """Somebody else who used the token was told that it has expired."""
        self.token = ""

    def _unauthorised(self, call: Call, outcome: Answer, now: Moment, retry: int) -> Heard:
        had, self.token = self.token, ""
        code, detail = _problem(outcome.body)
        if call.kind != "session" and had and self._fresh_session_refused == 0:
            self._fresh_session_refused += 1
            if code == "session-superseded":
                return Heard("superseded", detail)
            return Heard("trouble", "the session has expired; a new one is asked for")
        self._fresh_session_refused = 0
        return self._trouble(f"the plane does not know this device's session: {detail or code or 'no reason given'}", now, retry)

    def _trouble(self, why: str, now: Moment, retry_s: int = 0) -> Heard:
        self._failures += 1
        self._granted = 0
        self._not_before = now.mono_ms + backoff_ms(self._failures, self._draw(), retry_s)
        self.poll_at = max(self.poll_at, self._not_before)
        self.last_why = why[:1000]
        return Heard("trouble", self.last_why)


def _problem(body: bytes) -> tuple[str, str]:
    """Code and detail of a problem (RFC 9457); empty where the body is none."""
    try:
        plain = parse(body, 65536)
    except WireError:
        return "", ""
    if not isinstance(plain, dict):
        return "", ""
    code, detail = plain.get("code"), plain.get("detail")
    return (code if isinstance(code, str) else "")[:100], (detail if isinstance(detail, str) else "")[:1000]
