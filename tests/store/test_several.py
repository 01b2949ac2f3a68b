"""One history in several stores: each takes what it can, the first that can answer is asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.config import HistoryConfig, load_config
from core.errors import ConfigurationError, RetryLaterError, UnknownIdError
from core.frames import Frame
from core.ports import Hole, Moment, Series, StoreHealth
from core.registry import make_alarm_store, make_store
from core.topology import DEFAULT_LEVELS, Topology
from core.vocabulary import METRIC_NAMES
from store.embedded import EmbeddedStore
from store.records.alarms import AlarmTables
from store.several import SeveralStores
from tests.core.sites import system
from tests.store.support import (
    CELL,
    NOON,
    SITE,
    at,
    fill,
    frame,
    seconds_of,
    values_at,
    voltages,
)

NAMES = ("first", "second", "third")


class Notebook:
    """A store that remembers when frames came. answers: False where its server is away."""

    def __init__(self, seconds: Iterable[int] = (), *, answers: bool = True) -> None:
        self.seconds, self.answers = sorted(seconds), answers

    def _there(self) -> None:
        if not self.answers:
            raise RetryLaterError("the server is away")

    def append(self, frame: Frame) -> None:
        self._there()
        self.seconds.append(round((frame.time - NOON).total_seconds()))

    def backfill(self, frames: Iterator[Frame], done: Callable[[datetime], None],
                 hole: Hole | None = None) -> None:
        self._there()
        self.seconds = sorted([*self.seconds, *(
            round((one.time - NOON).total_seconds()) for one in frames)])

    def series(self, node_ids: Sequence[str], metrics: Sequence[str], start: datetime,
               end: datetime, max_points: int = 1000) -> list[Series]:
        self._there()
        time_s = np.array([at(second).timestamp() for second in self.seconds
                           if start <= at(second) <= end], np.float64)
        mean = np.ones(len(time_s), np.float32)
        return [Series(node_id, metric, time_s, mean, mean, mean, 1.0)
                for node_id in node_ids for metric in metrics]

    def moment_at(self, when: datetime) -> Moment | None:
        self._there()
        before = [second for second in self.seconds if at(second) <= when]
        return Moment(frame(before[-1]), "frame") if before else None

    def frame_at(self, when: datetime) -> Frame | None:
        found = self.moment_at(when)
        return None if found is None else found.frame

    def health(self) -> StoreHealth:
        known = [at(second) for second in self.seconds]
        return StoreHealth(known[0], known[-1], 1, 1) if known else StoreHealth(None, None, 0, 1)

    def close(self) -> None:
        """Nothing is open."""


Part = tuple[bool, frozenset[int]]
PARTS = st.tuples(*[st.tuples(st.booleans(), st.frozensets(st.integers(0, 30), max_size=6))
                    for _ in NAMES])


def expected(parts: tuple[Part, ...], start: int, end: int) -> list[int] | None:
    """What a reader of [start, end] is told: of those that answer, in their order, the first
    that begins within two seconds of the start, else the one that begins first."""
    best: list[int] | None = None
    for answers, seconds in parts:
        if not answers:
            continue
        own = sorted(second for second in seconds if start <= second <= end)
        if best is None or (own or [math.inf])[0] < (best or [math.inf])[0]:
            best = own
        if best and best[0] <= start + 2:
            break
    return best


@settings(max_examples=100, deadline=None)
@given(PARTS, st.integers(0, 30), st.integers(0, 30))
@example(((True, frozenset({20})), (True, frozenset({3})), (False, frozenset({1}))), 0, 30)
def test_a_reader_is_told_by_the_first_that_can_answer(parts: tuple[Part, ...], one: int,
                                                       other: int) -> None:
    start, end = sorted((one, other))
    several = SeveralStores({name: Notebook(seconds, answers=answers) for name, (answers, seconds)
                             in zip(NAMES, parts, strict=True)})
    told = expected(parts, start, end)
    if told is None:
        with pytest.raises(RetryLaterError):
            voltages(several, start, end)
        with pytest.raises(RetryLaterError):
            several.frame_at(at(end))
        return
    assert seconds_of(voltages(several, start, end)) == told
    known = [max(below) for answers, seconds in parts if answers
             and (below := [second for second in seconds if second <= end])]
    found = several.frame_at(at(end))
    assert (None if found is None else found.time) == (at(known[0]) if known else None)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.just("tick"), st.sampled_from(NAMES)), max_size=20))
def test_each_frame_is_in_all_that_took_it(steps: list[str]) -> None:
    """A name among the steps: that server goes away, or comes back."""
    stores = {name: Notebook() for name in NAMES}
    several = SeveralStores(stores)
    taken: dict[str, list[int]] = {name: [] for name in NAMES}
    for second, step in enumerate(steps):
        there = [name for name, store in stores.items() if store.answers]
        if step != "tick":
            stores[step].answers = not stores[step].answers
        elif there:
            fill(several, [second])
            for name in there:
                taken[name].append(second)
        else:
            with pytest.raises(RetryLaterError, match="first: the server is away; second"):
                fill(several, [second])
    assert {name: store.seconds for name, store in stores.items()} == taken


def stores_in(folder: Path) -> dict[str, EmbeddedStore]:
    return {name: EmbeddedStore(folder / name, SITE) for name in NAMES[:2]}


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[SeveralStores, dict[str, EmbeddedStore]]]:
    stores = stores_in(tmp_path)
    found = SeveralStores(stores)
    yield found, stores
    found.close()


Pair = tuple[SeveralStores, dict[str, EmbeddedStore]]


def test_one_that_fails_is_said_once_and_named(pair: Pair,
                                               caplog: pytest.LogCaptureFixture) -> None:
    several, stores = pair
    fill(stores["second"], [50])
    fill(several, [1, 2, 3])
    health = several.health()
    assert health.error == ""
    assert "stepped back" in health.parts["second"].error
    assert health.parts["first"].error == ""
    assert (health.oldest, health.newest) == (at(1), at(50))
    assert health.size_bytes == sum(part.size_bytes for part in health.parts.values())
    fill(several, [60])
    assert several.health().parts["second"].error == ""
    said = [record.getMessage() for record in caplog.records]
    assert [one.partition(":")[0] for one in said if "second" in one] == [
        "history in second is not written"]
    fill(stores["first"], [70])
    fill(stores["second"], [70])
    with pytest.raises(RetryLaterError, match=r"first: .*; second: "):
        fill(several, [65])
    assert "stepped back" in several.health().error


def test_a_past_is_told_to_all_and_by_the_first(pair: Pair) -> None:
    several, stores = pair
    fill(several, [30])
    reached: list[object] = []
    several.backfill((frame(second) for second in range(-7200, 30, 10)), reached.append)
    assert reached == [at(-3600), at(0), at(3600)][:len(reached)]
    assert reached
    for store in stores.values():
        assert seconds_of(voltages(store, -7200, 0))[:2] == [-7200, -7140]


def test_a_past_that_one_store_refuses_is_told_to_the_other(pair: Pair) -> None:
    several, stores = pair
    fill(several, [30])
    stores["first"].backfill((frame(second) for second in range(-7200, 30, 10)), lambda _: None)
    stores["second"].close()
    several.backfill((frame(second) for second in range(-9000, 30, 10)), lambda _: None)
    assert seconds_of(voltages(several, -7200, 0))[:2] == [-7200, -7140]


def test_an_id_that_only_an_older_history_knows_is_found(tmp_path: Path) -> None:
    other = Topology(DEFAULT_LEVELS, [system(1)])
    old = EmbeddedStore(tmp_path / "old", SITE)
    fill(old, [1])
    old.close()
    several = SeveralStores({"new": EmbeddedStore(tmp_path / "new", other),
                             "old": EmbeddedStore(tmp_path / "old", other)})
    assert seconds_of(voltages(several, 0, 9)) == [1]
    with pytest.raises(UnknownIdError):
        several.series(["nobody"], ["voltage_v"], NOON, at(1))
    several.close()


# -- as orrery.toml says it


def test_orrery_toml_names_one_or_several(tmp_path: Path) -> None:
    file = tmp_path / "orrery.toml"
    head = '[[sources]]\nkind = "fleet"\nname = "fleet"\n[history]\nkind = '
    for told, kinds in (('"none"', ("none",)), ('"postgres"', ("postgres",)),
                        ('["embedded", "postgres"]', ("embedded", "postgres"))):
        file.write_text(head + told, encoding="utf-8")
        assert load_config(file).history.kinds == kinds
    file.write_text(head + "[]", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="history.kind"):
        load_config(file)


@pytest.mark.parametrize("kind", ["tape", ["embedded", "tape"], ["embedded", "embedded"],
                                  ["none", "embedded"], ["none", "none"]])
def test_kinds_are_checked(kind: str | list[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="each once"):
        make_store(HistoryConfig(kind, str(tmp_path)), SITE, "orrery.toml")


def test_one_that_cannot_be_opened_leaves_none_open(tmp_path: Path) -> None:
    config = HistoryConfig(["embedded", "postgres"], str(tmp_path), url_variable="NOT_SET")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="NOT_SET"):
            make_store(config, SITE, "orrery.toml")
    alarms = make_alarm_store(config, "orrery.toml")
    assert isinstance(alarms, AlarmTables)
    alarms.close()


def test_all_values_come_back_from_whichever_answers(pair: Pair) -> None:
    several, stores = pair
    fill(several, [1])
    stores["first"].close()
    (found,) = several.series([CELL], ["voltage_v"], at(0), at(9))
    row = METRIC_NAMES.index("voltage_v")
    assert found.mean.tolist() == [values_at(1, SITE.size)[row, -1]]
