"""The dashboard's own expressions on a real Prometheus' reader: what several processes hear of the
same fleet counts once."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from scripts.test import find_promtool
from tests.deploy.fronts import DEPLOY
from tests.deploy.shapes import Dashboard, Panel

APP, GATEWAYS = "app:8501", ("gateway-0:9999", "gateway-1:9999")
HEARD = {  # by each process of the fleet's centre
    'up{{job="orrery-{job}", instance="{instance}"}}': "1x20",
    'orrery_frame_age_seconds{{instance="{instance}"}}': "2x20",
    'orrery_source_state{{instance="{instance}", source="fleet", kind="f", state="lost"}}': "1x20",
    'orrery_source_state{{instance="{instance}", source="fleet", kind="f", state="live"}}': "0x20",
    'orrery_source_age_seconds{{instance="{instance}", source="fleet"}}': "40x20",
    'orrery_fleet_messages_missing{{instance="{instance}", source="fleet", site="home"}}': "7x20",
    'orrery_fleet_messages_received_total{{instance="{instance}", source="fleet", site="home"}}':
        "0+360x20",
    'orrery_fleet_messages_duplicate_total{{instance="{instance}", source="fleet", site="home"}}':
        "0+30x20",
    'orrery_fleet_messages_rejected_total{{instance="{instance}", source="fleet", site="home", '
    'reason="absurd"}}': "0+15x20",
    'orrery_fleet_lag_seconds{{instance="{instance}", source="fleet", site="home"}}': "3x20",
    'orrery_fleet_packs{{instance="{instance}", source="fleet", link="online"}}': "23x20",
    'orrery_fleet_packs{{instance="{instance}", source="fleet", link="offline"}}': "1x20",
    'orrery_fleet_safety_decision_seconds_bucket{{instance="{instance}", source="fleet", '
    'site="home", le="0.5"}}': "0+15x20",
    'orrery_fleet_safety_decision_seconds_bucket{{instance="{instance}", source="fleet", '
    'site="home", le="+Inf"}}': "0+15x20",
    'orrery_requests_refused_total{{instance="{instance}", reason="too_many"}}': "0+15x20",
}
KEPT = {  # by the app alone
    f'orrery_alarms{{instance="{APP}", severity="trip", state="unacknowledged"}}': "2x20",
    f'orrery_alarms{{instance="{APP}", severity="trip", state="latched, unacknowledged"}}': "1x20",
    f'orrery_alarms{{instance="{APP}", severity="trip", state="acknowledged"}}': "4x20",
    f'orrery_history_configured{{instance="{APP}"}}': "1x20",
    f'orrery_history_written{{instance="{APP}"}}': "1x20",
}
NOT_KEPT = {part: "0x20" for instance in GATEWAYS
            for part in (f'orrery_history_configured{{instance="{instance}"}}',
                         f'orrery_history_written{{instance="{instance}"}}')}
SHOWN: dict[str, list[dict[str, float]]] = {
    "Age of the newest frame": [{"{}": 2}],
    "Trips that wait for somebody": [{"{}": 3}],
    "Sources lost": [{"{}": 1}],
    "Messages missing": [{"{}": 7}],
    "History is written": [{"{}": 1}],
    "Age of the newest reading": [{'{source="fleet"}': 40}],
    "Alarms by severity": [{'{severity="trip"}': 7}],
    "Fleet: messages": [{'{site="home"}': 24}, {'{site="home", reason="absurd"}': 1},
                        {'{site="home"}': 2}],
    "Fleet: age of messages when they arrive": [{'{site="home"}': 3}],
    "Fleet: safety decision": [{'{site="home"}': 0.4995}],
    "Fleet: packs by link": [{'{link="online"}': 23}, {'{link="offline"}': 1}],
}
"""Panel -> of each expression what it shows, by its labels; packs have one expression."""
OF_EACH = {"Processes that answer", "Refused requests"}
"""Sums over processes that are meant: each one is a process, each one refuses its own."""


def panels() -> list[Panel]:
    board = json.loads((DEPLOY / "grafana" / "dashboards" / "orrery.json").read_text())
    return msgspec.convert(board, Dashboard).panels


def series(instances: tuple[str, ...]) -> dict[str, str]:
    heard = {name.format(instance=one, job=one.partition(":")[0].split("-")[0]): values
             for one in instances for name, values in HEARD.items()}
    return heard | KEPT | (NOT_KEPT if len(instances) > 1 else {})


def promtool(folder: Path, told: dict[str, str], asked: list[dict[str, Any]]) -> str:
    """What it complains of, "" where each expression gives what is expected."""
    file = folder / "dashboard.test.yml"
    file.write_text(yaml.safe_dump({"evaluation_interval": "15s", "tests": [
        {"interval": "15s", "promql_expr_test": asked,
         "input_series": [{"series": name, "values": values} for name, values in told.items()]}]}))
    program = find_promtool()
    assert program, "no promtool: `make test` installs it or says how"
    ran = subprocess.run([program, "test", "rules", str(file)], capture_output=True, text=True,
                         timeout=30, check=False)
    return "" if ran.returncode == 0 else ran.stdout + ran.stderr


def asked(title: str) -> list[dict[str, Any]]:
    [panel] = [one for one in panels() if one.title == title]
    shown = SHOWN[title]
    if len(panel.targets) == 1:
        shown = [{labels: value for one in shown for labels, value in one.items()}]
    return [{"expr": target.expr.replace("$instance", ".*"), "eval_time": "4m",
             "exp_samples": [{"labels": labels, "value": value} for labels, value in one.items()]}
            for target, one in zip(panel.targets, shown, strict=True)]


@pytest.mark.parametrize("instances", [(APP,), (APP, *GATEWAYS)], ids=["one", "three"])
@pytest.mark.parametrize("title", sorted(SHOWN))
def test_a_figure_of_the_fleet_is_the_same_by_one_process_and_by_three(
        tmp_path: Path, title: str, instances: tuple[str, ...]) -> None:
    assert promtool(tmp_path, series(instances), asked(title)) == ""


def test_a_history_that_fails_is_shown_though_a_gateway_has_none(tmp_path: Path) -> None:
    told = series((APP, *GATEWAYS)) | {f'orrery_history_written{{instance="{APP}"}}': "0x20"}
    [question] = asked("History is written")
    assert promtool(tmp_path, told, [question]) != ""
    question["exp_samples"] = [{"labels": "{}", "value": 0}]
    assert promtool(tmp_path, told, [question]) == ""


def test_every_line_is_one_process_or_is_checked_here() -> None:
    for panel in panels():
        by_process = all("{{instance}}" in target.legendFormat for target in panel.targets)
        assert by_process + (panel.title in SHOWN) + (panel.title in OF_EACH) == 1, panel.title
