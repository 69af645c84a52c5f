"""The codec: what goes out comes back, and whatever else comes in is refused by path, only ever with a WireError."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.wire import log, messages, types
from penstock.wire.codec import MAX_INTEGER, WireError, decode, encode, from_plain, parse
from penstock.wire.record import record, replace
from tests.wire import samples

ALL = {**samples.MESSAGES, **samples.BODIES}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def paths(plain: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    found = [path]
    if isinstance(plain, dict):
        for key, value in plain.items():
            found += paths(value, (*path, key))
    elif isinstance(plain, list):
        for index, value in enumerate(plain):
            found += paths(value, (*path, index))
    return found


@given(st.sampled_from(sorted(ALL)), st.data(), JSON)
def test_any_value_anywhere_is_read_or_refused_with_a_place(name: str, data: st.DataObject, junk: object) -> None:
    plain = json.loads(encode(ALL[name]))
    place = data.draw(st.sampled_from(paths(plain)))
    if place:
        holder = plain
        for step in place[:-1]:
            holder = holder[step]
        holder[place[-1]] = junk
    else:
        plain = junk
    try:
        value = from_plain(type(ALL[name]), plain)
    except WireError as fault:
        assert fault.why
    else:
        assert decode(type(value), encode(value)) == value


@given(st.binary(max_size=300))
def test_any_bytes_are_json_or_refused(raw: bytes) -> None:
    try:
        parse(raw)
    except WireError as fault:
        assert str(fault)


@given(st.sampled_from(sorted(ALL)), st.data())
def test_any_cut_or_flip_of_a_message_is_read_or_refused(name: str, data: st.DataObject) -> None:
    raw = bytearray(encode(ALL[name]))
    at = data.draw(st.integers(0, len(raw) - 1))
    if data.draw(st.booleans()):
        del raw[at:]
    else:
        raw[at] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(WireError):
        decode(type(ALL[name]), bytes(raw))


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"wire": "1"}, "wire: must be an integer, is text"),
        ({"wire": True}, "wire: must be an integer, is true or false"),
        ({"wire": 1.5}, "wire: must be an integer, is a fraction"),
        ({"wire": None}, "wire: must be an integer, is null"),
        ({"generation": MAX_INTEGER + 1}, "generation: is larger than 2**53"),
        ({"generation": 0}, "generation: epoch and generation begin at 1"),
        ({"apps": {}}, "apps: must be a list, is an object"),
        ({"apps": [5]}, "apps[0]: must be an object, is an integer"),
        ({"endpoints": [{"url": "x"}] * 9}, "endpoints: 9 items, more than the 8 allowed"),
        ({"device": "x" * 32769}, "device: 32769 characters, more than the 32768 allowed"),
        ({"device": "\ud800"}, "device: holds half of a surrogate pair, which no text may"),
    ],
)
def test_wrong_fields_are_named(change: dict[str, object], place: str) -> None:
    plain = json.loads(encode(samples.DESIRED)) | change
    with pytest.raises(WireError) as caught:
        from_plain(messages.Desired, plain)
    assert str(caught.value) == place


def test_deep_places_are_named() -> None:
    plain = json.loads(encode(samples.DESIRED))
    plain["apps"][0]["services"][0]["ports"][1]["protocol"] = "icmp"
    with pytest.raises(WireError, match=r"apps\[0\]\.services\[0\]\.ports\[1\]\.protocol: must be one of tcp, udp, sctp"):
        from_plain(messages.Desired, plain)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"seq":1,"seq":2}',
        b"[" * 100_000,
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1' + b"0" * 5000 + b"}",
        b"\xff",
        b"",
        b'{"a":1}x',
    ],
)
def test_what_is_not_one_json_value_is_refused(raw: bytes) -> None:
    with pytest.raises(WireError):
        parse(raw)


def test_oversize_is_told_apart() -> None:
    with pytest.raises(WireError) as caught:
        parse(b" " * 11, limit=10)
    assert caught.value.oversize


def test_unknown_keys_are_ignored_and_defaults_left_out() -> None:
    plain = json.loads(encode(samples.BROKER))
    assert plain == {"name": "broker", "image": "broker"}
    assert from_plain(types.Service, {**plain, "invented_later": {"x": [1]}}) == samples.BROKER


def test_one_form_only() -> None:
    assert encode(log.Event("n", "Grüß Gott")) == b'{"name":"n","why":"Gr\\u00fc\\u00df Gott"}'


def test_an_app_whose_service_names_no_image_is_refused() -> None:
    plain = json.loads(encode(samples.APP))
    plain["services"][1]["image"] = "other"
    with pytest.raises(WireError, match=r"services\[1\]\.image: 'other' is not among the app's images"):
        from_plain(types.AppState, plain)


def test_content_digest_ignores_what_restarts_nothing_and_sees_what_does() -> None:
    base = types.content_digest(samples.APP)
    other_seal = replace(samples.APP.secrets[0], sealed=replace(samples.SEALED, iv="BBBB"))
    assert types.content_digest(replace(samples.APP, secrets=(other_seal,), soak_s=9, drift="correct", keep=5)) == base
    assert types.content_digest(replace(samples.APP, secrets=(replace(samples.APP.secrets[0], version="4"),))) != base
    changed = replace(samples.SERVICE, environment={"LINE": "8"})
    assert types.content_digest(replace(samples.APP, services=(changed, samples.BROKER))) != base


def test_service_digest_sees_the_image_and_not_the_order_of_starting() -> None:
    image = samples.APP.images[0]
    base = types.service_digest(samples.SERVICE, image)
    assert types.service_digest(replace(samples.SERVICE, depends_on=(), probes=(), stop_grace_ms=1), image) == base
    other = replace(image, variants=(replace(samples.VARIANT, config=types.Blob(samples.DIGEST[10], 1)),))
    assert types.service_digest(samples.SERVICE, other) != base
    assert types.service_digest(replace(samples.SERVICE, user="0"), image) != base


def test_records_are_frozen_values() -> None:
    one = types.Port(80)
    assert one == types.Port(container=80)
    assert one != types.Port(81)
    other: object = types.Blob("sha256:" + "0" * 64, 80)
    assert one != other
    assert hash(one) == hash(types.Port(80))
    assert repr(one) == "Port(container=80, host=0, host_ip='', protocol='tcp')"
    with pytest.raises(AttributeError):
        one.host = 5  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del one.host
    with pytest.raises(TypeError):
        replace(one, hots=5)
    with pytest.raises(TypeError):
        types.Port()  # type: ignore[call-arg]


def test_a_required_field_after_an_optional_one_is_a_mistake_told_at_import() -> None:
    with pytest.raises(TypeError, match=r"Wrong\.second has no default"):

        @record
        class Wrong:
            first: int = 1
            second: int  # type: ignore[misc]
