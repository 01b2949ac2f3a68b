"""Spans of time: from, to (exclusive) [us]; lists of them are sorted and without overlap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Span = tuple[int, int]


def minus(spans: Sequence[Span], covered: Sequence[Span]) -> tuple[list[Span], list[Span]]:
    """(what of `spans` is covered, what is left)."""
    taken, left = [], []
    for start, end in spans:
        for low, high in covered:
            if high <= start or low >= end:
                continue
            if low > start:
                left.append((start, low))
            taken.append((max(start, low), min(end, high)))
            start = min(end, high)
        if start < end:
            left.append((start, end))
    return taken, left


def united(spans: Iterable[Span]) -> list[Span]:
    """Spans that touch or, sorted by their starts, overlap become one."""
    found: list[Span] = []
    for start, end in spans:
        if found and found[-1][1] >= start:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found
