"""Keeps log lines that others write into a shared folder, and tells how many; rotates them at a size."""

import os

import small

LIMIT = int(small.setting("ROTATE_BYTES", "1000"))
kept = {"lines": 0, "rotated": 0}


def work():
    if os.path.exists("/logs/app.log"):
        with open("/logs/app.log") as file:
            kept["lines"] = len(file.readlines())
        if os.path.getsize("/logs/app.log") > LIMIT:
            os.replace("/logs/app.log", "/logs/app.log.1")
            kept["rotated"] += 1


small.beside(lambda: small.often(0.3, work))
small.serve({("GET", "/kept"): lambda _: kept}, healthy=lambda: os.path.isdir("/logs"))
