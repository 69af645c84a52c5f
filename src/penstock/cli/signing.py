"""Commands about who is signed in: sessions, second factors, the break-glass account. One's own, and for administrators those of others."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import App, Parameter

from penstock.cli import out
from penstock.cli.account import secret_from
from penstock.cli.common import COMMON, Common, Usage
from penstock.cli.names import UserName, people

session = App(name="session", help="Browsers that are signed in: yours, and those of others for administrators.")
factor = App(name="second-factor", help="One-time codes besides the password: yours, and reset for others by administrators.")
glass = App(name="break-glass", help="The sealed account for emergencies.")

User = Annotated[str, Parameter(help="Somebody else, by name or id; for administrators.", completer=people)]


@session.command(name="list")
def session_list(*, user: User = "", common: Common = COMMON) -> int:
    """Where you are, or somebody else is, signed in by a browser. Tokens are listed by: penstock token list."""
    with common.client() as client:
        found = client.sessions(user)
    if common.json:
        out.show_json(found)
    else:
        rows = ((s.id, s.agent or "unknown program", s.address, out.at(s.created_ms), out.ago(s.seen_ms), out.at(s.ends_ms)) for s in found)
        out.table(("id", "browser", "address", "since", "last seen", "ends unless used"), rows, "Nowhere.")
    return out.DONE


@session.command(name="end")
def session_end(
    session: str = "", *, every: Annotated[bool, Parameter(name="--all", negative=(), help="All of them.")] = False, user: User = "", common: Common = COMMON
) -> int:
    """End a session, or all; it is dead at once."""
    if bool(session) == every:
        raise Usage("say which: an id of penstock session list, or --all")
    with common.client() as client:
        return out.outcome(client.end_sessions(user) if every else client.end_session(session, user), json=common.json)


@factor.command(name="show")
def factor_show(*, user: User = "", common: Common = COMMON) -> int:
    """Whether you have one, or somebody else has, and how many recovery codes are left."""
    with common.client() as client:
        found = client.second_factor(user)
    if common.json:
        out.show_json(found)
    else:
        out.facts((("second factor", found.state), ("since", out.at(found.since_ms)), ("recovery codes left", found.recovery_codes_left)))
    return out.DONE


PasswordStdin = Annotated[bool, Parameter(negative=(), help="Read the password from standard input.")]


@factor.command(name="begin")
def factor_begin(*, password_stdin: PasswordStdin = False, common: Common = COMMON) -> int:
    """Get a secret for your authenticator app; then: penstock second-factor confirm CODE."""
    password = secret_from("Your password: ", stdin=password_stdin, variable="PENSTOCK_PASSWORD")
    with common.client() as client:
        made = client.begin_second_factor(password)
    if common.json:
        out.show_json(made)
    else:
        sys.stdout.write(f"{made.secret}\n{made.uri}\n")
    return out.DONE


@factor.command(name="confirm")
def factor_confirm(code: str, *, common: Common = COMMON) -> int:
    """Switch it on with the code your app shows; prints the recovery codes, this once."""
    with common.client() as client:
        made = client.confirm_second_factor(code)
    if common.json:
        out.show_json(made)
    else:
        sys.stdout.write("\n".join(made.codes) + "\n")
    return out.DONE


@factor.command(name="codes")
def factor_codes(code: str, *, password_stdin: PasswordStdin = False, common: Common = COMMON) -> int:
    """Make new recovery codes; the old ones are worthless."""
    password = secret_from("Your password: ", stdin=password_stdin, variable="PENSTOCK_PASSWORD")
    with common.client() as client:
        made = client.renew_recovery_codes(password, code)
    if common.json:
        out.show_json(made)
    else:
        sys.stdout.write("\n".join(made.codes) + "\n")
    return out.DONE


@factor.command(name="off")
def factor_off(code: str, *, password_stdin: PasswordStdin = False, common: Common = COMMON) -> int:
    """Switch it off."""
    password = secret_from("Your password: ", stdin=password_stdin, variable="PENSTOCK_PASSWORD")
    with common.client() as client:
        return out.outcome(client.switch_off_second_factor(password, code), json=common.json)


@factor.command(name="reset")
def factor_reset(user: UserName, *, reason: Annotated[str, Parameter(help="Why; it is recorded.")], common: Common = COMMON) -> int:
    """Take away somebody's second factor, lost with a phone for instance."""
    with common.client() as client:
        return out.outcome(client.reset_second_factor(user, reason), json=common.json)


@glass.command(name="show")
def glass_show(*, common: Common = COMMON) -> int:
    """How it stands. It is sealed on the machine of the control plane: penstock-server break-glass seal."""
    with common.client() as client:
        found = client.break_glass()
    if common.json:
        out.show_json(found)
    else:
        used = (("used", f"{out.at(found.used_ms)} from {found.address}: {found.reason}"),) if found.used_ms else ()
        noted = (("taken note of by", found.acknowledged_by),) if found.acknowledged_ms else ()
        out.facts((("break-glass account", found.state), ("sealed", out.at(found.sealed_ms)), *used, *noted))
    return out.DONE


@glass.command(name="acknowledge")
def glass_acknowledge(*, common: Common = COMMON) -> int:
    """Take note that it was used."""
    with common.client() as client:
        found = client.acknowledge_break_glass()
    if common.json:
        out.show_json(found)
    else:
        out.say("You have taken note of it. Have the account sealed anew: penstock-server break-glass seal")
    return out.DONE
