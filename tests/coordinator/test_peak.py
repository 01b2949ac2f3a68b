"""The peak that a month's bill knows so far: means of whole steps, as a demand meter forms them."""

from __future__ import annotations

import math
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from core.coordinator.peak import highest_import, month_peak_kw
from core.coordinator.records import Minute
from store.records import open_coordinator
from tests.coordinator.fleet import NOON, SITE

STEP_S = 600.0
OVER_S = 3600.0
"""All steps of these tests are over by then."""


def minutes(*grid_kw: float, begin_s: float = 0.0) -> list[Minute]:
    return [Minute(begin_s + 60.0 * n, kw, 0.0, kw, 0.0, 50.0, 0.25, 0.05, 0.0, 50.0, 0, {})
            for n, kw in enumerate(grid_kw)]


KNOWN = minutes(*[10.0] * 10)


def test_a_gap_is_no_peak() -> None:
    gap = minutes(math.nan, begin_s=STEP_S)
    assert highest_import([*KNOWN, *gap], STEP_S, OVER_S) == pytest.approx(10.0)
    assert highest_import([], STEP_S, OVER_S) == 0.0


@pytest.mark.parametrize(("heard", "peak_kw"), [(1, 10.0), (8, 10.0), (9, 90.0), (10, 90.0)])
def test_a_step_counts_once_nine_tenths_of_it_are_known(heard: int, peak_kw: float) -> None:
    high = minutes(*[90.0] * heard, *[math.nan] * (10 - heard), begin_s=STEP_S)
    assert highest_import([*KNOWN, *high], STEP_S, OVER_S) == pytest.approx(peak_kw)


def test_a_minute_s_surge_is_no_peak() -> None:
    surge = minutes(90.0, *[-10.0] * 9, begin_s=STEP_S)
    assert highest_import(surge, STEP_S, OVER_S) == pytest.approx(0.0)
    assert highest_import([*KNOWN, *surge], STEP_S, OVER_S) == pytest.approx(10.0)


def test_the_step_in_progress_is_not_billed_yet() -> None:
    high = minutes(*[90.0] * 10, begin_s=STEP_S)
    assert highest_import([*KNOWN, *high], STEP_S, 1199.0) == pytest.approx(10.0)
    assert highest_import([*KNOWN, *high], STEP_S, 1200.0) == pytest.approx(90.0)


def test_the_peak_of_a_month_is_of_what_is_over_now() -> None:
    store = open_coordinator(None)
    store.keep_minutes(SITE, minutes(*[30.0] * 10, *[90.0] * 10, begin_s=NOON.timestamp()))
    for after_min, peak_kw in ((9.9, 0.0), (10.0, 30.0), (19.9, 30.0), (20.0, 90.0)):
        now = NOON + timedelta(minutes=after_min)
        assert month_peak_kw(store, SITE, ZoneInfo("UTC"), STEP_S, now) == peak_kw
    store.close()
