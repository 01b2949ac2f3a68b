"""A learnt policy on its way to a pack: by a command, on the pack's own disk, and back again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from bench._fleet import Mosquitto, edge
from core.clock import SystemClock
from core.coordinator.actor import FILE, signed, written
from core.coordinator.alone import ALONE_WORDS
from core.coordinator.candidates import NAME
from core.fleet.messages import Command, Reply, Status, read_small, said
from core.fleet.rejections import RejectedError
from services.commander import Commander
from services.coordinator.rl.__main__ import KEY as ACTOR_KEY
from services.coordinator.rl.__main__ import main
from services.edge.orders import Orders
from services.edge.outbox import Outbox
from services.edge.policies import Policies, Trust
from tests.coordinator_rl.cases import KEY, LET, SHIPPED, SITE_LET, actor
from tests.fleet.examples import NOW_S
from tests.fleet.site import Talker, broker_of
from tests.fleet.test_demo_packs import Demo
from tests.fleet.test_pack import DEVICE, pack_with
from tests.sources.mosquitto import until

BROKEN = b"orrery-actor-1 shipped 00\nnothing"


def policy(version: str, *verdicts: object) -> bytes:
    made = actor(1, 8, *(verdicts or (LET,)))  # type: ignore[arg-type]
    return signed(written(replace(made, record=msgspec.structs.replace(
        made.record, version=version))), KEY)


class Bench:
    """One pack that may be started again over its outbox's file."""

    def __init__(self, path: Path, first: bytes = b"") -> None:
        self._path, self._first, self._number = path, first, 0
        self.begin()

    def begin(self, key: str | None = KEY) -> None:
        self.outbox = Outbox(self._path, [DEVICE])
        self.pack = pack_with()
        self.policies = Policies(self.pack, self.outbox, Trust(100.0, "LFP", key), self._first)
        self._orders = Orders(self.pack, self.outbox, self.policies)

    def restart(self, key: str | None = KEY, first: bytes | None = None) -> None:
        self.outbox.close()
        self._first = self._first if first is None else first
        self.begin(key)

    def told(self) -> tuple[str, str | None]:
        return self.policies.running, self.policies.before

    def order(self, action: str, file: bytes | None = None) -> Reply:
        self._number += 1
        return self._orders.handle(Command(
            v=1, id=f"{self._number:032x}", issuer="eve", issued_s=NOW_S, ttl_s=30.0,
            action=action, policy=file), NOW_S)  # type: ignore[arg-type]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "o.sqlite")
    yield made
    made.outbox.close()


def test_what_was_deployed_outlives_a_restart_and_goes_back(bench: Bench) -> None:
    assert bench.told() == ("", None)
    for version in ("v1", "v2", "v2"):
        assert bench.order("deploy", policy(version)).state == "executed"
    assert bench.told() == ("v2", "v1")
    bench.restart()
    assert bench.told() == ("v2", "v1")
    assert bench.order("roll_back").state == "executed"
    assert bench.told() == ("v1", None)
    again = bench.order("roll_back")
    assert (again.state, again.reason) == ("refused", "there is nothing before its policy to go "
                                           "back to")


def test_a_first_deployment_goes_back_to_rest(bench: Bench) -> None:
    bench.order("deploy", policy("v1"))
    assert bench.told() == ("v1", "")
    assert bench.order("roll_back").state == "executed"
    assert bench.pack.alone is None


def test_what_the_pack_was_started_with_is_what_it_goes_back_to(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "o.sqlite", policy("first"))
    assert bench.told() == ("first", None)
    bench.order("deploy", policy("v1"))
    bench.restart()
    assert bench.told() == ("v1", "first")
    bench.order("roll_back")
    bench.restart()
    assert bench.told() == ("first", None)
    bench.outbox.close()


@pytest.mark.parametrize(("began", "then"), [("a", ""), ("a", "c"), ("", "c")])
def test_a_pack_that_went_back_to_its_start_follows_what_it_is_started_with(
        tmp_path: Path, began: str, then: str) -> None:
    files = {"": b"", "a": policy("a"), "c": policy("c")}
    bench = Bench(tmp_path / "o.sqlite", files[began])
    bench.order("deploy", policy("b"))
    bench.order("roll_back")
    assert bench.told() == (began, None)
    bench.restart(first=files[then])
    assert bench.told() == (then, None)
    bench.outbox.close()


@pytest.mark.parametrize(("file", "why"), [
    (None, "brings the file"), (b"", "brings the file"), (b"\x00", "no signed actor"),
    (BROKEN, "not the one that this version"), (policy("v1")[:-1], "changed after it was signed"),
    (policy("v1", SITE_LET), "never judged for the edge"),
    (policy("v1", msgspec.structs.replace(LET, deployed=False, words="Refused: it costs more.")),
     "Refused: it costs more")])
def test_what_is_not_to_be_trusted_is_refused_and_nothing_changes(
        bench: Bench, file: bytes | None, why: str) -> None:
    bench.order("deploy", policy("v0"))
    reply = bench.order("deploy", file)
    assert reply.state == "refused"
    assert why in reply.reason
    assert bench.told() == ("v0", "")


def test_a_pack_whose_key_was_changed_rests_and_says_what_it_runs(bench: Bench) -> None:
    bench.order("deploy", policy("v1"))
    bench.restart("another key, long enough")
    assert bench.told() == ("", "")
    assert bench.order("roll_back").state == "executed"


def test_a_device_that_takes_no_policy_says_so(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.sqlite", [DEVICE])
    reply = Orders(pack_with(), outbox).handle(Command(
        v=1, id="1" * 32, issuer="eve", issued_s=NOW_S, ttl_s=30.0, action="roll_back"), NOW_S)
    assert (reply.state, reply.reason) == ("refused", "this device takes no learnt policy")
    outbox.close()


def test_the_wire_carries_a_policy_and_no_more() -> None:
    whole = Command(v=1, id="1" * 32, issuer="eve", issued_s=NOW_S, ttl_s=30.0, action="deploy",
                    policy=FILE.read_bytes())
    assert read_small(said(whole), Command) == whole
    with pytest.raises(RejectedError):
        read_small(said(msgspec.structs.replace(whole, policy=bytes(100_001))), Command)


def test_the_demo_s_packs_take_one_and_follow_it_when_nobody_coordinates() -> None:
    demo = Demo()
    device = demo.source.packs()[0].device
    done = demo.command(device, "deploy", policy=FILE.read_bytes())  # type: ignore[arg-type]
    assert (done.state, done.command.policy) == ("executed", None)
    first, second = demo.source.packs()[:2]
    assert (first.policy, first.policy_before, second.policy) == (SHIPPED.version, "", "")
    demo.clock.advance(25.0)
    demo.live(3)
    for _ in range(3):
        demo.reading = demo.source.poll(demo.clock.advance(25.0))
    first, second = demo.source.packs()[:2]
    assert ALONE_WORDS in first.limit_reason
    assert ALONE_WORDS not in second.limit_reason
    assert demo.command(device, "roll_back").state == "executed"
    assert demo.source.packs()[0].policy == ""
    assert demo.command(device, "roll_back").state == "refused"
    demo.source.close()


def test_over_a_broker_to_a_device_that_is_killed_and_back(
        mosquitto: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(ACTOR_KEY, KEY)
    device = edge(tmp_path, mosquitto.url, ["pack_1"], "--cells", "24")
    device.start()
    ear = Talker(broker_of(mosquitto), "ear", "pulsebms/home/pack_1/status")
    centre = Commander("home", broker_of(mosquitto), SystemClock())
    centre.start()

    def told() -> tuple[str | None, str | None]:
        if not ear.heard:
            return None, None
        status = read_small(ear.heard[-1][1], Status)
        return status.policy, status.policy_before

    def done(action: str, file: bytes | None = None) -> tuple[str, str]:
        life = centre.wait(centre.send("pack_1", action, "eve", policy=file), 10.0)
        return life.state, life.reason

    try:
        until(lambda: told() == ("", None), "it is there")
        until(centre.link.connected.is_set, "the centre connects")
        assert done("deploy", FILE.read_bytes()) == ("executed", "")
        assert done("deploy", FILE.read_bytes()[:-1])[0] == "refused"
        device.kill()
        ear.heard.clear()
        device.start()
        until(lambda: told() == (SHIPPED.version, ""), "it runs it after SIGKILL")
        _by_command_line(mosquitto, tmp_path, capsys)
        until(lambda: told() == (SHIPPED.version, None), "it says what it went back to")
    finally:
        device.kill()
        ear.close()
        centre.close()


def _by_command_line(mosquitto: Mosquitto, folder: Path,
                     capsys: pytest.CaptureFixture[str]) -> None:
    """A run's policy to all packs, and back; what is not done is no success."""
    (folder / "orrery.toml").write_text(f'''
[[sources]]
kind = "fleet-mqtt"
name = "fleet"
[sources.options]
site = "home"
broker = "{mosquitto.url}"
[sources.options.packs.pack_1]
chemistry = "LFP"
cells = 24
capacity_kwh = 100.0
''')
    for run, verdict in (("run-1", LET), ("run-2", SITE_LET)):
        path = folder / "runs" / run / NAME
        path.parent.mkdir(parents=True)
        path.write_bytes(policy(run, verdict))

    def said_(*words: str) -> tuple[int, str]:
        status = main([*words, "--role", "edge", "--config", str(folder / "orrery.toml"),
                       "--runs", str(folder / "runs")])
        told = capsys.readouterr()
        return status, told.out + told.err

    assert said_("deploy", "run-1", "--site", "home") == (0, "1 executed\n")
    assert said_("deploy", "run-2", "--site", "home") == (2, "It was never judged.\n")
    assert said_("back", "--site", "home", "--device", "pack_1") == (0, "1 executed\n")
    status, told = said_("back", "--site", "home")
    assert status == 1
    assert "1 refused; pack_1: there is nothing before its policy" in told
    assert "no pack of home is called 'pack_9'" in said_("back", "--site", "home", "--device",
                                                         "pack_9")[1]
    assert "No source of kind 'fleet-mqtt'" in said_("back", "--site", "elsewhere")[1]
