"""Releases as devices get them: loaded once, filled in for a plan, remembered while they are asked for.

Owns the filling of a plan for a device, remembered, and the sealing of secrets for one device (kept in the store, so that the same value is sealed
once). Never decides who gets what.
"""

from __future__ import annotations

from dataclasses import dataclass

from penstock.server.actions import valued
from penstock.server.actions.context import Plane
from penstock.server.actions.remembering import remember
from penstock.server.core.compose import ComposeError
from penstock.server.core.document import app_text
from penstock.server.core.errors import Conflict, Invalid, missing
from penstock.server.core.levels import Levels
from penstock.server.core.model import Assignment, Device, Lean, Plan
from penstock.server.core.release import Release, asks_device, load, resolve
from penstock.server.core.rights import EVERYWHERE
from penstock.server.effects.vault import VaultFault
from penstock.server.store import deployments, parameters, releases, secrets, sites
from penstock.server.store.db import Tx
from penstock.wire.codec import decode, encode
from penstock.wire.record import replace
from penstock.wire.types import AppState, Sealed, Secret, content_digest, secret_bound_to

UNSEALED = Sealed("", "", "", "")


@dataclass(frozen=True, slots=True)
class Filled:
    """A plan filled in: the state with secrets by name and version only, its content digest, its text where it needs no sealing; `owners`: whose each secret is;
    `part`: the engine whose part of the release it is, empty for what is common."""

    state: AppState
    content: str
    text: bytes | None
    owners: dict[str, str]
    part: str = ""


def release_of(plane: Plane, tx: Tx, release: str) -> tuple[Release, str]:
    """A published release and its digest, by id. Raises Missing."""

    def read() -> tuple[Release, str]:
        row = releases.by_id(tx, release)
        if row is None:
            raise missing("release", release)
        return load(row.document), row.digest

    found: tuple[Release, str] = remember(plane, ("release", release), read)
    return found


def site_name(plane: Plane, tx: Tx, site: str) -> str:
    """A site's short name (it never changes)."""

    def read() -> str:
        found = sites.find(tx, EVERYWHERE, site)
        return found.name if found is not None else site

    name: str = remember(plane, ("site", site), read)
    return name


def fill(plane: Plane, tx: Tx, plan: Plan, device: Device | Lean, levels: Levels | None = None) -> Filled:
    """A plan filled in for a device, secrets not sealed. `levels`: what the levels say; the newest, if not given. Raises Invalid with all faults, and Conflict
    where groups disagree."""
    whole, digest = release_of(plane, tx, plan.release)
    part = device.engine if device.engine in whole.parts else ""
    release = whole.of(part)
    held = valued.held(tx, whole, plan, device, valued.newest(plane, tx, release.app) if levels is None else levels)
    own = remember(plane, ("asks", plan.release, part), lambda: (asks_device(release),))[0] or valued.asks(held.values)
    place = valued.site_of(tx, device, own=own)
    given = tuple(sorted(held.values.items())), tuple(sorted(held.secrets.items()))
    key = ("filled", plan.deployment, plan.release, part, plan.drift, plan.soak_s, plan.deadline_s, given, place)

    def make() -> Filled:
        try:
            state = resolve(
                release,
                held.values,
                held.secrets,
                place,
                deployment=plan.deployment,
                release_digest=digest,
                drift=plan.drift,
                soak_s=plan.soak_s,
                deadline_s=plan.deadline_s,
            )
        except ComposeError as fault:
            raise values_refused(fault) from None
        used = _used(state)
        state = replace_secrets(state, tuple(Secret(name, version, UNSEALED) for name, version in used))
        owners = {name: held.owners[name] for name, _ in used}
        return Filled(state, content_digest(state), None if used else app_text(state), owners, part)

    filled: Filled = remember(plane, key, make)
    return filled


def values_refused(fault: ComposeError) -> Invalid:
    """A ComposeError about values, as the API says it."""
    first = fault.faults[0]
    more = f" (and {len(fault.faults) - 1} more)" if len(fault.faults) > 1 else ""
    return Invalid("values-do-not-fit", f"{first.path}: {first.why}{more}", field=first.path or "values", remedy=first.remedy, faults=fault.faults)


def _used(state: AppState) -> tuple[tuple[str, str], ...]:
    variables = {(use.secret, use.version) for service in state.services for use in service.secret_environment.values()}
    files = {(file.secret, file.version) for service in state.services for file in service.files if file.secret}
    return tuple(sorted(variables | files))


def replace_secrets(state: AppState, sealed: tuple[Secret, ...]) -> AppState:
    """The same state with these secrets."""
    return replace(state, secrets=sealed)


def unfit(release: Release, device: Device | Lean) -> str:
    """Why a device cannot run a release whatever the values (no image for its processor), as a sentence; empty when it can."""
    platforms = set(device.platforms)
    if not platforms:
        return ""
    mine = release.of(device.engine)
    by_name = {image.name: {variant.platform for variant in image.variants} for image in mine.images}
    for service in mine.services:
        have = by_name.get(str(service["image"]), set())
        asked = service.get("platform")
        wanted = {asked} if isinstance(asked, str) and asked else platforms
        if not have & wanted:
            return f"the image {service['image']} exists for {', '.join(sorted(have)) or 'nothing'}, and this device runs {', '.join(device.platforms)}"
    return ""


def text_for(plane: Plane, tx: Tx, assignment: Assignment, device: Device | Lean) -> bytes:
    """An assignment as it stands in a device's document, secrets sealed for it. Raises Missing, Invalid, Conflict."""

    def read() -> Plan:
        plan = deployments.plan(tx, assignment.deployment, assignment.plan)
        if plan is None:
            raise missing("plan", f"{assignment.deployment} {assignment.plan}")
        return plan

    plan: Plan = remember(plane, ("plan", assignment.deployment, assignment.plan), read)
    filled = fill(plane, tx, plan, device, valued.levels_at(plane, tx, assignment.app, assignment.values_at))
    if filled.text is not None:
        return filled.text
    held = secrets.sealed_for(tx, device.id)
    sealed = []
    for one in filled.state.secrets:
        owner = filled.owners[one.name]
        kept = held.get((owner, one.name, one.version, device.key_epoch))
        if kept is None:
            kept = _seal(plane, tx, owner, filled.state.app, one, device)
            secrets.put_sealed(tx, device.id, owner, one.name, one.version, device.key_epoch, kept)
        sealed.append(replace_sealed(one, decode(Sealed, kept.encode("ascii"))))
    return app_text(replace_secrets(filled.state, tuple(sealed)))


def replace_sealed(secret: Secret, sealed: Sealed) -> Secret:
    """The same secret with its sealed value."""
    return Secret(secret.name, secret.version, sealed)


def vault_bound(owner: str, name: str, version: str) -> bytes:
    """What a value in the vault is bound to."""
    return f"penstock vault v1\n{owner}\n{name}\n{version}".encode()


def _seal(plane: Plane, tx: Tx, owner: str, app: str, secret: Secret, device: Device | Lean) -> str:
    level = owner == valued.owner_of(app)
    kept = parameters.secret(tx, app, secret.name, secret.version) if level else secrets.get(tx, owner, secret.name, secret.version)
    if kept is None:
        raise Conflict("secret-missing", f"the value of secret {secret.name} is not held any more", remedy="give its value again")
    bound = vault_bound(owner, secret.name, secret.version)
    try:
        sealed = plane.vault.seal_for(kept, bound, device.seal_key, secret_bound_to(device.id, app, secret.name, secret.version))
    except VaultFault as fault:
        raise Conflict("secret-unreadable", f"secret {secret.name} cannot be sealed for this device: {fault}", remedy="give its value again") from None
    return encode(sealed).decode("ascii")
