"""What goes wrong in a simulated world, and when.

Owns each kind of fault as one function, the groups they are drawn from, and the end of all of them (`mend`). Chance comes from the world's dice. People
who order things on purpose are `people`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from penstock.sim.device import DAY_MS, Picture
from penstock.sim.links import CLEAR, PROXIES, Weather, stormy

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.sim.device import SimDevice
    from penstock.sim.people import People
    from penstock.sim.world import World

Fault = Callable[["Faults"], None]


class Faults:
    """The faults of one world. `badness`: how often a new version cannot soak."""

    def __init__(self, world: World, people: People, apps: tuple[str, ...], badness: float = 0.3) -> None:
        self.world = world
        self.people = people
        self.apps = apps
        self.badness = badness
        self.dice = world.dice.of("faults")
        self.pictures: dict[str, Picture] = {}
        self.backups: list[Path] = []
        self._ending: list[Callable[[], None]] = []

    def any_device(self) -> SimDevice:
        """One of the devices."""
        return self.dice.choice(self.world.devices)

    def any_app(self) -> str:
        """One of the apps."""
        return self.dice.choice(self.apps)

    def spell(self, *spans_s: int) -> int:
        """How long it lasts, in milliseconds."""
        return self.dice.choice(spans_s) * 1000

    def for_a_while(self, span_ms: int, end: Callable[[], None]) -> None:
        """Have something end later, and when all is mended."""
        self._ending.append(end)
        self.world.after(span_ms, end)

    # --- turbulence -----------------------------------------------------------------------------------------------------

    def turbulence(self, kinds: tuple[Fault, ...], span_ms: int, pause_s: int = 40) -> None:
        """From now on, and for `span_ms`, things go wrong."""
        until = self.world.now_ms() + span_ms

        def again() -> None:
            if self.world.now_ms() >= until:
                return
            self.dice.choice(kinds)(self)
            self.world.after(self.dice.randint(1, 2 * pause_s * 1000), again)

        self.world.after(self.dice.randint(1, pause_s * 1000), again)

    def mend(self) -> None:
        """All faults stop now: links are clear, engines answer, disks write, clocks are right, everybody runs."""
        for end in self._ending:
            end()
        self._ending.clear()
        if not self.world.plane.up:
            self.world.plane.start()
        for device in self.world.devices:
            device.link.weather = CLEAR
            device.fake.down = ""
            device.disk.broken, device.disk.full_after, device.disk.cut_after = "", -1, -1
            device.snapshots.full = False
            device.slow, device.hang, device.flaky = 1.0, 0.0, 0.0
            device.skew_ms, device.since_1970, device.trusted = 0, False, True
        self.world.trace(None, "mended")


def stormy_cut() -> Weather:
    """No way through at all."""
    return Weather(cut=True)


# --- links ----------------------------------------------------------------------------------------------------------------


def weather(faults: Faults) -> None:
    """A link gets bad."""
    device = faults.any_device()
    device.link.weather = stormy(faults.dice)
    faults.world.trace(device, "weather", str(device.link.weather))
    faults.for_a_while(faults.spell(20, 90, 400), lambda: setattr(device.link, "weather", CLEAR))


def proxy(faults: Faults) -> None:
    """Somebody sits in between and means no good."""
    device = faults.any_device()
    device.link.weather = Weather(proxy=faults.dice.choice(PROXIES))
    faults.world.trace(device, "proxy", device.link.weather.proxy)
    faults.for_a_while(faults.spell(60, 240), lambda: setattr(device.link, "weather", CLEAR))


# --- deaths ---------------------------------------------------------------------------------------------------------------


def kill_agent(faults: Faults) -> None:
    """kill -9 of the agent."""
    device = faults.any_device()
    if device.brain is not None:
        device.kill(back_ms=faults.dice.choice((50, 5_000, 60_000)))


def kill_machine(faults: Faults) -> None:
    """The machine loses power."""
    device = faults.any_device()
    if device.brain is not None:
        device.kill(machine=True, back_ms=faults.dice.choice((20_000, 300_000)))


def power_cut(faults: Faults) -> None:
    """The agent dies in the middle of one of its next writes."""
    device = faults.any_device()
    device.disk.cut_after = faults.dice.randint(0, 8)
    device.disk.torn = faults.dice.random() < 0.5


def restart_engine(faults: Faults) -> None:
    """The engine is restarted under the agent."""
    device = faults.any_device()
    faults.world.trace(device, "engine restarted")
    device.fake.restart_engine()


# --- engines --------------------------------------------------------------------------------------------------------------


def engine_down(faults: Faults) -> None:
    """The engine does not answer."""
    device = faults.any_device()
    device.fake.down = "nobody listens on the engine's socket"
    faults.world.trace(device, "engine down")
    faults.for_a_while(faults.spell(5, 60, 240), lambda: setattr(device.fake, "down", ""))


def engine_flaky(faults: Faults) -> None:
    """Verbs fail now and then, before or after they were done."""
    device = faults.any_device()
    device.flaky = faults.dice.choice((0.05, 0.3))
    faults.world.trace(device, "engine flaky", str(device.flaky))
    faults.for_a_while(faults.spell(30, 120), lambda: setattr(device, "flaky", 0.0))


def engine_slow(faults: Faults) -> None:
    """Verbs take long, some longer than anybody waits."""
    device = faults.any_device()
    device.slow, device.hang = faults.dice.choice((3.0, 30.0)), faults.dice.choice((0.0, 0.1))
    faults.world.trace(device, "engine slow", f"{device.slow} {device.hang}")

    def end() -> None:
        device.slow, device.hang = 1.0, 0.0

    faults.for_a_while(faults.spell(30, 180), end)


def meddle(faults: Faults) -> None:
    """Somebody does something to containers by hand."""
    faults.people.meddle(faults.any_device())


def prune(faults: Faults) -> None:
    """Somebody prunes all images, and the agent's own blobs go too, half of them."""
    device = faults.any_device()
    device.fake.prune_images()
    if faults.dice.random() < 0.5:
        for digest in sorted(device.blobs.held):
            if faults.dice.random() < 0.5:
                device.blobs.held.discard(digest)
    faults.world.trace(device, "pruned")


# --- disks ----------------------------------------------------------------------------------------------------------------


def disk_full(faults: Faults) -> None:
    """The agent's file system fills up."""
    device = faults.any_device()
    device.disk.full_after = faults.dice.choice((0, 500, 5_000))
    device.snapshots.full = True
    faults.world.trace(device, "disk full")

    def end() -> None:
        device.disk.full_after, device.snapshots.full = -1, False

    faults.for_a_while(faults.spell(20, 120), end)


def disk_broken(faults: Faults) -> None:
    """The agent's file system is read-only."""
    device = faults.any_device()
    device.disk.broken = "the file system is read-only"
    faults.world.trace(device, "disk broken")
    faults.for_a_while(faults.spell(20, 120), lambda: setattr(device.disk, "broken", ""))


def damage(faults: Faults) -> None:
    """A file is cut short while the agent is dead: one ledger slot, a piece of the log, or a release."""
    device = faults.any_device()
    if device.brain is None:
        return
    device.kill(back_ms=2_000)
    names = sorted(name for name in device.disk.files if name.startswith(("ledger.", "log/", "releases/")) and device.disk.files[name])
    if not names:
        return
    name = faults.dice.choice(names)
    length = faults.dice.randrange(len(device.disk.files[name]))
    device.disk.truncate(name, length)
    faults.world.watch.of(device).damaged = True
    faults.world.trace(device, "damaged", f"{name} to {length}")


# --- clocks ---------------------------------------------------------------------------------------------------------------


def wrong_clock(faults: Faults) -> None:
    """The system clock is wrong, known to be or not; it may be set while the agent runs."""
    device = faults.any_device()
    device.skew_ms = faults.dice.choice((-366 * DAY_MS, -3_600_000, 600_000, 366 * DAY_MS))
    device.trusted = faults.dice.random() < 0.5
    faults.world.trace(device, "wrong clock", f"{device.skew_ms} {device.trusted}")

    def end() -> None:
        device.skew_ms, device.trusted = 0, True

    faults.for_a_while(faults.spell(60, 600), end)


def born_in_1970(faults: Faults) -> None:
    """The machine loses power and its clock."""
    device = faults.any_device()
    if device.brain is None:
        return
    device.since_1970, device.trusted = True, False
    device.kill(machine=True, back_ms=10_000)

    def end() -> None:
        device.since_1970, device.trusted = False, True

    faults.for_a_while(faults.spell(60, 600), end)


# --- the plane ------------------------------------------------------------------------------------------------------------


def plane_restart(faults: Faults) -> None:
    """The plane is killed and comes back."""
    plane = faults.world.plane
    if not plane.up:
        return
    faults.world.trace(None, "plane killed")
    plane.stop()

    def back() -> None:
        if not plane.up:
            plane.start()

    faults.for_a_while(faults.spell(2, 30, 200), back)


def backup(faults: Faults) -> None:
    """Somebody makes a backup of the plane."""
    if faults.world.plane.up:
        faults.world.trace(None, "backup")
        faults.backups.append(faults.world.plane.backup())


def restore(faults: Faults) -> None:
    """The plane's machine burns down, and a backup is restored."""
    if not faults.backups:
        return backup(faults)
    kept = faults.dice.choice(faults.backups)
    faults.world.trace(None, "restored", kept.name)
    faults.world.plane.restore(kept)
    faults.people.after_restore(list(faults.apps))
    return None


# --- set back and doubled -------------------------------------------------------------------------------------------------


def take_picture(faults: Faults) -> None:
    """Somebody makes a snapshot of a virtual machine."""
    device = faults.any_device()
    if device.brain is not None:
        faults.pictures[device.name] = device.picture()
        faults.world.trace(device, "picture")


def set_back(faults: Faults) -> None:
    """Somebody goes back to such a snapshot."""
    if not faults.pictures:
        return take_picture(faults)
    name = faults.dice.choice(sorted(faults.pictures))
    device = next(one for one in faults.world.devices if one.name == name)
    faults.world.trace(device, "set back")
    faults.world.watch.set_back(device)
    device.put_back(faults.pictures[name])
    return None


# --- orders ---------------------------------------------------------------------------------------------------------------


def new_version(faults: Faults) -> None:
    """The fleet engineer rolls out the next version, good or not."""
    if faults.world.plane.up:
        faults.people.deploy(faults.people.next_version(faults.any_app(), faults.badness))


def old_version(faults: Faults) -> None:
    """The fleet engineer orders an earlier version again."""
    app = faults.any_app()
    if faults.world.plane.up and faults.world.catalogue.versions.get(app):
        version = faults.dice.choice(faults.world.catalogue.versions[app])
        if not faults.people.published(version):
            faults.people.publish(version)
        faults.people.deploy(version)


def withdraw(faults: Faults) -> None:
    """The fleet engineer takes an app away."""
    if faults.world.plane.up and faults.dice.random() < 0.5:
        faults.people.withdraw(faults.any_app())


def halt(faults: Faults) -> None:
    """The fleet engineer stops a rollout."""
    if faults.world.plane.up:
        faults.people.stop_rollouts(faults.any_app())


def retry(faults: Faults) -> None:
    """The fleet engineer lets what failed try again."""
    if faults.world.plane.up:
        faults.people.retry(faults.any_app())


def command(faults: Faults) -> None:
    """The fleet engineer gives a command."""
    device, app = faults.any_device(), faults.any_app()
    if not faults.world.plane.up:
        return
    verb = faults.dice.choice(("restart", "restart", "revert", "logs", "inspect", "prune", "refresh", "accept-pin"))
    if verb in ("restart", "logs", "inspect"):
        faults.people.order(device, verb, app, faults.dice.choice(("core", "page", "feed")))
    elif verb in ("revert", "accept-pin"):
        if verb == "revert":
            faults.people.back_in_play(device, app)
        faults.people.order(device, verb, app)
    else:
        faults.people.order(device, verb)


def local_revert(faults: Faults) -> None:
    """Somebody at the machine goes back."""
    device, app = faults.any_device(), faults.any_app()
    faults.people.back_in_play(device, app)
    faults.people.revert(device, app)


def decide(faults: Faults) -> None:
    """Somebody decides about devices that are set apart."""
    if faults.world.plane.up:
        faults.people.look_after()


LINKS: tuple[Fault, ...] = (weather,)
BETWEEN: tuple[Fault, ...] = (proxy,)
DEATHS: tuple[Fault, ...] = (kill_agent, kill_machine, power_cut, power_cut, power_cut, restart_engine)
ENGINES: tuple[Fault, ...] = (engine_down, engine_flaky, engine_slow)
HANDS: tuple[Fault, ...] = (meddle, prune)
DISKS: tuple[Fault, ...] = (disk_full, disk_broken, damage)
CLOCKS: tuple[Fault, ...] = (wrong_clock, born_in_1970, kill_agent)
PLANE: tuple[Fault, ...] = (plane_restart, backup, restore, decide)
TWINS: tuple[Fault, ...] = (take_picture, set_back, decide)
ORDERS: tuple[Fault, ...] = (new_version, new_version, old_version, withdraw, halt, retry, command, command, local_revert)
EVERYTHING: tuple[Fault, ...] = (*LINKS, *LINKS, *LINKS, *DEATHS, *ENGINES, *HANDS, *DISKS, *CLOCKS, *PLANE, *TWINS, *ORDERS, *ORDERS)
