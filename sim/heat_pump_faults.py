"""What can go wrong in a simulated heat pump: a fixed list, started and stopped by name."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.errors import UnknownIdError
from core.pump import AlarmTable
from sim.heat_pump_kernel import SOUND, Damage

BRINE_LOW = "heat_pump_brine_low"
FALLING_REFRIGERANT = "heat_pump_falling_refrigerant"
SENSOR_BREAK = "heat_pump_sensor_break"
SHORT_CYCLING = "heat_pump_short_cycling"
STUCK_VALVE = "heat_pump_stuck_valve"
NAMES = (BRINE_LOW, FALLING_REFRIGERANT, SENSOR_BREAK, SHORT_CYCLING, STUCK_VALVE)
OF_BRINE = (BRINE_LOW,)

FALLING_S, LEAST_CHARGE = 6 * 3600.0, 0.5
BRINE_FALLING_S, LEAST_BRINE = 1800.0, 0.35

ALARMS: dict[str, tuple[float, str]] = {
    BRINE_LOW: (1200.0, r"low htf out|brine out under limit|low flow brine|low brine flow|brine"),
    FALLING_REFRIGERANT: (4 * 3600.0, r"low pressure"),
    SENSOR_BREAK: (30.0, r"outdoor sensor|sensor fault bt1\b|outdoor"),
    SHORT_CYCLING: (3600.0, r"short compressor"),
}
"""After how long a fault raises an alarm [s], and by which words its table names it; the first
alternative that the table has."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """code: of `alarm_code`, 0 = the table has none; bits: of `alarm_bits`."""

    code: int = 0
    bits: int = 0

    @property
    def active(self) -> bool:
        return self.code > 0 or self.bits > 0


NO_ALARM = Alarm()


@dataclass(frozen=True, slots=True)
class State:
    """What the running faults make of the pump. outdoor_known: whether the control can read its
    outdoor sensor. last_code: of the last alarm that was raised, 0 = none yet."""

    damage: Damage = SOUND
    outdoor_known: bool = True
    alarm: Alarm = NO_ALARM
    last_code: int = 0


ALL_SOUND = State()


class PumpFaults:
    """Which faults run; started and stopped by any thread while another one polls.

    left_out: names of faults that this pump cannot have.
    """

    def __init__(self, left_out: Sequence[str]) -> None:
        self.names = tuple(name for name in NAMES if name not in left_out)
        self._lock = threading.Lock()
        self._began_s: dict[str, float] = {}
        self._last_code = 0
        self._stuck: bool | None = None

    def start(self, name: str, now_s: float) -> None:
        """Start one, anew where it runs already; raises UnknownIdError."""
        if name not in self.names:
            raise UnknownIdError(f"no fault script is called {name[:80]!r}; "
                                 f"there are {', '.join(self.names)}")
        with self._lock:
            self._began_s = {**self._began_s, name: now_s}

    def stop(self) -> None:
        with self._lock:
            self._began_s = {}

    def began_s(self) -> dict[str, float]:
        """When each running one began (seconds since 1970); not to be written to."""
        return self._began_s

    def at(self, now_s: float, valve: bool, table: AlarmTable) -> State:
        """At `now_s`; for the polling thread alone. valve: where it stands now."""
        began_s = self._began_s
        if not began_s:
            self._stuck = None
            return replace(ALL_SOUND, last_code=self._last_code)
        if STUCK_VALVE not in began_s:
            self._stuck = None
        elif self._stuck is None:
            self._stuck = valve
        alarm = alarm_of(table, began_s, now_s)
        self._last_code = alarm.code or self._last_code
        return State(damage_of(began_s, now_s, self._stuck), SENSOR_BREAK not in began_s, alarm,
                     self._last_code)


def damage_of(began_s: Mapping[str, float], now_s: float, stuck: bool | None) -> Damage:
    """What the running faults have done by `now_s`. stuck: where the valve stuck, or None."""
    since_s = {name: max(now_s - began, 0.0) for name, began in began_s.items()}
    charge = _falls(since_s.get(FALLING_REFRIGERANT), FALLING_S, LEAST_CHARGE)
    brine = _falls(since_s.get(BRINE_LOW), BRINE_FALLING_S, LEAST_BRINE)
    return Damage(charge, stuck, brine, SHORT_CYCLING in began_s)


def _falls(since_s: float | None, lasting_s: float, least: float) -> float:
    return 1.0 if since_s is None else 1.0 - (1.0 - least) * min(since_s / lasting_s, 1.0)


def alarm_of(table: AlarmTable, began_s: Mapping[str, float], now_s: float) -> Alarm:
    """The alarm of the youngest fault that has one by now."""
    for name, began in sorted(began_s.items(), key=lambda item: -item[1]):
        after_s, words = ALARMS.get(name, (float("inf"), ""))
        if now_s - began < after_s:
            continue
        code, bit = _named(table.codes, words), _named(table.bits, words)
        if code is not None or bit is not None:
            return Alarm(code or 0, 0 if bit is None else 1 << bit)
    return NO_ALARM


def _named(texts: Mapping[int, str], words: str) -> int | None:
    for alternative in words.split("|"):
        for number, text in texts.items():
            if re.search(alternative, text, re.IGNORECASE):
                return number
    return None
