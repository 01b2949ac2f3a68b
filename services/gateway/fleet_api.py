"""The packs of this process as REST and WebSocket tell them; for any threads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from core.engine import Engine, Snapshot, fleets_of
from core.errors import UnknownIdError
from core.fleet import ports
from core.fleet.messages import PartialLimit
from core.fleet.ports import CommandLife, FleetCounts, PackState, Refusal
from core.safety.derating import WAYS
from services.gateway.fleet_cells import worst_cells
from services.gateway.fleet_shapes import (
    Commands,
    CommandTold,
    CountsTold,
    DecisionsTold,
    Fleet,
    FleetCountsTold,
    IngestTold,
    OnePack,
    PackTold,
    PartialLimitTold,
    RefusalTold,
    Severity,
    WorstCell,
)

SEVERITIES: tuple[Severity, ...] = ("none", "info", "warning", "trip")
"""By tier."""


class FleetApi:
    """Answers from `engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def packs(self) -> list[PackState]:
        """Of all fleets."""
        return [pack for fleet in fleets_of(self._engine.sources) for pack in fleet.packs()]

    def fleet(self) -> Fleet:
        return Fleet(status="success", packs=self.told(self._engine.snapshot),
                     timestamp=self._now_s())

    def pack(self, element: str) -> OnePack:
        """Raises UnknownIdError."""
        found = [pack for pack in self.packs() if pack.element == element]
        if not found:
            raise UnknownIdError(f"no pack is called {element[:80]!r}; /api/fleet tells all")
        told = _told_of(found, self._engine, self._engine.snapshot)
        return OnePack(status="success", pack=told[0], timestamp=self._now_s())

    def told(self, snapshot: Snapshot) -> list[PackTold]:
        """All packs as they are at `snapshot`."""
        return _told_of(self.packs(), self._engine, snapshot)

    def counts(self) -> FleetCountsTold:
        return FleetCountsTold(
            status="success", timestamp=self._now_s(),
            fleets=[_counts(fleet.counts()) for fleet in fleets_of(self._engine.sources)])

    def commands(self, limit: int) -> Commands:
        """Newest first."""
        lives = [life for fleet in fleets_of(self._engine.sources) for life in fleet.commands()]
        lives.sort(key=lambda life: life.command.issued_s, reverse=True)
        return Commands(status="success", total=len(lives),
                        commands=self.lives(lives[:limit]), timestamp=self._now_s())

    def lives(self, lives: Iterable[CommandLife]) -> list[CommandTold]:
        elements = {(pack.site, pack.device): pack.element for pack in self.packs()}
        return [_life(life, elements) for life in lives]

    def _now_s(self) -> float:
        return self._engine.clock.now().timestamp()


def known(value: float | None, decimals: int = 4) -> float | None:
    """None for what is not a number; JSON has no NaN."""
    return None if value is None or not math.isfinite(value) else round(value, decimals)


def iso(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat()


def _told_of(packs: list[PackState], engine: Engine, snapshot: Snapshot) -> list[PackTold]:
    index = engine.topology.index_of_id
    nodes = [index[pack.element] for pack in packs if pack.element in index]
    cells = worst_cells(engine.topology, snapshot.frame, nodes)
    return [_pack(pack, snapshot, index.get(pack.element), cells) for pack in packs]


def _pack(pack: PackState, snapshot: Snapshot, node: int | None,
          cells: Mapping[int, WorstCell]) -> PackTold:
    frame, alarms = snapshot.frame, snapshot.alarms
    stale = node is None or bool(frame.stale[node])

    def now(metric: str) -> float | None:
        return None if node is None or stale else known(frame.value(metric, node))

    return PackTold(
        site=pack.site, device=pack.device, element=pack.element, label=pack.label,
        chemistry=pack.chemistry, cells=pack.cells, capacity_kwh=known(pack.capacity_kwh),
        firmware=pack.firmware, link=pack.link, heard_at=iso(pack.heard_at), safety=pack.safety,
        soh_pct=known(pack.soh_pct), charge_limit_a=known(pack.charge_limit_a),
        discharge_limit_a=known(pack.discharge_limit_a), limit_reason=pack.limit_reason,
        partial_limits=[_limit(one, place == 0) for way in WAYS
                        for place, one in enumerate(pack.limits_of(way))],
        allocation_kw=known(pack.allocation_kw), decision_us=known(pack.decision_us),
        samples=pack.samples, real_time=pack.real_time,
        opened_after_s=known(pack.opened_after_s), silent_s=known(pack.silent_s),
        lease_s=known(pack.lease_s), pending=pack.pending, dropped=pack.dropped,
        missing=pack.missing, duplicate=pack.duplicate, late=pack.late,
        rejected=dict(pack.rejected), last_refusal=_refusal(pack.last_refusal),
        policy=pack.policy, policy_before=pack.policy_before,
        clock_off_s=known(pack.clock_off_s), stale=stale, power_kw=now("power_kw"),
        soc_pct=now("soc_pct"), temperature_c=now("temperature_c"),
        worst_cell=None if node is None or stale else cells.get(node),
        alarms=0 if node is None else int(alarms.count[node]),
        severity=SEVERITIES[0 if node is None else int(alarms.worst_tier[node])])


def _limit(one: PartialLimit, in_force: bool) -> PartialLimitTold:
    return PartialLimitTold(way=one.way, limit=one.limit, amps=round(one.amps, 4), why=one.why,
                            cell=one.cell, in_force=in_force)


def _counts(told: FleetCounts) -> CountsTold:
    return CountsTold(
        source=told.source, site=told.site, broker=told.broker, connected=told.connected,
        received=told.received, duplicate=told.duplicate, late=told.late, missing=told.missing,
        rejected=dict(told.rejected), last_refusal=_refusal(told.last_refusal),
        rate=known(told.rate), lag_s=known(told.lag_s),
        decisions=[DecisionsTold(upper_us=known(edge), count=count)
                   for edge, count in sorted(told.decisions.items())],
        worst_decision_us=known(told.worst_decision_us), ingest=_ingest(told.ingest))


def _ingest(told: ports.IngestTold | None) -> IngestTold | None:
    if told is None:
        return None
    said = told.said
    return IngestTold(
        runs=told.runs, heard_at=told.heard_at.astimezone(UTC).isoformat(),
        received=said.received, stored=said.stored, duplicate=said.duplicate, late=said.late,
        given_up=said.given_up, overflow=said.overflow, waiting=said.waiting,
        lag_p50_s=known(said.lag_p50_s), lag_p95_s=known(said.lag_p95_s),
        rejected={reason.value: count for reason, count in said.rejected.items()},
        last_refusal=_refusal(told.last_refusal), trouble=said.trouble, behind=said.behind)


def _refusal(last: Refusal | None) -> RefusalTold | None:
    if last is None:
        return None
    return RefusalTold(**{**asdict(last), "at": last.at.astimezone(UTC).isoformat()})


def _life(life: CommandLife, elements: Mapping[tuple[str, str], str]) -> CommandTold:
    command = life.command
    return CommandTold(
        id=command.id, element=elements.get((life.site, life.device)), site=life.site,
        device=life.device, action=command.action, issuer=command.issuer,
        issued_at=datetime.fromtimestamp(command.issued_s, UTC).isoformat(), ttl_s=command.ttl_s,
        power_kw=known(command.power_kw), hold_s=known(command.hold_s), state=life.state,
        reason=life.reason, changed_at=iso(life.changed_at), settled=life.settled,
        untold=life.untold)
