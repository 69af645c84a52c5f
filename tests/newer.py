"""Engines of a later Debian, unpacked into a folder. Owns nothing yet but the answer that they are not there."""

from __future__ import annotations


def why_not(kind: str) -> str:
    return f"no newer {kind} unpacked here"
