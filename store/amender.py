"""Puts minutes that came late into sealed files, and their hours anew."""

from __future__ import annotations

from functools import partial

import numpy as np

from store import sealed
from store.amend import improved
from store.files import HOUR, MINUTE, Sealed
from store.keeper import Keeper
from store.reading import SealedReader
from store.rollup import Rows, between, rollup_columns
from store.times import HOUR_US, MINUTE_US, floor_to
from store.vault import Vault


class Amender:
    """Beside `append`. What no file of minutes covers, any more or yet, is left out."""

    def __init__(self, vault: Vault, keeper: Keeper, reader: SealedReader) -> None:
        self._vault, self._keeper, self._reader = vault, keeper, reader

    def amend(self, told: Rows) -> None:
        """Minutes, sorted by (sid, ts)."""
        span = int(told["ts"].min()), int(told["ts"].max()) + MINUTE_US
        with self._keeper.tidying:
            with self._vault.access:
                files = self._vault.catalog.files(MINUTE, *span)
                rows = self._better(told, files)
            if rows is None:
                return
            for file in files:
                own = between(rows, file.start_us, file.end_us)
                if len(own["ts"]):
                    self._keeper.rewritten(
                        MINUTE, (file.start_us, file.end_us), [file],
                        partial(sealed.amend, columns=self._vault.columns, file=file, rows=own),
                        instead=[file])
            self._hours(rows)
            self._vault.hot.amended_at(np.unique(rows["ts"]).tolist())

    def _better(self, told: Rows, files: list[Sealed]) -> Rows | None:
        covered = np.zeros(len(told["ts"]), np.bool_)
        for file in files:
            covered |= (told["ts"] >= file.start_us) & (told["ts"] < file.end_us)
        if not covered.any():
            return None
        told = {name: column[covered] for name, column in told.items()}
        names = rollup_columns(self._vault.columns, MINUTE_US)
        kept = self._reader.rows(files, names, int(told["ts"].min()), int(told["ts"].max()) + 1)
        order = np.lexsort((kept["ts"], kept["sid"]))
        rows = improved(told, {name: column[order] for name, column in kept.items()},
                        self._vault.columns)
        return rows if len(rows["ts"]) else None

    def _hours(self, rows: Rows) -> None:
        """Those that are rolled up already."""
        catalog = self._vault.catalog
        hours = sorted({floor_to(ts, HOUR_US) for ts in np.unique(rows["ts"]).tolist()})
        for file in catalog.files(HOUR, hours[0], hours[-1] + HOUR_US):
            own = [hour for hour in hours if file.start_us <= hour < file.end_us]
            if own:
                minutes = catalog.files(MINUTE, own[0], own[-1] + HOUR_US)
                self._keeper.rewritten(
                    HOUR, (file.start_us, file.end_us), [file, *minutes],
                    partial(sealed.amend_hours, columns=self._vault.columns, file=file,
                            minutes=minutes, hours=own), instead=[file])
