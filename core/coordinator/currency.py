"""In which currency money was reckoned: what was paid in two is no sum."""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.clock import from_epoch
from core.coordinator.records import Minute


def reckoned(currency: str | None) -> str:
    """"in EUR". currency: "" where nobody said it then, None where an earlier version kept none."""
    if currency is None:
        return "in a currency that was not kept"
    return f"in {currency}" if currency else "in a currency that nobody told"


def of_newest(minutes: Sequence[Minute]) -> tuple[Sequence[Minute], str | None, str]:
    """The newest of them whose prices are all in one currency, that currency, and in words from
    when on these are told, "" where it is all of them. What has no price is in any currency."""
    priced = [one for one in minutes if math.isfinite(one.import_price)]
    if not priced:
        return minutes, minutes[-1].currency if minutes else None, ""
    now = priced[-1].currency
    before = next((one for one in reversed(priced) if one.currency != now), None)
    if before is None:
        return minutes, now, ""
    same = [one for one in minutes if one.time_s > before.time_s]
    return same, now, (f"told since {from_epoch(same[0].time_s):%H:%M} UTC alone: from then on "
                       f"prices are {reckoned(now)}, before they were {reckoned(before.currency)}")
