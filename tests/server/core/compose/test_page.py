"""docs/compose.md says what the reader does: its example is read, and its table names the keys that are taken, no more and no fewer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from penstock.server.core.compose import ComposeError, read
from penstock.server.core.compose.refused import SERVICE

PAGE = (Path(__file__).parents[4] / "docs" / "compose.md").read_text()


def test_the_example_is_read_and_states_the_defaults():
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    template = read("services: {web: {image: web, environment: {PASSWORD: '${DB_PASSWORD}', PORT: '${PORT}'}}}\nvolumes: {data: {}}\n" + example)
    plain = read("services: {web: {image: web}}").settings
    settings = template.settings
    assert (settings.soak_s, settings.deadline_s, settings.drift, settings.keep) == (plain.soak_s, plain.deadline_s, plain.drift, plain.keep)
    assert [probe["kind"] for probe in settings.probes["web"]] == ["http", "tcp", "command"]


def test_the_table_of_service_keys():
    (row,) = re.findall(r"^\| service \| (.*) \|$", PAGE, re.MULTILINE)
    named = {key.split(".")[0] for key in re.findall(r"`([a-z_.]+)(?:: 1)?`", re.sub(r"\(.*\)", "", row))}
    taken = set()
    for key in sorted(named | set(SERVICE)):
        try:
            read(f"services: {{web: {{image: web, {key}: [[]]}}}}" if key != "image" else "services: {web: {image: web}}")
        except ComposeError as refused:
            if not any("is not supported for a service" in fault.why or "is no key" in fault.why for fault in refused.faults):
                taken.add(key)
        else:
            taken.add(key)
    assert taken == named


def test_a_parameter_may_not_shape_the_app():
    for place in ("restart: '${A}'", "platform: 'linux/${A}'", "networks: ['${A}']", "depends_on: ['${A}']"):
        with pytest.raises(ComposeError, match="no parameter may stand here"):
            read(f"services: {{web: {{image: web, {place}}}}}")
