"""Bringing a database to this program's schema.

Owns when migrations run: at start, on a database that is older; a newer one is refused. The steps stand in `migrations/versions`, one history
for all databases. Alembic costs 0.3 s and tens of megabytes, so it is imported only when there is something to do.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect, text

from penstock.server.store.db import Db

HEAD = "0014"
"""The newest step; a test holds it to the files."""

FOLDER = Path(__file__).parent / "migrations"


class Newer(RuntimeError):
    """The database was written by a newer program."""


def version_of(db: Db) -> str:
    """The step a database is at; empty for a new one."""
    with db.engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return ""
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")


def upgrade(db: Db) -> bool:
    """Run what is missing; whether anything was. Raises Newer."""
    at = version_of(db)
    if at == HEAD:
        return False
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if at and at not in known:
        raise Newer(f"the database is at step {at}, which this version does not know; start the newer version that wrote it, or restore a backup")
    with db.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return True
