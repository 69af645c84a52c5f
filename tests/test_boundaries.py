"""The house rules that a machine can check: who may import whom, and what a pure room may not contain.

Owns the table of docs/architecture.md (design, section 4) in a form that fails. It reads syntax trees and imports nothing of the product, except
in one test that lets the oldest Python import the agent. A rule that is wrong is changed here, in the open, with its reason.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.needs import find_python, needs

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src"
MAX_LINES = 600

IO = "os io pathlib shutil tempfile glob fileinput fcntl mmap ctypes socket _socket ssl _ssl select selectors socketserver subprocess signal sqlite3"
IO += " http urllib.request asyncio threading multiprocessing concurrent queue sched getpass platform"
CLOCK = "time"
CHANCE = "random secrets"
IDS = "uuid"
LOGGING = "logging warnings"
# What a resident agent of 15 MB cannot afford; `typing` is allowed for type checkers only (under `if TYPE_CHECKING`).
HEAVY = "asyncio dataclasses logging argparse email http urllib.request concurrent multiprocessing inspect typing"

PURE_CALLS = frozenset({"open", "print", "input", "eval", "exec", "compile", "breakpoint", "__import__"})
# These ask the clock, or the host's time zone (fromtimestamp without one).
CLOCK_CALL = re.compile(r"\b(date|datetime)\.(now|utcnow|today|fromtimestamp)$")
SYS_ATTRIBUTES = frozenset({"stdin", "stdout", "stderr", "argv", "exit", "path", "modules"})


@dataclass(frozen=True)
class Room:
    """One row of the table. Modules are dotted prefixes; `inside` is relative to `penstock`."""

    inside: frozenset[str]
    outside: frozenset[str] = frozenset()
    banned: frozenset[str] = frozenset()
    pure: bool = False
    light: bool = False  # part of the resident agent: Python 3.9, standard library, nothing heavy
    anything: bool = False


def words(*texts: str) -> frozenset[str]:
    return frozenset(word for text in texts for word in text.split())


def room(inside: str = "", outside: str = "", *banned: str, pure: bool = False, light: bool = False) -> Room:
    return Room(words(inside), words(outside), words(*banned), pure, light)


PURE = (IO, CLOCK, CHANCE, IDS, LOGGING)
# HTTP frameworks, templates and the database, for the rooms that must not know them.
WEB = "litestar starlette uvicorn jinja2 httptools multipart"
SQL = "sqlalchemy alembic sqlite3 psycopg"

# The longest prefix wins. `penstock` itself (the version) may be imported by all.
ROOMS: dict[str, Room] = {
    "": room(),
    "wire": room("wire", "", *PURE, HEAVY, pure=True, light=True),
    "rules": room("rules wire", "", *PURE, HEAVY, pure=True, light=True),
    "crypto": room("crypto", "", HEAVY, light=True),
    "agent": room("agent wire rules crypto", "", HEAVY, light=True),
    # The public API's shapes, shared by the server, the pages and the client.
    "apiv1": room("apiv1", "msgspec", *PURE, pure=True),
    "transport": room("transport apiv1", "httpx msgspec", SQL),
    "client_access": room("client_access apiv1", "", SQL),
    "client_supply": room("client_supply client_access apiv1", "", SQL),
    "client": room("client client_access client_supply transport apiv1 wire", "httpx msgspec", SQL),
    "cli": room("cli client client_access client_supply apiv1 wire", "cyclopts rich msgspec", SQL),
    # yaml: the Compose reader parses text into values; a parser is a pure function.
    "server.core": room("server.core wire rules", "yaml", *PURE, WEB, SQL, pure=True),
    "server.store": room("server.store server.core wire crypto", "sqlalchemy alembic", WEB),
    # tzdata: the zones' data files and their version.
    "server.effects": room("server.effects server.core wire crypto", "cryptography msgspec structlog tzdata", WEB, SQL),
    "server.actions": room("server.actions server.core server.store server.effects rules wire", "", WEB, SQL),
    "server.reconcilers": room("server.reconcilers server.actions server.core", "structlog", WEB, SQL),
    "server.api": room("server.api server.web server.actions server.core apiv1 wire", "litestar msgspec structlog prometheus_client", SQL),
    "server.web": room("server.web server.api server.actions server.core apiv1 wire", "litestar msgspec jinja2 segno structlog", SQL),
    # The composition root and the command that starts it see every room of the server.
    "server": room("server wire rules crypto apiv1", "litestar msgspec uvicorn uvloop httptools structlog prometheus_client cryptography"),
    "sim": Room(words("sim agent rules wire crypto server.core server.actions server.store server.effects server.reconcilers")),
}

# module -> imports or calls it may have beyond its room, and why.
EXCEPTIONS: dict[str, frozenset[str]] = {
    # Builds classes the way dataclasses does, without its two megabytes.
    "penstock.wire.record": words("exec"),
    "penstock.wire.quick": words("exec"),
    # A backup key is made, and a sealed backup proven to be whole, where they lie: without asking any control plane.
    "penstock.cli.backups": words("penstock.crypto.CryptoError penstock.crypto.generate_key penstock.crypto.public_pem")
    | words("penstock.crypto.keys.public_key penstock.crypto.streaming.Whole"),
    # Annotations are text until somebody asks; the names in them are those of the record's own module.
    "penstock.wire.codec": words("sys.modules"),
}


@dataclass
class Found:
    """What one file does, as far as its syntax tells."""

    imports: list[tuple[int, str, bool]] = field(default_factory=list)  # line, dotted name, only for type checkers
    calls: list[tuple[int, str]] = field(default_factory=list)
    attributes: list[tuple[int, str]] = field(default_factory=list)


def module_name(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING")


def look(tree: ast.AST, package: str) -> Found:
    """Imports (absolute, relative, by importlib or __import__ with a literal) and calls that matter."""
    found = Found()

    def visit(node: ast.AST, typing_only: bool) -> None:
        if isinstance(node, ast.If) and is_type_checking(node.test):
            for statement in node.body:
                visit(statement, True)
            for statement in node.orelse:
                visit(statement, typing_only)
            return
        if isinstance(node, ast.Import):
            found.imports.extend((node.lineno, alias.name, typing_only) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            # `from penstock import agent` imports penstock.agent; `from x import name` at least x.
            found.imports.extend((node.lineno, f"{base}.{alias.name}" if base.startswith("penstock") else base, typing_only) for alias in node.names)
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            literal = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str) else ""
            if name in ("__import__", "importlib.import_module", "import_module") and literal:
                found.imports.append((node.lineno, literal, typing_only))
            if name not in ("datetime.fromtimestamp", "datetime.datetime.fromtimestamp") or len(node.args) + len(node.keywords) < 2:
                found.calls.append((node.lineno, name))
        elif isinstance(node, ast.Attribute):
            found.attributes.append((node.lineno, ast.unparse(node)))
        for child in ast.iter_child_nodes(node):
            visit(child, typing_only)

    visit(tree, False)
    return found


def under(name: str, prefixes: frozenset[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def room_of(module: str) -> tuple[str, Room]:
    """The row for a module; KeyError for a new room that has none."""
    inner = module.removeprefix("penstock").lstrip(".")
    best = max((name for name in ROOMS if name and (inner == name or inner.startswith(f"{name}."))), key=len, default=None)
    if best is None:
        if inner:
            raise KeyError(f"{module}: a new room needs a row in the table of tests/test_boundaries.py")
        best = ""
    return best, ROOMS[best]


def faults(module: str, source: str, *, is_package: bool = False) -> Iterator[str]:
    """What is wrong with one module, a line each."""
    name, row = room_of(module)
    allowed_here = EXCEPTIONS.get(module, frozenset())
    tree = ast.parse(source)
    found = look(tree, module if is_package else module.rpartition(".")[0])
    for line, imported, typing_only in found.imports:
        where = f"{module}:{line}"
        top = imported.split(".")[0]
        if imported in allowed_here or top in allowed_here:
            continue
        if top == "penstock":
            inner = imported.removeprefix("penstock").lstrip(".")
            if inner in ("", "__version__") or under(inner, row.inside):
                continue
            yield f"{where}: {name or 'penstock'} may not import {imported}"
        elif under(imported, row.banned):
            if not (typing_only and row.light):
                yield f"{where}: {name} may not import {imported}"
        elif top in sys.stdlib_module_names:
            continue
        elif not under(imported, row.outside) and not (typing_only and top == "typing_extensions"):
            yield f"{where}: {name or 'penstock'} may not import {imported} (third party)"
    if row.pure:
        for line, call in found.calls:
            if call in allowed_here:
                continue
            if call in PURE_CALLS or CLOCK_CALL.search(call):
                yield f"{module}:{line}: {name} is pure: no {call}()"
        for line, attribute in found.attributes:
            if attribute.startswith("sys.") and attribute.split(".")[1] in SYS_ATTRIBUTES and attribute not in allowed_here:
                yield f"{module}:{line}: {name} is pure: no {attribute}"


def modules() -> list[Path]:
    return sorted(path for path in (SRC / "penstock").rglob("*.py") if "migrations/versions" not in path.as_posix())


def test_every_room_keeps_to_its_row():
    wrong: list[str] = []
    for path in modules():
        wrong += faults(module_name(path), path.read_text(), is_package=path.name == "__init__.py")
    assert not wrong, "\n" + "\n".join(wrong)


def sources() -> list[Path]:
    folders = [SRC, ROOT / "tests", ROOT / "tools", ROOT / "bench", ROOT / "packaging"]
    return sorted(path for folder in folders if folder.exists() for path in folder.rglob("*.py"))


def test_no_file_is_too_long():
    long = [f"{path.relative_to(ROOT)}: {count} lines" for path in sources() if (count := len(path.read_text().splitlines())) > MAX_LINES]
    assert not long, f"none over {MAX_LINES}: " + ", ".join(long)


def test_every_file_says_what_it_owns():
    silent = [
        str(path.relative_to(ROOT))
        for path in sources()
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text())) and "golden" not in path.parts
    ]
    assert not silent, f"no module docstring: {', '.join(silent)}"


UNFINISHED = re.compile(r"#.*\b(" + "TO" + "DO|FIX" + "ME|XX" + r"X)\b")


def test_nothing_is_left_for_later():
    left = [
        f"{path.relative_to(ROOT)}:{number}" for path in sources() for number, line in enumerate(path.read_text().splitlines(), 1) if UNFINISHED.search(line)
    ]
    assert not left, ", ".join(left)


def light_modules() -> list[str]:
    return [module_name(path) for path in modules() if room_of(module_name(path))[1].light]


def test_agent_parses_as_python_39():
    for path in modules():
        if room_of(module_name(path))[1].light:
            tree = ast.parse(path.read_text(), str(path), feature_version=(3, 9))
            assert any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body) or not tree.body[1:], path


@needs("python3.9")
def test_agent_imports_on_the_oldest_python_with_nothing_installed():
    # `__main__` starts the agent; everything else must be importable bare (-I -S: no site-packages, no environment).
    names = [name for name in light_modules() if not name.endswith("__main__")]
    code = f"import sys; sys.path.insert(0, {str(SRC)!r}); sys.dont_write_bytecode = True\nimport importlib\n"
    code += f"for name in {names!r}: importlib.import_module(name)\n"
    done = subprocess.run([str(find_python("3.9")), "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


PLANTED = [
    ("penstock.wire.x", "import os", "may not import os"),
    ("penstock.wire.x", "from penstock.rules import plan", "may not import penstock.rules.plan"),
    ("penstock.wire.x", "import msgspec", "third party"),
    ("penstock.wire.x", "import dataclasses", "may not import dataclasses"),
    ("penstock.wire.x", "from typing import Any", "may not import typing"),
    ("penstock.wire.x", "def f():\n    import time", "may not import time"),
    ("penstock.wire.x", "import importlib\nimportlib.import_module('socket')", "may not import socket"),
    ("penstock.wire.x", "open('/etc/passwd')", "no open()"),
    ("penstock.wire.record", "open('/etc/passwd')", "no open()"),
    ("penstock.rules.x", "import random", "may not import random"),
    ("penstock.rules.x", "import uuid", "may not import uuid"),
    ("penstock.rules.x", "import logging", "may not import logging"),
    ("penstock.rules.x", "import datetime\ndatetime.datetime.now()", "no datetime.datetime.now()"),
    ("penstock.rules.x", "import datetime\ndatetime.datetime.fromtimestamp(0)", "no datetime.datetime.fromtimestamp()"),
    ("penstock.rules.x", "import sys\nsys.stderr.write('x')", "no sys.stderr"),
    ("penstock.rules.x", "from ..agent import brain", "may not import penstock.agent.brain"),
    ("penstock.crypto.x", "from penstock.wire import types", "may not import penstock.wire.types"),
    ("penstock.crypto.x", "import cryptography", "third party"),
    ("penstock.agent.x", "import asyncio", "may not import asyncio"),
    ("penstock.agent.x", "import http.client", "may not import http.client"),
    ("penstock.agent.x", "from penstock.server.core import model", "may not import penstock.server.core.model"),
    ("penstock.agent.x", "from penstock import server", "may not import penstock.server"),
    ("penstock.agent.x", "import requests", "third party"),
    ("penstock.agent.x", "from typing_extensions import Self", "third party"),
    ("penstock.server.core.x", "from penstock.server.store import db", "may not import penstock.server.store.db"),
    ("penstock.server.core.x", "import sqlalchemy", "may not import sqlalchemy"),
    ("penstock.server.store.x", "from penstock.server.actions import fleet", "may not import penstock.server.actions.fleet"),
    ("penstock.server.actions.x", "from litestar import get", "may not import litestar"),
    ("penstock.server.actions.x", "import sqlalchemy.orm", "may not import sqlalchemy.orm"),
    ("penstock.server.reconcilers.x", "from penstock.server.store import db", "may not import penstock.server.store.db"),
    ("penstock.server.api.x", "from penstock.server.store import db", "may not import penstock.server.store.db"),
    ("penstock.server.web.x", "from sqlalchemy import select", "may not import sqlalchemy"),
    ("penstock.cli.x", "from penstock.server import app", "may not import penstock.server.app"),
    ("penstock.cli.x", "import penstock.agent.cli", "may not import penstock.agent.cli"),
    ("penstock.server.app", "from penstock.sim import fleet", "may not import penstock.sim.fleet"),
    ("penstock.sim.x", "from penstock.server.api import agent", "may not import penstock.server.api.agent"),
]


@pytest.mark.parametrize(("module", "source", "said"), PLANTED, ids=[f"{module}: {source.splitlines()[-1]}" for module, source, _ in PLANTED])
def test_a_planted_fault_is_seen(module: str, source: str, said: str):
    assert any(said in fault for fault in faults(module, source)), list(faults(module, source))


CLEAN = [
    ("penstock.wire.x", "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from typing import Any\n    from typing_extensions import Self"),
    ("penstock.wire.record", "exec('x = 1', {})"),
    ("penstock.wire.quick", "exec('x = 1', {})"),
    (
        "penstock.rules.x",
        "from penstock.wire.types import Blob\nimport datetime\nx = datetime.date(2026, 1, 2)\nx.today\ndatetime.datetime.fromtimestamp(0, datetime.timezone.utc)",
    ),
    ("penstock.agent.x", "from . import brain\nimport os, time, socket\nfrom penstock import __version__, crypto"),
    ("penstock.server.app", "from penstock.server.store import db\nimport uvicorn"),
    ("penstock.server.api.x", "from penstock.server.actions import fleet\nimport litestar"),
]


@pytest.mark.parametrize(("module", "source"), CLEAN, ids=[module for module, _ in CLEAN])
def test_what_is_allowed_is_not_blamed(module: str, source: str):
    assert list(faults(module, source)) == []


def test_a_room_without_a_row_is_a_fault():
    with pytest.raises(KeyError, match="needs a row"):
        list(faults("penstock.attic.x", "import os"))
