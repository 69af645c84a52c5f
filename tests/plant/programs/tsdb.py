"""A small time-series database: hears the broker, keeps values in SQLite. Version 2 adds a column, which version 1 cannot read."""

import sqlite3
import threading
import time

import small

lock = threading.Lock()
db = sqlite3.connect("/data/values.db", check_same_thread=False)
db.execute("CREATE TABLE IF NOT EXISTS value (at REAL, topic TEXT, value TEXT)")
columns = [row[1] for row in db.execute("PRAGMA table_info(value)")]
if small.VERSION.startswith("tsdb-2") and "quality" not in columns:
    db.execute("ALTER TABLE value ADD COLUMN quality TEXT NOT NULL DEFAULT 'good'")
elif small.VERSION.startswith("tsdb-1") and "quality" in columns:
    raise SystemExit("the data were written by a newer version")
db.commit()


def take(topic, value):
    with lock:
        db.execute("INSERT INTO value (at, topic, value) VALUES (?, ?, ?)", (time.time(), topic, str(value)))
        db.commit()


def last(_):
    with lock:
        rows = db.execute("SELECT topic, value FROM value GROUP BY topic HAVING at = MAX(at)").fetchall()
        count = db.execute("SELECT COUNT(*) FROM value").fetchone()[0]
        shape = [row[1] for row in db.execute("PRAGMA table_info(value)")]
    return {"last": dict(rows), "count": count, "columns": shape}


small.beside(lambda: small.hear(small.setting("BROKER", "broker:1883"), small.setting("TOPIC", "line/"), take))
small.serve({("GET", "/last"): last})
