"""What counts for a calibrated pack: its check is of the same cell as its run, and nobody who only
looks changes its calibration."""

from __future__ import annotations

import re

import pytest

from core.config import Config, OperatorsConfig, SourceConfig
from core.twin.kept import calibration_of
from core.twin.tasks import CalibrationTask, new_id
from tests.components.test_twin_panels import (
    answer,
    buttons,
    calibrations,
    fitted,
    forecasts,
    opened,
    recording,
    words,
)
from tests.components.twin_site import NOW, PACK, TwinSite, aged

FOUND = {"negative_active": 0.9, "contact_ohm": 0.008}


def calibrated() -> TwinSite:
    site = TwinSite()
    task = CalibrationTask(id=new_id(), pack=PACK, chemistry="NMC", capacity_ah=50.0, soc=0.5,
                           step_s=60.0, current_a=b"", voltage_v=b"")
    site.shelf.keep(calibration_of(fitted(task), "NMC", "Ann", NOW.timestamp()))
    return site


def test_a_check_is_of_the_same_cell_as_the_run_above_it() -> None:
    site = calibrated()
    page = opened(site)
    page.button(key="twin_forecast_ask").click().run()
    answer(site)
    page.run().button(key="twin_forecast_check").click().run()
    (task,) = forecasts(site)
    assert task.check_days == 0
    assert task.parameters == FOUND
    assert "Check against a run of every day" not in buttons(page), "it runs"
    answer(site, checked_days=365, checked_loss_pct=1.47, full_loss_pct=1.45, error_pct=1.4)
    checked = "is 1.4 % off from a run of every day"
    assert checked in words(page.run())
    page.button(key="twin_uncalibrate").click().run()
    page.button(key="twin_forecast_ask").click().run()
    answer(site)
    assert checked not in words(page.run()), "that was of another cell"
    assert "Check against a run of every day" in buttons(page)


SIGNED_IN, NOBODY = (Config(sources=[SourceConfig("fleet", "fleet")], file="orrery.toml",
                            operators=operators)
                     for operators in (OperatorsConfig(mode="local", demo=True), OperatorsConfig()))


def test_only_operators_change_a_calibration_where_somebody_signs_in() -> None:
    site = calibrated()
    site.config = SIGNED_IN
    page = opened(site)
    said = words(page)
    assert "Accepted" in said, "everybody sees it"
    assert said.count("Operators may calibrate. You are looking only.") == 1
    assert page.button(key="twin_calibrate").disabled
    assert page.button(key="twin_uncalibrate").disabled
    site.config = NOBODY
    assert "Operators may calibrate" not in words(page.run())
    assert not page.button(key="twin_calibrate").disabled


def test_only_operators_end_a_calibration_that_runs() -> None:
    site = calibrated()
    opened(site).button(key="twin_calibrate").click().run()
    site.config = SIGNED_IN
    assert opened(site).button(key="twin_cancel_calibration").disabled
    site.config = NOBODY
    page = opened(site)
    site.config = SIGNED_IN
    page.button(key="twin_cancel_calibration").click().run()
    assert len(calibrations(site)) == 1


@pytest.mark.parametrize("key", ["twin_calibrate", "twin_uncalibrate", "twin_remove_recording"])
def test_a_press_after_a_sign_in_ended_changes_nothing(key: str) -> None:
    site = calibrated()
    site.shelf.keep(recording())
    page = opened(site)
    site.config = SIGNED_IN
    page.button(key=key).click().run()
    own = site.twin_own(PACK)
    assert own.calibration is not None
    assert own.recording is not None
    assert calibrations(site) == []


def test_a_life_beyond_what_is_told_says_from_when_on() -> None:
    site = TwinSite("LFP")
    page = opened(site)
    page.button(key="twin_forecast_ask").click().run()
    for task in forecasts(site):
        site.stock.settle(task, aged(task, loss_a_year=0.006))
    said = words(page.run())
    assert re.search(r"Under the present use over 100 years \d+ or more", said)
    assert re.search(r"Full cycles left – [\d ]+ or more", said)
