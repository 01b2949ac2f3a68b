"""Recordings that are not what they should be: the error names file, line and what is allowed."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from core.errors import ConfigurationError
from core.topology import DEFAULT_LEVELS, Topology
from sources.jk_recording import COLUMNS, read_jk
from sources.replay import JK_FILE, RECORDINGS, Options, from_directory
from sources.venus_recording import read_venus

HEAD = "# service=com.victronenergy.battery.x\nt\tpath\tvalue_json\n"
SNAPSHOT = (
    '0\t/CustomName\t" Bank "\n0\t/Dc/0/Power\t-1000\n0\t/Dc/0/Current\t-20.0\n'
    "0\t/Dc/0/Voltage\t50.0\n0\t/Soc\t60\n0\t/Dc/0/Temperature\tnull\n"
)
FRAME = "1,True,{uptime},51.2,1.0,25.0,27.0,50,40.5,81.0,3" + ",3.2" * 16
HEADER = ",".join(COLUMNS)


def venus_file(folder: Path, text: str) -> Path:
    path = folder / "bank.tsv"
    path.write_text(text, encoding="utf-8")
    return path


def jk_file(folder: Path, *lines: str) -> Path:
    path = folder / "pack.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


# --- Venus ----------------------------------------------------------------------------------


def test_a_small_recording_is_read(tmp_path: Path) -> None:
    bank = read_venus(venus_file(tmp_path, HEAD + SNAPSHOT + "2\t/Dc/0/Power\t500.5\n"))
    assert bank.name == "Bank"
    assert np.isnan(bank.capacity_ah)
    assert bank.time_s.tolist() == [0.0, 2.0]
    np.testing.assert_allclose(bank.values[:, 0], [1.0, -0.5005], rtol=1e-6)


@pytest.mark.parametrize(("row", "allowed"), [
    ("3\t/Soc", "three fields"),
    ("3\t/Soc\t50\t51", "three fields"),
    ("", "three fields"),
    ("3\tSoc\t50", "three fields"),
    ("nan\t/Soc\t50", "decimal number"),
    ("inf\t/Soc\t50", "decimal number"),
    ("1e3\t/Soc\t50", "decimal number"),
    (" 3\t/Soc\t50", "decimal number"),
    ("-3\t/Soc\t50", "a time of"),
    ("3\t/Soc\tNaN", "one JSON value"),
    ("3\t/Soc\tInfinity", "one JSON value"),
    ("3\t/Soc\t", "one JSON value"),
    ("3\t/Soc\t5 0", "one JSON value"),
    ("3\t/Soc\ttrue", "finite number or null"),
    ('3\t/Soc\t"50"', "finite number or null"),
    ("3\t/Soc\t[50]", "a JSON number, string, boolean or null"),
    ('3\t/Anything\t{"a": 1}', "a JSON number, string, boolean or null"),
])
def test_a_malformed_row_is_named(tmp_path: Path, row: str, allowed: str) -> None:
    path = venus_file(tmp_path, HEAD + SNAPSHOT + row + "\n4\t/Soc\t61\n")
    with pytest.raises(ConfigurationError, match=r"bank\.tsv: line 9 ") as found:
        read_venus(path)
    assert allowed in found.value.allowed


def test_a_number_beyond_any_float_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="line 9"):
        read_venus(venus_file(tmp_path, HEAD + SNAPSHOT + "3\t/Soc\t1e999\n"))


def test_time_that_runs_back_is_refused(tmp_path: Path) -> None:
    path = venus_file(tmp_path, HEAD + SNAPSHOT + "5\t/Soc\t61\n4\t/Soc\t62\n")
    with pytest.raises(ConfigurationError, match=r"line 10 = 4\.0 .* 5\.0 s or more"):
        read_venus(path)


@pytest.mark.parametrize(("text", "line"), [
    ("", 1), ("t\tpath\tvalue_json\n", 1),
    ("# service=com.victronenergy.solarcharger.x\nt\tpath\tvalue_json\n", 1),
    ("# service=com.victronenergy.battery.x\n", 2),
    ("# service=com.victronenergy.battery.x\ntime,path,value\n", 2),
    (HEAD, 3), (HEAD + SNAPSHOT.replace("/Soc", "/Other"), 3),
    (HEAD + SNAPSHOT.replace("0\t/", "1\t/"), 3),
    (HEAD + SNAPSHOT.replace(" Bank ", "  "), 3),
])
def test_a_file_that_is_no_battery_recording_is_refused(
    tmp_path: Path, text: str, line: int
) -> None:
    with pytest.raises(ConfigurationError, match=f"line {line} "):
        read_venus(venus_file(tmp_path, text))


@pytest.mark.parametrize("value", ["0", "-200", "true", '"200"'])
def test_a_capacity_that_is_none_is_refused(tmp_path: Path, value: str) -> None:
    path = venus_file(tmp_path, HEAD + SNAPSHOT + f"0\t/Capacity\t{value}\n")
    with pytest.raises(ConfigurationError, match="line 9 .*/Capacity"):
        read_venus(path)


def test_a_value_that_becomes_null_is_missing_from_then_on(tmp_path: Path) -> None:
    path = venus_file(tmp_path, HEAD + SNAPSHOT + "1\t/Soc\tnull\n2\t/X\t1\n3\t/Soc\t0\n")
    soc_pct = read_venus(path).values[:, 1]
    np.testing.assert_array_equal(soc_pct, np.array([60.0, np.nan, np.nan, 0.0], np.float32))


def test_an_implausible_value_becomes_missing_and_is_counted_once(tmp_path: Path) -> None:
    rows = "1\t/Soc\t250\n2\t/X\t1\n3\t/Soc\t-1\n4\t/Soc\t70\n"
    bank = read_venus(venus_file(tmp_path, HEAD + SNAPSHOT + rows))
    assert bank.refused == 2
    np.testing.assert_array_equal(
        bank.values[:, 1], np.array([60, np.nan, np.nan, np.nan, 70], np.float32))


def test_a_long_value_is_cut_in_the_message(tmp_path: Path) -> None:
    path = venus_file(tmp_path, HEAD + SNAPSHOT + "x" * 100_000)
    with pytest.raises(ConfigurationError) as found:
        read_venus(path)
    assert len(str(found.value)) < 300


# --- JK -------------------------------------------------------------------------------------


def test_an_empty_field_is_missing_and_one_probe_is_enough(tmp_path: Path) -> None:
    first = FRAME.format(uptime=10).replace("25.0", "")
    second = FRAME.format(uptime=20).replace("25.0,27.0", ",").replace(",3.2", ",", 1)
    pack = read_jk(jk_file(tmp_path, HEADER, first, second))
    np.testing.assert_array_equal(pack.values[:, 0, 4], np.array([27.0, np.nan], np.float32))
    assert np.isnan(pack.values[1, 1, 2])
    assert np.isnan(pack.values[1, 1, 0]), "no power without a voltage"
    assert pack.length_s == 20.0


@pytest.mark.parametrize(("old", "new", "allowed"), [
    ("True", "False", "crc_ok True"), ("True", "true", "crc_ok True"),
    ("51.2", "nan", "pack_v"), ("51.2", "inf", "pack_v"), ("51.2", "5e1", "pack_v"),
    ("51.2", "True", "pack_v"), ("51.2", " 51.2", "pack_v"), ("51.2", "51.2,", "27 fields"),
    ("40.5,", "", "27 fields"), ("81.0", "", "nominal_ah"), ("20", "", "uptime_s"),
    ("20", "10", "an uptime above 10.0 s"), ("20", "9", "an uptime above 10.0 s"),
])
def test_a_malformed_frame_is_named(tmp_path: Path, old: str, new: str, allowed: str) -> None:
    bad = FRAME.format(uptime=20).replace(old, new, 1)
    path = jk_file(tmp_path, HEADER, FRAME.format(uptime=10), bad)
    with pytest.raises(ConfigurationError, match=r"pack\.csv: line 3 ") as found:
        read_jk(path)
    assert allowed in found.value.allowed


@pytest.mark.parametrize(("lines", "line"), [
    ((), 1), (("a,b",), 1), ((HEADER,), 1), ((HEADER, FRAME.format(uptime=10)), 2),
    ((HEADER, *(FRAME.format(uptime=t).replace("81.0", "0") for t in (10, 20))), 2),
])
def test_a_file_that_is_no_jk_recording_is_refused(
    tmp_path: Path, lines: tuple[str, ...], line: int
) -> None:
    with pytest.raises(ConfigurationError, match=f"line {line} "):
        read_jk(jk_file(tmp_path, *lines))


# --- the site -------------------------------------------------------------------------------


def copied(folder: Path) -> Path:
    return Path(shutil.copytree(RECORDINGS, folder / "recordings"))


@pytest.mark.parametrize("name", ["victron/smartshunt.tsv", f"jk/{JK_FILE}"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    directory = copied(tmp_path)
    (directory / name).unlink()
    with pytest.raises(ConfigurationError, match="FileNotFoundError") as found:
        from_directory("recorded", Options(), DEFAULT_LEVELS, directory)
    assert found.value.file == Path(name).name


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    (directory / "victron" / "lynxbms0.tsv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="UnicodeDecodeError"):
        from_directory("recorded", Options(), DEFAULT_LEVELS, directory)


def test_the_site_counts_what_it_refused_and_shows_it_as_missing(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    path = directory / "jk" / JK_FILE
    path.write_text(path.read_text().replace("26.3,26.7,30,", "26.3,26.7,130,", 1))
    source = from_directory("recorded", Options(), DEFAULT_LEVELS, directory)
    topology = Topology(DEFAULT_LEVELS, source.roots)
    now = datetime(2025, 11, 21, tzinfo=UTC)
    source.start(now, topology)
    pack = topology.index("system_recorded_cluster_3")
    assert source.refused == 1
    assert np.isnan(source.poll(now).columns["soc_pct"][pack])
