"""What a time-series server and the words of strangers may do wrong, each told in words that
say what to do; and what can never stand in a question."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.errors import ConfigurationError, GiveUpError, OrreryError, RequestError, SourceError
from core.topology import DEFAULT_LEVELS
from scripts.app_process import free_port
from sources import flux, influxql
from sources.http import Limits
from sources.influx import InfluxSource, Options, create, probe
from sources.influx_schema import WINDOWS_S, Group, Place, Question
from tests.influx.influxd import Influxd
from tests.influx.pumps import PROFILE, START, line_of, polled, source_at
from tests.sources import web
from tests.sources.mosquitto import LOOPBACK
from tests.sources.web import QUICK, Web

NOW = START + timedelta(hours=24)
ATTACK = '1d") |> drop('
ATTACKS = (ATTACK, "heatpump'; DROP DATABASE heatpump; --", 'a" OR 1=1', "a\\", "a\nb", "${x}", "",
           "x" * 65, " a", "ä")
PLACE = Place("heatpump", "heatpump")
HOUR = (START, START + timedelta(hours=1))


@pytest.fixture
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    """A server that asks for a user and a password, and one user without rights."""
    server = Influxd(tmp_path_factory.mktemp("guarded"), ("admin", "open sesame"))
    server.start()
    server.query("CREATE USER admin WITH PASSWORD 'open sesame' WITH ALL PRIVILEGES")
    server.query("CREATE USER guest WITH PASSWORD 'guest'")
    server.create("heatpump")
    server.write("heatpump", line_of("outdoor_c", 4.0, NOW))
    yield server
    server.kill()


def says(source: InfluxSource, clock: Any) -> str:
    """What polling and asking for the past say; both fail in the same words."""
    with pytest.raises(SourceError) as live:
        polled(source, clock)
    with pytest.raises(SourceError) as past:
        source.recall([f"{source.devices[0].id}.outdoor_c"], *HOUR)
    assert source.talk().failed >= 2
    assert str(past.value) == str(live.value)
    return str(live.value)


# --- the server -----------------------------------------------------------------------------------


def test_a_server_that_is_down_is_told() -> None:
    source, clock = source_at(f"http://{LOOPBACK}:{free_port()}", NOW)
    assert "it refuses the connection; correct base_url, or see whether" in says(source, clock)
    with pytest.raises(SourceError, match="refuses the connection"):
        source.ping()


def test_a_server_that_comes_back_is_read_again(own_server: Influxd) -> None:
    own_server.write("heatpump", line_of("outdoor_c", 4.0, NOW))
    source, clock = source_at(own_server.url, NOW)
    polled(source, clock)
    own_server.kill()
    assert "refuses the connection" in says(source, clock)
    own_server.start()
    assert polled(source, clock).channels is not None


def test_a_wrong_sign_in_is_told(guarded: Influxd, monkeypatch: pytest.MonkeyPatch) -> None:
    source, clock = source_at(guarded.url, NOW)
    said = says(source, clock)
    assert "refuses the sign-in (401); name the environment variable" in said
    monkeypatch.setenv("PUMP_PASSWORD", "wrong but long")
    source, clock = source_at(guarded.url, NOW, username="admin", password_secret="PUMP_PASSWORD")
    said = says(source, clock)
    assert "correct what the environment variable PUMP_PASSWORD holds" in said
    assert "wrong but long" not in said + str(source.talk())


def test_a_right_sign_in_is_let_in(guarded: Influxd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUMP_PASSWORD", "open sesame")
    source, clock = source_at(guarded.url, NOW, username="admin", password_secret="PUMP_PASSWORD")
    assert polled(source, clock).channels is not None
    monkeypatch.setenv("PUMP_TOKEN", "admin:open_sesame")
    source, clock = source_at(guarded.url, NOW, token_secret="PUMP_TOKEN")
    assert "refuses the sign-in" in says(source, clock), "1.x takes user:password as a token"


def test_a_user_without_rights_is_told(guarded: Influxd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUMP_PASSWORD", "guest")
    source, clock = source_at(guarded.url, NOW, username="guest", password_secret="PUMP_PASSWORD")
    said = says(source, clock)
    assert "refuses the sign-in (403)" in said or "may not read" in said


def test_a_missing_database_is_told(influx: Influxd) -> None:
    source, clock = source_at(influx.url, NOW, database="nowhere")
    said = says(source, clock)
    assert "no such database or bucket; correct database, or create it" in said
    assert "DBRP mapping" in said
    assert 'language = "flux"' in said


def test_a_missing_measurement_and_an_empty_hour_are_told(influx: Influxd) -> None:
    source, clock = source_at(influx.url, NOW, measurement="pumps")
    with pytest.raises(SourceError, match="no reading of this pump within the last 60 min; see "
                       "whether the collector runs, and correct bucket, measurement, pump"):
        polled(source, clock)


def test_a_field_that_is_text_is_told(influx: Influxd) -> None:
    influx.write("heatpump", line_of("outdoor_c", '"4.0"', NOW))
    source, clock = source_at(influx.url, NOW)
    with pytest.raises(SourceError, match="no reading of this pump can be used: .*not a number"):
        polled(source, clock)
    with pytest.raises(SourceError, match="the field `value` is no number here; correct "
                       "`measurement`, or what writes it"):
        source.recall([f"{source.devices[0].id}.outdoor_c"], START, NOW)


def web_answers(reply: web.Reply, **more: Any) -> str:
    """What the source says of a server that answers so."""
    with Web() as server:
        server.at("/query", reply)
        source, clock = source_at(server.url, NOW, **more)
        with pytest.raises(SourceError) as found:
            polled(source, clock)
        return str(found.value)


ANSWERS: dict[str, tuple[Callable[[], web.Reply], str]] = {
    "no JSON": (lambda: web.raw(b"heatpump"), "is no valid JSON"),
    "a web page": (web.page, "is a web page and no data; correct base_url"),
    "cut off": (lambda: web.cut(b'{"results":['), "cut off or damaged"),
    "too large": (lambda: web.large(8 * web.MIB, told=False), "larger than 2 MiB and is not read"),
    "slow": (lambda: web.drip(b" " * 200), "no whole answer within 2 s; it is asked again"),
    "silent": (web.hang, "no answer for 1 s; it is asked again"),
    "another form": (lambda: web.data([1]), "is not of the documented form"),
    "text for numbers": (lambda: web.data({"results": [{"series": [
        {"columns": ["time", "last"], "values": [["yesterday", 1]]}]}]}), "is not numbers"),
    "an error of its own": (lambda: web.data({"results": [{"error": "shard is on fire"}]}),
                            "does not answer the question: shard is on fire"),
    "500": (lambda: web.status(500, b'{"error":"engine is closed"}'),
            "fault of its own (500); it is asked again; it says: {\"error\":\"engine is closed\"}"),
    "429": (lambda: web.status(429), "wants fewer requests"),
    "404 of a bucket": (lambda: web.status(404, b'{"code":"not found","message":"bucket '
                                           b'\\"heatpump\\" not found"}'),
                        "no such database or bucket"),
    "404 of a path": (lambda: web.status(404), "knows no such address (404); correct"),
    "cut rows": (lambda: web.data({"results": [{"series": [
        {"columns": ["time", "last"], "values": [[0, 1]], "partial": True}]}]}),
        "cuts its answers short; raise max-row-limit"),
    "elsewhere": (lambda: web.raw(b"", 302, Location="http://192.0.2.1/"), "which is not followed"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_bad_answer_is_told(name: str) -> None:
    reply, words = ANSWERS[name]
    assert words in web_answers(reply())


def test_a_bad_answer_tells_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFLUXDB_TOKEN", "very-secret-token")
    said = web_answers(web.status(500, b'{"error":"bad token very-secret-token"}'))
    assert "very-secret-token" not in said


def test_the_past_is_bounded_in_time() -> None:
    with Web() as server:
        server.at("/query", web.hang())
        source, _ = source_at(server.url, NOW)
        source._recall_limits = Limits(timeout_s=0.2, deadline_s=0.5)
        with pytest.raises(SourceError, match="no answer for 0.2 s"):
            source.recall([f"{source.devices[0].id}.outdoor_c"], *HOUR)


# --- options --------------------------------------------------------------------------------------


def made(**told: Any) -> InfluxSource:
    return create("pump", Options(**{"profile": PROFILE, **told}), DEFAULT_LEVELS)


@pytest.mark.parametrize(("told", "words"), [
    ({"profile": "daikin"}, "one of "),
    ({"base_url": "ftp://127.0.0.1"}, "an address such as"),
    ({"base_url": "http://db.example.org", "token_secret": "TOKEN_OF_A_TEST"}, "https://"),
    ({"token": "abc"}, "no secret in a file"),
    ({"password": "abc"}, "no secret in a file"),
    ({"token_secret": "NOT_THERE"}, "the name of an environment variable that holds"),
    ({"username": "x"}, "the name of an environment variable that holds"),
    ({"username": "x", "token_secret": "TOKEN_OF_A_TEST"}, "username with password_secret"),
    ({"database": "a", "bucket": "b"}, "only one of database and bucket"),
])
def test_a_wrong_option_says_what_is_allowed(told: dict[str, Any], words: str,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_A_TEST", "abcdefgh")
    with pytest.raises(ConfigurationError) as found:
        made(**told)
    assert words in str(found.value)
    assert "abcdefgh" not in str(found.value)


def test_without_a_profile_or_a_brand_nothing_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="HEATPUMP_BRAND with one of thermia, ivt, nibe"):
        made(profile="")
    monkeypatch.setenv("HEATPUMP_BRAND", "Daikin")
    with pytest.raises(ConfigurationError, match="HEATPUMP_BRAND"):
        made(profile="")


def test_the_environment_of_the_seeds_is_enough(influx: Influxd,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    influx.create("pumps")
    influx.write("pumps", line_of("outdoor_c", 4.0, NOW))
    for name, value in (("INFLUXDB_URL", influx.url), ("INFLUXDB_BUCKET", "pumps"),
                        ("INFLUXDB_TOKEN", "a-token"), ("HEATPUMP_BRAND", "thermia")):
        monkeypatch.setenv(name, value)
    source = create("pump", Options(), DEFAULT_LEVELS, limits=QUICK)
    assert source.devices[0].pump is not None
    assert source.devices[0].pump.brand == "Thermia"
    assert source.recall([f"{source.devices[0].id}.outdoor_c"], START, NOW)[0].mean.tolist() == [4]


@pytest.mark.parametrize("bucket", ATTACKS)
def test_a_bucket_of_the_environment_is_checked(bucket: str,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFLUXDB_BUCKET", bucket)
    with pytest.raises(ConfigurationError, match="letters, digits"):
        made()


def test_probe_says_what_is_there(influx: Influxd) -> None:
    with pytest.raises(SourceError, match="no reading of this pump"):
        probe(Options(profile=PROFILE, base_url=influx.url))


# --- questions (law 11) ---------------------------------------------------------------------------


def question(**changed: Any) -> Question:
    told = {"groups": (Group(("0001",), "mean"),), "start": HOUR[0], "end": HOUR[1],
            "window_s": 60}
    return Question(**{**told, **changed})


def queries(place: Place, asked: Question) -> list[str]:
    registers = asked.groups[0].registers
    return [module.windows_query(place, asked) for module in (influxql, flux)] + [
        module.newest_query(place, registers, asked.start, asked.end)
        for module in (influxql, flux)]


def test_good_questions_are_asked() -> None:
    assert all("0001" in text for text in queries(PLACE, question()))


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_word_of_a_stranger_reaches_a_question(attack: str) -> None:
    """As a range, a register, a window, a bucket, a measurement or a pump."""
    for changed in ({"start": attack}, {"end": attack}, {"window_s": attack},
                    {"groups": (Group((attack,), "mean"),)}):
        for module in (influxql, flux):
            with pytest.raises((GiveUpError, TypeError)):
                module.windows_query(PLACE, question(**changed))
    for module in (influxql, flux):
        with pytest.raises((GiveUpError, TypeError)):
            module.newest_query(PLACE, (attack,), *HOUR)
    for place in (lambda: Place(attack, "heatpump"), lambda: Place("heatpump", attack),
                  *([lambda: Place("heatpump", "heatpump", attack)] if attack else [])):
        with pytest.raises(GiveUpError):
            place()


@pytest.mark.parametrize("attack", [ATTACK, "24h", None, 86_400])
def test_a_range_that_is_no_time_is_refused_by_the_source(attack: object) -> None:
    with Web() as server:
        source, _ = source_at(server.url, NOW)
        channel = f"{source.devices[0].id}.outdoor_c"
        for told in ((attack, NOW), (START, attack)):
            with pytest.raises(RequestError, match="two times with a zone"):
                source.recall([channel], *told)  # type: ignore[arg-type]
        with pytest.raises(RequestError):
            source.recall([channel], START, NOW, attack)  # type: ignore[arg-type]
        with pytest.raises(OrreryError):
            source.recall([attack], START, NOW)  # type: ignore[list-item]
        assert server.asked == []


@pytest.mark.parametrize("window_s", [0, -1, 7, 59, 60.5, 10**9, True, None])
def test_windows_are_of_a_list(window_s: object) -> None:
    for module in (influxql, flux):
        with pytest.raises(GiveUpError):
            module.windows_query(PLACE, question(window_s=window_s))
    assert list(WINDOWS_S) == sorted(WINDOWS_S)


def test_a_time_without_a_zone_is_none() -> None:
    for module in (influxql, flux):
        with pytest.raises(GiveUpError):
            module.windows_query(PLACE, question(start=datetime(2026, 1, 1)))  # noqa: DTZ001


def test_the_documentation_says_what_did_not_run() -> None:
    text = (Path(__file__).parents[2] / "docs" / "influxdb.md").read_text(encoding="utf-8")
    assert "No InfluxDB 2.x or 3 ran" in text
