"""The state machine of one pack: from normal work to latched open and back (law 8).

NORMAL and DERATE work; ZERO asks for 0 A and waits until the current rests; OPENING opens one
contactor after the other, never above the break current unless the fuse had its time, and looks
at the feedback in between; LATCHED watches that it stays open, until an operator resets it with
everything clear. A shutdown that has begun is not called off when its cause goes (as in foxBMS 2).
Short circuits and hardware faults go to OPENING without waiting for 0 A. Time is what has passed
between samples, so that a restart or a changed clock loses nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from core.errors import GiveUpError
from core.safety.area import Cause
from core.safety.bands import INFO, NONE, TRIP
from core.safety.profile import MachineOptions


class State(StrEnum):
    """Of a pack, from free to shut."""

    NORMAL = "normal"
    DERATE = "derate"
    ZERO = "zero"
    OPENING = "opening"
    LATCHED = "latched"


class Step(StrEnum):
    """What OPENING is doing; DONE in every other state."""

    DONE = "done"
    BREAK_CURRENT = "break_current"
    PLUS = "plus"
    MINUS = "minus"


WORKING = (State.NORMAL, State.DERATE)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a step judges. `tier` and `protection` of the pack, with `cause`; `immediate`: a
    short circuit or hardware fault. Feedback True: closed, None: not known. `stop`, `reset`:
    who asks for it with this step, "" for nobody. current_a NaN: not known."""

    time: datetime
    dt_s: float
    current_a: float
    tier: int = NONE
    protection: int = NONE
    cause: Cause | None = None
    immediate: Cause | None = None
    plus_closed: bool | None = True
    minus_closed: bool | None = True
    fuse_intact: bool | None = True
    stop: str = ""
    reset: str = ""


@dataclass(frozen=True, slots=True)
class Transition:
    """at: time of the sample; after_s: how long the former state had held; by: a person."""

    former: State
    state: State
    reason: str
    at: datetime
    after_s: float
    by: str = ""


class Memory(msgspec.Struct, forbid_unknown_fields=True):
    """All that a restart needs. forced, blind: it opened above the break current, or without
    knowing its current. wrong_s: how long a contactor has not been where it should be; flowing_s:
    how long current has flowed through open contactors [s]."""

    state: State = State.NORMAL
    step: Step = Step.DONE
    in_state_s: float = 0.0
    in_step_s: float = 0.0
    wrong_s: float | None = None
    unknown_s: float | None = None
    plus_closed: bool = True
    minus_closed: bool = True
    welded_plus: bool = False
    welded_minus: bool = False
    forced: bool = False
    reason: str = ""
    blind: bool = False
    flowing_s: float | None = None


class Machine:
    """One pack. `break_current_a`: above it no contactor opens on purpose."""

    def __init__(self, options: MachineOptions, break_current_a: float) -> None:
        self._options = options
        self._break_a = break_current_a
        self._memory = Memory()

    @property
    def memory(self) -> Memory:
        """A copy of what is remembered: state, commands, what was found."""
        return msgspec.structs.replace(self._memory)

    @property
    def state(self) -> State:
        """The state now."""
        return self._memory.state

    @property
    def tripped(self) -> bool:
        """Whether a shutdown has begun."""
        return self._memory.state not in WORKING

    @property
    def isolated(self) -> bool:
        """Latched with at least one contactor known to be open."""
        memory = self._memory
        return memory.state is State.LATCHED and not (memory.welded_plus and memory.welded_minus)

    def step(self, given: Inputs) -> list[Transition]:
        """One sample; the transitions it caused, in order."""
        memory, passed = self._memory, _passed(given.dt_s)
        memory.in_state_s += passed
        memory.in_step_s += passed
        self._time_faults(given, passed)
        if memory.state is State.LATCHED:
            found = self._latched(given)
            return [found] if found else []
        done: list[Transition] = []
        while (found := self._next(given)) is not None:
            done.append(found)
        return done

    def blockers(self, given: Inputs) -> tuple[str, ...]:
        """What forbids a reset now; empty when everything is clear."""
        memory = self._memory
        tests = {
            "the pack is not latched": memory.state is not State.LATCHED,
            given.cause.words() if given.cause else "a limit": given.protection > INFO,
            given.immediate.words() if given.immediate else "": given.immediate is not None,
            "the fuse is not known to be intact": given.fuse_intact is not True,
            "the plus contactor is not known to be open": given.plus_closed is not False,
            "the minus contactor is not known to be open": given.minus_closed is not False,
            f"a stop by {given.stop} stands": bool(given.stop),
            "the current is not known": not math.isfinite(given.current_a),
            "current flows through it": self._flows(given),
        }
        return tuple(words for words, holds in tests.items() if holds)

    def _next(self, given: Inputs) -> Transition | None:
        state = self._memory.state
        if state in WORKING or state is State.ZERO:
            fault = self._fault(given)
            if fault is not None:
                return self._open(fault.words(), given)
        if state in WORKING:
            return self._working(given)
        if state is State.ZERO:
            return self._zero(given)
        return self._opening(given) if state is State.OPENING else None

    def _fault(self, given: Inputs) -> Cause | None:
        """What cannot wait for 0 A."""
        if given.immediate is not None:
            return given.immediate
        if given.fuse_intact is False:
            return Cause("fuse_blown")
        return Cause("contactor_feedback") if self._late(self._memory.wrong_s) else None

    def _time_faults(self, given: Inputs, passed_s: float) -> None:
        """Contactors are to be closed while the pack works, and open once it is latched."""
        memory, works = self._memory, self._memory.state in WORKING
        latched = memory.state is State.LATCHED
        answers = (given.plus_closed, given.minus_closed)
        wrong = (works and False in answers) or (latched and any(self._closed_again(given)))
        memory.wrong_s = _lasting(wrong, memory.wrong_s, passed_s)
        unknown = works and None in (*answers, given.fuse_intact)
        memory.unknown_s = _lasting(unknown, memory.unknown_s, passed_s)
        memory.flowing_s = _lasting(latched and self._flows(given), memory.flowing_s, passed_s)

    def _closed_again(self, given: Inputs) -> tuple[bool, bool]:
        """Of plus and minus: it had opened, and is not known to be open any more."""
        memory = self._memory
        return (given.plus_closed is not False and not memory.welded_plus,
                given.minus_closed is not False and not memory.welded_minus)

    def _flows(self, given: Inputs) -> bool:
        return abs(given.current_a) >= self._options.rest_current_a

    def _late(self, lasted_s: float | None) -> bool:
        return lasted_s is not None and lasted_s >= self._options.feedback_timeout_s

    def _working(self, given: Inputs) -> Transition | None:
        if given.stop:
            return self._to(State.ZERO, "stop asked for", given, given.stop)
        words = given.cause.words() if given.cause else f"tier {given.tier}"
        if max(given.tier, given.protection) >= TRIP:
            return self._to(State.ZERO, words, given)
        if self._late(self._memory.unknown_s):
            return self._to(State.ZERO, "feedback_missing", given)
        wanted = State.DERATE if given.tier > NONE else State.NORMAL
        if wanted is self._memory.state:
            return None
        return self._to(wanted, words if given.tier else "all clear", given)

    def _zero(self, given: Inputs) -> Transition | None:
        if abs(given.current_a) < self._options.rest_current_a:
            return self._open("the current rests", given)
        if self._memory.in_state_s >= self._options.zero_timeout_s:
            return self._open("the current did not come to rest in time", given)
        return None

    def _open(self, reason: str, given: Inputs) -> Transition:
        self._enter_step(Step.BREAK_CURRENT)
        return self._to(State.OPENING, reason, given)

    def _opening(self, given: Inputs) -> Transition | None:
        memory, options = self._memory, self._options
        if memory.step is Step.BREAK_CURRENT:
            under = abs(given.current_a) < self._break_a or given.fuse_intact is False
            if not under and memory.in_step_s < options.fuse_timeout_s:
                return None
            memory.blind = not under and not math.isfinite(given.current_a)
            memory.forced = not under and not memory.blind
            memory.plus_closed = False
            self._enter_step(Step.PLUS)
        if memory.step is Step.PLUS and self._answered(given.plus_closed):
            memory.welded_plus = given.plus_closed is not False
            memory.minus_closed = False
            self._enter_step(Step.MINUS)
        if memory.step is Step.MINUS and self._answered(given.minus_closed):
            memory.welded_minus = given.minus_closed is not False
            return self._to(State.LATCHED, self._outcome(), given)
        return None

    def _answered(self, closed: bool | None) -> bool:
        """Open, or silent for too long to wait on."""
        return closed is False or self._memory.in_step_s >= self._options.feedback_timeout_s

    def _outcome(self) -> str:
        memory = self._memory
        welded = [name for name, found in (("plus", memory.welded_plus),
                                           ("minus", memory.welded_minus)) if found]
        words = ["NOT isolated" if len(welded) == 2 else "open"]
        words += [f"{name} contactor welded or its feedback lost" for name in welded]
        words += ["opened above the break current"] if memory.forced else []
        words += ["opened with its current unknown"] if memory.blind else []
        return "; ".join(words)

    def _latched(self, given: Inputs) -> Transition | None:
        if not given.reset or self.blockers(given):
            return self._watched(given)
        self._memory = Memory(state=State.LATCHED, in_state_s=self._memory.in_state_s)
        return self._to(State.NORMAL, "reset by an operator", given, given.reset)

    def _watched(self, given: Inputs) -> Transition | None:
        """What it found of contactors that should be open; it holds until a reset."""
        memory = self._memory
        known = memory.welded_plus, memory.welded_minus
        flows = self._late(memory.flowing_s)
        plus, minus = self._closed_again(given) if self._late(memory.wrong_s) else (False, False)
        memory.welded_plus |= plus or flows
        memory.welded_minus |= minus or flows
        if known == (memory.welded_plus, memory.welded_minus):
            return None
        words = "; current flows through it" if flows else ""
        return self._to(State.LATCHED, self._outcome() + words, given)

    def _enter_step(self, step: Step) -> None:
        self._memory.step, self._memory.in_step_s = step, 0.0

    def _to(self, state: State, reason: str, given: Inputs, by: str = "") -> Transition:
        memory = self._memory
        done = Transition(memory.state, state, reason, given.time, memory.in_state_s, by)
        memory.state, memory.in_state_s, memory.reason = state, 0.0, reason
        if state is not State.OPENING:
            memory.step = Step.DONE
        return done

    @property
    def timing(self) -> bool:
        """Whether something follows from how long it has been so."""
        memory = self._memory
        lasting = memory.wrong_s, memory.unknown_s, memory.flowing_s
        return (memory.state in (State.ZERO, State.OPENING)
                or any(seconds is not None for seconds in lasting))

    def to_dict(self) -> dict[str, Any]:
        """What a restart needs, as plain values."""
        return msgspec.structs.asdict(self._memory)

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on where `to_dict` was taken; raises GiveUpError if it is damaged."""
        try:
            memory = msgspec.convert(state, Memory, strict=True)
        except msgspec.ValidationError as error:
            raise GiveUpError(f"the saved state of a pack is damaged: {error}") from error
        times = (memory.in_state_s, memory.in_step_s, memory.wrong_s or 0.0,
                 memory.unknown_s or 0.0, memory.flowing_s or 0.0)
        if not all(math.isfinite(time) and time >= 0 for time in times):
            raise GiveUpError("the saved state of a pack is damaged: times")
        self._memory = memory


def _passed(dt_s: float) -> float:
    return dt_s if math.isfinite(dt_s) and dt_s > 0 else 0.0


def _lasting(holds: bool, so_far_s: float | None, passed_s: float) -> float | None:
    """For how long something has been so [s]; None: it is not."""
    if not holds:
        return None
    return 0.0 if so_far_s is None else so_far_s + passed_s
