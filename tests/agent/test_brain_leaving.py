"""The brain takes an app away, on the stage: in which order, what stays, and images that somebody else uses as well."""

from __future__ import annotations

from tests.agent.stage import Stage, app, deployed, service


def test_withdrawal_removes_in_order_and_keeps_volumes():
    stage = deployed("1", policy="compatible")
    stage.engine.volumes["line_data"]["file"] = "kept"
    stage.want()
    stage.run(120)
    assert stage.engine.boxes == {}
    assert stage.engine.networks == {}
    assert stage.engine.volumes == {"line_data": {"file": "kept"}}
    assert stage.plane.receipts()[-1].kind == "uninstall"
    assert stage.plane.bodies("observation")[-1].app.removed
    assert stage.status()["apps"] == []


def test_withdrawal_needs_no_description_of_what_it_takes_away():
    stage = deployed("1", policy="compatible")
    for name in stage.disk.names("releases"):
        stage.disk.remove(f"releases/{name}")
    stage.start()
    stage.want()
    stage.run(300)
    assert stage.engine.boxes == {}
    assert stage.plane.receipts()[-1].kind == "uninstall"
    assert stage.status()["apps"] == []


def test_an_image_that_two_apps_use_stays_for_the_other():
    stage = Stage()
    first, second = app("1", service("web", "web1"), name="first"), app("1", service("web", "web1"), name="second")
    stage.want(first, second)
    stage.run(60)
    ((_, names),) = stage.engine.images.values()
    assert len(names) == 2
    stage.want(second)
    stage.run(60)
    assert stage.plane.receipts()[-1].kind == "uninstall"
    assert list(stage.running()) == ["second-web-1"]
    ((_, names),) = stage.engine.images.values()
    assert ["/second/" in name for name in names] == [True]


def test_a_withdrawal_ends_where_a_strangers_container_uses_the_image():
    from penstock.agent.runtimes import RuntimeFault

    stage = deployed("1", policy="compatible")
    asked = []

    def used(tag: str) -> None:
        asked.append(tag)
        raise RuntimeFault("in-use", f"{tag} is still used by a container", retry=True)

    stage.engine.unkeep = used  # type: ignore[method-assign]
    stage.want()
    stage.run(300)
    assert stage.plane.receipts()[-1].kind == "uninstall"
    assert stage.status()["apps"] == []
    assert len(asked) > len(set(asked))  # our own container may just be ending, so it is asked for more than once


def test_withdrawal_without_leave_waits():
    stage = deployed()
    stage.want()
    stage.plane.leaves = []
    stage.run(200)
    assert len(stage.running()) == 2
