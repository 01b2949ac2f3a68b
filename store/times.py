"""Times as whole microseconds since 1970-01-01 UTC [us], and the store's periods (law 3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ONE_US = timedelta(microseconds=1)

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
FOREVER_US = 2**62

STAMP = "%Y%m%dT%H%M%SZ"


def to_us(when: datetime) -> int:
    """Exact [us]; raises ValueError for a time without a zone (law 3)."""
    if when.tzinfo is None:
        raise ValueError("law 3: a time without a zone")
    return (when - EPOCH) // ONE_US


def from_us(time_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=time_us)


def floor_to(time_us: int, period_us: int) -> int:
    return time_us - time_us % period_us


def ceil_to(time_us: int, period_us: int) -> int:
    return -floor_to(-time_us, period_us)


def stamp(time_us: int) -> str:
    """As in the names of files: 20260601T120000Z."""
    return from_us(time_us).strftime(STAMP)


def from_stamp(text: str) -> int:
    """Raises ValueError for another form."""
    return to_us(datetime.strptime(text, STAMP).replace(tzinfo=UTC))
