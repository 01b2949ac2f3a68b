"""The command line of an edge process: what cannot be is refused in words, and nothing begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ConfigurationError
from services.edge.__main__ import group_of, parser, plates_of
from services.edge.demo_faults import FAULTS, OF_A_PROCESS, SILENT, faults_of
from services.edge.outbox import Outbox

WRONG = [
    ("--cells 0", "--cells: 0: give a whole number from 1 to 4096"),
    ("--cells 5000", "give a whole number from 1 to 4096"),
    ("--cells ten", "ten: give a whole number"),
    ("--every -1", "--every: -1: give a whole number from 1"),
    ("--every 0", "give a whole number from 1"),
    ("--rate-hz 5", "give a whole number from 10 to 100"),
    ("--most-rows 0", "give a whole number from 1 to 100000"),
    ("--seed -1", "give a whole number from 0"),
    ("--capacity-kwh 0", "give more than 0"),
    ("--capacity-kwh nan", "give more than 0"),
    ("--silent-s inf", "at most 86400"),
    ("--silent-s soon", "soon s: give more than 0"),
]


@pytest.mark.parametrize(("words", "said"), WRONG)
def test_what_cannot_be_is_refused_in_words(words: str, said: str,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--device", "pack_1", *words.split()])
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("words", "said"), [
    ("pack_1", "one of cell_overheats"), ("pack_1=sneezes", "one of cell_overheats"),
    (f"pack_1={SILENT}", "one of cell_overheats"),
    ("pack_9=short_circuit", "one of the packs pack_1, pack_2")])
def test_a_fault_that_cannot_be_is_refused_in_words(words: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        faults_of([words], ["pack_1", "pack_2"])


def test_a_fault_is_of_its_pack_alone_and_there_from_the_start(tmp_path: Path) -> None:
    asked = parser().parse_args(["--device", "pack_1", "--device", "pack_2", "--cells", "24",
                                 "--fault", "pack_2=short_circuit",
                                 "--fault", "pack_1=cell_sensor_lost"])
    plates = plates_of(asked)
    box = Outbox(tmp_path / "o.sqlite", list(plates))
    group = group_of(plates, box, 60.0, 1, faults_of(asked.fault, plates))
    group.sample(1.8e9, 0.1)
    found = {device: {one.condition for one in pack.body(1.8e9).conditions}
             for device, pack in group.packs.items()}
    assert "short_circuit" in found["pack_2"]
    assert "voltage_missing" in found["pack_1"]
    assert "voltage_missing" not in found["pack_2"]
    assert "short_circuit" not in found["pack_1"]
    box.close()


def test_every_fault_of_a_pack_can_be_asked_for() -> None:
    assert set(OF_A_PROCESS) == set(FAULTS) - {SILENT}
    for name in OF_A_PROCESS:
        assert faults_of([f"pack_1={name}"], ["pack_1"]) == [("pack_1", name)]
