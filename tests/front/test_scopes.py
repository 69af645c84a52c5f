"""Ids of two halves, mixed: whoever may see amber only asks every route with ids of amber and of basalt drawn at random for its path, its query and each field of
its body. No answer says a word of basalt that the asker did not say, none can be told from that about a thing which is not there, and no row of basalt
changes."""

from __future__ import annotations

import os
import random
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.server.api.frame import PUBLIC, Nothing
from penstock.server.api.routes import ROUTES
from tests.front.asking import STREAMS, of_half
from tests.front.halves import Asker, Got, Half, World
from tests.front.test_matrix import API
from tests.needs import IN_CI
from tests.server.planes import make_plane

EXAMPLES = int(os.environ.get("PENSTOCK_FUZZ_EXAMPLES", "0")) or (10 if IN_CI else 4)  # `make soak` takes two hundred
# Fields of text that name nothing: what is written there is the asker's own word.
FREE = {
    "name",
    "title",
    "note",
    "reason",
    "label",
    "labels",
    "compose",
    "version",
    "pin",
    "secret",
    "password",
    "old",
    "new",
    "token",
    "code",
    "values",
    "secrets",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    plane = make_plane(tmp_path_factory.mktemp("mixed"))
    made = World(plane)
    made.places = [asker for asker in made.askers if "amber's" in asker.label and "app" not in asker.label]
    made.places += 3 * [asker for asker in made.places if asker.label.startswith(("administrator", "engineer", "site-owner"))]
    yield made
    made.close()
    plane.db.close()


class Mixed(Half):
    """Each id of one half or the other, anew each time it is asked for."""

    def __init__(self, world: World, chance: random.Random) -> None:
        super().__init__("amber", {})
        self.ids = _Either(world, chance)


class _Either(dict[str, str]):
    def __init__(self, world: World, chance: random.Random) -> None:
        super().__init__(world.amber.ids)
        self.world, self.chance = world, chance

    def __getitem__(self, noun: str) -> str:
        return self.chance.choice((self.world.amber, self.world.basalt)).ids[noun]


def pool(world: World) -> list[str]:
    """Ids and names of both halves."""
    ids = [one for half in (world.amber, world.basalt) for one in half.ids.values()]
    names = [
        f"{half.name}-{word}" for half in (world.amber, world.basalt) for word in ("site", "press", "device", "app", "line", "pager", "group", "team", "user")
    ]
    return ids + names + [f"{kind}:{one}" for kind in ("site", "device", "app", "group") for one in (f"basalt-{kind}", world.basalt.ids.get(kind, "x"))]


def filled(kind: Any, world: World, chance: random.Random, name: str = "") -> Any:
    """A value of a type of the API whose texts name things of either half."""
    inspect = msgspec.inspect
    if isinstance(kind, inspect.StructType):
        return {
            one.encode_name: filled(one.type, world, chance, one.name)
            for one in kind.fields
            if one.required or (one.name not in FREE and chance.random() < 0.6)
        }
    if isinstance(kind, inspect.UnionType):
        return filled(chance.choice([one for one in kind.types if not isinstance(one, inspect.NoneType)]), world, chance, name)
    if isinstance(kind, (inspect.VarTupleType, inspect.ListType)):
        return [filled(kind.item_type, world, chance, name) for _ in range(chance.choice((1, 1, 2)))]
    if isinstance(kind, inspect.DictType):
        return {}
    if isinstance(kind, inspect.LiteralType):
        return chance.choice(kind.values)
    if isinstance(kind, inspect.BoolType):
        return chance.random() < 0.5
    if isinstance(kind, (inspect.IntType, inspect.FloatType)):
        return kind.ge if kind.ge is not None else 1
    if name == "selector":
        return chance.choice(("half=basalt", "half=amber"))
    if name in ("who", "members"):  # whoever may give roles may name anybody: whom they name, they know
        return chance.choice((world.amber.ids["user"], world.amber.ids["team"]))
    if name in ("app", "service"):  # in an order to a device these are words for the device to judge; an app of basalt as a target: test_matrix
        return chance.choice((world.amber.ids["app"], "a-word"))
    return "a-word" if name in FREE else chance.choice(pool(world))


def merged(one: Any, other: Any, chance: random.Random) -> Any:
    """`other` in places of `one`."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return chance.choice((one, other))
    return {**one, **{key: merged(one[key], value, chance) if key in one else value for key, value in other.items() if chance.random() < 0.4}}


def never(text: str, world: World) -> str:
    """The same with things that are not there in place of basalt's: ids as long, names that differ in their last letter."""
    for word in sorted({*world.basalt.ids.values(), *(one for one in pool(world) if "basalt" in one)}, key=len, reverse=True):
        text = text.replace(word, f"{word[:-1]}0") if not word.endswith("0") else text.replace(word, f"{word[:-1]}9")
    return text


def ask(world: World, asker: Asker, method: str, target: str, body: str, headers: dict[str, str]) -> Got:
    given = msgspec.json.decode(body) if body else None
    return world.ask(asker, method, target, body=given, headers=headers)


@pytest.mark.slow
@pytest.mark.parametrize(
    "route", [route for route in ROUTES if route.permission != PUBLIC and route.path not in STREAMS], ids=lambda one: f"{one.method} {one.path}"
)
def test_of_the_other_half_nothing_is_told_and_nothing_changes(route, world):
    line = API[route.method, route.path]
    before = of_half(world.plane, world.basalt)
    assert len(before) > 20

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    @given(st.randoms(use_true_random=False))
    def probe(chance: random.Random) -> None:
        mixed, asker = Mixed(world, chance), chance.choice(world.places)
        path = route.path
        for noun in world.amber.ids:
            path = path.replace("{" + noun + "}", quote(mixed.ids[noun]))
        for noun in ("token", "view", "role", "host", "mirror", "list"):
            path = path.replace("{" + noun + "}", mixed.ids["site"])
        assert "{" not in path, f"the halves have nothing for {path}"
        body = ""
        if route.body is not None:
            drawn = filled(msgspec.inspect.type_info(route.body), world, chance)
            body = msgspec.json.encode(merged(line.body(mixed), drawn, chance) if line.body else drawn).decode()
        if '"who":' in body:  # whoever may give roles may name anybody: whom they name, they know
            body = msgspec.json.encode({**msgspec.json.decode(body), "who": world.amber.ids["user"]}).decode()
        query = filled(msgspec.inspect.type_info(route.query), world, chance) if route.query is not Nothing else {}
        for name in ("cursor", "limit"):
            query.pop(name, None)
        target = path + (
            "?" + urlencode({key: str(value).lower() if isinstance(value, bool) else value for key, value in query.items()}, safe=":") if query else ""
        )
        headers = {"if-match": f'"r{chance.choice((1, 1, 2, 3))}"'} if route.conditional else {}
        got = ask(world, asker, route.method, target, body, headers)
        said, label = f"{target} {body}", f"{asker.label}: {route.method} {target} {body}: {got.status} {got.text[:500]}"
        assert got.status < 500, label
        leaked = [word for word in world.basalt.words() if word in got.text and word not in said]
        assert not leaked, f"{label} tells {leaked}"
        if route.method == "GET" or got.status >= 400:
            other = ask(world, asker, route.method, never(target, world), never(body, world), headers)
            same = (other.status, other.text) == (got.status, never(got.text, world))
            assert same or "-taken" in got.text, f"{label} differs from what is not there: {other.status} {other.text[:500]}"

    probe()
    after = of_half(world.plane, world.basalt)
    assert after == before, f"rows of basalt changed: {sorted(after ^ before)[:4]}"


def test_the_halves_can_be_told_apart(world):
    """A guard for the above: that there are askers, that basalt is there for who may see it, and not for them."""
    assert len(world.places) > 5
    everything = world.ask(world.askers[1], "GET", "/api/v1/devices").text
    assert "basalt-press" in everything
    for asker in world.places:
        assert "basalt" not in world.ask(asker, "GET", "/api/v1/devices").text
