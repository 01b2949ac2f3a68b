"""What comes from outside: configuration, paths, messages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import ManualClock
from core.config import DEMO_CONFIG, load_config
from core.engine import Engine
from core.errors import ConfigurationError, RequestError, UnknownIdError
from core.paths import nearest_node, node_of_path
from core.topology import DEFAULT_LEVELS, Topology
from core.views import parse_navigate, view_message
from tests.core.sites import NOON, ScriptedReadings, system

SITE = Topology(DEFAULT_LEVELS, [system(0), system(1)])


@pytest.mark.parametrize(("text", "words"), [
    ("", ["sources"]),
    ("title = 3\n[[sources]]\nkind='fleet'\nname='a'", ["title", "3", "str"]),
    ("[[sources]]\nkind='fleet'\nname='a'\ncolour='red'", ["sources[0].colour", "'red'", "remove"]),
    ("[[sources]]\nkind='fleet'\nname='A b'", ["sources[0].name", "'A b'", "regex"]),
    ("[engine]\nperiod_s=0\n[[sources]]\nkind='fleet'\nname='a'", ["engine.period_s", "0", "0.2"]),
    ("[[sources]]\nkind='fleet'\nname='a'\n[[sources]]\nkind='fleet'\nname='a'",
     ["sources[1].name", "occurs once"]),
    ("= nonsense", ["valid TOML"]),
    ("file = 'x'\n[[sources]]\nkind='fleet'\nname='a'", ["file", "remove"]),
])
def test_a_broken_configuration_names_file_key_value_and_what_is_allowed(
        tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "orrery.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as error:
        load_config(path)
    for word in [str(path), *words]:
        assert word in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="readable file"):
        load_config(tmp_path / "none.toml")


def test_the_demo_is_a_valid_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORRERY_HISTORY_DIRECTORY", "/elsewhere")
    config = load_config(DEMO_CONFIG)
    assert config.history.directory == "/elsewhere"
    assert config.level_list == DEFAULT_LEVELS


def test_an_address_that_no_longer_exists_leads_to_its_nearest_ancestor() -> None:
    assert nearest_node(SITE, "system_1_cluster_0_rack_7_module_3") == SITE.index(
        "system_1_cluster_0")
    assert nearest_node(SITE, "nonsense") == 0
    assert nearest_node(SITE, "system_0" + "_x" * 100_000) in (0, SITE.index("system_0"))


@given(st.text(max_size=600))
def test_any_text_leads_somewhere(text: str) -> None:
    assert 0 <= nearest_node(SITE, text) < SITE.size


def test_a_path_must_be_a_chain() -> None:
    assert node_of_path(SITE, []) == 0
    assert node_of_path(SITE, ["system_0", "system_0_cluster_0"]) == SITE.index(
        "system_0_cluster_0")
    for path in (["system_0_cluster_0"], ["system_0", "system_1"], ["nothing"]):
        with pytest.raises(UnknownIdError):
            node_of_path(SITE, path)


@given(st.one_of(st.text(max_size=300), st.binary(max_size=300)))
def test_any_message_is_parsed_or_refused(message: str | bytes) -> None:
    try:
        assert isinstance(parse_navigate(message), list)
    except RequestError:
        pass


@pytest.mark.parametrize("message", [
    "[]", '{"type":"navigate"}', '{"type":"navigate","path":"system_0"}',
    '{"type":"navigate","path":[1]}', '{"type":"go","path":[]}',
    '{"type":"navigate","path":[],"extra":1}',
    json.dumps({"type": "navigate", "path": ["a"] * 10_000}),
])
def test_a_malformed_message_is_refused_with_the_form_that_is_expected(message: str) -> None:
    with pytest.raises(RequestError, match="navigate"):
        parse_navigate(message)


def test_messages_have_the_shape_of_appendix_a() -> None:
    source = ScriptedReadings([system(0), system(1)])
    source.set_cells({"power_kw": 0.5, "soc_pct": 67.8, "voltage_v": 3.3})
    engine = Engine(DEFAULT_LEVELS, [source], ManualClock(NOON))
    snapshot = engine.tick()
    top = view_message(engine.topology, snapshot, 0)
    assert list(top) == ["timestamp", "view_path", "poc", "view"]
    assert top["poc"] == {"id": "poc_main", "name": "Grid POC", "total_power": 6.0}
    assert top["view"]["parent_id"] is None
    assert top["view"]["level"] == "systems"
    item = dict(top["view"]["items"][0])
    assert item.pop("soc") == pytest.approx(67.8)
    assert item == {"id": "system_0", "name": "Power System 0", "capacity": 6.0,
                    "power_flow": 3.0, "mode": "discharging"}
    below = view_message(engine.topology, snapshot, engine.topology.index("system_0"))
    assert below["view_path"] == ["system_0"]
    assert below["view"]["level"] == "clusters"
    assert below["poc"]["total_power"] == 6.0
    json.dumps(below, allow_nan=False)


def test_unknown_numbers_are_null_in_messages() -> None:
    engine = Engine(DEFAULT_LEVELS, [ScriptedReadings([system(0)])], ManualClock(NOON))
    message = view_message(engine.topology, engine.tick(), 0)
    assert message["poc"]["total_power"] is None
    assert message["view"]["items"][0]["power_flow"] is None
    assert message["view"]["items"][0]["mode"] == "unknown"
