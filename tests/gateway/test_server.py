"""`streamlit run server.py`: pages, REST, WebSocket and viewer in one process, one engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from scripts.app_process import ROOT, AppProcess, free_port
from tests.gateway.site import SMALL_SITE, WAIT_S, closing, error_of, eventually, told, view_at


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    config = tmp_path_factory.mktemp("server") / "orrery.toml"
    config.write_text(SMALL_SITE)
    with AppProcess("server.py", config=config) as running:
        yield running


def open_client(app: AppProcess) -> ClientConnection:
    return connect(app.url.replace("http", "ws") + "/ws", proxy=None, open_timeout=WAIT_S)


def test_pages_websocket_and_viewer_answer_from_one_process(app: AppProcess) -> None:
    for path in ("/", "/space_balls", "/_stcore/health", "/viewer/?ws=/ws",
                 "/viewer/standalone.js"):
        assert requests.get(app.url + path, timeout=WAIT_S).status_code == 200, path
    page = requests.get(app.url + "/viewer", timeout=WAIT_S)
    assert page.url.endswith("/viewer/?ws=%2Fws")
    assert "standalone.js" in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]
    with open_client(app) as client:
        assert len(told(client)["view"]["items"]) == 2
        assert view_at(client, ["system_1"])["view"]["level"] == "clusters"
        assert requests.get(app.url + "/healthz", timeout=WAIT_S).json()["clients"] == 1


def test_the_fleet_answers_beside_the_pages(app: AppProcess) -> None:
    """Here are no packs and no operators."""
    assert requests.get(app.url + "/api/fleet", timeout=WAIT_S).json()["packs"] == []
    answer = requests.post(app.url + "/api/fleet/commands", timeout=WAIT_S,
                           json={"action": "reset", "element": "system_0"})
    assert answer.status_code == 403
    assert "operator_keys" in answer.json()["detail"]
    with connect(app.url.replace("http", "ws") + "/ws/fleet", proxy=None,
                 open_timeout=WAIT_S) as client:
        assert told(client)["whole"] is True


def test_rest_answers_beside_the_pages(app: AppProcess) -> None:
    assert requests.get(app.url + "/health", timeout=WAIT_S).json()["status"] == "healthy"
    told = requests.get(app.url + "/energy/latest", timeout=WAIT_S)
    assert told.headers["cache-control"] == "no-store"
    assert told.json()["message"].startswith("no house is configured")
    assert requests.get(app.url + "/energy/history?hours=0", timeout=WAIT_S).status_code == 422
    described = requests.get(app.url + "/openapi.json", timeout=WAIT_S).json()
    assert "/victron/battery/history" in described["paths"]


def test_answers_on_a_kept_connection_come_at_once(app: AppProcess) -> None:
    """Where the kernel waits for the client's acknowledgement, each takes 40 ms."""
    took = []
    with requests.Session() as session:
        for _ in range(21):
            began = time.perf_counter()
            assert session.get(app.url + "/health", timeout=WAIT_S).status_code == 200
            took.append(time.perf_counter() - began)
    assert sorted(took)[len(took) // 2] < 0.03


def test_metrics_count_the_open_pages(app: AppProcess) -> None:
    def sessions() -> str:
        told = requests.get(app.url + "/metrics", timeout=WAIT_S).text
        return next(line for line in told.splitlines() if line.startswith("orrery_sessions "))

    assert requests.get(app.url + "/readyz", timeout=WAIT_S).json()["status"] == "ready"
    before = float(sessions().split()[1])
    with connect(app.url.replace("http", "ws") + "/_stcore/stream", proxy=None,
                 subprotocols=[Subprotocol("streamlit")], open_timeout=WAIT_S):
        eventually(lambda: sessions() == f"orrery_sessions {before + 1}")


def test_bad_messages_are_answered_and_long_ones_closed_with_a_reason(app: AppProcess) -> None:
    with open_client(app) as client, open_client(app) as other:
        client.send("hello")
        assert "malformed" in error_of(client)
        client.send("x" * 10_000_000)
        assert closing(client)[0] == 1009
        assert told(other)["view_path"] == []


def test_a_signal_ends_it_cleanly_with_clients_connected(tmp_path: Path) -> None:
    config = tmp_path / "orrery.toml"
    config.write_text(SMALL_SITE)
    app = AppProcess("server.py", config=config).start()
    with open_client(app) as client:
        told(client)
        assert app.stop() == -signal.SIGTERM


def test_a_broken_configuration_stops_the_start(tmp_path: Path) -> None:
    config = tmp_path / "orrery.toml"
    config.write_text(SMALL_SITE + 'colour = "red"\n')
    done = subprocess.run(
        [sys.executable, "-m", "streamlit", "run", "server.py", "--server.headless", "true",
         "--server.address", "127.0.0.1", "--server.port", str(free_port()),
         "--server.fileWatcherType", "none"],
        cwd=ROOT, env={**os.environ, "ORRERY_CONFIG": str(config)}, text=True,
        capture_output=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr == (f"Orrery cannot start: {config}: gateway.colour = 'red' is not "
                           "allowed; allowed: no such key; remove it or correct its name\n")


def test_pages_and_websocket_share_one_engine_inside_home(tmp_path: Path) -> None:
    config = tmp_path / "orrery.toml"
    config.write_text(SMALL_SITE)
    code = ("import server, components.api_client as pages\n"
            "from streamlit.runtime.pages_manager import PagesManager\n"
            "assert pages.shared_runtime() is server.runtime\n"
            "assert PagesManager.uses_pages_directory is False\n")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True,
                          env={**os.environ, "ORRERY_CONFIG": str(config)}, timeout=60,
                          check=False)
    assert done.returncode == 0, done.stderr


WHO_IS_SIGNED_IN = """
import json, sys
from streamlit import config
from components._compat import is_signed_in
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

config.set_option("secrets.files", [sys.argv[1]])  # `streamlit run` takes it from the environment

def cookies(secret="of this test", name="_streamlit_user", **told):
    said = {"origin": "https://orrery.example", "is_logged_in": True, "email": "a", **told}
    return {name: create_signed_value(secret, "_streamlit_user", json.dumps(said)).decode()}

good = cookies()["_streamlit_user"]
print([is_signed_in(one) for one in (
    cookies(), {}, cookies("of another"), cookies(origin="https://other.example"),
    cookies(is_logged_in=False), cookies(is_logged_in="true"), cookies(name="_streamlit_users"),
    {"_streamlit_user": good[:-1]}, {"_streamlit_user": ""}, {"_streamlit_user": "\xff"})])
"""


@pytest.mark.parametrize(("auth", "first"), [
    ('[auth]\nredirect_uri = "https://orrery.example/oauth2callback"\n'
     'cookie_secret = "of this test"\n', True),
    ('[auth]\ncookie_secret = "of this test"\n', False), ("", False), (None, False)])
def test_who_signed_in_at_the_pages_is_told_by_streamlits_cookie(
        tmp_path: Path, auth: str | None, first: bool) -> None:
    file = tmp_path / "secrets.toml"
    if auth is not None:
        file.write_text(auth)
    done = subprocess.run([sys.executable, "-c", WHO_IS_SIGNED_IN, str(file)], cwd=ROOT, text=True,
                          env={**os.environ, "STREAMLIT_SERVER_COOKIE_SECRET": "of this test"},
                          capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, f"{[first] + [False] * 9}\n"), done.stderr
