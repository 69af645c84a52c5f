"""The local commands: what a person beside the machine types, link or no link.

Owns the words, the help, the exit statuses and the asking; what is answered comes from the running agent over its control socket, or,
where it does not run, from what it last wrote down. Never imported by the resident process.

Exit statuses: 0 done, 1 refused or failed, 2 wrong words, 3 the agent is not running, 4 not enrolled.
"""

from __future__ import annotations

import json
import os
import sys
import time

from penstock import __version__
from penstock.agent import shown
from penstock.agent.arguments import UsageError, read
from penstock.agent.control import NotRunning, ask
from penstock.agent.places import DEFAULT, PlaceError, Places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from penstock.agent.arguments import Given

DONE, FAILED, USAGE, STOPPED, NOT_ENROLLED = 0, 1, 2, 3, 4
FOLLOW_S = 1.0
PAGE = 200  # entries of the log asked for at once

OVERVIEW = """\
penstock-agent: the agent of Penstock on this device

usage: penstock-agent COMMAND [options]

  enroll 'pst-join:...'   ask to be let into a fleet; the control plane shows the line to copy
  run                     run the agent (what the system service does)
  status                  what runs here, and how it stands
  why [APP]               why it is so: every wait and refusal as a sentence
  revert APP              go back to the last release that proved itself here
  retry APP               let a release that failed here be tried again
  people                  the local people of this site, and what each may do here
  log                     what happened here, newest last
  poll                    ask the control plane now
  uninstall               take the agent off this device; containers run on
  version                 the agent's version

every command: --help, --data-dir FOLDER (default /var/lib/penstock-agent), --json
exit status: 0 done, 1 refused or failed, 2 wrong words, 3 the agent is not running, 4 not enrolled
"""

HELP = {
    "enroll": """\
usage: penstock-agent enroll ['pst-join:...'] [options]

Makes this device's two keys, asks the control plane to let it in, and waits until a person there has approved it (or the join
string does that by itself). Compare the fingerprint shown here with the one on the control plane. May be interrupted at any time:
the same command without a join string goes on with the same asking. With - the join string is read from standard input.

  --name NAME       the device's name in the fleet (default: the host name)
  --replaces        this machine takes the place of the device of that name; needs approval, and ends the old one's key
  --ca-file FILE    certificates (PEM) to trust besides the join string's, for a proxy that opens TLS; may be repeated
  --proxy URL       the HTTP proxy on the way, http://[user:password@]host:port (default: HTTPS_PROXY and NO_PROXY)
  --no-wait         ask once and end; exit status 1 while the device waits for approval
  --timeout SECONDS give up waiting after this time
""",
    "run": """\
usage: penstock-agent run [options]

Runs the agent until it is stopped (SIGTERM). SIGHUP makes it poll at once.

  --engine SOCKET   the container engine (default: the first of /run/docker.sock, /var/run/docker.sock, /run/podman/podman.sock;
                    or PENSTOCK_ENGINE)
  --sparing         end between polls; stay while a change is under way or soaking. For a timer of the system
  --join STRING     enrol first where this device is not enrolled (or PENSTOCK_JOIN); --name NAME names it

An agent in a container sees device nodes of its own, so it tells of none. Where it is shown the device's (-v /dev:/host/dev:ro), the
environment variable PENSTOCK_DEV says where (/host/dev).
""",
    "status": "usage: penstock-agent status [--json]\n\nWhat runs on this device and how it stands. Answers from what was last written down when the agent does not run.\n",
    "why": "usage: penstock-agent why [APP] [--json]\n\nWhy things are as they are, one sentence after the other: what is waited for, what was refused, what would be needed.\n",
    "revert": """\
usage: penstock-agent revert APP [options]

Goes back to the newest release of the app that proved itself on this device, data included where its volumes are kept as snapshots.
Works without the control plane. The app then stays there until the control plane agrees.

Where the site has local people, one of them says so with the personal PIN, which is asked for without showing it (or read as one line from
standard input where that is no terminal). Where it has none, root does it under the name of its user.

  --as NAME         the local person who asks
  --without-pin     root goes on without a PIN; on record here and at the control plane. Needs --reason
  --reason TEXT     why, for the record
  --yes             do not ask first
""",
    "retry": """\
usage: penstock-agent retry APP [options]

Lets a release that failed or was taken back here be tried again. It still needs its leave from the control plane.

  --as NAME, --without-pin, --reason TEXT    who lets it, as with: penstock-agent revert --help
""",
    "people": """\
usage: penstock-agent people [--json]

The local people of this site: who may go back here, and who may let something be tried again. Known by their PIN, without the control plane.
""",
    "log": """\
usage: penstock-agent log [-n COUNT] [--follow] [--json]

The newest entries of the device log, newest last.

  -n COUNT          how many (default 20)
  --follow, -f      go on showing new ones until interrupted
""",
    "poll": "usage: penstock-agent poll\n\nAsks the control plane now instead of at the next poll.\n",
    "uninstall": """\
usage: penstock-agent uninstall [--purge-data] [--yes]

Ends this device's membership as far as this machine is concerned. Containers, volumes and networks stay as they are and go on running.
The agent must be stopped first. Retire the device on the control plane as well, so that its key is dead there.

  --purge-data      remove keys, ledger, device log and stored images too; the device then has to enrol anew
  --yes             do not ask first
""",
    "version": "usage: penstock-agent version\n",
}


class Failure(Exception):
    """A command cannot go on."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


def command(arguments: Sequence[str]) -> int:
    """Carry out one command; the exit status."""
    words = [word for word in arguments if word not in ("-h", "--help")]
    name = words[0] if words else "help"
    if name in ("help", "--version", "-V"):
        topic = words[1] if len(words) > 1 else ""
        print(__version__ if name != "help" else HELP.get(topic, OVERVIEW).rstrip())
        return DONE
    handler = COMMANDS.get(name)
    if handler is None:
        print(f"penstock-agent: there is no command {name!r}; see: penstock-agent help", file=sys.stderr)
        return USAGE
    if len(words) != len(arguments):
        print(HELP[name].rstrip())
        return DONE
    try:
        return handler(words[1:])
    except UsageError as fault:
        print(f"penstock-agent {name}: {fault.why}; see: penstock-agent {name} --help", file=sys.stderr)
        return USAGE
    except Failure as fault:
        print(f"penstock-agent {name}: {fault.why}", file=sys.stderr)
        return fault.status
    except (PlaceError, NotRunning) as fault:
        print(f"penstock-agent {name}: {fault.why}", file=sys.stderr)
        return STOPPED if isinstance(fault, NotRunning) else FAILED
    except PermissionError as fault:
        print(f"penstock-agent {name}: {fault.filename} is closed to this user; run as root", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever read along has gone (`| head`)
        return DONE


def _given(arguments: Sequence[str], takes: dict[str, bool], words: tuple[int, int] = (0, 0), aliases: dict[str, str] | None = None) -> tuple[Given, Places]:
    given = read(arguments, {"--data-dir": True, "--json": False, **takes}, words, aliases)
    return given, Places(given.values.get("--data-dir") or os.environ.get("PENSTOCK_DATA_DIR") or DEFAULT)


def _ask(places: Places, **request: Any) -> dict[str, Any]:
    """Ask the running agent; its data with `why`. A refusal is a Failure; so is an agent that does not run."""
    try:
        reply = ask(places.control, request)
    except NotRunning as fault:
        raise Failure(*_stopped(places, fault)) from None
    if not reply.ok:
        raise Failure(FAILED, reply.why)
    return {"why": reply.why, **reply.data}


def _stopped(places: Places, fault: NotRunning) -> tuple[int, str]:
    """Not running, and perhaps not enrolled either, which is then the thing to say."""
    from penstock.agent import identity, stone

    grave = stone.read(places)
    if grave is not None:
        return NOT_ENROLLED, f"{grave.why()}. To let it into a fleet again: penstock-agent enroll 'pst-join:...'"
    if not places.exists():
        return NOT_ENROLLED, f"no agent has been set up here ({places.data} does not exist); enrol it with: penstock-agent enroll 'pst-join:...'"
    if identity.read_member(places) is None:
        return NOT_ENROLLED, "this device is not enrolled yet; enrol it with: penstock-agent enroll 'pst-join:...'"
    return STOPPED, fault.why


def _show(given: Given, data: dict[str, Any], lines: Callable[[dict[str, Any]], list[str]]) -> int:
    if "--json" in given.switches:
        print(json.dumps(data, indent=2, sort_keys=True))
    else:
        print("\n".join(lines(data)))
    return DONE


def _sure(given: Given, question: str) -> None:
    if "--yes" in given.switches:
        return
    if not sys.stdin.isatty():
        raise Failure(USAGE, f"{question} Say so with --yes")
    print(f"{question} [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Failure(FAILED, "nothing was done")


# --- commands -----------------------------------------------------------------------------------------------------------


def _enroll(arguments: Sequence[str]) -> int:
    from penstock.agent import enrol, identity, stone
    from penstock.agent.facts import default_name
    from penstock.wire.join import MAX_JOIN

    takes = {"--name": True, "--site": True, "--replaces": False, "--ca-file": True, "--proxy": True, "--no-wait": False, "--timeout": True}
    given, places = _given(arguments, takes, (0, 1))
    if "--site" in given.values:
        print("--site is not needed: the join string is bound to its site, and that counts", file=sys.stderr)
    member = identity.read_member(places) if places.exists() else None
    if member is not None:
        raise Failure(FAILED, f"this device is enrolled already, as {member.admission.name}; to enrol anew: penstock-agent uninstall --purge-data")
    try:
        if given.words:
            if stone.lift(places):
                print("this machine was retired before; it asks anew, with new keys", file=sys.stderr)
            ca = tuple(_certificates(path) for path in given.lists.get("--ca-file", ()))
            name = given.values.get("--name") or default_name(os.uname().nodename)
            join = sys.stdin.read(MAX_JOIN + 1) if given.words[0] == "-" else given.words[0]
            pending = enrol.prepare(places, join, name, replaces="--replaces" in given.switches, ca=ca, proxy=given.values.get("--proxy", ""))
        else:
            found = identity.read_pending(places) if places.exists() else None
            if found is None:
                raise UsageError("give the join string that the control plane shows, in quotes")
            pending = found
        standing = _wait(enrol, places, pending, given)
    except enrol.EnrolError as fault:
        raise Failure(FAILED, fault.why) from None
    if standing.status != "approved":
        return FAILED
    print(f"enrolled as {standing.name} ({standing.device}) at site {standing.site}")
    print("start the agent with: systemctl enable --now penstock-agent (or: penstock-agent run)")
    return DONE


def _wait(enrol: Any, places: Places, pending: Any, given: Given) -> Any:
    shown_before: list[str] = []

    def tell(heard: Any) -> None:
        if isinstance(heard, enrol.EnrolError):
            line = f"not reached yet, trying again: {heard.why}"
        elif heard.status == "waiting":
            line = f"waiting for approval of {pending.name}; compare the fingerprint on the control plane:\n\n    {heard.fingerprint}\n"
            line += f"\n{heard.why}" if heard.why else ""
        else:
            return
        if line not in shown_before:
            shown_before.append(line)
            print(line, flush=True)

    if "--no-wait" in given.switches:
        standing = enrol.ask(places, pending, dict(os.environ))
        tell(standing)
        return standing
    until = None
    if "--timeout" in given.values:
        until = time.monotonic() + _number("--timeout", given.values["--timeout"], 1, 10_000_000)
    return enrol.wait(places, pending, dict(os.environ), tell, until_s=until)


def _certificates(path: str) -> str:
    from penstock.wire.codec import WireError
    from penstock.wire.join import pem_fault

    try:
        with open(path, encoding="ascii") as source:
            pem = source.read(262_144)
        pem_fault(pem, path)
    except (OSError, UnicodeDecodeError, WireError) as fault:
        raise Failure(USAGE, f"{path} holds no certificates that can be read: {fault}") from None
    return pem


def _number(flag: str, text: str, least: int, most: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not least <= int(text) <= most:
        raise UsageError(f"{flag} takes a number from {least} to {most}, not {text!r}")
    return int(text)


def _status(arguments: Sequence[str]) -> int:
    given, places = _given(arguments, {})
    try:
        reply = ask(places.control, {"verb": "status"})
    except NotRunning as fault:
        return _show(given, _written_down(places, fault), shown.status)
    if not reply.ok:
        raise Failure(FAILED, reply.why)
    return _show(given, {"running": True, **reply.data}, shown.status)


def _written_down(places: Places, fault: NotRunning) -> dict[str, Any]:
    """The status of an agent that does not run, from its ledger."""
    from penstock.agent import identity
    from penstock.agent.disk import RealDisk
    from penstock.agent.ledger import Ledger
    from penstock.wire.trust import fingerprint

    status, why = _stopped(places, fault)
    if status == NOT_ENROLLED:
        pending = identity.read_pending(places) if places.exists() else None
        keys = identity.read_keys(places) if places.exists() else None
        if pending is not None and keys is not None:
            why = f"{pending.name} waits to be let in, fingerprint {fingerprint(keys.sign_public)}; go on asking with: penstock-agent enroll"
        raise Failure(status, why)
    member = identity.read_member(places)
    assert member is not None
    ledger = Ledger(RealDisk(places.data))
    book = ledger.book
    data: dict[str, Any] = {
        "running": False,
        "why": why,
        "name": member.admission.name,
        "device": member.admission.device,
        "site": (book.site if book else "") or member.admission.site,
    }
    apps = []
    for memory in book.apps if book is not None else ():
        release = ledger.release(memory.running)
        change = memory.change
        standing = (
            f"a change to {change.target_version or 'nothing'} is under way and goes on when the agent runs" if change is not None else "as last written down"
        )
        good = [one.version for one in memory.good if one.content != memory.running]
        back = {"ok": bool(good), "version": good[0] if good else ""}
        phase = change.stage if change is not None else ("settled" if memory.running else "removed")
        apps.append({"app": memory.app, "version": release.version if release is not None else "", "phase": phase, "why": standing, "way_back": back})
    if book is not None:
        data.update(epoch=book.epoch, generation=book.held.generation, quarantined=book.quarantined)
    return {**data, "apps": apps}


def _why(arguments: Sequence[str]) -> int:
    given, places = _given(arguments, {}, (0, 1))
    data = _ask(places, verb="why", app=given.words[0] if given.words else "")

    def lines(one: dict[str, Any]) -> list[str]:
        said = [f"alarm: {alarm}" for alarm in one.get("alarms", ())]
        for sentences in one.get("apps", {}).values():
            said += [str(sentences[0]), *(f"  {sentence}" for sentence in sentences[1:])]
        return said or [str(one["why"])]

    return _show(given, data, lines)


WHO = {"--as": True, "--without-pin": False, "--reason": True}


def _revert(arguments: Sequence[str]) -> int:
    given, places = _given(arguments, {"--yes": False, **WHO}, (1, 1))
    app = given.words[0]
    apps = {one["app"]: one for one in _ask(places, verb="status").get("apps", ())}
    back = apps.get(app, {}).get("way_back", {})
    aim = f"version {back['version']}" if back.get("version") else "the last release that proved itself"
    if app in apps:
        _sure(given, f"{app} goes back from {apps[app].get('version') or 'nothing'} to {aim}; its services stop meanwhile.")
    data = _ask(places, verb="revert", app=app, **_who(given, places, "revert"))
    return _show(given, data, lambda one: [one["why"]])


def _retry(arguments: Sequence[str]) -> int:
    given, places = _given(arguments, WHO, (1, 1))
    return _show(given, _ask(places, verb="retry", app=given.words[0], **_who(given, places, "let-go")), lambda one: [one["why"]])


def _who(given: Given, places: Places, right: str) -> dict[str, Any]:
    """Who asks, as the agent wants to be told: nothing where the site has no local people."""
    from penstock.agent.asking import AskError, proof_of

    reason = given.values.get("--reason", "")
    if "--without-pin" in given.switches:
        return {"without_pin": True, "reason": reason}
    people = list(_ask(places, verb="people").get("people", ()))
    if not people:
        if "--as" in given.values:
            raise Failure(USAGE, "this site has no local people, so nobody can be named with --as; root acts here under the name of its user")
        return {"reason": reason}
    try:
        person, proof = proof_of(people, given.values.get("--as", ""), right)
    except AskError as fault:
        raise Failure(FAILED, fault.why) from None
    return {"person": person, "proof": proof, "reason": reason}


def _people(arguments: Sequence[str]) -> int:
    given, places = _given(arguments, {})
    data = _ask(places, verb="people")

    def lines(one: dict[str, Any]) -> list[str]:
        said = []
        for person in one["people"]:
            may = " and ".join(words for right, words in (("revert", "go back"), ("let-go", "let something be tried again")) if right in person["may"])
            wait = f" (after wrong PINs: next try in {person['wait_s']} s)" if person["wait_s"] else ""
            said.append(f"{person['name']} may {may or 'nothing'}{wait}")
        return said or [str(one["why"])]

    return _show(given, data, lines)


def _poll(arguments: Sequence[str]) -> int:
    given, places = _given(arguments, {})
    return _show(given, _ask(places, verb="poll"), lambda one: [one["why"]])


def _log(arguments: Sequence[str]) -> int:
    given, places = _given(arguments, {"--count": True, "--follow": False}, (0, 0), {"-n": "--count", "-f": "--follow"})
    count = _number("-n", given.values.get("--count", "20"), 1, 10_000)
    try:
        reply = ask(places.control, {"verb": "log", "count": min(count, PAGE)})
    except NotRunning as fault:
        if "--follow" in given.switches:
            raise Failure(*_stopped(places, fault)) from None
        _entries(given, _written_log(places, count, fault))
        return DONE
    if not reply.ok:
        raise Failure(FAILED, reply.why)
    entries = list(reply.data.get("entries", ()))
    last = max(int(reply.data.get("newest", 0)) - count, 1)  # 0 would ask for the tail
    if count <= PAGE:
        _entries(given, entries)
        last = int(entries[-1]["seq"]) if entries else 0
    while True:
        entries = list(_ask(places, verb="log", count=PAGE, after=max(last, 1)).get("entries", ()))
        _entries(given, entries)
        if entries:
            last = int(entries[-1]["seq"])
        elif "--follow" not in given.switches:
            return DONE
        else:
            time.sleep(FOLLOW_S)


def _entries(given: Given, entries: list[Any]) -> None:
    for one in entries:
        print(json.dumps(one, sort_keys=True) if "--json" in given.switches else shown.entry(one), flush=True)


def _written_log(places: Places, count: int, fault: NotRunning) -> list[Any]:
    from penstock.agent.devicelog import DeviceLog
    from penstock.agent.disk import RealDisk
    from penstock.wire.codec import to_plain

    status, why = _stopped(places, fault)
    if status == NOT_ENROLLED:
        raise Failure(status, why)
    return [to_plain(entry) for entry in DeviceLog(RealDisk(places.data), 0, 0, "", 0).tail(count)]


def _uninstall(arguments: Sequence[str]) -> int:
    from penstock.agent.resident import lock

    given, places = _given(arguments, {"--purge-data": False, "--yes": False})
    if not places.exists():
        raise Failure(NOT_ENROLLED, f"no agent has been set up here ({places.data} does not exist); there is nothing to take away")
    held = lock(places)
    if held is None:
        raise Failure(FAILED, "the agent is running; stop it first with: systemctl disable --now penstock-agent")
    purge = "--purge-data" in given.switches
    what = (
        "Keys, ledger, device log and stored images of this agent are removed." if purge else "The agent's working files are removed; keys and device log stay."
    )
    _sure(given, f"{what} Containers, volumes and networks stay and run on.")
    from shutil import rmtree

    if purge:
        rmtree(places.data)
    else:
        for folder in (places.blobs, places.run):
            rmtree(folder, ignore_errors=True)
    print("done. Containers run on, without anybody who looks after them.")
    print("Retire the device on the control plane, and remove the program: apt remove penstock-agent (or as it was installed)")
    return DONE


def _version(arguments: Sequence[str]) -> int:
    given, _ = _given(arguments, {})
    data = {"version": __version__, "python": sys.version.split()[0]}
    return _show(given, data, lambda one: [one["version"]])


def _run(_: Sequence[str]) -> int:
    raise UsageError("`run` stands first on the line")


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "enroll": _enroll,
    "run": _run,
    "status": _status,
    "why": _why,
    "revert": _revert,
    "retry": _retry,
    "people": _people,
    "log": _log,
    "poll": _poll,
    "uninstall": _uninstall,
    "version": _version,
}
