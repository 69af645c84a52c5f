"""How long a session lasts, and what a browser calls itself in words.

Owns both rules; the two spans are settings of the plane. Never asks the time.
"""

from __future__ import annotations

import re

from penstock.server.core.model import Session

IDLE_S, LEAST_IDLE_S, MOST_IDLE_S = 12 * 3600, 300, 7 * 86_400
TOTAL_S, LEAST_TOTAL_S, MOST_TOTAL_S = 7 * 86_400, 3600, 90 * 86_400

# The first that is found counts: Edge says it is Chrome too, Chrome that it is Safari.
_PROGRAMS = (
    (r"\bEdgA?/", "Edge"),
    (r"\bOPR/", "Opera"),
    (r"\bFirefox/|\bFxiOS/", "Firefox"),
    (r"\bHeadlessChrome/|\bChrome/|\bChromium/|\bCriOS/", "Chrome"),
    (r"\bVersion/[\d.]+ .*Safari/", "Safari"),
    (r"^curl/", "curl"),
    (r"^penstock", "penstock"),
)
_SYSTEMS = (
    (r"iPhone|iPad", "iOS"),
    (r"Android", "Android"),
    (r"Windows", "Windows"),
    (r"Macintosh", "macOS"),
    (r"CrOS", "ChromeOS"),
    (r"Linux|X11", "Linux"),
)


def ends_ms(session: Session, idle_s: int, total_s: int) -> int:
    """When a session ends if nobody uses it any more: idle, too old by the plane's settings, or at the end it was made with."""
    return min(session.expires_ms, session.created_ms + total_s * 1000, session.seen_ms + idle_s * 1000)


def agent_words(agent: str) -> str:
    """A User-Agent as people would say it, such as "Firefox on Linux"; its first word where it is none of the common ones, empty for none."""
    program = next((word for pattern, word in _PROGRAMS if re.search(pattern, agent)), "")
    system = next((word for pattern, word in _SYSTEMS if re.search(pattern, agent)), "")
    if program and system:
        return f"{program} on {system}"
    first = re.split(r"[/\s]", agent.strip(), maxsplit=1)[0]
    return program or "".join(one for one in first if one.isprintable())[:40]
