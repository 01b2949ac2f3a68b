"""The inside of the cell over its last window."""

from __future__ import annotations

import re

import numpy as np
import pytest

from components.twin import internals
from core.twin.windows import Window
from tests.components.test_twin_panels import HOSTILE, opened, words
from tests.components.twin_site import PACK, StandingPhysics, TwinSite, window


def test_before_the_first_window_it_says_when_it_is_due() -> None:
    said = words(opened(TwinSite()))
    assert "No window yet" in said
    assert "12:04, 3 packs before it" in said


class Comes(TwinSite):
    """Its first window comes between the beginning of a page and its panel."""

    def twin_window(self, pack: str) -> Window | None:
        told, self.window = self.window, window()
        return told


def test_a_page_waits_for_a_first_window_and_no_longer() -> None:
    site = Comes()
    assert internals.waits(site, PACK)
    assert not internals.waits(site, PACK), "it has one"
    assert not internals.waits(Comes(physics=StandingPhysics("pybamm not installed")), PACK)
    said = words(opened(Comes()))
    assert "No window yet" not in said
    assert "Lithium, negative" in said


def test_a_window_shows_concentrations_overpotentials_and_temperature() -> None:
    site = TwinSite()
    site.window = window()
    said = words(opened(site))
    for title in ("Lithium, negative", "Lithium, positive", "Overpotentials", "Cell voltage",
                  "Heat made, each cell", "Temperature"):
        assert title in said
    assert "How the pack itself is cooled is not known" in said
    assert re.search(r"Temperature\s+measured\s+modelled", said)
    assert "4.0 mV root mean square" in said
    assert "concentration" not in said  # the SPM has no electrolyte


def test_the_temperature_that_was_measured_stands_beside_the_model_s_own() -> None:
    """Of a pack that tells it each half minute points are drawn, for it has no two in a row."""
    (plot,) = [one for one in internals.PLOTS if one.title == "Temperature"]
    told, times = internals.columns(window()), window().time_s
    drawn = internals.figure("dark", None, plot, times, told, (times[0], times[-1])).data
    assert [(line["name"], line["mode"]) for line in drawn] == [
        ("measured", "lines+markers"), ("modelled", "lines")]
    assert drawn[1]["y"] == pytest.approx(24.0 + np.arange(31) / 100, abs=1e-5)
    assert internals.alt(plot, list(plot.lines), told) == \
        "Temperature, last: measured 24.2 °C, modelled 24.3 °C."


def test_a_window_without_an_answer_says_why() -> None:
    site = TwinSite()
    site.window = window(f"no current was measured {HOSTILE}")
    page = opened(site)
    assert "no current was measured" in words(page)
    assert not any(HOSTILE in block.proto.body for block in page.get("html"))
