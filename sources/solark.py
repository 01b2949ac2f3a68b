"""A Sol-Ark inverter by its maker's cloud (solarkcloud.com).

`flow` tells powers WITHOUT a sign and the directions beside them: a number that flows, with
both directions or with none, is not known. The answer has no timestamp: `measured_at` is when
it arrived. So the age on screen is that of the answer and not of the measurement; the
inverter's own dongle reports to the cloud every few minutes, and what the cloud repeats
because the inverter went silent looks young here. A generator and micro inverters are told
apart from `pvPower` and are no part of it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from core.clock import Clock, SystemClock
from core.devices import Device
from core.errors import ConfigurationError
from core.houses import HouseId, Label
from core.ports import SourceInfo
from core.topology import Level
from sources.http import (
    FILE,
    LIMITS,
    PROBE_LIMITS,
    SIGN_IN_PAUSE_S,
    HttpError,
    Limits,
    Server,
    Session,
    secret_of,
    server_of,
)
from sources.polling import (
    STALE_PERIODS,
    Pace,
    PolledSource,
    Poller,
    Told,
    check_pace,
    checked,
    probe_once,
)

QUANTITIES = ("solar_power_kw", "load_power_kw", "grid_power_kw", "battery_power_kw", "soc_pct")
EARLIER = timedelta(minutes=5)  # a token is renewed before it ends
CLIENT_ID = "csp-web"
NOTHING = msgspec.Raw(b"null")
SIGN_IN_CODES = (401, 403)
_SIGN_IN_WORDS = re.compile(r"token|unauthori[sz]ed|logged in|log ?in (expired|required)",
                            re.IGNORECASE)

Id = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]

T = TypeVar("T")


class Options(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """plant_id: the number in the portal's address. username: the account's e-mail.
    password_secret: the NAME of an environment variable; `password` is known only to be refused
    without being shown. time_zone: the plant's, an IANA name. period_s [s]."""

    plant_id: Id
    username: Text
    password_secret: str
    password: object = None
    house: HouseId = "home"
    label: Label = "Sol-Ark"
    time_zone: str = "UTC"
    period_s: Annotated[float, msgspec.Meta(ge=60, le=3600)] = 180.0
    requests_per_hour: Annotated[int, msgspec.Meta(ge=2, le=3600)] = 60
    base_url: str = "https://api.solarkcloud.com"


class Envelope(msgspec.Struct, frozen=True):
    """Around every answer; code 0 is success, and errors come with HTTP 200."""

    code: int
    msg: str | None = None
    data: msgspec.Raw = NOTHING


class Token(msgspec.Struct, frozen=True):
    """expires_in [s]."""

    access_token: Annotated[str, msgspec.Meta(pattern=r"^[\x21-\x7e]{1,8192}\Z")]
    expires_in: Annotated[float, msgspec.Meta(ge=0, le=1e9)]
    refresh_token: str | None = None

    def __repr__(self) -> str:
        return "Token(not shown)"


class Flow(msgspec.Struct, frozen=True):
    """Powers [W] without a sign, soc [%]; None = not known. The flags say what flows where."""

    pvPower: float | None = None  # noqa: N815 - the cloud's own names
    battPower: float | None = None  # noqa: N815
    gridOrMeterPower: float | None = None  # noqa: N815
    loadOrEpsPower: float | None = None  # noqa: N815
    soc: float | None = None
    toGrid: bool | None = None  # noqa: N815
    gridTo: bool | None = None  # noqa: N815
    toBat: bool | None = None  # noqa: N815
    batTo: bool | None = None  # noqa: N815


class ExpiredError(HttpError):
    """The cloud does not accept the token any more."""


def create(name: str, options: Options, levels: tuple[Level, ...], *,
           clock: Clock | None = None, limits: Limits = LIMITS) -> PolledSource:
    """One plant; raises ConfigurationError. Asks from `start` on."""
    pace = Pace(options.period_s, options.requests_per_hour)
    check_pace(name, pace)
    server, reader = _server(name, options), SolArkReader(name, options, clock)
    stale_s = STALE_PERIODS * options.period_s
    info = SourceInfo(name, options.label, "live", options.period_s, stale_s, "discharge")
    poller = Poller(reader, server, pace, clock=clock, limits=limits)
    return PolledSource(info, devices(options), reader, poller, math.inf)


def probe(options: Options, *, limits: Limits = PROBE_LIMITS, clock: Clock | None = None) -> str:
    """Sign in, ask once and say what was found; blocks. Raises SourceError and
    ConfigurationError."""
    reader = SolArkReader("solark", options, clock)
    return probe_once(reader, _server("solark", options), devices(options), limits, clock)


def devices(options: Options) -> tuple[Device, ...]:
    return (Device(f"{options.house}_solark", options.house, "inverter", options.label,
                   QUANTITIES, "discharge", "estimated"),)


def _server(name: str, options: Options) -> Server:
    password = secret_of(name, "password_secret", options.password_secret, options.password,
                         in_header=False)
    return server_of(name, options.base_url, password, "plant_id")


def _zone(name: str, time_zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigurationError(FILE, f"{name}.time_zone", time_zone,
                                 "an IANA name such as America/Los_Angeles") from error


class SolArkReader:
    """Signs in, keeps the token fresh and asks for the flow. Raises ConfigurationError."""

    def __init__(self, name: str, options: Options, clock: Clock | None = None) -> None:
        self.dropped: Counter[str] = Counter()
        self._device_id = f"{options.house}_solark"
        self._path = f"/api/v1/plant/energy/{options.plant_id}/flow"
        self._username = options.username
        self._zone = _zone(name, options.time_zone)
        self._clock = clock or SystemClock()
        self._token: Token | None = None
        self._renew_at = datetime.min.replace(tzinfo=UTC)

    def __call__(self, session: Session) -> Told:
        """Raises SourceError, saying what to do."""
        if self._sign_in(session):
            return self._told(session, self._flow_or_forget(session))
        try:
            flow = self._flow(session)
        except ExpiredError:
            self._renew_at = datetime.min.replace(tzinfo=UTC)
            self._sign_in(session)
            flow = self._flow_or_forget(session)
        return self._told(session, flow)

    def _sign_in(self, session: Session) -> bool:
        """Have a token that lasts; whether it is a new one."""
        now = self._clock.now()
        if self._token is not None and now < self._renew_at:
            return False
        told, self._token = self._renewed(session), None
        if told is None:
            told = self._ask_token(session, {
                "grant_type": "password", "client_id": CLIENT_ID, "username": self._username,
                "password": session.server.secret.value})
        lasts = timedelta(seconds=told.expires_in)
        self._token, self._renew_at = told, now + max(lasts - EARLIER, lasts / 2)
        return True

    def _renewed(self, session: Session) -> Token | None:
        """By the refresh token; None without one, and where the cloud does not take it."""
        if self._token is None or not self._token.refresh_token:
            return None
        try:
            return self._ask_token(session, {
                "grant_type": "refresh_token", "client_id": CLIENT_ID,
                "refresh_token": self._token.refresh_token})
        except HttpError as error:
            if error.status == 429 or error.status >= 500:
                raise
            return None

    def _ask_token(self, session: Session, body: dict[str, str]) -> Token:
        """Raises HttpError; its status is 401 where the cloud refuses the sign-in."""
        envelope = session.post("/oauth/token", Envelope, body)
        if envelope.code != 0:
            server = session.server
            raise HttpError(
                f"{server.host} refuses the sign-in ({_reason(session, envelope)}); correct "
                f"username and what the environment variable {server.secret.name} holds", 401,
                SIGN_IN_PAUSE_S)
        token = _decoded(session, envelope.data, Token)
        for value in (token.access_token, token.refresh_token or ""):
            session.keep_secret(value)
        return token

    def _flow(self, session: Session) -> Flow:
        """Raises ExpiredError where another token may help, else HttpError."""
        token = "" if self._token is None else self._token.access_token
        day = self._clock.now().astimezone(self._zone).date().isoformat()
        try:
            envelope = session.get(self._path, Envelope, params={"date": day},
                                   headers={"Authorization": f"Bearer {token}"})
        except HttpError as error:
            if error.status == 401:
                raise ExpiredError(str(error), 401, error.after_s) from None
            raise
        if envelope.code == 0:
            return Flow() if envelope.data == NOTHING else _decoded(session, envelope.data, Flow)
        text = (f"{session.server.host} tells nothing of this plant "
                f"({_reason(session, envelope)}); correct plant_id, or see whether this account "
                "may read it")
        expired = envelope.code in SIGN_IN_CODES or _SIGN_IN_WORDS.search(envelope.msg or "")
        raise (ExpiredError if expired else HttpError)(text)

    def _flow_or_forget(self, session: Session) -> Flow:
        """With a token that is new: where it is refused, the next one is asked for with the
        password."""
        try:
            return self._flow(session)
        except ExpiredError:
            self._token = None
            raise

    def _told(self, session: Session, flow: Flow) -> Told:
        values = {
            "solar_power_kw": _kilowatts(flow.pvPower),
            "load_power_kw": _kilowatts(flow.loadOrEpsPower),
            "grid_power_kw": self._directed(flow.gridOrMeterPower, flow.gridTo, flow.toGrid),
            "battery_power_kw": self._directed(flow.battPower, flow.batTo, flow.toBat),
            "soc_pct": math.nan if flow.soc is None else flow.soc}
        kept = checked(values, self.dropped)
        if not kept:
            raise HttpError(f"{session.server.host} knows nothing of this plant now; see whether "
                            "the inverter's dongle is online")
        return Told(self._clock.now(), {self._device_id: kept})

    def _directed(self, power_w: float | None, out: bool | None, into: bool | None) -> float:
        """+ out of the battery or the grid, - into it; NaN for a number whose direction the
        flags do not tell, and for one that has a sign against its documentation [kW]."""
        if power_w is None or power_w == 0.0:
            return _kilowatts(power_w)
        if bool(out) == bool(into) or power_w < 0.0:
            self.dropped["direction"] += 1
            return math.nan
        return _kilowatts(power_w if out else -power_w)


def _kilowatts(power_w: float | None) -> float:
    return math.nan if power_w is None else power_w / 1000.0 + 0.0


def _reason(session: Session, envelope: Envelope) -> str:
    return session.shown(f"code {envelope.code}, {envelope.msg or 'no word'}")


def _decoded(session: Session, data: msgspec.Raw, model: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=model)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise HttpError(f"{session.server.host}: the answer is not of the documented form: "
                        f"{session.shown(str(error))}") from None
