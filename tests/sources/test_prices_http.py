"""Prices of a market's server, against a real HTTP server: what is told, kept, refused."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.clock import ManualClock
from core.errors import ConfigurationError, SourceError
from core.parsing import as_model
from core.registry import SOURCES
from core.topology import DEFAULT_LEVELS
from sources.http import Limits
from sources.prices_http import Options, PricesHttp, create, probe
from tests.sources.web import Reply, Web, cut, data, hang, page, raw, status

NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
QUICK = Limits(timeout_s=1.0, deadline_s=2.0)


def told(hours: int = 24, price: float = 80.0, begin: datetime = MIDNIGHT) -> dict[str, object]:
    """As api.energy-charts.info tells it."""
    return {"unix_seconds": [int(begin.timestamp()) + 3600 * hour for hour in range(hours)],
            "price": [price + hour for hour in range(hours)], "unit": "EUR / MWh"}


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as server:
        server.at("/price", data(told()))
        yield server


def options(web: Web, **more: Any) -> Options:
    return as_model({"house": "home", "base_url": web.url, "path": "/price",
                     "query": {"bzn": "SE3"}, "preset": "energy-charts", **more},
                    Options, "orrery.toml", "options")


def source(web: Web, clock: ManualClock | None = None, **more: Any) -> PricesHttp:
    return create("market", options(web, **more), DEFAULT_LEVELS, clock=clock or ManualClock(NOW),
                  limits=QUICK)


def ask(made: PricesHttp, web: Web, body: object, clock: ManualClock) -> str:
    """What the server tells now is asked for; the problem that comes of it, or ""."""
    web.at("/price", data(body))
    made.poller.step()
    try:
        made.poll(clock.now())
    except SourceError as error:
        return str(error)
    return ""


def test_prices_of_now_and_of_the_hours_ahead(web: Web) -> None:
    made = source(web)
    with pytest.raises(SourceError, match="no prices were told yet"):
        made.day_ahead()
    made.poller.step()
    reading = made.poll(NOW)
    assert reading.channels is not None
    assert reading.channels.tolist() == pytest.approx([0.092, 0.092])
    assert made.day_ahead().import_per_kwh.tolist() == pytest.approx(
        [0.080 + 0.001 * hour for hour in range(24)])
    later = made.poll(NOW + timedelta(hours=2)).channels
    assert later is not None
    assert later.tolist() == pytest.approx([0.094, 0.094]), "by the clock, not by the question"
    over = made.poll(NOW + timedelta(hours=12)).channels
    assert over is not None
    assert all(math.isnan(value) for value in over), "tomorrow is not known"
    assert [(one.path, one.query) for one in web.asked] == [("/price", {"bzn": "SE3"})]
    assert made.devices[0].role == "tariff"
    assert SOURCES["prices-http"] == "sources.prices_http"


def test_a_form_of_ones_own_and_a_token(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKET", "secret-token")
    rows = [{"start": "2026-03-02T12:00", "ct": 10.0}, {"start": "2026-03-02T13:00", "ct": -2.0}]
    web.at("/price", data({"result": rows}))
    made = source(web, preset="", token_secret="MARKET", form={
        "rows": "result", "time": "start", "price": "ct", "unit": "ct/kWh",
        "import_factor": 1.25, "import_added": 0.05, "export_added": -0.01})
    made.poller.step()
    channels = made.poll(NOW).channels
    assert channels is not None
    assert channels.tolist() == pytest.approx([0.175, 0.09])
    assert web.asked[0].headers["authorization"] == "Bearer secret-token"
    assert made.problems() == {"prices 1": "1 of 2 export prices are negative: export costs"}, (
        "-2 ct are 2.5 ct with what comes on top, and -3 ct with what is kept of export")


def test_what_was_told_is_kept_while_the_server_is_silent(web: Web) -> None:
    made = source(web)
    made.poller.step()
    known = made.day_ahead()
    web.at("/price", status(500))
    made.poller.step()
    with pytest.raises(SourceError, match="500"):
        made.poll(NOW)
    assert made.day_ahead() is known


def test_the_next_day_comes_beside_the_one_before(web: Web) -> None:
    made = source(web)
    made.poller.step()
    web.at("/price", data(told(begin=MIDNIGHT + timedelta(days=1), price=90.0)))
    made.poller.step()
    series = made.day_ahead()
    assert len(series.time_s) == 48
    assert series.import_per_kwh[[0, 24]].tolist() == pytest.approx([0.080, 0.090])


def test_a_hundred_times_yesterdays_prices_are_not_believed(web: Web) -> None:
    made = source(web)
    made.poller.step()
    known = made.day_ahead()
    web.at("/price", data(told(price=2600.0, begin=MIDNIGHT + timedelta(days=1))))
    made.poller.step()
    with pytest.raises(SourceError, match="`unit`"):
        made.poll(NOW)
    assert made.day_ahead() is known
    assert made.dropped == {"refused": 1}


def test_the_same_hours_a_thousand_times_as_dear_are_a_change_of_unit(web: Web) -> None:
    """Up and down, and neither hides behind what a contract puts on top."""
    form = {"time": "unix_seconds", "unit": "MWh", "import_factor": 1.25, "import_added": 0.15}
    for price in (2_000.0, 0.08):
        clock = ManualClock(NOW)
        made = source(web, clock, preset="", form=form)
        assert ask(made, web, told(price=60.0), clock) == ""
        wrong = {**told(hours=48), "price": [price] * 48}
        why = ask(made, web, wrong, clock)
        assert "of the same hours went from about" in why
        assert "`unit`" in why
        assert "believed from 03 Mar 00:00 UTC on" in why, "then nothing else is known"
        assert len(made.day_ahead().time_s) == 24


def test_a_windy_holiday_is_followed_by_an_ordinary_day(web: Web) -> None:
    """With hours that were told before, and, of a server that tells each day by itself, without."""
    windy, day = [4.0 + hour % 3 for hour in range(24)], timedelta(days=1)
    quiet = {**told(), "price": windy}
    both = {**told(hours=48), "price": windy + [120.0] * 24}
    alone = {**told(begin=MIDNIGHT + day), "price": [120.0] * 24}
    for later in (both, alone):
        clock = ManualClock(NOW)
        made = source(web, clock)
        assert ask(made, web, quiet, clock) == ""
        assert ask(made, web, later, clock) == ""
        assert made.problems() == {}
        assert len(made.day_ahead().time_s) == 48, "what was known is kept beside"


def test_a_doubt_ends_when_nothing_else_is_known_and_is_said_for_a_day(web: Web) -> None:
    clock = ManualClock(NOW)
    made = source(web, clock)
    assert ask(made, web, told(price=4.0), clock) == ""
    dear = told(price=2_600.0, begin=MIDNIGHT + timedelta(days=1))
    assert "prices went from about 0.024" in ask(made, web, dear, clock)
    clock.advance(11 * 3600.0)
    assert "believed from 03 Mar 00:00 UTC on" in ask(made, web, dear, clock)
    clock.advance(1800.0)
    assert ask(made, web, dear, clock) == "", "midnight: nothing is known of now but this"
    assert made.day_ahead().import_per_kwh.tolist() == pytest.approx(
        [2.6 + 0.001 * hour for hour in range(24)]), "what was known goes: one of both is wrong"
    assert "prices went from" in made.problems()["prices 1"]
    clock.advance(900.0)
    assert ask(made, web, dear, clock) == ""
    assert "`unit`" in made.problems()["prices 1"], "an answer later it is still said"
    clock.advance(86_400.0)
    ask(made, web, dear, clock)
    assert made.problems() == {}


def test_a_doubt_ends_when_the_prices_repeat_for_a_day(web: Web) -> None:
    clock = ManualClock(NOW)
    made = source(web, clock)
    right, wrong, other = ({**told(hours=96), "price": [price] * 96}
                           for price in (80.0, 2_600.0, 0.02))
    assert ask(made, web, right, clock) == ""
    why = ask(made, web, wrong, clock)
    assert "believed from 03 Mar 12:30 UTC on" in why
    clock.advance(20 * 3600.0)
    assert "believed from 04 Mar 08:30 UTC on" in ask(made, web, other, clock), "others: anew"
    clock.advance(1.0)
    assert "believed from 04 Mar 08:30 UTC on" in ask(made, web, wrong, clock)
    clock.set_by(86_400.0 * 1.5)
    assert ask(made, web, wrong, clock) != "", "a clock that is set is no day that passed"
    clock.set_by(-86_400.0 * 1.5)
    clock.advance(86_400.0)
    assert ask(made, web, wrong, clock) == ""
    assert made.day_ahead().import_per_kwh[0] == pytest.approx(2.6)


def test_after_a_restart_per_mwh_for_kwh_is_refused_and_the_other_way_said(web: Web) -> None:
    clock = ManualClock(NOW)
    made = source(web, clock, preset="", form={"time": "unix_seconds"})
    assert "per MWh or in cents" in ask(made, web, told(), clock)
    made = source(web, clock)
    assert ask(made, web, {**told(), "price": [0.2] * 24}, clock) == ""
    assert made.problems() == {"prices 1": "the market's prices are below 0.001 a kWh: see that "
                               "`unit` is theirs"}


@pytest.mark.parametrize(("reply", "says"), [
    (data({"price": [1]}), "no list 'unix_seconds'"), (data([]), "0 rows"),
    (page(), "answer"),
    (data(told(price=20_000.0)), "MWh or in cents"), (status(404), "404"), (raw(b"{"), "answer"),
    (cut(b'{"unix_seconds": [', 10), "cut|before|incomplete|broke"), (hang(), " s"),
    (data({"unix_seconds": [1772406000, "x"], "price": [1, 2]}), "Row 2"),
    (raw(b"[" * 100_000), "answer")])
def test_bad_answers_are_told_in_words(web: Web, reply: Reply, says: str) -> None:
    web.at("/price", reply)
    made = create("market", options(web), DEFAULT_LEVELS, clock=ManualClock(NOW),
                  limits=Limits(timeout_s=0.3, deadline_s=0.5))
    made.poller.step()
    with pytest.raises(SourceError, match=says) as found:
        made.poll(NOW)
    assert web.host in str(found.value)
    with pytest.raises(SourceError):
        made.day_ahead()


def test_a_probe_says_what_was_found(web: Web) -> None:
    body = told()
    body["price"] = [None, *range(-5, 18)]
    web.at("/price", data(body))
    found = probe(options(web), limits=QUICK, clock=ManualClock(NOW))
    assert "price of import 0.006 /kWh" in found
    assert "1 of 24 prices are missing." in found
    assert "5 of 23 prices are negative" in found


@pytest.mark.parametrize("wrong", [
    {"house": "Not an id"}, {"path": "price"}, {"path": "/price?x=1"}, {"period_s": 1},
    {"preset": "nord"}, {"form": {}}, {"preset": "", "form": {"time_zone": "Mars/Olympus"}},
    {"preset": "", "form": {"unit": "kW"}}, {"base_url": "ftp://x"}, {"token": "abc"},
    {"token_secret": "NOT_SET_ANYWHERE"}, {"colour": "red"}])
def test_options_that_cannot_be_are_refused(web: Web, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as found:
        source(web, **wrong)
    assert "abc" not in str(found.value)


def test_the_currency_is_the_preset_s_or_as_it_is_said(web: Web) -> None:
    form = {"time": "unix_seconds", "unit": "MWh"}
    assert source(web).currency == "EUR"
    assert source(web, currency="EUR").currency == "EUR"
    assert source(web, preset="", form=form).currency == ""
    assert source(web, preset="", form=form, currency="SEK").currency == "SEK"
    with pytest.raises(ConfigurationError, match="EUR, which energy-charts tells prices in"):
        source(web, currency="SEK")
    with pytest.raises(ConfigurationError, match="currency"):
        source(web, currency="crowns")
