"""`penstock-server`: make, run, back up and restore a control plane.

Owns the command line and the web server's settings. What each command does is in `commandline` and `app`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from penstock import __version__
from penstock.server import connections
from penstock.server import settings as server_settings


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="penstock-server", description="The Penstock control plane.")
    top.add_argument("--version", action="version", version=f"penstock {__version__}")
    commands = top.add_subparsers(dest="command", required=True)

    def command(name: str, words: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=words, description=words)
        made.add_argument("--config", type=Path, default=None, help=f"settings file (default: {server_settings.DEFAULT_FILE}, if it exists)")
        made.add_argument("--data", default=None, help="data folder (default: /var/lib/penstock)")
        made.add_argument("--address", action="append", default=[], dest="addresses", metavar="URL", help="https address devices reach it by; repeatable")
        made.add_argument("--listen", default=None, help="ADDRESS:PORT to listen on (default: 0.0.0.0:8443)")
        return made

    made = command("init", "make a control plane: data folder, keys, root document, set-up token")
    made.add_argument("--root-key", type=Path, required=True, help="where to write the root key: outside the data folder, best on another medium")
    command("run", "serve")
    command("token", "print a new one-time set-up token")
    made = command("service-token", "print an API token for a program of this machine, under a service account")
    made.add_argument("--name", required=True, help="the service account; it is made if it is not there")
    made.add_argument("--days", type=int, default=90, help="how long the token is good (default: 90)")
    made = command("break-glass", "the sealed account for emergencies")
    made.add_argument("act", choices=("seal",), help="seal: make the account, or give it another passphrase, and print that once")
    made = command("authority", "print the certificates that clients trust this plane by (PEM), or change the plane's own authority")
    step = made.add_mutually_exclusive_group()
    step.add_argument("--prepare", action="store_true", help="make the next authority; once the plane is started again, devices learn to trust it too")
    step.add_argument("--switch", action="store_true", help="let the prepared authority sign, from the plane's next start on")
    made = command("backup", "write a backup; the plane may be running")
    made.add_argument("target", type=Path, help="the file to write")
    made.add_argument("--key", type=Path, default=None, help="the public half of a backup key (see `penstock backup key`): what is written is sealed for it")
    made.add_argument("--images", action="store_true", help="with the image registry, which may be large")
    made = command("restore", "restore a backup into an empty data folder, in a new epoch")
    made.add_argument("archive", type=Path, help="the backup")
    made.add_argument("--root-key", type=Path, required=True, help="the root key that init wrote")
    made.add_argument("--backup-key", type=Path, default=None, help="the private half of the backup key, for a sealed backup")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status."""
    given = parser().parse_args(arguments)
    try:
        found = server_settings.read(given.config, given={"data": given.data, "addresses": tuple(given.addresses), "listen": given.listen})
        return _run(given, found)
    except KeyboardInterrupt:
        return 130
    except Exception as fault:
        if type(fault).__module__.startswith("penstock.") or isinstance(fault, OSError):
            sys.stderr.write(f"penstock-server: {getattr(fault, 'why', None) or fault}\n")
            return 1
        raise


def _run(given: argparse.Namespace, found: server_settings.Settings) -> int:
    if given.command == "run":
        return serve(found)
    from penstock.server import commandline

    if given.command == "init":
        token = commandline.init(found, given.root_key)
        address = found.addresses[0] if found.addresses else "https://ADDRESS"
        _say(f"A control plane was made in {found.data}.")
        _say(f"Its root key is {given.root_key}: it is needed to restore a backup or change keys. Keep it away from this machine.")
        _say(f"Start it: penstock-server run --data {found.data}")
        _say(f"Then open {address}/setup and enter the one-time set-up token:")
        _say(token)
    elif given.command == "token":
        _say(commandline.setup_token(found))
    elif given.command == "break-glass":
        secret = commandline.seal_break_glass(found)
        _say("Account break-glass is sealed. Its passphrase is shown this once: write or print it, put it into an envelope, seal that, and lock it away.")
        _say("Signing in with it needs a reason, lasts an hour, and is shown to everybody until an administrator has taken note and it is sealed anew.")
        _say(secret)
    elif given.command == "authority":
        act = commandline.authority_prepare if given.prepare else commandline.authority_switch if given.switch else commandline.authority
        _say(act(found))
    elif given.command == "service-token":
        _say(commandline.service_token(found, given.name, given.days))
    elif given.command == "backup":
        size = commandline.backup(found, given.target, key=given.key, images=given.images)
        kept = "It is sealed: only the private half of the backup key opens it." if given.key else "It holds private keys: keep it as safe as the plane itself."
        _say(f"{given.target}: {size} bytes. {kept}")
    elif given.command == "restore":
        for line in commandline.restored(found, given.archive, given.root_key, given.backup_key):
            _say(line)
        _say(f"Start it: penstock-server run --data {found.data}")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Server(uvicorn.Server):
    """uvicorn's server, which says when it was told to stop: without that, long polls and live streams would hold it up."""

    def __init__(self, leaving: Callable[[], None], config: uvicorn.Config) -> None:
        super().__init__(config)
        self._leaving = leaving

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """A signal to stop; a second Ctrl-C stops at once. (uvicorn would raise the signal again at the end, and the exit would look like a crash.)"""
        self._leaving()
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if counter % (10 * connections.LOOK_S) == 0:
            now = asyncio.get_running_loop().time()
            for one in list(self.server_state.connections):
                if isinstance(one, connections.Connection):
                    one.look(now)
        return await super().on_tick(counter)


def serve(found: server_settings.Settings) -> int:
    """Serve until told to stop (SIGTERM, SIGINT), then finish what is under way."""
    from penstock.server.app import build_asgi, log, open_plane
    from penstock.server.front import build_front
    from penstock.server.logs import set_up

    set_up(found.log)
    running = open_plane(found)
    try:
        _can_listen(found)
    except OSError:
        running.close()
        raise
    for note in running.notes:
        log.warning(note)
    # What stands now stays until the end: no collection need look at it again. And requests make little that only a collection frees.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    server = Server(running.leave, web_config(found, build_asgi(running, build_front(running.plane)), running.tls))
    server.run()
    return 0 if server.started else 1


def _can_listen(found: server_settings.Settings) -> None:
    """Raises OSError, in words, where nothing can listen at that address: the web server would say it to the log of a plane that is up."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(found.host, found.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind, proto) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as fault:
        raise OSError(f"nothing can listen on {found.listen}: {fault.strerror}; stop what is there, or choose another with --listen") from None


def web_config(found: server_settings.Settings, app: Any, tls: ssl.SSLContext | None) -> uvicorn.Config:
    """uvicorn's settings: kept-alive connections outlive the longest poll, bodies are limited by each API itself."""

    def context(_config: Any, _default: Any) -> ssl.SSLContext:
        assert tls is not None
        return tls

    return uvicorn.Config(
        app,
        host=found.host,
        port=found.port,
        loop="uvloop",
        http=connections.Connection,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=not found.tls,
        timeout_keep_alive=330,
        timeout_graceful_shutdown=5,
        backlog=4096,
        limit_concurrency=None,
        ssl_context_factory=context if tls is not None else None,
    )


if __name__ == "__main__":
    sys.exit(main())
