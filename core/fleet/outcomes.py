"""What became of commands that a person gave, as one sentence, and kept: when all are settled or
their time is over, and once more for those that are answered later."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from core.errors import OrreryError
from core.fleet.ports import SETTLED, CommandLife

log = logging.getLogger(__name__)

LOOK_S = 0.2
MARGIN_S = 5.0
"""So long after its time a command is waited for; then its last state is kept [s]."""
LATE_LOOK_S = 10.0
LATE_S = 24 * 3600.0
"""So long late answers are waited for: a device without a connection answers when it has one."""
MOST_LATE = 100
"""Orders whose late answers are waited for at once; the oldest is given up first."""
UNTOLD = "without an outcome"
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


def late_sentence(lives: Sequence[CommandLife]) -> str:
    """"answered late: 1 executed; pack_7: executed 36 s after it was sent"."""
    counts = Counter(_word(life) for life in lives)
    parts = ", ".join(f"{counts[word]} {word}" for word in ORDER if word in counts)
    return "; ".join([f"answered late: {parts}", *_told({life.device: _when(life)
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
    """Commands of one order that nothing is told of yet. looks: that are left."""

    open: list[str]
    commands: Commands
    keep: Keep
    looks: int

    def look(self) -> None:
        """Keep what was answered since; where that raises, the next look does it. What the list
        no longer holds is waited for no more."""
        self.looks -= 1
        found = _found(self.open, self.commands)
        answered = [life for life in found if not _is_open(life)]
        if answered:
            self.keep(late_sentence(answered))
        self.open = [life.command.id for life in found if _is_open(life)]


class LateAnswers:
    """Of all orders of a process, on one thread that ends when nothing is waited for. look_s:
    from look to look [s]."""

    def __init__(self, look_s: float = LATE_LOOK_S, most: int = MOST_LATE) -> None:
        self._look_s, self._most = look_s, most
        self._lock = threading.Lock()
        self._orders: list[_Order] = []
        self._thread: threading.Thread | None = None

    def follow(self, ids: Sequence[str], commands: Commands, keep: Keep) -> None:
        """Of those that nothing was told of when their time was over."""
        with self._lock:
            looks = int(LATE_S / self._look_s)
            self._orders = [*self._orders, _Order(list(ids), commands, keep, looks)][-self._most:]
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


LATE = LateAnswers()


def follow(ids: Sequence[str], commands: Commands, ttl_s: float, unsent: Mapping[str, str],
           keep: Keep, late: LateAnswers = LATE) -> threading.Thread:
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


def _without_raising(work: Callable[[], None]) -> None:
    try:
        work()
    except OrreryError as error:
        log.error("what became of commands was not kept: %s", error)
