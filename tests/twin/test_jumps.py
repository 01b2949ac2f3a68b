"""A clock that is put back is told with what it cost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from core.twin.jumps import MOST, ClockJumps

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def seen(*seconds: float) -> ClockJumps:
    jumps = ClockJumps()
    for second in seconds:
        jumps.see(NOON + timedelta(seconds=second))
    return jumps


def test_a_clock_that_goes_on_is_no_jump() -> None:
    assert seen(*range(100), 5000.0).notes(NOON) == ()


def test_each_jump_counts_the_rows_until_it_is_made_up_for() -> None:
    jumps = seen(0, 600, 0, 300, 599, 600, 601, 602, 532)
    assert jumps.notes(NOON) == (
        "the clock was put back by 10 min, and 4 rows were dropped from its past",
        "the clock was put back by 70 s, and 1 row was dropped from its past")
    assert len(jumps.notes(NOON + timedelta(seconds=601))) == 1
    assert jumps.notes(NOON + timedelta(seconds=603)) == ()


def test_no_more_than_some_are_kept() -> None:
    jumps = seen(*[at for step in range(MOST + 9) for at in (10.0 * step, 10.0 * step - 5.0)])
    assert len(jumps.notes(NOON)) == MOST
