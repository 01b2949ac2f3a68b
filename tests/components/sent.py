"""Every text that a page sends to the browser, of whatever element."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from streamlit.testing.v1 import AppTest


def strings(message: Any) -> Iterator[tuple[str, str, str]]:
    """(message, field, text) of every text in a protobuf message."""
    for field, value in message.ListFields():
        for one in _each(value):
            if hasattr(one, "ListFields"):
                yield from strings(one)
            elif isinstance(one, str | bytes):
                text = one.decode("utf-8", "replace") if isinstance(one, bytes) else one
                yield message.DESCRIPTOR.name, field.name, text


def _each(value: Any) -> Any:
    """What a field of a message holds: one thing, a list, or a map of them."""
    if hasattr(value, "values"):
        return value.values()
    return value if hasattr(value, "append") else [value]


def sent(app: AppTest) -> list[tuple[str, str, str]]:
    """(message, field, text) of all elements and blocks of a page."""
    found: list[tuple[str, str, str]] = []

    def look(node: Any) -> None:
        if getattr(node, "proto", None) is not None:
            found.extend(strings(node.proto))
        for child in getattr(node, "children", {}).values():
            look(child)

    look(app._tree)
    return found
