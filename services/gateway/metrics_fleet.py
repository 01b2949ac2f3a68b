"""`/metrics` of coordinated fleets: their messages, packs and safety decisions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from core.engine import fleets_of
from core.fleet.messages import IngestReport
from core.fleet.ports import FleetCounts, LinkState, PackState
from core.fleet.rejections import Rejection
from core.ports import Source
from core.safety.profile import safety_profile
from services.gateway.metrics_families import buckets

LINKS: tuple[LinkState, ...] = ("online", "offline", "conflict", "unknown")
WHOSE = ("source", "site")
NO_REJECTION: dict[str, int] = {reason.value: 0 for reason in Rejection}
"""A reason that begins with its first message would have no increase by it."""
TRIPPING = ("current", "voltage", "temperature", "missing")
"""Delays of what opens contactors; the others alarm alone."""
COUNTED: tuple[tuple[str, str, Callable[[FleetCounts], int]], ...] = (
    ("orrery_fleet_messages_received", "Messages taken in.", lambda told: told.received),
    ("orrery_fleet_messages_duplicate", "Messages that came again.", lambda told: told.duplicate),
    ("orrery_fleet_messages_late", "Messages that came after newer ones.",
     lambda told: told.late),
)
INGEST_COUNTED: tuple[tuple[str, str, Callable[[IngestReport], int]], ...] = (
    ("orrery_ingest_messages_received", "Messages of telemetry that the ingest looked at.",
     lambda said: said.received),
    ("orrery_ingest_messages_stored", "Messages that the ingest stored.",
     lambda said: said.stored),
    ("orrery_ingest_messages_duplicate", "Messages that it had already.",
     lambda said: said.duplicate),
    ("orrery_ingest_messages_late", "Messages stored after newer ones.", lambda said: said.late),
    ("orrery_ingest_messages_given_up", "Messages that their devices gave up.",
     lambda said: said.given_up),
    ("orrery_ingest_messages_overflow", "Messages of QoS 0 that it had no room for.",
     lambda said: said.overflow),
)


def fleet_metrics(sources: Sequence[Source]) -> Iterator[Metric]:
    """Families of all fleets; without lines where there is no fleet."""
    fleets = [(source.info.name, source.counts(), source.packs())
              for source in fleets_of(sources)]
    told = {name: counts for name, counts, _ in fleets}
    for family, words, value in COUNTED:
        counted = CounterMetricFamily(family, words, labels=WHOSE)
        for name, counts in told.items():
            counted.add_metric([name, counts.site], value(counts))
        yield counted
    yield _rejected(told)
    yield from _link(told)
    yield from _ingest(told)
    packs = {name: packs for name, _, packs in fleets}
    yield from _decisions(told)
    yield _detection(told)
    yield _actuation(packs)
    yield from _packs(packs)


def _rejected(told: dict[str, FleetCounts]) -> Metric:
    found = CounterMetricFamily("orrery_fleet_messages_rejected", "Messages that were not used.",
                                labels=[*WHOSE, "reason"])
    for name, counts in told.items():
        for reason, number in {**NO_REJECTION, **counts.rejected}.items():
            found.add_metric([name, counts.site, reason], number)
    return found


def _link(told: dict[str, FleetCounts]) -> Iterator[Metric]:
    up = GaugeMetricFamily("orrery_fleet_broker_connected", "1 while the broker is there.",
                           labels=WHOSE)
    missing = GaugeMetricFamily("orrery_fleet_messages_missing",
                                "Numbers that have not come.", labels=WHOSE)
    lag = GaugeMetricFamily("orrery_fleet_lag_seconds",
                            "Median age of the newest messages when they arrived.", labels=WHOSE)
    for name, counts in told.items():
        up.add_metric([name, counts.site], float(counts.connected))
        missing.add_metric([name, counts.site], counts.missing)
        if counts.lag_s is not None:
            lag.add_metric([name, counts.site], counts.lag_s)
    yield from (up, missing, lag)


def _ingest(told: dict[str, FleetCounts]) -> Iterator[Metric]:
    """As its newest report says. Where none told anything yet it is not up, if there is a broker
    that it could tell over; nothing else is known then."""
    heard = {name: (counts.site, counts.ingest) for name, counts in told.items()
             if counts.ingest is not None}
    up = GaugeMetricFamily("orrery_ingest_up", "1 while the ingest tells that it runs.",
                           labels=WHOSE)
    for name, counts in told.items():
        if counts.broker:
            up.add_metric([name, counts.site],
                          float(counts.ingest is not None and counts.ingest.runs))
    behind = GaugeMetricFamily("orrery_ingest_store_behind",
                               "1 while a store beside the first lacks messages.", labels=WHOSE)
    waiting = GaugeMetricFamily("orrery_ingest_messages_waiting",
                                "Messages that the ingest has not looked at.", labels=WHOSE)
    lag = GaugeMetricFamily("orrery_ingest_lag_seconds",
                            "From a device's sending to the commit, by share of the messages.",
                            labels=[*WHOSE, "percentile"])
    rejected = CounterMetricFamily("orrery_ingest_messages_rejected",
                                   "Messages that the ingest did not use.",
                                   labels=[*WHOSE, "reason"])
    counted = [(CounterMetricFamily(family, words, labels=WHOSE), value)
               for family, words, value in INGEST_COUNTED]
    for name, (site, ingest) in heard.items():
        whose, said = [name, site], ingest.said
        behind.add_metric(whose, float(bool(said.behind)))
        waiting.add_metric(whose, said.waiting)
        for percentile, lag_s in (("50", said.lag_p50_s), ("95", said.lag_p95_s)):
            if lag_s is not None:
                lag.add_metric([*whose, percentile], lag_s)
        told_of = {reason.value: number for reason, number in said.rejected.items()}
        for reason, number in {**NO_REJECTION, **told_of}.items():
            rejected.add_metric([*whose, reason], number)
        for family, value in counted:
            family.add_metric(whose, value(said))
    yield from (up, behind, waiting, lag, rejected, *(family for family, _ in counted))


def _decisions(told: dict[str, FleetCounts]) -> Iterator[Metric]:
    """The devices count in microseconds, each decision in one bucket."""
    found = HistogramMetricFamily("orrery_fleet_safety_decision_seconds",
                                  "From the arrival of a sample at a device to its trip flag.",
                                  labels=WHOSE)
    worst = GaugeMetricFamily("orrery_fleet_safety_decision_worst_seconds",
                              "The longest of these decisions.", labels=WHOSE)
    for name, counts in told.items():
        if counts.worst_decision_us is None:
            continue
        cumulative, so_far = [], 0
        for edge_us, number in sorted({math.inf: 0, **counts.decisions}.items()):
            so_far += number
            cumulative.append((edge_us / 1e6, so_far))
        found.add_metric([name, counts.site], buckets(cumulative), sum_value=None)
        worst.add_metric([name, counts.site], counts.worst_decision_us / 1e6)
    yield from (found, worst)


def _detection(told: dict[str, FleetCounts]) -> Metric:
    """By the profile that edge devices are shipped with: of what trips."""
    found = GaugeMetricFamily("orrery_fleet_safety_detection_seconds",
                              "How long a value must be wrong before it trips, beside the time "
                              "between two samples.", labels=["of"])
    for kind in TRIPPING if told else ():
        found.add_metric([kind], getattr(safety_profile().delays, kind).set_s)
    return found


def _actuation(fleets: dict[str, Sequence[PackState]]) -> Metric:
    found = GaugeMetricFamily("orrery_fleet_safety_actuation_seconds",
                              "From the last trip or stop of a pack to its open contactors, the "
                              "longest.",
                              labels=["source"])
    for name, packs in fleets.items():
        known = [pack.opened_after_s for pack in packs if pack.opened_after_s is not None]
        if known:
            found.add_metric([name], max(known))
    return found


def _packs(fleets: dict[str, Sequence[PackState]]) -> Iterator[Metric]:
    links = GaugeMetricFamily("orrery_fleet_packs", "Packs by what is known of their link.",
                              labels=["source", "link"])
    safety = GaugeMetricFamily("orrery_fleet_packs_in_safety_state",
                               "Packs by the state of their safety.", labels=["source", "state"])
    dropped = GaugeMetricFamily("orrery_fleet_messages_dropped",
                                "Messages that the devices gave up.", labels=["source"])
    rejected = CounterMetricFamily("orrery_fleet_device_refusals",
                                   "Messages that devices did not use, or could not send.",
                                   labels=["source", "reason"])
    for name, packs in fleets.items():
        by_link = Counter(pack.link for pack in packs)
        for link in LINKS:
            links.add_metric([name, link], by_link[link])
        for state, number in sorted(Counter(pack.safety for pack in packs
                                            if pack.safety is not None).items()):
            safety.add_metric([name, state], number)
        dropped.add_metric([name], sum(pack.dropped for pack in packs))
        refused: Counter[str] = Counter()
        for pack in packs:
            refused.update(pack.rejected)
        for reason, number in sorted(refused.items()):
            rejected.add_metric([name, reason], number)
    yield from (links, safety, dropped, rejected)
