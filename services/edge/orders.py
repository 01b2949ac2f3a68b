"""Commands at the edge: each is acted on once, within its time, and answered by the device."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from core.clock import has_passed
from core.errors import RetryLaterError
from core.fleet.effects import MUST_GO
from core.fleet.messages import Command, Reply
from core.fleet.rejections import WORDS, Rejection
from core.fleet.telemetry import CLOCK_TOLERANCE_S
from services.edge.outbox import CommandRow, Outbox, Standing
from services.edge.pack import Pack
from services.edge.policies import Change, Policies
from services.edge.ports import Outcome

AHEAD_S = 60.0
"""So far a command's clock may be ahead of this one's [s]."""
KEEP_S = 86_400.0
"""Ids are remembered for so long after their time [s]; no command lives longer than an hour."""
WRITE_AGAIN_S = 1.0
"""After a disk took nothing [s]."""
OPENING = "its contactors are to open"
"""Why a stop is received and not yet executed."""
OVERTAKEN = "a stop came after it; reset again where that is to end"
UNWRITTEN = "not written down, a restart forgets it"
MOST_UNWRITTEN = 1000
"""Answers that wait for a disk; beyond them the oldest are given up."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """until_s: as long as its command is remembered [s since 1970]."""

    until_s: float
    state: str
    reason: str


class Owed(NamedTuple):
    """An answer that is not written yet. told: what follows once it is, or once that failed: the
    reply, or what is to be written before it. awaited: whether somebody waits for that."""

    row: CommandRow
    told: Callable[[RetryLaterError | None], Reply | Owed]
    awaited: bool = True


def written(outbox: Outbox, owed: Owed, now_s: float) -> RetryLaterError | None:
    """Why not."""
    try:
        outbox.keep_commands([owed.row], now_s)
    except RetryLaterError as error:
        return error
    return None


class Orders:
    """Of one pack, for one thread. The id is on the disk before anything is done, except for a
    stop, which waits for no disk: it is received, and executed once the contactors are open. Its
    answers are told once they are on the disk, or with the word that they are not.

    Nothing is done twice or late: an id that came before is refused for a day beyond its time,
    which is longer than any clock here may be off; the broker drops what waited longer than its
    sender gave it; and the clock refuses what nobody remembers any more.

    policies: None for a pack that takes none. count: is told why a command was not taken. tell:
    takes the replies beside the one that `handle` returns, in their order."""

    def __init__(self, pack: Pack, outbox: Outbox, policies: Policies | None = None,
                 count: Callable[[Rejection], None] | None = None,
                 tell: Callable[[Reply], None] | None = None) -> None:
        self._count, self._tell = count, tell
        self._pack, self._outbox, self.policies = pack, outbox, policies
        self._unwritten: dict[str, _Answer] = {}
        self._being_written: dict[str, _Answer] = {}
        self._tried_s, self._trying = -math.inf, False
        self._stop_came_s = -math.inf
        self._bound_here, self._clock_set_s = False, 0.0
        self._stopping = outbox.commands(pack.device, "received", OPENING)
        pack.standing = outbox.standing(pack.device)
        if pack.standing.stopped:
            pack.safety.order(pack.standing.stopped, "an order before the restart")

    def handle(self, command: Command, now_s: float) -> Reply:
        """The device's word, written at once; as `begin`, of what came by no broker."""
        found = self.begin(command, now_s)
        return found if isinstance(found, Reply) else self._told(found, now_s)

    def begin(self, command: Command, now_s: float, left_s: float | None = None,
              came_s: float = 0.0) -> Reply | Owed:
        """The device's word, or what is to be written before it, and before the pack's next command
        other than a stop. One that came before gets the first answer again. left_s: of
        the message's own expiry, which the broker counts down from when it was sent, None where
        it does not say [s]. came_s: when it came, by a clock of the caller's, who may put stops
        first: a reset that came before a stop does not end that."""
        until_s = max(now_s, command.issued_s + command.ttl_s) + KEEP_S
        before = self._before(command)
        if before is not None:
            state, reason = before
            words = f"replayed: {self._why(Rejection.REPLAYED)}"
            return _reply(command.id, state, f"{words}; {reason}" if reason else words)
        untimely = _untimely(command, now_s, left_s)
        if untimely is not None:
            state = "expired" if untimely is Rejection.EXPIRED else "refused"
            return self._owed(command.id, until_s, state, self._why(untimely))
        if command.action in MUST_GO:
            self._stop_came_s = max(self._stop_came_s, came_s)
            return self._stop(command, until_s)
        return self._do(command, until_s, now_s, came_s)

    def follow(self, now_s: float) -> None:
        """`due`, written and told at once."""
        for owed in self.due(now_s):
            reply = self._told(owed, now_s)
            if owed.awaited:
                self._say(reply)

    def due(self, now_s: float) -> list[Owed]:
        """After each sample: what came of stops, and one answer that the disk did not take."""
        found = []
        if self._stopping and (outcome := self._pack.safety.outcome) is not None:
            stopping, self._stopping = self._stopping, {}
            found = [self._owed(command_id, until_s, *_stopped(outcome))
                     for command_id, until_s in stopping.items()]
        elif self._unwritten and not self._trying \
                and has_passed(WRITE_AGAIN_S, self._tried_s, now_s):
            self._trying = True
            command_id, answer = next(iter(self._unwritten.items()))
            found = [Owed(self._row(command_id, answer),
                          partial(self._tried, command_id, answer, now_s), awaited=False)]
        return found

    def clock_was_set(self, by_s: float) -> Standing | None:
        """A person's bound that was set in this run ends when its time has passed, whatever became
        of the wall clock meanwhile [s]; what stands then, None where nothing changes."""
        standing, self._clock_set_s = self._pack.standing, self._clock_set_s + by_s
        if not self._bound_here or standing.power_kw is None:
            return None
        self._pack.standing = replace(standing, until_s=standing.until_s + by_s)
        return self._pack.standing

    def _before(self, command: Command) -> tuple[str, str] | None:
        """(state, reason) of one that came before, whether or not that is on the disk already."""
        known = self._unwritten.get(command.id) or self._being_written.get(command.id)
        if known is not None:
            return known.state, known.reason
        return self._outbox.command(command.id, self._pack.device)

    def _why(self, reason: Rejection) -> str:
        if self._count is not None:
            self._count(reason)
        return WORDS[reason]

    def _say(self, reply: Reply) -> None:
        if self._tell is not None:
            self._tell(reply)

    # -- acting

    def _stop(self, command: Command, until_s: float) -> Owed:
        """People come before paper, and stopping twice does no harm."""
        refusal = self._pack.safety.order(command.action, command.issuer)
        if refusal:
            return self._owed(command.id, until_s, "refused", refusal)
        self._pack.standing = replace(self._pack.standing, stopped=command.action)
        outcome = self._pack.safety.outcome
        if outcome is not None:
            return self._owed(command.id, until_s, *_stopped(outcome))
        self._stopping[command.id] = until_s
        return self._owed(command.id, until_s, "received", OPENING)

    def _do(self, command: Command, until_s: float, now_s: float, came_s: float) -> Owed:
        if command.action == "ping":
            return self._owed(command.id, until_s, "executed")
        if command.action in ("override", "release"):
            return self._bound(command, until_s, now_s)
        received = _Answer(until_s, "received", "")
        return Owed(self._row(command.id, received),
                    partial(self._go_on, command, until_s, came_s))

    def _go_on(self, command: Command, until_s: float, came_s: float,
               failure: RetryLaterError | None) -> Reply | Owed:
        """Its id is on the disk, or nothing is done."""
        if failure is not None:
            return self._nothing_done(command.id, until_s, failure)
        if command.action != "reset":
            self._say(_reply(command.id, "received"))
            return self._change_policy(command, until_s)
        overtaken = came_s < self._stop_came_s
        refusal = OVERTAKEN if overtaken else self._reset(command.issuer)
        return self._owed(command.id, until_s, "refused" if refusal else "executed", refusal)

    def _bound(self, command: Command, until_s: float, now_s: float) -> Owed:
        stopped, standing = self._pack.standing.stopped, Standing(self._pack.standing.stopped)
        if command.action == "override":
            bound, hold_s = command.power_kw, command.hold_s
            if bound is None or hold_s is None or not math.isfinite(bound) or bound < 0:
                return self._owed(command.id, until_s, "refused",
                                  "an override needs power_kw of 0 or more, and hold_s")
            standing = Standing(stopped, bound, now_s + hold_s)
        row = self._row(command.id, _Answer(until_s, "executed", ""), standing)
        return Owed(row, partial(self._bound_by, row, standing, self._clock_set_s))

    def _bound_by(self, row: CommandRow, standing: Standing, clock_set_s: float,
                  failure: RetryLaterError | None) -> Reply | Owed:
        """A stop that came while it was written stands beside it, and so does by how much the clock
        was set meanwhile; on the disk too."""
        if failure is not None:
            return self._nothing_done(row.id, row.until_s, failure)
        self._bound_here = True
        self._pack.standing = replace(
            standing, stopped=self._pack.standing.stopped,
            until_s=standing.until_s + self._clock_set_s - clock_set_s)
        if self._pack.standing != standing:
            return self._owed(row.id, row.until_s, "executed")
        return _reply(row.id, "executed")

    def _reset(self, issuer: str) -> str:
        """"" when it is done, else why not."""
        refusal = self._pack.safety.order("reset", issuer)
        if not refusal:
            self._pack.standing = replace(self._pack.standing, stopped="")
        return refusal

    def _change_policy(self, command: Command, until_s: float) -> Owed:
        policies = self.policies
        if policies is None:
            return self._owed(command.id, until_s, "refused",
                              "this device takes no learnt policy")
        change = policies.deploy(command.policy) if command.action == "deploy" \
            else policies.roll_back()
        if isinstance(change, str):
            return self._owed(command.id, until_s, "refused" if change else "executed", change)
        row = self._row(command.id, _Answer(until_s, "executed", ""))
        return Owed(row._replace(deployed=change.deployed),
                    partial(self._steered, row, policies, change))

    def _steered(self, row: CommandRow, policies: Policies, change: Change,
                 failure: RetryLaterError | None) -> Reply:
        if failure is not None:
            return self._nothing_done(row.id, row.until_s, failure)
        policies.steer(change)
        return _reply(row.id, "executed")

    # -- answering

    def _told(self, owed: Owed, now_s: float) -> Reply:
        found: Reply | Owed = owed
        while isinstance(found, Owed):
            found = found.told(written(self._outbox, found, now_s))
        return found

    def _owed(self, command_id: str, until_s: float, state: str, reason: str = "") -> Owed:
        """What is so already; where the disk does not take it, it is told, and written later."""
        answer = self._being_written[command_id] = _Answer(until_s, state, reason)
        return Owed(self._row(command_id, answer), partial(self._answer, command_id, answer))

    def _answer(self, command_id: str, answer: _Answer,
                failure: RetryLaterError | None) -> Reply:
        reason = answer.reason
        if self._being_written.get(command_id) is answer:
            del self._being_written[command_id]
        if failure is None:
            self._unwritten.pop(command_id, None)
        else:
            self._why(Rejection.DISK)
            self._remember(command_id, answer)
            reason = "; ".join(filter(None, (reason, f"{UNWRITTEN}: {failure}")))
        return _reply(command_id, answer.state, reason)

    def _nothing_done(self, command_id: str, until_s: float, error: RetryLaterError) -> Reply:
        self._why(Rejection.DISK)
        reason = f"nothing was done: {error}"
        self._remember(command_id, _Answer(until_s, "refused", reason))
        return _reply(command_id, "refused", reason)

    def _remember(self, command_id: str, answer: _Answer) -> None:
        self._unwritten[command_id] = answer
        while len(self._unwritten) > MOST_UNWRITTEN:
            del self._unwritten[next(iter(self._unwritten))]

    def _tried(self, command_id: str, answer: _Answer, now_s: float,
               failure: RetryLaterError | None) -> Reply:
        self._trying = False
        if failure is not None:
            self._tried_s = now_s
        else:
            self._tried_s = -math.inf
            self._unwritten.pop(command_id, None)
        return _reply(command_id, answer.state, answer.reason)

    def _row(self, command_id: str, answer: _Answer,
             standing: Standing | None = None) -> CommandRow:
        """standing: what stands once it is written; as now when None."""
        return CommandRow(command_id, self._pack.device, answer.until_s, answer.state,
                          answer.reason, standing or self._pack.standing)


def _untimely(command: Command, now_s: float, left_s: float | None) -> Rejection | None:
    """Why its time is not now. A stop goes by the broker's count where that tells how long it
    waited, within what clocks may be off: it must not fail for a clock. Whatever else a person
    may want goes by the clock alone, since what the broker says is as good as who sent it."""
    if left_s is not None and left_s <= 0.0:
        return Rejection.EXPIRED
    old_s = now_s - command.issued_s
    counted = left_s is not None and left_s <= max(1.0, command.ttl_s)
    waited_s = max(0.0, command.ttl_s - left_s) if counted and left_s is not None else 0.0
    near = counted and abs(old_s - waited_s) <= CLOCK_TOLERANCE_S
    if near and command.action in MUST_GO:
        return None
    if old_s > command.ttl_s:
        return Rejection.CLOCK_OFF if near else Rejection.EXPIRED
    return Rejection.CLOCK_OFF if -old_s > AHEAD_S else None


def _stopped(outcome: Outcome) -> tuple[str, str]:
    """State and reason of a stop."""
    return "executed" if outcome.isolated else "refused", outcome.words


def _reply(command_id: str, state: str, reason: str = "") -> Reply:
    return Reply(id=command_id, state=state, reason=reason[:200])  # type: ignore[arg-type]
