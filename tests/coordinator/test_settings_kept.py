"""Two people who set the same site at once, what cannot be kept, and what cannot be read again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import update

from core.coordinator.problem import Objectives
from core.coordinator.settings import SiteSettings, overridden, released
from core.errors import ChangedMeanwhileError, RequestError
from store.records.coordinator import CoordinatorTables
from store.records.tables import SETTINGS
from tests.coordinator.test_desk import NOON, SITE, Desk
from tests.coordinator.test_loop import FAST_S, made
from tests.coordinator.test_loop import SITE as FLEET

HOUR = timedelta(hours=1)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Desk]:
    found = Desk(tmp_path)
    yield found
    found.close()


def stopped(settings: SiteSettings) -> SiteSettings:
    return msgspec.structs.replace(settings, controller="off")


def test_what_another_set_meanwhile_is_not_undone(site: Desk) -> None:
    """One looks and asks for more wear, the other stops the site, the first one confirms."""
    seen = site.desk.settings(SITE)
    asked = msgspec.structs.replace(seen, objectives=Objectives(wear=2.0))
    site.desk.apply(SITE, stopped(seen), "bob", seen=seen)
    with pytest.raises(ChangedMeanwhileError, match="Look again"):
        site.desk.apply(SITE, asked, "ann", seen=seen)
    assert site.desk.settings(SITE) == stopped(seen)
    assert [one.who for one in site.desk.changes(SITE)] == ["bob"]
    site.desk.apply(SITE, asked, "ann", seen=site.desk.settings(SITE))
    assert site.desk.settings(SITE) == asked


def test_an_override_that_came_meanwhile_stays_and_stops_no_other_wish(site: Desk) -> None:
    seen = site.desk.settings(SITE)
    site.desk.override(SITE, 0.0, HOUR, "bob", "smoke", seen=seen)
    site.desk.apply(SITE, msgspec.structs.replace(seen, ramp_s=60.0), "ann", seen=seen)
    held = site.desk.settings(SITE)
    assert held.override is not None
    assert (held.override.who, held.ramp_s) == ("bob", 60.0)


@pytest.mark.parametrize("stop", [
    lambda desk, seen: desk.override(SITE, 0.0, HOUR, "bob", "smoke", seen=seen),
    lambda desk, seen: desk.apply(SITE, stopped(seen), "bob", seen=seen)], ids=["rest", "off"])
@pytest.mark.parametrize("over", [False, True])
def test_a_stop_is_lost_to_no_override_and_to_no_end_of_one(
        site: Desk, stop: Callable[[Any, SiteSettings], None], over: bool) -> None:
    if over:
        site.desk.override(SITE, 4.0, HOUR, "ann", "")
    seen = site.desk.settings(SITE)
    stop(site.desk, seen)
    held = site.desk.settings(SITE)
    with pytest.raises(ChangedMeanwhileError):
        site.desk.override(SITE, 3.0, HOUR, "ann", "", seen=seen)
    if over:
        with pytest.raises(ChangedMeanwhileError):
            site.desk.release(SITE, "ann", seen=seen)
    assert site.desk.settings(SITE) == held


def test_an_override_is_kept_beside_another_wish_that_was_faster(
        site: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its reading and its writing."""
    read, raced = site.desk.store.settings, list[int]()

    def slow(name: str) -> object:
        found = read(name)
        if not raced:
            raced.append(1)
            site.desk.store.save_settings(SITE, SiteSettings(ramp_s=77.0), "bob", NOON)
        return found

    monkeypatch.setattr(site.desk.store, "settings", slow)
    site.desk.override(SITE, 1.0, HOUR, "ann", "", seen=site.desk._shown[SITE].default)
    held = site.desk.settings(SITE)
    assert held.override is not None
    assert (held.override.who, held.ramp_s) == ("ann", 77.0)


def test_the_end_of_an_override_undoes_nothing_that_came_meanwhile(
        monkeypatch: pytest.MonkeyPatch) -> None:
    site = made()
    site.set(overridden(SiteSettings(), 4.0, timedelta(minutes=1), site.clock.now(), "eve", ""))
    site.live(FAST_S)
    write, raced = site.store.save_settings, list[int]()

    def slow(*told: Any) -> int:
        if not raced:
            raced.append(1)
            write(FLEET, SiteSettings(controller="off"), "bob", NOON)
        return write(*told)

    monkeypatch.setattr(site.store, "save_settings", slow)
    site.live(120.0)
    changed = site.store.settings(FLEET)
    site.store.close()
    assert raced
    assert changed is not None
    assert (changed.who, changed.settings) == ("bob", SiteSettings(controller="off"))


# -- what the store could not read back


@pytest.mark.parametrize(("power_kw", "who", "why"), [
    (2e6, "ann", ""), (5.0, "ann", "x" * 300), (5.0, "a" * 90, ""), (5.0, "", ""),
    (5.0, "ann", "half a letter \ud800")])
def test_an_override_that_could_not_be_read_again_is_refused(site: Desk, power_kw: float, who: str,
                                                             why: str) -> None:
    with pytest.raises(RequestError, match=r"give|cannot be set"):
        site.desk.override(SITE, power_kw, HOUR, who, why)
    assert site.desk.changes(SITE) == []


@pytest.mark.parametrize("wrong", [
    {"import_limit_kw": 2e6}, {"import_limit_kw": -1.0}, {"export_limit_kw": float("nan")},
    {"ramp_s": 0.1}, {"prices": "p" * 81}, {"controller": "oracle"}])
def test_settings_that_could_not_be_read_again_are_refused(site: Desk,
                                                           wrong: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="This cannot be set: "):
        site.desk.apply(SITE, msgspec.structs.replace(SiteSettings(), **wrong), "ann")
    with pytest.raises(RequestError, match="This cannot be set: "):
        site.desk.store.save_settings(SITE, SiteSettings(**wrong), "ann", NOON)
    assert site.desk.changes(SITE) == []


def spoil(store: object) -> None:
    assert isinstance(store, CoordinatorTables)
    with store._place.writing() as connection:
        connection.execute(update(SETTINGS).values(told='{"controller":"oracle"}'))


def test_what_cannot_be_read_is_said_steers_nothing_and_is_set_anew(site: Desk) -> None:
    site.desk.apply(SITE, SiteSettings(ramp_s=60.0), "bob")
    site.live(20)
    told = site.view().allocated
    assert told is not None
    spoil(site.desk.store)
    site.live(30)
    view = site.view()
    assert "what bob set cannot be read, and no pack is steered until somebody sets it anew" in (
        view.problem)
    assert (view.settings.controller, view.allocated, site.desk.errors) == ("off", None, {})
    assert "what bob set cannot be read" in site.desk.states[SITE].problem  # type: ignore[union-attr]
    assert [one.unread != "" for one in site.desk.changes(SITE)] == [True]
    site.desk.apply(SITE, SiteSettings(), "ann", seen=view.settings)
    site.live(10)
    view = site.view()
    assert (view.problem, view.settings, released(view.settings)) == (
        "", SiteSettings(), SiteSettings())
    assert view.allocated is not None
    assert "what is set can be read again" in [note.words for note in view.notes]
