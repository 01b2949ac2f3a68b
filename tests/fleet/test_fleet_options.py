"""What a configuration of a fleet over MQTT may say."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from core.config import SourceConfig
from core.errors import ConfigurationError
from core.fleet.catalogue import catalogue
from core.fleet.tree import element_of
from core.parsing import as_model
from core.registry import SOURCES
from core.topology import DEFAULT_LEVELS, Level, Topology
from services.fleet_source import Options, create
from tests.fleet.examples import PACKS


def mistake(**options: Any) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        create("fleet", as_model({"packs": 2, **options}, Options, "orrery.toml"), DEFAULT_LEVELS)
    return caught.value


@pytest.mark.parametrize("options", [
    {"packs": 0}, {"packs": {}}, {"packs": {"Pack 1": PACKS["pack_1"]}},
    {"packs": {"coordinator": PACKS["pack_1"]}}, {"packs": PACKS, "cells": 4},
    {"packs": {"pack_1": {**PACKS["pack_1"], "chemistry": "lead"}}},
    {"packs": {"pack_1": {**PACKS["pack_1"], "cells": 0}}},
    {"site": "Home"}, {"broker": "http://x"}, {"ca_file": "nowhere.pem"},
    {"username": "gateway", "password_secret": "NO_SUCH_VARIABLE"}, {"colour": "red"}])
def test_a_mistake_names_file_and_key(options: dict[str, Any]) -> None:
    found = mistake(**options)
    assert found.file == "orrery.toml"
    assert found.key


@pytest.mark.parametrize("options", [
    {"password": "hunter2hunter2"}, {"broker": "mqtt://eve:hunter2hunter2@127.0.0.1"}])
def test_a_password_in_the_file_is_refused_and_not_shown(options: dict[str, Any]) -> None:
    assert "hunter2" not in str(mistake(**options))


def test_levels_that_cannot_hold_it_are_named() -> None:
    with pytest.raises(ConfigurationError, match="rack"):
        create("fleet", Options(packs=2), (Level("system", "systems"), Level("cell", "cells")))


def test_two_packs_that_are_one_element_are_named() -> None:
    packs = {"pack_1": PACKS["pack_1"], "1": PACKS["pack_1"]}
    source = create("fleet", msgspec.convert({"packs": packs}, Options), DEFAULT_LEVELS)
    with pytest.raises(ConfigurationError, match="occurs once"):
        Topology(DEFAULT_LEVELS, source.roots)


def test_the_kind_is_known_and_its_options_are_those_of_a_file() -> None:
    config = as_model(json.loads(json.dumps({
        "kind": "fleet-mqtt", "name": "fleet", "options": {"packs": 2, "cells": 16}})),
        SourceConfig, "orrery.toml")
    assert SOURCES[config.kind] == "services.fleet_source"
    source = create(config.name, as_model(config.options, Options, "orrery.toml"), DEFAULT_LEVELS)
    assert [spec.id for spec in source.roots[0].children] \
        == [element_of("home", plate.device) for plate in catalogue(2)]
