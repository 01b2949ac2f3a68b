"""How long safety decisions took, as devices tell it with their status."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fleet.examples import NOW_S
from tests.fleet.test_fleet_source import STATUS, Ear, status


@pytest.fixture
def ear() -> Ear:
    return Ear()


def test_decisions_of_all_processes_add_up_over_their_restarts(ear: Ear) -> None:
    none = (0,) * 13
    assert (ear.counts.decisions, ear.counts.worst_decision_us) == ({}, None)
    for decisions, worst_us in (((5, 2, 0, *none), 90.0), ((6, 2, 1, *none), 120.0),
                                ((1, 0, 0, *none), 20.0)):
        ear.say(status(decisions=decisions, worst_decision_us=worst_us, real_time=True,
                       opened_after_s=0.3), STATUS)
    ear.say(status(), STATUS)
    counts = ear.counts
    assert [counts.decisions[edge] for edge in (25.0, 50.0, 100.0)] == [7, 2, 1]
    assert counts.worst_decision_us == pytest.approx(120.0)
    assert (ear.pack.real_time, ear.pack.opened_after_s) == (None, None), "it said so last"


def test_a_status_that_a_broker_gives_again_counts_nothing_anew(ear: Ear) -> None:
    none = (0,) * 15
    for time_s, told in ((0.0, 1000), (10.0, 1100), (5.0, 1050), (20.0, 1200)):
        ear.say(status(time_s=NOW_S + time_s, decisions=(told, *none)), STATUS)
    assert ear.counts.decisions[25.0] == 1200
    ear.say(status(time_s=NOW_S - 400.0, decisions=(7, *none)), STATUS)
    assert ear.counts.decisions[25.0] == 1207, "its clock was set back, and its process is new"


def test_how_long_a_device_bears_silence_is_as_it_says_last(ear: Ear) -> None:
    for told in (30.0, None):
        ear.say(status(silent_s=told), STATUS)
        assert ear.pack.silent_s == told


@pytest.mark.parametrize("more", [{"silent_s": 0.0}, {"silent_s": -5.0},
                                  {"decisions": (1, 2)}, {"decisions": (-1, *(0,) * 15)},
                                  {"worst_decision_us": -1.0}, {"opened_after_s": "soon"},
                                  {"decisions": (2 ** 60, *(0,) * 15)}])
def test_decisions_that_cannot_be_are_refused(ear: Ear, more: dict[str, Any]) -> None:
    ear.say(json.dumps({"v": 1, "site": "home", "device": "pack_1", "state": "online", **more}
                       ).encode(), STATUS)
    assert ear.counts.rejected == {"wrong_form": 1}
    assert ear.counts.decisions == {}
