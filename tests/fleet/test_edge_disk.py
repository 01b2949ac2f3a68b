"""A disk that takes nothing, or cannot be read: safety goes on, a stop is done, and what happened
is written down once there is room again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.clock import ManualClock, from_epoch
from core.errors import ConfigurationError, RetryLaterError
from core.fleet.messages import Ack, Reply
from core.fleet.rejections import Rejection
from scripts.app_process import ROOT
from services.edge.orders import UNWRITTEN, WRITE_AGAIN_S, Orders
from services.edge.outbox import CommandRow, Outbox, Standing
from services.edge.runtime import EdgeRuntime, Plate
from services.fleet_link import Broker
from tests.fleet.examples import NOW_S
from tests.fleet.test_guard import STEP_S, Bench

PACK = "pack_1"

FULL = """
import json, resource, signal, sys
from datetime import timedelta
from pathlib import Path
from paho.mqtt.client import MQTTMessage
from core.clock import ManualClock, from_epoch
from core.fleet.messages import Command, Status, read_small, said
from services.edge.estimator import CellEstimators
from services.edge.guard import Guards
from services.edge.outbox import Outbox
from services.edge.pack import Pack, PackGroup
from services.edge.plant import SimulatedPack
from services.edge.plant_group import PlantGroup
from services.edge.runtime import EdgeRuntime, Plate
from services.fleet_link import Broker

folder, clock = Path(sys.argv[1]), ManualClock(from_epoch(1.8e9))
box = Outbox(folder / "o.sqlite", ["pack_1"])
plant = SimulatedPack("LFP", 96, 10.0, seed=1, device="pack_1")
guards = Guards([plant.rating], box, timer=clock.monotonic_s)
group = PackGroup([Pack("pack_1", guards.each[0])], guards, PlantGroup([plant]),
                  CellEstimators([plant.rating], [60.0]))
runtime = EdgeRuntime("home", group, {"pack_1": Plate("LFP", 96, 10.0)}, box,
                      Broker(host="127.0.0.1", port=1), clock, every=1)

def live(ticks):
    for _ in range(ticks):
        runtime._tick()
        clock.advance(0.1)

def order(action, number, **more):
    message = MQTTMessage(topic=b"pulsebms/home/pack_1/commands")
    message.payload = said(Command(v=1, id=f"{number:032x}", issuer="eve",
                                   issued_s=clock.now().timestamp(), ttl_s=30.0,
                                   action=action, **more))
    runtime._on_message("pulsebms/home/pack_1/commands", message, 1)
    runtime.inbound.take_up()

def replies():
    return [[reply.state, reply.reason] for message in runtime._link._client.drop_out_messages()
            for reply in read_small(bytes(message.payload), Status).replies]

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

def told():
    return {"replies": replies(), "state": guards.each[0].memory.state,
            "made": box.life("pack_1").made, "rejected": dict(runtime._refused("pack_1"))}

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
live(5)
limit(max(file.stat().st_size for file in folder.iterdir()))
live(5)
lost = told()
order("emergency_stop", 1)
order("override", 2, power_kw=1.0, hold_s=60.0)
order("emergency_stop", 1)
live(5)
stopped = told()
limit(resource.RLIM_INFINITY)
live(30)
order("emergency_stop", 1)
after = told()
box.close()
limit(0)
again = Outbox(folder / "o.sqlite", ["pack_1"])
begun = Guards([plant.rating], again, timer=clock.monotonic_s).each[0].memory.state
again.close()
print(json.dumps({"lost": lost, "stopped": stopped, "after": after, "begun": begun}), flush=True)
"""


def test_a_full_disk_costs_telemetry_and_nothing_else(tmp_path: Path) -> None:
    """The files may not grow for a while: COMMIT is what fails then."""
    ran = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], cwd=ROOT, timeout=60,
                         capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    lost, stopped, after, begun = json.loads(ran.stdout).values()
    assert lost == {"replies": [], "state": "normal", "made": 5, "rejected": {"disk": 5}}
    received, refused, again, executed = stopped["replies"]
    assert received[0] == again[0] == "received"
    assert UNWRITTEN in received[1]
    assert refused[0] == "refused"
    assert refused[1].startswith("nothing was done: the device's disk fails (")
    assert again[1].startswith("replayed: ")
    assert (executed[0], stopped["state"]) == ("executed", "latched")
    assert UNWRITTEN in executed[1]
    assert after["made"] == 5 + 30, "it goes on as soon as there is room"
    assert [reply[0] for reply in after["replies"]] == ["executed"]
    assert begun == "latched", "it may start where nothing can be written, and knows its latch"
    box = Outbox(tmp_path / "o.sqlite", [PACK])
    assert box.command(f"{1:032x}", PACK) == ("executed", "")
    assert (box.command(f"{2:032x}", PACK) or ("",))[0] == "refused"
    assert box.standing(PACK).stopped == "emergency_stop"
    assert b"latched" in (box.safety(PACK) or b"")
    assert [seq for seq, _ in box.waiting(PACK, 0, 100)] == list(range(1, 36))
    box.close()


def broken(box: Outbox, path: Path) -> None:
    """Its file is lost beneath it: nothing can be read or begun any more."""
    for ending in ("", "-wal"):
        os.truncate(f"{path}{ending}", 0)
    box._db.execute("PRAGMA shrink_memory")


def test_every_use_of_a_disk_that_fails_asks_to_be_tried_again(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.sqlite", [PACK])
    for _ in range(3):
        box.put({PACK: b"x" * 20_000})
    life = box.life(PACK)
    broken(box, tmp_path / "o.sqlite")
    anew = Ack(v=1, stream="c" * 16, high=40, refused=life.stream)
    for use in (lambda: box.put({PACK: b"x"}), lambda: box.waiting(PACK, 0, 9),
                lambda: box.floor(PACK), lambda: box.give_up(PACK, 1),
                lambda: box.take(PACK, anew),
                lambda: box.commands(PACK, "received", ""), lambda: box.standing(PACK),
                lambda: box.keep_commands([CommandRow("1" * 32, PACK, 1.0, "executed", "")], 0.0),
                lambda: box.keep_standing({PACK: Standing("")}),
                lambda: box.policies(PACK),
                lambda: box.safety(PACK), lambda: box.keep_safety({PACK: b""})):
        with pytest.raises(RetryLaterError, match="the device's disk fails"):
            use()
    assert box.life(PACK) == life
    box.close()


def test_what_cannot_be_read_is_not_sent_and_the_device_goes_on(outbox: Outbox,
                                                                tmp_path: Path) -> None:
    """The connection stands."""
    bench = Bench(outbox, "LFP")
    runtime = EdgeRuntime("home", bench.group, {PACK: Plate("LFP", 24, 10.0)}, outbox,
                          Broker(host="127.0.0.1", port=1), ManualClock(from_epoch(NOW_S)),
                          every=1)
    runtime._tick()
    runtime.sender.link.connected.set()
    broken(outbox, tmp_path / "o.sqlite")
    runtime._tick()
    assert runtime._refused(PACK) == {Rejection.DISK: 2}, "neither kept nor sent"


def test_a_row_that_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    """It is the statement itself that fails."""
    box = Outbox(tmp_path / "o.sqlite", [PACK])
    box.put({PACK: b"a"})
    (pages,) = box._db.execute("PRAGMA page_count").fetchone()
    box._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(RetryLaterError, match="full"):
        box.put({PACK: b"x" * 100_000})
    box._db.execute("PRAGMA max_page_count = 100000")
    assert box.put({PACK: b"b"}) == {PACK: 2}
    assert box.waiting(PACK, 0, 9) == [(1, b"a"), (2, b"b")]
    with pytest.raises(RetryLaterError):
        box.keep_safety({PACK: b"first", "pack_2": None})  # type: ignore[dict-item]
    assert box.safety(PACK) is None
    assert box.put({PACK: b"c"}) == {PACK: 3}
    box.close()


def test_a_device_that_starts_on_a_disk_that_takes_nothing_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        Outbox(tmp_path / "file" / "o.sqlite", [PACK])


# -- orders


class Spoken:
    """Orders of one pack, what they counted, and what they told beside their return."""

    def __init__(self, bench: Bench) -> None:
        self.counts: list[Rejection] = []
        self.told: list[Reply] = []
        self.bench, self.outbox = bench, bench.outbox
        bench.orders = [Orders(bench.packs[0], bench.outbox, None, self.counts.append,
                               self.told.append)]

    def live(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.bench.live(STEP_S)
            self.bench.orders[0].follow(self.bench.now_s)


@pytest.fixture
def spoken(outbox: Outbox) -> Spoken:
    found = Spoken(Bench(outbox, "LFP"))
    found.live(1.0)
    return found


@pytest.mark.parametrize("action", ["controlled_shutdown", "emergency_stop"])
def test_a_stop_is_done_on_a_disk_that_cannot_even_be_read(spoken: Spoken, tmp_path: Path,
                                                           action: str) -> None:
    broken(spoken.outbox, tmp_path / "o.sqlite")
    reply = spoken.bench.command(action)
    assert (reply.state, UNWRITTEN in reply.reason) == ("received", True)
    spoken.live(5.0)
    assert [told.state for told in spoken.told] == ["executed"]
    assert spoken.bench.state() == "latched"
    reset = spoken.bench.command("reset")
    assert (reset.state, reset.reason[:16]) == ("refused", "nothing was done")
    assert spoken.bench.state() == "latched"
    assert spoken.counts == [Rejection.DISK] * 3


@pytest.mark.parametrize("action", ["override", "release", "reset", "deploy", "roll_back"])
def test_what_may_wait_is_refused_while_nothing_can_be_written(spoken: Spoken,
                                                               action: str) -> None:
    standing = spoken.bench.packs[0].standing
    spoken.outbox._db.execute("PRAGMA query_only = 1")
    asked = spoken.bench.asked(action, 5, power_kw=1.0, hold_s=60.0)
    first = spoken.bench.orders[0].handle(asked, spoken.bench.now_s)
    assert (first.state, "disk fails" in first.reason) == ("refused", True)
    assert (spoken.bench.packs[0].standing, spoken.told) == (standing, [])
    spoken.outbox._db.execute("PRAGMA query_only = 0")
    again = spoken.bench.orders[0].handle(asked, spoken.bench.now_s)
    assert (again.state, again.reason[:8]) == ("refused", "replayed"), "it was told to be refused"
    spoken.live(WRITE_AGAIN_S)
    assert (spoken.outbox.command(asked.id, PACK) or ("",))[0] == "refused"


def test_a_stop_is_received_until_its_contactors_are_open(spoken: Spoken) -> None:
    assert spoken.bench.command("controlled_shutdown").state == "received"
    assert spoken.told == []
    spoken.live(5.0)
    assert [(told.state, told.reason) for told in spoken.told] == [("executed", "")]
    assert spoken.bench.command("emergency_stop").state == "executed", "they are open already"


def test_a_stop_that_does_not_isolate_is_not_executed(spoken: Spoken) -> None:
    switch = spoken.bench.plants[0].switch
    switch.plus.welded = switch.minus.welded = True
    spoken.bench.command("controlled_shutdown")
    spoken.live(15.0)
    (told,) = spoken.told
    assert told.state == "refused"
    assert told.reason.startswith("NOT isolated; plus contactor welded")


def test_a_stop_is_answered_by_the_process_after_the_one_that_received_it(
        spoken: Spoken) -> None:
    spoken.bench.plants[0].switch.plus.welded = True
    asked = spoken.bench.asked("emergency_stop", 8)
    assert spoken.bench.orders[0].handle(asked, spoken.bench.now_s).state == "received"
    spoken.bench.restart()
    after = Spoken(spoken.bench)
    after.live(5.0)
    assert [(told.id, told.state) for told in after.told] == [(asked.id, "executed")]
    assert "plus contactor welded" in after.told[0].reason
    assert after.bench.orders[0].handle(asked, after.bench.now_s).state == "executed"


def test_what_takes_a_while_is_received_before_it_is_done(spoken: Spoken) -> None:
    reply = spoken.bench.command("roll_back")
    assert [told.state for told in spoken.told] == ["received"]
    assert (spoken.told[0].id, reply.state) == (reply.id, "refused")


def test_a_command_of_one_pack_is_none_of_another(outbox: Outbox) -> None:
    bench = Bench(outbox, "LFP", "NMC")
    asked = bench.asked("override", 3, power_kw=1.0, hold_s=60.0)
    assert [orders.handle(asked, bench.now_s).state for orders in bench.orders] == ["executed"] * 2
    assert [pack.standing.power_kw for pack in bench.packs] == [1.0, 1.0]
    again = [orders.handle(asked, bench.now_s) for orders in bench.orders]
    assert [reply.reason[:8] for reply in again] == ["replayed"] * 2
