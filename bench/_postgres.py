"""A real PostgreSQL on a free port of loopback; it may be killed and started again."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import psutil
import psycopg

from bench._fleet import until
from bench.report import FigureError
from scripts.app_process import LOOPBACK, free_port
from scripts.test import find_postgres

USER, PASSWORD = "orrery", "s3cret-of-the-tests"
UNPRIVILEGED = ("postgres", "nobody")
"""The server refuses to run as root."""


class PostgresServer:
    """One cluster in a folder of its own. Ends with `remove`.

    sync: as shipped; without it nothing is lost either that the kernel has, and a test can kill
    processes but not cut the power.
    """

    def __init__(self, *, sync: bool = True) -> None:
        program = find_postgres()
        if program is None:
            raise FigureError("no PostgreSQL on this machine: sudo apt-get install postgresql")
        self.port, self._sync = free_port(), sync
        self._program = Path(program)
        self._folder = Path(tempfile.mkdtemp(prefix="orrery-postgres-"))
        self._uid, self._gid = _unprivileged()
        self._process: subprocess.Popen[bytes] | None = None
        self._names = count()
        self._initialise()

    def _initialise(self) -> None:
        password = self._folder / "password"
        password.write_text(PASSWORD)
        for path in (self._folder, password):
            os.chown(path, self._uid, self._gid)
        command = [str(self._program.with_name("initdb")), "-D", str(self._data), "-U", USER,
                   "--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8",
                   "--locale=C.UTF-8", "--no-sync"]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/",
                             user=self._uid, group=self._gid)
        assert ran.returncode == 0, ran.stdout + ran.stderr

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def start(self) -> None:
        """A server that was killed a moment ago may still hold its memory: asked until it runs."""
        until(self._starts, "PostgreSQL runs", 30.0)

    def _starts(self) -> bool:
        settings = (f"listen_addresses={LOOPBACK}", "unix_socket_directories=",
                    f"fsync={'on' if self._sync else 'off'}")
        command = [str(self._program), "-D", str(self._data), "-p", str(self.port),
                   *(word for setting in settings for word in ("-c", setting))]
        with (self._folder / "log").open("ab") as output:
            self._process = process = subprocess.Popen(
                command, cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                user=self._uid, group=self._gid)
        until(lambda: process.poll() is not None or self._answers(), "PostgreSQL answers", 20.0)
        return process.poll() is None

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def kill(self) -> None:
        """The server and all that it started, at once and without a word."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            parent = psutil.Process(process.pid)
            for one in [parent, *parent.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            process.wait(10)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Connections stay and nothing is answered, until the end."""
        processes = [psutil.Process(self.pid), *psutil.Process(self.pid).children(recursive=True)]
        for one in processes:
            one.suspend()
        try:
            yield
        finally:
            for one in processes:
                with suppress(psutil.NoSuchProcess):
                    one.resume()

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self._folder)

    def url(self, schema: str = "public") -> str:
        return (f"postgresql://{USER}:{PASSWORD}@{LOOPBACK}:{self.port}/postgres"
                f"?options=-csearch_path%3D{schema}")

    def new_schema(self) -> str:
        """The URL of an empty one, as good as a database of its own, and not 300 files."""
        name = f"test_{next(self._names)}"
        self.execute(self.url(), f"CREATE SCHEMA {name}")
        return self.url(name)

    def execute(self, url: str, command: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(command.encode())

    def fetch(self, url: str, query: str) -> list[tuple[int, ...]]:
        """All rows of numbers."""
        with psycopg.connect(url, autocommit=True) as connection:
            return connection.execute(query.encode()).fetchall()

    @property
    def pid(self) -> int:
        if self._process is None:
            raise FigureError("PostgreSQL does not run")
        return self._process.pid

    def said(self) -> str:
        """The server's own log."""
        return (self._folder / "log").read_text(errors="replace")


def _unprivileged() -> tuple[int, int]:
    """User and group to run as."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    for name in UNPRIVILEGED:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return found.pw_uid, found.pw_gid
    raise FigureError(f"PostgreSQL does not run as root, and there is no user of {UNPRIVILEGED}")
