"""Commands at the edge: each is acted on once, within its time, and answered by the device."""

from __future__ import annotations

import math
from collections.abc import Callable

from core.fleet.messages import Command, Reply
from core.fleet.rejections import WORDS, Rejection
from services.edge.outbox import Outbox, Standing
from services.edge.pack import Pack
from services.edge.policies import Policies

AHEAD_S = 60.0
"""So far a command's clock may be ahead of this one's [s]."""
KEEP_S = 86_400.0
"""Ids are remembered for so long after their time [s]; no command lives longer than an hour."""


class Orders:
    """Of one pack. The id is on the disk before anything is done. policies: None for a pack that
    takes none. count: is told why a command was not taken."""

    def __init__(self, pack: Pack, outbox: Outbox, policies: Policies | None = None,
                 count: Callable[[Rejection], None] | None = None) -> None:
        self._count = count
        self._pack, self._outbox, self.policies = pack, outbox, policies
        pack.standing = outbox.standing(pack.device)
        if pack.standing.stopped:
            pack.safety.order(pack.standing.stopped, "an order before the restart")

    def handle(self, command: Command, now_s: float) -> Reply:
        """The device's word. One that came before gets the first answer again."""
        before = self._outbox.command(command.id)
        if before is not None:
            state, reason = before
            words = f"{self._why(Rejection.REPLAYED)}; then: {state} {reason}".strip()
            return Reply(id=command.id, state="refused", reason=words[:200])
        if now_s > command.issued_s + command.ttl_s:
            return self._settled(command, now_s, "expired", self._why(Rejection.EXPIRED))
        if command.issued_s > now_s + AHEAD_S:
            return self._settled(command, now_s, "refused", self._why(Rejection.CLOCK_OFF))
        if command.action != "ping":
            self._keep(command, now_s, "received", "")
        refusal = self._do(command, now_s)
        return self._settled(command, now_s, "refused" if refusal else "executed", refusal)

    def _why(self, reason: Rejection) -> str:
        if self._count is not None:
            self._count(reason)
        return WORDS[reason]

    def _do(self, command: Command, now_s: float) -> str:
        """"" when it is done, else why not."""
        standing = self._pack.standing
        if command.action == "ping":
            return ""
        if command.action == "override":
            bound, hold_s = command.power_kw, command.hold_s
            if bound is None or hold_s is None or not math.isfinite(bound) or bound < 0:
                return "an override needs power_kw of 0 or more, and hold_s"
            self._stand(Standing(standing.stopped, bound, now_s + hold_s))
            return ""
        if command.action == "release":
            self._stand(Standing(standing.stopped))
            return ""
        if command.action in ("deploy", "roll_back"):
            return self._change_policy(command)
        refusal = self._pack.safety.order(command.action, command.issuer)
        if not refusal:
            stopped = "" if command.action == "reset" else command.action
            self._stand(Standing(stopped, standing.power_kw, standing.until_s))
        return refusal

    def _change_policy(self, command: Command) -> str:
        if self.policies is None:
            return "this device takes no learnt policy"
        return self.policies.deploy(command.policy) if command.action == "deploy" else \
            self.policies.roll_back()

    def _stand(self, standing: Standing) -> None:
        self._pack.standing = standing
        self._outbox.keep_standing(self._pack.device, standing)

    def _settled(self, command: Command, now_s: float, state: str, reason: str) -> Reply:
        self._keep(command, now_s, state, reason)
        return Reply(id=command.id, state=state, reason=reason[:200])  # type: ignore[arg-type]

    def _keep(self, command: Command, now_s: float, state: str, reason: str) -> None:
        until_s = max(now_s, command.issued_s + command.ttl_s) + KEEP_S
        self._outbox.keep_command(command.id, self._pack.device, until_s, state, reason, now_s)
