"""The panels that ask the physics of the twin: forecast, calibration, the inside of the cell."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import msgspec
import numpy as np
import plotly.graph_objects as go
import pytest
from streamlit.testing.v1 import AppTest

from components.twin import calibrate, forecast, given, internals, life_chart
from core.config import Config, OperatorsConfig, SourceConfig
from core.errors import RequestError
from core.twin.kept import ParameterFile, Recording, about_chemistry, calibration_of
from core.twin.life import by_physics, course_of
from core.twin.tasks import (
    HOLD,
    CalibrationResult,
    CalibrationTask,
    FileResult,
    FileTask,
    Fitted,
    ForecastResult,
    ForecastTask,
    Task,
    column,
    floats,
    last_seen,
    new_id,
    packed,
    read_task,
)
from tests.components import twin_panels_app
from tests.components.twin_site import NOW, PACK, StandingPhysics, TwinSite, aged, window
from tests.twin import cells

SCRIPT = "from tests.components import twin_panels_app\ntwin_panels_app.page()\n"
FADING = list(0.98 - 0.08 * np.sqrt(np.arange(400) / 365))
HOSTILE = "<script>alert(1)</script>"


def opened(site: TwinSite) -> AppTest:
    twin_panels_app.SITE.append(site)
    page = AppTest.from_string(SCRIPT, default_timeout=30).run()
    assert not page.exception
    return page


def words(page: AppTest) -> str:
    assert not page.exception
    told = " ".join(block.proto.body for block in page.get("html"))
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", told)).split())


def buttons(page: AppTest) -> list[str]:
    return [button.label for button in page.button]


def forecasts(site: TwinSite) -> list[ForecastTask]:
    return [task for task in site.stock.open() if isinstance(task, ForecastTask)]


def answer(site: TwinSite, **told: object) -> None:
    """All ageing runs that are open are done."""
    for task in forecasts(site):
        result = aged(task)
        site.stock.settle(task, ForecastResult(**{
            **{name: getattr(result, name) for name in result.__struct_fields__}, **told}))


# -- forecast


def test_nothing_is_asked_until_somebody_asks() -> None:
    site = TwinSite(depth=0.2)
    page = opened(site)
    assert "no ageing run yet" in words(page)
    assert site.stock.tasks == {}
    page.button(key="twin_forecast_ask").click().run()
    (task,) = forecasts(site)
    assert read_task(packed(task)) == task
    assert (task.chemistry, task.days, task.jump) == ("NMC", 3650, 30)
    assert task.usage.discharge_c == pytest.approx(task.usage.charge_c, abs=0.11)
    assert "the ageing model runs" in words(page)
    assert "Ask the ageing model" not in buttons(page)


def test_a_run_shows_how_far_it_is_and_can_be_cancelled_and_asked_again() -> None:
    site = TwinSite()
    page = opened(site)
    page.button(key="twin_forecast_ask").click().run()
    site.stock.tell(0.4, "day 40 of 100")
    page.run()
    assert page.get("progress")[0].proto.text == "day 40 of 100, 40 %"
    page.button(key="twin_cancel_forecast_0").click().run()
    assert "Cancelled" in words(page)
    page.button(key="twin_forecast_ask").click().run()
    assert len(site.stock.tasks) == 2


def test_years_cycles_interval_and_what_it_loses_most_to() -> None:
    site = TwinSite("LFP")
    page = opened(site)
    page.button(key="twin_forecast_ask").click().run()
    answer(site, origin="grafted", note="uncalibrated: its degradation is borrowed")
    page.run()
    said = words(page)
    task = next(iter(site.stock.tasks.values()))
    assert isinstance(task, ForecastTask)
    life = by_physics(course_of(aged(task)), "LFP", site.twin_study(PACK).judged.soh)  # type: ignore[union-attr]
    assert life.days.known
    assert f"{life.days.value / 365.25:,.0f} years" in said.replace("\u202f", ",")
    assert "or more" in said
    assert "Grafted, uncalibrated" in said
    assert "film on the graphite (SEI)" in said
    assert "All of it is the ageing model" in said
    assert "Interval: its loss may be 2.9 times as large or small" in said


def test_a_pack_of_no_known_health_is_forecast_as_a_new_one() -> None:
    site = TwinSite("LFP", hours=1.0)
    site.ready = False
    page = opened(site)
    page.button(key="twin_forecast_ask").click().run()
    answer(site)
    said = words(page.run())
    assert "Its health is not known: it is forecast as a new pack" in said
    told = TwinSite("LFP", hours=1.0, soh=[0.9])
    told.ready = False
    assert "Its health is not known" not in words(opened(told))


def test_a_chemistry_without_a_laboratory_says_whose_interval_it_has() -> None:
    site = TwinSite("LCO")
    page = opened(site)
    page.button(key="twin_forecast_ask").click().run()
    answer(site)
    said = words(page.run())
    assert "none is of LCO, so that the least sure of the other chemistries counts" in said
    assert re.search(r"years\s+[\d.]+ or more|[\d.]+ to [\d.]+", said)


def test_what_if_is_a_run_of_its_own_beside_the_present_use() -> None:
    site = TwinSite(depth=0.2)
    page = opened(site)
    page.button(key="twin_forecast_ask").click().run()
    answer(site)
    page.run()
    page.slider(key="twin_what_warmth_7").set_value(40.0).run()
    page.slider(key="twin_what_rate_7").set_value(0.8).run()
    assert "Under the other use" in words(page)
    page.button(key="twin_forecast_ask").click().run()
    (task,) = forecasts(site)
    assert (task.usage.temperature_c, task.usage.discharge_c, task.usage.charge_c) == (40, 0.8, 0.8)
    answer(site, loss_pct=1.0)
    said = words(page.run())
    assert said.count("years") >= 2
    life = by_physics(course_of(aged(task)), "NMC", site.twin_study(PACK).judged.soh)  # type: ignore[union-attr]
    assert f"{life.cycles.value:,.0f} full cycles left, ".replace(",", " ", 1) in said
    assert "Ask the ageing model" not in buttons(page)
    page.button(key="twin_forecast_back").click().run()
    assert "Under the other use" not in words(page)
    assert page.slider(key="twin_what_warmth_7").value == 25.0


def test_sliders_that_nobody_moved_follow_the_present_use() -> None:
    site = TwinSite(hours=1.0)
    page = opened(site)
    assert page.slider(key="twin_what_depth_7").value == 75
    site.live(hours=12.0, depth=0.1)
    site.clock_s = 60.0
    page.run()
    assert page.slider(key="twin_what_depth_7").value < 60
    assert "Under the other use" not in words(page)


def test_a_depth_that_no_charge_allows_is_said_and_not_asked() -> None:
    site = TwinSite(depth=0.2)
    page = opened(site)
    page.slider(key="twin_what_rest_7").set_value(30).run()
    page.slider(key="twin_what_depth_7").set_value(80).run()
    assert "From 30 % nothing can be discharged 80 % deep" in words(page)
    page.button(key="twin_forecast_ask").click().run()
    assert all(task.usage.depth <= task.usage.rest_soc for task in forecasts(site))


def test_a_failed_run_says_why_and_its_words_are_text() -> None:
    site = TwinSite()
    page = opened(site)
    page.button(key="twin_forecast_ask").click().run()
    site.stock.fail(forecasts(site)[0], f"on day 3 the solver gives up: {HOSTILE}")
    page.run()
    assert "on day 3 the solver gives up" in words(page)
    assert "All of it is" not in words(page), "without a fade or a run nothing is foretold"
    assert not any(HOSTILE in block.proto.body for block in page.get("html"))


def test_its_own_fade_and_the_model_weigh_what_they_are_worth_and_the_past_is_scored() -> None:
    site = TwinSite(soh=FADING)
    page = opened(site)
    said = words(page)
    assert re.search(r"\d years", said)
    assert "the second was foretold within" in said
    assert "All of it is the law of its own fade: no ageing run yet." in said
    page.button(key="twin_forecast_ask").click().run()
    answer(site)
    weights = re.search(r"Its own fade weighs (\d+) %, the ageing model (\d+) %", words(page.run()))
    assert weights is not None
    assert int(weights[1]) + int(weights[2]) == 100
    assert int(weights[1]) > int(weights[2])
    assert forecast.HELD in words(page)


@pytest.mark.parametrize(("end", "why"), [
    (lambda site, task: site.stock.cancel(task.id), "its ageing run was cancelled"),
    (lambda site, task: site.stock.fail(task, "it diverged"),
     "its ageing run has no result"),
    (lambda site, task: site.stock.settle(task, msgspec.structs.replace(aged(task), cycles=b"")),
     "its ageing run tells nothing: an ageing run's columns are of one length")])
def test_where_its_own_fade_speaks_alone_it_is_said_why(end: Callable[[TwinSite, Task], None],
                                                        why: str) -> None:
    site = TwinSite(soh=FADING)
    page = opened(site)
    page.button(key="twin_forecast_ask").click().run()
    assert "the law of its own fade: the ageing model runs." in words(page)
    end(site, forecasts(site)[0])
    said = words(page.run())
    assert f"All of it is the law of its own fade: {why}." in said
    assert re.search(r"\d years", said)


def test_the_jump_is_checked_against_every_day_where_somebody_asks() -> None:
    site = TwinSite()
    page = opened(site)
    page.button(key="twin_forecast_ask").click().run()
    answer(site)
    page.run().button(key="twin_forecast_check").click().run()
    (task,) = forecasts(site)
    assert task.check
    assert task.days == 365
    assert task.check_days == 0
    answer(site, checked_days=365, checked_loss_pct=1.47, full_loss_pct=1.45, error_pct=1.4)
    assert "The loss of the first year is 1.4 % off from a run of every day (1.47 % against " \
        "1.45 %)" in words(page.run())


def test_everybody_sees_the_same_run() -> None:
    site = TwinSite()
    opened(site).button(key="twin_forecast_ask").click().run()
    site.stock.tell(0.1, "day 9 of 90")
    other = opened(site)
    assert other.get("progress")[0].proto.text == "day 9 of 90, 10 %"


@pytest.mark.parametrize("physics", ["the digital twin is turned off",
                                     StandingPhysics("pybamm not installed")])
def test_without_physics_its_own_fade_still_tells_a_life(physics: StandingPhysics | str) -> None:
    site = TwinSite(physics=physics, soh=FADING)
    page = opened(site)
    said = words(page)
    assert said.count("Not without the physics") == 4
    assert "All of it is the law of its own fade: the ageing model cannot run here." in said
    assert re.search(r"\d years", said)
    assert buttons(page) == []


def test_a_full_queue_is_told() -> None:
    site = TwinSite()
    page = opened(site)
    site.stock.full = True
    page.button(key="twin_forecast_ask").click().run()
    assert "Ask the ageing model" in buttons(page)
    assert "20000 tasks" in page.toast[0].value


def test_the_past_is_read_once_for_some_minutes() -> None:
    site = TwinSite()
    page = opened(site)
    page.run()
    assert site.reads == 1


def test_a_silent_pack_is_given_the_standard_use_and_that_is_said() -> None:
    said = words(opened(TwinSite(hours=1.0)))
    assert "Its own use is not known (the current of 1.0 hours is known; a use takes 6)" in said


# -- calibration


def fitted(task: CalibrationTask, accepted: bool = True) -> CalibrationResult:
    return CalibrationResult(
        id=task.id, pack=task.pack, accepted=accepted, parameter_set="OKane2022", solves=37,
        words=f"{'' if accepted else 'not '}accepted: on what it has not seen the error is 2.0 mV, "
              "before 20.0 mV", cpu_s=5.7, rms_before_mv=21.0, rms_after_mv=2.1,
        unseen_before_mv=20.0, unseen_after_mv=2.0, parameters={
            "negative_active": Fitted(before=1.0, after=0.9, low=0.88, high=0.92),
            "contact_ohm": Fitted(before=0.0, after=0.008, low=None, high=None)})


def calibrations(site: TwinSite) -> list[CalibrationTask]:
    return [task for task in site.stock.open() if isinstance(task, CalibrationTask)]


def test_a_calibration_is_asked_of_its_own_record_until_it_came_to_rest() -> None:
    site = TwinSite(hours=6.0)
    page = opened(site)
    page.button(key="twin_calibrate").click().run()
    (task,) = calibrations(site)
    assert read_task(packed(task)) == task
    study = site.twin_study(PACK)
    assert study is not None
    current = floats(task.current_a)
    assert abs(float(current[-6])) > 1.0
    begun = float(study.past.soc_pct[0]) / 100.0
    assert task.soc == pytest.approx(begun, abs=0.05)


@pytest.mark.parametrize(("gap", "begins"), [((3.7, 4.2), 0.9), ((1.1, 1.6), 0.6)])
def test_a_calibration_is_asked_of_the_longest_time_without_a_gap(
        gap: tuple[float, float], begins: float) -> None:
    """It gives 0.5 an hour from 1 to 2.4 h, and takes it back from 3.4 to 4.8 h."""
    site = TwinSite(hours=6.0)
    site.sleep(*gap)
    task = calibrate.task_of(site.plate, site.twin_study(PACK))
    current, volts = floats(task.current_a), floats(task.voltage_v)
    assert np.isfinite(current).all()
    assert np.isfinite(volts).all()
    assert task.soc == pytest.approx(begins, abs=0.03)


def test_what_judges_a_calibration_does_not_move_where_it_begins() -> None:
    """The part that is held back is neither fitted nor in the charge of the start."""
    begins = []
    for off_v in (0.0, 0.02):
        site = TwinSite(hours=6.0)
        whole = calibrate.task_of(site.plate, site.twin_study(PACK))
        first = last_seen(floats(whole.current_a).size, HOLD) + 1
        site.tell_other_volts(first, off_v)
        begins.append(calibrate.task_of(site.plate, site.twin_study(PACK)).soc)
    assert begins[1] == pytest.approx(begins[0], abs=1e-6)
    told = recording()
    volts = floats(told.voltage_v).copy()
    volts[int(0.72 * volts.size):] += 0.02
    assert given.task_of(site.plate, msgspec.structs.replace(
        told, voltage_v=column(volts)), "").soc == given.task_of(site.plate, told, "").soc


def test_before_and_after_stand_beside_each_other_and_what_was_accepted_is_used() -> None:
    site = TwinSite()
    page = opened(site)
    page.button(key="twin_forecast_ask").click().run()
    answer(site)
    page.run()
    page.button(key="twin_calibrate").click().run()
    site.stock.tell(0.3, "solve 12")
    page.run()
    assert page.get("progress")[0].proto.text == "solve 12, 30 %"
    task = calibrations(site)[0]
    site.stock.settle(task, fitted(task))
    assert site.watched == [(PACK, task.id, "")]
    assert "Accepted on what it has not seen the error is 2.0 mV" in words(page.run())
    site.shelf.keep(calibration_of(fitted(task), "NMC", "Ann", NOW.timestamp()))
    said = words(page.run())
    assert "Accepted on what it has not seen the error is 2.0 mV, before 20.0 mV" in said
    assert "by Ann. Windows and forecasts of this pack use it." in said
    assert "Active material, negative 100.0 % 90.0 % 88.0 % to 92.0 %" in said
    assert "Contact resistance 0.00 mΩ 8.00 mΩ not told" in said
    assert "Own parameters, uncalibrated" in said
    assert "Ask again, with its calibration" in buttons(page)
    page.button(key="twin_forecast_ask").click().run()
    assert forecasts(site)[0].parameters == {"negative_active": 0.9, "contact_ohm": 0.008}
    answer(site)
    said = words(page.run())
    assert "Cell calibrated on this pack, ageing the set's own" in said
    assert "no calibration fits how fast it ages" in said
    page.button(key="twin_uncalibrate").click().run()
    assert site.twin_own(PACK).calibration is None
    assert site.audited[-1].action == "calibration dropped"
    assert "Own parameters, uncalibrated" in words(page)
    assert "Calibrate" in buttons(page)


def test_what_is_not_accepted_is_shown_and_not_used() -> None:
    site = TwinSite()
    page = opened(site)
    page.button(key="twin_calibrate").click().run()
    task = calibrations(site)[0]
    site.stock.settle(task, fitted(task, accepted=False))
    assert "Not accepted on what it has not seen" in words(page.run())
    page.button(key="twin_forecast_ask").click().run()
    assert forecasts(site)[0].parameters == {}


def test_a_calibration_that_is_cancelled_can_be_asked_again() -> None:
    site = TwinSite()
    page = opened(site)
    page.button(key="twin_calibrate").click().run()
    page.button(key="twin_cancel_calibration").click().run()
    assert "Cancelled" in words(page)
    assert "Calibrate again" in buttons(page)


@pytest.mark.parametrize(("site", "why"), [
    (TwinSite(depth=0.0), "no current was measured"),
    (TwinSite(hours=1.07), "hours without a gap in its record; 5 % tell of active"),
])
def test_a_record_that_tells_too_little_is_not_asked_about(site: TwinSite, why: str) -> None:
    page = opened(site)
    assert why in words(page)
    assert "Calibrate" not in buttons(page)
    with pytest.raises(RequestError):
        calibrate.task_of(site.plate, site.twin_study(PACK))


def test_a_kept_calibration_of_another_parameter_file_does_not_count() -> None:
    site = TwinSite()
    task = CalibrationTask(id=new_id(), pack=PACK, chemistry="NMC", capacity_ah=50.0, soc=0.5,
                           step_s=60.0, current_a=b"", voltage_v=b"")
    site.shelf.keep(calibration_of(fitted(task), "NMC", "", NOW.timestamp()))
    site.shelf.keep(parameter_file())
    said = words(opened(site))
    assert "was of another parameter file and does not count now" in said
    assert "It ends with this program: history is off." in said


# -- own files


def parameter_file(about: str = PACK, **more: object) -> ParameterFile:
    told = {"name": "cell.json", "title": HOSTILE, "by": HOSTILE, **more}
    return ParameterFile(about=about, made_s=NOW.timestamp(), text="{}", low_v=2.5, high_v=4.2,
                         capacity_ah=5.0, **told)  # type: ignore[arg-type]


def recording() -> Recording:
    made = cells.live(cells.NMC, 50.0, cells.day(50.0, 0.5, step_s=10.0), step_s=10.0)
    return Recording(pack=PACK, name="a.csv", made_s=NOW.timestamp(), step_s=10.0,
                     current_a=column(made.record.current_a),
                     voltage_v=column(made.record.voltage_v), temperature_c=25.0,
                     note="the current's sign was turned")


def give(page: AppTest, name: str, content: bytes) -> None:
    page.file_uploader(key="twin_file").set_value((name, content, "application/octet-stream"))
    page.run()
    page.button(key="twin_read").click().run()


def test_a_file_is_read_by_a_child_and_then_counts_for_whom_it_was_given() -> None:
    site = TwinSite()
    page = opened(site)
    page.segmented_control(key="twin_given_about").set_value("All of its chemistry")
    give(page, "../<b>cell</b>.json", b"\xef\xbb\xbf{}")
    (task,) = [task for task in site.stock.open() if isinstance(task, FileTask)]
    assert (task.kind, task.text) == ("bpx", "{}")
    assert site.twin_own(PACK).file is None
    site.stock.settle(task, FileResult(id=task.id, kind="bpx", title=HOSTILE, low_v=2.5,
                                       high_v=4.2, capacity_ah=5.0))
    page.run()
    said = words(page.run())
    kept = site.twin_own(PACK).file
    assert kept is not None
    assert (kept.about, kept.name, kept.title) == (about_chemistry("NMC"), "b>.json", HOSTILE)
    assert "It counts for all packs of NMC: 2.5 to 4.2 V, 5.00 Ah." in said
    assert HOSTILE not in "".join(block.proto.body for block in page.get("html"))
    assert site.audited[-1].action == "bpx file given"
    page.number_input(key="twin_given_ah").set_value(12.5)
    give(page, "day.csv", b"time,voltage,current")
    task = next(task for task in site.stock.open() if isinstance(task, FileTask))
    site.stock.settle(task, FileResult(
        id=task.id, kind="csv", step_s=10.0, current_a=recording().current_a,
        voltage_v=recording().voltage_v, note="the current's sign was turned"))
    page.run()
    assert "The current's sign was turned." in words(page.run())
    kept_record = site.twin_own(PACK).recording
    assert kept_record is not None
    assert kept_record.capacity_ah == 12.5
    assert "of a cell of 12.50 Ah" in words(page)
    record = given.thinned(kept_record, 50.0)
    assert np.nanmax(record.current_a) == pytest.approx(
        4 * np.nanmax(given.thinned(recording(), 50.0).current_a), rel=1e-3)


def test_a_file_that_is_refused_says_why_and_changes_nothing() -> None:
    site = TwinSite()
    page = opened(site)
    give(page, "cell.json", b"[]")
    (task,) = [task for task in site.stock.open() if isinstance(task, FileTask)]
    site.stock.fail(task, f"this is no BPX file: {HOSTILE}")
    page.run()
    assert f"The file is not taken This is no BPX file: {HOSTILE}" in words(page.run())
    assert HOSTILE not in "".join(block.proto.body for block in page.get("html"))
    give(page, "cell.json", b"\xff\xff")
    assert "The file is not taken The file is no text in UTF-8" in words(page)
    assert site.twin_own(PACK).file is None
    assert site.audited == []


def test_files_that_count_are_named_with_whom_they_count_for_and_can_be_removed() -> None:
    site = TwinSite()
    site.shelf.keep(parameter_file(about_chemistry("NMC")))
    site.shelf.keep(recording())
    page = opened(site)
    said = words(page)
    assert f"cell.json Parameter file: {HOSTILE}. It counts for all packs of NMC: 2.5 to 4.2 V" \
        in said
    assert "a.csv Recording of" in said
    assert "The current's sign was turned." in said
    assert re.search(r"Recording: \d\.\d mV off", said)
    page.toggle(key="twin_from_recording").set_value(True).run()
    page.button(key="twin_calibrate").click().run()
    task = calibrations(site)[0]
    assert (task.bpx, task.step_s, task.temperature_c) == ("{}", 30.0, 25.0)
    assert task.soc == pytest.approx(0.9, abs=0.02)
    site.stock.fail(task, "cancelled")
    for kind in ("parameters", "recording"):
        page.button(key=f"twin_remove_{kind}").click().run()
    assert site.twin_own(PACK).file is None
    assert site.twin_own(PACK).recording is None
    assert [entry.action for entry in site.audited][-2:] == ["parameters removed",
                                                              "recording removed"]


@pytest.mark.parametrize(("name", "size", "content", "why"), [
    ("a.json", 100 * 2**20, b"{}", "100 MiB; at most 5"),
    ("a.json", 2 * 2**20, b" " * (2 * 2**20), "at most 1024 KiB; this one has 2048"),
    ("a.exe", 3, b"MZ.", "a file is called .json"), ("a", 3, b"{}.", "a file is called .json"),
    ("a.csv", 3, b"\xff\xfe\x00", "no text in UTF-8")])
def test_what_is_no_file_for_us_is_refused_before_a_child_sees_it(name: str, size: int,
                                                                  content: bytes,
                                                                  why: str) -> None:
    with pytest.raises(RequestError, match=re.escape(why)):
        given.file_task(name, size, content)


def test_a_calibration_on_a_recording_with_a_hole_takes_its_longest_part() -> None:
    plate, whole = TwinSite().plate, recording()
    current = floats(whole.current_a).copy()
    current[400:460] = np.nan
    holed = msgspec.structs.replace(whole, current_a=column(current))
    task = given.task_of(plate, holed, "")
    assert np.isfinite(floats(task.current_a)).all()
    assert floats(task.current_a).size == current.size // 3 - 460 // 3
    unholed = given.task_of(plate, whole, "")
    begun = plate.rated_ah * unholed.soc - float(np.sum(floats(whole.current_a)[:460])) / 360.0
    assert task.soc == pytest.approx(begun / plate.rated_ah, abs=0.02)
    with pytest.raises(RequestError, match="no current"):
        given.task_of(plate, msgspec.structs.replace(
            whole, current_a=column(np.full(current.size, np.nan))), "")


def test_only_operators_give_files_where_somebody_signs_in() -> None:
    site = TwinSite()
    site.config = Config(sources=[SourceConfig("fleet", "fleet")], file="orrery.toml",
                         operators=OperatorsConfig(mode="local", demo=True))
    site.shelf.keep(recording())
    page = opened(site)
    assert "Operators may give files. You are looking only." in words(page)
    assert not page.get("file_uploader")
    assert page.button(key="twin_remove_recording").disabled


def test_what_is_still_being_read_says_so() -> None:
    site = TwinSite()
    site.ready = False
    said = words(opened(site))
    assert "its record is being read" in said


# -- what they draw


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_plotly_knows_every_key_of_the_figures(theme: str) -> None:
    site = TwinSite(soh=FADING)
    task = ForecastTask(id=new_id(), chemistry="NMC")
    life = by_physics(course_of(aged(task)), "NMC")
    figures = [life_chart.figure(theme, [(life, "text"), (life, "discharge")],
                                 site.twin_study(PACK))]
    told, times = internals.columns(window()), window().time_s
    figures += [internals.figure(theme, "Europe/Stockholm", plot, times, told,
                                 (times[0], times[-1])) for plot in internals.PLOTS]
    for figure in figures:
        assert len(go.Figure(data=figure.data, layout=figure.layout).data) == len(figure.data)
        assert figure.to_json()


def test_losses_are_those_at_80_percent() -> None:
    task = ForecastTask(id=new_id(), chemistry="NMC")
    run = aged(task, loss_a_year=0.2)
    assert forecast.losses(run)["sei"] == pytest.approx(0.16, abs=0.01)
    assert forecast.losses(aged(task, 0.02))["sei"] == pytest.approx(0.016, rel=1e-3)
