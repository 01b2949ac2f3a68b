"""All alarms of a site: what is open, what people did about it, and how fast they come.

The engine ticks it, pages act on it; both may happen on threads of their own. What an action
returned from is kept (`core.alarms.ports.AlarmStore`); an action that could not be kept did not
happen. A tick goes on where the store fails, says so, and hands over later what is due (law 9).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from core.alarms import actions
from core.alarms.actions import Done
from core.alarms.advance import Held, Step, advanced
from core.alarms.groups import Causes, Group, grouped
from core.alarms.moves import moved
from core.alarms.rates import RateBook, Rates
from core.alarms.records import (
    Batch,
    Finding,
    Hiding,
    Instance,
    Key,
    Remembered,
    Seen,
    joined,
)
from core.alarms.resume import resumed
from core.alarms.rules import Rules, alarm_rules
from core.alarms.states import ASKING, Event
from core.alarms.times import Start, Watch, in_order, not_ahead
from core.clock import Clock
from core.errors import OrreryError
from core.topology import Topology

Keep = Callable[[Batch], None]
MOST_UNKEPT = 100_000
"""Lines of history that wait for a store that fails; beyond them the oldest are given up."""


def nothing_held(key: Key) -> bool:
    """Everything is known at every tick."""
    return False


def everything_held(key: Key) -> bool:
    """Nothing is known but what was found."""
    return True


def keep_nowhere(batch: Batch) -> None:
    """Of a journal without a store."""


class AlarmJournal:
    """error: why nothing is kept now, "" when all is well. lost: lines of history given up."""

    def __init__(self, topology: Topology, clock: Clock, *, keep: Keep = keep_nowhere,
                 remembered: Remembered | None = None, rules: Rules | None = None) -> None:
        known = remembered or Remembered()
        self._topology, self._watch, self._keep = topology, Watch(clock), keep
        self._rules = rules or alarm_rules()
        self._causes = Causes(topology, self._rules)
        now, _ = self._watch.look()
        self._start = Start(known, now)
        self._open = {one.key: one for one in known.instances}
        self._last = max([known.last_occurrence, *(one.occurrence for one in known.instances)])
        self._rates = RateBook(in_order(known.recent, now))
        self._grouped: tuple[bool, list[Group]] | None = None
        self._unkept = Batch()
        self._lock = threading.RLock()
        self._move(lambda one: not_ahead(one, now))
        self.error = ""
        self.lost = 0

    # -- the engine's part

    def tick(self, findings: Iterable[Finding], held: Held = nothing_held) -> None:
        """One look at all conditions that are there now.

        held: of a known alarm without a finding, whether its element says nothing now; such an
        alarm stays as it is (law 4), and a delay of it begins anew.
        """
        with self._lock:
            now = self._now()
            step = advanced(self._open, findings, now, self._rules, self._causes, self._last,
                            held)
            self._commit(step)
            self._keep_or_queue(step.batch())

    def resume(self, known: Remembered, keep: Keep) -> None:
        """Go on with a store that could not be opened before, and with what it kept."""
        with self._lock:
            now = self._now()
            found = resumed(self._open.values(), self._unkept.transitions, known)
            self._keep, self._unkept, self.error = keep, found.batch, ""
            self._open = {**found.kept, **found.fresh}
            self._last = max([known.last_occurrence,
                              *(one.occurrence for one in self._open.values()),
                              *(line.occurrence for line in found.batch.transitions)])
            self._rates = RateBook([*in_order(known.recent, now), *found.batch.transitions])
            self._move(lambda one: not_ahead(one, now))
            step = advanced({key: self._open[key] for key in found.kept}, found.again, now,
                            self._rules, self._causes, self._last, everything_held)
            self._commit(step)
            self._keep_or_queue(step.batch())

    def _now(self) -> datetime:
        """To be asked before anything that is open: where the clock was set, that goes with it."""
        with self._lock:
            now, set_by = self._watch.look()
            if set_by:
                self._move(lambda one: self._start.moved_by(one, set_by))
                self._rates.set_by(set_by)
            return now

    def _move(self, move: Callable[[Instance], Instance]) -> None:
        """All that is open; the store hears of it with the next batch."""
        moved = {key: move(one) for key, one in self._open.items()}
        changed = tuple(one for key, one in moved.items() if one is not self._open[key])
        self._unkept = joined(self._unkept, Batch(changed=changed))
        self._open, self._grouped = moved, None

    def _commit(self, step: Step) -> None:
        if step.moving:
            self._grouped = None
        for key, one in step.moving.items():
            if one is None:
                self._open.pop(key, None)
            else:
                self._open[key] = one
        self._last = step.last_occurrence
        self._rates.add(step.transitions)

    def _keep_or_queue(self, batch: Batch) -> None:
        waiting = joined(self._unkept, batch)
        if not waiting:
            return
        try:
            self._keep(waiting)
        except OrreryError as error:
            self.error = str(error)
            self._unkept = self._bounded(waiting)
        else:
            self._unkept, self.error = Batch(), ""

    def _bounded(self, waiting: Batch) -> Batch:
        extra = max(0, len(waiting.transitions) - MOST_UNKEPT)
        self.lost += extra
        return Batch(waiting.changed, waiting.closed, waiting.transitions[extra:], waiting.audit)

    # -- what is known

    def instances(self) -> tuple[Instance, ...]:
        """Everything that is not normal, and what is about to come."""
        with self._lock:
            return tuple(self._open.values())

    def get(self, key: Key) -> Instance | None:
        """None: normal."""
        return self._open.get(key)

    def rates(self) -> Rates:
        with self._lock:
            now = self._now()
            return self._rates.rates(self._open.values(), now)

    def groups(self) -> list[Group]:
        """The alarms of the list, consequences folded under their causes; all of them grouped
        during a flood."""
        with self._lock:
            flood = self._rates.flood(self._now())
            if self._grouped is None or self._grouped[0] is not flood:
                self._grouped = flood, grouped(self._open.values(), self._topology, flood)
            return list(self._grouped[1])

    # -- a person's part; each raises RequestError in words, UnknownIdError, RetryLaterError

    def acknowledge(self, key: Key, who: str, seen: Seen | None = None) -> Instance:
        """Seen. Of one whose condition is gone: finished, or waiting for its reset. Refused where
        it is no more as the person saw it."""
        with self._lock:
            one = self._known(key)
            if not actions.is_as_seen(one, seen):
                raise actions.changed(one, self._rules.words(key.condition))
            return self._act(key, who, Event.ACKNOWLEDGE)

    def acknowledge_all(self, keys: Mapping[Key, Seen | None], who: str) -> list[Key]:
        """Together or not at all; those that ask for nothing, and those that are no more as the
        person saw them, are left out. Returns the rest."""
        with self._lock:
            asking = [key for key, seen in keys.items()
                      if (one := self._open.get(key)) and one.state in ASKING
                      and actions.is_as_seen(one, seen)]
            done = [self._prepared(key, who, Event.ACKNOWLEDGE, None) for key in asking]
            self._finish(done)
            return asking

    def reset(self, key: Key, who: str) -> Instance:
        """A latched alarm, acknowledged, whose condition is gone, is normal again."""
        return self._act(key, who, Event.RESET)

    def shelve(self, key: Key, who: str, why: str, until: datetime, *,
               once: bool = False) -> Instance:
        """Out of sight until `until`, or until it goes away (once). Also lengthens a shelf."""
        with self._lock:
            hiding = actions.shelf(self._now(), who, why, until, once,
                                   self._rules.longest_shelf_s)
            return self._act(key, who, Event.SHELVE, hiding)

    def unshelve(self, key: Key, who: str) -> Instance:
        return self._act(key, who, Event.UNSHELVE)

    def suppress(self, key: Key, who: str, why: str) -> Instance:
        """Known and wanted so, until somebody ends it."""
        hiding = actions.hiding(self._now(), who, why)
        return self._act(key, who, Event.SUPPRESS, hiding)

    def unsuppress(self, key: Key, who: str) -> Instance:
        """Also of a suppression by design: it is shown until it is normal again."""
        return self._act(key, who, Event.UNSUPPRESS)

    def out_of_service(self, key: Key, who: str, why: str) -> Instance:
        """For maintenance, until somebody returns it to service."""
        hiding = actions.hiding(self._now(), who, why)
        return self._act(key, who, Event.OUT_OF_SERVICE, hiding)

    def return_to_service(self, key: Key, who: str) -> Instance:
        return self._act(key, who, Event.RETURN)

    def comment(self, key: Key, who: str, text: str) -> Instance:
        """On an open alarm; it stands in the audit when that is gone."""
        with self._lock:
            now = self._now()
            done = actions.commented(self._known(key), now, who, text)
            return self._finish([done])[0]

    def _act(self, key: Key, who: str, event: Event, hiding: Hiding | None = None) -> Instance:
        with self._lock:
            return self._finish([self._prepared(key, who, event, hiding)])[0]

    def _prepared(self, key: Key, who: str, event: Event, hiding: Hiding | None) -> Done:
        name = actions.checked_name(who)
        now = self._now()
        before = self._known(key)
        rule = self._rules.of(key.condition)
        found = moved(before, event, now, latched=rule.latched, by=name, hiding=hiding)
        if found is None:
            raise actions.refusal(before, event, self._rules.words(key.condition))
        return actions.done(before, *found)

    def _known(self, key: Key) -> Instance:
        """The instance, a normal one where nothing is open; raises UnknownIdError (law 11)."""
        one = self._open.get(key)
        if one is None:
            self._topology.index(key.element)
            actions.checked_condition(key.condition, self._rules)
            one = Instance(*key)
        return one

    def _finish(self, done: Sequence[Done]) -> list[Instance]:
        """Keep first, then know it."""
        batch = actions.batch_of(done)
        if not batch:
            return []
        self._keep(joined(self._unkept, batch))
        self._unkept, self.error, self._grouped = Batch(), "", None
        for one in done:
            if one.after.is_open:
                self._open[one.after.key] = one.after
            else:
                self._open.pop(one.after.key, None)
        self._rates.add(batch.transitions)
        return [one.after for one in done]
