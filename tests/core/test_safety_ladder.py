"""No upper layer ever relaxes a lower one, whatever it asks for (law 8)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.safety.bands import CONDITIONS, INFO, NONE, TRIP, WARNING
from core.safety.ladder import (
    IMMEDIATE_CAUSES,
    RESPONSE_OF,
    Command,
    Layer,
    Response,
    clamp,
    combine,
    no_looser,
    responses,
)

AMPS = st.floats(allow_nan=True, allow_infinity=True, width=64) | st.floats(-500, 500)
PACKS = 4


@st.composite
def commands(draw: st.DrawFn) -> Command:
    """Any command whatever: of a coordinator, of learned actions, of a manual override."""
    columns = [draw(st.lists(AMPS, min_size=PACKS, max_size=PACKS)) for _ in range(3)]
    stops = draw(st.lists(st.booleans(), min_size=PACKS, max_size=PACKS))
    return Command.of(*columns, stops)


@settings(max_examples=300, deadline=None)
@given(hardware=commands(), uppers=st.lists(st.none() | commands(), min_size=1, max_size=3))
def test_no_layer_relaxes_one_below(hardware: Command, uppers: list[Command | None]) -> None:
    below = combine(hardware, None)
    assert no_looser(below, hardware).all()
    for upper in uppers:
        above = combine(below, upper)
        assert no_looser(above, below).all()
        assert (above.charge_a >= 0).all()
        assert (above.discharge_a >= 0).all()
        assert (above.stop >= below.stop).all()
        assert np.isfinite(above.setpoint_a).all()
        assert (above.setpoint_a <= below.discharge_a).all()
        assert (-above.setpoint_a <= below.charge_a).all()
        below = above


@settings(max_examples=100, deadline=None)
@given(lower=commands(), upper=commands())
def test_a_stricter_upper_layer_is_followed(lower: Command, upper: Command) -> None:
    held = combine(lower, upper)
    assert no_looser(held, upper).all()
    again = combine(held, upper)
    assert np.array_equal(again.charge_a, held.charge_a)
    assert np.array_equal(again.setpoint_a, held.setpoint_a)


@pytest.mark.parametrize("charge", [math.nan, -1.0, -math.inf])
def test_a_limit_that_is_none_allows_nothing(charge: float) -> None:
    held = combine(Command.of(charge, 50.0), Command.of(100.0, math.nan, 40.0))
    assert (held.charge_a[0], held.discharge_a[0], held.setpoint_a[0]) == (0.0, 0.0, 0.0)


def test_a_silent_upper_layer_changes_nothing() -> None:
    lower = Command.of([10.0, 20.0], [30.0, 40.0], [5.0, -50.0])
    held = combine(lower, None)
    assert held.charge_a.tolist() == [10.0, 20.0]
    assert held.setpoint_a.tolist() == [5.0, -20.0]


def test_a_manual_override_cannot_start_what_the_edge_has_stopped() -> None:
    edge = Command.of(0.0, 0.0, 0.0, True)
    held = combine(edge, Command.of(math.inf, math.inf, 100.0, False))
    assert held.stop[0]
    assert held.setpoint_a[0] == 0.0


@settings(max_examples=200, deadline=None)
@given(wanted=AMPS, charge=AMPS, discharge=AMPS)
def test_the_last_word_is_the_clamp(wanted: float, charge: float, discharge: float) -> None:
    found = clamp(*(np.array([value]) for value in (wanted, charge, discharge)))[0]
    assert math.isfinite(found)
    assert not found > 0 or found <= discharge
    assert not found < 0 or -found <= charge


@pytest.mark.parametrize(("condition", "tier", "first"), [
    ("short_circuit", TRIP, Response.IMMEDIATE_SHUTDOWN),
    ("interlock", TRIP, Response.IMMEDIATE_SHUTDOWN),
    ("voltage_high", TRIP, Response.CONTROLLED_SHUTDOWN),
    ("temperature_missing", TRIP, Response.CONTROLLED_SHUTDOWN),
    ("overrun", TRIP, Response.CONTROLLED_SHUTDOWN),
    ("voltage_high", WARNING, Response.REBALANCING),
    ("soc_low", WARNING, Response.REBALANCING),
    ("current_charge", INFO, Response.REBALANCING),
    ("voltage_spread", WARNING, Response.OPERATOR_ALERT)])
def test_what_answers_what(condition: str, tier: int, first: Response) -> None:
    assert responses(condition, tier)[0] is first


@pytest.mark.parametrize("condition", CONDITIONS)
def test_an_operator_hears_of_everything_and_of_nothing_else(condition: str) -> None:
    assert responses(condition, NONE) == ()
    for tier in (INFO, WARNING, TRIP):
        assert responses(condition, tier)[-1] is Response.OPERATOR_ALERT
    assert not set(IMMEDIATE_CAUSES) & set(CONDITIONS)


def test_each_layer_has_its_response() -> None:
    assert RESPONSE_OF[Layer.HARDWARE] is Response.IMMEDIATE_SHUTDOWN
    assert list(RESPONSE_OF.values()) == list(Response)
