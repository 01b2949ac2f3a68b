"""Whoever a provider let in finds the way out in the sidebar, whatever else may be done there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from streamlit.testing.v1 import AppTest

from core.clock import ManualClock
from core.config import Config, OperatorsConfig, SignInConfig, SourceConfig

ADA = "ada@site.example"


@dataclass
class Viewer:
    """What the door asks a client."""

    config: Config

    @property
    def sign_in_mode(self) -> str:
        return self.config.sign_in.mode

    @property
    def clock(self) -> ManualClock:
        return ManualClock(datetime(2026, 11, 22, tzinfo=UTC))


def page(client: object, key: str) -> None:
    from components import operator

    operator.sign_in_button(client, key)


def buttons(sign_in: str, operators: OperatorsConfig, key: str) -> list[str]:
    config = Config(sources=[SourceConfig("packs", "packs")], operators=operators,
                    sign_in=SignInConfig(sign_in))
    app = AppTest.from_function(page, default_timeout=30, args=(Viewer(config), key)).run()
    assert not app.exception
    return [button.label for button in app.button]


@pytest.mark.parametrize(("operators", "others"), [
    (OperatorsConfig(), []),
    (OperatorsConfig("local", demo=True), ["Sign in as operator"]),
    (OperatorsConfig("oidc", emails=[ADA]), [])], ids=["nobody", "local", "oidc"])
def test_who_was_let_in_can_leave(installed_once: None, operators: OperatorsConfig,
                                  others: list[str]) -> None:
    assert buttons("oidc", operators, "sidebar") == [*others, "Sign out"]
    assert buttons("oidc", operators, "page") == others, "once is enough"


def test_where_nobody_is_let_in_there_is_nothing_to_leave(installed_once: None) -> None:
    assert buttons("none", OperatorsConfig(), "sidebar") == []
    assert buttons("none", OperatorsConfig("local", demo=True), "sidebar") == [
        "Sign in as operator"]
