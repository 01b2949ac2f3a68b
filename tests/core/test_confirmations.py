"""A confirmation is good once, for one thing and person, for 30 s that passed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from core.clock import ManualClock
from core.confirmations import Confirmations
from core.errors import RequestError

WHAT = ("pack_1", "override 20 kW 900 s", "Anna")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 21, 12, tzinfo=UTC))


@pytest.mark.parametrize("seconds", [0, 29.9, 30])
def test_it_is_good_exactly_once(clock: ManualClock, seconds: float) -> None:
    open_ = Confirmations()
    token = open_.issue(*WHAT, clock)
    clock.advance(seconds)
    open_.redeem(token, *WHAT, clock)
    with pytest.raises(RequestError, match="used already"):
        open_.redeem(token, *WHAT, clock)


@pytest.mark.parametrize("seconds", [30.001, 3600])
def test_it_is_good_for_30_seconds(clock: ManualClock, seconds: float) -> None:
    open_ = Confirmations()
    token = open_.issue(*WHAT, clock)
    clock.advance(seconds)
    with pytest.raises(RequestError, match="30 s"):
        open_.redeem(token, *WHAT, clock)


@pytest.mark.parametrize("set_by_s", [-3600, -20, -1, 1, 20, 3600])
def test_a_clock_that_is_set_neither_lengthens_nor_ends_it(clock: ManualClock,
                                                           set_by_s: float) -> None:
    open_ = Confirmations()
    tokens = [open_.issue(*WHAT, clock) for _ in range(2)]
    clock.advance(25)
    clock.set_by(set_by_s)
    tokens.append(open_.issue(*WHAT, clock))
    open_.redeem(tokens[0], *WHAT, clock)
    clock.advance(24)
    with pytest.raises(RequestError, match="30 s"):
        open_.redeem(tokens[1], *WHAT, clock)
    open_.redeem(tokens[2], *WHAT, clock)


@pytest.mark.parametrize(("place", "other"), [
    (0, "pack_2"), (1, "override 200 kW 900 s"), (2, "Eve")])
def test_it_is_good_for_nothing_else_and_gone_after_the_attempt(
        clock: ManualClock, place: int, other: str) -> None:
    open_ = Confirmations()
    token = open_.issue(*WHAT, clock)
    changed = [*WHAT]
    changed[place] = other
    with pytest.raises(RequestError, match="something else"):
        open_.redeem(token, *changed, clock)
    with pytest.raises(RequestError, match="used already"):
        open_.redeem(token, *WHAT, clock)


def test_a_guess_opens_nothing_and_costs_nobody_anything(clock: ManualClock) -> None:
    open_ = Confirmations()
    token = open_.issue(*WHAT, clock)
    for guess in ("", "x", token[:-1], token + "A", token.upper()):
        with pytest.raises(RequestError, match="used already"):
            open_.redeem(guess, *WHAT, clock)
    open_.redeem(token, *WHAT, clock)


def test_each_is_its_own(clock: ManualClock) -> None:
    open_ = Confirmations()
    tokens = {open_.issue(*WHAT, clock) for _ in range(100)}
    assert len(tokens) == 100
    assert min(len(token) for token in tokens) >= 40
    for token in tokens:
        open_.redeem(token, *WHAT, clock)


def test_of_many_threads_one_redeems(clock: ManualClock) -> None:
    open_ = Confirmations()
    token = open_.issue(*WHAT, clock)

    def redeemed(_: int) -> bool:
        try:
            open_.redeem(token, *WHAT, clock)
        except RequestError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(redeemed, range(64))) == 1
