"""Benches cannot rot: each runs in its short form; their numbers are not judged here, but for
what must never be lost.

The longest start apps and browsers, some minutes in all, as the tests of the same things do too:
of them it is only seen that they load. `python -m bench all --short` runs every one. The soak's
three minutes are a job of CI's own.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace

from bench import _app_log
from bench.__main__ import figures, main, names, status
from bench._live_client import LiveClient
from bench._twin_physics import year_figures
from bench.report import Figure, FigureError, figure_line, table
from bench.soak import SHORT
from core.twin.tasks import ForecastResult, new_id
from scripts.app_process import ROOT, AppProcess

LONGEST = {"energy", "heatpump", "session", "soak", "start", "twin"}
NEVER = {"lost", "duplicated"}
ALWAYS = {"SIGKILLs", "sent", "stored"}
"""Without which nothing lost would say nothing."""
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"


@pytest.mark.parametrize("name", sorted(LONGEST))
def test_a_long_bench_loads(name: str) -> None:
    assert callable(importlib.import_module(f"bench.{name}").run)


@pytest.mark.parametrize("name", [name for name in names() if name not in LONGEST])
def test_bench_yields_figures(name: str) -> None:
    found = list(figures(name, short=True))
    assert found, f"bench {name} yields no figure"
    assert {figure.bench for figure in found} == {name}
    keys = [(figure.case, figure.metric) for figure in found]
    assert len(keys) == len(set(keys)), "one figure twice"
    assert all(figure.value == 0 for figure in found if figure.metric in NEVER)
    if name == "chaos":
        assert {figure.metric for figure in found} >= NEVER | ALWAYS
        assert all(figure.value > 0 for figure in found if figure.metric in ALWAYS)


def test_a_line_has_the_form_that_was_asked_for() -> None:
    line = figure_line("tick", "1000000 cells", "median", 41.2, "ms", 60)
    assert Figure.of(line).line() == json.dumps(
        {"bench": "tick", "case": "1000000 cells", "metric": "median", "value": 41.2,
         "unit": "ms", "target": 60, "better": "lower"})


@pytest.mark.parametrize("lacks", ["error_pct", "loss_pct", "cpu_s"])
def test_an_ageing_run_that_was_not_checked_meets_no_target(lacks: str) -> None:
    told = {"error_pct": -1.5, "loss_pct": 2.0, "cpu_s": 4.0}
    checked = ForecastResult(id=new_id(), **told)
    assert [line["value"] for line in year_figures("a year", checked)] == [4.0, 1.5, 2.0]
    with pytest.raises(FigureError, match=lacks):
        list(year_figures("a year", replace(checked, **{lacks: None})))


@pytest.mark.parametrize(("part", "value"), [
    ("value", float("nan")), ("value", None), ("value", True), ("better", "faster"),
    ("case", ""), ("unit", None), ("target", "60")])
def test_a_line_of_another_form_is_refused(part: str, value: object) -> None:
    line = {**figure_line("tick", "one", "median", 1.0, "ms"), part: value}
    with pytest.raises(FigureError):
        Figure.of(line)


def test_a_missing_or_further_key_is_refused() -> None:
    line = figure_line("tick", "one", "median", 1.0, "ms")
    with pytest.raises(FigureError):
        Figure.of({**line, "note": "x"})
    with pytest.raises(FigureError):
        Figure.of({key: line[key] for key in line if key != "target"})


def test_the_table_says_what_is_met() -> None:
    said = table([Figure.of(figure_line("a", "b", "fast", 1, "ms", 2)),
                  Figure.of(figure_line("a", "b", "many", 1, "", 2, "higher")),
                  Figure.of(figure_line("a", "b", "free", 1, "B"))]).splitlines()
    assert said[1].endswith("<= 2    met")
    assert said[2].endswith(">= 2    NOT MET")
    assert said[3].endswith("1 B")


@pytest.mark.parametrize(("value", "whole", "strict", "said"), [
    (1, True, True, 0), (3, True, True, 1), (3, True, False, 0), (1, False, False, 1),
    (1, False, True, 1)])
def test_only_a_strict_run_fails_by_a_missed_target(value: float, whole: bool, strict: bool,
                                                    said: int) -> None:
    done = [Figure.of(figure_line("a", "b", "free", 9, "ms")),
            Figure.of(figure_line("a", "b", "asked", value, "ms", 2))]
    assert status(whole, done, strict) == said


def test_ci_soaks_for_three_minutes_and_fails_by_a_missed_target() -> None:
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    told = [step.get("run", "") for step in jobs["soak"]["steps"]]
    assert 'make bench NAME=soak ARGS="--short --strict"' in told
    assert (SHORT.viewers, SHORT.churn, SHORT.seconds) == (20, 100, 180.0)
    assert jobs["soak"]["timeout-minutes"] * 60 > 3 * SHORT.seconds


def test_a_page_that_raises_is_a_failed_run(tmp_path: Path) -> None:
    """The protocol calls it a success."""
    (tmp_path / "Home.py").write_text("import streamlit as st\nst.write('so far')\n1 / 0\n")

    async def seen(url: str) -> None:
        async with LiveClient(url, "") as client:
            await asyncio.wait_for(client.first_run.wait(), 60)

    with AppProcess(root=tmp_path) as app:
        assert _app_log.failures(app.log()) == 0
        asyncio.run(seen(app.url))
        assert _app_log.failures(app.log()) == 1, app.log()


def test_an_unknown_bench_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["nonsense"])
    assert "nonsense" in capsys.readouterr().err
