"""Join strings and addresses: what one side writes the other reads; damage and nonsense are refused by name."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.wire.codec import WireError
from penstock.wire.join import PREFIX, Join, format_join, parse_join
from penstock.wire.record import replace
from penstock.wire.urls import read_url

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
GOOD = Join(("https://plane.example:8443",), "tok-123", "sha256:" + "a" * 64, (PEM,), "http://proxy:3128")


def test_a_join_string_survives_copying():
    text = format_join(GOOD)
    assert text.startswith(PREFIX)
    assert not set(text[len(PREFIX) :]) & set("+/= \n")
    assert parse_join(text) == GOOD
    folded = "\n  ".join(text[at : at + 70] for at in range(0, len(text), 70))
    assert parse_join(folded) == GOOD


@pytest.mark.parametrize(
    "change",
    [
        {"urls": ()},
        {"urls": ("http://plane",)},
        {"token": ""},
        {"root": "sha256:12"},
        {"ca": ("nonsense",)},
        {"ca": (PEM + "-----BEGIN PRIVATE KEY-----",)},
        {"proxy": "socks://x"},
    ],
)
def test_what_no_device_would_read_is_not_handed_out(change):
    with pytest.raises(WireError):
        format_join(replace(GOOD, **change))


@given(st.integers(0, 10_000))
def test_a_join_string_cut_short_is_refused(at):
    text = format_join(GOOD)
    with pytest.raises(WireError):
        parse_join(text[: at % len(text)])


@given(st.text())
def test_any_text_gives_a_join_or_a_wire_error(text):
    for candidate in (text, PREFIX + text):
        with contextlib.suppress(WireError):
            parse_join(candidate)


def test_addresses_are_read():
    url = read_url("HTTPS://Plane.Example/base/")
    assert (url.host, url.port, url.path, url.authority(), url.host_port()) == ("plane.example", 443, "/base", "plane.example", "plane.example:443")
    url = read_url("https://[2001:DB8::1]:8443")
    assert (url.host, url.port, url.authority()) == ("2001:db8::1", 8443, "[2001:db8::1]:8443")
    url = read_url("http://me:p%40ss@proxy.lan:3128", ("http",))
    assert (url.host, url.port, url.user) == ("proxy.lan", 3128, "me:p%40ss")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plane.example",
        "http://plane.example",
        "https://",
        "https://:443",
        "https://me@plane",
        "https://plane:0",
        "https://plane:65536",
        "https://plane:+44",
        "https://plane:443x",
        "https://plane:",
        "https://pl ane",
        "https://pl\r\nane",
        "https://plane/a?b",
        "https://plane/a#b",
        "https://plane/a b",
        "https://[::1",
        "https://[plane]",
        "https://[::1]8443",
        "https://a..b",
        "https://" + "a" * 600,
    ],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(WireError):
        read_url(text)
