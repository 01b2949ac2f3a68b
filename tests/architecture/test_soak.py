"""A small soak: a viewer on each page and some who come and go; no run of any page fails. What
memory does takes minutes to see: `python -m bench soak --short`, or an hour without --short.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.report import Figure
from bench.soak import PAGES, SHORT_SLOPE_LIMIT, Form, soak

BRIEF = Form(len(PAGES), len(PAGES), 15.0, SHORT_SLOPE_LIMIT, settle_s=0.0)


def test_every_page_is_watched_and_no_run_fails(told_past: Callable[[], Path]) -> None:
    found = {figure.metric: figure.value for figure in map(Figure.of, soak(BRIEF, told_past()))}
    assert found["failed runs"] == 0
    assert found["refreshes"] > 1
