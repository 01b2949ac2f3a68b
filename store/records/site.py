"""Commands, and what was saved for a site."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection, delete, select

from core.clock import Clock, SystemClock
from core.errors import GiveUpError, OrreryError
from core.fleet.messages import Command
from core.fleet.ports import CommandLife, CommandState
from core.site_records import Kind
from store.records.place import Place
from store.records.tables import COMMANDS, SAVED, put
from store.times import SECOND_US, from_us, to_us

log = logging.getLogger(__name__)

KEPT = timedelta(days=31)
"""Of commands."""


class _Told(msgspec.Struct, frozen=True):
    """JSON of a command, beside what one may look for in SQL."""

    command: Command
    reason: str


class SiteTables:
    """`core.site_records.SiteRecords`; for any threads."""

    def __init__(self, place: Place, clock: Clock | None = None) -> None:
        self._place, self._clock = place, clock or SystemClock()
        self._error = ""
        try:
            self.keep_commands("", [])
        except BaseException:
            place.close()
            raise

    @property
    def error(self) -> str:
        return self._error

    def keep_commands(self, site: str, lives: Sequence[CommandLife]) -> None:
        old = COMMANDS.c.issued_us < to_us(self._clock.now() - KEPT)
        with self._said(self._place.writing) as connection:
            if lives:
                connection.execute(put(COMMANDS, connection.dialect.name),
                                   [_row(site, life) for life in lives])
            connection.execute(delete(COMMANDS).where(old))

    def commands(self, site: str, since: datetime, most: int) -> list[CommandLife]:
        row = COMMANDS.c
        asked = select(row.device, row.state, row.changed_us, row.told).where(
            row.site == site, row.issued_us >= to_us(since)).order_by(
            row.issued_us.desc(), row.device, row.id).limit(most)
        with self._said(self._place.reading) as connection:
            rows = connection.execute(asked).all()
        return [_life(site, *row) for row in reversed(rows)]

    def saved(self, kind: Kind) -> Mapping[str, str]:
        row = SAVED.c
        asked = select(row.name, row.told).where(row.kind == kind).order_by(row.name)
        with self._said(self._place.reading) as connection:
            return {name: told for name, told in connection.execute(asked)}

    def save(self, kind: Kind, name: str, told: str) -> None:
        with self._said(self._place.writing) as connection:
            connection.execute(put(SAVED, connection.dialect.name), {
                "kind": kind, "name": name, "told": told, "saved_us": to_us(self._clock.now())})

    def remove(self, kind: Kind, name: str) -> bool:
        with self._said(self._place.writing) as connection:
            return connection.execute(delete(SAVED).where(
                SAVED.c.kind == kind, SAVED.c.name == name)).rowcount > 0

    def close(self) -> None:
        """Safe to call twice."""
        self._place.close()

    @contextmanager
    def _said(self, transaction: Callable[[], AbstractContextManager[Connection]],
              ) -> Iterator[Connection]:
        """What is wrong is told once, and once when it is well again."""
        try:
            with transaction() as connection:
                yield connection
        except OrreryError as error:
            if not self._error:
                log.error("commands and what is saved are not kept: %s", error)
            self._error = str(error)
            raise
        if self._error:
            log.info("commands and what is saved are kept again")
        self._error = ""


def _row(site: str, life: CommandLife) -> dict[str, object]:
    command = life.command
    issued_us = round(command.issued_s * SECOND_US)
    return {"id": command.id, "site": site, "device": life.device, "issued_us": issued_us,
            "state": life.state,
            "changed_us": issued_us if life.changed_at is None else to_us(life.changed_at),
            "told": msgspec.json.encode(_Told(command, life.reason)).decode()}


def _life(site: str, device: str, state: CommandState, changed_us: int,
          text: str) -> CommandLife:
    try:
        told = msgspec.json.decode(text, type=_Told)
    except msgspec.MsgspecError as error:
        raise GiveUpError(f"the table {COMMANDS.name} holds what is no command ({error}); delete "
                          "its rows") from error
    return CommandLife(told.command, site, device, state, told.reason, from_us(changed_us))
