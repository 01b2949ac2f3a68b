"""Options of the Victron source: each mistake names its key, and no message shows a password."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import ConfigurationError, GiveUpError
from core.parsing import as_model
from core.topology import DEFAULT_LEVELS, Level, Topology
from sources.venus_mqtt import NOT_SHOWN, Options, VenusSource, create
from tests.contracts.test_source_contract import START

BATTERY = {"instance": 1, "name": "House"}
SECRET = "HUNTER2"


def made(levels: tuple[Level, ...] = DEFAULT_LEVELS, **more: Any) -> VenusSource:
    data = {"host": "venus.local", "batteries": [BATTERY], **more}
    return create("gx", as_model(data, Options, "orrery.toml", "options"), levels)


@pytest.mark.parametrize(("more", "key"), [
    ({"host": ""}, "gx.host"),
    ({"host": "mqtt://venus.local"}, "gx.host"),
    ({"host": "venus.local:1883"}, "gx.host"),
    ({"host": "a" * 64 + ".local"}, "gx.host"),
    ({"host": "venus..local"}, "gx.host"),
    ({"port": 0}, "options.port"),
    ({"port": "1883"}, "options.port"),
    ({"portal_id": "a/b"}, "options.portal_id"),
    ({"portal_id": "+"}, "options.portal_id"),
    ({"portal_id": "abc\n"}, "options.portal_id"),
    ({"stale_after_s": 0.1}, "options.stale_after_s"),
    ({"system_id": "a b"}, "options.system_id"),
    ({"batteries": []}, "options.batteries"),
    ({"batteries": [{**BATTERY, "instance": -1}]}, "options.batteries[0].instance"),
    ({"batteries": [BATTERY, BATTERY]}, "gx.batteries[1].instance"),
    ({"batteries": [{**BATTERY, "chemistry": "lead"}]}, "gx.batteries[0].chemistry"),
    ({"batteries": [{**BATTERY, "name": " House"}]}, "gx.batteries[0].name"),
    ({"batteries": [{**BATTERY, "capacity_kwh": 0}]}, "options.batteries[0].capacity_kwh"),
    ({"batteries": [{**BATTERY, "volts": 48}]}, "options.batteries[0].volts"),
    ({"ca_file": "/etc/hostname"}, "gx.ca_file"),
    ({"ca_file": "/nowhere.pem", "tls": True}, "gx.ca_file"),
])
def test_a_mistake_names_its_key(more: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigurationError) as found:
        made(**more)
    assert found.value.key == key


@pytest.mark.parametrize("more", [
    {"password": SECRET},
    {"password_secret": SECRET},
    {"password_secret": SECRET, "username": "reader"},
])
def test_a_password_in_the_file_is_refused_and_not_shown(more: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as found:
        made(**more)
    assert SECRET not in str(found.value)
    assert found.value.value == NOT_SHOWN
    assert "environment variable" in found.value.allowed


def test_a_secret_needs_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENUS_PASSWORD", "correct-horse")
    with pytest.raises(ConfigurationError, match="with username"):
        made(password_secret="VENUS_PASSWORD")


def test_levels_without_a_cluster_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="system, cluster"):
        made(levels=(Level("system", "systems"), Level("rack", "racks")))


def test_a_file_that_is_no_certificate_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    source = made(tls=True, ca_file=str(file))
    with pytest.raises(ConfigurationError, match="PEM"):
        source.start(START, Topology(DEFAULT_LEVELS, source.roots))
    source.close()


def test_capacity_is_that_of_the_batteries_that_state_theirs() -> None:
    assert np.isnan(made().roots[0].capacity_kwh)
    stated = {"instance": 2, "name": "Boat", "capacity_kwh": 5.0, "nominal_v": 25.6}
    (system,) = made(batteries=[BATTERY, stated]).roots
    assert system.capacity_kwh == 5.0
    assert "25.6 V" in system.children[1].note


def test_it_is_not_polled_before_it_is_started() -> None:
    with pytest.raises(GiveUpError, match="before it was started"):
        made().poll(START)
    with pytest.raises(GiveUpError, match="zone"):
        made().poll(START.replace(tzinfo=None))


def test_paho_is_not_loaded_before_the_start() -> None:
    """A page must not pay for a broker that it does not ask."""
    code = ("import sys; from sources.venus_mqtt import *; from core.topology import *; "
            "create('gx', Options(host='x', batteries=[Battery(instance=1, name='A')]), "
            "DEFAULT_LEVELS); sys.exit('paho' in sys.modules)")
    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
