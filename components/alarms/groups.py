"""Which rows the list has: groups with their trips, unfolded ones with their consequences, what
the filters leave; no Streamlit in here."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass

from components.alarms import words
from components.alarms.choice import Shown
from core.alarms.groups import Group
from core.alarms.records import INFO, TRIP, Instance, Key
from core.alarms.rules import alarm_rules
from core.alarms.states import ALARMED, HIDDEN, State
from core.ids import beside, is_below
from core.topology import Topology


@dataclass(frozen=True, slots=True)
class Line:
    """One row. inner: below its group's first. folded: how many more its group has, which a
    person can unfold; explained: all of them are known consequences; place: where they are."""

    alarm: Instance
    inner: bool = False
    folded: int = 0
    unfolded: bool = False
    explained: bool = False
    place: str = ""

    @property
    def key(self) -> Key:
        return self.alarm.key


@dataclass(frozen=True, slots=True)
class Listing:
    """All rows that the filters leave. alarms: all behind them, folded ones too."""

    lines: tuple[Line, ...]
    alarms: tuple[Instance, ...]


def listed(groups: Iterable[Group], instances: Iterable[Instance], shown: Shown,
           unfolded: Set[Key], topology: Topology) -> Listing:
    """The worst first, then the newest; what is hidden comes after what is open."""
    lines: list[Line] = []
    alarms: list[Instance] = []
    for group in groups if shown.states & ALARMED else ():
        found = [one for one in (group.root, *group.members) if _is_shown(one, shown, topology)]
        alarms += found
        lines += _of_group(group, found, unfolded)
    if shown.states & HIDDEN:
        known = {one.key for one in alarms}
        hidden = [one for one in instances if one.state in HIDDEN and one.key not in known
                  and one.state in shown.states and _matches(one, shown, topology)]
        hidden.sort(key=lambda one: (-one.severity, -one.began.timestamp(), one.key))
        alarms += hidden
        lines += (Line(one) for one in hidden)
    return Listing(tuple(lines), tuple(alarms))


def _of_group(group: Group, found: list[Instance], unfolded: Set[Key]) -> list[Line]:
    """Consequences stand under their cause, trips always; without their cause each alone."""
    if not found or found[0] is not group.root:
        return [Line(one) for one in found]
    rest = found[1:]
    trips = [one for one in rest if one.severity >= TRIP]
    is_open = group.root.key in unfolded
    first = Line(group.root, folded=len(rest) - len(trips), unfolded=is_open, place=group.place,
                 explained=all(one.state is State.SUPPRESSED for one in rest
                               if one.severity < TRIP))
    return [first, *(Line(one, inner=True) for one in (rest if is_open else trips))]


def _is_shown(one: Instance, shown: Shown, topology: Topology) -> bool:
    """Of a group: a consequence belongs to what is open, though it is suppressed."""
    states = shown.states
    explained = one.state is State.SUPPRESSED and states >= ALARMED
    return (explained or one.state in states) and _matches(one, shown, topology)


def _matches(one: Instance, shown: Shown, topology: Topology) -> bool:
    """What was hidden while it was normal has no severity; it is among all of them."""
    return (max(one.severity, INFO) >= shown.least_tier
            and is_below(one.element, shown.below, beside(topology, shown.below))
            and (not shown.text or shown.text.casefold() in _text(one, topology)))


def _text(one: Instance, topology: Topology) -> str:
    """All that a person may look for."""
    parts = [words.place(topology, one.element), one.element,
             alarm_rules().words(one.condition), one.acknowledged_by,
             *(said.text for said in one.comments)]
    if one.hiding is not None:
        parts += (one.hiding.who, one.hiding.why)
    return " ".join(parts).casefold()


def page_of(listing: Listing, key: Key, per_page: int) -> int | None:
    """On which page, from 1, an alarm stands; None where it is folded or left out."""
    for index, line in enumerate(listing.lines):
        if line.key == key:
            return 1 + index // per_page
    return None
