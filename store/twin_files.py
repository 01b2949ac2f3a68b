"""What the twin keeps of packs, a file each: its SHA-256, then the payload."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from core.errors import GiveUpError, RetryLaterError
from core.twin.kept import Kind

log = logging.getLogger(__name__)

SUFFIX = ".kept"
DIGEST_BYTES = hashlib.sha256().digest_size


class TwinFiles:
    """`core.twin.kept.KeptFiles`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def find(self, kind: Kind, name: str) -> bytes | None:
        path = self._path(kind, name)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RetryLaterError(f"{path} cannot be read ({error.strerror})") from error
        payload = content[DIGEST_BYTES:]
        if hashlib.sha256(payload).digest() != content[:DIGEST_BYTES]:
            log.error("%s does not agree with its checksum", path)
            raise GiveUpError(f"{path.name} does not agree with its checksum")
        return payload

    def save(self, kind: Kind, name: str, payload: bytes) -> None:
        path = self._path(kind, name)
        written = None
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            number, written = tempfile.mkstemp(dir=self._directory)
            with os.fdopen(number, "wb") as file:
                file.write(hashlib.sha256(payload).digest() + payload)
                file.flush()
                os.fsync(file.fileno())
            Path(written).replace(path)
        except OSError as error:
            if written is not None:
                with suppress(OSError):
                    Path(written).unlink(missing_ok=True)
            raise RetryLaterError(f"{path} cannot be written ({error.strerror}); see that the "
                                  "disk has room and can be written") from error

    def remove(self, kind: Kind, name: str) -> None:
        path = self._path(kind, name)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise RetryLaterError(f"{path} cannot be removed ({error.strerror})") from error

    def _path(self, kind: Kind, name: str) -> Path:
        """Names come from outside: none is part of a path (law 11)."""
        return self._directory / f"{kind}-{hashlib.sha256(name.encode()).hexdigest()}{SUFFIX}"
