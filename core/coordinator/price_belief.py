"""The prices that a server told, and whether new ones are believed beside them."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from core.clock import Clock
from core.coordinator.price_checks import is_jump, size
from core.coordinator.prices import PriceFormat, Prices, newest_first
from core.errors import RequestError

DAY_S = 86_400.0


class Believed:
    """Prices that changed their unit are not believed until nothing else is known ahead, or they
    were told alike for a day; then they stand alone, because one of both is wrong. For one
    thread."""

    def __init__(self, form: PriceFormat, clock: Clock) -> None:
        self.known: Prices | None = None
        self._form, self._clock = form, clock
        self._doubted: Prices | None = None
        self._since_s = 0.0
        self._said, self._said_s = "", 0.0

    def take(self, told: Prices) -> None:
        """Raises RequestError for what is not believed yet."""
        doubt = "" if self.known is None else jumped(self.known, told, self._form)
        if self.known is None or not doubt:
            self.known, self._doubted = newest_first(self.known, told), None
            return
        left_s = self._left_s(self.known, told)
        if left_s > 0.0:
            until = self._clock.now() + timedelta(seconds=left_s)
            raise RequestError(f"{doubt}; told so until then, they are believed from "
                               f"{until:%d %b %H:%M} UTC on")
        self.known, self._doubted = told, None
        self._said, self._said_s = doubt, self._clock.monotonic_s()

    def _left_s(self, known: Prices, told: Prices) -> float:
        """How long what is doubted waits."""
        now_s = self._clock.monotonic_s()
        if self._doubted is None or jumped(self._doubted, told, self._form):
            self._since_s = now_s
        self._doubted = told
        ends_s = float(known.series.time_s[-1]) + known.series.hold_s
        return min(self._since_s + DAY_S - now_s, ends_s - self._clock.now().timestamp())

    @property
    def words(self) -> tuple[str, ...]:
        """What a person should know of what is known, and for a day what was doubted of it."""
        told = () if self.known is None else self.known.words
        doubted = self._said and self._clock.monotonic_s() - self._said_s < DAY_S
        return (self._said, *told) if doubted else told


def jumped(before: Prices, now: Prices, form: PriceFormat) -> str:
    """Why new prices are not to be believed beside those before, in words; "" where they are. They
    go by the hours told in both where there are some, and by nothing that comes on top."""
    old, new = before.series, now.series
    _, was, is_now = np.intersect1d(old.time_s, new.time_s, return_indices=True)
    same = was.size > 0
    if not same:
        was, is_now = np.arange(old.time_s.size), np.arange(new.time_s.size)
    for what, added, one, other in (
            ("prices", form.import_added, old.import_per_kwh[was], new.import_per_kwh[is_now]),
            ("export prices", form.export_added, old.export_per_kwh[was],
             new.export_per_kwh[is_now])):
        sizes = size(one - added), size(other - added)
        if is_jump(*sizes, same_hours=same):
            where = "of the same hours " if same else ""
            return (f"{what} {where}went from about {sizes[0]:.3g} to {sizes[1]:.3g} a kWh: see "
                    "whether their unit has changed, and correct `unit`")
    return ""
