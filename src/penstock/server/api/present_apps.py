"""What came with a release, and what a release changes, as the API says it.

Owns the translation only, like `present`, of which it is a part.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from penstock.apiv1 import apps
from penstock.server.api import present

if TYPE_CHECKING:
    from penstock.server.actions.packages import PackageView
    from penstock.server.core.difference import FieldChange, PartChange
    from penstock.server.core.model import ReleaseBrief
    from penstock.server.core.releasechange import ReleaseChange


def package(found: PackageView) -> apps.Package:
    """What came with a release."""
    said = found.said
    return apps.Package(
        release=found.row.id,
        app=found.row.app,
        version=found.row.version,
        title=said.title,
        vendor=said.vendor,
        homepage=said.homepage,
        readme=found.readme,
        notes=found.notes,
        licence=found.licence,
        icon=bool(said.icon),
        entries=said.entries,
        profiles=said.profiles,
        files=tuple(apps.PackageFile(path=one.path, digest=one.digest, bytes=one.size) for one in found.files),
    )


def _fields(found: Iterable[FieldChange]) -> tuple[apps.FieldChange, ...]:
    return tuple(apps.FieldChange(field=one.field, before=one.before, after=one.after) for one in found)


def _parts(found: Iterable[PartChange]) -> tuple[apps.PartChange, ...]:
    return tuple(apps.PartChange(name=one.name, kind=one.kind, changes=_fields(one.changes)) for one in found)


def change(one: ReleaseBrief, two: ReleaseBrief, device: str, found: ReleaseChange) -> apps.ReleaseChange:
    """What one release would change where another runs."""
    return apps.ReleaseChange(
        a=present.brief(one),
        b=present.brief(two),
        device=device,
        same=found.same,
        services=tuple(
            apps.ServiceChange(name=part.name, kind=part.kind, restarts=part.restarts, why=part.why, changes=_fields(part.changes)) for part in found.services
        ),
        volumes=tuple(
            apps.VolumeChange(
                name=part.name, kind=part.kind, touched=part.touched, policy=part.policy, why=part.why, services=part.services, changes=_fields(part.changes)
            )
            for part in found.volumes
        ),
        networks=_parts(found.networks),
        parameters=_parts(found.parameters),
        images=tuple(
            apps.ImageChange(
                service=part.service,
                kind=part.kind,
                before=part.before,
                after=part.after,
                before_digest=part.before_digest,
                after_digest=part.after_digest,
            )
            for part in found.images
        ),
        files=tuple(apps.FileChange(path=part.path, kind=part.kind) for part in found.files),
        settings=_fields(found.settings),
        fetched=found.fetched,
    )
