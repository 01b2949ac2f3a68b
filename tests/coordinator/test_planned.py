"""What the coordinator has packs do, as their digital twin hears of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from core.coordinator.planned import allocated_now
from core.coordinator.view import Delivery
from core.errors import RetryLaterError
from core.runtime import _plans
from core.twin.ahead import nobody
from core.twin.tree import TreeTwin
from tests.coordinator.test_desk import SITE, Desk


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Desk]:
    found = Desk(tmp_path)
    yield found
    found.close()


def test_each_pack_of_the_tree_has_its_allocation_while_it_is_valid(site: Desk) -> None:
    plans = _plans(site.engine, site.desk)
    assert plans() == {}
    site.live(95)
    told = plans()
    topology = site.engine.topology
    assert sorted(told) == sorted(topology.ids[node] for node in TreeTwin(topology).packs)
    shares = site.view().allocated.shares  # type: ignore[union-attr]
    assert {share.element: share.asked_kw for share in shares} == {
        pack: one.power_kw for pack, one in told.items()}
    assert next(iter(told.values())).words.startswith(
        "under the coordinator's allocation: charging at ")
    site.clock.advance(120.0)
    assert plans() == {}


@pytest.mark.parametrize(("delivery", "counts"), [
    ("delivered", True), ("on its way", True), ("refused", False), ("silent", False)])
def test_a_pack_that_does_not_follow_has_no_plan(site: Desk, delivery: Delivery,
                                                 counts: bool) -> None:
    site.live(30)
    store, now = site.desk.store, site.clock.now() + timedelta(seconds=1)
    told = store.allocated(SITE)
    assert told is not None
    first, *others = told.shares
    store.keep_allocated(SITE, replace(told, at=now, source="override",
                                       shares=[replace(first, delivery=delivery), *others]))
    found = allocated_now(store, [SITE], now)
    assert (first.element in found) == counts
    assert len(found) == len(told.shares) - (not counts)
    assert all(one.by == "an override" for one in found.values())


def test_a_store_out_of_reach_and_a_site_without_a_coordinator_have_none(
        site: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(_site: str) -> None:
        raise RetryLaterError("the server is away")

    site.live(30)
    monkeypatch.setattr(site.desk.store, "allocated", lost)
    assert allocated_now(site.desk.store, [SITE], site.clock.now()) == {}
    assert _plans(site.engine, "nothing is coordinated here") is nobody
