"""What an app's own log says of runs that failed: a browser's protocol tells of none of them."""

from __future__ import annotations

TRACE = "Traceback (most recent call last)"


def failures(log: str) -> int:
    """How many exceptions it tells: of a part of a page, a whole page, a tick, a thread."""
    return log.count(TRACE)
