"""Commands by the API in two steps: what it would do, in words; then the same token, once."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from core.alarms.records import AuditEntry
from core.confirmations import VALID, Confirmations, is_fresh
from core.engine import Engine, fleets_of
from core.errors import OrreryError, RetryLaterError, SourceError, UnknownIdError
from core.fleet import outcomes
from core.fleet.called import name_of_all, names_of
from core.fleet.effects import EFFECTS, MUST_GO, TTL_S, carrying, in_words
from core.fleet.ports import CommandLife, PackState
from services.gateway.fleet_alarms import AlarmApi
from services.gateway.fleet_api import FleetApi
from services.gateway.fleet_requests import OrderAsked, Override
from services.gateway.fleet_shapes import Action, Sent, ToConfirm

log = logging.getLogger(__name__)

MOST_PENDING = 1000


@dataclass(frozen=True, slots=True)
class Pending:
    """What waits for its second step. name: of the target, as a person calls it. at_s: when it was
    asked, by the clock's `monotonic_s`."""

    name: str
    element: str
    packs: tuple[PackState, ...]
    action: Action
    power_kw: float | None
    hold_s: float | None
    at: datetime
    at_s: float

    @property
    def bound_action(self) -> str:
        """With all its values, so that none can be changed in between."""
        return f"{self.action} {self.power_kw} {self.hold_s}"

    def words(self) -> str:
        """"override: at most 20 kW for 900 s"."""
        return in_words(self.action, self.power_kw, self.hold_s)


class FleetOrders:
    """For any threads."""

    def __init__(self, engine: Engine, api: FleetApi, alarms: AlarmApi) -> None:
        self._engine, self._api, self._alarms = engine, api, alarms
        self._confirmations = Confirmations()
        self._pending: dict[str, Pending] = {}
        self._lock = threading.Lock()

    # -- the first step

    def begin(self, asked: OrderAsked, who: str) -> ToConfirm:
        """Sends nothing. Raises UnknownIdError, and RetryLaterError where too many wait."""
        clock = self._engine.clock
        name, packs = self._target(asked.element)
        power_kw, hold_s = ((asked.power_kw, asked.hold_s) if isinstance(asked, Override)
                            else (None, None))
        pending = Pending(name, asked.element, packs, asked.action, power_kw, hold_s,
                          clock.now(), clock.monotonic_s())
        with self._lock:
            self._pending = {token: kept for token, kept in self._pending.items()
                             if is_fresh(kept.at_s, pending.at_s)}
            if len(self._pending) >= MOST_PENDING:
                raise RetryLaterError(f"{MOST_PENDING} commands wait for their confirmation; "
                                      f"ask again in {VALID.seconds} s")
            token = self._confirmations.issue(asked.element, pending.bound_action, who, clock)
            self._pending[token] = pending
        return self._told(token, pending)

    def _target(self, element: str) -> tuple[str, tuple[PackState, ...]]:
        """A pack, or all packs that hang on an element; raises UnknownIdError."""
        topology = self._engine.topology
        node = topology.index(element)
        packs = self._api.packs()
        for pack in packs:
            if pack.element == element:
                return names_of(packs)[pack.site, pack.device], (pack,)
        index = topology.index_of_id
        below = tuple(pack for pack in packs if pack.element in index
                      and int(topology.parent[index[pack.element]]) == node)
        if not below:
            raise UnknownIdError(f"{element[:80]!r} is no pack, and no pack hangs on it")
        return name_of_all(below[0].site, len(below)), below

    def _told(self, token: str, pending: Pending) -> ToConfirm:
        bound = "" if pending.power_kw is None else f"{pending.power_kw:g} kW"
        effect = EFFECTS[pending.action].format(bound=bound)
        now = carrying(self._engine.topology, self._engine.snapshot.frame, pending.packs,
                       "{:.1f} kW".format)
        return ToConfirm(
            status="confirm", token=token, target=pending.name, element=pending.element,
            packs=[pack.element for pack in pending.packs], action=pending.action,
            effect=f"{pending.name}: {effect} {now}",
            expiry=_expiry(pending), valid_s=VALID.total_seconds(),
            expires_at=(pending.at + VALID).astimezone(UTC).isoformat(),
            timestamp=pending.at.timestamp())

    # -- the second step

    def confirm(self, token: str, who: str) -> Sent:
        """Audited, then sent. Whatever it was shown for, a token is gone afterwards. Raises
        RequestError for a token that does not hold, RetryLaterError where nothing was sent."""
        with self._lock:
            pending = self._pending.pop(token, None)
        target, action = ("", "") if pending is None else (pending.element, pending.bound_action)
        self._confirmations.redeem(token, target, action, who, self._engine.clock)
        assert pending is not None
        return self._send(pending, who)

    def _send(self, order: Pending, who: str) -> Sent:
        not_written = self._written(order, who)
        lives, unsent = self._send_all(order, who)
        keep = self._keeper(order, who)
        if not lives:
            keep(outcomes.sentence((), (), unsent))
            raise SourceError(outcomes.sentence((), (), unsent))
        outcomes.follow([life.command.id for life in lives], self._commands, TTL_S, unsent, keep)
        return Sent(status="sent", commands=self._api.lives(lives), unsent=unsent,
                    not_written=not_written, timestamp=self._engine.clock.now().timestamp())

    def _written(self, order: Pending, who: str) -> str:
        """Why it was not, "" if it was; raises where it then must not be sent."""
        try:
            self._alarms.kept()
            self._audit(order, who, order.action, _before(order.packs), order.words())
        except OrreryError as error:
            if order.action not in MUST_GO:
                raise
            log.error("%s of %s by %s is sent but not written down: %s", order.action,
                      order.element, who, error)
            return str(error)
        return ""

    def _send_all(self, order: Pending, who: str) -> tuple[list[CommandLife], dict[str, str]]:
        """What was sent; device -> why of what was not. One failure stops no other."""
        lives, unsent = [], {}
        fleets = {pack.element: fleet for fleet in fleets_of(self._engine.sources)
                  for pack in fleet.packs()}
        for pack in order.packs:
            try:
                if pack.element not in fleets:
                    raise UnknownIdError(f"no pack is called {pack.element[:80]!r}")
                lives.append(fleets[pack.element].command(
                    pack.device, order.action, who, TTL_S, order.power_kw, order.hold_s))
            except OrreryError as error:
                unsent[pack.device] = str(error)
        return lives, unsent

    def _commands(self) -> list[CommandLife]:
        return [life for fleet in fleets_of(self._engine.sources) for life in fleet.commands()]

    def _keeper(self, order: Pending, who: str) -> Callable[[str], None]:
        def keep(outcome: str) -> None:
            try:
                self._audit(order, who, f"{order.action}: outcome", order.words(), outcome)
            except OrreryError as error:
                log.error("the outcome of %s is not written down: %s", order.action, error)
        return keep

    def _audit(self, order: Pending, who: str, action: str, before: str, after: str) -> None:
        self._engine.desk.audit(AuditEntry(self._engine.clock.now(), who, action, order.element,
                                           "", "", before, after))


def _before(packs: Sequence[PackState]) -> str:
    """"22 normal, 2 latched": what the packs said of their safety."""
    states = Counter(pack.safety or "not known" for pack in packs)
    return ", ".join(f"{count} {word}" if len(packs) > 1 else word
                     for word, count in states.items())


def _expiry(order: Pending) -> str:
    answer = (f"A pack acts only where this reaches it within {TTL_S:g} s. One that does not "
              "answer may have acted: look at its state.")
    if order.hold_s is None:
        return answer
    return f"The bound ends by itself {order.hold_s:g} s after it was taken. {answer}"
