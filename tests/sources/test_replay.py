"""The recorded site against the rows of its own recordings, read here a second time by hand."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ConfigurationError, GiveUpError
from core.frames import Reading
from core.topology import DEFAULT_LEVELS, Level, Topology
from core.vocabulary import METRIC_NAMES
from sources.replay import JK_FILE, NO_CELLS, RECORDINGS, STALE_AFTER_S, Options, create

START = datetime(2025, 11, 21, 12, 0, tzinfo=UTC)
SYSTEM = "system_recorded"
TOTALS = f"{SYSTEM}_cluster_0"
HOUSE_48V = f"{TOTALS}_rack_0"
HOUSE_24V = f"{SYSTEM}_cluster_1"
NAV_12V = f"{SYSTEM}_cluster_2"
PACK = f"{SYSTEM}_cluster_3"
VENUS_S = 603.0  # rows at 0, 1, ... 602 s
JK_S = 1034.0  # 1024 s and the usual 10 s to the next frame


class Site:
    """The started source and what it says of one node at a time of the replay."""

    def __init__(self, **options: object) -> None:
        self.source = create("recorded", Options(**options), DEFAULT_LEVELS)  # type: ignore[arg-type]
        self.topology = Topology(DEFAULT_LEVELS, self.source.roots)
        self.source.start(START, self.topology)

    def at(self, time_s: float) -> Reading:
        return self.source.poll(START + timedelta(seconds=time_s))

    def of(self, reading: Reading, node_id: str) -> dict[str, float]:
        node = self.topology.index(node_id)
        return {name: float(reading.columns[name][node]) for name in METRIC_NAMES}

    def heard(self, reading: Reading) -> set[str]:
        assert reading.heard is not None
        return {self.topology.ids[node] for node in np.flatnonzero(reading.heard)}


@cache
def started() -> Site:
    """To be copied: it takes a while to read the recording."""
    return Site()


@pytest.fixture
def site() -> Site:
    return deepcopy(started())


def assert_values(found: dict[str, float], **expected: float) -> None:
    """The named metrics within float32; every other one missing."""
    for name in METRIC_NAMES:
        wanted = expected.get(name, float("nan"))
        assert found[name] == pytest.approx(wanted, rel=1e-6, nan_ok=True), name


@cache
def venus_rows(file: str) -> list[tuple[float, str, float | None]]:
    lines = (RECORDINGS / "victron" / f"{file}.tsv").read_text().splitlines()[2:]
    return [(float(t), path, json.loads(value))
            for t, path, value in (line.split("\t") for line in lines)]


@cache
def jk_frames() -> list[dict[str, str]]:
    with (RECORDINGS / "jk" / JK_FILE).open(newline="") as file:
        return list(csv.DictReader(file))


# --- the tree -------------------------------------------------------------------------------


def test_the_tree_and_the_recordings_own_names(site: Site) -> None:
    top = site.topology
    assert top.ids[1:7] == (SYSTEM, TOTALS, HOUSE_24V, NAV_12V, PACK, HOUSE_48V)
    assert top.names[1:7] == ("Recorded site", "Lynx Smart BMS Totals", "24v House", "12v Nav",
                              "JK LFP pack", "48v House")
    cells = top.children(top.index(PACK))
    assert top.ids[cells] == tuple(f"{PACK}_cell_{i}" for i in range(16))
    assert {top.level_title(node) for node in range(cells.start, cells.stop)} == {"Cell"}


def test_only_the_totals_and_the_pack_are_measured_parents(site: Site) -> None:
    top = site.topology
    assert {top.ids[i] for i in np.flatnonzero(top.measured)} == {TOTALS, PACK}


def test_capacity_is_stated_ampere_hours_times_nominal_volts(site: Site) -> None:
    """200 Ah x 48 V, 200 Ah x 24 V, unknown, 81 Ah x 16 x 3.2 V."""
    top = site.topology
    found = {node_id: float(top.capacity_kwh[top.index(node_id)])
             for node_id in (TOTALS, HOUSE_48V, HOUSE_24V, NAV_12V, PACK, SYSTEM)}
    assert found == pytest.approx({TOTALS: 9.6, HOUSE_48V: 9.6, HOUSE_24V: 4.8,
                                   NAV_12V: float("nan"), PACK: 4.1472, SYSTEM: 18.5472},
                                  nan_ok=True)


def test_a_bank_without_cells_says_why_it_goes_no_further(site: Site) -> None:
    for node_id in (HOUSE_48V, HOUSE_24V, NAV_12V):
        assert site.topology.notes[node_id].startswith(NO_CELLS)
        assert site.topology.is_leaf(site.topology.index(node_id))


def test_no_chemistry_is_assumed_where_the_recording_states_none(site: Site) -> None:
    top = site.topology
    assert top.chemistry_name(top.index(PACK)) == "LFP"
    assert top.chemistry_name(top.index(f"{PACK}_cell_3")) == "LFP"
    assert top.chemistry_name(top.index(HOUSE_48V)) is None


def test_a_level_put_between_changes_nothing_here() -> None:
    """Law 6: strings between racks and modules."""
    levels = (*DEFAULT_LEVELS[:3], Level("string", "strings"), *DEFAULT_LEVELS[3:])
    roots = create("recorded", Options(), levels).roots
    assert Topology(levels, roots).size == 23


# --- golden numbers -------------------------------------------------------------------------


def test_at_the_start_the_48_v_bank_discharges(site: Site) -> None:
    """Recorded -3947 W, -75.3 A (+ = charging there), 52.42 V, 83.51 %."""
    reading = site.at(0.0)
    for node_id in (TOTALS, HOUSE_48V):
        assert_values(site.of(reading, node_id), power_kw=3.947, voltage_v=52.42,
                      current_a=75.3, soc_pct=83.51)


def test_at_the_start_the_24_v_bank_idles_at_a_true_zero(site: Site) -> None:
    found = site.of(site.at(0.0), HOUSE_24V)
    assert_values(found, power_kw=0.0, voltage_v=27.0, current_a=0.0, soc_pct=100.0)
    assert np.copysign(1.0, found["power_kw"]) == 1.0, "no minus zero on a screen"


def test_at_the_start_the_jk_pack_charges(site: Site) -> None:
    """Recorded +3.045 A (+ = charging there) at 51.715 V, 30 %, probes at 26.3 and 26.7 degC."""
    reading = site.at(0.0)
    assert_values(site.of(reading, PACK), power_kw=-0.157472175, voltage_v=51.715,
                  current_a=-3.045, soc_pct=30.0, temperature_c=26.5)
    assert_values(site.of(reading, f"{PACK}_cell_8"), power_kw=-0.009874935,
                  voltage_v=3.243, current_a=-3.045)


def test_the_jk_pack_discharges_at_most_15_66_a_and_charges_at_most_11_05_a(site: Site) -> None:
    current_a = [site.of(site.at(float(t)), PACK)["current_a"] for t in range(int(JK_S))]
    assert max(current_a) == pytest.approx(15.66, rel=1e-6)
    assert min(current_a) == pytest.approx(-11.049, rel=1e-6)


def test_the_last_second_of_the_venus_recording_is_shown(site: Site) -> None:
    assert_values(site.of(site.at(602.0), HOUSE_48V), power_kw=3.052, voltage_v=52.91,
                  current_a=57.7, soc_pct=89.78)


def test_the_cells_of_the_pack_add_up_to_it(site: Site) -> None:
    """Measured beside the sum of its children (law 7): within 80 mV of 52 V."""
    for time_s in (0.0, 300.0, 700.0, 1024.0):
        reading = site.at(time_s)
        cells = site.topology.children(site.topology.index(PACK))
        total_v = float(reading.columns["voltage_v"][cells].sum())
        assert total_v == pytest.approx(site.of(reading, PACK)["voltage_v"], abs=0.08)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.0, 4 * VENUS_S, exclude_max=True))
def test_any_moment_shows_the_last_row_at_or_before_it(time_s: float) -> None:
    site = deepcopy(started())
    reading = site.at(time_s)
    elapsed_s = timedelta(seconds=time_s).total_seconds()
    for file, node_id in (("lynxbms1", HOUSE_48V), ("smartshunt", NAV_12V)):
        last = {path: value for t, path, value in venus_rows(file)
                if t <= elapsed_s % VENUS_S}
        found = site.of(reading, node_id)
        assert found["power_kw"] == pytest.approx(-last["/Dc/0/Power"] / 1000.0)  # type: ignore[operator]
        assert found["soc_pct"] == pytest.approx(last["/Soc"])
    frames = jk_frames()
    uptime_s = [float(frame["uptime_s"]) - float(frames[0]["uptime_s"]) for frame in frames]
    last_frame = frames[max(i for i, t in enumerate(uptime_s) if t <= elapsed_s % JK_S)]
    for cell in (0, 15):
        assert site.of(reading, f"{PACK}_cell_{cell}")["voltage_v"] == pytest.approx(
            float(last_frame[f"cell{cell + 1}_v"]))


# --- missing --------------------------------------------------------------------------------


def test_what_the_devices_do_not_report_is_missing(site: Site) -> None:
    """Law 4. The temperature of the Lynx is JSON null; the grid and the system are no device."""
    for time_s in (0.0, 250.0, 602.0):
        reading = site.at(time_s)
        for node_id in (HOUSE_48V, HOUSE_24V, NAV_12V):
            found = site.of(reading, node_id)
            assert np.isnan([found["temperature_c"], found["soh_pct"]]).all()
        for node_id in ("poc_main", SYSTEM):
            assert np.isnan(list(site.of(reading, node_id).values())).all()
            assert node_id not in site.heard(reading)


# --- age ------------------------------------------------------------------------------------


def measured_s(reading: Reading) -> float:
    return (reading.measured_at - START).total_seconds()


def test_a_node_is_heard_only_when_its_device_sent_a_row(site: Site) -> None:
    """Victron ticks about each second, the JK at 0, 10, 20 s ...; the 24 V bank first at 34 s."""
    first = site.heard(site.at(0.0))
    assert first == set(site.topology.ids) - {"poc_main", SYSTEM}
    for second in range(1, 60):
        heard = site.heard(site.at(float(second)))
        for file, node_id in (("lynxparallel", TOTALS), ("lynxbms1", HOUSE_48V),
                              ("lynxbms0", HOUSE_24V), ("smartshunt", NAV_12V)):
            sent = {t for t, _, _ in venus_rows(file)}
            assert (node_id in heard) == (second in sent), (second, node_id)
        assert (PACK in heard) == (f"{PACK}_cell_7" in heard)


def test_the_frames_of_the_jk_are_heard_once_each(site: Site) -> None:
    heard_s = [t for t in range(int(JK_S)) if PACK in site.heard(site.at(float(t)))]
    uptime_s = [int(frame["uptime_s"]) for frame in jk_frames()]
    assert heard_s == [t - uptime_s[0] for t in uptime_s]


def test_no_device_of_the_recordings_ever_looks_stale(site: Site) -> None:
    """The widest gaps: 24 s in the JK, 23 s in the 24 V bank."""
    last = dict.fromkeys(set(site.topology.ids) - {"poc_main", SYSTEM}, 0.0)
    for second in range(1300):
        for node_id in site.heard(site.at(float(second))):
            assert second - last[node_id] < STALE_AFTER_S
            last[node_id] = float(second)


def test_measured_at_is_the_time_of_the_row(site: Site) -> None:
    assert measured_s(site.at(0.0)) == 0.0
    assert measured_s(site.at(1.75)) == 1.0
    assert measured_s(site.at(1.9)) == 1.0, "nothing new: still the newest row"


def test_after_a_pause_no_age_looks_younger_than_it_is(site: Site) -> None:
    """At 59 s the Victron was heard this second, the JK at 51 s: one time for both is 51 s."""
    frames = jk_frames()
    newest = max(t for t in (int(f["uptime_s"]) - int(frames[0]["uptime_s"]) for f in frames)
                 if t <= 59)
    assert newest < 59
    reading = site.at(59.0)
    assert PACK in site.heard(reading)
    assert measured_s(reading) == newest


# --- the seam -------------------------------------------------------------------------------


def test_at_the_seam_the_snapshot_is_heard_and_shown(site: Site) -> None:
    start = site.at(0.0)
    site.at(VENUS_S - 1.0)
    before = site.at(VENUS_S - 0.5)
    assert HOUSE_24V not in site.heard(before)
    again = site.at(VENUS_S)
    assert {TOTALS, HOUSE_48V, HOUSE_24V, NAV_12V} <= site.heard(again)
    assert measured_s(again) == VENUS_S
    assert site.of(again, HOUSE_48V) == pytest.approx(site.of(start, HOUSE_48V), nan_ok=True)


def test_each_recording_loops_at_its_own_length(site: Site) -> None:
    start = site.at(0.0)
    again = site.at(JK_S)
    assert site.of(again, PACK) == pytest.approx(site.of(start, PACK), nan_ok=True)
    assert site.of(again, HOUSE_48V)["soc_pct"] != site.of(start, HOUSE_48V)["soc_pct"]


def test_a_pause_of_whole_loops_hears_everybody_again(site: Site) -> None:
    site.at(5.0)
    heard = site.heard(site.at(5.0 + 10 * VENUS_S))
    assert heard == set(site.topology.ids) - {"poc_main", SYSTEM}


def test_without_a_loop_it_holds_its_last_row_and_falls_silent() -> None:
    site = Site(loop=False)
    last = site.at(5000.0)
    after = site.at(5001.0)
    assert site.of(after, PACK) == pytest.approx(site.of(last, PACK), nan_ok=True)
    assert site.heard(after) == set()
    assert measured_s(after) == 1024.0


def test_a_clock_set_back_goes_on_where_the_replay_was(site: Site) -> None:
    before = site.at(100.0)
    back = site.at(-3500.0)
    assert site.heard(back) == set()
    assert site.of(back, HOUSE_48V) == pytest.approx(site.of(before, HOUSE_48V), nan_ok=True)
    assert HOUSE_48V in site.heard(site.at(-3499.0))
    untouched = Site()
    expected = untouched.of(untouched.at(600.0), HOUSE_48V)
    assert site.of(site.at(-3000.0), HOUSE_48V) == pytest.approx(expected, nan_ok=True)


# --- refusals -------------------------------------------------------------------------------


def test_a_zone_other_than_utc_is_the_same_moment(site: Site) -> None:
    here = START + timedelta(seconds=300)
    expected = Site().source.poll(here)
    found = site.source.poll(here.astimezone(timezone(timedelta(hours=9))))
    np.testing.assert_array_equal(found.columns["voltage_v"], expected.columns["voltage_v"])
    assert found.measured_at == expected.measured_at
    assert found.measured_at.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_refused(site: Site) -> None:
    with pytest.raises(GiveUpError, match="law 3"):
        site.source.poll(START.replace(tzinfo=None))


def test_a_poll_before_the_start_is_refused() -> None:
    with pytest.raises(GiveUpError, match="before it was started"):
        create("recorded", Options(), DEFAULT_LEVELS).poll(START)


@pytest.mark.parametrize("options", [
    {"system_id": ""}, {"system_id": "system 6"}, {"system_id": "x" * 65},
    {"site_name": "  "}, {"site_name": "x" * 81},
])
def test_options_outside_of_what_is_allowed_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=f"recorded.{next(iter(options))}"):
        create("recorded", Options(**options), DEFAULT_LEVELS)  # type: ignore[arg-type]


@pytest.mark.parametrize("levels", [DEFAULT_LEVELS[:2], DEFAULT_LEVELS[::-1], ()])
def test_levels_that_it_cannot_fill_are_refused(levels: tuple[Level, ...]) -> None:
    with pytest.raises(ConfigurationError, match="system, cluster, rack, cell"):
        create("recorded", Options(), levels)


def test_nothing_of_the_shipped_recordings_is_refused(site: Site) -> None:
    assert site.source.refused == 0


def shipped() -> Iterator[Path]:
    yield from (path for path in RECORDINGS.rglob("*") if path.is_file())


def test_every_recording_lies_beside_its_licence_and_the_whole_is_small() -> None:
    names = {path.name for path in shipped()}
    assert {"README.md", "LICENSE.venus-docker", "LICENSE.apache-2.0", "NOTICE"} <= names
    assert sum(path.stat().st_size for path in shipped()) < 400_000
