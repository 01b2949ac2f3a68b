"""What happened, as a list: switches, the auxiliary heater, alarms and silences."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.heatpump import alarms, switches
from core.heatpump.counters import carried
from core.heatpump.log import Flags, Floats, PumpLog
from core.heatpump.spans import BRIDGED_S, spans
from core.pump import Pump

Kind = Literal["compressor", "brine_pump", "radiator_pump", "valve", "defrost", "auxiliary",
               "alarm", "alarm_bit", "silence"]
What = Literal["on", "off", "hot_water_start", "hot_water_stop", "changed", "raised", "cleared",
               "begins", "ends"]

# A change of the auxiliary heater by more than this is an event [per cent points, kW].
AUXILIARY_CHANGE_PCT, AUXILIARY_CHANGE_KW = 10.0, 0.5
# A silence is told from this long, and from two cells [s].
SILENCE_S = 120.0
LIMIT = 200


@dataclass(frozen=True, slots=True)
class Event:
    """time_s [s since 1970]. value: of "auxiliary" what it is now, in `unit` [%, or kW where the
    pump only tells that; NaN of steps]; of "alarm" the code (-1 = without one), of "alarm_bit"
    the bit's number; of "silence" "ends" how long it was [s]; else NaN."""

    time_s: float
    kind: Kind
    what: What
    value: float = float("nan")
    unit: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    """n events of one kind; all float64[n]. unit: of their values."""

    time_s: Floats
    kind: Kind
    what: list[What]
    value: Floats
    unit: str = ""


def events(log: PumpLog, pump: Pump, limit: int = LIMIT) -> list[Event]:
    """The newest `limit` events of a log, newest first. What is on or active when the log
    begins, or after a silence, is no event: nobody saw it happen."""
    found = [
        _switch(log, switches.compressor(log), "compressor"),
        _switch(log, log.column("brine_pump_on"), "brine_pump"),
        _switch(log, log.column("radiator_pump_on"), "radiator_pump"),
        _switch(log, switches.water(log), "valve", "hot_water_start", "hot_water_stop"),
        _switch(log, switches.defrost(log), "defrost"),
        _auxiliary(log, pump),
        _alarm(log, pump),
        *_alarm_bits(log, pump),
        _silences(log),
    ]
    times = np.concatenate([one.time_s for one in found])
    part = np.repeat(np.arange(len(found)), [one.time_s.size for one in found])
    place = np.concatenate([np.arange(one.time_s.size) for one in found])
    newest = np.argsort(times, kind="stable")[::-1][:max(limit, 0)]
    return [_event(found[int(part[row])], int(place[row])) for row in newest]


def _event(found: _Found, row: int) -> Event:
    return Event(float(found.time_s[row]), found.kind, found.what[row], float(found.value[row]),
                 found.unit)


def _of(kind: Kind, parts: list[tuple[Floats, What, Floats | None]]) -> _Found:
    times = np.concatenate([time_s for time_s, _, _ in parts])
    values = np.concatenate([np.full(time_s.size, np.nan) if value is None else value
                             for time_s, _, value in parts])
    what = [word for time_s, word, _ in parts for _ in range(time_s.size)]
    return _Found(times, kind, what, values)


def _switch(log: PumpLog, share: Floats, kind: Kind, on: What = "on", off: What = "off",
            ) -> _Found:
    found = spans(share, log.time_s, log.step_s)
    return _of(kind, [(found.start_s[~found.open_start], on, None),
                      (found.end_s[~found.open_end], off, None)])


def _auxiliary(log: PumpLog, pump: Pump) -> _Found:
    """On, off, and while on a change by more than 10 points since the last event."""
    share = switches.auxiliary(log, pump)
    level, least, unit = _level(log)
    found = spans(share, log.time_s, log.step_s)
    held = carried(level, log.step_s, BRIDGED_S)
    changes: list[int] = []
    for first, last in zip(found.first.tolist(), found.last.tolist(), strict=True):
        changes += _changes(held, first, last, least)
    rows = np.array(changes, dtype=np.int64)
    # The first cell is only in part on: how strong, the second one tells.
    steady = np.minimum(found.first + 1, found.last)[~found.open_start]
    return replace(_of("auxiliary", [
        (found.start_s[~found.open_start], "on", held[steady]),
        (found.end_s[~found.open_end], "off", None),
        (log.time_s[rows], "changed", held[rows])]), unit=unit)


def _level(log: PumpLog) -> tuple[Floats, float, str]:
    """How strong the heater is, what change of it is an event, and the unit of both."""
    for name, least, unit in (("auxiliary_pct", AUXILIARY_CHANGE_PCT, "%"),
                              ("auxiliary_power_kw", AUXILIARY_CHANGE_KW, "kW")):
        if log.tells(name):
            return log.column(name), least, unit
    return np.full(log.size, np.nan), np.inf, ""


def _changes(level: Floats, first: int, last: int, least: float) -> list[int]:
    """Cells of first..last at which the level is more than `least` off the last told one; the
    first and the last cell are only in part on."""
    inside = level[first + 1:last]
    rough = np.flatnonzero(np.abs(np.diff(inside, prepend=inside[:1])) > 0) if inside.size else ()
    told, rows = (float(inside[0]) if inside.size else np.nan), []
    for row in np.asarray(rough, dtype=np.int64).tolist():
        if abs(float(inside[row]) - told) > least:
            told = float(inside[row])
            rows.append(first + 1 + row)
    return rows


def _alarm(log: PumpLog, pump: Pump) -> _Found:
    code = carried(alarms.of_log(log, pump.alarms), log.step_s, BRIDGED_S)
    return _raised_cleared(log, code, "alarm", code)


def _alarm_bits(log: PumpLog, pump: Pump) -> list[_Found]:
    bits = carried(log.peak("alarm_bits"), log.step_s, BRIDGED_S)
    if not np.isfinite(bits).any():
        return []
    whole = np.where(np.isfinite(bits), bits, 0.0).astype(np.int64)
    found = []
    for number in sorted(pump.alarms.bits):
        is_set = np.where(np.isfinite(bits), (whole >> number & 1).astype(np.float64), np.nan)
        found.append(_raised_cleared(log, is_set, "alarm_bit",
                                     np.full(log.size, float(number))))
    return found


def _raised_cleared(log: PumpLog, state: Floats, kind: Kind, value: Floats) -> _Found:
    """state: 0 = none, else active; a change from one to another clears and raises."""
    before, after = state[:-1], state[1:]
    changed = np.isfinite(before) & np.isfinite(after) & (before != after)
    cleared: NDArray[np.int64] = np.flatnonzero(changed & (before != 0))
    raised: NDArray[np.int64] = np.flatnonzero(changed & (after != 0)) + 1
    return _of(kind, [(log.time_s[cleared + 1], "cleared", value[cleared]),
                      (log.time_s[raised], "raised", value[raised])])


def _silences(log: PumpLog) -> _Found:
    """Runs of cells of which nothing at all is known."""
    silent: Flags = ~log.known()
    edges = np.diff(np.concatenate([[False], silent, [False]]).astype(np.int8))
    first, after = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    length_s: Floats = (after - first).astype(np.float64) * log.step_s
    long = length_s >= max(SILENCE_S, 2 * log.step_s)
    first, after, length_s = first[long], after[long], length_s[long]
    seen, over = first > 0, after < log.size
    return _of("silence", [(log.time_s[first[seen]], "begins", None),
                           (log.time_s[after[over]], "ends", length_s[over])])
