"""Lists what the pages can say, and what of it has no words in another language yet: `python -m tools.phrases de`.

Owns the rule of what counts as a sentence. In templates: what `web/translate.py` finds. In Python: text literals and f-strings of the rooms in SAID that
read like words (two words side by side; in the tables of words, one word that begins with a capital); dotted names of what happened, as notes and the devices' logs have them. An f-string's expressions
are holes; where one chooses between literals, each choice is a sentence of its own. Not counted: docstrings, keys, what is compared or sought, what goes to the log,
`__repr__`, errors of the programmer (a bare ValueError and its kin), and the files and texts named in SILENT and NOT_SAID, each with its reason. Prints a JSON skeleton
on standard output and where each stands on standard error; `python -m tools.phrases de --fill FILE` takes the filled skeleton into the language's file,
sorted, and drops what nobody says any more.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment

from penstock.server.web.phrases import Catalogue, flat, sayable
from penstock.server.web.translate import Walk

SRC = Path(__file__).parents[1] / "src" / "penstock"
WEB = SRC / "server" / "web"
SAID = ("rules", "agent", "apiv1/archives.py", "server/core", "server/actions", "server/api", "server/web", "wire")
# Files that speak to somebody else, by how their path begins.
SILENT = {
    "agent/cli.py": "the device's own command line",
    "agent/shown.py": "the device's own command line",
    "agent/arguments.py": "the device's own command line",
    "agent/telling.py": "the device's own command line",
    "agent/control.py": "the device's own command line",
    "agent/__main__.py": "the device's own command line",
    "agent/enrol.py": "the device's own command line, before it belongs to a fleet",
    "agent/resident.py": "the device's own log",
    "agent/places.py": "the device's own log, when the agent starts",
    "agent/blobregistry.py": "HTTP to the engine",
    "agent/runtimes/fake": "stands in for an engine in tests",
    "agent/runtimes/tarwatch.py": "a fault inside an archive; its caller says what was read",
    "agent/http1.py": "the wire; its callers say who was asked for what",
    "agent/tokens.py": "bytes that are signed",
    "server/api/openapi.py": "the API's document is English",
    "server/api/routes.py": "the API's document is English",
    "server/api/queries.py": "the API's document is English",
    "server/api/agent.py": "answers to agents",
    "server/api/registry": "answers to engines and registry clients",
    "server/api/blobs.py": "answers to agents",
    "server/actions/devicesessions.py": "answers to agents",
    "server/core/noticetexts.py": "mails and webhooks are English",
    "server/web/routes.py": "the documentation of the pages",
    "server/web/markdown.py": "HTML around a vendor's own words",
    "wire/": "see WIRE",
}
# Of the contract what a name may be is shown to people, and why a signed thing was refused.
WIRE = ("wire/types.py", "wire/trust.py")
# Tables of words: a single word counts.
WORDS = ("server/core/faultkinds.py", "server/api/words.py", "server/web/render.py", "server/web/fleet.py")
NOT_SAID = (
    re.compile(r"[A-Z][a-z]+(-[A-Z][a-z]+)+: "),  # a header of HTTP
    re.compile(r"(Bearer|Basic) "),
    re.compile(r"penstock (vault|recovery)"),  # what a key is bound to
    re.compile(r".*\n"),  # several lines are a file or a protocol
    re.compile(r"(text|public|default)[-/, ]|Accept-"),  # media types, caching, the content security policy
    re.compile(r"(sign-in|set-up|password) (name|address|token)? ?\{"),  # keys of what is counted
)
_PROGRAMMER = frozenset(("ValueError", "TypeError", "RuntimeError", "AssertionError", "NotImplementedError", "KeyError", "SystemExit", "LookupError"))
_DEAF = frozenset(("startswith", "endswith", "split", "partition", "removeprefix", "compile", "encode", "execute", "getattr", "debug", "warning", "exception"))
_SENTENCE = re.compile(r"[^\W\d_]{2,}[,;:')]*[ ]+(\{|[^\W\d_(\"'`])|\}[,;:)]* [^\W\d_]{2,}|[^\W\d_]{2,}[,;:]? \{")
_WORD = re.compile(r"[A-Z][a-z]+\Z")
_VERB = re.compile(r"[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*\Z")
_NOTES = frozenset(("note", "_note", "_noted", "_told", "line", "Event", "event"))  # who writes down what happened, under a dotted name
_HOLE = "\0"


def template_phrases() -> dict[str, str]:
    """Every phrase of the templates, and the first template that says it."""
    env = Environment(trim_blocks=True, lstrip_blocks=True)  # parsed, never rendered
    found: dict[str, str] = {}
    for path in sorted((WEB / "templates").glob("*.html")):
        heard: list[str] = []
        Walk(lambda phrase, heard=heard: heard.append(phrase)).template(env.parse(path.read_text("utf-8")))  # type: ignore[misc]
        for phrase in heard:
            found.setdefault(phrase, path.name)
    return found


def sentences() -> dict[str, str]:
    """Every sentence of Python that can reach a person on a page, with numbered holes, and where it stands."""
    found: dict[str, str] = {}
    for room in SAID:
        for path in [SRC / room] if room.endswith(".py") else sorted((SRC / room).rglob("*.py")):
            place = path.relative_to(SRC).as_posix()
            if place not in WIRE and place.startswith(tuple(SILENT)):
                continue
            for text, line in of_source(path.read_text("utf-8"), words=place in WORDS):
                found.setdefault(text, f"{place}:{line}")
    return found


def of_source(source: str, *, words: bool = False) -> Iterator[tuple[str, int]]:
    """The sentences of one file and their lines. `words`: a single capitalised word counts too."""
    tree = ast.parse(source)
    yield from _happenings(tree)
    for node in _literals(tree):
        for text in _choices(node):
            if _SENTENCE.search(text.replace(_HOLE, "{}")) or (words and _WORD.match(text)):
                if any(one.match(text.replace(_HOLE, "{")) for one in NOT_SAID):
                    continue
                numbered = _numbered(text)
                if sayable(numbered):
                    yield numbered, node.lineno


def _happenings(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """The dotted names under which something is written down: arguments of a note, what is assigned to `verb`, alone or first of several, and what is returned
    first of several."""
    for node in ast.walk(tree):
        within: list[ast.expr] = []
        if isinstance(node, ast.Call) and (node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")) in _NOTES:
            within = list(node.args)
        elif (isinstance(node, ast.Assign) and getattr(_first(node.targets[0]), "id", "") == "verb") or (
            isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple)
        ):
            within = [node.value] if node.value is not None else []
        for one in within:
            for part in map(_first, (one, *((one.body, one.orelse) if isinstance(one, ast.IfExp) else ()))):
                if isinstance(part, ast.Constant) and isinstance(part.value, str) and _VERB.match(part.value):
                    yield part.value, part.lineno


def _first(node: ast.expr) -> ast.expr:
    """The first of several, or what stands alone."""
    return node.elts[0] if isinstance(node, ast.Tuple) and node.elts else node


def _numbered(text: str) -> str:
    """Holes by number; two side by side are one."""
    pieces = re.split(f"{_HOLE}+", flat(text))
    return pieces[0] + "".join(f"{{{number}}}{piece}" for number, piece in enumerate(pieces[1:], 1))


def _literals(node: ast.AST, rows: int = 0) -> Iterator[ast.expr]:
    """The literals that may be said, the outermost of each. `rows`: how many tuples it stands in."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    if isinstance(node, ast.FunctionDef) and node.name == "__repr__":
        return
    rows = rows + 1 if isinstance(node, ast.Tuple) else 0
    if rows > 2 and isinstance(node, ast.Tuple) and all(isinstance(one, ast.Constant) for one in node.elts):
        return  # a column of a table: texts that are sought in what another program says
    if isinstance(node, (ast.Constant, ast.JoinedStr)) or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and _is_text(node)):
        yield node
        if isinstance(node, ast.JoinedStr):
            for part in node.values:
                if isinstance(part, ast.FormattedValue) and not isinstance(part.value, ast.IfExp):
                    yield from _literals(part.value)
        return
    if isinstance(node, ast.Compare):
        return
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name) and node.exc.func.id in _PROGRAMMER:
        return
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
        if name in _DEAF or (isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) and node.func.value.id == "log"):
            return
    for name, value in ast.iter_fields(node):
        if (
            name in ("annotation", "returns", "type_params")
            or (isinstance(node, ast.Dict) and name == "keys")
            or (isinstance(node, ast.Subscript) and name == "slice")
        ):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _literals(child, rows)


def _is_text(node: ast.expr) -> bool:
    """Whether an addition is one of texts."""
    if isinstance(node, ast.BinOp):
        return _is_text(node.left) or _is_text(node.right)
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _choices(node: ast.expr) -> list[str]:
    """What an expression can say, a hole for each part that is not written here."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else [_HOLE]
    if isinstance(node, ast.JoinedStr):
        said = [""]
        for part in node.values:
            more = _choices(part.value if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.IfExp) else part)
            said = [one + other for one in said for other in more]
        return said
    if isinstance(node, ast.IfExp):
        return [*_choices(node.body), *_choices(node.orelse)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [one + other for one in _choices(node.left) for other in _choices(node.right)]
    return [_HOLE]


def listed() -> dict[str, str]:
    """Everything that needs words in each language, and where it is said."""
    return sentences() | template_phrases()


def catalogue(language: str) -> dict[str, dict[str, str]]:
    """A language's file: `phrases` (what is listed) and `composed` (patterns for what code puts together of parts, kept by hand)."""
    return json.loads((WEB / "lang" / f"{language}.json").read_text("utf-8"))  # type: ignore[no-any-return]


def missing(language: str) -> dict[str, str]:
    """What has no words in a language yet, and where it is said."""
    held = catalogue(language)
    return {phrase: place for phrase, place in listed().items() if phrase not in held["phrases"] and phrase not in held["composed"]}


def unused(language: str) -> list[str]:
    """What a language has words for and nobody says any more."""
    wanted = listed()
    return [phrase for phrase in catalogue(language)["phrases"] if phrase not in wanted]


def fill(language: str, given: dict[str, str]) -> None:
    """Take words into a language's file and drop what nobody says any more. Raises ValueError where holes differ."""
    held = catalogue(language)
    wanted = listed()
    phrases = {phrase: said for phrase, said in {**held["phrases"], **given}.items() if phrase in wanted and said}
    Catalogue(language, phrases, held["composed"])
    made = {"phrases": dict(sorted(phrases.items())), "composed": held["composed"]}
    (WEB / "lang" / f"{language}.json").write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n", "utf-8")


def main(arguments: list[str]) -> int:
    """The command; 1 while something has no words."""
    language = arguments[0] if arguments else "de"
    if arguments[1:2] == ["--fill"]:
        fill(language, json.loads(Path(arguments[2]).read_text("utf-8")))
    lacking = missing(language)
    print(json.dumps(dict.fromkeys(lacking, ""), ensure_ascii=False, indent=1))
    for phrase, where in lacking.items():
        print(f"{where}: {phrase}", file=sys.stderr)
    for phrase in unused(language):
        print(f"not said any more: {phrase}", file=sys.stderr)
    print(f"{len(lacking)} of {len(listed())} have no words in {language!r}", file=sys.stderr)
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
