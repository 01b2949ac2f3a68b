"""One line of the audit for each sign-in by a provider, and one for each sign-out."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from components import sign_ins
from core.actors import NOT_KNOWN
from core.alarms.ports import AlarmStore
from core.alarms.records import AuditEntry, Batch
from core.clock import ManualClock
from core.config import Config, OperatorsConfig, SignInConfig, SourceConfig
from core.errors import RetryLaterError
from store.records import open_alarms
from tests.core.sites import NOON

AT = NOON - timedelta(minutes=1)
ADA = {"sub": "17", "email": "ada@site.example", "email_verified": True, "iat": AT.timestamp()}
WHY = f"by the provider at {AT.isoformat()}"


class Viewer:
    """What the audit of sign-ins asks of a client: a real store, a clock, a configuration."""

    def __init__(self, store: AlarmStore | None, options: OperatorsConfig) -> None:
        self.alarm_store, self.clock = store, ManualClock(NOON)
        self.config = Config([SourceConfig("packs", "packs")], operators=options,
                             sign_in=SignInConfig("oidc"))
        self.sign_in_mode = "oidc"
        self.entries: list[AuditEntry] = []

    def audit(self, entry: AuditEntry) -> None:
        if self.alarm_store is None:
            raise RetryLaterError("the disk is full; make room")
        self.alarm_store.append(Batch(audit=(entry,), durable=True))
        self.entries.append(entry)

    @property
    def lines(self) -> list[tuple[str, str, str]]:
        return [(one.who, one.action, one.why) for one in self.entries]


@pytest.fixture
def viewer(tmp_path: Path) -> Iterator[Viewer]:
    store = open_alarms(tmp_path, ManualClock(NOON))
    sign_ins._known.clear()
    yield Viewer(store, OperatorsConfig())
    sign_ins._known.clear()
    store.close()


def note(viewer: Viewer, **told: object) -> None:
    sign_ins.note(viewer, ADA | told)


def test_a_sign_in_is_one_line_however_often_it_is_looked_at(viewer: Viewer) -> None:
    with ThreadPoolExecutor(8) as tabs:
        list(tabs.map(lambda _: note(viewer), range(40)))
    assert viewer.lines == [("ada@site.example", "signed in", WHY)]


def test_another_sign_in_and_another_person_are_lines_of_their_own(viewer: Viewer) -> None:
    note(viewer)
    later = AT + timedelta(seconds=5)
    note(viewer, iat=later.timestamp())
    note(viewer, email="bob@site.example")
    assert viewer.lines == [
        ("ada@site.example", "signed in", WHY),
        ("ada@site.example", "signed in", f"by the provider at {later.isoformat()}"),
        ("bob@site.example", "signed in", WHY)]


def test_a_new_process_does_not_write_it_again(viewer: Viewer) -> None:
    note(viewer)
    viewer.clock.advance(3 * 86_400)
    sign_ins._known.clear()
    note(viewer)
    assert len(viewer.lines) == 1
    note(viewer, iat=AT.timestamp() + 60)
    assert len(viewer.lines) == 2


@pytest.mark.parametrize(("told", "who"), [
    ({"email_verified": False}, "17"), ({"email": "design"}, NOT_KNOWN),
    ({"email": None, "sub": "a\nb"}, NOT_KNOWN), ({"email": None, "sub": None}, NOT_KNOWN),
    ({"email": None, "sub": "(viewer)"}, NOT_KNOWN)])
def test_nobody_is_named_for_whom_the_provider_does_not_vouch(
        viewer: Viewer, told: dict[str, object], who: str) -> None:
    note(viewer, **told)
    assert viewer.lines == [(who, "signed in", WHY)]


@pytest.mark.parametrize("iat", [None, "now", True, float("nan"), float("inf"), 1e300])
def test_a_sign_in_without_a_time_is_written_without_one(viewer: Viewer, iat: object) -> None:
    note(viewer, iat=iat)
    note(viewer, iat=iat)
    assert viewer.lines == [("ada@site.example", "signed in", "by the provider")]


def test_known_sign_ins_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_ins, "MOST", 3)
    known = sign_ins.Known()
    assert all(known.is_new(str(number), "") for number in range(5))
    assert not known.is_new("4", "")
    assert known.is_new("0", "")


def test_without_a_store_it_still_counts(viewer: Viewer,
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    toasts: list[str] = []
    monkeypatch.setattr(st, "toast", lambda words, **_: toasts.append(words))
    nowhere = Viewer(None, OperatorsConfig())
    note(nowhere)
    note(nowhere)
    assert len(toasts) == 1


def page(client: object) -> None:
    from components import operator

    operator.sign_in_button(client, "sidebar")


@pytest.mark.parametrize(("options", "who"), [
    (OperatorsConfig(), "17"),
    (OperatorsConfig("oidc", emails=["ada@site.example"]), "ada@site.example")])
def test_a_sign_out_at_the_provider_is_a_line(
        viewer: Viewer, monkeypatch: pytest.MonkeyPatch, options: OperatorsConfig,
        who: str) -> None:
    left: list[bool] = []
    claims = ADA | {"email_verified": who != "17"}
    user = SimpleNamespace(to_dict=lambda: claims, get=claims.get)
    monkeypatch.setattr(st, "user", user)
    monkeypatch.setattr(st, "logout", lambda: left.append(True))
    viewer.config = Config(viewer.config.sources, operators=options,
                           sign_in=viewer.config.sign_in)
    app = AppTest.from_function(page, default_timeout=30, args=(viewer,)).run()
    next(one for one in app.button if one.label == "Sign out").click().run()
    assert not app.exception
    assert (viewer.lines, left) == ([(who, "signed out", "")], [True])


def test_a_local_sign_out_is_a_line(viewer: Viewer) -> None:
    viewer.config = Config(viewer.config.sources,
                           operators=OperatorsConfig("local", demo=True))
    viewer.sign_in_mode = "none"
    app = AppTest.from_function(page, default_timeout=30, args=(viewer,)).run()
    app.text_input(key="operator_name_sidebar").set_value("Ada")
    next(one for one in app.button if one.label == "Sign in as operator").click().run()
    next(one for one in app.button if one.label == "Sign out").click().run()
    assert not app.exception
    assert viewer.lines == [("Ada", "signed in", ""), ("Ada", "signed out", "")]
    assert [one.label for one in app.button] == ["Sign in as operator"]
