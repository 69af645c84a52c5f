"""The compiled readers and writers say what walking over the fields says: the same record, the same bytes, the same words of refusal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.wire import codec, quick
from penstock.wire.codec import WireError, encode, from_plain
from penstock.wire.record import record, replace
from tests.wire import samples

ALL = {**samples.MESSAGES, **samples.BODIES}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.sampled_from(["", "\ud800", "é", "x" * 40_000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


@contextmanager
def compiled(*classes: type) -> Iterator[None]:
    """These classes read and written by compiled functions; all others by walking."""
    held = dict(codec.readers), dict(codec.writers)
    codec.readers.clear()
    codec.writers.clear()
    quick.install(*classes)
    try:
        yield
    finally:
        codec.readers.clear()
        codec.writers.clear()
        codec.readers.update(held[0])
        codec.writers.update(held[1])


def said(cls: type, plain: Any) -> Any:
    try:
        return from_plain(cls, plain)
    except WireError as fault:
        return str(fault), fault.oversize


def records_in(value: Any) -> set[type]:
    """The classes of a record and of all records in it."""
    if isinstance(value, tuple):
        return set().union(*(records_in(item) for item in value))
    if isinstance(value, dict):
        return set().union(*(records_in(item) for item in value.values()))
    names = getattr(type(value), "__slots__", None)
    return {type(value)}.union(*(records_in(getattr(value, name)) for name in names)) if names is not None else set()


def places(plain: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at]
    for key, item in plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, list) else ():
        found += places(item, (*at, key))
    return found


@given(st.sampled_from(sorted(ALL)), st.data())
def test_whatever_is_changed_in_a_message_both_say_the_same(name: str, data: st.DataObject) -> None:
    value = ALL[name]
    plain = json.loads(encode(value))
    for _ in range(data.draw(st.integers(0, 2))):
        at = data.draw(st.sampled_from(places(plain)))
        if not at:
            continue
        inside = plain
        for key in at[:-1]:
            inside = inside[key]
        if data.draw(st.booleans()):
            del inside[at[-1]]
        else:
            inside[at[-1]] = data.draw(JSON)
    with compiled():
        walked = said(type(value), plain)
    with compiled(*records_in(value)):
        assert said(type(value), plain) == walked
        if type(walked) is type(value):
            again = encode(walked)
    if type(walked) is type(value):
        with compiled():
            assert encode(walked) == again


@given(JSON)
def test_what_is_no_message_at_all_is_refused_in_the_same_words(plain: Any) -> None:
    for value in ALL.values():
        with compiled():
            walked = said(type(value), plain)
        with compiled(type(value)):
            assert said(type(value), plain) == walked


def a_record() -> Any:
    @record
    class Thing:
        name: str
        size: int = 3
        parts: tuple[str, ...] = ()

    return Thing


@pytest.mark.parametrize(
    ("given", "named"),
    [(("a",), {}), (("a", 4), {}), (("a", 4, ("x",)), {}), ((), {"name": "a", "parts": ("x",)}), ((), {}), (("a", 1, (), 2), {}), (("a",), {"colour": "red"})],
)
def test_a_hastened_record_is_the_same_record(given: tuple[Any, ...], named: dict[str, Any]) -> None:
    slow, fast = a_record(), a_record()
    quick.hasten(fast)
    quick.hasten(fast)  # a second time changes nothing
    try:
        plain = slow(*given, **named)
    except TypeError:
        with pytest.raises(TypeError):
            fast(*given, **named)
        return
    made = fast(*given, **named)
    assert type(made) is fast
    assert repr(made) == repr(plain)
    assert made == fast(*given, **named)
    assert hash(made) == hash(plain)
    assert replace(made, size=9).size == 9
    assert not hasattr(made, "__dict__")
    with pytest.raises(AttributeError, match="frozen"):
        made.name = "b"


def test_a_default_outside_the_choices_is_refused_when_it_is_compiled() -> None:
    @record
    class Odd:
        CHOICES = {"kind": ("a", "b")}

        kind: str = ""

    with pytest.raises(TypeError, match=r"Odd\.kind"):
        quick.reader(Odd)
