"""Mirrors src/penstock/agent/runtimes."""
