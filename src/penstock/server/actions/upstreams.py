"""Registries that images may be copied from: setting them up with their credentials, trying them out.

Owns who may, and that a password is kept in the vault and never shown again. The list is the leave: from a registry that does not stand here nothing is
copied. Copying is `mirrors`'.
"""

from __future__ import annotations

from penstock.server.actions.context import Plane, note
from penstock.server.core.access import permit, require
from penstock.server.core.errors import Conflict, Invalid, Unavailable, missing
from penstock.server.core.mirrors import MOST_UPSTREAMS, Upstream, host_fault
from penstock.server.core.model import Actor
from penstock.server.core.rights import Target
from penstock.server.effects.upstream import Access, UpstreamFault
from penstock.server.effects.vault import VaultFault
from penstock.server.store import mirrors as store
from penstock.server.store.db import Tx
from penstock.wire.codec import WireError
from penstock.wire.join import pem_fault

OFF = "this control plane copies no images: mirror is off in its settings"


def list_upstreams(plane: Plane, actor: Actor) -> tuple[Upstream, ...]:
    """All, by name."""
    permit(actor, "upstreams.read", Target())
    return plane.db.view(store.upstreams)


def get_upstream(plane: Plane, actor: Actor, *, host: str) -> Upstream:
    """One. Raises Missing."""
    permit(actor, "upstreams.read", Target())
    return plane.db.view(lambda tx: _find(tx, host))


def _find(tx: Tx, host: str) -> Upstream:
    found = store.upstream(tx, host)
    if found is None:
        raise missing("upstream", host)
    return found


def set_upstream(plane: Plane, actor: Actor, *, host: str, user: str = "", password: str | None = None, ca: str = "", insecure: bool = False) -> Upstream:
    """Images may be copied from there, in this way. `password` None keeps the one there is. Raises Invalid, Conflict, Forbidden."""
    require(actor, "upstreams.write")
    permit(actor, "upstreams.write", Target())
    wrong = host_fault(host)
    if wrong:
        raise Invalid("upstream-malformed", wrong, field="host")
    if ca:
        try:
            pem_fault(ca, "ca")
        except WireError as fault:
            raise Invalid("certificate-malformed", f"ca {fault.why}", field="ca", remedy="give PEM text with BEGIN CERTIFICATE") from None
    if password and not user:
        raise Invalid("user-missing", "a password belongs to a user", field="user", remedy="give the user too")
    if ":" in user or any(ord(letter) < 32 for letter in user):
        raise Invalid("user-malformed", "a user's name has no colon and no line breaks", field="user")

    def work(tx: Tx) -> Upstream:
        old = store.upstream(tx, host)
        kept = old.vaulted if old is not None and password is None and user == old.user else ""
        if old is not None and kept and (insecure > old.insecure or ca != old.ca):
            raise Invalid("password-missing", "a kept password is not sent in a new way", field="password", remedy=f"give the password of {host} again")
        if user and password is None and not kept:
            raise Invalid("password-missing", f"{user} at {host} needs a password", field="password", remedy="give it; it is never shown again")
        vaulted = plane.vault.put(password.encode(), _bound(host)) if password else kept
        now = plane.clock.now_ms()
        found = Upstream(host, user, vaulted, ca, insecure, now, actor.name)
        if old is None:
            if len(store.upstreams(tx)) >= MOST_UPSTREAMS:
                raise Conflict("too-many-upstreams", f"there are {MOST_UPSTREAMS} already", remedy="remove one that nobody needs")
            store.add_upstream(tx, found)
        else:
            store.change_upstream(tx, found, old.revision)
        data = {"host": host, "user": user, "insecure": str(insecure).lower()}
        note(plane, tx, actor, "upstream.set", host, data=data, topics=[("upstreams", host)])
        return _find(tx, host)

    return plane.db.update(work)


def remove_upstream(plane: Plane, actor: Actor, *, host: str) -> None:
    """Nothing is copied from there any more, and its password is forgotten; copies stay. Raises Missing."""
    require(actor, "upstreams.read")
    permit(actor, "upstreams.write", Target())

    def work(tx: Tx) -> None:
        _find(tx, host)
        store.remove_upstream(tx, host)
        note(plane, tx, actor, "upstream.removed", host, topics=[("upstreams", host)])

    plane.db.update(work)


def test_upstream(plane: Plane, actor: Actor, *, host: str) -> str:
    """Sign in there now; why that failed, empty where it did not. Raises Missing, Unavailable."""
    permit(actor, "upstreams.write", Target())
    if plane.upstream is None:
        raise Unavailable("mirror-off", OFF, remedy='set mirror = "allow-list" in its settings file')
    found = plane.db.view(lambda tx: _find(tx, host))
    why = ""
    try:
        plane.upstream.try_out(access_of(plane, found))
    except UpstreamFault as fault:
        why = fault.why

    def work(tx: Tx) -> None:
        store.tested(tx, host, plane.clock.now_ms(), why)
        note(plane, tx, actor, "upstream.tested", host, outcome="failed" if why else "done", reason=why, topics=[("upstreams", host)])

    plane.db.update(work)
    return why


def access_of(plane: Plane, found: Upstream) -> Access:
    """How it is reached, its password opened. Raises UpstreamFault where the vault cannot."""
    try:
        password = plane.vault.open(found.vaulted, _bound(found.host)).decode() if found.vaulted else ""
    except VaultFault as fault:
        raise UpstreamFault("broken", f"the password of {found.host} cannot be read: {fault}; set it again") from None
    return Access(found.host, found.user, password, found.ca, found.insecure)


def _bound(host: str) -> bytes:
    return f"penstock upstream v1\n{host}".encode()
