"""The life of containers in the simulated engine: what runs, exits, restarts, sickens and recovers as time goes by.

Owns that model and no verb. Nothing here waits: state is worked out from the given time whenever somebody looks. What a container's
program does is told by the environment it was made with, by the same words the tests' real image understands (tests/images.py):
START_DELAY, UNHEALTHY, UNHEALTHY_AFTER, HEALTHY_IF, CRASH_AFTER, EXIT_CODE, IGNORE_TERM, STOP_DELAY (seconds), WRITE, FAIL_IF_MISSING, PORT.
"""

from __future__ import annotations

from penstock.rules.observed import ImageDefaults, Settings
from penstock.wire.types import Variant

NEVER = 2**53
FIRST_BACKOFF_MS = 100  # Docker's: doubled at each restart, at most a minute, begun anew after ten seconds of running
LONGEST_BACKOFF_MS = 60_000
RAN_WELL_MS = 10_000


class FakeVolume:
    """A volume: file names to bytes."""

    def __init__(self, name: str, driver: str, options: dict[str, str], labels: dict[str, str], created_ms: int) -> None:
        self.name = name
        self.driver = driver
        self.options = options
        self.labels = labels
        self.created_ms = created_ms
        self.files: dict[str, bytes] = {}


class FakeImage:
    """An image the engine holds."""

    def __init__(self, variant: Variant, defaults: ImageDefaults, version: str) -> None:
        self.variant = variant
        self.defaults = defaults
        self.version = version
        self.names: set[str] = set()

    @property
    def size(self) -> int:
        return sum(layer.size for layer in self.variant.layers)


class FakeContainer:
    """A container. `started_ms` and the like are what the engine would show; `settle` brings them up to a given time."""

    def __init__(self, identity: str, name: str, image_id: str, version: str, settings: Settings, labels: dict[str, str], defaults: ImageDefaults) -> None:
        self.id = identity
        self.name = name
        self.image = image_id
        self.version = version
        self.settings = settings
        self.labels = labels
        self.defaults = defaults
        self.environment: dict[str, str] = {}
        self.token = labels.get("penstock.token", "")
        self.ports: set[tuple[int, str]] = set()
        self.files: dict[str, bytes] = {}  # put into it before its start
        self.state = "created"
        self.exit_code = 0
        self.restarts = 0
        self.oom = False
        self.error = ""
        self.created_ms = 0
        self.started_ms = 0
        self.finished_ms = 0
        self.by_hand = False  # stopped on order, so no restart policy applies
        self.log: list[str] = []
        self.checks = 0  # health checks run by hand, failing in a row, and whether any passed: for engines without timers
        self.failing = 0
        self.passed = False

    # --- what the program does ----------------------------------------------------------------------------------------

    def _seconds(self, name: str, otherwise: int = NEVER) -> int:
        """A span out of the environment, in milliseconds."""
        text = self.environment.get(name, "")
        return int(float(text) * 1000) if text else otherwise

    @property
    def _ends_after_ms(self) -> int:
        crash = self._seconds("CRASH_AFTER")
        if crash == NEVER and self.environment.get("EXIT_CODE"):
            return 0
        return crash

    @property
    def _ends_with(self) -> int:
        return int(self.environment.get("EXIT_CODE") or 1)

    @property
    def ignores_term(self) -> bool:
        return bool(self.environment.get("IGNORE_TERM"))

    @property
    def stop_ms(self) -> int:
        """How long its program takes to end when asked."""
        return self._seconds("STOP_DELAY", 0)

    # --- time goes by -------------------------------------------------------------------------------------------------

    def begin(self, now_ms: int, volumes: dict[str, FakeVolume]) -> None:
        """The program starts."""
        self.state = "running"
        self.started_ms = now_ms
        self.by_hand = False
        self.checks = self.failing = 0
        self.passed = False
        self.log.append(f"app {self.version} starts")
        missing = self.environment.get("FAIL_IF_MISSING", "")
        if missing and not self._exists(missing, volumes):
            self._end(now_ms, 3)
            return
        path = self.environment.get("WRITE", "")
        found = self._place(path, volumes) if path else None
        if found is not None:
            volume, name = found
            volume.files[name] = volume.files.get(name, b"") + f"{self.version}\n".encode()

    def _place(self, path: str, volumes: dict[str, FakeVolume]) -> tuple[FakeVolume, str] | None:
        """The volume and file a path inside the container means."""
        for mount in self.settings.mounts:
            if mount.kind == "volume" and path.startswith(mount.target + "/") and mount.source in volumes:
                return volumes[mount.source], path[len(mount.target) + 1 :]
        return None

    def _exists(self, path: str, volumes: dict[str, FakeVolume]) -> bool:
        found = self._place(path, volumes)
        return found is not None and found[1] in found[0].files

    def _end(self, at_ms: int, code: int) -> None:
        self.state = "exited"
        self.exit_code = code
        self.finished_ms = at_ms

    def halt(self, now_ms: int, code: int) -> None:
        """It ended because somebody wanted it to."""
        self._end(now_ms, code)
        self.by_hand = True

    def settle(self, now_ms: int, volumes: dict[str, FakeVolume]) -> None:
        """Let everything happen that has happened by `now_ms`: crashes, and the engine's restarts after them."""
        for _ in range(10_000):  # a crash loop over a long absence; more than that many restarts tells nobody anything
            if self.state == "running":
                ends = self.started_ms + self._ends_after_ms
                if ends > now_ms:
                    return
                self._end(ends, self._ends_with)
                self.log.append(f"app {self.version} ends with {self.exit_code}")
            elif self.state in ("exited", "restarting"):
                if not self._wants_restart():
                    self.state = "exited"
                    return
                again = self.finished_ms + self._backoff_ms()
                if again > now_ms:
                    self.state = "restarting"
                    return
                self.restarts += 1
                self.begin(again, volumes)
            else:
                return

    def _wants_restart(self) -> bool:
        policy = self.settings.restart
        if self.by_hand or policy == "no":
            return False
        if policy == "on-failure":
            return self.exit_code != 0 and (not self.settings.restart_max or self.restarts < self.settings.restart_max)
        return True

    def _backoff_ms(self) -> int:
        if self.finished_ms - self.started_ms >= RAN_WELL_MS:
            return FIRST_BACKOFF_MS
        wait: int = min(FIRST_BACKOFF_MS << min(self.restarts, 16), LONGEST_BACKOFF_MS)
        return wait

    # --- health -------------------------------------------------------------------------------------------------------

    def serving(self, now_ms: int) -> bool:
        """Whether its program answers on its port."""
        return self.state == "running" and now_ms - self.started_ms >= self._seconds("START_DELAY", 0)

    def well(self, at_ms: int, volumes: dict[str, FakeVolume]) -> bool:
        """Whether its own check would pass then."""
        if not self.serving(at_ms) or self.environment.get("UNHEALTHY"):
            return False
        need = self.environment.get("HEALTHY_IF", "")
        if need and not self._exists(need, volumes):
            return False
        return at_ms - self.started_ms < self._seconds("UNHEALTHY_AFTER")

    def check_by_hand(self, now_ms: int, volumes: dict[str, FakeVolume]) -> None:
        """One health check, run because somebody asked."""
        self.checks += 1
        if self.well(now_ms, volumes):
            self.failing, self.passed = 0, True
        else:
            self.failing += 1

    def health(self, now_ms: int, volumes: dict[str, FakeVolume], *, timers: bool) -> str:
        """The engine's verdict."""
        check = self.settings.healthcheck
        if check is None or check.test[0] == "NONE":
            return "none"
        if self.state != "running":
            return "starting" if self.state == "created" else "unhealthy"
        if not timers:
            if self.failing >= check.retries:
                return "unhealthy"
            return "healthy" if self.passed else "starting"
        every = max(check.interval_ms, 1)
        done = (now_ms - self.started_ms) // every
        last_good = 0
        failing = 0
        # Only the newest checks decide; the ones before them were of the same kind.
        for number in range(done, max(0, done - check.retries - 1), -1):
            if self.well(self.started_ms + number * every, volumes):
                last_good = number
                break
            if number * every > check.start_period_ms:
                failing += 1
        if failing >= check.retries:
            return "unhealthy"
        if last_good:
            return "healthy"
        first = next((n for n in range(1, min(done, 64) + 1) if self.well(self.started_ms + n * every, volumes)), 0)
        return "healthy" if first else "starting"
