"""The twin of a fleet, from telemetry on a broker to a prediction that meets its truth."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from bench._fleet import LOOPBACK, Mosquitto
from core.clock import ManualClock
from core.errors import (
    ConfigurationError,
    OrreryError,
    RequestError,
    RetryLaterError,
    UnknownIdError,
)
from core.fleet.messages import VERSION, Allocation, Status, column, packed, said
from core.fleet.telemetry import Telemetry, read_telemetry
from core.fleet.topics import Address
from core.registry import make_prediction_store
from core.twin import tasks
from core.twin.bands import STATED
from core.twin.models import cell_model
from core.twin.ports import TaskState
from core.twin.predictions import Met, Point, Prediction
from services.fleet_link import Broker
from services.twin.heard import SETTLE_S, STEP_S, Heard, plate_of
from services.twin.service import (
    BATCH,
    BUSY_QUEUE,
    EVERY_S,
    FIRST_S,
    MOST_QUEUED,
    NEXT_TOLD,
    TwinService,
)
from store.twin import PredictionDatabase
from tests.fleet.examples import NOW_S, body, envelope
from tests.fleet.site import Talker, broker_of
from tests.sources.mosquitto import until

AT = datetime.fromtimestamp(NOW_S, UTC)
CELLS, KWH = 100, 32.0
STATUS = Status(v=VERSION, site="home", device="pack_1", state="online", chemistry="LFP",
                cells=CELLS, capacity_kwh=KWH)
AH = 100.0
TELEMETRY = Address("home", "pack_1", "telemetry")


def telemetry(at_s: float, current_a: float | None, volts: float, seq: int = 7,
              soh_pct: float | None = None) -> bytes:
    cells = {"voltage_v": column(np.full(CELLS, volts, np.float32))}
    inside = packed(body(time_s=at_s, current_a=current_a, temperature_c=25.0, cells=cells,
                         soh_pct=soh_pct))
    return packed(envelope(inside, seq=seq, floor=1, sent_s=at_s))


class Solver:
    """`core.twin.ports.Physics`: answers at once, with a voltage of its own."""

    missing = ""

    def __init__(self) -> None:
        self.asked: list[tasks.WindowTask] = []
        self.failed = ""
        self.refuses: OrreryError | None = None
        self.forgotten: list[str] = []
        self.rms_mv: Callable[[str], float] = lambda _pack: 5.0

    def ask(self, task: tasks.Task, urgency: float = 0.0) -> TaskState:
        assert isinstance(task, tasks.WindowTask)
        if self.refuses is not None:
            raise self.refuses
        tasks.check_task(task)
        self.asked.append(task)
        return self.state(task.id)

    def state(self, task_id: str) -> TaskState:
        task = next((one for one in self.asked if one.id == task_id), None)
        if task is None:
            raise UnknownIdError(task_id)
        if self.failed:
            return TaskState(task_id, "failed", words=self.failed,
                             result=tasks.failure(task, self.failed))
        answers = tuple(tasks.WindowAnswer(
            pack=pack.pack, residual_rms_mv=self.rms_mv(pack.pack), residual_mean_mv=-2.0,
            end_soc=0.5, plan_a=10.0,
            voltage_v=tasks.column([3.31, 3.31]),
            ahead_s=tasks.column([30.0, 900.0]), ahead_v=tasks.column([3.30, 3.27]),
            ahead_soc=tasks.column([0.5, 0.4])) for pack in task.packs)
        return TaskState(task_id, "done", result=tasks.WindowResult(
            id=task_id, chemistry=task.chemistry, time_s=task.time_s, answers=answers,
            parameter_set="one for tests"))

    def states(self) -> Sequence[TaskState]:
        return ()

    def cancel(self, task_id: str) -> TaskState:
        return self.state(task_id)

    def forget(self, task_id: str) -> None:
        self.forgotten.append(task_id)

    def close(self) -> None:
        return


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(AT)


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock):
    made = PredictionDatabase(tmp_path / "twin" / "predictions.sqlite", clock)
    yield made
    made.close()


class House:
    """A twin whose clock a test moves, and what is published."""

    def __init__(self, broker: Broker, store, physics: Solver, clock: ManualClock) -> None:
        self.clock, self.physics = clock, physics
        self.report = Path(store._path).with_name("report.json")
        self.twin = TwinService("home", broker, self.clock, physics, store, report=self.report)
        self.twin.link.start()
        until(self.twin.link.connected.is_set, "the twin connects")
        self.talker = Talker(broker, "talker", "pulsebms/+/+/prediction")
        self.seq = 0
        self.say("status", said(STATUS))
        until(lambda: self._heard("pack_1"), "the twin hears of the pack")

    def _heard(self, device: str) -> bool:
        self.twin.tick()
        return device in self.twin.heard.plates

    def say(self, kind: str, payload: bytes) -> None:
        self.talker.say(f"pulsebms/home/pack_1/{kind}", payload)

    def live(self, seconds: int, current_a: float | None, volts: Callable[[int], float]) -> None:
        """So many seconds, each with telemetry, all heard."""
        for second in range(0, seconds, 5):
            now_s = self.clock.advance(5).timestamp()
            self.seq += 1
            queued = self.twin.link.connection
            assert queued
            before = len(self.twin._queue)
            self.say("telemetry", telemetry(now_s - 1.0, current_a, volts(second), self.seq))
            until(lambda before=before: len(self.twin._queue) > before, "telemetry arrives")
            self.twin.tick()

    def published(self) -> list[Prediction]:
        return [msgspec.json.decode(payload, type=Prediction)
                for _, payload in list(self.talker.heard)]

    def close(self) -> None:
        self.talker.close()
        self.twin.link.close()


@pytest.fixture
def house(tmp_path: Path, store, clock: ManualClock) -> Iterator[House]:
    mosquitto = Mosquitto(tmp_path / "broker")
    mosquitto.start()
    made = House(broker_of(mosquitto), store, Solver(), clock)
    yield made
    made.close()
    mosquitto.kill()


def test_from_telemetry_to_a_prediction_that_met_its_truth(house: House, store) -> None:
    house.live(340, 10.0, lambda _second: 3.29)
    until(lambda: bool(house.published()), "a prediction is published")
    (task,), (told,) = house.physics.asked, house.published()
    (pack,) = task.packs
    low, high = cell_model("LFP").window
    assert pack.capacity_ah == pytest.approx(AH / (high - low))
    assert pack.start_v == pytest.approx(3.29, abs=0.05)
    known = tasks.floats(pack.voltage_v)
    assert np.nanmax(np.abs(known - 3.29)) < 1e-3
    assert (told.device, told.plan_a, told.rated_ah) == ("pack_1", 10.0, pytest.approx(AH))
    assert [point.after_s for point in told.points] == [300.0, 600.0, 900.0]
    last = told.points[-1]
    assert (last.cell_v, last.basis) == (pytest.approx(3.268), "stated")
    assert last.high_v == pytest.approx(3.268 + STATED * np.hypot(0.002, 0.04), abs=1e-5)
    assert store.newest("home", "pack_1", house.clock.now()) == told
    assert house.physics.forgotten == [task.id]
    house.live(320, 10.0, lambda _second: 3.30)
    score = store.scores("home", AT)[0]
    assert (score.after_s, score.count, score.unkept) == (300.0, 1, 0)
    assert score.rms_mv == pytest.approx(1000 * abs(3.30 - told.points[0].cell_v), abs=0.5)


def test_a_clock_that_is_set_back_holds_no_prediction_up(house: House) -> None:
    house.live(340, 10.0, lambda _second: 3.29)
    until(lambda: len(house.published()) == 1, "a prediction is published")
    house.clock.set_by(-3600.0)
    house.live(340, 10.0, lambda _second: 3.29)
    until(lambda: len(house.published()) == 2, "another is published")
    told = house.published()[1]
    assert -3300.0 < told.made_s - NOW_S < -2900.0
    report = msgspec.json.decode(house.report.read_bytes())
    assert report["time_s"] == house.clock.now().timestamp()


def test_the_next_minutes_are_foretold_under_the_allocation(house: House) -> None:
    """While it is valid, from when it came: its sender's clock may be behind by more than that. One
    of another site and an older one do not count."""
    house.live(300, 10.0, lambda _second: 3.29)
    now_s = house.clock.now().timestamp()

    def allocation(power_kw: float, issued_s: float, site: str = "home") -> bytes:
        return said(Allocation(v=VERSION, site=site, issued_s=issued_s, valid_s=90.0,
                               power_kw={"pack_1": power_kw, "pack_9": 5.0}))

    for payload in (allocation(-6.58, now_s - 900.0), allocation(1.0, now_s - 905.0), b"\xff",
                    allocation(3.0, now_s + 1.0, "other")):
        house.talker.say("pulsebms/home/coordinator/allocation", payload)
    until(lambda: len(house.twin._queue) >= 4, "all arrive")
    house.live(40, 10.0, lambda _second: 3.29)
    until(lambda: bool(house.published()), "a prediction is published")
    (told,), (pack,) = house.published(), house.physics.asked[0].packs
    assert pack.plan_a == pytest.approx(-6580.0 / CELLS / 3.29, rel=1e-3)
    assert told.plan == "under the coordinator's allocation: charging at 6.6 kW"
    house.live(320, 10.0, lambda _second: 3.29)
    until(lambda: len(house.published()) == 2, "another is published")
    assert house.physics.asked[1].packs[0].plan_a is None
    assert house.published()[1].plan == ""


def test_a_plan_that_was_not_kept_is_no_score_and_a_failure_no_prediction(
        house: House, store) -> None:
    house.live(340, 10.0, lambda _second: 3.29)
    until(lambda: bool(house.published()), "a prediction is published")
    house.physics.failed = "the solver is ill"
    house.live(320, 80.0, lambda _second: 3.2)
    score = store.scores("home", AT)[0]
    assert (score.count, score.unkept) == (0, 1)
    assert len(house.published()) == 1
    assert len(house.physics.asked) == 2
    report = json.loads(house.report.read_bytes())
    assert report["time_s"] == pytest.approx(house.clock.now().timestamp(), abs=2.0)
    assert (report["connected"], report["packs"], report["published"]) == (True, 1, 1)
    assert report["error"] == report["missing"] == ""


def test_a_report_that_cannot_be_written_is_told_once_and_the_twin_goes_on(
        house: House, caplog: pytest.LogCaptureFixture) -> None:
    in_the_way = house.report.with_name(house.report.name + ".new")
    in_the_way.mkdir()
    house.report.unlink()
    house.live(340, 10.0, lambda _second: 3.29)
    until(lambda: bool(house.published()), "a prediction is published")
    assert caplog.text.count("report.json is not written") == 1
    assert not house.report.exists()
    in_the_way.rmdir()
    house.live(20, 10.0, lambda _second: 3.29)
    assert json.loads(house.report.read_bytes())["published"] == 1


def test_foreign_messages_hurt_nothing(house: House) -> None:
    for kind, payload in (("telemetry", b"\xff"), ("status", b"{}"), ("status", b"\x00" * 9),
                          ("telemetry", telemetry(NOW_S + 9e5, 1.0, 3.3))):
        house.say(kind, payload)
    until(lambda: len(house.twin._queue) == 4, "all arrive")
    house.live(20, 1.0, lambda _second: 3.3)
    assert list(house.twin.heard.plates) == ["pack_1"]


# -- what was heard


def test_a_device_that_says_too_little_has_no_plate() -> None:
    for change in ({"chemistry": "PbA"}, {"cells": 0}, {"capacity_kwh": None}):
        assert plate_of(msgspec.structs.replace(STATUS, **change)) is None


def heard_of(told: Sequence[tuple[float, float | None, float]]) -> Heard:
    heard = Heard()
    heard.status(STATUS)
    heard.close_steps(NOW_S)
    for at_s, current_a, volts in told:
        found = read_telemetry(telemetry(at_s, current_a, volts), TELEMETRY, at_s)
        assert isinstance(found, Telemetry)
        heard.telemetry(found, at_s)
    return heard


def test_a_silent_minute_is_missing_and_the_charge_goes_on() -> None:
    seconds = [second for second in range(600) if not 200 <= second < 260]
    heard = heard_of([(NOW_S + second, 10.0, 3.3) for second in seconds])
    heard.close_steps(NOW_S + 600)
    past = heard.past("pack_1", 60)
    assert past is not None
    assert np.isnan(past.voltage_v[20:26]).all()
    assert np.isfinite(past.voltage_v[:20]).all()
    assert np.isfinite(past.voltage_v[26:]).all()
    assert np.isfinite(past.soc)
    mean_a, volts = heard.between("pack_1", NOW_S + 300, NOW_S + 590)
    assert (mean_a, volts) == (pytest.approx(10.0), pytest.approx(3.3))
    assert np.isnan(heard.between("pack_1", NOW_S + 210, NOW_S + 230)[1])
    assert np.isnan(heard.between("pack_1", NOW_S - 90_000, NOW_S)[1])
    assert heard.past("pack_2", 5) is None


def test_a_clock_that_jumps_adds_no_more_than_is_kept() -> None:
    heard = heard_of([(NOW_S + second, 1.0, 3.3) for second in range(40)])
    heard.close_steps(NOW_S + 1e6)
    assert heard.past("pack_1", 10) is None
    heard.close_steps(NOW_S)
    heard.close_steps(NOW_S + 3 * STEP_S)
    assert heard.ends_s == NOW_S + 3 * STEP_S


def test_a_new_pack_leaves_the_charge_of_the_others() -> None:
    heard = heard_of([(NOW_S + second, 0.0, 3.2) for second in range(100)])
    before = heard.past("pack_1", 1)
    heard.status(msgspec.structs.replace(STATUS, device="pack_2"))
    heard.close_steps(NOW_S + 120)
    after = heard.past("pack_1", 3)
    assert before is not None
    assert after is not None
    assert after.soc == pytest.approx(before.soc, abs=0.01)


# -- what is kept


def prediction(minutes: float, **more: object) -> Prediction:
    told = {"device": "pack_1", "points": (Point(after_s=300.0, cell_v=3.3, low_v=3.29,
                                                 high_v=3.31),), **more}
    return Prediction(v=1, site="home", made_s=NOW_S + 60 * minutes, plan_a=1.0, rated_ah=100.0,
                      **told)  # type: ignore[arg-type]


def test_scores_are_of_what_was_measured_and_kept(store) -> None:
    store.keep([prediction(5 * number) for number in range(5)])
    store.keep([prediction(0), prediction(90, failed="ill")])
    due = store.due("home", AT + timedelta(minutes=22))
    assert [one.due_at for one in due] == [AT + timedelta(minutes=5 * k) for k in range(1, 5)]
    truths = [(3.302, True), (3.298, True), (3.4, False), (None, False)]
    store.meet([Met(one.number, *truth) for one, truth in zip(due, truths, strict=True)])
    (score,) = store.scores("home", AT)
    assert (score.count, score.waiting, score.unkept, score.unmeasured) == (2, 1, 1, 1)
    assert score.rms_mv == pytest.approx(2.0)
    assert score.mean_mv == pytest.approx(0.0, abs=1e-9)
    assert score.covered == 1.0
    assert store.due("home", AT + timedelta(minutes=22)) == []
    assert store.scores("home", AT, "pack_2") == []
    assert store.newest("home", "pack_2", AT + timedelta(days=1)) is None


def test_a_store_that_cannot_be_used_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigurationError, match="can be written"):
        make_prediction_store(tmp_path / "file" / "predictions.sqlite")
    made = make_prediction_store(tmp_path / "predictions.sqlite")
    other = sqlite3.connect(tmp_path / "predictions.sqlite")
    other.execute("DROP TABLE points")
    other.commit()
    other.close()
    with pytest.raises(RetryLaterError, match="disk"):
        made.due("home", AT)
    made.close()
    made.close()


def test_many_packs_wait_in_a_queue_the_worst_first(
        tmp_path: Path, store, clock: ManualClock) -> None:
    """More packs than a task holds: each says when it is due again, and the report who is next."""
    physics, report = Solver(), tmp_path / "report.json"
    twin = TwinService("home", Broker(host=LOOPBACK, port=9), clock, physics, store,
                       report=report)
    names = [f"pack_{number}" for number in range(BATCH + 50)]
    for name in names:
        twin.heard.status(msgspec.structs.replace(STATUS, device=name, chemistry="NMC"))
    twin.tick()
    told = json.loads(report.read_bytes())
    assert (told["due"], told["period_s"], len(told["next"])) == (0, EVERY_S, NEXT_TOLD)
    assert min(told["next"].values()) == NOW_S + EVERY_S + FIRST_S
    assert told["all_by_s"] == pytest.approx(NOW_S + EVERY_S + FIRST_S, abs=5.0)

    def lives(seconds: float) -> None:
        """All say something before its end."""
        now_s = clock.advance(seconds - STEP_S - SETTLE_S).timestamp()
        found = read_telemetry(telemetry(now_s, 1.0, 3.7), TELEMETRY, now_s)
        assert isinstance(found, Telemetry)
        for name in names:
            own = msgspec.structs.replace(found.envelope, device=name)
            twin.heard.telemetry(replace(found, envelope=own), now_s)
        clock.advance(STEP_S + SETTLE_S)
        twin.tick()

    physics.rms_mv = lambda name: float(name[5:])
    lives(STEP_S)
    lives(EVERY_S + FIRST_S - STEP_S)
    assert [len(task.packs) for task in physics.asked] == [BATCH]
    clock.advance(1.0)
    twin.tick()
    assert [len(task.packs) for task in physics.asked] == [BATCH, 50]
    asked = [pack.pack for task in physics.asked for pack in task.packs]
    assert sorted(asked) == sorted(names)
    newest = store.newest("home", "pack_7", clock.now())
    assert newest is not None
    assert newest.next_s >= clock.now().timestamp() + EVERY_S - 1.0
    lives(EVERY_S)
    assert {pack.pack for pack in physics.asked[2].packs} == set(names[-BATCH:]), "the worst"
    told = json.loads(report.read_bytes())
    assert told["due"] == 50
    assert set(told["next"]) <= set(names[:50])


def one_window(twin: TwinService, clock: ManualClock, told: dict[str, list[float | None]]) -> None:
    """Until a window is due: one second of each pack in each step, with the health that its device
    tells [%], the last one from then on."""
    for device in told:
        twin.heard.status(msgspec.structs.replace(STATUS, device=device, chemistry="NMC"))
    for _ in range(34):
        now_s = clock.advance(STEP_S).timestamp()
        for device, health in told.items():
            payload = telemetry(now_s - SETTLE_S, 30.0, 3.7,
                                soh_pct=health.pop(0) if len(health) > 1 else health[0])
            own = msgspec.msgpack.decode(payload) | {"device": device}
            twin.hear(f"pulsebms/home/{device}/telemetry", packed(own), now_s)
        twin.tick()


def test_an_aged_pack_is_counted_and_modelled_by_what_its_device_says_it_holds(store) -> None:
    """A device that forgets its health, as pack_3, or tells one that no cell lives with, as pack_5,
    is believed what it said before."""
    clock, physics = ManualClock(AT), Solver()
    twin = TwinService("home", Broker(host=LOOPBACK, port=9), clock, physics, store)
    one_window(twin, clock, {"pack_1": [80.0], "pack_2": [None], "pack_3": [80.0, 0.0],
                             "pack_4": [0.0], "pack_5": [80.0, 5.0], "pack_6": [20.0]})
    plate, (task,) = twin.heard.plates["pack_1"], physics.asked
    assert {pack.pack: pack.capacity_ah / plate.full_ah for pack in task.packs} == {
        "pack_1": pytest.approx(0.8), "pack_2": 1.0, "pack_3": pytest.approx(0.8), "pack_4": 1.0,
        "pack_5": pytest.approx(0.8), "pack_6": 1.0}
    counted = twin.heard._filter
    assert counted is not None
    assert counted.capacity_ah == pytest.approx(plate.rated_ah * np.array(
        [0.8, 1.0, 0.8, 1.0, 0.8, 1.0]))


@pytest.mark.parametrize("error", [RetryLaterError("the queue is full"),
                                   RequestError("a number of the task is not finite")])
def test_a_task_that_is_not_taken_is_told_and_the_twin_goes_on(
        error: OrreryError, store, caplog: pytest.LogCaptureFixture) -> None:
    clock, physics = ManualClock(AT), Solver()
    twin = TwinService("home", Broker(host=LOOPBACK, port=9), clock, physics, store)
    physics.refuses = error
    one_window(twin, clock, {"pack_1": [None]})
    assert str(error) in caplog.text
    assert not twin._asked
    clock.advance(EVERY_S)
    assert twin.agenda.take() == ["pack_1"]


def test_a_task_that_is_forgotten_is_asked_again(store) -> None:
    """As where more were settled at once than a queue tells of."""
    clock, physics = ManualClock(AT), Solver()
    twin = TwinService("home", Broker(host=LOOPBACK, port=9), clock, physics, store)
    twin.agenda.add(["pack_1"])
    assert twin.agenda.take() == ["pack_1"]
    twin._asked[tasks.new_id()] = {"pack_1": (plate_of(STATUS), "")}  # type: ignore[dict-item]
    twin.tick()
    assert not twin._asked
    clock.advance(EVERY_S)
    assert twin.agenda.take() == ["pack_1"]


def test_what_cannot_be_heard_is_counted_and_the_newest_kept(store) -> None:
    twin = TwinService("home", Broker(host=LOOPBACK, port=9), ManualClock(AT), Solver(), store)
    message = SimpleNamespace(retain=False, payload=telemetry(NOW_S - 3.0, 1.0, 3.3))
    twin.heard.status(STATUS)
    for _ in range(MOST_QUEUED + 5):
        twin._on_message("pulsebms/home/pack_1/telemetry", message, 1)  # type: ignore[arg-type]
    assert (len(twin._queue), twin.lost) == (MOST_QUEUED, 5)
    twin.tick()
    assert twin.unheard == MOST_QUEUED - BUSY_QUEUE - 2, "the step knows something of its pack"


def test_a_twin_ends_on_its_stop(tmp_path: Path, store) -> None:
    twin = TwinService("home", Broker(host=LOOPBACK, port=9), ManualClock(AT), Solver(), store)
    stop = threading.Event()
    stop.set()
    twin.run(stop)
    assert not twin.published
