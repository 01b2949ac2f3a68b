"""Which alarms are active, by the rule of a pump's own table."""

from __future__ import annotations

import math

import numpy as np

from core.heatpump.log import Floats, PumpLog
from core.pump import AlarmTable


def active_codes(on: Floats, code: Floats, table: AlarmTable) -> Floats:
    """The active alarm code of each cell, float64[k]: 0 = none, NaN = not known, -1 = an alarm
    without a code. on: `alarm_on`; code: `alarm_code`; both all NaN where the pump has none.

    Rule "flag": active only while `on` is above 0, the code alone is history. Rule "code": a
    code above 0 that is not one of those that only inform.
    """
    whole = np.where(np.isfinite(code), np.round(code), np.nan)
    informs = np.isin(whole, list(table.not_alarms))
    numbered = np.where(informs, 0.0, whole)
    if table.rule == "code" and np.isfinite(code).any():
        return np.maximum(numbered, 0.0)
    raised = np.where(numbered > 0, numbered, -1.0)
    raised = np.where(informs, 0.0, raised)
    return np.where(np.isfinite(on), np.where(on > 0, raised, 0.0), np.nan)


def of_log(log: PumpLog, table: AlarmTable) -> Floats:
    """`active_codes` of a log, out of the highest code of each cell: a mean of two codes is a
    third one that never occurred."""
    return active_codes(log.peak("alarm_on"), log.peak("alarm_code"), table)


def code_now(on: float, code: float, table: AlarmTable) -> float:
    """`active_codes` of the newest values."""
    return float(active_codes(np.array([on]), np.array([code]), table)[0])


def bits_of(bits: float, table: AlarmTable) -> tuple[int, ...]:
    """The numbers of the bits of `alarm_bits` that are set and that are in the table."""
    if not math.isfinite(bits) or bits < 0:
        return ()
    whole = round(bits)
    return tuple(number for number in sorted(table.bits) if whole >> number & 1)


def alarm_words(alarms: AlarmTable, code: float, flag: float, bits: float) -> tuple[bool, str]:
    """Whether an alarm is active now, and what is to say of it, "" where there is nothing. code,
    flag, bits: the newest `alarm_code`, `alarm_on` and `alarm_bits`, NaN = not known. A code that
    only informs, and the last code of a rule "flag", are said and are no alarm."""
    found = code_now(flag, code, alarms)
    set_bits = bits_of(bits, alarms)
    said = [alarms.bits[number] for number in set_bits]
    if math.isfinite(found) and found != 0:
        return True, ", ".join([_code_words(alarms, found), *said])
    if said:
        return True, ", ".join(said)
    if not math.isfinite(found) and not math.isfinite(bits):
        return False, "not known whether there is an alarm"
    return False, _history(alarms, code)


def _code_words(alarms: AlarmTable, code: float) -> str:
    if code < 0:
        return "an alarm without a code"
    number = round(code)
    words = alarms.codes.get(number)
    return f"{words}, alarm {number}" if words else f"alarm {number}, not in the table"


def _history(alarms: AlarmTable, code: float) -> str:
    """Of a code that is no alarm now."""
    if not math.isfinite(code) or round(code) <= 0:
        return ""
    if round(code) in alarms.not_alarms:
        return alarms.codes.get(round(code), f"message {round(code)}, not in the table")
    return f"none now; the last one: {_code_words(alarms, code)}"
