"""The twin beside the engine: what it estimates, judges, asks and foretells of a site."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from components.twin import words
from core.clock import ManualClock
from core.config import TwinConfig, load_config
from core.coordinator.foretold import twin_says
from core.coordinator.wear import BY_CHEMISTRY, BY_FORECAST, wear_of
from core.engine import Engine
from core.errors import ConfigurationError, RetryLaterError, UnknownIdError
from core.runtime import start_runtime
from core.topology import DEFAULT_LEVELS, Topology
from core.twin.ahead import Planned
from core.twin.desk import DOUBTS, FIGURES, TwinDesk
from core.twin.kept import ParameterFile
from core.twin.past import on_grid, pasts_of, plate_of
from core.twin.rounds import FIRST_S as ROUND_S
from core.twin.study import Study
from core.twin.tasks import (
    CalibrationResult,
    CalibrationTask,
    Fitted,
    ForecastTask,
    WindowTask,
    column,
    floats,
    new_id,
)
from core.twin.windows import FIRST_S, STEPS, key_of
from core.twin.windows import STEP_S as GRID_S
from tests.components.twin_site import StandingPhysics, aged
from tests.core.sites import NOON, ScriptedReadings, system
from tests.twin.desk_site import (
    AH,
    AHEAD_V,
    CELLS,
    GOOD,
    LIVED,
    STEP_S,
    TURNED,
    DeskSite,
    desk_site,
)

HOURS = 250


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeskSite]:
    site = desk_site(tmp_path_factory.mktemp("twin"))
    site.live(HOURS)
    yield site
    site.close()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[DeskSite]:
    site = desk_site(tmp_path)
    yield site
    site.close()


def test_every_pack_is_estimated_and_judged(lived: DeskSite) -> None:
    site = lived.client.twin_site()
    assert not isinstance(site, str)
    assert lived.client.twin_packs() == list(site.ids) == [GOOD, TURNED]
    assert site.error == ""
    found = lived.client.twin_estimate(GOOD)
    truth = LIVED[2][lived.row - 1]
    assert found.soc_pct.low <= truth <= found.soc_pct.high
    assert abs(found.soc_pct.value - truth) < 1.0
    assert found.reported_pct == pytest.approx(truth, abs=0.01)
    assert site.judged[GOOD].verdict.word == "agrees"
    assert site.judged[TURNED].verdict.word == "sign_inverted"
    assert [lived.client.topology.ids[node] for node in site.doubted] == [TURNED]
    assert set(site.figures) == set(FIGURES)
    assert "sign_inverted" in DOUBTS
    assert site.table.soc_pct[0] == pytest.approx(found.soc_pct.value)


def test_a_study_has_the_mean_cell_s_record(lived: DeskSite) -> None:
    study = lived.client.twin_study(GOOD)
    assert study is not None
    record = study.past.record
    ended = round((record.time_s[-1] - NOON.timestamp()) / STEP_S)
    rows = slice(max(0, ended - 2 * record.time_s.size), ended)
    assert record.time_s.size > 60
    assert np.mean(record.voltage_v) == pytest.approx(np.mean(LIVED[1][rows]), abs=0.003)
    assert np.mean(record.current_a) == pytest.approx(np.mean(LIVED[0][rows]), rel=0.02)
    assert study.past.mean_temperature_c == pytest.approx(25.0)
    assert study.judged.rms_mv < 12.0
    assert study.judged.fade is None
    assert "0.5 %" in study.judged.fade_words
    assert study.soh_share[-1] == pytest.approx(0.95)
    whole = lived.client.twin_record(GOOD, 600.0)
    assert 19 <= whole.time_s.size <= 21


def test_the_physics_is_asked_for_what_was_measured(lived: DeskSite) -> None:
    task = next(task for task in lived.physics.tasks.values() if isinstance(task, WindowTask))
    assert {pack.pack for pack in task.packs} == {GOOD, TURNED}
    assert task.time_s >= (lived.clock.now() - timedelta(seconds=STEP_S * HOURS)
                           ).timestamp() + FIRST_S
    good = next(pack for pack in task.packs if pack.pack == GOOD)
    current = floats(good.current_a)
    assert current.size == STEPS
    assert np.isfinite(current).sum() >= 4
    assert good.capacity_ah == pytest.approx(AH / (0.83 - 0.15), rel=1e-3)
    assert good.start_v is not None
    assert lived.client.twin_window_due(GOOD).pack == GOOD


def test_an_ageing_run_comes_by_itself_and_tells_a_life(fresh: DeskSite) -> None:
    fresh.live(20)
    assert fresh.client.twin_foreseen(GOOD).next_at is not None
    site = fresh.client.twin_site()
    assert not isinstance(site, str)
    assert np.isnan(site.figures["life_years"]).all()
    fresh.answer()
    fresh.clock.advance(ROUND_S)
    fresh.live(3)
    (task,) = [task for task in fresh.physics.open() if isinstance(task, ForecastTask)]
    assert task.chemistry == "NMC"
    fresh.physics.settle(task, aged(task, 0.05))
    fresh.live(2)
    told = fresh.client.twin_foreseen(GOOD)
    assert told.run is not None
    assert told.used is not None
    assert "the current of" in told.words
    assert site.figures["life_years"][0] == pytest.approx(15.5, abs=0.6)
    life = (twin_says(site).lives or {})[GOOD]
    assert life.cycles == pytest.approx(365.25 * 15.5 * life.a_day, rel=0.05)
    assert wear_of("NMC", life).by == BY_FORECAST
    beyond = replace(site, figures={**site.figures, **dict.fromkeys(
        ("life_years", "life_cycles"), np.full(2, np.inf))})
    assert wear_of("NMC", (twin_says(beyond).lives or {})[GOOD]).by == BY_CHEMISTRY


def test_no_verdict_is_due_while_a_past_is_written(fresh: DeskSite) -> None:
    fresh.live(3)
    coming = [True]
    desk = TwinDesk(fresh.engine, StandingPhysics(), past_comes=lambda: coming[0])
    desk.turn()
    assert np.isnan(desk.site().due_s).all()
    assert not desk.site().judged
    coming[0] = False
    desk.turn()
    assert np.isfinite(desk.site().due_s).all()
    assert set(desk.site().judged) == {GOOD, TURNED}


def test_what_a_calibration_found_is_kept_and_models_windows(fresh: DeskSite) -> None:
    fresh.live(3)
    task = CalibrationTask(id=new_id(), pack=GOOD, chemistry="NMC", capacity_ah=AH, soc=0.5,
                           step_s=60.0, current_a=column([1.0, 2.0]), voltage_v=column([3.7, 3.6]))
    refused = structs.replace(task, id=new_id())
    for one, accepted in ((refused, False), (task, True)):
        fresh.physics.ask(one)
        fresh.client.twin_watch(GOOD, one.id, "Ann")
        fresh.live(1)
        fresh.physics.settle(one, CalibrationResult(
            id=one.id, pack=GOOD, accepted=accepted, parameter_set="OKane2022",
            parameters={"contact_ohm": Fitted(before=0.0, after=0.01)}))
        fresh.live(1)
        assert (fresh.client.twin_own(GOOD).calibration is not None) == accepted
    kept = fresh.client.twin_own(GOOD)
    assert kept.calibration is not None
    assert (kept.calibration.by, kept.fitted) == ("Ann", {"contact_ohm": 0.01})
    fresh.client.twin_keep(ParameterFile(about=TURNED, name="a.json", made_s=0.0, text="{}",
                                         low_v=2.5, high_v=4.2, capacity_ah=5.0))
    fresh.live(20)
    windows = {task.packs[0].pack: task for task in fresh.physics.open()
               if isinstance(task, WindowTask)}
    assert (windows[GOOD].model, windows[GOOD].bpx) == ("SPMe", "")
    assert windows[GOOD].packs[0].fitted == {"contact_ohm": 0.01}
    assert (windows[TURNED].model, windows[TURNED].bpx) == ("SPM", "{}")
    fresh.client.twin_drop("calibration", GOOD)
    assert fresh.client.twin_own(GOOD).fitted == {}


def test_whoever_asks_when_a_window_is_due_looks_at_the_pack(fresh: DeskSite) -> None:
    fresh.live(4)
    assert fresh.physics.open() == []
    due = fresh.client.twin_window_due(GOOD)
    assert (due.at, due.before) == (fresh.clock.now(), 0)
    fresh.live(1)
    (task,) = [task for task in fresh.physics.open() if isinstance(task, WindowTask)]
    assert [pack.pack for pack in task.packs] == [GOOD]


def test_a_prediction_meets_its_truth(fresh: DeskSite) -> None:
    fresh.live(20)
    assert fresh.client.twin_window(GOOD) is None
    assert fresh.client.twin_predictions(GOOD).newest is None
    (task,) = fresh.answer()
    fresh.live(1)
    window = fresh.client.twin_window(GOOD)
    assert window is not None
    assert window.time_s[-1] == pytest.approx(task.time_s)
    assert set(window.temperature_c[np.isfinite(window.temperature_c)]) == {25.0}
    assert (task.packs[0].temperature_c, task.packs[0].start_c) == (25.0, 25.0)
    measured = window.voltage_v[np.isfinite(window.voltage_v)]
    row = round((task.time_s - NOON.timestamp()) / STEP_S) - 1
    assert measured[-1] == pytest.approx(LIVED[1][row], abs=0.005)
    told = fresh.client.twin_predictions(GOOD)
    assert told.newest is not None
    assert [point.cell_v for point in told.newest.points] == [pytest.approx(AHEAD_V + 0.001)] * 3
    assert {point.basis for point in told.newest.points} == {"stated"}
    fresh.live(95)
    scores = fresh.client.twin_predictions(GOOD).scores
    assert [score.after_s for score in scores] == [300.0, 600.0, 900.0]
    assert all(score.waiting + score.count + score.unkept + score.unmeasured == 1
               for score in scores)
    assert [score.waiting for score in scores] == [0, 0, 0]
    assert scores[0].unmeasured == 0


def test_the_next_minutes_are_foretold_under_what_the_pack_is_to_do(fresh: DeskSite) -> None:
    """It has three cells; the other pack is steered by nobody."""
    fresh.plans[GOOD] = Planned(-0.6, "the coordinator's allocation")
    fresh.live(20)
    (task,) = fresh.answer()
    given = {pack.pack: pack for pack in task.packs}
    volts = floats(given[GOOD].voltage_v)
    assert given[GOOD].plan_a == pytest.approx(
        -600.0 / CELLS / volts[np.isfinite(volts)][-1], rel=1e-4)
    assert given[TURNED].plan_a is None
    fresh.live(1)
    told = fresh.client.twin_predictions(GOOD).newest
    assert told is not None
    assert told.plan == "under the coordinator's allocation: charging at 0.6 kW"
    assert fresh.client.twin_window(GOOD).plan == told.plan  # type: ignore[union-attr]
    other = fresh.client.twin_predictions(TURNED).newest
    assert other is not None
    assert other.plan == ""


def looked_at(fresh: DeskSite) -> Study:
    """Asked for, and a second later there."""
    fresh.client.twin_study(GOOD)
    fresh.live(1)
    found = fresh.client.twin_study(GOOD)
    assert found is not None
    return found


def test_a_look_has_a_fresh_study_though_the_clock_was_put_back(fresh: DeskSite) -> None:
    fresh.live(60)
    before = looked_at(fresh)
    fresh.clock.set_by(-3600.0)
    assert looked_at(fresh).judged.at < before.judged.at


def test_rows_that_a_clock_put_back_has_cost_are_told_in_the_verdict(fresh: DeskSite) -> None:
    fresh.live(60)
    assert looked_at(fresh).judged.verdict.notes == ()
    fresh.clock.advance(-900.0)
    fresh.live(60)
    study = looked_at(fresh)
    (note,) = study.judged.verdict.notes
    assert note == "the clock was put back by 14 min, and 30 rows were dropped from its past"
    assert note[4:] in words.cause(study.judged, None)


def test_who_is_looked_at_goes_first(fresh: DeskSite) -> None:
    fresh.live(2)
    assert fresh.client.twin_study(TURNED) is None or \
        fresh.client.twin_study(TURNED).judged.verdict.word == "too_little_data"
    fresh.live(1)
    assert fresh.client.twin_study(TURNED) is not None


def test_a_failing_physics_is_said_and_the_rest_goes_on(fresh: DeskSite) -> None:
    fresh.live(20)
    for task in fresh.physics.open():
        fresh.physics.fail(task, "the solver did not converge")
    fresh.live(1)
    assert "did not converge" in fresh.desk.error
    fresh.physics.full = True
    fresh.live(31)
    assert "tasks of the twin wait" in fresh.desk.error
    fresh.physics.full = False
    fresh.live(31)
    assert fresh.answer()
    fresh.live(1)
    assert fresh.desk.error == ""
    assert math.isfinite(fresh.client.twin_estimate(GOOD).soc_pct.value)


def test_what_breaks_inside_hurts_no_tick(fresh: DeskSite) -> None:
    fresh.live(3)
    fresh.engine.store.close()  # type: ignore[union-attr]
    before = fresh.engine.snapshot.number
    fresh.client.twin_study(GOOD)
    fresh.engine.tick()
    fresh.desk.turn()
    assert fresh.engine.snapshot.number == before + 1
    assert fresh.desk.error
    assert fresh.client.twin_estimate(GOOD).known == 1.0


def test_without_history_charge_is_still_estimated(tmp_path: Path) -> None:
    site = desk_site(tmp_path, history=False)
    site.live(12)
    assert math.isfinite(site.client.twin_estimate(GOOD).soc_pct.value)
    with pytest.raises(RetryLaterError, match="without a past"):
        site.client.twin_record(GOOD)
    assert not site.physics.tasks
    site.close()


def test_without_pybamm_nothing_is_asked(tmp_path: Path) -> None:
    site = desk_site(tmp_path, StandingPhysics("pybamm is not installed"))
    site.live(30)
    found = site.client.twin_site()
    assert not isinstance(found, str)
    assert found.missing == "pybamm is not installed"
    assert found.judged
    assert not site.physics.tasks
    site.close()


def test_a_node_that_is_no_pack_is_refused(lived: DeskSite) -> None:
    for ask in (lived.client.twin_estimate, lived.client.twin_study, lived.client.twin_window,
                lived.client.twin_predictions, lived.client.twin_window_due,
                lived.client.twin_plate, lived.client.twin_record):
        with pytest.raises(UnknownIdError):
            ask("system_0")
    assert lived.client.twin_has(GOOD)
    assert not lived.client.twin_has("system_0")


def test_long_ids_have_a_key_that_the_store_takes() -> None:
    assert key_of(GOOD) == GOOD
    long = "system_" + "a" * 60
    assert key_of(long) == hashlib.sha1(long.encode()).hexdigest()


def test_columns_of_a_window_keep_holes(lived: DeskSite) -> None:
    past = lived.desk.past(GOOD, 300.0)
    end_s = lived.clock.now().timestamp()
    holed = replace(past, record=replace(past.record, voltage_v=np.where(
        np.arange(past.record.time_s.size) % 2, np.nan, past.record.voltage_v)))
    _, volts = on_grid(holed, end_s, GRID_S, STEPS)
    assert 4 <= np.isfinite(volts).sum() <= 6
    assert on_grid(past, end_s + 1e6, GRID_S, STEPS)[0].size == STEPS


def test_cells_side_by_side_share_the_current(lived: DeskSite) -> None:
    topology = lived.client.topology
    plate = plate_of(topology, topology.index(GOOD))
    assert (plate.cells, plate.series, plate.chemistry) == (CELLS, True, "NMC")
    beside = replace(plate, series=False)
    store, now = lived.engine.store, lived.clock.now()
    assert store is not None
    one, other = (pasts_of(store, [kind], now - timedelta(seconds=100), now)[0].record
                  for kind in (plate, beside))
    assert np.allclose(other.current_a, one.current_a / CELLS)
    assert np.allclose(other.voltage_v, one.voltage_v * CELLS)


def test_a_pack_of_which_one_cell_alone_is_described() -> None:
    root = system(0, modules=1, cells=3, chemistry="NMC")
    first = root.children[0].children[0].children[0].children[0]
    first.chemistry, first.capacity_kwh = None, math.nan
    topology = Topology(DEFAULT_LEVELS, [root])
    plate = plate_of(topology, topology.index(GOOD))
    assert (plate.chemistry, plate.cells) == ("NMC", 3)
    assert plate.rated_ah == pytest.approx(AH)


def test_a_site_without_packs_has_a_twin_that_says_so(tmp_path: Path) -> None:
    engine = Engine(DEFAULT_LEVELS, [ScriptedReadings([])], ManualClock(NOON))
    desk = TwinDesk(engine, StandingPhysics())
    desk.start()
    desk.turn()
    site = desk.site()
    assert (list(site.ids), site.doubted.size, site.error) == ([], 0, "")
    desk.stop()


def test_it_can_be_turned_off(tmp_path: Path) -> None:
    file = tmp_path / "orrery.toml"
    file.write_text('[[sources]]\nkind = "fleet"\nname = "fleet"\n[sources.options]\nsystems = 1\n'
                    '[history]\nkind = "none"\n[twin]\nenabled = false\n')
    config = load_config(file)
    assert config.twin == TwinConfig(enabled=False)
    runtime = start_runtime(config)
    assert runtime.twin is None
    runtime.stop()
    file.write_text(file.read_text().replace("enabled = false", "workers = 0"))
    with pytest.raises(ConfigurationError, match="twin.workers"):
        load_config(file)
