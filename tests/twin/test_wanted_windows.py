"""The window of a pack that somebody looks at: soon, whatever failed first, and before all others;
and a clock that is set back stops none."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pytest

from core.clock import ManualClock
from core.ports import Series
from core.twin.agenda import AGAIN_S, COST_S
from core.twin.past import Plate
from core.twin.tasks import WindowAnswer, WindowResult, WindowTask
from core.twin.windows import FIRST_S, KEPT, WANTED_S, Windows
from tests.components.twin_site import NOW, StandingPhysics
from tests.twin.test_rounds import plates_of
from tests.twin.test_windows import PERIOD_S, TOLD

LOOKED_AT = "p77"
LOOKS_S = 20
"""A page asks each so often at the least."""
Charge = Callable[[int], float]


class Life:
    """Packs whose history begins with the app, one turn a second; `fails`: tasks whose child is
    killed; charge: of all packs, by the second since the start; a task takes `begins_s` of a
    processor before its packs."""

    def __init__(self, plates: dict[str, Plate], fails: int = 0,
                 charge: Charge = lambda second: 0.5, begins_s: float = 0.0) -> None:
        self.clock, self.physics = ManualClock(NOW), StandingPhysics()
        self.windows = Windows(self.clock, plates, self.physics, None, PERIOD_S)
        self.second, self._fails, self._charge = 0, fails, charge
        self._begins_s = begins_s
        self.asked: list[str] = []

    def turn(self, look: bool = False) -> None:
        if look:
            self.windows.want(LOOKED_AT)
        self.windows.collect()
        self.windows.ask(SimpleNamespace(series=self._series),  # type: ignore[arg-type]
                         lambda pack: self._charge(self.second), lambda pack: math.nan)
        for task in self.physics.open():
            assert isinstance(task, WindowTask)
            self.asked += [pack.pack for pack in task.packs]
            if self._fails:
                self._fails -= 1
                self.physics.fail(task, "its child was killed")
            else:
                self.physics.settle(task, WindowResult(
                    id=task.id, cpu_s=self._begins_s + COST_S * len(task.packs),
                    answers=tuple(WindowAnswer(pack=pack.pack) for pack in task.packs)))
        self.clock.advance(1.0)
        self.second += 1

    def until_window(self, opened_s: int, most_s: int) -> int:
        """The page stands open from then on; when its window is there [s]."""
        begun = self.second
        while self.second - begun < most_s:
            since_s = self.second - begun - opened_s
            self.turn(since_s >= 0 and since_s % LOOKS_S == 0)
            if self.windows.of(LOOKED_AT) is not None:
                return self.second - begun
        pytest.fail(f"no window in {most_s} s")

    def due_in_s(self, pack: str = LOOKED_AT) -> float:
        return (self.windows.due(pack).at - self.clock.now()).total_seconds()

    def _series(self, packs: Sequence[str], metrics: Sequence[str], start: datetime,
                end: datetime, most: int) -> list[Series]:
        time_s = end.timestamp() - 10.0 * np.arange(min(self.second // 10, 30), -0.5, -1.0)
        told = {metric: np.full(time_s.size, TOLD[metric], np.float32) for metric in metrics}
        return [Series(pack, metric, time_s, *[told[metric]] * 3, 1.0)
                for pack in packs for metric in metrics]


@pytest.mark.parametrize("opened_s", [0, 5, 19, 25])
def test_a_page_that_is_opened_early_has_its_window_first_and_alone(opened_s: int) -> None:
    """At 20 s three points are known: nothing can be asked of them, and it is tried again."""
    life = Life(plates_of(221))
    assert life.until_window(opened_s, 70) <= 50
    while life.second < FIRST_S:
        life.turn()
    assert set(life.asked) == {LOOKED_AT}, "nobody else is asked before the first batch"
    life.turn()
    assert len(set(life.asked)) == 221


@pytest.mark.parametrize(("fails", "charge"), [
    (1, lambda second: 0.5), (0, lambda second: 0.5 if second > 25 else math.nan)])
def test_a_killed_child_or_an_unknown_charge_puts_it_behind_nobody(fails: int,
                                                                  charge: Charge) -> None:
    life = Life(plates_of(221), fails, charge)
    assert life.until_window(3, 90) <= 70
    assert set(life.asked) == {LOOKED_AT}


def test_a_pack_whose_window_is_no_longer_in_memory_has_a_new_one_and_keeps_it() -> None:
    """For as long as somebody looks."""
    life = Life(plates_of(4000))
    while life.second < FIRST_S + 5:
        life.turn()
    life.asked.clear()
    assert sum(life.windows.of(f"p{at}") is not None for at in range(4000)) == KEPT
    assert life.windows.of(LOOKED_AT) is None
    assert life.until_window(0, 60) <= 2 * LOOKS_S + 5
    life.asked.clear()
    while life.asked.count(LOOKED_AT) < 1:
        life.turn(look=life.second % LOOKS_S == 0)
        assert life.windows.of(LOOKED_AT) is not None
    while life.windows.of(LOOKED_AT) is not None:
        life.turn()
    assert sum(life.windows.of(f"p{at}") is not None for at in range(4000)) == KEPT


def test_a_task_for_one_does_not_tell_what_a_pack_of_a_batch_costs() -> None:
    life = Life(plates_of(221), begins_s=1.0)
    life.until_window(0, 60)
    assert life.windows.agenda.cost_s == COST_S
    while life.second < FIRST_S + 2:
        life.turn()
    assert COST_S < life.windows.agenda.cost_s < 0.05


def test_when_it_is_due_is_what_comes_true() -> None:
    life = Life(plates_of(221))
    life.turn(look=True)
    assert (life.windows.due(LOOKED_AT).before, life.due_in_s()) == (0, WANTED_S - 1)
    while life.second <= WANTED_S:
        life.turn()
    life.windows.want(LOOKED_AT)
    assert life.due_in_s() == AGAIN_S - 1, "too little was known a second ago"
    while life.windows.of(LOOKED_AT) is None:
        life.turn(look=True)
    assert life.due_in_s() > PERIOD_S - 5
    assert life.windows.due(LOOKED_AT).before > 0


@pytest.mark.parametrize("at_s", [10, 250, 1000])
def test_a_clock_that_is_set_back_stops_no_window(at_s: int) -> None:
    life = Life(plates_of(4))
    while life.second < at_s:
        life.turn()
    life.asked.clear()
    life.clock.set_by(-7200.0)
    assert life.due_in_s("p1") <= PERIOD_S
    for _ in range(int(FIRST_S + PERIOD_S) + 2):
        life.turn()
    assert life.asked.count("p1") in (1, 2)
    assert life.due_in_s("p1") <= PERIOD_S
