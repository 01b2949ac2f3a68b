"""What was saved in the site's database beside orrery.toml, and which of both counts."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.config import Config, OperatorsConfig, load_config
from core.engine import fleets_of
from core.errors import ConfigurationError, RetryLaterError
from core.operators import Operators, check_operators, hashed
from core.ports import SourceInfo
from core.registry import make_site_records
from core.runtime import start_runtime
from core.settings import NewSource, save, with_saved
from core.site_records import SiteRecords
from scripts import operator_password, saved
from store.records import open_site_records

PASSWORD = "correct horse battery"
HEAD = '[[sources]]\nkind = "recorded"\nname = "recorded"\n'
NEW = NewSource("vrm", "portal", {"site_id": 3, "token_secret": "ORRERY_SOURCE_VRM"},
                {"id": "cabin", "label": "Cabin", "capacity_kwh": 14.3})


@pytest.fixture
def records(tmp_path: Path) -> Iterator[SiteRecords]:
    found = open_site_records(tmp_path / "records")
    yield found
    found.close()


def configured(tmp_path: Path, more: str = "") -> Config:
    file = tmp_path / "orrery.toml"
    file.write_text(f'{HEAD}[history]\ndirectory = "{tmp_path}"\n{more}', encoding="utf-8")
    return load_config(file)


def in_the_way(tmp_path: Path) -> None:
    """The file's place can no longer be written, whoever tries, root too."""
    (tmp_path / "orrery.toml.tmp" / "stands").mkdir(parents=True)


def test_a_source_goes_where_the_file_cannot_be_written_into_the_database(
        tmp_path: Path, records: SiteRecords) -> None:
    config = configured(tmp_path)
    in_the_way(tmp_path)
    before = Path(config.file).read_text(encoding="utf-8")
    with pytest.raises(ConfigurationError, match="by hand"):
        save(NEW, config)
    assert save(NEW, config, records) is None
    assert Path(config.file).read_text(encoding="utf-8") == before
    found = with_saved(config, records)
    assert [source.name for source in found.sources] == ["recorded", "portal"]
    assert found.sources[1].options == NEW.options
    assert (found.houses[0].id, found.houses[0].capacity_kwh) == ("cabin", 14.3)
    with pytest.raises(ConfigurationError, match="occurs once"):
        save(NewSource("vrm", "recorded", {}), config, records)
    assert list(records.saved("source")) == ["portal"]


def test_the_file_comes_first(tmp_path: Path, records: SiteRecords) -> None:
    config = configured(tmp_path, '[[houses]]\nid = "cabin"\nlabel = "By hand"\n[operators]\n'
                                  'mode = "local"\n[operators.names]\nada = "of the file"\n')
    in_the_way(tmp_path)
    save(NEW, config, records)
    records.save("operator", "ada", "of the database")
    records.save("operator", "eve", "of the database too")
    records.save("source", "recorded", '{"source": {"kind": "vrm", "name": "recorded"}}')
    found = with_saved(config, records)
    assert [(source.kind, source.name) for source in found.sources] == [
        ("recorded", "recorded"), ("vrm", "portal")]
    assert [house.label for house in found.houses] == ["By hand"]
    assert found.operators.names == {"ada": "of the file", "eve": "of the database too"}


@pytest.mark.parametrize(("told", "expected"), [
    ('mode = "none"', {"mode": "local", "names": {"ada": "h"}}),
    ('mode = "local"\ndemo = true', {"mode": "local", "names": {"ada": "h"}}),
    ('mode = "oidc"\nemails = ["a@b.example"]', {"mode": "oidc", "emails": ["a@b.example"]})])
def test_a_saved_operator_closes_the_demo_s_door(tmp_path: Path, records: SiteRecords, told: str,
                                                 expected: dict[str, Any]) -> None:
    records.save("operator", "ada", "h")
    found = with_saved(configured(tmp_path, f"[operators]\n{told}\n"), records)
    assert found.operators == OperatorsConfig(**expected)


def test_a_saved_source_that_is_real_ends_the_demo(tmp_path: Path, records: SiteRecords) -> None:
    config = configured(tmp_path, '[operators]\nmode = "local"\ndemo = true\n')
    in_the_way(tmp_path)
    save(NEW, config, records)
    found = with_saved(config, records)
    assert found.operators == OperatorsConfig()
    check_operators(found, [SourceInfo("portal", "portal", "live", 1.0, 5.0, "discharge")])


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"source": {"kind": "vrm"}}',
                                  '{"source": {"kind": "vrm", "name": "<b>"}}',
                                  '{"source": {"kind": "vrm", "name": "x", "more": 1}}'])
def test_what_is_no_source_is_named(tmp_path: Path, records: SiteRecords, text: str) -> None:
    records.save("source", "portal", text)
    with pytest.raises(ConfigurationError, match="the site's database: source portal"):
        with_saved(configured(tmp_path), records)


def test_a_person_adds_an_operator_and_takes_one_out(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    config = configured(tmp_path)
    monkeypatch.setenv("ORRERY_CONFIG", config.file)
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD + "\n"))
    assert operator_password.main(["Ada Ö", "--save"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert PASSWORD not in said.err
    runtime = start_runtime(config)
    try:
        door = Operators(runtime.config)
        assert door.sign_in("Ada Ö", PASSWORD, runtime.engine.clock.now()) == "Ada Ö"
        assert runtime.engine.records_error == ""
    finally:
        runtime.stop()
    gone = ["--remove", "operator", "Ada Ö"]
    assert [saved.main([]), saved.main(gone), saved.main(gone), saved.main([])] == [0, 0, 2, 0]
    assert capsys.readouterr().out == "operator Ada Ö\n"


def test_commands_outlive_the_app(tmp_path: Path) -> None:
    file = tmp_path / "orrery.toml"
    file.write_text('[[sources]]\nkind = "packs"\nname = "packs"\n[sources.options]\npacks = 2\n'
                    f'cells = 4\n[history]\ndirectory = "{tmp_path}"\nbackfill_hours = 0\n',
                    encoding="utf-8")
    sent = []
    for _ in range(2):
        runtime = start_runtime(load_config(file))
        try:
            (fleet,) = fleets_of(runtime.engine.sources)
            known = [life.command.id for life in fleet.commands()]
            assert known == [life.command.id for life in reversed(sent)]
            sent.append(fleet.command(fleet.packs()[0].device, "emergency_stop", "ada"))
        finally:
            runtime.stop()


def test_a_site_that_keeps_nothing_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "orrery.toml"
    file.write_text(HEAD + '[history]\nkind = "none"\n', encoding="utf-8")
    monkeypatch.setenv("ORRERY_CONFIG", str(file))
    assert saved.main([]) == 2
    assert "this site keeps nothing" in capsys.readouterr().err
    assert make_site_records(load_config(file).history, "x") is None


def test_a_damaged_file_is_set_aside_and_said(tmp_path: Path,
                                              caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "site.sqlite").write_bytes(b"no database at all " * 500)
    found = open_site_records(tmp_path)
    found.save("operator", "ada", str(hashed(PASSWORD)))
    assert "a new one begins" in caplog.text
    found.close()
    with pytest.raises(RetryLaterError, match="see that the disk"):
        found.saved("operator")
    assert "site.sqlite" in found.error
