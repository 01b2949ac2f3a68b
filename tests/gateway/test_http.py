"""The standalone viewer page, its files, and `/healthz`."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from starlette.applications import Starlette

from core.clock import SystemClock
from services.gateway.fleet_roles import Roles
from services.gateway.looking import Looking
from services.gateway.viewer import assets_dir, viewer_routes
from tests.gateway.site import WAIT_S, Served, served, serving, told

OPEN = Looking(Roles(None, {}), SystemClock())
SECURITY = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


def get(gateway: Served, path: str) -> requests.Response:
    return requests.get(f"http://{gateway.address}{path}", timeout=WAIT_S)


def assert_guarded(answer: requests.Response) -> None:
    assert SECURITY.items() <= {key.lower(): value for key, value in answer.headers.items()}.items()
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "connect-src 'self' ws: wss:" in policy
    assert "script-src" not in policy


def test_the_page_and_its_script_are_served(gateway: Served) -> None:
    page = get(gateway, "/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "standalone.js" in page.text
    assert_guarded(page)
    script = get(gateway, "/standalone.js")
    assert script.status_code == 200
    assert script.headers["content-type"].split(";")[0] == "text/javascript"
    assert_guarded(script)


@pytest.mark.parametrize("path", ["/nothing.js", "/assets", "/%2e%2e/pyproject.toml",
                                  "/..%2f..%2fpyproject.toml", "/%00", "/a/b"])
def test_nothing_else_is_served(gateway: Served, path: str) -> None:
    assert get(gateway, path).status_code == 404


def test_health_tells_the_engines_age_and_the_clients() -> None:
    with served() as gateway, gateway.connect() as client:
        told(client)
        answer = get(gateway, "/healthz")
        assert answer.status_code == 200
        assert answer.json() == {"status": "ok", "snapshot": 1, "age_s": 0.0, "clients": 1}
        gateway.clock.set_by(-3600.0)
        gateway.clock.advance(60)
        assert get(gateway, "/health").json()["checks"]["engine"] == "stalled"
        answer = get(gateway, "/healthz")
        assert answer.status_code == 503
        assert (answer.json()["status"], answer.json()["age_s"]) == ("stalled", 60.0), (
            "a clock that is set back hides no engine that hangs")
        gateway.tick()
        assert get(gateway, "/healthz").status_code == 200


def test_the_viewer_is_found_without_importing_it() -> None:
    found = assets_dir()
    assert found is not None
    assert (found / "standalone.html").is_file()


def test_without_the_bundle_a_plain_page_says_what_to_install(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.viewer.PACKAGE", "no_such_viewer_package")
    with serving(Starlette(routes=viewer_routes("/", "/", OPEN))) as port:
        answer = requests.get(f"http://127.0.0.1:{port}/", timeout=WAIT_S)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "python -m pip install ./components/spheres" in answer.text
    assert Path("components/spheres/pyproject.toml").is_file()


@pytest.mark.parametrize(("asked", "target"), [
    ("/viewer", "viewer/?ws=%2Fws"),
    ("/viewer/", "?ws=%2Fws"),
    ("/viewer/?path=system_0&path=a%26b", "?path=system_0&path=a%26b&ws=%2Fws"),
])
def test_below_the_pages_the_address_names_the_websocket(asked: str, target: str) -> None:
    with serving(Starlette(routes=viewer_routes("/viewer", "/ws", OPEN))) as port:
        url = f"http://127.0.0.1:{port}"
        answer = requests.get(url + asked, timeout=WAIT_S, allow_redirects=False)
        assert answer.status_code == 307
        assert answer.headers["location"] == target
        for path in (asked, "/viewer/?ws=%2Fws", "/viewer/standalone.js"):
            assert requests.get(url + path, timeout=WAIT_S).status_code == 200
