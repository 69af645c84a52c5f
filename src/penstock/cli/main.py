"""The commands of `penstock`: which there are, and the one place where errors become exit codes.

Owns the assembly only; commands stand in `fleet.py`, `places.py`, `releases.py` and `account.py`.
"""

from __future__ import annotations

import sys

from cyclopts import App

from penstock import __version__
from penstock.apiv1.common import Problem
from penstock.cli import account, fleet, out, releases
from penstock.cli.common import Usage
from penstock.cli.contexts import NoContext
from penstock.client import ClientError

app = App(name="penstock", version=__version__, help="Fleet control for containers on the industrial edge: the centre decides what, the plant decides when.")

for command in (
    account.setup,
    account.login,
    account.logout,
    account.whoami,
    fleet.status,
    fleet.join,
    releases.deploy,
    releases.preview,
    account.open_,
    fleet.timeline,
    fleet.logs,
    account.events,
):
    app.command(command, name=command.__name__.rstrip("_"))
app.command(account.context)
app.command(account.token)
app.command(account.settings)
app.command(fleet.site)
app.command(fleet.device)
app.command(fleet.room)
app.command(fleet.command)
app.command(releases.app)
app.command(releases.release)
app.command(releases.deployment)


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run one command; its exit code."""
    try:
        found = app(arguments, result_action="return_value", exit_on_error=False, print_error=True)
    except ClientError as fault:
        return out.complain(fault.problem)
    except NoContext as fault:
        return out.complain(Problem(title="No context", status=401, code="no-context", detail=str(fault)))
    except Usage as fault:
        out.complain(Problem(title="Usage", status=2, code="usage", detail=str(fault)))
        return out.USAGE
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return out.DONE
    except Exception as fault:
        if type(fault).__module__.startswith("cyclopts"):
            return out.USAGE
        if isinstance(fault, OSError):
            return out.complain(
                Problem(title="Cannot", status=1, code="local-file", detail=f"{fault.filename}: {fault.strerror}" if fault.filename else str(fault))
            )
        raise
    return found if isinstance(found, int) and not isinstance(found, bool) else out.DONE


if __name__ == "__main__":
    main()
