"""The ports of the house: what a source and a store must be able to do.

Contract suites in `tests/contracts` hold every implementation to the words here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from core.devices import Device
from core.frames import Frame, Reading
from core.houses import House
from core.topology import IndexArray, NodeSpec, Topology


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """How a person is told about a source.

    kind: "simulated", "recorded" or "live". period_s: seconds between its readings [s].
    stale_after_s: older than this is stale [s] (law 4). native_sign: which direction the
    device itself counts as positive, "discharge" or "charge" (law 1).
    """

    name: str
    label: str
    kind: str
    period_s: float
    stale_after_s: float
    native_sign: str
    attribution: str = ""


class Source(Protocol):
    """Yields readings of its own part of the site; converts sign and units itself (laws 1, 2)."""

    @property
    def info(self) -> SourceInfo: ...

    @property
    def roots(self) -> Sequence[NodeSpec]:
        """The systems it describes; fixed for the source's life."""
        ...

    def start(self, now: datetime, topology: Topology) -> None:
        """Called once before the first poll with the topology of `roots` alone."""
        ...

    def poll(self, now: datetime) -> Reading:
        """Newest knowledge at `now`; raises SourceError when the device does not answer."""
        ...

    def close(self) -> None: ...


class DeviceSource(Source, Protocol):
    """A source of devices; its readings have `channels`. It may have no systems at all."""

    @property
    def devices(self) -> Sequence[Device]:
        """Fixed for the source's life."""
        ...

    @property
    def houses(self) -> Sequence[House]:
        """Houses that it knows itself, which orrery.toml need not describe: simulators and
        recordings; live sources know none."""
        ...


@dataclass(frozen=True, slots=True)
class PollHealth:
    """Of a source that asks somebody else's server. requests, allowed: sent within the last
    hour, and how many it allows itself. failures: polls in a row without an answer.
    asked_at: when it last asked (UTC)."""

    requests: int
    allowed: int
    failures: int
    asked_at: datetime | None


class PollingSource(Source, Protocol):
    """A source with a request budget of its own."""

    def poll_health(self) -> PollHealth: ...


class PastTellingSource(DeviceSource, Protocol):
    """A source of devices that can tell their past: only simulators can. past_days: how far
    back it is asked."""

    past_days: int

    def tell_past(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """What its channels were at `time_s` float64[k], seconds since 1970, as float64[k, c];
        asked once, with times that rise from call to call and end before the first poll.
        Called on a thread of its own beside `poll`."""
        ...


class RememberingSource(DeviceSource, Protocol):
    """A source with a history of its own, a time-series server: it is asked for the past of its
    channels instead of Orrery's history."""

    def recall(self, channel_ids: Sequence[str], start: datetime, end: datetime,
               max_points: int = 1000) -> list[Series]:
        """As `ChannelHistory.series`, for its own channels alone, on the caller's thread and
        bounded in time. Raises SourceError in words that say what to do (law 10)."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """One line of what a source and its device said to each other, secrets left out. at: UTC;
    way: "in" = heard, "out" = sent, "error" = what failed."""

    at: datetime
    way: Literal["in", "out", "error"]
    text: str


@dataclass(frozen=True, slots=True)
class Talk:
    """messages: the newest ones, oldest first. heard, sent, failed: counts since the start.
    rate: messages heard a second over the last minute [1/s]."""

    messages: tuple[Message, ...]
    heard: int
    sent: int
    failed: int
    rate: float = 0.0


class TalkingSource(Source, Protocol):
    """A source whose conversation with its device can be looked at and tried."""

    def talk(self) -> Talk: ...

    def ping(self) -> float:
        """Round trip of the smallest question that its device answers [s], on the caller's
        thread and bounded in time; raises SourceError in words that say what to do."""
        ...

    def ask_now(self) -> None:
        """Ask the device for everything now, without waiting for the answer; raises SourceError
        when it was asked a moment ago, or wants to be left alone."""
        ...


class ReconnectingSource(Source, Protocol):
    """A source with a connection: to a server, a broker or a device."""

    def reconnect(self) -> None:
        """Leave it and come back, on a person's word and thread; what keeps it away for a while
        is forgotten. Raises SourceError where it wants to be left alone."""
        ...


class ProblemTelling(Source, Protocol):
    """A source that says which of its newest readings it had to refuse."""

    def problems(self) -> Mapping[str, str]:
        """Quantity -> why its newest reading is not used, in words; {} when all is well."""
        ...


class BackfillingSource(Source, Protocol):
    """A source that can tell its own past: a simulator, or a `KeptSource`."""

    def backfill(self, start: datetime, end: datetime, step_s: float) -> Iterator[Reading]:
        """Readings from `start` to `end`, continuous with the first live poll after `end`."""
        ...


class KeptSource(BackfillingSource, Protocol):
    """A source whose devices' words are kept by a store of their own, whether or not this process
    runs: its `backfill` tells what they really said, and also fills a hole of history. `late` tells
    which minutes came into that store when history had gone past them."""

    def kept_since(self) -> datetime | None:
        """About the oldest that is kept (UTC); None where nothing is. Raises RetryLaterError."""
        ...

    def late(self, after: datetime, until: datetime, late_s: float) -> list[datetime]:
        """Minutes, rising, of what came into that store in after < time <= until and was measured
        more than late_s before that [s]. Raises RetryLaterError."""
        ...

    def kept(self) -> StoreHealth:
        """Of that store, as last seen."""
        ...


class ScriptedSource(Source, Protocol):
    """A simulator whose faults a person or a test can start (law 9: said on screen)."""

    def scripts(self) -> Sequence[str]:
        """Names of the fault scripts that it ships."""
        ...

    def start_script(self, name: str, now: datetime) -> None:
        """Start one; raises UnknownIdError for a name that `scripts` does not list, and
        ConfigurationError when the script names an element that this site does not have."""
        ...

    def stop_scripts(self) -> None: ...

    def running_scripts(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one node over time, at most the asked number of points.

    time_s: float64[k], seconds since 1970, strictly rising. minimum, maximum, mean:
    float32[k], the same array where the points are raw. resolution_s: how much time one
    point stands for [s]; a step wider than 2.5 times that is a gap. known_s: float64[k], of
    how much of that a value is known [s], where a point stands for more than a minute: an hour
    in which the app ran for ten minutes has 600. None: of all of it.
    """

    node_id: str
    metric: str
    time_s: NDArray[np.float64]
    minimum: NDArray[np.float32]
    maximum: NDArray[np.float32]
    mean: NDArray[np.float32]
    resolution_s: float
    known_s: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """A piece of the devices' past: time_s float64[k], seconds since 1970, strictly rising
    also from piece to piece; values float32[k, c]. hours_only: no minutes are kept of it, and
    an hour of which a value is told is known as a whole."""

    time_s: NDArray[np.float64]
    values: NDArray[np.float32]
    hours_only: bool


Tier = Literal["auto", "minute", "hour"]
Grain = Literal["frame", "minute", "hour"]


@dataclass(frozen=True, slots=True)
class Moment:
    """The site at a time as history knows it. grain: "frame", every value as it was then;
    "minute", the last reading of each node in its minute; "hour", the mean of its hour."""

    frame: Frame
    grain: Grain


@dataclass(frozen=True, slots=True)
class Hole:
    """Time in which nothing ran that keeps history. after: its newest frame, or minute, before;
    until: when it began again (UTC)."""

    after: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """oldest, newest: the span of history (UTC) or None. size_bytes and budget_bytes [B].
    set_aside: names of damaged files. error: why nothing is written now, "" when all is well.
    parts: of a history in several stores, by name; {} for one.
    """

    oldest: datetime | None
    newest: datetime | None
    size_bytes: int
    budget_bytes: int
    set_aside: tuple[str, ...] = ()
    error: str = ""
    parts: Mapping[str, StoreHealth] = field(default_factory=dict)


class Keeping(Protocol):
    """What every history tells of itself."""

    def health(self) -> StoreHealth: ...

    def close(self) -> None: ...


class Store(Protocol):
    """History. What `append` returned from survives SIGKILL of the process."""

    def append(self, frame: Frame) -> None:
        """Keep one frame; stale and missing values are stored as NaN. Raises RetryLaterError
        when it cannot be written, or when its time is not after the last one's."""
        ...

    def backfill(self, frames: Iterator[Frame], done: Callable[[datetime], None],
                 hole: Hole | None = None) -> None:
        """Write a past that ends before the first appended frame; runs beside `append`.

        hole: write the whole minutes within it instead that lie behind all that is kept before
        its end, after the first frame since it, and only until its hour is over and sealed."""
        ...

    def amend(self, frames: Iterator[Frame], nodes: IndexArray) -> None:
        """Tell whole minutes of some nodes anew, at least a few minutes behind the newest frame:
        where `frames` know more of a metric than is kept, the minute and its hour are kept as they
        say, and in such a minute the sums above. NaN tells nothing, what is told twice changes
        nothing, and minutes of which none are kept stay as they are. Beside `append`; raises
        RetryLaterError."""
        ...

    def series(self, node_ids: Sequence[str], metrics: Sequence[str], start: datetime,
               end: datetime, max_points: int = 1000) -> list[Series]:
        """One Series a (node, metric), in that order, both ends included; empty arrays where
        nothing is known. Raises UnknownIdError."""
        ...

    def moment_at(self, when: datetime) -> Moment | None:
        """The site as it was known at `when`, of the finest grain that is kept of that time:
        readings at most 90 s older, or the mean of the hour where hours alone are kept. None
        where nothing is known."""
        ...

    def frame_at(self, when: datetime) -> Frame | None:
        """As `moment_at` without means: readings at most 90 s older than `when`, else None."""
        ...

    def health(self) -> StoreHealth: ...

    def close(self) -> None: ...


class ChannelHistory(Protocol):
    """History of the devices' channels. What `append` returned from survives SIGKILL."""

    def append(self, time: datetime, values: NDArray[np.float32] | NDArray[np.float64]) -> None:
        """Keep [c], NaN = missing; raises as `Store.append`."""
        ...

    def backfill(self, pieces: Iterator[Past], done: Callable[[datetime], None]) -> None:
        """Write a past that ends before the first appended row; runs beside `append`."""
        ...

    def series(self, channel_ids: Sequence[str], start: datetime, end: datetime,
               max_points: int = 1000, tier: Tier = "auto") -> list[Series]:
        """One Series a channel (`node_id` is its id, `metric` is "value"), both ends included;
        empty arrays where nothing is known. tier: "minute" and "hour" ask for just these;
        minutes fall back to hours where only hours are kept. Raises UnknownIdError."""
        ...

    def health(self) -> StoreHealth: ...

    def close(self) -> None: ...
