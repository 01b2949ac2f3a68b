"""Ageing runs that come by themselves: when, for whom, how few, and how gently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from core.clock import ManualClock
from core.errors import RetryLaterError
from core.ports import Series
from core.twin.past import Plate
from core.twin.rounds import AT_ONCE, BETWEEN_S, FIRST_S, URGENCY, Rounds, Times
from core.twin.tasks import ForecastResult, ForecastTask
from tests.components.twin_site import StandingPhysics, aged
from tests.twin.cells import LFP, NMC, day

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NIGHT = Times(time(2, 0), UTC, late_s=300.0)


class Urgent(StandingPhysics):
    """Remembers how urgent each task was."""

    def __init__(self) -> None:
        super().__init__()
        self.urgencies: list[float] = []

    def ask(self, task, urgency=0.0):  # type: ignore[no-untyped-def]
        self.urgencies.append(urgency)
        return super().ask(task, urgency)


class Lived:
    """A history in which packs were cycled to a depth [share]; 0 = nothing is known."""

    def __init__(self, plates: Mapping[str, Plate], depths: Mapping[str, float]) -> None:
        self.plates, self.depths, self.asked = plates, dict(depths), 0

    def series(self, packs: Sequence[str], metrics: Sequence[str], start: datetime, end: datetime,
               most: int) -> list[Series]:
        assert len(packs) <= AT_ONCE
        self.asked += 1
        return [self._one(pack, metric, end) for pack in packs for metric in metrics]

    def _one(self, pack: str, metric: str, end: datetime) -> Series:
        plate, depth = self.plates[pack], self.depths[pack]
        if not depth:
            empty = np.empty(0, np.float32)
            return Series(pack, metric, np.empty(0), empty, empty, empty, 60.0)
        current = np.resize(day(plate.rated_ah, depth, rest_s=4 * 3600, step_s=60.0), 1440)
        told = {"current_a": current, "soc_pct": np.full(1440, 80.0),
                "temperature_c": np.full(1440, 25.0)}[metric].astype(np.float32)
        return Series(pack, metric, end.timestamp() + 60.0 * np.arange(-1440, 0), told, told, told,
                      60.0)


def plates_of(count: int) -> dict[str, Plate]:
    return {f"p{row}": Plate(row, f"p{row}", "LFP" if row % 2 else "NMC",
                             LFP if row % 2 else NMC, 50.0, 16, True) for row in range(count)}


class House:
    """Rounds over packs; `turn` until nothing more happens."""

    def __init__(self, depths: Sequence[float], times: Times = NIGHT, at: datetime = NOON,
                 fitted: Mapping[str, float] | None = None) -> None:
        self.clock, self.physics = ManualClock(at), Urgent()
        self.plates = plates_of(len(depths))
        self.store = Lived(self.plates, dict(zip(self.plates, depths, strict=True)))
        self.fitted = dict(fitted or {})
        self.rounds = Rounds(self.clock, self.plates, self.physics,
                             lambda pack: self.fitted if pack == "p0" else {}, times)

    def turn(self, turns: int = 1) -> list[str]:
        new: list[str] = []
        for _ in range(turns):
            new += self.rounds.turn(self.store, lambda: list(self.plates))  # type: ignore[arg-type]
        return new

    def answer(self, **told: object) -> list[ForecastTask]:
        open_ = [task for task in self.physics.open() if isinstance(task, ForecastTask)]
        for task in open_:
            result = aged(task)
            self.physics.settle(task, ForecastResult(**{
                **{name: getattr(result, name) for name in result.__struct_fields__},
                "made_s": self.clock.now().timestamp(), **told}))
        return open_


@pytest.mark.parametrize(("now", "begins"), [
    (datetime(2026, 11, 21, 12, tzinfo=UTC), datetime(2026, 11, 22, 1, 5, tzinfo=UTC)),
    (datetime(2026, 11, 22, 1, 4, tzinfo=UTC), datetime(2026, 11, 22, 1, 5, tzinfo=UTC)),
    (datetime(2026, 11, 22, 1, 5, tzinfo=UTC), datetime(2026, 11, 23, 1, 5, tzinfo=UTC)),
    # Of the night in which clocks go on, and of the one in which they go back.
    (datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 29, 1, 5, tzinfo=UTC)),
    (datetime(2026, 10, 24, 12, tzinfo=UTC), datetime(2026, 10, 25, 0, 5, tzinfo=UTC))])
def test_the_night_is_the_zone_s_own(now: datetime, begins: datetime) -> None:
    times = Times(time(2, 0), ZoneInfo("Europe/Berlin"), 300.0)
    assert times.next(now) == begins
    assert Times(None).next(now) is None


def test_packs_whose_past_cannot_be_read_are_read_at_the_next_turn(
        monkeypatch: pytest.MonkeyPatch) -> None:
    house = House([0.5] * (AT_ONCE + 3))

    def away(*_: object) -> list[Series]:
        raise RetryLaterError("the store is away")

    house.clock.advance(FIRST_S + 1.0)
    with monkeypatch.context() as lost:
        lost.setattr(Lived, "series", away)
        with pytest.raises(RetryLaterError):
            house.turn()
    for _ in range(20):
        house.turn()
        house.answer()
        house.clock.advance(BETWEEN_S)
    told = [house.rounds.of(pack) for pack in house.plates]
    assert all(one.run is not None for one in told)


def test_every_night_there_is_exactly_one() -> None:
    times, now = Times(time(23, 50), ZoneInfo("America/New_York"), 900.0), NOON
    begun = []
    for _ in range(400):
        told = times.next(now)
        assert told is not None
        begun.append(told)
        now = told
    steps = {(second - first) / timedelta(hours=1)
             for first, second in zip(begun, begun[1:], strict=False)}
    assert steps <= {23.0, 24.0, 25.0}


def test_packs_that_are_used_alike_share_a_run_and_none_waits_for_a_press() -> None:
    house = House([0.4] * 24)
    house.clock.advance(FIRST_S - 1)
    assert house.turn(3) == []
    assert house.store.asked == 0
    assert house.rounds.of("p0").next_at == NOON + timedelta(seconds=FIRST_S)
    house.clock.advance(1)
    house.turn(3)
    (task,) = house.answer()
    assert (task.days, task.jump, task.chemistry) == (3650, 30, "NMC")
    assert house.physics.urgencies == [URGENCY]
    assert sorted(house.turn()) == sorted(pack for pack, plate in house.plates.items()
                                          if plate.chemistry == "NMC")
    told = house.rounds.of("p0")
    assert told.run is not None
    assert told.run.made_s == house.clock.now().timestamp()
    assert told.used is not None
    assert told.used.usage == task.usage
    assert house.rounds.of("p1").run is None
    assert house.rounds.of("p1").making


def test_by_day_one_run_in_half_an_hour_and_by_night_all() -> None:
    house = House([0.4] * 4)
    house.clock.advance(FIRST_S)
    house.turn(3)
    house.answer()
    house.turn(5)
    assert house.answer() == []
    house.clock.advance(BETWEEN_S)
    house.turn(2)
    assert len(house.answer()) == 1
    house.turn(5)
    assert all(house.rounds.of(pack).run is not None for pack in house.plates)
    assert house.rounds.of("p0").next_at == datetime(2026, 11, 22, 2, 5, tzinfo=UTC)
    house.store.depths = {"p0": 0.3, "p1": 0.3, "p2": 0.6, "p3": 0.3}
    house.clock.advance((house.rounds.of("p0").next_at - house.clock.now()).total_seconds())
    asked = 0
    for _ in range(12):
        house.turn()
        asked += len(house.answer())
    assert asked == 3
    told = house.rounds.of("p2").used
    assert told is not None
    assert told.cycles > 0.7


def test_a_kept_run_costs_nothing_and_is_not_waited_for() -> None:
    house = House([0.4] * 4)
    house.clock.advance(FIRST_S)
    house.turn(3)
    house.answer(cached=True)
    house.turn(2)
    assert len(house.answer()) == 1


def test_the_run_before_stands_until_a_new_use_has_its_own() -> None:
    house = House([0.4])
    house.clock.advance(FIRST_S)
    house.turn(3)
    house.answer()
    house.turn(2)
    before = house.rounds.of("p0")
    house.store.depths = {"p0": 0.7}
    house.clock.advance(24 * 3600.0)
    house.turn(2)
    told = house.rounds.of("p0")
    assert (told.run, told.used, told.making) == (before.run, before.used, True)
    house.answer()
    house.turn()
    told = house.rounds.of("p0")
    assert told.used is not None
    assert told.used.cycles > 0.6
    assert told.run is not before.run


def test_a_calibrated_pack_has_a_run_of_its_own() -> None:
    house = House([0.4, 0.0, 0.4], fitted={"negative_active": 0.9})
    house.clock.advance(FIRST_S)
    asked: list[ForecastTask] = []
    for _ in range(3):
        house.turn(3)
        asked += house.answer()
        house.turn()
        house.clock.advance(BETWEEN_S)
    assert sorted((task.chemistry, tuple(task.parameters)) for task in asked) == [
        ("LFP", ()), ("NMC", ()), ("NMC", ("negative_active",))]


def test_a_pack_whose_use_is_not_known_is_given_the_standard_one_and_that_is_said() -> None:
    house = House([0.0])
    house.clock.advance(FIRST_S)
    house.turn(3)
    house.answer()
    house.turn()
    told = house.rounds.of("p0")
    assert told.run is not None
    assert told.words == "nothing is known of its current in the last week"


def test_what_fails_is_told_and_the_others_go_on() -> None:
    house = House([0.4, 0.4], Times(time(12, 10), UTC))
    house.clock.advance(600)
    house.turn(3)
    (task,) = house.physics.open()
    house.physics.fail(task, "the solver gave up")
    house.turn(2)
    assert house.rounds.of("p0").failed == "the solver gave up"
    house.answer()
    house.turn()
    assert house.rounds.of("p1").run is not None


@pytest.mark.parametrize("times", [NIGHT, Times(time(12, 10), UTC)])
def test_a_run_that_a_person_cancels_is_asked_again_later_and_others_go_on(times: Times) -> None:
    """The run of the night is one with what somebody asks on a page, and so is its Cancel."""
    house = House([0.4, 0.4], times)
    house.clock.advance(FIRST_S)
    house.turn(3)
    (task,) = house.physics.open()
    house.physics.cancel(task.id)
    house.turn(4)
    others = [one.chemistry for one in house.answer()]
    house.turn(2)
    told = house.rounds.of("p0")
    assert (told.run, told.failed, told.making) == (None, "", True)
    assert house.answer() == []
    house.clock.advance(BETWEEN_S)
    for _ in range(3):
        house.turn(2)
        others += [one.chemistry for one in house.answer()]
        house.turn()
        house.clock.advance(BETWEEN_S)
    assert sorted(others) == ["LFP", "NMC"]
    assert all(house.rounds.of(pack).run is not None for pack in house.plates)
    assert not house.rounds.of("p0").making


def test_a_task_that_is_long_forgotten_is_asked_again() -> None:
    house = House([0.4])
    house.clock.advance(FIRST_S)
    house.turn(3)
    house.physics.forget(house.physics.open()[0].id)
    house.turn(2)
    assert len(house.answer()) == 1
    house.turn()
    assert house.rounds.of("p0").run is not None


def test_none_comes_where_none_is_wanted_or_nothing_can_run() -> None:
    house = House([0.4], Times(None))
    house.clock.advance(7 * 86_400)
    house.turn(3)
    assert house.store.asked == 0
    assert house.rounds.of("p0").next_at is None
    house = House([0.4])
    house.physics.missing = "pybamm not installed"
    house.clock.advance(86_400)
    house.turn(3)
    assert house.store.asked == 0
