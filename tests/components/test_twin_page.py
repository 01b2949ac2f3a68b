"""The Digital twin's page: all packs, one pack closely, and the ways there."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import core.runtime
from components.twin import board, choice, export, overview, pack, traces, words
from components.twin.choice import Wish
from core.runtime import Runtime
from core.twin.ahead import Planned
from core.twin.desk import Site
from core.twin.diagnosis import Verdict
from core.twin.fade import fit_fade
from core.twin.interval import UNKNOWN, Interval
from core.twin.predictions import Score
from core.twin.study import Study
from core.twin.trend import NO_TREND, Line, Trend
from core.twin.windows import Window
from tests.architecture.test_style import ROOT
from tests.components.sent import sent
from tests.components.twin_site import StandingPhysics
from tests.twin.desk_site import GOOD, LIVED, TURNED, DeskSite, desk_site

CELL = f"{GOOD}_cell_2"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeskSite]:
    """Two packs of two hours, with windows that were answered."""
    made = desk_site(tmp_path_factory.mktemp("twin"))
    for _ in range(24):
        made.live(10)
        made.answer()
    made.live(6)
    with pytest.MonkeyPatch.context() as patch:
        st.cache_data.clear()
        patch.setattr(core.runtime, "_shared", made.client._runtime)
        yield made
    made.close()


def opened(page: str = "digital_twin", **address: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "pages" / f"{page}.py"), default_timeout=60)
    for key, value in address.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception
    return app


def shown(app: AppTest) -> str:
    text = unescape(" ".join(text for _, _, text in sent(app)))
    assert "has a defect" not in text
    assert "cannot be shown" not in text
    return text


def rows(app: AppTest) -> list[dict[str, Any]]:
    """Of the table of all packs."""
    for message, _, text in sent(app):
        if message == "BidiComponent" and '"heads":' in text:
            found: list[dict[str, Any]] = json.loads(text)["rows"]
            return found
    raise AssertionError("no table")


def test_all_packs_stand_there_the_doubted_first(site: DeskSite) -> None:
    app = opened()
    assert "2 packs" in shown(app)
    assert "1 doubted" in shown(app)
    first, second = rows(app)
    assert (first["id"], second["id"]) == (TURNED, GOOD)
    assert first["doubted"]
    assert first["cells"][1][0] == "sign inverted"
    assert "rises" in first["why"]
    assert second["cells"][0] == ["Module 0", "Power System 0 › Cluster 0 › Rack 0, NMC"]
    assert second["cells"][1][0] == "agrees"
    assert second["cells"][5][0].endswith("mV")
    assert second["cells"][7][1] == "of 6 h"


def test_a_pack_that_is_not_judged_yet_says_when_it_is_due(site: DeskSite) -> None:
    """All are judged every five minutes, and longer where the machine cannot."""
    known, client = site.client.twin_site(), site.client
    assert not isinstance(known, str)
    now_s = client.now().timestamp()
    assert (now_s <= known.due_s).all()
    assert (known.due_s <= now_s + 301.0).all()
    for away_s, when in ((0.0, "due now"), (2400.0, "due in 40 min"), (np.nan, "")):
        waits = replace(known, judged={}, due_s=np.full(2, now_s + away_s))
        told = board.line(client, waits, client.snapshot().frame, 1)["cells"][1]
        assert told == ("not judged yet", when)
    said = "".join(part for part in board._sub(client, known, 2) if isinstance(part, str))
    assert "2 judged by their last 6 hours, each every 5 min" in said


@pytest.mark.parametrize(("address", "found"), [
    ({"twin_find": "module 0"}, [GOOD]), ({"twin_show": "Doubted"}, [TURNED]),
    ({"twin_show": "Judged"}, [TURNED, GOOD]), ({"twin_sort": "Name"}, [GOOD, TURNED]),
    ({"twin_sort": "Residual"}, [TURNED, GOOD])])
def test_the_filter_and_the_order(site: DeskSite, address: dict[str, str],
                                  found: list[str]) -> None:
    assert [row["id"] for row in rows(opened(**address))] == found


def test_a_filter_that_leaves_none_says_so(site: DeskSite) -> None:
    assert "No pack fits" in shown(opened(twin_find="nowhere"))


@pytest.mark.parametrize("sort", list(choice.SORTS))
def test_what_is_not_known_is_last(site: DeskSite, sort: str) -> None:
    known = site.client.twin_site()
    assert not isinstance(known, str)
    none = {name: np.full(2, np.nan) for name in known.figures}
    half = {name: np.array([np.nan, 1.0]) for name in known.figures}
    frame = site.client.snapshot().frame
    bare = replace(known, figures=none, table=replace(
        known.table, resistance_sigma=np.full(2, np.nan), residual_v=np.full(2, np.nan)))
    order = board.wanted(bare, site.client.topology, frame, Wish(sort=sort))
    assert sorted(order.tolist()) == [0, 1]
    if sort in ("fade", "life", "known"):
        half_known = replace(bare, figures=half)
        assert board.wanted(half_known, site.client.topology, frame,
                            Wish(sort=sort)).tolist() == [1, 0]


def test_one_pack_is_told_in_words_and_numbers(site: DeskSite) -> None:
    told = shown(opened(pack=GOOD))
    truth = LIVED[2][site.row - 1]
    assert "Module 0 agrees within" in told
    assert "left between measured and modelled voltage" in told
    assert f"reported {truth:.1f} %" in told
    assert "reported 95.0 %" in told
    assert "Voltage of the mean cell" in told
    assert "3.710" in told
    assert "mV off" in told
    assert "whose current went otherwise" in told


def test_a_cell_s_link_opens_its_pack(site: DeskSite) -> None:
    assert "Module 0 agrees" in shown(opened(pack=CELL))


def test_a_doubted_pack_says_what_to_do(site: DeskSite) -> None:
    told = shown(opened(pack=TURNED))
    assert "tells its current with the wrong sign" in told
    assert "Turn the sign of the current at its source." in told


@pytest.mark.parametrize("asked", ["system_0", "nobody", "<b>x</b>"])
def test_a_link_to_no_pack_shows_all(site: DeskSite, asked: str) -> None:
    app = opened(pack=asked)
    assert "models no such pack" in shown(app)
    assert len(rows(app)) == 2


def test_back_to_all(site: DeskSite) -> None:
    app = opened(pack=GOOD)
    app.button(key="twin_back").click().run()
    assert not app.exception
    assert len(rows(app)) == 2


def test_without_the_physics_the_rest_stands(site: DeskSite,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site.desk, "physics", StandingPhysics(
        "pybamm not installed; `pip install -r requirements.txt` installs it"))
    assert "the models are not installed" in shown(opened())
    told = shown(opened(pack=GOOD))
    assert "pip install" in told
    assert "agrees within" in told


def test_a_twin_that_is_turned_off_says_how_to_turn_it_on(
        site: DeskSite, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = Runtime(site.client.config, site.engine, (), None)
    monkeypatch.setattr(core.runtime, "_shared", bare)
    told = shown(opened())
    assert "No digital twin here" in told
    assert "enabled = true" in told
    assert "Digital twin" not in shown(opened("overview"))


def test_what_is_doubted_stands_on_the_overview(site: DeskSite) -> None:
    told = shown(opened("overview"))
    assert "1 pack doubted" in told
    assert "Module 1, Power System 0" in told


def test_the_overview_counts_what_it_does_not_name(site: DeskSite,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    assert "more under Digital twin" not in shown(opened("overview"))
    monkeypatch.setattr(overview, "MOST", 0)
    assert "And 1 more under Digital twin." in shown(opened("overview"))


def test_from_space_balls_there_is_a_way(site: DeskSite) -> None:
    app = opened("space_balls", path=GOOD)
    assert app.button(key="go_twin").label == "Digital twin"
    assert not [one for one in opened("space_balls", path="system_0").button
                if one.key == "go_twin"]


def test_the_file_has_all_packs(site: DeskSite) -> None:
    known = site.client.twin_site()
    assert not isinstance(known, str)
    text = export.table(known, site.client.topology, site.client.snapshot().frame).decode()
    first, second = csv.DictReader(io.StringIO(text))
    assert first["pack"] == TURNED
    assert first["verdict"] == "sign_inverted"
    assert float(second["soc_pct"]) == pytest.approx(LIVED[2][site.row - 1], abs=1.5)
    assert second["life_years"] == ""
    assert float(second["soh_reported_pct"]) == 95.0


@pytest.mark.parametrize("told", [None, 3, {"kind": "open"}, {"kind": "open", "id": 7},
                                  {"kind": "page", "id": "-1"}, {"kind": "page", "id": "9" * 50},
                                  {"kind": "page", "id": "\u0663"}, {"kind": "sort", "id": "evil"}])
def test_nonsense_from_the_table_does_nothing(told: object,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    class State(dict[str, Any]):
        act = told

    monkeypatch.setattr(st, "session_state", {board.TABLE: State()})
    board._act()
    assert choice.SORT not in st.session_state
    assert choice.screen() == 0


def test_a_gap_of_the_record_is_no_line(site: DeskSite) -> None:
    study = site.client.twin_study(GOOD)
    assert study is not None
    record = study.past.record
    keep = np.ones(record.time_s.size, np.bool_)
    keep[20:40] = False
    holed = replace(study, past=replace(study.past, record=replace(
        record, time_s=record.time_s[keep], voltage_v=record.voltage_v[keep])),
        followed=replace(study.followed, modelled_v=study.followed.modelled_v[keep]))
    modelled = next(one for one in traces.voltage(holed, None).data if one["name"] == "Modelled")
    assert np.isnan(modelled["y"]).any()
    assert not np.isnan(traces.voltage(study, None).data[-1]["y"]).any()


def test_what_is_foretold_is_drawn_until_it_was_measured(
        site: DeskSite, monkeypatch: pytest.MonkeyPatch) -> None:
    study, window = site.client.twin_study(GOOD), site.client.twin_window(GOOD)
    assert study is not None
    assert window is not None
    measured_s = float(study.past.record.time_s[-1])

    def until(end_s: float) -> Window:
        """Its last word is of this moment."""
        return replace(window, time_s=window.time_s - window.time_s[-1] + end_s - 900.0)

    for end_s, drawn in ((measured_s + 30.0, 1), (measured_s, 0), (measured_s - 7200.0, 0)):
        names = [one["name"] for one in traces.voltage(study, until(end_s)).data]
        assert names.count("Next 15 min") == drawn
    for end_s, drawn in ((measured_s + 800.0, True), (measured_s - 7200.0, False)):
        monkeypatch.setattr(site.desk, "window", lambda pack, end_s=end_s: until(end_s))
        assert ("next 15 min" in shown(opened(pack=GOOD))) == drawn


def test_health_over_time_ends_with_what_is_estimated(site: DeskSite) -> None:
    study = site.client.twin_study(GOOD)
    assert study is not None
    known = replace(study, trend=NO_TREND,
                    judged=replace(study.judged, soh=Interval(0.9, 0.85, 0.95)))
    reported, estimated = traces.health(known).data
    assert reported["y"][-1] == pytest.approx(95.0)
    assert estimated["y"].tolist() == [90.0]
    assert estimated["error_y"]["array"] == [pytest.approx(5.0)]
    bare = replace(known, judged=replace(study.judged, soh=UNKNOWN))
    assert len(traces.health(bare).data) == 1


def kept(site: DeskSite) -> Study:
    """Of two months: 5 % lost, 20 % more resistance."""
    study = site.client.twin_study(GOOD)
    assert study is not None
    times = site.clock.now().timestamp() - 86_400.0 * np.arange(60.0)[::-1]
    trend = Trend(Line.of(times, np.linspace(0.95, 0.9, 60), np.full(60, 0.01)),
                  Line.of(times, np.linspace(1.0, 1.2, 60), np.full(60, 0.05)),
                  Line.of(times, np.linspace(0.96, 0.91, 60), np.full(60, 0.02)))
    fade = fit_fade(trend.capacity.days, trend.capacity.value, trend.capacity.sigma)
    return replace(study, trend=trend, judged=replace(
        study.judged, fade=fade, fade_by="estimated", capacity=Interval.of(0.9, 0.01),
        capacity_at=site.clock.now() - timedelta(days=3), soh=Interval.of(0.91, 0.02),
        resistance_growth=Interval.of(1.2, 0.1)))


def test_what_was_found_over_the_weeks_has_a_band_around_each_point(site: DeskSite) -> None:
    study = kept(site)
    for figure, value, wide in ((traces.capacity(study), 90.0, 1.645),
                                (traces.resistances(study), 1.2, 1.645 * 0.05),
                                (traces.health(study), 91.0, 2 * 1.645)):
        band, points = figure.data
        assert points["mode"] == "markers"
        assert (points["y"].size, points["y"][-1]) == (60, pytest.approx(value))
        assert band["fill"] == "toself"
        assert band["y"][59] - points["y"][-1] == pytest.approx(wide)
        assert points["y"][-1] - band["y"][60] == pytest.approx(wide)
    reported = replace(study, judged=replace(study.judged, fade_by="reported"))
    assert [one["name"] for one in traces.health(reported).data] == [
        "Reported", "interval", "Estimated"]


def test_the_page_says_from_when_to_when_and_whose_law_it_is(
        site: DeskSite, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Health fell by less than 0.5 %" in shown(opened(pack=GOOD))
    study = kept(site)
    monkeypatch.setattr(site.desk, "study", lambda pack: study)
    told = shown(opened(pack=GOOD))
    assert "Capacity over time" in told
    assert "Resistance over time" in told
    assert words.dates(study.trend.capacity, None) in told
    assert "by the capacities that the twin found" in told
    assert "found 3 d ago, between two rests" in told
    assert "Resistance growth" in told
    assert "+120" in told


def test_rates_and_lives_of_the_table_have_their_interval(site: DeskSite) -> None:
    known = site.client.twin_site()
    assert not isinstance(known, str)
    values = {"fade_pct_year": 3.24, "fade_low": 1.9, "fade_high": 4.51, "growth_year": 0.12,
              "growth_sigma": 0.02, "resistance": 1.2, "resistance_sigma": 0.05,
              "life_years": 8.1, "life_low": 5.2, "life_high": 12.0, "life_cycles": 2219.4,
              "life_cycles_low": 1425.0, "life_cycles_high": 3288.0, "life_forecast": 0.62}
    told = replace(known, figures={**known.figures, **{
        name: np.full(2, value) for name, value in values.items()}})
    assert board._fade(told.figures, 0) == ("3.2 %", "1.9 to 4.5")
    assert board._life(told.figures, 0) == ("8.1 years", "5.2 to 12.0; 2\u202f219 cycles")
    unused = {**told.figures, "life_cycles": np.full(2, math.nan)}
    assert board._life(unused, 0) == ("8.1 years", "5.2 to 12.0")
    assert board._resistance(told, 0) == ("+12 % a year", "± 3 %, 1.20 ×")
    endless = {**told.figures, "life_high": np.full(2, math.inf)}
    assert board._life(endless, 0) == ("8.1 years", "5.2 or more; 2\u202f219 cycles")
    text = export.table(told, site.client.topology, site.client.snapshot().frame).decode()
    first = next(csv.DictReader(io.StringIO(text)))
    assert [float(first[name]) for name in (
        "fade_low_pct_per_year", "fade_high_pct_per_year", "life_low_years", "life_high_years",
        "life_full_cycles", "life_low_full_cycles", "life_high_full_cycles",
        "life_by_ageing_run_pct", "resistance_growth_per_year")] == [
            1.9, 4.51, 5.2, 12.0, 2219.4, 1425.0, 3288.0, 62.0, 0.12]
    assert float(first["resistance_growth_half_interval"]) == pytest.approx(0.0329)
    assert (first["capacity_pct"], first["capacity_found_at"]) == ("", "")


def test_a_life_beyond_100_years_is_told_alike_everywhere(site: DeskSite) -> None:
    """The first pack's ends beyond them, the second's is not known, then ends in 90 years."""
    known, frame = site.client.twin_site(), site.client.snapshot().frame
    assert not isinstance(known, str)

    def told(second: float) -> Site:
        beyond = {"life_years": (math.inf, second), "life_low": (12.34, second),
                  "life_high": (math.inf, math.inf), "life_cycles": (math.inf, second),
                  "life_cycles_low": (3456.0, second), "life_cycles_high": (math.inf, math.inf)}
        return replace(known, figures={**known.figures, **{
            name: np.array(values) for name, values in beyond.items()}})

    assert board._life(told(math.nan).figures, 0) == ("over 100 years", "12.3 or more")
    assert board._life(told(math.nan).figures, 1) == ("–", "")
    rows = {row["pack"]: row for row in csv.DictReader(io.StringIO(export.table(
        told(math.nan), site.client.topology, frame).decode()))}
    first, second = (rows[pack] for pack in known.ids)
    assert (first["life_years"], first["life_full_cycles"]) == ("inf", "inf")
    assert (second["life_years"], second["life_full_cycles"]) == ("", "")
    assert [first[f"life_{end}"] for end in ("low_years", "high_years", "low_full_cycles")] == [
        "12.34", "inf", "3456"]
    for other, order in ((math.nan, [0, 1]), (90.0, [1, 0])):
        assert board.wanted(told(other), site.client.topology, frame,
                            Wish(sort="life")).tolist() == order


def test_the_last_hours_of_a_pack_as_a_file(site: DeskSite) -> None:
    study = site.client.twin_study(GOOD)
    assert study is not None
    rows = list(csv.DictReader(io.StringIO(export.record(study).decode())))
    assert len(rows) == study.past.record.time_s.size
    assert rows[-1]["time"].endswith("+00:00")
    last = {name: float(rows[-1][name]) for name in rows[-1] if name != "time" and rows[-1][name]}
    assert last["measured_v"] - last["modelled_v"] == pytest.approx(last["residual_mv"] / 1000,
                                                                    abs=2e-4)
    assert last["soc_pct"] == pytest.approx(100 * study.followed.soc[-1], abs=1e-3)
    assert last["soc_half_interval_pct"] > 0


def test_what_is_not_drawn_over_time_yet_says_when_it_is(site: DeskSite) -> None:
    told = shown(opened(pack=GOOD))
    assert told.count("None was found yet; it is drawn once two were") == 1
    assert "Capacity over time" in told


def test_words() -> None:
    hours = Line.of([0.0 + 7200.0, 10_800.0], [1.0, 1.0], [0.1, 0.1])
    assert words.dates(hours, "UTC") == "1 Jan 1970 02:00 to 03:00"
    assert words.dates(Line.of([7200.0, 9e7], [1.0, 1.0], [0.1, 0.1]), "UTC") == \
        "1 Jan 1970 to 7 Nov 1972"
    assert (words.signed(12.4), words.signed(-3.0), words.signed(0.0)) == ("+12", "−3", "0")
    verdict = Verdict("drifting", "measured less modelled voltage has moved by -12 mV", 0.0)
    assert words.short_cause(verdict) == "measured less modelled voltage has moved by −12 mV"
    assert words.between(UNKNOWN, 1) == ""
    assert words.between(Interval(90.0, 88.04, 92.0), 1, "%") == "88.0 to 92.0 %"
    assert not words.is_told(Interval.of(1.0, 0.5))
    assert words.is_told(Interval.of(1.0, 0.1))
    assert set(words.VERDICTS) == set(words.TITLES)
    assert words.no_line(NO_TREND.capacity).startswith("None was found yet; ")
    assert words.no_line(Line.of([7200.0], [1.0], [0.1])).startswith("One was found so far; ")
    assert pack._score(Score(300.0, 0, 2, 0, 0, None, None, None)) == "none scored yet"
    assert pack._score(Score(300.0, 4, 0, 0, 0, 3.14, 0.0, 0.75)) == "3.1 mV off, 75 % inside"
    assert pack._left_out(Score(300.0, 4, 1, 2, 3, 1.0, 0.0, None)) == (
        "4 scored, 1 waiting, 2 whose current went otherwise, 3 not measured")


def test_how_long_until(site: DeskSite) -> None:
    now = site.clock.now()
    assert words.soon(now, now) == "now"
    assert words.soon(now + timedelta(seconds=240), now) == "in 4 min"
    assert math.isnan(UNKNOWN.value)


def test_a_prediction_says_what_it_takes_for_granted(site: DeskSite) -> None:
    assert "Next 15 minutes if its current stays" in " ".join(re.sub(
        r"<[^>]+>", " ", shown(opened(pack=GOOD))).split())
    site.plans[GOOD] = Planned(2.0, "the coordinator's allocation")
    for _ in range(3):
        site.live(11)
        site.answer()
    site.live(1)
    told = " ".join(re.sub(r"<[^>]+>", " ", shown(opened(pack=GOOD))).split())
    assert "Next 15 minutes under the coordinator's allocation: discharging at 2.0 kW" in told
    assert "if its current stays" not in told


def test_a_prediction_whose_time_is_over_is_no_prediction(
        site: DeskSite, monkeypatch: pytest.MonkeyPatch) -> None:
    told = shown(opened(pack=GOOD))
    assert re.search(r"In \d+ min", told)
    assert "None stands now" not in told
    later = site.clock.now() + timedelta(hours=2)
    monkeypatch.setattr(site.clock, "_now", later)
    told = shown(opened(pack=GOOD))
    assert "None stands now" in told
    assert not re.search(r"In \d+ (s|min|h)", told)
    assert "The newest was made 2 h" in told
