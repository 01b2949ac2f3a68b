"""What a person is told who named the wrong database; no message and no log tells a secret."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from urllib.parse import quote

import psycopg
import pytest

from bench._postgres import PASSWORD, USER, PostgresServer
from core.alarms.records import AlarmQuery, AuditEntry, Batch
from core.config import HistoryConfig
from core.errors import ConfigurationError, OrreryError, RetryLaterError
from core.registry import make_alarm_store, make_fleet_store
from scripts.app_process import LOOPBACK, ROOT, free_port
from store.postgres import open_alarm_store, open_store
from store.postgres.database import Database
from store.postgres.schema import migrations
from tests.core.alarm_bench import NOON
from tests.fleet.examples import entry

RIGHTLESS = "CREATE ROLE visitor LOGIN PASSWORD 'wrong-one'"


def opened_at(url: str, monkeypatch: pytest.MonkeyPatch) -> OrreryError:
    """What opening says, which must not tell the password."""
    monkeypatch.setenv("WRONG", url)
    with pytest.raises(OrreryError) as told:
        open_store("WRONG")
    said = f"{told.value} {told.value.__cause__!r}"
    assert PASSWORD not in said
    assert "wrong-one" not in said
    return told.value


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://a:wrong-one@127.0.0.1/x",
                                 "postgresql://a:wrong-one@127.0.0.1:port/x",
                                 "postgresql://a:wrong-one@127.0.0.1"])
def test_what_is_no_url_of_a_database_is_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = opened_at(url, monkeypatch)
    assert isinstance(told, ConfigurationError)
    assert "WRONG" in str(told)
    assert "postgresql://USER:PASSWORD@HOST:5432/DATABASE" in str(told)


@pytest.mark.parametrize("url", [
    "postgresql://orrery:Tr0ub4dor@site-2!@postgres/orrery",
    "postgresql://orrery:Tr0ub4dor@site-2!/x@postgres/orrery",
    "postgresql://orrery:Tr0ub4dor/site-2!@#x@postgres/orrery",
    "postgresql://orrery:Tr0ub4dor@site-2!?x@postgres/orrery",
    "postgresql://orrery:Tr0ub4dor@site-2!/orrery?x@postgres/orrery",
    "postgresql://orrery:@Tr0ub4dor:site-2!@postgres/orrery",
    "postgresql://orr/ery:12/Tr0ub4dor-site-2!@postgres/orrery",
    "postgresql://orrery:Tr0ub4dor@site-2!/orrery"])
def test_no_part_of_a_password_is_taken_for_a_host_or_shown(
        url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An @ in a password ends it early: what follows would be asked for by name."""
    monkeypatch.setenv("WRONG", url)
    with pytest.raises(ConfigurationError) as told:
        Database("WRONG")
    said = f"{told.value} {told.value.__cause__!r} {told.value.__context__!r}"
    assert "%40 for @" in said
    for part in ("Tr0ub4dor", "site-2", "orrery", "postgres/"):
        assert part not in said, part


@pytest.mark.parametrize("password", ["pa/ss-w0rd", "pa:ss-w0rd", "pa#ss-w0rd", "pa?ss-w0rd",
                                      "pa@ss-w0rd", "100%25-pass"])
def test_a_password_of_any_signs_is_one_where_they_are_written_by_their_numbers(
        postgres: PostgresServer, variable: str, password: str,
        monkeypatch: pytest.MonkeyPatch) -> None:
    postgres.execute(postgres.url(), "DROP ROLE IF EXISTS signs; "
                     f"CREATE ROLE signs LOGIN PASSWORD '{password}'")
    given = quote(password, safe="")
    monkeypatch.setenv(variable, os.environ[variable].replace(
        f"{USER}:{PASSWORD}@", f"signs:{given}@"))
    database = Database(variable)
    with database.connect() as connection:
        assert connection.exec_driver_sql("SELECT current_user").scalar() == "signs"
    told = str(database.problem(psycopg.OperationalError(
        f"{password} {given} and {re.split('[@:/?#]', password)[-1]}")))
    assert "*** *** and ***" in told
    database.dispose()


@pytest.mark.parametrize("rest", ["127.0.0.1:5432/x", "[::1]:5432/x", "a.example,b.example/x",
                                  "/x?host=/run/postgresql"])
def test_what_can_be_a_host_is_one(rest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIGHT", f"postgresql://orrery:s3cret@{rest}")
    Database("RIGHT").dispose()


@pytest.mark.parametrize(("before", "after", "words"), [
    (PASSWORD, "wrong-one", "authentication failed"), ("/postgres?", "/none?", "does not exist"),
    (USER + ":", "nobody_known:", "authentication failed")])
def test_a_server_that_does_not_let_us_in_is_told(
        before: str, after: str, words: str, variable: str,
        monkeypatch: pytest.MonkeyPatch) -> None:
    told = opened_at(os.environ[variable].replace(before, after), monkeypatch)
    assert isinstance(told, ConfigurationError)
    assert words in str(told)


def test_a_server_that_does_not_run_is_asked_later(monkeypatch: pytest.MonkeyPatch) -> None:
    told = opened_at(f"postgresql://{USER}:{PASSWORD}@{LOOPBACK}:{free_port()}/x", monkeypatch)
    assert isinstance(told, RetryLaterError)
    assert "see that it runs" in str(told)


def test_a_silent_server_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((LOOPBACK, 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setenv("SILENT", f"postgresql://a:b@{LOOPBACK}:{port}/x?connect_timeout=2")
        database = Database("SILENT")
        with pytest.raises(RetryLaterError, match="timeout"):
            database.connect()
        with pytest.raises(RetryLaterError, match="was silent and is asked again"):
            database.connect()
        database.dispose()


def test_a_role_without_rights_is_told(postgres: PostgresServer, variable: str,
                                       monkeypatch: pytest.MonkeyPatch) -> None:
    postgres.execute(postgres.url(), RIGHTLESS)
    url = os.environ[variable].replace(f"{USER}:{PASSWORD}", "visitor:wrong-one")
    told = opened_at(url, monkeypatch)
    assert isinstance(told, ConfigurationError)
    assert "no schema has been selected" in str(told)


def test_the_url_itself_does_not_belong_on_a_command_line() -> None:
    for url in ("postgres://ada:s3cret@host/x", "postgresql://ada:s3cret@host/x",
                "postgres:postgresql://ada:s3cret@host/x"):
        with pytest.raises(ConfigurationError) as told:
            make_fleet_store(url)
        assert "s3cret" not in str(told.value)


def test_the_ingest_says_it_and_ends() -> None:
    ran = subprocess.run([sys.executable, "-m", "services.ingest", "--store", "postgres:NOT_SET"],
                         cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 2
    assert "The ingest cannot run: the environment: NOT_SET" in ran.stderr


def test_the_server_s_log_holds_no_secret_and_no_complaint(
        postgres: PostgresServer, variable: str) -> None:
    store = open_store(variable)
    with pytest.raises(ConfigurationError):
        open_store(variable)
    store.close()
    assert PASSWORD not in postgres.said()


# -- the tables


def applied(url: str) -> list[tuple[int, str]]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT number, name FROM orrery_schema ORDER BY 1").fetchall()


def test_tables_are_made_once_however_many_begin_at_once(variable: str) -> None:
    failed: list[BaseException] = []

    def begin(number: int) -> None:
        try:
            (open_store if number else open_alarm_store)(variable).close()
        except OrreryError as error:
            failed.append(error)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failed == []
    expected = [(number, path.stem) for number, path in migrations().items()]
    assert applied(os.environ[variable]) == expected
    open_store(variable).close()
    assert applied(os.environ[variable]) == expected


def test_numbers_of_the_migrations_have_no_gap() -> None:
    assert list(migrations()) == list(range(1, len(migrations()) + 1))


def test_tables_of_a_newer_orrery_are_left_alone(variable: str) -> None:
    open_store(variable).close()
    with psycopg.connect(os.environ[variable]) as connection:
        connection.execute("INSERT INTO orrery_schema (number, name) VALUES (9999, 'later')")
    with pytest.raises(ConfigurationError, match="of a newer Orrery"):
        open_store(variable)


def test_two_schemas_of_one_database_do_not_meet(postgres: PostgresServer, variable: str,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECOND", postgres.new_schema())
    first, second = open_store(variable), open_store("SECOND")
    first.take([entry(1)])
    assert [len(store.marks()) for store in (first, second)] == [1, 0]
    second.close()
    first.close()
    assert applied(os.environ["SECOND"]) == applied(os.environ[variable])


# -- the packages


def test_the_packages_are_pinned_once_and_loaded_on_use() -> None:
    own = (ROOT / "store" / "requirements-postgres.txt").read_text(encoding="utf-8")
    pins = [line for line in own.splitlines() if "==" in line]
    ours = [line for name in ("requirements.txt", "requirements-dev.txt")
            for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]
    assert pins
    assert [ours.count(pin) for pin in pins] == [1] * len(pins)
    program = ("import sys, core.registry, store.postgres; "
               "print([n for n in sys.modules if n.startswith(('psycopg', 'sqlalchemy'))])")
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True,
                         check=True)
    assert ran.stdout.strip() == "[]"


def test_without_the_packages_a_person_is_told_how_to_get_them(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.postgres.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match="pip install -r store/requirements-postgres.txt"):
        make_fleet_store("postgres:ANY")


def test_the_house_keeps_its_alarms_where_its_configuration_says(variable: str) -> None:
    config = HistoryConfig(kind="none", alarms_url_variable=variable)
    store = make_alarm_store(config, "orrery.toml")
    assert store is not None
    store.append(Batch(audit=(AuditEntry(NOON, "ada", "comment", "", "", "hello", "", ""),)))
    (kept,) = store.audit(AlarmQuery(NOON, NOON))
    assert kept.why == "hello"
    store.close()
    assert make_alarm_store(HistoryConfig(kind="none"), "orrery.toml") is None
    with pytest.raises(ConfigurationError, match="NOT_SET"):
        make_alarm_store(HistoryConfig(alarms_url_variable="NOT_SET"), "orrery.toml")


def test_whatever_the_server_says_our_password_is_not_repeated(variable: str) -> None:
    database = Database(variable)
    for words in (f"password {PASSWORD} is weak", f"x does not exist: {PASSWORD}"):
        told = database.problem(psycopg.OperationalError(words))
        assert PASSWORD not in str(told)
        assert "***" in str(told)
    database.dispose()
