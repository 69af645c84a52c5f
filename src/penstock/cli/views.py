"""Commands about one's own saved views of the fleet: filters with a name, the same that the first page shows."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlencode

from cyclopts import App, Parameter

from penstock.cli import out
from penstock.cli.common import COMMON, Common, Usage
from penstock.cli.names import AppName, GroupName, SiteName, ViewName, view_named

view = App(name="view", help="Your saved views of the fleet: filters with a name, here and on the first page.")

Show = Literal["", "healthy", "moving", "waiting", "failing", "silent", "drifted", "noway", "outdated"]


@view.command(name="list")
def view_list(*, common: Common = COMMON) -> int:
    """Your saved views; `penstock device list --view NAME` shows the devices of one."""
    with common.client() as client:
        found = client.views()
    rows = ((one.name, out.ago(one.created_ms), " ".join(f"{key}={value}" for key, value in one.filters.items()) or "every device") for one in found)
    return out.listing(found, ("name", "saved", "filters"), rows, "None yet: penstock view save NAME --show drifted", json=common.json)


@view.command(name="save")
def view_save(
    name: str,
    *,
    text: Annotated[str, Parameter(help="With this in the name, or a selector over labels, e.g. line=3.")] = "",
    site: SiteName = "",
    group: GroupName = "",
    app: AppName = "",
    show: Annotated[Show, Parameter(help="Only what one of the numbers of the first page counts; noway: without a way back.")] = "",
    sort: Annotated[Literal["", "name", "seen"], Parameter(help="In which order, if not worst first.")] = "",
    common: Common = COMMON,
) -> int:
    """Give some filters a name."""
    given = {"q": text, "site": site, "show": show, "app": app, "group": group, "sort": sort}
    kept = {key: value for key, value in given.items() if value}
    if not kept:
        raise Usage("say what it shows: --text, --site, --group, --app, --show or --sort")
    with common.client() as client:
        made = client.save_view(name, urlencode(kept))
    if common.json:
        out.show_json(made)
    else:
        out.say(f"{made.name} is one of your views now: penstock device list --view '{made.name}'")
    return out.DONE


@view.command(name="remove")
def view_remove(name: ViewName, *, common: Common = COMMON) -> int:
    """Forget a saved view; no device is touched."""
    with common.client() as client:
        return out.outcome(client.drop_view(view_named(client, name).id), json=common.json)
