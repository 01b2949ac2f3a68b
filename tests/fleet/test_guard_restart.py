"""What the safety of a pack remembers over a restart beside its latch: how far delays have come,
and to what its voltage limits have fallen. It costs no commit of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from core.errors import RetryLaterError
from core.safety.debounce import Held
from core.safety.machine import Memory
from core.safety.monitor import PackLimits
from services.edge.outbox import Outbox
from services.edge.plant import Sample
from tests.fleet.test_edge_disk import broken
from tests.fleet.test_guard import STEP_S, Bench
from tests.fleet.test_guard_sensors import Tells, Wired

PACK = "pack_1"


@pytest.fixture
def bench(outbox: Outbox) -> Bench:
    return Bench(outbox, "NMC")


def live(bench: Bench, seconds: float, power_kw: float = 0.0) -> None:
    """With a body kept each second, as a device does."""
    for _ in range(round(seconds)):
        bench.live(1.0, power_kw)
        bench.outbox.put({pack.device: b"body" for pack in bench.packs})


def heat(bench: Bench, celsius: float) -> None:
    bench.plants[0].state.temperature_c[:] = celsius
    bench.plants[0].heating_k_per_s[:], bench.plants[0].hottest_c = 1.0, celsius


def cell_of(volts: float) -> Tells:
    """Its sixth cell, and the pack with it."""
    def tell(sample: Sample) -> Sample:
        cells = sample.cell_voltage_v.copy()
        cells[5] = volts
        return replace(sample, cell_voltage_v=cells, voltage_v=float(cells.sum()))
    return tell


def written(outbox: Outbox) -> list[str]:
    """What is done on its database from now on."""
    found: list[str] = []
    outbox._db.set_trace_callback(found.append)
    return found


def memories(done: list[str]) -> int:
    return sum("INTO safety" in statement for statement in done)


def test_a_process_that_always_restarts_trips_as_one_that_runs(bench: Bench) -> None:
    """Neither life has the six seconds of a temperature."""
    heat(bench, 70.0)
    live(bench, 4.0)
    assert bench.state() == "normal"
    bench.restart()
    live(bench, 3.0)
    assert bench.state() == "latched"
    assert "temperature_high" in bench.reason()


def test_the_gap_of_a_restart_counts_as_long_as_a_sample_is_fresh(bench: Bench) -> None:
    heat(bench, 70.0)
    live(bench, 5.0)
    bench.now_s += 3600.0
    bench.restart()
    bench.live(2 * STEP_S, 0.0)
    assert bench.state() in ("zero", "opening", "latched")


def test_a_voltage_limit_that_has_fallen_stays_so_over_a_restart(outbox: Outbox) -> None:
    bench = Wired(outbox, "NMC")
    live(bench, 25.0)
    for volts in (4.19, 4.12):
        bench.bus.tells = [cell_of(volts)]
        live(bench, 2.0)
        assert bench.limits_a() == (0.0, 100.0), "its cell is not out of the zone"
    bench.restart()
    bench.bus.tells = [cell_of(4.12)]
    live(bench, 25.0)
    assert bench.limits_a() == (0.0, 100.0)
    assert bench.reason().startswith("charge limited to 0 C since cell 6 was at 4.19 V, until")


def test_what_moves_goes_with_the_body_and_what_is_calm_is_not_written_again(
        bench: Bench) -> None:
    live(bench, 25.0)
    done = written(bench.outbox)
    live(bench, 5.0)
    assert memories(done) == 0, "it was always calm"
    heat(bench, 44.0)
    live(bench, 4.0)
    assert bench.state() == "normal"
    assert memories(done) == 4, "its delay goes on"
    live(bench, 10.0)
    assert bench.state() == "derate"
    settled = memories(done)
    live(bench, 5.0)
    assert memories(done) == settled, "a condition that stands is the same again"
    assert done.count("COMMIT") == 24 + 1, "one a body, and one for the transition"


def test_a_disk_that_takes_nothing_for_a_while_gets_the_newest(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "full.sqlite", [PACK])
    bench = Bench(outbox, "NMC")
    heat(bench, 70.0)
    live(bench, 2.0)
    early = outbox.safety(PACK)
    outbox._db.execute("PRAGMA query_only = 1")
    with pytest.raises(RetryLaterError):
        live(bench, 1.0)
    outbox._db.execute("PRAGMA query_only = 0")
    assert outbox.safety(PACK) == early
    outbox.put({PACK: b"body"})
    assert outbox.safety(PACK) == bench.guards.memories()[PACK] != early
    outbox.close()


def test_the_packs_of_a_process_remember_their_own(outbox: Outbox) -> None:
    bench = Bench(outbox, "LFP", "NMC")
    bench.plants[1].state.temperature_c[:] = 70.0
    bench.plants[1].heating_k_per_s[:], bench.plants[1].hottest_c = 1.0, 70.0
    live(bench, 4.0)
    bench.restart()
    live(bench, 3.0)
    assert (bench.state(0), bench.state(1)) == ("normal", "latched")


def kept(limits: object = PackLimits(), **more: object) -> bytes:
    machine = msgspec.structs.asdict(Memory())
    return msgspec.msgpack.encode({"why": "", "machine": machine, "limits": limits, **more})


CELL = np.array([3], "<u4").tobytes()
MANY = np.array([9999], "<u4").tobytes()
DELAYS = np.zeros((6, 3), "<f4").tobytes()
SET = b"\x00" * 18


@pytest.mark.parametrize("memory", [
    kept(PackLimits(cells=Held(b"1", b"2", b"3"))), kept(PackLimits(cells=Held(CELL))),
    kept(PackLimits(cells=Held(MANY, DELAYS, SET))),
    kept(PackLimits(cells=Held(CELL, DELAYS, b"\x07" * 18))),
    kept(PackLimits(own=Held(CELL, DELAYS, SET))), kept({"ratchet": [{"part": float("nan")}, {}]}),
    kept({"ratchet": [{"part": 2.0}, {}]}), kept({"ratchet": [{"part": 0.5, "cell": 9999}, {}]}),
    kept({"cells": 1}), kept({"ratchet": ["1", "1"]}),
    kept(None), kept(at_s="now"), kept(more=1), b"\x80" * 100_000])
def test_a_memory_that_is_not_to_be_trusted_stops_no_start(outbox: Outbox,
                                                           memory: bytes) -> None:
    """The pack opens and waits for a person."""
    outbox.keep_safety({PACK: memory})
    bench = Bench(outbox, "LFP")
    live(bench, 12.0)
    assert bench.state() == "latched"
    assert "memory that cannot be read" in bench.reason()
    assert bench.command("reset").state == "executed"
    live(bench, 1.0)
    bench.restart()
    live(bench, 25.0)
    assert bench.state() == "normal"


@pytest.mark.parametrize("more", [{}, {"at_s": None}, {"at_s": -1e300}, {"at_s": float("nan")},
                                  {"at_s": float("inf")}, {"at_s": 1e300}])
def test_when_a_memory_is_of_hinders_nothing(outbox: Outbox, more: Mapping[str, object]) -> None:
    outbox.keep_safety({PACK: kept(PackLimits(cells=Held(CELL, DELAYS, SET)), **more)})
    bench = Bench(outbox, "LFP")
    live(bench, 25.0, 4.0)
    assert (bench.state(), bench.power_kw()) == ("normal", pytest.approx(4.0, rel=0.01))


def test_a_memory_of_the_former_software_is_one(outbox: Outbox) -> None:
    outbox.keep_safety({PACK: msgspec.msgpack.encode(
        {"why": "", "machine": msgspec.structs.asdict(Memory())})})
    bench = Bench(outbox, "LFP")
    live(bench, 25.0, 4.0)
    assert bench.state() == "normal"


def test_a_disk_that_is_lost_costs_no_decision(bench: Bench, tmp_path: Path) -> None:
    heat(bench, 70.0)
    live(bench, 1.0)
    broken(bench.outbox, tmp_path / "o.sqlite")
    bench.live(8.0)
    assert bench.state() == "latched"
