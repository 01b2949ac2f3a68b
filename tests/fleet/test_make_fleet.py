"""`make fleet` with three packs, as a person starts it: all of it, and what is left afterwards."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from bench._fleet import Mosquitto, Process
from core.config import load_config
from core.engine import Engine
from core.fleet.catalogue import catalogue
from core.fleet.messages import packed
from core.registry import make_fleet_store, make_sources
from scripts.app_process import ROOT, answers, free_port
from scripts.children import Family, Lock
from scripts.fleet import (
    FleetError,
    Plan,
    edges,
    groups,
    hurry,
    parser,
    planned,
    rest,
    write_config,
)
from services.fleet_source import KeptFleet
from tests.fleet.examples import body, telemetry
from tests.fleet.site import Talker, broker_of
from tests.sources.mosquitto import until

START_S = 90.0


class Started:
    """The command, its words, and the processes that it began."""

    def __init__(self, folder: Path) -> None:
        self.log = folder.parent / "said.log"
        self.ports = {name: free_port() for name in ("app", "gateway", "broker")}
        ports = [word for name, port in self.ports.items()
                 for word in (f"--{name}-port", str(port))]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scripts.fleet", "--packs", "3", "--cells", "24",
                 "--folder", str(folder), *ports], cwd=ROOT, stdout=output, stderr=output)
        until(lambda: "Ctrl+C ends all" in self.said() or self.process.poll() is not None,
              "the fleet says where it is", START_S)
        assert self.process.poll() is None, self.said()
        self.children = psutil.Process(self.process.pid).children(recursive=True)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def child(self, what: str) -> psutil.Process:
        return next(child for child in self.children if what in " ".join(child.cmdline()))

    def left(self) -> list[psutil.Process]:
        return [child for child in self.children
                if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "fleet"


@pytest.fixture
def running(folder: Path) -> Iterator[list[Started]]:
    """Fleets that a test began; whatever it left is ended."""
    begun: list[Started] = []
    yield begun
    for fleet in begun:
        if fleet.process.poll() is None:
            fleet.process.terminate()
            fleet.process.wait(60)


def assert_alive(folder: Path) -> None:
    """By the very configuration that the app reads: three packs, told now, that answer."""
    config = load_config(folder / "orrery.toml")
    engine = Engine(config.level_list, make_sources(config))
    source: Any = engine.sources[0]
    try:
        until(lambda: _packs_live(engine) == 3, "three packs are live", 20.0)
        until(lambda: {pack.link for pack in source.packs()} == {"online"}, "all are online", 20.0)
        assert 0.0 < source.ping() < 5.0
        assert source.commands()[0].state == "executed"
        until(lambda: _asked(engine), "the coordinator reaches the packs", 40.0)
    finally:
        engine.stop()


def _packs_live(engine: Engine) -> int:
    frame = engine.tick().frame
    packs = [engine.topology.index(pack.element) for pack in engine.sources[0].packs()]  # type: ignore[attr-defined]
    return sum(not frame.stale[node] and math.isfinite(frame.value("soc_pct", node))
               for node in packs)


def _asked(engine: Engine) -> bool:
    """Each has an allocation in force, which may well be 0 kW."""
    engine.tick()
    return all(pack.allocation_kw is not None and "allocation" not in pack.limit_reason
               and "silent" not in pack.limit_reason
               for pack in engine.sources[0].packs())  # type: ignore[attr-defined]


def test_all_of_it_runs_and_nothing_is_left(folder: Path, running: list[Started]) -> None:
    first = Started(folder)
    running.append(first)
    assert answers(f"http://127.0.0.1:{first.ports['app']}/_stcore/health")
    until(lambda: answers(f"http://127.0.0.1:{first.ports['gateway']}/openapi.json"),
          "the gateway says what it can be asked", 20.0)
    assert_alive(folder)
    first.process.kill()
    first.process.wait(10)
    until(lambda: not first.left(), "the keeper ends what SIGKILL left", 30.0)

    second = Started(folder)
    running.append(second)
    assert_alive(folder)
    second.child("services.edge").kill()
    until(lambda: "edge_1 was ended by SIGKILL" in second.said(), "who ended is told")
    assert second.process.poll() is None
    second.process.terminate()
    assert second.process.wait(60) == 0
    assert not second.left()


def test_a_second_one_of_that_size_is_told_who_runs(folder: Path) -> None:
    family = Family(Lock(folder))
    try:
        ran = subprocess.run([sys.executable, "-m", "scripts.fleet", "--packs", "3", "--folder",
                              str(folder)], cwd=ROOT, capture_output=True, text=True, check=False,
                             timeout=60)
    finally:
        family.end()
    assert ran.returncode == 1
    assert "runs in" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(("words", "said"), [
    (["--packs", "0"], "give 1 to 5000"), (["--app-port", "70000"], "port 70000"),
    (["--fault", "pack_3=short_circuit"], "one of the packs pack_001, pack_002"),
    (["--fault", "pack_003=sneezes"], "one of cell_overheats, cell_sensor_lost")])
def test_what_cannot_be_is_said(words: list[str], said: str) -> None:
    with pytest.raises(FleetError, match=said):
        planned(parser().parse_args(words))


@pytest.fixture
def plan(folder: Path, mosquitto: Mosquitto) -> Plan:
    """Of three packs, with a broker that lets anybody in."""
    asked = parser().parse_args(["--packs", "3", "--cells", "24", "--folder", str(folder)])
    planned_one = planned(asked)
    folder.mkdir(parents=True)
    return replace(planned_one, ports={**planned_one.ports, "broker": mosquitto.port})


def test_a_stranger_at_the_open_broker_is_refused_and_not_stored(mosquitto: Mosquitto,
                                                                 plan: Plan) -> None:
    """The ingest as `make fleet` starts it."""
    own = plan.plates[0].device
    child = next(one for one in rest(plan) if one.name == "ingest")
    ingest = Process(child.command, plan.folder / "ingest.log")
    talker = Talker(broker_of(mosquitto), "talker", "pulsebms/home/+/ack")
    inside = packed(body(time_s=time.time()))
    ingest.start()
    try:
        def settled() -> bool:
            for device in ("stranger", own):
                talker.say(f"pulsebms/home/{device}/telemetry", telemetry(
                    inside, device=device, seq=1, floor=1, sent_s=time.time()))
            return bool(talker.acks(own))

        until(settled, f"the pack's is kept:\n{ingest.said()}", 30.0)
    finally:
        talker.close()
        assert ingest.stop() == 0, ingest.said()
    told = msgspec.json.decode((plan.folder / "ingest.json").read_bytes())
    assert told["rejected"]["unknown_device"] >= 1
    assert "stranger" in told["last_rejected"]["unknown_device"]["topic"]
    store = make_fleet_store(plan.store)
    assert [mark.device for mark in store.marks()] == [own]
    store.close()


def test_every_pack_may_send_and_the_app_reads_where_the_ingest_writes(plan: Plan) -> None:
    write_config(plan)
    source = make_sources(load_config(plan.config))[0]
    assert isinstance(source, KeptFleet)
    make_fleet_store(plan.store).close()
    source.close()
    command = next(one for one in rest(plan) if one.name == "ingest").command
    listed = [word for flag, word in pairwise(command) if flag == "--device"]
    assert listed == [plate.device for plate in plan.plates]
    assert plan.store in command
    assert plan.store in plan.config.read_text()


def test_many_packs_share_few_processes_and_each_pack_has_one() -> None:
    for count in (1, 24, 1000):
        plates = catalogue(count)
        found = groups(plates)
        assert [plate for group in found for plate in group] == list(plates)
        assert len(found) <= max(4, len(plates) // 100)


def test_a_fault_goes_to_the_process_of_its_pack(folder: Path) -> None:
    told = ["pack_001=short_circuit", "pack_010=cooling_failed", "pack_001=cell_overheats"]
    plan = planned(parser().parse_args(["--packs", "16", "--folder", str(folder), *(
        word for fault in told for word in ("--fault", fault))]))
    plan.folder.mkdir(parents=True)
    found = [[word for flag, word in pairwise(child.command) if flag == "--fault"]
             for child in edges(plan)]
    assert found == [[told[0], told[2]], [told[1]]]


def test_a_machine_that_is_too_small_is_told_and_one_that_is_not_is_left_alone() -> None:
    few, many = (planned(parser().parse_args(["--packs", count])) for count in ("24", "5000"))
    assert hurry(few) == ""
    assert (f"has {os.cpu_count()}" in hurry(many)) == ((os.cpu_count() or 1) < 23)
