"""What every test shares: needs, engine fixtures, Hypothesis profiles.

Owns the hooks; the fixtures live in tests/engines.py and tests/images.py. How the engines run on this machine, and what of their network
works, is described at the head of tests/engines.py.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import needs

pytest_plugins = ["tests.engines", "tests.images"]

# "dev": quick while writing code. "ci": what `.ci/run` uses. "long": `make soak`. "deep": by hand, HYPOTHESIS_PROFILE=deep. Times are never asserted: two busy
# cores are no stopwatch.
_SLOW_IS_FINE = [HealthCheck.too_slow]
settings.register_profile("dev", max_examples=25, deadline=None, suppress_health_check=_SLOW_IS_FINE)
settings.register_profile("ci", max_examples=40, deadline=None, suppress_health_check=_SLOW_IS_FINE, derandomize=True, print_blob=True)
settings.register_profile("small", max_examples=5, deadline=None, suppress_health_check=_SLOW_IS_FINE, derandomize=True)  # under emulation
settings.register_profile("long", max_examples=1000, deadline=None, suppress_health_check=_SLOW_IS_FINE)
settings.register_profile("deep", max_examples=5000, deadline=None, suppress_health_check=_SLOW_IS_FINE)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if needs.IN_CI else "dev"))

SOAKING = bool(os.environ.get("PENSTOCK_SOAK"))  # `make soak` sets it
left_for_soak = pytest.StashKey[int]()

ENGINE_NEEDS = {"docker", "podman", "docker-new", "podman-new"}
ENGINE_FIXTURES = {"docker", "podman", "docker_new", "podman_new", "engine"}


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(CollectFromWorkers())
    config.addinivalue_line("markers", "needs(*names): what the machine must offer, see tests/needs.py")


LONGEST = (
    "e2e/test_plant_apps",
    "e2e/test_main_job",
    "e2e/test_faults",
    "e2e/test_moving",
    "test_foreign",
    "e2e/",
    "agent/test_whole",
    "conformance/",
    "front/test_fuzz",
    "sim/",
)


def _turn(item: pytest.Item) -> int:
    """Files that take long come first, so that no process is left with one at the end while the others have nothing to do."""
    return next((place for place, part in enumerate(LONGEST) if part in item.nodeid), len(LONGEST))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that use an engine or a browser are marked so, that `make test-fast` leaves them out without anybody remembering to. Those for `make soak`
    are left out here, and counted."""
    left = [] if SOAKING else [item for item in items if item.get_closest_marker("soak")]
    config.stash[left_for_soak] = len(left)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in set(left)]
    items.sort(key=_turn)
    for item in items:
        wanted = {name for mark in item.iter_markers("needs") for name in mark.args}
        if wanted & ENGINE_NEEDS or ENGINE_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("engine")
        if "chromium" in wanted:
            item.add_marker("browser")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    needs.current_test[0] = item.nodeid
    for mark in item.iter_markers("needs"):
        needs.require(*mark.args)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker process tells what it could not run; `CollectFromWorkers` in the first process puts it together."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["could_not_run"] = needs.could_not_run
        session.config.workeroutput["left_for_soak"] = session.config.stash[left_for_soak]


class CollectFromWorkers:
    """The first process's side of a run with several."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        told = getattr(node, "workeroutput", None) or {}
        for reason, tests in told.get("could_not_run", {}).items():
            needs.could_not_run.setdefault(reason, []).extend(tests)
        node.config.stash[left_for_soak] = told.get("left_for_soak", 0)  # each process collects everything


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    left = config.stash.get(left_for_soak, 0)
    if left:
        terminalreporter.section("left for make soak")
        terminalreporter.write_line(f"{left} long tests of what shorter ones say as well (marked soak): make soak")
    if not needs.could_not_run:
        return
    terminalreporter.section("what could not run here")
    for reason, tests in sorted(needs.could_not_run.items()):
        terminalreporter.write_line(f"{reason}  ({len(tests)} test{'s' if len(tests) != 1 else ''})")
        for test in sorted(set(tests))[:5]:
            terminalreporter.write_line(f"    {test}")
        if len(set(tests)) > 5:
            terminalreporter.write_line(f"    and {len(set(tests)) - 5} more")
    terminalreporter.write_line("tools/install-system.sh installs what is missing (as root).")


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Hands out loopback TCP ports that were free a moment ago; bind soon. Prefer port 0 where the server under test can say what it got."""

    def take() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return take
