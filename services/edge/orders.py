"""Commands at the edge: each is acted on once, within its time, and answered by the device."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from core.clock import has_passed
from core.errors import RetryLaterError
from core.fleet.effects import MUST_GO
from core.fleet.messages import Command, Reply
from core.fleet.rejections import WORDS, Rejection
from services.edge.outbox import Outbox, Standing
from services.edge.pack import Pack
from services.edge.policies import Policies
from services.edge.ports import Outcome

AHEAD_S = 60.0
"""So far a command's clock may be ahead of this one's [s]."""
KEEP_S = 86_400.0
"""Ids are remembered for so long after their time [s]; no command lives longer than an hour."""
WRITE_AGAIN_S = 1.0
"""After a disk took nothing [s]."""
OPENING = "its contactors are to open"
"""Why a stop is received and not yet executed."""
UNWRITTEN = "not written down, a restart forgets it"
MOST_UNWRITTEN = 1000
"""Answers that wait for a disk; beyond them the oldest are given up."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """until_s: as long as its command is remembered [s since 1970]."""

    until_s: float
    state: str
    reason: str


class Orders:
    """Of one pack, for one thread. The id is on the disk before anything is done, except for a
    stop, which waits for no disk: it is received, and executed once the contactors are open.
    policies: None for a pack that takes none. count: is told why a command was not taken. tell:
    takes the replies beside the one that `handle` returns, in their order."""

    def __init__(self, pack: Pack, outbox: Outbox, policies: Policies | None = None,
                 count: Callable[[Rejection], None] | None = None,
                 tell: Callable[[Reply], None] | None = None) -> None:
        self._count, self._tell = count, tell
        self._pack, self._outbox, self.policies = pack, outbox, policies
        self._unwritten: dict[str, _Answer] = {}
        self._tried_s = -math.inf
        self._stopping = outbox.commands(pack.device, "received", OPENING)
        pack.standing = outbox.standing(pack.device)
        if pack.standing.stopped:
            pack.safety.order(pack.standing.stopped, "an order before the restart")

    def handle(self, command: Command, now_s: float) -> Reply:
        """The device's word. One that came before gets the first answer again."""
        until_s = max(now_s, command.issued_s + command.ttl_s) + KEEP_S
        try:
            before = self._before(command)
            if before is not None:
                state, reason = before
                words = f"replayed: {self._why(Rejection.REPLAYED)}"
                return _reply(command.id, state, f"{words}; {reason}" if reason else words)
            if now_s > command.issued_s + command.ttl_s:
                return self._answer(command.id, until_s, now_s, "expired",
                                    self._why(Rejection.EXPIRED))
            if command.issued_s > now_s + AHEAD_S:
                return self._answer(command.id, until_s, now_s, "refused",
                                    self._why(Rejection.CLOCK_OFF))
            act = self._stop if command.action in MUST_GO else self._do
            return act(command, until_s, now_s)
        except RetryLaterError as error:
            self._why(Rejection.DISK)
            reason = f"nothing was done: {error}"
            self._remember(command.id, _Answer(until_s, "refused", reason))
            return _reply(command.id, "refused", reason)

    def follow(self, now_s: float) -> None:
        """Called after each sample: tell what came of stops, and write what the disk did not
        take, one answer a sample."""
        if self._stopping and (outcome := self._pack.safety.outcome) is not None:
            stopping, self._stopping = self._stopping, {}
            for command_id, until_s in stopping.items():
                self._say(self._answer(command_id, until_s, now_s, *_stopped(outcome)))
        if self._unwritten and has_passed(WRITE_AGAIN_S, self._tried_s, now_s):
            self._write_oldest(now_s)

    def _before(self, command: Command) -> tuple[str, str] | None:
        """(state, reason) of one that came before. A stop does not wait for a disk to say."""
        known = self._unwritten.get(command.id)
        if known is not None:
            return known.state, known.reason
        try:
            return self._outbox.command(command.id, self._pack.device)
        except RetryLaterError:
            if command.action not in MUST_GO:
                raise
            return None

    def _why(self, reason: Rejection) -> str:
        if self._count is not None:
            self._count(reason)
        return WORDS[reason]

    def _say(self, reply: Reply) -> None:
        if self._tell is not None:
            self._tell(reply)

    # -- acting

    def _stop(self, command: Command, until_s: float, now_s: float) -> Reply:
        """People come before paper, and stopping twice does no harm."""
        refusal = self._pack.safety.order(command.action, command.issuer)
        if refusal:
            return self._answer(command.id, until_s, now_s, "refused", refusal)
        self._pack.standing = replace(self._pack.standing, stopped=command.action)
        outcome = self._pack.safety.outcome
        if outcome is not None:
            return self._answer(command.id, until_s, now_s, *_stopped(outcome))
        self._stopping[command.id] = until_s
        return self._answer(command.id, until_s, now_s, "received", OPENING)

    def _do(self, command: Command, until_s: float, now_s: float) -> Reply:
        """Raises RetryLaterError, and nothing is done."""
        if command.action == "ping":
            return self._answer(command.id, until_s, now_s, "executed")
        if command.action in ("override", "release"):
            return self._bound(command, until_s, now_s)
        self._keep(command.id, _Answer(until_s, "received", ""), now_s)
        if command.action == "reset":
            refusal = self._reset(command.issuer)
        else:
            self._say(_reply(command.id, "received"))
            refusal = self._change_policy(command)
        return self._answer(command.id, until_s, now_s, "refused" if refusal else "executed",
                            refusal)

    def _bound(self, command: Command, until_s: float, now_s: float) -> Reply:
        stopped, standing = self._pack.standing.stopped, Standing(self._pack.standing.stopped)
        if command.action == "override":
            bound, hold_s = command.power_kw, command.hold_s
            if bound is None or hold_s is None or not math.isfinite(bound) or bound < 0:
                return self._answer(command.id, until_s, now_s, "refused",
                                    "an override needs power_kw of 0 or more, and hold_s")
            standing = Standing(stopped, bound, now_s + hold_s)
        self._keep(command.id, _Answer(until_s, "executed", ""), now_s, standing)
        self._pack.standing = standing
        return _reply(command.id, "executed")

    def _reset(self, issuer: str) -> str:
        """"" when it is done, else why not."""
        refusal = self._pack.safety.order("reset", issuer)
        if not refusal:
            self._pack.standing = replace(self._pack.standing, stopped="")
        return refusal

    def _change_policy(self, command: Command) -> str:
        if self.policies is None:
            return "this device takes no learnt policy"
        return self.policies.deploy(command.policy) if command.action == "deploy" else \
            self.policies.roll_back()

    # -- answering

    def _answer(self, command_id: str, until_s: float, now_s: float, state: str,
                reason: str = "") -> Reply:
        """What is so already; where the disk does not take it, it is told, and written later."""
        answer = _Answer(until_s, state, reason)
        try:
            self._keep(command_id, answer, now_s, self._pack.standing)
        except RetryLaterError as error:
            self._why(Rejection.DISK)
            self._remember(command_id, answer)
            reason = "; ".join(filter(None, (reason, f"{UNWRITTEN}: {error}")))
        else:
            self._unwritten.pop(command_id, None)
        return _reply(command_id, state, reason)

    def _remember(self, command_id: str, answer: _Answer) -> None:
        self._unwritten[command_id] = answer
        while len(self._unwritten) > MOST_UNWRITTEN:
            del self._unwritten[next(iter(self._unwritten))]

    def _write_oldest(self, now_s: float) -> None:
        command_id, answer = next(iter(self._unwritten.items()))
        try:
            self._keep(command_id, answer, now_s, self._pack.standing)
        except RetryLaterError:
            self._tried_s = now_s
        else:
            self._tried_s = -math.inf
            del self._unwritten[command_id]

    def _keep(self, command_id: str, answer: _Answer, now_s: float,
              standing: Standing | None = None) -> None:
        self._outbox.keep_command(command_id, self._pack.device, answer.until_s, answer.state,
                                  answer.reason, now_s, standing)


def _stopped(outcome: Outcome) -> tuple[str, str]:
    """State and reason of a stop."""
    return "executed" if outcome.isolated else "refused", outcome.words


def _reply(command_id: str, state: str, reason: str = "") -> Reply:
    return Reply(id=command_id, state=state, reason=reason[:200])  # type: ignore[arg-type]
