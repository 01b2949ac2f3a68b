"""The state table as a test: what is not in it is refused."""

from __future__ import annotations

from itertools import product

import pytest

from core.alarms.states import TRANSITIONS, WORDS, Event, State, following

COLUMNS = ("on", "off", "acknowledge", "reset", "shelve", "suppress", "out of service",
           "escalate", "realarm", "unshelve", "unsuppress", "return to service")
# from: to, a column an event; "X/Y" plain / latched; "*" B where the condition is there, else A.
TABLE = """
A  B  -    -  -  G  H  I  -  -  -  -  -
B  -  D/E  C  -  G  H  I  B  -  -  -  -
C  -  A/F  -  -  G  H  I  B  B  -  -  -
D  B  -    A  -  G  H  I  -  -  -  -  -
E  B  -    F  -  -  H  I  -  -  -  -  -
F  B  -    -  A  -  H  I  -  -  -  -  -
G  G  G    -  -  G  -  I  -  -  *  -  -
H  H  H    -  -  -  -  I  -  -  -  *  -
I  I  I    -  -  -  -  -  -  -  -  -  *
"""
EXPECTED = {(row.split()[0], column): cell
            for row in TABLE.strip().splitlines()
            for column, cell in zip(COLUMNS, row.split()[1:], strict=True)}


def told(cell: str, latched: bool, on: bool) -> str | None:
    if cell == "*":
        return "B" if on else "A"
    return None if cell == "-" else cell.split("/")[-1 if latched else 0]


@pytest.mark.parametrize("latched", [False, True])
@pytest.mark.parametrize("on", [False, True])
@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_every_edge_of_the_table_and_no_other(state: State, event: Event, on: bool,
                                              latched: bool) -> None:
    cell = EXPECTED[state.value, event.value]
    assert following(state, event, on=on, latched=latched) == told(cell, latched, on)


@pytest.mark.parametrize(("state", "event"), list(product(State, (Event.SHELVE, Event.SUPPRESS))))
def test_a_trip_is_neither_shelved_nor_suppressed(state: State, event: Event) -> None:
    assert following(state, event, on=True, latched=True, trip=True) is None


def edges(latched: bool, events: frozenset[Event]) -> dict[State, set[State]]:
    return {state: {to for event in events for on in (False, True)
                    if (to := following(state, event, on=on, latched=latched)) is not None}
            for state in State}


def reached(graph: dict[State, set[State]], start: State) -> set[State]:
    found, todo = {start}, [start]
    while todo:
        fresh = graph[todo.pop()] - found
        found |= fresh
        todo += fresh
    return found


@pytest.mark.parametrize(("latched", "absent"), [
    (False, {State.LATCHED_UNACKNOWLEDGED, State.LATCHED_ACKNOWLEDGED}),
    (True, {State.RETURNED})])
def test_every_state_is_reached_and_left(latched: bool, absent: set[State]) -> None:
    graph = edges(latched, frozenset(Event))
    assert reached(graph, State.NORMAL) == set(State) - absent
    for state in set(State) - absent:
        assert State.NORMAL in reached(graph, state)


@pytest.mark.parametrize(("latched", "states", "count"), [(False, "ABCD", 6), (True, "ABCEF", 8)])
def test_the_plain_and_the_latched_machine_have_the_standards_size(latched: bool, states: str,
                                                                  count: int) -> None:
    basic = {Event.ON, Event.OFF, Event.ACKNOWLEDGE, Event.RESET}
    found = [(state, event) for (state, event), to in TRANSITIONS.items()
             if event in basic and state.value in states and to[latched].value in states]
    assert len(found) == count


def test_every_state_has_words_of_its_own() -> None:
    assert len({WORDS[state] for state in State}) == len(State)
