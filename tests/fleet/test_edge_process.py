"""An edge process whose disk is lost, put back, or holds what the broker does not take."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench._fleet import Mosquitto, Process, edge
from core.clock import SystemClock
from core.fleet.messages import (
    VERSION,
    Allocation,
    Body,
    Envelope,
    Status,
    decode,
    packed,
    read_small,
)
from core.fleet.ports import FleetStore
from core.fleet.rejections import Rejection
from core.fleet.topics import allocation_topic, device_topic
from services.edge.estimator import CellEstimators
from services.edge.guard import Guards
from services.edge.outbox import Outbox
from services.edge.pack import Pack, PackGroup
from services.edge.plant import EachPlant, SimulatedPack
from services.edge.runtime import EdgeRuntime, Plate
from services.ingest.subscriber import Ingest
from tests.fleet.examples import body
from tests.fleet.site import Talker, broker_of, ingesting
from tests.sources.mosquitto import until

Centre = tuple[Ingest, FleetStore]


@pytest.fixture
def centre(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Centre]:
    with ingesting(broker_of(mosquitto), tmp_path) as found:
        yield found


@pytest.fixture
def device(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Process]:
    found = edge(tmp_path, mosquitto.url, ["pack_1"], "--cells", "24", "--every", "1")
    found.start()
    yield found
    found.kill()


def last(store: FleetStore) -> int:
    mark = store.mark("home", "pack_1")
    return 0 if mark is None else mark.last


def drained(device: Process) -> None:
    device.kill()
    device.start("--drain")
    assert device.wait(30) == 0, device.said()


def bodies(store: FleetStore) -> list[bytes]:
    return [inside for _, inside in store.bodies("home", "pack_1", 1, 10 ** 6)]


def test_a_new_disk_numbers_on_where_the_old_one_stopped(centre: Centre, device: Process,
                                                         tmp_path: Path) -> None:
    ingest, store = centre
    until(lambda: last(store) > 5, "something is stored")
    drained(device)
    before = last(store)
    for file in tmp_path.glob("pack_1.sqlite*"):
        file.unlink()
    device.start()
    until(lambda: last(store) > before + 5, "it goes on")
    drained(device)
    assert len(set(bodies(store))) == len(bodies(store)) == last(store)
    assert store.gaps("home", "pack_1") == []
    assert "two_devices" not in ingest.counters.report()["rejected"]


def test_a_disk_put_back_from_a_copy_stores_nothing_twice(centre: Centre, device: Process,
                                                          tmp_path: Path) -> None:
    _, store = centre
    until(lambda: last(store) > 5, "something is stored")
    device.kill()
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in tmp_path.glob("pack_1.sqlite*"):
        shutil.copy(file, copy)
    device.start()
    before = last(store)
    until(lambda: last(store) > before + 10, "it goes on")
    drained(device)
    for file in tmp_path.glob("pack_1.sqlite*"):
        file.unlink()
    for file in copy.iterdir():
        shutil.copy(file, tmp_path)
    before = last(store)
    device.start()
    until(lambda: last(store) > before + 5, "it goes on from the copy")
    drained(device)
    assert len(set(bodies(store))) == len(bodies(store))
    assert store.gaps("home", "pack_1") == []


def test_what_the_broker_never_takes_is_given_up_and_told(mosquitto: Mosquitto, centre: Centre,
                                                          tmp_path: Path) -> None:
    ingest, store = centre
    outbox = Outbox(tmp_path / "big.sqlite", ["pack_1"])
    for number, size in enumerate((24, 300_000, 24)):
        outbox.put({"pack_1": packed(body(time_s=time.time() - 10 + number,
                                          cells={"voltage_v": bytes(size)}))})
    plant = SimulatedPack("LFP", 24, 10.0, seed=1, device="pack_1")
    guards = Guards([plant.rating], outbox)
    group = PackGroup([Pack("pack_1", guards.each[0])], guards, EachPlant([plant]),
                      CellEstimators([plant.rating]))
    runtime = EdgeRuntime("home", group, {"pack_1": Plate("LFP", 24, 10.0)}, outbox,
                          broker_of(mosquitto), SystemClock())
    stop = threading.Event()
    thread = threading.Thread(target=runtime.run, args=(stop,))
    thread.start()
    try:
        until(lambda: last(store) >= 4, "the next ones go on")
        until(lambda: store.gaps("home", "pack_1") == [(2, 2)], "the gap is told")
    finally:
        stop.set()
        thread.join(10)
    assert outbox.life("pack_1").dropped == 1
    assert runtime._refused("pack_1") == {Rejection.BROKER_LIMIT: 1}
    assert ingest.counters.report()["rejected"] == {}
    outbox.close()


def newest(store: FleetStore) -> Body:
    return decode(bodies(store)[-1], Body, json=False)


def allocate(talker: Talker, power_kw: float, valid_s: float) -> None:
    talker.say(allocation_topic("home"), packed(Allocation(
        v=VERSION, site="home", issued_s=time.time(), valid_s=valid_s,
        power_kw={"pack_1": power_kw})))


def test_a_device_rests_once_nothing_is_allocated_any_more(centre: Centre, device: Process,
                                                           mosquitto: Mosquitto) -> None:
    """The coordinator is gone, the ingest still speaks."""
    _, store = centre
    coordinator = Talker(broker_of(mosquitto), "coordinator")
    until(lambda: last(store) > 5, "the device tells")

    def follows() -> bool:
        allocate(coordinator, 1.0, 2.0)
        return newest(store).allocation_kw == pytest.approx(1.0)

    until(follows, "it follows the coordinator", 30.0)
    ended_s = time.time()
    coordinator.close()
    until(lambda: newest(store).allocation_kw == 0.0, "it rests")
    rested = newest(store)
    assert "the allocation has expired" in rested.limit_reason
    assert rested.time_s >= ended_s
    rests = [decode(each, Body, json=False) for each in bodies(store)]
    driven_s = max(each.time_s for each in rests if each.allocation_kw)
    assert driven_s <= ended_s + 2.0 + 0.2, "no sample later than it was valid"


def test_a_device_rests_once_the_whole_centre_is_silent(mosquitto: Mosquitto,
                                                        tmp_path: Path) -> None:
    """Its allocation would be valid for an hour; it has told how long it bears the silence."""
    device = edge(tmp_path, mosquitto.url, ["pack_1"], "--cells", "24", "--every", "1",
                  "--silent-s", "2")
    talker = Talker(broker_of(mosquitto), "ear", device_topic("home", "pack_1", "telemetry"))
    status = Talker(broker_of(mosquitto), "status", device_topic("home", "pack_1", "status"))

    def told() -> list[Body]:
        return [decode(decode(payload, Envelope, json=False).body, Body, json=False)
                for _, payload in list(talker.heard)]

    device.start()
    try:
        until(lambda: bool(talker.heard), "the device tells")
        allocate(talker, 1.0, 3600.0)
        until(lambda: any(each.allocation_kw for each in told()), "it follows", 30.0)
        until(lambda: "the centre is silent" in told()[-1].limit_reason, "it rests")
        assert told()[-1].allocation_kw == 0.0
        assert read_small(status.heard[-1][1], Status).silent_s == 2.0
    finally:
        device.kill()
        talker.close()
        status.close()
