"""Sealed files: what lies where. A file's name tells the whole minutes that it covers."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from store.spans import Span
from store.times import FOREVER_US, HOUR_US, MINUTE_US, STAMP, floor_to, from_stamp, stamp

RAW, MINUTE, HOUR = "raw", "minute", "hour"
TIERS = (RAW, MINUTE, HOUR)
"""Finest first."""
PERIOD_US = {RAW: 0, MINUTE: MINUTE_US, HOUR: HOUR_US}
"""What one row stands for, 0: the instant of a sample."""
SUFFIX = ".parquet"
PART = ".tmp"
DAMAGED = ".damaged-"
MAGIC = b"PAR1"
SMALLEST = 12

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sealed:
    """One file. start_us, end_us: what it covers, whole minutes, the end exclusive [us].
    written_ns: when it was written; one that was written anew is another."""

    tier: str
    start_us: int
    end_us: int
    path: Path
    size: int
    written_ns: int

    def holds(self, other: Sealed) -> bool:
        return self.start_us <= other.start_us and other.end_us <= self.end_us


def sealed_path(directory: Path, tier: str, span: Span) -> Path:
    return directory / tier / f"{stamp(span[0])}-{stamp(span[1])}{SUFFIX}"


def sync_folder(folder: Path) -> None:
    """Make renames in it durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def set_aside(path: Path, now: datetime) -> Path:
    """Rename a damaged file; returns its new path."""
    aside = path.with_name(f"{path.name}{DAMAGED}{now.strftime(STAMP)}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}{DAMAGED}{now.strftime(STAMP)}-{number}")
    path.rename(aside)
    return aside


def looks_whole(path: Path) -> bool:
    """The magic words at both ends and a footer that fits: no truncation, no random bytes."""
    size = path.stat().st_size
    if size < SMALLEST:
        return False
    with path.open("rb") as file:
        head = file.read(len(MAGIC))
        file.seek(-8, os.SEEK_END)
        length, tail = int.from_bytes(file.read(4), "little"), file.read(4)
    return head == tail == MAGIC and 0 < length <= size - SMALLEST


class Catalog:
    """The sealed files of a directory; spans of one tier never overlap.

    Not locked by itself: `Vault` in store/vault.py says who may change it when.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._files: dict[str, list[Sealed]] = {tier: [] for tier in TIERS}

    def scan(self) -> list[Path]:
        """Read the folders; removes what a crash left. Returns files that look damaged."""
        damaged: list[Path] = []
        for tier in TIERS:
            folder = self.directory / tier
            folder.mkdir(parents=True, exist_ok=True)
            for path in sorted(folder.iterdir()):
                if path.name.endswith(PART):
                    path.unlink()
                elif path.name.endswith(SUFFIX) and (span := _span_of(path)):
                    if looks_whole(path):
                        self._files[tier].append(_sealed(tier, span, path))
                    else:
                        damaged.append(path)
            self._drop_merged(tier)
        return damaged

    def _drop_merged(self, tier: str) -> None:
        """A crash between a merge's rename and its unlinking leaves parts of a whole."""
        kept: list[Sealed] = []
        for file in sorted(self._files[tier], key=lambda f: (f.start_us, -f.end_us)):
            if kept and kept[-1].holds(file):
                file.path.unlink()
            else:
                kept.append(file)
        self._files[tier] = kept

    def files(self, tier: str, start_us: int = 0, end_us: int = FOREVER_US) -> list[Sealed]:
        """Those that touch the span, oldest first."""
        return [file for file in self._files[tier]
                if file.start_us < end_us and file.end_us > start_us]

    def __iter__(self) -> Iterator[Sealed]:
        return (file for tier in TIERS for file in self._files[tier])

    def add(self, tier: str, span: Span) -> Sealed:
        file = _sealed(tier, span, sealed_path(self.directory, tier, span))
        self._files[tier] = sorted([*self._files[tier], file], key=lambda f: f.start_us)
        return file

    def forget(self, files: Iterable[Sealed]) -> None:
        gone = set(files)
        for tier in TIERS:
            self._files[tier] = [file for file in self._files[tier] if file not in gone]

    def spans(self, tier: str) -> list[Span]:
        return [(file.start_us, file.end_us) for file in self._files[tier]]

    def size(self, tiers: Sequence[str] = TIERS) -> int:
        """[B]"""
        return sum(file.size for tier in tiers for file in self._files[tier])

    @property
    def start_us(self) -> int | None:
        """Of the oldest file; an hour that minutes tell better begins with them."""
        fine = [file.start_us for tier in (RAW, MINUTE) for file in self._files[tier]]
        hours = [file.start_us for file in self._files[HOUR]
                 if not fine or file.start_us < floor_to(min(fine), HOUR_US)]
        return min(fine + hours, default=None)

    @property
    def end_us(self) -> int | None:
        return max((file.end_us for file in self), default=None)


def _sealed(tier: str, span: Span, path: Path) -> Sealed:
    found = path.stat()
    return Sealed(tier, span[0], span[1], path, found.st_size, found.st_mtime_ns)


def _span_of(path: Path) -> Span | None:
    """None for a file of a name that this store never gave."""
    first, _, last = path.name.removesuffix(SUFFIX).partition("-")
    try:
        return from_stamp(first), from_stamp(last)
    except ValueError:
        return None
