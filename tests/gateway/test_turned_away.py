"""Calls that were refused are told to people, with what was asked and from where; never a key."""

from __future__ import annotations

from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from tests.gateway.fleet_api_site import GUARDED, NAMES, VIEWER, fleet_api


def test_a_viewer_at_an_operators_endpoint_is_named(tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    for name, key in NAMES.items():
        monkeypatch.setenv(name, key)
    with fleet_api(tmp_path, GUARDED) as api:
        turned = api.engine.turned_away
        order = {"element": "system_home", "action": "reset"}
        assert api.ask("POST", "/api/fleet/commands", VIEWER, order).status_code == 403
        assert api.ask("GET", "/api/fleet?key=secret", "a wrong key").status_code == 401
        with pytest.raises(InvalidStatus):
            api.connect(key=None)
        assert turned.counts() == {"sign_in": 2, "role": 1}
        socket, looked, acted = turned.newest()
        assert (acted.reason, acted.asked, acted.who) == (
            "role", "POST /api/fleet/commands", "127.0.0.1")
        assert (looked.reason, looked.asked) == ("sign_in", "GET /api/fleet")
        assert socket.asked.startswith("WebSocket /")
        assert api.fleet.lives == []
