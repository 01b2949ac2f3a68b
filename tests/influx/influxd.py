"""A real InfluxDB 1.x on free ports of loopback; it may be killed and started again."""

from __future__ import annotations

import base64
import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest

from scripts.app_process import free_port
from scripts.test import find_influxd
from tests.sources.mosquitto import LOOPBACK, listens, until

SETTINGS = """
reporting-disabled = true
bind-address = "{host}:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "{host}:{port}"
  log-enabled = false
  auth-enabled = {auth}
[logging]
  level = "error"
"""


class Influxd:
    """One server. sign_in: user and password where it asks for them."""

    def __init__(self, folder: Path, sign_in: tuple[str, str] | None = None) -> None:
        program = find_influxd()
        if program is None:
            pytest.fail("no InfluxDB 1.x on this machine: sudo apt-get install influxdb")
        self.port = free_port()
        self._folder, self._sign_in = folder, sign_in
        config = folder / "influxdb.conf"
        config.write_text(SETTINGS.format(host=LOOPBACK, rpc=free_port(), port=self.port,
                                          folder=folder, auth=str(bool(sign_in)).lower()))
        self._command = [program, "-config", str(config)]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        log = self._folder / "influxd.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL,
                                             stdout=output, stderr=output)
        process = self._process
        until(lambda: process.poll() is not None or listens(self.port), "InfluxDB listens", 30.0)
        assert process.poll() is None, log.read_text(errors="replace")

    def kill(self) -> None:
        """End it at once, by its own id, without a word."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(10)

    def query(self, text: str, database: str = "") -> list[dict[str, object]]:
        """The series of the first statement; fails where the server says an error."""
        body = urllib.parse.urlencode({"db": database, "epoch": "ms", "q": text}).encode()
        answer = json.loads(self._send("/query", body))
        assert "error" not in answer["results"][0], answer
        found: list[dict[str, object]] = answer["results"][0].get("series", [])
        return found

    def create(self, database: str) -> None:
        self.query(f'CREATE DATABASE "{database}"')

    def write(self, database: str, lines: str) -> None:
        """Points with times in milliseconds; fails where the server takes them not."""
        self._send(f"/write?db={database}&precision=ms", lines.encode())

    def count(self, database: str, measurement: str = "heatpump") -> int:
        """Points of the field `value`."""
        found = self.query(f'SELECT count("value") FROM "{measurement}"', database)
        return int(found[0]["values"][0][1]) if found else 0  # type: ignore[index]

    def _send(self, path: str, body: bytes) -> bytes:
        headers: Mapping[str, str] = {}
        if self._sign_in is not None:
            both = base64.b64encode(":".join(self._sign_in).encode()).decode()
            headers = {"Authorization": f"Basic {both}"}
        request = urllib.request.Request(self.url + path, data=body, headers=dict(headers))
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                found: bytes = response.read()
        except urllib.error.HTTPError as error:
            with error:
                pytest.fail(f"{path}: {error.code} {error.read().decode(errors='replace')}")
        return found
