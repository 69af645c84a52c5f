"""Mirrors src/penstock/rules."""
