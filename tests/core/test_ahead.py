"""An iterator that works ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from core.ahead import ahead


def test_the_items_come_in_order_and_end() -> None:
    with ahead(iter(range(50)), 3) as items:
        assert list(items) == list(range(50))


def test_no_more_is_made_ahead_than_asked_for() -> None:
    made: list[int] = []
    full = threading.Event()

    def source() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            if number == 3:
                full.set()
            yield number

    with ahead(source(), 3) as items:
        assert full.wait(10)
        assert made == [0, 1, 2, 3]
        assert next(items) == 0
    assert len(made) <= 6


def test_what_the_source_raises_is_raised_where_the_items_are_taken() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    with ahead(source(), 2) as items:
        assert next(items) == 1
        with pytest.raises(ValueError, match="no more"):
            next(items)


def test_its_thread_ends_when_nobody_takes_the_rest() -> None:
    def endless() -> Iterator[int]:
        while True:
            yield 0

    with ahead(endless(), 2) as items:
        assert next(items) == 0
    assert "ahead" not in {thread.name for thread in threading.enumerate()}
