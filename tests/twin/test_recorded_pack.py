"""The twin on what real devices once said: the shipped recording of a 16-cell LFP pack, whose BMS
tells no health, and of each cell a voltage alone."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from components.api_client import LocalClient
from components.twin import board, pack, words
from core.clock import ManualClock
from core.config import Config, SourceConfig
from core.engine import Engine
from core.runtime import Runtime
from core.topology import DEFAULT_LEVELS
from core.twin.desk import TwinDesk
from core.twin.tasks import WindowTask, floats
from sources.replay import Options, create
from store.embedded import EmbeddedStore
from tests.components.twin_site import StandingPhysics
from tests.core.sites import NOON

PACK = "system_recorded_cluster_3"
STEP_S, MINUTES = 30.0, 75


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalClient]:
    """Played for more than an hour, over and over."""
    clock = ManualClock(NOON)
    engine = Engine(DEFAULT_LEVELS, [create("recorded", Options(), DEFAULT_LEVELS)], clock)
    engine.attach(EmbeddedStore(tmp_path_factory.mktemp("recorded"), engine.topology, clock=clock))
    desk = TwinDesk(engine, StandingPhysics())
    for _ in range(int(MINUTES * 60 / STEP_S)):
        clock.advance(STEP_S)
        engine.tick()
        desk.turn()
    config = Config(sources=[SourceConfig("recorded", "recorded")], file="orrery.toml")
    yield LocalClient(Runtime(config, engine, (), None, desk))
    desk.stop()
    engine.stop()


def test_it_agrees_with_its_model_and_its_residual_is_told(client: LocalClient) -> None:
    site = client.twin_site()
    assert not isinstance(site, str)
    assert (list(site.ids), site.error, site.doubted.size) == ([PACK], "", 0)
    judged = site.judged[PACK]
    assert judged.verdict.word == "agrees"
    assert "mV are left between measured and modelled voltage" in judged.verdict.cause
    assert 2.0 < judged.rms_mv < 30.0
    assert 0.1 < judged.coverage < 0.3, "of six hours"
    row = board._residual(site, 0)
    assert row[0] == f"{judged.rms_mv:.0f} mV"
    assert row[1].startswith("now ")


def test_what_its_bms_tells_of_the_pack_alone_counts_for_its_cells(client: LocalClient) -> None:
    """Charge and temperature; the cells have voltages, and the pack's current. Each time the
    recording begins anew its charge is 2 % less, which no current tells."""
    found = client.twin_estimate(PACK)
    assert 30.0 <= found.reported_pct <= 32.0
    assert abs(found.soc_pct.value - found.reported_pct) < 4.0
    assert 0.0 < found.soc_pct.high - found.soc_pct.low < 10.0
    assert found.known == 1.0
    assert abs(found.residual_v) < 0.03
    assert client.topology.names[found.off_cell].startswith("Cell ")
    study = client.twin_study(PACK)
    assert study is not None
    assert study.past.mean_temperature_c == pytest.approx(26.4, abs=0.3)


def test_what_the_recording_lacks_is_not_known(client: LocalClient) -> None:
    judged = client.twin_site().judged[PACK]  # type: ignore[union-attr]
    study = client.twin_study(PACK)
    assert not judged.soh.known
    assert not judged.capacity.known
    assert judged.fade is None
    assert "nobody reports its health" in judged.fade_words
    assert not words.is_told(judged.resistance), "minutes tell too little of it"
    assert math.isnan(client.snapshot().frame.value("soh_pct", client.topology.index(PACK)))
    assert study is not None
    assert study.soh_days.size == 0
    health, capacity = str(pack._health(math.nan, study)), str(pack._capacity(client, study))
    assert "not reported" in health
    assert words.NO_SOH in health
    assert "no charge between two rests" in capacity
    assert client.twin_predictions(PACK).newest is None


def test_the_physics_is_asked_for_it_as_for_any_other(client: LocalClient) -> None:
    asked = [task for task in client.physics.tasks.values()  # type: ignore[union-attr]
             if isinstance(task, WindowTask)]
    assert asked
    assert {task.chemistry for task in asked} == {"LFP"}
    (told,) = asked[0].packs
    assert (told.pack, told.temperature_c) == (PACK, pytest.approx(26.4, abs=0.3))
    volts = floats(told.voltage_v)
    assert np.isfinite(volts).sum() > 5
    assert 3.2 < float(np.nanmean(volts)) < 3.3
