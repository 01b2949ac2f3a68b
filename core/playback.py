"""Where a playback stands: a position in history that is a function of the clock.

Nothing counts ticks, so that it neither drifts nor hurries after a slow screen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from core.errors import RequestError

SLOWEST, FASTEST = 1.0, 600.0
LONGEST_TIME = 40
EXAMPLE = "2026-11-21T16:20:05Z"


@dataclass(frozen=True, slots=True)
class Playback:
    """start, end: the span of history, both included. At `since` by the clock it stood at
    `anchor`, and goes on from there `speed` times as fast as time when it is playing (UTC)."""

    start: datetime
    end: datetime
    anchor: datetime
    since: datetime
    speed: float = 1.0
    playing: bool = False

    def position(self, now: datetime) -> datetime:
        """Within the span, also where the clock went back."""
        moved = max(now - self.since, timedelta(0)) * self.speed if self.playing else timedelta(0)
        room = self.end - self.anchor
        return self._inside(self.end if moved >= room else self.anchor + moved)

    def _inside(self, when: datetime) -> datetime:
        return max(self.start, min(when, self.end))

    def is_over(self, now: datetime) -> bool:
        """Playing, and nothing is left to play."""
        return self.playing and self.position(now) >= self.end

    def play(self, now: datetime, first: datetime | None = None) -> Playback:
        """From where it stands; where it stands at the end, from `first` or the beginning."""
        at = self.position(now)
        if at >= self.end:
            at = self.start if first is None else self._inside(first)
        return self._at(at, now, playing=True)

    def pause(self, now: datetime) -> Playback:
        return self._at(self.position(now), now, playing=False)

    def seek(self, when: datetime, now: datetime) -> Playback:
        """Go to a time, at once to the nearest one that history has; plays on if it played."""
        return self._at(self._inside(when), now, playing=self.playing)

    def at_speed(self, speed: float, now: datetime) -> Playback:
        """Raises RequestError."""
        if not SLOWEST <= speed <= FASTEST:
            raise RequestError(f"speed = {speed!r} is not allowed; allowed: {SLOWEST:g} to "
                               f"{FASTEST:g} times as fast as time")
        return replace(self._at(self.position(now), now, playing=self.playing), speed=speed)

    def bounded(self, start: datetime, end: datetime) -> Playback:
        """History has grown at its end, or given up its beginning."""
        return replace(self, start=start, end=max(start, end))

    def _at(self, when: datetime, now: datetime, *, playing: bool) -> Playback:
        return replace(self, anchor=when, since=now, playing=playing)


def playable(oldest: datetime, newest: datetime) -> tuple[datetime, datetime]:
    """The span that a history of that health can show: what was put away covers whole minutes,
    also the one in which its first reading came."""
    whole = not oldest.second and not oldest.microsecond
    return min(oldest + timedelta(minutes=whole), newest), max(oldest, newest)


def opened(start: datetime, end: datetime, when: datetime, now: datetime) -> Playback:
    """Paused at `when`, or at the end of the span that is nearer to it."""
    paused = Playback(start, max(start, end), start, now)
    return paused.seek(when, now)


def asked_time(text: str) -> datetime:
    """The time of a link, UTC; raises RequestError for one that is none or has no zone (law 3)."""
    shown = repr(text[:LONGEST_TIME])
    try:
        allowed = len(text) <= LONGEST_TIME and text.isprintable()
        found = datetime.fromisoformat(text if allowed else "")
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise RequestError(f"t = {shown} is not a time; write it like {EXAMPLE}") from None
    raise RequestError(f"t = {shown} has no time zone; write it like {EXAMPLE}")


def time_text(when: datetime) -> str:
    """As a link has it: whole seconds, UTC."""
    return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"


def window(start: datetime, end: datetime, when: datetime,
           width: timedelta | None) -> tuple[datetime, datetime]:
    """The part of a span of that width that a slider shows: its end where `when` lies in it,
    else what is around `when`; all of it without a width."""
    if width is None or end - start <= width:
        return start, end
    if when >= end - width:
        return end - width, end
    first = min(max(start, when - width / 2), end - width)
    return first, first + width
