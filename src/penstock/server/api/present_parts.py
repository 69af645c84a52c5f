"""What differs from one thing to another, and from engine to engine of one release, as the API says it.

Owns the translation only, like `present`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from penstock.apiv1 import apps

if TYPE_CHECKING:
    from penstock.server.core.difference import FieldChange, PartChange
    from penstock.server.core.parts import PartShown


def fields(found: Iterable[FieldChange]) -> tuple[apps.FieldChange, ...]:
    """Settings before and after."""
    return tuple(apps.FieldChange(field=one.field, before=one.before, after=one.after) for one in found)


def parts(found: Iterable[PartChange]) -> tuple[apps.PartChange, ...]:
    """Services, volumes, networks or parameters before and after."""
    return tuple(apps.PartChange(name=one.name, kind=one.kind, changes=fields(one.changes)) for one in found)


def release_parts(found: Iterable[PartShown]) -> tuple[apps.ReleasePart, ...]:
    """What differs by engine; what is the same is left out."""
    return tuple(_release_part(one) for one in found)


def _release_part(one: PartShown) -> apps.ReleasePart:
    made = one.difference
    if made is None:
        return apps.ReleasePart(engine=one.engine, file=one.file, note=one.note)

    def moved(many: Iterable[PartChange]) -> tuple[apps.PartChange, ...]:
        return parts(part for part in many if part.kind != "same")

    return apps.ReleasePart(
        engine=one.engine,
        file=one.file,
        note=one.note,
        services=moved(made.services),
        volumes=moved(made.volumes),
        networks=moved(made.networks),
        parameters=moved(made.parameters),
        settings=fields(one.settings),
    )
