"""Playwright's `expect` for pages that are live and a machine that is busy.

While Streamlit puts rows in others' places, one that moves up is there twice for a moment: its new
place is drawn, its old one not yet cleared. Playwright does not wait that out, it fails at once.
Here two are waited out as any other state that is not the wished one; two that stay are told.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page
from playwright.sync_api import expect as expect_once

WAIT_MS = 45_000
TWICE = "strict mode violation"
PAUSE_S, LOOK_MS = 0.05, 1000.0
"""Between two looks, and for one at least: a look that is cut short says nothing of two."""


class Patient:
    """Assertions about a page or a locator, each with WAIT_MS unless it says another `timeout`."""

    def __init__(self, actual: Page | Locator) -> None:
        self._asserted = expect_once(actual)

    def __getattr__(self, name: str) -> Callable[..., None]:
        ask = getattr(self._asserted, name)

        def waited(*wanted: Any, timeout: float = WAIT_MS, **more: Any) -> None:
            deadline_s = time.monotonic() + timeout / 1000.0
            while _twice(ask, wanted, {**more, "timeout": timeout}, deadline_s):
                threading.Event().wait(PAUSE_S)
                timeout = max(LOOK_MS, 1000.0 * (deadline_s - time.monotonic()))

        return waited


def _twice(ask: Callable[..., None], wanted: tuple[Any, ...], more: dict[str, Any],
           deadline_s: float) -> bool:
    """Whether there are two and there is time left; raises AssertionError for all else that is not
    as it should be."""
    try:
        ask(*wanted, **more)
    except AssertionError as error:
        if TWICE in str(error) and time.monotonic() < deadline_s:
            return True
        raise
    return False


def expect(actual: Page | Locator) -> Any:
    """`expect(locator).to_be_visible(timeout=...)` [ms]."""
    return Patient(actual)
