"""/api/v1 fuzzed from its own document, signed in: no 500, no status, media type or shape that the document does not name."""

from __future__ import annotations

import json
import re

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import booleans
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from penstock.apiv1 import apps as a
from penstock.apiv1 import devices as d
from penstock.apiv1 import groups as g
from penstock.server.api import openapi
from tests.front.served import ScriptedDevice
from tests.needs import IN_CI

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 25 if IN_CI else 6
SECRET = re.compile(rb"pst_[A-Za-z0-9_-]{20,}|PRIVATE KEY|fuzz-secret-value")
MAY_SAY_A_SECRET = {
    ("POST", "/api/v1/tokens"),
    ("POST", "/api/v1/login"),
    ("POST", "/api/v1/setup"),
    ("POST", "/api/v1/sites/{site}/join-tokens"),
    ("POST", "/api/v1/users/{user}/tokens"),
}

# Real names among the random ones, so that the fuzzing reaches behind "no such thing".
NAMES = {
    "site": "fuzz",
    "device": "press-01",
    "app": "press-monitor",
    "release": "press-monitor:1.0.0",
    "deployment": "DEPLOYMENT",
    "rollout": "ROLLOUT",
    "group": "fuzz",
}


@pytest.fixture(scope="module")
def furnished(served):
    """A plane with one of everything."""
    served.images("1.0.0")
    with served.client() as client:
        client.create_site("fuzz")
        client.create_group(g.GroupCreate(name="fuzz", selector="line=3"))
        line = client.create_join("fuzz", d.JoinTokenCreate(auto_approve=True, uses=5)).line
        with ScriptedDevice(served, line, "press-01") as device:
            assert device.enrol() == "approved"
            device.start()
            client.publish(a.Publish(app="press-monitor", version="1.0.0", compose=served.compose("1.0.0")))
            made = client.deploy(a.DeploymentCreate(release="press-monitor:1.0.0", target=a.Target(devices=("press-01",)), values={"LINE_NAME": "x"}))
            device.poll()
            device.observe("applying", "step 1 of 3")
        rollout = client.deployment(made.id).rollout
        assert rollout
        NAMES["deployment"], NAMES["rollout"] = made.id, rollout.id
    return served


def operations():
    """Every operation of the document, but the streams that do not end (see test_api)."""
    document = json.loads(openapi.text())
    for stream in ("events", "changes"):
        del document["paths"][f"/api/v1/{stream}"]
    return [found.ok() for found in schemathesis.openapi.from_dict(document).get_all_operations()]  # type: ignore[union-attr]


@pytest.mark.slow
@pytest.mark.parametrize("mode", [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE], ids=["as-described", "otherwise"])
@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.label)
def test_no_surprise(operation, mode, furnished, tmp_path_factory):
    ca = tmp_path_factory.getbasetemp() / "fuzz-ca.pem"
    ca.write_text(furnished.ca)
    whose = {"Authorization": f"Bearer {furnished.token}"}

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(generation_mode=mode), real=booleans())
    def probe(case, real):
        if real and case.path_parameters:
            case.path_parameters = {key: NAMES.get(key, value) for key, value in case.path_parameters.items()}
        answer = case.call(base_url=furnished.url, headers=whose, verify=str(ca))
        case.validate_response(answer, checks=CHECKS)
        if (case.method, operation.path) not in MAY_SAY_A_SECRET:
            assert not SECRET.search(answer.content), "an answer holds a secret"

    try:
        probe()
    except Unsatisfiable:
        assert mode is schemathesis.GenerationMode.NEGATIVE, "nothing as described can be made"
