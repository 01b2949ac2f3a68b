"""Frames that wait for a server: none lost, none twice, in order, within a bound."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.clock import ManualClock
from core.errors import HistoryLockedError, RetryLaterError
from core.ports import Store
from core.topology import DEFAULT_LEVELS, Topology
from core.vocabulary import METRIC_NAMES
from scripts.app_process import ROOT
from store.embedded import EmbeddedStore
from store.hot import NAME
from store.spool import SpooledStore
from tests.core.sites import system
from tests.store.support import NOON, SITE, at, fill, frame, seconds_of, values_at, voltages

FRAME_BYTES = 4 * len(METRIC_NAMES) * SITE.size
WRITER = """
import sys
from pathlib import Path
from core.errors import RetryLaterError
from store.spool import SpooledStore
from tests.store.support import SITE, fill

def away():
    raise RetryLaterError("away")

store = SpooledStore(Path(sys.argv[1]), away, SITE, budget_bytes=1 << 26)
for second in range(10_000):
    fill(store, [second])
    print(second, flush=True)
"""


class Server:
    """A history that can be away; what it took stays. topology: of whoever opens it next."""

    def __init__(self, directory: Path) -> None:
        self._directory, self.away, self.opened = directory, False, 0

    def open(self, topology: Topology = SITE) -> Store:
        if self.away:
            raise RetryLaterError("the server is away")
        self.opened += 1
        return EmbeddedStore(self._directory, topology)


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path / "server")


@pytest.fixture
def held() -> Iterator[list[SpooledStore]]:
    found: list[SpooledStore] = []
    yield found
    for one in found:
        one.close()


def spooled(server: Server, tmp_path: Path, held: list[SpooledStore],
            budget_bytes: int = 1 << 26, topology: Topology = SITE) -> SpooledStore:
    held.append(SpooledStore(tmp_path / "spool", lambda: server.open(topology), topology,
                             budget_bytes=budget_bytes, clock=ManualClock(NOON)))
    return held[-1]


def test_while_the_server_is_away_frames_wait_and_nothing_is_hidden(
        server: Server, tmp_path: Path, held: list[SpooledStore],
        caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "store.spool")
    server.away = True
    store = spooled(server, tmp_path, held)
    fill(store, range(100))
    store.settle()
    health = store.health()
    assert "the server is away (100 frames wait on this disk)" in health.error
    assert health.newest == at(99)
    for ask in (lambda: voltages(store, 0, 99), lambda: store.frame_at(at(9)),
                lambda: store.backfill(iter([]), lambda _: None)):
        with pytest.raises(RetryLaterError, match="away"):
            ask()
    server.away = False
    fill(store, [100])
    store.settle()
    assert seconds_of(voltages(store, 0, 200)) == list(range(101))
    assert store.health().error == ""
    assert server.opened == 1
    said = [record.getMessage() for record in caplog.records]
    assert len([one for one in said if "wait on this disk" in one]) == 1
    assert len([one for one in said if "takes frames again" in one]) == 1


def test_what_waits_goes_on_after_a_restart_and_comes_once(
        server: Server, tmp_path: Path, held: list[SpooledStore]) -> None:
    store = spooled(server, tmp_path, held)
    fill(store, range(5))
    store.close()
    server.away = True
    store = spooled(server, tmp_path, held)
    fill(store, range(5, 9))
    with pytest.raises(RetryLaterError, match="stepped back"):
        fill(store, [8])
    store.close()
    server.away = False
    store = spooled(server, tmp_path, held)
    store.settle()
    assert seconds_of(voltages(store, 0, 99)) == list(range(9))
    with pytest.raises(RetryLaterError, match="stepped back"):
        fill(store, [8])


def test_what_append_returned_from_survives_sigkill(server: Server, tmp_path: Path,
                                                    held: list[SpooledStore]) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "spool")], cwd=ROOT,
                          stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(150)]
        process.send_signal(signal.SIGKILL)
        said += [int(line) for line in process.stdout.read().split()]
    store = spooled(server, tmp_path, held)
    store.settle()
    there = seconds_of(voltages(store, 0, 3000))
    assert there[:len(said)] == said
    assert len(there) - len(said) in {0, 1}


def test_beyond_its_bound_the_oldest_are_given_up_and_counted(
        server: Server, tmp_path: Path, held: list[SpooledStore]) -> None:
    server.away = True
    store = spooled(server, tmp_path, held, budget_bytes=80 * FRAME_BYTES)
    for second in range(200):
        fill(store, [second])
        store.settle()
    error = store.health().error
    server.away = False
    fill(store, [200])
    store.settle()
    there = seconds_of(voltages(store, 0, 300))
    assert there == list(range(int(there[0]), 201))
    assert 16 <= len(there) <= 82
    assert f"{200 - (len(there) - 1)} were given up" in error


def test_a_frame_of_nodes_that_are_gone_goes_on_with_those_that_stay(
        server: Server, tmp_path: Path, held: list[SpooledStore]) -> None:
    other = Topology(DEFAULT_LEVELS, [system(1), system(0, cells=4)])
    server.away = True
    store = spooled(server, tmp_path, held)
    fill(store, range(3))
    store.close()
    server.away = False
    store = spooled(server, tmp_path, held, topology=other)
    fill(store, [3], other)
    store.settle()
    found = store.frame_at(at(2))
    assert found is not None
    for node, node_id in enumerate(other.ids):
        value = found.columns["voltage_v"][node]
        if node_id in SITE.ids:
            assert value == values_at(2, SITE.size)[2, SITE.index(node_id)]
        else:
            assert np.isnan(value)


def test_a_damaged_file_is_set_aside_and_said(server: Server, tmp_path: Path,
                                              held: list[SpooledStore],
                                              caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / NAME).write_bytes(b"no database at all " * 500)
    store = spooled(server, tmp_path, held)
    fill(store, [1])
    assert seconds_of(voltages(store, 0, 9)) == [1]
    assert "was set aside" in caplog.text
    assert [path.name for path in (tmp_path / "spool").glob("*.damaged-*")]


def test_two_processes_cannot_wait_in_one_place(server: Server, tmp_path: Path,
                                                held: list[SpooledStore]) -> None:
    server.away = True
    spooled(server, tmp_path, held)
    with pytest.raises(HistoryLockedError):
        spooled(server, tmp_path, held)


def test_missing_values_stay_missing(server: Server, tmp_path: Path,
                                     held: list[SpooledStore]) -> None:
    store = spooled(server, tmp_path, held)
    values = values_at(0, SITE.size)
    values[2, 5] = np.nan
    stale = np.zeros(SITE.size, bool)
    stale[-1] = True
    store.append(frame(0, values, stale=stale))
    found = store.frame_at(at(0))
    assert found is not None
    assert np.isnan(found.columns["voltage_v"][5])
    assert found.stale[-1]
    assert found.columns["voltage_v"][4] == values[2, 4]
