"""The hand-made text of a desired state is exactly what the codec would write, and its digest moves only with its content."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core.document import app_text, content_of, shared, text_of
from penstock.wire.codec import encode
from penstock.wire.messages import Desired, Endpoint, Settings
from penstock.wire.options import Options
from penstock.wire.record import replace
from penstock.wire.types import AppState, Blob, Image, Service, Variant
from penstock.wire.version import WIRE

BLOB = Blob("sha256:" + "0" * 64, 5)


def app(name, value):
    return AppState(
        name, "dep_a", BLOB.digest, "1", (Service("web", "i", environment={"A": value}),), images=(Image("i", (Variant("linux/amd64", BLOB, BLOB, ()),)),)
    )


apps = st.lists(st.tuples(st.sampled_from("abcdef"), st.text(max_size=8).filter(lambda text: text.isprintable())), max_size=3, unique_by=lambda pair: pair[0])
endpoints = st.lists(
    st.builds(Endpoint, st.sampled_from(["https://a", "https://b:8443"]), st.sampled_from([(), ("PEM\n",)]), st.sampled_from(["", "http://p:1"])), max_size=2
)
settings = st.builds(Settings, st.sampled_from([60, 30]), st.sampled_from([0, 9]))


@given(apps, endpoints, settings, st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**40))
def test_it_is_what_the_codec_writes(named, ends, how, epoch, generation, issued):
    states = [app(name, value) for name, value in named]
    same = shared(ends, how)
    text = text_of([app_text(state) for state in states], "dev_a", epoch, generation, issued, same)
    assert text == encode(Desired(WIRE, "dev_a", epoch, generation, issued, tuple(states), tuple(ends), how))


@given(apps, endpoints, settings)
def test_its_digest_moves_with_its_content_only(named, ends, how):
    texts = [app_text(app(name, value)) for name, value in named]
    same = shared(ends, how)
    digest = content_of(texts, "dev_a", 1, same)
    assert content_of(list(texts), "dev_a", 1, shared(list(ends), how)) == digest
    others = {
        content_of(texts, "dev_b", 1, same),
        content_of(texts, "dev_a", 2, same),
        content_of([*texts, app_text(app("zz", "1"))], "dev_a", 1, same),
        content_of(texts, "dev_a", 1, shared([*ends, Endpoint("https://z")], how)),
        content_of(texts, "dev_a", 1, shared(ends, Settings(61))),
    }
    assert digest not in others
    assert len(others) == 5


@given(apps)
def test_the_document_bears_the_number_that_its_newest_app_needs(named):
    newer = app("zz", "1")
    newer = replace(newer, services=(replace(newer.services[0], options=Options(privileged=True), labels={"wire": "9"}),), wire=2)
    states = [*(app(name, value) for name, value in named), newer]
    same = shared((), Settings())
    text = text_of([app_text(state) for state in states], "dev_a", 1, 2, 3, same)
    assert text == encode(Desired(2, "dev_a", 1, 2, 3, tuple(states)))
