"""The agent's small parts: proxies and their exceptions, endpoints' book, arguments, what is shown, slots, log lines, clock, facts."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.agent import shown, slots, tls
from penstock.agent.arguments import UsageError, read
from penstock.agent.clock import Clock
from penstock.agent.endpoints import Book, checked_in, offered, order, wanted
from penstock.agent.facts import default_name, facts, nodes, nodes_in, platforms
from penstock.agent.journal import line, say
from penstock.agent.places import PlaceError, Places, read_file, write_file
from penstock.agent.proxy import authorization, bypassed, proxy_for
from penstock.agent.reach import judge_at_s
from penstock.wire.codec import WireError
from penstock.wire.messages import Endpoint
from penstock.wire.types import name_fault
from penstock.wire.urls import read_url
from tests.agent.device import SOURCE

# --- proxies ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "no_proxy", "expected"),
    [
        ("https://plane.example", "", False),
        ("https://plane.example", "*", True),
        ("https://plane.example", "plane.example", True),
        ("https://plane.example", ".example", True),
        ("https://plane.example", "example", True),
        ("https://plane.example", "*.example", True),
        ("https://plane.example", "ane.example", False),
        ("https://plane.example", "other, plane.example", True),
        ("https://plane.example", "plane.example:443", True),
        ("https://plane.example", "plane.example:8443", False),
        ("https://10.1.2.3:8443", "10.0.0.0/8", True),
        ("https://10.1.2.3:8443", "10.1.2.3:8443", True),
        ("https://10.1.2.3", "11.0.0.0/8", False),
        ("https://10.1.2.3", "10.1.2.3/33", False),
        ("https://10.1.2.3", "0.0.0.0/0", True),
        ("https://[2001:db8::1]", "2001:db8::/32", True),
        ("https://[2001:db8::1]", "2001:db8:0::1", True),
        ("https://[2001:db8::1]", "[2001:db8::1]:443", True),
        ("https://[2001:db8::1]", "10.0.0.0/8", False),
        ("https://plane.example", "/,:,[,.,,", False),
    ],
)
def test_exceptions_from_the_proxy(url, no_proxy, expected):
    assert bypassed(read_url(url), no_proxy) is expected


@given(st.text(max_size=40))
@example("10.0.0.0/\u00b2")
@example("10.0.0.0/99999999999")
@example("1\x00/8")
def test_no_list_of_exceptions_breaks_anything(text):
    assert bypassed(read_url("https://10.1.2.3:8443"), text) in (True, False)


def test_the_environments_proxy_is_read():
    url = read_url("https://plane.example")
    assert proxy_for(url, {}) is None
    found = proxy_for(url, {"HTTPS_PROXY": "proxy:3128"})
    assert found is not None
    assert found.host_port() == "proxy:3128"
    with pytest.raises(WireError):
        proxy_for(url, {"HTTPS_PROXY": "socks5://x"})
    assert authorization(found) == {}
    named = read_url("http://me@proxy", ("http",))
    assert authorization(named) == {"Proxy-Authorization": "Basic bWU6"}


# --- endpoints ----------------------------------------------------------------------------------------------------------

A, B, C = (Endpoint(f"https://{name}") for name in "abc")


def test_a_new_set_waits_for_its_proof_and_the_old_one_stays_a_generation_longer():
    book = offered(Book((A,)), (B, C), "1.2")
    assert (book.current, book.wanted) == ((A,), (B, C))
    assert order(book, trial=True) == (B, C, A)
    assert order(book, trial=False) == (A, B, C)
    assert wanted(book, C)
    assert checked_in(book, A) is book
    moved = checked_in(book, C)
    assert (moved.current, moved.previous, moved.wanted) == ((B, C), (A,), ())
    assert order(moved, trial=False) == (B, C, A)
    assert offered(moved, (B, C), "1.2") is moved
    assert offered(moved, (B, C), "1.3").previous == ()


def test_a_change_of_mind_and_a_state_that_does_not_say():
    book = offered(Book((A,)), (B,), "1.2")
    assert offered(book, (A,), "1.3").wanted == ()
    assert offered(book, (), "1.3").wanted == ()
    assert offered(book, (C,), "1.3").wanted == (C,)
    overlapping = offered(Book((A,)), (A, B), "1.2")
    assert order(overlapping, trial=True) == (A, B)
    assert not wanted(overlapping, A)
    assert checked_in(overlapping, A).current == (A, B)


def test_judging_time():
    assert judge_at_s(1_000_000_000, 1_000_100_000) == 0
    assert judge_at_s(1_800_000_000_000, 5_000) == 1_800_000_000
    assert judge_at_s(1_800_000_000_000, 4_000_000_000_000) == 1_800_000_000


# --- the native names TLS stands on ------------------------------------------------------------------------------------

NATIVE = """
import _ssl, _socket
context = _ssl._SSLContext(16)
assert context.check_hostname and int(context.verify_mode) == 2
context.minimum_version = 0x0303
context._set_alpn_protocols(b"\\x08http/1.1")
context.verify_flags |= 0x200000
assert context.verify_flags & 0x200000
for name in ("load_verify_locations", "set_default_verify_paths", "get_ca_certs", "_wrap_socket"):
    assert hasattr(context, name), name
for name in ("do_handshake", "read", "write", "shutdown", "pending", "getpeercert", "session", "session_reused", "version"):
    assert hasattr(_ssl._SSLSocket, name), name
for name in ("SSLError", "SSLWantReadError", "SSLWantWriteError", "SSLZeroReturnError", "SSLEOFError", "SSLCertVerificationError"):
    assert issubclass(getattr(_ssl, name), OSError), name
"""


def test_the_native_names_are_there():
    subprocess.run([sys.executable, "-I", "-S", "-c", NATIVE], check=True, timeout=60)


def test_certificate_dates():
    assert tls.seconds_of("Jan  1 00:00:00 1970 GMT") == 0
    assert tls.seconds_of("Nov 21 03:08:41 2026 GMT") == 1795230521
    assert tls.seconds_of("Feb 29 23:59:59 2024 GMT") == 1709251199
    for wrong in ("Nov 21 03:08:41 2026 CET", "Foo 21 03:08:41 2026 GMT", ""):
        with pytest.raises(ValueError, match=r"date|Foo|not in|unpack"):
            tls.seconds_of(wrong)


# --- words in, words out ------------------------------------------------------------------------------------------------


def test_arguments():
    given_ = read(["a", "--x", "1", "--x=2", "-y", "--", "--z"], {"--x": True, "--y": False}, (0, 2), {"-y": "--y"})
    assert (given_.values, given_.lists, given_.switches, given_.words) == ({"--x": "2"}, {"--x": ("1", "2")}, frozenset({"--y"}), ("a", "--z"))
    for words in (["--q"], ["--x"], ["--y=1"], ["a", "b", "c"]):
        with pytest.raises(UsageError):
            read(words, {"--x": True, "--y": False}, (0, 2))
    with pytest.raises(UsageError, match="did you mean --data-dir"):
        read(["--data"], {"--data-dir": True}, (0, 0))
    with pytest.raises(UsageError, match="missing"):
        read([], {}, (1, 1))


def test_a_log_line_is_one_line_whatever_is_in_it(capfd):
    assert line("info", "x.y", a=1, b="two words", c="", d=None) == 'info x.y a=1 b="two words"'
    assert "\n" not in line("info", "x", why='a\nb"c\\d\x1b[31m')
    assert len(line("info", "x", why="y" * 5000)) < 1000
    say("warning", "x", why="ü")
    assert capfd.readouterr().err == 'warning x why="ü"\n'


def test_a_status_is_readable():
    app = {
        "app": "line1",
        "version": "2",
        "phase": "soaked",
        "why": "runs as ordered",
        "services": [{"state": "running", "health": "healthy"}, {"state": "exited", "health": "none"}],
        "drift": [{}],
        "way_back": {"ok": True, "version": "1"},
    }
    data = {"name": "press-3", "device": "dev_x", "site": "plant-a", "version": "0.1", "pid": 7, "generation": 4, "epoch": 1, "apps": [app]}
    data["link"] = {"ok": True, "why": "", "last_ok_s_ago": 130}
    data["alarms"] = ["the disk is full"]
    text = "\n".join(shown.status(data))
    for words in ("press-3 (dev_x) at plant-a", "last heard 2 min ago", "the disk is full", "1/2 well, 1 drifted", "generation 4"):
        assert words in text
    app["services"] = [
        *({"state": "running", "health": "healthy"}, {"state": "exited", "health": "none"}),
        {"state": "exited", "health": "none", "why": "it ended well and is not repeated"},
        {"state": "exited", "health": "none", "exit_code": 0, "why": "x"},
    ]
    assert "2/4 well, 1 of them finished, 1 drifted" in "\n".join(shown.status(data))
    assert "no app is to run here" in "\n".join(shown.status({"running": False, "why": "x", "name": "a"}))
    assert [shown.size(count) for count in (0, 1023, 2048, 200 * 1024, 5 * 1024**3)] == ["0 B", "1023 B", "2.0 KiB", "200 KiB", "5.0 GiB"]


@pytest.mark.parametrize("kind", ["boot", "observation", "event", "receipt", "local-act", "command-outcome", "refusal", "gap", "unheard-of"])
def test_every_kind_of_entry_is_shown_even_when_it_is_empty(kind):
    assert kind == "unheard-of" or shown.words(kind, {})
    assert "7" in shown.entry({"seq": 7, "at_ms": 0, "kind": kind, "body": "no json", "clock": "untrusted"})


# --- the rest ----------------------------------------------------------------------------------------------------------


def test_slots_are_confirmed_once(tmp_path):
    places = Places(str(tmp_path))
    (tmp_path / "slots").mkdir()
    assert slots.confirm(places, {}) is False
    assert slots.confirm(places, {"PENSTOCK_SLOT": "../x"}) is False
    assert slots.confirm(places, {"PENSTOCK_SLOT": "b"}) is True
    assert slots.confirm(places, {"PENSTOCK_SLOT": "b"}) is False
    assert slots.confirmed(places) == "b"


def test_files_are_replaced_whole_and_closed_to_others(tmp_path):
    path = str(tmp_path / "x")
    write_file(path, b"one")
    write_file(path, b"two")
    assert read_file(path) == b"two"
    assert os.stat(path).st_mode & 0o777 == 0o600  # noqa: PTH116
    assert read_file(path + "no") is None
    with pytest.raises(PlaceError, match="longer"):
        read_file(path, 2)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


def test_the_clock_and_facts_of_this_machine(tmp_path):
    clock = Clock()
    one, two = clock.now(), clock.now()
    assert two.mono_ms >= one.mono_ms
    assert one.boot_id == two.boot_id
    assert len(one.boot_id) == 36
    found = facts(str(tmp_path))
    assert found.cpus >= 1
    assert found.disk_bytes > 0
    assert found.platforms[0].startswith("linux/")
    assert platforms("armv7l") == ("linux/arm/v7", "linux/arm/v6")
    assert platforms("loongarch64") == ("linux/loongarch64",)


@given(st.text())
def test_any_host_name_gives_a_device_name(text):
    assert name_fault(default_name(text)) is None


@pytest.mark.parametrize(
    "module", ["json", "re", "enum", "typing", "dataclasses", "logging", "argparse", "subprocess", "ssl", "socket", "http", "email", "asyncio"]
)
def test_the_resident_process_stays_clear_of(module):
    program = f"import sys; sys.path.insert(0, {SOURCE!r}); import penstock.agent.resident; print({module!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"


def test_device_nodes_that_apps_may_want(tmp_path, monkeypatch):
    for name in ("ttyUSB0", "dri/renderD128", "dri/by-path", "nvidia0", "sda", "net/tun", "serial/by-id/usb-scale"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    wanted = ("/dev/dri/renderD128", "/dev/net/tun", "/dev/nvidia0", "/dev/serial/by-id/usb-scale", "/dev/ttyUSB0")
    assert nodes_in(str(tmp_path)) == wanted
    assert nodes_in(str(tmp_path / "nothing")) == ()
    monkeypatch.delenv("PENSTOCK_DEV", raising=False)
    monkeypatch.setattr("penstock.agent.facts.INSIDE", ())
    assert len(nodes() or ()) <= 64
    monkeypatch.setattr("penstock.agent.facts.INSIDE", (str(tmp_path / "sda"),))
    assert nodes() is None, "in a container they would be the container's"
    monkeypatch.setenv("PENSTOCK_DEV", str(tmp_path))
    assert nodes() == wanted, "unless it was said where the device's are"
