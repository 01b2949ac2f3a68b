"""The shipped proxy configurations on real proxies: ports, upstreams and files replaced alone."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from scripts.app_process import ROOT, free_port
from scripts.test import find_haproxy, find_nginx

DEPLOY = ROOT / "deploy"
WAIT_S = 20.0
NAME, GATEWAY_NAME = "orrery.example", "gateway.orrery.example"
NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/orrery.conf;
}}
"""


def certificates(folder: Path) -> Path:
    """What the shipped script makes; the folder of the proxy's part."""
    subprocess.run(["sh", str(DEPLOY / "mosquitto" / "certificates.sh"), str(folder), "localhost",
                    "pack_1"], check=True, capture_output=True)
    return folder / "front"


def replaced(text: str, changes: Mapping[str, str]) -> str:
    """Each change is found, so that a changed file does not leave a test without its point."""
    for old, new in changes.items():
        assert old in text, f"{old!r} is not in the shipped file"
        text = text.replace(old, new)
    return text


class Front:
    """A proxy before an app and a gateway. command: how it is started, or its files checked.
    second: port of another app, which is down without one. encrypted: where it listens itself."""

    def __init__(self, folder: Path, app: int, gateway: int, *, second: int | None = None,
                 encrypted: int | None = None) -> None:
        self.plain, self.encrypted = free_port(), encrypted or free_port()
        self._down = None if second else free_port()
        self.second = f"127.0.0.1:{second or self._down}"
        self.folder = folder
        self.keys = certificates(folder / "certificates")
        self.app, self.gateway = f"127.0.0.1:{app}", f"127.0.0.1:{gateway}"
        self.prepare()

    def prepare(self) -> None:
        """Write the configuration."""
        raise NotImplementedError

    def command(self, *, check: bool) -> list[str]:
        raise NotImplementedError

    def checked(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(check=True), capture_output=True, text=True,
                              timeout=30, check=False)

    def trust(self) -> ssl.SSLContext:
        """Of a client that knows the authority alone."""
        return ssl.create_default_context(cafile=str(self.keys / "ca.pem"))

    @contextmanager
    def running(self) -> Iterator[Front]:
        log = (self.folder / "front.log").open("wb")
        process = subprocess.Popen(self.command(check=False), stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=subprocess.STDOUT)
        try:
            with socket.socket() as unheard:
                if self._down:
                    unheard.bind(("127.0.0.1", self._down))  # so that nobody else listens there
                self._await(process)
                yield self
        finally:
            process.terminate()
            process.wait(10)
            log.close()

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.encrypted), 1).close()
            except OSError:
                said = (self.folder / "front.log").read_text()
                assert process.poll() is None, said
                assert time.monotonic() < deadline, said
                time.sleep(0.02)
            else:
                return


class Nginx(Front):
    def prepare(self) -> None:
        shipped = (DEPLOY / "nginx" / "orrery.conf").read_text()
        (self.folder / "orrery.conf").write_text(replaced(shipped, {
            "listen 80 ": f"listen 127.0.0.1:{self.plain} ",
            "listen 443 ": f"listen 127.0.0.1:{self.encrypted} ",
            "server app:8501;": f"server {self.app};",
            "server gateway:9999;": f"server {self.gateway};",
            "/etc/nginx/certificates": str(self.keys)}))
        (self.folder / "nginx.conf").write_text(NGINX.format(folder=self.folder))

    def command(self, *, check: bool) -> list[str]:
        program = find_nginx()
        assert program, "no nginx: `make test` installs it or says how"
        command = [program, "-c", str(self.folder / "nginx.conf"), "-p", str(self.folder),
                   "-e", "stderr"]
        return [*command, "-t"] if check else command


class Haproxy(Front):
    def prepare(self) -> None:
        shipped = (DEPLOY / "haproxy" / "haproxy.cfg").read_text()
        (self.folder / "haproxy.cfg").write_text(replaced(shipped, {
            "bind :80\n": f"bind 127.0.0.1:{self.plain}\n",
            "bind :443 ": f"bind 127.0.0.1:{self.encrypted} ",
            "/etc/haproxy/orrery.pem": str(self.keys / "haproxy.pem"),
            "app-0.internal:8501": self.app,
            "app-1.internal:8501": self.second,
            "gateway-0.internal:9999": self.gateway}))

    def command(self, *, check: bool) -> list[str]:
        program = find_haproxy()
        assert program, "no HAProxy: `make test` installs it or says how"
        return [program, "-f", str(self.folder / "haproxy.cfg"), *(["-c"] if check else ["-db"])]


FRONTS: dict[str, Callable[[Path, int, int], Front]] = {"nginx": Nginx, "haproxy": Haproxy}


def home_with(folder: Path, shipped: Path) -> dict[str, str]:
    """A home folder whose Streamlit settings are the shipped ones, as environment."""
    (folder / ".streamlit").mkdir(parents=True)
    (folder / ".streamlit" / "config.toml").write_text(shipped.read_text())
    return {**os.environ, "HOME": str(folder)}
