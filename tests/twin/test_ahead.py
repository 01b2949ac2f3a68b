"""What a pack is to do next, as a current of its cells and in words."""

from __future__ import annotations

import math

import pytest

from core.twin.ahead import Planned, nobody


def test_a_power_is_a_current_at_the_voltage_of_now() -> None:
    assert Planned(3.2, "x").cell_a(100, 3.2) == pytest.approx(10.0)
    assert Planned(-3.2, "x").cell_a(100, 3.2) == pytest.approx(-10.0)
    for power_kw, cells, volts in ((math.nan, 100, 3.2), (1.0, 0, 3.2), (1.0, 9, math.nan),
                                   (1.0, 9, 0.0)):
        assert Planned(power_kw, "x").cell_a(cells, volts) is None


@pytest.mark.parametrize(("power_kw", "words"), [
    (3.21, "under a plan: discharging at 3.2 kW"), (-12.0, "under a plan: charging at 12.0 kW"),
    (0.01, "under a plan: at rest")])
def test_it_says_who_and_what(power_kw: float, words: str) -> None:
    assert Planned(power_kw, "a plan").words == words
    assert nobody() == {}
