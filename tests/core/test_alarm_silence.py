"""What says nothing proves nothing: no delay runs out in silence, and no cause that is not known to
be there hides anything (law 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from core.alarms.records import Finding, Key
from core.alarms.states import State
from tests.core.alarm_bench import HOT, RACK, Bench, hot
from tests.core.test_alarm_desk import CELL, Site

COOLING = Key(RACK, "cooling_failed")


def silent(bench: Bench, element: str, seconds: int, findings: list[Finding]) -> list[Key]:
    """What calls a person while an element says nothing."""
    called: list[Key] = []
    for _ in range(seconds):
        bench.clock.advance(1)
        called += bench.journal.tick(findings, lambda key: key.element == element).announced
    return called


def test_one_sample_before_a_silence_and_one_after_it_are_no_delay() -> None:
    bench = Bench()
    bench.tick([hot()])
    silent(bench, HOT.element, 600, [])
    bench.tick([hot()])
    assert bench.state() is State.NORMAL
    for _ in range(6):
        bench.tick([hot()])
    one = bench.journal.get(HOT)
    assert one is not None
    assert (one.state, one.began) == (State.UNACKNOWLEDGED,
                                      bench.clock.now() - timedelta(seconds=6))


def test_an_alarm_is_not_gone_by_one_sample_before_a_silence_and_one_after_it() -> None:
    bench = Bench()
    bench.lasting([hot()])
    bench.tick()
    silent(bench, HOT.element, 600, [])
    bench.tick()
    assert bench.state() is State.UNACKNOWLEDGED
    bench.tick(after_s=60)
    assert bench.state() is State.RETURNED


def test_a_cause_that_was_never_told_hides_nothing_while_it_is_silent() -> None:
    bench = Bench()
    bench.tick([Finding(*COOLING, tier=2)])
    assert silent(bench, RACK, 8, [hot()]) == [HOT]
    assert bench.journal.get(COOLING) is None
    assert COOLING not in bench.store.open


def test_a_cause_that_was_told_explains_though_it_is_silent() -> None:
    bench = Bench()
    bench.lasting([Finding(*COOLING, tier=2)])
    assert silent(bench, RACK, 20, [hot()]) == []
    assert bench.state() is State.SUPPRESSED


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    yield found
    found.engine.desk.close()


def nothing_heard(site: Site) -> None:
    site.source.heard = np.zeros(site.source.topology.size, dtype=bool)


def no_temperature(site: Site) -> None:
    site.source.set(CELL, {"temperature_c": np.nan})


def heard_again(site: Site, temperature_c: float) -> None:
    site.source.heard = None
    site.source.set(CELL, {"temperature_c": temperature_c})


LOST = pytest.mark.parametrize("lose", [nothing_heard, no_temperature])


def shown(site: Site, seconds: int, after_s: float = 1.0) -> bool:
    """Whether the cell is told to be too hot after so many looks."""
    return [(*HOT, "") in site.after(after_s) for _ in range(seconds)][-1]


@LOST
def test_a_cell_that_was_seen_hot_once_is_not_told_of_silence(
        site: Site, lose: Callable[[Site], None]) -> None:
    site.source.set(CELL, {"temperature_c": 52.0})
    site.after(1)
    lose(site)
    assert not shown(site, 30)
    heard_again(site, 52.0)
    assert not shown(site, 6)
    assert shown(site, 1)


@LOST
def test_a_cell_that_was_seen_cool_once_is_hot_until_it_is_heard_cool(
        site: Site, lose: Callable[[Site], None]) -> None:
    site.source.set(CELL, {"temperature_c": 52.0})
    assert shown(site, 8)
    heard_again(site, 25.0)
    site.after(1)
    lose(site)
    assert shown(site, 100)
    heard_again(site, 25.0)
    assert shown(site, 60)
    assert not shown(site, 1)
