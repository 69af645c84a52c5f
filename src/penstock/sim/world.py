"""The world of one run: true time, what is due when, and the way of messages between devices and the plane.

Owns the order of events. Everything that happens is an event at a time; after each one the plane's reconcilers run, held polls are looked at, and the
watch looks at what changed. The same seed gives the same events in the same order.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable
from typing import TYPE_CHECKING

from penstock.agent.work import Answer, Call, Unreachable
from penstock.server.effects.clock import HandClock
from penstock.sim.catalogue import Catalogue
from penstock.sim.device import Flight, SimDevice
from penstock.sim.dice import Dice
from penstock.sim.plane import START_MS, Held, SimPlane
from penstock.sim.watch import Watch

if TYPE_CHECKING:
    from types import TracebackType

PLANE_TICK_MS = 10_000
SPOKEN = 60  # of the trace, kept for a report
MOST_EVENTS = 40_000  # in one run; the longest honest ones need a third of that


class World:
    """A world with `devices` members, enrolled and running. Use it as a context manager."""

    def __init__(self, seed: int | str, devices: int = 3) -> None:
        self.seed = seed
        self.dice = Dice(seed)
        self.clock = HandClock(START_MS)
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0
        self.events = 0
        self._digest = hashlib.sha256()
        self.spoken: list[str] = []
        self.verbose = False
        self._held: list[tuple[Held, SimDevice, Call, Flight]] = []
        self.watch = Watch(self)
        self.catalogue = Catalogue()
        self.plane = SimPlane(self.catalogue, self.clock, f"world {seed}", self.watch.plane_fault)
        self.devices: list[SimDevice] = []
        for number in range(devices):
            self.add_device(f"dev{number + 1}")
        self._plane_tick()

    def __enter__(self) -> World:  # noqa: PYI034 - there are no subclasses
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, where: TracebackType | None) -> None:
        self.plane.close()

    def add_device(self, name: str) -> SimDevice:
        """One more, enrolled over a clear line."""
        device = SimDevice(self, name)
        device.enrol()
        self.devices.append(device)
        device.start()
        return device

    def clone_of(self, first: SimDevice) -> SimDevice:
        """A second machine from the first one's disk, started beside it."""
        twin = SimDevice(self, f"{first.name}-twin")
        picture = first.picture()
        twin.clone_of, twin.id, twin.first_root = first, first.id, first.first_root
        twin.sign_key, twin.seal_key = first.sign_key, first.seal_key
        twin.take(picture)
        self.watch.doubled(first, twin)
        self.watch.set_back(twin)
        self.devices.append(twin)
        twin.fake.restart_engine()
        twin.start()
        return twin

    def remove(self, device: SimDevice) -> None:
        """A machine is switched off for good."""
        device.kill(machine=True, back_ms=None)
        self.devices.remove(device)

    # --- time -----------------------------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """True time."""
        return self.clock.now_ms()

    def after(self, delay_ms: int, act: Callable[[], None]) -> None:
        """Have something happen later."""
        self._order += 1
        heapq.heappush(self._queue, (self.now_ms() + max(delay_ms, 0), self._order, act))

    def run(self, span_ms: int, until: Callable[[], bool] | None = None) -> bool:
        """Let time go by, at most `span_ms`; whether `until` came true (asked at the plane's ticks)."""
        end = self.now_ms() + span_ms
        asked = self.now_ms()
        while self._queue and self._queue[0][0] <= end:
            due, _, act = heapq.heappop(self._queue)
            self.clock.turn(due - self.now_ms())
            self.events += 1
            act()
            self._settle()
            if until is not None and self.now_ms() - asked >= PLANE_TICK_MS:
                asked = self.now_ms()
                if until():
                    return True
            if self.events > MOST_EVENTS:
                self.watch.find("endless", None, f"{self.events} events and no end: something goes round in a circle")
            if self.watch.too_many() or self.events > MOST_EVENTS:
                return False
        self.clock.turn(end - self.now_ms())
        return until is not None and until()

    def _settle(self) -> None:
        """What follows from an event at once."""
        self.plane.pump()
        for held, device, call, flight in list(self._held):
            if flight.over or not self.plane.up:
                self._held.remove((held, device, call, flight))
                if not flight.over:
                    self.after(1, lambda device=device, flight=flight: device.answered(flight, Unreachable("the connection was reset")))  # type: ignore[misc]
                continue
            answer = self.plane.release(held)
            if answer is not None:
                self._held.remove((held, device, call, flight))
                self._back(device, call, flight, answer)
        self.watch.look()

    def _plane_tick(self) -> None:
        self.after(PLANE_TICK_MS, self._plane_tick)

    # --- messages -------------------------------------------------------------------------------------------------------

    def send(self, device: SimDevice, call: Call, flight: Flight) -> None:
        """A call sets out."""
        link = device.link
        self.after(call.timeout_ms, lambda: device.answered(flight, Unreachable("no answer came in time")))
        if link.weather.cut:
            if link.dice.random() < 0.7:
                self.after(link.dice.choice((3, 1_000, 5_000)), lambda: device.answered(flight, Unreachable("no route to host")))
            return
        said = link.intercepted(call)
        if said is not None:
            self.after(2 * link.delay_ms(), lambda: device.answered(flight, said))
            return
        if link.dice.random() < link.weather.lose_request:
            return
        self.after(link.delay_ms(), lambda: self._arrive(device, call, flight))
        if link.dice.random() < link.weather.double:
            self.after(link.dice.choice((50, 3_000, 90_000)), lambda: self._again(device, call))

    def _arrive(self, device: SimDevice, call: Call, flight: Flight) -> None:
        if device.link.weather.cut:
            return
        if not self.plane.up:
            self.after(device.link.delay_ms(), lambda: device.answered(flight, Unreachable("connection refused")))
            return
        answer = self.plane.handle(call)
        if isinstance(answer, Held):
            self._held.append((answer, device, call, flight))
            return
        self._back(device, call, flight, answer)

    def _again(self, device: SimDevice, call: Call) -> None:
        """A late copy of a call arrives; its answer goes nowhere, but somebody on the way may keep it."""
        if self.plane.up and not device.link.weather.cut:
            answer = self.plane.handle(call)
            if isinstance(answer, Answer):
                device.link.keep(call, answer)

    def _back(self, device: SimDevice, call: Call, flight: Flight, answer: Answer) -> None:
        device.link.keep(call, answer)
        arrives = device.link.on_the_way_back(call, answer)
        if arrives is None or device.link.weather.cut:
            return
        self.after(device.link.delay_ms(), lambda: device.answered(flight, arrives))

    # --- what is told ---------------------------------------------------------------------------------------------------

    def trace(self, device: SimDevice | None, what: str, detail: str = "") -> None:
        """One line of what happened; the digest over all of them is what makes two runs equal."""
        line = f"{(self.now_ms() - START_MS) / 1000:10.3f} {device.name if device else 'plane':8} {what} {detail}"
        self._digest.update(line.encode() + b"\n")
        self.spoken.append(line)
        if len(self.spoken) > SPOKEN * 50:
            del self.spoken[: SPOKEN * 25]
        if self.verbose:
            print(line)

    def digest(self) -> str:
        """What this run was, in one text."""
        return self._digest.hexdigest()
