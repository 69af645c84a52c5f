"""Two devices or two sites side by side."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from penstock.apiv1 import fleet as f
from penstock.cli import out
from penstock.cli.common import COMMON, Common
from penstock.cli.names import DeviceName, SiteName

All = Annotated[bool, Parameter(name="--all", negative=(), help="Show what is the same, too.")]


def _show(found: f.Comparison, common: Common, *, everything: bool) -> int:
    if common.json:
        out.show_json(found)
        return out.DONE
    rows = [row for row in found.rows if everything or not row.same]
    out.table(
        ("what", "name", found.a.name, found.b.name),
        ((row.part, row.name, row.a or "-", row.b or "-") for row in rows),
        f"{found.a.name} and {found.b.name} do not differ in anything this plane knows.",
    )
    same = len(found.rows) - len(rows)
    if same:
        out.errors.print(f"{same} more are the same; --all shows them.", style="dim")
    return out.DONE


def devices(a: DeviceName, b: DeviceName, *, everything: All = False, common: Common = COMMON) -> int:
    """Two devices side by side: what differs in platforms, labels, releases, values and drift."""
    with common.client() as client:
        return _show(client.compare("devices", a, b), common, everything=everything)


def sites(a: SiteName, b: SiteName, *, everything: All = False, common: Common = COMMON) -> int:
    """Two sites side by side: what differs in how their devices stand, labels, releases, values and drift."""
    with common.client() as client:
        return _show(client.compare("sites", a, b), common, everything=everything)
