"""A secret that the environment or a person holds is told to its server, and to nobody else: no
log, no error, no words of an object, no page, no export, no answer of the gateway."""

from __future__ import annotations

import base64
import http.client
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from html import escape
from importlib import import_module
from pathlib import Path
from urllib.parse import quote, quote_plus
from zoneinfo import ZoneInfo

import jwt
import msgspec
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import core.runtime
from components import frame
from components.alarms import history
from components.alarms.choice import Shown
from components.api_client import LocalClient
from core.config import (
    Config,
    GatewayConfig,
    HistoryConfig,
    OidcConfig,
    OperatorsConfig,
    SignInConfig,
    SourceConfig,
)
from core.engine import Engine, Snapshot
from core.errors import ConfigurationError, OrreryError
from core.houses import House
from core.registry import (
    SOURCES,
    make_alarm_store,
    make_fleet_store,
    make_site_records,
    make_sources,
)
from core.runtime import Runtime
from core.settings import NewSource, written
from core.topology import DEFAULT_LEVELS
from services.fleet_link import broker_at
from services.gateway.app import standalone
from store.postgres import open_history
from store.records import open_alarms
from tests.architecture.test_style import ROOT
from tests.components.sent import sent
from tests.core.test_operators import least_hash
from tests.gateway.site import engine_of, serving, site
from tests.sources.mosquitto import Mosquitto, until
from tests.sources.web import Web, status

VARIABLE, USER = "ORRERY_TEST_SECRET", "keeper"
SECRET = "correct+horse/battery9f3a"
KEY_VARIABLE, KEY = "ORRERY_TEST_KEY", "ada's+own/key 5d02c9"
COOKIE, CLIENT = "cookie+secret/of the app 77c1", "client+secret/at the provider 31d8"
TOKEN = jwt.encode({"email": "eve@home.example"}, "k" * 32, "HS256", {"kid": "one"})
OPERATOR, PASSWORD = "Anna", "long/enough+for 9e12 an operator"
TYPED = ("mistaken+for/the right one 84aa", "typed+into/the name 20bd")
HASH = least_hash(PASSWORD)
ALL = (SECRET, KEY, COOKIE, CLIENT, TOKEN, PASSWORD, *TYPED, HASH, HASH.split("$")[-1])
OURS = ("core.", "sources.", "services.", "store.")
HEARD = ("/oauth/token", "/v2/installations/1/diagnostics", "/energy/latest",
         "/victron/battery/current", "/query", "/api/v2/query", "/ping", "/health", "/prices")


@dataclass(frozen=True)
class Place:
    """Where the servers are that refuse."""

    web: str
    broker_port: int


Options = Callable[[Place], dict[str, object]]

KINDS: dict[str, tuple[str, str, Options]] = {
    # case -> kind, the option that names the variable, the other options
    "venus": ("venus", "password_secret", lambda at: {
        "batteries": [{"instance": 0, "name": "B"}], "host": "127.0.0.1",
        "port": at.broker_port, "username": USER}),
    "husdata-mqtt": ("husdata-mqtt", "password_secret", lambda at: {
        "profile": "thermia_c60", "host": "127.0.0.1", "port": at.broker_port,
        "username": USER}),
    "fleet-mqtt": ("fleet-mqtt", "password_secret", lambda at: {
        "packs": 1, "broker": f"mqtt://127.0.0.1:{at.broker_port}", "username": USER}),
    "vrm": ("vrm", "token_secret", lambda at: {"site_id": 1, "base_url": f"{at.web}/v2"}),
    "solark": ("solark", "password_secret", lambda at: {
        "plant_id": 1, "username": USER, "base_url": at.web}),
    "prices-http": ("prices-http", "token_secret", lambda at: {
        "house": "home", "base_url": at.web, "path": "/prices", "preset": "awattar"}),
    "remote": ("remote", "api_key_secret", lambda at: {"base_url": at.web}),
    "influx-token": ("influx", "token_secret", lambda at: {
        "profile": "thermia_c60", "base_url": at.web}),
    "influx-password": ("influx", "password_secret", lambda at: {
        "profile": "thermia_c60", "base_url": at.web, "username": USER}),
    "influx-flux": ("influx", "token_secret", lambda at: {
        "profile": "thermia_c60", "base_url": at.web, "language": "flux", "org": "o"}),
}
ELSEWHERE = Place("http://127.0.0.1:1", 1)


def test_every_secret_of_every_kind_of_source_is_looked_at() -> None:
    named = {(kind, key) for kind, module in SOURCES.items()
             for key in import_module(module).Options.__struct_fields__
             if key.endswith("_secret")}
    assert named == {(kind, key) for kind, key, _ in KINDS.values()}


@pytest.fixture(autouse=True)
def _told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv(VARIABLE, SECRET)
    caplog.set_level(logging.DEBUG)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server that says back what it should not, and a broker that knows another password."""
    broker = Mosquitto(tmp_path_factory.mktemp("broker"), {USER: "another one"})
    broker.start()
    with Web() as web:
        for path in HEARD:
            web.at(path, status(500, f'{{"error": "no {SECRET} here"}}'.encode()))
        yield Place(web.url, broker.port)
    broker.kill()


def config_of(case: str, at: Place, variable: str = VARIABLE) -> Config:
    kind, key, options = KINDS[case]
    return Config([SourceConfig(kind, kind, {**options(at), key: variable})], file="orrery.toml")


@contextmanager
def refused(case: str, place: Place, directory: Path) -> Iterator[tuple[Config, Engine]]:
    """An engine whose one source was refused by its server."""
    config = config_of(case, place)
    engine = Engine(DEFAULT_LEVELS, make_sources(config))
    engine.keep_alarms(open_alarms(directory))
    try:
        until(lambda: told_no(engine.tick()), f"{case} is refused")
        yield config, engine
    finally:
        engine.stop()


def told_no(snapshot: Snapshot) -> bool:
    """All sources were refused; before that they only wait."""
    return all(any(word in status.error for word in (
        "refuse", "500", "cannot", "does not answer", "answers", "says"))
        for status in snapshot.sources)


def forms(secret: str) -> tuple[str, ...]:
    """As it may stand in a text."""
    return (secret, secret[:12], quote(secret, safe=""), quote_plus(secret), escape(secret),
            base64.b64encode(f"{USER}:{secret}".encode()).decode(),
            base64.b64encode(secret.encode()).decode()[:-4])


FORMS = {form for one in ALL for form in forms(one)} - {HASH[:12]}


def leaks(text: str) -> list[str]:
    return [form for form in FORMS if form in text]


def objects(root: object) -> Iterator[object]:
    """`root` and all objects of ours that it holds, however deep."""
    waiting, seen = [root], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, list | tuple | set | frozenset):
            waiting += one
        elif isinstance(one, dict):
            waiting += one.values()
        elif type(one).__module__.startswith(OURS):
            yield one
            names = [*getattr(one, "__dict__", {}), *getattr(type(one), "__slots__", ()),
                     *getattr(type(one), "__struct_fields__", ())]
            waiting += [getattr(one, name) for name in names if hasattr(one, name)]


def error_of(act: Callable[[], object]) -> str:
    """All that a log with its trace would say of it."""
    try:
        act()
    except OrreryError as error:
        return "".join(traceback.format_exception(error))
    return ""


# -- sources


@pytest.mark.parametrize("case", KINDS)
def test_a_source_that_is_refused_tells_no_secret(
        case: str, place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with refused(case, place, tmp_path) as (config, engine):
        (source,) = engine.sources
        words = [repr(engine.snapshot), repr(config), written(NewSource(
            config.sources[0].kind, case, config.sources[0].options))]
        words += [error_of(getattr(source, act)) for act in ("ping", "ask_now")]
        words.append(error_of(lambda: source.poll(engine.clock.now())))
        found = list(objects(source))
        words += [text for one in found for text in (repr(one), str(one))]
        words.append(repr(source.talk()))  # type: ignore[attr-defined]
        assert len(found) > 3
    words.append(logged(caplog))
    assert not [leaks(text) for text in words if leaks(text)]


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """At every level, but for InfluxDB's own client, which writes what a server said as a line
    for its developers; Orrery's programs write from INFO on."""
    trace = logging.Formatter("%(name)s %(message)s")
    return "\n".join(trace.format(one) for one in caplog.records
                     if one.levelno > logging.DEBUG or "influxdb_client" not in one.pathname)


# -- pages, exports

VIEWS: list[tuple[str, dict[str, str]]] = [
    ("Home.py", {}), *((file, {}) for file, *_ in frame.PAGES),
    ("pages/alarms.py", {"view": "Audit"}), ("pages/alarms.py", {"view": "History"}),
    *(("pages/connections.py", {"source": case}) for case in KINDS)]


def whole_site(at: Place) -> Config:
    """All kinds of sources in a house each, keys of people and programs, and an operator."""
    sources = []
    for case, (kind, key, options) in KINDS.items():
        told = {**options(at), key: VARIABLE, "label": f"The {case}"}
        house = {"house": case.replace("-", "_")} if kind != "fleet-mqtt" else {}
        sources.append(SourceConfig(kind, case, {**told, **house}))
    return Config(sources, file="orrery.toml", gateway=GatewayConfig(
        api_key_secret=VARIABLE, operator_keys={"Ada": KEY_VARIABLE}),
        operators=OperatorsConfig(mode="local", names={OPERATOR: HASH}))


@contextmanager
def shared(config: Config, directory: Path) -> Iterator[Runtime]:
    """A site, all of whose sources were refused, as the one that pages find by themselves."""
    engine = Engine(DEFAULT_LEVELS, make_sources(config))
    engine.keep_alarms(open_alarms(directory))
    runtime = Runtime(config, engine, tuple(
        House(str(one.options["house"]), one.name, ZoneInfo("UTC"))
        for one in config.sources if "house" in one.options), None)
    st.cache_data.clear()
    try:
        until(lambda: told_no(engine.tick()), "all are refused")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(core.runtime, "_shared", runtime)
            yield runtime
    finally:
        st.cache_data.clear()
        engine.stop()


def page(file: str, **address: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / file), default_timeout=60)
    app.secrets["auth"] = {"cookie_secret": COOKIE, "client_secret": CLIENT}
    app.query_params.update(address)
    app.run()
    assert not app.exception
    return app


def sign_in(app: AppTest, name: str, password: str) -> None:
    app.text_input(key="operator_name_page").set_value(name)
    app.text_input(key="operator_password_page").set_value(password)
    next(one for one in app.button if one.label == "Sign in as operator").click()
    assert not app.run().exception


def texts(app: AppTest) -> list[str]:
    return [text for _, _, text in sent(app)]


@pytest.mark.usefixtures("installed_once")
def test_no_page_export_or_log_of_a_whole_site_tells_a_secret(
        place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    with shared(whole_site(place), tmp_path) as runtime:
        app = page("pages/connections.py")
        sign_in(app, OPERATOR, TYPED[0])
        sign_in(app, TYPED[1], PASSWORD)
        told = texts(app)
        sign_in(app, OPERATOR, PASSWORD)
        app.button(key="reconnect_fleet-mqtt").click()
        told += [*texts(app.run()), repr(runtime.config.sources), repr(runtime.config.gateway)]
        for file, address in VIEWS:
            told += texts(page(file, **address))
        told.append(exported(LocalClient(runtime)))
        shown = " ".join(told)
        assert not [case for case in KINDS if f"The {case}" not in shown]
        for words in ("sign-in refused", "a name that is not known", "reconnect", OPERATOR):
            assert words in told[-1], words
        closed = msgspec.structs.replace(runtime.config, sign_in=SignInConfig("oidc"))
        monkeypatch.setattr(core.runtime, "_shared", replace(runtime, config=closed))
        before_the_door = texts(page("Home.py"))
        assert any("Sign-in is not set up" in text for text in before_the_door)
    told += [*before_the_door, logged(caplog)]
    assert not [leaks(text) for text in told if leaks(text)]


def exported(client: LocalClient) -> str:
    store, asked = client.alarm_store, history.query(client.now(), Shown(states=frozenset()))
    assert store is not None
    return (history.transitions_csv(store.history(asked), client.topology)
            + history.audit_csv(store.audit(asked), client.topology))


# -- mistakes in the file


@pytest.mark.parametrize("case", KINDS)
def test_a_secret_in_place_of_its_variable_s_name_is_not_shown(
        case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError) as found:
        make_sources(config_of(case, ELSEWHERE, SECRET))
    assert not leaks("".join(traceback.format_exception(found.value)))
    assert KINDS[case][1] in str(found.value)


@pytest.mark.parametrize("case", KINDS)
def test_a_secret_in_the_file_is_refused_and_not_shown(case: str) -> None:
    kind, key, options = KINDS[case]
    told = {**options(ELSEWHERE), key.removesuffix("_secret"): SECRET, key: VARIABLE}
    with pytest.raises(ConfigurationError, match="environment variable") as found:
        make_sources(Config([SourceConfig(kind, kind, told)], file="orrery.toml"))
    assert not leaks("".join(traceback.format_exception(found.value)))


@pytest.mark.parametrize("more", [
    {"passwrd": SECRET}, {"password_secret": 5, "password": SECRET}, {"api-key": SECRET},
    {"batteries": [{"instance": -1, "token": SECRET}]}, {"batteries": 7, "secrets": [SECRET]}])
def test_a_mistake_in_the_file_shows_no_secret_beside_it(more: dict[str, object]) -> None:
    told = {"host": "127.0.0.1", "batteries": [], **more}
    with pytest.raises(ConfigurationError) as found:
        make_sources(Config([SourceConfig("venus", "venus", told)], file="orrery.toml"))
    assert not leaks("".join(traceback.format_exception(found.value)))


# -- stores and brokers


def stores(variable: str) -> list[Callable[[], object]]:
    kept = HistoryConfig(kind="postgres", url_variable=variable, alarms_url_variable=variable)
    topology = engine_of(site())[0].topology
    return [lambda: open_history(variable, topology, 1 << 20),
            lambda: make_alarm_store(kept, "orrery.toml"),
            lambda: make_fleet_store(f"postgres:{variable}"),
            lambda: make_site_records(kept, "orrery.toml")]


STORES = ("history", "alarms", "fleet", "records")


@pytest.mark.parametrize("number", range(len(STORES)), ids=STORES)
@pytest.mark.parametrize("url", [
    f"postgresql://{USER}:{quote(SECRET, safe='')}@127.0.0.1:1/orrery",
    f"mysql://{USER}:{quote(SECRET, safe='')}@127.0.0.1/orrery",
    f"postgresql://{USER}:{quote(SECRET, safe='')}@127.0.0.1:port/orrery", SECRET])
def test_a_database_that_is_not_there_tells_no_secret(
        url: str, number: int, monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv(VARIABLE, url)
    said = error_of(stores(VARIABLE)[number])
    assert VARIABLE in said
    assert not leaks(said + logged(caplog))


@pytest.mark.parametrize("number", range(len(STORES)), ids=STORES)
def test_a_url_in_place_of_its_variable_s_name_is_not_shown(number: int) -> None:
    said = error_of(stores(f"postgresql://{USER}:{SECRET}@127.0.0.1:1/orrery")[number])
    assert "NAME of an environment variable" in said
    assert not leaks(said)


@pytest.mark.parametrize("url", [f"mqtt://{USER}:{SECRET}@127.0.0.1",
                                 f"http://{USER}:{SECRET}@127.0.0.1",
                                 f"mqtt://{USER}:{SECRET}@127.0.0.1:port",
                                 f"mqtt://{USER}:12/{SECRET}@127.0.0.1",
                                 f"mqtt://{SECRET}@127.0.0.1"])
def test_a_broker_s_address_with_a_password_is_refused_and_not_shown(url: str) -> None:
    said = error_of(lambda: broker_at(url))
    assert "go beside it" in said
    assert not leaks(said)


def test_a_broker_keeps_its_password_out_of_its_words() -> None:
    broker = broker_at("mqtt://127.0.0.1", username=USER, password=SECRET)
    assert not leaks(repr(broker) + str(broker))


# -- the gateway


def test_the_gateway_tells_its_keys_to_nobody(place: Place, monkeypatch: pytest.MonkeyPatch,
                                              caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    engine, _ = engine_of(site())
    config = Config([SourceConfig("steps", "steps")], file="orrery.toml",
                    gateway=GatewayConfig(api_key_secret=VARIABLE,
                                          operator_keys={"Ada": KEY_VARIABLE},
                                          oidc=OidcConfig(f"{place.web}/prices", "orrery")))
    words = [repr(config)]
    with serving(standalone(Runtime(config, engine, (), None))) as port:
        for path in ("/health", "/metrics", "/openapi.json", "/energy/latest", "/docs",
                     f"/energy/latest?key={quote(SECRET)}", "/nowhere"):
            for headers in ({}, {"X-API-Key": "wrong"}, {"X-API-Key": SECRET},
                            {"X-API-Key": KEY}, {"X-API-Key": TOKEN},
                            {"Authorization": f"Bearer {TOKEN}"}):
                words.append(answer(port, path, headers))
    engine.stop()
    assert engine.turned_away.counts()["sign_in"]
    words.append(repr(engine.turned_away.newest()))
    words.append(logged(caplog))
    assert not [leaks(text) for text in words if leaks(text)]


def answer(port: int, path: str, headers: dict[str, str]) -> str:
    """Status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=headers)
    found = connection.getresponse()
    text = f"{found.status} {found.getheaders()} {found.read().decode(errors='replace')}"
    with suppress(OSError):
        connection.close()
    return text


@pytest.mark.parametrize("gateway", [GatewayConfig(api_key_secret=SECRET),
                                     GatewayConfig(operator_keys={"Ada": SECRET})])
def test_a_key_in_place_of_its_variable_s_name_is_not_shown(gateway: GatewayConfig) -> None:
    engine, _ = engine_of(site())
    config = Config([SourceConfig("steps", "steps")], file="orrery.toml", gateway=gateway)
    said = error_of(lambda: standalone(Runtime(config, engine, (), None)))
    engine.stop()
    assert "orrery.toml: gateway." in said
    assert not leaks(said)
