"""Pages of where images come from and what is in them: mirrors and their registries, finding what runs where, templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.apiv1 import supply as s
from penstock.server.api import queries, supply
from penstock.server.core.errors import Invalid
from penstock.server.core.rights import reach
from penstock.server.core.templates import alone
from penstock.server.web.frame import PAGE_FAULTS, Go, Show, faults_of, read, told

if TYPE_CHECKING:
    from penstock.apiv1.common import Problem
    from penstock.server.web.frame import Ask

# --- mirrors ----------------------------------------------------------------------------------------------------------------

UPSTREAM = ("host", "user", "ca", "insecure")


def mirrors(ask: Ask) -> Show:
    """Copies of other registries' images, and the registries they may come from."""
    return _mirrors(ask)


def _mirrors(ask: Ask, problem: Problem | None = None, form: dict[str, str] | None = None) -> Show:
    return Show(
        "mirrors.html",
        {
            "mirrors": ask.ask(supply.list_mirrors).items,
            "upstreams": ask.ask(supply.list_upstreams).items if _whole(ask, "upstreams.read") else None,
            "may_allow": _whole(ask, "upstreams.write"),
            "form": form or dict.fromkeys(UPSTREAM, ""),
            "problem": problem,
            "faults": faults_of(problem),
        },
        422 if problem else 200,
    )


def _whole(ask: Ask, verb: str) -> bool:
    return reach(ask.actor.rights, verb).whole


def check_mirrors(ask: Ask) -> Show | Go:
    """Look again, at one or at all."""
    try:
        found = ask.ask(supply.check_mirrors, body=read(s.MirrorCheck, {"mirror": ask.first("mirror")})).items
    except PAGE_FAULTS as fault:
        return _mirrors(ask, told(fault))
    news = sum(bool(one.moved_ms or one.gone_ms or one.unreachable_ms) for one in found)
    if news:
        return Go("/mirrors", f"Looked at {len(found)}: {news} to look into. What is here stays as it is.", "wait")
    return Go("/mirrors", f"Looked at {len(found)}: all are as they were copied.")


def forget_mirror(ask: Ask) -> Show | Go:
    """It is no longer looked at."""
    try:
        return Go("/mirrors", ask.ask(supply.forget_mirror).said)
    except PAGE_FAULTS as fault:
        return _mirrors(ask, told(fault))


def set_upstream(ask: Ask) -> Show | Go:
    """Images may be copied from there."""
    form = {key: ask.first(key) for key in UPSTREAM}
    try:
        given = {**form, "insecure": form["insecure"] == "yes", "password": ask.secret("password") or None}
        made = ask.ask(supply.set_upstream, body=read(s.UpstreamSet, given))
    except PAGE_FAULTS as fault:
        return _mirrors(ask, told(fault), form)
    return Go("/mirrors", f"Images may be copied from {made.host} from now on. Test it to see that it answers.")


def test_upstream(ask: Ask) -> Show | Go:
    """Whether it answers."""
    try:
        tested = ask.ask(supply.test_upstream)
    except PAGE_FAULTS as fault:
        return _mirrors(ask, told(fault))
    host = ask.path["host"]
    return Go("/mirrors", f"{host} answers.") if tested.answered else Go("/mirrors", f"{host} does not take it: {tested.why}", "bad")


def remove_upstream(ask: Ask) -> Go:
    """Nothing is copied from there any more."""
    return Go("/mirrors", ask.ask(supply.remove_upstream).said)


# --- finding ----------------------------------------------------------------------------------------------------------------

KINDS = ("package", "cve", "digest")


def find(ask: Ask) -> Show:
    """Which devices run something."""
    return _find(ask)


def _find(ask: Ask, problem: Problem | None = None) -> Show:
    kind = ask.query.get("kind", "package") if ask.query.get("kind") in KINDS else "package"
    text = ask.query.get("text", "")[:500]
    found: Any = None
    if text and problem is None:
        try:
            found = ask.ask(supply.find, query=read(queries.Find, {kind: text}))
        except PAGE_FAULTS as fault:
            problem = told(fault)
    running = {(hit.place.app, hit.place.version) for hit in found.hits} if found else set()
    idle = sorted({f"{one.app} {one.version}" for one in found.places if (one.app, one.version) not in running}) if found else []
    lists = ask.ask(supply.list_lists).items
    context = {"kind": kind, "text": text, "found": found, "idle": idle, "lists": lists, "problem": problem, "faults": faults_of(problem)}
    return Show("find.html", context, 422 if problem else 200)


def import_list(ask: Ask) -> Show | Go:
    """Take in a list of vulnerabilities."""
    text = ask.secret("file") or ask.secret("list")
    given = {"name": ask.first("name"), "format": "osv" if text.lstrip().startswith(("{", "[")) else "csv", "text": text}
    try:
        if not text.strip():
            raise Invalid("list-empty", "no file is chosen", field="file", remedy="choose a file, OSV as JSON or CSV")
        made = ask.ask(supply.import_list, body=read(s.VulnerabilityImport, given))
    except PAGE_FAULTS as fault:
        return _find(ask, told(fault))
    return Go("/find?kind=cve", f"{given['name']}: {made.kept} taken in, {made.withdrawn} withdrawn.")


def remove_list(ask: Ask) -> Go:
    """Forget a list."""
    return Go("/find", ask.ask(supply.remove_list).said)


# --- templates --------------------------------------------------------------------------------------------------------------


STACK = "stack."  # before an app's name: the form's field of its Compose file


def templates(ask: Ask) -> Show:
    """Catalogue entries that releases are published from."""
    return _templates(ask)


def _templates(ask: Ask, problem: Problem | None = None, made: s.TemplatesImported | None = None, rest: str = "", source: str = "") -> Show:
    """`rest`: a catalogue of those templates alone that still lack their Compose file."""
    context = {"templates": ask.ask(supply.list_templates).items, "made": made, "rest": rest, "source": source}
    return Show("templates.html", context | {"problem": problem, "faults": faults_of(problem)}, 422 if problem else 200)


def import_templates(ask: Ask) -> Show:
    """Take in a catalogue, or what was left of one together with Compose files; what became of each template is shown."""
    catalogue, source = ask.secret("file") or ask.secret("rest"), ask.first("source")
    stacks = {key.removeprefix(STACK): value[0] for key, value in ask.form.items() if key.startswith(STACK) and value[0].strip()}
    try:
        if not catalogue.strip():
            raise Invalid("catalogue-empty", "no file is chosen", field="file", remedy="choose a catalogue, a JSON file")
        made = ask.ask(supply.import_templates, body=read(s.TemplatesImport, {"catalogue": catalogue, "source": source, "stacks": stacks}))
    except PAGE_FAULTS as fault:
        return _templates(ask, told(fault))
    lacking = [line.number for line in made.lines if line.lacks]
    return _templates(ask, made=made, rest=alone(catalogue, lacking) if lacking else "", source=source)


def remove_template(ask: Ask) -> Go:
    """A template goes."""
    return Go("/templates", ask.ask(supply.remove_template).said)
