"""A report against the held chain: every case, and the law that numbers arrive once or are named lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core.chain import Broken, Continue, Fork, Hole, judge, needed
from penstock.server.core.model import LogHead
from penstock.wire.codec import encode
from penstock.wire.log import Event, Gap, entry_digest
from penstock.wire.messages import LogEntry


def chain(count, boot=1, text="x", start=0, prev=""):
    entries = []
    for number in range(start + 1, start + count + 1):
        entries.append(LogEntry(boot, number, prev, 1, "trusted", "event", encode(Event("e", f"{text}{number}")).decode()))
        prev = entry_digest(entries[-1])
    return entries


def digests(entries):
    return [entry_digest(entry) for entry in entries]


def head_at(entries, seq, branch=0):
    return LogHead("d", branch, seq, digests(entries)[seq - 1] if seq else "", entries[seq - 1].boot if seq else 0)


LOG = chain(10)


def ask(head, entries, **more):
    at = needed(head, entries)
    held = digests(LOG)[at - 1] if at else ""
    return judge(head, entries, digests(entries), held=held, **more)


def test_goes_on():
    assert ask(head_at(LOG, 4), LOG[4:]) == Continue(tuple(LOG[4:]), tuple(digests(LOG[4:])), 0)
    assert ask(head_at(LOG, 0), LOG) == Continue(tuple(LOG), tuple(digests(LOG)), 0)
    assert ask(head_at(LOG, 4), []) == Continue((), (), 0)


@given(st.integers(0, 10), st.integers(0, 9), st.integers(1, 10))
def test_any_piece_of_the_true_log(held, first, count):
    piece = LOG[first : first + count]
    found = ask(head_at(LOG, held), piece)
    if first > held:
        assert isinstance(found, Hole)
        assert found.expect == held + 1
    else:
        assert isinstance(found, Continue)
        assert [entry.seq for entry in found.entries] == list(range(held + 1, first + len(piece) + 1))


def test_a_hole_is_accepted_when_the_device_has_nothing_older():
    found = ask(head_at(LOG, 2), LOG[5:], asked=True)
    assert isinstance(found, Continue)
    assert [(one.first, one.last) for one in found.lost] == [(3, 5)]
    gap = LogEntry(1, 9, "sha256:" + "0" * 64, 1, "trusted", "gap", encode(Gap(3, 8, "disk")).decode())
    found = ask(head_at(LOG, 2), [gap])
    assert isinstance(found, Continue)
    assert [(one.first, one.last, one.why) for one in found.lost] == [(3, 8, "disk")]
    short = LogEntry(1, 9, "sha256:" + "0" * 64, 1, "trusted", "gap", encode(Gap(4, 8, "disk")).decode())
    assert isinstance(ask(head_at(LOG, 2), [short]), Hole)


def test_forks():
    other = LOG[:5] + chain(3, text="y", start=5, prev=entry_digest(LOG[4]))
    assert isinstance(ask(head_at(LOG, 8), other[5:]), Fork)  # the same numbers, other content
    assert isinstance(ask(head_at(LOG, 8), other[4:7]), Fork)  # overlapping
    assert isinstance(ask(head_at(LOG, 5), chain(2, text="z", start=5, prev="sha256:" + "1" * 64)), Fork)  # continues something else
    assert isinstance(ask(LogHead("d", 0, 5, entry_digest(LOG[4]), boot=7), LOG[8:], asked=True), Fork)  # an older boot after a hole
    taken = ask(head_at(LOG, 8), other[5:], accept_fork=True)
    assert isinstance(taken, Continue)
    assert (taken.branch, taken.forked, [(one.first, one.last) for one in taken.lost]) == (1, True, [(6, 8)])


def test_what_was_named_lost_and_comes_after_all_is_old_news():
    assert judge(head_at(LOG, 8), LOG[:3], digests(LOG[:3]), held="") == Continue((), (), 0)


def test_a_report_that_contradicts_itself():
    assert isinstance(ask(head_at(LOG, 0), [LOG[0], LOG[2]]), Broken)
    assert isinstance(ask(head_at(LOG, 0), [LOG[1], LOG[0]]), Broken)
