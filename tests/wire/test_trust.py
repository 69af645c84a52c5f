"""The rules of trust, each refusal with its stable reason; keys here are make-believe, real ones are met in tests/crypto and e2e."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.wire import messages as m
from penstock.wire import trust
from penstock.wire.codec import encode
from penstock.wire.envelope import ROOT, open_unverified, pae, payload_type, seal
from penstock.wire.record import replace
from penstock.wire.trust import Held, Refusal, Root
from penstock.wire.types import content_digest, sha256_of
from tests.wire import samples

Signer = tuple[str, Callable[[bytes], bytes]]


def pem(name: str) -> str:
    return f"-----PUBLIC {name}-----\n"


def sign(name: str) -> Signer:
    return trust.key_id(pem(name)), lambda message: hashlib.sha256(pem(name).encode() + message).digest()


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    if b"BROKEN" in public:
        raise ValueError("no key")
    return signature == hashlib.sha256(public + message).digest()


def root_bytes(
    version: int = 1,
    epoch: int = 1,
    root_keys: tuple[str, ...] = ("root",),
    director: tuple[str, ...] = ("director",),
    signed_by: tuple[str, ...] = ("root",),
    threshold: int = 1,
    revoked: tuple[str, ...] = (),
    **changes: object,
) -> bytes:
    names = {*root_keys, *director}
    keys = {trust.key_id(pem(name)): {"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": pem(name)}} for name in names}
    plain: dict[str, object] = {
        "_type": "root",
        "spec_version": "1.0.34",
        "version": version,
        "expires": "2036-01-01T00:00:00Z",
        "keys": keys,
        "roles": {"root": {"keyids": [trust.key_id(pem(name)) for name in root_keys], "threshold": threshold}},
        "penstock": {
            "epoch": epoch,
            "roles": {"director": {"keyids": [trust.key_id(pem(name)) for name in director], "threshold": 1}},
            "revoked": [trust.key_id(pem(name)) for name in revoked],
        },
    }
    plain.update(changes)
    return seal(ROOT, json.dumps(plain).encode(), tuple(sign(name) for name in signed_by))


def pinned(raw: bytes) -> Root:
    root = trust.pin_root(raw, sha256_of(open_unverified(raw)[1]), verify)
    assert isinstance(root, Root), root
    return root


ROOT1 = pinned(root_bytes())
DESIRED = replace(samples.DESIRED, epoch=1)
NONE_YET = Held(1, 0, "")


def desired(value: m.Desired = DESIRED, by: str = "director", kind: str = "desired") -> bytes:
    return seal(payload_type(kind), encode(value), (sign(by),))


def reason(answer: object) -> str:
    assert isinstance(answer, Refusal), answer
    assert answer.reason in trust.REASONS
    assert answer.why
    return answer.reason


def judge(raw: bytes, held: Held = NONE_YET, root: Root = ROOT1, device: str = "dev_a") -> object:
    return trust.accept_desired(root, held, device, raw, verify)


def accepted(answer: object) -> Held:
    assert isinstance(answer, tuple), answer
    assert isinstance(answer[1], Held)
    return answer[1]


def test_a_good_desired_state_is_accepted_and_again_is_no_news() -> None:
    first = judge(desired())
    assert isinstance(first, tuple)
    value, held = first
    assert value == DESIRED
    assert (held.epoch, held.generation) == (1, 17)
    assert judge(desired(), held) == first


def test_every_refusal_of_a_desired_state() -> None:
    held = accepted(judge(desired()))
    tampered = json.loads(desired())
    tampered["payload"] = json.loads(desired(replace(DESIRED, generation=18)))["payload"]
    assert reason(judge(json.dumps(tampered).encode())) == "bad-signature"
    assert reason(judge(desired(by="mallory"))) == "unknown-key"
    without = pinned(root_bytes(revoked=("director",)))
    assert reason(judge(desired(), root=without)) == "revoked-key"
    assert reason(judge(desired(), device="dev_b")) == "wrong-device"
    assert reason(judge(desired(replace(DESIRED, generation=16)), held)) == "older-generation"
    assert reason(judge(desired(replace(DESIRED, issued_ms=5)), held)) == "conflicting-content"
    assert reason(judge(b"{" + b" " * 7_000_000)) == "oversize"
    assert reason(judge(b"{}")) == "malformed"
    assert reason(judge(desired(kind="command"))) == "malformed"
    assert reason(judge(seal(payload_type("desired"), b"[]", (sign("director"),)))) == "malformed"
    assert reason(judge(seal(payload_type("desired", 2), encode(DESIRED), (sign("director"),)))) == "unknown-version"
    assert reason(judge(desired(replace(DESIRED, wire=3)))) == "unknown-version"
    epoch2 = pinned(root_bytes(epoch=2))
    assert reason(judge(desired(), root=epoch2)) == "older-epoch"
    assert reason(judge(desired(replace(DESIRED, epoch=2)))) == "unknown-epoch"


def test_a_new_epoch_may_begin_again_at_generation_one_but_never_the_old_one() -> None:
    held = accepted(judge(desired()))
    epoch2 = pinned(root_bytes(epoch=2))
    restored = replace(DESIRED, epoch=2, generation=1)
    fresh = judge(desired(restored), held, epoch2)
    assert isinstance(fresh, tuple)
    assert fresh[1].epoch == 2
    assert reason(judge(desired(replace(DESIRED, generation=99)), fresh[1], epoch2)) == "older-epoch"


def test_a_broken_key_in_the_root_is_never_a_reason_to_believe() -> None:
    root = pinned(root_bytes(director=("BROKEN",)))
    raw = seal(payload_type("desired"), encode(DESIRED), (sign("BROKEN"),))
    assert reason(judge(raw, root=root)) == "malformed"


def test_one_signature_twice_does_not_count_as_two() -> None:
    raw = root_bytes(root_keys=("root", "spare"), threshold=2, signed_by=("root", "root"))
    assert reason(trust.pin_root(raw, sha256_of(open_unverified(raw)[1]), verify)) == "bad-signature"


def test_the_first_root_must_be_the_one_the_join_command_names() -> None:
    raw = root_bytes()
    assert reason(trust.pin_root(raw, samples.DIGEST[0], verify)) == "root-not-pinned"
    unsigned = root_bytes(signed_by=("mallory",))
    assert reason(trust.pin_root(unsigned, sha256_of(open_unverified(unsigned)[1]), verify)) == "unknown-key"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (root_bytes(version=3, epoch=2), "root-out-of-order"),
        (root_bytes(version=1), "root-out-of-order"),
        (root_bytes(version=2, epoch=0), "malformed"),
        (root_bytes(version=2, root_keys=("new",), signed_by=("new",)), "unknown-key"),
        (root_bytes(version=2, root_keys=("new",), signed_by=("root",)), "unknown-key"),
        (root_bytes(version=2, expires="tomorrow"), "malformed"),
        (root_bytes(version=2, keys={}), "malformed"),
        (root_bytes(version=2, threshold=2), "malformed"),
        (b"nonsense", "malformed"),
    ],
)
def test_roots_that_do_not_follow_are_refused(raw: bytes, expected: str) -> None:
    assert reason(trust.accept_root(ROOT1, raw, verify)) == expected


def test_a_root_signed_by_old_and_new_keys_follows_and_its_epoch_never_falls() -> None:
    second = trust.accept_root(ROOT1, root_bytes(version=2, epoch=2, root_keys=("new",), signed_by=("root", "new")), verify)
    assert isinstance(second, Root)
    assert (second.version, second.epoch) == (2, 2)
    back = root_bytes(version=3, epoch=1, root_keys=("new",), signed_by=("new",))
    assert reason(trust.accept_root(second, back, verify)) == "older-epoch"


def test_leaves_lapse_and_are_for_one_content() -> None:
    content = content_digest(samples.APP)
    leave = m.Authorisation(1, "aut_1", "dev_a", 1, "line-reader", content, "rol_1", 1, 10, 20)
    raw = seal(payload_type("authorisation"), encode(leave), (sign("director"),))
    assert trust.accept_authorisation(ROOT1, "dev_a", raw, verify) == leave
    assert reason(trust.accept_authorisation(pinned(root_bytes(epoch=2)), "dev_a", raw, verify)) == "older-epoch"
    assert trust.leave_fault(leave, "line-reader", content, 20) is None
    assert reason(trust.leave_fault(leave, "line-reader", content, 21)) == "authorisation-lapsed"
    assert reason(trust.leave_fault(leave, "line-reader", samples.DIGEST[1], 15)) == "authorisation-other-content"
    assert reason(trust.leave_fault(leave, "other", content, 15)) == "authorisation-other-content"


def test_currency_answers_one_question_only() -> None:
    word = m.Currency(1, "dev_a", 1, 17, 5, "n1")
    raw = seal(payload_type("currency"), encode(word), (sign("director"),))
    assert trust.accept_currency(ROOT1, "dev_a", "n1", raw, verify) == word
    assert reason(trust.accept_currency(ROOT1, "dev_a", "n2", raw, verify)) == "stale-answer"


def test_acks_and_commands_are_bound_to_the_epoch() -> None:
    ack = m.Ack(1, "dev_a", 1, 5, samples.DIGEST[1], 5)
    raw = seal(payload_type("ack"), encode(ack), (sign("director"),))
    assert trust.accept_ack(ROOT1, "dev_a", raw, verify) == ack
    assert reason(trust.accept_ack(pinned(root_bytes(epoch=2)), "dev_a", raw, verify)) == "older-epoch"
    command = m.Command(1, "cmd_1", "dev_a", 1, "refresh", 1, 2)
    sealed = seal(payload_type("command"), encode(command), (sign("director"),))
    assert trust.accept_command(ROOT1, "dev_a", sealed, verify) == command
    assert reason(trust.accept_command(ROOT1, "dev_b", sealed, verify)) == "wrong-device"


def test_admission_is_for_one_key() -> None:
    admission = m.Admission(1, "dev_a", "press-7", "site_a", "k1", 5)
    raw = seal(payload_type("admission"), encode(admission), (sign("director"),))
    assert trust.accept_admission(ROOT1, "k1", raw, verify) == admission
    assert reason(trust.accept_admission(ROOT1, "k2", raw, verify)) == "wrong-device"


def test_what_the_plane_accepts_is_signed_by_that_very_device() -> None:
    ask = m.EnrolRequest(1, "t", "press-7", pem("device"), pem("seal"), "0" * 32, samples.FACTS)
    raw = seal(payload_type("enrol"), encode(ask), (sign("device"),))
    assert trust.accept_enrolment(raw, verify) == ask
    stolen = seal(payload_type("enrol"), encode(ask), (sign("mallory"),))
    assert reason(trust.accept_enrolment(stolen, verify)) == "unknown-key"
    report = m.Report(1, "dev_a", 1, 1, 0, ())
    sealed = seal(payload_type("report"), encode(report), (sign("device"),))
    assert trust.accept_report("dev_a", trust.author(pem("device")), sealed, verify) == report
    assert reason(trust.accept_report("dev_b", trust.author(pem("device")), sealed, verify)) == "wrong-device"
    assert reason(trust.accept_report("dev_a", trust.author(pem("other")), sealed, verify)) == "unknown-key"
    session = m.SessionRequest(1, "dev_a", 5, "n")
    assert trust.accept_session(trust.author(pem("device")), seal(payload_type("session"), encode(session), (sign("device"),)), verify) == session


@given(st.binary(max_size=400))
def test_no_bytes_raise(raw: bytes) -> None:
    for answer in (
        judge(raw),
        trust.accept_root(ROOT1, raw, verify),
        trust.accept_enrolment(raw, verify),
        trust.accept_admission(ROOT1, "k", raw, verify),
    ):
        assert isinstance(answer, Refusal)


@given(st.data())
def test_no_flip_in_an_envelope_changes_what_is_believed(data: st.DataObject) -> None:
    raw = bytearray(desired())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    answer = judge(bytes(raw))
    if not isinstance(answer, Refusal):
        assert answer[0] == DESIRED  # type: ignore[index]


def test_dates_are_read_right() -> None:
    assert trust._expiry("1970-01-01T00:00:00Z") == 0
    assert trust._expiry("2038-01-19T03:14:08Z") == 2**31 * 1000
    assert trust._expiry("2024-02-29T12:00:00Z") == 1_709_208_000_000


def test_the_pre_authentication_encoding_is_the_standards() -> None:
    """DSSE v1.0.2, protocol.md, its worked example."""
    assert pae("http://example.com/HelloWorld", b"hello world") == (b"DSSEv1 29 http://example.com/HelloWorld 11 hello world")
