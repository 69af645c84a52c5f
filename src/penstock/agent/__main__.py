"""The program `penstock-agent`: `run` stays, every other command is short.

Owns the first branch only, so that the resident process never imports what the commands need.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Entry point; the exit status."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["run"] and not {"-h", "--help"} & set(arguments):
        from penstock.agent.arguments import UsageError
        from penstock.agent.resident import run

        try:
            return run(arguments[1:])
        except UsageError as fault:
            sys.stderr.write(f"penstock-agent run: {fault.why}; see: penstock-agent run --help\n")
            return 2
    from penstock.agent.cli import command

    return command(arguments)


if __name__ == "__main__":
    sys.exit(main())
