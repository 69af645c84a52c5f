"""Join tokens: the leave to ask for admission, as one line to copy.

Owns making, listing and revoking them. Only the digest of the secret is kept, so the line is shown once.
"""

from __future__ import annotations

from dataclasses import dataclass

from penstock.server.actions import membership
from penstock.server.actions.context import Plane, note
from penstock.server.actions.planesettings import read as read_settings
from penstock.server.actions.sites import find
from penstock.server.core.access import permit, require
from penstock.server.core.errors import Conflict, Invalid, missing
from penstock.server.core.model import Actor, JoinId, JoinToken
from penstock.server.core.rights import BUILT_IN, Target, lacking
from penstock.server.core.targeting import check_labels
from penstock.server.store import join_tokens as store
from penstock.server.store.db import Tx
from penstock.wire.codec import WireError
from penstock.wire.join import Join, format_join
from penstock.wire.types import sha256_of
from penstock.wire.version import WIRE

MAX_USES = 10_000
MAX_EXPIRES_S = 90 * 86_400


@dataclass(frozen=True, slots=True)
class NewJoin:
    """A join token just made. `line` is what to type on the device, `join` the string alone, `root` the digest both name."""

    token: JoinToken
    line: str
    join: str
    root: str


def create_join(
    plane: Plane,
    actor: Actor,
    *,
    site: str,
    uses: int = 1,
    expires_s: int = 86_400,
    auto_approve: bool = False,
    labels: dict[str, str] | None = None,
    title: str = "",
) -> NewJoin:
    """A token for one site, good for `uses` devices during `expires_s` seconds. With `auto_approve` they need not wait (except to replace a
    device). `labels` are given to each: where they bring it into a group that roles are given on, the maker must be
    allowed to change that group. Raises Forbidden."""
    if not 1 <= uses <= MAX_USES:
        raise Invalid("uses-out-of-range", f"uses is {uses}; it must be 1 to {MAX_USES}", field="uses")
    if not 60 <= expires_s <= MAX_EXPIRES_S:
        raise Invalid("expiry-out-of-range", f"expires_s is {expires_s}; it must be 60 to {MAX_EXPIRES_S} seconds", field="expires_s")
    if len(title) > 200:
        raise Invalid("title-too-long", "a title has at most 200 characters", field="title")
    given = labels or {}
    check_labels(given)

    def work(tx: Tx) -> NewJoin:
        place = find(tx, actor, site)
        permit(actor, "joins.write", Target(site=place.id))
        membership.permit(plane, tx, actor, membership.groups_with(tx, given), "labels")
        secret = plane.ids.secret()
        now = plane.clock.now_ms()
        made = JoinToken(
            JoinId(plane.ids.new("join")),
            place.id,
            title or f"for {place.title}",
            sha256_of(secret.encode("utf-8")),
            uses,
            0,
            now + expires_s * 1000,
            auto_approve,
            dict(given),
            now,
            actor.name,
            gives_rights=not lacking(actor.rights, BUILT_IN["administrator"], Target()),
        )
        endpoints = read_settings(plane, tx).endpoints
        if not endpoints:
            raise Conflict("no-address", "this control plane does not know under which address devices reach it", remedy="set its address in the settings")
        authorities = tuple(dict.fromkeys(pem for endpoint in endpoints for pem in endpoint.ca))
        join = Join(tuple(endpoint.url for endpoint in endpoints), secret, plane.roots.digest, authorities, endpoints[0].proxy, WIRE)
        try:
            text = format_join(join)
        except WireError as fault:
            raise Conflict("address-unusable", f"no join line can be made: {fault}", remedy="correct the address in the settings") from None
        store.add(tx, made)
        data = {"uses": str(uses), "auto_approve": str(auto_approve).lower(), "title": made.title}
        note(plane, tx, actor, "join.created", made.id, site=place.id, data=data)
        return NewJoin(made, f"sudo penstock-agent enroll '{text}'", text, plane.roots.digest)

    return plane.db.update(work)


def list_joins(plane: Plane, actor: Actor, *, site: str | None = None) -> tuple[JoinToken, ...]:
    """All, newest first."""
    reach = require(actor, "joins.read")

    def work(tx: Tx) -> tuple[JoinToken, ...]:
        return store.all_in(tx, reach, find(tx, actor, site).id if site else None)

    return plane.db.view(work)


def revoke_join(plane: Plane, actor: Actor, *, join: str, reason: str = "") -> JoinToken:
    """Make it worthless. Who was let in with it stays."""
    reach = require(actor, "joins.read")

    def work(tx: Tx) -> JoinToken:
        found = store.by_id(tx, reach, join)
        if found is None:
            raise missing("join-token", join)
        permit(actor, "joins.write", Target(site=found.site))
        store.revoke(tx, found.id, plane.clock.now_ms())
        note(plane, tx, actor, "join.revoked", found.id, site=found.site, reason=reason, data={"title": found.title})
        again = store.by_id(tx, reach, join)
        assert again is not None
        return again

    return plane.db.update(work)
