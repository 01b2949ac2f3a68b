"""Packs behind their guard: what trips them, what a person may do, what a restart keeps."""

from __future__ import annotations

import gc
import math
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import OrreryError, RetryLaterError
from core.fleet.messages import Allocation, Command, Reply
from core.fleet.rejections import WORDS, Rejection
from core.safety.bands import INFO
from core.safety.monitor import SafetyMonitor
from scripts.app_process import ROOT
from services.edge.__main__ import parser, plates_of
from services.edge.estimator import CellEstimators
from services.edge.guard import SETTLED_S, Guards, Keeper
from services.edge.orders import Orders
from services.edge.outbox import Outbox
from services.edge.pack import Pack, PackGroup
from services.edge.plant import Plants, SimulatedPack
from services.edge.plant_group import PlantGroup
from services.edge.ports import Estimate
from services.edge.undisturbed import Undisturbed
from tests.fleet.examples import NOW_S

STEP_S = 0.1


class Bench:
    """Packs of one process at 10 Hz under a clock of their own; `restart` is a new process."""

    def __init__(self, outbox: Outbox, *chemistries: str) -> None:
        self.outbox, self.now_s, self.number = outbox, NOW_S, 0
        self.plants = [SimulatedPack(chemistry, 24, 10.0, seed=at, device=f"pack_{at + 1}")
                       for at, chemistry in enumerate(chemistries)]
        self.restart()

    def restart(self) -> None:
        self.begin(self.outbox)
        self.orders = [Orders(pack, self.outbox) for pack in self.packs]

    def begin(self, keeper: Keeper) -> None:
        ratings = [plant.rating for plant in self.plants]
        self.guards = Guards(ratings, keeper, timer=lambda: self.now_s)
        self.packs = [Pack(guard.device, guard) for guard in self.guards.each]
        self.group = PackGroup(self.packs, self.guards, self.plant_group(),
                               CellEstimators(ratings, [float(plant.state.soc_pct.mean())
                                                        for plant in self.plants]))

    def plant_group(self) -> Plants:
        return PlantGroup(self.plants)

    def live(self, seconds: float, power_kw: float = 4.0) -> None:
        self.now_s = round(self.now_s + STEP_S, 3)
        wishes = {pack.device: power_kw for pack in self.packs}
        message = Allocation(v=1, site="home", issued_s=self.now_s, valid_s=3600.0,
                             power_kw=wishes)
        for pack in self.packs:
            pack.centre.allocate(pack.device, message, self.now_s)
        for _ in range(round(seconds / STEP_S)):
            for pack in self.packs:
                pack.centre.heard(self.now_s)
            self.group.sample(self.now_s, STEP_S)
            self.now_s = round(self.now_s + STEP_S, 3)

    def command(self, action: str, at: int = 0, **more: float) -> Reply:
        self.number += 1
        return self.orders[at].handle(self.asked(action, self.number, **more), self.now_s)

    def asked(self, action: str, number: int, **more: float) -> Command:
        return Command(v=1, id=f"{number:032x}", issuer="eve", issued_s=self.now_s, ttl_s=30.0,
                       action=action, **more)  # type: ignore[arg-type]

    def power_kw(self, at: int = 0) -> float:
        return self.packs[at].body(self.now_s).power_kw or 0.0

    def current_a(self, at: int = 0) -> float:
        return self.packs[at].body(self.now_s).current_a or 0.0

    def volts(self, at: int = 0) -> float:
        return self.packs[at].body(self.now_s).voltage_v or 0.0

    def state(self, at: int = 0) -> str:
        return self.packs[at].body(self.now_s).safety

    def reason(self, at: int = 0) -> str:
        return self.packs[at].body(self.now_s).limit_reason

    def limits_a(self, at: int = 0) -> tuple[float, float]:
        """Charge, discharge; NaN where they are not told."""
        body = self.packs[at].body(self.now_s)
        return (math.nan if body.charge_limit_a is None else body.charge_limit_a,
                math.nan if body.discharge_limit_a is None else body.discharge_limit_a)


@pytest.fixture
def bench(outbox: Outbox) -> Bench:
    return Bench(outbox, "LFP")


def overheat(bench: Bench) -> None:
    bench.plants[0].heating_k_per_s[5] = 2.0
    bench.live(30.0)
    assert bench.state() == "latched"


def test_a_well_pack_follows_its_allocation_once_its_limits_have_ramped_up(bench: Bench) -> None:
    bench.live(1.0)
    assert "by ramp" in bench.reason()
    bench.live(25.0)
    assert (bench.state(), bench.reason()) == ("normal", "")
    assert bench.power_kw() == pytest.approx(4.0, rel=0.01)


def test_a_warm_cell_limits_and_says_so(bench: Bench) -> None:
    bench.plants[0].heating_k_per_s[5], bench.plants[0].hottest_c = 2.0, 42.5
    bench.live(30.0, power_kw=-6.0)
    assert bench.state() == "derate"
    assert bench.reason() == "charge limited to 0.38 C by cell 6 at 42.5 °C"
    assert bench.limits_a()[0] == pytest.approx(50.0, rel=0.02)
    assert abs(bench.power_kw()) < 4.2


def test_an_overheating_cell_trips_and_a_reset_waits_until_it_is_clear(bench: Bench) -> None:
    overheat(bench)
    assert bench.power_kw() == 0.0
    assert bench.limits_a() == (0.0, 0.0)
    assert bench.reason().startswith("latched: temperature_high, cell 6: ")
    assert bench.guards.each[0].contactors == (False, False)
    refused = bench.command("reset")
    assert refused.state == "refused"
    assert "temperature_high, cell 6" in refused.reason
    bench.plants[0].repair()
    bench.live(15.0)
    assert bench.state() == "latched", "it does not come back by itself"
    assert bench.command("reset").state == "executed"
    bench.live(30.0)
    assert bench.state() == "normal"
    assert bench.power_kw() == pytest.approx(4.0, rel=0.01)


def test_an_emergency_stop_opens_at_once_until_it_is_reset(bench: Bench) -> None:
    bench.live(25.0)
    assert bench.command("emergency_stop").state == "received"
    bench.live(0.5)
    assert bench.state() == "latched"
    assert bench.reason().startswith("latched: emergency stop by eve")
    assert bench.power_kw() == 0.0
    assert bench.command("controlled_shutdown").state == "executed"
    bench.live(1.0)
    assert bench.command("reset").state == "executed"
    bench.live(25.0)
    assert bench.power_kw() == pytest.approx(4.0, rel=0.01)


def test_a_controlled_shutdown_opens_without_current(bench: Bench) -> None:
    bench.live(25.0)
    bench.command("controlled_shutdown")
    bench.live(2.0)
    memory = bench.guards.each[0].memory
    assert bench.state() == "latched"
    assert not memory.forced
    assert bench.command("override", power_kw=50.0, hold_s=60.0).state == "executed"
    bench.live(1.0)
    assert bench.power_kw() == 0.0, "no bound of a person relaxes a stop"


def test_only_a_latched_pack_is_reset(bench: Bench) -> None:
    assert bench.command("reset").reason == "the pack is normal; only a latched one is reset"


def test_an_override_is_never_more_than_safety_allows(bench: Bench) -> None:
    bench.plants[0].heating_k_per_s[5], bench.plants[0].hottest_c = 2.0, 42.5
    bench.live(30.0, power_kw=-7.0)
    bench.command("override", power_kw=6.0, hold_s=3600.0)
    bench.live(2.0, power_kw=-7.0)
    assert abs(bench.power_kw()) < 4.2
    bench.command("override", power_kw=1.0, hold_s=3600.0)
    bench.live(2.0, power_kw=-7.0)
    assert bench.power_kw() == pytest.approx(-1.0, rel=0.02)


@pytest.mark.parametrize("sensor", ["lost_voltage", "lost_temperature"])
def test_a_lost_sensor_means_zero_at_once_and_a_trip_soon(bench: Bench, sensor: str) -> None:
    bench.live(25.0)
    getattr(bench.plants[0], sensor)[7] = True
    bench.live(STEP_S)
    assert bench.limits_a() == (0.0, 0.0)
    bench.live(0.3)
    assert abs(bench.power_kw()) < 2.0, "the inverter is on its way down"
    bench.live(2.0)
    assert bench.state() == "latched"
    assert "_missing, cell 8" in bench.reason()


def test_an_unknown_current_means_zero_and_an_unknown_charge(bench: Bench) -> None:
    bench.live(25.0)
    sample = bench.plants[0].step(4.0, STEP_S)
    lost = replace(sample, current_a=math.nan)
    estimator = CellEstimators([bench.plants[0].rating], [60.0])
    assert estimator.update([lost], STEP_S) == [Estimate()], "not known is not 0 %"
    verdict, = bench.guards.judge([lost], [Estimate(60.0)], bench.now_s, bench.now_s,
                                   [math.inf])
    assert (verdict.charge_limit_a, verdict.discharge_limit_a) == (0.0, 0.0)
    assert estimator.update([sample], STEP_S)[0].soc_pct == pytest.approx(60.0, abs=3.0)


def test_an_unknown_charge_means_zero(bench: Bench) -> None:
    bench.live(25.0)
    sample = bench.plants[0].step(4.0, STEP_S)
    verdict, = bench.guards.judge([sample], [Estimate()], bench.now_s, bench.now_s,
                                   [math.inf])
    assert (verdict.charge_limit_a, verdict.discharge_limit_a) == (0.0, 0.0)
    assert "by state of charge at a missing value" in verdict.reason


def test_conditions_are_told_with_their_units(bench: Bench) -> None:
    bench.live(40.0, power_kw=9.0)
    found, = bench.guards.each[0].conditions()
    assert (found.condition, found.cells) == ("current_discharge", ())
    assert (found.tier, found.limit) == (INFO, pytest.approx(90.0)), "no warning of what it may"
    assert found.value == pytest.approx(100.0, abs=0.1)
    bench.plants[0].lost_voltage[7] = True
    bench.live(STEP_S)
    missing = [one for one in bench.guards.each[0].conditions() if one.cells]
    assert [(one.condition, one.cells) for one in missing] == [("voltage_missing", (8,))]


def test_a_low_charge_is_told_with_its_own_sign(outbox: Outbox) -> None:
    bench = Bench(outbox, "LFP")
    bench.plants = [SimulatedPack("LFP", 24, 10.0, seed=1, soc_pct=8.0, device="pack_1")]
    bench.restart()
    bench.live(40.0, power_kw=0.0)
    found = {one.condition: one for one in bench.guards.each[0].conditions()}["soc_low"]
    assert (found.tier, found.limit) == (1, 10.0)
    assert found.value == pytest.approx(8.0, abs=1.5)


def test_a_short_circuit_melts_the_fuse_and_stays_until_it_is_exchanged(bench: Bench) -> None:
    bench.live(25.0)
    bench.plants[0].switch.short = True
    bench.live(0.6)
    assert bench.state() == "latched"
    assert bench.guards.each[0].short_circuited
    assert "fuse" in bench.command("reset").reason
    bench.plants[0].repair()
    bench.live(1.0)
    assert bench.command("reset").state == "executed"


def test_a_welded_contactor_is_found_when_it_opens(bench: Bench) -> None:
    bench.live(5.0)
    bench.plants[0].switch.plus.welded = True
    bench.command("controlled_shutdown")
    bench.live(3.0)
    memory = bench.guards.each[0].memory
    assert (bench.state(), memory.welded_plus, memory.welded_minus) == ("latched", True, False)
    assert "plus contactor welded" in bench.reason()
    assert "plus contactor is not known to be open" in bench.command("reset").reason


def test_a_contactor_that_closes_after_the_latch_is_told_and_kept(bench: Bench) -> None:
    overheat(bench)
    for contactor in (bench.plants[0].switch.plus, bench.plants[0].switch.minus):
        contactor.closed = contactor.welded = True
    bench.live(1.0)
    assert "NOT isolated; plus contactor welded" in bench.reason()
    bench.restart()
    memory = bench.guards.each[0].memory
    assert (memory.state, memory.welded_plus, memory.welded_minus) == ("latched", True, True)


def test_a_latch_holds_over_a_restart(bench: Bench) -> None:
    overheat(bench)
    why = bench.guards.each[0].why
    bench.restart()
    bench.live(STEP_S)
    assert (bench.state(), bench.guards.each[0].why) == ("latched", why)
    assert bench.guards.each[0].contactors == (False, False)
    bench.plants[0].repair()
    bench.live(1.0)
    assert "just started" in bench.command("reset").reason
    bench.live(SETTLED_S)
    assert bench.command("reset").state == "executed"
    bench.restart()
    assert not bench.guards.each[0].tripped


def test_a_latch_survives_sigkill(tmp_path: Path) -> None:
    program = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from services.edge.outbox import Outbox
from tests.fleet.test_guard import Bench, overheat
bench = Bench(Outbox(Path({str(tmp_path / "o.sqlite")!r}), ["pack_1"]), "LFP")
overheat(bench)
print("latched", flush=True)
time.sleep(600)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=ROOT)
    assert child.stdout is not None
    with child.stdout as said:
        assert said.readline() == b"latched\n"
        child.kill()
        child.wait(10)
    outbox = Outbox(tmp_path / "o.sqlite", ["pack_1"])
    assert Bench(outbox, "LFP").guards.each[0].memory.state == "latched"
    outbox.close()


@pytest.mark.parametrize("memory", [
    b"", b"\xc1", b"\x80", b"\x82\xa3why\xa0\xa7machine\x81\xa1x\x01"])
def test_a_damaged_memory_opens_and_waits_for_a_person(outbox: Outbox, memory: bytes) -> None:
    outbox.keep_safety({"pack_1": memory})
    bench = Bench(outbox, "LFP")
    bench.live(12.0)
    assert bench.state() == "latched"
    assert "memory that cannot be read" in bench.reason()
    assert bench.command("reset").state == "executed"


class FullDisk:
    """Takes nothing until it is told to."""

    def __init__(self) -> None:
        self.full, self.kept = True, dict[str, bytes]()

    def safety(self, device: str) -> bytes | None:
        return None

    def keep_safety_soon(self, memories: Mapping[str, bytes],
                         then: Callable[[RetryLaterError | None], None]) -> None:
        if not self.full:
            self.kept.update(memories)
        then(RetryLaterError("no room") if self.full else None)

    def keep_with_bodies(self, memories: object) -> None:
        """It is sent no bodies."""


def test_a_full_disk_hinders_no_trip_and_is_tried_again(bench: Bench) -> None:
    disk = FullDisk()
    bench.begin(disk)
    overheat(bench)
    assert not disk.kept
    disk.full = False
    bench.live(2.0)
    assert b"latched" in disk.kept["pack_1"]


def test_a_clock_that_is_set_back_does_not_keep_a_disk_from_being_tried_again(
        bench: Bench) -> None:
    disk = FullDisk()
    bench.begin(disk)
    overheat(bench)
    disk.full = False
    bench.guards.settle(bench.now_s - 3600.0)
    assert b"latched" in disk.kept["pack_1"]


def test_one_pack_trips_alone_and_counts_its_own_cells(outbox: Outbox) -> None:
    bench = Bench(outbox, "LFP", "NMC")
    bench.live(25.0)
    bench.plants[1].heating_k_per_s[0] = 2.0
    bench.live(30.0)
    assert (bench.state(0), bench.state(1)) == ("normal", "latched")
    assert "temperature_high, cell 1: " in bench.reason(1)
    assert bench.power_kw(0) == pytest.approx(4.0, rel=0.01)
    assert bench.command("reset", 0).state == "refused"


def test_a_device_that_was_too_late_trips(bench: Bench) -> None:
    bench.live(5.0)
    bench.now_s += 5.0
    bench.live(1.0)
    assert bench.state() == "latched"
    assert bench.reason().startswith("latched: overrun")


def test_a_replayed_command_is_answered_again_and_not_done_again(bench: Bench) -> None:
    overheat(bench)
    asked = bench.asked("reset", 7)
    first = bench.orders[0].handle(asked, bench.now_s)
    assert first.state == "refused"
    bench.plants[0].repair()
    bench.live(15.0)
    again = bench.orders[0].handle(asked, bench.now_s)
    assert (again.state, bench.state()) == ("refused", "latched")
    assert again.reason == f"replayed: {WORDS[Rejection.REPLAYED]}; {first.reason}"
    assert bench.command("reset").state == "executed"


def timed(outbox: Outbox, urgent: Undisturbed) -> PackGroup:
    """A pack whose guard goes by the machine's own time."""
    plant = SimulatedPack("LFP", 24, 10.0, seed=1, device="pack_1")
    guards = Guards([plant.rating], outbox)
    return PackGroup([Pack("pack_1", guards.each[0])], guards, PlantGroup([plant]),
                     CellEstimators([plant.rating], [60.0]), urgent)


def test_each_decision_is_in_the_histogram(outbox: Outbox) -> None:
    group = timed(outbox, Undisturbed())
    for number in range(30):
        group.sample(NOW_S + STEP_S * number, STEP_S)
    assert group.latency.total == 30
    slowest_us = group.packs["pack_1"].body(NOW_S).decision_us
    assert slowest_us == pytest.approx(1e6 * group.latency.worst_s)
    group.sample(NOW_S + 4.0, STEP_S)
    assert (group.packs["pack_1"].body(NOW_S).decision_us or 0.0) <= slowest_us


def test_a_clock_that_is_not_the_machine_s_times_no_decision(bench: Bench) -> None:
    bench.live(3.0)
    assert bench.group.latency.total == 0
    assert bench.packs[0].body(bench.now_s).decision_us is None


class Thread:
    """The scheduler's calls on the calling thread; `most`: the highest priority that it may ask
    for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int,
                 begun: tuple[int, int] = (os.SCHED_OTHER, 0)) -> None:
        self.now, self.most, self.seen = begun, most, list[tuple[int, int]]()
        monkeypatch.setattr(os, "sched_setscheduler", self._set)
        monkeypatch.setattr(os, "sched_getscheduler", lambda pid: self.now[0])
        monkeypatch.setattr(os, "sched_getparam", lambda pid: os.sched_param(self.now[1]))

    def _set(self, pid: int, policy: int, priority: os.sched_param) -> None:
        assert pid == 0, "its own thread alone"
        if priority.sched_priority > self.most:
            raise PermissionError(1, "Operation not permitted")
        self.now = policy, priority.sched_priority
        self.seen.append(self.now)


URGENT, ORDINARY = (os.SCHED_FIFO, 10), (os.SCHED_OTHER, 0)


def test_a_look_and_its_decision_are_undisturbed_and_nothing_else_is(
        outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    thread, group = Thread(monkeypatch, most=10), timed(outbox, Undisturbed())
    judged, estimated = [], []
    decide, update = SafetyMonitor.decide, CellEstimators.update
    monkeypatch.setattr(SafetyMonitor, "decide", lambda *given: (
        judged.append((thread.now, gc.isenabled())), decide(*given))[1])
    monkeypatch.setattr(CellEstimators, "update", lambda *given: (
        estimated.append((thread.now, gc.isenabled())), update(*given))[1])
    for number in range(3):
        group.sample(NOW_S + STEP_S * number, STEP_S)
    assert set(judged) == {(URGENT, False)}
    assert len(judged) == 3 + 2, "rehearsed from the second on"
    assert estimated[1:] == [(ORDINARY, True)] * 3
    assert thread.seen == [URGENT, ORDINARY] * 3
    assert group.real_time is True


def test_a_rehearsed_decision_is_the_same_and_the_rehearsal_is_not_counted(
        bench: Bench, tmp_path: Path) -> None:
    rehearsed = Bench(Outbox(tmp_path / "rehearsed.sqlite", ["pack_1"]), "LFP")
    for both in (bench, rehearsed):
        both.plants[0].heating_k_per_s[5] = 2.0
    for _ in range(300):
        bench.live(STEP_S)
        rehearsed.guards.rehearse()
        rehearsed.live(STEP_S)
        assert rehearsed.packs[0].body(NOW_S) == bench.packs[0].body(NOW_S)
    assert rehearsed.state() == bench.state() == "latched"
    assert rehearsed.guards.monitor.latency.total == bench.guards.monitor.latency.total == 300


def test_without_the_right_to_it_decisions_go_on_and_it_is_said_once(
        outbox: Outbox, monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture) -> None:
    thread, group = Thread(monkeypatch, most=0), timed(outbox, Undisturbed())
    for number in range(3):
        group.sample(NOW_S + STEP_S * number, STEP_S)
    assert (thread.seen, group.real_time, group.latency.total) == ([], False, 3)
    said, = [record.getMessage() for record in caplog.records]
    assert "LimitRTPRIO=10" in said
    assert gc.isenabled()


def test_the_right_may_be_taken_away(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    thread, group = Thread(monkeypatch, most=10), timed(outbox, Undisturbed())
    group.sample(NOW_S, STEP_S)
    thread.most = 0
    for number in range(1, 3):
        group.sample(NOW_S + STEP_S * number, STEP_S)
    assert (thread.now, group.real_time, group.latency.total) == (ORDINARY, False, 3)


def test_a_thread_that_begins_with_real_time_priority_keeps_its_own(
        outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    thread = Thread(monkeypatch, most=10, begun=(os.SCHED_FIFO, 50))
    group = timed(outbox, Undisturbed())
    group.sample(NOW_S, STEP_S)
    assert (thread.now, thread.seen, group.real_time) == ((os.SCHED_FIFO, 50), [], True)


def test_the_time_until_its_contactors_open_is_told(bench: Bench) -> None:
    bench.live(5.0)
    assert bench.packs[0].safety.opened_after_s is None
    bench.command("controlled_shutdown")
    bench.live(5.0)
    assert bench.state() == "latched"
    spent_s = bench.packs[0].safety.opened_after_s
    assert spent_s is not None
    assert STEP_S <= spent_s <= 1.0


def test_how_long_a_shutdown_took_is_not_known_after_a_restart_in_its_middle(
        bench: Bench) -> None:
    bench.live(25.0)
    bench.plants[0].switch.plus.welded = True
    bench.command("controlled_shutdown")
    bench.live(0.1)
    assert bench.state() in ("zero", "opening")
    bench.restart()
    bench.live(5.0)
    assert bench.state() == "latched"
    assert bench.packs[0].safety.opened_after_s is None


def test_contactors_that_are_welded_never_opened(bench: Bench) -> None:
    bench.live(5.0)
    bench.plants[0].switch.plus.welded = bench.plants[0].switch.minus.welded = True
    bench.command("controlled_shutdown")
    bench.live(15.0)
    assert bench.state() == "latched"
    assert bench.packs[0].safety.opened_after_s is None


def test_one_process_has_packs_of_different_make() -> None:
    asked = parser().parse_args(["--device", "pack_1=NMC,192,80", "--device", "pack_2",
                                 "--cells", "24"])
    plates = plates_of(asked)
    assert [(each.chemistry, each.cells, each.capacity_kwh) for each in plates.values()] == [
        ("NMC", 192, 80.0), ("LFP", 24, 100.0)]


@pytest.mark.parametrize("words", ["pack_1=NMC", "pack_1=XYZ,1,1", "pack_1=LFP,0,10",
                                   "pack_1=LFP,ten,10", "pack_1=LFP,10,nan", "pack_1=LFP,10,-1",
                                   "Pack 1", "coordinator", "pack_1=LFP,9999,10"])
def test_what_is_no_pack_is_refused(words: str) -> None:

    with pytest.raises(OrreryError):
        plates_of(parser().parse_args(["--device", words]))
