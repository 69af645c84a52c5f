"""The commands of `penstock`: which there are, and the one place where errors become exit codes.

Owns the assembly only; a command's module is read when it is asked for, so that no command waits for the others.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

from penstock import __version__

if TYPE_CHECKING:
    from cyclopts import App


# Where each command stands: its name, module, and the name in it.
COMMANDS = (
    ("setup", "account:setup"),
    ("login", "account:login"),
    ("logout", "account:logout"),
    ("whoami", "account:whoami"),
    ("context", "account:context"),
    ("token", "account:token"),
    ("session", "signing:session"),
    ("second-factor", "signing:factor"),
    ("break-glass", "signing:glass"),
    ("user", "people:user"),
    ("team", "people:team"),
    ("role", "roles:role"),
    ("access", "people:access"),
    ("status", "fleet:status"),
    ("device", "fleet:device"),
    ("view", "views:view"),
    ("timeline", "fleet:timeline"),
    ("faults", "notices:faults"),
    ("fault", "notices:fault"),
    ("notice", "notices:notice"),
    ("site", "sites:site"),
    ("join", "sites:join"),
    ("group", "groups:group"),
    ("waiting", "sites:room"),
    ("command", "commands:command"),
    ("logs", "commands:logs"),
    ("app", "releases:app"),
    ("release", "releases:release"),
    ("upstream", "supply:upstream"),
    ("mirror", "supply:mirror"),
    ("find", "supply:find"),
    ("vulnerability", "supply:vulnerability"),
    ("registry", "registry:registry"),
    ("deploy", "deployments:deploy"),
    ("preview", "deployments:preview"),
    ("deployment", "deployments:deployment"),
    ("param", "parameters:param"),
    ("backup", "backups:backup"),
    ("settings", "plane:settings"),
    ("events", "plane:events"),
    ("open", "plane:open_"),
    ("completion", "completion:completion"),
)


def _default(value: object) -> str | None:
    """A default in a help text; none where it means that nothing was said."""
    return None if value in ("", (), None, False, 0, -1) else str(value)


def build(*, whole: bool = False) -> App:
    """The program with all its commands, none of them read yet unless the `whole` of it is wanted."""
    from cyclopts import App, Parameter

    app = App(
        name="penstock",
        version=__version__,
        help="Fleet control for containers on the industrial edge: the centre decides what, the plant decides when.",
        help_epilogue="Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 control plane not reached; 4 not signed in or not allowed; 5 no such thing; "
        "6 stands or ended badly; 7 it contradicts what is, or was changed since; 8 waited, and not there yet.",
        default_parameter=Parameter(negative_iterable=(), show_default=_default),
        help_formatter="default" if sys.stdout.isatty() else "plain",
        help_format="markdown",  # flows a paragraph anew to the width of the screen
        verbose=False,
        suppress_keyboard_interrupt=False,
    )
    for name, place in COMMANDS:
        app.command(f"penstock.cli.{place}", name=name)
    for name, _ in COMMANDS if whole else ():
        app[name]  # reads it: what a command is for stands with it
    return app


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run one command; its exit code."""
    gc.set_threshold(50_000)  # what is imported stays: looking through it again and again is a tenth of a short command
    if arguments == ["--version"]:
        sys.stdout.write(f"{__version__}\n")
        return 0
    from cyclopts import CycloptsError

    from penstock.apiv1.common import Problem
    from penstock.cli import out
    from penstock.cli.common import Usage
    from penstock.cli.contexts import NoContext

    def refused(title: str, status: int, code: str, detail: str, remedy: str = "") -> int:
        return out.complain(Problem(title=title, status=status, code=code, detail=detail, remedy=remedy), json="--json" in arguments)

    try:
        whole = not arguments or arguments[0] in ("--help", "-h")
        found = build(whole=whole)(arguments, result_action="return_value", exit_on_error=False, print_error=False)
    except CycloptsError as fault:
        refused("Usage", 2, "usage", str(fault).strip(), f"`penstock {' '.join((*(fault.command_chain or ()), '--help'))}` says how it is used")
        return out.USAGE
    except NoContext as fault:
        return refused("No context", 401, "no-context", str(fault), "`penstock context list` shows those there are")
    except Usage as fault:
        refused("Usage", 2, "usage", str(fault))
        return out.USAGE
    except KeyboardInterrupt:
        return out.INTERRUPTED
    except BrokenPipeError:
        # what reads has gone; nothing is to be flushed to it at the end either
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return out.DONE
    except OSError as fault:
        return refused("Cannot", 1, "local-file", f"{fault.filename}: {fault.strerror}" if fault.filename else str(fault))
    except Exception as fault:
        problem = getattr(fault, "problem", None)  # a ClientError, whose module is read only by commands that ask something
        if isinstance(problem, Problem):
            return out.complain(problem, json="--json" in arguments)
        raise
    return found if isinstance(found, int) and not isinstance(found, bool) else out.DONE


if __name__ == "__main__":
    main()
