"""The version of the wire: one integer, one dated line for each step, and what the plane still serves.

Never holds rules about single messages; those stand beside the messages. See `docs/how-to/add-a-wire-field.md`.
"""

from __future__ import annotations

# 1  2026-11-21  first version: enrolment, sessions, desired state, authorisations, commands, device log, acknowledgements
WIRE = 1

# The plane serves its own version and the one before it, so that a fleet can be updated plane first and agents when
# their plants allow. Version 1 has no predecessor; the tests keep golden files for every number listed here.
SERVED: tuple[int, ...] = (1,)
