"""What a person may do about an alarm: checked words, refusals that say what to do instead, and
the entry of the audit (laws 10 and 11)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec.structs import replace

from core.actors import is_reserved
from core.alarms.records import (
    TRIP,
    AuditEntry,
    Batch,
    Comment,
    Hiding,
    Instance,
    Key,
    Seen,
    Transition,
)
from core.alarms.rules import Rules
from core.alarms.states import NEVER_OF_A_TRIP, WORDS, Event, State
from core.errors import RequestError, UnknownIdError

LONGEST_NAME = 80
LONGEST_TEXT = 1000
MOST_COMMENTS = 50

INSTEAD = {
    Event.ACKNOWLEDGE: "nothing asks for an acknowledgement; look at the newest list",
    Event.RESET: "only a latched alarm that is acknowledged and whose condition is gone can be "
                 "reset: remove the cause and acknowledge it first",
    Event.SHELVE: "a latched alarm, and one that is hidden already, cannot be shelved",
    Event.SUPPRESS: "end its shelving or return it to service first",
    Event.OUT_OF_SERVICE: "it is out of service already",
    Event.UNSHELVE: "only a shelved alarm can be unshelved",
    Event.UNSUPPRESS: "only a suppressed alarm can be shown again",
    Event.RETURN: "only an alarm that is out of service can be returned to it",
}


@dataclass(frozen=True, slots=True)
class Done:
    """An action before it is kept. line: None where the state does not change."""

    after: Instance
    line: Transition | None
    entry: AuditEntry


def checked_name(who: str) -> str:
    """Of a person; raises RequestError."""
    name = _checked("who", who, LONGEST_NAME)
    if is_reserved(name):
        raise RequestError(f"who = {name!r} is not allowed; it stands for no person")
    return name


def checked_condition(condition: str, rules: Rules) -> None:
    if condition not in rules.conditions:
        raise UnknownIdError(f"no condition is called {condition[:80]!r}; there are "
                             + ", ".join(rules.conditions))


def hiding(now: datetime, who: str, why: str) -> Hiding:
    """Of a person, without an end; raises RequestError."""
    return Hiding(now, checked_name(who), _checked("reason", why, LONGEST_TEXT))


def shelf(now: datetime, who: str, why: str, until: datetime, once: bool,
          longest_s: float) -> Hiding:
    """At most longest_s from now [s]; raises RequestError."""
    latest = now + timedelta(seconds=longest_s)
    if until.tzinfo is None or not now < until <= latest:
        raise RequestError(f"expiry = {until.isoformat()} is not allowed; allowed: a time with "
                           f"its zone after {now.isoformat()}, at the latest "
                           f"{latest.isoformat()}")
    return replace(hiding(now, who, why), until=until, once=once)


def done(before: Instance, after: Instance, line: Transition) -> Done:
    """An action as it goes into the store; what was suppressed by design stays shown."""
    if line.event is Event.UNSUPPRESS and before.hiding is not None and before.hiding.cause:
        after = replace(after, shown=after.is_open)
    entry = AuditEntry(line.at, line.by, line.event.value, before.element, before.condition,
                       "" if after.hiding is None else after.hiding.why,
                       state_words(before), state_words(after))
    return Done(after, line, entry)


def commented(before: Instance, now: datetime, who: str, text: str) -> Done:
    """Raises RequestError."""
    said = Comment(now, checked_name(who), _checked("comment", text, LONGEST_TEXT))
    if not before.is_open:
        raise RequestError(f"{before.element[:80]}: nothing is open to comment on")
    if len(before.comments) >= MOST_COMMENTS:
        raise RequestError(f"{before.element[:80]}: {MOST_COMMENTS} comments are the most")
    after = replace(before, comments=(*before.comments, said))
    words = state_words(before)
    return Done(after, None, AuditEntry(now, who, "comment", before.element, before.condition,
                                        said.text, words, words))


def state_words(one: Instance) -> str:
    """"shelved until 2026-06-01T13:00:00+00:00"."""
    until = one.hiding.until if one.hiding else None
    return WORDS[one.state] + (f" until {until.isoformat()}" if until else "")


def refusal(one: Instance, event: Event, words: str) -> RequestError:
    """Why not, and what to do instead."""
    about = f"{one.element[:80]}, {words}: cannot {event.value} what is {WORDS[one.state]}; "
    if event in NEVER_OF_A_TRIP and one.severity >= TRIP:
        return RequestError(about + "a trip is neither shelved nor suppressed: acknowledge it, "
                                    "remove its cause, then reset it")
    if event is Event.RESET and one.state is State.LATCHED_UNACKNOWLEDGED:
        return RequestError(about + "acknowledge it first")
    return RequestError(about + INSTEAD[event])


def is_as_seen(one: Instance, seen: Seen | None) -> bool:
    """Neither raised anew nor worse; where nobody says what was seen, it is."""
    return seen is None or (one.occurrence == seen.occurrence and one.severity <= seen.severity)


def changed(one: Instance, words: str) -> RequestError:
    """Somebody acknowledges what was not seen."""
    return RequestError(f"{one.element[:80]}, {words}: it came anew or got worse since you looked; "
                        f"now it is {WORDS[one.state]}. Look at it again")


def batch_of(all_done: Sequence[Done]) -> Batch:
    """Durable: what a person did also survives a power cut."""
    changed = tuple(one.after for one in all_done if one.after.is_open)
    closed = tuple(Key(*one.after.key) for one in all_done if not one.after.is_open)
    lines = tuple(one.line for one in all_done if one.line is not None)
    return Batch(changed, closed, lines, tuple(one.entry for one in all_done), durable=True)


def _checked(name: str, text: str, longest: int) -> str:
    """Text that a person reads: not empty, not long, no control characters."""
    if not text.strip() or len(text) > longest or not text.isprintable():
        raise RequestError(f"{name} = {text[:40]!r} is not allowed; allowed: 1 to {longest} "
                           "printable characters on one line")
    return text.strip()
