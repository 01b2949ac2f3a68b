"""`/metrics` for Prometheus: what engine, sources, alarms, history and this process know already.

Names are fixed; what a person typed stands in label values alone. A figure that is not known has
no line (law 4): an age of 0 would be a lie. Times are seconds, sizes bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from core.alarms.records import Instance
from core.alarms.states import WORDS, State
from core.engine import Engine, SourceStatus
from core.limits import TIERS
from core.ports import StoreHealth
from services.gateway.metrics_families import counter, gauge, histogram
from services.gateway.metrics_fleet import fleet_metrics
from services.gateway.probes import history_error

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SOURCE_STATES = ("waiting", "live", "lost")


def no_pages() -> int | None:
    """The gateway alone has no sessions."""
    return None


@dataclass(frozen=True, slots=True)
class Traffic:
    """Of this process. clients: of a WebSocket, by its name. refused: requests by reason.
    sessions: open pages; None where it has none."""

    clients: Mapping[str, Callable[[], int]] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    sessions: Callable[[], int | None] = no_pages


class SiteMetrics(Collector):
    """All families; each scrape is one pass over the newest snapshot."""

    def __init__(self, engine: Engine, traffic: Traffic) -> None:
        self._engine, self._traffic = engine, traffic

    def collect(self) -> Iterator[Metric]:
        yield from _frame(self._engine)
        yield from _sources(self._engine)
        yield from _alarms(self._engine)
        yield from _history(self._engine)
        yield from fleet_metrics(self._engine.sources)
        yield from _traffic(self._traffic)


class MetricsPage:
    """The answer to a scrape; computed off the event loop, because a store may be asked."""

    def __init__(self, engine: Engine, traffic: Traffic) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(SiteMetrics(engine, traffic))
        ProcessCollector(registry=self._registry)

    def show(self, request: Request) -> Response:
        return Response(generate_latest(self._registry), media_type=None, headers={
            "Content-Type": CONTENT_TYPE, "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff"})


def _frame(engine: Engine) -> Iterator[Metric]:
    snapshot = engine.snapshot
    yield counter("orrery_frames", "Frames that the engine has published.", snapshot.number)
    yield gauge("orrery_frame_age_seconds", "Age of the newest frame.", engine.frame_age_s)
    yield gauge("orrery_engine_period_seconds", "Time between two frames.", engine.period_s)
    yield histogram("orrery_tick_duration_seconds", "How long the engine took for one frame.",
                    engine.ticks)
    yield gauge("orrery_elements", "Elements of the hierarchy.", engine.topology.size)
    yield gauge("orrery_elements_stale", "Elements whose newest reading is too old.",
                int(snapshot.frame.stale.sum()))
    yield gauge("orrery_devices", "Devices beside the hierarchy.", len(engine.devices.devices))


def _sources(engine: Engine) -> Iterator[Metric]:
    statuses, now = engine.snapshot.sources, engine.clock.now()
    states = GaugeMetricFamily("orrery_source_state", "1 for the state that a source is in.",
                               labels=["source", "kind", "state"])
    age = GaugeMetricFamily("orrery_source_age_seconds", "Age of a source's newest reading.",
                            labels=["source"])
    stale = GaugeMetricFamily("orrery_source_stale_after_seconds",
                              "Age from which a source's readings are stale.", labels=["source"])
    failures = GaugeMetricFamily("orrery_source_failures",
                                 "Ticks in a row without a reading of a source.",
                                 labels=["source"])
    for status in statuses:
        name = status.info.name
        for state in SOURCE_STATES:
            states.add_metric([name, status.info.kind, state], float(status.state == state))
        if status.heard_at is not None:
            age.add_metric([name], max(0.0, (now - status.heard_at).total_seconds()))
        stale.add_metric([name], status.info.stale_after_s)
        failures.add_metric([name], status.failures)
    yield from (states, age, stale, failures)
    yield from _asking(statuses)


def _asking(statuses: tuple[SourceStatus, ...]) -> Iterator[Metric]:
    """Of sources that ask somebody else's server."""
    asked = GaugeMetricFamily("orrery_source_requests_last_hour",
                              "Requests of a source within the last hour.", labels=["source"])
    allowed = GaugeMetricFamily("orrery_source_requests_allowed",
                                "Requests that a source allows itself in an hour.",
                                labels=["source"])
    for status in statuses:
        if status.polling is not None:
            asked.add_metric([status.info.name], status.polling.requests)
            allowed.add_metric([status.info.name], status.polling.allowed)
    yield from (asked, allowed)


def _alarms(engine: Engine) -> Iterator[Metric]:
    """Of a journal that is kept, or should be: one in memory alone is the second one of a site,
    where nobody can act, and would call for somebody until its process ends."""
    if engine.desk.store is None and not engine.desk.error:
        return
    journal = engine.desk.journal
    open_ones = [one for one in journal.instances() if one.state is not State.NORMAL]
    found = GaugeMetricFamily("orrery_alarms", "Alarms by severity and ISA-18.2 state.",
                              labels=["severity", "state"])
    counts = alarm_counts(open_ones)
    for severity in TIERS:
        for state in State:
            if state is not State.NORMAL:
                found.add_metric([severity, WORDS[state]], counts[severity, state])
    yield found
    yield counter("orrery_alarm_lines_lost", "Lines of alarm history given up.", journal.lost)
    yield gauge("orrery_alarms_kept", "1 where alarms are kept durably, 0 where that fails.",
                float(not engine.desk.error))


def alarm_counts(instances: list[Instance]) -> Counter[tuple[str, State]]:
    """(severity, state) -> how many. Severity "none": hidden, and its condition is not there."""
    return Counter((TIERS[one.severity], one.state) for one in instances)


def _history(engine: Engine) -> Iterator[Metric]:
    stores = {name: store.health() for name, store in
              (("tree", engine.store), ("devices", engine.channels)) if store is not None}
    yield gauge("orrery_history_configured", "1 where history is to be kept.",
                float(bool(stores) or bool(engine.history_error)))
    yield gauge("orrery_history_written", "1 where the newest frame is in history.",
                float(bool(stores) and not history_error(engine)))
    yield from _sizes(stores)


def _sizes(stores: Mapping[str, StoreHealth]) -> Iterator[Metric]:
    size = GaugeMetricFamily("orrery_history_size_bytes", "Size of a part of history.",
                             labels=["part"])
    budget = GaugeMetricFamily("orrery_history_budget_bytes",
                               "Size that a part of history never passes.", labels=["part"])
    damaged = GaugeMetricFamily("orrery_history_files_set_aside",
                                "Damaged files of a part of history.", labels=["part"])
    for part, health in stores.items():
        size.add_metric([part], health.size_bytes)
        budget.add_metric([part], health.budget_bytes)
        damaged.add_metric([part], len(health.set_aside))
    yield from (size, budget, damaged)


def _traffic(traffic: Traffic) -> Iterator[Metric]:
    clients = GaugeMetricFamily("orrery_websocket_clients", "Open WebSockets.",
                                labels=["socket"])
    for name, count in traffic.clients.items():
        clients.add_metric([name], count())
    refused = CounterMetricFamily("orrery_requests_refused",
                                  "Requests that the gateway refused.", labels=["reason"])
    for reason, number in traffic.refused.items():
        refused.add_metric([reason], number)
    yield from (clients, refused)
    sessions = traffic.sessions()
    if sessions is not None:
        yield gauge("orrery_sessions", "Pages that people have open.", sessions)
