"""Staying with something: shown again whenever the control plane says that it changed.

Owns the listening (a stream of changes, in a thread of its own) and the showing (one live picture on a terminal, a new text at each change
elsewhere, one line of JSON at each change for programs). What is shown is always asked for anew; the stream only says when.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from penstock.cli import out
from penstock.client import ClientError, Switch

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.live import Live
    from typing_extensions import Self

    from penstock.client import Client

Watch = Annotated[bool, Parameter(name=("--watch", "-w"), negative=(), help="Stay and show changes as they happen, until stopped.")]

REFRESH_S = 30.0  # ages ("2 min ago") go on without news
POLL_S = 5.0  # where there is no stream
SETTLE_S = 0.3  # what changes together is shown together


class News:
    """Hears of changes under `topics` while `with` lasts. `heard()` is whether there were some within the time given."""

    def __init__(self, client: Client, *topics: str) -> None:
        self._client, self._topics = client, topics
        self._some = threading.Event()
        self._deaf = threading.Event()
        self._switch = Switch()
        self._thread = threading.Thread(target=self._listen, daemon=True, name="news")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._switch.off()
        self._thread.join(2.0)

    def _listen(self) -> None:
        try:
            for _ in self._client.changes(self._topics, self._switch):
                self._some.set()
        except ClientError:  # not for this asker: then it is asked again and again
            self._deaf.set()

    def heard(self, seconds: float) -> bool:
        """Wait for news, at most `seconds`; less where there is no stream. True when there is reason to look again."""
        found = self._some.wait(min(seconds, POLL_S) if self._deaf.is_set() else seconds)
        if found:
            time.sleep(SETTLE_S)
        self._some.clear()
        return found or self._deaf.is_set()


def shown(client: Client, topics: tuple[str, ...], get: Callable[[], Any], show: Callable[[Any], None], *, watch: bool, json: bool) -> Any:
    """Get something and show it, once or at every change. The newest that was got, when the watching is stopped by Ctrl-C."""
    found = get()
    if not watch:
        if json:
            out.show_json(found)
        else:
            show(found)
        return found
    with News(client, *topics) as news, Picture(json=json) as picture:
        try:
            while True:
                picture.put(found, show)
                news.heard(REFRESH_S)
                found = get()
        except KeyboardInterrupt:
            return found


class Picture:
    """What is shown while it changes."""

    def __init__(self, *, json: bool) -> None:
        self._json, self._last = json, ""
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if out.console.is_terminal and not self._json:
            from rich.live import Live

            # a console of its own: what is captured for the picture must not be drawn beside it
            self._live = Live(console=Console(highlight=False), auto_refresh=False, transient=False)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def live(self) -> bool:
        """Whether it is drawn over, on a terminal."""
        return self._live is not None

    def put(self, found: Any, show: Callable[[Any], None]) -> None:
        """The newest; nothing where it is what stands there already."""
        if self._json:
            text = msgspec.json.encode(found).decode() + "\n"
        else:
            with out.console.capture() as captured:
                show(found)
            text = captured.get()
        if text == self._last:
            return
        if self._live is not None:
            self._live.update(Text.from_ansi(text), refresh=True)
        else:
            sys.stdout.write(text if self._json or not self._last else f"\n{text}")
            sys.stdout.flush()
        self._last = text
