"""Guessing is slowed down for whoever guesses, and for nobody else."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core.guessing import FORGOTTEN_MS, NAME, PAIR, PAIR_KNOWN, Rule, Tries, judged_by, near, one_more, wait_ms

DAY_MS = 86_400_000


@dataclass
class Counted:
    """Counts as `actions.attempts` keeps them."""

    tries: dict[str, Tries] = field(default_factory=dict)

    def wait(self, keys, now):
        return max(wait_ms(rule, self.tries.get(key, Tries()), now) for key, rule in keys)

    def wrong(self, keys, now):
        for key, _ in keys:
            self.tries[key] = one_more(self.tries.get(key, Tries()), now)


def addresses():
    return st.integers(0, 2**32 - 1).map(lambda n: ".".join(str(n >> shift & 255) for shift in (24, 16, 8, 0))) | st.sampled_from(["2001:db8::7", ""])


@given(st.lists(st.tuples(st.sampled_from(["anna", "bert", "root", ""]), addresses(), st.booleans(), st.integers(0, 100_000)), max_size=200))
def test_strangers_elsewhere_never_make_somebody_wait_where_they_signed_in_before(history) -> None:
    counted, now, home = Counted(), 0, "192.0.2.7"
    mine = judged_by("password", "anna", home, known=True)
    for name, address, known, passed in history:
        if near(address) == near(home) and name == "anna":
            continue
        now += passed
        keys = judged_by("password", name, address, known=known)
        if not counted.wait(keys, now):
            counted.wrong(keys, now)
        assert counted.wait(mine, now) == 0


@given(st.integers(1, 400), st.integers(1, 60_000))
def test_one_name_can_be_guessed_a_few_hundred_times_a_day_from_however_many_addresses(many, pause_ms) -> None:
    """The best a stranger can do: try from the next address at every moment that is allowed."""
    counted, now, guesses = Counted(), 0, 0
    while now < DAY_MS:
        keys = judged_by("password", "anna", f"198.51.{guesses % many // 250}.{guesses % many % 250}", known=False)
        wait = counted.wait(keys, now)
        if wait:
            now += wait
            continue
        counted.wrong(keys, now)
        guesses += 1
        now += pause_ms if guesses % 3 else 0
    # 30 at once, ten while the wait doubles, then one every quarter of an hour.
    assert guesses <= NAME.free + 10 + DAY_MS // NAME.most_ms + 1


@given(st.sampled_from([PAIR, PAIR_KNOWN, NAME]), st.integers(0, 200), st.integers(0, 2 * FORGOTTEN_MS))
def test_waits_grow_up_to_their_bound_and_end(rule: Rule, count, passed) -> None:
    tries = Tries(count, 1000)
    wait = wait_ms(rule, tries, 1000 + passed)
    assert 0 <= wait <= rule.most_ms
    assert wait <= wait_ms(rule, Tries(count + 1, 1000), 1000 + passed) or passed >= FORGOTTEN_MS
    assert wait_ms(rule, tries, 1000 + passed + wait) == 0
    if count < rule.free:
        assert wait == 0


def test_the_longest_wait_is_no_way_round_the_count() -> None:
    for rule in (PAIR, PAIR_KNOWN, NAME):
        assert rule.most_ms < FORGOTTEN_MS


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_all_of_somebodys_ipv6_network_is_one_address(one, other) -> None:
    def written(host):
        return "2001:db8:1:2:" + ":".join(f"{host >> shift & 0xFFFF:x}" for shift in (48, 32, 16, 0))

    assert near(written(one)) == near(written(other)) == "2001:db8:1:2::/64"
    assert near("2001:db8:1:3::1") != near(written(one))
    assert near("::ffff:192.0.2.1") == near("192.0.2.1") == "192.0.2.1"
