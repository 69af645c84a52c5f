"""What is deployed in the simulated fleet: apps, their versions as Compose files, their images, and how those images behave.

Owns the making of releases and the outside knowledge about them: which service of which version is which (its mark, a variable in its
environment) and whether that version can ever be well. The product never sees this knowledge.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from penstock.server.core.images import Documents, Wanted
from penstock.server.core.oci import OCI_CONFIG, OCI_MANIFEST, Referrer, Stored

MARK = "SIM_MARK"
PLATFORM = "linux/amd64"


@dataclass(frozen=True)
class Behaviour:
    """How a service behaves. `kind`: good, ill (its check never passes), fades (its check fails after `after_s`), crashes (exits 1 after
    `after_s`), job (exits 0 after `after_s`). `slow_s`: until its check first passes. `stubborn`: it must be killed to stop."""

    kind: str = "good"
    after_s: float = 0
    slow_s: float = 0
    stubborn: bool = False

    def words(self) -> dict[str, str]:
        """The same in the words that the fake engine's containers understand (`agent.runtimes.fakelife`)."""
        found = {"START_DELAY": f"{self.slow_s:g}"} if self.slow_s else {}
        if self.stubborn:
            found["IGNORE_TERM"] = "1"
        if self.kind == "ill":
            found["UNHEALTHY"] = "1"
        elif self.kind == "fades":
            found["UNHEALTHY_AFTER"] = f"{self.after_s + self.slow_s:g}"
        elif self.kind == "crashes":
            found["CRASH_AFTER"] = f"{self.after_s:g}"
        elif self.kind == "job":
            found |= {"CRASH_AFTER": f"{self.after_s:g}", "EXIT_CODE": "0"}
        return found

    @property
    def sound(self) -> bool:
        """Whether a release with it can soak."""
        return self.kind in ("good", "job")


@dataclass(frozen=True)
class Part:
    """One service of one version. `mark` changes exactly when the service does."""

    name: str
    mark: str
    image: str
    behaviour: Behaviour
    needs: tuple[tuple[str, str], ...] = ()
    volumes: tuple[str, ...] = ()
    check: bool = True
    probe: bool = False
    restart: str = "unless-stopped"
    secret: bool = False


@dataclass(frozen=True)
class Version:
    """One version of an app, known from outside."""

    app: str
    number: int
    parts: tuple[Part, ...]
    volumes: dict[str, str] = field(default_factory=dict)  # name -> policy
    soak_s: int = 20
    deadline_s: int = 40
    drift: str = "correct"

    @property
    def name(self) -> str:
        return str(self.number)

    @property
    def sound(self) -> bool:
        """Whether it can ever be well on a healthy device."""
        return all(part.behaviour.sound for part in self.parts)

    @property
    def hopeless(self) -> bool:
        """Whether it can never stay well for as long as any soak takes, however late the engine's own checks notice."""
        return any(part.behaviour.kind in ("ill", "crashes") for part in self.parts)

    @property
    def marks(self) -> dict[str, str]:
        """Service to mark."""
        return {part.name: part.mark for part in self.parts}


def _lasting(parts: Iterable[Part]) -> dict[str, str]:
    """The marks of what stays, jobs left out: those end, and may be gone."""
    return {part.name: part.mark for part in parts if part.behaviour.kind != "job"}


def digest_of(data: bytes) -> str:
    """OCI digest."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Catalogue:
    """All versions and images of one world; stands in the place of the registry for publishing and for fetching."""

    def __init__(self) -> None:
        self.versions: dict[str, list[Version]] = {}
        self.blobs: dict[str, bytes] = {}
        self.told: dict[str, str] = {}  # image to what its program writes into its volume (see fakelife)
        self._images: dict[str, Documents] = {}
        self._made = 0

    # --- the registry's side ------------------------------------------------------------------------------------------

    def referrers(self, _repository: str, _digest: str) -> tuple[Referrer, ...]:
        """Nothing is attached to images of the simulated fleet."""
        return ()

    def manifest(self, _repository: str, _reference: str) -> Stored | None:
        """Nor by tags of cosign."""
        return None

    def find(self, wanted: Wanted) -> Documents | None:
        """`actions.releases.Images`."""
        return self._images.get(f"{wanted.repository}:{wanted.reference}")

    def blob_size(self, digest: str) -> int | None:
        """The size of a blob, None where there is none."""
        data = self.blobs.get(digest)
        return len(data) if data is not None else None

    def push(self, name: str, layers: tuple[bytes, ...]) -> None:
        """An image of one platform."""
        described = {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(one) for one in layers]},
            "name": name,
        }
        config = json.dumps(described, sort_keys=True).encode()
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": {"mediaType": OCI_CONFIG, "digest": digest_of(config), "size": len(config)},
                "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest_of(one), "size": len(one)} for one in layers],
            },
            sort_keys=True,
        ).encode()
        for data in (config, manifest, *layers):
            self.blobs[digest_of(data)] = data
        self.told[name] = digest_of(config)[7:19]
        self._images[name] = Documents(Stored(digest_of(manifest), OCI_MANIFEST, manifest), {digest_of(config): config})

    # --- making versions ----------------------------------------------------------------------------------------------

    def _mark(self, app: str, service: str) -> str:
        self._made += 1
        return f"{app}.{service}.{self._made}"

    def _image(self, app: str, service: str, dice: random.Random) -> str:
        self._made += 1
        name = f"sim/{app}-{service}:{self._made}"
        base = f"base layer of {app}".encode() * 4
        own = f"layer {self._made} {dice.random()}".encode() * dice.randint(1, 20)
        self.push(name, (base, own))
        return name

    @staticmethod
    def _behaviour(dice: random.Random, badness: float, *, job: bool) -> Behaviour:
        slow = dice.choice((0, 0, 0.5, 3, 8))
        stubborn = dice.random() < 0.1
        if job:
            return Behaviour("job", dice.choice((0.2, 1.5, 4)))
        if dice.random() < badness:
            return Behaviour(dice.choice(("ill", "ill", "fades", "crashes", "crashes")), dice.choice((0, 0.3, 2)), slow, stubborn)
        return Behaviour("good", 0, slow, stubborn)

    def _part(self, app: str, service: str, dice: random.Random, badness: float, old: Part | None, volumes: tuple[str, ...]) -> Part:
        job = old.behaviour.kind == "job" if old is not None else service == "migrate"
        mark = self._mark(app, service)
        behaviour = self._behaviour(dice, badness, job=job)
        image = self._image(app, service, dice)
        check = False if job else (old.check if old is not None else dice.random() < 0.7)
        if behaviour.kind in ("ill", "fades"):
            check = True
        secret = old.secret if old is not None else dice.random() < 0.2
        return Part(
            service, mark, image, behaviour, volumes=volumes, check=check, restart="no" if job else dice.choice(("unless-stopped", "always")), secret=secret
        )

    def next_version(self, app: str, dice: random.Random, badness: float = 0.0) -> Version:
        """The app's next version: some services change, now and then one comes or goes."""
        old = self.versions.setdefault(app, [])
        before = old[-1] if old else None
        names = [part.name for part in before.parts] if before is not None else ["core", *dice.sample(("page", "feed", "migrate"), dice.randint(0, 3))]
        parts: list[Part] = []
        changing = set(dice.sample(names, dice.randint(1, len(names))))
        if before is not None and badness <= 0:
            changing |= {part.name for part in before.parts if not part.behaviour.sound}
        if before is not None and dice.random() < 0.2:
            gone = dice.choice(names)
            if gone != "core":
                names.remove(gone)
        if before is not None and dice.random() < 0.2 and "extra" not in names:
            names.append("extra")
            changing.add("extra")
        volumes = dict(before.volumes) if before is not None else {}
        if before is None and dice.random() < 0.8:
            volumes["data"] = dice.choice(("compatible", "snapshot", "snapshot"))
        # A job is never the ill one: it ends well, and the version would be sound.
        worst = dice.choice(sorted(changing - {"migrate"}) or ["core"]) if dice.random() < badness else ""
        changing |= {worst} & set(names)
        for name in names:
            held = next((part for part in before.parts if part.name == name), None) if before is not None else None
            mounts = ("data",) if name in ("core", "migrate") and "data" in volumes else ()
            if held is not None and name not in changing:
                parts.append(held)
                continue
            parts.append(self._part(app, name, dice, 1.0 if name == worst else 0.0, held, mounts))
        if any(_lasting(parts) == _lasting(one.parts) for one in old):  # nobody could tell from outside which of the two runs
            core = next(part for part in parts if part.name == "core")
            parts[parts.index(core)] = self._part(app, "core", dice, 0.0, core, core.volumes)
        there = {part.name for part in parts}
        wired = []
        for part in parts:
            needs: list[tuple[str, str]] = []
            if part.name in ("page", "feed", "extra") and "core" in there:
                core = next(one for one in parts if one.name == "core")
                needs.append(("core", "healthy" if core.check else "started"))
            if part.name == "core" and "migrate" in there:
                needs.append(("migrate", "completed"))
            wired.append(Part(**{**part.__dict__, "needs": tuple(needs)}))
        made = Version(
            app,
            len(old) + 1,
            tuple(wired),
            volumes,
            soak_s=before.soak_s if before else dice.choice((5, 20, 40)),
            deadline_s=before.deadline_s if before else dice.choice((20, 40)),
            drift=before.drift if before else "correct",
        )
        old.append(made)
        return made

    def version(self, app: str, name: str) -> Version:
        """One version by its name."""
        return self.versions[app][int(name) - 1]


SECRET = "whistle-{app}-secret"  # noqa: S105 - the plain value the watch looks for in all the wrong places


def compose_of(version: Version) -> bytes:
    """The version as a Compose file (JSON is YAML)."""
    services: dict[str, object] = {}
    secret = any(part.secret for part in version.parts)
    for part in version.parts:
        environment = {MARK: part.mark, **part.behaviour.words()}
        body: dict[str, object] = {"image": part.image, "environment": environment, "restart": part.restart, "stop_grace_period": "2s"}
        if part.secret:
            environment["PASSWORD"] = "${PASSWORD}"  # noqa: S105 - a parameter, not a password
        if part.volumes:
            body["volumes"] = [f"{name}:/{name}" for name in part.volumes]
            environment["WRITE"] = f"/{part.volumes[0]}/log"
        if part.needs:
            words = {"healthy": "service_healthy", "started": "service_started", "completed": "service_completed_successfully"}
            body["depends_on"] = {name: {"condition": words[condition]} for name, condition in part.needs}
        if part.check:
            body["healthcheck"] = {"test": ["CMD", "/bin/check"], "interval": "2s", "timeout": "1s", "retries": 2}
        services[part.name] = body
    ours: dict[str, object] = {"soak": f"{version.soak_s}s", "deadline": f"{version.deadline_s}s", "drift": version.drift}
    if version.volumes:
        ours["volumes"] = version.volumes
    if secret:
        ours["secrets"] = ["PASSWORD"]
    file: dict[str, object] = {"name": version.app, "services": services, "x-penstock": ours}
    if version.volumes:
        file["volumes"] = {name: {} for name in version.volumes}
    return json.dumps(file, indent=1).encode()
