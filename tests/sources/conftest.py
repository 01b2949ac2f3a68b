"""A broker, Venus devices on it, and houses that read them; all of it ends with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sources.mosquitto import Mosquitto
from tests.sources.venus_house import House
from tests.sources.venus_player import TinyVenus, options


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    started = Mosquitto(tmp_path)
    started.start()
    yield started
    started.kill()


@pytest.fixture
def make_venus() -> Iterator[Callable[..., TinyVenus]]:
    made: list[TinyVenus] = []

    def make(*arguments: Any, **more: Any) -> TinyVenus:
        made.append(TinyVenus(*arguments, **more))
        return made[-1]

    yield make
    for venus in made:
        venus.close()


@pytest.fixture
def make_house() -> Iterator[Callable[..., House]]:
    made: list[House] = []

    def make(port: int, **more: Any) -> House:
        made.append(House(options(port, **more)))
        return made[-1]

    yield make
    for house in made:
        house.engine.stop()
