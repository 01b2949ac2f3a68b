"""A confirmation is good once, for one thing and person, for 30 s."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from core.confirmations import Confirmations
from core.errors import RequestError

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
WHAT = ("pack_1", "override 20 kW 900 s", "Anna")


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize("seconds", [0, 29.9, 30])
def test_it_is_good_exactly_once(seconds: float) -> None:
    open_ = Confirmations()
    token = open_.issue(*WHAT, NOW)
    open_.redeem(token, *WHAT, at(seconds))
    with pytest.raises(RequestError, match="used already"):
        open_.redeem(token, *WHAT, at(seconds))


@pytest.mark.parametrize("seconds", [30.001, 3600, -0.001])
def test_it_is_good_for_30_seconds_and_not_before_its_own_time(seconds: float) -> None:
    open_ = Confirmations()
    token = open_.issue(*WHAT, NOW)
    with pytest.raises(RequestError, match="30 s"):
        open_.redeem(token, *WHAT, at(seconds))


@pytest.mark.parametrize(("place", "other"), [
    (0, "pack_2"), (1, "override 200 kW 900 s"), (2, "Eve")])
def test_it_is_good_for_nothing_else_and_gone_after_the_attempt(place: int, other: str) -> None:
    open_ = Confirmations()
    token = open_.issue(*WHAT, NOW)
    changed = [*WHAT]
    changed[place] = other
    with pytest.raises(RequestError, match="something else"):
        open_.redeem(token, *changed, NOW)
    with pytest.raises(RequestError, match="used already"):
        open_.redeem(token, *WHAT, NOW)


def test_a_guess_opens_nothing_and_costs_nobody_anything() -> None:
    open_ = Confirmations()
    token = open_.issue(*WHAT, NOW)
    for guess in ("", "x", token[:-1], token + "A", token.upper()):
        with pytest.raises(RequestError, match="used already"):
            open_.redeem(guess, *WHAT, NOW)
    open_.redeem(token, *WHAT, NOW)


def test_each_is_its_own() -> None:
    open_ = Confirmations()
    tokens = {open_.issue(*WHAT, NOW) for _ in range(100)}
    assert len(tokens) == 100
    assert min(len(token) for token in tokens) >= 40
    for token in tokens:
        open_.redeem(token, *WHAT, NOW)


def test_of_many_threads_one_redeems() -> None:
    open_ = Confirmations()
    token = open_.issue(*WHAT, NOW)

    def redeemed(_: int) -> bool:
        try:
            open_.redeem(token, *WHAT, NOW)
        except RequestError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(redeemed, range(64))) == 1
