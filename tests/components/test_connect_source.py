"""Who may test and save a source, that it is written down, and what a form may never name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, timedelta

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from components.house import connect
from components.house.connect import _options
from core.alarms.records import AuditEntry
from core.config import OperatorsConfig
from core.errors import RetryLaterError
from core.operators import SESSION
from core.settings import PERMISSION, NewSource, written
from tests.components.fleet_site import START, AuditedClient, site
from tests.sources.web import Web, data

SIGN_IN = "You are looking only. Sign in as operator first."
ADA, BOB = "ada@site.example", "bob@site.example"
BY_PROVIDER = OperatorsConfig(mode="oidc", emails=[ADA])
COOKIES, KEY, OURS = "STREAMLIT_SERVER_COOKIE_SECRET", "ORRERY_KEY_ANNA", "ORRERY_SOURCE_KEY"
VALUES = {COOKIES: "S3CRET-of-the-site", KEY: "annas-own-operator-key", OURS: "the-source-s-own"}


def page(client: object) -> None:
    from typing import cast

    from components import operator
    from components.api_client import LocalClient
    from components.house import connect

    seen = cast(LocalClient, client)
    operator.sign_in_button(seen)
    connect._dialog(seen)  # AppTest runs whole pages, which closes what a button opened


@pytest.fixture(autouse=True)
def values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PERMISSION, "1")
    for name, value in VALUES.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def elsewhere() -> Iterator[Web]:
    """A server that a stranger chose."""
    with Web() as web:
        web.at("/energy/latest", data({}))
        yield web


def opened(operators: OperatorsConfig | None = None) -> tuple[AppTest, AuditedClient]:
    client, *_ = site(1, operators=operators)
    app = AppTest.from_function(page, args=(client,), default_timeout=20).run()
    return app, client


def filled(app: AppTest, address: str, key: str = "") -> AppTest:
    """The form of another Orrery."""
    app.selectbox(key="connect_kind").select("remote").run()
    app.text_input(key="connect_remote_base_url").set_value(address)
    app.text_input(key="connect_remote_api_key_secret").set_value(key).run()
    assert not app.exception
    return app


def as_tested(app: AppTest) -> None:
    """As if a test had found it."""
    app.session_state["connect_tested"] = written(NewSource(
        "remote", "remote", _options("remote", {
            key: app.text_input(key=f"connect_remote_{key}").value
            for key in ("base_url", "api_key_secret")}, "home"), {"id": "home", "label": "Home"}))
    app.run()
    assert not app.button(key="connect_save").disabled


def press(app: AppTest, key: str) -> AppTest:
    """As a forged message does, whatever the page shows of the button."""
    button = app.button(key=key)
    button.proto.disabled = False
    button.click().run()
    assert not app.exception
    return app


def sign_in(app: AppTest) -> None:
    app.text_input(key="operator_name_page").set_value("Anna")
    next(one for one in app.button if one.label == "Sign in as operator").click()
    assert not app.run().exception


def as_(monkeypatch: pytest.MonkeyPatch, email: str) -> None:
    """Whom the provider let in."""
    claims = {"is_logged_in": True, "email": email, "email_verified": True,
              "iat": START.astimezone(UTC).timestamp()}
    monkeypatch.setattr(type(st.user), "to_dict", lambda _: claims)


def said(app: AppTest) -> str:
    return " ".join(one.proto.body for one in app.get("html"))


def test_whom_the_provider_lets_in_to_look_reaches_no_server_of_his(
        monkeypatch: pytest.MonkeyPatch, elsewhere: Web) -> None:
    as_(monkeypatch, BOB)
    monkeypatch.delenv(PERMISSION)
    app, client = opened(BY_PROVIDER)
    filled(app, elsewhere.url, OURS)
    why = "is not among the operators of this site"
    for key in ("connect_test", "connect_save"):
        assert app.button(key=key).disabled
        assert why in app.button(key=key).help
    assert why in said(app)
    press(app, "connect_test")
    assert (elsewhere.asked, client.entries) == ([], [])


@pytest.mark.parametrize("mine", [COOKIES, KEY, "ORRERY_API_KEY", "ORRERY_DATABASE_URL", "PATH",
                                  "AWS_SECRET_ACCESS_KEY", "ORRERY_SOURCE_", "orrery_source_key",
                                  "S3CRET-of-the-site"])
def test_not_even_an_operator_sends_what_is_this_process_s_own(
        monkeypatch: pytest.MonkeyPatch, elsewhere: Web, mine: str) -> None:
    as_(monkeypatch, ADA)
    app, client = opened(BY_PROVIDER)
    filled(app, elsewhere.url, mine)
    assert "begins with ORRERY_SOURCE_" in said(app)
    assert app.button(key="connect_test").disabled
    press(app, "connect_test")
    assert (elsewhere.asked, client.entries) == ([], [])


def test_an_operator_s_test_is_written_down_before_it_is_made(
        monkeypatch: pytest.MonkeyPatch, elsewhere: Web) -> None:
    as_(monkeypatch, ADA)
    app, client = opened(BY_PROVIDER)
    filled(app, elsewhere.url, OURS)
    at_first: list[AuditEntry] = []
    elsewhere.at("/energy/latest", lambda _: at_first.extend(client.entries) or data({})(_))
    press(app, "connect_test")
    assert elsewhere.asked
    (entry,) = at_first[:1]
    host = elsewhere.url.removeprefix("http://")
    assert (entry.who, entry.at, entry.action, entry.element, entry.after) == (
        ADA, START, "test a source", "remote", f"remote at {host} with {OURS}")
    assert not any(value in repr(client.entries) for value in VALUES.values())


def test_a_test_that_cannot_be_written_down_is_not_made(elsewhere: Web) -> None:
    app, client = opened(OperatorsConfig())
    filled(app, elsewhere.url)
    client.full = True
    press(app, "connect_test")
    assert "disk is full" in said(app)
    assert not elsewhere.asked


def test_a_sign_in_that_ended_tests_nothing(elsewhere: Web) -> None:
    app, client = opened()
    sign_in(app)
    filled(app, elsewhere.url)
    client.entries.clear()
    client._runtime.engine.clock.advance((SESSION + timedelta(seconds=1)).total_seconds())
    press(app, "connect_test")
    assert "sign in again" in said(app)
    assert (elsewhere.asked, client.entries) == ([], [])


@pytest.mark.parametrize(("key", "told"), [("connect_test", "Not tested"),
                                           ("connect_save", "Not saved")])
def test_whoever_is_no_operator_any_more_at_the_press_changes_nothing(
        monkeypatch: pytest.MonkeyPatch, elsewhere: Web, key: str, told: str) -> None:
    """The button was drawn for an operator."""
    as_(monkeypatch, BOB)
    monkeypatch.setattr(connect, "why_not", lambda _: "")
    monkeypatch.setattr(connect, "save", lambda *_: pytest.fail("saved"))
    app, client = opened(BY_PROVIDER)
    as_tested(filled(app, elsewhere.url, OURS))
    press(app, key)
    assert told in said(app)
    assert "is not among the operators" in said(app)
    assert (elsewhere.asked, client.entries) == ([], [])


def test_what_is_saved_is_written_down_before(monkeypatch: pytest.MonkeyPatch) -> None:
    app, client = opened(OperatorsConfig())
    kept: list[tuple[NewSource, list[AuditEntry]]] = []

    def save(new: NewSource, *_: object) -> None:
        kept.append((new, list(client.entries)))

    monkeypatch.setattr(connect, "save", save)
    monkeypatch.setattr(client, "restart", lambda: True)
    as_tested(filled(app, "https://orrery.example", OURS))
    press(app, "connect_save")
    ((new, entries),) = kept
    assert new.options["api_key_secret"] == OURS
    assert [(one.action, one.element, one.after) for one in entries] == [
        ("save a source", "remote", f"remote at orrery.example with {OURS}")]


def test_what_cannot_be_saved_is_written_down_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def save(*_: object) -> None:
        raise RetryLaterError("the disk is full")

    monkeypatch.setattr(connect, "save", save)
    app, client = opened(OperatorsConfig())
    as_tested(filled(app, "https://orrery.example"))
    press(app, "connect_save")
    assert "the disk is full" in said(app)
    assert [(one.action, one.after) for one in client.entries] == [
        ("save a source", "remote at orrery.example"), ("save a source: outcome", "not saved")]


def test_the_demo_asks_for_a_name_and_without_operators_the_person_at_the_machine_is_one(
        elsewhere: Web) -> None:
    app, client = opened()
    filled(app, elsewhere.url)
    assert app.button(key="connect_test").help == SIGN_IN
    app, client = opened(OperatorsConfig())
    press(filled(app, elsewhere.url), "connect_test")
    assert elsewhere.asked
    assert [(one.who, one.action) for one in client.entries] == [
        ("(viewer)", "test a source"), ("(viewer)", "test a source: outcome")]


@pytest.mark.parametrize("operators", [OperatorsConfig(), OperatorsConfig("local", demo=True)])
def test_where_strangers_are_not_told_from_operators_nobody_may(
        monkeypatch: pytest.MonkeyPatch, elsewhere: Web, operators: OperatorsConfig) -> None:
    monkeypatch.delenv(PERMISSION)
    app, client = opened(operators)
    if operators.demo:
        sign_in(app)
        client.entries.clear()
    filled(app, elsewhere.url)
    assert app.button(key="connect_test").disabled
    assert connect.NOBODY in said(app)
    press(app, "connect_test")
    assert (elsewhere.asked, client.entries) == ([], [])
