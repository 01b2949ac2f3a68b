"""Everything that is stored, and who may change it when.

`access` is held by a whole reading question and by each change of what lies where (a file
published, forgotten, set aside): no reader ever sees a row twice or misses it at a seam.
`append` never takes it.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from core.clock import Clock
from store.files import (
    DAMAGED,
    MINUTE,
    PART,
    RAW,
    TIERS,
    Catalog,
    Sealed,
    sealed_path,
    set_aside,
    sync_folder,
)
from store.hot import NAME, SIDES, HotTail, is_damage
from store.nodes import NodeNumbers, read_mirror, write_mirror
from store.spans import Span
from store.times import MINUTE_US

log = logging.getLogger(__name__)


class Vault:
    """Opens a directory, sets damaged files aside, and finishes what a crash interrupted.

    columns: what a row has beside the number of its node and its time.
    """

    def __init__(self, directory: Path, columns: tuple[str, ...], clock: Clock) -> None:
        self.directory = directory
        self.columns = columns
        self._clock = clock
        self.access = threading.RLock()
        self.catalog = Catalog(directory)
        self.set_aside = [path for folder in (directory, *(directory / tier for tier in TIERS))
                          for path in sorted(folder.glob(f"*{DAMAGED}*"))]
        for path in self.catalog.scan():
            self._aside(path, "truncated, empty or not Parquet")
        self.hot = self._open_hot()
        self.nodes = self._open_nodes()
        self._finish_seal()

    # -- opening

    def _open_hot(self) -> HotTail:
        try:
            return HotTail(self.directory, len(self.columns))
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            return self._fresh_hot(str(error))

    def _fresh_hot(self, why: str) -> HotTail:
        paths = [self.directory / f"{NAME}{side}" for side in SIDES]
        for path in paths:
            if path.exists():
                self._aside(path, why)
        return HotTail(self.directory, len(self.columns))

    def replace_hot(self, why: str) -> None:
        """Go on with an empty hot tail: the present one turned out to be damaged."""
        with self.access:
            self.hot.close()
            self.hot = self._fresh_hot(why)
            self.hot.add_nodes(list(enumerate(self.nodes.ids)))

    def _open_nodes(self) -> NodeNumbers:
        """From the mirror or the hot tail, whichever knows more."""
        stored, mirrored = self.hot.node_ids(), read_mirror(self.directory)
        ids = max(stored, mirrored or [], key=len)
        if not ids:
            for file in list(self.catalog):
                self.put_aside(file, "the numbers of its nodes are lost")
        if stored != ids:
            self.hot.add_nodes(list(enumerate(ids)))
        if mirrored != ids:
            write_mirror(self.directory, ids)
        return NodeNumbers(ids)

    def number(self, ids: Sequence[str]) -> None:
        """Give every id a number; raises OSError, sqlite3.Error."""
        added = self.nodes.add(ids)
        if added:
            self.hot.add_nodes(added)
            write_mirror(self.directory, self.nodes.ids)

    def _finish_seal(self) -> None:
        """A seal is done when its minutes are published; a raw file alone is a leftover."""
        minutes = self.catalog.files(MINUTE)
        for file in self.catalog.files(RAW):
            known = any(minute.start_us <= file.start_us < minute.end_us for minute in minutes)
            still = self.hot.newest(file.start_us + MINUTE_US - 1)
            if not known and still is not None and still.time_us >= file.start_us:
                self.discard([file])
        self.hot.delete_before(self.catalog.end_us or 0)

    # -- changing

    def part_path(self, tier: str, span: Span) -> Path:
        """Where a file of this span will lie; what is not finished has PART appended."""
        return sealed_path(self.directory, tier, span)

    def publish(self, tiers: Iterable[str], span: Span, instead: Iterable[Sealed] = ()) -> None:
        """Give finished files their names, in this order, in the place of others."""
        old = list(instead)
        with self.access:
            self.catalog.forget(old)
            for tier in tiers:
                path = self.part_path(tier, span)
                path.with_name(path.name + PART).replace(path)
                sync_folder(path.parent)
                self.catalog.add(tier, span)
            for file in old:
                if (file.start_us, file.end_us) != span:
                    file.path.unlink(missing_ok=True)

    def discard(self, files: Sequence[Sealed]) -> None:
        with self.access:
            self.catalog.forget(files)
            for file in files:
                file.path.unlink(missing_ok=True)

    def put_aside(self, file: Sealed, why: str) -> None:
        with self.access:
            self.catalog.forget([file])
            self._aside(file.path, why)

    def _aside(self, path: Path, why: str) -> None:
        if not path.exists():
            log.error("history: %s is gone (%s), the rest is served", path, why)
            return
        aside = set_aside(path, self._clock.now())
        self.set_aside.append(aside)
        log.error("history: %s is damaged (%s); it was set aside as %s, the rest is served",
                  path, why, aside.name)

    # -- telling

    @property
    def sealed_until_us(self) -> int:
        """Frames from here on are in the hot tail [us]."""
        return self.catalog.end_us or 0

    def size(self) -> int:
        """Everything in the directory that grows [B]."""
        aside = sum(path.stat().st_size for path in self.set_aside if path.exists())
        return self.catalog.size() + self.hot.size() + aside
