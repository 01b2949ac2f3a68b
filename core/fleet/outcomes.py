"""What became of commands that a person gave, as one sentence, and kept when all are settled."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from core.errors import OrreryError
from core.fleet.ports import SETTLED, CommandLife, CommandState

log = logging.getLogger(__name__)

LOOK_S = 0.2
MARGIN_S = 5.0
"""So long after its time a command is waited for; then its last state is kept [s]."""
ORDER: tuple[CommandState, ...] = ("executed", "refused", "expired", "received", "sent")
MOST_REASONS = 3


def sentence(lives: Sequence[CommandLife], unsent: Mapping[str, str]) -> str:
    """"22 executed, 1 refused, 1 not sent; pack_7: not all clear". unsent: device -> why."""
    counts = Counter(life.state for life in lives)
    parts = [f"{counts[state]} {state}" for state in ORDER if counts[state]]
    if unsent:
        parts.append(f"{len(unsent)} not sent")
    reasons = {life.device: life.reason or life.state for life in lives
               if life.state != "executed"}
    reasons.update(unsent)
    told = [f"{device}: {why}" for device, why in list(reasons.items())[:MOST_REASONS]]
    more = len(reasons) - len(told)
    if more > 0:
        told.append(f"and {more} more")
    return "; ".join([", ".join(parts) or "nothing was sent", *told])


def await_settled(ids: Sequence[str], commands: Callable[[], Sequence[CommandLife]],
                  wait_s: float, pause: threading.Event) -> list[CommandLife]:
    """The commands of `ids` once all are settled, at the latest after `wait_s` [s]. What the
    list no longer holds is left out."""
    left = max(1, int(wait_s / LOOK_S))
    while True:
        known = {life.command.id: life for life in commands()}
        found = [known[one] for one in ids if one in known]
        left -= 1
        if left <= 0 or all(life.state in SETTLED for life in found) or pause.wait(LOOK_S):
            return found


def follow(ids: Sequence[str], commands: Callable[[], Sequence[CommandLife]], ttl_s: float,
           unsent: Mapping[str, str], keep: Callable[[str], None]) -> threading.Thread:
    """Keep the outcome once it is known, on a thread of its own: the person may have gone."""
    def work() -> None:
        try:
            found = await_settled(ids, commands, ttl_s + MARGIN_S, threading.Event())
            keep(sentence(found, unsent))
        except OrreryError as error:
            log.error("the outcome of %d commands was not kept: %s", len(ids), error)

    thread = threading.Thread(target=work, name="outcomes", daemon=True)
    thread.start()
    return thread
