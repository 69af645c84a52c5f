"""Handlers for upstream registries, mirrors, attached documents, searching what runs where, vulnerability lists and templates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from penstock.apiv1 import supply as shapes
from penstock.apiv1.common import Outcome, Page
from penstock.server.actions import finding, inventory, mirrors, templates, upstreams
from penstock.server.api.present import one_of

if TYPE_CHECKING:
    from penstock.server.api.frame import Call
    from penstock.server.core.mirrors import Upstream
    from penstock.server.core.templates import Kept


# --- upstreams --------------------------------------------------------------------------------------------------------------


def _upstream(found: Upstream) -> shapes.Upstream:
    return shapes.Upstream(
        host=found.host,
        user=found.user,
        password=bool(found.vaulted),
        ca=found.ca,
        insecure=found.insecure,
        created_ms=found.created_ms,
        by=found.created_by,
        tested_ms=found.tested_ms,
        why=found.why,
    )


def list_upstreams(call: Call) -> Page[shapes.Upstream]:
    """The registries that images may be copied from."""
    return Page(items=tuple(map(_upstream, upstreams.list_upstreams(call.plane, call.actor))))


def get_upstream(call: Call) -> shapes.Upstream:
    """One of them."""
    return _upstream(upstreams.get_upstream(call.plane, call.actor, host=call.path["host"]))


def set_upstream(call: Call) -> shapes.Upstream:
    """Images may be copied from there, in this way."""
    body: shapes.UpstreamSet = call.body
    made = upstreams.set_upstream(call.plane, call.actor, host=body.host, user=body.user, password=body.password, ca=body.ca, insecure=body.insecure)
    return _upstream(made)


def remove_upstream(call: Call) -> Outcome:
    """Nothing is copied from there any more."""
    upstreams.remove_upstream(call.plane, call.actor, host=call.path["host"])
    return Outcome(said="Nothing is copied from there any more, and its password is forgotten. Images that are here stay.")


def test_upstream(call: Call) -> shapes.UpstreamTested:
    """Whether it answers, and takes the password."""
    why = upstreams.test_upstream(call.plane, call.actor, host=call.path["host"])
    return shapes.UpstreamTested(answered=not why, why=why)


# --- mirrors ----------------------------------------------------------------------------------------------------------------


def _mirror(found: mirrors.View) -> shapes.Mirror:
    one = found.mirror
    return shapes.Mirror(
        id=one.id,
        source=one.source,
        repository=one.repository,
        reference=one.reference,
        platforms=one.platforms,
        state=one_of(one.state),
        why=one.why,
        digest=one.digest,
        upstream=one.upstream,
        seen=one.seen,
        bytes=one.bytes,
        done=found.done,
        total=found.total,
        asked_ms=one.asked_ms,
        by=one.asked_by,
        copied_ms=one.copied_ms,
        checked_ms=one.checked_ms,
        moved_ms=one.moved_ms,
        gone_ms=one.gone_ms,
        unreachable_ms=one.unreachable_ms,
        unreachable_why=one.unreachable_why,
        releases=found.releases,
        attached=one.attached,
        attached_why=one.attached_why,
    )


def list_mirrors(call: Call) -> Page[shapes.Mirror]:
    """Copies of other registries' images, and what became of where they came from."""
    return Page(items=tuple(map(_mirror, mirrors.list_mirrors(call.plane, call.actor))))


def check_mirrors(call: Call) -> Page[shapes.Mirror]:
    """Look again, now; what is here stays as it is."""
    return Page(items=tuple(map(_mirror, mirrors.check(call.plane, call.actor, mirror=call.body.mirror))))


def forget_mirror(call: Call) -> Outcome:
    """It is no longer looked at."""
    found = mirrors.forget(call.plane, call.actor, mirror=call.path["mirror"])
    return Outcome(said=f"{found.source} is no longer looked at. What is here stays while something needs it.")


# --- what is in images ------------------------------------------------------------------------------------------------------


def attached(call: Call) -> Page[shapes.ImageAttached]:
    """What is attached to the images of a release: lists of packages, signatures, attestations."""
    found = inventory.attachments(call.plane, call.actor, release=call.path["release"])
    return Page(items=tuple(shapes.ImageAttached(image=one.image, attached=tuple(map(_attached, one.attached))) for one in found))


def _attached(one: inventory.Attachment) -> shapes.Attached:
    return shapes.Attached(
        document=one.document,
        manifest=one.manifest,
        subject=one.subject,
        platform=one.platform,
        kind=one_of(one.kind),
        media_type=one.media_type,
        bytes=one.bytes,
        packages=one.packages,
        why=one.why,
    )


def _place(place: finding.Place) -> shapes.FoundPlace:
    match = place.match
    package = match.package
    return shapes.FoundPlace(
        app=place.app,
        version=place.version,
        image=place.image,
        platform=place.platform,
        digest=place.digest,
        found=shapes.FoundPackage(
            verdict=one_of(match.verdict.word),
            ecosystem=package.ecosystem if package else "",
            name=package.name if package else "",
            version=package.version if package else "",
            purl=package.purl if package else "",
            fixed=match.verdict.fixed,
            vulnerability=match.vulnerability,
            why=match.verdict.why,
        ),
    )


def find(call: Call) -> shapes.Found:
    """Which devices run a digest, a package, or what a vulnerability affects."""
    found = finding.find(call.plane, call.actor, digest=call.query.digest, package=call.query.package, cve=call.query.cve)
    return shapes.Found(
        hits=tuple(shapes.FoundDevice(device=one.device, name=one.name, site=one.site, place=_place(one.place)) for one in found.hits),
        devices=found.devices,
        unknown=found.unknown,
        places=tuple(map(_place, found.places)),
        vulnerabilities=tuple(
            shapes.FoundVulnerability(id=one.id, names=one.names, summary=one.summary, severity=one.severity) for one in found.vulnerabilities
        ),
        images=found.images,
        indexed=found.indexed,
    )


def list_lists(call: Call) -> Page[shapes.VulnerabilityList]:
    """The lists of vulnerabilities there are."""
    found = finding.list_sources(call.plane, call.actor)
    return Page(items=tuple(shapes.VulnerabilityList(name=one.name, entries=one.entries, imported_ms=one.imported_ms) for one in found))


def import_list(call: Call) -> shapes.VulnerabilitiesImported:
    """Take in entries of a list, all of them or none."""
    body: shapes.VulnerabilityImport = call.body
    found = finding.import_list(call.plane, call.actor, source=body.name, kind=body.format, text=body.text)
    return shapes.VulnerabilitiesImported(kept=found.kept, withdrawn=found.withdrawn)


def remove_list(call: Call) -> Outcome:
    """A list is forgotten."""
    many = finding.remove_source(call.plane, call.actor, source=call.path["list"])
    return Outcome(said=f"The list is forgotten; {many} entries are gone.")


# --- templates --------------------------------------------------------------------------------------------------------------


def list_templates(call: Call) -> Page[shapes.TemplateBrief]:
    """Catalogue entries that releases are published from."""
    found = templates.list_templates(call.plane, call.actor)
    briefs = map(_template, found)
    return Page(items=tuple(msgspec.convert(one, shapes.TemplateBrief, from_attributes=True) for one in briefs))


def _template(one: Kept) -> shapes.Template:
    return shapes.Template(
        app=one.app,
        title=one.title,
        description=one.description,
        source=one.source,
        imported_ms=one.imported_ms,
        by=one.imported_by,
        note=one.note,
        compose=one.compose,
        needs=templates.needs(one),
    )


def get_template(call: Call) -> shapes.Template:
    """One, with its Compose text."""
    return _template(templates.get_template(call.plane, call.actor, app=call.path["app"]))


def import_templates(call: Call) -> shapes.TemplatesImported:
    """Take in a catalogue; what became of each template."""
    body: shapes.TemplatesImport = call.body
    found = templates.import_templates(call.plane, call.actor, source=body.source, catalogue=body.catalogue, stacks=body.stacks)
    lines = tuple(
        shapes.TemplateLine(
            number=line.outcome.number,
            title=line.outcome.title,
            app=line.outcome.app,
            did=one_of(line.did),
            why=line.outcome.why[:1000],
            needs=line.outcome.needs,
            lacks=line.outcome.lacks,
        )
        for line in found
    )
    return shapes.TemplatesImported(lines=lines)


def remove_template(call: Call) -> Outcome:
    """A template goes; its app stays."""
    found = templates.remove_template(call.plane, call.actor, app=call.path["app"])
    return Outcome(said=f"The template of {found.app} is removed. The app and its releases stay.")
