"""What a chart needs to know of a `core.ports.Series`: gaps, runs, local time, words."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from components import formats
from components.formats import MISSING
from core.energy import wall_clock
from core.ports import Series
from core.vocabulary import BY_NAME

FloatArray = NDArray[np.float64]
Values = NDArray[np.float32]
Span = tuple[float, float]  # from, to: seconds since 1970 [s]
GAP_FACTOR = 2.5


def known(series: Series) -> Series:
    """`series` without its missing points: a gap is a wide step, however it came about."""
    there = np.isfinite(series.mean)
    if bool(there.all()):
        return series
    known_s = None if series.known_s is None else series.known_s[there]
    return Series(series.node_id, series.metric, series.time_s[there], series.minimum[there],
                  series.maximum[there], series.mean[there], series.resolution_s, known_s)


def has_data(series: Series) -> bool:
    """Whether a chart would show anything; otherwise the page shows a `state_box`."""
    return bool(np.isfinite(series.mean).any())


def runs(series: Series) -> list[slice]:
    """The stretches between gaps, as slices into `known(series)`."""
    times = known(series).time_s
    if times.size == 0:
        return []
    breaks = np.flatnonzero(np.diff(times) > GAP_FACTOR * series.resolution_s) + 1
    edges = [0, *breaks.tolist(), times.size]
    return [slice(first, last) for first, last in zip(edges, edges[1:], strict=False)]


def gaps(series: Series, span: Span | None = None) -> list[tuple[float, float]]:
    """Where nothing is known, (from, to) in seconds since 1970; a point stands for
    `resolution_s` from its time on. With `span` also before the first and after the last."""
    times = known(series).time_s
    if times.size == 0:
        return [] if span is None else [span]
    parts = runs(series)
    found = [(float(times[before.stop - 1]) + series.resolution_s, float(times[after.start]))
             for before, after in zip(parts, parts[1:], strict=False)]
    if span is None:
        return found
    lead = (span[0], float(times[0]))
    tail = (float(times[-1]) + series.resolution_s, span[1])
    ends = GAP_FACTOR * series.resolution_s
    return [*([lead] if lead[1] - lead[0] > ends else []), *found,
            *([tail] if tail[1] - tail[0] > ends else [])]


def local_ms(time_s: FloatArray, zone_name: str | None) -> FloatArray:
    """Milliseconds that read as the viewer's wall clock when taken for UTC, as Plotly does.

    In the hour that autumn repeats the clock stands still, so that no line runs backwards.
    """
    wall = np.floor(1000 * wall_clock(time_s, formats.zone(zone_name)))
    return np.maximum.accumulate(wall) if wall.size else wall


def steps(series: Series, values: Values) -> tuple[FloatArray, Values]:
    """(time_s, value) for an area of shape "hv": every run ends with its last value held for
    one resolution, then zero, because Plotly fills areas across NaN. `values` belong to
    `known(series)`."""
    known_times = known(series).time_s
    times: list[FloatArray] = []
    held: list[Values] = []
    for part in runs(series):
        end = known_times[part.stop - 1] + series.resolution_s
        times += [known_times[part], np.array([end])]
        held += [values[part], np.zeros(1, np.float32)]
    if not times:
        return np.empty(0), np.empty(0, np.float32)
    return np.concatenate(times), np.concatenate(held)


def broken(series: Series, values: Values) -> tuple[FloatArray, Values]:
    """(time_s, value) for a straight line with a NaN in every gap."""
    known_times = known(series).time_s
    parts = runs(series)
    at = [part.start for part in parts[1:]]
    middle = [(known_times[i - 1] + known_times[i]) / 2 for i in at]
    return (np.insert(known_times, at, middle),
            np.insert(values, at, np.float32(np.nan)))


def alt(series: Series, name: str, span: Span | None = None,
        zone_name: str | None = None) -> str:
    """The chart in words, for who cannot see it and for the tooltip of a screenshot."""
    if not has_data(series):
        return f"{name}: no data."
    there = known(series)
    start, end = (there.time_s[0], there.time_s[-1]) if span is None else span
    when = (f"{formats.local_time(_moment(start), zone_name)} to "
            f"{formats.local_time(_moment(end), zone_name)}")
    low, high, mean = (_worded(series.metric, x) for x in (
        float(np.nanmin(there.minimum)), float(np.nanmax(there.maximum)),
        float(there.mean.mean(dtype=np.float64))))
    last = _worded(series.metric, float(there.mean[-1]))
    return (f"{name}, {when}: lowest {low}, highest {high}, mean {mean}, last {last}."
            f"{_missing(gaps(series, span))}")


def _missing(found: list[tuple[float, float]]) -> str:
    if not found:
        return ""
    total = sum(end - start for start, end in found)
    where = "" if len(found) == 1 else f" in {len(found)} gaps"
    return f" No data for {formats.age(total)}{where}."


def _moment(time_s: float) -> datetime:
    return datetime.fromtimestamp(float(time_s), tz=formats.zone("UTC"))


def _worded(metric: str, x: float) -> str:
    if metric in BY_NAME:
        return str(formats.value(metric, x))
    return formats.number(x, 2) if np.isfinite(x) else MISSING
