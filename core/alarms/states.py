"""The states of one alarm as data: the nine of ISA-18.2, with latched ones beside the plain.

The condition that comes in here has passed its deadband and its delays (`delays.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """The letters are the standard's own."""

    NORMAL = "A"
    UNACKNOWLEDGED = "B"
    ACKNOWLEDGED = "C"
    RETURNED = "D"
    LATCHED_UNACKNOWLEDGED = "E"
    LATCHED_ACKNOWLEDGED = "F"
    SHELVED = "G"
    SUPPRESSED = "H"
    OUT_OF_SERVICE = "I"


class Event(StrEnum):
    """ON, OFF: of the condition. ESCALATE: it became worse than it was when it called.
    REALARM: acknowledged long ago and still there. The last three end a hidden state."""

    ON = "on"
    OFF = "off"
    ACKNOWLEDGE = "acknowledge"
    RESET = "reset"
    SHELVE = "shelve"
    SUPPRESS = "suppress"
    OUT_OF_SERVICE = "out of service"
    ESCALATE = "escalate"
    REALARM = "realarm"
    UNSHELVE = "unshelve"
    UNSUPPRESS = "unsuppress"
    RETURN = "return to service"


WORDS: Mapping[State, str] = {
    State.NORMAL: "normal",
    State.UNACKNOWLEDGED: "unacknowledged",
    State.ACKNOWLEDGED: "acknowledged",
    State.RETURNED: "gone, unacknowledged",
    State.LATCHED_UNACKNOWLEDGED: "latched, unacknowledged",
    State.LATCHED_ACKNOWLEDGED: "latched, acknowledged",
    State.SHELVED: "shelved",
    State.SUPPRESSED: "suppressed",
    State.OUT_OF_SERVICE: "out of service",
}

A, B, C, D, E, F, G, H, OUT = State
HIDDEN = frozenset({G, H, OUT})
ALARMED = frozenset({B, C, D, E, F})
ASKING = frozenset({B, D, E})
"""States that wait for somebody's acknowledgement."""

TRANSITIONS: Mapping[tuple[State, Event], tuple[State, State]] = {
    # (from, event): (to where the alarm is plain, to where it is latched)
    (A, Event.ON): (B, B),
    (D, Event.ON): (B, B), (E, Event.ON): (B, B), (F, Event.ON): (B, B),
    (B, Event.OFF): (D, E), (C, Event.OFF): (A, F),
    (B, Event.ACKNOWLEDGE): (C, C), (D, Event.ACKNOWLEDGE): (A, A),
    (E, Event.ACKNOWLEDGE): (F, F),
    (F, Event.RESET): (A, A),
    (B, Event.ESCALATE): (B, B), (C, Event.ESCALATE): (B, B), (C, Event.REALARM): (B, B),
    **{(state, Event.SHELVE): (G, G) for state in (A, B, C, D, G)},
    **{(state, Event.SUPPRESS): (H, H) for state in (A, B, C, D, E, F)},
    **{(state, Event.OUT_OF_SERVICE): (OUT, OUT) for state in (A, B, C, D, E, F, G, H)},
    **{(state, event): (state, state) for state in HIDDEN for event in (Event.ON, Event.OFF)},
}

RELEASES: Mapping[Event, State] = {Event.UNSHELVE: G, Event.UNSUPPRESS: H, Event.RETURN: OUT}
"""What ends a hidden state; the condition of that moment decides where it leads."""

NEVER_OF_A_TRIP = frozenset({Event.SHELVE, Event.SUPPRESS})


def following(state: State, event: Event, *, on: bool = False, latched: bool = False,
              trip: bool = False) -> State | None:
    """The next state; None where the table has no such edge.

    on: the condition at this moment, which alone counts when a hidden state ends. trip: a trip
    is neither shelved nor suppressed.
    """
    if trip and event in NEVER_OF_A_TRIP:
        return None
    if event in RELEASES:
        if state is not RELEASES[event]:
            return None
        return B if on else A
    found = TRANSITIONS.get((state, event))
    return None if found is None else found[latched]
