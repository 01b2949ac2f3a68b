"""A guesser is slow however he does it, and keeps nobody out from where that person signs in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from core.failed_sign_ins import (
    AGAIN_OF_ALL_S,
    AGAIN_S,
    MOST_FAILURES,
    MOST_KNOWN,
    MOST_OF_ALL,
    FailedSignIns,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
GUESSER, DESK = "203.0.113.9", "192.0.2.5"


def at(second: float) -> datetime:
    return NOW + timedelta(seconds=second)


def guesses(failures: FailedSignIns, tries: Iterable[tuple[str, str | None, float]]) -> int:
    """Name, address and second of each; how many were looked at."""
    looked_at = 0
    for name, address, second in tries:
        if not failures.wait_s(name, address, at(second)):
            failures.failed(name, address, at(second))
            looked_at += 1
    return looked_at


def test_at_one_address_it_is_one_a_minute() -> None:
    tries = (("Anna", GUESSER, float(second)) for second in range(3600))
    assert guesses(FailedSignIns(), tries) == MOST_FAILURES + 59


@pytest.mark.parametrize("names", [1, 1000])
@pytest.mark.parametrize("addresses", [1, 1000])
def test_many_names_or_addresses_are_not_faster_than_all_together(names: int,
                                                                  addresses: int) -> None:
    tries = ((f"{number % names}", f"2001:db8:{number % addresses:x}::1", number / 10)
             for number in range(3001))
    most = MOST_OF_ALL + 300 // AGAIN_OF_ALL_S if names * addresses > 1 else \
        MOST_FAILURES + 300 // AGAIN_S
    assert guesses(FailedSignIns(), tries) == most


def test_one_network_of_ipv6_is_one_guesser() -> None:
    tries = (("Anna", f"2001:db8::{number:x}", 0.0) for number in range(100))
    assert guesses(FailedSignIns(), tries) == MOST_FAILURES


def test_where_a_person_signed_in_before_nobody_elsewhere_is_waited_for() -> None:
    failures = FailedSignIns()
    failures.succeeded("Anna", DESK)
    guesses(failures, (("Anna", f"2001:db8:{number:x}::1", 0.0) for number in range(100)))
    assert failures.wait_s("Anna", DESK, NOW) == 0
    assert failures.wait_s("Bob", DESK, NOW) == failures.wait_s("Anna", None, NOW) == 20
    assert failures.failed("Anna", DESK, NOW) == MOST_FAILURES - 1
    assert guesses(failures, [("Anna", DESK, 0.0)] * 100) == MOST_FAILURES - 1, "nor more allowed"


@pytest.mark.parametrize("set_by_s", [-3600.0, -1.0])
def test_a_clock_that_is_set_back_makes_nobody_wait_longer(set_by_s: float) -> None:
    failures = FailedSignIns()
    guesses(failures, [("Anna", GUESSER, 0.0)] * 5)
    assert failures.wait_s("Anna", GUESSER, at(set_by_s)) == AGAIN_S
    assert failures.wait_s("Anna", GUESSER, at(set_by_s + AGAIN_S)) == 0


def test_what_is_remembered_is_bounded() -> None:
    failures = FailedSignIns()
    guesses(failures, ((f"{number}", None, 0.0) for number in range(5000)))
    assert failures.places == MOST_OF_ALL
    failures.wait_s("Anna", None, at(AGAIN_S))
    assert failures.places == 0
    for number in range(MOST_KNOWN + 5):
        failures.succeeded(f"{number}", None)
    assert failures.known == MOST_KNOWN
