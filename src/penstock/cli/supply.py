"""Commands about where images come from and what is in them: upstream registries, mirrors, searching what runs where, vulnerability lists.

A long list of vulnerabilities is sent in parts, each of which the control plane takes in whole: repeating a command that broke off does no harm.
"""

from __future__ import annotations

import json as plain_json
import os
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from penstock.apiv1 import supply as s
from penstock.cli import out
from penstock.cli.common import COMMON, Common, Usage, certificates, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

upstream = App(name="upstream", help="Registries that images are copied from.")
mirror = App(name="mirror", help="Copies of other registries' images.")
vulnerability = App(name="vulnerability", help="Lists of vulnerabilities.")

Host = Annotated[str, Parameter(help="As it stands in names of images: ghcr.io, docker.io, registry.example:5000.")]
PART = 1_000_000  # characters of one part of a list
MOST_ENTRY = 1_900_000
MOST_FILE = 64 * 1024 * 1024  # bytes of one entry of a zip


# --- upstreams --------------------------------------------------------------------------------------------------------------


@upstream.command(name="list")
def upstream_list(*, common: Common = COMMON) -> int:
    """The registries that images are copied from; from others none are."""
    with common.client() as client:
        found = client.supply.upstreams()
    return out.listing(
        found,
        ("registry", "user", "TLS", "last test"),
        ((x.host, x.user or "-", "not checked" if x.insecure else "own CA" if x.ca else "checked", _tested(x)) for x in found),
        "None: nothing is copied. Allow one: penstock upstream set docker.io",
        json=common.json,
    )


def _tested(found: s.Upstream) -> str:
    return "never" if not found.tested_ms else f"{out.ago(found.tested_ms)}: {found.why or 'it answered'}"


@upstream.command(name="set")
def upstream_set(
    host: Host,
    *,
    user: Annotated[
        str, Parameter(help="Who to sign in as; the password is read from PENSTOCK_UPSTREAM_PASSWORD or, with --password-stdin, from standard input.")
    ] = "",
    password_stdin: Annotated[bool, Parameter(negative=(), help="Read the password from standard input.")] = False,
    ca: Annotated[Path | None, Parameter(help="A file of certificates to trust for it, PEM.")] = None,
    insecure: Annotated[bool, Parameter(negative=(), help="Plain HTTP, or a certificate that nobody checks.")] = False,
    common: Common = COMMON,
) -> int:
    """Let images be copied from a registry, or change how it is reached.

    A password that is left out stays as it is; it is kept sealed and never shown again.
    """
    password = sys.stdin.readline().rstrip("\n") if password_stdin else os.environ.get("PENSTOCK_UPSTREAM_PASSWORD")
    if password_stdin and not password:
        raise Usage("no password came on standard input")
    body = s.UpstreamSet(host=host, user=user, password=password if user else None, ca=certificates(ca) if ca else "", insecure=insecure)
    with common.client() as client:
        made = client.supply.set_upstream(body)
    if common.json:
        out.show_json(made)
    else:
        out.say(
            f"Images may be copied from {made.host}{f' as {made.user}' if made.user else ''}; see whether it answers with: penstock upstream test {made.host}"
        )
    return out.DONE


@upstream.command(name="remove")
def upstream_remove(host: Host, *, common: Common = COMMON) -> int:
    """Copy nothing from a registry any more, and forget its password."""
    with common.client() as client:
        return out.outcome(client.supply.remove_upstream(host), json=common.json)


@upstream.command(name="test")
def upstream_test(host: Host, *, common: Common = COMMON) -> int:
    """See whether a registry answers and takes the password.

    Exit code 6 when it does not.
    """
    with common.client() as client:
        found = client.supply.test_upstream(host)
    if common.json:
        out.show_json(found)
    else:
        out.console.print(out.status("good", f"{host} answers") if found.answered else out.status("bad", f"{host}: {found.why}"))
    return out.DONE if found.answered else out.ENDED_BADLY


# --- mirrors ----------------------------------------------------------------------------------------------------------------


@mirror.command(name="list")
def mirror_list(*, common: Common = COMMON) -> int:
    """Copies of other registries' images, and whether their tags have moved since."""
    with common.client() as client:
        found = client.supply.mirrors()
    return _mirrors(found, "None yet: publishing a release copies what it names", json=common.json)


@mirror.command(name="check")
def mirror_check(
    source: Annotated[str, Parameter(help="One image, such as ghcr.io/x/y:2; all of them unless it is named.")] = "", *, common: Common = COMMON
) -> int:
    """Look again whether tags have moved; nothing is followed.

    Exit code 6 when one has moved, is gone, or cannot be asked.
    """
    with common.client() as client:
        found = client.supply.check_mirrors(source)
    _mirrors(found, "There is nothing to look at", json=common.json)
    return out.ENDED_BADLY if any(x.moved_ms or x.gone_ms or x.unreachable_ms for x in found) else out.DONE


@mirror.command(name="forget")
def mirror_forget(source: Annotated[str, Parameter(help="The image, such as ghcr.io/x/y:2.")], *, common: Common = COMMON) -> int:
    """Look at a mirror no more; its image stays while something needs it."""
    with common.client() as client:
        found = next((x.id for x in client.supply.mirrors() if source in (x.source, x.id)), "")
        if not found:
            raise Usage(f"there is no mirror of {source}; `penstock mirror list` shows those there are")
        return out.outcome(client.supply.forget_mirror(found), json=common.json)


def _mirrors(found: tuple[s.Mirror, ...], empty: str, *, json: bool) -> int:
    rows = ((x.source, x.digest[7:19] or "-", _size(x.bytes), out.ago(x.checked_ms), said_of(x)) for x in found)
    return out.listing(found, ("image", "here", "size", "looked at", "state"), rows, empty, json=json)


def said_of(found: s.Mirror) -> str:
    """How a mirror stands, in a sentence."""
    pinned = (
        f" {', '.join(found.releases)} {'pins' if len(found.releases) == 1 else 'pin'} the old one; publish a new release to take it." if found.releases else ""
    )
    if found.state == "failed":
        return f"The copy failed: {found.why}"
    if found.state == "waiting":
        return "Waits to be copied"
    if found.state == "copying":
        return f"Is copied: {_size(found.done)} of {_size(found.total)}"
    if found.unreachable_ms:
        return f"Cannot be asked since {out.at(found.unreachable_ms)}: {found.unreachable_why}"
    if found.gone_ms:
        return f"No longer there since {out.at(found.gone_ms)}; the copy here stays"
    if found.moved_ms:
        return f"Moved from {found.upstream} to {found.seen}, seen {out.at(found.moved_ms)}.{pinned}"
    along = f", with {out.number(found.attached, 'document')} attached to it" if found.attached else ""
    return f"As it was copied{along}{f'; {found.attached_why}' if found.attached_why else ''}"


def _size(many: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if many >= size:
            return f"{many / size:.1f} {unit}"
    return f"{many} B" if many else "-"


# --- finding ----------------------------------------------------------------------------------------------------------------


def find(
    *,
    digest: Annotated[str, Parameter(help="Of an image, a manifest, a config or a layer: sha256:...")] = "",
    package: Annotated[str, Parameter(help='Such as openssl, "openssl <3.0.11", "pypi:flask >=2, <2.3", or a package URL.')] = "",
    cve: Annotated[str, Parameter(help="A vulnerability of an imported list, by its id or an alias.")] = "",
    common: Common = COMMON,
) -> int:
    """Which devices run a digest, a package, or what a vulnerability affects.

    Exit code 6 when a device does.
    """
    if sum(map(bool, (digest, package, cve))) != 1:
        raise Usage("name one of --digest, --package and --cve")
    with common.client() as client:
        found = client.supply.find(digest, package, cve)
    if common.json:
        out.show_json(found)
        return out.ENDED_BADLY if found.devices else out.DONE
    for entry in found.vulnerabilities:
        out.say(f"{entry.id} ({', '.join(name for name in entry.names if name != entry.id) or 'no other name'}): {entry.summary or 'no summary'}")
    rows = (
        (x.name, x.site, f"{x.place.app} {x.place.version}", x.place.image, _what(x.place.found), x.place.found.fixed or "-", _verdict(x.place.found))
        for x in found.hits
    )
    out.table(("device", "site", "runs", "image", "package", "fixed in", "verdict"), rows, "No device that you may see says it runs it.")
    idle = sorted({f"{x.app} {x.version}" for x in found.places} - {f"{x.place.app} {x.place.version}" for x in found.hits})
    if idle:
        out.say(f"Releases that have it and run nowhere: {', '.join(idle)}")
    unsure = f"; of {out.number(found.unknown, 'device')} it cannot be told" if found.unknown else ""
    out.say(f"{out.number(found.devices, 'device')}{unsure}.")
    if not digest:
        out.aside(f"{found.indexed} of {out.number(found.images, 'image')} have a list of packages; what has none is not found.")
    return out.ENDED_BADLY if found.devices else out.DONE


def _what(found: s.FoundPackage) -> str:
    return f"{found.name} {found.version} ({found.ecosystem})" if found.name else "the digest"


def _verdict(found: s.FoundPackage) -> str:
    return f"cannot be told: {found.why}" if found.verdict == "unknown" else found.vulnerability or "runs it"


# --- vulnerabilities --------------------------------------------------------------------------------------------------------


@vulnerability.command(name="list")
def vulnerability_list(*, common: Common = COMMON) -> int:
    """The lists there are."""
    with common.client() as client:
        found = client.supply.lists()
    rows = ((x.name, x.entries, out.ago(x.imported_ms)) for x in found)
    return out.listing(found, ("list", "entries", "imported"), rows, "None yet: penstock vulnerability import all.zip --name debian", json=common.json)


@vulnerability.command(name="import")
def vulnerability_import(
    file: Annotated[Path, Parameter(help="OSV: one JSON entry, an array of them, or a zip of such files. Or CSV.")],
    *,
    name: Annotated[str, Parameter(help="What the list is called here.")],
    common: Common = COMMON,
) -> int:
    """Take in a list of vulnerabilities; entries that are known are replaced.

    A long list goes in parts, each taken in whole. Broken off, it is simply imported again.
    """
    kept = withdrawn = 0
    with common.client() as client:
        for kind, text in _parts(file):
            done = client.supply.import_list(s.VulnerabilityImport(name=name, format="csv" if kind == "csv" else "osv", text=text))
            kept, withdrawn = kept + done.kept, withdrawn + done.withdrawn
    if common.json:
        out.show_json(s.VulnerabilitiesImported(kept=kept, withdrawn=withdrawn))
    else:
        gone = f", {withdrawn} withdrawn" if withdrawn else ""
        out.say(f"{name}: {kept} {'entry' if kept == 1 else 'entries'} taken in{gone}. Ask with: penstock find --cve CVE-...")
    return out.DONE


def _parts(file: Path) -> Iterator[tuple[str, str]]:
    """A file's entries in parts of about PART characters: (format, text) each. Raises Usage."""
    if file.suffix.lower() == ".csv":
        yield "csv", text_of(file)
        return
    part: list[str] = []
    size = 0
    for where, entry in _entries(file):
        text = plain_json.dumps(entry, separators=(",", ":"))
        if len(text) > MOST_ENTRY:
            raise Usage(f"{where} has {len(text)} characters, more than the {MOST_ENTRY} allowed for one entry; take it out")
        if part and size + len(text) > PART:
            yield "osv", f"[{','.join(part)}]"
            part, size = [], 0
        part.append(text)
        size += len(text) + 1
    if part:
        yield "osv", f"[{','.join(part)}]"


def _entries(file: Path) -> Iterator[tuple[str, object]]:
    if not zipfile.is_zipfile(file):
        yield from _of_text(str(file), text_of(file))
        return
    with zipfile.ZipFile(file) as archive:
        for item in archive.infolist():
            if item.is_dir() or not item.filename.endswith(".json"):
                continue
            if item.file_size > MOST_FILE:
                raise Usage(f"{item.filename} in {file} has {item.file_size} bytes, more than the {MOST_FILE} allowed")
            with archive.open(item) as opened:
                yield from _of_text(f"{item.filename} in {file}", opened.read(MOST_FILE).decode("utf-8", "replace"))


def _of_text(where: str, text: str) -> Iterator[tuple[str, object]]:
    try:
        plain = plain_json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise Usage(f"{where} is no JSON: {fault}") from None
    for entry in plain if isinstance(plain, list) else [plain]:
        yield where, entry


@vulnerability.command(name="remove")
def vulnerability_remove(name: Annotated[str, Parameter(help="The list.")], *, common: Common = COMMON) -> int:
    """Forget a list and all its entries."""
    with common.client() as client:
        return out.outcome(client.supply.remove_list(name), json=common.json)
