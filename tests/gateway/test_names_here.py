"""Which names the app answers to that a person starts on this machine: a page of a foreign name
that points here ("DNS rebinding") must not open its WebSockets."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from scripts import fleet, launch
from scripts.app_process import ROOT, AppProcess
from scripts.hosts import FLAG, OWN, VARIABLE, host_flags
from tests.gateway.site import WAIT_S

SITE = """
[[sources]]
kind = "recorded"
name = "recorded"
[twin]
enabled = false
[history]
kind = "none"
"""
PAGES, REST = "/_stcore/stream", "/ws"


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess],
        tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """As `make serve`."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "orrery.toml").write_text(SITE)
    started = app_server("server.py", config=folder / "orrery.toml")
    yield started
    started.stop()


def status(app: AppProcess, host: str, path: str) -> int:
    """Of a WebSocket that a page of `host` opens there."""
    line = socket.create_connection(("127.0.0.1", app.port), WAIT_S)
    try:
        with connect(f"ws://{host}:{app.port}{path}", sock=line, proxy=None, open_timeout=WAIT_S,
                     additional_headers={"Origin": f"http://{host}:{app.port}"}):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


@pytest.mark.parametrize("path", [PAGES, REST])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_it_answers_to_this_machine_s_own_names(app: AppProcess, path: str, host: str) -> None:
    assert status(app, host, path) == 101


@pytest.mark.parametrize("path", [PAGES, REST])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "192.168.1.20"])
def test_it_answers_to_no_foreign_name(app: AppProcess, path: str, host: str) -> None:
    assert status(app, host, path) == 403


@pytest.mark.parametrize(("host", "expected"), [("localhost", 200), ("evil.example", 421)])
def test_nor_does_its_rest(app: AppProcess, host: str, expected: int) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", app.port, timeout=WAIT_S)) as line:
        line.request("GET", "/health", headers={"Host": host})
        assert line.getresponse().status == expected


def named(line: list[str]) -> list[str]:
    return [line[number + 1] for number, word in enumerate(line) if word == FLAG]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home without settings of Streamlit, and no variable; the home."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost"])
@pytest.mark.usefixtures("alone")
def test_make_run_and_make_serve_name_this_machine(address: str) -> None:
    assert named(launch.command("server.py", address, 8501, True)) == list(OWN)


@pytest.mark.usefixtures("alone")
def test_make_fleet_does_too(tmp_path: Path) -> None:
    plan = fleet.planned(fleet.parser().parse_args(["--packs", "2", "--folder", str(tmp_path)]))
    (app,) = [child for child in fleet.rest(plan) if child.name == "app"]
    assert named(list(app.command)) == list(OWN)


@pytest.mark.usefixtures("alone")
def test_a_person_names_more() -> None:
    assert named(launch.command("Home.py", "127.0.0.1", 8501, True, ["orrery.example"])) == [
        *OWN, "orrery.example"]
    assert named(launch.command("Home.py", "0.0.0.0", 8501, True)) == []  # noqa: S104 - not ours
    assert named(launch.command("Home.py", "192.168.1.20", 8501, True, ["orrery.lan"])) == [
        *OWN, "orrery.lan"]


@pytest.mark.parametrize("where", ["variable", "home", "folder"])
def test_what_streamlit_was_told_otherwise_holds(
        alone: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Flags would come before it, and shut whoever comes by the name that stands there out."""
    folder = alone / "app"
    place = {"home": alone, "folder": folder}.get(where)
    if place is None:
        monkeypatch.setenv(VARIABLE, "orrery.example")
    else:
        (place / ".streamlit").mkdir(parents=True)
        (place / ".streamlit" / "config.toml").write_text(
            '[server]\nallowedHosts = ["orrery.example"]\n')
    assert host_flags("127.0.0.1", folder=folder) == []
    assert named(host_flags("127.0.0.1", ["more.example"], folder=folder)) == [
        *OWN, "more.example"]


def test_the_shipped_settings_leave_it_to_whoever_starts_it(alone: Path) -> None:
    assert named(host_flags("127.0.0.1", folder=ROOT)) == list(OWN)
    (alone / ".streamlit").mkdir()
    (alone / ".streamlit" / "config.toml").write_bytes(b"\xff no TOML")
    assert named(host_flags("127.0.0.1", folder=ROOT)) == list(OWN)
