"""The command line of learning, what a run tells, and the past that it learns from."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from core.clock import SystemClock
from core.config import load_config
from core.coordinator.actor import load
from core.coordinator.view import TrainingRun
from core.errors import ConfigurationError, RequestError
from services.coordinator.rl.__main__ import ACTOR, KEY, main
from services.coordinator.rl.days import STEPS
from services.coordinator.rl.export import export
from services.coordinator.rl.past import recorded
from services.coordinator.rl.progress import LINES, Progress, cancel, folder_of
from store.records import open_coordinator
from tests.coordinator_rl import cases

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def words(path: Path, *more: str) -> list[str]:
    return [*more, "--runs", str(path / "runs"), "--place", str(path / "drives")]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORRERY_HISTORY_DIRECTORY", str(tmp_path / "history"))
    monkeypatch.setenv(KEY, cases.KEY)
    return tmp_path


def test_without_a_key_nothing_begins(place: Path, monkeypatch: pytest.MonkeyPatch,
                                      capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(KEY, "short")
    assert main(words(place, "train")) == 2
    assert "at least 16 characters" in capsys.readouterr().err
    assert not (place / "runs").exists()


def test_without_pytorch_it_is_said_what_to_install(place: Path,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    """`make test` runs without it; what it is for is in tests/torch."""
    assert find_spec("torch") is None
    assert main(words(place, "train")) == 2
    assert "requirements-rl.txt" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../else", "", "A RUN", "nobody-s"])
def test_a_run_that_is_none_is_said(place: Path, name: str,
                                    capsys: pytest.CaptureFixture[str]) -> None:
    for what in ("cancel", "deploy"):
        assert main(words(place, what, name)) == 2
        assert "run" in capsys.readouterr().err


def test_a_policy_is_deployed_and_taken_back_by_name(place: Path,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    for run, verdict in (("run-1", cases.SITE_LET), ("run-2", cases.SITE_LET),
                         ("run-3", cases.SITE_REFUSED)):
        export(cases.actor(int(run[-1]), 96, verdict), cases.KEY, place / "runs" / run / ACTOR)
    assert main(words(place, "deploy", "run-1")) == 0
    assert main(words(place, "deploy", "run-2")) == 0
    assert main(words(place, "deploy", "run-3")) == 2
    assert "3.00 a day more" in capsys.readouterr().err
    assert main(words(place, "back")) == 0
    assert load(place / "drives", cases.KEY).record.version == "run-1"
    kept = open_coordinator(place / "history" / "coordinator")
    [deployed] = kept.deployments()
    kept.close()
    assert (deployed.device, deployed.version) == ("the coordinator", "run-1")


def test_progress_is_told_to_the_file_and_the_store(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "run-1")
    folder.mkdir()
    told: list[TrainingRun] = []
    progress = Progress(folder, TrainingRun("run-1", "cloned", NOW), told.append, lambda: NOW)
    progress.say(0.0, "begins")
    progress.point(10.0, 5.0, 80.0, 0.5)
    assert not progress.cancelled
    cancel(tmp_path, "run-1")
    assert progress.cancelled
    progress.end("")
    lines = [json.loads(line) for line in (folder / LINES).read_text().splitlines()]
    assert [line["share"] for line in lines] == [0.0, 0.5, 0.5]
    assert lines[1]["captured_pct"] == 80.0
    assert told[1].curve_captured_pct == (80.0,)
    assert (told[0].ended_at, told[-1].ended_at) == (None, NOW)
    with pytest.raises(RequestError, match="no run"):
        cancel(tmp_path, "run-2")


def test_the_past_is_that_of_the_house_that_a_site_is_coordinated_for(place: Path) -> None:
    config = load_config(None)
    found = recorded(config, SystemClock(), "packs", 2000.0, NOW, days=2)
    assert found.year.days == 2
    assert found.capacity_kwh == 2000.0
    assert "MIT" in found.attribution
    columns = (found.year.load_kw, found.year.pv_kw, found.year.buy, found.year.sell)
    assert all(np.isfinite(column).all() for column in columns)
    by_hour = found.year.pv_kw[:STEPS].reshape(24, 6).mean(axis=1)
    assert by_hour[[0, 1, 2, 23]].max() == 0.0 < by_hour.max()
    with pytest.raises(ConfigurationError, match="house whose load"):
        recorded(config, SystemClock(), "elsewhere", 2000.0, NOW, days=2)
