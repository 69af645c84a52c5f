"""What the tests that ask everything share: one request as the schema's fuzzer makes it, into the application of `halves.World`; the secrets a plane knows;
its rows.

Owns no expectation of any one route.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import requests
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance
from sqlalchemy import select

from penstock.server.actions.context import Plane
from penstock.server.api import auth, openapi
from penstock.server.store.columns import metadata
from tests.front.halves import Asker, Got, Half, World

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
STREAMS = ("/api/v1/events", "/api/v1/changes")  # they do not end: test_streams

# Columns that hold a secret, or what one could be guessed with at leisure. Whoever adds a column of such a name says here what it is.
SECRET_COLUMNS = {
    ("users", "password"),
    ("invitations", "hash"),
    ("api_tokens", "hash"),
    ("sessions", "hash"),
    ("sessions", "csrf"),
    ("join_tokens", "hash"),
    ("local_people", "salt"),
    ("local_people", "verifier"),
    ("second_factors", "secret"),
    ("second_factors", "codes"),
    ("upstreams", "vaulted"),
    ("notice_targets", "way"),
    ("notice_targets", "vaulted"),
    ("secrets", "vaulted"),
    ("level_secrets", "vaulted"),
    ("level_secrets", "vaulted"),
    ("sealed_secrets", "sealed"),
    ("settings", "value"),
}
SECRET_SETTINGS = {"setup-token"}
NO_SECRET = {
    ("enrolments", "token"): "the id of a join token",
    ("plans", "secrets"): "names and versions of secret parameters, not their values",
    ("devices", "seal_key"): "a public key",
    ("enrolments", "seal_key"): "a public key",
    ("releases", "digest"): "what the release is",
    ("log_entries", "digest"): "what the entry is",
    ("package_contents", "digest"): "what the file is",
    ("package_files", "digest"): "what the file is",
    ("mirrors", "digest"): "what the image is",
    ("templates", "digest"): "what the template is",
}


def operations() -> dict[tuple[str, str], Any]:
    """Every operation of the document, but the streams, by method and path."""
    document = json.loads(openapi.text())
    for path in STREAMS:
        del document["paths"][path]
    found: list[Any] = [one.ok() for one in schemathesis.openapi.from_dict(document).get_all_operations()]  # type: ignore[union-attr]
    return {(one.method.upper(), one.path): one for one in found}


def send(world: World, asker: Asker | None, case: Any) -> Got:
    """One case of the fuzzer as a request by `asker` (None: by nobody); its answer, checked against the document."""
    prepared = requests.Request(**case.as_transport_kwargs(base_url="https://plane")).prepare()
    headers = {key.lower(): value if isinstance(value, str) else value.decode("latin-1") for key, value in prepared.headers.items()}
    for name in ("cookie", "authorization", "x-penstock-csrf", "host"):
        headers.pop(name, None)
    if asker is not None:
        headers |= {"cookie": f"{auth.COOKIE}={asker.secret}", "x-penstock-csrf": auth.mask(asker.csrf)}
    body: Any = prepared.body or b""
    parts = urlsplit(str(prepared.url))
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    got = world.raw(str(prepared.method), target, headers, body if isinstance(body, bytes) else body.encode())
    answer = Response(got.status, {key: [value] for key, value in got.headers.items()}, got.text.encode(), prepared, 0.0, False, encoding="utf-8")
    case.validate_response(answer, checks=CHECKS)
    return got


def rows(plane: Plane) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row of every table, with the table's name."""
    for table in metadata.sorted_tables:
        for row in plane.db.view(lambda tx, table=table: [one._mapping for one in tx.run(select(table))]):  # type: ignore[misc]
            yield table.name, dict(row)


def kept_secrets(plane: Plane) -> set[str]:
    """Every secret the plane's rows hold."""
    found: set[str] = set()
    for table, row in rows(plane):
        for name, value in row.items():
            if (table, name) in SECRET_COLUMNS and (table != "settings" or row["key"] in SECRET_SETTINGS):
                found |= {str(one) for one in (value if isinstance(value, list) else (value,)) if len(str(one)) >= 12}
    return found


def of_half(plane: Plane, half: Half) -> set[str]:
    """The rows that tell of a half, as texts; without the record of acts, which may hold what somebody asked for in vain."""
    words = half.words()
    return {text for table, row in rows(plane) if table != "events" for text in [f"{table} {row!r}"] if any(word in text for word in words)}
