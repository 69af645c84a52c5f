"""Lists that the store cuts: the parts are the whole in order, each item once, whatever comes and goes between two parts; filters and rights hold in each."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import inspect

from penstock.server.actions import people, progress
from penstock.server.actions import releases as actions
from penstock.server.core.errors import Invalid
from penstock.server.core.model import PERSON, SERVICE, App, Deployment, DeploymentId, ReleaseId, ReleaseRow, Rollout, RolloutId, User, UserId
from penstock.server.store import deployments, releases, rollouts, users
from penstock.server.store.rows import row_of
from penstock.server.store.tables import releases as table
from tests.server.planes import ADMIN, make_plane
from tests.server.store.steps import at_step, moved

APPS = ("press", "oven", "a_b", "ab")


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    made = make_plane(tmp_path_factory.mktemp("pages"))

    def work(tx):
        for name in APPS:
            releases.put_app(tx, App(name, name, 1))

    made.db.update(work)
    yield made
    made.db.close()


def release(number: int, app: str, at: int, note: str = "") -> ReleaseRow:
    return ReleaseRow(ReleaseId(f"rel_{number:04}"), app, f"1.{number}", "d" * 64, "{}", "", at, "ci", note)


def walked(ask, between=lambda: None):
    """Every part of a list, one after the other."""
    found, cursor = [], ""
    for _ in range(200):
        page = ask(cursor)
        found += page.items
        cursor = page.next
        if not cursor:
            return found
        between()
    raise AssertionError("it never ends")


ROWS = st.lists(st.tuples(st.sampled_from(APPS), st.integers(0, 3), st.sampled_from(("", "Nightly", "100%", "fix_it"))), max_size=25)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS, st.integers(1, 6), st.sampled_from(("newest", "app")), st.sampled_from(("", *APPS)), st.sampled_from(("", "night", "%", "_", "1.1", "oven")))
def test_releases_in_parts_are_the_whole_in_order(plane, rows, limit, sort, app, text):
    made = [release(number, *row) for number, row in enumerate(rows)]

    def fill(tx):
        tx.run(table.delete())
        tx.insert(table, [row_of(one) for one in made])

    plane.db.update(fill)
    wanted = [one for one in made if app in ("", one.app) and any(text in part.lower() for part in (one.app, one.version, one.note))]
    wanted.sort(key=lambda one: (one.published_ms, one.id) if sort == "newest" else (one.app, one.id), reverse=sort == "newest")
    found = walked(lambda cursor: actions.list_releases(plane, ADMIN, app=app, text=text, sort=sort, cursor=cursor, limit=limit))
    assert [one.id for one in found] == [one.id for one in wanted]
    assert actions.count_releases(plane, ADMIN) == len(made)


def test_what_is_published_meanwhile_moves_nothing_and_a_cursor_is_for_its_own_order(plane):
    def fill(tx):
        tx.run(table.delete())
        tx.insert(table, [row_of(release(number, "press", number)) for number in range(10)])

    plane.db.update(fill)
    fresh = iter(range(100, 200))
    found = walked(
        lambda cursor: actions.list_releases(plane, ADMIN, cursor=cursor, limit=3),
        lambda: plane.db.update(lambda tx: releases.add(tx, release(number := next(fresh), "press", number))),
    )
    assert [one.published_ms for one in found] == list(range(9, -1, -1))
    cursor = actions.list_releases(plane, ADMIN, limit=3).next
    with pytest.raises(Invalid):
        actions.list_releases(plane, ADMIN, sort="app", cursor=cursor)


def test_rollouts_of_years_are_all_to_be_had(plane):
    def fill(tx):
        deployments.add(tx, Deployment(DeploymentId("dpl_1"), "line", "press", "standing", 1, 1))
        for number in range(130):  # two at a time: the ids tell them apart
            rollouts.add(tx, Rollout(RolloutId(f"rol_{number:04}"), "dpl_1", "press", 1, "done", "", 1, 1, number // 2, number))

    plane.db.update(fill)
    found = walked(lambda cursor: progress.list_rollouts(plane, ADMIN, deployment="line", cursor=cursor, limit=40))
    assert [one.rollout.id for one in found] == [f"rol_{number:04}" for number in range(129, -1, -1)]


def test_people_in_parts(plane):
    def fill(tx):
        for number in range(30):
            kind, title = (SERVICE, "Robot_x") if number % 3 == 0 else (PERSON, "Somebody")
            users.add(tx, User(UserId(f"usr_{number}"), f"p{number:02}", "", 1, kind, title))
        users.add(tx, User(UserId("usr_gone"), "p15x", "", 1, removed_ms=5))

    plane.db.update(fill)
    found = walked(lambda cursor: people.list_people(plane, ADMIN, cursor=cursor, limit=7))
    assert [one.user.name for one in found] == [f"p{number:02}" for number in range(30)]
    robots = walked(lambda cursor: people.list_people(plane, ADMIN, kind=SERVICE, text="T_", cursor=cursor, limit=4))
    assert [one.user.name for one in robots] == [f"p{number:02}" for number in range(0, 30, 3)]


def test_step_0010_finds_releases_in_order_without_reading_them(tmp_path):
    db = at_step(tmp_path / "old.db", "0009")
    plan = "EXPLAIN QUERY PLAN SELECT id FROM releases ORDER BY published_ms DESC, id DESC LIMIT 50"

    def planned() -> str:
        with db.engine.connect() as connection:
            return " ".join(str(row) for row in connection.exec_driver_sql(plan))

    assert "TEMP B-TREE" in planned()
    moved(db, "0010")
    assert "ix_releases_published_ms_id" in planned()
    assert "TEMP B-TREE" not in planned()
    moved(db, "0009", down=True)
    assert "ix_releases_published_ms_id" not in {index["name"] for index in inspect(db.engine).get_indexes("releases")}
    db.close()
