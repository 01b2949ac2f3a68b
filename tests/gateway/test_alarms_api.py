"""Alarms by the API: what was seen is acknowledged, and a place's history is its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.fleet_api_site import NAMES, Api, fleet_api

PACK, SYSTEM, ACTIONS = "system_home_rack_001", "system_home", "/api/alarms/actions"


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    for name, key in NAMES.items():
        monkeypatch.setenv(name, key)
    with fleet_api(tmp_path) as running:
        yield running


def test_only_what_was_seen_is_acknowledged(api: Api) -> None:
    api.fleet.change(0, safety="latched")
    api.tick()
    (told,) = api.get("/api/alarms")["alarms"]
    alarm = {"element": PACK, "condition": "pack_tripped"}
    now = {"occurrence": told["occurrence"], "severity": told["severity"]}
    for before in ({**now, "occurrence": now["occurrence"] - 1}, {**now, "severity": "warning"}):
        asked = {"action": "acknowledge", "alarms": [{**alarm, "seen": before}]}
        assert "since you looked" in api.post(ACTIONS, asked, status=409)["detail"]
        twice = {"action": "acknowledge", "alarms": 2 * asked["alarms"]}
        assert "since you looked" in api.post(ACTIONS, twice, status=409)["detail"]
    asked = {"action": "acknowledge", "alarms": [{**alarm, "seen": {**now, "severity": "red"}}]}
    api.post(ACTIONS, asked, status=422)
    asked = {"action": "acknowledge", "alarms": [{**alarm, "seen": now}]}
    assert api.post(ACTIONS, asked)["done"][0]["state_words"] == "acknowledged"


@pytest.mark.parametrize(("element", "lines"), [
    (None, 1), ("poc_main", 1), (SYSTEM, 1), (PACK, 1), ("system_home_rack_002", 0)])
def test_history_of_a_place_and_of_the_whole_site(api: Api, element: str | None,
                                                  lines: int) -> None:
    api.fleet.change(0, safety="latched")
    api.tick()
    place = "" if element is None else f"&element={element}"
    found = api.get(f"/api/alarms/history?start=2026-11-20T00:00:00Z{place}")["lines"]
    assert len(found) == lines
