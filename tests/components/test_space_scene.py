"""What the scene is given, what of it can be taken away, and the settings behind both."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, replace

import numpy as np
import orrery_spheres
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from components.space import export, filtering, grouping, items, settings
from components.space.export import Shown
from components.space.settings import FACTORY, Settings, parsed, texts
from core import paint
from core.below import below
from core.clock import ManualClock
from core.engine import Engine, Snapshot
from core.filter import FilterError
from core.topology import DEFAULT_LEVELS, NodeSpec, Topology
from tests.core.sites import NOON, ScriptedReadings, system
from tests.core.test_paint import site

EVIL = ('=1+1', '+x', '-y', '@z', '<img src=x onerror=alert(1)>"\'', "\u202eRTL \u05e9\u05dc",
        "\U0001f50b")

ENDS = st.tuples(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5)).filter(lambda ends: ends[0] < ends[1])
CHOICES = st.builds(
    Settings, depth=st.sampled_from(settings.DEPTHS), colour=st.sampled_from(settings.COLOURS),
    scale=st.one_of(st.just("auto"), ENDS), palette=st.sampled_from(settings.PALETTES),
    layout=st.sampled_from(settings.LAYOUTS), group=st.sampled_from(("", "state", "row_2")),
    show=st.sampled_from(settings.VIEWS), filter=st.text(max_size=40),
    label_cap=st.integers(settings.FEWEST_LABELS, settings.MOST_LABELS),
    show_labels=st.booleans(), every_s=st.floats(settings.FASTEST_S, settings.SLOWEST_S),
    sign=st.sampled_from(settings.SIGNS), temperature=st.sampled_from(settings.TEMPERATURES),
    trail=st.sampled_from(settings.TRAILS),
    metrics=st.sets(st.sampled_from(settings.METRICS)).map(
        lambda named: tuple(name for name in settings.METRICS if name in named)),
    map=st.sampled_from(("", *settings.MAPS)), map_kind=st.sampled_from(settings.MAP_KINDS),
    sort=st.builds(str.__add__, st.sampled_from(("", "-")), st.sampled_from(settings.SORTS)))


@examples(max_examples=60)
@given(CHOICES)
def test_every_choice_comes_back_out_of_a_link(chosen: Settings) -> None:
    assert parsed(texts(chosen)) == (chosen, [])
    assert list(texts(chosen)) == list(asdict(FACTORY))


@pytest.mark.parametrize(("name", "text"), [
    ("depth", "7"), ("depth", "<b>"), ("colour", "red"), ("scale", "5"), ("scale", "9..3"),
    ("scale", "nan..3"), ("palette", ""), ("layout", "pyramid"), ("group", "a b"),
    ("group", "x" * 30), ("show", "all"), ("filter", "a" * 10_000), ("label_cap", "1e9"),
    ("show_labels", "true"), ("every_s", "0.1"), ("every_s", "inf"), ("sign", "plus"),
    ("temperature", "K"), ("trail", "voltage_v"), ("metrics", "soc_pct,secret"),
    ("map", "power_kw"), ("map", "<img src=x onerror=alert(1)>"), ("map_kind", ""),
    ("sort", "--alarms"), ("sort", "-"), ("sort", "name" * 1000), ("sort", "'; drop table"),
])
def test_a_link_is_held_against_lists_and_said(name: str, text: str) -> None:
    found, problems = parsed({name: text, "depth": "2"} if name != "depth" else {name: text})
    assert getattr(found, name) == getattr(FACTORY, name)
    assert len(problems) == 1
    assert name in problems[0]
    assert len(problems[0]) < 400


def test_the_settings_and_the_core_know_the_same_colours() -> None:
    assert set(settings.COLOURS) == set(paint.COLOURINGS)
    assert settings.LONGEST_FILTER == 500


def scene(chosen: Settings, place: int = 0) -> items.Scene:
    topology, snapshot = site(systems=2, seed=5)
    return items.scene(topology, snapshot, place, chosen, np.zeros(topology.size, bool))


def test_the_table_has_the_columns_of_the_viewer_at_every_depth() -> None:
    for depth in settings.DEPTHS:
        drawn = scene(replace(FACTORY, depth=depth, colour="deviation_voltage_v"))
        wire = orrery_spheres._wire(drawn.table)
        assert set(wire.column_names) == {*orrery_spheres.ITEMS.names, *orrery_spheres.DEEP.names}
        for field in (*orrery_spheres.ITEMS, *orrery_spheres.DEEP):
            kind = pa.uint8() if pa.types.is_boolean(field.type) else field.type
            assert wire.schema.field(field.name).type == kind
        tiers = drawn.table.column("tier").to_pylist()
        assert max(tiers) == (depth or 5)
        assert tiers == sorted(tiers)


def test_alarms_that_wait_reach_their_rows() -> None:
    topology, snapshot = site(systems=2, seed=5)
    fresh = np.zeros(topology.size, bool)
    fresh[2] = True
    drawn = items.scene(topology, snapshot, 0, FACTORY, fresh)
    assert drawn.table.column("fresh_alarm").to_pylist() == [0, 1]


def test_colours_in_fahrenheit_are_those_of_celsius() -> None:
    warm = replace(FACTORY, colour="temperature_c", scale=(0.0, 100.0), depth=0)
    celsius, fahrenheit = scene(warm), scene(replace(warm, temperature="F"))
    assert (fahrenheit.colour["low"], fahrenheit.colour["high"]) == (32.0, 212.0)
    assert fahrenheit.colour["unit"] == "°F"
    assert fahrenheit.colour["fixed"]
    c, f = (np.array(one.table.column("value").to_pylist()) for one in (celsius, fahrenheit))
    assert f == pytest.approx(c * 1.8 + 32, rel=1e-5)
    off = replace(FACTORY, colour="deviation_temperature_c", scale=(-5.0, 5.0), temperature="F")
    assert scene(off).colour["low"] == -9.0


def test_a_filter_dims_the_rest_and_counts() -> None:
    drawn = scene(replace(FACTORY, depth=0, filter="level = cell and soc > 0"))
    dim = np.array(drawn.table.column("dim").to_pylist())
    tier = np.array(drawn.table.column("tier").to_pylist())
    assert ((tier == 5) == (dim == 0)).all()
    assert drawn.match == {"shown": int((tier == 5).sum()), "of": tier.size}
    assert drawn.inside == 0
    shallow = scene(replace(FACTORY, depth=1, filter="level = cell and soc > 0"))
    assert shallow.match == {"shown": 0, "of": 2}
    assert shallow.inside == int((tier == 5).sum())


def test_a_filter_speaks_of_what_is_shown() -> None:
    topology, snapshot = site(systems=2, seed=5)
    rows = below(topology, 0, 0)

    def count(chosen: Settings) -> int:
        found = filtering.of_rows(rows, snapshot, chosen)
        assert found is not None
        return int(np.count_nonzero(found.mask))

    out = count(replace(FACTORY, filter="power > 0"))
    assert out == count(replace(FACTORY, filter="power < 0", sign="charge"))
    for sign in settings.SIGNS:
        words = count(replace(FACTORY, filter="state = discharging", sign=sign))
        assert words == count(replace(FACTORY, filter="state = discharging"))
    hot = count(replace(FACTORY, filter="temperature > 25"))
    assert hot == count(replace(FACTORY, filter="temperature > 77", temperature="F"))
    assert hot == count(replace(FACTORY, filter="temperature > 25 C", temperature="F"))


def test_a_wrong_filter_filters_nothing_and_is_pointed_at() -> None:
    drawn = scene(replace(FACTORY, filter="temprature > 45"))
    assert drawn.match is None
    topology, _ = site()
    wrong = filtering.asked(topology, replace(FACTORY, filter="temprature > 45"))
    assert isinstance(wrong, FilterError)
    assert filtering.asked(topology, replace(FACTORY, filter="   ")) is None


def grouped_site() -> tuple[Topology, Snapshot]:
    """Two systems; only the rack of the first stands on a side."""
    roots = [system(0), system(1, chemistry="NMC")]
    roots[0].children[0].children[0].attributes = {"side": "west"}
    source = ScriptedReadings(roots)
    source.set_cells({"power_kw": 1.0, "soc_pct": 50.0})
    engine = Engine(DEFAULT_LEVELS, [source], ManualClock(NOON))
    return engine.topology, engine.tick()


def test_groups_are_what_the_site_says() -> None:
    topology, snapshot = grouped_site()
    rows = below(topology, 0, 0)
    assert grouping.known(topology) == ["", "chemistry", "state", "side"]
    names, group = grouping.groups(rows, snapshot, "side")
    assert names == ["not said", "west"]
    west = [topology.ids[node] for node in rows.nodes[group == 1].tolist()]
    assert len(west) == 1 + 1 + 1 + 2 + 6
    assert all(one.startswith("system_0") for one in west), "also what is above, for all below is"
    names, group = grouping.groups(rows, snapshot, "chemistry")
    assert [names[one] for one in group[:2].tolist()] == ["LFP", "NMC"]
    assert grouping.groups(rows, snapshot, "state")[0] == ["discharging"]
    assert grouping.groups(rows, snapshot, "phase")[0] == []
    for text, count in (("side = West", 11), ("side != west", 0), ("chemistry = nmc", 11)):
        matched = filtering.of_rows(rows, snapshot, replace(FACTORY, filter=text))
        assert matched is not None
        assert int(matched.mask.sum()) == count
    wanted = replace(FACTORY, filter="side = West and level = cell")
    found = filtering.of_rows(rows, snapshot, wanted)
    assert found is not None
    assert int(found.mask.sum()) == 6


def test_a_parent_of_different_parts_is_in_a_group_of_its_own() -> None:
    root = system(0)
    for module, side in zip(root.children[0].children[0].children, ("west", "east"), strict=True):
        module.attributes = {"side": side}
    source = ScriptedReadings([root, system(1)])
    engine = Engine(DEFAULT_LEVELS, [source], ManualClock(NOON))
    rows = below(engine.topology, 0, 0)
    names, group = grouping.groups(rows, engine.tick(), "side")
    found = {engine.topology.ids[node]: names[one]
             for node, one in zip(rows.nodes.tolist(), group.tolist(), strict=True)}
    rack = "system_0_cluster_0_rack_0"
    assert found["system_0"] == found[rack] == "several"
    assert found[f"{rack}_module_1_cell_2"] == "east"
    assert found["system_1"] == "not said"


def shown(chosen: Settings, roots: list[NodeSpec]) -> Shown:
    source = ScriptedReadings(roots)
    source.set_cells({"power_kw": 1.25, "soc_pct": 50.0, "temperature_c": 20.0,
                      "voltage_v": 3.3})
    engine = Engine(DEFAULT_LEVELS, [source], ManualClock(NOON))
    snapshot = engine.tick()
    return Shown("A site", snapshot, below(engine.topology, 0, chosen.depth), chosen)


def lines(seen: Shown) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(export.as_csv(seen).decode())))


def test_files_hold_what_is_shown_in_its_units_and_signs() -> None:
    chosen = replace(FACTORY, depth=0, metrics=("power_kw", "temperature_c", "capacity_kwh"),
                     sign="charge", temperature="F", filter="level = cell",
                     colour="deviation_voltage_v")
    seen = shown(chosen, [system(0)])
    table = lines(seen)
    assert len(table) == 6
    assert table[0] == {
        "id": "system_0_cluster_0_rack_0_module_0_cell_0", "name": "Cell 0", "level": "cell",
        "parent": "system_0_cluster_0_rack_0_module_0", "state": "discharging", "alarm": "none",
        "power_kw_charge_positive": "-1.25", "temperature_f": "68", "capacity_kwh": "1",
        "colour_deviation_voltage_mv": "0", "age_s": "0", "stale": "false"}
    assert export.file_name(seen) == "poc_main_2026-06-01T12-00-00Z"
    parquet = pq.read_table(io.BytesIO(export.as_parquet(seen)))
    assert parquet.column("temperature_f").to_pylist() == [68.0] * 6
    assert parquet.schema.metadata[b"time"] == b"2026-06-01T12:00:00+00:00"


def test_missing_is_an_empty_cell_and_zero_is_not() -> None:
    seen = shown(replace(FACTORY, metrics=("soh_pct", "power_kw")), [system(0)])
    assert lines(seen)[0]["soh_pct"] == ""
    assert pq.read_table(io.BytesIO(export.as_parquet(seen))).column("soh_pct").null_count == 1


@pytest.mark.parametrize("name", EVIL)
def test_names_from_outside_are_text_in_files_and_scene(name: str) -> None:
    root = system(0)
    root.name = name
    seen = shown(FACTORY, [root])
    told = lines(seen)[0]["name"]
    assert told.removeprefix("'") == name
    assert not told.startswith(("=", "+", "-", "@"))
    drawn = items.scene(seen.rows.topology, seen.snapshot, 0, FACTORY,
                        np.zeros(seen.rows.topology.size, bool))
    assert drawn.table.column("name").to_pylist() == [name]


def test_a_place_without_parts_and_one_with_a_single_part() -> None:
    topology, snapshot = grouped_site()
    leaf = int(np.flatnonzero(topology.child_count == 0)[0])
    fresh = np.zeros(topology.size, bool)
    chosen = replace(FACTORY, depth=0, colour="soc_pct", filter="soc > 3", group="side")
    assert items.scene(topology, snapshot, leaf, chosen, fresh).table.num_rows == 0
    one = items.scene(topology, snapshot, topology.index("system_0"), chosen, fresh)
    assert one.table.num_rows == 1 + 1 + 2 + 6
