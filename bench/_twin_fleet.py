"""The twin of 10,000 packs on one machine: the service on telemetry, and the app's desk beside a
simulated fleet. Clocks are injected, so that a round of windows is measured in its own time and not
in the five minutes between two rounds.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from bench._fleet_load import body
from bench.report import figure_line
from core.clock import ManualClock
from core.config import HistoryConfig
from core.engine import Engine
from core.fleet.messages import VERSION, Body, Envelope, Status, packed
from core.fleet.topics import device_topic
from core.registry import make_physics, make_prediction_store, make_store, make_trend_store
from core.topology import DEFAULT_LEVELS
from core.twin.desk import JUDGED_AT_ONCE, TwinDesk
from core.twin.ports import TaskState
from core.twin.tasks import Task, WindowTask
from services.fleet_link import Broker
from services.twin.heard import SETTLE_S, STEP_S
from services.twin.service import EVERY_S, TwinService
from sim.fleet import Options, create

PACKS, PACKS_SHORT = 10_000, 600
CELLS, SITE = 16, "bench"
BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEARD_STEPS = (0, 26, 27, 28, 29, 30, 31, 32)
"""From the first status on; in the others nobody says anything, which costs the solver the same."""
CELLS_OF_DESK, VERDICTS = 4, 160
WHOLE_PAST, SHORT_PAST = 360, 20
"""Minutes: a verdict goes by six hours."""
WAIT_S, SLOWLY_S = 0.05, 0.005
"""Real time of a turn, and what the clock goes on by: what was heard stays in the windows."""

line = partial(figure_line, "twin")


def fleet(short: bool = False) -> Iterator[dict[str, object]]:
    """All figures."""
    packs = PACKS_SHORT if short else PACKS
    yield from _service(packs)
    yield from _desk(packs, SHORT_PAST if short else WHOLE_PAST)


def _service(packs: int) -> Iterator[dict[str, object]]:
    """What hearing a message costs, and a round: all windows, from the first that is due until the
    last is published."""
    case, before_mb = f"service, {packs:,} packs", resident_mb()
    with tempfile.TemporaryDirectory() as folder:
        clock, physics = ManualClock(BEGIN), make_physics(None)
        store = make_prediction_store(Path(folder) / "predictions.sqlite")
        twin = TwinService(SITE, Broker(host="127.0.0.1", port=9), clock, physics, store)
        try:
            names = [f"pack_{number}" for number in range(packs)]
            for name in names:
                twin.heard.status(_status(name))
            twin.tick()
            yield line(case, "hearing a message", 1e6 * _heard(twin, clock, names), "us of a CPU")
            yield from _round(twin, clock, case, packs)
            yield line(case, "memory", resident_mb() - before_mb, "MB")
        finally:
            physics.close()
            store.close()


def _status(name: str) -> Status:
    return Status(v=VERSION, site=SITE, device=name, state="online", chemistry="NMC",
                  cells=CELLS, capacity_kwh=6.0)


def _heard(twin: TwinService, clock: ManualClock, names: list[str]) -> float:
    """Processor time of a message [s]; the last step of the first window is the last heard."""
    rng = np.random.default_rng(5)
    told = [body(rng, CELLS, float(volts)) for volts in rng.uniform(3.6, 3.8, 100)]
    spent_s, sent = 0.0, 0
    for step in HEARD_STEPS:
        ahead_s = (BEGIN - clock.now()).total_seconds() + (step + 1) * STEP_S - 1.0
        now_s = clock.advance(ahead_s).timestamp()
        twin.heard.close_steps(now_s - SETTLE_S)
        messages = [(device_topic(SITE, name, "telemetry"), _message(
            name, now_s - SETTLE_S, told[row % len(told)])) for row, name in enumerate(names)]
        began_s = time.process_time()
        for topic, payload in messages:
            twin.hear(topic, payload, now_s)
        spent_s, sent = spent_s + time.process_time() - began_s, sent + len(messages)
    return spent_s / sent


def _message(name: str, at_s: float, told: Body) -> bytes:
    inside = packed(msgspec.structs.replace(told, time_s=at_s))
    return packed(Envelope(v=VERSION, site=SITE, device=name, stream="0" * 16, base=0, seq=1,
                           floor=1, sent_s=at_s, body=msgspec.Raw(inside)))


def _round(twin: TwinService, clock: ManualClock, case: str,
           packs: int) -> Iterator[dict[str, object]]:
    clock.advance(STEP_S + SETTLE_S)
    began_s, own_s, children_s = time.monotonic(), time.process_time(), children()
    longest_s = 0.0
    while twin.published < packs:
        spent_s = time.process_time()
        twin.tick()
        longest_s = max(longest_s, time.process_time() - spent_s)
        time.sleep(WAIT_S)
        clock.advance(SLOWLY_S)
    yield line(case, "round of windows, physics", children() - children_s, "CPU-s", EVERY_S)
    yield line(case, "round of windows, service itself", time.process_time() - own_s, "CPU-s")
    yield line(case, "round of windows, wall", time.monotonic() - began_s, "s")
    yield line(case, "longest turn of the service", longest_s, "CPU-s")
    yield line(case, "from one window of a pack to its next", twin.agenda.period_s, "s")
    last = max(one.at for one in twin.agenda.dues()) - clock.now()
    yield line(case, "until the last is due again", last / timedelta(seconds=1), "s")


class _Asked:
    """`core.twin.ports.Physics` that keeps what it is asked."""

    missing = ""

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    def ask(self, task: Task, urgency: float = 0.0) -> TaskState:
        self.tasks.append(task)
        return self.state(task.id)

    def state(self, task_id: str) -> TaskState:
        return TaskState(task_id, "waiting")

    def states(self) -> Sequence[TaskState]:
        return ()

    def cancel(self, task_id: str) -> TaskState:
        return self.state(task_id)

    def forget(self, task_id: str) -> None: ...

    def close(self) -> None: ...


def _desk(packs: int, minutes: int) -> Iterator[dict[str, object]]:
    """The app's twin once so many minutes are known: what a frame, a verdict on a pack and asking
    for windows cost."""
    case, counts = f"app, {packs:,} packs", {"cluster": (2, 2), "rack": (2, 2), "module": (5, 5),
                                            "cell": (CELLS_OF_DESK, CELLS_OF_DESK)}
    source = create("fleet", Options(seed=7, systems=packs // 20, past_hours=0.0, counts=counts),
                    DEFAULT_LEVELS)
    clock, asked = ManualClock(BEGIN), _Asked()
    engine = Engine(DEFAULT_LEVELS, [source], clock, with_alarms=False)
    with tempfile.TemporaryDirectory() as folder:
        engine.attach(make_store(HistoryConfig(directory=folder), engine.topology, ""))
        before_mb = resident_mb()
        desk = TwinDesk(engine, asked, make_prediction_store(Path(folder) / "p.sqlite"),
                        trends=make_trend_store(Path(folder) / "t.sqlite"))
        try:
            assert len(desk.plates) == packs
            yield line(case, "memory", resident_mb() - before_mb, "MB")
            yield line(case, "a frame", 1000 * _frames(engine, desk, clock, minutes), "ms of a CPU")
            spent_s = time.process_time()
            desk.turn()
            spent_s = time.process_time() - spent_s
            asked_packs = sum(len(task.packs) for task in asked.tasks
                              if isinstance(task, WindowTask))
            yield line(case, f"asking for {asked_packs:,} windows, and {JUDGED_AT_ONCE} verdicts",
                       spent_s, "CPU-s")
            judged, spent_s = len(desk.site().judged), time.process_time()
            while len(desk.site().judged) < min(packs, judged + VERDICTS):
                clock.advance(60.0)
                desk.turn()
            spent_s = (time.process_time() - spent_s) / (len(desk.site().judged) - judged)
            yield line(case, "a verdict on a pack and the rest of its turn", 1000 * spent_s,
                       "ms of a CPU")
            every_s = desk.site().judged_every_s
            yield line(case, "from one verdict on a pack to its next", every_s, "s")
            yield line(case, "until the last is judged",
                       float(desk.site().due_s.max()) - clock.now().timestamp(), "s")
        finally:
            desk.stop()
            engine.stop()


def _frames(engine: Engine, desk: TwinDesk, clock: ManualClock, minutes: int) -> float:
    """Processor time of one beside the engine [s]."""
    spent_s = 0.0
    for _ in range(minutes):
        clock.advance(60.0)
        engine.tick()
        began_s = time.process_time()
        desk.take()
        spent_s += time.process_time() - began_s
    return spent_s / minutes


def children() -> float:
    """Processor time of processes that have ended [s]."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def resident_mb() -> float:
    """Of this process, as Linux tells it."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6
