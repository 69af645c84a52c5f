"""What the streams tell to whom: acts to programs, "something changed" to pages; of the other half nothing."""

from __future__ import annotations

import pytest

from penstock.server.actions import commands, joins
from tests.front.halves import World
from tests.server.planes import ADMIN


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("halves"))
    yield made
    made.close()


def asker(world, label):
    return next(one for one in world.askers if one.label == label)


def act_on_both(world):
    """Something in basalt, then something in amber."""

    def act():
        for half in (world.basalt, world.amber):
            commands.order(world.plane, ADMIN, device=half.ids["device"], verb="refresh", reason=f"{half.name} asked")
            joins.create_join(world.plane, ADMIN, site=half.ids["site"], title=f"{half.name} line again")

    return act


WHO = ["administrator on amber's site", "auditor on amber's site"]


@pytest.mark.parametrize("label", WHO)
def test_programs_hear_of_the_acts_they_may_see(world, label):
    heard = world.listen(asker(world, label), "/api/v1/events", act_on_both(world), "amber line again")
    assert "amber asked" in heard
    assert "basalt" not in heard
    assert not any(word in heard for word in world.basalt.words())


def test_who_may_see_both_hears_of_both(world):
    heard = world.listen(asker(world, "auditor on the fleet"), "/api/v1/events", act_on_both(world), "amber line again")
    assert "basalt asked" in heard


def test_from_the_beginning_too(world):
    """Resuming after a number shows what is past, of one's own half only."""
    heard = world.listen(asker(world, WHO[0]), "/api/v1/events?after=0", act_on_both(world), "amber line again")
    assert "amber-press" in heard
    assert not any(word in heard for word in world.basalt.words())


def pages(topics):
    """What a page listens to."""
    return "/live?" + "&".join(f"topic={topic}" for topic in topics.split())


def programs(topics):
    """What a program listens to."""
    return "/api/v1/changes?topics=" + ",".join(topics.split())


@pytest.mark.parametrize("heard_by", [pages, programs])
@pytest.mark.parametrize("topics", ["events", "fleet enrolments deployments events"])
def test_who_listens_is_told_of_what_he_may_see(world, topics, heard_by):
    heard = world.listen(asker(world, WHO[0]), heard_by(topics), act_on_both(world), world.amber.ids["device"])
    assert not any(word in heard for word in world.basalt.words())
    both = world.listen(asker(world, "administrator on the fleet"), heard_by(topics), act_on_both(world), world.amber.ids["device"])
    assert world.basalt.ids["device"] in both


@pytest.mark.parametrize("heard_by", [pages, programs])
def test_a_device_one_may_not_see_cannot_be_listened_to(world, heard_by):
    one = asker(world, WHO[0])
    theirs = world.ask(one, "GET", heard_by(f"device/{world.basalt.ids['device']}"))
    nowhere = world.ask(one, "GET", heard_by("device/dev_nothing"))
    assert theirs.status == nowhere.status == 404
    assert theirs.text.replace(world.basalt.ids["device"], "X") == nowhere.text.replace("dev_nothing", "X")
    assert world.ask(asker(world, "nothing"), "GET", heard_by("fleet")).status == 403
