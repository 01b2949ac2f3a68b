"""What sources tell of their past, at a first start, as it comes to history."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np

from core.backfill import Backfill, holes_between, tree_needs_it
from core.clock import ManualClock
from core.engine import Engine
from core.topology import DEFAULT_LEVELS
from services.edge import demo
from sim import fleet
from store.embedded import EmbeddedStore
from tests.store.support import NOON, at, seconds_of


def test_simulators_of_different_reach_are_each_told_at_their_own_time(tmp_path: Path) -> None:
    clock = ManualClock(NOON)
    sources = [demo.create("packs", demo.Options(packs=2, cells=4, past_hours=1.0),
                           DEFAULT_LEVELS),
               fleet.create("fleet", fleet.Options(past_hours=2.0), DEFAULT_LEVELS)]
    engine = Engine(DEFAULT_LEVELS, sources, clock)
    store = EmbeddedStore(tmp_path, engine.topology)
    engine.attach(store)
    assert tree_needs_it(engine, None, hours=2.0)
    assert not tree_needs_it(engine, None, hours=0.0)
    assert not tree_needs_it(engine, at(-60), hours=2.0)
    past = Backfill(engine, store, None, 2.0)
    assert past.simulates
    past.run()
    assert past.error == ""
    pack, system = sources[0].roots[0].children[0].id, sources[1].roots[0].id
    early, late = store.series([pack, system], ["power_kw"], at(-7200), at(-60), 1000)
    assert seconds_of(early) == list(range(-3600, 0, 60))
    assert seconds_of(late) == list(range(-7200, 0, 60))
    told = next(iter(sources[0].backfill(NOON - timedelta(hours=1), NOON, 10.0)))
    first = told.columns["power_kw"][np.isfinite(told.columns["power_kw"])]
    assert early.minimum[0] <= first[0] + 1e-3
    assert early.maximum[0] >= first[0] - 1e-3
    engine.stop()


def test_holes_lie_between_known_minutes() -> None:
    known = [at(second).timestamp() for second in (0.0, 1.5, 59.0, 60.0, 300.0, 301.0)]
    found = holes_between(known, at(500))
    assert [(hole.after, hole.until) for hole in found] == [
        (at(60), at(300)), (at(300), at(480))]
    assert holes_between(known, at(359)) == found[:1]
