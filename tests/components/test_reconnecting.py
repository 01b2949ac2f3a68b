"""Who may have a source connected to anew, and that it is written down."""

from __future__ import annotations

from datetime import timedelta

import pytest
from streamlit.testing.v1 import AppTest

from core.config import OperatorsConfig
from core.operators import SESSION
from tests.components.fleet_site import START, AuditedClient, FakeFleet, site

BUTTONS = ("reconnect_packs", "console_reconnect")
SIGN_IN = "You are looking only. Sign in as operator first."


def page(client: object) -> None:
    from typing import cast

    from components import operator
    from components.api_client import LocalClient
    from components.connections import console, fleets

    seen = cast(LocalClient, client)
    operator.sign_in_button(seen)
    fleets.reconnecting(seen)
    console.tools(seen, console.chosen(seen))


def opened(operators: OperatorsConfig | None = None,
           ) -> tuple[AppTest, AuditedClient, FakeFleet]:
    client, fleet, _ = site(1, operators=operators)
    app = AppTest.from_function(page, args=(client,)).run()
    assert not app.exception
    return app, client, fleet


def sign_in(app: AppTest) -> None:
    app.text_input(key="operator_name_page").set_value("Anna")
    next(one for one in app.button if one.label == "Sign in as operator").click()
    assert not app.run().exception


def said(app: AppTest) -> str:
    return " ".join([*(one.value for one in app.toast),
                     *(one.proto.body for one in app.get("html"))])


def press(app: AppTest, key: str) -> None:
    app.button(key=key).click()
    assert not app.run().exception


@pytest.mark.parametrize("key", BUTTONS)
def test_a_viewer_sees_why_he_may_not(key: str) -> None:
    app, *_ = opened()
    assert app.button(key=key).disabled
    assert app.button(key=key).help == SIGN_IN
    assert said(app).count(SIGN_IN) == len(BUTTONS)


@pytest.mark.parametrize("key", BUTTONS)
def test_an_operator_s_press_is_written_down(key: str) -> None:
    app, client, fleet = opened()
    sign_in(app)
    assert SIGN_IN not in said(app)
    client.entries.clear()
    press(app, key)
    assert fleet.anew == 1
    (entry,) = client.entries
    assert (entry.who, entry.at, entry.action, entry.element) == ("Anna", START, "reconnect",
                                                                  "packs")
    assert (entry.before, entry.after) == ("live", "connects anew")
    assert "comes back" in said(app)


@pytest.mark.parametrize("key", BUTTONS)
def test_what_the_source_says_to_it_is_shown_and_written_down(key: str) -> None:
    app, client, fleet = opened()
    sign_in(app)
    client.entries.clear()
    fleet.left_alone = "it is left alone for 7 s"
    press(app, key)
    assert [(one.who, one.action) for one in client.entries] == [
        ("Anna", "reconnect"), ("Anna", "reconnect: outcome")]
    assert client.entries[1].after == fleet.left_alone
    assert fleet.left_alone in said(app)
    assert "comes back" not in said(app)


@pytest.mark.parametrize("key", BUTTONS)
def test_what_cannot_be_written_down_is_not_done(key: str) -> None:
    app, client, fleet = opened()
    sign_in(app)
    client.full = True
    press(app, key)
    assert fleet.anew == 0
    assert "disk is full" in said(app)


@pytest.mark.parametrize("key", BUTTONS)
def test_a_sign_in_that_ended_connects_nothing_anew(key: str) -> None:
    app, client, fleet = opened()
    sign_in(app)
    client._runtime.engine.clock.advance((SESSION + timedelta(seconds=1)).total_seconds())
    press(app, key)
    assert fleet.anew == 0
    assert "sign in again" in said(app)


def test_where_nobody_signs_in_anybody_may_and_it_is_written_down() -> None:
    app, client, fleet = opened(OperatorsConfig(mode="none"))
    for key in BUTTONS:
        press(app, key)
    assert fleet.anew == 2
    assert [one.who for one in client.entries] == ["(viewer)"] * 2
