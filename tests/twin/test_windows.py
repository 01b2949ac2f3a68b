"""Whatever fails while windows are asked, each pack is asked again at its next time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace

import numpy as np
import pytest

from core.clock import ManualClock
from core.errors import RetryLaterError
from core.ports import Series
from core.twin.ahead import Planned, nobody
from core.twin.past import METRICS
from core.twin.tasks import WindowResult, WindowTask, floats, packed, read_task
from core.twin.windows import FIRST_S, Windows
from tests.components.twin_site import NOW, StandingPhysics
from tests.twin.test_rounds import plates_of

PERIOD_S = 300.0
TOLD = {"current_a": 10.0, "voltage_v": 16 * 3.6, "temperature_c": 25.0, "soc_pct": 50.0}
PACKS = plates_of(4)


def store(step_s: float = 10.0, **more: float | np.ndarray) -> SimpleNamespace:
    """A history of even steps; more: of metrics, instead of `TOLD`."""
    def series(packs: Sequence[str], metrics: Sequence[str], start: object, end: object,
               most: int) -> list[Series]:
        assert tuple(metrics) == METRICS
        time_s = end.timestamp() + np.arange(-300.0, 1.0, step_s)  # type: ignore[attr-defined]
        return [Series(pack, metric, time_s, *[np.full(time_s.size, 0.0, np.float32)
                                               + {**TOLD, **more}[metric]] * 3, step_s)
                for pack in packs for metric in metrics]
    return SimpleNamespace(series=series)


class Broken(StandingPhysics):
    """Raises what it is given for tasks of NMC."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error: Exception | None = error

    def ask(self, task, urgency=0.0):  # type: ignore[no-untyped-def]
        if self.error is not None and task.chemistry == "NMC":
            raise self.error
        return super().ask(task, urgency)


def asked(windows: Windows, physics: StandingPhysics, soc: Callable[[str], float],
          step_s: float = 10.0, **more: float | np.ndarray) -> list[str]:
    """Packs of the tasks that are open after one question."""
    windows.ask(store(step_s, **more), soc, lambda _pack: float("nan"))  # type: ignore[arg-type]
    return sorted(pack.pack for task in physics.open() if isinstance(task, WindowTask)
                  for pack in task.packs)


@pytest.mark.parametrize(("error", "words"), [
    (RetryLaterError("the queue is full"), "the queue is full"),
    (ValueError("broken"), "unexpected ValueError: broken")])
def test_a_task_that_cannot_be_asked_holds_back_no_pack(
        error: Exception, words: str, caplog: pytest.LogCaptureFixture) -> None:
    clock, physics = ManualClock(NOW), Broken(error)
    windows = Windows(clock, PACKS, physics, None, PERIOD_S)
    clock.advance(FIRST_S)
    assert asked(windows, physics, lambda _pack: 0.5) == ["p1", "p3"], "those of the other set"
    assert windows.error == f"no window of 2 packs of NMC: {words}"
    assert ("Traceback" in caplog.text) == isinstance(error, ValueError)
    for task in physics.open():
        physics.fail(task, "gave up")
    windows.collect()
    physics.error = None
    clock.advance(PERIOD_S)
    assert asked(windows, physics, lambda _pack: 0.5) == sorted(PACKS)


def test_whoever_fails_before_a_task_is_made_loses_no_pack() -> None:
    clock, physics, broken = ManualClock(NOW), StandingPhysics(), [True]

    def plans() -> Mapping[str, Planned]:
        if broken[0]:
            raise KeyError("plan")
        return nobody()

    windows = Windows(clock, PACKS, physics, None, PERIOD_S, plans=plans)
    clock.advance(FIRST_S)
    with pytest.raises(KeyError):
        asked(windows, physics, lambda _pack: 0.5)
    broken[0] = False
    clock.advance(PERIOD_S)
    assert asked(windows, physics, lambda _pack: 0.5) == sorted(PACKS)


@pytest.mark.parametrize(("told_c", "given_c"), [(31.0, 31.0), (np.nan, None), (655.35, None)])
def test_what_no_cell_can_be_is_no_temperature(told_c: float, given_c: float | None) -> None:
    clock, physics = ManualClock(NOW), StandingPhysics()
    windows = Windows(clock, PACKS, physics, None, PERIOD_S)
    clock.advance(FIRST_S)
    asked(windows, physics, lambda _pack: 0.5, temperature_c=told_c)
    for task in physics.open():
        assert read_task(packed(task)) == task
        assert isinstance(task, WindowTask)
        assert {(pack.temperature_c, pack.start_c) for pack in task.packs} == {(given_c, given_c)}


def test_a_pack_of_which_too_little_is_known_comes_at_its_next_time() -> None:
    clock, physics = ManualClock(NOW), StandingPhysics()
    windows = Windows(clock, PACKS, physics, None, PERIOD_S)
    clock.advance(FIRST_S)
    assert asked(windows, physics, lambda pack: 0.5 if pack == "p0" else float("nan")) == ["p0"]
    for task in physics.open():
        physics.fail(task, "gave up")
    windows.collect()
    clock.advance(PERIOD_S)
    assert asked(windows, physics, lambda _pack: 0.5) == sorted(PACKS)


@pytest.mark.parametrize(("step_s", "known"), [(10.0, 31), (60.0, 6)])
def test_a_window_begins_with_the_charge_that_ends_as_the_filter_s(step_s: float,
                                                                  known: int) -> None:
    """Also where minutes alone are known: its model joins them by straight lines over 300 s."""
    clock, physics = ManualClock(NOW), StandingPhysics()
    windows = Windows(clock, PACKS, physics, None, PERIOD_S)
    clock.advance(FIRST_S)
    ramp = np.linspace(5.0, 25.0, known)
    asked(windows, physics, lambda _pack: 0.5, step_s, current_a=ramp)
    (pack,) = [pack for task in physics.open() if isinstance(task, WindowTask)
               for pack in task.packs if pack.pack == "p1"]
    assert np.isfinite(floats(pack.current_a)).sum() == known
    assert pack.soc == pytest.approx(0.5 + 15.0 * 300.0 / 3600.0 / PACKS["p1"].rated_ah, abs=1e-6)


def test_what_fails_of_one_chemistry_stays_told_while_another_works(
        caplog: pytest.LogCaptureFixture) -> None:
    clock, physics = ManualClock(NOW), Broken(RetryLaterError("the queue is full"))
    windows = Windows(clock, PACKS, physics, None, PERIOD_S)
    clock.advance(FIRST_S)

    def turn() -> str:
        asked(windows, physics, lambda _pack: 0.5)
        for task in physics.open():
            physics.settle(task, WindowResult(id=task.id))
        windows.collect()
        clock.advance(PERIOD_S)
        return windows.error

    assert [turn(), turn()] == ["no window of 2 packs of NMC: the queue is full"] * 2
    assert len(caplog.records) == 1, "it is logged once"
    physics.error = None
    assert turn() == ""
