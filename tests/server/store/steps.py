"""A database as an older program left it.

Owns bringing an empty database to one step of the history; what stands in it then is the test's.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

from penstock.server.store.db import Db
from penstock.server.store.migrate import FOLDER


def moved(db: Db, step: str, *, down: bool = False) -> Db:
    """The database, brought to a step, or back down to it."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    with db.engine.connect() as connection:
        config.attributes["connection"] = connection
        (command.downgrade if down else command.upgrade)(config, step)
    return db


def at_step(path: Path, step: str) -> Db:
    """A new database in the file at `path`, as the program that knew `step` last would have made it."""
    return moved(Db(f"sqlite:///{path}"), step)
