"""TLS to a real Mosquitto, VRM's address, and one attempt to connect for a settings form."""

from __future__ import annotations

import gc
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.clock import ManualClock
from core.errors import ConfigurationError, NotYetError, SourceError
from core.parsing import as_model
from sim.venus_gate import payload
from sources.venus_link import FIRST_WAIT_S, VenusLink
from sources.venus_mqtt import NOT_SHOWN, Options, broker_of, probe, vrm_host
from sources.venus_state import VenusState
from tests.contracts.test_source_contract import START
from tests.sources.certificates import Authority
from tests.sources.mosquitto import LOOPBACK, Mosquitto, until
from tests.sources.test_venus_mqtt_options import BATTERY, SECRET, made
from tests.sources.venus_house import House, MakeHouse, MakeVenus
from tests.sources.venus_player import PORTAL, options, small

VRM = {"host": "", "vrm_broker": True, "portal_id": PORTAL, "username": "me@example.org",
       "password_secret": "VRM_TOKEN"}


# --- TLS ----------------------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "gx-authority")


@pytest.fixture
def secure(tmp_path: Path, authority: Authority) -> Iterator[Mosquitto]:
    started = Mosquitto(tmp_path, certificate=authority.vouches_for())
    started.start()
    yield started
    started.kill()


def test_a_self_signed_authority_is_trusted_when_it_is_named(
    secure: Mosquitto, authority: Authority, make_venus: MakeVenus, make_house: MakeHouse
) -> None:
    make_venus(secure.port, {7: small()}, ca_file=str(authority.file))
    house = make_house(secure.port, instances=[7], tls=True, ca_file=str(authority.file))
    house.live()
    assert house.channel("battery_7", "soc_pct") == 50.0


def refused(house: House, said: str) -> str:
    """Wait for a refusal that says so, and end the house; what was said."""
    until(lambda: said in house.error(), "the refusal is told: " + house.error())
    assert house.state() == "lost"
    house.engine.stop()
    gc.collect()
    return house.error()


# paho 2.2 leaves the socket of a handshake that failed to the collector, which warns.
leaves_a_socket = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@leaves_a_socket
@pytest.mark.parametrize("named", [True, False])
def test_another_authority_is_refused(
    secure: Mosquitto, tmp_path: Path, make_house: MakeHouse, named: bool
) -> None:
    other = str(Authority(tmp_path, "somebody-else").file) if named else ""
    house = make_house(secure.port, instances=[7], tls=True, ca_file=other)
    assert "ca_file" in refused(house, "not vouched for")


@leaves_a_socket
def test_a_certificate_for_another_address_is_refused(
    tmp_path: Path, authority: Authority, make_house: MakeHouse
) -> None:
    broker = Mosquitto(tmp_path, certificate=authority.vouches_for("192.0.2.1"))
    broker.start()
    try:
        house = make_house(broker.port, instances=[7], tls=True, ca_file=str(authority.file))
        refused(house, "not vouched for; check host")
    finally:
        broker.kill()


@leaves_a_socket
def test_tls_to_a_port_without_it_says_what_to_check(
    broker: Mosquitto, authority: Authority, make_house: MakeHouse
) -> None:
    house = make_house(broker.port, instances=[7], tls=True, ca_file=str(authority.file))
    refused(house, "whether it speaks TLS")


# --- VRM's broker -------------------------------------------------------------------------------


@pytest.mark.parametrize(("portal_id", "number"), [
    ("c0619ab1d0aa", sum(map(ord, "c0619ab1d0aa")) % 128), ("a", 97), ("A", 97),
    ("e0ff50a097c0", (101 + 48 + 102 + 102 + 53 + 48 + 97 + 48 + 57 + 55 + 99 + 48) % 128)])
def test_the_host_follows_from_the_portal_id(portal_id: str, number: int) -> None:
    assert vrm_host(portal_id) == f"mqtt{number}.victronenergy.com"


def test_vrm_s_address_and_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VRM_TOKEN", SECRET)
    chosen = as_model({"batteries": [BATTERY], **VRM}, Options, "orrery.toml", "options")
    broker = broker_of("gx", chosen)
    assert broker.address == f"{vrm_host(PORTAL)}:8883"
    assert (broker.tls, broker.username, broker.portal_id) == (True, "me@example.org", PORTAL)
    assert broker.password == f"Token {SECRET}"
    assert SECRET not in repr(broker)
    made(**VRM).close()


@pytest.mark.parametrize(("more", "key"), [
    ({"host": "venus.local"}, "gx.host"),
    ({"port": 1883}, "gx.port"),
    ({"portal_id": None}, "gx.portal_id"),
    ({"username": None}, "gx.username"),
    ({"password_secret": None}, "gx.password_secret"),
    ({"password_secret": "NOBODY_SET_THIS"}, "gx.password_secret"),
    ({"password": SECRET}, "gx.password"),
    ({"ca_file": "/nowhere.pem"}, "gx.ca_file"),
])
def test_what_vrm_needs_is_named(
    monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], key: str
) -> None:
    monkeypatch.setenv("VRM_TOKEN", SECRET)
    with pytest.raises(ConfigurationError) as found:
        made(**{**VRM, **more})
    assert found.value.key == key
    assert SECRET not in str(found.value)
    assert key != "gx.password" or found.value.value == NOT_SHOWN


@pytest.mark.parametrize(("more", "port"), [({}, 1883), ({"tls": True}, 8883),
                                            ({"tls": True, "port": 9000}, 9000)])
def test_the_port_follows_from_tls(more: dict[str, Any], port: int) -> None:
    chosen = as_model({"host": "gx", "batteries": [BATTERY], **more}, Options, "orrery.toml", "")
    assert broker_of("gx", chosen).port == port


def test_only_the_one_installation_is_subscribed_to(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse, tmp_path: Path
) -> None:
    """With a portal id no filter of the form N/+/... leaves the machine: VRM refuses them."""
    make_venus(broker.port, {7: small()})
    house = make_house(broker.port, instances=[7], portal_id=PORTAL)
    house.live()
    log = (tmp_path / "mosquitto.log").read_text()
    filters = re.findall(r" orrery-\S+ 0 (\S+)", log)
    assert filters
    assert all(found.startswith(f"N/{PORTAL}/") for found in filters)


# --- one attempt ----------------------------------------------------------------------------------


def test_a_probe_says_what_it_found(broker: Mosquitto, make_venus: MakeVenus) -> None:
    make_venus(broker.port, {7: small(), 512: small()},
               system={"/Ac/Consumption/L1/Power": payload(1234)})
    said = probe(options(broker.port, instances=[7]))
    assert said == (f"Victron {PORTAL} at {LOOPBACK}:{broker.port}. Bank 7: state of charge "
                    "50.0 %, voltage 52.00 V, current 10.0 A, battery 0.52 kW; Victron: load "
                    "1.23 kW; batteries not named here: 512.")


@pytest.mark.parametrize(("instances", "said"), [([8], "others that were seen: 7")])
def test_a_probe_says_what_is_wrong(
    broker: Mosquitto, make_venus: MakeVenus, instances: list[int], said: str
) -> None:
    make_venus(broker.port, {7: small()})
    with pytest.raises(SourceError, match=said):
        probe(options(broker.port, instances=instances))


def test_a_probe_of_nobody(free_port: Callable[[], int]) -> None:
    with pytest.raises(SourceError, match="does not answer"):
        probe(options(free_port(), instances=[7]))


def test_a_probe_of_a_broker_that_is_no_gx(broker: Mosquitto) -> None:
    with pytest.raises(SourceError, match="no Victron topic"):
        probe(options(broker.port, instances=[7]))


def test_a_probe_of_a_server_that_says_nothing(free_port: Callable[[], int]) -> None:
    """It accepts and is silent: the wait has an end."""
    with socket.create_server((LOOPBACK, free_port())) as server, \
            pytest.raises(SourceError, match="not connected yet"):
        probe(options(server.getsockname()[1], instances=[7]), ManualClock(START))


def test_not_to_be_connected_is_no_failure_for_ten_seconds() -> None:
    now_s = 100.0
    broker = broker_of("gx", options(instances=[7]))
    link = VenusLink(broker, VenusState([7]), 30.0, lambda: now_s)
    with pytest.raises(NotYetError, match="not connected yet"):
        link.check()
    now_s += FIRST_WAIT_S
    with pytest.raises(SourceError, match="not connected yet") as found:
        link.check()
    assert not isinstance(found.value, NotYetError)


def test_a_probe_of_options_that_cannot_be() -> None:
    with pytest.raises(ConfigurationError, match=r"venus\.host"):
        probe(Options(host="mqtt://gx", batteries=options(instances=[7]).batteries))


def test_a_probe_leaves_no_thread(broker: Mosquitto, make_venus: MakeVenus) -> None:
    make_venus(broker.port, {7: small()})
    before = set(threading.enumerate())
    probe(options(broker.port, instances=[7]))
    assert set(threading.enumerate()) <= before
