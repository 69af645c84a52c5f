"""What lies between a device and the plane: delay, loss, doubling, late copies, old answers, and a proxy that means no good.

Owns what happens to one call on its way there and to its answer on its way back. Knows nothing of what the messages say, except that it can keep
and repeat them, as everybody on the way could.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from penstock.agent.work import Answer, Call, Unreachable

KEPT = 12  # answers of each kind that a hostile proxy remembers


@dataclass(frozen=True)
class Weather:
    """How a link is just now. Chances are 0 to 1, delays milliseconds for one way. `proxy`: "", or what sits in between: drops (acknowledges reports
    and drops them), repeats (gives old answers), garbles (answers nonsense), stalls (asks to come back much later), hides (says "nothing new")."""

    cut: bool = False
    lose_request: float = 0.0
    lose_answer: float = 0.0
    double: float = 0.0
    stale: float = 0.0
    least_ms: int = 5
    most_ms: int = 60
    proxy: str = ""


CLEAR = Weather()
PROXIES = ("drops", "repeats", "garbles", "stalls", "hides")


def stormy(dice: random.Random) -> Weather:
    """Some bad weather."""
    kind = dice.random()
    if kind < 0.3:
        return Weather(cut=True)
    if kind < 0.55:
        return Weather(proxy=dice.choice(PROXIES))
    return Weather(
        lose_request=dice.choice((0.0, 0.2, 0.5)),
        lose_answer=dice.choice((0.0, 0.2, 0.5)),
        double=dice.choice((0.0, 0.3)),
        stale=dice.choice((0.0, 0.2)),
        most_ms=dice.choice((60, 2_000, 20_000)),
    )


class Link:
    """One device's way to the plane. It keeps what passed, for `stale` and for the proxies."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.weather = CLEAR
        self._kept: dict[str, list[Answer]] = {}

    def delay_ms(self) -> int:
        """One way."""
        return self.dice.randint(self.weather.least_ms, self.weather.most_ms)

    def keep(self, call: Call, answer: Answer) -> None:
        """An answer passed by."""
        kept = self._kept.setdefault(call.kind, [])
        kept.append(answer)
        if len(kept) > KEPT:
            del kept[self.dice.randrange(KEPT)]

    def old(self, call: Call) -> Answer | None:
        """Some earlier answer to a call of that kind."""
        kept = self._kept.get(call.kind)
        return self.dice.choice(kept) if kept else None

    def intercepted(self, call: Call) -> Answer | Unreachable | None:
        """What the proxy says itself; None where it lets the call pass."""
        proxy, dice = self.weather.proxy, self.dice
        if proxy == "drops" and call.kind == "report":
            return self.old(call) or Answer(200, {}, b'{"ack":"","expect":999999}')
        if proxy == "repeats" and call.kind != "session" and dice.random() < 0.7:
            return self.old(call)
        if proxy == "hides" and call.kind == "poll":
            return Answer(304, {"etag": call.headers.get("if-none-match", ""), "penstock-poll": "60"})
        if proxy == "stalls" and dice.random() < 0.5:
            return Answer(dice.choice((429, 503)), {"retry-after": dice.choice(("7200", "999999999", "Wed, 21 Oct 2037 07:28:00 GMT"))})
        if proxy == "garbles" and dice.random() < 0.7:
            return dice.choice(
                (
                    Answer(200, {"content-type": "text/html"}, b"<html>Please accept the terms of use</html>"),
                    Answer(200, {}, b""),
                    Answer(204, {}),
                    Answer(302, {"location": "https://portal.example/"}),
                    Answer(404, {}, b"not found"),
                    Answer(403, {}, b'{"code":"device-retired","detail":"says the proxy"}'),
                    Answer(500, {}, b"{}"),
                    Answer(200, {"penstock-poll": "99999999", "penstock-wait": "99999999"}, b"{}"),
                    Unreachable("the connection was reset"),
                )
            )
        return None

    def on_the_way_back(self, call: Call, answer: Answer) -> Answer | None:
        """The answer that arrives; None: none does."""
        if self.dice.random() < self.weather.lose_answer:
            return None
        if self.dice.random() < self.weather.stale:
            return self.old(call) or answer
        if self.weather.proxy == "garbles" and self.dice.random() < 0.2:
            return Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2])
        return answer
