"""Certificate authorities and what they vouch for, made by the openssl program."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.sources.mosquitto import LOOPBACK

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*arguments: str | Path) -> None:
    ran = subprocess.run(["openssl", *map(str, arguments)], check=False, capture_output=True,
                         text=True)
    assert ran.returncode == 0, ran.stderr


class Authority:
    """A self-signed authority in `folder`; `file` is its certificate."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self.file = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        openssl("req", "-x509", *KEY, "-keyout", self._key, "-out", self.file, "-days", "2",
                "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign")

    def vouches_for(self, address: str = LOOPBACK) -> tuple[Path, Path]:
        """A server's certificate for an IP address, and its key."""
        at = self._folder / f"{self._name}-{address}"
        request, key, file = (at.with_name(at.name + end) for end in (".csr", ".key", ".pem"))
        openssl("req", "-new", *KEY, "-keyout", key, "-out", request, "-subj", "/CN=gx",
                "-addext", f"subjectAltName=IP:{address}")
        openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self._key,
                "-CAcreateserial", "-out", file, "-days", "2", "-copy_extensions", "copy")
        return file, key
