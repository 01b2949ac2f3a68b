"""What may be deployed: files of runs, newest first, each with the gate's word, or why it is not
trusted."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from core.coordinator.actor import FILE, Verdict, load, signed, written
from core.coordinator.candidates import MOST, NAME, NEVER, SHIPPED, Candidates
from core.coordinator.learnt import NO_PLACE, RlPlanner
from core.errors import GiveUpError, RequestError
from tests.coordinator_rl import cases
from tests.coordinator_rl.cases import KEY, LET, SITE_LET, SITE_REFUSED, actor


def run(folder: Path, name: str, at: int, *verdicts: Verdict) -> Path:
    made = actor(1, 8, *verdicts)
    path = folder / name / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(signed(written(replace(made, record=msgspec.structs.replace(
        made.record, version=name))), KEY))
    os.utime(path, (at, at))
    return path


def test_the_newest_run_comes_first_and_the_shipped_one_last(tmp_path: Path) -> None:
    assert [one.name for one in Candidates(tmp_path / "none", None).listed()] == [SHIPPED]
    for number in range(MOST + 2):
        run(tmp_path, f"run-{number}", number, SITE_REFUSED)
    found = Candidates(tmp_path, KEY).listed()
    assert [one.name for one in found[:2]] == [f"run-{MOST + 1}", f"run-{MOST}"]
    assert (len(found), found[-1].name) == (MOST + 1, SHIPPED)
    assert found[-1].version == cases.SHIPPED.version
    assert not found[0].site.deployed
    assert found[0].edge.words == NEVER


def test_a_file_that_changed_is_read_again_and_one_that_went_is_said(tmp_path: Path) -> None:
    path = run(tmp_path, "run-1", 1, SITE_REFUSED)
    candidates = Candidates(tmp_path, KEY)
    assert not candidates.listed()[0].site.deployed
    run(tmp_path, "run-1", 2, SITE_LET)
    assert candidates.listed()[0].site.deployed
    assert candidates.file("run-1") == path.read_bytes()
    path.write_bytes(path.read_bytes()[:-1])
    assert "changed after it was signed" in candidates.listed()[0].untrusted
    with pytest.raises(GiveUpError, match="changed after it was signed"):
        candidates.file("run-1")
    path.unlink()
    with pytest.raises(RequestError, match="no policy 'run-1' here any more"):
        candidates.file("run-1")
    assert candidates.file(SHIPPED) == FILE.read_bytes()


def test_without_the_key_a_run_is_not_trusted(tmp_path: Path) -> None:
    run(tmp_path, "run-1", 1, LET)
    assert "name its secret" in Candidates(tmp_path, None).listed()[0].untrusted


def test_the_planner_takes_a_policy_into_its_own_place_alone(tmp_path: Path) -> None:
    let = run(tmp_path, "run-1", 1, SITE_LET).read_bytes()
    shipped = RlPlanner()
    assert (shipped.version, shipped.before, shipped.shut) == (cases.SHIPPED.version, "", NO_PLACE)
    with pytest.raises(RequestError, match="names no file"):
        shipped.deploy(let)
    own = RlPlanner(tmp_path / "own" / "actor", KEY)
    assert (own.version, own.before, own.shut) == ("", "", "")
    assert own.deploy(let) == "run-1"
    with pytest.raises(RequestError, match=r"3\.00 a day more"):
        own.deploy(run(tmp_path, "run-2", 2, SITE_REFUSED).read_bytes())
    own.deploy(run(tmp_path, "run-3", 3, SITE_LET).read_bytes())
    assert (own.version, own.before, own.held_back) == ("run-3", "run-1", "")
    assert own.roll_back() == "run-1"
    assert load(tmp_path / "own" / "actor", KEY).record.version == "run-1"
