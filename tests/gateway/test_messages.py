"""Appendix A and section 5 of the document as a schema, seen by a generic client."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from core.views import view_message
from tests.gateway.site import EVERY_DEPTH, MODULE, SILENT, Served, told, view_at

LEVELS = ["systems", "clusters", "racks", "modules", "cells"]
MODES = {"idle", "charging", "discharging", "unknown"}
NUMBERS = ("capacity", "power_flow", "soc")


def is_number_or_null(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def assert_item(item: dict[str, Any], level: str) -> None:
    expected = {"id", "name", "capacity", "power_flow", "soc", "mode"}
    assert set(item) == expected | ({"voltage"} if level == "cells" else set())
    assert isinstance(item["id"], str)
    assert isinstance(item["name"], str)
    assert item["mode"] in MODES
    assert all(is_number_or_null(item[key]) for key in NUMBERS)
    assert is_number_or_null(item.get("voltage"))


def assert_view_message(message: dict[str, Any]) -> None:
    """Exactly the document's keys and types."""
    assert set(message) == {"timestamp", "view_path", "poc", "view"}
    assert datetime.fromisoformat(message["timestamp"]).utcoffset() == timedelta(0)
    assert set(message["poc"]) == {"id", "name", "total_power"}
    assert (message["poc"]["id"], message["poc"]["name"]) == ("poc_main", "Grid POC")
    assert is_number_or_null(message["poc"]["total_power"])
    view = message["view"]
    assert set(view) == {"level", "parent_id", "items"}
    assert view["level"] in LEVELS
    assert view["items"]
    for item in view["items"]:
        assert_item(item, view["level"])


def test_the_top_view_comes_at_once(gateway: Served) -> None:
    with gateway.connect() as client:
        message = told(client)
    assert_view_message(message)
    assert message["view_path"] == []
    assert message["view"]["level"] == "systems"
    assert message["view"]["parent_id"] is None
    assert [item["name"] for item in message["view"]["items"]] == [
        "Power System 0", "Power System 1"]


@pytest.mark.parametrize("path", EVERY_DEPTH, ids=LEVELS)
def test_each_level_has_the_documents_shape(gateway: Served, path: list[str]) -> None:
    with gateway.connect() as client:
        message = view_at(client, path)
    assert_view_message(message)
    assert message["view"]["level"] == LEVELS[len(path)]
    assert message["view"]["parent_id"] == (path[-1] if path else None)
    prefix = path[-1] + "_" if path else "system_"
    assert all(item["id"].startswith(prefix) for item in message["view"]["items"])


@pytest.mark.parametrize("path", EVERY_DEPTH, ids=LEVELS)
def test_nothing_is_added_to_the_cores_view(gateway: Served, path: list[str]) -> None:
    topology, snapshot = gateway.engine.topology, gateway.engine.snapshot
    with gateway.connect() as client:
        message = view_at(client, path)
    assert message == view_message(topology, snapshot, topology.index(path[-1]) if path else 0)


def test_unknown_numbers_are_null(gateway: Served) -> None:
    with gateway.connect() as client:
        known, unknown = told(client)["view"]["items"]
    assert unknown["id"] == SILENT
    assert [unknown[key] for key in NUMBERS] == [None, None, None]
    assert unknown["mode"] == "unknown"
    assert None not in known.values()


def test_zero_is_a_value_and_voltage_stands_at_cells_alone(gateway: Served) -> None:
    path = ["system_0", "system_0_cluster_0", "system_0_cluster_0_rack_0",
            "system_0_cluster_0_rack_0_module_0"]
    with gateway.connect() as client:
        first, *_, last = view_at(client, path)["view"]["items"]
        modules = view_at(client, path[:-1])["view"]["items"]
    assert first["power_flow"] == 0
    assert first["mode"] == "idle"
    assert first["voltage"] == 3.3
    assert first["soc"] == 50.123
    assert last["voltage"] is None
    assert last["soc"] is None
    assert "voltage" not in modules[0]


def test_the_grids_power_is_the_same_at_every_place(gateway: Served) -> None:
    with gateway.connect() as client:
        totals = {view_at(client, path)["poc"]["total_power"] for path in (MODULE, [], MODULE[:2])}
    assert len(totals) == 1
