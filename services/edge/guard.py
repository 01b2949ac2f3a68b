"""Safety of the packs of one process: `core.safety` behind the edge device's ports, all packs in
one judgement, with a memory of each pack that outlives the process.

A guard that finds its memory damaged trusts nothing: it opens and waits for a person's reset.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import msgspec
import numpy as np

from core.clock import from_epoch, has_passed
from core.errors import GiveUpError, RetryLaterError
from core.fleet.messages import Condition, PartialLimit
from core.safety import area
from core.safety.bands import (
    LIMITED_CELL,
    MISSING_CELL,
    NEGATED,
    PACK_CONDITIONS,
    TRIP,
    WARNING,
    MissingCell,
)
from core.safety.derating import CHARGE, DISCHARGE, Derated, Reason
from core.safety.layout import NO_LEAF
from core.safety.layout import Pack as Rating
from core.safety.machine import Inputs, Memory, State, Transition
from core.safety.monitor import Decision, Hardware, PackLimits, Requests, SafetyMonitor
from core.safety.profile import SafetyProfile
from core.topology import FloatArray
from services.edge.plant import UNKNOWN, Sample
from services.edge.ports import Estimate, Outcome, Verdict

log = logging.getLogger(__name__)

EMERGENCY = "emergency_stop"
NEW_PACK_SOH_PCT = 100.0
KEEP_AGAIN_S = 1.0
"""After a disk took nothing [s]."""
SETTLED_S = 10.0
"""So long after a restart the delays of all limits have run anew, and a reset can be judged [s]."""
ISOLATED = "open"
"""What the state machine says of a pack whose contactors opened as they should."""
NOTHING = Requests()
_CELL = re.compile(r"\bcell (\d+)")


class Keeper(Protocol):
    """Where memories by device survive SIGKILL."""

    def safety(self, device: str) -> bytes | None: ...

    def keep_safety_soon(self, memories: Mapping[str, bytes],
                         then: Callable[[RetryLaterError | None], None]) -> None:
        """The caller does not wait for it. then: is told in the caller's thread, at once or later,
        whether it was kept."""
        ...

    def keep_with_bodies(self, memories: Callable[[], Mapping[str, bytes]]) -> None:
        """Asks for them each time that it writes anyway, once a second."""
        ...


class Kept(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """why: what began the shutdown, in words; machine: of `Machine.to_dict`. at_s: when that was
    [s since 1970], None where it does not matter."""

    why: str
    machine: dict[str, Any]
    limits: PackLimits = PackLimits()
    at_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Look:
    """What was judged last."""

    samples: Sequence[Sample]
    estimates: Sequence[Estimate]
    now_s: float
    bounds_kw: Sequence[float] = ()


class Guards:
    """Safety of all packs of a process. soh_pct: the health that limits assume where nobody
    estimates it. timer: monotonic seconds, by which samples follow each other; one that is given
    is not the machine's own, so that it cannot tell how long a decision took. judged: what the
    newest verdicts allow; `decision` is newer after a reset."""

    def __init__(self, ratings: Sequence[Rating], keeper: Keeper,
                 profile: SafetyProfile | None = None,
                 timer: Callable[[], float] | None = None,
                 soh_pct: float = NEW_PACK_SOH_PCT) -> None:
        self._timed, self.timer = timer is None, timer or time.perf_counter
        self.monitor = SafetyMonitor(ratings, profile, timer=self.timer)
        self._practice = SafetyMonitor(ratings[:1], profile, timer=self.timer)
        self._keeper, self._soh_pct = keeper, soh_pct
        self._allowed_by_bms = self.monitor.layout.reference_current_a
        self._look: _Look | None = None
        self._not_kept_s, self._keeping = -math.inf, False
        self.decision: Decision | None = None
        self.judged: Derated | None = None
        self.kept_s = -math.inf
        self.each = tuple(Guard(self, at, keeper.safety(rating.name))
                          for at, rating in enumerate(ratings))
        keeper.keep_with_bodies(self.memories)

    @property
    def took_s(self) -> float | None:
        """As `services.edge.ports.Safety`."""
        found = self.decision
        return None if found is None or not self._timed else found.decided_s - found.arrived_s

    def rehearse(self) -> None:
        """As `services.edge.ports.Safety`: the first pack's last sample, before a monitor that
        nobody listens to."""
        if self._look is None:
            return
        look = _Look(self._look.samples[:1], self._look.estimates[:1], self._look.now_s)
        self._practice.decide(self._columns(look), from_epoch(look.now_s), self.timer(),
                              [sample.hardware for sample in look.samples])

    def judge(self, samples: Sequence[Sample], estimates: Sequence[Estimate], now_s: float,
              arrived_s: float, bounds_kw: Sequence[float]) -> list[Verdict]:
        """As `services.edge.ports.Safety`."""
        if self._look is None and math.isfinite(self.kept_s):
            self.monitor.resume(now_s - self.kept_s)
        self._look = _Look(samples, estimates, now_s, bounds_kw)
        decision = self._decide(self._look, arrived_s)
        self.judged = decision.derated
        charge_a, discharge_a = decision.derated.allowed_a.tolist()
        return [Verdict(decision.states[at].value, charge_a[at], discharge_a[at],
                        guard.reason(decision)) for at, guard in enumerate(self.each)]

    def settle(self, now_s: float) -> None:
        """Keep what changed, all in one commit, and wait for no disk."""
        changed = [(guard, guard.changes) for guard in self.each if guard.changed]
        if not changed or self._keeping or not has_passed(KEEP_AGAIN_S, self._not_kept_s, now_s):
            return
        self._keeping = True
        self._keeper.keep_safety_soon({guard.device: guard.kept(now_s) for guard, _ in changed},
                                      partial(self._settled, changed, now_s))

    def _settled(self, changed: Sequence[tuple[Guard, int]], now_s: float,
                 failure: RetryLaterError | None) -> None:
        self._keeping = False
        if failure is not None:
            self._not_kept_s = now_s
            log.error("a restart would forget the safety of %s: %s",
                      ", ".join(guard.device for guard, _ in changed), failure)
            return
        self._not_kept_s = -math.inf
        for guard, changes in changed:
            guard.kept_changes = changes

    def memories(self) -> dict[str, bytes]:
        """Of the packs whose delays and limits were ever on their way; a calm one's is always the
        same."""
        if self._look is None:
            return {}
        moving = self.monitor.moving().tolist()
        return {guard.device: guard.kept(self._look.now_s)
                for guard, moves in zip(self.each, moving, strict=True) if guard.told(moves)}

    def reset(self, guard: Guard, by: str) -> str:
        """The newest samples decide; "" or what forbids it."""
        look = self._look
        if look is None:
            return "no sample has been judged yet; ask again in a second"
        self._decide(look, self.timer(), guard, by)
        if not guard.tripped:
            self.settle(look.now_s)
            return ""
        return "; ".join(guard.blockers(look.samples[guard.at], look.now_s))[:200]

    def _decide(self, look: _Look, arrived_s: float, reset: Guard | None = None,
                by: str = "") -> Decision:
        requests = [guard.asked(by if guard is reset else "", bound_kw, sample)
                    for guard, bound_kw, sample in zip(self.each, look.bounds_kw, look.samples,
                                                       strict=True)]
        hardware = [guard.seen(sample, arrived_s)
                    for guard, sample in zip(self.each, look.samples, strict=True)]
        silent = [at for at, sample in enumerate(look.samples) if sample.silent]
        former = [guard.tripped for guard in self.each]
        decision = self.monitor.decide(self._columns(look), from_epoch(look.now_s), arrived_s,
                                       hardware, requests, silent)
        self.decision = decision
        for at, transition in decision.transitions:
            self.each[at].moved(former[at], transition)
            former[at] = self.each[at].tripped
        return decision

    def _columns(self, look: _Look) -> area.Sample:
        samples, estimates = look.samples, look.estimates
        soh = [self._soh_pct if one.soh_pct is None else one.soh_pct for one in estimates]
        return area.Sample(
            np.concatenate([one.cell_voltage_v for one in samples]),
            np.concatenate([one.cell_temperature_c for one in samples]),
            _column([one.current_a for one in samples]),
            _column([one.soc_pct for one in estimates]), _column(soh),
            _column([one.voltage_v for one in samples]),
            *(self._allowed_by_bms[:len(samples)],) * 2)


class Guard:
    """What one pack and those who command it see of the guards."""

    def __init__(self, guards: Guards, at: int, kept: bytes | None) -> None:
        self._guards, self.at = guards, at
        layout = guards.monitor.layout
        self.rating = layout.packs[at]
        self.device = self.rating.name
        self._machine = guards.monitor.machines[at]
        self._first_cell = int(layout.offsets[at])
        self._ordered = ("", "")
        self._settled_s = -math.inf
        self.why, self._told = "", kept is not None
        self.changes = self.kept_changes = 0
        self._heard: Sample | None = None
        self._heard_s, self._silent = -math.inf, False
        self.opened_after_s: float | None = None
        self._shutting_s = 0.0
        if kept is not None:
            self._remember(kept)

    # -- the port

    @property
    def cells(self) -> int:
        """How many of the pack are measured."""
        return self.rating.cells

    @property
    def contactors(self) -> tuple[bool, bool]:
        """Whether plus and minus are to be closed."""
        memory = self._machine.memory
        return memory.plus_closed, memory.minus_closed

    @property
    def outcome(self) -> Outcome | None:
        """As `services.edge.ports.PackSafety`."""
        memory = self._machine.memory
        if memory.state is not State.LATCHED:
            return None
        return Outcome(self._machine.isolated,
                       "" if memory.reason == ISOLATED else memory.reason)

    def limits(self) -> tuple[PartialLimit, ...]:
        """As `services.edge.ports.PackSafety`."""
        judged = self._guards.judged
        if judged is None:
            return ()
        return tuple(self._partial(one) for way in (CHARGE, DISCHARGE)
                     for one in judged.near(way, self.at))

    def conditions(self) -> tuple[Condition, ...]:
        """As `services.edge.ports.PackSafety`."""
        decision = self._guards.decision
        if decision is None:
            return ()
        state, first = decision.area, self._first_cell
        rows = np.flatnonzero(state.pack_tier[:, self.at]).tolist()
        cells = 0 if self._silent else self.rating.cells  # then the pack is missing, not each cell
        gone = state.cell_tier[LIMITED_CELL:, first:first + cells]
        return (*self._of_parts(),
                *(_of_pack(state, row, self.at) for row in rows),
                *(found for name, tiers in zip(MISSING_CELL, gone, strict=True)
                  for found in _missing(name, tiers)))

    def _of_parts(self) -> Iterator[Condition]:
        """What its contactors, wires and cooling have."""
        memory, hardware = self._machine.memory, self.hardware
        if False in (hardware.plus_closed, hardware.minus_closed):
            yield Condition(condition="contactor_open", tier=WARNING)
        if memory.welded_plus or memory.welded_minus:
            yield Condition(condition="contactor_welded", tier=TRIP)
        if self.short_circuited:
            yield Condition(condition="short_circuit", tier=TRIP)
        if self._heard is not None and self._heard.cooling_failed:
            yield Condition(condition="cooling_failed", tier=WARNING)

    def order(self, action: str, by: str) -> str:
        """As `services.edge.ports.PackSafety`."""
        if action == "reset":
            return self._reset(by)
        if self._ordered[0] != EMERGENCY:
            self._ordered = action, by
        return ""

    # -- what others may know

    @property
    def memory(self) -> Memory:
        return self._machine.memory

    @property
    def hardware(self) -> Hardware:
        """What fuse and contactors last said, while that is not stale."""
        return UNKNOWN if self._heard is None else self._heard.hardware

    @property
    def tripped(self) -> bool:
        return self._machine.tripped

    @property
    def changed(self) -> bool:
        """Whether a restart would forget what its state machine did last."""
        return self.changes != self.kept_changes

    @property
    def short_circuited(self) -> bool:
        """Whether a short circuit began the shutdown that still holds."""
        return self.why.startswith("short_circuit")

    # -- of the guards

    @property
    def stop(self) -> str:
        """Who asks for a stop, in words."""
        action, by = self._ordered
        return f"{action.replace('_', ' ')} by {by}" if action else ""

    def asked(self, reset: str, bound_kw: float, sample: Sample) -> Requests:
        """reset: who asks for one, "" for nobody. A person's bound is a current here, by which it
        is among the limits; NaN, which allows nothing, where the voltage is not known."""
        stop = self.stop
        if not stop and not reset and bound_kw == math.inf:
            return NOTHING
        bound_a = (math.inf if bound_kw == math.inf
                   else 1000.0 * bound_kw / sample.sure_voltage_v)
        return Requests(stop, reset, bound_a, bound_a)

    def seen(self, sample: Sample, arrived_s: float) -> Hardware:
        """While no sample comes its last word counts until it is stale. An emergency stop is an
        interlock that a person opened."""
        stale_s = self._guards.monitor.profile.machine.stale_after_s
        self._silent = sample.silent
        if not sample.silent:
            self._heard, self._heard_s = sample, arrived_s
        elif arrived_s - self._heard_s >= stale_s:
            self._heard = None
        found = self.hardware
        return replace(found, interlock=True) if self._ordered[0] == EMERGENCY else found

    def moved(self, was_tripped: bool, how: Transition) -> None:
        """The state machine went on."""
        self.changes += 1
        if not self.tripped:
            self.why = ""
        elif not was_tripped:
            self.why = self.stop or self._read(how.reason)
        self._time_opening(how)

    def _time_opening(self, how: Transition) -> None:
        if how.former in (State.ZERO, State.OPENING):
            self._shutting_s += how.after_s
        elif how.state in (State.ZERO, State.OPENING):
            self._shutting_s, self.opened_after_s = 0.0, None
        known = math.isfinite(self._shutting_s)
        if how.state is State.LATCHED and known and self._machine.isolated:
            self.opened_after_s = self._shutting_s

    def told(self, moves: bool) -> bool:
        """Whether the disk is to hear of it. moves: whether its limits do."""
        self._told = self._told or moves or self._machine.timing
        return self._told

    def kept(self, now_s: float) -> bytes:
        """The same again while nothing moves: for how long that is so is left out."""
        limits, machine = self._guards.monitor.state(self.at), self._machine.to_dict()
        timed = self._machine.timing
        if not timed:
            machine |= {"in_state_s": 0.0, "in_step_s": 0.0}
        return msgspec.msgpack.encode(Kept(self.why, machine, limits,
                                           now_s if timed or limits.moving else None))

    def reason(self, decision: Decision) -> str:
        """Why the pack may not do all that it is rated for; "" when it may."""
        if self._machine.tripped:
            return self._shut()
        derated, cause = decision.derated, decision.causes[self.at]
        if self._silent:
            return "no sample comes from the pack"
        held = [derated.reason(way, self.at) for way in (CHARGE, DISCHARGE)
                if derated.limited(way, self.at)]
        if held:
            return self._read(_said(held))
        return self._read(cause.words()) if cause else ""

    def _partial(self, one: Reason) -> PartialLimit:
        cell = None if one.leaf == NO_LEAF else one.leaf - self._first_cell + 1
        return PartialLimit(way=one.way, limit=one.limit, amps=one.amps,
                            why=self._read(one.words()), cell=cell)

    def _shut(self) -> str:
        """ "latched: voltage_high, cell 12: 3.66 V, limit 3.65 V" """
        memory, outcome = self._machine.memory, self.outcome
        words = f"{memory.state.value}: {self.why or memory.reason}"
        return f"{words}; {outcome.words}" if outcome and outcome.words else words

    def blockers(self, sample: Sample, now_s: float) -> list[str]:
        """What forbids a reset, in words."""
        decision, hardware = self._guards.decision, sample.hardware
        if decision is None:
            return []
        cause = decision.causes[self.at]
        found = self._machine.blockers(Inputs(
            from_epoch(now_s), 0.0, sample.current_a, cause.tier if cause else 0,
            int(decision.area.protection_tier[self.at]), cause, None, hardware.plus_closed,
            hardware.minus_closed, hardware.fuse_intact))
        words = [self._read(each) for each in found]
        if hardware.interlock:
            words.append("the interlock is open")
        return words or ["a limit of the hardware is passed"]

    def _reset(self, by: str) -> str:
        state = self._machine.state
        if state is not State.LATCHED:
            return f"the pack is {state.value}; only a latched one is reset"
        left_s = self._settled_s - self._guards.timer()
        if left_s > 0:
            return f"the device has just started; ask again in {math.ceil(left_s)} s"
        ordered, self._ordered = self._ordered, ("", "")
        refusal = self._guards.reset(self, by or "a person")
        if refusal:
            self._ordered = ordered
        return refusal

    def _read(self, words: str) -> str:
        """For a person, who counts the cells of a pack from 1."""
        return _CELL.sub(lambda found: f"cell {int(found[1]) - self._first_cell + 1}", words)

    def _remember(self, kept: bytes) -> None:
        try:
            found = msgspec.msgpack.decode(kept, type=Kept)
            self._machine.restore(found.machine)
            self._guards.monitor.restore(self.at, found.limits)
        except (GiveUpError, msgspec.MsgspecError) as error:
            log.error("%s: its safety memory is not to be trusted (%s); it opens and waits for a "
                      "reset", self.device, error)
            self._ordered = ("controlled_shutdown", "a safety memory that cannot be read")
        else:
            self.why = found.why
            if found.at_s is not None:
                self._guards.kept_s = max(self._guards.kept_s, found.at_s)
            if self.tripped:  # how long it took before the restart is not known
                self._shutting_s = math.nan
        self._settled_s = self._guards.timer() + SETTLED_S


def _said(held: Sequence[Reason]) -> str:
    """Each way that is limited, the stricter first; both at once where they say the same."""
    if len({one.held() for one in held}) < len(held):
        return f"charge and discharge {held[0].held()}"
    return "; ".join(one.words() for one in sorted(held, key=lambda one: one.amps))


def _column(values: Sequence[float | None]) -> FloatArray:
    with np.errstate(over="ignore"):  # a bus may tell more than float32 holds: infinite, and judged
        return np.array([math.nan if value is None else value for value in values],
                        dtype=np.float32)


def _of_pack(state: area.AreaState, row: int, pack: int) -> Condition:
    name, tier = PACK_CONDITIONS[row], int(state.pack_tier[row, pack])
    if row >= len(state.pack_values):
        return Condition(condition=name, tier=tier)
    sign = -1.0 if name in NEGATED else 1.0
    return Condition(condition=name, tier=tier,
                     value=_known(sign * float(state.pack_values[row, pack])),
                     limit=_known(sign * float(state.pack_bands.limit[row, tier - 1, pack])))


def _missing(name: MissingCell, tiers: area.TierArray) -> Iterator[Condition]:
    """tiers: uint8[cells] of the pack."""
    for tier in np.unique(tiers[tiers > 0]).tolist():
        yield Condition(condition=name, tier=tier,
                        cells=tuple((np.flatnonzero(tiers == tier) + 1).tolist()))


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
