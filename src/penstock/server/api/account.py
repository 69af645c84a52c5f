"""Handlers for one's own account: sessions, the second factor; for others' sessions and second factors; for the break-glass account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.apiv1 import account as shapes
from penstock.apiv1.common import Outcome, Page
from penstock.server.actions import breakglass, secondfactor, sessions
from penstock.server.core import breakglass as glass
from penstock.server.core.sessions import agent_words, ends_ms

if TYPE_CHECKING:
    from penstock.server.api.frame import Call
    from penstock.server.core.model import Session
    from penstock.server.core.onetime import Factor


def _shown(call: Call, found: tuple[Session, ...]) -> Page[shapes.Session]:
    return Page(
        items=tuple(
            shapes.Session(
                id=one.id,
                address=one.address,
                agent=agent_words(one.agent),
                created_ms=one.created_ms,
                seen_ms=one.seen_ms,
                ends_ms=ends_ms(one, call.plane.session_idle_s, call.plane.session_total_s),
                this=one.id == call.session,
            )
            for one in found
        )
    )


def _ended(count: int) -> Outcome:
    return Outcome(said="One session has ended." if count == 1 else f"{count} sessions have ended.")


def list_sessions(call: Call) -> Page[shapes.Session]:
    """One's own sessions."""
    return _shown(call, sessions.list_sessions(call.plane, call.actor))


def end_session(call: Call) -> Outcome:
    """End one of one's own."""
    sessions.sign_out(call.plane, call.actor, session=call.path["session"])
    return _ended(1)


def end_other_sessions(call: Call) -> Outcome:
    """End all of one's own but this one."""
    return _ended(sessions.sign_out_others(call.plane, call.actor, keep=call.session))


def list_sessions_of(call: Call) -> Page[shapes.Session]:
    """Somebody's sessions."""
    return _shown(call, sessions.list_sessions_of(call.plane, call.actor, user=call.path["user"]))


def end_session_of(call: Call) -> Outcome:
    """End one of somebody's."""
    return _ended(sessions.end_sessions_of(call.plane, call.actor, user=call.path["user"], session=call.path["session"]))


def end_sessions_of(call: Call) -> Outcome:
    """End all of somebody's."""
    return _ended(sessions.end_sessions_of(call.plane, call.actor, user=call.path["user"]))


def get_factor(call: Call) -> shapes.SecondFactor:
    """One's own second factor."""
    return _factor(secondfactor.get_factor(call.plane, call.actor))


def get_factor_of(call: Call) -> shapes.SecondFactor:
    """Somebody's second factor."""
    return _factor(secondfactor.get_factor_of(call.plane, call.actor, user=call.path["user"]))


def _factor(factor: Factor | None) -> shapes.SecondFactor:
    if factor is None:
        return shapes.SecondFactor(state="off")
    if not factor.confirmed_ms:
        return shapes.SecondFactor(state="awaiting", since_ms=factor.created_ms)
    return shapes.SecondFactor(state="on", since_ms=factor.confirmed_ms, recovery_codes_left=len(factor.codes))


def begin_factor(call: Call) -> shapes.FactorSecret:
    """A fresh secret."""
    made = secondfactor.begin(call.plane, call.actor, password=call.body.password)
    return shapes.FactorSecret(secret=made.secret, uri=made.address)


def confirm_factor(call: Call) -> shapes.RecoveryCodes:
    """The first code."""
    return shapes.RecoveryCodes(codes=secondfactor.confirm(call.plane, call.actor, code=call.body.code, keep=call.session))


def renew_codes(call: Call) -> shapes.RecoveryCodes:
    """New recovery codes."""
    return shapes.RecoveryCodes(codes=secondfactor.renew_codes(call.plane, call.actor, password=call.body.password, code=call.body.code))


def switch_off_factor(call: Call) -> Outcome:
    """The password alone suffices again."""
    secondfactor.switch_off(call.plane, call.actor, password=call.body.password, code=call.body.code, keep=call.session)
    return Outcome(said="The second factor is off, and all other sessions have ended.")


def cancel_factor(call: Call) -> Outcome:
    """Forget a secret that was never confirmed."""
    secondfactor.cancel(call.plane, call.actor)
    return Outcome(said="The set-up of the second factor is given up.")


def reset_factor(call: Call) -> Outcome:
    """Take away somebody's second factor."""
    secondfactor.reset(call.plane, call.actor, user=call.path["user"], reason=call.body.reason)
    return Outcome(said="The second factor is reset and all sessions of this person have ended. Until they set up another, their password alone lets them in.")


def _glass(seal: glass.Seal | None) -> shapes.BreakGlass:
    if seal is None:
        return shapes.BreakGlass(state="none")
    return shapes.BreakGlass(
        state=seal.state,
        sealed_ms=seal.sealed_ms,
        used_ms=seal.used_ms,
        uses=seal.uses,
        reason=seal.reason,
        address=seal.address,
        acknowledged_ms=seal.acknowledged_ms,
        acknowledged_by=seal.acknowledged_by,
    )


def get_break_glass(call: Call) -> shapes.BreakGlass:
    """How the sealed account stands."""
    return _glass(breakglass.get_seal(call.plane, call.actor))


def acknowledge_break_glass(call: Call) -> shapes.BreakGlass:
    """Take note of its use."""
    return _glass(breakglass.acknowledge(call.plane, call.actor))
