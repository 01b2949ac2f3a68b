"""Who may start a simulated fault, and that it is written down."""

from __future__ import annotations

from datetime import timedelta

import pytest
from streamlit.testing.v1 import AppTest

from components import sidebar
from components.api_client import Fault
from core.config import OperatorsConfig
from core.operators import SESSION, hashed
from tests.components.fleet_site import AuditedClient, site

SIGN_IN = "You are looking only. Sign in as operator first."
PASSWORD = "correct horse battery"
NAMED = OperatorsConfig("local", {"Anna": str(hashed(PASSWORD))})
START, STOP = "fault_packs_overheats", "fault_stop"


class Faulty(AuditedClient):
    """done: what was started and stopped."""

    done: list[str]

    def faults(self) -> list[Fault]:
        return [Fault("packs", "Packs", "overheats", False), Fault("packs", "Packs", "leaks", True)]

    def start_fault(self, fault: Fault) -> None:
        self.done.append(fault.name)

    def stop_faults(self) -> None:
        self.done.append("stop")


def page(client: object) -> None:
    from typing import cast

    from components import operator, sidebar
    from components.api_client import LocalClient

    seen = cast(LocalClient, client)
    operator.sign_in_button(seen)
    sidebar._faults(seen)


def opened(operators: OperatorsConfig) -> tuple[AppTest, Faulty]:
    found, *_ = site(1, operators=operators)
    client = Faulty(found._runtime)
    client.done = []
    app = AppTest.from_function(page, args=(client,)).run()
    assert not app.exception
    return app, client


def sign_in(app: AppTest) -> None:
    app.text_input(key="operator_name_page").set_value("Anna")
    app.text_input(key="operator_password_page").set_value(PASSWORD)
    next(one for one in app.button if one.label == "Sign in as operator").click()
    assert not app.run().exception


def press(app: AppTest, key: str) -> None:
    app.button(key=key).click()
    assert not app.run().exception


@pytest.mark.parametrize("key", [START, STOP])
def test_a_viewer_sees_why_he_may_not(key: str) -> None:
    app, _ = opened(NAMED)
    assert app.button(key=key).disabled
    assert app.button(key=key).help == SIGN_IN


def test_an_operator_s_press_is_written_down() -> None:
    app, client = opened(NAMED)
    sign_in(app)
    client.entries.clear()
    press(app, START)
    press(app, STOP)
    assert client.done == ["overheats", "stop"]
    assert [(one.who, one.action, one.element, one.after) for one in client.entries] == [
        ("Anna", "start a simulated fault", "packs", "overheats"),
        ("Anna", "stop all simulated faults", "", "leaks")]


@pytest.mark.parametrize("key", [START, STOP])
def test_what_cannot_be_written_down_is_not_done(key: str) -> None:
    app, client = opened(NAMED)
    sign_in(app)
    client.full = True
    press(app, key)
    assert client.done == []
    assert "disk is full" in app.toast[0].value


def test_a_sign_in_that_ended_starts_nothing() -> None:
    app, client = opened(NAMED)
    sign_in(app)
    client.entries.clear()
    client._runtime.engine.clock.advance((SESSION + timedelta(seconds=1)).total_seconds())
    press(app, START)
    assert (client.done, client.entries) == ([], [])
    assert "sign in again" in app.toast[0].value


@pytest.mark.parametrize("operators", [OperatorsConfig(), OperatorsConfig("local", demo=True)])
def test_where_nobody_signs_in_and_in_the_demo_anybody_may(operators: OperatorsConfig) -> None:
    app, client = opened(operators)
    press(app, START)
    assert client.done == ["overheats"]
    assert [one.who for one in client.entries] == ["(viewer)"]
    assert sidebar._no_faults(client) == ""
