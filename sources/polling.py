"""Sources that ask somebody else's server: a thread of their own asks, `poll` only looks.

The thread asks every period, sooner after a failure, later when the server wants that, and
never more often than the hourly budget allows.
"""

from __future__ import annotations

import math
import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Generic, Protocol, TypeVar

import numpy as np

from core.clock import Clock, SystemClock
from core.devices import Device, in_order
from core.errors import ConfigurationError, GiveUpError, NotYetError, SourceError
from core.frames import Reading
from core.houses import House
from core.ports import PollHealth, SourceInfo, Talk
from core.quantities import QUANTITY
from core.talk import Conversation
from core.topology import NodeSpec, Topology
from sources.http import FILE, LIMITS, PROBE_LIMITS, HttpError, Limits, Server, Session

HOUR = timedelta(hours=1)
FIRST_PAUSE_S = 5.0
HASTE_S = 1.0  # an impatient person asks no more often
MOST_DOUBLINGS = 16
CLOSE_WAIT_S = 2.0  # a name that is being looked up cannot be interrupted; the thread is a daemon
STALE_PERIODS = 2.5
FUTURE_S = 300.0  # clocks that differ by more cannot both be right
SAID = 5

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pace:
    """period_s: between two questions [s]. per_hour: requests within any hour, 0 = any number."""

    period_s: float
    per_hour: int = 0


def check_pace(source: str, pace: Pace, requests_each: int = 1) -> None:
    """Raises ConfigurationError for a budget that the period alone would use up."""
    if pace.per_hour and pace.per_hour * pace.period_s < 3600 * requests_each:
        raise ConfigurationError(
            FILE, f"{source}.period_s", pace.period_s, "at least "
            f"{3600 * requests_each / pace.per_hour:.4g} with requests_per_hour = "
            f"{pace.per_hour}, or a larger requests_per_hour")


class Budget:
    """Counts the requests within a sliding hour and keeps them to `allowed`, 0 = any number."""

    def __init__(self, host: str, allowed: int, clock: Clock) -> None:
        self.asked_at: datetime | None = None
        self._host = host
        self._allowed = allowed
        self._clock = clock
        self._lock = threading.Lock()
        self._sent: deque[datetime] = deque()

    def take(self) -> None:
        """Count one request that is about to be sent; raises HttpError when none is left."""
        with self._lock:
            now = self._forget()
            if self._allowed and len(self._sent) >= self._allowed:
                after = min(self._sent[0] + HOUR - now, HOUR)
                raise HttpError(
                    f"{self._host}: the {self._allowed} requests an hour that requests_per_hour "
                    f"allows are used up; it is asked again after {now + after:%H:%M:%S} UTC",
                    after_s=after.total_seconds())
            self._sent.append(now)
            self.asked_at = now

    def used(self) -> int:
        with self._lock:
            self._forget()
            return len(self._sent)

    def _forget(self) -> datetime:
        now = self._clock.now()
        while self._sent and abs(now - self._sent[0]) >= HOUR:  # abs: a clock may be set back
            self._sent.popleft()
        return now


@dataclass(frozen=True, slots=True)
class _State(Generic[T]):
    """answer: the newest. error: why the last question brought none, "" when it did. waits: the
    server answers and has nothing to tell yet."""

    answer: T | None = None
    error: str = ""
    waits: str = ""
    failures: int = 0


class Poller(Generic[T]):
    """Calls `fetch` on a daemon thread and keeps what came last. jitter: tells 0..1. ping_path:
    what a ping asks for, below base_url."""

    def __init__(self, fetch: Callable[[Session], T], server: Server, pace: Pace, *,
                 clock: Clock | None = None, limits: Limits = LIMITS,
                 jitter: Callable[[], float] = random.random,
                 session_type: type[Session] = Session, ping_path: str = "/") -> None:
        self._fetch = fetch
        self._server = server
        self._host = server.host
        self._pace = pace
        self._clock = clock or SystemClock()
        self._jitter = jitter
        self._budget = Budget(server.host, pace.per_hour, self._clock)
        self._ping_path = ping_path
        self.talk = Conversation(self._clock)
        self._session = session_type(server, limits, self._clock, self._budget.take, self.talk)
        self._state: _State[T] = _State()
        self._step_at: datetime | None = None
        self._quiet_until: datetime | None = None
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"poll {server.host}", daemon=True)

    def start(self) -> None:
        """Begin to ask; comes back at once."""
        if self._thread.ident is None and not self._stop.is_set():
            self._thread.start()

    def close(self) -> None:
        """End the thread, also in the middle of a wait or a request."""
        self._stop.set()
        self._wake.set()
        self._session.close()
        if self._thread.is_alive():
            self._thread.join(CLOSE_WAIT_S)

    def ask_now(self) -> None:
        """Ask before the period is over, without waiting. Raises SourceError while the server
        wants to be left alone, and within HASTE_S of the last question."""
        now, asked_at = self._refuse_quiet(), self._step_at
        if asked_at is not None and abs((now - asked_at).total_seconds()) < HASTE_S:
            raise SourceError(f"{self._host} was asked a moment ago; its answer is on its way")
        self._wake.set()

    def _refuse_quiet(self) -> datetime:
        """The time now, where the server does not want to be left alone."""
        now, until = self._clock.now(), self._quiet_until
        if until is not None and now < until:
            raise SourceError(f"{self._host}: {self._state.error or 'it wants a pause'}; it is "
                              f"left alone until {until:%H:%M:%S} UTC")
        return now

    def reconnect(self) -> None:
        """Cut the question under way, forget the pause after failures, and ask anew on a fresh
        connection. Raises SourceError while the server wants to be left alone."""
        self._refuse_quiet()
        self.talk.sent(f"connects to {self._host} anew")
        self._session.cut()
        self._wake.set()

    def ping(self) -> float:
        """Round trip of a small question of its own, within the hourly budget [s]; blocks for
        a few seconds at most. Raises SourceError when nothing is answered."""
        session = Session(self._server, PROBE_LIMITS, self._clock, self._budget.take, self.talk)
        try:
            return session.round_trip(self._ping_path)
        except SourceError as error:
            self.talk.error(str(error))
            raise
        finally:
            session.close()

    def newest(self, now: datetime) -> T:
        """The answer that came last. Raises SourceError when the last question brought none,
        NotYetError before the first answer."""
        state = self._state
        if state.error:
            raise SourceError(state.error)
        if state.waits:
            raise NotYetError(state.waits)
        if state.answer is None:
            raise NotYetError(f"{self._host}: {self._asked(now)}; the first answer is on its way")
        return state.answer

    def poll_health(self) -> PollHealth:
        return PollHealth(self._budget.used(), self._pace.per_hour, self._state.failures,
                          self._budget.asked_at)

    def step(self) -> float:
        """Ask once; the seconds until it is time to ask again. Called by the thread, and by
        tests directly."""
        began = self._step_at = self._clock.now()
        try:
            answer = self._fetch(self._session)
        except NotYetError as error:
            self._state = replace(self._state, error="", waits=str(error), failures=0)
        except SourceError as error:
            return self._failed(str(error), getattr(error, "after_s", 0.0))
        except Exception as error:  # noqa: BLE001 - a dead thread looks like a silent server
            return self._failed(f"{self._host}: unexpected {type(error).__name__}; this is a "
                                "defect of Orrery, please report it", 0.0)
        else:
            self._state = _State(answer)
        self._quiet_until = None
        spent_s = (self._clock.now() - began).total_seconds()
        return min(max(self._pace.period_s - spent_s, 0.0), self._pace.period_s)

    def _failed(self, why: str, after_s: float) -> float:
        failures = self._state.failures + 1
        self._state = replace(self._state, error=why, waits="", failures=failures)
        self._quiet_until = self._clock.now() + timedelta(seconds=after_s) if after_s else None
        self.talk.error(why)
        doubled_s = FIRST_PAUSE_S * 2.0 ** min(failures - 1, MOST_DOUBLINGS)
        pause_s = min(doubled_s, self._pace.period_s) * (0.5 + 0.5 * self._jitter())
        return max(pause_s, after_s)

    def _asked(self, now: datetime) -> str:
        at = self._budget.asked_at
        if at is None:
            return "not asked yet"
        return f"asked {max((now - at).total_seconds(), 0.0):.0f} s ago"

    def _run(self) -> None:
        while not self._stop.is_set():
            self._clock.wait(self.step(), self._wake)
            self._wake.clear()


@dataclass(frozen=True, slots=True)
class Told:
    """What a server told. measured_at: UTC. values: device id -> quantity -> value in Orrery's
    unit and sign; what is left out is missing. unheard: (device id, quantity) of what was not
    measured lately: its last value stays and ages."""

    measured_at: datetime
    values: Mapping[str, Mapping[str, float]]
    unheard: frozenset[tuple[str, str]] = frozenset()


class Reader(Protocol):
    """Asks a server once. dropped: how many values were not used, by reason."""

    dropped: Counter[str]

    def __call__(self, session: Session) -> Told: ...


class PolledSource:
    """DeviceSource, PollingSource, TalkingSource and ReconnectingSource of kind "live", without
    systems. silent_s: an answer whose values are older than this is none [s]."""

    def __init__(self, info: SourceInfo, devices: Sequence[Device], reader: Reader,
                 poller: Poller[Told], silent_s: float) -> None:
        self._info = info
        self._devices = tuple(devices)
        self._reader = reader
        self._silent_s = silent_s
        self.poller = poller

    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def roots(self) -> Sequence[NodeSpec]:
        return ()

    @property
    def devices(self) -> Sequence[Device]:
        return self._devices

    @property
    def houses(self) -> Sequence[House]:
        """None of its own: a person describes the house in orrery.toml."""
        return ()

    @property
    def dropped(self) -> dict[str, int]:
        """Values that were not used, counted by reason."""
        return dict(self._reader.dropped)

    def start(self, now: datetime, topology: Topology) -> None:
        """Begin to ask; comes back at once."""
        _aware(now)
        self.poller.start()

    def poll(self, now: datetime) -> Reading:
        """What the server told last: float64[c] in the devices' order, no columns. Raises
        NotYetError before the first answer, SourceError when the last question brought none."""
        _aware(now)
        told = self.poller.newest(now)
        age_s = (now - told.measured_at).total_seconds()
        if age_s > self._silent_s:
            raise SourceError(f"{self._info.label}: the server answers, but its newest value is "
                              f"{age_text(age_s)} old; see whether the device is on and online")
        heard = np.array([(device.id, name) not in told.unheard
                          for device in self._devices for name in device.quantities], dtype=bool)
        return Reading(min(told.measured_at, now.astimezone(UTC)), {},
                       channels=in_order(self._devices, told.values), channels_heard=heard)

    def poll_health(self) -> PollHealth:
        return self.poller.poll_health()

    def talk(self) -> Talk:
        return self.poller.talk.talk()

    def ping(self) -> float:
        return self.poller.ping()

    def ask_now(self) -> None:
        self.poller.ask_now()

    def reconnect(self) -> None:
        self.poller.reconnect()

    def close(self) -> None:
        self.poller.close()


def _aware(now: datetime) -> None:
    if now.tzinfo is None:
        raise GiveUpError("law 3: a time without a zone")


class InOrder(Generic[T]):
    """Keeps what is told from going back in time: of several servers behind one address, one
    may tell something older after another told something newer, and that is then dropped."""

    def __init__(self, dropped: Counter[str]) -> None:
        self._dropped = dropped
        self._last: tuple[datetime, T] | None = None

    def newest(self, measured_at: datetime, told: T) -> tuple[datetime, T]:
        """What was measured last, this or the one before."""
        if self._last is not None and measured_at < self._last[0]:
            self._dropped["out of order"] += 1
            return self._last
        self._last = (measured_at, told)
        return self._last


def checked(values: Mapping[str, float], dropped: Counter[str]) -> dict[str, float]:
    """By quantity, without what is not plausible (law 11), which is counted."""
    kept = {}
    for name, value in values.items():
        low, high = QUANTITY[name].plausible
        if low <= value <= high:
            kept[name] = value
        elif value == value:
            dropped["implausible"] += 1
    return kept


def probe_once(reader: Reader, server: Server, devices: Sequence[Device], limits: Limits,
               clock: Clock | None = None) -> str:
    """Ask once and say what was found; blocks. Raises SourceError when nothing can be read."""
    clock = clock or SystemClock()
    session = Session(server, limits, clock)
    try:
        told = reader(session)
    except NotYetError as error:
        return str(error)
    finally:
        session.close()
    age_s = (clock.now() - told.measured_at).total_seconds()
    parts = [f"{device.label}: {said(device, told.values.get(device.id, {}))}"
             for device in devices]
    return f"{server.host}. {'; '.join(parts)}; {age_text(age_s)} old."


def said(device: Device, values: Mapping[str, float]) -> str:
    """The first of the values by quantity that a device tells, as a person reads them."""
    told = [f"{QUANTITY[name].label.lower()} {values[name]:.{QUANTITY[name].decimals}f} "
            f"{QUANTITY[name].unit}".strip() for name in device.quantities
            if math.isfinite(values.get(name, math.nan))]
    return ", ".join(told[:SAID]) or "nothing"


def age_text(age_s: float) -> str:
    """"2 s", "14 min", "3 h", "5 days"."""
    for limit_s, unit_s, unit in ((120.0, 1.0, "s"), (7200.0, 60.0, "min"),
                                  (172_800.0, 3600.0, "h")):
        if age_s < limit_s:
            return f"{max(age_s, 0.0) / unit_s:.0f} {unit}"
    return f"{age_s / 86_400.0:.0f} days"
