"""The last word on what is wanted: no more than is allowed that way, whatever is asked (law 8)."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.safety.ladder import clamp

ANY = st.floats() | st.floats(-500, 500)


@settings(max_examples=300, deadline=None)
@given(wanted=ANY, charge=ANY, discharge=ANY)
def test_it_is_within_what_is_allowed_that_way_and_never_more_than_wanted(
        wanted: float, charge: float, discharge: float) -> None:
    found = clamp(wanted, charge, discharge)
    most = discharge if wanted > 0 else charge
    assert math.isfinite(found)
    assert abs(found) <= (0.0 if math.isnan(most) else max(most, 0.0))
    assert not abs(found) > abs(wanted)
    assert found == 0.0 or (found > 0) == (wanted > 0), "it never turns around"
    assert clamp(found, charge, discharge) == found


@pytest.mark.parametrize(("wanted", "charge", "discharge", "found"), [
    (50.0, 10.0, 80.0, 50.0), (50.0, 80.0, 10.0, 10.0),
    (-50.0, 80.0, 10.0, -50.0), (-50.0, 10.0, 80.0, -10.0),
    (50.0, math.inf, math.inf, 50.0), (0.0, 80.0, 80.0, 0.0),
    (50.0, 80.0, math.nan, 0.0), (-50.0, -1.0, 80.0, 0.0),
    (math.nan, 80.0, 80.0, 0.0), (math.inf, 80.0, 80.0, 0.0), (-math.inf, 80.0, 80.0, 0.0)])
def test_each_way_has_its_own_limit_and_what_is_none_allows_nothing(
        wanted: float, charge: float, discharge: float, found: float) -> None:
    assert clamp(wanted, charge, discharge) == found
