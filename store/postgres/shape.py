"""What lies in which tables: the battery tree's history, and that of the devices' channels."""

from __future__ import annotations

from dataclasses import dataclass

from core.vocabulary import METRIC_NAMES
from store.keeper import DAILY, HOURLY, Lengths
from store.postgres.frames import Frames
from store.postgres.packs import PackedRows
from store.postgres.rows import PlainRows, RollUps
from store.times import HOUR_US, MINUTE_US

CHANNEL_COLUMNS = ("value",)


@dataclass(frozen=True, slots=True)
class Shape:
    """lock: the number of its writer's lock. what: is written, in words. columns: of a frame.
    grain_us: of how much time frames become rows at once [us]. lengths: of a told past, how much
    is written at once."""

    lock: int
    what: str
    columns: tuple[str, ...]
    frames: Frames
    minutes: RollUps
    hours: RollUps
    grain_us: int
    lengths: Lengths


TREE = Shape(3, "history", METRIC_NAMES, Frames("history", len(METRIC_NAMES), HOUR_US),
             PlainRows("history_minute", METRIC_NAMES, MINUTE_US),
             PlainRows("history_hour", METRIC_NAMES, HOUR_US), MINUTE_US, HOURLY)
CHANNELS = Shape(4, "channels", CHANNEL_COLUMNS, Frames("channels", 1, 6 * HOUR_US),
                 PackedRows("channels_minute", CHANNEL_COLUMNS, MINUTE_US, 6 * HOUR_US),
                 PlainRows("channels_hour", CHANNEL_COLUMNS, HOUR_US), HOUR_US, DAILY)
