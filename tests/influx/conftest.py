"""One InfluxDB for all tests that only read and write, and one for each test that kills it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.influx.influxd import Influxd


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    server = Influxd(tmp_path_factory.mktemp("influx"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def influx(shared_server: Influxd) -> Influxd:
    """With an empty database `heatpump`."""
    shared_server.query('DROP DATABASE "heatpump"')
    shared_server.create("heatpump")
    return shared_server


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Influxd]:
    """A server of the test's own, with an empty database `heatpump`."""
    folder = tmp_path / "influx"
    folder.mkdir()
    server = Influxd(folder)
    server.start()
    server.create("heatpump")
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own InfluxDB is none of the tests' business."""
    for name in ("URL", "TOKEN", "ORG", "BUCKET"):
        monkeypatch.delenv(f"INFLUXDB_{name}", raising=False)
    monkeypatch.delenv("HEATPUMP_BRAND", raising=False)
