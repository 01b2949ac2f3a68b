"""What became of commands that a person gave, as one sentence, and kept: when all are settled or
their time is over, and once more for those that are answered later, also where another process
sent them that is gone."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from core.alarms.records import AuditEntry
from core.errors import OrreryError
from core.fleet.command_book import REMEMBERED
from core.fleet.effects import in_words
from core.fleet.ports import SETTLED, CommandLife
from core.fleet.tree import element_of, site_element

log = logging.getLogger(__name__)

LOOK_S = 0.2
MARGIN_S = 5.0
"""So long after its time a command is waited for; then its last state is kept [s]."""
LATE_LOOK_S = 10.0
LATE_S = REMEMBERED.total_seconds()
"""So long late answers are waited for: a device without a connection answers when it has one."""
MOST_LATE = 100
"""Orders whose late answers are waited for at once; the oldest is given up first."""
TOGETHER_S = 1.0
"""So long after one another, at most, the commands of one order are sent [s]."""
LATE, AFTER_RESTART = "late", "after a restart"
UNTOLD = "without an outcome"
PING = "ping"
"""The one command that no person gives, and nobody audits."""
ORDER = ("executed", "refused", "expired", UNTOLD, "received", "sent")
MOST_REASONS = 3
Commands = Callable[[], Sequence[CommandLife]]
Keep = Callable[[str], None]


def sentence(ids: Collection[str], lives: Sequence[CommandLife],
             unsent: Mapping[str, str]) -> str:
    """"22 executed, 1 refused, 1 not sent; pack_7: not all clear". ids: of what was sent, lives:
    what is known of them. unsent: device -> why."""
    counts = Counter(_word(life) for life in lives)
    parts = [f"{counts[word]} {word}" for word in ORDER if counts[word]]
    not_known = len(set(ids) - {life.command.id for life in lives})
    if not_known:
        parts.append(f"{not_known} not known")
    if unsent:
        parts.append(f"{len(unsent)} not sent")
    reasons = {life.device: life.reason or life.state for life in lives
               if life.state != "executed"}
    reasons.update(unsent)
    return "; ".join([", ".join(parts) or "nothing was sent", *_told(reasons)])


def late_sentence(lives: Sequence[CommandLife], when: str) -> str:
    """"answered late: 1 executed; pack_7: executed 36 s after it was sent"."""
    counts = Counter(_word(life) for life in lives)
    parts = ", ".join(f"{counts[word]} {word}" for word in ORDER if word in counts)
    return "; ".join([f"answered {when}: {parts}", *_told({life.device: _when(life)
                                                         for life in lives})])


def _word(life: CommandLife) -> str:
    return UNTOLD if life.untold else life.state


def _told(reasons: Mapping[str, str]) -> list[str]:
    told = [f"{device}: {why}" for device, why in list(reasons.items())[:MOST_REASONS]]
    more = len(reasons) - len(told)
    return [*told, f"and {more} more"] if more > 0 else told


def _when(life: CommandLife) -> str:
    reason = f" ({life.reason})" if life.reason else ""
    if life.changed_at is None:
        return f"{life.state}{reason}"
    spent_s = max(0.0, life.changed_at.timestamp() - life.command.issued_s)
    return f"{life.state} {spent_s:.0f} s after it was sent{reason}"


def await_settled(ids: Sequence[str], commands: Commands, wait_s: float,
                  pause: threading.Event) -> list[CommandLife]:
    """The commands of `ids` once all are settled, at the latest after `wait_s` [s]. What the
    list no longer holds is left out."""
    left = max(1, int(wait_s / LOOK_S))
    while True:
        found = _found(ids, commands)
        left -= 1
        if left <= 0 or all(life.state in SETTLED for life in found) or pause.wait(LOOK_S):
            return found


def _found(ids: Collection[str], commands: Commands) -> list[CommandLife]:
    known = {life.command.id: life for life in commands()}
    return [known[one] for one in ids if one in known]


def _is_open(life: CommandLife) -> bool:
    return life.untold or not life.settled


@dataclass(slots=True)
class _Order:
    """Commands of one order that nothing is told of yet. looks: that are left. when: they are
    answered now, in a word."""

    open: list[str]
    commands: Commands
    keep: Keep
    looks: int
    when: str

    def look(self) -> None:
        """Keep what was answered since; where that raises, the next look does it. What the list
        no longer holds is waited for no more."""
        self.looks -= 1
        found = _found(self.open, self.commands)
        answered = [life for life in found if not _is_open(life)]
        if answered:
            self.keep(late_sentence(answered, self.when))
        self.open = [life.command.id for life in found if _is_open(life)]


class LateAnswers:
    """Of all orders of a process, on one thread that ends when nothing is waited for. look_s:
    from look to look [s]."""

    def __init__(self, look_s: float = LATE_LOOK_S, most: int = MOST_LATE) -> None:
        self._look_s, self._most = look_s, most
        self._lock = threading.Lock()
        self._orders: list[_Order] = []
        self._thread: threading.Thread | None = None

    def follow(self, ids: Sequence[str], commands: Commands, keep: Keep,
               when: str = LATE) -> None:
        """Of those that nothing was told of when their time was over."""
        order = _Order(list(ids), commands, keep, int(LATE_S / self._look_s), when)
        with self._lock:
            self._orders = [*self._orders, order][-self._most:]
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="late answers", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(self._look_s)
            with self._lock:
                orders = list(self._orders)
            for order in orders:
                _without_raising(order.look)
            with self._lock:
                self._orders = [one for one in self._orders if one.open and one.looks > 0]
                if not self._orders:
                    self._thread = None
                    return


LATE_ANSWERS = LateAnswers()


def follow(ids: Sequence[str], commands: Commands, ttl_s: float, unsent: Mapping[str, str],
           keep: Keep, late: LateAnswers = LATE_ANSWERS) -> threading.Thread:
    """Keep the outcome once it is known, on a thread of its own: the person may have gone. What
    is answered after that is kept as a line of its own."""
    def work() -> None:
        found = await_settled(ids, commands, ttl_s + MARGIN_S, threading.Event())
        keep(sentence(ids, found, unsent))
        still_open = [life.command.id for life in found if _is_open(life)]
        if still_open:
            late.follow(still_open, commands, keep)

    thread = threading.Thread(target=_without_raising, args=(work,), name="outcomes", daemon=True)
    thread.start()
    return thread


def resume(commands: Commands, audit: Callable[[AuditEntry], None], now: Callable[[], datetime],
           late: LateAnswers = LATE_ANSWERS) -> None:
    """Audit what becomes of commands of the last day that another process sent and had not told
    of. For the one process that has the audit, at its start: whoever had it before follows them no
    more, and nobody else can write there."""
    since_s = now().timestamp() - LATE_S
    still_open = [life for life in commands() if _is_open(life) and life.command.action != PING
                  and life.command.issued_s >= since_s]
    for order in _orders(still_open):
        late.follow([life.command.id for life in order], commands,
                    partial(_audit_order, order, audit, now), AFTER_RESTART)


def _orders(lives: Iterable[CommandLife]) -> list[list[CommandLife]]:
    """The oldest first. No command names its order: what one person had several packs of a site do
    at once is one."""
    found: list[list[CommandLife]] = []
    for life in sorted(lives, key=lambda one: one.command.issued_s):
        if found and _are_one(found[-1][-1], life):
            found[-1].append(life)
        else:
            found.append([life])
    return found


def _are_one(before: CommandLife, after: CommandLife) -> bool:
    gap_s = after.command.issued_s - before.command.issued_s
    asked = [(life.site, life.command.issuer, life.command.action, life.command.power_kw,
              life.command.hold_s) for life in (before, after)]
    return asked[0] == asked[1] and gap_s <= TOGETHER_S


def _audit_order(order: Sequence[CommandLife], audit: Callable[[AuditEntry], None],
                 now: Callable[[], datetime], outcome: str) -> None:
    first = order[0]
    devices = {life.device for life in order}
    element = site_element(first.site) if len(devices) > 1 else \
        element_of(first.site, first.device)
    command = first.command
    audit(AuditEntry(now(), command.issuer, f"{command.action}: outcome", element, "", "",
                     in_words(command.action, command.power_kw, command.hold_s), outcome))


def _without_raising(work: Callable[[], None]) -> None:
    try:
        work()
    except OrreryError as error:
        log.error("what became of commands was not kept: %s", error)
