"""The file in which a process says how it goes; probes look at its age, people at its words."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

log = logging.getLogger(__name__)


class Report:
    """Written whole or not at all. A disk that takes none is said once, and ends nothing."""

    def __init__(self, file: Path) -> None:
        self._file, self._refused = file, False

    def write(self, told: Mapping[str, object]) -> None:
        fresh = self._file.with_name(self._file.name + ".new")
        try:
            fresh.write_bytes(msgspec.json.encode(told))
            fresh.replace(self._file)
        except OSError as error:
            if not self._refused:
                log.error("the report %s is not written: %s", self._file, error)
            self._refused = True
        else:
            self._refused = False
