"""Refusals and faults as RFC 9457 problems.

Owns which kind of refusal is which HTTP status, and how a fault of decoding names its field. Never says more of an unexpected fault than
that there was one: the rest is in the server's log.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from penstock.apiv1.common import Fault, Problem

if TYPE_CHECKING:
    from penstock.server.core.errors import Refused

MEDIA_TYPE = "application/problem+json"

STATUS = {
    "invalid": 422,
    "missing": 404,
    "conflict": 409,
    "stale": 412,
    "forbidden": 403,
    "unauthenticated": 401,
    "limited": 429,
    "unavailable": 503,
    "precondition": 428,
}

_WHERE = re.compile(r" - at `(?:key in )?\$\.?(.*)`$")


def make(status: int, code: str, detail: str, *, field: str = "", remedy: str = "", faults: tuple[Fault, ...] = ()) -> Problem:
    """A problem."""
    return Problem(title=HTTPStatus(status).phrase, status=status, code=code, detail=detail, field=field, remedy=remedy, faults=faults)


def of_fault(fault: object) -> Fault:
    """One fault of a document, with its place."""
    return Fault(
        path=str(getattr(fault, "path", "")),
        why=str(getattr(fault, "why", fault)),
        remedy=str(getattr(fault, "remedy", "")),
        line=int(getattr(fault, "line", 0) or 0),
        column=int(getattr(fault, "column", 0) or 0),
        file=str(getattr(fault, "file", "")),
    )


def of_refusal(refused: Refused) -> Problem:
    """A domain refusal as a problem. Faults of a Compose file keep their line and column."""
    faults = tuple(of_fault(fault) for fault in refused.faults)
    return make(STATUS.get(refused.kind, 422), refused.code, refused.why, field=refused.field, remedy=refused.remedy, faults=faults)


def of_decoding(fault: msgspec.MsgspecError) -> Problem:
    """A body or query that is not what the API document says."""
    said = str(fault)
    if not isinstance(fault, msgspec.ValidationError):
        return make(400, "not-json", f"the body is not JSON: {said[:200]}", remedy="send UTF-8 JSON as the API document describes")
    found = _WHERE.search(said)
    field = found.group(1) if found else ""
    why = _WHERE.sub("", said)
    return make(422, "invalid-input", why[:1].lower() + why[1:300], field=field, remedy="see /api/v1/openapi.json for what this takes")
