"""The plane's settings: what is not set follows how the plane is started, and the fleet is told of it."""

from __future__ import annotations

from pathlib import Path

from penstock.server.actions import settings, states
from penstock.wire.messages import Endpoint
from tests.server.planes import ADDRESS, ADMIN, make_plane

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def change(plane, **given):
    found = settings.get_settings(plane, ADMIN)
    return settings.change_settings(plane, ADMIN, revision=found.revision, **given)


def test_addresses_that_were_never_set_follow_how_the_plane_is_started(tmp_path: Path):
    plane = make_plane(tmp_path, authorities=(PEM,))
    change(plane, poll_s=10)
    assert change(plane, poll_s=20).endpoints == (Endpoint(ADDRESS, (PEM,)),)
    plane.db.close()
    moved = make_plane(tmp_path, addresses=("https://10.0.0.2:8443",))
    found = settings.get_settings(moved, ADMIN)
    assert (found.poll_s, found.endpoints) == (20, (Endpoint("https://10.0.0.2:8443"),))
    set_by_hand = (Endpoint("https://plane.example.com"),)
    change(moved, endpoints=set_by_hand)
    assert change(moved, poll_s=30).endpoints == set_by_hand
    assert change(moved, endpoints=()).endpoints == found.endpoints
    moved.db.close()


def test_the_fleet_is_told_once_when_the_plane_starts_elsewhere(tmp_path: Path, monkeypatch):
    told = []
    monkeypatch.setattr(settings, "owe", lambda plane, tx, devices: told.append(plane.addresses))
    plane = make_plane(tmp_path)
    assert settings.announce(plane)
    assert not settings.announce(plane)
    plane.db.close()
    assert told == []
    moved = make_plane(tmp_path, addresses=("https://10.0.0.2:8443",))
    assert settings.announce(moved)
    assert not settings.announce(moved)
    assert told == [("https://10.0.0.2:8443",)]
    assert states.pay(moved) == 0
    moved.db.close()
