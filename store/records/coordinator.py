"""Plans, allocations, what happened and what people set, where several processes meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from functools import cache, partial
from typing import TypeVar

from sqlalchemy import Connection, Insert, Table, bindparam, delete, func, insert, or_, select

from core.coordinator.plan import Controller
from core.coordinator.records import LEASE_S, Changed, FleetLives, Minute, Run, SiteState
from core.coordinator.settings import SiteSettings, check_settings, read, written
from core.coordinator.view import (
    Allocated,
    DayCost,
    Deployment,
    Evaluation,
    ForecastScore,
    Note,
    Shadow,
    TrainingRun,
)
from core.errors import (
    ChangedMeanwhileError,
    ConfigurationError,
    RequestError,
    RetryLaterError,
)
from store.records.packed import packed, unpacked
from store.records.place import Place
from store.records.tables import (
    LEASES,
    MINUTES,
    NOTES,
    SETTINGS,
    SETTINGS_ALONE,
    TOLD,
    put,
    put_where,
)
from store.times import from_us, to_us

EVERYWHERE = ""
"""The site of what belongs to none."""
KEPT_RUNS, KEPT_NOTES, KEPT_CHANGES, KEPT_LINES = 3, 500, 1000, 1000
KEPT_MINUTES = timedelta(days=90)
"""What forecasts learn from."""

T = TypeVar("T")

HOLDER = select(LEASES.c.holder).where(LEASES.c.site == bindparam("asked"))
CHANGES = select(SETTINGS.c.number, SETTINGS.c.at_us, SETTINGS.c.who, SETTINGS.c.told).where(
    SETTINGS.c.site == bindparam("asked")).order_by(SETTINGS.c.number.desc()).limit(
    bindparam("most"))
LAST_CHANGE = select(func.max(SETTINGS.c.number)).where(SETTINGS.c.site == bindparam("asked"))
UNREAD = SiteSettings(controller="off")
NEWEST_NOTES = select(NOTES.c.told).where(NOTES.c.site == bindparam("asked")).order_by(
    NOTES.c.number.desc()).limit(bindparam("most"))
SPAN = select(MINUTES.c.told).where(
    MINUTES.c.site == bindparam("asked"), MINUTES.c.time_us >= bindparam("start_us"),
    MINUTES.c.time_us < bindparam("end_us")).order_by(MINUTES.c.time_us)
OF_KIND = TOLD.c.site == bindparam("asked"), TOLD.c.kind == bindparam("wanted")
NEWEST = select(TOLD.c.told).where(*OF_KIND).order_by(
    TOLD.c.at_us.desc(), TOLD.c.name).limit(bindparam("most"))
OLDER = delete(TOLD).where(*OF_KIND, TOLD.c.name.not_in(
    select(TOLD.c.name).where(*OF_KIND).order_by(TOLD.c.at_us.desc()).limit(bindparam("most"))))


@cache
def _take(dialect: str) -> Insert:
    """A lease, where nobody holds it at `now_us` but who asks."""
    return put_where(LEASES, dialect, lambda new: or_(
        LEASES.c.holder == new.holder, LEASES.c.until_us <= bindparam("now_us")))


class CoordinatorTables:
    """`core.coordinator.records.CoordinatorStore`; any threads."""

    def __init__(self, place: Place) -> None:
        self._place = place

    # -- who coordinates

    def lease(self, site: str, holder: str, now: datetime, hold_s: float = LEASE_S) -> str:
        until_us = to_us(now + timedelta(seconds=hold_s))
        with self._writing() as connection:
            connection.execute(_take(connection.dialect.name), {
                "site": site, "holder": holder, "until_us": until_us, "now_us": to_us(now)})
            return str(connection.execute(HOLDER, {"asked": site}).scalar_one())

    def release(self, site: str, holder: str) -> None:
        with self._writing() as connection:
            connection.execute(delete(LEASES).where(LEASES.c.site == site,
                                                    LEASES.c.holder == holder))

    # -- settings

    def settings(self, site: str) -> Changed | None:
        return next(iter(self.changes(site, 1)), None)

    def save_settings(self, site: str, settings: SiteSettings, who: str, at: datetime,
                      expected: int | None = None) -> int:
        told = written(check_settings(settings)).decode()
        row = {"site": site, "at_us": to_us(at), "who": who, "told": told}
        with self._writing(durable=True) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(SETTINGS_ALONE)
            if expected not in (None, connection.scalar(LAST_CHANGE, {"asked": site}) or 0):
                raise ChangedMeanwhileError("Somebody changed what is set meanwhile: look again")
            number: int = connection.execute(insert(SETTINGS).returning(SETTINGS.c.number),
                                             row).scalar_one()
            _forget_old(connection, SETTINGS, site, KEPT_CHANGES)
            return number

    def changes(self, site: str, most: int = 50) -> Sequence[Changed]:
        with self._reading() as connection:
            rows = connection.execute(CHANGES, {"asked": site, "most": most}).all()
        return [_changed(number, from_us(at_us), who, told) for number, at_us, who, told in rows]

    # -- what was planned and sent

    def keep_run(self, site: str, run: Run) -> None:
        self._put(site, "run", run.plan.made_at.isoformat(), run.plan.made_at, run, KEPT_RUNS)

    def newest_run(self, site: str) -> Run | None:
        return self._newest(site, "run", Run)

    def keep_allocated(self, site: str, allocated: Allocated) -> None:
        self._put(site, "allocated", "", allocated.at, allocated)

    def allocated(self, site: str) -> Allocated | None:
        return self._newest(site, "allocated", Allocated)

    def keep_state(self, site: str, state: SiteState) -> None:
        self._put(site, "state", "", state.at, state)

    def state(self, site: str) -> SiteState | None:
        return self._newest(site, "state", SiteState)

    def note(self, site: str, note: Note) -> None:
        """One that is the newest already is not kept twice: whoever lost a server's answer asks
        again."""
        told = packed(note)
        with self._writing() as connection:
            if connection.scalar(NEWEST_NOTES, {"asked": site, "most": 1}) == told:
                return
            connection.execute(insert(NOTES), {"site": site, "told": told})
            _forget_old(connection, NOTES, site, KEPT_NOTES)

    def notes(self, site: str, most: int = 50) -> Sequence[Note]:
        with self._reading() as connection:
            rows = connection.scalars(NEWEST_NOTES, {"asked": site, "most": most}).all()
        return [unpacked(Note, told, NOTES.name) for told in rows]

    # -- what happened and what it cost

    def keep_minutes(self, site: str, minutes: Sequence[Minute]) -> None:
        if not minutes:
            return
        rows = [{"site": site, "time_us": round(1e6 * one.time_s), "told": packed(one)}
                for one in minutes]
        newest = from_us(round(1e6 * max(one.time_s for one in minutes)))
        with self._writing() as connection:
            connection.execute(put(MINUTES, connection.dialect.name), rows)
            connection.execute(delete(MINUTES).where(
                MINUTES.c.site == site, MINUTES.c.time_us < to_us(newest - KEPT_MINUTES)))

    def minutes(self, site: str, start: datetime, end: datetime) -> Sequence[Minute]:
        with self._reading() as connection:
            rows = connection.scalars(SPAN, {"asked": site, "start_us": to_us(start),
                                             "end_us": to_us(end)}).all()
        return [unpacked(Minute, told, MINUTES.name) for told in rows]

    def keep_day(self, site: str, day: DayCost) -> None:
        self._put(site, "day", day.start.isoformat(), day.start, day, KEPT_LINES)

    def days(self, site: str, since: datetime) -> Sequence[DayCost]:
        return [day for day in self._all(site, "day", DayCost) if day.start >= since]

    def keep_shadow(self, site: str, shadow: Shadow) -> None:
        self._put(site, "shadow", shadow.controller, shadow.since, shadow)

    def shadows(self, site: str) -> Sequence[Shadow]:
        return self._all(site, "shadow", Shadow)

    def forget_shadow(self, site: str, controller: Controller) -> None:
        with self._writing() as connection:
            connection.execute(delete(TOLD).where(
                TOLD.c.site == site, TOLD.c.kind == "shadow", TOLD.c.name == controller))

    def keep_forecast_scores(self, site: str, scores: Sequence[ForecastScore]) -> None:
        for score in scores:
            self._put(site, "forecast", score.what, from_us(0), score)

    def forecast_scores(self, site: str) -> Sequence[ForecastScore]:
        return self._all(site, "forecast", ForecastScore)

    # -- prices that were taken in

    def keep_prices(self, site: str, name: str, told: bytes, at: datetime) -> None:
        self._put(site, "prices", name, at, told)

    def prices(self, site: str, name: str) -> bytes | None:
        asked = select(TOLD.c.told).where(
            TOLD.c.site == site, TOLD.c.kind == "prices", TOLD.c.name == name)
        with self._reading() as connection:
            told = connection.scalar(asked)
        return None if told is None else unpacked(bytes, told, TOLD.name)

    def price_names(self, site: str) -> Sequence[str]:
        asked = select(TOLD.c.name).where(
            TOLD.c.site == site, TOLD.c.kind == "prices").order_by(TOLD.c.name)
        with self._reading() as connection:
            return connection.scalars(asked).all()

    # -- lives of packs

    def keep_lives(self, site: str, told: FleetLives) -> None:
        self._put(site, "lives", "", told.at, told)

    def lives(self, site: str) -> FleetLives | None:
        return self._newest(site, "lives", FleetLives)

    # -- learning

    def keep_training(self, run: TrainingRun) -> None:
        self._put(EVERYWHERE, "training", run.run, run.started_at, run, KEPT_LINES)

    def trainings(self, most: int = 20) -> Sequence[TrainingRun]:
        return self._all(EVERYWHERE, "training", TrainingRun, most)

    def keep_evaluation(self, evaluation: Evaluation) -> None:
        self._put(EVERYWHERE, "evaluation", evaluation.version, evaluation.at, evaluation,
                  KEPT_LINES)

    def evaluations(self, most: int = 50) -> Sequence[Evaluation]:
        return self._all(EVERYWHERE, "evaluation", Evaluation, most)

    def keep_deployment(self, deployment: Deployment) -> None:
        self._put(EVERYWHERE, "deployment", deployment.device, deployment.since, deployment)

    def deployments(self) -> Sequence[Deployment]:
        return self._all(EVERYWHERE, "deployment", Deployment)

    def close(self) -> None:
        """Safe to call twice."""
        self._place.close()

    # -- inside

    def _put(self, site: str, kind: str, name: str, at: datetime, value: object,
             most: int | None = None) -> None:
        """most: of its kind that are kept, the newest."""
        row = {"site": site, "kind": kind, "name": name, "at_us": to_us(at),
               "told": packed(value)}
        with self._writing() as connection:
            connection.execute(put(TOLD, connection.dialect.name), row)
            if most is not None:
                connection.execute(OLDER, {"asked": site, "wanted": kind, "most": most})

    def _all(self, site: str, kind: str, model: type[T], most: int = KEPT_LINES) -> list[T]:
        with self._reading() as connection:
            rows = connection.scalars(NEWEST, {"asked": site, "wanted": kind, "most": most}).all()
        return [unpacked(model, told, TOLD.name) for told in rows]

    def _newest(self, site: str, kind: str, model: type[T]) -> T | None:
        return next(iter(self._all(site, kind, model, 1)), None)

    def _writing(self, durable: bool = False) -> AbstractContextManager[Connection]:
        """What comes anew every few seconds need not survive a power cut."""
        return _retried(partial(self._place.writing, durable))

    def _reading(self) -> AbstractContextManager[Connection]:
        return _retried(self._place.reading)


def _changed(number: int, at: datetime, who: str, told: str) -> Changed:
    try:
        return Changed(number, at, who, read(told))
    except RequestError as error:
        return Changed(number, at, who, UNREAD, str(error))


@contextmanager
def _retried(begun: Callable[[], AbstractContextManager[Connection]]) -> Iterator[Connection]:
    """A server that came back with other rights is out of reach like any other."""
    try:
        with begun() as connection:
            yield connection
    except ConfigurationError as error:
        raise RetryLaterError(str(error)) from error


def _forget_old(connection: Connection, table: Table, site: str, most: int) -> None:
    """Lines of a site beyond its newest."""
    lines = table.c.site == site
    oldest = select(table.c.number).where(lines).order_by(
        table.c.number.desc()).offset(most).limit(1).scalar_subquery()
    connection.execute(delete(table).where(lines, table.c.number <= oldest))
