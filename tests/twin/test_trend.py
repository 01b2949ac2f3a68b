"""What the twin finds of a pack over weeks: packs that really age, without a reported health."""

from __future__ import annotations

import math
import sqlite3
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from core.config import load_config
from core.errors import RequestError
from core.ports import Series
from core.runtime import start_runtime
from core.twin.counting import rests_of
from core.twin.fade import fit_fade, past_score
from core.twin.interval import UNKNOWN, Interval
from core.twin.models import CellModel, cell_model
from core.twin.past import Past, Plate
from core.twin.record import Record
from core.twin.study import Study, studies_of
from core.twin.tasks import WindowTask
from core.twin.trend import (
    AGEING_A_YEAR,
    DAY_S,
    NO_LINE,
    NO_TREND,
    YEAR_S,
    Line,
    Trend,
    TrendsInMemory,
    growth,
    remembered,
)
from store.twin import PredictionDatabase, TrendDatabase
from tests.core.sites import NOON
from tests.twin.cells import LFP, NMC, day, live, lively
from tests.twin.desk_site import AH, GOOD, TURNED, desk_site

RATED_AH, STEP_S = 50.0, 60.0
NOBODY = Series("p", "soh_pct", np.empty(0), *[np.empty(0, np.float32)] * 3, STEP_S)
FADE, GROWTH = 0.08, 0.4
"""Of the made pack: what it loses and by how much its resistance grows, a year."""
DAYS = np.arange(0.0, 121.0, 2.5)


def capacity_at(days: float) -> float:
    return 0.97 - FADE * days / 365.25


def resistance_at(days: float) -> float:
    return 1.1 + GROWTH * days / 365.25


def study(model: CellModel, days: float, before: Trend, depth: float = 0.7,
          soh: Series = NOBODY) -> Study:
    """Six hours of a pack that has been aged for so many days, as minute means."""
    share = capacity_at(days)
    held_ah, now = share * RATED_AH, NOON + timedelta(days=days)
    current = day(held_ah, depth, step_s=STEP_S / 3)
    lived = live(model, held_ah, current[:current.size // 3 * 3], 0.9,
                 resistance=resistance_at(days) * share, step_s=STEP_S / 3, noise_v=0.002,
                 seed=int(days)).record
    current_a, volts = (one.reshape(-1, 3).mean(axis=1)
                        for one in (lived.current_a, lived.voltage_v))
    times = now.timestamp() - STEP_S * np.arange(volts.size)[::-1]
    nothing = np.full(times.size, np.nan)
    plate = Plate(7, "p", "NMC", model, RATED_AH, 16, True)
    past = Past(Record(times, current_a, volts), nothing + 25.0, nothing, 1.0)
    return studies_of([plate], [past], [soh], [UNKNOWN], now, [before])[0]


@pytest.fixture(scope="module")
def weeks() -> list[Study]:
    """Of a pack whose devices never tell a health, through four months."""
    found, trend = [], NO_TREND
    for days in DAYS.tolist():
        found.append(study(NMC, days, trend))
        trend = found[-1].trend
    return found


def test_the_truth_lies_in_the_intervals_all_the_time(weeks: list[Study]) -> None:
    held = [one.judged.capacity for one in weeks]
    resisted = [one.judged.resistance for one in weeks]
    for told, truth in ((held, capacity_at), (resisted, resistance_at)):
        inside = [one.low <= truth(days) <= one.high
                  for one, days in zip(told, DAYS.tolist(), strict=True)]
        assert np.mean(inside) >= 0.9
    line = weeks[-1].trend.capacity.daily()
    days = (line.time_s - NOON.timestamp()) / DAY_S
    assert DAYS.size > line.time_s.size > 40, "weeks before the last 90 days"
    assert np.abs(line.value - (0.97 - FADE * days / 365.25)).max() < 0.02


def test_a_pack_whose_health_nobody_reports_gets_a_law(weeks: list[Study]) -> None:
    last = weeks[-1].judged
    assert last.fade is not None
    assert (last.fade_by, last.fade_words) == ("estimated", "")
    assert last.fade_year.low < FADE < last.fade_year.high
    assert last.fade_pct_year == pytest.approx(100 * FADE, abs=2.0)
    assert last.fade.rate_sigma > 0
    now = last.fade.at([last.fade.last_x])
    assert now.low[0] < capacity_at(DAYS[-1]) < now.high[0]
    assert weeks[-1].soh_days[-1] == pytest.approx(DAYS[-1], abs=3.0)
    assert weeks[-1].soh_share.size == last.fade.points


def test_its_law_has_a_past_score(weeks: list[Study]) -> None:
    told = past_score(weeks[-1].soh_days, weeks[-1].soh_share)
    assert told.points > 15
    assert told.mape_pct < 1.5
    assert told.covered > 0.8


def test_its_resistance_grows_at_a_known_rate_after_a_month(weeks: list[Study]) -> None:
    told = weeks[-1].judged.resistance_growth
    assert told.low < GROWTH < told.high
    assert told.low > 0
    assert not weeks[8].judged.resistance_growth.known, "twenty days tell no year"
    assert not weeks[16].judged.resistance_growth.known, "forty tell too little of one"


def test_before_there_is_enough_it_says_what_is_missing(weeks: list[Study]) -> None:
    first, third = weeks[0].judged, weeks[2].judged
    assert first.fade is None
    assert "a capacity was found on 1 day only" in first.fade_words
    assert third.fade is None
    assert third.fade_words == \
        "its capacity was found on 3 days within 6 and fell by less than its error tells"
    idle = study(NMC, 0.0, NO_TREND, depth=0.05).judged
    assert (idle.fade, idle.fade_by) == (None, "")
    assert "nobody reports its health, and no capacity was measured" in idle.fade_words


def test_the_last_capacity_stays_and_its_error_grows(weeks: list[Study]) -> None:
    trend = weeks[0].trend
    later = study(NMC, 58.0, trend, depth=0.05).judged
    assert later.swings == 0
    assert later.capacity.value == weeks[0].judged.capacity.value
    assert later.capacity_at == weeks[0].judged.capacity_at
    grown = math.hypot(weeks[0].judged.capacity.sigma / later.capacity.value,
                       AGEING_A_YEAR * 58 / 365.25) * later.capacity.value
    assert later.capacity.sigma == pytest.approx(grown, rel=1e-2)
    assert later.soh.known
    assert study(NMC, 60.0, trend).judged.capacity_at > later.capacity_at  # type: ignore[operator]


def test_a_reported_health_goes_before_and_is_named(weeks: list[Study]) -> None:
    days = np.arange(0.0, 60.0)
    told = (100.0 - 0.1 * days).astype(np.float32)
    series = Series("p", "soh_pct", NOON.timestamp() + days * DAY_S, told, told, told, DAY_S)
    judged = study(NMC, 60.0, weeks[-1].trend, soh=series).judged
    assert judged.fade_by == "reported"
    assert judged.fade_pct_year == pytest.approx(36.5, rel=0.02)


def test_a_pair_of_rests_that_is_seen_again_is_kept_once(weeks: list[Study]) -> None:
    again = study(NMC, 0.0, weeks[0].trend)
    assert again.trend.capacity.time_s.size == weeks[0].trend.capacity.time_s.size == 2


def test_noise_on_a_flat_curve_is_no_steep_end() -> None:
    """LFP rests at 90 %, where a millivolt more reads 97 %, beside the steep end."""
    for seed in range(12):
        made = live(LFP, AH, day(AH, step_s=STEP_S), 0.9, step_s=STEP_S, noise_v=0.001, seed=seed)
        for rest in rests_of(made.record, LFP, AH):
            assert abs(rest.soc - made.soc[rest.row]) < 3 * rest.sigma
            assert made.soc[rest.row] < 0.5


def test_a_wrong_chemistry_s_capacities_are_not_kept() -> None:
    made = live(NMC, AH, lively(AH, 4 * 3600)[::60], 0.9, step_s=STEP_S)
    nothing = np.full(made.record.time_s.size, np.nan)
    plate = Plate(7, "p", "LFP", cell_model("LFP"), AH, 16, True)
    (found,) = studies_of([plate], [Past(made.record, nothing, nothing, 1.0)], [NOBODY],
                          [UNKNOWN], NOON)
    assert found.judged.verdict.word in ("wrong_chemistry", "does_not_fit")
    assert not found.sound
    assert study(NMC, 0.0, NO_TREND).sound


def test_what_counts_now() -> None:
    now_s = NOON.timestamp()
    assert not remembered(NO_LINE, now_s).counts
    old_good = Line.of([now_s - YEAR_S, now_s - 60.0], [0.9, 0.8], [0.01, 0.09])
    found = remembered(old_good, now_s)
    assert found.capacity.value == 0.9
    assert found.capacity.sigma == pytest.approx(0.9 * math.hypot(0.01 / 0.9, 0.05), rel=1e-6)
    assert found.counts
    assert remembered(old_good, now_s + 5 * YEAR_S).capacity.value == 0.8
    assert not remembered(old_good, now_s + 5 * YEAR_S).counts
    ahead = remembered(Line.of([now_s + 9 * DAY_S], [0.9], [0.01]), now_s)
    assert ahead.capacity.sigma == pytest.approx(0.01), "a clock that jumped back"


def test_a_growth_with_known_truth_lies_in_its_interval() -> None:
    inside, rng = [], np.random.default_rng(7)
    times = np.arange(0.0, 90.0) * DAY_S + NOON.timestamp()
    for _ in range(60):
        line = Line.of(times, 1.2 + 0.3 * (times - times[0]) / YEAR_S
                       + rng.normal(0.0, 0.05, times.size), np.full(times.size, 0.05))
        told = growth(line)
        inside.append(told.low <= 0.3 <= told.high)
    assert 0.8 <= np.mean(inside) <= 1.0
    assert growth(Line.of(times[:20], times[:20] * 0 + 1.0, times[:20] * 0 + 0.1)) == UNKNOWN


def test_points_with_an_error_tell_how_badly_a_rate_is_known() -> None:
    """A rate from capacities that err by 1 % each lies in its interval, nine times in ten."""
    inside, rng, days = [], np.random.default_rng(3), np.arange(0.0, 120.0, 2.0)
    for _ in range(80):
        told = fit_fade(days, 1.0 - 2e-4 * days + rng.normal(0.0, 0.01, days.size),
                        np.full(days.size, 0.01))
        if told.law == "linear":
            inside.append(told.rate.low <= 2e-4 <= told.rate.high)
    assert len(inside) > 60
    assert 0.8 <= np.mean(inside) <= 0.98
    sure, unsure = (fit_fade(days, 1.0 - 2e-4 * days, np.full(days.size, error))
                    for error in (0.005, 0.05))
    assert np.ptp([unsure.at([120.0]).low, unsure.at([120.0]).high]) > \
        5 * np.ptp([sure.at([120.0]).low, sure.at([120.0]).high])
    with pytest.raises(RequestError, match="one length"):
        fit_fade(days, days, [0.1])


# -- beside the engine


def aged_trend(capacity: float = 0.9) -> Trend:
    """Two months of a pack that lost 5 % down to `capacity`, until an hour before NOON."""
    times = NOON.timestamp() - 3600.0 - np.arange(60.0)[::-1] * DAY_S
    return Trend(Line.of(times, np.linspace(capacity + 0.05, capacity, 60), np.full(60, 0.02)),
                 Line.of(times, np.linspace(1.1, 1.15, 60), np.full(60, 0.04)))


def test_after_a_restart_it_goes_on_with_what_was_kept(tmp_path: Path) -> None:
    file = tmp_path / "trends.sqlite"
    before = TrendDatabase(file)
    before.keep({GOOD: aged_trend()})
    before.close()
    site = desk_site(tmp_path, trends=TrendDatabase(file), soh_pct=math.nan)
    site.live(1)
    held_ah = site.desk._tree._filter.capacity_ah  # type: ignore[union-attr]
    assert held_ah == pytest.approx([0.9 * AH] * 3 + [AH] * 3), "by which its charge is counted"
    site.live(130)
    plates = site.desk.plates
    windows = {one.pack: one for task in site.physics.open() if isinstance(task, WindowTask)
               for one in task.packs}
    assert windows[GOOD].capacity_ah == pytest.approx(0.9 * plates[GOOD].full_ah, rel=0.01)
    assert windows[TURNED].capacity_ah == plates[TURNED].full_ah
    found = site.client.twin_site()
    assert not isinstance(found, str)
    judged = found.judged[GOOD]
    assert (judged.verdict.word, judged.fade_by) == ("agrees", "estimated")
    assert judged.capacity.value == pytest.approx(0.9, abs=0.01)
    figures = {name: float(values[0]) for name, values in found.figures.items()}
    assert figures["fade_pct_year"] == pytest.approx(31.0, abs=2.0)
    assert 0 < figures["fade_low"] < figures["fade_pct_year"] < figures["fade_high"]
    assert figures["growth_year"] == pytest.approx(0.31, abs=0.1)
    assert figures["growth_sigma"] > 0
    assert figures["life_low"] < figures["life_years"] < figures["life_high"]
    assert found.judged[TURNED].fade is None
    site.close()
    after = TrendDatabase(file).find([GOOD, TURNED])
    assert not after[TURNED].capacity.time_s.size, "whose current is turned is not measured"
    assert not after[TURNED].resistance.time_s.size
    assert after[GOOD].count.until_s == pytest.approx(site.clock.now().timestamp(), abs=1000.0)
    assert after[GOOD].capacity.time_s.size == 60
    assert after[GOOD].resistance.time_s.size > 60
    assert after[GOOD].soh.time_s.size >= 1


def test_its_own_fade_and_the_physics_are_weighed(tmp_path: Path) -> None:
    trends = TrendsInMemory()
    trends.keep({GOOD: aged_trend()})
    site = desk_site(tmp_path, trends=trends, soh_pct=math.nan)
    site.age(0.05)
    found = site.client.twin_site()
    assert not isinstance(found, str)
    assert 0.0 < found.figures["life_forecast"][0] < 1.0
    assert found.figures["life_forecast"][1] == 1.0
    assert found.figures["life_low"][0] < found.figures["life_years"][0]
    site.close()


def test_trends_that_cannot_be_kept_are_said_and_the_rest_goes_on(tmp_path: Path) -> None:
    store = TrendDatabase(tmp_path / "trends.sqlite")
    store.keep({GOOD: aged_trend()})
    site = desk_site(tmp_path, trends=store)
    with sqlite3.connect(tmp_path / "trends.sqlite") as beside:
        beside.execute("CREATE TRIGGER full BEFORE INSERT ON trends BEGIN "
                       "SELECT raise(ABORT, 'the disk is full'); END")
    site.live(130)
    assert "the disk is full" in site.desk.error
    found = site.client.twin_site()
    assert not isinstance(found, str)
    assert found.judged[GOOD].verdict.word == "agrees"
    assert found.judged[GOOD].capacity == remembered(
        aged_trend().capacity, found.judged[GOOD].at.timestamp()).capacity
    with sqlite3.connect(tmp_path / "trends.sqlite") as beside:
        beside.execute("DROP TRIGGER full")
    site.live(40)
    assert site.desk.error == ""
    site.close()


def test_the_process_keeps_them_beside_what_was_kept_before(tmp_path: Path) -> None:
    folder = tmp_path / "history" / "twin"
    PredictionDatabase(folder / "predictions.sqlite").close()
    file = tmp_path / "orrery.toml"
    file.write_text('[[sources]]\nkind = "fleet"\nname = "fleet"\n[sources.options]\nsystems = 1\n'
                    f'[history]\ndirectory = "{tmp_path / "history"}"\nbackfill_hours = 0\n')
    runtime = start_runtime(load_config(file))
    assert runtime.twin is not None
    runtime.stop()
    assert sorted(one.name for one in folder.glob("*.sqlite")) == [
        "predictions.sqlite", "trends.sqlite"]


def test_an_interval_of_a_year_is_unknown_without_a_law() -> None:
    told = study(NMC, 0.0, NO_TREND, depth=0.05).judged
    assert not told.fade_year.known
    assert math.isnan(told.fade_pct_year)
    assert isinstance(told.resistance_growth, Interval)
