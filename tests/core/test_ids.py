"""A neighbour whose name begins alike is no part of a place: in the list, and in history."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from components.alarms import groups, history
from components.alarms.choice import Shown
from core.alarms.journal import AlarmJournal
from core.alarms.records import Key
from core.alarms.states import ALARMED, HIDDEN, State
from core.clock import ManualClock
from core.fleet.catalogue import catalogue
from core.fleet.tree import element_of, roots
from core.ids import beside, is_below
from core.topology import DEFAULT_LEVELS, Topology
from store.records import open_alarms
from tests.core.alarm_bench import NOON, OPERATOR, hot

SITES = ("north", "north-2", "north-2-3", "south")
TREE = Topology(DEFAULT_LEVELS, [one for site in SITES for one in roots(
    site, site, catalogue(2, cells=2), DEFAULT_LEVELS)])
PACKS = [element_of(site, "pack_001") for site in SITES]


@pytest.mark.parametrize("place", [*TREE.ids[1:9], "system_gone", ""])
def test_what_lies_below_a_place_is_what_the_tree_has_there(place: str) -> None:
    others = beside(TREE, place)
    found = {one for one in TREE.ids if is_below(one, place, others)}
    assert found == (set(below_in_tree(place)) if place in TREE.index_of_id else
                     set() if place else set(TREE.ids))


def below_in_tree(place: str) -> Iterator[str]:
    top = TREE.index(place)
    for node in range(TREE.size):
        above = node
        while above > top:
            above = int(TREE.parent[above])
        if above == top:
            yield TREE.ids[node]


def test_a_site_s_alarms_and_history_are_its_own(tmp_path: Path) -> None:
    clock = ManualClock(NOON)
    store = open_alarms(tmp_path, clock)
    journal = AlarmJournal(TREE, clock, keep=store.append)
    for _ in range(20):
        clock.advance(1)
        journal.tick([hot(element=one) for one in PACKS])
    for site, own in zip(SITES, PACKS, strict=True):
        shown = Shown(below=f"system_{site.replace('-', '_')}")
        found = groups.listed(journal.groups(), journal.instances(), shown, set(), TREE)
        assert [one.element for one in found.alarms] == [own]
        asked = history.query(clock.now(), shown, (), beside(TREE, shown.below))
        assert [one.element for one in store.history(asked)] == [own]
    store.close()


def test_what_was_hidden_while_it_was_normal_is_seen_and_can_be_shown_again(
        tmp_path: Path) -> None:
    clock = ManualClock(NOON)
    store = open_alarms(tmp_path, clock)
    journal = AlarmJournal(TREE, clock, keep=store.append)
    key = Key(PACKS[0], "temperature_high")
    journal.suppress(key, OPERATOR, "it was there when I looked")
    every = Shown(states=ALARMED | HIDDEN)
    found = groups.listed(journal.groups(), journal.instances(), every, set(), TREE)
    assert [one.key for one in found.alarms] == [key]
    (line,) = store.history(history.query(clock.now() + timedelta(seconds=1),
                                          Shown(states=frozenset())))
    assert line.after is State.SUPPRESSED
    grave = Shown(least_tier=2, states=ALARMED | HIDDEN)
    assert not groups.listed(journal.groups(), journal.instances(), grave, set(), TREE).alarms
    journal.unsuppress(key, OPERATOR)
    assert not journal.instances()
    store.close()
