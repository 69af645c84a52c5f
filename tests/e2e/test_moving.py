"""A plane that changes its address, its authority and its certificate, with a device away at the time; proxies that end TLS."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.elsewhere import Company, Front, NoEngine, Plane, addresses, settle
from tests.e2e.house import AgentProcess, House, free_port

NOBODY: object = NoEngine()


@pytest.fixture
def moving(tmp_path: Path, agent_program: list[str]) -> Iterator[House]:
    """A house without engine and images, whose plane can move."""
    house = House(tmp_path, None, agent_program)
    house.plane = Plane(tmp_path / "plane")
    try:
        house.open()
        yield house
    finally:
        house.close()


def current(plane: Plane, device: str) -> bool:
    """The plane has heard it just now, and it has taken what it is owed."""
    said = plane.device(device)
    return bool(said["summary"]["liveness"] == "current" and said["adopted_generation"] == said["owed_generation"])


def restart(plane: Plane) -> None:
    plane.stop()
    plane.start()


def heard(agent: AgentProcess) -> bool:
    """The last exchange went well, and not long ago."""
    link = agent.status().get("link", {})
    return bool(link.get("ok") and 0 <= link["last_ok_s_ago"] < 10)


def test_address_authority_and_certificate_change_with_a_device_away(moving: House, tmp_path: Path) -> None:
    plane = moving.plane
    assert isinstance(plane, Plane)
    here, away = (moving.agent(NOBODY, name) for name in ("here", "away"))  # type: ignore[arg-type]
    settle(here, lambda: current(plane, "here"), "here is current")
    settle(away, lambda: current(plane, "away"), "away is current")
    away.stop()
    first = plane.url

    # The successor of the authority is prepared, and the plane moves. At the old address somebody hands connections on.
    assert plane.server("authority", "--switch", "--data", str(plane.data), check=False).returncode == 1, "nothing is prepared yet"
    plane.server("authority", "--prepare", "--data", str(plane.data))
    plane.stop()
    before = plane.listens
    plane.move(free_port())
    overlap = Front(plane.listens, port=before)
    plane.start()
    settle(here, lambda: addresses(here) == [plane.url], "here has followed to the new address")
    settle(here, lambda: current(plane, "here"), "and says so")

    # The successor signs now.
    plane.server("authority", "--switch", "--data", str(plane.data))
    plane.ca.write_text(plane.server("authority", "--data", str(plane.data)).stdout)
    restart(plane)
    settle(here, lambda: heard(here) and current(plane, "here"), "here trusts the new authority")

    # An address that does not work strands nobody: the present one stays in use.
    good = plane.call("GET", "/settings")["endpoints"]
    plane.change("/settings", {"endpoints": [{"url": f"https://127.0.0.1:{free_port()}", "ca": good[0]["ca"]}]})
    settle(here, lambda: current(plane, "here") and "link.trial-failed" in here.tail(), "here has tried the wrong address")
    assert addresses(here) == [plane.url]

    # Who was away all the time knows only the old address and the old authority.
    company = Company(tmp_path / "company", int(time.time() * 1000))
    plane.change("/settings", {"endpoints": [{"url": plane.url, "ca": [*good[0]["ca"], company.ca]}]})
    assert addresses(away) == [first]
    away.start()
    settle(away, lambda: addresses(away) == [plane.url], "the one that was away has followed")
    overlap.close()
    settle(here, lambda: current(plane, "here"), "here has the company's authority too")

    # A certificate of one's own, by an authority that the signed state had named before.
    plane.settings.update(certificate=str(company.certificate), key=str(company.key), trust=str(company.trust))
    plane.ca.write_text(company.ca)
    restart(plane)
    for agent, name in ((here, "here"), (away, "away")):
        settle(agent, lambda agent=agent, name=name: heard(agent) and current(plane, name), f"{name} accepts the company's certificate")  # type: ignore[misc]
    away.stop()
    away.start()
    settle(away, lambda: heard(away), "and after a restart")
    assert [one["kind"] for one in plane.timeline("away") if one["kind"] in ("gap", "refusal")] == []


def test_a_proxy_in_front_ends_tls(tmp_path: Path, agent_program: list[str]) -> None:
    """The plane listens in clear on loopback; who trusts only the system is told so, and the proxy's authority comes by hand or in signed state."""
    company = Company(tmp_path / "company", int(time.time() * 1000))
    back = free_port()
    front = Front(back, context=company.context())
    house = House(tmp_path, None, agent_program)
    house.plane = plane = Plane(tmp_path / "plane", port=front.port, listens=back, tls="false", listen=f"127.0.0.1:{back}")
    try:
        plane.init()
        assert plane.ca.read_text().strip() == "", "it has no authority of its own to speak of"
        plane.ca.write_text(company.ca)
        plane.start()
        plane.mint_token()
        plane.call("POST", "/sites", {"name": "lab"})
        plane.change("/settings", {"poll_s": 5})
        agent = house.agent(NOBODY, "proxied", enrol=False, start=False)  # type: ignore[arg-type]
        join = house.join()
        refused = agent.cli("enroll", join, "--name", "proxied", "--no-wait", check=False)
        assert refused.returncode == 1
        assert "certificate" in refused.stderr + refused.stdout
        assert agent.cli("enroll", join, "--name", "proxied", "--ca-file", str(company.trust)).returncode == 0
        agent.start()
        settle(agent, lambda: current(plane, "proxied"), "it is current through the proxy")
        agent.stop()
        agent.start()
        settle(agent, lambda: heard(agent), "after a restart too, though signed state names no authority")
        plane.change("/settings", {"endpoints": [{"url": plane.url, "ca": [company.ca]}]})
        settle(agent, lambda: current(plane, "proxied") and heard(agent), "it takes the signed state that names the authority")
        assert addresses(agent) == [plane.url]
    finally:
        house.close()
        front.close()
