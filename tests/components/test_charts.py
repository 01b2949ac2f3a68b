"""Charts: gaps stay gaps, spikes survive, words and wall clock are right."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import charts, series_math
from components.charts import Limit
from components.drawing import Drawing
from components.tokens import tokens
from core.ports import Series

START_S = datetime(2026, 11, 20, 2, 40, tzinfo=UTC).timestamp()
BERLIN = "Europe/Berlin"


def make(mean: list[float] | np.ndarray, metric: str = "power_kw", spread: float = 0.0,
         missing: slice | None = None, step_s: float = 60.0) -> Series:
    values = np.asarray(mean, np.float32)
    keep = np.ones(values.size, bool)
    if missing is not None:
        keep[missing] = False
    time_s = START_S + step_s * np.arange(values.size, dtype=np.float64)
    kept = values[keep]
    return Series("system_0", metric, time_s[keep], kept - np.float32(spread),
                  kept + np.float32(spread), kept, step_s)


EMPTY = make([])
FULL = make(np.sin(np.linspace(0, 9, 400)) * 50, spread=2.0)
BROKEN = make(np.sin(np.linspace(0, 9, 400)) * 50, spread=2.0, missing=slice(100, 250))


def checked(drawing: Drawing) -> go.Figure:
    """Every key and value of it is one that Plotly knows."""
    return go.Figure(data=drawing.data, layout=drawing.layout)


def test_a_gap_splits_the_band_and_is_told() -> None:
    assert _bands(checked(charts.trend_range([FULL], "kW"))) == 1
    figure = checked(charts.trend_range([BROKEN], "kW", theme="dark"))
    assert _bands(figure) == 2
    assert [note.text for note in figure.layout.annotations] == ["no data<br>2 h 30"]
    assert len(figure.layout.shapes) == 1


def test_no_line_crosses_a_gap() -> None:
    line = checked(charts.trend_range([BROKEN], "kW")).data[-1]
    hole = np.flatnonzero(np.isnan(line.y))
    assert hole.size == 1
    assert line.x[hole[0] - 1] < line.x[hole[0]] < line.x[hole[0] + 1]


def test_areas_fall_to_zero_in_a_gap() -> None:
    """Plotly fills an area across NaN."""
    time_s, height = series_math.steps(BROKEN, BROKEN.mean)
    (start, end), = series_math.gaps(BROKEN)
    at = int(np.flatnonzero(time_s == start)[0])
    assert height[at] == 0
    assert time_s[at + 1] == end
    assert np.isfinite(height).all()


def test_missing_values_are_a_gap() -> None:
    holes = np.sin(np.linspace(0, 9, 400)) * 50
    holes[100:250] = np.nan
    assert series_math.gaps(make(holes)) == series_math.gaps(BROKEN)


def test_a_span_shows_what_is_missing_at_its_ends() -> None:
    before, after = START_S - 3600, START_S + 400 * 60 + 840
    assert series_math.gaps(FULL, (before, after)) == [(before, START_S),
                                                      (START_S + 24_000, after)]
    assert series_math.gaps(EMPTY, (before, after)) == [(before, after)]
    assert series_math.gaps(FULL, (START_S, START_S + 24_000)) == []


@given(st.lists(st.floats(1, 1e4), min_size=1, max_size=60))
def test_runs_cover_every_point_once(steps_s: list[float]) -> None:
    time_s = START_S + np.cumsum(steps_s)
    flat = np.ones(time_s.size, np.float32)
    series = Series("a", "soc_pct", time_s, flat, flat, flat, 60.0)
    parts = series_math.runs(series)
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(flat.size))
    assert len(series_math.gaps(series)) == len(parts) - 1 == int((np.diff(time_s) > 150).sum())


def test_a_one_sample_spike_survives() -> None:
    high = np.full(400, 5.0, np.float32)
    high[123] = 900.0
    flat = np.full(400, 5.0, np.float32)
    spiky = Series("a", "power_kw", FULL.time_s, flat, high, flat, 60.0)
    for figure in (checked(charts.trend_range([spiky], "kW")),
                   checked(charts.trend_power_soc(spiky))):
        assert max(float(np.nanmax(trace.y)) for trace in figure.data) == 900.0
        low, top = figure.layout.yaxis.range or (0, 1000)
        assert low <= 5 < 900 <= top


@pytest.mark.parametrize(("peak", "unit", "highest"), [
    (0.5, "W", 500.0), (50.0, "kW", 50.0), (1240.0, "MW", 1.24)])
def test_the_axis_has_a_unit_that_fits(peak: float, unit: str, highest: float) -> None:
    figure = checked(charts.trend_power_soc(make([0.0, peak, -peak / 2])))
    assert figure.layout.yaxis.ticksuffix == f" {unit}"
    assert float(np.nanmax(figure.data[0].y)) == pytest.approx(highest)


def test_discharging_is_up_and_charging_is_down() -> None:
    up, down = checked(charts.trend_power_soc(make([10.0, -20.0, 0.0]), theme="dark")).data[:2]
    assert (up.name, down.name) == ("Discharging", "Charging")
    assert up.y.tolist() == [10, 0, 0, 0]
    assert down.y.tolist() == [0, -20, 0, 0]
    assert up.line.color == tokens("dark")["discharge"]
    assert up.line.shape == "hv"


def test_state_of_charge_is_on_the_right_from_0_to_100() -> None:
    figure = checked(charts.trend_power_soc(FULL, make(np.linspace(90, 40, 400), "soc_pct")))
    assert figure.data[-1].yaxis == "y2"
    assert figure.data[-1].line.dash == "dash"
    assert tuple(figure.layout.yaxis2.range) == (0, 100)


def test_a_near_limit_is_a_line_and_a_far_one_a_word() -> None:
    volts = make(3.33 + 0.02 * np.sin(np.linspace(0, 9, 400)), "voltage_v")
    figure = checked(charts.trend_range([volts], "V", decimals=3,
                                limits=[Limit(3.395), Limit(2.5, "trip limit")]))
    assert [note.text for note in figure.layout.annotations] == [
        "limit 3.395 V", "↓ trip limit 2.500 V"]
    assert len(figure.layout.shapes) == 1
    assert figure.layout.yaxis.range[1] > 3.395
    assert figure.layout.yaxis.range[0] > 3.2


@pytest.mark.parametrize("theme", ["dark", "light", None])
def test_nothing_known_draws_an_empty_figure(theme: str | None) -> None:
    assert not charts.has_data(EMPTY)
    assert not charts.has_data(make([np.nan, np.nan]))
    assert charts.has_data(make([0.0]))
    charts.trend_power_soc(EMPTY, EMPTY, theme=theme).to_json()
    charts.trend_range([EMPTY], "V", theme=theme, limits=[Limit(3.0)]).to_json()
    charts.trend_range([make([3.0])], "V", theme=theme).to_json()


def test_numbers_travel_as_binary() -> None:
    sent = json.loads(charts.trend_range([FULL], "kW", zone=BERLIN).to_json())
    assert all("bdata" in trace["x"] and "bdata" in trace["y"] for trace in sent["data"])


def test_names_are_text_in_a_chart() -> None:
    line = checked(charts.trend_range([FULL], "kW", names=["<b>%{x}</b>"])).data[-1]
    assert "<b>" not in line.hovertemplate
    assert "%{x}" not in line.hovertemplate


def test_times_read_as_the_viewers_clock() -> None:
    moment = np.array([START_S])
    assert _clock(series_math.local_ms(moment, BERLIN)) == ["03:40"]
    assert _clock(series_math.local_ms(moment, "America/New_York")) == ["21:40"]
    assert _clock(series_math.local_ms(moment, None)) == ["02:40"]
    assert series_math.local_ms(np.empty(0), BERLIN).size == 0


def test_no_line_runs_backwards_in_the_repeated_hour() -> None:
    autumn = datetime(2026, 10, 25, 0, 0, tzinfo=UTC).timestamp() + np.arange(0, 10_800, 600.0)
    wall = series_math.local_ms(autumn, BERLIN)
    assert (np.diff(wall) >= 0).all()
    assert _clock(wall[[0, -1]]) == ["02:00", "03:50"]


def test_alt_says_what_the_chart_shows() -> None:
    words = charts.alt(make([1.0, -2.0, 4.0]), "Power of System 0", None, BERLIN)
    assert words == ("Power of System 0, Fri 20 Nov 03:40 to Fri 20 Nov 03:42: lowest −2.00 kW, "
                     "highest 4.00 kW, mean 1.00 kW, last 4.00 kW.")
    assert charts.alt(BROKEN, "Power").endswith("No data for 2 h 30.")
    assert charts.alt(EMPTY, "Power") == "Power: no data."


def _bands(figure: go.Figure) -> int:
    return sum(trace.fill == "toself" for trace in figure.data)


def _clock(wall_ms: np.ndarray) -> list[str]:
    return [f"{datetime.fromtimestamp(at / 1000, UTC):%H:%M}" for at in wall_ms]
