"""The simulated battery fleet, a source like any other (kind "fleet").

The process of `sim.dynamics` moves a few numbers a system; `sim.cells` expands them to every
cell. Parents are NaN in the readings: the engine rolls them up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec
import numpy as np

from core.errors import ConfigurationError, SourceError
from core.frames import Reading
from core.ports import SourceInfo
from core.topology import Level, NodeSpec, Topology
from sim.cells import CellModel
from sim.dynamics import Process, SystemState
from sim.effects import Canvas, Fault
from sim.faults import FaultPlayer
from sim.hierarchy import FILE, SitePlan, build, check_attributes, counts_for
from sim.past import Past

PERIOD_S = 1.0
STALE_AFTER_S = 10.0

Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
Energy = Annotated[float, msgspec.Meta(ge=1, le=100_000)]
Latitude = Annotated[float, msgspec.Meta(ge=-90, le=90)]
Longitude = Annotated[float, msgspec.Meta(ge=-180, le=180)]
ChemistryName = Literal["LFP", "NMC", "LCO"]


class Options(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What the configuration may say of a fleet.

    counts: [least, most] children of one parent, by the level's name; the seed document's own
    where a level is left out (a level of your own needs one). capacity_kwh: [least, most] of
    a system. chemistries: given to the systems in turn. places: [latitude, longitude] of the
    first systems. first_system: number of the first id. past_hours: what `backfill` can tell.
    attributes: by level and name, values that the children of one parent take in turn:
    {"rack": {"side": ["west", "east"]}}.
    """

    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
    systems: Count = 6
    counts: dict[str, tuple[Count, Count]] = {}
    capacity_kwh: tuple[Energy, Energy] = (100.0, 400.0)
    chemistries: Annotated[list[ChemistryName], msgspec.Meta(min_length=1, max_length=1000)] = (
        msgspec.field(default_factory=lambda: ["LFP", "NMC", "LFP", "LCO", "NMC", "LFP"]))
    ambient_c: Annotated[float, msgspec.Meta(ge=-30, le=45)] = 20.0
    places: list[tuple[Latitude, Longitude]] = []
    label: Annotated[str, msgspec.Meta(min_length=1, max_length=60)] = "Simulated fleet"
    first_system: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    past_hours: Annotated[float, msgspec.Meta(ge=0, le=168)] = 24.0
    attributes: dict[str, dict[str, Annotated[list[str], msgspec.Meta(min_length=1)]]] = {}


def create(name: str, options: Options, levels: tuple[Level, ...]) -> Fleet:
    """A fleet that is not started yet; raises ConfigurationError."""
    at = f"sources.{name}.options"
    low, high = options.capacity_kwh
    if low > high:
        raise ConfigurationError(FILE, f"{at}.capacity_kwh", [low, high],
                                 "[least, most] with least <= most")
    check_attributes(levels, options.attributes, at)
    plan = SitePlan(
        levels=levels, counts=counts_for(levels, options.counts, options.systems, at),
        systems=options.systems, first_system=options.first_system, capacity_kwh=(low, high),
        chemistries=tuple(options.chemistries), places=tuple(options.places), seed=options.seed,
        attributes=options.attributes)
    return Fleet(name, options, build(plan))


class Fleet:
    """A BackfillingSource and ScriptedSource; made by `create`.

    Readings are newly allocated at each poll and never written again.
    """

    def __init__(self, name: str, options: Options, roots: Sequence[NodeSpec]) -> None:
        self._options = options
        self._roots = tuple(roots)
        self._info = SourceInfo(name, options.label, "simulated", PERIOD_S, STALE_AFTER_S,
                                native_sign="discharge")
        self._player = FaultPlayer()
        self._running: _Running | None = None

    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def roots(self) -> Sequence[NodeSpec]:
        return self._roots

    def start(self, now: datetime, topology: Topology) -> None:
        """Live through the past up to `now`, where the first poll goes on."""
        self._running = _Running(self._options, now.timestamp(), topology)

    def poll(self, now: datetime) -> Reading:
        """The fleet at `now`; a clock that stands still or steps back moves nothing."""
        running = self._started()
        now_s = now.timestamp()
        return running.reading(now, running.state_at(now_s), self._player.due(now_s))

    def backfill(self, start: datetime, end: datetime, step_s: float) -> Iterator[Reading]:
        """Readings every `step_s` from `start` to `end`, as far back as `past_hours` reach.

        May run on a thread of its own beside `poll`. Faults are not in it.
        """
        if not step_s > 0.0:
            raise ValueError(f"step_s = {step_s!r}: a step goes forward")
        running = self._started()
        start_s, known_s = start.timestamp(), running.past.start_s
        skipped = max(0, int(np.ceil((known_s - start_s) / step_s)))
        states = running.past.states(start_s + skipped * step_s, step_s)
        for number, state in enumerate(states, skipped):
            when = start + timedelta(seconds=number * step_s)
            if when > end:
                return
            yield running.reading(when, state, [])

    def scripts(self) -> Sequence[str]:
        return self._player.names()

    def start_script(self, name: str, now: datetime) -> None:
        """Start a fault script; raises UnknownIdError, ConfigurationError for its content."""
        self._player.start(name, now, self._started().topology)

    def stop_scripts(self) -> None:
        self._player.stop()

    def running_scripts(self) -> Sequence[str]:
        return self._player.running()

    def close(self) -> None:
        self._player.stop()
        self._running = None

    def _started(self) -> _Running:
        if self._running is None:
            raise SourceError(f"{self._info.name} is not started; ask again once it is")
        return self._running


class _Running:
    """What a started fleet consists of."""

    def __init__(self, options: Options, now_s: float, topology: Topology) -> None:
        self.topology = topology
        self._cells = CellModel(topology, options.ambient_c, options.seed)
        self._process = Process(options.systems, options.seed)
        self.past = Past(self._process, now_s, options.past_hours)
        self._at_s = now_s
        self._no_flags = np.zeros(topology.size, dtype=np.uint8)
        self._no_flags.flags.writeable = False

    def state_at(self, now_s: float) -> SystemState:
        """Move the process on to `now_s` (seconds since 1970) and tell its state."""
        self._process.advance(now_s - self._at_s)
        self._at_s = now_s
        return self._process.state()

    def reading(self, when: datetime, state: SystemState, faults: Sequence[Fault]) -> Reading:
        """All cells in `state`, with `faults` laid over."""
        columns = self._cells.expand(state)
        if not faults:
            return Reading(when, columns, flags=self._no_flags)
        canvas = Canvas(self.topology, self._cells, columns,
                        heard=np.ones(self.topology.size, dtype=np.bool_),
                        flags=self._no_flags.copy())
        for fault in faults:
            fault.effect.apply(canvas, fault, when.timestamp() - fault.from_s)
        return Reading(when, columns, canvas.heard, canvas.flags)
