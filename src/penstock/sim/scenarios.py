"""What is played in a simulated world: a beginning, some trouble, an end in which all must have come right.

Owns the scenarios and the order of a run. Each takes the world as it is after everybody has joined. Findings are the watch's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from penstock.sim import faults as f
from penstock.sim.faults import Fault, Faults
from penstock.sim.links import Weather
from penstock.sim.people import People
from penstock.sim.reckoning import Reckoning
from penstock.sim.running import runs, shown
from penstock.sim.watch import MOST, Finding
from penstock.sim.world import World

MINUTE_MS = 60_000
SETTLE_MS = 150 * MINUTE_MS  # the longest back-off is ten minutes, the longest obeyed Retry-After an hour
LEAVE_S = 900


@dataclass(frozen=True)
class Run:
    """How one run went."""

    seed: int
    scenario: str
    findings: tuple[Finding, ...]
    events: int
    simulated_ms: int
    digest: str
    spoken: tuple[str, ...]


class Play:
    """A world with its people, and the steps all scenarios share."""

    def __init__(self, world: World, apps: tuple[str, ...] = ("line",), badness: float = 0.3) -> None:
        self.world = world
        self.people = People(world)
        self.reckoning = Reckoning(world)
        self.faults = Faults(world, self.people, apps, badness)
        self.apps = apps
        self._look()

    def _look(self) -> None:
        """Every half minute the successes are looked at."""
        self.reckoning.look()
        self.world.after(30_000, self._look)

    def begin(self, poll_s: int = 0) -> None:
        """Everybody runs a first, sound version of every app."""
        dice = self.world.dice.of("scenario")
        self.people.set_leave(LEAVE_S, poll_s or dice.choice((10, 30, 60)))
        for app in self.apps:
            self.people.deploy(self.people.next_version(app))
        self.settle("at the beginning", strict=True)

    def settle(self, when: str, *, strict: bool, span_ms: int = SETTLE_MS) -> bool:
        """Give everybody time to come to rest, people deciding what only people can; then judge."""
        end = self.world.now_ms() + span_ms
        while self.world.now_ms() < end and not self.world.watch.too_many():
            settled = self.world.run(min(5 * MINUTE_MS, end - self.world.now_ms()), lambda: self.reckoning.all_settled(strict=strict))
            if settled and not any(self.reckoning.apart(device) for device in self.world.devices):
                break
            if self.world.plane.up:
                self.people.look_after()
        self.world.trace(None, "reckoning", when)
        self.reckoning.reckon(strict=strict)
        return not self.world.watch.found

    def turbulence(self, kinds: tuple[Fault, ...], minutes: int, pause_s: int = 20) -> None:
        """Trouble, then none."""
        self.faults.turbulence(kinds, minutes * MINUTE_MS, pause_s)
        self.world.run(minutes * MINUTE_MS)
        self.faults.mend()

    def end(self) -> None:
        """After the faults: everybody comes to rest; then a last, sound order must be carried out by everybody; then nothing must stir."""
        if not self.settle("after the faults", strict=False):
            return
        for device in self.world.devices:
            for app in self.apps:
                for container in self.reckoning.in_the_way(device, app):
                    self.world.trace(device, "meddle", "somebody removed what was in the way")
                    device.engine.fake.vanish(container)
                version = self.reckoning.ran(device, app)
                if self.reckoning.forgotten(device, app) and version in self.world.catalogue.versions[app]:
                    self.people.deploy(version)
                    self.settle(f"after version {version.name} was ordered once more", strict=False)
        for app in self.apps:
            self.people.deploy(self.people.next_version(app, -1.0))
        if self.settle("after a last order", strict=True):
            self.calm()

    def calm(self, minutes: int = 10) -> None:
        """Nothing happens, so nothing may be touched and hardly anything written."""
        self.world.run(5 * MINUTE_MS)
        written = {device.name: device.disk.changes for device in self.world.devices}
        for device in self.world.devices:
            self.world.watch.hold_still(device, "all is as ordered and nothing happens")
        self.world.run(minutes * MINUTE_MS)
        for device in self.world.devices:
            self.world.watch.hold_still(device, "")
            more = device.disk.changes - written[device.name]
            if more > 2:
                self.world.watch.find("restless", device, f"it wrote {more} times in {minutes} quiet minutes")


# --- the scenarios --------------------------------------------------------------------------------------------------------


def _trouble(*groups: tuple[Fault, ...], minutes: int = 6, pause_s: int = 15, apps: tuple[str, ...] = ("line",)) -> Callable[[World], None]:
    kinds = tuple(one for group in groups for one in group)

    def scenario(world: World) -> None:
        play = Play(world, apps)
        play.begin()
        play.turbulence(kinds, minutes, pause_s)
        play.end()

    return scenario


def dark(world: World) -> None:
    """Adopt, go dark, halt, the gate opens: nothing is applied."""
    play = Play(world)
    play.begin()
    dice = world.dice.of("scenario")
    blocked = dice.choice(("engine", "engine", "bytes"))
    version = play.people.next_version("line")
    for device in world.devices:
        if blocked == "engine":
            device.fake.down = "stopped for the while"
    play.people.deploy(version)
    held = [world.watch.of(device) for device in world.devices]
    limit = world.now_ms() + 10 * MINUTE_MS
    while world.now_ms() < limit and not all(any(world.watch.version_of(one.content) is version for one in file.given.values()) for file in held):
        world.run(100)
    began = {device.name for device in world.devices if device.brain is not None and device.brain.busy()}
    for device in world.devices:
        device.link.weather = f.stormy_cut()
    play.people.stop_rollouts("line")
    world.run((LEAVE_S + 120) * 1000)
    for device in world.devices:
        file = world.watch.of(device)
        running = any(one.mark in version.marks.values() and one.mark not in _before(world, version) for one in device.engine.all_shown())
        if device.name not in began and not running:
            world.watch.hold_still(device, "its leave has lapsed and the rollout was halted")
            file.play["line"] = {key: value for key, value in file.play["line"].items() if value is not version}
        device.fake.down = ""
    world.run(60 * MINUTE_MS)
    for device in world.devices:
        world.watch.hold_still(device, "")
        world.watch.in_play(device, "line", version)
    play.faults.mend()
    play.end()


def alone(world: World) -> None:
    """A bad release begins, and the link goes: every device goes back by itself, once, with nobody to ask; nor does it try again when the link is
    back and somebody has had their hands in its containers."""
    play = Play(world)
    play.begin()
    good = world.catalogue.versions["line"][-1]
    bad = play.people.next_version("line", 1.0)
    play.people.deploy(bad)
    limit = world.now_ms() + 10 * MINUTE_MS
    waiting = list(world.devices)
    while waiting and world.now_ms() < limit:
        world.run(100)
        for device in [one for one in waiting if one.brain is not None and one.brain.busy()]:
            device.link.weather = f.stormy_cut()
            waiting.remove(device)
    world.run(10 * MINUTE_MS)
    for device in world.devices:
        if device.brain is None or device.brain.busy() or runs(world, device, "line") is not good:
            world.watch.find("not-gone-back", device, f"ten minutes after a bad release there is {shown(device, 'line')}")
    play.faults.mend()
    if play.settle("after the link is back", strict=False):
        for _ in range(3):
            for device in world.devices:
                play.people.meddle(device)
            world.run(2 * MINUTE_MS)
        play.end()


def _before(world: World, version: object) -> set[str]:
    return {mark for one in world.catalogue.versions["line"] if one is not version for mark in one.marks.values()}


def cut(world: World) -> None:
    """Cutting the link never changes what runs: not for hours, not over restarts of agents."""
    play = Play(world)
    play.begin()
    for device in world.devices:
        device.link.weather = f.stormy_cut()
        world.watch.hold_still(device, "its link was cut while all was as ordered")
    dice = world.dice.of("scenario")
    for _ in range(3):
        world.run(20 * MINUTE_MS)
        device = dice.choice(world.devices)
        if device.brain is not None:
            device.kill(back_ms=1_000)
    for device in world.devices:
        world.watch.hold_still(device, "")
    play.faults.mend()
    play.end()


def old_answers(world: World) -> None:
    """Every third answer is one from before, and requests arrive twice."""
    play = Play(world)
    play.begin()
    for device in world.devices:
        device.link.weather = Weather(stale=0.3, double=0.2)
    play.turbulence((f.new_version, f.old_version, f.halt), 6)
    play.end()


def clone(world: World) -> None:
    """A disk is copied into a second machine: both speak with one key, and a person must be asked."""
    play = Play(world)
    play.begin()
    first = world.devices[0]
    twin = world.clone_of(first)
    play.turbulence((*f.ORDERS, *f.LINKS), 8)
    world.run(20 * MINUTE_MS)
    if not play.reckoning.apart(first):
        world.watch.find("twin-unnoticed", first, "two machines have spoken with its key for half an hour, and nobody was told")
    world.remove(twin)
    world.watch.set_back(first)
    play.end()


SCENARIOS: dict[str, Callable[[World], None]] = {
    "orders": _trouble(f.ORDERS),
    "storm": _trouble(f.LINKS, f.LINKS, f.ORDERS),
    "proxies": _trouble(f.BETWEEN, (f.new_version,)),
    "deaths": _trouble(f.DEATHS, f.ORDERS),
    "engines": _trouble(f.ENGINES, f.HANDS, f.ORDERS),
    "disks": _trouble(f.DISKS, f.ORDERS),
    "clocks": _trouble(f.CLOCKS, f.LINKS, f.ORDERS),
    "planes": _trouble(f.PLANE, f.LINKS, f.ORDERS),
    "twins": _trouble(f.TWINS, f.ORDERS),
    "old-answers": old_answers,
    "clone": clone,
    "dark": dark,
    "cut": cut,
    "alone": alone,
    "everything": _trouble(f.EVERYTHING, minutes=10, pause_s=12),
    "hands": _trouble(f.HANDS, f.ORDERS[:3]),
    "two-apps": _trouble(f.DEATHS, f.LINKS, f.ENGINES, f.ORDERS, apps=("line", "meter")),
}


def scenario_of(seed: int) -> str:
    """Which scenario a seed plays."""
    names = list(SCENARIOS)
    return names[seed % len(names)]


def play(seed: int, scenario: str = "", *, devices: int = 2, verbose: bool = False, most: int = MOST) -> Run:
    """One run; it ends early after `most` findings."""
    name = scenario or scenario_of(seed)
    with World(f"{name}/{seed}", devices) as world:
        world.verbose = verbose
        world.watch.most = most
        begun = world.now_ms()
        SCENARIOS[name](world)
        return Run(seed, name, tuple(world.watch.found), world.events, world.now_ms() - begun, world.digest(), tuple(world.spoken[-400:]))
