"""Giving memory back: clean file pages go, nothing that was written to does, and the process runs on as if nothing had been."""

from __future__ import annotations

import subprocess
import sys

from penstock.agent.rest import _clean, give_back
from tests.agent.device import SOURCE

SMAPS = """\
00400000-00500000 r-xp 00000000 fe:00 260811      /usr/bin/python3
Rss:                 800 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
00500000-00600000 r--p 00000000 fe:00 260811      /usr/bin/python3
Rss:                 100 kB
Anonymous:             8 kB
00600000-00700000 rw-p 00000000 fe:00 260811      /usr/bin/python3
Rss:                 100 kB
Anonymous:             0 kB
00700000-00800000 r--p 00000000 00:00 0
Rss:                 100 kB
Anonymous:             0 kB
00800000-00900000 r--s 00000000 fe:00 77          /tmp/a shared file
Rss:                 100 kB
Anonymous:             0 kB
00900000-00a00000 r--p 00000000 fe:00 78          /usr/lib/never touched.so
Rss:                   0 kB
Anonymous:             0 kB
7ffd00000000-7ffd00001000 r-xp 00000000 00:00 0   [vdso]
Rss:                   4 kB
Anonymous:             0 kB
"""


def test_only_clean_private_pages_of_files_are_chosen():
    assert _clean(SMAPS) == [(0x400000, 0x500000, 800 * 1024)]
    assert _clean("") == []
    assert _clean("rubbish\n\nRss: x\n") == []


def test_a_process_runs_on_and_is_smaller():
    program = f"""
import sys; sys.path.insert(0, {SOURCE!r})
from penstock import crypto
from penstock.agent.rest import give_back
def resident():
    return int(open('/proc/self/statm').read().split()[1])
key = crypto.generate_key()
before = resident()
given = give_back()
after = resident()
assert given > 1_000_000, given
assert after < before, (before, after)
signature = crypto.sign(key, b'message')
assert crypto.verify(crypto.public_pem(key), b'message', signature)
for _ in range(20):
    give_back()
    assert crypto.verify(crypto.public_pem(key), b'message', signature)
print('well')
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "well"


def test_a_kernel_without_smaps_costs_nothing(monkeypatch):
    def nowhere(*_arguments, **_more):
        raise FileNotFoundError(2, "no such file")

    monkeypatch.setattr("builtins.open", nowhere)
    assert give_back() == 0
