"""Questions to the sealed files, answered by an in-memory DuckDB (loaded on first use).

Values from outside are always bound; columns come from the vocabulary's own lists (law 11).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import HistoryDamagedError
from store.files import Sealed
from store.kept import KeptRows, split
from store.rollup import MINUTES_OF_AN_HOUR, Rows, between
from store.vault import Vault

if TYPE_CHECKING:
    import duckdb

THREADS = 2
MEMORY_LIMIT = "256MB"
PLACE = "from_file"


class SealedReader:
    """Used under `Vault.access`; sets a file aside that cannot be read, and serves the rest."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._db: duckdb.DuckDBPyConnection | None = None
        self._opening = threading.Lock()
        self._kept = KeptRows()
        self.lost = 0
        """Files that questions found damaged so far."""

    def _connection(self) -> duckdb.DuckDBPyConnection:
        with self._opening:
            if self._db is None:
                import duckdb

                # Its allocator gives nothing back between questions without a thread of its own;
                # and its caches forget no file that ever was: that of metadata, which is off
                # (parquet_metadata_cache), takes 0.3 MB for each, that of contents 1 kB.
                self._db = duckdb.connect(":memory:", config={
                    "threads": str(THREADS), "memory_limit": MEMORY_LIMIT,
                    "allocator_background_threads": "true",
                    "enable_external_file_cache": "false",
                    "autoinstall_known_extensions": "false", "temp_directory": ""})
            return self._db

    def rows(self, files: Sequence[Sealed], columns: Sequence[str], start_us: int, end_us: int,
             sids: Sequence[int] | None = None) -> Rows:
        """Columns of the rows of [start, end), of some nodes or of all; in no order. Those of
        some nodes, which must have the column "ts", are kept in memory. Hours of an older
        version's files, which lack C_minutes, count as whole."""
        if sids is None:
            query = f"SELECT {_named(columns)} FROM {_source(columns)} WHERE ts >= ? AND ts < ?"
            return self._ask(files, lambda paths: self._run(query, [paths, start_us, end_us]))
        parts = self._kept.take(files, columns, sids,
                                lambda missing: self._whole(missing, columns, sids))
        if not parts:
            return {}
        return between({name: np.concatenate([part[name] for part in parts]) for name in columns},
                       start_us, end_us)

    def _whole(self, files: Sequence[Sealed], columns: Sequence[str], sids: Sequence[int],
               ) -> dict[Sealed, Rows]:
        """All rows of some nodes, by file; without those that were set aside."""
        if not sids:
            return {}
        query = (f"SELECT {_named(columns)}, list_position(?, filename) AS {PLACE}"
                 f" FROM {_source(columns)} WHERE {_among(len(sids))}")
        bounds = [min(sids), max(sids), *sids]
        asked: list[list[str]] = []

        def ask(paths: list[str]) -> Rows:
            asked.append(paths)
            return self._run(query, [paths, paths, *bounds])

        rows = self._ask(files, ask)
        by_path = {str(file.path): file for file in files}
        return split(rows, [by_path[path] for path in asked[-1]], PLACE) if rows else {}

    def newest_ts(self, files: Sequence[Sealed], start_us: int, end_us: int) -> int | None:
        """Of the rows of [start, end) [us]."""
        query = ("SELECT coalesce(max(ts), -1) AS ts FROM read_parquet(?)"
                 " WHERE ts >= ? AND ts < ?")
        rows = self._ask(files, lambda paths: self._run(query, [paths, start_us, end_us]))
        newest = int(rows["ts"].max()) if rows else -1
        return newest if newest >= 0 else None

    def _run(self, query: str, values: list[Any]) -> Rows:
        found = self._connection().execute(query, values).fetchnumpy()
        return {name: np.asarray(column) for name, column in found.items()}

    def _ask(self, files: Sequence[Sealed], ask: Callable[[list[str]], Rows]) -> Rows:
        """{} when there is no file; raises HistoryDamagedError when no file is to blame."""
        import duckdb

        left = list(files)
        while left:
            try:
                return ask([str(file.path) for file in left])
            except duckdb.Error as error:
                bad = [file for file in left if not self._reads(file.path, ask)]
                if not bad:
                    raise HistoryDamagedError(
                        f"{self._vault.directory}: {error}; report this as a defect") from error
                for file in bad:
                    self._vault.put_aside(file, str(error).splitlines()[0])
                self.lost += len(bad)
                left = [file for file in left if file not in bad]
        return {}

    @staticmethod
    def _reads(path: Path, ask: Callable[[list[str]], Rows]) -> bool:
        import duckdb

        try:
            ask([str(path)])
        except duckdb.Error:
            return False
        return True

    def close(self) -> None:
        with self._opening:
            if self._db is not None:
                self._db.close()


def _is_younger(name: str) -> bool:
    """Whether files of an older version lack the column."""
    return name.endswith("_minutes")


def _told(name: str) -> str:
    return f"coalesce({name}, {MINUTES_OF_AN_HOUR}) AS {name}" if _is_younger(name) else name


def _named(columns: Sequence[str]) -> str:
    return ", ".join(_told(name) for name in columns)


def _source(columns: Sequence[str]) -> str:
    """Files, of which each may lack the younger ones of the columns: NULL in those."""
    younger = [f"NULL::INTEGER AS {name}" for name in columns if _is_younger(name)]
    if not younger:
        return "read_parquet(?, filename = true)"
    return (f"(SELECT * FROM read_parquet(?, union_by_name = true, filename = true) "
            f"UNION ALL BY NAME SELECT {', '.join(younger)} WHERE false)")


def _among(count: int) -> str:
    """A condition with `count` + 2 places; the bounds skip row groups, the list picks rows."""
    return f"sid BETWEEN ? AND ? AND sid IN ({', '.join('?' * count)})"
