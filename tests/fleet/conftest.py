"""A real Mosquitto with the development configuration that is shipped, and
the outbox of two packs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench._fleet import Mosquitto
from services.edge.outbox import Outbox


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path / "broker")
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    box = Outbox(tmp_path / "o.sqlite", ["pack_1", "pack_2"])
    yield box
    box.close()
