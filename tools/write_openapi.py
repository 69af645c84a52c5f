"""Writes docs/openapi.json from the table of routes. A test compares the two, so that the checked-in document is always the served one."""

from __future__ import annotations

from pathlib import Path

from penstock.server.api import openapi

TARGET = Path(__file__).parents[1] / "docs" / "openapi.json"

if __name__ == "__main__":
    TARGET.write_bytes(openapi.text())
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")
