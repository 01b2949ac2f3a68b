"""The devices' channels in PostgreSQL: what its tables hold, its budget, and a server that is
killed, silent or loses its answers. What every history of channels promises is in the contract."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psycopg
import pytest

from bench._postgres import PostgresServer
from core.config import HistoryConfig
from core.errors import HistoryLockedError, RetryLaterError
from core.ports import ChannelHistory, Past
from core.registry import make_channel_history
from store.channels import EmbeddedChannelHistory
from store.postgres import open_channel_history
from store.postgres.channels import PostgresChannelHistory
from store.spool import SpooledChannels
from tests.postgres.proxy import Proxy
from tests.postgres.test_nothing_lost import end_sessions
from tests.postgres.test_silent import assert_prompt
from tests.sources.mosquitto import until
from tests.store.channel_support import DAY, HOUR, IDS, MINUTE, ask, live, piece, tell, values_at
from tests.store.support import NOON, at, seconds_of

BUDGET = 1 << 30
Opened = Callable[..., PostgresChannelHistory]


@pytest.fixture
def opened(variable: str) -> Iterator[Opened]:
    """Opens the history of one test again, its process having ended."""
    held: list[PostgresChannelHistory] = []

    def again(ids: tuple[str, ...] = IDS, budget_bytes: int = BUDGET) -> PostgresChannelHistory:
        for one in held:
            one.close()
        held.append(open_channel_history(variable, ids, budget_bytes))
        return held[-1]

    yield again
    for one in held:
        one.close()


def spooled(variable: str, directory: Path) -> SpooledChannels:
    found = make_channel_history(
        HistoryConfig("postgres", str(directory), url_variable=variable), IDS, "x")
    assert isinstance(found, SpooledChannels)
    return found


def told(url: str, query: str) -> list[tuple[int, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def kept_seconds(url: str) -> list[int]:
    """Seconds after NOON of the rows in the database."""
    return [seconds - int(at(0).timestamp()) for seconds, in
            told(url, "SELECT time_us / 1000000 FROM channels_raw ORDER BY 1")]


def test_hours_go_on_over_a_restart_and_a_lost_session(opened: Opened, variable: str) -> None:
    history = opened()
    live(history, range(0, 1800, 10))
    history = opened()
    live(history, range(1800, 2400, 10))
    end_sessions(os.environ[variable])
    with pytest.raises(RetryLaterError):
        live(history, [2400])
    assert "see that it runs" in history.health().error
    live(history, range(2410, 2 * HOUR + 10, 10))
    assert history.health().error == ""
    hours = told(os.environ[variable], "SELECT value_n, value_minutes FROM channels_hour "
                 "WHERE sid = 0 ORDER BY time_us")
    assert hours == [(359, 60), (360, 60)]
    minutes = ask(history, 0, 2 * HOUR - 1, tier="minute")
    assert seconds_of(minutes) == list(range(0, 2 * HOUR, MINUTE))


def test_the_budget_gives_up_frames_then_minutes_and_hours_stay(opened: Opened) -> None:
    history = opened(budget_bytes=1)
    tell(history, *(piece(day, day + DAY, 600.0) for day in range(-21 * DAY, 0, DAY)))
    live(history, range(0, 14 * HOUR, 300))
    oldest = ask(history, -21 * DAY, -20 * DAY - 1, tier="minute")
    assert oldest.resolution_s == 3600.0, "hours answer for minutes that were given up"
    assert len(oldest.time_s) == 24
    assert len(ask(history, -21 * DAY, 0, tier="hour").time_s) == 21 * 24 + 1
    assert seconds_of(ask(history, 0, HOUR)) == list(range(0, HOUR + 1, 300)), "as minutes"
    raw = ask(history, 13 * HOUR, 14 * HOUR)
    assert (raw.known_s, raw.resolution_s) == (None, 300.0)


def test_a_minute_takes_little(opened: Opened, variable: str) -> None:
    ids = tuple(f"device.quantity_{number}" for number in range(10))
    history = opened(ids)
    noise = np.random.default_rng(5).normal(size=(1440, 10)).astype(np.float32)
    tell(history, Past(NOON.timestamp() - DAY + np.arange(0.0, DAY, 60.0), noise, False))
    ((size,),) = told(os.environ[variable], "SELECT sum(length(data)) FROM channels_minute")
    assert size / noise.size < 10, "bytes a minute of a channel"


def test_two_processes_do_not_write_it(opened: Opened, variable: str) -> None:
    opened()
    with pytest.raises(HistoryLockedError, match="no other process writes channels"):
        open_channel_history(variable, IDS, BUDGET)


def test_rows_wait_for_a_silent_server_and_no_tick_does(
        postgres: PostgresServer, variable: str, tmp_path: Path) -> None:
    history = spooled(variable, tmp_path)
    live(history, range(5))
    with postgres.silent():
        spent_s = []
        for second in range(5, 25):
            began_s = time.monotonic()
            live(history, [second])
            spent_s.append(time.monotonic() - began_s)
        assert_prompt(spent_s)
    until(lambda: kept_seconds(os.environ[variable]) == list(range(25)), "all is there once", 30.0)
    assert seconds_of(ask(history, 0, 99)) == list(range(25))
    history.close()


def test_rows_wait_for_a_server_that_was_killed(postgres: PostgresServer, variable: str,
                                                tmp_path: Path) -> None:
    history = spooled(variable, tmp_path)
    live(history, range(20))
    postgres.kill()
    live(history, range(20, 30))
    history.close()
    history = spooled(variable, tmp_path)
    assert "frames wait on this disk" in history.health().error
    with pytest.raises(RetryLaterError):
        ask(history, 0, 99)
    postgres.start()
    live(history, [30])
    until(lambda: kept_seconds(os.environ[variable]) == list(range(31)), "all is there once", 30.0)
    history.close()


def test_a_row_whose_commit_was_not_answered_is_there_once(
        postgres: PostgresServer, variable: str, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    direct = os.environ[variable]
    with Proxy(postgres.port) as wire:
        monkeypatch.setenv(variable, direct.replace(f":{postgres.port}/", f":{wire.port}/"))
        history = spooled(variable, tmp_path)
        for second in range(3590, 3602):
            if second % 3 == 0:
                wire.lose_next_commit()
            live(history, [second])
            history.settle()
        history.close()
        assert wire.lost == 4
    assert kept_seconds(direct) == list(range(3590, 3602))
    assert told(direct, "SELECT value_n FROM channels_hour WHERE sid = 0") == [(10,)]


def test_a_server_that_was_away_is_answered_for_by_the_files(
        postgres: PostgresServer, variable: str, tmp_path: Path) -> None:
    config = HistoryConfig(["postgres", "embedded"], str(tmp_path), url_variable=variable)
    history = make_channel_history(config, IDS, "x")
    assert history is not None
    assert set(history.health().parts) == {"postgres", "embedded"}
    live(history, range(3))
    with postgres.silent():
        live(history, [3])
        assert seconds_of(ask(history, 0, 9)) == [0, 1, 2, 3]
    history.close()


def test_channels_go_where_the_configuration_says(variable: str, tmp_path: Path) -> None:
    found: list[ChannelHistory | None] = []
    for kind in ("postgres", "embedded"):
        config = HistoryConfig(kind, str(tmp_path), url_variable=variable, budget_mib=64)
        found.append(make_channel_history(config, IDS, "x"))
    server, files = found
    assert isinstance(server, SpooledChannels)
    assert isinstance(files, EmbeddedChannelHistory)
    assert [one.health().budget_bytes >> 20 for one in (server, files)] == [16, 8]
    row = values_at(np.array([7.0]))[0]
    server.append(at(7), row)
    server.close()
    files.close()
    again = spooled(variable, tmp_path)
    assert [one.mean.tolist() for one in again.series(IDS, NOON, at(9))] == [
        [value] for value in row]
    again.close()
