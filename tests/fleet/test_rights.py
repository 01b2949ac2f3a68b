"""The production configurations on a real Mosquitto: who comes in, and who may say what."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench._fleet import LOOPBACK, Mosquitto
from core.fleet.messages import Command, said
from core.fleet.rejections import Rejection
from services.fleet_link import Broker
from services.ingest.broker_log import refused_by_broker
from tests.fleet.examples import NOW_S
from tests.fleet.site import Talker, without_delay
from tests.sources.certificates import KEY, Authority, openssl
from tests.sources.mosquitto import until

Come = Callable[..., Talker]
PASSWORD = "a good one for tests"
USERS = ("ingest", "app", "gateway", "coordinator", "twin", "policies", "pack_1", "pack_2")
OWN = "pulsebms/home/pack_1/telemetry"
COMMAND = said(Command(v=1, id="0" * 32, issuer="eve", issued_s=NOW_S, ttl_s=30.0, action="ping"))


def client_certificate(folder: Path, authority: Authority, name: str) -> tuple[Path, Path]:
    """Of a client with that common name, and its key."""
    request, key, file = (folder / f"{name}{end}" for end in (".csr", ".key", ".pem"))
    openssl("req", "-new", *KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
    openssl("x509", "-req", "-in", request, "-CA", authority.file, "-CAkey",
            authority.file.with_suffix(".key"), "-CAcreateserial", "-out", file, "-days", "2")
    return file, key


class House:
    """A broker, its authority, and what its clients show."""

    def __init__(self, folder: Path, configuration: str) -> None:
        self._folder = folder / "certificates"
        self._folder.mkdir()
        self.authority = Authority(self._folder, "ca")
        self.by_password = configuration == "production-password.conf"
        certificate, key = self.authority.vouches_for()
        files = {"ca.pem": self.authority.file, "broker.pem": certificate, "broker.key": key}
        if self.by_password:
            files["passwords"] = self._passwords()
        self.mosquitto = Mosquitto(folder / "broker", configuration, files)

    def _passwords(self) -> Path:
        file = self._folder / "passwords"
        file.touch(mode=0o600)
        for user in USERS:
            subprocess.run(["mosquitto_passwd", "-b", str(file), user, PASSWORD], check=True,
                           capture_output=True)
        return file

    def broker(self, user: str, authority: Authority | None = None) -> Broker:
        """As this user, with what the configuration asks for."""
        common = {"host": LOOPBACK, "port": self.mosquitto.port, "tls": True}
        if self.by_password:
            return Broker(**common, ca_file=str(self.authority.file),  # type: ignore[arg-type]
                          username=user, password=PASSWORD)
        file, key = client_certificate(self._folder, authority or self.authority, user)
        return Broker(**common, ca_file=str(self.authority.file),  # type: ignore[arg-type]
                      cert_file=str(file), key_file=str(key))


@pytest.fixture(params=["production.conf", "production-password.conf"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path, request.param)
    found.mosquitto.start()
    yield found
    found.mosquitto.kill()


@pytest.fixture
def come(house: House) -> Iterator[Come]:
    """`come(user, topic, ...)`: a client with that user's rights."""
    here: list[Talker] = []

    def comes(user: str, *topics: str) -> Talker:
        here.append(Talker(house.broker(user), user, *topics))
        return here[-1]

    yield comes
    for talker in here:
        talker.close()


def topics_of(talker: Talker) -> list[str]:
    return [topic for topic, _ in talker.heard]


def test_a_device_writes_its_own_topics_alone(come: Come) -> None:
    ingest, device = come("ingest", "pulsebms/#"), come("pack_1")
    for topic in ("pulsebms/home/pack_2/telemetry", "pulsebms/home/pack_2/status",
                  "pulsebms/home/pack_1/commands", "pulsebms/home/pack_1/ack",
                  "pulsebms/home/coordinator/allocation", "other/topic"):
        device.say(topic, b"stolen")
    device.say("pulsebms/home/pack_1/status", b"mine")
    device.say(OWN, b"mine")
    until(lambda: OWN in topics_of(ingest), "its own comes through")
    assert topics_of(ingest) == ["pulsebms/home/pack_1/status", OWN]


def test_tls_does_not_wait_to_fill_a_packet_either(come: Come) -> None:
    assert without_delay(come("pack_1").link)


def test_a_device_hears_its_own_commands_alone(come: Come) -> None:
    mine, other, gateway = (come("pack_1", "pulsebms/#"), come("pack_2", "pulsebms/#"),
                            come("gateway"))
    gateway.say("pulsebms/home/pack_2/commands", COMMAND, qos=2)
    gateway.say("pulsebms/home/pack_1/commands", COMMAND, qos=2)
    until(lambda: bool(mine.heard and other.heard), "both hear theirs")
    assert topics_of(mine) == ["pulsebms/home/pack_1/commands"]
    assert topics_of(other) == ["pulsebms/home/pack_2/commands"]


def test_each_service_has_its_own_rights(come: Come) -> None:
    device = come("pack_1", "pulsebms/home/pack_1/commands", "pulsebms/home/pack_1/ack",
                  "pulsebms/home/coordinator/allocation")
    ingest, gateway, coordinator = come("ingest"), come("gateway"), come("coordinator")
    for service in (ingest, gateway, coordinator):
        service.say("pulsebms/home/pack_1/commands", service is gateway and b"right" or b"wrong")
        service.say("pulsebms/home/coordinator/allocation",
                    service is coordinator and b"right" or b"wrong")
        service.say("pulsebms/home/pack_1/ack", service is ingest and b"right" or b"wrong")
    until(lambda: len(device.heard) >= 3, "each right word comes")
    assert [payload for _, payload in device.heard] == [b"right"] * 3


@pytest.mark.parametrize("user", ["app", "gateway"])
def test_only_the_ingest_tells_its_report_and_the_live_view_hears_it(come: Come,
                                                                     user: str) -> None:
    report = "pulsebms/home/_ingest/report"
    viewer, ingest = come(user, "pulsebms/#"), come("ingest")
    for stranger in (come("pack_1"), come("coordinator"), come("twin"), viewer):
        stranger.say(report, b"wrong")
    ingest.say(report, b"right")
    until(lambda: bool(viewer.heard), "the report comes")
    assert viewer.heard == [(report, b"right")]


def test_who_hears_what_a_gateway_and_the_broker_refused(come: Come) -> None:
    told, log = "pulsebms/home/_gateway/turned_away", "$SYS/broker/log/N"
    app, gateway = come("app", "pulsebms/#", log), come("gateway", "pulsebms/#")
    ingest, giant = come("ingest", log), come("pack_1", log)
    for stranger in (giant, come("coordinator"), come("twin"), ingest, app):
        stranger.say(told, b"wrong")
    gateway.say(told, b"right")
    until(lambda: bool(app.heard), "it comes")
    giant.link._client.publish(OWN, b"x" * 1_000_000)
    until(lambda: any(refused_by_broker(line) is Rejection.BROKER_LIMIT
                      for _, line in list(ingest.heard)), "the broker's word comes")
    assert app.heard == [(told, b"right")]
    assert giant.heard == []


def test_the_twin_hears_packs_and_writes_predictions_alone(come: Come) -> None:
    twin, device, ingest = come("twin", "pulsebms/#"), come("pack_1"), come("ingest", "pulsebms/#")
    for kind in ("telemetry", "status", "commands", "ack"):
        twin.say(f"pulsebms/home/pack_1/{kind}", b"wrong")
    device.say("pulsebms/home/pack_1/prediction", b"wrong")
    device.say(OWN, b"right")
    until(lambda: bool(twin.heard), "the twin hears telemetry")
    twin.say("pulsebms/home/pack_1/prediction", b"right")
    until(lambda: len(ingest.heard) >= 2, "a prediction comes through")
    assert [payload for _, payload in ingest.heard] == [b"right"] * 2
    twin.say("pulsebms/home/coordinator/allocation", b"wrong")
    come("coordinator").say("pulsebms/home/coordinator/allocation", b"right")
    until(lambda: len(twin.heard) >= 2, "the twin hears what packs are to do")
    assert twin.heard[-1] == ("pulsebms/home/coordinator/allocation", b"right")


@pytest.mark.parametrize("user", ["app", "gateway"])
def test_the_live_view_hears_all_and_writes_commands_alone(come: Come, user: str) -> None:
    viewer, device = come(user, "pulsebms/#"), come("pack_1", "pulsebms/#")
    ingest = come("ingest")
    for kind in ("telemetry", "status"):
        viewer.say(f"pulsebms/home/pack_1/{kind}", b"wrong")
        device.say(f"pulsebms/home/pack_1/{kind}", b"right")
    viewer.say("pulsebms/home/pack_1/ack", b"wrong")
    viewer.say("pulsebms/home/coordinator/allocation", b"wrong")
    viewer.say("pulsebms/home/pack_1/commands", COMMAND, qos=2)
    ingest.say("pulsebms/home/pack_1/ack", b"right")
    until(lambda: len(viewer.heard) >= 3 and len(device.heard) >= 2, "each right word comes")
    assert {payload for _, payload in (*viewer.heard, *device.heard)} == {b"right", COMMAND}


def test_who_shows_nothing_or_the_wrong_thing_stays_outside(house: House, tmp_path: Path) -> None:
    strange = tmp_path / "strange"
    strange.mkdir()
    other = Authority(strange, "other")
    common = {"host": LOOPBACK, "port": house.mosquitto.port}
    ca = str(house.authority.file)
    brokers = [Broker(**common, tls=True, ca_file=ca), Broker(**common)]  # type: ignore[arg-type]
    if house.by_password:
        brokers.append(Broker(**common, tls=True, ca_file=ca,  # type: ignore[arg-type]
                              username="pack_1", password="wrong"))
    else:
        file, key = client_certificate(strange, other, "pack_1")
        brokers.append(Broker(**common, tls=True, ca_file=ca,  # type: ignore[arg-type]
                              cert_file=str(file), key_file=str(key)))
    talkers = [Talker(broker, "pack_1", connects=False) for broker in brokers]
    log = house.mosquitto.log
    until(lambda: sum(word in log.read_text() for word in ("error", "denied", "not authorised",
                                                           "disconnected")) > 0, "it is told")
    good = Talker(house.broker("pack_2"), "pack_2")
    assert not any(talker.link.connected.is_set() for talker in talkers)
    for talker in (*talkers, good):
        talker.close()


def test_a_client_that_takes_anothers_name_does_not_push_it_out(house: House, come: Come) -> None:
    """The client id is the user's name, whatever the client says."""
    device = come("pack_1", "pulsebms/home/pack_1/commands")
    thief = Talker(house.broker("pack_2"), "pack_1")
    gateway = come("gateway")
    gateway.say("pulsebms/home/pack_1/commands", COMMAND, qos=2)
    until(lambda: bool(device.heard), "the device still hears")
    assert device.link.connection == 1
    thief.close()
