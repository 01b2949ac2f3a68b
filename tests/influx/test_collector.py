"""`python -m sources.collector`: from a pump to a real InfluxDB and into Orrery's own history."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from core.clock import ManualClock
from core.config import HistoryConfig
from core.registry import make_channel_history
from sources.collector import CANNOT_START, make_collector, parser
from tests.influx.influxd import Influxd
from tests.influx.pumps import PROFILE, START, polled, source_at, told
from tests.sources.mosquitto import until

ROOT = Path(__file__).parents[2]
PUMP = """
[[sources]]
kind = "heat-pump"
name = "{name}"
[sources.options]
profile = "{profile}"
house = "{name}"
"""


def config_of(folder: Path, *names: str, profile: str = PROFILE) -> Path:
    path = folder / "orrery.toml"
    path.write_text("".join(PUMP.format(name=name, profile=profile) for name in names)
                    + '\n[[sources]]\nkind = "influx"\nname = "influx"\n')
    return path


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a collector of one pump; its log lies beside."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(url: str, *words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "sources.collector", "--config",
                   str(config_of(tmp_path, "home")), "--url", url, "--period-s", "1",
                   "--spool", str(tmp_path / "spool"), *words]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "loopback")}
        with (tmp_path / "log").open("ab") as log, (tmp_path / "out").open("ab") as out:
            started.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out,
                                            stderr=log, stdin=subprocess.DEVNULL))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait(10)


def waiting(tmp_path: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted((tmp_path / "spool").glob("*.lines")))


# --- as a command ---------------------------------------------------------------------------------


def test_a_signal_ends_it_with_everything_sent(
        influx: Influxd, tmp_path: Path,
        start: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = start(influx.url)
    until(lambda: influx.count("heatpump") > 0, "points", 30.0)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0, (tmp_path / "log").read_text()
    assert waiting(tmp_path) == b""
    assert (tmp_path / "out").read_bytes() == b"", "nothing is printed"
    log = (tmp_path / "log").read_text()
    assert f"{influx.count('heatpump')} points were written" in log


def test_points_of_a_killed_collector_are_sent_by_the_next_one(
        own_server: Influxd, tmp_path: Path,
        start: Callable[..., subprocess.Popen[bytes]]) -> None:
    """The server is down, and the collector is killed without a word."""
    own_server.kill()
    process = start(own_server.url)
    until(lambda: waiting(tmp_path).count(b"\n") > 20, "points on disk", 30.0)
    process.kill()
    process.wait(10)
    left = waiting(tmp_path).count(b"\n")
    own_server.start()
    start(own_server.url)
    until(lambda: own_server.count("heatpump") > left, "old points and new ones", 30.0)
    stamps = {line.rsplit(b" ", 1)[1] for line in waiting(tmp_path).splitlines()}
    assert len(stamps) <= 2, "no more than what was told just now waits"


@pytest.mark.parametrize(("words", "said"), [
    (["--config", "nowhere.toml"], "a readable file"),
    (["--bucket", '1d") |> drop('], "letters, digits"),
    (["--url", "ftp://x"], "an address such as"),
    (["--token-secret", "NOT_THERE"], "the name of an environment variable"),
    (["--spool", "/dev/null/x"], "a directory that can be written"),
])
def test_what_keeps_it_from_starting_is_said(tmp_path: Path, words: list[str], said: str) -> None:
    command = [sys.executable, "-m", "sources.collector", "--config",
               str(config_of(tmp_path, "home")), "--spool", str(tmp_path / "spool"), *words]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60,
                         check=False)
    assert (ran.returncode, ran.stdout) == (CANNOT_START, "")
    assert ran.stderr.startswith("The collector cannot start: ")
    assert said in ran.stderr


def test_a_site_without_a_pump_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "orrery.toml"
    path.write_text('[[sources]]\nkind = "fleet"\nname = "fleet"\n')
    ran = subprocess.run([sys.executable, "-m", "sources.collector", "--config", str(path)],
                         cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == CANNOT_START
    assert "at least one heat pump: kind = heat-pump" in ran.stderr


@pytest.mark.parametrize("words", [["--period-s", "0"], ["--period-s", "x"], ["--spool-mib", "1"],
                                   ["--api", "3"]])
def test_a_wrong_word_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        parser().parse_args(words)
    assert left.value.code == CANNOT_START
    assert "error" in capsys.readouterr().err


# --- in this process ------------------------------------------------------------------------------


def collected(influx: Influxd, tmp_path: Path, clock: ManualClock, *names: str,
              words: tuple[str, ...] = (), steps: int = 3) -> None:
    """Run a collector of simulated pumps for `steps` periods of 30 s."""
    asked = parser().parse_args(["--config", str(config_of(tmp_path, *names)), "--url", influx.url,
                                 "--spool", str(tmp_path / "spool"), *words])
    collector = make_collector(asked, clock)
    with collector.running():
        for _ in range(steps):
            collector.step()
            clock.advance(30.0)


def test_what_is_written_is_read_back(influx: Influxd, tmp_path: Path) -> None:
    """The seeds' schema, and each quantity as the pump told it."""
    clock = ManualClock(START)
    collected(influx, tmp_path, clock, "home")
    (series,) = influx.query('SELECT * FROM "heatpump" WHERE "register_id" = \'0007\'', "heatpump")
    assert series["columns"] == ["time", "name", "register_id", "type", "unit", "value"]
    assert len(series["values"]) == 3  # type: ignore[arg-type]
    source, now = source_at(influx.url, clock.now())
    found = told(source, polled(source, now))
    assert {"outdoor_c", "compressor_on", "electric_power_kw"} <= set(found)
    assert source.problems() == {}
    assert 0.0 <= found["electric_power_kw"] < 10.0


def test_several_pumps_get_a_tag_each(influx: Influxd, tmp_path: Path) -> None:
    clock = ManualClock(START)
    collected(influx, tmp_path, clock, "north", "south", steps=1)
    (series,) = influx.query('SHOW TAG VALUES FROM "heatpump" WITH KEY = "pump"', "heatpump")
    assert [row[1] for row in series["values"]] == [  # type: ignore[attr-defined]
        "north_heat_pump", "south_heat_pump"]
    source, now = source_at(influx.url, clock.now(), pump="south_heat_pump")
    assert polled(source, now).channels is not None


def test_the_embedded_history_gets_the_same(influx: Influxd, tmp_path: Path) -> None:
    clock, directory = ManualClock(START), tmp_path / "history"
    collected(influx, tmp_path, clock, "home", words=("--history", str(directory)))
    history = make_channel_history(HistoryConfig(directory=str(directory)),
                                   [f"home_heat_pump.{name}" for name in ("outdoor_c",)], "test")
    assert history is not None
    (own,) = history.series(["home_heat_pump.outdoor_c"], START, clock.now())
    history.close()
    source, _ = source_at(influx.url, clock.now())
    (theirs,) = source.recall(["home_heat_pump.outdoor_c"], START - timedelta(minutes=1),
                              clock.now())
    assert own.mean.size == theirs.mean.size == 3
    np.testing.assert_allclose(own.mean, theirs.mean, rtol=1e-6)


def test_nothing_is_told_twice(influx: Influxd, tmp_path: Path) -> None:
    """Polled again without a later measurement, a source adds no point."""
    clock = ManualClock(START)
    asked = parser().parse_args(["--config", str(config_of(tmp_path, "home")), "--url", influx.url,
                                 "--spool", str(tmp_path / "spool")])
    collector = make_collector(asked, clock)
    with collector.running():
        assert collector.step() == pytest.approx(30.0)
        assert collector.step() == pytest.approx(30.0)
        clock.advance(29.0)
        assert collector.step() == pytest.approx(1.0)
    found = influx.query('SELECT count("value") FROM "heatpump" GROUP BY "register_id"',
                         "heatpump")
    assert {row[0][1] for one in found for row in [one["values"]]} == {1}  # type: ignore[index]
