"""What is kept of the twin outlives clocks that jump."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from core.clock import ManualClock
from core.twin.predictions import Point, Prediction
from store.twin import KEPT, STEADY_S, PredictionDatabase
from tests.core.sites import NOON

SITE, PACK = "here", "pack_1"
DAYS_200_S = timedelta(days=200).total_seconds()


class Kept:
    """A store, and a clock that a test sets."""

    def __init__(self, path: Path) -> None:
        self.path, self.clock = path, ManualClock(NOON)
        self.store = PredictionDatabase(path, self.clock)

    def tell(self, device: str = PACK) -> Prediction:
        told = Prediction(v=1, site=SITE, device=device, made_s=self.clock.now().timestamp(),
                          plan_a=1.0, rated_ah=50.0, points=(Point(after_s=300.0, cell_v=3.7),))
        self.store.keep([told])
        return told

    def newest(self) -> Prediction | None:
        return self.store.newest(SITE, PACK, self.clock.now())

    def points(self) -> int:
        (score,) = self.store.scores(SITE, NOON - timedelta(days=1000), PACK)
        return score.waiting

    def stand(self) -> None:
        """The clock goes on as time does, for long enough."""
        for _ in range(25):
            self.clock.advance(STEADY_S / 24.0)
            self.tell("pack_2")


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path / "predictions.sqlite")
    yield made
    made.store.close()


def test_the_newest_is_none_that_a_clock_made_that_was_ahead(kept: Kept) -> None:
    before = kept.tell()
    kept.clock.set_by(DAYS_200_S)
    ahead = kept.tell()
    assert kept.newest() == ahead
    kept.clock.set_by(-DAYS_200_S)
    assert kept.newest() in (before, None), "of the words of before a day is kept"
    kept.clock.advance(300.0)
    now = kept.tell()
    assert kept.newest() == now
    later = kept.clock.now() + timedelta(days=300)
    assert kept.store.newest(SITE, PACK, later) == now, "what was ahead is gone"


@pytest.mark.parametrize("days", [200, -200, 3000])
def test_a_clock_that_was_off_for_a_while_costs_no_points(kept: Kept, days: int) -> None:
    """Also where the process begins while it is off: a machine that woke without a battery."""
    for _ in range(20):
        kept.tell()
        kept.clock.advance(300.0)
    kept.clock.set_by(86_400.0 * days)
    kept.tell()
    kept.store.close()
    kept.store = PredictionDatabase(kept.path, kept.clock)
    for _ in range(10):
        kept.clock.advance(STEADY_S / 20.0)
        kept.tell()
    kept.clock.set_by(-86_400.0 * days)
    kept.tell()
    assert kept.points() == 32


def test_a_clock_that_stands_forgets_what_is_old_and_what_has_yet_to_come(kept: Kept) -> None:
    kept.tell()
    kept.clock.set_by(KEPT.total_seconds() + STEADY_S)
    kept.tell()
    assert kept.points() == 2
    kept.stand()
    assert kept.points() == 1
    kept.clock.set_by(-DAYS_200_S)
    kept.tell()
    assert kept.points() == 2
    kept.stand()
    assert kept.points() == 1
    kept.clock.advance(300.0)
    assert [one.device for one in kept.store.due(SITE, kept.clock.now() + timedelta(days=900))] \
        == [PACK] + 25 * ["pack_2"]


def test_a_process_that_stands_still_for_long_forgets_too(kept: Kept) -> None:
    """Time that passes is no jump, however seldom somebody looks."""
    kept.tell()
    kept.clock.advance(KEPT.total_seconds() + 1.0)
    kept.tell()
    assert kept.points() == 1
