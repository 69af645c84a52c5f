"""The OpenAPI 3.1 document, made from the table of routes and the shapes.

Owns how a route is described; describes nothing that is not in the table. The same document lies checked in at docs/openapi.json, and a test
compares the two.
"""

from __future__ import annotations

import functools
import inspect
import re
from typing import TYPE_CHECKING, Any

import msgspec

from penstock import __version__
from penstock.apiv1.common import Problem

if TYPE_CHECKING:
    from penstock.server.api.frame import Call, Route

_PATH = re.compile(r"{(\w+)}")
_REF = "#/components/schemas/{name}"

SAID = {
    400: "The request cannot be read.",
    401: "Nobody known is asking.",
    403: "The asker may not.",
    404: "No such thing, or not one the asker may see.",
    409: "It contradicts what already is.",
    412: "Somebody changed it since it was read.",
    413: "More bytes than this takes.",
    415: "The body is not sent as application/json.",
    422: "The input is not what it must be; `field` and `faults` say where.",
    428: "If-Match is missing.",
    429: "Too often; see Retry-After.",
    503: "Not now; see Retry-After.",
}


# A body with one of these is judged against guessing, and waits its turn to be judged.
_GUESSED = {"password", "old", "code", "token"}


def statuses(route: Route) -> tuple[int, ...]:
    """Every status besides success that a route may answer with: what follows from what it is, and what it says itself (`refuses`)."""
    from penstock.server.api.frame import PUBLIC, SIGNED_IN

    changes = route.method != "GET"
    taken = {field.name for field in msgspec.structs.fields(route.body)} if route.body is not None else set()
    found = {422, *route.refuses}
    if route.permission != PUBLIC:
        found.add(401)
        if route.permission != SIGNED_IN or changes or route.stream:
            found.add(403)
        if changes:
            found.add(409)
    if route.permission != PUBLIC and ("{" in route.path or taken or msgspec.structs.fields(route.query)):
        found.add(404)
    if route.body is not None:
        found |= {400, 413, 415}
    if taken & _GUESSED:
        found |= {429, 503}
    if route.creates:  # how many there may be has a limit
        found.add(429)
    if route.stream:
        found.add(503)
    if route.conditional:
        found |= {412, 428}
    return tuple(sorted(found))


def document(routes: tuple[Route, ...]) -> dict[str, Any]:
    """The whole document as plain values."""
    kinds = [Problem]
    for route in routes:
        kinds += [kind for kind in (route.answer, route.body, route.query) if kind is not None and kind not in (bytes, dict)]
    unique = list(dict.fromkeys(kinds))
    schemas, components = msgspec.json.schema_components(unique, ref_template=_REF)
    by_kind = dict(zip(unique, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, by_kind, components)
    queries = {_name(route.query) for route in routes}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Penstock",
            "version": __version__,
            "summary": "Fleet control for containers on the industrial edge.",
            "description": "Times are Unix milliseconds (`*_ms`, 0 means never), spans seconds (`*_s`), sizes bytes. Lists come in pages: pass `next` as `cursor`. "
            "Errors are RFC 9457 problems with a stable `code`. What changes a thing others may change too needs its ETag as If-Match.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in sorted(components.items()) if name not in queries},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "An API token from POST /api/v1/login or /api/v1/tokens."},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "__Host-penstock",
                    "description": "A browser's session; changes also need X-Penstock-Csrf.",
                },
            },
        },
    }


def _name(kind: Any) -> str:
    return str(getattr(kind, "__name__", kind))


def _operation(route: Route, by_kind: dict[Any, dict[str, Any]], components: dict[str, Any]) -> dict[str, Any]:
    from penstock.server.api.frame import PUBLIC

    ok: dict[str, Any] = {"description": inspect.getdoc(route.handler) or route.doc}
    if route.answer is dict:
        ok["content"] = {"application/json": {"schema": {"type": "object"}}}
    elif route.answer is bytes:
        ok["content"] = {route.media_type: {"schema": {"type": "string"} | ({"format": "binary"} if route.media_type == "application/octet-stream" else {})}}
    elif route.answer is not None:
        ok["content"] = {"application/json": {"schema": by_kind[route.answer]}}
    responses: dict[str, Any] = {str(route.status): ok}
    for status in statuses(route):
        responses[str(status)] = {"description": SAID[status], "content": {"application/problem+json": {"schema": by_kind[Problem]}}}
    found: dict[str, Any] = {
        "operationId": f"{route.handler.__module__.rpartition('.')[2]}.{route.handler.__name__}",
        "summary": route.doc,
        "tags": [route.path.split("/")[3]],
        "x-permission": route.permission,
        "responses": responses,
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1, "maxLength": 130}} for name in _PATH.findall(route.path)
    ]
    query = components.get(_name(route.query), {})
    for name, schema in query.get("properties", {}).items():
        parameters.append({"name": name, "in": "query", "required": name in query.get("required", ()), "schema": schema})
    if route.conditional:
        parameters.append(
            {
                "name": "If-Match",
                "in": "header",
                "required": True,
                "description": "The ETag of what you read.",
                "schema": {"type": "string", "pattern": '^"r[0-9]{1,15}"$'},
            }
        )
    if route.creates:
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "Repeating a request with the same key within a day repeats its answer, while the plane runs.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 128},
            }
        )
    if route.media_type == "text/event-stream":
        parameters.append({"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string", "maxLength": 32}})
    if parameters:
        found["parameters"] = parameters
    if route.body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": by_kind[route.body]}}}
    if route.permission == PUBLIC:
        found["security"] = []
    return found


@functools.cache
def text() -> bytes:
    """The document of this version, formatted as it is checked in."""
    from penstock.server.api.routes import ROUTES

    return msgspec.json.format(msgspec.json.encode(document(ROUTES), order="sorted"), indent=1) + b"\n"


def serve(_call: Call) -> bytes:
    """This document."""
    return text()
