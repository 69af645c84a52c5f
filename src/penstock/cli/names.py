"""What the shell offers for a name that is being typed: devices, sites, apps, people, roles, contexts and so on, from what the asker may see.

Owns the annotations of such arguments. Offers nothing where the control plane does not answer at once: a key that was pressed must not wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from penstock.cli import contexts
from penstock.cli.common import Common, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cyclopts.completion import CompletionContext

    from penstock.apiv1.fleet import SavedView
    from penstock.client import Client

PATIENCE_S = 2.0
OFFERED = 200


def _offered(context: CompletionContext, ask: Callable[[Client], Iterable[str]]) -> tuple[str, ...]:
    chosen = context.get("--context")
    try:
        with Common(context=str(chosen.value) if chosen is not None and chosen else "", timeout=PATIENCE_S).client() as client:
            return tuple(sorted(set(ask(client))))
    except Exception:  # noqa: BLE001 - whatever it is: there is nobody to tell, and a shell shows what is written here as a candidate
        return ()


def _typed(context: CompletionContext, name: str) -> str:
    found: Any = context.get(name)
    return str(found.value) if found is not None and found and isinstance(found.value, str) else ""


def devices(context: CompletionContext) -> tuple[str, ...]:
    """The names of devices."""
    return _offered(context, lambda client: (item.name for item in client.devices(OFFERED, text=context.incomplete, sort="name")))


def sites(context: CompletionContext) -> tuple[str, ...]:
    """The names of sites."""
    return _offered(context, lambda client: (item.name for item in client.sites()))


def groups(context: CompletionContext) -> tuple[str, ...]:
    """The names of groups."""
    return _offered(context, lambda client: (item.name for item in client.groups()))


def apps(context: CompletionContext) -> tuple[str, ...]:
    """The names of apps: of the device where one was typed."""
    device = _typed(context, "device")
    if device:
        return _offered(context, lambda client: (item.app for item in client.device(device).apps))
    return _offered(context, lambda client: (item.name for item in client.apps()))


def services(context: CompletionContext) -> tuple[str, ...]:
    """The services of the app that was typed, on the device that was typed."""
    device, app = _typed(context, "device"), _typed(context, "app")
    if not device:
        return ()
    return _offered(context, lambda client: (one.service for item in client.device(device).apps if app in ("", item.app) for one in item.services))


def releases(context: CompletionContext) -> tuple[str, ...]:
    """Releases as app:version."""
    return _offered(
        context,
        lambda client: (
            f"{item.app}:{item.version}" for item in client.releases(context.incomplete.partition(":")[0] if ":" in context.incomplete else "", limit=OFFERED)
        ),
    )


def deployments(context: CompletionContext) -> tuple[str, ...]:
    """The names of standing deployments."""
    return _offered(context, lambda client: (item.name for item in client.deployments(state="standing")))


def enrolments(context: CompletionContext) -> tuple[str, ...]:
    """The names that wait to be let in."""
    return _offered(context, lambda client: (item.name for item in client.enrolments()))


def people(context: CompletionContext) -> tuple[str, ...]:
    """The names of people and service accounts."""
    return _offered(context, lambda client: (item.name for item in client.access.users(text=context.incomplete)))


def teams(context: CompletionContext) -> tuple[str, ...]:
    """The names of teams."""
    return _offered(context, lambda client: (item.name for item in client.access.teams()))


def subjects(context: CompletionContext) -> tuple[str, ...]:
    """Whoever may have a role: people, service accounts, teams."""
    return (*people(context), *teams(context))


def roles(context: CompletionContext) -> tuple[str, ...]:
    """The names of roles."""
    return _offered(context, lambda client: (item.name for item in client.access.roles()))


def rights(context: CompletionContext) -> tuple[str, ...]:
    """Every right there is: those of the administrator."""
    return _offered(context, lambda client: (right.verb for right in client.access.role("administrator").rights))


def views(context: CompletionContext) -> tuple[str, ...]:
    """The names of one's own saved views."""
    return _offered(context, lambda client: (item.name for item in client.views()))


def repositories(context: CompletionContext) -> tuple[str, ...]:
    """The repositories of the image registry."""
    return _offered(context, lambda client: (item.name for item in client.registry().repositories))


def view_named(client: Client, name: str) -> SavedView:
    """One's own saved view of that name or id, capitals not minded. Raises Usage."""
    found = client.views()
    for one in found:
        if name in (one.id, one.name) or name.lower() == one.name.lower():
            return one
    those = f"yours are {', '.join(one.name for one in found)}" if found else "you have none; `penstock view save` makes one"
    raise Usage(f"you have no view named {name!r}; {those}")


def kept(_context: CompletionContext) -> tuple[str, ...]:
    """The contexts of this machine."""
    try:
        return tuple(sorted(contexts.load().contexts))
    except (contexts.NoContext, OSError):
        return ()


DeviceName = Annotated[str, Parameter(help="Its name or id.", completer=devices)]
SiteName = Annotated[str, Parameter(help="The site's name or id.", completer=sites)]
GroupName = Annotated[str, Parameter(help="The group's name or id.", completer=groups)]
AppName = Annotated[str, Parameter(help="The app's name.", completer=apps)]
ServiceName = Annotated[str, Parameter(help="The service's name.", completer=services)]
ReleaseName = Annotated[str, Parameter(help="app:version, or an id.", completer=releases)]
DeploymentName = Annotated[str, Parameter(help="Its name or id.", completer=deployments)]
RepositoryName = Annotated[str, Parameter(help="A repository of the image registry, such as shop/web.", completer=repositories)]
ViewName = Annotated[str, Parameter(help="One of your saved views, by name.", completer=views)]
UserName = Annotated[str, Parameter(help="Their name for signing in, or id.", completer=people)]
TeamName = Annotated[str, Parameter(help="The team's name or id.", completer=teams)]
SubjectName = Annotated[str, Parameter(help="A person, a service account or a team, by name or id.", completer=subjects)]
RoleName = Annotated[str, Parameter(help="The role's name.", completer=roles)]
RightName = Annotated[str, Parameter(help="A right, such as deployments.write; `penstock role show administrator` lists every one.", completer=rights)]
ContextName = Annotated[str, Parameter(help="A context of this machine, as `penstock context list` shows it.", completer=kept)]
