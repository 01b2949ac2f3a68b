"""Three minutes of twenty viewers: memory stays, and no run fails (`python -m bench soak`)."""

from __future__ import annotations

from bench.__main__ import figures
from bench.soak import SHORT_SLOPE_LIMIT


def test_twenty_viewers_and_a_hundred_who_come_and_go() -> None:
    found = {figure.metric: figure.value for figure in figures("soak", short=True)}
    assert found["failed runs"] == 0
    assert found["refreshes"] > 5
    assert found["RSS slope"] <= SHORT_SLOPE_LIMIT
