"""The time zones that a form offers: those named after places.

Owns that list only; any zone the system knows may be typed.
"""

from __future__ import annotations

from zoneinfo import available_timezones

ZONES = tuple(sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "posix/", "right/", "SystemV/"))))
