"""A policy sent from a command line comes to a production broker as a user of its own, beside the
app that the configuration is of."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.config import Config, load_config
from core.errors import RequestError
from core.fleet.messages import Command, Reply, Status, read_small, said
from services.coordinator.rl.packs import VARIABLE, Sender, send
from tests.fleet.site import Talker
from tests.fleet.test_rights import PASSWORD as SHOWN
from tests.fleet.test_rights import House, client_certificate
from tests.sources.mosquitto import until

COMMANDS, STATUS = "pulsebms/home/pack_1/commands", "pulsebms/home/pack_1/status"


@pytest.fixture(params=["production.conf", "production-password.conf"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path, request.param)
    found.mosquitto.start()
    yield found
    found.mosquitto.kill()


def config_of_the_app(house: House, folder: Path) -> Config:
    app = house.broker("app")
    shows = 'username = "app"\npassword_secret = "APP_PASSWORD"' if house.by_password else \
        f'cert_file = "{app.cert_file}"\nkey_file = "{app.key_file}"'
    (folder / "orrery.toml").write_text(f'''
[[sources]]
kind = "fleet-mqtt"
name = "fleet"
[sources.options]
site = "home"
broker = "mqtts://127.0.0.1:{house.mosquitto.port}"
ca_file = "{app.ca_file}"
{shows}
[sources.options.packs.pack_1]
chemistry = "LFP"
cells = 24
capacity_kwh = 100.0
''')
    return load_config(folder / "orrery.toml")


def answered(device: Talker, sent: Future[tuple[bool, str]]) -> bytes | None:
    """The pack does the next command; the policy that came with it."""
    until(lambda: bool(device.heard) or sent.done(), "the command comes")
    command = read_small(device.heard[-1][1], Command)
    told = Status(v=1, site="home", device="pack_1", state="online",
                  replies=(Reply(command.id, "executed"),))
    device.say(STATUS, said(told))
    return command.policy


def test_it_comes_as_itself_and_pushes_nobody_out(house: House, tmp_path: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_PASSWORD", SHOWN)
    config = config_of_the_app(house, tmp_path)
    why = "ORRERY_POLICIES_PASSWORD" if house.by_password else "--cert-file and --key-file"
    with pytest.raises(RequestError, match=f"push out: give .*{why}"):
        Sender().instead(config)
    monkeypatch.setenv(VARIABLE, SHOWN)
    own, key = ("", "") if house.by_password else client_certificate(
        tmp_path / "certificates", house.authority, "policies")
    sender = Sender(cert_file=str(own), key_file=str(key))
    app, device = Talker(house.broker("app"), "app"), Talker(house.broker("pack_1"), "pack_1",
                                                             COMMANDS)
    with ThreadPoolExecutor(1) as beside:
        sent = beside.submit(send, sender.instead(config), SystemClock(), "home", [], "deploy",
                             "eve", b"a policy")
        assert answered(device, sent) == b"a policy"
        assert sent.result(10.0) == (True, "1 executed")
    assert (app.link.connected.is_set(), app.link.connection) == (True, 1)
    for talker in (app, device):
        talker.close()


def test_it_may_send_commands_and_nothing_else(house: House) -> None:
    policies = Talker(house.broker("policies"), "policies", "pulsebms/#")
    device, ingest = (Talker(house.broker(user), user, "pulsebms/#")
                      for user in ("pack_1", "ingest"))
    for topic in ("pack_1/telemetry", "pack_1/ack", "coordinator/allocation", "_ingest/report"):
        policies.say(f"pulsebms/home/{topic}", b"wrong")
    device.say("pulsebms/home/pack_1/telemetry", b"not for it")
    device.say(STATUS, b"right")
    policies.say(COMMANDS, b"right", qos=2)
    until(lambda: bool(policies.heard and device.heard and len(ingest.heard) >= 3), "all come")
    assert [payload for _, payload in (*policies.heard, *device.heard)] == [b"right"] * 2
    assert b"wrong" not in [payload for _, payload in ingest.heard]
    for talker in (policies, device, ingest):
        talker.close()
