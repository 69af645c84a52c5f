"""Slowing down whoever guesses passwords and codes, without shutting anybody out.

Owns how many wrong tries are free, how long each further one waits, and which counts judge an attempt. Each attempt is counted by its name and address
together, by its address alone and by its name alone; an address from which that person signed in before is judged by the first only, so that
strangers elsewhere never make a person wait. Never keeps a count and never asks the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

FORGOTTEN_MS = 2 * 3_600_000  # after the last wrong try; longer than the longest wait, or waiting would be a way round it


@dataclass(frozen=True, slots=True)
class Rule:
    """`free` wrong tries cost nothing; then the wait doubles from a second up to `most_ms`."""

    free: int
    most_ms: int


PAIR = Rule(5, 300_000)
PAIR_KNOWN = Rule(10, 30_000)
ADDRESS = Rule(30, 300_000)
NAME = Rule(30, 900_000)


@dataclass(frozen=True, slots=True)
class Tries:
    """Wrong tries of one key: how many, and when the last one was (monotonic milliseconds)."""

    count: int = 0
    last_ms: int = 0


def one_more(tries: Tries, now_ms: int) -> Tries:
    """With one more wrong try."""
    return Tries(1 if forgotten(tries, now_ms) else tries.count + 1, now_ms)


def forgotten(tries: Tries, now_ms: int) -> bool:
    """Whether it was so long ago that it counts no more."""
    return not tries.count or now_ms - tries.last_ms >= FORGOTTEN_MS


def wait_ms(rule: Rule, tries: Tries, now_ms: int) -> int:
    """How long until the next try is judged, 0 for at once."""
    if forgotten(tries, now_ms) or tries.count < rule.free:
        return 0
    return max(0, tries.last_ms + min(rule.most_ms, 1000 << min(tries.count - rule.free, 20)) - now_ms)


def near(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 of an IPv6 one, of which anybody has billions."""
    try:
        found = ip_address(address)
    except ValueError:
        return address[:100]
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Address(int(found) >> 64 << 64)) + "/64"


def judged_by(what: str, name: str, address: str, *, known: bool) -> tuple[tuple[str, Rule], ...]:
    """The keys an attempt counts under, each with its rule. `what` keeps passwords and codes apart; `known`: this person signed in from there before."""
    pair = f"{what} {name[:100]} from {near(address)}"
    if known:
        return ((pair, PAIR_KNOWN),)
    return ((pair, PAIR), (f"{what} from {near(address)}", ADDRESS), (f"{what} {name[:100]}", NAME))
