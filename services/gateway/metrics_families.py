"""Metric families of one sample, and histograms that somebody else counted."""

from __future__ import annotations

from collections.abc import Iterable
from math import isinf

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from core.safety.latency import Histogram


def gauge(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, words, value=value)


def counter(name: str, words: str, value: float) -> CounterMetricFamily:
    """`name` without the ending `_total`, which its line gets."""
    return CounterMetricFamily(name, words, value=value)


def histogram(name: str, words: str, counted: Histogram) -> HistogramMetricFamily:
    return HistogramMetricFamily(name, words, buckets=buckets(counted.cumulative()),
                                 sum_value=counted.sum_s)


def buckets(cumulative: Iterable[tuple[float, int]]) -> list[tuple[str, float]]:
    """(upper edge as Prometheus writes it, how many within it), the last edge infinite."""
    return [("+Inf" if isinf(edge) else repr(edge), float(count)) for edge, count in cumulative]
