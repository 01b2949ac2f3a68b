"""What a forecast says of its parameters and of its own error."""

from __future__ import annotations

import msgspec

from bench import _twin_cells
from components.twin import calibrate, forecast
from core.twin.kept import about_chemistry, calibration_of
from tests.components.test_twin_panels import (
    answer,
    fitted,
    forecasts,
    opened,
    parameter_file,
    words,
)
from tests.components.twin_site import NOW, PACK, TwinSite


def test_each_run_says_how_far_its_jump_was_measured_to_be_off() -> None:
    site = TwinSite()
    page = opened(site)
    page.button(key="twin_forecast_ask").click().run()
    (task,) = forecasts(site)
    assert (task.check, task.check_days) == (True, 120)
    answer(site, checked_days=96, checked_loss_pct=0.92, full_loss_pct=0.91, error_pct=-1.2)
    said = words(page.run())
    assert "It jumps over 30 days at a time. The loss of the first 96 days is 1.2 % off from a " \
        "run of every day (0.92 % against 0.91 %); later days were not checked." in said
    assert forecast.HELD not in said, "all of it is the ageing model"
    other = TwinSite()
    page = opened(other)
    page.button(key="twin_forecast_ask").click().run()
    answer(other)
    assert "how far that is off was not checked" in words(page.run())


def test_borrowed_ageing_stays_borrowed_where_the_cell_is_calibrated() -> None:
    site = TwinSite("LFP")
    task = calibrate.task_of(site.plate, site.twin_study(PACK))
    site.shelf.keep(calibration_of(fitted(task), "LFP", "Ann", NOW.timestamp()))
    page = opened(site)
    page.button(key="twin_forecast_ask").click().run()
    answer(site, origin="grafted", note="uncalibrated: its degradation is borrowed")
    said = words(page.run())
    assert "Cell calibrated on this pack, ageing grafted" in said
    assert "borrowed from another chemistry" in said


def test_a_calibration_of_a_parameter_file_is_kept_out_of_the_forecast_and_that_is_said() -> None:
    site = TwinSite()
    site.shelf.keep(parameter_file(about_chemistry("NMC")))
    file = site.twin_own(PACK).file
    assert file is not None
    task = calibrate.task_of(site.plate, site.twin_study(PACK))
    site.shelf.keep(calibration_of(msgspec.structs.replace(fitted(task), digest=file.digest),
                                   "NMC", "Ann", NOW.timestamp()))
    page = opened(site)
    said = words(page)
    assert "Its calibration is of the parameter file cell.json, which tells nothing of ageing" \
        in said
    assert "Windows of this pack use it; its forecast does not" in said
    page.button(key="twin_forecast_ask").click().run()
    assert forecasts(site)[0].parameters == {}


def test_what_is_said_of_the_interval_is_what_the_bench_finds() -> None:
    used, other = (_twin_cells.forecast_scores(_twin_cells.ageing(path))
                   for path in (_twin_cells.ONE_USE, _twin_cells.MANY_USES))
    points = sum(score.points for score in other)
    held_pct = 100 * sum(score.covered * score.points for score in other) / points
    assert f"{len(used)} NMC cells of one use; of {len(other)} cells of fifteen uses it held " \
        f"{held_pct:.0f} %" in forecast.HELD
