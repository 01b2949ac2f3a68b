"""A house: configuration, which device is asked, the words of settings."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.config import DEMO_CONFIG, load_config
from core.devices import DeviceTable
from core.errors import ConfigurationError
from core.household import Household
from core.houses import houses_in
from core.safe_band import normal_voltage_v
from core.secrets import FILES_VARIABLE, secret
from core.settings import NewSource, may_change, probe, save, written
from core.tariff import FlatTariff, TimeOfUseTariff
from tests.core.house_site import COUNTER, INVERTER, Told, frame_of

START = datetime(2026, 1, 10, 12, 0, tzinfo=UTC)
SITE = """
[[sources]]
kind = "recorded"
name = "recorded"
"""


def household(told: list[tuple[datetime, Told]], now: datetime = START) -> Household:
    table = DeviceTable([[INVERTER, COUNTER]])
    (house,) = houses_in([], [], ["home"], "orrery.toml")
    return Household(house, table, frame_of(table, told, now))


BOTH: Told = {"home_shunt": {"soc_pct": 60.0, "battery_power_kw": 1.0},
              "home_inverter": {"soc_pct": 55.0, "battery_power_kw": 1.2, "load_power_kw": 0.0}}


def test_the_counter_is_asked_for_the_battery_and_the_inverter_for_the_rest() -> None:
    found = household([(START, BOTH)])
    told = found.told("soc_pct")
    assert told is not None
    assert (told.device.id, told.value) == ("home_shunt", 60.0)
    assert found.value("battery_power_kw") == 1.0
    assert found.value("load_power_kw") == 0.0
    assert [one.device.id for one in found.of_soc()] == ["home_shunt", "home_inverter"]


def test_one_that_is_heard_comes_before_one_that_is_not() -> None:
    later = START + timedelta(seconds=100)
    found = household([(START, BOTH), (later, {"home_inverter": {"soc_pct": 55.0}})], later)
    told = found.told("soc_pct")
    assert told is not None
    assert told.device.id == "home_inverter"


def test_stale_alone_is_told_as_stale_and_counts_as_missing() -> None:
    found = household([(START, BOTH)], START + timedelta(seconds=61))
    told = found.told("soc_pct")
    assert told is not None
    assert (told.stale, told.value) == (True, 60.0)
    assert math.isnan(found.value("soc_pct"))
    assert found.told("temperature_c") is None
    assert found.age_s == 61.0


def configured(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "orrery.toml"
    path.write_text(SITE + text)
    return path


def test_a_house_is_read_with_its_tariff(tmp_path: Path) -> None:
    config = load_config(configured(tmp_path, """
[[houses]]
id = "home"
label = "Home"
time_zone = "Europe/Stockholm"
capacity_kwh = 10.24
nominal_v = 51.2
tariff.kind = "time_of_use"
tariff.currency = "EUR"
tariff.import_per_kwh = 0.2
[[houses.tariff.periods]]
from_hour = 17
to_hour = 21
import_per_kwh = 0.5
"""))
    home, other = houses_in(config.houses, [], ["home", "cabin"], config.file)
    assert home.capacity_ah == pytest.approx(200.0)
    assert isinstance(home.tariff, TimeOfUseTariff)
    assert home.tariff.otherwise == FlatTariff(0.2, 0.0)
    assert (other.label, other.capacity_ah) == ("Cabin", pytest.approx(math.nan, nan_ok=True))


@pytest.mark.parametrize(("text", "key"), [
    ('time_zone = "Mars/Base"', "houses[0].time_zone"),
    ('chemistry = "tin"', "houses[0].chemistry"),
    ("reserve_pct = 90\nceiling_pct = 80", "houses[0].reserve_pct"),
])
def test_what_cannot_be_is_named(tmp_path: Path, text: str, key: str) -> None:
    config = load_config(configured(tmp_path, f'[[houses]]\nid="home"\nlabel="H"\n{text}\n'))
    with pytest.raises(ConfigurationError) as refused:
        houses_in(config.houses, [], [], config.file)
    assert refused.value.key == key


def test_two_houses_of_one_id_are_refused(tmp_path: Path) -> None:
    house = '[[houses]]\nid="home"\nlabel="H"\n'
    with pytest.raises(ConfigurationError, match="occurs once"):
        load_config(configured(tmp_path, house * 2))


@pytest.mark.parametrize(("nominal", "chemistry", "band"), [
    (48.0, "LFP", (52.0, 58.0)), (51.2, "LFP", (52.0, 58.0)), (24.0, "LFP", (26.0, 29.0)),
    (48.0, None, (52.0, 58.0)), (12.0, None, (13.0, 14.5)), (51.1, "NMC", (47.6, 58.1)),
])
def test_the_normal_band_follows_chemistry_and_nominal_voltage(
        nominal: float, chemistry: str | None, band: tuple[float, float]) -> None:
    assert normal_voltage_v(nominal, chemistry) == pytest.approx(band)


def test_without_a_nominal_voltage_there_is_no_band() -> None:
    assert normal_voltage_v(math.nan, "LFP") is None


# -- settings

NEW = NewSource("vrm", "portal", {"site_id": 3, "token_secret": "ORRERY_SOURCE_VRM"},
                {"id": "home", "label": "Home", "capacity_kwh": 14.3})


def test_saving_keeps_what_a_person_wrote(tmp_path: Path) -> None:
    path = configured(tmp_path, "# my own words\n[engine]\nperiod_s = 2.0\n")
    assert save(NEW, load_config(path)) == path
    text = path.read_text()
    assert "# my own words" in text
    again = load_config(path)
    assert [source.name for source in again.sources] == ["recorded", "portal"]
    assert (again.houses[0].id, again.engine.period_s) == ("home", 2.0)
    assert again.sources[1].options == NEW.options


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    path = configured(tmp_path, "")
    before = path.read_text()
    with pytest.raises(ConfigurationError, match="occurs once"):
        save(NewSource("vrm", "recorded", {}), load_config(path))
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_demo_is_copied_and_not_changed(tmp_path: Path,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = DEMO_CONFIG.read_text()
    assert save(NEW, load_config(DEMO_CONFIG)) == Path("orrery.toml")
    assert DEMO_CONFIG.read_text() == before
    assert load_config(tmp_path / "orrery.toml").sources[-1].name == "portal"


def test_the_lines_to_copy_are_the_lines_that_are_saved() -> None:
    assert 'token_secret = "ORRERY_SOURCE_VRM"' in written(NEW)


def test_an_unknown_kind_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(ConfigurationError, match="one of fleet"):
        probe(NewSource("os", "x", {}))


@pytest.mark.parametrize(("told", "by_nobody"), [
    ("", False), ('[sign_in]\nmode = "oidc"\n', False),
    ('[operators]\nmode = "local"\ndemo = true\n', False),
    ('[operators]\nmode = "local"\nnames = { ada = "h" }\n', True),
    ('[sign_in]\nmode = "oidc"\n[operators]\nmode = "oidc"\nemails = ["a@b.example"]\n', True)])
def test_changing_needs_operators_who_are_known_or_a_permission(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, by_nobody: bool) -> None:
    config = load_config(configured(tmp_path, told))
    monkeypatch.delenv("ORRERY_CHANGE_SOURCES", raising=False)
    assert may_change(config) is by_nobody
    monkeypatch.setenv("ORRERY_CHANGE_SOURCES", "1")
    assert may_change(config)


def test_a_secret_comes_from_the_environment_or_the_file(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secrets.toml"
    path.write_text('VRM_TOKEN = "from the file"\n[auth]\nVRM_DEEP = "no"\n')
    monkeypatch.setenv(FILES_VARIABLE, str(path))
    assert secret("VRM_TOKEN") == "from the file"
    assert secret("VRM_DEEP") is None
    monkeypatch.setenv("VRM_TOKEN", "from the environment")
    assert secret("VRM_TOKEN") == "from the environment"


PUMP = """
pumps:
  - kind: heat-pump
    name: cellar
    options: {profile: thermia_c60, house: villa}
"""


def test_heat_pumps_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    path = configured(tmp_path, "")
    (tmp_path / "heat_pumps.yaml").write_text(PUMP, encoding="utf-8")
    assert [source.name for source in load_config(path).sources][-1] == "cellar"
    (tmp_path / "heat_pumps.yaml").write_text(PUMP.replace("kind", "sort"), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"heat_pumps\.yaml.*sort"):
        load_config(path)


def test_heat_pumps_alone_make_a_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("heat_pumps.yaml").write_text(PUMP, encoding="utf-8")
    config = load_config(DEMO_CONFIG)
    assert [source.name for source in config.sources] == ["cellar"]
    assert config.title == "Heat pumps"
