"""Ageing runs that were made before, by what went into them.

A file is its SHA-256 and a result as msgpack; one that does not agree with itself is removed, and
its run is made again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import msgspec

from core.errors import RequestError
from core.twin.tasks import ForecastResult, ForecastTask, packed, read_told

log = logging.getLogger(__name__)

REVISION = 3
"""Of our own part of the calculation: raise it when the same task is to give another result."""
SUFFIX = ".run"
MOST_FILES = 2000
NO_ID = "0" * 32
DAMAGED = "the kept run was damaged; it is made again"
MADE_AGAIN = "the run that was kept before was damaged and thrown away; this one was made anew"


def physics_version() -> str:
    """Of what calculates, without importing it."""
    try:
        return f"{metadata.version('pybamm')}/{REVISION}"
    except metadata.PackageNotFoundError:
        return f"none/{REVISION}"


def key_of(task: ForecastTask) -> str:
    """Of all that decides its result, which is neither who asks nor when."""
    told = packed(msgspec.structs.replace(
        task, id=NO_ID, parameters=dict(sorted(task.parameters.items()))))
    return hashlib.sha256(physics_version().encode() + b"\n" + told).hexdigest()


class RunCache:
    """Files in a directory that several processes may share; what cannot be read or written costs
    a run and no more."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def find(self, task: ForecastTask) -> tuple[ForecastResult | None, str]:
        """The run, under the id of `task`, or None and what is wrong with the kept one."""
        path = self._path(task)
        try:
            content = path.read_bytes()
        except OSError:
            return None, ""
        found = _read(content)
        if found is None:
            log.warning("%s is damaged; it is removed and its run made again", path)
            with suppress(OSError):
                path.unlink()
            return None, DAMAGED
        return msgspec.structs.replace(found, id=task.id, cached=True), ""

    def keep(self, task: ForecastTask, result: ForecastResult) -> None:
        """Whole or not at all; a failed run is not kept."""
        if result.failed:
            return
        payload = packed(result)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            number, name = tempfile.mkstemp(dir=self._directory)
            with os.fdopen(number, "wb") as file:
                file.write(hashlib.sha256(payload).digest() + payload)
            Path(name).replace(self._path(task))
            self._thin()
        except OSError as error:
            log.warning("an ageing run is not kept (%s); see the disk of %s", error,
                        self._directory)

    def _path(self, task: ForecastTask) -> Path:
        return self._directory / (key_of(task) + SUFFIX)

    def _thin(self) -> None:
        """The oldest go."""
        files = sorted(self._directory.glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime)
        for path in files[:-MOST_FILES]:
            path.unlink(missing_ok=True)


def _read(content: bytes) -> ForecastResult | None:
    """None of what does not agree with itself."""
    size = hashlib.sha256().digest_size
    if hashlib.sha256(content[size:]).digest() != content[:size]:
        return None
    try:
        found = read_told(content[size:])
    except RequestError:
        return None
    return found if isinstance(found, ForecastResult) else None
