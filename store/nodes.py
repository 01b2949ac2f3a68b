"""Stable numbers of nodes: history outlives a changed topology.

The numbers stand in the hot tail's SQLite file and, since sealed files mean nothing without
them, in a mirror of their own: a first line with the CRC, then one id a line, number 0 first.
"""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MIRROR = "nodes.txt"
FORM = "orrery-nodes-1"

SidArray = NDArray[np.int32]

log = logging.getLogger(__name__)


class NodeNumbers:
    """ids[sid] is the id of number `sid`; numbers are never given twice."""

    def __init__(self, ids: Sequence[str] = ()) -> None:
        self.ids = list(ids)
        self._number = {node_id: sid for sid, node_id in enumerate(self.ids)}

    def __contains__(self, node_id: str) -> bool:
        return node_id in self._number

    def sid(self, node_id: str) -> int | None:
        return self._number.get(node_id)

    def add(self, ids: Sequence[str]) -> list[tuple[int, str]]:
        """Number the unknown ones of `ids`, in their order; returns (sid, id) of these."""
        new = [node_id for node_id in ids if node_id not in self._number]
        added = list(enumerate(new, start=len(self.ids)))
        self.ids += new
        self._number.update((node_id, sid) for sid, node_id in added)
        return added

    def sids(self, ids: Sequence[str]) -> SidArray:
        """int32[k]; KeyError for one without a number."""
        return np.array([self._number[node_id] for node_id in ids], dtype=np.int32)


def write_mirror(directory: Path, ids: Sequence[str]) -> None:
    """Replace the mirror in one step; raises OSError."""
    body = "".join(f"{node_id}\n" for node_id in ids).encode()
    part = directory / f"{MIRROR}.tmp"
    with part.open("wb") as file:
        file.write(f"{FORM} {zlib.crc32(body):08x}\n".encode() + body)
        file.flush()
        os.fsync(file.fileno())
    part.replace(directory / MIRROR)


def read_mirror(directory: Path) -> list[str] | None:
    """The ids, or None where the mirror is missing or damaged."""
    path = directory / MIRROR
    if not path.exists():
        return None
    head, _, body = path.read_bytes().partition(b"\n")
    if head != f"{FORM} {zlib.crc32(body):08x}".encode():
        log.warning("%s is damaged; it is written anew from the hot tail", path)
        return None
    return body.decode().splitlines()
