"""What several stores of the fleet hold, read from the first that can answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from core.errors import OrreryError, RetryLaterError
from core.fleet.ports import FleetPast, StoredBody
from core.ports import StoreHealth
from store.times import FOREVER_US

Answer = TypeVar("Answer")


class SeveralPasts:
    """`core.fleet.ports.FleetPast` of those of `pasts`, by name, in the order in which they are
    asked."""

    def __init__(self, pasts: Mapping[str, FleetPast]) -> None:
        self._pasts = dict(pasts)

    def bodies_between(self, site: str, devices: Sequence[str], after_us: int, until_us: int,
                       every_us: int) -> Sequence[StoredBody]:
        """Of the first that holds the time since `after_us`; where none does, of the one that
        reaches back furthest. Raises RetryLaterError where none answers."""
        return self._first(site, after_us, lambda past: past.bodies_between(
            site, devices, after_us, until_us, every_us))

    def late_minutes(self, site: str, after_us: int, until_us: int, late_us: int) -> Sequence[int]:
        """Of the first that answers; raises RetryLaterError where none does."""
        return self._first(site, FOREVER_US, lambda past: past.late_minutes(
            site, after_us, until_us, late_us))

    def _first(self, site: str, after_us: int, ask: Callable[[FleetPast], Answer]) -> Answer:
        begins, problems = self._begins(site)
        order = sorted(begins, key=lambda past: 0 if begins[past] <= after_us else begins[past])
        for past in order:
            try:
                return ask(past)
            except OrreryError as error:
                problems.append(error)
        raise RetryLaterError("; ".join(str(error) for error in problems))

    def _begins(self, site: str) -> tuple[dict[FleetPast, float], list[OrreryError]]:
        """Since when each holds something [us], in their order; those that do not answer are
        left out."""
        found: dict[FleetPast, float] = {}
        problems: list[OrreryError] = []
        for past in self._pasts.values():
            try:
                oldest_us = past.oldest_us(site)
            except OrreryError as error:
                problems.append(error)
            else:
                found[past] = float("inf") if oldest_us is None else oldest_us
        return found, problems

    def oldest_us(self, site: str) -> int | None:
        """Of all that answer; raises RetryLaterError where none does."""
        begins, problems = self._begins(site)
        if not begins:
            raise RetryLaterError("; ".join(str(error) for error in problems))
        oldest = min(begins.values())
        return None if oldest == float("inf") else int(oldest)

    def health(self) -> StoreHealth:
        """Each one's in `parts`; error where none answers."""
        parts = {name: past.health() for name, past in self._pasts.items()}
        every = list(parts.values())
        oldest = [one.oldest for one in every if one.oldest is not None]
        newest = [one.newest for one in every if one.newest is not None]
        errors = [one.error for one in every]
        return StoreHealth(min(oldest, default=None), max(newest, default=None),
                           sum(one.size_bytes for one in every), 0,
                           error="; ".join(errors) if all(errors) else "", parts=parts)

    def close(self) -> None:
        for past in self._pasts.values():
            past.close()
