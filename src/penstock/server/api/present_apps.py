"""What came with a release, and what a release changes, as the API says it.

Owns the translation only, like `present`, of which it is a part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.apiv1 import apps
from penstock.server.api import present
from penstock.server.api.present_parts import fields as _fields
from penstock.server.api.present_parts import parts as _parts

if TYPE_CHECKING:
    from penstock.server.actions.packages import PackageView
    from penstock.server.actions.releases import Compared


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
        files=tuple(apps.PackageFile(path=one.path, digest=one.digest, bytes=one.size, engine=found.engines.get(one.path, "")) for one in found.files),
    )


def change(whole: Compared) -> apps.ReleaseChange:
    """What one release would change where another runs."""
    found = whole.change
    return apps.ReleaseChange(
        a=present.brief(whole.old),
        b=present.brief(whole.new),
        device=whole.device,
        engine=whole.engine,
        engines=whole.engines,
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
