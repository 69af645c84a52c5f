"""The version of the wire: one integer, one dated line for each step, and what the plane still serves.

Never holds rules about single messages; those stand beside the messages. See `docs/how-to/add-a-wire-field.md`.
"""

from __future__ import annotations

# 1  2026-11-21  first version: enrolment, sessions, desired state, authorisations, commands, device log, acknowledgements
# 2  2026-11-22  in the desired state only: what services may ask for beyond the everyday (`options`, `files`), networks with addresses of their own
READS = 2  # the newest this program understands; it refuses what bears a higher number

# What messages are written in. A message bears the lowest number whose words it uses, so that a plane that is ahead strands no agent, and an agent that
# is behind refuses what it would understand by half. The one message with newer words is the desired state (`types.wire_needed`).
WIRE = 1

# The plane serves its own version and the one before it, so that a fleet can be updated plane first and agents when
# their plants allow. The tests keep golden files for every number listed here.
SERVED: tuple[int, ...] = (1, 2)
