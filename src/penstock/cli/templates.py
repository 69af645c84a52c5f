"""Commands about templates: catalogue entries that releases are published from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from penstock.cli import out
from penstock.cli.common import COMMON, Common, pairs, text_of
from penstock.cli.names import AppName


def import_templates(
    file: Annotated[Path, Parameter(help="A catalogue of Portainer's, JSON, version 2 or 3.")],
    *,
    stack: Annotated[tuple[str, ...], Parameter(help="APP=@FILE: the Compose file of a template that only points to a repository.")] = (),
    common: Common = COMMON,
) -> int:
    """Take a catalogue of Portainer's templates into the app list.

    Each becomes a Compose file with its parameters, or is refused with the reason. Importing the same again changes nothing.
    Exit code 1 when none could be taken.
    """
    with common.client() as client:
        found = client.supply.import_templates(text_of(file), file.name, pairs(stack, "stack"))
    if common.json:
        out.show_json(found)
    else:
        rows = ((x.number, x.app or "-", x.title, x.did, x.why if x.did == "refused" else ready(x.needs)) for x in found.lines)
        out.table(("", "app", "title", "is", "publishing"), rows, "The catalogue is empty.")
        taken = sum(x.did != "refused" for x in found.lines)
        out.say(f"{taken} of {out.number(len(found.lines), 'template')} stand in the app list. Publish one: penstock app template NAME > compose.yaml")
    return out.DONE if not found.lines or any(x.did != "refused" for x in found.lines) else out.REFUSED


def templates(*, common: Common = COMMON) -> int:
    """The templates there are."""
    with common.client() as client:
        found = client.supply.templates()
    rows = ((x.app, x.title, x.source or "-", out.ago(x.imported_ms), ready(x.needs), x.description) for x in found)
    head = ("app", "title", "catalogue", "imported", "publishing", "what it is")
    return out.listing(found, head, rows, "None yet: penstock app import-templates templates.json", json=common.json)


def ready(needs: str) -> str:
    """Whether a template can be published as it is, in words."""
    return f"needs changes: {needs}" if needs else "can be published"


def template(app: AppName, *, common: Common = COMMON) -> int:
    """The Compose file of a template, ready to publish."""
    with common.client() as client:
        found = client.supply.template(app)
    if common.json:
        out.show_json(found)
    else:
        out.verbatim(found.compose)
        if found.note:
            out.aside(found.note)
        if found.needs:
            out.aside(f"Needs changes: {found.needs}")
    return out.DONE


def remove_template(app: AppName, *, common: Common = COMMON) -> int:
    """Remove a template; its app and releases stay."""
    with common.client() as client:
        return out.outcome(client.supply.remove_template(app), json=common.json)
