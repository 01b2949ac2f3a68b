"""A heat pump whose readings lie in InfluxDB: its newest values, and its past when asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from core.clock import Clock, SystemClock, from_epoch
from core.devices import Device, channel_id, in_order
from core.errors import GiveUpError, RequestError, SourceError, UnknownIdError
from core.frames import Reading
from core.heatpump.decode import decode
from core.heatpump.profile import Profile, device_of, load_profile, require_transport
from core.houses import House
from core.ports import PollHealth, Series, SourceInfo, Talk
from core.quantities import QUANTITY
from core.topology import Level, NodeSpec, Topology
from sources.http import FILE, LIMITS, PROBE_LIMITS, Limits, Server, Session
from sources.influx_history import TRANSPORT, groups_of, one_pump, recalled
from sources.influx_http import InfluxSession
from sources.influx_options import Options, adapter_in, server_in, with_profile
from sources.influx_schema import Adapter, Newest, Question, window_for
from sources.polling import FUTURE_S, Pace, Poller, age_text

__all__ = ["InfluxSource", "Options", "create", "probe"]

RECALL_LIMITS = Limits(timeout_s=10.0, deadline_s=20.0, max_bytes=64 * 1024 * 1024)
MOST_POINTS = 20_000
LONGEST_YEARS = 30.0
SHARES = 4  # readings that lie a quarter of a period apart are told one after the other
MOST_WAITING = 64


@dataclass(frozen=True, slots=True)
class News:
    """values, time_s [s since 1970], problems in words: by quantity."""

    values: Mapping[str, float]
    time_s: Mapping[str, float]
    problems: Mapping[str, str]

    @property
    def newest_s(self) -> float:
        return max(self.time_s.values())


@dataclass(frozen=True, slots=True)
class _Heard:
    """Quantities that were measured together, at `time_s`."""

    time_s: float
    values: Mapping[str, float]


def create(name: str, options: Options, levels: tuple[Level, ...], *,
           clock: Clock | None = None, limits: Limits = LIMITS) -> InfluxSource:
    """One pump; raises ConfigurationError. Asks from `start` on."""
    options = with_profile(name, options)
    profile = load_profile(options.profile)
    server = server_in(name, options)
    require_transport(profile, TRANSPORT, name, FILE)
    adapter = adapter_in(name, options, server)
    return InfluxSource(name, options, profile, server, adapter, clock or SystemClock(), limits)


def probe(options: Options, *, limits: Limits = PROBE_LIMITS, clock: Clock | None = None) -> str:
    """Ask once and say what was found; blocks. Raises SourceError and ConfigurationError."""
    source = create("influx", options, (), clock=clock, limits=limits)
    try:
        return source.found()
    finally:
        source.close()


class InfluxSource:
    """DeviceSource, PollingSource, RememberingSource, TalkingSource, ProblemTelling; "live"."""

    def __init__(self, name: str, options: Options, profile: Profile, server: Server,
                 adapter: Adapter, clock: Clock, limits: Limits) -> None:
        self._device = device_of(options, profile, name, FILE)
        self._info = SourceInfo(name, self._device.label, "live", options.period_s,
                                max(options.stale_after_s, options.period_s), "discharge")
        self.profile, self._server, self._adapter = profile, server, adapter
        self._registers = tuple(dict.fromkeys(one.id for one in profile.registers))
        self._past = timedelta(seconds=options.past_s)
        self._clock, self._limits, self._recall_limits = clock, limits, RECALL_LIMITS
        self._close_s = options.period_s / SHARES
        self._news: News | None = None
        self._waiting: deque[_Heard] = deque(maxlen=MOST_WAITING)
        self._left_out: dict[str, str] = {}
        self.poller: Poller[News] = Poller(
            self._asked, server, Pace(options.period_s), clock=clock, limits=limits,
            session_type=InfluxSession, ping_path="/ping")

    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def roots(self) -> Sequence[NodeSpec]:
        return ()

    @property
    def devices(self) -> Sequence[Device]:
        return (self._device,)

    @property
    def houses(self) -> Sequence[House]:
        """None of its own: a person describes the house in orrery.toml."""
        return ()

    def problems(self) -> Mapping[str, str]:
        """By quantity: why its newest value, or a part of the past that was asked for last, is
        not used."""
        news = self._news
        found = {**self._left_out, **(news.problems if news else {})}
        return {name: words for name, words in found.items() if words}

    def start(self, now: datetime, topology: Topology) -> None:
        """Begin to ask; comes back at once."""
        _aware(now)
        self.poller.start()

    def poll(self, now: datetime) -> Reading:
        """What was measured together, the oldest first, one such group a call; the newest again
        and again. Raises NotYetError before the first answer, SourceError when the last
        question brought none, or nothing that is young enough."""
        _aware(now)
        news = self.poller.newest(now)
        if news is not self._news:
            self._news = news
            self._waiting.extend(_groups(news, self._close_s))
        age_s = now.timestamp() - news.newest_s
        if age_s > self._past.total_seconds():
            raise SourceError(self._silent(age_s))
        heard = self._waiting.popleft() if len(self._waiting) > 1 else self._waiting[0]
        names = self._device.quantities
        return Reading(min(from_epoch(heard.time_s), now.astimezone(UTC)), {},
                       channels=in_order([self._device], {self._device.id: heard.values}),
                       channels_heard=np.array([name in heard.values for name in names]))

    def poll_health(self) -> PollHealth:
        return self.poller.poll_health()

    def close(self) -> None:
        self.poller.close()
        self._adapter.close()

    def recall(self, channel_ids: Sequence[str], start: datetime, end: datetime,
               max_points: int = 1000) -> list[Series]:
        """Windows that begin within [start, end]. Raises UnknownIdError, RequestError for times
        that are none, and SourceError."""
        own = {channel_id(self._device.id, name): name for name in self._device.quantities}
        for name in channel_ids:
            if name not in own:
                raise UnknownIdError(f"no channel is called {str(name)[:80]!r}")
        _check_range(start, end, max_points)
        quantities = [own[name] for name in channel_ids]
        if not quantities or end < start:
            return [_empty(name) for name in channel_ids]
        question = self._question(quantities, start, end, max_points)
        session = InfluxSession(self._server, self._recall_limits, self._clock,
                                talk=self.poller.talk)
        try:
            found = self._adapter.windows(session, question)
            told = recalled(self.profile, self._device.id, quantities, found, question.window_s)
        except SourceError as error:
            self.poller.talk.error(str(error))
            raise
        self._left_out = {**self._left_out, **dict.fromkeys(quantities, ""), **told.problems}
        return told.series

    def _question(self, quantities: Sequence[str], start: datetime, end: datetime,
                  max_points: int) -> Question:
        window_s = window_for(start, end, max_points)
        begin = from_epoch(float(np.ceil(start.timestamp() / window_s)) * window_s)
        return Question(groups_of(self.profile, quantities), min(begin, end), end, window_s)

    def talk(self) -> Talk:
        return self.poller.talk.talk()

    def ping(self) -> float:
        return self.poller.ping()

    def ask_now(self) -> None:
        self.poller.ask_now()

    def reconnect(self) -> None:
        self.poller.reconnect()

    def found(self) -> str:
        """Ask once, on this thread, and say in a sentence what there is; raises SourceError."""
        session = InfluxSession(self._server, self._limits, self._clock)
        try:
            news = self._asked(session)
        finally:
            session.close()
        said = [f"{QUANTITY[name].label.lower()} {value:.{QUANTITY[name].decimals}f} "
                f"{QUANTITY[name].unit}".strip()
                for name in self._device.quantities
                if np.isfinite(value := news.values.get(name, np.nan))]
        age_s = self._clock.now().timestamp() - news.newest_s
        more = f"; not used: {len(news.problems)}" if news.problems else ""
        return (f"{self._server.host}. {self._device.label}: {', '.join(said[:5]) or 'nothing'}; "
                f"{age_text(age_s)} old{more}.")

    def _asked(self, session: Session) -> News:
        """The newest value of every register; raises SourceError where there is none."""
        assert isinstance(session, InfluxSession)
        now = self._clock.now()
        found = self._adapter.newest(session, self._registers, now - self._past,
                                     now + timedelta(seconds=FUTURE_S))
        one_pump(found)
        if not found:
            raise SourceError(
                f"{self._server.host} answers, but holds no reading of this pump within the last "
                f"{age_text(self._past.total_seconds())}; see whether the collector runs, and "
                "correct bucket, measurement, pump or profile")
        return self._decoded(found)

    def _decoded(self, found: Sequence[Newest]) -> News:
        """By quantity, each with the time of its register; raises SourceError where nothing of
        it can be used."""
        at_s = {one.register_id: one.time_s for one in found}
        decoded = decode(self.profile, TRANSPORT, {one.register_id: one.value for one in found})
        time_s = {register.metric: at_s[register.id] for register in reversed(
            self.profile.registers) if register.id in at_s and register.metric in decoded.values}
        if not any(np.isfinite(value) for value in decoded.values.values()):
            why = next(iter(decoded.problems.values()), "all its sensors are absent")
            raise SourceError(f"{self._server.host}: no reading of this pump can be used: {why}")
        return News({name: value for name, value in decoded.values.items() if name in time_s},
                    time_s, {register.metric: decoded.problems[register.id]
                             for register in reversed(self.profile.registers)
                             if register.id in decoded.problems})

    def _silent(self, age_s: float) -> str:
        return (f"{self._info.label}: InfluxDB answers, but its newest reading is "
                f"{age_text(age_s)} old; see whether the collector runs")


def _groups(news: News, close_s: float) -> list[_Heard]:
    """Quantities that were measured at most `close_s` apart, each group at its oldest."""
    groups: list[_Heard] = []
    for name in sorted(news.time_s, key=lambda name: news.time_s[name]):
        at_s = news.time_s[name]
        if groups and at_s - groups[-1].time_s <= close_s:
            groups[-1] = _Heard(groups[-1].time_s,
                                {**groups[-1].values, name: news.values[name]})
        else:
            groups.append(_Heard(at_s, {name: news.values[name]}))
    return groups


def _check_range(start: datetime, end: datetime, max_points: int) -> None:
    """Raises RequestError (law 11)."""
    for when in (start, end):
        if not isinstance(when, datetime) or when.tzinfo is None:
            raise RequestError("a range is two times with a zone, not " + repr(when)[:40])
    if end - start > timedelta(days=366 * LONGEST_YEARS):
        raise RequestError(f"a range is at most {LONGEST_YEARS:g} years")
    if not isinstance(max_points, int) or not 1 < max_points <= MOST_POINTS:
        raise RequestError(f"max_points is 2 to {MOST_POINTS}")


def _empty(name: str) -> Series:
    nothing = np.zeros(0, dtype=np.float32)
    return Series(name, "value", np.zeros(0), nothing, nothing, nothing, 1.0)


def _aware(now: datetime) -> None:
    if now.tzinfo is None:
        raise GiveUpError("law 3: a time without a zone")
