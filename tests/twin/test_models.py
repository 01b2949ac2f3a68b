"""Cells are read strictly, and one set of curves serves simulator, edge and twin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ConfigurationError
from core.limits import safe_operating_area
from core.twin.models import PROFILE, cell_model, cell_models
from core.vocabulary import CHEMISTRIES
from services.edge.cells import CURVES_V, GRID_PCT
from sim.chemistry import BY_NAME, HIGHEST_PCT, LOWEST_PCT, POINTS, open_circuit_table


@given(st.sampled_from(CHEMISTRIES), st.floats(0.0, 1.0))
def test_the_charge_of_a_voltage_is_the_charge(chemistry: str, soc: float) -> None:
    model = cell_model(chemistry)
    assert float(model.soc_of(model.ocv_v(soc))) == pytest.approx(soc, abs=1e-9)


@pytest.mark.parametrize("chemistry", CHEMISTRIES)
def test_simulator_and_edge_have_the_same_curve(chemistry: str) -> None:
    model = cell_models()[chemistry]
    at = CHEMISTRIES.index(chemistry) * POINTS
    table = open_circuit_table()[at:at + POINTS]
    pct = np.linspace(LOWEST_PCT, HIGHEST_PCT, POINTS)
    inside = (pct >= 0) & (pct <= 100)
    np.testing.assert_allclose(table[inside], model.ocv_v(pct[inside] / 100), atol=1e-5)
    np.testing.assert_allclose(CURVES_V[chemistry], model.ocv_v(GRID_PCT / 100))
    assert BY_NAME[chemistry] is model


@pytest.mark.parametrize("chemistry", CHEMISTRIES)
def test_a_resting_cell_is_inside_of_its_limits_at_any_charge(chemistry: str) -> None:
    limits = safe_operating_area().chemistries[chemistry]
    volts = cell_model(chemistry).ocv_v(np.linspace(0, 1, 101))
    assert volts.min() >= limits.voltage_min_v[0]
    assert volts.max() <= limits.voltage_max_v[0]
    assert (np.diff(volts) > 0).all()


def test_outside_of_the_curve_a_voltage_tells_no_charge() -> None:
    model = cell_model("LFP")
    assert np.isnan(model.soc_of([1.9, 3.7, np.nan])).all()
    assert float(model.ocv_v(1.2)) > float(model.ocv_v(1.0)), "it goes on as steep as it ends"


def test_cold_cells_resist_more_and_unknown_ones_as_at_25() -> None:
    ohmic, pair = cell_model("NMC").warmth([25.0, 0.0, np.nan])
    assert ohmic[0] == pair[0] == ohmic[2] == pair[2] == pytest.approx(1.0)
    assert 1.5 < ohmic[1] < pair[1] < 5.0


@pytest.mark.parametrize(("there", "instead", "key"), [
    ("nominal_v: 3.65", "nominal_v: -1", "NMC.nominal_v"),
    ("nominal_v: 3.65", "nominal_v: 3.65\n  colour: red", "colour"),
    ("2.500, 3.109", "3.500, 3.109", "NMC.curve_v"),
    ("window: [0.15, 0.83]", "window: [0.83, 0.15]", "NMC.window"),
    ("ohmic_share: 0.58", "ohmic_share: 0.9", "LFP.pairs"),
    ("LCO:", "NCA:", "LCO")])
def test_a_wrong_profile_is_refused_by_name(tmp_path: Path, there: str, instead: str,
                                            key: str) -> None:
    text = PROFILE.read_text(encoding="utf-8")
    assert there in text
    path = tmp_path / "cells.yaml"
    path.write_text(text.replace(there, instead, 1), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=key):
        cell_models(path)


def test_a_chemistry_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="LFP, NMC, LCO"):
        cell_model("NCA")
