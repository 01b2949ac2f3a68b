"""Points reach a real InfluxDB, each once, also when it is killed in mid stream."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.errors import GiveUpError
from sources.http import Secret, Server
from sources.influx_http import sign_in
from sources.influx_writer import InfluxWriter, Target, line
from sources.spool import Spool
from tests.influx.influxd import Influxd
from tests.influx.pumps import START
from tests.sources import web
from tests.sources.mosquitto import until
from tests.sources.web import QUICK, Web

MIB = 1024 * 1024


def point(number: int, at: datetime = START) -> bytes:
    return line("heatpump", {"register_id": f"{number % 20:04d}"}, float(number),
                at + timedelta(milliseconds=number))


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path / "spool", 64 * MIB, file_bytes=20_000)
    yield made
    made.close()


def writer_to(url: str, spool: Spool, target: Target | None = None) -> InfluxWriter:
    server = Server(url, Secret("token_secret"), "bucket")
    return InfluxWriter(server, target or Target.v1("heatpump", {}), spool, batch_s=0.05,
                        limits=QUICK, jitter=lambda: 0.0)


def test_a_line_is_line_protocol(influx: Influxd, spool: Spool) -> None:
    tags = {"register_id": "0007", "name": "a, b=c d", "unit": "°C", "pump": "", "type": "x\\"}
    made = line("heat pump", tags, 21.5, START)
    assert made == ("heat\\ pump,register_id=0007,name=a\\,\\ b\\=c\\ d,unit=°C,type=x value=21.5 "
                    f"{round(START.timestamp() * 1000)}\n").encode()
    writer = writer_to(influx.url, spool)
    writer.put([made])
    writer.step()
    (series,) = influx.query('SELECT * FROM "heat pump"', "heatpump")
    row = dict(zip(series["columns"], series["values"][0], strict=True))  # type: ignore
    assert (row["name"], row["type"], row["unit"], row["value"]) == ("a, b=c d", "x", "°C", 21.5)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_missing_value_is_no_point(value: float) -> None:
    with pytest.raises(GiveUpError):
        line("heatpump", {}, value, START)


def test_points_are_acknowledged_by_the_server_s_204_alone(spool: Spool) -> None:
    with Web() as server:
        server.at("/write", web.raw(b"{}"), web.raw(b"<html>"), web.status(500), web.page(),
                  web.raw(b"", 302, Location="/elsewhere"), web.raw(b"", 204))
        writer = writer_to(server.url, spool)
        writer.put([point(1)])
        for _ in range(5):
            assert writer.step() > 0.0
            assert writer.health().error
            assert spool.health().waiting_bytes > 0
        assert writer.step() == 0.0
        assert writer.health().sent == 1
        assert spool.health().waiting_bytes == 0
        assert {asked.body for asked in server.asked_for("/write")} == {point(1)}


def test_version_2_is_written_to_by_its_own_address(spool: Spool) -> None:
    with Web() as server:
        server.at("/api/v2/write", web.raw(b"", 204))
        writer = writer_to(server.url, spool, Target.v2("pumps", "thermia", sign_in("", "abc")))
        writer.put([point(1)])
        assert writer.step() == 0.0
        (asked,) = server.asked
    assert asked.query == {"bucket": "pumps", "org": "thermia", "precision": "ms"}
    assert asked.headers["authorization"] == "Token abc"


def test_a_missing_database_keeps_points_until_it_is_there(influx: Influxd, spool: Spool) -> None:
    influx.query('DROP DATABASE "later"')
    writer = writer_to(influx.url, spool, Target.v1("later", {}))
    writer.put([point(1)])
    assert writer.step() > 0.0
    assert "no such database or bucket; correct bucket" in writer.health().error
    influx.create("later")
    assert writer.step() == 0.0
    assert influx.count("later") == 1


def test_points_of_another_type_are_set_aside_and_hold_up_nothing(
        influx: Influxd, spool: Spool, tmp_path: Path) -> None:
    at_ms = round(START.timestamp() * 1000)
    influx.write("heatpump", f'heatpump,register_id=x value="text" {at_ms}')
    writer = writer_to(influx.url, spool)
    writer.put([point(1)])
    writer.step()
    assert "two types" in writer.health().error
    assert spool.health().refused == 1
    assert len(list((tmp_path / "spool").glob("*.refused"))) == 1
    writer.put([line("other", {}, 1.0, START)])
    assert writer.step() == 0.0
    assert influx.count("heatpump", "other") == 1


def test_no_point_is_lost_when_the_server_is_killed_in_mid_stream(own_server: Influxd,
                                                                  spool: Spool) -> None:
    """Killed twice without a word, between and within the writer's requests."""
    writer = writer_to(own_server.url, spool)
    writer.start()
    total, now = 6000, datetime.now(UTC)
    pause = threading.Event()
    for number in range(0, total, 20):
        writer.put([point(one, now) for one in range(number, number + 20)])
        if number in (2000, 4000):
            until(lambda: writer.health().sent > 0, "a first batch")
            own_server.kill()
            until(lambda: writer.health().failures > 0, "a failed batch")
        if number in (3000, 5000):
            own_server.start()
        pause.wait(0.002)
    until(lambda: spool.health().waiting_bytes == 0, "everything is sent", 30.0)
    writer.close()
    assert own_server.count("heatpump") == total
    assert writer.health().sent == total
    assert spool.health().dropped == 0


def test_closing_sends_what_waits(influx: Influxd, spool: Spool) -> None:
    server = Server(influx.url, Secret("token_secret"), "bucket")
    writer = InfluxWriter(server, Target.v1("heatpump", {}), spool, batch_s=3600.0, limits=QUICK)
    writer.start()
    writer.put(point(number) for number in range(1000))
    writer.close()
    assert influx.count("heatpump") == 1000


def test_closing_does_not_wait_for_a_server_that_hangs(spool: Spool) -> None:
    with Web() as server:
        server.at("/write", web.hang())
        writer = InfluxWriter(Server(server.url, Secret("token_secret"), "bucket"),
                              Target.v1("heatpump", {}), spool, batch_s=0.01)
        writer.put([point(1)])
        writer.start()
        until(lambda: bool(server.asked), "a request under way")
        writer.close(0.2)
        assert spool.health().waiting_bytes > 0
