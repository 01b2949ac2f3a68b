"""What is kept of packs: over a restart, damaged, and taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import GiveUpError, RequestError, RetryLaterError
from core.twin.kept import (
    Calibration,
    ParameterFile,
    Recording,
    Shelf,
    about_chemistry,
    calibration_of,
    plain_name,
)
from core.twin.tasks import CalibrationResult, Fitted, column
from store.twin_files import TwinFiles

PACK = "system_0_cluster_0_rack_0_module_0"


def calibration(pack: str = PACK, digest: str = "") -> Calibration:
    return calibration_of(CalibrationResult(
        id="0" * 32, pack=pack, accepted=True, digest=digest, parameter_set="OKane2022",
        parameters={"contact_ohm": Fitted(before=0.0, after=0.008, low=0.007, high=0.009)},
        unseen_before_mv=20.0, unseen_after_mv=2.0), "NMC", "Ann", 1.0e9)


def parameters(about: str = PACK, text: str = "{}") -> ParameterFile:
    return ParameterFile(about=about, name="cell.json", made_s=1.0e9, text=text, low_v=2.5,
                         high_v=4.2, capacity_ah=5.0)


def test_what_is_kept_outlives_a_restart_and_what_is_dropped_does_not(tmp_path: Path) -> None:
    shelf = Shelf(TwinFiles(tmp_path))
    record = Recording(pack=PACK, name="a.csv", made_s=2.0e9, step_s=1.0,
                       current_a=column([1.0, 2.0]), voltage_v=column([3.0, None]))
    for told in (calibration(), record, parameters(about_chemistry("NMC"))):
        shelf.keep(told)
    found = Shelf(TwinFiles(tmp_path)).own(PACK, "NMC")
    assert found.recording == record
    assert found.calibration == calibration()
    assert found.file == parameters(about_chemistry("NMC"))
    other = Shelf(TwinFiles(tmp_path)).own("another", "NMC")
    assert (other.calibration, other.recording) == (None, None)
    assert other.file == found.file
    assert Shelf(TwinFiles(tmp_path)).own(PACK, "LFP").file is None
    shelf.drop("calibration", PACK)
    shelf.drop("calibration", PACK)
    assert shelf.own(PACK, "NMC").calibration is None
    assert Shelf(TwinFiles(tmp_path)).own(PACK, "NMC").calibration is None


def test_a_calibration_of_a_parameter_file_begins_no_ageing_run() -> None:
    shelf = Shelf()
    shelf.keep(calibration())
    assert shelf.own(PACK, "NMC").fitted_to_age == {"contact_ohm": 0.008}
    file = parameters(about_chemistry("NMC"))
    shelf.keep(file)
    shelf.keep(calibration(digest=file.digest))
    own = shelf.own(PACK, "NMC")
    assert (own.fitted, own.fitted_to_age) == ({"contact_ohm": 0.008}, {})


def test_a_calibration_counts_for_the_set_that_it_was_fitted_to() -> None:
    shelf = Shelf()
    assert not shelf.outlives
    shelf.keep(calibration())
    assert shelf.own(PACK, "NMC").fitted == {"contact_ohm": 0.008}
    shelf.keep(parameters())
    assert shelf.own(PACK, "NMC").fitted == {}
    shelf.keep(calibration(digest=shelf.own(PACK, "NMC").digest))
    assert shelf.own(PACK, "NMC").fitted == {"contact_ohm": 0.008}
    shelf.keep(parameters(about_chemistry("NMC"), "[]"))
    assert shelf.own(PACK, "NMC").file == parameters()


def _flip(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("damage", [_flip, lambda content: content[:20], lambda content: b"",
                                    lambda content: content[:-4]])
def test_a_damaged_file_is_said_and_the_chemistry_s_own_counts(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    files = TwinFiles(tmp_path)
    Shelf(files).keep(calibration())
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    shelf = Shelf(TwinFiles(tmp_path))
    found = shelf.own(PACK, "NMC")
    assert found.fitted == {}
    assert "the kept calibration is damaged" in found.damaged
    with pytest.raises(GiveUpError, match="checksum"):
        files.find("calibration", PACK)
    shelf.keep(calibration())
    assert shelf.own(PACK, "NMC").damaged == ""
    assert Shelf(TwinFiles(tmp_path)).own(PACK, "NMC").fitted == {"contact_ohm": 0.008}


def test_a_file_of_another_version_or_form_is_said(tmp_path: Path) -> None:
    files = TwinFiles(tmp_path)
    for payload in (b"\x81\xa1v\x02", b"\x93\x01\x02\x03", b"not msgpack"):
        files.save("calibration", PACK, payload)
        assert "damaged" in Shelf(TwinFiles(tmp_path)).own(PACK, "NMC").damaged


def test_names_from_outside_are_no_paths(tmp_path: Path) -> None:
    files = TwinFiles(tmp_path / "packs")
    for name in ("../../evil", "/etc/passwd", "a\0b", "", "x" * 5000):
        files.save("recording", name, b"told")
        assert files.find("recording", name) == b"told"
    assert {path.parent for path in tmp_path.rglob("*") if path.is_file()} == {tmp_path / "packs"}
    assert plain_name("C:\\data\\<b>cell.json") == "<b>cell.json"
    assert plain_name("../../cell\n.csv") == "cell.csv"
    with pytest.raises(RequestError):
        plain_name("folder/")


def test_a_disk_that_cannot_be_written_says_so_and_keeps_what_was(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    shelf = Shelf(TwinFiles(tmp_path / "file" / "packs"))
    with pytest.raises(RetryLaterError):
        shelf.own(PACK, "NMC")
    blocked = Shelf(TwinFiles(tmp_path / "file"))
    with pytest.raises(RetryLaterError):
        blocked.keep(calibration())
