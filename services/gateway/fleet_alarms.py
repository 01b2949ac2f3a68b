"""Alarms by the API: what is open, what was, and what operators do about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from core.alarms.groups import Group
from core.alarms.journal import AlarmJournal
from core.alarms.ports import AlarmStore
from core.alarms.records import AlarmQuery, AuditEntry, Hiding, Instance, Key, Seen, Transition
from core.alarms.rules import alarm_rules
from core.alarms.states import ALARMED, ASKING, WORDS, State
from core.engine import Engine
from core.errors import RequestError, RetryLaterError
from core.ids import beside
from services.gateway.fleet_api import SEVERITIES, iso, known
from services.gateway.fleet_requests import (
    Acknowledge,
    Acknowledged,
    AlarmAsked,
    Hide,
    Plain,
    Remark,
    Shelve,
)
from services.gateway.fleet_shapes import (
    Acted,
    AlarmCounts,
    AlarmHistory,
    AlarmKey,
    AlarmTold,
    Audit,
    AuditTold,
    CommentTold,
    GroupTold,
    HidingTold,
    LineTold,
    OpenAlarms,
    Severity,
    StateTold,
)

LOOK_BACK = timedelta(hours=24)
NOTHING_KEPT = "nothing is kept here: {why}"
NO_STORE = "history is off; set kind under [history] in orrery.toml, or start with --history"


class AlarmApi:
    """Answers from the journal of `engine`; for any threads. Raises UnknownIdError, RequestError
    and RetryLaterError in words."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # -- what is known

    def open(self, limit: int) -> OpenAlarms:
        journal = self._engine.desk.journal
        found = [one for one in journal.instances() if one.state is not State.NORMAL]
        found.sort(key=lambda one: (-one.severity, -one.began.timestamp(), one.key))
        return OpenAlarms(
            status="success", total=len(found),
            alarms=[self._alarm(one) for one in found[:limit]],
            groups=[_group(group, limit) for group in journal.groups()[:limit]],
            counts=self.counts(), error=self._engine.desk.error,
            timestamp=self._now().timestamp())

    def counts(self) -> AlarmCounts:
        journal = self._engine.desk.journal
        found, rates = journal.instances(), journal.rates()
        states = Counter(one.state for one in found)
        tiers = Counter(SEVERITIES[one.severity] for one in found if one.state in ALARMED)
        return AlarmCounts(
            info=tiers["info"], warning=tiers["warning"], trip=tiers["trip"],
            asking=sum(states[state] for state in ASKING), shelved=states[State.SHELVED],
            suppressed=states[State.SUPPRESSED], out_of_service=states[State.OUT_OF_SERVICE],
            raised=rates.raised, flood=rates.flood)

    def history(self, start: datetime | None, end: datetime | None, severity: Severity,
                element: str | None, limit: int) -> AlarmHistory:
        store = self.kept()
        query = self._query(start, end, element, limit, SEVERITIES.index(severity))
        return AlarmHistory(status="success", lines=[_line(one) for one in store.history(query)],
                            timestamp=self._now().timestamp())

    def audit(self, start: datetime | None, end: datetime | None, element: str | None,
              limit: int) -> Audit:
        found = self.kept().audit(self._query(start, end, element, limit))
        return Audit(status="success", entries=[_entry(one) for one in found],
                     timestamp=self._now().timestamp())

    def kept(self) -> AlarmStore:
        """Raises RetryLaterError where nothing is kept."""
        desk = self._engine.desk
        if desk.store is None:
            raise RetryLaterError(NOTHING_KEPT.format(why=desk.error or NO_STORE))
        return desk.store

    def _query(self, start: datetime | None, end: datetime | None, element: str | None,
               limit: int, least_tier: int = 1) -> AlarmQuery:
        """The last day where no times are given."""
        until = end or self._now()
        since = start or _day_before(until)
        if since > until:
            raise RequestError(f"start = {since.isoformat()} is not allowed; allowed: a time "
                               f"before end, {until.isoformat()}")
        topology = self._engine.topology
        below = "" if element is None or topology.index(element) == 0 else element
        return AlarmQuery(since.astimezone(UTC), until.astimezone(UTC), below, least_tier,
                          limit=limit, beside=beside(topology, below))

    def _alarm(self, one: Instance) -> AlarmTold:
        topology = self._engine.topology
        node = topology.index_of_id.get(one.element)
        return AlarmTold(
            element=one.element, label="" if node is None else topology.names[node],
            condition=one.condition, words=alarm_rules().words(one.condition),
            state=one.state.value, state_words=WORDS[one.state],
            severity=SEVERITIES[one.severity], metric=one.metric, value=known(one.value),
            limit=known(one.limit), began=one.began.astimezone(UTC).isoformat(),
            raised_at=iso(one.raised_at), returned_at=iso(one.returned_at),
            acknowledged_at=iso(one.acknowledged_at), acknowledged_by=one.acknowledged_by,
            occurrence=one.occurrence, count=one.count, hidden=_hiding(one.hiding),
            comments=[CommentTold(at=said.at.astimezone(UTC).isoformat(), who=said.who,
                                  text=said.text) for said in one.comments])

    # -- what an operator does

    def act(self, asked: AlarmAsked, who: str) -> Acted:
        """Audited with its name by the journal; refused where nothing is kept."""
        self.kept()
        journal = self._engine.desk.journal
        if isinstance(asked, Acknowledge):
            done = self._acknowledged(journal, {one.key: _seen(one) for one in asked.alarms}, who)
        else:
            done = [self._one(journal, asked, who)]
        return Acted(status="success", action=asked.action, who=who,
                     done=[StateTold(element=one.element, condition=one.condition,
                                     state=one.state.value, state_words=WORDS[one.state])
                           for one in done], timestamp=self._now().timestamp())

    def _acknowledged(self, journal: AlarmJournal, keys: Mapping[Key, Seen | None],
                      who: str) -> list[Instance]:
        if len(keys) == 1:
            return [journal.acknowledge(key, who, seen) for key, seen in keys.items()]
        for key in keys:
            if journal.get(key) is None:
                self._engine.topology.index(key.element)
        done = journal.acknowledge_all(keys, who)
        return [journal.get(key) or Instance(*key) for key in done]

    def _one(self, journal: AlarmJournal, asked: Shelve | Hide | Plain | Remark,
             who: str) -> Instance:
        key = asked.alarm.key
        if isinstance(asked, Remark):
            return journal.comment(key, who, asked.text)
        if isinstance(asked, Shelve):
            until = self._now() + timedelta(minutes=asked.minutes)
            return journal.shelve(key, who, asked.reason, until, once=asked.once)
        if isinstance(asked, Hide):
            hide = journal.suppress if asked.action == "suppress" else journal.out_of_service
            return hide(key, who, asked.reason)
        plain = {"reset": journal.reset, "unshelve": journal.unshelve,
                 "unsuppress": journal.unsuppress,
                 "return_to_service": journal.return_to_service}
        return plain[asked.action](key, who)

    def _now(self) -> datetime:
        return self._engine.clock.now()


def _seen(asked: Acknowledged) -> Seen | None:
    told = asked.seen
    return None if told is None else Seen(told.occurrence, SEVERITIES.index(told.severity))


def _day_before(until: datetime) -> datetime:
    try:
        return until - LOOK_BACK
    except OverflowError:
        return until


def _group(group: Group, most: int) -> GroupTold:
    return GroupTold(root=_key(group.root.key), members=_keys(group.members, most),
                     place=group.place, severity=SEVERITIES[group.severity], size=group.size,
                     began=group.began.astimezone(UTC).isoformat())


def _keys(instances: Iterable[Instance], most: int) -> list[AlarmKey]:
    return [_key(one.key) for one in instances][:most]


def _key(key: Key) -> AlarmKey:
    return AlarmKey(element=key.element, condition=key.condition)


def _hiding(hiding: Hiding | None) -> HidingTold | None:
    if hiding is None:
        return None
    return HidingTold(at=hiding.at.astimezone(UTC).isoformat(), who=hiding.who, why=hiding.why,
                      until=iso(hiding.until), once=hiding.once,
                      cause=None if hiding.cause is None else _key(Key(*hiding.cause)))


def _line(one: Transition) -> LineTold:
    return LineTold(
        at=one.at.astimezone(UTC).isoformat(), element=one.element, condition=one.condition,
        event=one.event.value, before=WORDS[one.before], after=WORDS[one.after],
        severity=SEVERITIES[one.tier], metric=one.metric, value=known(one.value),
        limit=known(one.limit), by=one.by, occurrence=one.occurrence)


def _entry(one: AuditEntry) -> AuditTold:
    return AuditTold(at=one.at.astimezone(UTC).isoformat(), who=one.who, action=one.action,
                     element=one.element, condition=one.condition, why=one.why,
                     before=one.before, after=one.after)
