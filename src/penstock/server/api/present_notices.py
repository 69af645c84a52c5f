"""From faults and notices to the public API's shapes, as `present` does for the other nouns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.apiv1 import notices as shapes
from penstock.server.api.present import one_of
from penstock.server.core.notices import WEBHOOK
from penstock.wire.urls import read_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.server.actions.notices import View
    from penstock.server.core.causes import Cause
    from penstock.server.core.faults import SiteKnown

MOST_SUBJECTS = 200


def fault(found: Cause, sites: Mapping[str, SiteKnown]) -> shapes.FleetFault:
    """A cause with the worst of whom it befell."""

    def name(site: str) -> str:
        return sites[site].name if site in sites else ""

    known = found.known
    return shapes.FleetFault(
        id=found.id,
        kind=found.kind,
        word=found.word,
        severity=one_of(found.severity),
        title=found.title,
        why=found.why,
        remedy=found.remedy,
        site=name(found.site),
        since_ms=found.since_ms,
        count=len(found.faults),
        of=found.of,
        subjects=tuple(
            shapes.FaultSubject(
                kind=one_of(one.subject),
                id=one.id,
                name=one.name,
                site=name(one.site),
                severity=one_of(one.severity),
                since_ms=one.since_ms,
                why=one.why,
                app=one.app,
            )
            for one in found.faults[:MOST_SUBJECTS]
        ),
        known=shapes.Acknowledged(until_ms=known.until_ms, reason=known.reason, by=known.by, at_ms=known.at_ms) if known is not None else None,
    )


def notice(found: View) -> shapes.Notice:
    """Who is told, without what lets anybody in: the path of a webhook's address is often its receiver's password."""
    target, standing, rules = found.target, found.standing, found.target.rules
    return shapes.Notice(
        id=target.id,
        name=target.name,
        site=found.site,
        kind=one_of(target.kind),
        to=read_url(target.way["url"]).host_port() if target.kind == WEBHOOK else ", ".join(target.way["to"]),
        enabled=target.enabled,
        rules=shapes.NoticeRules(
            severity=one_of(rules.severity),
            kinds=rules.kinds,
            sites=found.sites,
            acts=rules.acts,
            quiet=rules.quiet,
            time_zone=rules.time_zone,
            through=rules.through,
            per_hour=rules.per_hour,
        ),
        last_ms=standing.last_ms,
        outcome=one_of(standing.last_outcome),
        why=standing.last_why,
        failing_ms=standing.failing_ms,
        queued=found.queued,
        created_ms=target.created_ms,
        by=target.created_by,
        revision=target.revision,
    )
