"""The numbers: their keys, what they must reach, and the file they are kept in.

Owns bench/results.json (merged key by key, so that one number can be measured anew) and the printed table. Measures nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).resolve().parent / "results.json"


@dataclass(frozen=True)
class Reach:
    """What a number must reach: `most` or `least`, whichever is not None."""

    unit: str
    most: float | None = None
    least: float | None = None

    def met(self, value: float) -> bool:
        return (self.most is None or value <= self.most) and (self.least is None or value >= self.least)

    def words(self) -> str:
        if self.unit == "true or false":
            return "true"
        return f"<= {self.most:g}" if self.most is not None else f">= {self.least:g}"


REACH = {
    "agent.pss_idle_kib": Reach("KiB", most=18432),
    "agent.deploy_cgroup_mib": Reach("MiB", most=24),
    "agent.idle_wire_bytes_per_day": Reach("bytes/day", most=1_000_000),
    "agent.idle_disk_bytes_per_day": Reach("bytes/day", most=400_000),
    "checkin.unchanged_per_s_core": Reach("1/s per core", least=10_000),
    "checkin.unchanged_p99_ms": Reach("ms", most=50),
    "checkin.report_per_s_core": Reach("1/s per core", least=2_000),
    "plane.reconnect_10k_s": Reach("s", most=60),
    "plane.rss_10k_mib": Reach("MiB", most=600),
    "plane.cpu_10k_percent": Reach("% of one core", most=25),
    "deploy.click_to_running_s": Reach("s", most=3),
    "revert.deadline_to_confirmed_s": Reach("s", most=5),
    "store.deploy_change_10k_s": Reach("s", most=10),
    "ux.first_app_clicks": Reach("clicks", most=20),
    "ux.first_app_chars": Reach("characters", most=120),
    "access.decide_us": Reach("us", most=50),
    "sse.rss_kib_per_open_page": Reach("KiB", most=64),
    "ui.first_load_kb": Reach("kB", most=200),
    "registry.push_ratio": Reach("times docker-registry's throughput", least=0.5),
    "registry.pull_ratio": Reach("times docker-registry's throughput", least=0.5),
    "publish.same_input_same_digest": Reach("true or false", least=1),
    "ui.fleet_1k_ms": Reach("ms", most=1_000),
    "compose.normalise_ms": Reach("ms", most=50),
}


@dataclass(frozen=True)
class Result:
    """One measured number. `how` says under what conditions, in a sentence or two."""

    key: str
    value: float
    how: str


def read(path: Path = FILE) -> dict[str, dict[str, object]]:
    """What was measured so far; {} where nothing was."""
    return dict(json.loads(path.read_text())) if path.exists() else {}


def merge(found: Iterable[Result], path: Path = FILE) -> None:
    """Put these numbers into the file; the others stay as they are."""
    kept = read(path)
    for one in found:
        kept[one.key] = {"value": one.value if isinstance(one.value, bool) else round(one.value, 3), "unit": REACH[one.key].unit, "how": one.how}
    path.write_text(json.dumps({key: kept[key] for key in REACH if key in kept}, indent=2) + "\n")


def table(path: Path = FILE) -> str:
    """All keys, what they must reach, and what was measured."""
    kept = read(path)
    lines = [f"{'key':<34} {'value':>14} {'reach':>12}  unit"]
    for key, reach in REACH.items():
        value = kept.get(key, {}).get("value")
        if isinstance(value, (int, float)):
            lines.append(f"{key:<34} {value:>14,.3f} {reach.words():>12}  {reach.unit}{'' if reach.met(value) else '   MISSED'}")
        else:
            lines.append(f"{key:<34} {'not measured':>14} {reach.words():>12}  {reach.unit}")
    return "\n".join(lines)
