"""The stone of a retired agent: everything goes but it and the program, keys last and written over; a kill at any moment is followed by the rest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from penstock.agent import cli, identity, resident, stone
from penstock.agent.places import Places

STONE = stone.Stone("dev_a", "press-7", 1_800_000_000_000, "ada", ("apps removed: line", "volumes were kept"))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    made = Places(str(tmp_path / "agent"))
    made.prepare()
    identity.make_keys(made)
    for name in ("ledger.a", "ledger.b", "endpoints.json", "log/0001.seg", "releases/ab.json", "blobs/x", "trust/root.1.json", "slots/a/agent.pyz"):
        path = Path(made.data, name)
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text("secret")
    return made


def files(places: Places) -> list[str]:
    return sorted(str(path.relative_to(places.data)) for path in Path(places.data).rglob("*") if path.is_file())


def test_all_goes_but_the_stone_and_the_program(places):
    key = os.open(f"{places.identity}/sign.key", os.O_RDONLY)
    size = os.fstat(key).st_size
    stone.bury(places, STONE)
    assert files(places) == ["retired.json", "slots/a/agent.pyz"]
    assert os.pread(key, size + 1, 0) == bytes(size)  # what the name stood for is written over too
    os.close(key)
    assert stone.read(places) == STONE


def test_killed_at_every_removal_the_next_start_goes_on_and_keys_go_last(places, tmp_path, monkeypatch):
    for number in range(40):
        made = Places(str(tmp_path / f"again-{number}"))
        made.prepare()
        identity.make_keys(made)
        Path(made.data, "ledger.a").write_text("x")
        Path(made.data, "endpoints.json").write_text("x")
        left = number

        def counted(path, real=os.unlink, **more):
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            real(path, **more)

        with monkeypatch.context() as patch:
            patch.setattr(os, "unlink", counted)
            try:
                stone.bury(made, STONE)
            except KeyboardInterrupt:
                assert Path(made.stone).exists()
                if Path(made.data, "ledger.a").exists():
                    assert Path(made.identity, "sign.key").read_bytes().startswith(b"-----BEGIN")
            else:
                return
        assert resident.run(["--data-dir", made.data]) == resident.NOT_ENROLLED
        assert files(made) == ["retired.json"]
    raise AssertionError("it never came to an end")


def test_a_retired_agent_neither_runs_nor_enrols_by_itself(places, monkeypatch, capsys):
    stone.bury(places, STONE)
    monkeypatch.setenv("PENSTOCK_JOIN", "pst-join:whatever")
    assert resident.run(["--data-dir", places.data]) == resident.NOT_ENROLLED
    assert not Path(places.identity, "sign.key").exists()
    assert cli.command(["status", "--data-dir", places.data]) == cli.NOT_ENROLLED
    said = capsys.readouterr().err
    assert "retired by ada: apps removed: line" in said
    assert "penstock-agent enroll" in said


def test_a_person_who_enrols_it_anew_lifts_the_stone(places):
    stone.bury(places, STONE)
    assert stone.lift(places)
    assert stone.read(places) is None
    assert not stone.lift(places)


def test_a_stone_that_cannot_be_read_is_one_all_the_same(places):
    stone.bury(places, STONE)
    Path(places.stone).write_text("{")
    found = stone.read(places)
    assert found is not None
    assert "retired" in found.why()
