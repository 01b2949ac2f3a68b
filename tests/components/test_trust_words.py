"""Whom the Energy Monitor says to believe."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from components.house.comparison import trust_words


def judgement(words: tuple[str, ...], trusted: str | None) -> Any:
    judged = [SimpleNamespace(verdict=SimpleNamespace(word=word)) for word in words]
    return SimpleNamespace(judged=judged,
                           trusted=None if trusted is None else SimpleNamespace(label=trusted))


@pytest.mark.parametrize(("words", "trusted", "said"), [
    (("unknown", "unknown"), "Shunt", "Not judged yet"), (("unknown",), "Shunt", "Not judged yet"),
    (("aligned", "unknown"), "Shunt", "Trust Shunt"),
    (("aligned", "voltage_estimate"), "Shunt", "Trust Shunt"),
    (("stale", "stale"), None, "Trust neither"), ((), None, "Not judged yet")])
def test_nobody_is_recommended_before_any_was_judged(words: tuple[str, ...], trusted: str | None,
                                                     said: str) -> None:
    assert trust_words(judgement(words, trusted)) == said
