"""Addresses that try to leave the folders of the app's files: by itself and behind both proxies."""

from __future__ import annotations

import http.client
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import orrery_spheres
import pytest
import streamlit
from orrery_spheres import COMPONENT

from scripts.app_process import ROOT, AppProcess
from tests.deploy.fronts import DEPLOY, FRONTS, NAME, WAIT_S, Front, home_with
from tests.gateway.site import SMALL_SITE, eventually

ASSETS = Path(orrery_spheres.__file__).parent / "assets"
STATIC = Path(streamlit.__file__).parent / "static"
COMPONENTS = f"/_stcore/bidi-components/{COMPONENT}/"
FOLDERS = {COMPONENTS: ASSETS, "/static/": STATIC / "static", "/viewer/": ASSETS,
           "/app/static/": ROOT / "static", "/media/": ROOT, "/": STATIC}
"""Address -> the folder that it serves, or would."""
SERVED = (COMPONENTS + "index.js", "/viewer/standalone.js")
WANTED = (ROOT / "pyproject.toml", Path("/etc/passwd"))
WHERE = ("app", *sorted(FRONTS))


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    location: str


@dataclass(frozen=True)
class Server:
    """The app, or a proxy before it."""

    port: int
    front: Front | None

    def ask(self, path: str) -> Answer:
        """Once the proxy no longer says that this address asks too often."""
        while (answer := self._asked(path)).status == 429:
            time.sleep(0.1)
        return answer

    def _asked(self, path: str) -> Answer:
        """The path as it is written: nothing between tidies it up."""
        line = socket.create_connection(("127.0.0.1", self.port), WAIT_S)
        if self.front is not None:
            line = self.front.trust().wrap_socket(line, server_hostname=NAME)
        with line:
            line.sendall(f"GET {path} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n"
                         .encode("latin-1"))
            answer = http.client.HTTPResponse(line)
            answer.begin()
            return Answer(answer.status, answer.read(), answer.getheader("Location", ""))


@pytest.fixture(scope="module")
def servers(app_server: Callable[..., AppProcess],
            tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    folder = tmp_path_factory.mktemp("app")
    (folder / "orrery.toml").write_text(f'{SMALL_SITE}allowed_hosts = ["{NAME}"]\n'
                                        "requests_per_s = 100000\nburst = 100000\n")
    app = app_server("server.py", config=folder / "orrery.toml", environment=home_with(
        folder / "home", DEPLOY / "config" / "streamlit.toml"))
    with ExitStack() as stack:
        found = {"app": Server(app.port, None)}
        for name, made in FRONTS.items():
            front = made(tmp_path_factory.mktemp(name), app.port, app.port)
            stack.enter_context(front.running())
            found[name] = Server(front.encrypted, front)
        eventually(lambda: all(one.ask("/_stcore/health").status == 200
                               for one in found.values()), WAIT_S)  # HAProxy asks the app first
        yield found
    app.stop()


def attacks(address: str, folder: Path) -> Iterator[str]:
    """Ways to the wanted files from below `address`."""
    for file in WANTED:
        way = os.path.relpath(file, folder)
        for up in ("..%2f", "%2e%2e/", "%2e%2e%2f", "../", "..%5c", "%252e%252e%252f",
                   "./%2e%2e/", "%2e%2e;/", "%c0%ae%c0%ae/"):
            yield address + way.replace("../", up)
        for start in ("/", "%2f", "//", "%5c%5c127.0.0.1%5c", "file://", "C:%5c"):
            yield f"{address}{start}{file}"
        yield f"{address}{way}%00.js"
        yield f"{address}%2f{file}%00.js"
    for end in ("%00", "index.js%00.html", "..", "%2e%2e", ".", "..%00/"):
        yield address + end


@pytest.mark.parametrize("where", WHERE)
def test_what_belongs_to_the_app_is_served(servers: dict[str, Server], where: str) -> None:
    for path in SERVED:
        answer = servers[where].ask(path)
        assert answer.status == 200, path
        assert answer.body == (ASSETS / path.rpartition("/")[2]).read_bytes(), path


@pytest.mark.parametrize("address", FOLDERS)
@pytest.mark.parametrize("where", WHERE)
def test_nothing_outside_is_served(servers: dict[str, Server], where: str, address: str) -> None:
    """Refused, sent to the app's own addresses, or the page, which is the answer to any name."""
    server = servers[where]
    page = server.ask("/").body
    own = {page, *(file.read_bytes() for file in ASSETS.iterdir())}
    secrets = {b"".join(file.read_bytes().split())[:200] for file in WANTED}
    for path in attacks(address, FOLDERS[address]):
        answer = server.ask(path)
        assert answer.status < 500, path
        assert answer.status >= 300 or answer.body in own, path
        assert not answer.location or urlsplit(answer.location).netloc in {"", NAME}, path
        assert not any(secret in b"".join(answer.body.split()) for secret in secrets), path
