"""Measuring Penstock: every number that the design promises, by one command, with how it was measured beside it."""
