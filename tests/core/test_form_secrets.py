"""What a form may name as a secret, and what the audit keeps of a form."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config import load_config
from core.errors import ConfigurationError
from core.secrets import FOR_SOURCES, is_for_sources
from core.settings import NewSource, in_words, probe, save
from tests.sources.web import Web

HEAD = '[[sources]]\nkind = "recorded"\nname = "recorded"\n'
OWN = ("STREAMLIT_SERVER_COOKIE_SECRET", "ORRERY_KEY_ANNA", "ORRERY_API_KEY", "ORRERY_DATABASE_URL",
       "ORRERY_ACTOR_KEY", "INFLUXDB_TOKEN", "AWS_SECRET_ACCESS_KEY", "PATH", "HOME")
NOT_ONE = (FOR_SOURCES, f"{FOR_SOURCES}_X", f"{FOR_SOURCES}x", f" {FOR_SOURCES}X",
           f"{FOR_SOURCES}X\n", f"X_{FOR_SOURCES}X", FOR_SOURCES + 51 * "X", "",
           5, None, ["ORRERY_SOURCE_X"])


@pytest.mark.parametrize("name", [f"{FOR_SOURCES}X", f"{FOR_SOURCES}SOLARK_PASSWORD",
                                  f"{FOR_SOURCES}2"])
def test_what_is_for_sources_may_be_named(name: str) -> None:
    assert is_for_sources(name)


@pytest.mark.parametrize("name", [*OWN, *NOT_ONE])
def test_nothing_else_may(name: object) -> None:
    assert not is_for_sources(name)


@pytest.mark.parametrize("name", [*OWN, 5, None, f"{FOR_SOURCES}x"])
def test_it_is_refused_where_it_is_tested_and_where_it_is_saved(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: object) -> None:
    if isinstance(name, str):
        monkeypatch.setenv(name, "a value of our own")
    file = tmp_path / "orrery.toml"
    file.write_text(HEAD)
    with Web() as web:
        new = NewSource("remote", "remote", {"base_url": web.url, "api_key_secret": name,
                                             "house": "home"})
        for refused in (lambda: probe(new), lambda: save(new, load_config(file))):
            with pytest.raises(ConfigurationError, match="begins with ORRERY_SOURCE_") as why:
                refused()
            assert repr(name) not in str(why.value)
        assert not web.asked
    assert file.read_text() == HEAD


def test_what_an_influx_source_of_a_form_names_not_is_not_sent(
        monkeypatch: pytest.MonkeyPatch) -> None:
    from core.parsing import as_model
    from sources.influx_options import Options, server_in

    monkeypatch.setenv("INFLUXDB_TOKEN", "of-another-server")

    def token(**told: str) -> str:
        base = {"base_url": "https://evil.example", **told}
        return server_in("pump", as_model(base, Options, "file", "form")).secret.value

    assert token(token_secret="") == ""
    assert token() == "of-another-server", "as files of before say it"


@pytest.mark.parametrize(("key", "lines"), [
    ("gateway.api_key_secret", '[gateway]\napi_key_secret = "{}"'),
    ("gateway.operator_keys.Anna", '[gateway.operator_keys]\nAnna = "{}"'),
    ("history.url_variable", '[history]\nkind = "postgres"\nurl_variable = "{}"'),
    ("history.alarms_url_variable", '[history]\nalarms_url_variable = "{}"'),
    ("coordinator.url_variable", '[coordinator]\nurl_variable = "{}"'),
    ("coordinator.actor_key_secret", '[coordinator]\nactor_key_secret = "{}"')])
def test_nothing_of_our_own_has_a_name_for_sources(tmp_path: Path, key: str, lines: str) -> None:
    file = tmp_path / "orrery.toml"
    file.write_text(HEAD + lines.format("ORRERY_OWN"))
    load_config(file)
    file.write_text(HEAD + lines.format(f"{FOR_SOURCES}OWN"))
    with pytest.raises(ConfigurationError, match="are for sources") as refused:
        load_config(file)
    assert refused.value.key == key


@pytest.mark.parametrize(("kind", "options", "words"), [
    ("remote", {"base_url": "https://orrery.example:8443/x", "api_key_secret": "ORRERY_SOURCE_K"},
     "remote at orrery.example:8443 with ORRERY_SOURCE_K"),
    ("remote", {"base_url": "http://[::1]:9999"}, "remote at ::1:9999"),
    ("venus", {"host": "venus.local", "port": 1883}, "venus at venus.local:1883"),
    ("vrm", {"site_id": 3, "token_secret": "ORRERY_SOURCE_V"}, "vrm with ORRERY_SOURCE_V"),
    ("influx", {"base_url": "http://db", "token_secret": ""}, "influx at db"),
    ("remote", {"base_url": "https://ada:hunter2@orrery.example/?key=hunter2#hunter2"},
     "remote at orrery.example"),
    ("remote", {"base_url": "hunter2@orrery.example"}, "remote at (not shown)"),
    ("remote", {"base_url": "https://orrery.example:hunter2"}, "remote at (not shown)"),
    ("venus", {"host": "mqtt://ada:hunter2@venus.local"}, "venus at (not shown)"),
    ("solark", {"username": "ada", "plant_id": 3, "password_secret": "ORRERY_SOURCE_S"},
     "solark with ORRERY_SOURCE_S")])
def test_the_audit_says_whom_it_asks_and_no_secret(kind: str, options: dict[str, object],
                                                   words: str) -> None:
    assert in_words(NewSource(kind, "new", options)) == words
