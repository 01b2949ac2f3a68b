"""The fleet's past out of the ingest's store: what history lacks is what devices said."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench._fleet import Mosquitto
from core.backfill import Backfill, tree_needs_it
from core.clock import ManualClock, from_epoch
from core.config import load_config
from core.engine import Engine
from core.errors import ConfigurationError
from core.fleet.entries import FleetEntry
from core.fleet.messages import column, packed
from core.fleet.ports import FleetStore
from core.parsing import as_model
from core.ports import Hole, Series, StoreHealth
from core.registry import FLEET_STORES, make_fleet_store, make_sources
from core.runtime import start_runtime
from core.topology import DEFAULT_LEVELS
from scripts.app_process import LOOPBACK, free_port
from services.fleet_source import KeptFleet, MqttFleet, Options, create
from store.embedded import EmbeddedStore
from tests.fleet.examples import PACKS, STREAM, body, telemetry
from tests.fleet.site import Talker, broker_of, fleet_place, ingesting
from tests.sources.mosquitto import until
from tests.store.support import at, frame, seconds_of

TWO = {**PACKS, "pack_2": {"chemistry": "NMC", "cells": 3, "capacity_kwh": 20.0}}
FIRST, SECOND, SITE = "system_home_rack_1", "system_home_rack_2", "system_home"
CELL = f"{FIRST}_cell_1"
STOPPED, BEGUN = 90, 2710
"""Seconds after noon: the app's last frame, and its next start."""


def power_at(second: int, device: str) -> float:
    return second / 100 + (100.0 if device == "pack_2" else 0.0)


def voltage_at(second: int) -> float:
    return 3.0 + second / 10_000


def told(device: str, second: int, **changed: Any) -> bytes:
    cells = {"voltage_v": column(np.array([3.1, voltage_at(second), np.nan], np.float32))}
    return packed(body(time_s=at(second).timestamp(), cells=cells,
                       power_kw=power_at(second, device), **changed))


def kept(device: str, seconds: Sequence[int], seq: int = 1,
         spoilt: dict[int, bytes] | None = None) -> list[FleetEntry]:
    """Bodies with numbers from `seq` on, as the ingest keeps them."""
    return [FleetEntry("home", device, STREAM, 0, seq + number, 1,
                       round(at(second).timestamp() * 1e6), 10 ** 15,
                       (spoilt or {}).get(second, told(device, second)))
            for number, second in enumerate(seconds)]


@pytest.fixture(params=sorted(FLEET_STORES))
def place(request: pytest.FixtureRequest, tmp_path: Path,
          monkeypatch: pytest.MonkeyPatch) -> str:
    """Of the ingest's store, in each kind."""
    return fleet_place(request, tmp_path, monkeypatch)


@pytest.fixture
def ingest(place: str) -> Iterator[FleetStore]:
    """Held open by its writer, as in life."""
    store = make_fleet_store(place)
    yield store
    store.close()


def fleet(place: str, clock: ManualClock, **changed: Any) -> Any:
    said = {"packs": TWO, "site": "home", "broker": f"mqtt://{LOOPBACK}:{free_port()}",
            "store": place, **changed}
    return create("fleet", as_model(said, Options, "orrery.toml", "options"), DEFAULT_LEVELS, clock)


class App:
    """Two starts of an app: frames until STOPPED, nothing, then all from BEGUN on."""

    def __init__(self, directory: Path, place: str, *, ran_before: bool = True,
                 begun: int = BEGUN) -> None:
        clock = ManualClock(at(begun))
        self.source = fleet(place, clock)
        self.engine = Engine(DEFAULT_LEVELS, [self.source], clock)
        if ran_before:
            before = EmbeddedStore(directory, self.engine.topology)
            for second in range(STOPPED + 1):
                before.append(frame(second, topology=self.engine.topology))
            before.close()
        self.history = EmbeddedStore(directory, self.engine.topology)
        self.engine.attach(self.history)
        newest = self.history.health().newest
        assert tree_needs_it(self.engine, newest, hours=0.0)
        self.past = Backfill(self.engine, self.history, None, 0.0, newest)
        for _ in range(3):
            self.engine.tick()
            clock.advance(1.0)
        self.past.run()
        self.history.settle()

    def series(self, node: str, metric: str, start: int = 0, end: int = BEGUN) -> Series:
        (found,) = self.history.series([node], [metric], at(start), at(end), 10_000)
        return found


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[list[App]]:
    """Apps that a test began."""
    begun: list[App] = []
    yield begun
    for app in begun:
        app.engine.stop()


def assert_equals_the_bodies(found: Series, minute: int, expected: Sequence[float]) -> None:
    where = seconds_of(found).index(minute)
    np.testing.assert_allclose((found.minimum[where], found.maximum[where], found.mean[where]),
                               (min(expected), max(expected), np.mean(expected)), rtol=1e-5)


def test_the_time_without_the_app_is_as_the_devices_told_it(
        tmp_path: Path, place: str, ingest: FleetStore, opened: list[App]) -> None:
    ingest.take(kept("pack_1", range(60, 2720)))
    ingest.take(kept("pack_2", range(60, 2720)))
    app = App(tmp_path / "history", place)
    opened.append(app)
    assert app.past.error == ""
    power = app.series(FIRST, "power_kw")
    assert seconds_of(power)[STOPPED + 1:] == list(range(120, 2700, 60)), "whole minutes, once each"
    for minute in (120, 1320, 2640):
        seconds = range(minute, minute + 60)
        assert_equals_the_bodies(power, minute, [power_at(one, "pack_1") for one in seconds])
        assert_equals_the_bodies(app.series(CELL, "voltage_v"), minute,
                                 [voltage_at(one) for one in seconds])
        assert_equals_the_bodies(app.series(SITE, "power_kw"), minute, [
            power_at(one, "pack_1") + power_at(one, "pack_2") for one in seconds])
    own = frame(40, topology=app.engine.topology).columns["power_kw"]
    assert power.mean[40] == own[app.engine.topology.index(FIRST)], "what was kept stays"


def test_what_an_outbox_delivered_late_is_at_its_own_time(
        tmp_path: Path, place: str, ingest: FleetStore, opened: list[App]) -> None:
    """Its newest came first, what it measured before came when its network was back."""
    ingest.take(kept("pack_2", range(91, 2700)))
    ingest.take(kept("pack_1", range(2000, 2700), seq=1911))
    ingest.take(kept("pack_1", range(91, 2000), seq=2))
    app = App(tmp_path / "history", place)
    opened.append(app)
    power = app.series(FIRST, "power_kw")
    assert seconds_of(power)[STOPPED + 1:] == list(range(120, 2700, 60))
    assert_equals_the_bodies(power, 600, [power_at(one, "pack_1") for one in range(600, 660)])


def test_what_the_ingest_never_had_stays_missing(
        tmp_path: Path, place: str, ingest: FleetStore, opened: list[App]) -> None:
    ingest.take(kept("pack_1", [*range(91, 600), *range(1800, 2100)]))
    ingest.take(kept("pack_2", [*range(91, 600), *range(1200, 2100)]))
    app = App(tmp_path / "history", place)
    opened.append(app)
    first, second = (seconds_of(app.series(pack, "power_kw"))[STOPPED + 1:]
                     for pack in (FIRST, SECOND))
    assert first == [*range(120, 600, 60), *range(1800, 2100, 60)]
    assert second == [*range(120, 600, 60), *range(1200, 2100, 60)]


@pytest.mark.parametrize("filled", [0, 1300])
def test_a_hole_that_was_broken_off_is_filled_at_the_next_start(
        tmp_path: Path, place: str, ingest: FleetStore, opened: list[App], filled: int) -> None:
    """The app ran for ten seconds in between, and had filled some of the hole, or none."""
    ingest.take(kept("pack_1", range(60, 3400)))
    early = fleet(place, ManualClock(at(BEGUN)))
    engine = Engine(DEFAULT_LEVELS, [early], ManualClock(at(BEGUN)))
    between = EmbeddedStore(tmp_path / "history", engine.topology)
    for second in (*range(STOPPED + 1), *range(BEGUN, BEGUN + 10)):
        between.append(frame(second, topology=engine.topology))
    between.backfill((frame(second, topology=engine.topology) for second in range(91, filled)),
                     lambda _: None, Hole(at(STOPPED), at(BEGUN)))
    between.close()
    engine.stop()
    app = App(tmp_path / "history", place, ran_before=False, begun=3310)
    opened.append(app)
    assert app.past.error == ""
    power = app.series(FIRST, "power_kw", end=3400)
    assert seconds_of(power)[STOPPED + 1:] == [
        *range(120, 2700, 60), *range(BEGUN, BEGUN + 10), *range(2760, 3300, 60)]
    for minute in (1320, 2640, 2880):
        seconds = range(minute, minute + 60)
        assert_equals_the_bodies(power, minute, [power_at(one, "pack_1") for one in seconds])


def test_a_spoilt_body_is_skipped_counted_and_named(
        tmp_path: Path, place: str, ingest: FleetStore, opened: list[App]) -> None:
    spoilt = {300: b"\x00 nothing", 301: told("pack_1", 301)[:-7], 302: told("pack_1", 999),
              303: told("pack_1", 303, soc_pct=float("nan")), 304: packed(body(
                  time_s=at(304).timestamp(), cells={"voltage_v": column(np.ones(9, np.float32))}))}
    ingest.take(kept("pack_1", range(91, 1500), seq=91, spoilt=spoilt))
    app = App(tmp_path / "history", place)
    opened.append(app)
    assert app.past.error == ""
    counts = app.source.counts()
    assert counts.rejected == {"not_decodable": len(spoilt)}
    assert "pack_1, number 304" in counts.last_refusal.words
    power = app.series(FIRST, "power_kw")
    assert seconds_of(power)[STOPPED + 1:] == list(range(120, 1500, 60))
    assert_equals_the_bodies(power, 360, [power_at(one, "pack_1") for one in range(360, 420)])
    where = seconds_of(power).index(300)
    assert power.maximum[where] == pytest.approx(power_at(359, "pack_1"), rel=1e-6)


def test_an_empty_history_begins_with_what_was_kept(
        tmp_path: Path, place: str, ingest: FleetStore, opened: list[App]) -> None:
    ingest.take(kept("pack_1", range(-7200, 2700)))
    app = App(tmp_path / "history", place, ran_before=False)
    opened.append(app)
    power = app.series(FIRST, "power_kw", -8000)
    assert seconds_of(power) == list(range(-7200, 2700, 60))
    values = [power_at(one, "pack_1") for one in range(-3600, -3540)]
    where = seconds_of(power).index(-3600)
    assert min(values) - 1e-3 <= power.minimum[where] <= power.maximum[where] <= max(values) + 1e-3


def test_a_store_that_is_not_there_yet_tells_nothing(tmp_path: Path, opened: list[App]) -> None:
    app = App(tmp_path / "history", f"sqlite:{tmp_path / 'none' / 'fleet.sqlite'}")
    opened.append(app)
    assert app.past.error == ""
    assert seconds_of(app.series(FIRST, "power_kw")) == list(range(STOPPED + 1))
    assert app.source.kept() == StoreHealth(None, None, 0, 0)
    assert not (tmp_path / "none").exists()


def test_a_store_tells_how_large_it_is_and_since_when(place: str, ingest: FleetStore) -> None:
    ingest.take(kept("pack_1", range(100, 130)))
    source = fleet(place, ManualClock(at(200)))
    health = source.kept()
    assert (health.oldest, health.newest, health.error) == (at(100), at(129), "")
    assert health.size_bytes > 1000
    assert source.kept_since() == at(100)
    source.close()


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "fleet.sqlite"
    wrong.write_bytes(b"no database" * 1000)
    source = fleet(f"sqlite:{wrong}", ManualClock(at(200)))
    assert "fleet.sqlite cannot be read" in source.kept().error
    source.close()


def test_without_the_option_nothing_is_told_of_the_past(tmp_path: Path) -> None:
    clock = ManualClock(at(0))
    source = fleet("", clock)
    engine = Engine(DEFAULT_LEVELS, [source], clock)
    assert type(source) is MqttFleet
    assert not tree_needs_it(engine, None, hours=24.0)
    assert not tree_needs_it(engine, at(-600), hours=24.0)
    engine.stop()


@pytest.mark.parametrize("wrong", ["mysql:X", "sqlite:", "/a/path", "postgres://user:pw@host/x"])
def test_a_place_that_is_none_is_named(wrong: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        fleet(wrong, ManualClock(at(0)))
    assert "fleet.store" in str(raised.value) or "PostgreSQL" in str(raised.value)
    assert "pw" not in str(raised.value)


# -- all of it

CONFIG = """
[[sources]]
kind = "fleet-mqtt"
name = "fleet"
[sources.options]
site = "home"
broker = "{broker}"
store = "sqlite:{folder}/store/fleet.sqlite"
[sources.options.packs.pack_1]
chemistry = "LFP"
cells = 3
capacity_kwh = 30.0
[history]
directory = "{folder}/history"
backfill_hours = 0
[twin]
enabled = false
"""


def test_a_restarted_app_shows_what_the_ingest_took_meanwhile(mosquitto: Mosquitto,
                                                              tmp_path: Path) -> None:
    """Over a real broker, by the configuration that an app reads."""
    file = tmp_path / "orrery.toml"
    file.write_text(CONFIG.format(broker=mosquitto.url, folder=tmp_path))
    config = load_config(file)
    first_s = int(time.time() // 60 * 60) - 600
    engine = Engine(config.level_list, make_sources(config))
    before = EmbeddedStore(Path(config.history.directory), engine.topology)
    before.append(engine.new_assembler().frame(from_epoch(first_s)))
    before.close()
    engine.stop()
    with ingesting(broker_of(mosquitto), tmp_path) as (_, store):
        talker = Talker(broker_of(mosquitto), "outbox", "pulsebms/home/+/ack")
        for seq in range(1, 481):
            inside = packed(body(time_s=float(first_s + seq), power_kw=float(seq)))
            talker.say("pulsebms/home/pack_1/telemetry",
                       telemetry(inside, seq=seq, floor=1, sent_s=time.time()))
        until(lambda: (mark := store.mark("home", "pack_1")) is not None and mark.high == 480,
              "the ingest has all of it")
        talker.close()
        runtime = start_runtime(config)
        past = runtime.backfill
        try:
            assert isinstance(runtime.engine.sources[0], KeptFleet)
            assert past is not None
            until(lambda: not past.running, "the hole is filled", 60.0)
            assert past.error == ""
            assert runtime.engine.store is not None
            (found,) = runtime.engine.store.series(
                [FIRST], ["power_kw"], from_epoch(first_s), from_epoch(first_s + 590), 10_000)
        finally:
            runtime.stop()
    assert [round(one - first_s) for one in found.time_s] == list(range(60, 481, 60))
    means = [np.mean(range(minute, min(minute + 60, 481))) for minute in range(60, 481, 60)]
    np.testing.assert_allclose(found.mean, means, rtol=1e-5)
