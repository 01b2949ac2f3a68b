"""A playback is a function of the clock: no drift, and never outside of history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import RequestError
from core.playback import Playback, asked_time, opened, playable, time_text, window

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SPEEDS = st.floats(1.0, 600.0)
PAUSES = st.floats(0.0, 900.0)
MOVES = st.lists(st.tuples(
    st.sampled_from(["play", "pause", "seek", "speed", "bounded"]), PAUSES,
    st.floats(-40_000.0, 120_000.0), SPEEDS), max_size=30)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def moved(playback: Playback, move: tuple[str, float, float, float],
          now: datetime) -> Playback:
    kind, _, place, speed = move
    if kind == "play":
        return playback.play(now)
    if kind == "pause":
        return playback.pause(now)
    if kind == "seek":
        return playback.seek(after(place), now)
    if kind == "speed":
        return playback.at_speed(speed, now)
    return playback.bounded(playback.start + timedelta(seconds=abs(place) / 1000),
                            playback.end + timedelta(seconds=5))


@settings(max_examples=60, deadline=None)
@given(moves=MOVES)
def test_no_move_leaves_history_or_jumps(moves: list[tuple[str, float, float, float]]) -> None:
    now = NOON + DAY
    playback = opened(NOON, NOON + DAY, NOON, now)
    for move in moves:
        now += timedelta(seconds=move[1])
        stood = playback.position(now)
        playback = moved(playback, move, now)
        assert playback.start <= playback.position(now) <= playback.end
        if move[0] in ("pause", "speed") or (move[0] == "play" and stood < playback.end):
            assert playback.position(now) == stood
        if move[0] == "bounded" and stood < playback.end - timedelta(seconds=5):
            assert playback.position(now) == max(stood, playback.start)


@settings(max_examples=60, deadline=None)
@given(speed=SPEEDS, looks=st.lists(PAUSES, min_size=1, max_size=50))
def test_where_it_stands_is_the_clock_alone(speed: float, looks: list[float]) -> None:
    playback = opened(NOON, NOON + 400 * DAY, NOON, NOON).at_speed(speed, NOON).play(NOON)
    now = NOON
    for pause_s in looks:
        now += timedelta(seconds=pause_s)
        grown = playback.bounded(NOON, NOON + 400 * DAY + (now - NOON))
        assert grown.position(now) == playback.position(now)
        playback = grown
    assert playback.position(now) == NOON + (now - NOON) * speed


def test_history_begins_with_what_is_surely_there() -> None:
    assert playable(NOON, after(600)) == (after(60), after(600))
    assert playable(after(7), after(600)) == (after(7), after(600))
    assert playable(NOON, after(5)) == (after(5), after(5))


def test_it_ends_where_history_ends_and_begins_again() -> None:
    playback = opened(NOON, after(100), after(90), NOON).at_speed(10, NOON).play(NOON)
    assert playback.position(after(0.5)) == after(95)
    assert not playback.is_over(after(0.9))
    assert playback.position(after(5)) == after(100)
    assert playback.is_over(after(1))
    grown = playback.bounded(NOON, after(200))
    assert grown.position(after(5)) == after(140), "as if it had always been so long"
    assert not grown.is_over(after(5))
    over = playback.pause(after(5))
    assert over.play(after(5)).position(after(5)) == NOON
    assert over.play(after(5), after(40)).position(after(5)) == after(40)
    assert playback.pause(NOON).play(NOON, after(40)).position(NOON) == after(90), "not at the end"


def test_a_clock_that_goes_back_holds_it() -> None:
    playback = opened(NOON, after(100), after(50), NOON).play(NOON)
    assert playback.position(after(-3600)) == after(50)


def test_history_that_gives_up_its_beginning_moves_it_along() -> None:
    playback = opened(NOON, after(100), after(10), NOON).bounded(after(30), after(100))
    assert playback.position(NOON) == after(30)
    assert opened(NOON, after(-5), NOON, NOON).position(NOON) == NOON, "a span of one frame"


@pytest.mark.parametrize("speed", [0.0, 0.99, 601.0, -1.0, float("nan"), float("inf")])
def test_another_speed_is_refused(speed: float) -> None:
    with pytest.raises(RequestError, match="1 to 600"):
        opened(NOON, after(1), NOON, NOON).at_speed(speed, NOON)


@given(seconds=st.floats(-2e9, 6e9))
@settings(max_examples=30, deadline=None)
def test_a_link_has_whole_seconds_and_comes_back(seconds: float) -> None:
    when = after(seconds)
    assert asked_time(time_text(when)) == when.replace(microsecond=0)


@pytest.mark.parametrize("text", ["2026-06-01T14:00:00+02:00", "2026-06-01T12:00Z",
                                  "20260601T120000Z"])
def test_a_time_with_its_zone_is_read(text: str) -> None:
    assert asked_time(text) == NOON


@pytest.mark.parametrize(("text", "why"), [
    ("", "not a time"), ("yesterday", "not a time"), ("2026-13-01T00:00:00Z", "not a time"),
    ("2026-06-01T12:00:00", "no time zone"), ("2026-06-01", "no time zone"),
    ("0001-01-01T00:00:00+23:59", "not a time"), ("9999-12-31T23:59:59-23:59", "not a time"),
    ("2026-06-01T12:00:00 02:00", "not a time"), ("<script>alert(1)</script>", "not a time"),
    ("9" * 10_000, "not a time"), ("2026-06-01T12:00:00Z\x00", "not a time")])
def test_what_is_no_time_is_told_shortly_with_an_example(text: str, why: str) -> None:
    with pytest.raises(RequestError, match=why) as told:
        asked_time(text)
    assert "2026-11-21T16:20:05Z" in str(told.value)
    assert len(str(told.value)) < 400


@settings(max_examples=60, deadline=None)
@given(length_s=st.floats(0, 900_000), at=st.floats(0, 1),
       width=st.sampled_from([timedelta(hours=1), DAY, 7 * DAY, None]))
def test_a_slider_shows_the_time_within_history(length_s: float, at: float,
                                                width: timedelta | None) -> None:
    end = after(length_s)
    when = NOON + at * (end - NOON)
    low, high = window(NOON, end, when, width)
    assert NOON <= low <= when <= high <= end
    assert high - low == (end - NOON if width is None else min(width, end - NOON))
