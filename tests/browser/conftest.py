"""The app that most of these files look at; those with a site of their own have their own `app`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.app_process import AppProcess


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess],
        told_past: Callable[[], Path]) -> Iterator[AppProcess]:
    """The demo, started for this file alone, over a past that is told."""
    started = app_server(history=told_past())
    yield started
    started.stop()
