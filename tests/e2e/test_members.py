"""Who belongs to the fleet: refused, replaced, cloned and rolled-back devices, by real agents."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3

from tests.e2e.elsewhere import NoEngine, settle
from tests.e2e.house import AgentProcess, House, Refused, eventually
from tests.e2e.recipes import release
from tests.engines import Engine

NOBODY: object = NoEngine()


def newcomer(home: House, name: str) -> AgentProcess:
    return home.agent(NOBODY, name, enrol=False, start=False)  # type: ignore[arg-type]


def waiting(home: House, name: str) -> dict[str, str]:
    """The one of that name in the waiting room."""
    rooms = eventually(lambda: [one for one in home.plane.call("GET", "/enrolments")["items"] if one["name"] == name], bool, 30, what=f"{name} waits")
    return rooms[0]


def all_told(agent: AgentProcess) -> bool:
    """The agent is up, and the plane has acknowledged all of its log."""
    log = agent.status().get("log")
    return bool(log and log["acknowledged"] == log["newest"])


def test_who_is_not_let_in(home: House) -> None:
    """Rejected, with a token that is revoked, expired, used up or unknown: each is told why, and nothing is kept that would let it in."""
    plane = home.plane
    unwanted = newcomer(home, "unwanted")
    join = home.join(auto_approve=False)
    asking = unwanted.enroll(join, "unwanted")
    plane.call("POST", f"/enrolments/{waiting(home, 'unwanted')['id']}/reject", {"reason": "not one of ours"})
    said, _ = asking.communicate(timeout=60)
    assert asking.returncode == 1
    assert "not one of ours" in said
    assert unwanted.cli("status", check=False).returncode == 4

    guest = newcomer(home, "guest")
    for words, spoil in (("has been used as often", ""), ("has been revoked", "revoked_ms"), ("has expired", "expires_ms")):
        join = home.join()
        if spoil:
            with contextlib.closing(sqlite3.connect(plane.data / "plane.db", timeout=30)) as db:  # nobody wants to wait for a minute here
                db.execute(f"update join_tokens set {spoil} = 1 where created_ms = (select max(created_ms) from join_tokens)")
                db.commit()
        else:
            first = newcomer(home, "first")
            assert first.enroll(join, "first").wait(60) == 0
        refused = guest.cli("enroll", join, "--name", "guest", "--no-wait", check=False)
        assert refused.returncode == 1
        assert words in refused.stderr, refused.stderr
    with_another_root = home.join()
    forged = newcomer(home, "forged")
    assert forged.cli("enroll", with_another_root[:-8] + "AAAAAAAA", "--name", "forged", "--no-wait", check=False).returncode == 1
    assert not [one for one in plane.call("GET", "/devices")["items"] if one["name"] in ("unwanted", "guest", "forged")]


def test_replaced_hardware_needs_a_person_and_ends_the_old_key_at_once(home: House) -> None:
    plane = home.plane
    old = home.agent(NOBODY, "slot-1")  # type: ignore[arg-type]
    settle(old, lambda: bool(old.status().get("link", {}).get("ok")), "the old one is connected")
    device = plane.device("slot-1")["summary"]["id"]
    new = AgentProcess(home.folder / "agent-slot-1-new", old.engine, home.agent_program)
    home.agents.append(new)
    asking = new.enroll(home.join(), "slot-1", "--replaces")
    room = waiting(home, "slot-1")
    assert "take the place" in room["why"]
    try:
        plane.call("POST", f"/enrolments/{room['id']}/approve", {"fingerprint": room["fingerprint"]})
        raise AssertionError("it was let in without a word about replacing")
    except Refused as refused:
        assert (refused.status, refused.problem["code"]) == (409, "needs-replace")
    assert old.status()["link"]["ok"]
    plane.call("POST", f"/enrolments/{room['id']}/approve", {"fingerprint": room["fingerprint"], "replace": True})
    said, _ = asking.communicate(timeout=60)
    assert asking.returncode == 0, said
    settle(old, lambda: not old.status()["link"]["ok"], "the old key is dead")
    new.start()
    settle(new, lambda: bool(new.status().get("link", {}).get("ok")), "the new one is connected")
    assert plane.device("slot-1")["summary"]["id"] == device
    assert plane.device("slot-1")["fingerprint"] == room["fingerprint"]
    assert not old.status()["link"]["ok"]
    old.stop()
    assert old.cli("status").returncode == 0, "it forgets nothing"


def test_a_copy_of_a_disk_is_seen_while_neither_has_anything_to_say(home: House) -> None:
    original = home.agent(NOBODY, "quiet")  # type: ignore[arg-type]
    settle(original, lambda: all_told(original), "the original has reported")
    copy = AgentProcess(home.folder / "agent-quiet-copy", NoEngine(), home.agent_program)  # type: ignore[arg-type]
    home.agents.append(copy)
    shutil.copytree(original.data, copy.data, ignore=shutil.ignore_patterns("run"))
    copy.start()

    def apart() -> bool:
        return bool(home.plane.device("quiet")["summary"]["state"] == "quarantined")

    # Whose word comes first goes on from what the original said; with the other's the fork is seen. On a busy machine that may be the copy's.
    settle(copy, lambda: all_told(copy) or apart(), "what the copy says goes on from what the original said")
    settle(original, apart, "the original asks, and the fork is seen")
    for one in (original, copy):
        settle(one, lambda one=one: bool(one.status().get("quarantined")), "it knows that it is set apart")  # type: ignore[misc]


def test_a_cloned_disk_and_a_rolled_back_one_are_set_apart(home: House, box: Engine) -> None:
    """Two machines with one identity, and one machine with an older disk: no change there until a person has decided."""
    plane = home.plane
    release(home, "1", app="twin", soak=1)
    release(home, "2", app="twin", soak=1)
    agent = home.agent(box, "twin-1")
    deployment = plane.deploy("twin:1", ["twin-1"])["id"]
    plane.wait_app("twin-1", "twin", "1")
    before = box.inspect("twin-writer-1")

    agent.stop()
    copy = home.folder / "copy"
    shutil.copytree(agent.data, copy, ignore=shutil.ignore_patterns("run"))
    clone = AgentProcess(home.folder / "agent-twin-clone", NoEngine(), home.agent_program)  # type: ignore[arg-type]
    home.agents.append(clone)
    shutil.copytree(copy, clone.data)
    agent.start()
    settle(agent, lambda: all_told(agent), "the original has reported")
    clone.start()
    settle(clone, lambda: plane.device("twin-1")["summary"]["state"] == "quarantined", "the fork is seen")
    plane.redeploy(deployment, release="twin:2")
    settle(agent, lambda: bool(agent.status().get("quarantined")), "the original knows that it is set apart")
    assert plane.device("twin-1")["apps"][0]["wanted_version"] == "2"
    assert "set this device apart" in str(agent.status()["alarms"])
    held = box.inspect("twin-writer-1")
    assert (held["Id"], held["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"]), "something was changed all the same"
    clone.kill()
    plane.change("/devices/twin-1", {"reason": "the clone is scrapped"}, "POST", "/release-quarantine")
    settle(agent, lambda: agent.app("twin").get("version") == "2" and agent.app("twin")["phase"] == "soaked", "it goes on")
    assert plane.device("twin-1")["summary"]["state"] == "active"
    settle(agent, lambda: agent.status().get("quarantined") == "", "it knows that it was taken back")

    # The disk of before comes back: what was acknowledged since is not on it.
    settled = box.inspect("twin-writer-1")
    agent.stop()
    shutil.rmtree(agent.data)
    shutil.copytree(copy, agent.data)
    agent.start()
    settle(agent, lambda: plane.device("twin-1")["summary"]["state"] == "quarantined", "the rolled-back log is seen")
    assert box.inspect("twin-writer-1")["Id"] == settled["Id"], "what runs was touched"
    plane.change("/devices/twin-1", {"reason": "restored from last week's image"}, "POST", "/release-quarantine")
    settle(agent, lambda: plane.device("twin-1")["summary"]["state"] == "active" and agent.status().get("quarantined") == "", "it goes on")
    # The engine was not set back with it: what this ledger has never heard of is not its own to touch, whatever labels it bears.
    settle(agent, lambda: "not Penstock's" in str(agent.app("twin").get("why")), "it says what is in its way")
    assert box.inspect("twin-writer-1")["Id"] == settled["Id"]
    verbs = [one["title"] for one in plane.timeline("twin-1") if one["source"] == "plane"]
    assert [verb for verb in verbs if verb in ("device.quarantined", "device.released")] == ["device.quarantined", "device.released"] * 2
