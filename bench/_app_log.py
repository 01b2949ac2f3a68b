"""What an app's own log says of runs that failed: a browser's protocol tells of none of them."""

from __future__ import annotations

from scripts.app_process import AppProcess

TRACE = "Traceback (most recent call last)"


def failures(app: AppProcess) -> int:
    """How many exceptions it logged: of a part of a page, a whole page, a tick, a thread."""
    return app.log().count(TRACE)
